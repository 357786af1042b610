"""What Trivy wrote, from its bytes: proven to be about what was asked, or refused.

`trivy image --format json` (schema version 2), and the metadata.json beside its database. Only what is needed is
decoded: a report lists every package and can be tens of megabytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from bot.core.decoding import decode
from bot.core.index import NotProven, normal
from bot.core.model import SEVERITIES, Platform, Severity
from bot.core.reference import Digest, Repository
from bot.core.text import plain
from bot.core.vulnerabilities.findings import (
    Database,
    Finding,
    Kind,
    PlatformScan,
    Recognised,
    rank,
    worst_first,
)

MAX_BYTES = 128 * 1024 * 1024
"""Of one report."""

_SCHEMA = 2
_KINDS: tuple[Kind, ...] = ("os-pkgs", "lang-pkgs")
_VERSIONS = 8
"""How many versions of a package are named at most."""


class AboutSomethingElse(NotProven):
    """A report that is not about the digest or the platform that was asked for."""


class _Any(msgspec.Struct):
    """An object that is only counted."""


class _Pascal(msgspec.Struct, rename="pascal"):
    pass


class _Vulnerability(_Pascal):
    id: str = msgspec.field(name="VulnerabilityID")
    pkg_name: str
    installed_version: str = ""
    fixed_version: str = ""
    severity: str = ""
    title: str = ""
    url: str = msgspec.field(default="", name="PrimaryURL")


class _Result(_Pascal):
    cls: str = msgspec.field(default="", name="Class")
    type: str = ""
    packages: list[_Any] | None = None
    vulnerabilities: list[_Vulnerability] | None = None
    left_out: list[_Any] | None = msgspec.field(default=None, name="ExperimentalModifiedFindings")


class _Config(msgspec.Struct):
    os: str = ""
    architecture: str = ""
    variant: str = ""


class _System(msgspec.Struct):
    end_of_life: bool = msgspec.field(default=False, name="EOSL")


class _Metadata(_Pascal):
    repo_digests: list[str] | None = None
    image_config: _Config = msgspec.field(default_factory=_Config)
    system: _System | None = msgspec.field(default=None, name="OS")


class _Report(_Pascal):
    schema_version: int = 0
    artifact_name: str = ""
    artifact_type: str = ""
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)
    results: list[_Result] | None = None


class _DatabaseFile(_Pascal):
    version: int
    updated_at: datetime
    next_update: datetime | None = None


def read_report(body: bytes, repository: Repository, digest: Digest, platform: Platform) -> PlatformScan:
    """The scan of `repository@digest` on `platform` that the report `body` holds.

    Raises NotProven: AboutSomethingElse where it is about another image or platform.
    """
    if len(body) > MAX_BYTES:
        raise NotProven(f"the report is larger than {MAX_BYTES:,} bytes")
    try:
        report = decode(body, _Report)
    except (ValueError, RecursionError) as error:
        raise NotProven(f"the report is none that can be read: {plain(str(error), 200)}") from None
    if report.schema_version != _SCHEMA:
        raise NotProven(f"the report's SchemaVersion is {report.schema_version}, not {_SCHEMA}")
    _prove_subject(report, f"{repository}@{digest}", digest, platform)
    results = report.results or []
    if any(result.left_out for result in results):
        raise NotProven("the report leaves findings out, which nobody asked it to")
    return PlatformScan(
        platform,
        _recognised(results),
        _findings(results, platform),
        end_of_life=report.metadata.system is not None and report.metadata.system.end_of_life,
    )


def read_database(body: bytes, repository: str) -> Database:
    """The database that metadata.json describes; `repository` is where it was asked for. Raises NotProven."""
    try:
        found = decode(body, _DatabaseFile)
    except (ValueError, RecursionError) as error:
        raise NotProven(f"the database's metadata.json cannot be read: {plain(str(error), 200)}") from None
    if found.version < 1 or found.updated_at.tzinfo is None or found.updated_at.year < 2000:  # noqa: PLR2004 - Go's zero
        raise NotProven("the database's metadata.json does not say when the database was made")
    following = found.next_update
    if following is not None and (following.tzinfo is None or following <= found.updated_at):
        following = None
    return Database(
        found.version, found.updated_at.astimezone(UTC), following and following.astimezone(UTC), repository
    )


def _prove_subject(report: _Report, asked: str, digest: Digest, platform: Platform) -> None:
    """The name is what was asked for; the digest and the config are what Trivy got for it."""
    if report.artifact_type != "container_image" or report.artifact_name != asked:
        raise AboutSomethingElse(f"the report is about {plain(report.artifact_name, 200) or 'nothing'}, not {asked}")
    digests = report.metadata.repo_digests or []
    if not digests or any(entry.rpartition("@")[2] != digest for entry in digests):
        seen = plain(", ".join(digests[:3]), 300) or "no digest"
        raise AboutSomethingElse(f"the report is about {seen}, not {digest}")
    config = report.metadata.image_config
    found = normal(Platform(config.os, config.architecture, config.variant))
    wanted = normal(platform)
    if (found.os, found.architecture) != (wanted.os, wanted.architecture) or found.variant not in ("", wanted.variant):
        raise AboutSomethingElse(f"the image that was scanned for {platform} is for {plain(str(found), 80) or 'none'}")


def _recognised(results: Sequence[_Result]) -> tuple[Recognised, ...]:
    """A known operating system without packages is a list of packages that is not there: nothing was recognised."""
    counts: dict[tuple[Kind, str], int] = {}
    for result in results:
        kind = _kind(result)
        if kind and (count := len(result.packages or ())):
            key = kind, plain(result.type, 40)
            counts[key] = counts.get(key, 0) + count
    return tuple(sorted(Recognised(kind, family, count) for (kind, family), count in counts.items()))


def _findings(results: Sequence[_Result], platform: Platform) -> tuple[Finding, ...]:
    """Each vulnerability of a package once, with all that was said of it."""
    found: dict[tuple[str, str], list[tuple[_Vulnerability, Kind]]] = {}
    for result in results:
        for entry in result.vulnerabilities or ():
            found.setdefault((plain(entry.id, 100), plain(entry.pkg_name, 200)), []).append(
                # a class that is not known yet is no reason to lose a finding
                (entry, _kind(result) or "lang-pkgs")
            )
    return worst_first(_finding(key, entries, platform) for key, entries in found.items())


def _finding(key: tuple[str, str], entries: Sequence[tuple[_Vulnerability, Kind]], platform: Platform) -> Finding:
    same = [entry for entry, _ in entries]
    return Finding(
        id=key[0],
        package=key[1],
        installed=_together(entry.installed_version for entry in same),
        fixed=_together(entry.fixed_version for entry in same),
        severity=max((_severity(entry.severity) for entry in same), key=rank),
        platform=platform,
        title=next((title for entry in same if (title := plain(entry.title, 200))), ""),
        url=next((entry.url for entry in same if _is_link(entry.url)), ""),
        kinds=tuple(kind for kind in _KINDS if any(kind == other for _, other in entries)),
    )


def _kind(result: _Result) -> Kind | None:
    return next((kind for kind in _KINDS if kind == result.cls), None)


def _severity(text: str) -> Severity:
    return next((severity for severity in SEVERITIES if severity == text), "UNKNOWN")


def _together(texts: Iterable[str]) -> str:
    """Each text once, as one."""
    each = list(dict.fromkeys(shown for text in texts if (shown := plain(text, 100))))
    more = f", and {len(each) - _VERSIONS} more" if len(each) > _VERSIONS else ""
    return ", ".join(each[:_VERSIONS]) + more


def _is_link(url: str) -> bool:
    return url.startswith("https://") and len(url) <= 500  # noqa: PLR2004 - a bound; longer ones say nothing
