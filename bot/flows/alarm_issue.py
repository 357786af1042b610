"""Keep one alarm issue, and tell a webhook what it says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import msgspec

from bot.core import alarm_text
from bot.core.alarm import (
    ALARM,
    Action,
    Alarm,
    Answer,
    Close,
    Leave,
    Memory,
    Reopen,
    Update,
    fingerprint,
    next_action,
    remembered,
    standing,
    to_keep,
    to_tell,
)
from bot.core.issue_text import Issue, State, part_of, room
from bot.core.moment import BEGINNING
from bot.errors import BotError, ForgeError
from bot.flows.one_issue import Issues, find, open_one, rewrite

_ATTEMPTS = 3
_MARGIN = timedelta(days=1)
"""How far GitHub's clock and ours may be apart."""

Tell = Callable[[str], None]
"""Tells the webhook. Raises ServiceError."""


class Kept(msgspec.Struct, frozen=True):
    """The issue as it is now, the alarms that stand, what was done, and what could not be."""

    issue: Issue | None
    alarms: tuple[Alarm, ...]
    did: str = ""
    failed: BotError | None = None

    @property
    def acknowledged(self) -> bool:
        """Whether a person has closed the issue while it is not over."""
        return self.issue is not None and not self.issue.is_open


class _Change(msgspec.Struct, frozen=True):
    """What the issue is to remember and to be, and what is said of that."""

    memory: Memory
    did: str
    comment: str = ""
    mark: str = ""
    state: State | None = None


def keep(answers: Sequence[Answer], issues: Issues, tell: Tell | None, repository: str, now: datetime) -> Kept:
    """Bring the alarm issue to what was found, then tell the webhook what it does not know. Raises BotError.

    Without an alarm and without an issue nothing is written. Each write leaves a state from which the next run goes
    on: a comment is found again by its mark, and what the webhook was told stands in the issue.
    """
    alarmed = any(isinstance(answer, Alarm) for answer in answers)
    issue = find(issues, ALARM, needed=alarmed)
    for _ in range(_ATTEMPTS):
        memory = remembered(issue)
        there = standing(memory.alarms, answers)
        action = next_action(issue, memory, there)
        if issue is None or isinstance(action, Leave):
            kept = Kept(issue, there) if isinstance(action, Leave) else _opened(there, issues, now)
            return _told(kept, issues, tell, repository)
        change = _change(action, memory, there, now)
        fresh = issues.read(issue.number)
        if change.comment and _is_as_decided(fresh, issue):
            since = max(memory.changed, BEGINNING) - _MARGIN
            issues.comment_once(issue.number, change.comment, change.mark, since)
            fresh = issues.read(issue.number)  # a comment takes its time: what a person wrote or closed meanwhile stays
        if fresh is not None and _is_as_decided(fresh, issue):
            return _told(_written(change, fresh, issues), issues, tell, repository)
        issue = fresh if fresh is not None else find(issues, ALARM, needed=alarmed)
    raise ForgeError(
        "somebody else keeps changing the alarm issue",
        where=issue.url if issue is not None else repository,
        next_step="Nothing was overwritten. Run it again when the other run is done.",
    )


def _is_as_decided(fresh: Issue | None, decided: Issue) -> bool:
    """Whether nothing has changed by which it was decided; other words of a person's do not matter."""
    return fresh is not None and (remembered(fresh), fresh.is_open) == (remembered(decided), decided.is_open)


def _opened(there: tuple[Alarm, ...], issues: Issues, now: datetime) -> Kept:
    memory = Memory(there, 1, now)
    encoded = to_keep(memory)
    made = open_one(issues, ALARM, encoded, alarm_text.issue_text(memory, room("", ALARM, encoded)))
    return Kept(made, there, f"#{made.number} is open for it")


def _change(action: Action, before: Memory, there: tuple[Alarm, ...], now: datetime) -> _Change:
    memory = Memory(there, before.turn + 1, now, before.told)
    mark = f"<!-- gateway-bot:alarm:{memory.turn}:{fingerprint(there)} -->"
    match action:
        case Reopen():
            comment = alarm_text.news(alarm_text.unknown_before(there, before.alarms), mark)
            return _Change(memory, "opened again", comment, mark, "open")
        case Close():
            over = alarm_text.over(before.alarms, now, mark)
            return _Change(memory, "closed, since it is over", over, mark, "completed")
        case Update(news) if news:
            return _Change(memory, "updated", alarm_text.news(news, mark), mark)
        case _:
            return _Change(memory, "updated")


def _written(change: _Change, issue: Issue, issues: Issues) -> Kept:
    """Everything but the comment, in one write."""
    encoded = to_keep(change.memory)
    text = alarm_text.issue_text(change.memory, room(issue.body, ALARM, encoded))
    kept = rewrite(issues, issue, ALARM, encoded, text, change.state)
    return Kept(kept, change.memory.alarms, f"#{issue.number} {change.did}")


def _told(kept: Kept, issues: Issues, tell: Tell | None, repository: str) -> Kept:
    """Told first and written down then: where the run ends in between, it is told twice rather than never."""
    issue = kept.issue
    memory = remembered(issue)
    if tell is None or issue is None or not to_tell(issue, memory):
        return kept
    try:
        tell(alarm_text.told(memory, repository, issue.url))
    except BotError as error:
        return msgspec.structs.replace(kept, failed=error)
    fresh = issues.read(issue.number) or issue
    part = part_of(fresh.body, ALARM)
    if part is None:
        return kept
    memory = msgspec.structs.replace(remembered(fresh), told=fingerprint(memory.alarms))
    written = rewrite(issues, fresh, ALARM, to_keep(memory), part.text)
    return Kept(written, kept.alarms, ", ".join(filter(None, (kept.did, "the webhook was told"))))
