"""`release publish` from what a checkout says to what anybody finds afterwards: in registries and on GitHub."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from bot.adapters.sbom_files import SbomFiles
from bot.core.release.provenance import read_provenance
from bot.embedded.images import build_image
from bot.embedded.server import LoopbackServer
from bot.flows.publish import publish
from tests.flows.conftest import TOKEN
from tests.flows.release_standins import (
    GATEWAY,
    OURS,
    PROVENANCE,
    REF,
    REPOSITORY,
    SBOMS,
    SIGN,
    STRANGER,
    TAG,
    THEIRS,
    UPSTREAM,
    attach,
    lacks,
    proven,
    sboms_of,
    sign_legacy,
)
from tests.flows.releases import PASSWORD, Releasing, path_of, place, world, writes_of

__all__ = ["place", "world"]

FILES = [
    "gateway-v1.2.4-linux-amd64.cdx.json",
    "gateway-v1.2.4-linux-amd64.spdx.json",
    "gateway-v1.2.4-linux-arm64.cdx.json",
    "gateway-v1.2.4-linux-arm64.spdx.json",
    "gateway-v1.2.4.provenance.json",
]


def uploaded(server: LoopbackServer) -> int:
    """The bytes of blobs that were sent."""
    return sum(len(each.body) for each in writes_of(server) if each.method == "PUT" and "/blobs/" in each.path)


# --- from nothing


def test_every_byte_of_the_source_is_in_every_target(world: Releasing) -> None:
    done = world.publish()
    image = world.place.image

    assert (done.failure, done.digest, done.exit_code) == (None, world.digest, 0)
    for store in world.stores:
        assert {content.digest: store.blobs[content.digest] for content in image.blobs} == {
            content.digest: content.data for content in image.blobs
        }
        assert [store.manifests[each.digest] for each in (*image.manifests, image.index)] == [
            *image.manifests,
            image.index,
        ]
        assert lacks(store, world.digest) == []


def test_each_target_has_its_own_tags(world: Releasing) -> None:
    world.publish()
    locked, open_ = world.stores
    listed = {name for name in open_.tags if not name.startswith("sha256-")}

    assert locked.tags == {TAG: world.digest}
    assert {name: open_.tags[name] for name in listed} == dict.fromkeys((TAG, "1.2.4", "latest"), world.digest)


def test_what_we_and_upstream_say_of_the_image_is_in_every_target(world: Releasing) -> None:
    world.publish()

    for store in world.stores:
        assert proven(store, world.digest, OURS) == {SIGN, PROVENANCE}
        assert proven(store, world.digest, THEIRS) == {SIGN}
        for platform in world.platforms:
            assert proven(store, platform, OURS) == set(SBOMS)


def test_the_release_on_github_has_the_bytes_that_were_attested(world: Releasing) -> None:
    done = world.publish()
    (release,) = world.on_github.releases
    attested = {json.loads(blob)["said"] for blob in world.stores[0].blobs.values() if b'"said"' in blob[:2000]}
    files = {asset.name: asset.content for asset in release.assets}

    assert sorted(files) == FILES
    assert (release.draft, release.tag, world.on_github.latest_release) == (False, TAG, release.id)
    assert done.url.endswith(f"/{REPOSITORY}/releases/tag/{TAG}")
    assert world.digest in release.body
    assert "Gateway image: v1.3.1 -> v1.4.1" in release.body
    assert len(attested) == len(files) + 1  # what a signature says is empty


def test_the_provenance_says_what_was_done(world: Releasing) -> None:
    world.publish()
    (release,) = world.on_github.releases
    said = read_provenance(next(asset.content for asset in release.assets if asset.name == FILES[-1]))

    assert (said.mode, said.tag, said.commit, said.builder) == ("retag", TAG, world.head, OURS)
    assert said.git == f"https://github.com/{REPOSITORY}"
    assert str(said.source) == f"{world.place.upstream.host}/{UPSTREAM}:{REF}@{world.digest}"
    assert said.invocation == f"https://github.com/{REPOSITORY}/actions/runs/77"
    assert said.signature is not None
    assert (said.signature.identity, said.signature.log_index) == (THEIRS, 91)
    assert [digest for _, digest in said.platforms] == list(world.platforms)


def test_nothing_is_tagged_before_all_is_proven_and_nothing_moves_before_it_is_published(world: Releasing) -> None:
    world.publish()
    done = [
        (each.ended, f"{each.method} {path_of(each.path)}")
        for server in world.place.servers
        for each in writes_of(server)
    ]
    order = [what for _, what in sorted(done)]
    tags = [order.index(f"PUT /v2/{GATEWAY}/manifests/{tag}") for tag in (TAG, "1.2.4")]
    first = next(at for at, what in enumerate(order) if what == f"PUT /v2/{GATEWAY}/manifests/{TAG}")
    release = next(at for at, what in enumerate(order) if what == f"POST /repos/{REPOSITORY}/releases")
    published = next(at for at, what in enumerate(order) if what.startswith("PATCH"))
    attached = max(at for at, what in enumerate(order) if "/blobs/" in what or "/manifests/sha256" in what)

    assert attached < first <= min(tags) < release < published < order.index(f"PUT /v2/{GATEWAY}/manifests/latest")


def test_each_step_is_told_and_what_was_done_is_told_apart(world: Releasing) -> None:
    done = world.publish()
    names = [step.name for step in done.steps]
    locked, open_ = world.names

    assert names == [
        "tag",
        "upstream",
        f"copy to {locked}",
        f"upstream's signatures and attestations in {locked}",
        f"copy to {open_}",
        f"upstream's signatures and attestations in {open_}",
        f"sign in {locked}",
        "SBOMs of linux/amd64",
        "SBOMs of linux/arm64",
        "provenance",
        f"our signatures and attestations in {open_}",
        f"our signature in {locked}",
        f"our signature in {open_}",
        f"{locked}:{TAG}",
        f"{open_}:{TAG}",
        f"{open_}:1.2.4",
        "GitHub Release",
        f"{open_}:latest",
    ]
    assert [step.name for step in done.steps if not step.did] == [*names[:2], *names[11:13]]
    assert done.text().splitlines()[-2] == f"{TAG} is published as {world.digest}"


# --- again


def test_a_second_run_writes_nothing_and_reads_no_blob(world: Releasing) -> None:
    first = world.publish()
    world.forget()
    done = world.publish()
    read = [each for server in world.place.servers for each in server.exchanges if each.method == "GET"]
    layers = {blob.digest for blob in world.place.image.blobs}

    assert world.writes() == []
    assert [each.path for each in read if each.path.rpartition("/")[2] in layers] == []
    assert (done.failure, done.url, [step.name for step in done.steps if step.did]) == (None, first.url, [])
    assert done.text().splitlines()[-2] == f"{TAG} is published as {world.digest}: nothing was left to do"


def test_an_earlier_run_s_provenance_is_taken_as_it_is(world: Releasing) -> None:
    world.publish()
    world.forget()
    world.environ["GITHUB_RUN_ID"] = "78"

    assert (world.publish().failure, world.writes()) == (None, [])


def test_blobs_that_are_there_already_are_not_sent(world: Releasing) -> None:
    for store in world.stores:
        for blob in world.place.image.blobs[:-1]:
            store.add_blob(blob.data)
    done = world.publish()
    copies = [step.said for step in done.steps if step.name.startswith("copy")]
    size = len(world.place.image.blobs[-1].data)

    assert copies == [f"1 blobs copied ({size:,} bytes), 7 already there"] * 2


def test_what_somebody_else_attested_stays_and_does_not_stand_in_for_ours(world: Releasing) -> None:
    locked, _ = world.stores
    world.place.locked.push(GATEWAY, "elsewhere", world.place.image)
    for kind in (SIGN, PROVENANCE):
        attach(locked, world.digest, STRANGER, kind)
    attach(locked, world.platforms[0], STRANGER, SBOMS[0], sboms_of(world.platforms[0], 666).cyclonedx)
    done = world.publish()

    assert done.failure is None
    for store in world.stores:
        assert proven(store, world.digest, OURS) == {SIGN, PROVENANCE}
        assert proven(store, world.digest, STRANGER) == {SIGN, PROVENANCE}
    assert b"000000000666" not in b"".join(asset.content for asset in world.on_github.releases[0].assets)


# --- what is attached to upstream's image


@pytest.mark.parametrize("how", ["listed", "tagged", "both"])
def test_signatures_travel_however_they_are_attached(world: Releasing, how: str) -> None:
    upstream = world.upstream
    world.place.upstream.referrers = False
    if how != "tagged":
        attach(upstream, world.digest, "a-person", "https://example.org/seen", listed=True)
        attach(upstream, world.platforms[1], "a-person", "https://example.org/seen", listed=True)
    if how != "listed":
        for kind in ("sig", "att", "sbom"):
            sign_legacy(upstream, world.digest, THEIRS, kind)
    if how == "listed":
        attach(upstream, world.digest, THEIRS, listed=True)
    done = world.publish()

    assert (done.failure, done.warnings) == (None, ())
    for store in world.stores:
        if how != "tagged":
            assert proven(store, world.digest, "a-person") == {"https://example.org/seen"}
            assert proven(store, world.platforms[1], "a-person") == {"https://example.org/seen"}
        if how != "listed":
            tags = [f"{world.digest.replace(':', '-')}.{kind}" for kind in ("sig", "att", "sbom")]
            assert [store.tags[tag] for tag in tags] == [upstream.tags[tag] for tag in tags]
            assert [lacks(store, tag) for tag in tags] == [[], [], []]


def test_the_fallback_list_keeps_what_others_put_there(world: Releasing) -> None:
    world.place.open.push(GATEWAY, "elsewhere", world.place.image)
    attach(world.stores[1], world.digest, STRANGER, listed=True)
    world.publish()

    assert proven(world.stores[1], world.digest, STRANGER) == {SIGN}
    assert proven(world.stores[1], world.digest, OURS) == {SIGN, PROVENANCE}


# --- tags that move


def test_a_newer_release_that_is_published_keeps_latest(world: Releasing) -> None:
    newer = world.place.open.push(GATEWAY, "latest", build_image(variation="newer"))
    world.place.github.add_release(REPOSITORY, "v1.3.0")
    done = world.publish()
    open_ = world.names[1]

    assert world.stores[1].tags["latest"] == newer
    assert (done.failure, done.warnings) == (
        None,
        (f"{open_}:latest was left: a newer release than {TAG} is published",),
    )


def test_latest_moves_on_from_an_older_release(world: Releasing) -> None:
    world.place.open.push(GATEWAY, "latest", build_image(variation="older"))
    world.place.github.add_release(REPOSITORY, "v1.2.3")
    done = world.publish()

    assert (done.failure, done.warnings, world.stores[1].tags["latest"]) == (None, (), world.digest)


def test_a_moving_tag_that_may_not_be_moved_is_a_warning(world: Releasing) -> None:
    older = world.place.open.push(GATEWAY, "latest", build_image(variation="older"))
    world.place.open.immutable_tags = True
    world.place.open.referrers = True
    done = world.publish()

    assert (done.exit_code, world.stores[1].tags["latest"]) == (0, older)
    assert len(done.warnings) == 1
    assert done.warnings[0].startswith(f"{world.names[1]}:latest was left: the tag may not be moved: TAG_INVALID")


# --- not to be released


def test_another_image_under_the_version_tag_changes_nothing_anywhere(world: Releasing) -> None:
    for number, server in enumerate(world.targets):
        other = server.push(GATEWAY, TAG, build_image(variation="another"))
        world.forget()
        failure = world.publish().failure
        assert failure is not None
        assert failure.exit_code == 8
        assert failure.what == f"the tag {TAG} is there already, and is {other}; this release is {world.digest}"
        assert failure.where == f"{world.names[number]}:{TAG}"
        assert world.writes() == []
        server.repositories.clear()


def test_the_same_image_under_the_version_tag_is_success(world: Releasing) -> None:
    for server in world.targets:
        server.push(GATEWAY, TAG, world.place.image)
    done = world.publish()

    assert done.failure is None
    assert [step.did for step in done.steps if step.name.endswith(f":{TAG}")] == [False, False]
    assert [proven(store, world.digest, OURS) for store in world.stores] == [{SIGN, PROVENANCE}] * 2


def test_a_dry_run_writes_nothing_and_says_what_is_there(world: Releasing) -> None:
    world.place.open.push(GATEWAY, TAG, world.place.image)
    world.forget()
    done = world.publish(dry_run=True)
    locked, open_ = world.names

    assert world.writes() == []
    assert [f"{step.name} {step.said}" for step in done.steps[2:]] == [
        f"{locked}:{TAG} is not there yet",
        f"{open_}:{TAG} is this image",
        f"{open_}:1.2.4 is not there yet",
    ]
    assert done.text().splitlines()[-1].startswith(f"{TAG}: nothing was written. `release publish` would copy ")


# --- the tag


def published(world: Releasing, root: Path) -> tuple[int, str, str]:
    """What a run in this checkout ended with."""
    world.root = root
    failure = world.publish().failure
    assert failure is not None
    assert world.writes() == []
    return failure.exit_code, failure.where, failure.what


def test_a_tag_that_github_does_not_have(world: Releasing) -> None:
    del world.on_github.refs[f"refs/tags/{TAG}"]
    failure = world.publish().failure

    assert failure is not None
    assert (failure.exit_code, failure.what) == (8, "on GitHub the tag is not there")
    assert failure.next_step == f"Push it: git push origin {TAG}"
    assert world.writes() == []


def test_a_tag_that_is_another_commit_on_github(world: Releasing) -> None:
    other = world.place.commits[1].sha
    world.on_github.refs[f"refs/tags/{TAG}"] = other
    failure = world.publish().failure

    assert failure is not None
    assert failure.exit_code == 8
    assert failure.what == f"on GitHub the tag is {other[:12]}, here it is {world.head[:12]}"
    assert world.writes() == []


def test_a_tag_that_is_not_on_main(world: Releasing, tmp_path: Path) -> None:
    repo = world.copy(tmp_path)
    repo.run("checkout", "-q", "--orphan", "other")
    sha = repo.commit("feat: other")
    repo.run("tag", "-f", TAG, sha)

    assert published(world, repo.root)[::2] == (
        8,
        f"{TAG} is not on main: its commit {sha[:12]} was never merged there",
    )


@pytest.mark.parametrize(
    ("file", "old", "new", "code", "said"),
    [
        ("pyproject.toml", '"1.2.4"', '"1.2.5"', 8, "pyproject.toml at v1.2.4 says 1.2.5"),
        ("CHANGELOG.md", "## 1.2.4", "## 1.2.9", 8, "CHANGELOG.md at v1.2.4 says nothing of 1.2.4"),
        ("CHANGELOG.md", None, "", 3, ""),
        ("versions.env", "APP_DIGEST=sha256:", "APP_DIGEST=sha256:0", 3, ""),
        ("versions.env", None, "", 3, ""),
    ],
)
def test_a_tag_whose_files_do_not_fit(
    world: Releasing, tmp_path: Path, file: str, old: str | None, new: str, code: int, said: str
) -> None:
    repo = world.copy(tmp_path)
    path = repo.root / file
    if old is None:
        path.unlink()
    else:
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))
    sha = repo.commit("chore: bent")
    repo.run("tag", "-f", TAG, sha)
    found = published(world, repo.root)

    assert found[0] == code
    assert said in found[2]


def test_a_pin_on_hold_is_not_released(world: Releasing, tmp_path: Path) -> None:
    repo = world.copy(tmp_path)
    settings = repo.root / "gateway-bot.toml"
    hold = '[[image.hold]]\nversion = "1.4.1"\nreason = "it leaks"\n[release]\n'
    settings.write_text(settings.read_text().replace("[release]\n", hold, 1))
    found = published(world, repo.root)

    assert found[0] == 6
    assert "it leaks" in found[2]


def test_main_that_pins_another_image_by_now_is_a_warning(world: Releasing, tmp_path: Path) -> None:
    repo = world.copy(tmp_path)
    env = (repo.root / "versions.env").read_text()
    repo.commit(
        "deps: bump", {"versions.env": env.replace("v1.4.1", "v1.5.0").replace(world.digest, f"sha256:{'5' * 64}")}
    )
    world.root = repo.root
    done = world.publish()

    assert (done.failure, done.digest) == (None, world.digest)
    assert done.warnings == (f"main pins v1.5.0 by now; {TAG} is released as it says, with v1.4.1",)


def test_without_a_table_release_there_is_nothing_to_publish(world: Releasing, tmp_path: Path) -> None:
    repo = world.copy(tmp_path)
    settings = repo.root / "gateway-bot.toml"
    settings.write_text(settings.read_text().partition("[release]")[0])
    world.root = repo.root
    done = world.run("release", "publish", TAG)

    assert done.code == 2
    assert "gateway-bot.toml: there is no table [release]" in done.err


def test_without_a_repository_nobody_knows_what_to_publish(world: Releasing) -> None:
    done = world.run("release", "publish", TAG, GITHUB_REPOSITORY="")

    assert done.code == 2
    assert "GITHUB_REPOSITORY: it is not known which repository on GitHub this is" in done.err


# --- SBOMs


def test_sboms_that_another_job_made_are_the_ones_that_are_attested(world: Releasing, tmp_path: Path) -> None:
    made = world.write_sboms(tmp_path)
    with world.hands() as (job, hands):
        done = publish(
            job,
            replace(hands, sboms=SbomFiles(tmp_path, f"gateway-{TAG}", lambda _kind, _document: None)),
            dry_run=False,
        )
    files = {asset.name: asset.content for asset in world.on_github.releases[0].assets}

    assert (done.failure, world.syft.made) == (None, [])
    assert {name: files[name] for name in made} == made


# --- secrets


def test_no_secret_is_told(world: Releasing) -> None:
    done = world.publish()
    told = "\n".join((done.text(), done.summary(), done.json().decode(), *world.said))

    assert TOKEN not in told
    assert PASSWORD not in told
    assert len(world.place.tokens_given) > 0
    assert not [token for token in world.place.tokens_given if token in told]
