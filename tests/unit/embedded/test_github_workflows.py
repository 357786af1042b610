from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from bot.embedded.github import Account, EmbeddedGitHub
from tests.unit.embedded.town import NAME, NOW, ask, running_github

RUNS = "actions/workflows/upgrade.yml/runs"


@pytest.fixture
def github() -> Iterator[EmbeddedGitHub]:
    with running_github() as running:
        running.add_run(NAME, "upgrade.yml", "schedule", NOW - timedelta(days=3))
        running.add_run(NAME, "upgrade.yml", "schedule", NOW - timedelta(days=2), "failure")
        running.add_run(NAME, "upgrade.yml", "workflow_dispatch", NOW, None)
        running.add_run(NAME, "ci.yml", "schedule", NOW)
        yield running


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["workflow_dispatch", "schedule", "schedule"]),
        ("?event=schedule&status=success", ["schedule"]),
        ("?status=completed&per_page=1", ["schedule"]),
        ("?status=in_progress", ["workflow_dispatch"]),
        ("?branch=elsewhere", []),
    ],
)
def test_runs_are_newest_first_and_found_by_what_they_are(
    github: EmbeddedGitHub, query: str, expected: list[str]
) -> None:
    assert [run["event"] for run in ask(github, "GET", f"{RUNS}{query}")["workflow_runs"]] == expected


def test_time_and_conclusion_of_a_run_are_told(github: EmbeddedGitHub) -> None:
    answer = ask(github, "GET", f"{RUNS}?event=schedule&per_page=1")
    (run,) = answer["workflow_runs"]

    assert answer["total_count"] == 2
    assert (run["created_at"], run["conclusion"], run["head_branch"]) == ("2026-07-30T06:30:00Z", "failure", "main")


def test_workflow_that_was_switched_off_says_so(github: EmbeddedGitHub) -> None:
    github.add_workflow(NAME, "upgrade.yml").state = "disabled_inactivity"

    assert ask(github, "GET", "actions/workflows/upgrade.yml")["state"] == "disabled_inactivity"
    assert [one["path"] for one in ask(github, "GET", "actions/workflows")["workflows"]] == [
        ".github/workflows/upgrade.yml",
        ".github/workflows/ci.yml",
    ]


def test_workflow_that_is_not_there_is_not_found(github: EmbeddedGitHub) -> None:
    ask(github, "GET", "actions/workflows/missing.yml/runs", status=404)

    assert "missing.yml" not in github.repositories[NAME].workflows


def test_runs_of_a_private_repository_need_a_permission(github: EmbeddedGitHub) -> None:
    github.repositories[NAME].private = True
    github.tokens["watch"] = Account("watch[bot]", {"actions": "read"})
    refusal = ask(github, "GET", RUNS, status=403)

    assert refusal["message"] == "Resource not accessible by integration"
    assert ask(github, "GET", RUNS, caller="watch")["total_count"] == 3
