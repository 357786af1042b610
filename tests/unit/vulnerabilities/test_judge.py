from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest
from msgspec.structs import replace

from bot.core.gates import Gate, Verdict
from bot.core.model import SEVERITIES, Ignore, ScanPolicy, Severity
from bot.core.vulnerabilities.findings import Finding, Recognised, compare
from bot.core.vulnerabilities.judge import overriding, vulnerabilities_gate
from tests.unit.vulnerabilities.made import (
    AMD,
    ARM,
    CURRENT,
    DATABASE,
    KNOWN,
    POLICY,
    TODAY,
    changes,
    everywhere,
    finding,
    names,
    scan,
)

ID = "CVE-2026-0001"
SEEN = "12 packages on linux/amd64, 12 packages on linux/arm64; trivy 0.68.2, database 2 of 2026-08-19"


def gate(
    before: Sequence[Finding] = (), after: Sequence[Finding] = (), policy: ScanPolicy = POLICY, today: date = TODAY
) -> Gate:
    return vulnerabilities_gate(changes(before, after), policy, today, "v1.4.1")


def ignoring(*ignores: Ignore) -> ScanPolicy:
    return ScanPolicy(ignores=ignores)


def ignore(identity: str = ID, *, days: int = 10, package: str = "") -> Ignore:
    return Ignore(identity, "not reachable here", TODAY + timedelta(days=days), package)


def test_an_upgrade_that_brings_nothing_passes_and_says_what_was_looked_at() -> None:
    answer = gate(everywhere(ID), everywhere(ID))

    assert answer == Gate(
        "vulnerabilities",
        "pass",
        f"nothing new, 1 persisting (worst HIGH); {SEEN}",
        "gateway-bot scan --to v1.4.1",
    )


def test_a_new_finding_at_the_limit_blocks_and_is_named_with_its_platform() -> None:
    answer = gate(after=[finding(platform=ARM)])

    assert (answer.verdict, answer.exit_code) == ("fail", 6)
    assert "gateway-bot.toml" in answer.next_step
    assert answer.evidence == (
        f"1 new or escalated at or above HIGH: {ID} HIGH in openssl on linux/arm64; 1 new (worst HIGH); {SEEN}"
    )


@pytest.mark.parametrize("limit", [*SEVERITIES, None])
@pytest.mark.parametrize("severity", SEVERITIES)
def test_what_is_below_the_limit_does_not_block_and_what_nobody_rated_warns(
    limit: Severity | None, severity: Severity
) -> None:
    answer = gate(after=[finding(severity=severity)], policy=ScanPolicy(block=limit))
    expected: Verdict = "pass"
    if limit is not None and SEVERITIES.index(severity) >= SEVERITIES.index(limit):
        expected = "fail"
    elif severity == "UNKNOWN" or limit is None:
        expected = "warn"

    assert expected == answer.verdict


def test_an_escalated_finding_blocks() -> None:
    answer = gate([finding(severity="MEDIUM")], [finding(severity="HIGH")])

    assert answer.verdict == "fail"
    assert f"{ID} HIGH (was MEDIUM) in openssl on linux/amd64" in answer.evidence


def test_a_rating_that_was_raised_for_both_images_does_not_block() -> None:
    answer = gate(everywhere(ID, "CRITICAL"), everywhere(ID, "CRITICAL"))

    assert answer.verdict == "pass"


def test_findings_that_go_do_not_make_up_for_one_that_comes() -> None:
    answer = gate([finding(f"CVE-2026-10{n}", "CRITICAL") for n in range(5)], [finding()])

    assert (answer.verdict, "5 fixed (worst CRITICAL)" in answer.evidence) == ("fail", True)


@pytest.mark.parametrize(
    ("held", "verdict"),
    [
        (ignore(), "pass"),
        (ignore(days=0), "pass"),
        (ignore(days=-1), "fail"),
        (ignore(package="openssl"), "pass"),
        (ignore(package="libssl3"), "fail"),
        (ignore("CVE-2026-00011"), "fail"),
        (ignore("cve-2026-0001"), "fail"),
    ],
)
def test_an_ignore_holds_for_its_id_and_package_through_its_day(held: Ignore, verdict: Verdict) -> None:
    answer = gate(after=[finding()], policy=ignoring(held))

    assert verdict == answer.verdict


def test_ignored_findings_are_counted_and_named() -> None:
    answer = gate(after=[finding()], policy=ignoring(ignore()))

    assert f"1 ignored: {ID} in openssl through 2026-08-30" in answer.evidence


def test_an_ignore_that_is_over_no_longer_holds_and_is_said() -> None:
    answer = gate(after=[finding()], policy=ignoring(ignore(days=-1), ignore(days=-20)))

    assert answer.verdict == "fail"
    assert f"no longer ignored: {ID} since 2026-08-20" in answer.evidence


def test_of_two_ignores_the_one_that_holds_counts() -> None:
    answer = gate(after=[finding()], policy=ignoring(ignore(days=-20), ignore(days=3)))

    assert (answer.verdict, "no longer" in answer.evidence) == ("pass", False)


def test_an_ignore_that_matches_nothing_is_no_error() -> None:
    answer = gate(policy=ignoring(ignore("CVE-1999-0001"), ignore("CVE-1999-0002", days=-1)))

    assert (answer.verdict, "CVE-1999" in answer.evidence) == ("pass", False)


