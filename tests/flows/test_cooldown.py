"""A young release waits, counted in UTC from its publication, unless its notes name an advisory."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.flows.conftest import DOWNSTREAM, NOW, Town


@pytest.fixture
def cool(empty_town: Town) -> Town:
    """v1.3.1 is pinned; three days have to pass."""
    empty_town.release("v1.3.1", days_ago=60)
    empty_town.pin("v1.3.1")
    empty_town.settings('channel = "stable"', 'channel = "stable"\ncooldown_days = 3')
    return empty_town


def test_a_young_release_waits_and_the_run_says_until_when(cool: Town) -> None:
    cool.release("v1.4.0", days_ago=1)

    run = cool.run("plan", "--json")

    assert "v1.4.0 (cooling until 2026-08-22 12:00 UTC)" in run.json["reason"]
    assert (run.code, run.json["outcome"]) == (0, "nothing_new")


@pytest.mark.parametrize(("days", "expected"), [(2.9, None), (3.0, "v1.4.0"), (3.1, "v1.4.0")])
def test_the_days_are_counted_from_the_publication(cool: Town, days: float, expected: str | None) -> None:
    cool.release("v1.4.0", days_ago=days)

    candidate = cool.run("plan", "--json").json["candidate"]

    assert expected == (candidate and candidate["ref"])


@pytest.mark.parametrize(
    ("patched", "patch", "expected"),
    [(5, 1, "v1.4.0"), (5, 4, "v1.4.1"), (1, 4, "v1.4.1"), (1, 0.5, None)],
    ids=["the patch cools", "both have waited", "the patch is the older one", "both cool"],
)
def test_of_a_patched_line_the_newest_that_has_waited_is_taken(
    cool: Town, patched: float, patch: float, expected: str | None
) -> None:
    cool.release("v1.4.0", days_ago=patched)
    cool.release("v1.4.1", days_ago=patch)

    candidate = cool.run("plan", "--json").json["candidate"]

    assert expected == (candidate and candidate["ref"])


@pytest.mark.parametrize("advisory", ["CVE-2026-12345", "GHSA-2c4f-5g6h-7j8m"])
def test_a_release_whose_notes_name_an_advisory_does_not_wait_and_says_why(cool: Town, advisory: str) -> None:
    cool.release("v1.4.0", days_ago=0.1, body=f"* fix: {advisory} by @someone")

    cool.run("propose")

    body = cool.github.pulls(DOWNSTREAM)[0].body
    assert f"its notes name {advisory}" in body.partition("<summary>Release notes")[0]


def test_the_text_stays_the_same_when_the_cooldown_would_be_over(cool: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    cool.release("v1.4.0", days_ago=0.1, body="CVE-2026-12345")
    cool.run("propose")
    before = len([e for e in cool.github.exchanges if e.method != "GET"])
    monkeypatch.setattr(cool.clock, "now", lambda: NOW + timedelta(days=10))

    cool.run("propose")

    assert len([e for e in cool.github.exchanges if e.method != "GET"]) == before


def test_what_a_person_names_cools_too(cool: Town) -> None:
    cool.release("v1.4.0", days_ago=1)

    run = cool.run("plan", "--to", "v1.4.0", "--json")

    assert "cooling until" in run.json["reason"]
    assert run.code == 6


def test_a_clock_that_is_behind_makes_the_wait_no_shorter(cool: Town) -> None:
    cool.release("v1.4.0", days_ago=-0.5)

    run = cool.run("plan", "--json")

    assert "cooling until 2026-08-24 00:00 UTC" in run.json["reason"]


def test_tags_have_no_dates_so_they_cannot_cool(cool: Town) -> None:
    cool.settings('github = "agentgateway/agentgateway"\n', "")

    run = cool.run("config", "validate")

    assert "cooldown_days" in run.err
    assert run.code == 2
