"""Which versions are on hold, and why: they are neither proposed nor released. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from shlex import quote
from typing import TYPE_CHECKING

from bot.core.model import Hold, Pin
from bot.core.reference import Digest
from bot.core.versions import Version, parse_version

_NEWEST_OF = re.compile(r">=?[0-9.]+,<=([0-9.]+)")

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet


def hold_on(holds: Sequence[Hold], version: Version, digest: Digest | None, today: date) -> Hold | None:
    """The first hold that holds this version today (in UTC); one that names a digest holds that image only."""
    return next((hold for hold in holds if _holds(hold, version, digest, today)), None)


def said(hold: Hold) -> str:
    """Why, and until when, in one line."""
    return f"on hold{f' through {hold.until}' if hold.until else ''}: {hold.reason}"


def unhold_command(image: str, hold: Hold) -> str:
    """What takes it off, to be pasted into a shell."""
    by_digest = f" --digest {hold.digest}" if hold.digest else ""
    return f"gateway-bot unhold {quote(hold.version)}{by_digest} --image {image}"


def is_over(hold: Hold, today: date) -> bool:
    """Whether its last day (in UTC) has passed."""
    return hold.until is not None and today > hold.until


def names_versions(text: str) -> bool:
    """Whether a hold can be of this: a version, or a range as packaging.specifiers reads it."""
    if parse_version(text) is not None:
        return True
    from packaging.specifiers import InvalidSpecifier  # noqa: PLC0415 - only where a range is on hold

    try:
        return bool(str(_specifiers(text)))
    except InvalidSpecifier:
        return False


def names(text: str, version: Version) -> bool:
    """Whether a hold of this version or range is one of that version."""
    exact = parse_version(text)
    return exact == version if exact is not None else _specifiers(text).contains(version.base)


def same_versions(text: str, other: str) -> bool:
    """Whether two texts name the same version or range, however they are spelled. Each names versions."""
    exact, exactly = parse_version(text), parse_version(other)
    if exact is None and exactly is None:
        return _specifiers(text) == _specifiers(other)
    return exact == exactly


def covering(holds: Sequence[Hold], hold: Hold, today: date) -> Hold | None:
    """Another hold for which this one holds nothing more; None where none is known to.

    Whether one range lies within another is only known of the same range.
    """
    exact = parse_version(hold.version)
    for other in holds:
        if same_versions(other.version, hold.version) and other.digest == hold.digest:
            continue
        lasts = other.until is None or (hold.until is not None and hold.until <= other.until)
        wider = other.digest in {None, hold.digest}
        within = names(other.version, exact) if exact else same_versions(other.version, hold.version)
        if within and wider and lasts and not is_over(other, today):
            return other
    return None


def ended(
    holds: Sequence[Hold], current: Pin, versions: Sequence[Version], candidate: Pin | None, today: date
) -> tuple[Hold, ...]:
    """The holds that are over and that kept back something newer than the pin, which nothing keeps back now.

    `versions` are upstream's; only of the candidate's is the digest known.
    """
    newer = {version: None for version in versions if version > current.version}
    found = [hold for hold in holds if is_over(hold, today)]
    return tuple(hold for hold in found if any(_let_go(hold, holds, version, candidate, today) for version in newer))


def left_by(hold: Hold) -> Version | None:
    """The version that a rollback left and put on hold; None where the hold is of no rollback."""
    if hold.rolled_back_to is None:
        return None
    newest = _NEWEST_OF.fullmatch(hold.version)
    return parse_version(newest[1] if newest else hold.version)


def from_to(oldest: str, newest: Version) -> str:
    """The range of a rollback's hold: from a lower bound, such as `>=1.4.0`, through the version that was left."""
    return f"{oldest},<={newest.base}"


def rollbacks(holds: Sequence[Hold], current: Pin, candidate: Pin) -> tuple[Hold, ...]:
    """The holds of rollbacks that this upgrade replaces, whether they still hold or not.

    It leaves the very release that a rollback went to, or goes to or past a version that was rolled back from.
    """
    return tuple(hold for hold in holds if _is_replaced(hold, current, candidate))


def _is_replaced(hold: Hold, current: Pin, candidate: Pin) -> bool:
    if hold.rolled_back_to is None:
        return False
    left = left_by(hold)
    if left is not None and not current.version < left:
        return False
    went_to = parse_version(hold.rolled_back_to)
    return went_to == current.version or (left is not None and left <= candidate.version)


def _let_go(hold: Hold, holds: Sequence[Hold], version: Version, candidate: Pin | None, today: date) -> bool:
    digest = candidate.digest if candidate is not None and candidate.version == version else None
    other_image = digest is not None and hold.digest is not None and hold.digest != digest
    return names(hold.version, version) and not other_image and hold_on(holds, version, digest, today) is None


def _holds(hold: Hold, version: Version, digest: Digest | None, today: date) -> bool:
    if is_over(hold, today):
        return False
    same_image = digest is not None and digest == hold.rolled_back_from
    return same_image or (hold.digest in {None, digest} and names(hold.version, version))


def _specifiers(text: str) -> SpecifierSet:
    from packaging.specifiers import SpecifierSet  # noqa: PLC0415 - only where a range is on hold

    return SpecifierSet(text)
