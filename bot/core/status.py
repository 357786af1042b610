"""Where every image stands, by the decision alone and by what GitHub shows: one row an image. Pure.

The structs below are what `status --json` prints; fields are only ever added.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec

from bot.core.alarm import Alarm
from bot.core.gates import Gate
from bot.core.model import Image, Policy
from bot.core.plan import Blocked, NothingNew, Outcome, Plan
from bot.core.proposal.shown import PullRequest
from bot.core.proposal.table import declined, opened
from bot.core.runs import Run
from bot.core.selection import Selection
from bot.core.text import plain
from bot.core.versions import Version, parse_version
from bot.errors import BotError

State = Literal["current", "due", "proposed", "cooling", "declined", "not ready", "blocked", "alarm", "unknown"]

_SAID = 300
_OUTSIDE = "outside the allowed range"
_NOT_FOUND_OUT = frozenset({1, 4, 7})
"""Exit codes of a decision that could not be made, as against one that refuses."""


class Opened(msgspec.Struct, frozen=True):
    """An open proposal. `stopped`: its label keeps the bot away from it."""

    number: int
    title: str
    url: str
    ref: str
    since: datetime | None
    draft: bool
    stopped: bool


class Cooling(msgspec.Struct, frozen=True):
    """A release that is not old enough yet."""

    ref: str
    until: datetime | None


class Passed(msgspec.Struct, frozen=True):
    """A newer release that is passed over on purpose, and by what."""

    ref: str
    reason: str
    url: str = ""


class Row(msgspec.Struct, frozen=True):
    """One image. `newest` is the newest release that the policy allows now, empty where that is not known."""

    image: str
    ref: str
    digest: str
    newest: str
    state: State
    said: str
    next_step: str
    exit_code: int
    proposals: tuple[Opened, ...] = ()
    cooling: Cooling | None = None
    passed_over: tuple[Passed, ...] = ()

    @property
    def in_words(self) -> str:
        return f"{self.state}: {self.said}" if self.said else self.state


class NotAsked(msgspec.Struct, frozen=True):
    """What is not known, and why. An `exit_code` of 0: nobody could be asked, since there is no token."""

    what: str
    why: str
    next_step: str
    exit_code: int

    @classmethod
    def by(cls, error: BotError, what: str) -> NotAsked:
        """What an error leaves unknown."""
        return cls(what, plain(f"{error.where}: {error.what}", _SAID), plain(error.next_step, _SAID), error.exit_code)


class Status(msgspec.Struct, frozen=True):
    """All images, the last run of the workflow that looks after them, and what is not known."""

    repository: str
    images: tuple[Row, ...]
    workflow: str
    last_run: Run | None
    not_known: tuple[NotAsked, ...] = ()
    dashboard: str = ""
    """The address of the issue that says the same, where it was published."""

    @property
    def exit_code(self) -> int:
        """That of the first thing that could not be found out; what was found out is no failure of this command."""
        codes = [row.exit_code for row in self.images] + [missing.exit_code for missing in self.not_known]
        return next((code for code in codes if code), 0)


def row(image: Image, outcome: Outcome, pulls: Sequence[PullRequest] | NotAsked, alarms: Iterable[Alarm]) -> Row:
    """Where an image stands. `pulls`: all from its branch, newest first, or why they are not known."""
    shown = () if isinstance(pulls, NotAsked) else tuple(pulls)
    current, selection = outcome.current, outcome.selection
    state, said, next_step = _state(outcome, pulls)
    alarm = next((alarm for alarm in alarms if alarm.subject == image.name and alarm.question != "schedule"), None)
    if alarm is not None and state != "unknown":
        state, said, next_step = "alarm", plain(alarm.seen, _SAID), "The alarm issue says what to do."
    above = current.version if current is not None else None
    return Row(
        image=image.name,
        ref=current.ref if current else "",
        digest=current.digest if current else "",
        newest=_newest(outcome),
        state=state,
        said=said,
        next_step=next_step,
        exit_code=_exit_code(outcome, pulls) if state == "unknown" else 0,
        proposals=tuple(_opened(pull) for pull in shown if pull.is_open),
        cooling=_cooling(selection, image.policy) if selection is not None else None,
        passed_over=(*_declined(shown, above), *(_outside(selection, above) if selection else ())),
    )


def _state(outcome: Outcome, pulls: Sequence[PullRequest] | NotAsked) -> tuple[State, str, str]:
    match outcome:
        case Plan():
            return _of_plan(outcome, pulls)
        case Blocked():
            reason, step = plain(outcome.reason, _SAID), plain(outcome.next_step, _SAID)
            if outcome.exit_code in _NOT_FOUND_OUT:
                return "unknown", reason, step
            return ("alarm" if _has_moved(outcome.gates) else "blocked"), reason, step
        case NothingNew():
            selection = outcome.selection
            if selection.release is not None:
                return "not ready", plain(outcome.reason, _SAID), ""
            if selection.cooling is not None:
                cooling = _cooling(selection, outcome.image.policy)
                until = f" until {_moment(cooling.until)}" if cooling and cooling.until else ""
                return "cooling", f"{plain(selection.cooling.ref, 60)}{until}", ""
            return "current", "", ""


def _of_plan(plan: Plan, pulls: Sequence[PullRequest] | NotAsked) -> tuple[State, str, str]:
    ref, digest = plan.candidate.pin.ref, plan.candidate.pin.digest
    if isinstance(pulls, NotAsked):
        if pulls.exit_code:
            return "unknown", f"{ref} is there; whether it is proposed is not known: {pulls.why}", pulls.next_step
        return "due", f"{ref}; whether it is proposed was not asked", "gateway-bot propose"
    pull = opened(pulls)
    if pull is not None:
        other = pull.part.ref if pull.part is not None and pull.digest != digest else ""
        moves = f", which says {plain(other, 60)}" if other else ""
        if pull.stopped:
            return "proposed", f"in #{pull.number}{moves}, stopped by its label", f"Decide on #{pull.number}."
        moves = f"{moves}: the next run moves it to {ref}" if other else ""
        return "proposed", f"in #{pull.number}{moves}", f"Review #{pull.number}."
    refusal = declined(pulls, digest)
    if refusal is not None:
        return "declined", f"{ref} in #{refusal.number}", ""
    return "due", f"{ref} is not proposed yet", "The next run proposes it, if every gate passes: gateway-bot propose."


def _newest(outcome: Outcome) -> str:
    if isinstance(outcome, Plan):
        return outcome.candidate.pin.ref
    selection, current = outcome.selection, outcome.current
    if selection is None:
        return ""
    return selection.release.ref if selection.release is not None else current.ref if current is not None else ""


def _exit_code(outcome: Outcome, pulls: Sequence[PullRequest] | NotAsked) -> int:
    if isinstance(outcome, Blocked):
        return outcome.exit_code
    return pulls.exit_code if isinstance(pulls, NotAsked) else 0


def _has_moved(gates: Iterable[Gate]) -> bool:
    return any(gate.name == "pinned-tag" and gate.refuses and gate.evidence.startswith("moved tag") for gate in gates)


def _opened(pull: PullRequest) -> Opened:
    ref = pull.part.ref if pull.part else ""
    return Opened(pull.number, plain(pull.title, 200), pull.url, plain(ref, 60), pull.created, pull.draft, pull.stopped)


def _cooling(selection: Selection, policy: Policy) -> Cooling | None:
    release = selection.cooling
    if release is None:
        return None
    return Cooling(plain(release.ref, 60), release.published + policy.cooldown if release.published else None)


def _declined(pulls: Iterable[PullRequest], above: Version | None) -> list[Passed]:
    """What a person closed and what is still newer than the pin; of several for one ref the newest."""
    found: dict[str, Passed] = {}
    for pull in pulls:
        part = pull.part
        if part is not None and pull.declined and _is_above(part.ref, above):
            found.setdefault(part.ref, Passed(plain(part.ref, 60), f"declined in #{pull.number}", pull.url))
    return list(found.values())


def _outside(selection: Selection, above: Version | None) -> list[Passed]:
    found = [entry for entry in selection.considered if entry.reason.startswith(_OUTSIDE)]
    return [Passed(plain(entry.ref, 60), plain(entry.reason, 200)) for entry in found if _is_above(entry.ref, above)]


def _is_above(ref: str, current: Version | None) -> bool:
    version = parse_version(ref)
    return version is not None and (current is None or version > current)


def _moment(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
