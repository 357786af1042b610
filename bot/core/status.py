"""Where every image stands, by the decision alone and by what GitHub shows: one row an image. Pure.

The structs below are what `status --json` prints; fields are only ever added.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec

from bot.core.alarm import Alarm, Question
from bot.core.gates import Gate
from bot.core.issue_text import Issue
from bot.core.model import Image, Policy
from bot.core.moment import moment
from bot.core.plan import Blocked, NothingNew, Outcome, Plan
from bot.core.proposal.names import branch_name, is_ours, keeps
from bot.core.proposal.shown import REBASE, Commit, PullRequest
from bot.core.proposal.table import declined, opened
from bot.core.runs import Run
from bot.core.selection import Selection
from bot.core.text import plain
from bot.core.versions import Version, parse_version
from bot.errors import BotError

State = Literal["current", "due", "proposed", "cooling", "declined", "not ready", "blocked", "alarm", "unknown"]

_SAID = 300
_ON_PURPOSE = ("outside the allowed range", "on hold")
_NOT_FOUND_OUT = frozenset({1, 4, 7})
"""Exit codes of a decision that could not be made, as against one that refuses."""


class Opened(msgspec.Struct, frozen=True):
    """An open proposal. `stopped`: its label keeps the bot away from it.

    `theirs`: the last commit on its branch is not the bot's; None where that is not known.
    """

    number: int
    title: str
    url: str
    ref: str
    since: datetime | None
    draft: bool
    stopped: bool
    theirs: bool | None = None


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


class Standing(msgspec.Struct, frozen=True):
    """An alarm that stands, and the open issue that says what to do about it."""

    question: Question
    subject: str
    seen: str
    since: datetime
    number: int
    issue: str
    """Its address."""

    @classmethod
    def of(cls, alarm: Alarm, issue: Issue) -> Standing:
        seen, subject = plain(alarm.seen, 500), plain(alarm.subject, 100)
        return cls(alarm.question, subject, seen, alarm.since, issue.number, issue.url)


class Status(msgspec.Struct, frozen=True):
    """All images, the last run of the workflow that looks after them, the alarms that stand, and what is not known."""

    repository: str
    images: tuple[Row, ...]
    workflow: str
    last_run: Run | None
    not_known: tuple[NotAsked, ...] = ()
    dashboard: str = ""
    """The address of the issue that says the same, where it was published."""
    alarms: tuple[Standing, ...] = ()
    no_workflow: bool = False
    """Whether GitHub knows no workflow of that name, so that none has run."""

    @property
    def exit_code(self) -> int:
        """That of the first thing that could not be found out; what was found out is no failure of this command."""
        codes = [row.exit_code for row in self.images] + [missing.exit_code for missing in self.not_known]
        return next((code for code in codes if code), 0)


def row(
    image: Image,
    outcome: Outcome,
    pulls: Sequence[PullRequest] | NotAsked,
    alarms: Iterable[Standing],
    head: Commit | NotAsked | None = None,
    rollbacks: Sequence[PullRequest] = (),
) -> Row:
    """Where an image stands. `pulls`: all from its branch, newest first, or why they are not known.

    `head`: the last commit on its branch; None where there is no branch. `rollbacks`: all from the branch of those.
    """
    shown = () if isinstance(pulls, NotAsked) else tuple(pulls)
    current, selection = outcome.current, outcome.selection
    state, said, next_step = _state(outcome, pulls, head)
    alarm = next((alarm for alarm in alarms if alarm.subject == image.name and alarm.question != "schedule"), None)
    if alarm is not None and state != "unknown":
        state, said, next_step = "alarm", plain(alarm.seen, _SAID), f"What to do stands in #{alarm.number}."
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
        proposals=(
            *(_opened(pull, head) for pull in shown if pull.is_open),
            *(_opened(pull, None) for pull in rollbacks if pull.is_open),
        ),
        cooling=_cooling(selection, image.policy) if selection is not None else None,
        passed_over=(*_declined(shown, above), *(_outside(selection, above) if selection else ())),
    )


def merged_gaps(found: Iterable[NotAsked]) -> tuple[NotAsked, ...]:
    """What one error leaves unknown as one."""
    whats: dict[tuple[str, str, int], list[str]] = {}
    for each in found:
        whats.setdefault((each.why, each.next_step, each.exit_code), []).append(each.what)
    return tuple(NotAsked(", ".join(what), *rest) for rest, what in whats.items())


def is_theirs(head: Commit | NotAsked | None, pulls: Sequence[PullRequest]) -> bool:
    """Whether the bot leaves the branch alone, as far as its last commit tells.

    Nobody may have asked it to go on, and what was merged or withdrawn may still be there. It is a hint: where only
    the base was merged into the branch, the bot knows its own work behind that.
    """
    if not isinstance(head, Commit):
        return False
    last = opened(pulls) or next(iter(pulls), None)
    if last is not None and last.to_rebase:
        return False
    if last is not None and last.is_open:
        return not is_ours(head)
    settled = any(pull.head_sha == head.sha for pull in pulls if pull.merged or pull.withdrawn)
    return not settled and (not is_ours(head) or keeps(head))


def _state(
    outcome: Outcome, pulls: Sequence[PullRequest] | NotAsked, head: Commit | NotAsked | None
) -> tuple[State, str, str]:
    match outcome:
        case Plan():
            return _of_plan(outcome, pulls, head)
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


def _of_plan(
    plan: Plan, pulls: Sequence[PullRequest] | NotAsked, head: Commit | NotAsked | None
) -> tuple[State, str, str]:
    ref = plan.candidate.pin.ref
    if isinstance(pulls, NotAsked):
        if pulls.exit_code:
            return "unknown", f"{ref} is there; whether it is proposed is not known", pulls.next_step
        return "due", f"{ref}; whether it is proposed was not asked", pulls.next_step
    pull, refusal = opened(pulls), declined(pulls, plan.candidate.pin.digest)
    if pull is not None:
        return _of_open(plan, pull, refusal, head, theirs=is_theirs(head, pulls))
    if refusal is not None:
        return "declined", f"{ref} in #{refusal.number}", ""
    if is_theirs(head, pulls):
        name, last = branch_name(plan.image.name), next(iter(pulls), None)
        step = f"Delete branch {name} to let the bot go on"
        asks = f", or give #{last.number} the label `{REBASE}`" if last is not None else ""
        return "due", f"{ref} is not proposed: the last commit on {name} is not the bot's", f"{step}{asks}."
    return "due", f"{ref} is not proposed yet", "The next run proposes it, if every gate passes: gateway-bot propose."


def _of_open(
    plan: Plan, pull: PullRequest, refusal: PullRequest | None, head: Commit | NotAsked | None, *, theirs: bool
) -> tuple[State, str, str]:
    number, ref = f"#{pull.number}", plan.candidate.pin.ref
    other = pull.part.ref if pull.part is not None and pull.digest != plan.candidate.pin.digest else ""
    said = f"in {number}, which says {plain(other, 60)}" if other else f"in {number}"
    if pull.stopped:
        return "proposed", f"{said}, stopped by its label", f"Decide on {number}."
    if other and refusal is not None:
        return "proposed", f"{said}; {ref} was declined in #{refusal.number}", f"Review {number}."
    if theirs:
        return (
            "proposed",
            f"{said}; the last commit on its branch is not the bot's, so the bot leaves it",
            f"Merge {number}, or give it the label `{REBASE}`: the bot then goes on, on top of that commit.",
        )
    if not other:
        return "proposed", said, f"Review {number}."
    if isinstance(head, NotAsked):
        return "proposed", f"{said}; whether the bot may move it to {ref} is not known", f"Review {number}."
    return "proposed", f"{said}: the next run moves it to {ref}", f"Review {number}."


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


def _opened(pull: PullRequest, head: Commit | NotAsked | None) -> Opened:
    ref = plain(pull.part.ref, 60) if pull.part else ""
    theirs = not is_ours(head) if isinstance(head, Commit) and head.sha == pull.head_sha else None
    since = moment(pull.created)
    return Opened(pull.number, plain(pull.title, 200), pull.url, ref, since, pull.draft, pull.stopped, theirs)


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
    found = [entry for entry in selection.considered if entry.reason.startswith(_ON_PURPOSE)]
    return [Passed(plain(entry.ref, 60), plain(entry.reason, 200)) for entry in found if _is_above(entry.ref, above)]


def _is_above(ref: str, current: Version | None) -> bool:
    version = parse_version(ref)
    return version is not None and (current is None or version > current)


def _moment(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
