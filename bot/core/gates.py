"""Gates: one question each, asked of a candidate; evidence -> verdict. Unknown never passes. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Literal

import msgspec

from bot.core.holds import ended, hold_on, said, unhold_command
from bot.core.index import Index
from bot.core.model import Candidate, Hold, Image, Pin, Platform, Release, missing_of
from bot.core.text import plain
from bot.errors import BotError

_SERVICE = 4
Verdict = Literal["pass", "warn", "fail", "unknown"]


PINNED_TAG = "pinned-tag"


class Gate(msgspec.Struct, frozen=True):
    """The answer to one question, with what was observed and the command that asks it again.

    A gate that does not let pass says with which exit code the run ends, and what to do next.
    """

    name: str
    verdict: Verdict
    evidence: str
    repeat: str = ""
    exit_code: int = 0
    next_step: str = ""

    @property
    def refuses(self) -> bool:
        return self.verdict in {"fail", "unknown"}


class Unanswered(msgspec.Struct, frozen=True, tag=True):
    """Nothing is known: who should have answered did not, or not to be believed. `exit_code` as of errors."""

    reason: str
    next_step: str
    exit_code: int = 4

    @classmethod
    def by(cls, error: BotError) -> Unanswered:
        """What an error leaves of a question."""
        said = error.what if error.what.startswith(error.where) else str(error)
        return cls(plain(said, 600), error.next_step, error.exit_code)

    def gate(self, name: str, repeat: str = "") -> Gate:
        """The gate that has no answer: `fail` where something came back that is not what it claims to be."""
        verdict: Verdict = "unknown" if self.exit_code == _SERVICE else "fail"
        return Gate(name, verdict, self.reason, repeat, self.exit_code, self.next_step)


def pinned_tag(image: Image, current: Pin, index: Index | None, *, leaving: bool) -> Gate:
    """Does the pinned tag still answer with the pinned digest? `leaving` a tag that is gone is only a warning."""
    tag = f"{image.repository}:{current.tag}"
    repeat = f"gateway-bot resolve {tag}"
    if index is None:
        return Gate(
            PINNED_TAG,
            "warn" if leaving else "fail",
            f"{tag} is not in the registry; the pinned digest {current.digest} cannot be compared",
            repeat,
            exit_code=5,
            next_step=(
                "Check `registry` and `tags` in gateway-bot.toml. If they are right, upstream has withdrawn "
                f"{current.ref}: ask why, and pin a release that is still there."
            ),
        )
    if index.digest != current.digest:
        return Gate(
            PINNED_TAG,
            "fail",
            f"moved tag: {tag} is {index.digest}, the pin says {current.digest}: the tag was re-pushed, or the two "
            "never belonged together",
            repeat,
            exit_code=5,
            next_step=(
                f"Find out from upstream why {current.ref} changed before anything is upgraded. "
                "If the new digest is right, write it into the image's first pin, run `gateway-bot check --fix`, "
                "and review it as you would a new release."
            ),
        )
    return Gate(PINNED_TAG, "pass", f"{tag} still answers with {index.digest}", repeat)


def candidate_digest(image: Image, candidate: Candidate) -> Gate:
    """Is the candidate's digest proven? It is, or there would be no Candidate: the evidence says how."""
    tag = f"{image.repository}:{candidate.pin.tag}"
    return Gate(
        "digest",
        "pass",
        f"the bytes of the index at {tag} hash to {candidate.pin.digest}",
        f"gateway-bot resolve {tag}",
    )


def platforms(image: Image, pin: Pin, found: Sequence[Platform]) -> Gate:
    """Is every required platform there, exactly once?"""
    required = image.policy.platforms
    missing = missing_of(required, found)
    listed = ", ".join(map(str, found))
    repeat = f"gateway-bot resolve {image.repository}@{pin.digest}"
    if missing:
        return Gate(
            "platforms",
            "fail",
            f"{pin.ref} lacks {', '.join(map(str, missing))}; it has {listed}",
            repeat,
            exit_code=5,
            next_step="Wait for upstream to push the missing platforms, or change `platforms` in gateway-bot.toml.",
        )
    return Gate("platforms", "pass", listed, repeat)


def new_digest(current: Pin, candidate: Candidate) -> Gate:
    """Is it another image at all?"""
    if candidate.pin.digest == current.digest:
        return Gate(
            "new-digest",
            "fail",
            f"{candidate.pin.ref} has the digest that is pinned as {current.ref}: {current.digest}",
            exit_code=6,
            next_step="A person has to look: was the release only re-labelled, or the wrong image tagged?",
        )
    return Gate("new-digest", "pass", f"{candidate.pin.digest} replaces {current.digest}")


def about_holds(
    image: Image, current: Pin, candidate: Candidate | None, releases: Sequence[Release], today: date
) -> tuple[Gate, ...]:
    """What a person should know of the holds: the pin itself is on hold, or a hold is over that kept something back.

    None refuses. `releases` are upstream's.
    """
    new = candidate.pin if candidate else None
    versions = [release.version for release in releases if release.version is not None]
    over = ended(image.policy.holds, current, versions, new, today)
    return (*_pin_on_hold(image, current, new, today), *_holds_over(image, over))


def _pin_on_hold(image: Image, current: Pin, new: Pin | None, today: date) -> tuple[Gate, ...]:
    hold = hold_on(image.policy.holds, current.version, current.digest, today)
    if hold is None:
        return ()
    is_so = f"{current.ref}, which is pinned, is {plain(said(hold), 600)}"
    if new is not None:
        return (Gate("pin-on-hold", "pass", f"{is_so}; {new.ref} replaces it"),)
    out = f"Go back with `gateway-bot rollback`, or take the hold out: `{unhold_command(image.name, hold)}`"
    return (Gate("pin-on-hold", "warn", f"{is_so}. {out}", "gateway-bot history"),)


def _holds_over(image: Image, over: Sequence[Hold]) -> tuple[Gate, ...]:
    if not over:
        return ()
    told = "; ".join(f"the hold of {hold.version} expired on {hold.until} ({plain(hold.reason, 500)})" for hold in over)
    again = f"Take it out with `{unhold_command(image.name, over[0])}`, or hold it again with a new date"
    return (Gate("hold", "warn", f"{told}. {again}", "gateway-bot plan --explain"),)


def first_refusal(gates: Sequence[Gate]) -> Gate | None:
    """The first gate that does not let pass."""
    return next((gate for gate in gates if gate.refuses), None)
