"""`release verify` from an empty folder: a good release, and then one thing wrong at a time."""

from __future__ import annotations

import copy
import json
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from bot.core.gates import Unanswered
from bot.core.release.chain import Chain
from bot.core.release.ours import our_tag
from bot.embedded.images import build_image
from bot.embedded.server import Fault, Response
from bot.errors import BotError, ReleaseError
from bot.flows.verify_release import verify_release
from bot.release_desk import ReleaseDesk
from bot.world import World
from tests.flows.conftest import TOKEN
from tests.flows.release_standins import (
    GATEWAY,
    OURS,
    PROVENANCE,
    REPOSITORY,
    SBOMS,
    SIGN,
    STRANGER,
    TAG,
    THEIRS,
    attach,
    sboms_of,
)
from tests.flows.releases import PASSWORD, Releasing, place, world

__all__ = ["place", "world"]

PLATFORM_LINKS = [
    f"{kind} SBOM of linux/{platform}" for platform in ("amd64", "arm64") for kind in ("cyclonedx", "spdx")
]


@pytest.fixture(scope="session")
def kept() -> list[object]:
    """What a publish leaves behind, once a session."""
    return []


@pytest.fixture
def released(world: Releasing, kept: list[Any]) -> Releasing:
    repository = world.on_github
    if not kept:
        assert world.publish().failure is None
        stores = [server.repositories for server in world.targets]
        kept.append(copy.deepcopy((stores, repository.releases, repository.latest_release)))
    stores, repository.releases, repository.latest_release = copy.deepcopy(kept[0])
    for server, held in zip(world.targets, stores, strict=True):
        server.repositories = held
    world.forget()
    return world


@contextmanager
def stranger(world: Releasing, folder: Path, trusted_root: Path | None = None, **others: object) -> Iterator[Chain]:
    """What somebody finds who has an empty folder, and Docker's credentials only where the test says so."""
    folder.mkdir(exist_ok=True)
    outer = World(folder, {**world.environ, "GITHUB_TOKEN": ""}, world.clock, repository_name=REPOSITORY)
    try:
        with ReleaseDesk(outer).outside(trusted_root) as outside:
            given = {"verifier": world.stamp, "signer": world.stamp, **others}
            yield verify_release(our_tag(TAG), REPOSITORY, replace(outside, **given))
    finally:
        outer.close()


def chain_of(world: Releasing, folder: Path, trusted_root: Path | None = None, **others: object) -> Chain:
    with stranger(world, folder, trusted_root, **others) as chain:
        return chain


def refused(chain: Chain) -> dict[str, int]:
    """The links that do not hold, with their exit codes."""
    return {link.name: link.exit_code for link in chain.links if link.refuses}


# --- a good one


def test_every_link_of_a_good_release_holds(released: Releasing, tmp_path: Path) -> None:
    chain = chain_of(released, tmp_path / "empty")
    locked, open_ = released.names

    assert [(link.name, link.verdict) for link in chain.links] == [
        (name, "pass")
        for name in (
            "tag",
            "merged",
            "pin",
            f"{locked}:{TAG}",
            f"{open_}:{TAG}",
            f"{open_}:1.2.4",
            f"our signature in {locked}",
            f"our signature in {open_}",
            "provenance",
            *PLATFORM_LINKS,
            "GitHub Release",
            "upstream's image",
            "upstream's signature",
        )
    ]
    assert (chain.exit_code, chain.digest, released.writes()) == (0, released.digest, [])
    assert chain.text().splitlines()[-1] == f"{REPOSITORY} {TAG}: all 16 links hold"
    assert list((tmp_path / "empty").iterdir()) == []


def test_every_link_names_the_command_that_asks_it_again(released: Releasing, tmp_path: Path) -> None:
    chain = chain_of(released, tmp_path / "empty")
    programs = {shlex.split(link.repeat.rpartition("$(mktemp -d) && ")[2])[0] for link in chain.links}
    bundles = [link.repeat for link in chain.links if link.repeat.startswith("cosign")]

    assert programs == {"git", "gateway-bot", "cosign", "gh"}
    assert len(bundles) == 8
    assert all(f"@{digest}" in said for said in bundles for digest in [said.rpartition("@")[2]])
    assert all(
        f"--certificate-identity {OURS}" in said or f"--certificate-identity {THEIRS}" in said for said in bundles
    )


def test_the_json_form_says_the_same(released: Releasing, tmp_path: Path) -> None:
    chain = chain_of(released, tmp_path / "empty")
    form = json.loads(chain.json())

    assert {key: form[key] for key in ("repository", "tag", "ok", "exit_code", "digest")} == {
        "repository": REPOSITORY,
        "tag": TAG,
        "ok": True,
        "exit_code": 0,
        "digest": released.digest,
    }
    assert [link["name"] for link in form["links"]] == [link.name for link in chain.links]


# --- one thing wrong at a time


