"""Upstream has removed the pinned image, and our own registry still has it, from an earlier release."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from msgspec.structs import replace

from bot.core.index import NotProven
from bot.core.model import DockerfileSite, Platform, SourceFile
from bot.core.pins.sites import read_sites
from bot.core.plan import Pinned
from bot.core.reference import parse_repository
from bot.core.release.attestation import canonical
from bot.core.release.provenance import Provenance, provenance, read_provenance
from bot.embedded.registry import EmbeddedRegistry
from bot.embedded.server import Fault, Response
from bot.errors import ServiceError
from bot.flows.build import Builder
from bot.flows.rebuild import rebuild
from bot.flows.release_observe import Seen, observe
from tests.flows.release_programs import Programs, on_the_path
from tests.flows.release_standins import (
    GATEWAY,
    OURS,
    PROVENANCE,
    REF,
    SBOMS,
    SIGN,
    STRANGER,
    TAG,
    THEIRS,
    UPSTREAM,
    attach,
    lacks,
    proven,
)
from tests.flows.releases import Releasing, path_of, place, world
from tests.flows.test_publish_build import ADDED, build, verify
from tests.flows.test_verify_release import chain_of, refused

__all__ = ["place", "world"]

EARLIER = "v1.1.0"
"""An earlier release of ours, with the image that is pinned again by now."""


def keep(server: EmbeddedRegistry, world: Releasing, signer: str = THEIRS) -> None:
    """Have the image in a registry of ours, as an earlier release left it there."""
    server.push(GATEWAY, EARLIER, world.place.image)
    if signer:
        attach(server.repository(GATEWAY), world.digest, signer, listed=not server.referrers)


def lose(world: Releasing) -> None:
    """Upstream removes the image, and what was said of it."""
    world.place.upstream.repositories.clear()
    world.forget()


@pytest.fixture
def ours(world: Releasing) -> Releasing:
    """The first target alone still has it."""
    keep(world.place.locked, world)
    lose(world)
    return world


def provenance_of(world: Releasing) -> Provenance:
    (release,) = world.on_github.releases
    return read_provenance(next(each.content for each in release.assets if each.name.endswith("provenance.json")))


def tagged(world: Releasing) -> list[str]:
    """The tags of this release, wherever they are."""
    return [tag for store in world.stores for tag in store.tags if tag in {TAG, "1.2.4", "latest"}]


# --- published


def test_it_is_released_from_the_first_target_that_has_it(ours: Releasing) -> None:
    done = ours.publish()
    locked, open_ = ours.stores
    sent = [
        each for each in ours.writes(ours.place.locked) if any(blob.digest in each for blob in ours.place.image.blobs)
    ]

    assert (done.failure, done.digest, sent) == (None, ours.digest, [])
    assert (locked.tags[TAG], open_.tags[TAG], open_.tags["latest"]) == (ours.digest,) * 3
    for store in ours.stores:
        assert lacks(store, ours.digest) == []
        assert proven(store, ours.digest, THEIRS) == {SIGN}
        assert proven(store, ours.digest, OURS) == {SIGN, PROVENANCE}
        assert [proven(store, platform, OURS) for platform in ours.platforms] == [set(SBOMS)] * 2


def test_a_warning_and_the_steps_say_where_it_is_from(ours: Releasing) -> None:
    done = ours.publish()
    locked, open_ = ours.names
    steps = {step.name: step for step in done.steps}

    warning = (
        f"{ours.place.upstream.host}/{UPSTREAM} no longer has all of {ours.digest} (HTTP 404, asked several times): it "
        f"is read from {locked}, which has it from an earlier release"
    )
    assert done.warnings == (warning,)
    assert steps["upstream"].said == f"signed by {THEIRS}, verified in {locked}"
    assert steps[f"copy to {locked}"].said == "0 blobs copied (0 bytes), 8 already there"
    assert (steps[f"copy to {locked}"].did, steps[f"copy to {open_}"].did) == (False, True)
    assert f"upstream's signatures and attestations in {locked}" not in steps


def test_the_provenance_names_upstream_s_image_and_who_served_it(ours: Releasing) -> None:
    ours.publish()
    said = provenance_of(ours)

    assert str(said.source) == f"{ours.place.upstream.host}/{UPSTREAM}:{REF}@{ours.digest}"
    assert (str(said.served_by), said.signature and said.signature.identity) == (ours.names[0], THEIRS)


def test_sboms_are_made_and_upstream_s_signature_is_shown_where_the_image_is(ours: Releasing) -> None:
    ours.publish()
    (release,) = ours.on_github.releases
    commands = [line for line in release.body.splitlines() if THEIRS in line]

    assert {made.partition("@")[0] for made in ours.syft.made} == {ours.names[0]}
    assert [command.rpartition(" ")[2] for command in commands] == [f"{ours.names[0]}@{ours.digest}"]


def test_nobody_is_asked_for_what_upstream_has(world: Releasing) -> None:
    for server in world.targets:
        keep(server, world, STRANGER)
    done = world.publish()

    assert (done.failure, done.warnings, provenance_of(world).served_by) == (None, (), None)


def test_the_second_target_serves_where_the_first_has_it_not(world: Releasing) -> None:
    keep(world.place.open, world)
    lose(world)
    done = world.publish()

    assert (done.failure, str(provenance_of(world).served_by)) == (None, world.names[1])
    assert [lacks(store, world.digest) for store in world.stores] == [[], []]
    assert [proven(store, world.digest, THEIRS) for store in world.stores] == [{SIGN}] * 2


def lose_a_manifest(world: Releasing) -> None:
    del world.stores[0].manifests[world.platforms[1]]


def damage_a_manifest(world: Releasing) -> None:
    world.place.locked.intercept = lambda method, path: (
        Fault(change=lambda answer: Response(200, answer.body + b" ", answer.headers))
        if method == "GET" and path.endswith(f"/manifests/{world.platforms[1]}") and world.writes() == []
        else None
    )


@pytest.mark.real  # by its length
@pytest.mark.parametrize("bend", [lose_a_manifest, damage_a_manifest])
def test_a_target_that_has_it_in_part_does_not_serve_and_is_made_whole(
    world: Releasing, bend: Callable[[Releasing], None]
) -> None:
    for server in world.targets:
        keep(server, world)
    lose(world)
    bend(world)
    done = world.publish()

    assert (done.failure, str(provenance_of(world).served_by)) == (None, world.names[1])
    assert [lacks(store, world.digest) for store in world.stores] == [[], []]


def test_upstream_that_has_it_in_part_has_it_not(world: Releasing) -> None:
    keep(world.place.locked, world)
    del world.upstream.manifests[world.platforms[0]]
    done = world.publish()

    assert (done.failure, str(provenance_of(world).served_by)) == (None, world.names[0])


def test_a_dry_run_says_so_and_writes_nothing(ours: Releasing) -> None:
    done = ours.publish(dry_run=True)

    assert (done.failure, len(done.warnings), ours.writes()) == (None, 1, [])


# --- again


def test_a_second_run_writes_nothing(ours: Releasing) -> None:
    ours.publish()
    ours.forget()
    done = ours.publish()

    assert (done.failure, [step.name for step in done.steps if step.did], ours.writes()) == (None, [], [])


@pytest.mark.real  # by its length
@pytest.mark.parametrize("came", ["removed", "back"])
def test_what_another_run_read_elsewhere_is_the_same_release(world: Releasing, came: str) -> None:
    upstream = dict(world.place.upstream.repositories)
    if came == "back":
        keep(world.place.locked, world)
        lose(world)
    first = world.publish()
    if came == "back":
        world.place.upstream.repositories.update(upstream)
    else:
        lose(world)
    world.forget()
    again = world.publish()

    assert (first.failure, again.failure, world.writes()) == (None, None, [])


# --- refused


@pytest.mark.parametrize("signer", ["", STRANGER])
def test_a_copy_that_upstream_did_not_sign_is_not_released(world: Releasing, signer: str) -> None:
    keep(world.place.locked, world, signer)
    lose(world)
    done = world.publish()

    assert done.failure is not None
    assert (done.exit_code, world.writes()) == (5, [])
    assert done.failure.what.startswith(f"{REF} is not signed by upstream: ")
    assert done.failure.where == f"{world.names[0]}@{world.digest}"


DOUBTS: Mapping[str, tuple[Fault, int]] = {
    "silent": (Fault(drop=True), 4),
    "unavailable": (Fault(answer=Response(503)), 4),
    "denied": (Fault(answer=Response(403)), 4),
    "lying": (Fault(change=lambda answer: Response(200, answer.body + b" ", answer.headers)), 5),
}


@pytest.mark.real  # by its length
@pytest.mark.parametrize("how", DOUBTS)
def test_upstream_that_has_not_said_that_it_is_gone_is_not_replaced(world: Releasing, how: str) -> None:
    fault, code = DOUBTS[how]
    for server in world.targets:
        keep(server, world)
    world.forget()
    world.place.upstream.intercept = lambda _method, path: fault if "/manifests/sha256:" in path else None
    done = world.publish()

    assert (done.exit_code, world.writes(), done.warnings) == (code, [], ())
    assert [server.exchanges for server in world.targets] == [[], []]


def test_a_passing_404_of_upstream_is_waited_for(world: Releasing) -> None:
    keep(world.place.locked, world)
    seen: list[str] = []

    def intercept(method: str, path: str) -> Fault | None:
        if method == "GET" and path.endswith(f"/manifests/{world.digest}"):
            seen.append(path)
            return Fault(answer=Response(404)) if len(seen) < 4 else None
        return None

    world.place.upstream.intercept = intercept
    done = world.publish()

    assert (done.failure, done.warnings, provenance_of(world).served_by) == (None, (), None)


def test_an_image_that_nobody_has_is_no_release(world: Releasing) -> None:
    lose(world)
    done = world.publish()

    assert done.failure is not None
    assert (done.exit_code, world.writes()) == (5, [])
    assert done.failure.what.endswith("nor has one of the targets all of it")


def test_whether_anybody_has_it_is_not_known_while_a_target_is_silent(world: Releasing) -> None:
    lose(world)
    world.place.locked.intercept = lambda _method, _path: Fault(answer=Response(503))
    done = world.publish()

    assert (done.exit_code, world.writes()) == (4, [])


@pytest.mark.real  # by its length
@pytest.mark.parametrize("only", [True, False])
def test_a_copy_whose_layer_was_removed_is_not_tagged(world: Releasing, only: bool) -> None:
    server = world.place.open if only else world.place.locked
    keep(server, world)
    world.only_open = only
    lose(world)
    layer = max(world.place.image.blobs, key=lambda blob: len(blob.data))
    del server.repository(GATEWAY).blobs[layer.digest]
    done = world.publish()

    assert done.failure is not None
    assert (done.exit_code, tagged(world), layer.digest in done.failure.where) == (5, [], True)


# --- SBOMs for another job


@pytest.fixture
def programs(world: Releasing, tmp_path: Path) -> Iterator[Programs]:
    """What stands for syft looks up there what upstream does not show any more."""
    keep(world.place.locked, world)
    world.place.upstream.intercept = lambda _method, _path: Fault(answer=Response(404))
    with on_the_path(tmp_path / "bin", world) as programs:
        world.environ |= {"PATH": programs.path, "GITHUB_TOKEN": ""}
        yield programs


def test_sboms_are_made_of_our_copy(world: Releasing, programs: Programs, tmp_path: Path) -> None:
    done = world.run("release", "sbom", TAG, "--output", str(tmp_path / "sboms"))
    scanned = {word.partition("@")[0] for start in programs.starts for word in start if word.startswith("registry:")}

    assert (done.code, len(list((tmp_path / "sboms").iterdir()))) == (0, 4), done.err
    assert scanned == {f"registry:{world.names[0]}"}
    assert f"warning: {world.place.upstream.host}/{UPSTREAM} no longer has all of {world.digest}" in done.err


def test_who_may_not_read_the_first_target_takes_the_next(world: Releasing, programs: Programs, tmp_path: Path) -> None:
    keep(world.place.open, world)
    world.place.locked.intercept = lambda _method, _path: Fault(answer=Response(403))
    done = world.run("release", "sbom", TAG, "--output", str(tmp_path))

    assert (done.code, bool(programs.starts)) == (0, True), done.err
    assert f"it is read from {world.names[1]}" in done.err


# --- verified from outside


def test_a_stranger_is_told_that_upstream_has_it_not_and_sees_its_signature_on_our_copy(
    ours: Releasing, tmp_path: Path
) -> None:
    ours.publish()
    chain = chain_of(ours, tmp_path / "empty")
    links = {link.name: link for link in chain.links}
    locked, signature = ours.names[0], links["upstream's signature"]

    assert {link.name: link.verdict for link in chain.links if link.verdict != "pass"} == {"upstream's image": "warn"}
    assert chain.exit_code == 0
    assert links["upstream's image"].evidence == (
        f"the registry does not have it (HTTP 404, asked several times); {locked} has it: our copy is the same, by its "
        "digest"
    )
    assert signature.evidence.startswith(f"by {THEIRS}, issuer ")
    assert f", over our copy in {locked}; " in signature.evidence
    assert f"{locked}@{ours.digest}" in signature.repeat
    assert f"{REF}@{ours.digest}, read from {locked}, at commit" in links["provenance"].evidence


def test_when_upstream_has_it_again_nothing_is_left_to_warn_of(world: Releasing, tmp_path: Path) -> None:
    upstream = dict(world.place.upstream.repositories)
    keep(world.place.locked, world)
    lose(world)
    world.publish()
    world.place.upstream.repositories.update(upstream)
    chain = chain_of(world, tmp_path / "empty")

    assert {link.verdict for link in chain.links} == {"pass"}


def test_a_copy_without_upstream_s_signature_is_a_link_that_breaks(ours: Releasing, tmp_path: Path) -> None:
    ours.publish()
    for store in ours.stores:
        gone = [
            name
            for name, manifest in store.manifests.items()
            for layer in json.loads(manifest.data).get("layers", [])
            if THEIRS.encode() in store.blobs.get(layer["digest"], b"")[:500]
        ]
        for name in gone:
            del store.manifests[name]

    assert refused(chain_of(ours, tmp_path / "empty")) == {"upstream's signature": 5}


def test_an_image_that_is_nowhere_is_not_said_to_be_ours(ours: Releasing, tmp_path: Path) -> None:
    ours.publish()
    for server in ours.targets:
        server.repositories.clear()
    chain = chain_of(ours, tmp_path / "empty")
    links = {link.name: link for link in chain.links}

    assert (links["upstream's image"].verdict, links["upstream's image"].exit_code) == ("fail", 5)
    assert links["upstream's signature"].verdict == "unknown"
    assert "our copy" not in chain.text()


# --- build mode


def kept_beside(world: Releasing) -> None:
    """Upstream's image is gone there, and still with us from a release that was a copy. Its blobs stay for the test."""
    keep(world.place.locked, world)
    world.upstream.manifests.clear()
    world.upstream.tags.clear()
    world.forget()


