"""Scans, made up: of two platforms, by one scanner, with one database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

from bot.core.model import Platform, ScanPolicy, Severity
from bot.core.reference import Digest
from bot.core.vulnerabilities.findings import (
    Change,
    Changes,
    Database,
    Finding,
    Kind,
    PlatformScan,
    Recognised,
    Scan,
    compare,
)

AMD, ARM = Platform("linux", "amd64"), Platform("linux", "arm64")
BOTH = (AMD, ARM)
CURRENT, CANDIDATE = Digest(f"sha256:{'a' * 64}"), Digest(f"sha256:{'b' * 64}")
TODAY = date(2026, 8, 20)
DATABASE = Database(2, datetime(2026, 8, 19, 12, tzinfo=UTC), datetime(2026, 8, 20, 12, tzinfo=UTC))
POLICY = ScanPolicy()
KNOWN = (Recognised("os-pkgs", "wolfi", 12),)


def finding(
    identity: str = "CVE-2026-0001",
    severity: Severity = "HIGH",
    platform: Platform = AMD,
    *,
    package: str = "openssl",
    installed: str = "1.0-r0",
    fixed: str = "1.0-r1",
    title: str = "",
    url: str = "",
    kinds: tuple[Kind, ...] = ("os-pkgs",),
) -> Finding:
    return Finding(identity, package, installed, fixed, severity, platform, title, url, kinds)


def everywhere(identity: str, severity: Severity = "HIGH", package: str = "openssl") -> tuple[Finding, ...]:
    return tuple(finding(identity, severity, platform, package=package) for platform in BOTH)


def scan(
    findings: Sequence[Finding] = (),
    *,
    digest: Digest = CANDIDATE,
    platforms: Sequence[Platform] = BOTH,
    known: tuple[Recognised, ...] = KNOWN,
    database: Database = DATABASE,
    end_of_life: bool = False,
) -> Scan:
    parts = (
        PlatformScan(platform, known, tuple(f for f in findings if f.platform == platform), end_of_life)
        for platform in platforms
    )
    return Scan(digest, tuple(parts), database, "trivy 0.68.2")


def changes(before: Sequence[Finding] = (), after: Sequence[Finding] = ()) -> Changes:
    return compare(scan(before, digest=CURRENT), scan(after))


def names(found: Sequence[Change]) -> list[str]:
    return [change.id for change in found]
