"""Releases and policy -> the candidate, or the reason why there is none; every release gets its reason. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import msgspec

from bot.core.advisories import advisory_in
from bot.core.holds import hold_on, said
from bot.core.model import Hold, Pin, Policy, Release
from bot.core.versions import Ref, Version, parse_version, why_no_release

_BELOW = 30
"""Releases that are looked at below the pin: upstreams do not publish that many between a line and its patch."""

_COOLING = "cooling"
_NEWEST = "the newest release that the policy allows"


class Considered(msgspec.Struct, frozen=True):
    """One release and why it was picked or passed over."""

    ref: Ref
    picked: bool
    reason: str
    allowed: bool = False
    """Whether the policy lets it be proposed today."""


class Selection(msgspec.Struct, frozen=True):
    """`release` is the newest that the policy allows, or None with the `reason` in words."""

    considered: tuple[Considered, ...]
    release: Release | None
    reason: str
    cooling: Release | None = None
    """The newest release that would be picked if it were old enough."""

    def cools(self, ref: str) -> bool:
        """Whether this release is not old enough yet."""
        return any(entry.ref == ref and entry.reason.startswith(_COOLING) for entry in self.considered)

    def stands(self, ref: str) -> bool:
        """Whether this release may be proposed, today or when it has cooled down."""
        return self.cools(ref) or any(entry.ref == ref and entry.allowed for entry in self.considered)


def covers(current: Pin, policy: Policy) -> Callable[[Sequence[Release]], bool]:
    """Says of page after page whether the reading may end: enough releases below the pin, none of them newer.

    GitHub lists by date while lines are patched out of date order, so a newer version may stand below the pin.
    """
    below: int | None = None

    def enough(page: Sequence[Release]) -> bool:
        nonlocal below
        newer = False
        for release in page:
            if below is not None:
                below += 1
            version = release.version
            if version is None or why_no_release(version, prereleases=policy.channel == "prerelease") is not None:
                continue
            newer = newer or version > current.version
            if version == current.version and below is None:
                below = 0
        return below is not None and below >= _BELOW and not newer

    return enough


def select(
    releases: Sequence[Release],
    current: Pin,
    policy: Policy,
    wanted: Ref | None,
    now: datetime,
    urgent: Mapping[Ref, str] | None = None,
    held: Mapping[Ref, Hold] | None = None,
) -> Selection:
    """The newest release that the policy allows and that is newer than the pin; `wanted` narrows it to one.

    What a person asks for by name passes the same policy: it chooses among what is allowed. `urgent` releases
    do not cool down, each for a reason. `held` are those whose image, by its digest, is on hold.
    """
    in_range = _range(policy.allow)
    hasty = frozenset(urgent or ())
    refused = {r.ref: why for r in releases if (why := _why_not(r, current, policy, in_range, now, hasty)) is not None}
    refused |= {ref: said(hold) for ref, hold in (held or {}).items() if ref not in refused}
    ordered = _newest_first(releases)
    allowed = [release for release in ordered if release.ref not in refused]
    newest = next(iter(allowed), None)
    picked = newest
    if wanted is not None:  # by its very name before another ref of the same version
        named = sorted((r for r in allowed if is_wanted(r, wanted)), key=lambda r: r.ref != wanted)
        picked = next(iter(named), None)
    considered = tuple(
        Considered(
            r.ref, r is picked, refused.get(r.ref) or _among_allowed(r, newest, picked, wanted), r.ref not in refused
        )
        for r in ordered
    )
    waiting = [r for r in ordered if refused.get(r.ref, "").startswith(_COOLING)]
    cooling = next((r for r in waiting if wanted is None or is_wanted(r, wanted)), None)
    if cooling is not None and _is_older(cooling, picked):
        cooling = None
    if picked is None:
        return Selection(considered, None, _why_none(considered, releases, current, wanted), cooling)
    return Selection(considered, picked, f"{picked.ref} is {_among_allowed(picked, newest, picked, wanted)}", cooling)


def in_haste(release: Release, policy: Policy) -> str:
    """The advisory for which a release does not wait out the policy's cooldown, or nothing."""
    return advisory_in(release.notes) if policy.cooldown else ""