def test_a_build_is_made_of_our_copy(world: Releasing) -> None:
    kept_beside(world)
    done = build(world)
    read = [each.path for each in world.place.upstream.exchanges if "/blobs/" in path_of(each.path)]
    said = provenance_of(world)

    assert (done.failure, len(done.warnings), read) == (None, 1, [])
    assert (said.mode, said.source.digest, str(said.served_by)) == ("build", world.digest, world.names[0])
    assert [lacks(store, done.digest) for store in world.stores] == [[], []]


@pytest.mark.parametrize(("added", "expected"), [(False, {}), (True, {"layers": 5})])
def test_the_layers_of_a_build_are_compared_with_our_copy(
    world: Releasing, tmp_path: Path, added: bool, expected: Mapping[str, int]
) -> None:
    world.upstream.add_blob(ADDED.data)
    build(world, added=added)
    kept_beside(world)
    chain = verify(world, tmp_path)
    links = {link.name: link for link in chain.links}

    assert refused(chain) == expected
    assert (links["upstream's image"].verdict, links["upstream's signature"].verdict) == ("warn", "pass")
    assert f"over our copy in {world.names[0]}" in links["upstream's signature"].evidence


class Asked:
    """An engine that keeps what it is asked to build, and does not answer."""

    def __init__(self) -> None:
        self.base, self.arguments = "", dict[str, str]()

    def build_for(
        self, platform: Platform, base: str, root: Path, dockerfile: SourceFile, arguments: Mapping[str, str]
    ) -> Builder:
        del platform, root, dockerfile
        self.base, self.arguments = base, dict(arguments)
        raise ServiceError("no answer", where="engine", next_step="Start it.")


