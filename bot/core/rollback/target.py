"""Where a rollback goes: an entry of the ledger, by itself or by name; and what there is else. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import msgspec

from bot.core.holds import hold_on, names, said
from bot.core.ledger import Entry, Ledger, known_good, previous
from bot.core.model import Hold, Pin
from bot.core.rollback.back import Wish
from bot.core.text import plain
from bot.core.versions import Version, parse_version
from bot.errors import BotError, PolicyError, ReleaseError

_LISTED = 8


def choose(ledger: Ledger, current: Pin, holds: Sequence[Hold], wish: Wish, today: date) -> Entry:
    """The pin to go back to. Raises PolicyError or ReleaseError where there is none, or not the one that was named."""
    if wish.to is None:
        if not ledger.whole:
            raise _incomplete(ledger)
        found = previous(_since(ledger, current), holds, today)
        if found is None:
            raise _no_previous(ledger, current, holds, today)
        return found
    version = parse_version(wish.to)
    found = _named(ledger, version, current, holds, today) if version is not None else None
    if found is not None:
        return found
    what = f"{wish.to} was never pinned on {ledger.base}"
    ways = f"{_ours(ledger, version)}{_ways(ledger, current, holds, today)} `gateway-bot history` shows all."
    if not ledger.whole:
        raise ReleaseError(f"{what}, as far as its history is here: {_lacking(ledger)}", where="--to", next_step=ways)
    raise PolicyError(what, where="--to", next_step=ways)


def _named(ledger: Ledger, version: Version, current: Pin, holds: Sequence[Hold], today: date) -> Entry | None:
    """The newest entry of this version, of several images of it one that is known good, else one that is not on hold.

    What is current is the last resort, but for what the base does not reach.
    """
    entries = [entry for entry in ledger.entries if entry.pin.version == version]
    best = min(entries, key=lambda entry: _rank(entry, current, holds, today), default=None)
    return best or _released_elsewhere(ledger, version)


def _rank(entry: Entry, current: Pin, holds: Sequence[Hold], today: date) -> tuple[bool, bool, bool]:
    """The best of several images of one version first."""
    held = hold_on(holds, entry.pin.version, entry.pin.digest, today) is not None
    return entry.pin.digest == current.digest, held, not entry.releases


def went_back(ledger: Ledger, current: Pin, holds: Sequence[Hold]) -> str:
    """Why nobody goes back from here once more without saying where to: the base does not know of the first time yet.

    Empty where that is not so.
    """
    base = ledger.current
    if base is None or base.pin.digest == current.digest:
        return ""
    by_rollback = any(hold.rolled_back_to == current.ref and names(hold.version, base.pin.version) for hold in holds)
    if not by_rollback:
        return ""
    return (
        f"this checkout went back from {base.pin.ref} to {current.ref}, and {ledger.base} has not: commit that, or "
        "name with --to where to go"
    )


def older_good(ledger: Ledger, current: Pin, holds: Sequence[Hold], today: date, but: Pin) -> tuple[Entry, ...]:
    """The other known-good pins, newest first, for who has to look further."""
    found: dict[str, Entry] = {}
    for entry in _since(ledger, current).entries[1:]:
        other = entry.pin.digest not in {but.digest, current.digest} and entry.pin.version < current.version
        if other and known_good(entry, holds, today):
            found.setdefault(entry.pin.digest, entry)
    return tuple(found.values())[:_LISTED]


def released_as(entry: Entry) -> str:
    """The newest release of ours with this pin, in words."""
    release = next(iter(entry.releases), None)
    return f"{release.tag} of {release.date:%Y-%m-%d} by {plain(release.by, 80)}" if release else ""


def _released_elsewhere(ledger: Ledger, version: Version) -> Entry | None:
    """A release of ours with that version that the base does not reach: it has another history now, or never had it."""
    for release in ledger.elsewhere:
        if release.pin is not None and release.pin.version == version:
            return Entry(release.pin, release.commit, release.date, release.by, "", "", releases=(release,))
    return None


def _since(ledger: Ledger, current: Pin) -> Ledger:
    """The ledger from the pin on that is current here: a checkout may be behind its base, or ahead of it."""
    at = next((number for number, entry in enumerate(ledger.entries) if entry.pin.digest == current.digest), None)
    if at is not None:
        return msgspec.structs.replace(ledger, entries=ledger.entries[at:])
    if not ledger.entries:
        return ledger
    now = msgspec.structs.replace(ledger.entries[0], pin=current, releases=(), commit="", subject="", gates=())
    return msgspec.structs.replace(ledger, entries=(now, *ledger.entries))


def _no_previous(ledger: Ledger, current: Pin, holds: Sequence[Hold], today: date) -> BotError:
    what = f"there is no known-good pin before {current.ref}: none that is older was released and is not on hold"
    lacking = f" Not known: {_lacking(ledger)}." if ledger.lacks else ""
    return PolicyError(what, where=ledger.base, next_step=f"{_ways(ledger, current, holds, today)}{lacking}")


def _incomplete(ledger: Ledger) -> BotError:
    """Which pin was the last good one is not guessed from half a history."""
    return ReleaseError(
        f"which pin was the last known-good one cannot be told: {_lacking(ledger)}",
        where=ledger.base,
        next_step="Get that, and run it again; or name the version with --to.",
    )


def _lacking(ledger: Ledger) -> str:
    return "; ".join(plain(lack, 300) for lack in ledger.lacks)


def _ours(ledger: Ledger, version: Version | None) -> str:
    """That a version is not the image's, but one of our own releases."""
    releases = (release for entry in ledger.entries for release in entry.releases)
    found = next((release for release in releases if release.version == version and release.pin is not None), None)
    if found is None or found.pin is None:
        return ""
    return f"{found.tag} is a release of yours, which has {found.pin.ref}: --to names the image's version. "


def _ways(ledger: Ledger, current: Pin, holds: Sequence[Hold], today: date) -> str:
    """What there is to go back to by name."""
    seen: dict[Version, str] = {}
    for entry in sorted(ledger.entries, key=lambda entry: _rank(entry, current, holds, today)):
        if entry.pin.version in seen or entry.pin.digest == current.digest:
            continue
        held = hold_on(holds, entry.pin.version, entry.pin.digest, today)
        state = said(held) if held else f"released as {entry.releases[0].tag}" if entry.releases else "never released"
        seen[entry.pin.version] = f"{entry.pin.ref} ({plain(state, 120)})"
    newest_first = sorted(seen, key=lambda version: version.key, reverse=True)
    listed = "; ".join(seen[version] for version in newest_first[:_LISTED])
    return f"By name there is, with --to: {listed}." if listed else "Nothing else was ever pinned here."