def between(releases: Sequence[Release], current: Version, candidate: Version) -> tuple[Release, ...]:
    """The releases whose notes a reviewer wants: above the pin, up to the candidate, newest first."""
    found = [r for r in releases if not r.draft and r.version is not None and current < r.version <= candidate]
    found = [r for r in found if r.version == candidate or why_no_release(r.version, prereleases=False) is None]
    return tuple(_newest_first(found))


def _is_older(release: Release, other: Release | None) -> bool:
    return other is not None and (release.version is None or other.version is None or release.version < other.version)


def _why_not(
    release: Release,
    current: Pin,
    policy: Policy,
    in_range: Callable[[Version], bool],
    now: datetime,
    urgent: frozenset[Ref],
) -> str | None:
    """Why a release is passed over, or None."""
    prereleases = policy.channel == "prerelease"
    version = release.version
    reason = "a draft" if release.draft else why_no_release(version, prereleases=prereleases)
    if reason is not None or version is None:
        return reason
    if release.prerelease and not prereleases:
        return "marked as a prerelease"
    if version == current.version:
        return "the pin"
    if version < current.version:
        return f"older than the pin {current.ref}"
    if (hold := hold_on(policy.holds, version, None, now.date())) is not None:
        return said(hold)
    if not in_range(version):
        return f"outside the allowed range {policy.allow}"
    if policy.cooldown and release.ref not in urgent and not in_haste(release, policy):
        if release.published is None:
            return "its date is not known, so its cooldown cannot be counted"
        until = release.published + policy.cooldown
        if now < until:
            return f"{_COOLING} until {until:%Y-%m-%d %H:%M} UTC"
    return None


def _among_allowed(release: Release, newest: Release | None, picked: Release | None, wanted: Ref | None) -> str:
    """Why an allowed release was picked or passed over."""
    if release is picked:
        if release is newest or newest is None:
            return _NEWEST
        return f"the release that was asked for, older than {newest.ref}, which is allowed too"
    if wanted is not None or picked is None:
        return f"{wanted} was asked for"
    relation = "the same version as" if release.version == picked.version else "older than"
    return f"{relation} {picked.ref}"


def _range(allow: str) -> Callable[[Version], bool]:
    if not allow:
        return lambda _: True
    from packaging.specifiers import SpecifierSet  # noqa: PLC0415 - only where a range is set

    specifiers = SpecifierSet(allow)
    return lambda version: specifiers.contains(version.base)


def is_wanted(release: Release, wanted: Ref) -> bool:
    """Whether a person who names `wanted` means this release: `1.4.1` is `v1.4.1`."""
    return release.ref == wanted or (release.version is not None and release.version == parse_version(wanted))


def _newest_first(releases: Sequence[Release]) -> list[Release]:
    """Versions from the newest down, then what is no version."""
    return sorted(releases, key=lambda r: ((True, r.version.key) if r.version else (False,), r.ref), reverse=True)


def _why_none(considered: Sequence[Considered], releases: Sequence[Release], current: Pin, wanted: Ref | None) -> str:
    if wanted is not None and parse_version(wanted) == current.version:
        return f"{wanted} was asked for, and is the pin"
    if wanted is not None:
        named = {r.ref for r in releases if is_wanted(r, wanted)}
        reason = next((entry.reason for entry in considered if entry.ref in named), "no such release")
        return f"{wanted} was asked for: {reason}"
    if not considered:
        return "upstream has published no releases"
    versions = [r.version for r in releases if r.version and not r.draft]
    if versions and max(versions, key=lambda version: version.key) < current.version:
        older = [entry.ref for entry in considered if entry.reason.startswith("older than the pin")]
        return f"no downgrade: {older[0] if older else 'every release'} is older than the pin {current.ref}"
    newer = {r.ref for r in releases if r.version is not None and r.version > current.version}
    skipped = [f"{entry.ref} ({entry.reason})" for entry in considered if entry.ref in newer]
    tail = f"; passed over: {', '.join(skipped[:5])}{' and more' if len(skipped) > 5 else ''}" if skipped else ""  # noqa: PLR2004 - a line's worth
    return f"{current.ref} is {_NEWEST}, of {len(considered)} seen{tail}"