@pytest.mark.real  # by its length
@pytest.mark.parametrize("gone", [True, False])
def test_the_base_of_a_build_is_pulled_from_where_the_image_is(world: Releasing, tmp_path: Path, gone: bool) -> None:
    upstream = f"{world.place.upstream.host}/{UPSTREAM}"
    keep(world.place.locked, world)
    if gone:
        lose(world)
    text = f"ARG IMAGE={upstream}@{world.digest}\nARG REF={REF}\nFROM ${{IMAGE}}\n"
    sources = {"Dockerfile": SourceFile("Dockerfile", text.encode())}
    engine = Asked()
    with world.hands() as (job, hands):
        image = replace(job.image, sites=(DockerfileSite("Dockerfile", (("IMAGE", "image"), ("REF", "ref"))),))
        seen = observe(job, hands.git, hands.source, hands.look, hands.verifier)
        pinned = Pinned(sources, read_sites(image, sources, {}), seen.pin, seen.pinned.tags)
        with pytest.raises(ServiceError, match="no answer"):
            rebuild(replace(job, image=image), replace(seen, pinned=pinned), tmp_path, engine)  # type: ignore[arg-type] # it raises
    where = world.names[0] if gone else upstream

    assert isinstance(seen, Seen)
    assert engine.base == f"{where}@{world.platforms[0]}"
    assert engine.arguments == {"IMAGE": f"{where}@{world.platforms[0]}", "REF": REF}


