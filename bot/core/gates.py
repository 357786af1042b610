"""Gates: one question each, asked of a candidate; evidence -> verdict. Unknown never passes. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Literal

import msgspec

from bot.core.holds import hold_on, said
from bot.core.index import Index
from bot.core.model import Candidate, Image, Pin, Platform, missing_of
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


def on_hold(image: Image, candidate: Candidate, today: date) -> tuple[Gate, ...]:
    """The gate of a candidate whose very digest is on hold; none where it is not."""
    pin = candidate.pin
    hold = hold_on(image.policy.holds, pin.version, pin.digest, today)
    if hold is None:
        return ()
    next_step = "Wait for the next release, or take the hold out of gateway-bot.toml when its reason is gone."
    return (Gate("hold", "fail", f"{pin.ref} is {said(hold)}", exit_code=6, next_step=next_step),)


def first_refusal(gates: Sequence[Gate]) -> Gate | None:
    """The first gate that does not let pass."""
    return next((gate for gate in gates if gate.refuses), None)
