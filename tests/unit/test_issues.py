"""Issues and workflow runs as GitHub shows them, and the one issue of a topic among them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from bot.adapters.connections import Connections
from bot.adapters.github_api import GitHubApi
from bot.adapters.issues import MAX_PAGES, Issues
from bot.adapters.workflow_runs import WorkflowRuns
from bot.core.issue_text import LIMIT, Issue, Topic, duplicate, is_duplicate, is_ours, part_of, room, with_part
from bot.core.runs import NoWorkflow, Run
from bot.embedded.github import Account, EmbeddedGitHub
from bot.embedded.server import Fault, Response
from bot.errors import BotError, ForgeError
from bot.flows.one_issue import find, open_one, rewrite
from tests.flows.conftest import DOWNSTREAM, NOW, TOKEN, TestClock

TOPIC = Topic("alarm", "gateway-bot-alarm", "A title")
BOT = Account("gateway-bot[bot]", {"issues": "write", "actions": "read", "contents": "write"})


@pytest.fixture
def github() -> Iterator[EmbeddedGitHub]:
    with EmbeddedGitHub({TOKEN: BOT}) as running:
        running.create_repository(DOWNSTREAM)
        yield running


@pytest.fixture
def api(github: EmbeddedGitHub) -> Iterator[GitHubApi]:
    with Connections({}) as client:
        yield GitHubApi(client, github.url, DOWNSTREAM, lambda: TOKEN, TestClock(), lambda _: None)


@pytest.fixture
def issues(api: GitHubApi) -> Issues:
    return Issues(api)


def opened(issues: Issues, body: str = "") -> Issue:
    return issues.open(TOPIC.title, body, TOPIC.label, lambda: None)


def part(text: str = "text", memory: bytes = b"{}") -> str:
    return with_part("", TOPIC, memory, text)


def test_pull_requests_are_no_issues(github: EmbeddedGitHub, issues: Issues) -> None:
    github.commit(DOWNSTREAM, "topic", {"x": ("100644", b"x")})
    github.act(DOWNSTREAM, "POST", "/pulls", {"title": "x", "head": "topic", "base": "main"})
    github.label(DOWNSTREAM, 1, TOPIC.label)
    made = opened(issues)

    found = (issues.labelled(TOPIC.label), issues.latest(closed=True))

    assert found == ([made], [made])


def test_an_issue_is_read_as_it_is(github: EmbeddedGitHub, issues: Issues) -> None:
    made = opened(issues, "body")
    github.close(DOWNSTREAM, made.number)

    found = issues.read(made.number)

    assert found == Issue(1, f"{github.url}/{DOWNSTREAM}/issues/1", TOPIC.title, "body", False, (TOPIC.label,), True)
    assert issues.read(7) is None


@pytest.mark.parametrize("association", ["OWNER", "MEMBER", "COLLABORATOR", "NONE"])
@pytest.mark.parametrize(("kind", "expected"), [("User", False), ("Bot", True), (None, False)])
def test_who_belongs_to_the_organisation_is_no_program(
    github: EmbeddedGitHub, issues: Issues, association: str, kind: str | None, *, expected: bool
) -> None:
    user = {"login": "x", "type": kind} if kind else None
    shown = {"number": 1, "state": "closed", "title": TOPIC.title, "body": part(), "html_url": "u", "user": user}
    body = json.dumps(shown | {"labels": [], "author_association": association}).encode()
    github.intercept = lambda _, __: Fault(answer=Response(200, body))

    found = issues.read(1)

    assert found is not None
    assert (found.by_program, is_ours(found, TOPIC)) == (expected, expected)


def test_the_list_is_looked_through_to_a_bound(github: EmbeddedGitHub, issues: Issues) -> None:
    for _ in range(100 * MAX_PAGES + 1):
        github.act(DOWNSTREAM, "POST", "/issues", {"title": "x"})
    github.exchanges.clear()

    found = issues.latest(closed=False)

    assert (len(found), len(github.exchanges)) == (100 * MAX_PAGES, MAX_PAGES)


def once(answer: Response, *, performed: bool, verb: str) -> Any:
    left = [Fault(answer=answer, performed=performed)]
    return lambda method, _: left.pop() if method == verb and left else None


@pytest.mark.parametrize("performed", [True, False])
def test_an_edit_that_answers_502_is_looked_up(github: EmbeddedGitHub, issues: Issues, *, performed: bool) -> None:
    made = opened(issues, "old")
    github.intercept = once(Response(502), performed=performed, verb="PATCH")

    if performed:
        issues.edit(made.number, "new", "completed")
    else:
        with pytest.raises(BotError, match="HTTP 502"):
            issues.edit(made.number, "new", "completed")

    found = issues.read(made.number)
    assert found is not None
    assert (found.body, found.is_open) == (("new", False) if performed else ("old", True))


@pytest.mark.parametrize("performed", [True, False])
def test_a_comment_that_answers_502_is_made_once(github: EmbeddedGitHub, issues: Issues, *, performed: bool) -> None:
    made = opened(issues)
    github.intercept = once(Response(502), performed=performed, verb="POST")

    if not performed:
        with pytest.raises(BotError, match="HTTP 502"):
            issues.comment_once(made.number, "words <mark>", "<mark>", NOW)
    for _ in range(2):
        issues.comment_once(made.number, "words <mark>", "<mark>", NOW)

    assert len(github.repositories[DOWNSTREAM].issues[1].comments) == 1


def test_a_strangers_comment_with_the_mark_does_not_count(github: EmbeddedGitHub, issues: Issues) -> None:
    made = opened(issues)
    github.comment(DOWNSTREAM, made.number, "<mark>", by="mallory")

    issues.comment_once(made.number, "words <mark>", "<mark>", NOW)

    assert len(github.repositories[DOWNSTREAM].issues[1].comments) == 2


def test_a_repository_without_issues_is_said(github: EmbeddedGitHub, issues: Issues) -> None:
    github.intercept = lambda _, __: Fault(answer=Response(410, b"{}"))

    with pytest.raises(ForgeError, match="no issues"):
        issues.labelled("x")
    with pytest.raises(ForgeError, match="no issues"):
        opened(issues)

    assert issues.read(1) is None


def test_the_last_run_is_the_newest_of_its_kind(github: EmbeddedGitHub, api: GitHubApi) -> None:
    for days, event, conclusion in ((3, "schedule", "failure"), (2, "push", "success"), (1, "schedule", None)):
        github.add_run(DOWNSTREAM, "ci.yml", event, NOW - timedelta(days=days), conclusion)
    runs = WorkflowRuns(api)

    found = [
        runs.last("ci.yml"),
        runs.last("ci.yml", status="completed"),
        runs.last("ci.yml", event="schedule", status="completed"),
        runs.last("ci.yml", event="release"),
    ]

    assert [run and (run.started, run.state) for run in found] == [
        (NOW - timedelta(days=1), "in_progress"),
        (NOW - timedelta(days=2), "success"),
        (NOW - timedelta(days=3), "failure"),
        None,
    ]


@pytest.mark.parametrize("what", ["workflow", "last"])
def test_a_workflow_that_is_not_there_is_known_for_one_request_more(
    github: EmbeddedGitHub, api: GitHubApi, what: str
) -> None:
    with pytest.raises(NoWorkflow, match=r"has no workflow none\.yml"):
        getattr(WorkflowRuns(api), what)("none.yml")

    assert len(github.exchanges) == 2


@pytest.mark.parametrize("what", ["workflow", "last"])
def test_a_repository_that_nobody_may_see_has_not_lost_its_workflow(
    github: EmbeddedGitHub, api: GitHubApi, what: str
) -> None:
    github.repositories.clear()

    with pytest.raises(BotError, match="HTTP 404") as raised:
        getattr(WorkflowRuns(api), what)("ci.yml")

    assert not isinstance(raised.value, NoWorkflow)
    assert "Check GITHUB_REPOSITORY" in raised.value.next_step


RUN = {"created_at": "2026-08-20T05:00:00Z", "html_url": "u", "status": "completed", "conclusion": "success"}


def answering(github: EmbeddedGitHub, answer: object) -> None:
    github.intercept = lambda _, __: Fault(answer=Response(200, json.dumps(answer).encode()))


INCOMPLETE = [{name: RUN[name] for name in RUN if name != gone} for gone in RUN]


@pytest.mark.parametrize("answer", [{}, [], {"total_count": 0}, *({"workflow_runs": [run]} for run in INCOMPLETE)])
def test_an_answer_without_what_github_promises_is_not_that_it_never_ran(
    github: EmbeddedGitHub, api: GitHubApi, answer: object
) -> None:
    answering(github, answer)

    with pytest.raises(BotError, match="lacks what its documentation promises") as raised:
        WorkflowRuns(api).last("ci.yml")

    assert raised.value.exit_code == 5


@pytest.mark.parametrize(
    "when",
    ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-23:00", "9999-12-31T23:59:59Z", "2026-08-20T05:00:00"],
)
@pytest.mark.parametrize("what", ["workflow", "last"])
def test_a_time_that_cannot_be_is_not_githubs(github: EmbeddedGitHub, api: GitHubApi, what: str, when: str) -> None:
    run = RUN | {"created_at": when}
    answering(github, {"workflow_runs": [run], "state": "active", "created_at": when})

    with pytest.raises(BotError, match="a time that cannot be") as raised:
        getattr(WorkflowRuns(api), what)("ci.yml")

    assert raised.value.exit_code == 5


def test_a_time_with_an_offset_is_the_same_time(github: EmbeddedGitHub, api: GitHubApi) -> None:
    answering(github, {"workflow_runs": [RUN | {"created_at": "2026-08-20T14:00:00+02:00"}]})

    found = WorkflowRuns(api).last("ci.yml")

    assert found == Run(NOW, "success", "u")
    assert str(found.started) == str(NOW)


@pytest.mark.parametrize("body", ["", "Hello.", "Hello.\r\n\r\nBye.\r\n"])
def test_the_bots_part_is_put_below_what_is_there_and_replaced_where_it_stands(body: str) -> None:
    first = with_part(body, TOPIC, b'{"a":1}', "one")
    second = with_part(f"{first}\nmine", TOPIC, b'{"a":2}', "two")

    found = part_of(second, TOPIC)
    assert found is not None
    assert (found.memory, found.text) == (b'{"a":2}', "two")
    assert second.startswith(body.rstrip())
    assert second.endswith("-->\nmine")
    assert "one" not in second


def test_the_memory_ends_no_comment_and_nothing_in_it_acts() -> None:
    memory = json.dumps({"seen": "--> @all #1 <b> & é"}).encode()

    body = with_part("", TOPIC, memory, "text")

    found = part_of(body, TOPIC)
    assert found is not None
    assert json.loads(found.memory)["seen"] == "--> @all #1 <b> & é"
    assert not set("@#&") & set(body)
    assert body.count("-->") == 2


@pytest.mark.parametrize(
    "body",
    [
        "",
        "> <!-- gateway-bot:alarm {} -->\n> <!-- /gateway-bot:alarm -->",
        "<!-- gateway-bot:alarm {} -->\nno end",
        "<!-- gateway-bot:dashboard {} -->\n\n<!-- /gateway-bot:dashboard -->",
        "<!-- gateway-bot:alarm {\n} -->\n<!-- /gateway-bot:alarm -->",
    ],
)
def test_what_is_not_whole_is_no_part_and_stays(body: str) -> None:
    whole = with_part(body, TOPIC, b"{}", "text")

    assert part_of(body, TOPIC) is None
    assert whole.startswith(body)
    assert part_of(f"{whole}\n", TOPIC) is not None or "no end" in body


def test_a_body_has_room_for_what_github_takes() -> None:
    body = with_part("x" * 60_000, TOPIC, b"{}", "text")
    fits = room(body, TOPIC, b"{}")

    assert len(with_part(body, TOPIC, b"{}", "t" * fits)) <= LIMIT
    with pytest.raises(ValueError, match="GitHub takes 65,536"):
        with_part(body, TOPIC, b"{}", "t" * (fits + 200))


@pytest.mark.parametrize(
    ("labels", "title", "body", "by_program", "expected"),
    [
        ((TOPIC.label,), TOPIC.title, "", False, True),
        ((TOPIC.label,), "Another", part(), False, True),
        (("Gateway-Bot-Alarm",), TOPIC.title, "", False, True),
        ((TOPIC.label,), "Another", "", True, False),
        ((), TOPIC.title, part(), True, True),
        ((), TOPIC.title, part(), False, False),
        ((), "Another", part(), True, False),
        ((), TOPIC.title, "", True, False),
    ],
)
def test_what_only_a_program_or_who_may_label_can_make_is_the_bots(
    labels: tuple[str, ...], title: str, body: str, *, by_program: bool, expected: bool
) -> None:
    actual = is_ours(Issue(1, "", title, body, True, labels, by_program), TOPIC)

    assert expected == actual


def test_of_two_open_issues_the_younger_one_is_closed_whoever_looks(github: EmbeddedGitHub, issues: Issues) -> None:
    first, second = opened(issues, part("first")), opened(issues, f"mine\n{part('second')}")

    found = [find(issues, TOPIC, needed=False) for _ in range(2)]

    younger = issues.read(second.number)
    assert younger is not None
    assert [issue and issue.number for issue in found] == [first.number] * 2
    assert (younger.is_open, is_duplicate(younger, TOPIC), younger.body.startswith("mine\n")) == (False, True, True)
    assert len([e for e in github.exchanges if e.method == "PATCH"]) == 1


def test_a_persons_own_issue_of_that_name_is_not_closed(issues: Issues) -> None:
    opened(issues, part())
    mine = opened(issues, "no part of a bot")

    find(issues, TOPIC, needed=True)

    assert mine in issues.labelled(TOPIC.label)


def test_a_memory_that_is_too_deep_to_be_read_is_no_duplicates() -> None:
    body = part(memory=b'{"x":' + b"[" * 20_000 + b"]" * 20_000 + b"}")

    assert not is_duplicate(Issue(1, "", TOPIC.title, body, False), TOPIC)


def test_a_duplicate_is_not_the_issue_that_was_closed_last(github: EmbeddedGitHub, issues: Issues) -> None:
    first, second = opened(issues, part()), opened(issues, part())
    issues.edit(second.number, duplicate(second, TOPIC, first.number), "not_planned")
    github.close(DOWNSTREAM, first.number)

    found = find(issues, TOPIC, needed=True)

    assert found is not None
    assert found.number == first.number


def test_a_list_that_lags_behind_does_not_hide_what_was_opened(github: EmbeddedGitHub, issues: Issues) -> None:
    empty = Response(200, b"[]", (("Content-Type", "application/json"),))
    github.intercept = lambda method, _: Fault(answer=empty) if method == "GET" else None

    made = open_one(issues, TOPIC, b"{}", "text")

    assert (made.number, made.is_open) == (1, True)


def test_what_a_person_wrote_so_much_that_there_is_no_room_is_said(issues: Issues) -> None:
    made = opened(issues, "x" * LIMIT)

    with pytest.raises(ForgeError, match="does not fit into #1"):
        rewrite(issues, made, TOPIC, b"{}", "text")
