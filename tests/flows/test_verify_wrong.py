"""`release verify` where one thing alone is wrong, or not to be had; and a build, whose bytes upstream never signed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from bot.core.reference import digest_of
from bot.core.release.ours import our_tag
from bot.core.release.provenance import Provenance, provenance, read_provenance
from bot.embedded.server import Fault, Response
from bot.flows.publish import publish
from bot.flows.verify_release import verify_release
from bot.release_desk import ReleaseDesk
from bot.world import World
from tests.flows.conftest import TOKEN
from tests.flows.release_standins import OURS, PROVENANCE, REPOSITORY, TAG, attach
from tests.flows.releases import Releasing, place, world
from tests.flows.test_publish_build import build, labelled, verify
from tests.flows.test_verify_release import chain_of, forget_what_we_say, kept, lose_upstream, refused, released
from tests.flows.test_verify_trust import release_with, settings_of, with_roots

__all__ = ["kept", "place", "released", "world"]

FILE = f"gateway-{TAG}.provenance.json"
ELSEWHERE = "https://github.com/evil/fork"

WRONG: dict[str, Callable[[Provenance], Provenance]] = {
    "mode": lambda said: replace(said, mode="build"),
    "git": lambda said: replace(said, git=ELSEWHERE),
    "tag": lambda said: replace(said, tag="v1.2.5"),
    "commit": lambda said: replace(said, commit="5" * 40),
    "source digest": lambda said: replace(said, source=replace(said.source, digest=digest_of(b"another"))),
    "builder": lambda said: replace(said, builder=f"{ELSEWHERE}/.github/workflows/release.yml@refs/tags/{TAG}"),
    "fewer platforms": lambda said: replace(said, platforms=said.platforms[:1]),
    "another manifest of a platform": lambda said: replace(
        said, platforms=(said.platforms[0], (said.platforms[1][0], digest_of(b"another")))
    ),
}


# --- the provenance


@pytest.mark.parametrize("what", WRONG)
def test_a_provenance_that_is_wrong_in_one_thing_is_refused(released: Releasing, tmp_path: Path, what: str) -> None:
    """Our own identity attested it, and it is among the files of the release."""
    (asset,) = [each for each in released.on_github.releases[0].assets if each.name == FILE]
    said = read_provenance(asset.content)
    bent = WRONG[what](said)
    asset.content = provenance(bent)
    forget_what_we_say(released, released.digest, PROVENANCE)
    for store in released.stores:
        attach(store, released.digest, OURS, PROVENANCE, asset.content, listed=True)
    chain = chain_of(released, tmp_path / "empty")

    assert bent != said
    assert refused(chain) == {"provenance": 5, FILE: 5}


def test_a_right_provenance_stays_right_beside_a_wrong_one(released: Releasing, tmp_path: Path) -> None:
    (asset,) = [each for each in released.on_github.releases[0].assets if each.name == FILE]
    said = read_provenance(asset.content)
    for store in released.stores:
        for bend in WRONG.values():
            attach(store, released.digest, OURS, PROVENANCE, provenance(bend(said)), listed=True)

    assert refused(chain_of(released, tmp_path / "empty")) == {}


# --- pins


@pytest.mark.parametrize(("held", "expected"), [("v1.4.0", {"pin": 3}), ("v1.4.1", {})])
def test_one_of_several_pins_that_drifts_at_the_tag_is_a_link_that_breaks(
    released: Releasing, tmp_path: Path, held: str, expected: dict[str, int]
) -> None:
    site = '[[image.pins]]\ntype = "dotenv"\nfile = "other.env"\nkeys = { OTHER_REF = "ref" }\n[image.signature]'
    files = settings_of(released, lambda text: text.replace("[image.signature]", site, 1))
    release_with(released, files | {"other.env": f"OTHER_REF={held}\n".encode()})
    chain = chain_of(released, tmp_path / "empty")

    assert (refused(chain), chain.exit_code) == (expected, sum(expected.values()))
    assert ("holds v1.4.0, versions.env says v1.4.1" in chain.text()) == bool(expected)


# --- the GitHub Release


def test_a_file_of_which_github_says_no_digest_is_a_warning(released: Releasing, tmp_path: Path) -> None:
    def without(answer: Response) -> Response:
        shown = json.loads(answer.body)
        for asset in (asset for each in shown for asset in each["assets"] if asset["name"] == FILE):
            asset["digest"] = None
        return Response(answer.status, json.dumps(shown).encode(), answer.headers)

    released.place.github.intercept = lambda method, path: (
        Fault(change=without) if method == "GET" and f"/repos/{REPOSITORY}/releases?" in path else None
    )
    chain = chain_of(released, tmp_path / "empty")
    warned = {link.name: link.evidence for link in chain.links if link.verdict != "pass"}

    assert warned == {FILE: "GitHub does not say its digest, so it was not compared"}
    assert [link.verdict for link in chain.links if link.name == FILE] == ["warn"]
    assert chain.exit_code == 0


def test_a_draft_that_a_token_lets_who_asks_see_is_not_published(released: Releasing, tmp_path: Path) -> None:
    released.on_github.releases[0].draft = True
    outer = World(tmp_path, {**released.environ, "GITHUB_TOKEN": TOKEN}, released.clock, repository_name=REPOSITORY)
    try:
        with ReleaseDesk(outer).outside() as outside:
            seen = [(each.tag, each.draft) for each in outside.releases()]
            given = replace(outside, verifier=released.stamp, signer=released.stamp)
            chain = verify_release(our_tag(TAG), REPOSITORY, given)
    finally:
        outer.close()

    assert seen == [(TAG, True)]
    assert refused(chain) == {"GitHub Release": 8}


# --- a trusted root of the repository


ASKED = """\
#!/bin/bash
if [ "$1" = version ]; then echo '{"gitVersion": "v3.0.2"}'; exit; fi
root=none
for word in "$@"; do [ "$before" = --trusted-root ] && root=$(cat "$word"); before=$word; done
echo "$root" >> "$(dirname "$0")/asked"
echo 'Error: no signatures found' >&2
exit 1
"""


def test_cosign_is_given_the_trusted_roots_that_the_tag_holds(released: Releasing, tmp_path: Path) -> None:
    roots = {"sigstore/theirs.json": b'{"of": "upstream"}', "sigstore/ours.json": b'{"of": "us"}'}
    release_with(released, with_roots(released, *roots) | roots)
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "cosign").write_text(ASKED)
    (programs / "cosign").chmod(0o755)
    environ = {**released.environ, "GITHUB_TOKEN": "", "PATH": f"{programs}:{released.environ['PATH']}"}
    outer = World(tmp_path, environ, released.clock, repository_name=REPOSITORY)
    try:
        with ReleaseDesk(outer).outside() as outside:
            verify_release(our_tag(TAG), REPOSITORY, outside)
    finally:
        outer.close()
    asked = set((programs / "asked").read_text().splitlines()) - {"none"}  # what lists signatures needs no root

    assert asked == {root.decode() for root in roots.values()}


# --- a build


def test_a_build_whose_upstream_is_gone_is_compared_with_nothing(world: Releasing, tmp_path: Path) -> None:
    """It is another image than upstream's: what we hold proves nothing of its layers."""
    build(world)
    lose_upstream(world)
    chain = verify(world, tmp_path)
    links = [link.name for link in chain.links]

    assert refused(chain) == {"upstream's image": 5, "upstream's signature": 4}
    assert "layers" not in links


def test_a_build_with_other_platforms_than_upstream_s_is_refused(world: Releasing, tmp_path: Path) -> None:
    with world.hands(
        rebuild=lambda seen: labelled(world, replace(seen, index=replace(seen.index, children=seen.index.children[:1])))
    ) as (job, hands):
        done = publish(replace(job, policy=replace(job.policy, mode="build")), hands, dry_run=False)
    chain = verify(world, tmp_path)
    (layers,) = [link for link in chain.links if link.name == "layers"]

    assert done.failure is None
    assert layers.evidence == "it has other platforms than upstream's image"
    assert refused(chain) == {"layers": 5}
