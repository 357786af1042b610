"""SARIF 2.1.0 as GitHub code scanning reads it; the sections are those of the specification."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from bot.core.model import Ignore, ScanPolicy, Severity
from bot.core.vulnerabilities import sarif
from bot.core.vulnerabilities.findings import Finding
from bot.core.vulnerabilities.sarif import MAX_RESULTS
from tests.unit.vulnerabilities.made import AMD, ARM, POLICY, TODAY, changes, everywhere, finding


def made(before: Sequence[Finding], after: Sequence[Finding], policy: ScanPolicy = POLICY, image: str = "app") -> bytes:
    return sarif.sarif(changes(before, after), policy, TODAY, image=image, uri="versions.env", line=2)


def run_of(before: Sequence[Finding] = (), after: Sequence[Finding] = (), policy: ScanPolicy = POLICY) -> Any:
    return json.loads(made(before, after, policy))["runs"][0]


def test_the_log_has_what_the_specification_requires() -> None:
    log = json.loads(made([], [finding()]))
    (run,) = log["runs"]
    (result,) = run["results"]
    (rule,) = run["tool"]["driver"]["rules"]

    assert log["version"] == "2.1.0"  # 3.13.2
    assert log["$schema"].startswith("https://")
    assert run["tool"]["driver"]["name"] == "gateway-bot"  # 3.19.8
    assert run["automationDetails"] == {"id": "gateway-bot/scan/app/"}  # 3.17.3: a category ends with a slash
    assert run["invocations"] == [{"executionSuccessful": True}]  # 3.20.14
    assert result["ruleId"] == rule["id"] == "CVE-2026-0001"  # 3.27.5
    assert result["ruleIndex"] == 0  # 3.27.6
    assert result["message"]["text"] == (  # 3.27.11
        "CVE-2026-0001: HIGH in openssl 1.0-r0, fixed in 1.0-r1, on linux/amd64."
    )
    assert rule["shortDescription"]["text"] == "CVE-2026-0001"  # 3.49.9


def test_every_result_is_at_the_pin() -> None:
    run = run_of(after=[finding(), finding("CVE-2026-0002", platform=ARM)])

    assert [result["locations"] for result in run["results"]] == [
        [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": "versions.env", "uriBaseId": "%SRCROOT%"},
                    "region": {"startLine": 2},
                }
            }
        ]
    ] * 2


@pytest.mark.parametrize(
    ("severity", "level", "score"),
    [
        ("CRITICAL", "error", "9.5"),
        ("HIGH", "error", "8.0"),
        ("MEDIUM", "warning", "5.5"),
        ("LOW", "note", "2.0"),
        ("UNKNOWN", "warning", None),
    ],
)
def test_the_severity_is_where_github_looks_for_it(severity: Severity, level: str, score: str | None) -> None:
    run = run_of(after=[finding(severity=severity)])
    (rule,) = run["tool"]["driver"]["rules"]

    assert run["results"][0]["level"] == level
    assert rule["defaultConfiguration"]["level"] == level
    assert rule["properties"].get("security-severity") == score
    assert rule["properties"]["tags"] == ["security", "vulnerability"]


def test_what_the_candidate_has_is_a_result_and_what_it_fixes_is_none() -> None:
    run = run_of(
        [finding("CVE-2026-1"), finding("CVE-2026-2", "LOW"), finding("CVE-2026-3")],
        [finding("CVE-2026-2", "HIGH"), finding("CVE-2026-3"), finding("CVE-2026-4")],
    )

    assert [(result["ruleId"], result["baselineState"]) for result in run["results"]] == [
        ("CVE-2026-2", "updated"),
        ("CVE-2026-3", "unchanged"),
        ("CVE-2026-4", "new"),
    ]


def test_one_package_is_one_alert_whatever_its_platforms() -> None:
    run = run_of([finding(platform=AMD)], [finding(platform=AMD), finding(platform=ARM, installed="0.9")])
    (result,) = run["results"]

    assert result["baselineState"] == "new"
    assert result["message"]["text"].count("CVE-2026-0001: HIGH in openssl") == 2


def test_a_vulnerability_of_two_packages_is_one_rule_rated_by_its_worst() -> None:
    run = run_of(after=[finding(package="a", severity="LOW"), finding(package="b", severity="CRITICAL")])
    (rule,) = run["tool"]["driver"]["rules"]

    assert rule["properties"]["security-severity"] == "9.5"
    assert [(result["ruleIndex"], result["level"]) for result in run["results"]] == [(0, "error"), (0, "note")]


def test_an_alert_stays_the_same_while_versions_and_ratings_change() -> None:
    def prints(found: Finding, image: str = "app") -> Any:
        return json.loads(made([], [found], image=image))["runs"][0]["results"][0]["partialFingerprints"]

    first = prints(finding())

    assert first == prints(finding(severity="LOW", platform=ARM, installed="2", fixed="", title="other"))
    assert first != prints(finding("CVE-2026-0002"))
    assert first != prints(finding(package="zlib"))
    assert first != prints(finding(), image="other")


def test_an_ignored_finding_is_suppressed_with_its_reason() -> None:
    held = Ignore("CVE-2026-0001", "not reachable [here]", TODAY)
    over = Ignore("CVE-2026-0002", "too late", TODAY - timedelta(days=1))
    run = run_of(after=[finding(), finding("CVE-2026-0002")], policy=ScanPolicy(ignores=(held, over)))

    assert [result.get("suppressions") for result in run["results"]] == [
        [{"kind": "external", "status": "accepted", "justification": "not reachable (here) (through 2026-08-20)"}],
        None,
    ]


def test_strangers_texts_are_words_and_their_links_are_https() -> None:
    hostile = "[click](https://evil.example) @all fixes #1\x1b[31m\n"
    run = run_of(
        after=[
            finding(hostile, package=hostile, installed=hostile, fixed=hostile, title=hostile, url="javascript:x"),
            finding(url="https://github.com/advisories/GHSA-1"),
        ]
    )
    rules = {rule["id"]: rule.get("helpUri") for rule in run["tool"]["driver"]["rules"]}
    text = json.dumps([run["results"], run["tool"]], ensure_ascii=False)

    assert list(rules.values()).count(None) == 1
    assert rules["CVE-2026-0001"] == "https://redirect.github.com/advisories/GHSA-1"
    assert "[click]" not in text
    assert "@all" not in text
    assert "\\u001b" not in text


def test_of_more_results_than_github_shows_the_worst_stay_and_the_rest_is_said() -> None:
    many = [finding(f"CVE-2026-{n}", "LOW") for n in range(MAX_RESULTS)]
    run = run_of(after=[*many, finding("CVE-2025-1", "CRITICAL")])
    (notification,) = run["invocations"][0]["toolExecutionNotifications"]

    assert len(run["results"]) == MAX_RESULTS
    assert run["results"][0]["ruleId"] == "CVE-2025-1"
    assert notification["message"]["text"] == "Left out: 1 finding of the least severity."


def test_the_same_facts_are_the_same_bytes() -> None:
    forwards = [*everywhere("CVE-2026-1"), *everywhere("CVE-2026-2", "LOW")]

    assert made([], forwards) == made([], list(reversed(forwards)))
