"""A workflow that is started by hand: once, whatever becomes of the answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest

from bot.adapters.connections import Connections
from bot.adapters.github_api import GitHubApi
from bot.adapters.workflow_runs import WorkflowRuns
from bot.core.release.pushed import Pushed, start_by_hand, workflow_of
from bot.embedded.github import Account, EmbeddedGitHub
from bot.embedded.github.records import Level
from bot.embedded.server import Fault, Response
from bot.errors import BotError
from tests.flows.conftest import NOW, TOKEN, TestClock

NAME, TAG, FILE = "acme/gateway", "v1.2.4", "release.yml"
DISPATCH = f"/repos/{NAME}/actions/workflows/{FILE}/dispatches"


@pytest.fixture
def github() -> Iterator[EmbeddedGitHub]:
    with EmbeddedGitHub({TOKEN: Account("github-actions[bot]", {"actions": "write"})}, clock=lambda: NOW) as running:
        repository = running.create_repository(NAME)
        repository.refs[f"refs/tags/{TAG}"] = repository.refs["refs/heads/main"]
        running.add_run(NAME, FILE, "push", NOW - timedelta(days=1), branch="v1.2.3")
        yield running


@pytest.fixture
def runs(github: EmbeddedGitHub) -> Iterator[WorkflowRuns]:
    with Connections({}) as connections:
        yield WorkflowRuns(GitHubApi(connections, github.url, NAME, lambda: TOKEN, TestClock(), lambda _: None))


def started(github: EmbeddedGitHub) -> list[tuple[str, str]]:
    """What started each run, and for which ref."""
    return [(run.event, run.branch) for run in github.repositories[NAME].workflows[FILE].runs[1:]]


def sent(github: EmbeddedGitHub) -> list[object]:
    return [json.loads(one.body) for one in github.exchanges if one.method == "POST"]


def test_a_started_workflow_runs_for_the_tag_and_its_page_is_known(github: EmbeddedGitHub, runs: WorkflowRuns) -> None:
    page = runs.start(FILE, TAG)
    commit = github.repositories[NAME].refs[f"refs/tags/{TAG}"]
    found = [runs.last(FILE, branch=TAG, head_sha=sha) for sha in (commit, "1" * 40)]

    assert started(github) == [("workflow_dispatch", TAG)]
    assert page == f"{github.url}/{NAME}/actions/runs/1002"
    assert [run and (run.url, run.state) for run in found] == [(page, "in_progress"), None]


def test_an_answer_without_a_page_is_a_start_too(github: EmbeddedGitHub, runs: WorkflowRuns) -> None:
    github.intercept = lambda method, _: Fault(answer=Response(204)) if method == "POST" else None

    assert runs.start(FILE, TAG) == ""


def test_a_server_that_does_not_know_the_word_is_asked_without_it(github: EmbeddedGitHub, runs: WorkflowRuns) -> None:
    answers = [Response(422, b'{"message": "Invalid request.\\n\\n\\"return_run_details\\" is not a permitted key."}')]
    github.intercept = lambda method, _: Fault(answer=answers.pop()) if method == "POST" and answers else None

    assert runs.start(FILE, TAG) == ""
    assert sent(github) == [{"ref": TAG, "return_run_details": True}, {"ref": TAG}]
    assert started(github) == [("workflow_dispatch", TAG)]


@pytest.mark.parametrize("answer", [Response(502), Response(200, b"<html>"), Response(200, b'{"html_url": 1}')])
def test_an_answer_that_got_lost_is_looked_up_and_nothing_is_sent_twice(
    github: EmbeddedGitHub, runs: WorkflowRuns, answer: Response
) -> None:
    github.intercept = lambda method, _: Fault(answer=answer, performed=True) if method == "POST" else None

    page = runs.start(FILE, TAG)

    assert started(github) == [("workflow_dispatch", TAG)]
    assert page == f"{github.url}/{NAME}/actions/runs/1002"


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (Response(502), 4, "does not answer"),
        (Response(200, b"<html>"), 5, "lacks what its documentation promises"),
        (Response(403, b'{"message": "Resource not accessible by integration"}'), 7, "not accessible"),
        (Response(404, b'{"message": "Not Found"}'), 7, "HTTP 404"),
        (Response(422, b'{"message": "Workflow does not have \'workflow_dispatch\' trigger"}'), 7, "trigger"),
        (Response(301, b"", (("Location", "/repositories/1"),)), 7, "redirects"),
    ],
)
def test_a_start_that_did_not_happen_is_an_error(
    github: EmbeddedGitHub, runs: WorkflowRuns, answer: Response, code: int, words: str
) -> None:
    github.intercept = lambda method, _: Fault(answer=answer) if method == "POST" else None

    with pytest.raises(BotError, match=words) as raised:
        runs.start(FILE, TAG)

    assert len(sent(github)) == 1
    assert code == raised.value.exit_code


@pytest.mark.parametrize(
    ("ref", "level", "words", "advice"),
    [
        ("v9.9.9", "write", "No ref found for: v9.9.9", "at this ref and on the default branch"),
        (TAG, "read", "not accessible by integration", "`actions: write`"),
    ],
)
def test_what_github_refuses_it_says_and_what_to_do_with_it(
    github: EmbeddedGitHub, runs: WorkflowRuns, ref: str, level: Level, words: str, advice: str
) -> None:
    github.tokens[TOKEN] = Account("github-actions[bot]", {"actions": level})

    with pytest.raises(BotError, match=words) as raised:
        runs.start(FILE, ref)

    assert advice in raised.value.next_step
    assert started(github) == []


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        ("https://github.com/{repository}/.github/workflows/release.yml@refs/tags/{tag}", "release.yml"),
        ("https://github.com/acme/gw/.github/workflows/publish-it.yaml@refs/tags/{tag}", "publish-it.yaml"),
        ("https://github.com/acme/gw/.github/workflows/-x y.yml@refs/tags/{tag}", "release.yml"),
        ("someone@example.org", "release.yml"),
    ],
)
def test_what_publishes_is_the_workflow_that_signs(identity: str, expected: str) -> None:
    assert expected == workflow_of(identity)


def test_the_command_by_hand_is_one_that_a_shell_takes() -> None:
    assert start_by_hand("a.yml", "v1.2.3") == "gh workflow run a.yml --ref v1.2.3"


def test_what_github_says_of_a_run_stays_on_one_line() -> None:
    pushed = Pushed(
        "origin", "main", now=True, workflow=FILE, starts="before", run="https://x/\n\033[31my", state="a\nb"
    )

    assert len("\n".join(pushed.lines(TAG)).split("\n")) == 2
    assert "\033" not in "".join(pushed.lines(TAG))
