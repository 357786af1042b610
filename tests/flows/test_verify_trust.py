"""`release verify` of a repository that may lie: by its tag, its settings, its trusted root, its registries."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from bot.adapters.expressions import Expressions
from bot.adapters.programs import Programs
from bot.core.model import Signature
from bot.core.reference import Digest, Repository
from bot.core.release.chain import Chain
from bot.core.signature import Answer
from bot.core.versions import Ref
from bot.embedded.images import build_image
from bot.embedded.server import Fault, Response
from bot.errors import PinError, UsageError
from bot.release_desk import ASKING_SECONDS, ReleaseDesk
from bot.world import World
from tests.flows.release_standins import GATEWAY, OURS, PROVENANCE, REPOSITORY, SIGN, TAG, attach
from tests.flows.releases import Releasing, place, world
from tests.flows.test_verify_release import (
    PLATFORM_LINKS,
    chain_of,
    forget_what_we_say,
    kept,
    refused,
    released,
)

__all__ = ["kept", "place", "released", "world"]

ROOT = "sigstore/root.json"
SIGNED = ("provenance", "upstream's signature", *PLATFORM_LINKS)


def verdicts(chain: Chain) -> dict[str, str]:
    return {link.name: link.verdict for link in chain.links}


def release_with(world: Releasing, files: Mapping[str, bytes]) -> str:
    """The same release of a commit that has these files as well."""
    commit = world.place.github.commit(REPOSITORY, "main", {path: ("100644", data) for path, data in files.items()})
    world.on_github.refs[f"refs/tags/{TAG}"] = commit
    (asset,) = [each for each in world.on_github.releases[0].assets if "provenance" in each.name]
    asset.content = asset.content.replace(world.head.encode(), commit.encode())
    forget_what_we_say(world, world.digest, PROVENANCE)
    for store in world.stores:
        attach(store, world.digest, OURS, PROVENANCE, asset.content, listed=True)
    return commit


def settings_of(world: Releasing, change: Callable[[str], str]) -> dict[str, bytes]:
    text = (world.place.repo.root / "gateway-bot.toml").read_text()
    changed = change(text)
    assert changed != text
    return {"gateway-bot.toml": changed.encode()}


# --- a trusted root that is the repository's own


def with_roots(world: Releasing, upstream: str, ours: str = "") -> dict[str, bytes]:
    """The settings of a private Sigstore: upstream's, and ours where one is named."""
    of_ours = f'trusted_root = "{ours}"\nsigning_config = "sigstore/config.json"\n' if ours else ""
    return settings_of(
        world, lambda text: text.replace("[release]", f'trusted_root = "{upstream}"\n[release]', 1) + of_ours
    )


def test_a_trusted_root_of_the_repository_proves_nothing_of_who_signed(released: Releasing, tmp_path: Path) -> None:
    release_with(released, with_roots(released, ROOT, ROOT) | {ROOT: b"{}"})
    chain = chain_of(released, tmp_path / "empty")
    names = {*SIGNED, *(f"our signature in {name}" for name in released.names)}
    links = {link.name: link for link in chain.links}
    theirs = links["upstream's signature"]

    assert {name for name, verdict in verdicts(chain).items() if verdict != "pass"} == names
    assert {links[name].verdict for name in names} == {"warn"}
    assert theirs.evidence.startswith(
        f"by the trusted root {ROOT} of {REPOSITORY} itself, not by Sigstore's public one"
    )
    assert "up/agent/.github/workflows/release.yml" in theirs.evidence
    assert "who signed is not proven" in chain.text().splitlines()[-1]
    assert "--trusted-root FILE" in chain.text().splitlines()[-1]
    assert (chain.exit_code, json.loads(chain.json())["own_roots"]) == (0, [ROOT])


def test_only_what_rests_on_it_is_doubted(released: Releasing, tmp_path: Path) -> None:
    release_with(released, with_roots(released, ROOT) | {ROOT: b"{}"})
    chain = chain_of(released, tmp_path / "empty")

    assert [name for name, verdict in verdicts(chain).items() if verdict != "pass"] == ["upstream's signature"]


class Watched:
    """Asks the stand-in, and keeps what it was asked by."""

    def __init__(self, world: Releasing) -> None:
        self.stamp, self.asked = world.stamp, list[Signature]()

    def verify(self, at: Repository, digest: Digest, ref: Ref, signature: Signature) -> Answer:
        self.asked.append(signature)
        return self.stamp.verify(at, digest, ref, signature)