def files_of(world: Releasing) -> dict[str, object]:
    return {asset.name: asset for asset in world.on_github.releases[0].assets}


def move_tag(world: Releasing) -> None:
    world.place.open.push(GATEWAY, TAG, build_image(variation="another"))


def remove_tag(world: Releasing) -> None:
    del world.stores[0].tags[TAG]


def forget_what_we_say(world: Releasing, digest: str, kind: str) -> None:
    """Take what we said of an image out of both registries."""
    for store in world.stores:
        gone = [
            name
            for name, manifest in store.manifests.items()
            for layer in json.loads(manifest.data).get("layers", [])
            if (blob := store.blobs.get(layer["digest"])) is not None and is_said(blob, digest, kind)
        ]
        for name in gone:
            del store.manifests[name]


def is_said(blob: bytes, digest: str, kind: str) -> bool:
    try:
        said = json.loads(blob)
    except ValueError:
        return False
    return isinstance(said, dict) and (said.get("identity"), said.get("about"), said.get("kind")) == (
        OURS,
        digest,
        kind,
    )


def sign_by_another(world: Releasing) -> None:
    forget_what_we_say(world, world.digest, SIGN)
    for store in world.stores:
        attach(store, world.digest, STRANGER, listed=True)


def lose_an_sbom(world: Releasing) -> None:
    forget_what_we_say(world, world.platforms[0], SBOMS[0])


def attest_another_sbom(world: Releasing) -> None:
    lose_an_sbom(world)
    of_another = sboms_of(world.platforms[1]).cyclonedx
    for store in world.stores:
        attach(store, world.platforms[0], OURS, SBOMS[0], of_another, listed=True)


def attest_another_provenance(world: Releasing) -> None:
    files = {asset.name: asset.content for asset in world.on_github.releases[0].assets}
    forget_what_we_say(world, world.digest, PROVENANCE)
    said = files[f"gateway-{TAG}.provenance.json"].replace(world.head.encode(), world.place.commits[0].sha.encode())
    for store in world.stores:
        attach(store, world.digest, OURS, PROVENANCE, said, listed=True)


def replace_a_file(world: Releasing) -> None:
    world.on_github.releases[0].assets[0].content += b" "


def lose_a_file(world: Releasing) -> None:
    del world.on_github.releases[0].assets[0]


def unpublish(world: Releasing) -> None:
    world.on_github.releases[0].draft = True


def lose_a_platform(world: Releasing) -> None:
    for store in world.stores:
        del store.manifests[world.platforms[1]]


def lose_upstream(world: Releasing) -> None:
    world.place.upstream.repositories.clear()


def unsign_upstream(world: Releasing) -> None:
    world.upstream.manifests = {
        digest: each for digest, each in world.upstream.manifests.items() if b'"subject"' not in each.data
    }


def shut_upstream(world: Releasing) -> None:
    world.place.upstream.intercept = lambda _method, _path: Fault(answer=Response(503))


