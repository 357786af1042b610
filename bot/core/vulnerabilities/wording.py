"""Findings in words. Ids and names of packages are strangers' texts, and what is said here stands in Markdown too."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from bot.core.text import plain
from bot.core.vulnerabilities.findings import Change

_ODD = re.compile(r"[^\w.+:/,()\-\u2011\uff00-\uffef ]+|_(?![A-Za-z0-9])|(?<![A-Za-z0-9])_")


def name_of(text: str, limit: int = 80) -> str:
    """An id, a package's name or a version: nothing in it acts, on a terminal or as Markdown."""
    from bot.core.notes.neutral import unlinked  # noqa: PLC0415 - a run that finds nothing new names nothing

    return _ODD.sub("?", unlinked(plain(text, limit))) or "?"


def named(changes: Sequence[Change], limit: int) -> str:
    """The first of them, each with severity, package and platforms."""
    return joined((_one(change) for change in changes), limit)


def joined(words: Iterable[str], limit: int = 20) -> str:
    """`a, b and 3 more`."""
    each = list(words)
    more = f" and {len(each) - limit} more" if len(each) > limit else ""
    return ", ".join(each[:limit]) + more


def count(number: int, thing: str) -> str:
    """`1 package`, `2 packages`."""
    return f"{number} {thing}{'s' * (number != 1)}"


def _one(change: Change) -> str:
    was = f" (was {change.was})" if change.was else ""
    where = joined(map(str, change.platforms), 4)
    return f"{name_of(change.id)} {change.severity}{was} in {name_of(change.package)} on {where}"
