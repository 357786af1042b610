"""The gates that only a rollback has, and how it weighs those of an upgrade. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Literal

import msgspec

from bot.core.gates import Gate
from bot.core.index import Index
from bot.core.ledger import Entry
from bot.core.model import Hold, Image, Pin
from bot.core.reference import Digest, Repository
from bot.core.rollback.back import Wish
from bot.core.rollback.holding import is_rolled_back_to
from bot.core.rollback.target import released_as
from bot.core.text import plain
from bot.errors import BotError, IntegrityError, ServiceError

_OF_UPSTREAM = ("vulnerabilities", "config")


Named = tuple[str, Digest | None, str]
"""A tag, as HOST/PATH:TAG, what it names, and why nobody knows."""


class Copy(msgspec.Struct, frozen=True):
    """Whether a repository still has an image by its digest; `broken`: not all of it, or not to be believed."""

    repository: Repository
    answer: Literal["there", "gone", "broken", "silent"]
    index: Index | None = None
    """Where it is there."""
    why: str = ""

    def __str__(self) -> str:
        words = {"there": "has it", "gone": "does not have it", "broken": "has it broken", "silent": "did not answer"}
        return f"{self.repository} {words[self.answer]}{f' ({plain(self.why, 200)})' if self.why else ''}"


def image_gate(pin: Pin, copies: Sequence[Copy], there: Copy) -> Gate:
    """Is the image still there, and where? One place that has it is enough, since its bytes prove it."""
    everywhere = all(copy.answer == "there" for copy in copies)
    evidence = f"{pin.digest}: {'; '.join(map(str, copies))}"
    return Gate(
        "image", "pass" if everywhere else "warn", evidence, f"gateway-bot resolve {there.repository}@{pin.digest}"
    )


def nowhere(pin: Pin, copies: Sequence[Copy], next_step: str) -> BotError:
    """No place has the image. As long as one did not answer, nothing is known."""
    silent = [copy for copy in copies if copy.answer == "silent"]
    if silent:
        return ServiceError(
            f"whether the image of {pin.ref} is still there is not known: {'; '.join(map(str, copies))}",
            where=str(silent[0].repository),
            next_step="Nothing was changed, and no other version was taken. Run it again.",
        )
    return IntegrityError(
        f"the image of {pin.ref} is gone, {pin.digest}: {'; '.join(map(str, copies))}",
        where=str(copies[0].repository),
        next_step=next_step,
    )


def tag_gate(image: Image, pin: Pin, tagged: Digest | None, why: str = "") -> Gate:
    """Does upstream's tag still name that digest? Only a warning: the digest is what is pinned, and proven."""
    tag = f"{image.repository}:{pin.tag}"
    repeat = f"gateway-bot resolve {tag}"
    if why:
        return Gate("tag", "warn", f"{tag}: {plain(why, 200)}", repeat)
    if tagged is None:
        return Gate("tag", "warn", f"{tag} is not in the registry any more: runs of plan will say so", repeat)
    if tagged != pin.digest:
        said = f"{tag} is {tagged} by now: the tag was re-pushed, and runs of plan will end with 5"
        return Gate("tag", "warn", said, repeat)
    return Gate("tag", "pass", f"{tag} still answers with {tagged}", repeat)


def certain_tag(tag: Gate, entry: Entry) -> Gate:
    """Upstream's tag, which stops who goes to a pin that the base does not reach: nobody reviewed that one."""
    if tag.verdict == "pass" or not entry.releases or entry.releases[0].on_base:
        return tag
    next_step = "Do not go back there: only a tag outside the base says that this digest is that version."
    return msgspec.structs.replace(tag, verdict="fail", exit_code=5, next_step=next_step)


def further_gate(holds: Sequence[Hold], current: Pin, wish: Wish, today: date) -> tuple[Gate, ...]:
    """Who says the same once more after the merge may not know that it goes further back."""
    hold = is_rolled_back_to(holds, current, today) if wish.to is None else None
    if hold is None:
        return ()
    evidence = f"{current.ref} is itself what a rollback from {hold.version} went to: this goes one further back"
    return (Gate("further-back", "warn", evidence, "gateway-bot history"),)


def good_gate(entry: Entry, base: str, named: Sequence[Named]) -> Gate:
    """Was it known to be good? It was released, and nobody has put it on hold since.

    Whoever may push a git tag can say so. `named` is what our registries have under that release's tags.
    """
    ref, released = entry.pin.ref, released_as(entry)
    if not released:
        evidence = f"{ref} was pinned from {entry.date:%Y-%m-%d} on, and never released"
    elif not entry.releases[0].on_base:
        evidence = f"{ref} was released as {released}, which {base} does not reach"
    elif not named:
        return Gate("known-good", "pass", f"{ref} was released as {released}", "gateway-bot history")
    else:
        there = next((name for name, digest, _ in named if digest == entry.pin.digest), "")
        if there:
            evidence = f"{ref} was released as {released}; {there} is that image"
            return Gate("known-good", "pass", evidence, f"gateway-bot resolve {there}")
        name, digest, why = named[0]
        is_so = f"is {digest}" if digest else f"is not known: {plain(why, 200)}" if why else "is not there"
        evidence = f"{ref} was released as {released} by its git tag, and {name} {is_so}"
    return Gate("known-good", "warn", evidence, "gateway-bot history")


def weighed(gates: Sequence[Gate], *, runs_already: bool, at_upstream: bool) -> tuple[Gate, ...]:
    """The gates as a rollback is held to them: what comes back is weighed by a person against what is broken now.

    Vulnerabilities only warn, and so does a config that nobody could ask about; where the image `runs_already`, also
    one that it refuses: the record is needed all the same. By hand `scan` and `validate` look `at_upstream` only.
    """
    found = [_weighed(gate, runs_already=runs_already) for gate in gates]
    if not at_upstream:
        found = [msgspec.structs.replace(gate, repeat="") if gate.name in _OF_UPSTREAM else gate for gate in found]
    return tuple(found)


def _weighed(gate: Gate, *, runs_already: bool) -> Gate:
    told = gate.name == "vulnerabilities" or (gate.name == "config" and (runs_already or gate.verdict == "unknown"))
    if not gate.refuses:
        return gate
    if told:
        return msgspec.structs.replace(gate, verdict="warn", exit_code=0, next_step="")
    if gate.name == "signature" and gate.verdict == "fail":
        ways = "Do not go back there. `gateway-bot history` says what else is known good: name it with --to."
        return msgspec.structs.replace(gate, next_step=ways)
    return gate