def test_a_trusted_root_of_who_asks_is_believed_in_its_place(released: Releasing, tmp_path: Path) -> None:
    mine = tmp_path / "mine.json"
    mine.write_text("{}")
    release_with(released, with_roots(released, "not-even-there.json", ROOT))
    watched = Watched(released)
    chain = chain_of(released, tmp_path / "empty", trusted_root=mine, verifier=watched)
    theirs = next(link for link in chain.links if link.name == "upstream's signature")

    assert set(verdicts(chain).values()) == {"pass"}
    assert theirs.evidence.endswith(f"; by the trusted root {mine}")
    assert f"--trusted-root {mine} " in theirs.repeat
    assert {signature.trusted_root for signature in watched.asked} == {"trusted-root-0.json"}
    assert chain.text().splitlines()[-1] == f"{REPOSITORY} {TAG}: all 16 links hold"


def test_the_public_sigstore_stays_where_the_settings_name_no_other(released: Releasing, tmp_path: Path) -> None:
    mine = tmp_path / "mine.json"
    mine.write_text("{}")
    watched = Watched(released)
    chain = chain_of(released, tmp_path / "empty", trusted_root=mine, verifier=watched)

    assert {signature.trusted_root for signature in watched.asked} == {""}
    assert set(verdicts(chain).values()) == {"pass"}


@pytest.mark.parametrize(("upstream", "ours"), [("x" * 300, "y" * 300), (f"{ROOT}/file", "other.json")])
def test_a_trusted_root_may_have_any_name(released: Releasing, tmp_path: Path, upstream: str, ours: str) -> None:
    release_with(released, with_roots(released, upstream, ours) | {upstream: b"{}", ours: b"{}"})
    watched = Watched(released)
    chain = chain_of(released, tmp_path / "empty", verifier=watched)

    assert refused(chain) == {}
    assert sorted({signature.trusted_root for signature in watched.asked}) == [
        "trusted-root-0.json",
        "trusted-root-1.json",
    ]


def test_a_trusted_root_that_is_no_json_is_named(released: Releasing, tmp_path: Path) -> None:
    release_with(released, with_roots(released, ROOT) | {ROOT: b"-----BEGIN"})
    with pytest.raises(UsageError, match="the trusted root is no JSON") as raised:
        chain_of(released, tmp_path / "empty")

    assert raised.value.where == ROOT


# --- a tag that nobody merged


def test_a_tag_whose_commit_was_never_merged_is_no_release(released: Releasing, tmp_path: Path) -> None:
    released.on_github.refs["refs/heads/main"] = released.place.commits[0].sha
    chain = chain_of(released, tmp_path / "empty")

    assert refused(chain) == {"merged": 8}
    assert "its commit is not on main" in chain.text()


def test_a_tag_with_the_name_of_the_branch_does_not_stand_for_it(released: Releasing, tmp_path: Path) -> None:
    released.on_github.refs["refs/heads/main"] = released.place.commits[0].sha
    released.on_github.refs["refs/tags/main"] = released.head

    assert refused(chain_of(released, tmp_path / "empty")) == {"merged": 8}


def test_a_release_from_another_branch_holds_where_the_default_branch_names_it(
    released: Releasing, tmp_path: Path
) -> None:
    refs = released.on_github.refs
    released.place.github.commit(
        REPOSITORY,
        "main",
        {
            name: ("100644", data)
            for name, data in settings_of(released, lambda text: f'base = "stable"\n{text}').items()
        },
    )
    refs["refs/heads/stable"] = released.place.commits[0].sha
    before = chain_of(released, tmp_path / "before")
    refs["refs/heads/stable"] = released.head
    after = chain_of(released, tmp_path / "after")

    assert (refused(before), "its commit is not on stable" in before.text()) == ({"merged": 8}, True)
    assert (refused(after), "its commit is on stable" in after.text()) == ({}, True)


def test_the_branch_that_the_tag_itself_names_does_not_count(released: Releasing, tmp_path: Path) -> None:
    commit = release_with(released, settings_of(released, lambda text: f'base = "evil"\n{text}'))
    released.on_github.refs |= {"refs/heads/main": released.place.commits[0].sha, "refs/heads/evil": commit}

    assert refused(chain_of(released, tmp_path / "empty")) == {"merged": 8}


@pytest.mark.parametrize("settings", [b"", b"newer = [[", b'future = "setting"\n'])
def test_settings_that_cannot_be_read_by_now_name_no_branch(
    released: Releasing, tmp_path: Path, settings: bytes
) -> None:
    released.place.github.commit(REPOSITORY, "main", {"gateway-bot.toml": ("100644", settings)})

    assert refused(chain_of(released, tmp_path / "empty")) == {}


