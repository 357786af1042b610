"""Times of day that others say: in UTC, and near enough to count with. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

BEGINNING = datetime(2008, 1, 1, tzinfo=UTC)
"""Before it there is nothing on GitHub."""

_END = datetime(3000, 1, 1, tzinfo=UTC)


def moment(said: datetime | None) -> datetime | None:
    """The same time in UTC; None where it names no offset, or a time when nothing can have happened.

    With years 1 and 9999 nobody can count: an offset, or a minute more, leads out of what a datetime holds.
    """
    if said is None or said.tzinfo is None or not BEGINNING <= said < _END:
        return None
    return said.astimezone(UTC)