@pytest.mark.parametrize("findings", [(), everywhere(ID, "CRITICAL")[:1]])
def test_an_image_in_which_nothing_was_recognised_does_not_pass(findings: Sequence[Finding]) -> None:
    candidate = scan(findings, known=())
    answer = vulnerabilities_gate(compare(scan(digest=CURRENT), candidate), POLICY, TODAY, "v1.4.1")

    assert (answer.verdict, answer.exit_code) == ("fail" if findings else "unknown", 6)
    assert "no packages were recognised on linux/amd64, linux/arm64" in answer.evidence


def test_one_platform_in_which_nothing_was_recognised_is_enough() -> None:
    candidate = scan()
    blind = replace(candidate, parts=(candidate.parts[0], replace(candidate.parts[1], recognised=())))
    answer = vulnerabilities_gate(compare(scan(digest=CURRENT), blind), POLICY, TODAY, "v1.4.1")

    assert (answer.verdict, "recognised on linux/arm64, so" in answer.evidence) == ("unknown", True)


def test_a_scan_of_no_platform_does_not_pass() -> None:
    nothing = scan(platforms=())
    answer = vulnerabilities_gate(compare(nothing, nothing), POLICY, TODAY, "v1.4.1")

    assert answer.verdict == "unknown"


def test_packages_that_can_no_longer_be_read_are_a_warning() -> None:
    before = scan(digest=CURRENT, known=(*KNOWN, Recognised("lang-pkgs", "rustbinary", 300)))
    answer = vulnerabilities_gate(compare(before, scan()), POLICY, TODAY, "v1.4.1")

    assert answer.verdict == "warn"
    assert "in the current image only: packages of a program's language (rustbinary) on linux/amd64" in answer.evidence


def test_a_current_image_of_which_nothing_is_known_makes_all_new_and_is_said() -> None:
    found = compare(scan(digest=CURRENT, known=()), scan(everywhere(ID, "LOW")))
    answer = vulnerabilities_gate(found, POLICY, TODAY, "v1.4.1")

    assert (answer.verdict, "all there counts as new" in answer.evidence) == ("warn", True)


def test_an_operating_system_without_advisories_is_a_warning() -> None:
    found = compare(scan(digest=CURRENT), scan(end_of_life=True))
    answer = vulnerabilities_gate(found, POLICY, TODAY, "v1.4.1")

    assert (answer.verdict, "gets no more advisories" in answer.evidence) == ("warn", True)


@pytest.mark.parametrize(("days", "verdict"), [(0, "pass"), (7, "pass"), (8, "warn"), (400, "warn")])
@pytest.mark.parametrize("dated", [True, False])
def test_a_database_that_should_have_been_replaced_a_week_ago_is_a_warning(
    days: int, verdict: Verdict, *, dated: bool
) -> None:
    due = datetime(2026, 8, 20, tzinfo=UTC) - timedelta(days=days)
    database = replace(DATABASE, updated=due - timedelta(days=dated), next_update=due if dated else None)
    found = compare(scan(digest=CURRENT, database=database), scan(database=database))
    answer = vulnerabilities_gate(found, POLICY, TODAY, "v1.4.1")

    assert (verdict == "warn") == (f"should have been replaced on {due.date()}" in answer.evidence)
    assert verdict == answer.verdict


def test_a_doubt_does_not_soften_a_refusal() -> None:
    found = compare(scan(digest=CURRENT), scan([finding(), finding("CVE-2026-2", "UNKNOWN")], end_of_life=True))
    answer = vulnerabilities_gate(found, POLICY, TODAY, "v1.4.1")

    assert (answer.verdict, "the severity of CVE-2026-2 is not known" in answer.evidence) == ("fail", True)


def test_the_evidence_is_bounded_and_the_same_for_the_same_facts() -> None:
    many = [finding(f"CVE-2026-{n}", package=f"package-{n}" * 30) for n in range(1000, 3000)]
    forwards, backwards = gate(after=many), gate(after=list(reversed(many)))

    assert len(forwards.evidence) < 2000
    assert "CVE-2026-1004" in forwards.evidence
    assert "and 1995 more" in forwards.evidence
    assert forwards == backwards


def test_nothing_that_a_stranger_named_acts_in_the_evidence() -> None:
    hostile = finding("CVE-1 @all #12 `x` ::error::", package="<img src=x>[a](https://evil.example)\n## @org/x|y")
    evidence = gate(after=[hostile]).evidence

    assert not set(evidence) & set("@#`<>[]|\n*")
    assert "https://" not in evidence


@pytest.mark.parametrize("limit", [*SEVERITIES, None])
@pytest.mark.parametrize("severity", SEVERITIES)
def test_a_fix_at_or_above_the_override_is_urgent(limit: Severity | None, severity: Severity) -> None:
    urgent = overriding(changes([finding(severity=severity)]), ScanPolicy(override=limit), TODAY)
    expected = limit is not None and SEVERITIES.index(severity) >= SEVERITIES.index(limit)

    assert expected == bool(urgent)


def test_a_fix_of_what_does_no_harm_here_is_not_urgent() -> None:
    found = changes([finding(severity="CRITICAL"), finding("CVE-2026-2", "CRITICAL")])
    held = overriding(found, ignoring(ignore()), TODAY)
    over = overriding(found, ignoring(ignore(days=-1)), TODAY)

    assert (names(held), names(over)) == (["CVE-2026-2"], [ID, "CVE-2026-2"])


def test_what_can_no_longer_be_seen_is_not_urgent() -> None:
    before = scan([finding(severity="CRITICAL")], digest=CURRENT)
    urgent = overriding(compare(before, scan(known=())), POLICY, TODAY)

    assert urgent == ()


def test_a_finding_that_stays_is_not_urgent() -> None:
    same = [finding(severity="CRITICAL", platform=AMD)]

    assert overriding(changes(same, same), POLICY, TODAY) == ()
