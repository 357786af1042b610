"""The dashboard: one issue that says what `status` says, and that a person may close."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from bot.core.status_text import DASHBOARD
from bot.embedded.github import Account
from bot.embedded.github import Issue as StoredIssue
from tests.flows.alarms import WORKFLOW, Later, die_at, issues, the_issue, watched, writes
from tests.flows.conftest import DOWNSTREAM, NOW, TOKEN, Town

__all__ = ["watched"]


def dashboard(town: Town) -> StoredIssue:
    return the_issue(town)


def test_a_dashboard_is_opened_and_left_alone_while_nothing_changes(watched: Town) -> None:
    first = watched.run("status", "--publish")
    issue = dashboard(watched)
    before, body = writes(watched), issue.body
    watched.clock = Later(2)
    watched.github.add_run(DOWNSTREAM, WORKFLOW, "schedule", NOW + timedelta(days=2))

    run = watched.run("status", "--publish", "--json")

    assert (issue.title, issue.labels) == (DASHBOARD.title, [DASHBOARD.label])
    assert (writes(watched), issue.body) == (before, body)
    assert json.loads(run.out)["dashboard"].endswith(f"/issues/{issue.number}")
    assert "says the same" in run.err
    assert (first.code, run.code) == (0, 0)


def test_a_dashboard_follows_what_changes(watched: Town) -> None:
    watched.run("status", "--publish")
    due = dashboard(watched).body
    watched.run("propose")
    watched.run("status", "--publish")
    proposed = dashboard(watched).body
    watched.github.add_run(DOWNSTREAM, WORKFLOW, "schedule", NOW, "failure")
    watched.run("status", "--publish")

    assert "⬆️ due: v1.4.1 is not proposed yet |" in due
    assert "⬆️ proposed: in [\\#2](../pull/2) |" in proposed
    assert "[upgrade.yml](../actions/workflows/upgrade.yml) ended with success." in proposed
    assert "[upgrade.yml](../actions/workflows/upgrade.yml) ended with failure." in dashboard(watched).body
    assert dashboard(watched).comments == []


def test_the_dashboard_is_what_markdown_prints(watched: Town) -> None:
    watched.run("status", "--publish")

    run = watched.run("status", "--markdown")

    assert run.out.strip() in dashboard(watched).body
    assert "- agentgateway: The next run proposes it, if every gate passes" in run.out
    assert ("Close this issue" in dashboard(watched).body, "Close this issue" in run.out) == (True, False)


def test_what_a_person_wrote_beside_the_dashboard_stays(watched: Town) -> None:
    watched.run("status", "--publish")
    body = dashboard(watched).body.replace("\n", "\r\n")
    watched.github.edit_pull(DOWNSTREAM, 1, body=f"Ours.\r\n\r\n{body}\r\nBelow.")
    before = writes(watched)
    watched.run("status", "--publish")
    same = writes(watched)
    watched.run("propose")

    watched.run("status", "--publish")

    assert same == before
    assert dashboard(watched).body.startswith("Ours.\r\n")
    assert dashboard(watched).body.endswith("Below.")
    assert "proposed" in dashboard(watched).body


@pytest.mark.parametrize("labelled", [True, False])
def test_a_dashboard_that_a_person_closed_stays_closed_until_they_open_it(watched: Town, *, labelled: bool) -> None:
    watched.run("status", "--publish")
    if not labelled:
        watched.github.unlabel(DOWNSTREAM, 1, DASHBOARD.label)
    watched.github.close(DOWNSTREAM, 1)
    watched.run("propose")
    before = writes(watched)
    closed = watched.run("status", "--publish")
    after = writes(watched)
    watched.github.reopen(DOWNSTREAM, 1)

    run = watched.run("status", "--publish")

    assert after == before
    assert "was closed by a person" in closed.err
    assert "proposed" in dashboard(watched).body
    assert (closed.code, run.code, len(issues(watched))) == (0, 0, 1)


def test_a_dashboard_that_a_person_closes_meanwhile_is_left(watched: Town) -> None:
    watched.run("status", "--publish")
    watched.run("propose")
    before = writes(watched)

    def closing(method: str, path: str) -> None:
        if method == "GET" and path.endswith("/issues/1"):
            watched.github.close(DOWNSTREAM, 1)

    watched.github.intercept = closing

    run = watched.run("status", "--publish")

    assert writes(watched) == before
    assert "was closed by a person" in run.err


def test_a_dashboard_without_its_label_is_not_opened_twice(watched: Town) -> None:
    watched.run("status", "--publish")
    watched.github.unlabel(DOWNSTREAM, 1, DASHBOARD.label)
    watched.run("propose")

    watched.run("status", "--publish")

    assert "proposed" in dashboard(watched).body


def test_a_publishing_run_that_dies_after_any_request_converges_on_the_next(watched: Town) -> None:
    for number in range(1, 20):
        watched.github.repositories[DOWNSTREAM].issues.clear()
        seen: list[str] = []
        watched.github.intercept = die_at(number, seen)
        watched.run("status", "--publish")
        watched.github.intercept = None

        watched.run("status", "--publish")
        before = writes(watched)
        watched.run("status", "--publish")

        assert "due" in dashboard(watched).body
        assert writes(watched) == before
        if len(seen) < number:
            break
    else:
        pytest.fail("it never came to an end")


def test_a_dashboard_that_may_not_be_written_is_said_and_the_status_shown(watched: Town) -> None:
    watched.github.tokens[TOKEN] = Account("gateway-bot[bot]", {"contents": "read", "actions": "read"})

    run = watched.run("status", "--publish")

    assert "HTTP 403" in run.err
    assert "due: v1.4.1" in run.out
    assert run.code == 7