SBOM, FILE = "cyclonedx SBOM of linux/amd64", f"gateway-{TAG}-linux-amd64.cdx.json"
WRONG: dict[str, tuple[Callable[[Releasing], object], Mapping[str, int]]] = {
    "a tag was moved in one place": (move_tag, {"{open}:v1.2.4": 5}),
    "a tag is gone in one place": (remove_tag, {"{locked}:v1.2.4": 8}),
    "signed by another": (sign_by_another, {"our signature in {locked}": 5, "our signature in {open}": 5}),
    "no SBOM": (lose_an_sbom, {SBOM: 5, FILE: 5}),
    "an SBOM of another image": (attest_another_sbom, {SBOM: 5, FILE: 5}),
    "a provenance of another commit": (
        attest_another_provenance,
        {"provenance": 5, f"gateway-{TAG}.provenance.json": 5},
    ),
    "a file was replaced": (replace_a_file, {FILE: 5}),
    "a file is gone": (lose_a_file, {FILE: 5}),
    "the release is a draft": (unpublish, {"GitHub Release": 8}),
    "upstream is gone": (lose_upstream, {}),
    "upstream did not sign": (unsign_upstream, {"upstream's signature": 5}),
    "upstream does not answer": (shut_upstream, {"upstream's image": 4}),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_named_and_all_the_rest_is_asked_too(released: Releasing, tmp_path: Path, what: str) -> None:
    bend, expected = WRONG[what]
    bend(released)
    chain = chain_of(released, tmp_path / "empty")
    locked, open_ = released.names
    links = [link.name for link in chain.links]

    assert refused(chain) == {name.format(locked=locked, open=open_): code for name, code in expected.items()}
    assert chain.exit_code == next(iter(expected.values()), 0)
    assert [
        name for name in links if name in {"tag", "pin", "provenance", "upstream's image", "upstream's signature"}
    ] == ["tag", "pin", "provenance", "upstream's image", "upstream's signature"]
    assert set(PLATFORM_LINKS) <= set(links)


def test_upstream_that_is_gone_is_a_warning_and_our_copy_is_proven_instead(released: Releasing, tmp_path: Path) -> None:
    lose_upstream(released)
    chain = chain_of(released, tmp_path / "empty")
    links = {link.name: link for link in chain.links}

    assert links["upstream's image"].verdict == "warn"
    assert links["upstream's image"].evidence.endswith("our copy is the same, by its digest")
    assert links["upstream's signature"].verdict == "pass"
    assert released.names[0] in links["upstream's signature"].repeat


def test_an_image_that_lacks_a_platform_everywhere_is_no_release(released: Releasing, tmp_path: Path) -> None:
    lose_a_platform(released)
    chain = chain_of(released, tmp_path / "empty")
    locked, open_ = released.names

    assert refused(chain) == dict.fromkeys((f"{locked}:{TAG}", f"{open_}:{TAG}", f"{open_}:1.2.4"), 5)
    assert [link.name for link in chain.links][-2:] == ["upstream's image", "upstream's signature"]
    assert chain.digest == ""


def test_a_place_that_is_not_open_to_everybody_is_left_out_and_said(released: Releasing, tmp_path: Path) -> None:
    """A stranger has no rights in a private registry, and needs none where another place is open."""
    (tmp_path / "nobody").mkdir()
    released.environ["DOCKER_CONFIG"] = str(tmp_path / "nobody")
    chain = chain_of(released, tmp_path / "empty")
    locked, open_ = released.names
    warned = [link for link in chain.links if link.verdict == "warn"]

    assert (chain.exit_code, refused(chain)) == (0, {})
    assert [link.name for link in warned] == [locked]
    assert warned[0].evidence.endswith("it is not open to you, so nothing of it was compared")
    assert f"our signature in {open_}" in [link.name for link in chain.links]
    assert not [link for link in chain.links if link.repeat.startswith("cosign") and locked in link.repeat]


def test_where_no_place_is_open_nothing_is_known(released: Releasing, tmp_path: Path) -> None:
    (tmp_path / "nobody").mkdir()
    released.environ["DOCKER_CONFIG"] = str(tmp_path / "nobody")
    released.place.open.intercept = lambda _method, path: Fault(answer=Response(403)) if "/manifests/" in path else None
    chain = chain_of(released, tmp_path / "empty")

    assert refused(chain) == dict.fromkeys(released.names, 4)
    assert chain.exit_code == 4


def test_without_cosign_no_link_that_needs_it_holds(released: Releasing, tmp_path: Path) -> None:
    class Missing:
        def verify(self, *_: object) -> Unanswered:
            return Unanswered("cosign is not installed", "Install cosign.")

        attestations = verify

    chain = chain_of(released, tmp_path / "empty", verifier=Missing(), signer=Missing())
    names = [f"our signature in {name}" for name in released.names]

    assert [link.verdict for link in chain.links if link.name in {*names, "provenance", *PLATFORM_LINKS}] == [
        "unknown"
    ] * 7
    assert chain.exit_code == 4


def test_a_repository_that_has_no_such_tag(released: Releasing, tmp_path: Path) -> None:
    del released.on_github.refs[f"refs/tags/{TAG}"]
    with pytest.raises(ReleaseError, match=f"{REPOSITORY} has no tag {TAG}") as raised:
        chain_of(released, tmp_path / "empty")

    assert "for a private one, set GITHUB_TOKEN" in raised.value.next_step


def test_a_private_repository_is_one_that_nobody_has(released: Releasing, tmp_path: Path) -> None:
    released.on_github.private = True
    with pytest.raises(BotError) as raised:
        chain_of(released, tmp_path / "empty")

    assert raised.value.exit_code == 8
    assert "GITHUB_TOKEN" in raised.value.next_step


def test_a_pin_that_drifts_at_the_tag_is_a_link_that_breaks(released: Releasing, tmp_path: Path) -> None:
    """The image of the tag is another than the pin there says."""
    other = released.place.github.commit(
        REPOSITORY,
        "main",
        {"versions.env": ("100644", f"APP_REF=v1.4.1\nAPP_DIGEST=sha256:{'7' * 64}\n".encode())},
    )
    released.on_github.refs[f"refs/tags/{TAG}"] = other
    chain = chain_of(released, tmp_path / "empty")
    locked, open_ = released.names

    assert {name: code for name, code in refused(chain).items() if TAG in name} == {
        f"{locked}:{TAG}": 5,
        f"{open_}:{TAG}": 5,
    }
    assert f"it is {released.digest}, not sha256:{'7' * 64}" in chain.text()


def test_no_secret_is_told(released: Releasing, tmp_path: Path) -> None:
    chain = chain_of(released, tmp_path / "empty")
    told = chain.text() + chain.json().decode()

    assert TOKEN not in told
    assert PASSWORD not in told
