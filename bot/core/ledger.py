"""The ledger of one image's pins: which pin the base had from when to when, and by which of our tags it was released.

Its order is that of the base's first-parent line, newest first, and never that of dates, which anybody may set. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Literal

import msgspec

from bot.core.holds import hold_on
from bot.core.model import Hold, Pin
from bot.core.release.ours import our_tag
from bot.core.versions import Version

State = Literal["current", "known good", "on hold", "never released"]


class OurRelease(msgspec.Struct, frozen=True):
    """A git tag of a release of ours, `v1.2.3`, with the pin of the tree that it names.

    `date` (UTC) and `by` are the tagger's; of a tag without one they are those of its commit. Names are strangers'
    text, without an address.
    """

    tag: str
    commit: str
    """Full hash; empty where the tag names no commit."""
    date: datetime
    by: str
    on_base: bool
    """Whether the base reaches the commit, by whichever parents."""
    pin: Pin | None
    unknown: str = ""
    """Why the pin is not known; empty where it is."""

    @property
    def version(self) -> Version:
        """Of the project, not of the image."""
        return our_tag(self.tag).version


class Entry(msgspec.Struct, frozen=True):
    """A stretch of the base's first-parent line with one pin; `commit` is the one that brought it.

    `by` is who brought it there, `subject` the first line of that commit: strangers' text.
    """

    pin: Pin
    commit: str
    date: datetime
    """UTC, of the commit."""
    by: str
    subject: str
    file: str
    """Where the pin was read."""
    pull_request: int | None = None
    gates: tuple[tuple[str, str], ...] = ()
    """Name and verdict of each gate of the proposal, as its commit says; empty where none does."""
    releases: tuple[OurRelease, ...] = ()
    """Our tags that the base reaches and that have this pin, newest first."""
    until: datetime | None = None
    """UTC, when the next entry replaced it; None for the newest."""
    cut: bool = False
    """Its beginning was not fetched: it is at least as old as `commit`, which need not have brought it."""


class Ledger(msgspec.Struct, frozen=True):
    """All entries, newest first: the first is the current one.

    `elsewhere` are our tags that belong to no entry, `lacks` what is not known, each with how to get it.
    """

    image: str
    base: str
    entries: tuple[Entry, ...]
    elsewhere: tuple[OurRelease, ...] = ()
    lacks: tuple[str, ...] = ()
    whole: bool = True
    """Whether all of the base's history is here, and the files of it."""
    unreadable: str = ""
    """Why no pin could be read at the end of the base: then the first entry is the last that was there."""

    @property
    def current(self) -> Entry | None:
        """What the base pins now; None where nothing could be read there."""
        return self.entries[0] if self.entries and not self.unreadable else None


def states(entry: Entry, ledger: Ledger, holds: Sequence[Hold], today: date) -> tuple[State, ...]:
    """All that is so of an entry on this day (UTC), at least one. It can be current and on hold at once."""
    held = _on_hold(entry, holds, today)
    found: tuple[tuple[State, bool], ...] = (
        ("current", entry == ledger.current),
        ("known good", known_good(entry, holds, today)),
        ("on hold", held),
        ("never released", not entry.releases),
    )
    return tuple(state for state, is_so in found if is_so)


def known_good(entry: Entry, holds: Sequence[Hold], today: date) -> bool:
    """Whether it was released by a tag that the base reaches, and is not on hold."""
    return bool(entry.releases) and not _on_hold(entry, holds, today)


def previous(ledger: Ledger, holds: Sequence[Hold], today: date) -> Entry | None:
    """Where a rollback goes that names no version: the newest known-good entry before the first.

    It is another image, and of no higher version: an entry that was left for an older one was rolled back from, and
    going back never goes up by itself.
    """
    if not ledger.entries:
        return None
    left, *before = ledger.entries
    return next(
        (
            entry
            for entry in before
            if entry.pin.digest != left.pin.digest
            and entry.pin.version <= left.pin.version
            and known_good(entry, holds, today)
        ),
        None,
    )


def _on_hold(entry: Entry, holds: Sequence[Hold], today: date) -> bool:
    return hold_on(holds, entry.pin.version, entry.pin.digest, today) is not None