def test_a_github_that_does_not_compare_leaves_it_unknown(released: Releasing, tmp_path: Path) -> None:
    released.place.github.intercept = lambda _, path: Fault(answer=Response(500)) if "/compare/" in path else None
    chain = chain_of(released, tmp_path / "empty")

    assert refused(chain) == {"merged": 4}


# --- registries that answer one thing and deny another


def deny(world: Releasing, *, tag: str) -> None:
    """The one place is closed; the other denies one tag."""
    world.place.locked.intercept = lambda _method, _path: Fault(answer=Response(403))
    world.place.open.intercept = lambda _, path: (
        Fault(answer=Response(403)) if path.endswith(f"/manifests/{tag}") else None
    )


def test_a_denial_by_a_place_that_answered_before_is_no_closed_door(released: Releasing, tmp_path: Path) -> None:
    deny(released, tag="1.2.4")
    chain = chain_of(released, tmp_path / "empty")
    locked, open_ = released.names

    assert refused(chain) == {f"{open_}:1.2.4": 4}
    assert [link.name for link in chain.links if link.verdict == "warn"] == [locked]
    assert verdicts(chain)[f"our signature in {open_}"] == "pass"


def test_the_place_that_the_image_was_read_from_is_asked_for_our_signature(released: Releasing, tmp_path: Path) -> None:
    forget_what_we_say(released, released.digest, SIGN)
    released.place.open.push(GATEWAY, "1.2.4", build_image(variation="another"))
    deny(released, tag="1.2.4")
    chain = chain_of(released, tmp_path / "empty")
    _, open_ = released.names

    assert refused(chain) == {f"{open_}:1.2.4": 4, f"our signature in {open_}": 5}


# --- what would keep who asks waiting


def with_pattern(world: Releasing, pattern: str) -> dict[str, bytes]:
    site = f'[[image.pins]]\ntype = "pattern"\nfile = "notes.txt"\npattern = \'{pattern}\'\n[image.signature]'
    return settings_of(world, lambda text: text.replace("[image.signature]", site, 1))


def test_a_pattern_that_comes_to_an_end_is_read_as_any_pin(released: Releasing, tmp_path: Path) -> None:
    release_with(released, with_pattern(released, r"^pinned: (?P<ref>\S+)$") | {"notes.txt": b"pinned: v1.4.1\n"})

    assert refused(chain_of(released, tmp_path / "empty")) == {}


class Impatient(Expressions):
    """The same, in a second."""

    def end(self, patterns: Sequence[tuple[str, str]], texts: Mapping[str, str], seconds: float) -> bool:
        return super().end(patterns, texts, seconds / 10)


def test_a_pattern_that_never_ends_is_ended(released: Releasing, tmp_path: Path) -> None:
    release_with(released, with_pattern(released, "(?P<ref>(a+)+)b") | {"notes.txt": b"a" * 60})
    began = time.monotonic()
    with pytest.raises(PinError, match="do not come to an end"):
        chain_of(released, tmp_path / "empty", expressions=Impatient(Programs({}, lambda _: None)))

    assert time.monotonic() - began < 10


def test_a_registry_that_always_says_later_is_left_after_two_minutes(released: Releasing, tmp_path: Path) -> None:
    """Of each tag it would be believed for a while."""
    later = Fault(answer=Response(429, b"", (("Retry-After", "29"),)))
    released.place.open.intercept = lambda _method, _path: later
    chain = chain_of(released, tmp_path / "empty")
    _, open_ = released.names

    waited = sum(pause for pause in released.clock.slept if pause >= 29)

    assert [refused(chain)[f"{open_}:{tag}"] for tag in (TAG, "1.2.4")] == [4, 4]
    assert 0 < waited <= ASKING_SECONDS


def test_each_repository_has_one_deadline_for_all_that_is_asked_of_it(released: Releasing, tmp_path: Path) -> None:
    outer = World(tmp_path, released.environ, released.clock, repository_name=REPOSITORY)
    names: Sequence[Repository] = [Repository(*name.split("/", 1)) for name in released.names]
    try:
        with ReleaseDesk(outer).outside() as outside:
            asked = [outside.registry(name) for name in (*names, *names)]
    finally:
        outer.close()

    assert (asked[0] is asked[2], asked[1] is asked[3], asked[0] is asked[1]) == (True, True, False)
