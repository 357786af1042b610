"""The holds of a rollback: what it puts on, what it takes off, and whether one led to a pin. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import msgspec

from bot.core.holds import from_to, hold_on, is_over, left_by, said
from bot.core.model import Hold, Pin, Policy, Release
from bot.core.selection import select
from bot.core.versions import parse_version
from bot.errors import PolicyError


def lifted_by(holds: Sequence[Hold], pin: Pin, today: date) -> tuple[Hold, ...]:
    """The holds of exactly this version, and of rollbacks, which end when somebody goes back to it by name.

    Raises PolicyError for one that a person made of a range: it speaks of others too.
    """
    found = []
    for hold in holds:
        if hold_on((hold,), pin.version, pin.digest, today) is None:
            continue
        if parse_version(hold.version) is None and hold.rolled_back_to is None:
            raise PolicyError(
                f"{pin.ref} is {said(hold)} (the range {hold.version})",
                where="gateway-bot.toml",
                next_step=f"Narrow that range by hand, or take it out: gateway-bot unhold '{hold.version}'",
            )
        found.append(hold)
    return tuple(found)


def hold_of(current: Pin, target: Pin, reason: str, lifted: Sequence[Hold], by_hand: Hold | None = None) -> Hold | None:
    """The hold of the newest version that is left; None where it goes up, as what is older is not proposed anyway.

    What lies above the target in a hold that is lifted stays on hold, for its own reason; what a person has on hold
    already, as long as they said. Of two images of one version only the one that is left is held.
    """
    if current.version == target.version:
        return Hold(str(current.version), reason, None, current.digest, target.ref, current.digest)
    until = by_hand.until if by_hand else None
    left = {current.version: Hold("", reason, until, rolled_back_from=current.digest)}
    left |= {newest: hold for hold in lifted if (newest := left_by(hold)) is not None}
    newest = max(left, key=lambda version: version.key)
    if newest <= target.version:
        return None
    return msgspec.structs.replace(left[newest], version=str(newest), rolled_back_to=target.ref)


def held_by_hand(current: Pin, holds: Sequence[Hold], today: date) -> Hold | None:
    """The hold of exactly the version that is pinned, which somebody made before going back from it."""
    exact = [hold for hold in holds if parse_version(hold.version) == current.version and not is_over(hold, today)]
    return next((hold for hold in exact if hold.digest in {None, current.digest}), None)


def widened(
    hold: Hold, target: Pin, policy: Policy, lifted: Sequence[Hold], releases: Sequence[Release] | None, now: datetime
) -> Hold:
    """The same, with what the next run would propose in its place: going from 1.4 to 1.2 is no wish for 1.3.

    `releases` are upstream's; None where it does not answer: then all that may lie between is on hold.
    """
    left = parse_version(hold.version)
    if left is None or left == target.version or left.prerelease or target.version.prerelease:
        return hold  # a range knows of no images and no prereleases
    if releases is None:
        return msgspec.structs.replace(hold, version=from_to(f">{target.version.base}", left))
    then = msgspec.structs.replace(
        policy, cooldown=timedelta(0), holds=tuple(each for each in policy.holds if each not in lifted)
    )
    allowed = {entry.ref for entry in select(releases, target, then, None, now).considered if entry.allowed}
    found = [each.version for each in releases if each.ref in allowed and each.version is not None]
    oldest = min(found, key=lambda version: version.key, default=left)
    return msgspec.structs.replace(hold, version=from_to(f">={oldest.base}", left)) if oldest < left else hold


def is_rolled_back_to(holds: Sequence[Hold], current: Pin, today: date) -> Hold | None:
    """The hold of the rollback that went to this very pin, as long as it holds."""
    return next(
        (
            hold
            for hold in holds
            if hold.rolled_back_to == current.ref
            and not is_over(hold, today)
            and (left := left_by(hold)) is not None
            and current.version < left
        ),
        None,
    )


def reason_of(given: str, target: Pin, by_hand: Hold | None, today: date) -> str:
    """What is written down as the reason, also where nobody gave one."""
    said = " ".join(given.split()) or (by_hand.reason if by_hand else "")
    return said or f"rolled back to {target.ref} on {today}, without a reason given"
