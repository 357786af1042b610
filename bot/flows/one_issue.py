"""The one open issue of a topic: found, opened, and made one again where there are two.

GitHub knows no issue that there may be only once. So it is looked for by its label and by its part, two runs at once
look again after they opened one, and the younger of two is closed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from bot.core.issue_text import Issue, State, Topic, duplicate, is_duplicate, is_ours, part_of, with_part
from bot.errors import ForgeError


class Issues(Protocol):
    """The repository's issues."""

    def labelled(self, label: str) -> Sequence[Issue]:
        """Those with this label, open and closed, newest first."""
        ...

    def latest(self, *, closed: bool) -> Sequence[Issue]:
        """The open ones, and the closed ones too where that is asked; those that changed last first."""
        ...

    def read(self, number: int) -> Issue | None:
        """None where it is gone."""
        ...

    def open(self, title: str, body: str, label: str, look: Callable[[], Issue | None]) -> Issue:
        """Open one; after a doubtful answer `look` says what became of it."""
        ...

    def edit(self, number: int, body: str, state: State | None = None) -> None: ...

    def comment_once(self, number: int, text: str, mark: str, since: datetime) -> None: ...


def find(issues: Issues, topic: Topic, *, needed: bool) -> Issue | None:
    """The open issue of a topic, or the one that was closed last; None where there is none.

    `needed`: one would be opened otherwise, so it is looked for thoroughly. Where somebody took the label off, it is
    known by the bot's part.
    """
    found = {issue.number: issue for issue in issues.labelled(topic.label) if is_ours(issue, topic)}
    if not any(issue.is_open for issue in found.values()):
        others = issues.latest(closed=needed and not found)
        found |= {issue.number: issue for issue in others if is_ours(issue, topic)}
    opened = _first_open(issues, topic, found.values())
    if opened is not None:
        return opened
    closed = [issue for issue in found.values() if not is_duplicate(issue, topic)]
    return max(closed, key=lambda issue: issue.number, default=None)


def open_one(issues: Issues, topic: Topic, memory: bytes, text: str) -> Issue:
    """Open the issue, and return the one that stays if somebody else did so at the same time."""

    def look() -> Issue | None:
        found = find(issues, topic, needed=True)
        return found if found is not None and found.is_open else None

    made = issues.open(topic.title, with_part("", topic, memory, text), topic.label, look)
    there = [issue for issue in issues.labelled(topic.label) if is_ours(issue, topic) and issue.number != made.number]
    return _first_open(issues, topic, [made, *there]) or made


def rewrite(issues: Issues, issue: Issue, topic: Topic, memory: bytes, text: str, state: State | None = None) -> Issue:
    """Give the issue this part, and open or close it if that is asked. Raises ForgeError where there is no room."""
    try:
        body = with_part(issue.body, topic, memory, text)
    except ValueError as error:
        raise ForgeError(
            f"the bot's part does not fit into #{issue.number}: {error}",
            where=issue.url,
            next_step="Make what stands beside the bot's part shorter.",
        ) from None
    issues.edit(issue.number, body, state)
    is_open = issue.is_open if state is None else state == "open"
    return msgspec.structs.replace(issue, body=body, is_open=is_open)


def _first_open(issues: Issues, topic: Topic, found: Iterable[Issue]) -> Issue | None:
    """The oldest one that is open; those that the bot opened beside it are closed."""
    there = sorted((issue for issue in found if issue.is_open), key=lambda issue: issue.number)
    for issue in there[1:]:
        if part_of(issue.body, topic) is not None:
            issues.edit(issue.number, duplicate(issue, topic, there[0].number), "not_planned")
    return there[0] if there else None