# --- the provenance


@pytest.fixture
def written(ours: Releasing) -> dict[str, object]:
    """The provenance of a release from our copy, as it is attested."""
    ours.publish()
    document: dict[str, object] = json.loads(provenance(provenance_of(ours)))
    return document


def image_in(document: dict[str, object]) -> dict[str, object]:
    definition = document["buildDefinition"]
    assert isinstance(definition, dict)
    found: dict[str, object] = definition["resolvedDependencies"][1]
    return found


def test_the_place_is_the_download_location_of_the_dependency(ours: Releasing, written: dict[str, object]) -> None:
    assert image_in(written)["downloadLocation"] == f"oci://{ours.names[0]}@{ours.digest}"


@pytest.mark.real  # by its length
@pytest.mark.parametrize(
    "location",
    [
        "https://example.org/a@DIGEST",
        "oci://example.org/a",
        "oci://example.org/a:v1@DIGEST",
        f"oci://example.org/a@sha256:{'7' * 64}",
        "oci://oci://example.org/a@DIGEST",
        "example.org/a@DIGEST",
        7,
    ],
)
def test_another_download_location_is_refused(ours: Releasing, written: dict[str, object], location: str | int) -> None:
    image_in(written)["downloadLocation"] = location.replace("DIGEST", ours.digest) if isinstance(location, str) else 7

    with pytest.raises(NotProven, match="it is no provenance of a release: "):
        read_provenance(json.dumps(written).encode())


def test_a_provenance_with_a_place_is_read_back(ours: Releasing) -> None:
    ours.publish()
    made = replace(provenance_of(ours), served_by=parse_repository("example.org:5000/ours/of/it"))
    again = provenance(made)

    assert (read_provenance(again), canonical(again)) == (made, again)
