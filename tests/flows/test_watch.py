"""`watch`: what it sees, what it takes for an alarm, and how it says so."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from bot.core.alarm import ALARM, remembered
from bot.embedded.github import Account
from bot.embedded.server import Fault, Response
from tests.flows.alarms import (
    WORKFLOW,
    Later,
    issues,
    mend,
    move,
    rows,
    shown,
    states,
    switch,
    the_issue,
    watched,
    writes,
)
from tests.flows.conftest import DOWNSTREAM, NOW, SIGNATURE, TOKEN, UPSTREAM, Gated, Town

__all__ = ["watched"]


def test_where_all_is_well_nothing_is_written_and_four_questions_are_asked_of_github(watched: Town) -> None:
    run = watched.run("watch", "--json")

    assert states(run) == {"pinned-tag": "fine", "schedule": "fine"}
    assert writes(watched) == []
    assert len(watched.github.exchanges) == 4
    assert run.code == 0


def test_a_moved_tag_opens_one_issue_that_says_what_was_seen_and_what_to_do(watched: Town) -> None:
    digest = move(watched)

    run = watched.run("watch")

    issue = the_issue(watched)
    assert (issue.title, issue.labels) == (ALARM.title, [ALARM.label])
    assert digest in issue.body
    assert "**Next:** Do not build or deploy by this tag" in issue.body
    assert "2026-08-20 12:00 UTC" in issue.body
    assert f"#{issue.number} is open for it" in run.out
    assert run.code == 5


def test_an_alarm_that_stays_the_same_is_not_touched_for_days(watched: Town) -> None:
    move(watched)
    watched.run("watch")
    before, body = writes(watched), the_issue(watched).body
    watched.clock = Later(2)
    asked = len(watched.github.exchanges)

    run = watched.run("watch", "--json")

    assert (writes(watched), the_issue(watched).body) == (before, body)
    assert len(watched.github.exchanges) - asked == 3
    assert rows(run)["pinned-tag"]["since"] == "2026-08-20T12:00:00Z"
    assert run.code == 5


def test_a_tag_that_is_gone_is_a_warning_and_no_alarm(watched: Town) -> None:
    del watched.registry.repository(UPSTREAM).tags["v1.3.1"]

    run = watched.run("watch", "--json")

    assert states(run)["pinned-tag"] == "warning"
    assert issues(watched) == []
    assert run.code == 0


def test_a_tag_that_moved_and_then_went_is_no_all_clear(watched: Town, tmp_path: Path) -> None:
    digest = move(watched)
    watched.run("watch")
    del watched.registry.repository(UPSTREAM).tags["v1.3.1"]
    before = writes(watched)
    summary = tmp_path / "summary"

    run = watched.run("watch", environ={"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)})

    url = f"{watched.github.url}/{DOWNSTREAM}/issues/1"
    assert writes(watched) == before
    assert f"stands: {watched.image}:v1.3.1 answers with {digest}" in run.out
    assert "(alarm since 2026-08-20 12:00 UTC)" in run.out
    assert f"#1 stays open: {url}" in run.out
    assert "::error title=gateway-bot::agentgateway pinned-tag: " in run.err
    assert "the alarm stands" in summary.read_text()
    assert "stays open" in summary.read_text()
    assert run.code == 5


def test_an_issue_that_is_left_as_it_is_is_named_by_every_run(watched: Town) -> None:
    move(watched)
    watched.run("watch")
    same = watched.run("watch")
    watched.github.close(DOWNSTREAM, 1)

    closed = watched.run("watch")

    url = f"{watched.github.url}/{DOWNSTREAM}/issues/1"
    assert f"#1 stays open: {url}" in same.out
    assert "#1 was closed by a person, who has seen it" in closed.out
    assert url in closed.out
    assert (same.code, closed.code) == (5, 0)


def test_a_signature_that_no_longer_verifies_is_an_alarm(gated: Gated, watched: Town) -> None:
    gated.ask(SIGNATURE)
    fine = watched.run("watch", "--json")
    gated.programs.signature(gated.current, "unsigned")

    run = watched.run("watch", "--json")

    assert states(fine) == {"pinned-tag": "fine", "signature": "fine", "schedule": "fine"}
    assert states(run) == {"pinned-tag": "fine", "signature": "alarm", "schedule": "fine"}
    assert f"{watched.image}@{gated.current}" in the_issue(watched).body
    assert run.code == 5


def test_what_cosign_says_in_other_words_is_the_same_alarm(gated: Gated, watched: Town) -> None:
    gated.ask(SIGNATURE)
    gated.programs.signature(gated.current, "unsigned")
    watched.run("watch")
    before = writes(watched)
    gated.programs.signature(gated.current, "wrong")

    run = watched.run("watch")

    assert writes(watched) == before
    assert run.code == 5


def test_cosigns_words_are_inert_in_the_issue(gated: Gated, watched: Town) -> None:
    gated.ask(SIGNATURE)
    said = "error during command execution: no matching signatures: @all fixes #1 --> <!channel> </details> `x`\n"
    for form in ("bundle", "legacy"):
        gated.programs._cosign(gated.current, form, err=said, code=12)

    run = watched.run("watch")

    body = the_issue(watched).body
    assert not any(sign in body for sign in ("@all", "#1", "<!channel>", "</details>"))
    assert body.partition("\n")[0].count("-->") == 1
    assert remembered(shown(the_issue(watched))).alarms[0].subject == "agentgateway"
    assert run.code == 5


@pytest.mark.parametrize("kind", ["crash", "hang"])
def test_a_signature_that_could_not_be_asked_for_is_neither_an_alarm_nor_all_well(
    gated: Gated, watched: Town, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.adapters.cosign.SECONDS", 0.3)
    gated.ask(SIGNATURE)
    gated.programs.signature(gated.current, kind)  # type: ignore[arg-type]  # of the parameters

    run = watched.run("watch", "--json")

    assert states(run)["signature"] == "unknown"
    assert issues(watched) == []
    assert run.code == 4


def test_an_alarm_that_could_not_be_asked_again_stands_while_what_is_certain_is_acted_on(
    gated: Gated, watched: Town
) -> None:
    gated.ask(SIGNATURE)
    move(watched)
    gated.programs.signature(gated.current, "unsigned")
    watched.run("watch")
    mend(watched)
    gated.programs.signature(gated.current, "crash")

    run = watched.run("watch", "--json")

    left = remembered(shown(the_issue(watched))).alarms
    assert [alarm.question for alarm in left] == ["signature"]
    assert "the signature of v1.3.1 no longer verifies" in the_issue(watched).body
    assert states(run)["signature"] == "unknown"
    assert run.code == 5


def test_a_registry_that_does_not_answer_leaves_the_alarm_as_it_is(watched: Town) -> None:
    move(watched)
    watched.run("watch")
    before = writes(watched)
    watched.registry.intercept = lambda _, __: Fault(answer=Response(503))

    run = watched.run("watch", "--json")

    assert states(run)["pinned-tag"] == "unknown"
    assert writes(watched) == before
    assert run.code == 5


def test_a_registry_that_does_not_answer_is_no_alarm(watched: Town) -> None:
    watched.registry.intercept = lambda _, __: Fault(answer=Response(503))

    run = watched.run("watch")

    assert issues(watched) == []
    assert run.code == 4


@pytest.mark.parametrize(("days", "code"), [(2.6, 0), (2.8, 6)])
def test_a_schedule_that_has_not_run_for_the_set_number_of_days_is_an_alarm(
    watched: Town, days: float, code: int
) -> None:
    watched.github.add_run(DOWNSTREAM, WORKFLOW, "workflow_dispatch", NOW + timedelta(days=days))
    watched.clock = Later(days)

    run = watched.run("watch")

    said = "last ran by its schedule on 2026-08-20 05:00 UTC, more than 3 days ago (alarm since 2026-08-23 07:12 UTC)"
    assert (said in run.out) == bool(code)
    assert run.code == code


def test_a_failed_run_is_a_sign_of_life(watched: Town) -> None:
    watched.github.add_run(DOWNSTREAM, WORKFLOW, "schedule", NOW + timedelta(days=4), "failure")
    watched.clock = Later(5)

    assert watched.run("watch").code == 0


@pytest.mark.parametrize("state", ["disabled_inactivity", "disabled_manually"])
def test_a_workflow_that_is_switched_off_is_an_alarm_at_once(watched: Town, state: str) -> None:
    switch(watched, state)

    run = watched.run("watch")

    assert "gh workflow enable upgrade.yml" in the_issue(watched).body
    assert run.code == 6


def test_a_workflow_that_is_not_there_is_not_known(watched: Town) -> None:
    watched.github.repositories[DOWNSTREAM].workflows.clear()

    run = watched.run("watch", "--json")

    found = rows(run)["schedule"]
    assert (found["state"], found["reason"]) == ("unknown", f"{DOWNSTREAM} has no workflow upgrade.yml")
    assert "`workflow` in the table [watch] of gateway-bot.toml" in str(found["next_step"])
    assert issues(watched) == []
    assert run.code == 7


def test_a_repository_that_may_not_be_seen_is_not_said_to_have_no_workflow(watched: Town) -> None:
    run = watched.run("watch", environ={"GITHUB_REPOSITORY": "acme/elsewhere"})

    assert "has no workflow" not in run.out
    assert "Check GITHUB_REPOSITORY" in run.out
    assert run.code == 7


@pytest.mark.parametrize("when", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-23:00", "2026-08-20T05:00:00"])
def test_a_run_at_a_time_that_cannot_be_is_no_bug_and_no_sign_of_life(watched: Town, when: str) -> None:
    run_of = {"created_at": when, "html_url": "u", "status": "completed", "conclusion": "success"}
    answer = Response(200, json.dumps({"workflow_runs": [run_of]}).encode())
    watched.github.intercept = lambda _, path: Fault(answer=answer) if "/runs?" in path else None

    watch, status = watched.run("watch", "--json"), watched.run("status")

    assert states(watch)["schedule"] == "unknown"
    assert "a bug" not in f"{watch.out}{status.out}{status.err}"
    assert (watch.code, status.code) == (5, 5)


def test_files_that_cannot_be_read_are_no_alarm(watched: Town) -> None:
    watched.write("versions.env", "X=1\n")

    run = watched.run("watch", "--json")

    assert states(run) == {"pinned-tag": "unknown", "schedule": "fine"}
    assert run.code == 3


def test_a_repository_without_issues_gets_the_alarm_in_the_run(watched: Town) -> None:
    gone = Response(410, b'{"message": "Issues has been disabled in this repository."}')
    watched.github.intercept = lambda _, path: Fault(answer=gone) if "/issues" in path else None
    fine = watched.run("watch")
    move(watched)

    run = watched.run("watch")

    assert "the repository has no issues" in run.err
    assert "answers with" in run.out
    assert (fine.code, run.code) == (7, 5)


def test_a_token_that_may_not_write_issues_is_said(watched: Town) -> None:
    watched.github.tokens[TOKEN] = Account("gateway-bot[bot]", {"contents": "read", "actions": "read"})
    move(watched)

    run = watched.run("watch")

    assert "HTTP 403" in run.err
    assert run.code == 5


def test_in_github_actions_each_alarm_is_an_annotation_and_stands_in_the_summary(watched: Town, tmp_path: Path) -> None:
    move(watched)
    summary = tmp_path / "summary"
    actions = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}

    run = watched.run("watch", environ=actions)

    errors = [line for line in run.err.splitlines() if line.startswith("::error title=gateway-bot::")]
    assert len(errors) == 1
    assert "agentgateway pinned-tag: 127.0.0.1" in errors[0]
    assert "| alarm | `agentgateway` | pinned-tag |" in summary.read_text()


def test_without_a_token_nothing_is_asked(watched: Town) -> None:
    run = watched.run("watch", environ={"GITHUB_TOKEN": ""})

    assert watched.github.exchanges == []
    assert run.code == 2
