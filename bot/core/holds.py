"""Which versions are on hold, and why: they are neither proposed nor released. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from bot.core.model import Hold
from bot.core.reference import Digest
from bot.core.versions import Version, parse_version


def hold_on(holds: Sequence[Hold], version: Version, digest: Digest | None, today: date) -> Hold | None:
    """The first hold that holds this version today (in UTC); one that names a digest holds that image only."""
    return next((hold for hold in holds if _holds(hold, version, digest, today)), None)


def said(hold: Hold) -> str:
    """Why, and until when, in one line."""
    return f"on hold{f' through {hold.until}' if hold.until else ''}: {hold.reason}"


def _holds(hold: Hold, version: Version, digest: Digest | None, today: date) -> bool:
    if hold.until is not None and today > hold.until:
        return False
    return hold.digest in {None, digest} and _names(hold.version, version)


def _names(text: str, version: Version) -> bool:
    exact = parse_version(text)
    if exact is not None:
        return exact == version
    from packaging.specifiers import SpecifierSet  # noqa: PLC0415 - only where a range is on hold

    return SpecifierSet(text).contains(version.base)
