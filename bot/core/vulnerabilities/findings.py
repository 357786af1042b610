"""What a scanner found in an image, and how two images differ by it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

import msgspec

from bot.core.model import SEVERITIES, Platform, Severity
from bot.core.reference import Digest

Kind = Literal["os-pkgs", "lang-pkgs"]
"""What packages belong to: the operating system, or a program's language. The words are Trivy's classes."""


class Finding(msgspec.Struct, frozen=True):
    """A vulnerability of a package on one platform; `fixed` is empty where no fixed version is known.

    A package that is there several times is one finding with all its versions and its worst severity; `kinds`
    says among which packages it was found. All texts are strangers'.
    """

    id: str
    package: str
    installed: str
    fixed: str
    severity: Severity
    platform: Platform
    title: str = ""
    url: str = ""
    kinds: tuple[Kind, ...] = ("os-pkgs",)


class Recognised(msgspec.Struct, frozen=True, order=True):
    """Packages that the scanner knew how to read: `family` is such as `wolfi` or `rustbinary`."""

    kind: Kind
    family: str
    packages: int


class PlatformScan(msgspec.Struct, frozen=True):
    """The scan of one platform. Without `recognised` nothing is known, and no findings say nothing."""

    platform: Platform
    recognised: tuple[Recognised, ...]
    findings: tuple[Finding, ...]
    end_of_life: bool = False
    """Whether the operating system gets no more advisories: then findings are missing."""


class Database(msgspec.Struct, frozen=True):
    """A vulnerability database: its schema's version, when it was made and is to be replaced, where it came from."""

    version: int
    updated: datetime
    next_update: datetime | None = None
    repository: str = ""

    def __str__(self) -> str:
        origin = f" from {self.repository}" if self.repository else ""
        return f"database {self.version} of {self.updated:%Y-%m-%d}{origin}"


class Scan(msgspec.Struct, frozen=True):
    """An image, scanned platform by platform by one scanner (such as `trivy 0.68.2`) with one database."""

    digest: Digest
    parts: tuple[PlatformScan, ...]
    database: Database
    scanner: str

    @property
    def platforms(self) -> tuple[Platform, ...]:
        return tuple(part.platform for part in self.parts)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The worst first."""
        return tuple(sorted((f for part in self.parts for f in part.findings), key=_place))

    @property
    def recognised(self) -> frozenset[tuple[Platform, Kind, str]]:
        """Of which platforms which packages could be read, and as whose."""
        return frozenset((part.platform, known.kind, known.family) for part in self.parts for known in part.recognised)


class Change(msgspec.Struct, frozen=True):
    """A finding on all platforms where it is alike, for a reader. `was` is its severity before, where that differs."""

    id: str
    package: str
    installed: str
    fixed: str
    severity: Severity
    platforms: tuple[Platform, ...]
    title: str = ""
    url: str = ""
    was: Severity | None = None


class Changes(msgspec.Struct, frozen=True):
    """What an upgrade from `current` to `candidate` means, the worst first in each.

    - `new`: the candidate has it, on a platform where the current image has not.
    - `escalated`: both have it in the same package on the same platform, and the candidate's is worse. Both were
      rated by one database, so this is no new opinion about an old vulnerability: it is the other vendor whose
      rating counts (the operating system or the source of the package changed), or one more version of the
      package. A rating that was raised since yesterday is raised for both images: that is `persisting`.
    - `fixed`: the current image has it, the candidate has not, and packages of its kind and family (such as `wolfi`)
      can still be read there.
    - `unseen`: as `fixed`, but the scanner can no longer read such packages there: nobody knows.
    - `persisting`: both have it, and it is not worse.
    """

    current: Scan
    candidate: Scan
    new: tuple[Change, ...]
    escalated: tuple[Change, ...]
    fixed: tuple[Change, ...]
    unseen: tuple[Change, ...]
    persisting: tuple[Change, ...]

    @property
    def worse(self) -> tuple[Change, ...]:
        """What the upgrade brings: new or escalated."""
        return tuple(sorted((*self.new, *self.escalated), key=_order))

    @property
    def lost(self) -> tuple[tuple[Platform, Kind, str], ...]:
        """Packages that could be read in the current image, and not in the candidate."""
        return tuple(sorted(self.current.recognised - self.candidate.recognised))


def compare(current: Scan, candidate: Scan) -> Changes:
    """How the candidate differs. A finding is the same where id, package and platform are.

    Raises ValueError for scans by two databases or two scanners: what differs could be theirs.
    """
    if (current.database, current.scanner) != (candidate.database, candidate.scanner):
        raise ValueError(
            f"scans by {current.scanner} with {current.database} and by {candidate.scanner} with "
            f"{candidate.database} cannot be compared"
        )
    before = {_identity(finding): finding for finding in current.findings}
    after = {_identity(finding): finding for finding in candidate.findings}
    both = [(before[key], finding) for key, finding in after.items() if key in before]
    gone = [finding for key, finding in before.items() if key not in after]
    # an operating system that calls itself another one has other advisories, or none
    lost = {(platform, kind) for platform, kind, _ in current.recognised - candidate.recognised}
    seen = [not any((finding.platform, kind) in lost for kind in finding.kinds) for finding in gone]
    return Changes(
        current,
        candidate,
        new=_merged((finding, None) for key, finding in after.items() if key not in before),
        escalated=_merged((now, was.severity) for was, now in both if rank(now.severity) > rank(was.severity)),
        fixed=_merged((finding, None) for finding, sure in zip(gone, seen, strict=True) if sure),
        unseen=_merged((finding, None) for finding, sure in zip(gone, seen, strict=True) if not sure),
        persisting=_merged(
            (now, None if was.severity == now.severity else was.severity)
            for was, now in both
            if rank(now.severity) <= rank(was.severity)
        ),
    )


def rank(severity: Severity) -> int:
    """A number that grows with the severity; unknown is the least."""
    return SEVERITIES.index(severity)


def worst(changes: Sequence[Change]) -> Severity | None:
    """The worst severity among them."""
    return max((change.severity for change in changes), key=rank, default=None)


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """In the order in which a reader wants them."""
    return tuple(sorted(findings, key=_place))


def _identity(finding: Finding) -> tuple[str, str, Platform]:
    return finding.id, finding.package, finding.platform


def _merged(found: Iterable[tuple[Finding, Severity | None]]) -> tuple[Change, ...]:
    alike: dict[Change, list[Platform]] = {}
    for f, was in found:
        change = Change(f.id, f.package, f.installed, f.fixed, f.severity, (), f.title, f.url, was)
        alike.setdefault(change, []).append(f.platform)
    merged = (msgspec.structs.replace(change, platforms=tuple(sorted(on))) for change, on in alike.items())
    return tuple(sorted(merged, key=_order))


def _place(finding: Finding) -> tuple[int, str, str, Platform]:
    return -rank(finding.severity), finding.id, finding.package, finding.platform


def _order(change: Change) -> tuple[int, str, str, tuple[Platform, ...]]:
    return -rank(change.severity), change.id, change.package, change.platforms
