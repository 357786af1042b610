"""A release in build mode: the layers are upstream's, the labels our own. tests/real has the one with a real engine."""

from __future__ import annotations

import json
from pathlib import Path

from msgspec.structs import replace

from bot.core.content import Content, read_content
from bot.core.index import INDEX_TYPES, MANIFEST_TYPES
from bot.core.reference import digest_of
from bot.core.release.chain import Chain
from bot.core.release.ours import our_tag
from bot.core.release.provenance import read_provenance
from bot.core.release.publication import Publication
from bot.embedded.images import layer_of
from bot.flows.outside import Read
from bot.flows.publish import Made, publish
from bot.flows.release_observe import Seen
from bot.flows.verify_release import verify_release
from bot.release_desk import ReleaseDesk
from bot.world import World
from tests.flows.release_standins import GATEWAY, OURS, PROVENANCE, REPOSITORY, SBOMS, SIGN, TAG, THEIRS, lacks, proven
from tests.flows.releases import Releasing, place, world

__all__ = ["place", "world"]

ADDED = layer_of({"app/more": b"of ours"})


def labelled(world: Releasing, seen: Seen, *, added: bool = False) -> Made:
    """The image with a label of our own, and with one more layer where it should not be right."""
    entries, manifests, configs = [], [], []
    by_digest = {manifest.digest: manifest for manifest in seen.manifests}
    for platform, digest in seen.platforms:
        document = json.loads(by_digest[digest].body)
        config = json.loads(world.upstream.blobs[document["config"]["digest"]])
        config["config"]["Labels"] = {"org.opencontainers.image.title": "ours"}
        body = json.dumps(config).encode()
        document["config"] |= {"digest": digest_of(body), "size": len(body)}
        document["layers"] += [ADDED.descriptor()] if added else []
        manifest = content(document, MANIFEST_TYPES[0])
        system = {"os": platform.os, "architecture": platform.architecture}
        entries.append(
            {
                "mediaType": manifest.media_type,
                "digest": manifest.digest,
                "size": len(manifest.body),
                "platform": system,
            }
        )
        manifests.append(manifest)
        configs.append(body)
    document = {"schemaVersion": 2, "mediaType": INDEX_TYPES[0], "manifests": entries}
    return Made(content(document, INDEX_TYPES[0]), tuple(manifests), tuple(configs))


def content(document: object, kind: str) -> Content:
    return read_content(json.dumps(document).encode(), content_type=kind, header_digest=None, expected=None)


def build(world: Releasing, *, added: bool = False) -> Publication:
    with world.hands(rebuild=lambda seen: labelled(world, seen, added=added)) as (job, hands):
        return publish(replace(job, policy=replace(job.policy, mode="build")), hands, dry_run=False)


def verify(world: Releasing, folder: Path) -> Chain:
    """As the settings at the tag would have it, did they say `mode = "build"`."""
    outer = World(folder, {**world.environ, "GITHUB_TOKEN": ""}, world.clock, repository_name=REPOSITORY)
    try:
        with ReleaseDesk(outer).outside() as outside:

            def settings(text: str) -> Read:
                found = outside.settings(text)
                return Read(found.image, replace(found.policy, mode="build"))

            given = replace(outside, verifier=world.stamp, signer=world.stamp, settings=settings)
            return verify_release(our_tag(TAG), REPOSITORY, given)
    finally:
        outer.close()


def test_what_was_built_is_what_is_signed_tagged_and_published(world: Releasing) -> None:
    done = build(world)
    (release,) = world.on_github.releases
    files = {asset.name: asset.content for asset in release.assets}
    said = read_provenance(files[f"gateway-{TAG}.provenance.json"])

    assert done.failure is None
    assert done.digest not in {"", world.digest}
    for store in world.stores:
        assert (store.tags[TAG], lacks(store, done.digest)) == (done.digest, [])
        assert proven(store, done.digest, OURS) == {SIGN, PROVENANCE}
        assert [proven(store, digest, OURS) for _, digest in said.platforms] == [set(SBOMS)] * 2
        assert proven(store, world.digest, THEIRS) == set()
    assert (said.mode, said.source.digest) == ("build", world.digest)
    assert "the same layers, with labels of our own" in release.body


def test_sboms_are_made_of_what_was_built_where_it_is(world: Releasing) -> None:
    build(world)

    assert len(world.syft.made) == 2
    assert all(made.startswith(f"{world.names[0]}@") for made in world.syft.made)


def test_a_second_run_builds_the_same_and_writes_nothing(world: Releasing) -> None:
    first = build(world)
    world.forget()
    again = build(world)

    assert (again.failure, again.digest, world.writes()) == (None, first.digest, [])


def test_every_link_holds_and_the_layers_are_one_of_them(world: Releasing, tmp_path: Path) -> None:
    build(world)
    chain = verify(world, tmp_path)
    links = {link.name: link for link in chain.links}

    assert (chain.exit_code, [link.name for link in chain.links if link.verdict != "pass"]) == (0, [])
    assert links["layers"].evidence == "those of every platform are upstream's, none added"
    assert links["layers"].repeat == f"crane manifest {world.names[0]}@{chain.digest}"


def test_a_layer_of_our_own_is_a_link_that_breaks(world: Releasing, tmp_path: Path) -> None:
    world.upstream.add_blob(ADDED.data)
    build(world, added=True)
    chain = verify(world, tmp_path)

    assert {link.name: link.exit_code for link in chain.links if link.refuses} == {"layers": 5}


def test_two_places_that_hold_different_builds_are_told_apart(world: Releasing, tmp_path: Path) -> None:
    """What upstream's own digest is does not say which of the two is right: the first place counts."""
    build(world)
    world.place.open.push(GATEWAY, TAG, world.place.image)
    chain = verify(world, tmp_path)

    assert {link.name: link.exit_code for link in chain.links if link.refuses} == {f"{world.names[1]}:{TAG}": 5}


def test_sboms_of_upstream_s_image_are_not_taken_for_a_build(world: Releasing, tmp_path: Path) -> None:
    repo = world.copy(tmp_path)
    settings = repo.root / "gateway-bot.toml"
    settings.write_text(settings.read_text().replace("[release]\n", '[release]\nmode = "build"\n', 1))
    world.root = repo.root
    done = world.run("release", "publish", TAG, "--sbom", str(tmp_path))

    assert (done.code, world.writes()) == (2, [])
    assert "SBOMs that were made before are of upstream's manifests" in done.err
