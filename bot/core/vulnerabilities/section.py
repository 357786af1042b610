"""The vulnerabilities of an upgrade for a reader: Markdown for the pull request, lines for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from bot.core.model import ScanPolicy
from bot.core.notes.inline import link, words
from bot.core.text import plain
from bot.core.vulnerabilities.findings import Change, Changes
from bot.core.vulnerabilities.judge import ignore_of
from bot.core.vulnerabilities.wording import joined

LIMIT = 18_000
"""Characters of the Markdown at most: less than a third of what GitHub takes as a pull request's body."""

_SHOWN = 15
"""Rows that are not folded."""

_TABLE = 5_500
"""Characters of one table's rows."""

_LINES = 40

_Row = tuple[str, Change]

_HEAD = "| | vulnerability | package | fixed in | platforms |\n|---|---|---|---|---|"


def markdown(changes: Changes, policy: ScanPolicy, today: date) -> str:
    """What comes and what goes, the worst first, what stays folded; at most LIMIT characters, empty if there is none.

    Nothing in it acts or looks like Markdown that somebody else wrote; links lead to https only.
    """
    rows = [_row(label, change, policy, today) for label, change in _differences(changes)]
    staying = [_row("", change, policy, today) for change in changes.persisting]
    parts = [f"**Vulnerabilities**: {summary(changes)}."] if rows or staying else []
    if rows:
        shown = _fitting(rows[:_SHOWN])
        parts.append("\n".join((_HEAD, *shown)))
        if rest := rows[len(shown) :]:
            parts.append(_folded(f"{len(rest)} more that come or go", rest))
    if staying:
        parts.append(_folded(f"{len(staying)} that both images have", staying))
    return "\n\n".join(parts)


def lines(changes: Changes, policy: ScanPolicy, today: date) -> list[str]:
    """The same for a terminal, without ends of lines; empty where there are no findings."""
    rows = [*_differences(changes), *(("stays", change) for change in changes.persisting)]
    if not rows:
        return []
    width = max(len(label) for label, _ in rows[:_LINES])
    more = [f"  and {len(rows) - _LINES} more"] if len(rows) > _LINES else []
    shown = (f"  {label:<{width}}  {_line(change, policy, today)}" for label, change in rows[:_LINES])
    return [f"vulnerabilities: {summary(changes)}", *shown, *more]


def summary(changes: Changes) -> str:
    """`2 new, 1 escalated, 3 fixed, 4 stay`."""
    groups = (
        (changes.new, "new"),
        (changes.escalated, "escalated"),
        (changes.fixed, "fixed"),
        (changes.unseen, "no longer to be seen"),
        (changes.persisting, "in both images"),
    )
    return ", ".join(f"{len(group)} {word}" for group, word in groups if group) or "none"


def _differences(changes: Changes) -> list[_Row]:
    """What the upgrade brings stands before what it takes."""
    escalated = frozenset(changes.escalated)
    return [
        *(("escalated" if change in escalated else "new", change) for change in changes.worse),
        *(("fixed", change) for change in changes.fixed),
        *(("not seen", change) for change in changes.unseen),
    ]


def _row(label: str, change: Change, policy: ScanPolicy, today: date) -> str:
    name = link(plain(change.id, 60), change.url)
    title = f" {words(plain(change.title, 80))}" if change.title else ""
    package = f"{words(plain(change.package, 60))} {words(plain(change.installed, 40))}"
    fixed = words(plain(change.fixed, 40)) or "—"
    first = " ".join(filter(None, (f"**{label}**" if label else "", _rated(change, policy, today))))
    return f"| {first} | {name}{title} | {package} | {fixed} | {joined(map(str, change.platforms), 6)} |"


def _line(change: Change, policy: ScanPolicy, today: date) -> str:
    fixed = f" (fixed in {plain(change.fixed, 60)})" if change.fixed else ""
    title = f": {plain(change.title, 80)}" if change.title else ""
    return (
        f"{_rated(change, policy, today):<8}  {plain(change.id, 60)}  {plain(change.package, 60)} "
        f"{plain(change.installed, 60)}{fixed} on {joined(map(str, change.platforms), 6)}{title}"
    )


def _rated(change: Change, policy: ScanPolicy, today: date) -> str:
    was = f", was {change.was}" if change.was else ""
    ignore = ignore_of(change, policy, today)
    held = f", ignored through {ignore.until}" if ignore else ""
    return f"{change.severity}{was}{held}"


def _folded(title: str, rows: Sequence[str]) -> str:
    """As many rows as there is room for, and how many that are not."""
    shown = _fitting(rows)
    more = f"\n\nAnd {len(rows) - len(shown)} more." if len(shown) < len(rows) else ""
    table = "\n".join((_HEAD, *shown))
    return f"<details>\n<summary>{title}</summary>\n\n{table}{more}\n\n</details>"


def _fitting(rows: Sequence[str]) -> list[str]:
    room, shown = _TABLE, list[str]()
    for row in rows:
        room -= len(row) + 1
        if room < 0:
            break
        shown.append(row)
    return shown
