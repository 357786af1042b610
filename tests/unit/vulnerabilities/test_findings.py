from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from bot.core.model import Severity
from bot.core.vulnerabilities.findings import Change, Kind, Recognised, compare
from tests.unit.vulnerabilities.made import (
    AMD,
    ARM,
    BOTH,
    CURRENT,
    DATABASE,
    changes,
    everywhere,
    finding,
    names,
    scan,
)

WOLFI, GO = Recognised("os-pkgs", "wolfi", 12), Recognised("lang-pkgs", "gobinary", 30)


def test_a_finding_that_is_only_on_arm64_is_named_with_its_platform() -> None:
    found = changes(after=[finding(platform=ARM)])

    assert [(change.id, change.platforms) for change in found.new] == [("CVE-2026-0001", (ARM,))]


def test_a_finding_that_is_new_on_one_platform_only_persists_on_the_other() -> None:
    found = changes([finding(platform=AMD)], everywhere("CVE-2026-0001"))

    assert [change.platforms for change in found.new] == [(ARM,)]
    assert [change.platforms for change in found.persisting] == [(AMD,)]


def test_findings_that_are_alike_on_several_platforms_are_one_line() -> None:
    found = changes(after=everywhere("CVE-2026-0001"))

    assert found.new == (Change("CVE-2026-0001", "openssl", "1.0-r0", "1.0-r1", "HIGH", BOTH),)


def test_findings_that_differ_between_platforms_are_a_line_each() -> None:
    found = changes(after=[finding(), finding(platform=ARM, installed="0.9-r0")])

    assert [(change.installed, change.platforms) for change in found.new] == [("1.0-r0", (AMD,)), ("0.9-r0", (ARM,))]


@pytest.mark.parametrize(
    ("before", "after", "group", "was"),
    [
        ("MEDIUM", "HIGH", "escalated", "MEDIUM"),
        ("UNKNOWN", "LOW", "escalated", "UNKNOWN"),
        ("HIGH", "HIGH", "persisting", None),
        ("HIGH", "MEDIUM", "persisting", "HIGH"),
        ("CRITICAL", "UNKNOWN", "persisting", "CRITICAL"),
    ],
)
def test_a_finding_that_both_have_is_escalated_only_where_it_is_worse(
    before: Severity, after: Severity, group: str, was: Severity | None
) -> None:
    found = changes([finding(severity=before)], [finding(severity=after)])
    groups = {name: getattr(found, name) for name in ("new", "escalated", "fixed", "unseen", "persisting")}

    assert [name for name, inside in groups.items() if inside] == [group]
    assert [(change.severity, change.was) for change in groups[group]] == [(after, was)]


def test_the_same_vulnerability_of_another_package_is_another_finding() -> None:
    found = changes([finding(package="openssl")], [finding(package="libssl3")])

    assert ([c.package for c in found.new], [c.package for c in found.fixed]) == (["libssl3"], ["openssl"])


def test_another_version_of_the_package_is_the_same_finding() -> None:
    found = changes([finding(installed="1.0-r0")], [finding(installed="1.0-r1", fixed="1.0-r2")])

    assert [(change.installed, change.fixed) for change in found.persisting] == [("1.0-r1", "1.0-r2")]


def test_the_worst_stand_first() -> None:
    found = changes(
        after=[
            finding("CVE-2026-0009", "LOW"),
            finding("CVE-2026-0005", "UNKNOWN"),
            finding("CVE-2026-0002", "CRITICAL"),
            finding("CVE-2026-0001", "CRITICAL"),
            finding("CVE-2026-0003", "HIGH"),
        ]
    )

    assert [name[-1] for name in names(found.new)] == ["1", "2", "3", "9", "5"]
    assert [f.id[-1] for f in found.candidate.findings] == ["1", "2", "3", "9", "5"]


def test_what_the_upgrade_brings_is_new_and_escalated_together_the_worst_first() -> None:
    found = changes(
        [finding("CVE-2026-0002", "LOW")],
        [finding("CVE-2026-0001", "MEDIUM"), finding("CVE-2026-0002", "CRITICAL")],
    )

    assert names(found.worse) == ["CVE-2026-0002", "CVE-2026-0001"]


@pytest.mark.parametrize(
    "other",
    [
        replace(scan(), scanner="trivy 0.68.3"),
        scan(database=replace(DATABASE, updated=datetime(2026, 8, 19, 12, 0, 1, tzinfo=UTC))),
        scan(database=replace(DATABASE, version=3)),
        scan(database=replace(DATABASE, next_update=None)),
        scan(database=replace(DATABASE, repository="ghcr.io/acme/db:2")),
    ],
)
def test_scans_of_two_databases_or_scanners_are_not_compared(other: object) -> None:
    assert isinstance(other, type(scan()))
    with pytest.raises(ValueError, match="cannot be compared"):
        compare(scan(digest=CURRENT), other)


@pytest.mark.parametrize(
    ("kinds", "known", "group"),
    [
        (("os-pkgs",), (WOLFI,), "fixed"),
        (("os-pkgs",), (GO,), "unseen"),
        (("lang-pkgs",), (WOLFI,), "unseen"),
        (("os-pkgs", "lang-pkgs"), (WOLFI,), "unseen"),
        (("os-pkgs", "lang-pkgs"), (GO, WOLFI), "fixed"),
        (("os-pkgs",), (), "unseen"),
    ],
)
def test_what_can_no_longer_be_seen_is_not_fixed(
    kinds: tuple[Kind, ...], known: tuple[Recognised, ...], group: str
) -> None:
    before = scan([finding(kinds=kinds)], digest=CURRENT, known=(WOLFI, GO))
    found = compare(before, scan(known=known))

    assert [name for name in ("fixed", "unseen") if getattr(found, name)] == [group]


def test_a_platform_that_was_not_scanned_fixes_nothing() -> None:
    found = compare(scan(everywhere("CVE-2026-0001"), digest=CURRENT), scan(platforms=[AMD]))

    assert [change.platforms for change in found.fixed] == [(AMD,)]
    assert [change.platforms for change in found.unseen] == [(ARM,)]
    assert found.lost == ((ARM, "os-pkgs", "wolfi"),)
