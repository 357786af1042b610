"""One alarm issue that is opened, kept current and closed, whatever people and services do meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from bot.adapters.connections import Connections
from bot.adapters.github_api import GitHubApi
from bot.adapters.issues import Issues
from bot.core.alarm import ALARM, Alarm, fingerprint, remembered
from bot.embedded.github import Issue as StoredIssue
from bot.embedded.github.issue_forms import issue_form
from bot.embedded.server import Fault, Response
from bot.flows.alarm_issue import keep
from tests.flows.alarms import (
    PATH,
    Chat,
    chat,
    die_at,
    issues,
    mend,
    move,
    rows,
    shown,
    switch,
    the_issue,
    watched,
    writes,
)
from tests.flows.conftest import DOWNSTREAM, NOW, TOKEN, Town

__all__ = ["chat", "watched"]


def test_another_kind_of_alarm_is_told_in_one_comment(watched: Town) -> None:
    move(watched)
    watched.run("watch")
    switch(watched, "disabled_inactivity")

    codes = [watched.run("watch").code for _ in range(3)]

    issue = the_issue(watched)
    assert "switched off" in issue.body
    assert "answers with" in issue.body
    assert ["switched off" in comment.body for comment in issue.comments] == [True]
    assert codes == [5, 5, 5]


def test_a_tag_that_moves_again_changes_the_text_without_a_comment(watched: Town) -> None:
    move(watched)
    watched.run("watch")
    digest = move(watched, "once more")

    watched.run("watch")

    issue = the_issue(watched)
    assert digest in issue.body
    assert issue.comments == []


def test_what_is_over_is_closed_with_a_last_word(watched: Town) -> None:
    move(watched)
    watched.run("watch")
    mend(watched)

    codes = [watched.run("watch").code for _ in range(2)]

    issue = issues(watched)[0]
    assert (issue.state, issue.state_reason) == ("closed", "completed")
    assert [comment.body.partition(",")[0] for comment in issue.comments] == ["**Over**"]
    assert codes == [0, 0]


def test_what_comes_back_opens_the_same_issue_again(watched: Town) -> None:
    move(watched)
    watched.run("watch")
    mend(watched)
    watched.run("watch")
    move(watched)

    run = watched.run("watch")

    assert the_issue(watched).number == 1
    assert "#1 opened again" in run.out
    assert len(issues(watched)) == 1
    assert run.code == 5


def test_an_issue_that_a_person_closed_is_acknowledged_until_there_is_something_new(watched: Town) -> None:
    move(watched)
    watched.run("watch")
    watched.github.close(DOWNSTREAM, 1)
    before = writes(watched)
    known = watched.run("watch", "--json")
    after = writes(watched)
    switch(watched, "disabled_manually")

    run = watched.run("watch", "--json")

    assert (known.code, rows(known)["pinned-tag"]["acknowledged"]) == (0, True)
    assert after == before
    assert len(the_issue(watched).comments) == 1
    assert "answers with" not in the_issue(watched).comments[0].body
    assert run.code == 5


def test_what_was_acknowledged_and_then_over_is_a_new_question_when_it_comes_back(watched: Town) -> None:
    move(watched)
    watched.run("watch")
    watched.github.close(DOWNSTREAM, 1)
    mend(watched)
    watched.run("watch")
    quiet = [len(issue.comments) for issue in issues(watched)]
    move(watched)

    run = watched.run("watch")

    assert quiet == [0]
    assert the_issue(watched).number == 1
    assert run.code == 5


def test_a_closed_issue_that_a_person_opens_again_stays_open(watched: Town) -> None:
    move(watched)
    watched.run("watch")
    mend(watched)
    watched.run("watch")
    watched.github.reopen(DOWNSTREAM, 1)
    before = writes(watched)

    run = watched.run("watch")

    assert the_issue(watched).number == 1
    assert writes(watched) == before
    assert run.code == 0


def test_what_a_person_wrote_beside_the_bots_part_stays(watched: Town) -> None:
    move(watched)
    watched.run("watch")
    body = the_issue(watched).body.replace("\n", "\r\n")
    watched.github.edit_pull(DOWNSTREAM, 1, body=f"Anna looks into it.\r\n\r\n{body}\r\n\r\nTicket 42")
    switch(watched, "disabled_manually")

    watched.run("watch")

    now = the_issue(watched).body
    assert (now.startswith("Anna looks into it.\r\n"), now.endswith("Ticket 42")) == (True, True)
    assert now.count("<!-- gateway-bot:alarm {") == 1
    assert "switched off" in now


def test_an_issue_without_its_label_is_known_by_the_bots_part(watched: Town) -> None:
    move(watched)
    watched.run("watch")
    watched.github.unlabel(DOWNSTREAM, 1, ALARM.label)
    same = watched.run("watch")
    mend(watched)

    run = watched.run("watch")

    assert [issue.state for issue in issues(watched)] == ["closed"]
    assert (same.code, run.code) == (5, 0)


def test_an_acknowledged_issue_without_its_label_is_still_acknowledged(watched: Town) -> None:
    move(watched)
    watched.run("watch")
    watched.github.unlabel(DOWNSTREAM, 1, ALARM.label)
    watched.github.close(DOWNSTREAM, 1)

    run = watched.run("watch")

    assert [issue.state for issue in issues(watched)] == ["closed"]
    assert run.code == 0


@pytest.mark.parametrize("state", ["open", "closed"])
def test_a_strangers_issue_with_the_bots_part_silences_nothing(watched: Town, state: str) -> None:
    move(watched)
    watched.run("watch")
    part = the_issue(watched).body
    stored = watched.github.repositories[DOWNSTREAM].issues
    stored.clear()
    watched.github.act(DOWNSTREAM, "POST", "/issues", {"title": ALARM.title, "body": part}, by="mallory")
    stored[1].state = state  # type: ignore[assignment]  # of the parameters

    run = watched.run("watch")

    assert [issue.author.login for issue in issues(watched)] == ["mallory", "gateway-bot[bot]"]
    assert issues(watched)[1].state == "open"
    assert run.code == 5


@pytest.mark.parametrize("association", ["OWNER", "MEMBER", "COLLABORATOR"])
def test_an_issue_of_somebody_in_the_organisation_who_may_not_label_silences_nothing(
    watched: Town, association: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "bot.embedded.github.issues.issue_form",
        lambda call, issue: issue_form(call, issue) | {"author_association": association},
    )
    move(watched)
    watched.run("watch")
    part = the_issue(watched).body
    stored = watched.github.repositories[DOWNSTREAM].issues
    stored.clear()
    watched.github.act(DOWNSTREAM, "POST", "/issues", {"title": ALARM.title, "body": part}, by="mallory")
    watched.github.close(DOWNSTREAM, 1, by="mallory")

    run = watched.run("watch")

    assert [(issue.author.login, issue.state) for issue in issues(watched)] == [
        ("mallory", "closed"),
        ("gateway-bot[bot]", "open"),
    ]
    assert run.code == 5


@pytest.mark.parametrize("since", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-23:00", "2026-08-20T12:00:00"])
@pytest.mark.parametrize("name", ["since", "changed"])
def test_a_memory_that_a_person_edited_to_a_time_that_cannot_be_is_made_anew(
    watched: Town, name: str, since: str
) -> None:
    move(watched)
    watched.run("watch")
    good = the_issue(watched).body
    bad = good.replace(f'"{name}":"2026-08-20T12:00:00Z"', f'"{name}":"{since}"')
    watched.github.edit_pull(DOWNSTREAM, 1, body=bad)
    seen = watched.run("status")
    mended = watched.run("watch")

    run = watched.run("watch")

    assert bad != good
    assert "a bug" not in f"{seen.out}{seen.err}{mended.out}{mended.err}"
    assert remembered(shown(the_issue(watched))).alarms[0].since == NOW
    assert "stays open" in run.out
    assert (seen.code, mended.code, run.code) == (0, 5, 5)


def test_a_removed_image_takes_its_alarm_with_it(watched: Town) -> None:
    settings = watched.text("gateway-bot.toml")
    watched.write("gateway-bot.toml", settings + SECOND.format(registry=watched.image))
    watched.write("second.txt", f"{watched.image}:v1.4.1@sha256:{'0' * 64}\n")
    first = watched.run("watch")
    watched.write("gateway-bot.toml", settings)

    run = watched.run("watch")

    assert [issue.state for issue in issues(watched)] == ["closed"]
    assert (first.code, run.code) == (5, 0)


SECOND = """
[[image]]
name = "second"
registry = "{registry}"
[[image.pins]]
type = "pattern"
file = "second.txt"
pattern = "^(?P<image>.+)$"
"""


@pytest.mark.parametrize("performed", [True, False], ids=["worked", "did not work"])
def test_an_issue_whose_opening_answers_502_is_looked_up(watched: Town, *, performed: bool) -> None:
    move(watched)
    left = [Fault(answer=Response(502), performed=performed)]
    watched.github.intercept = lambda method, path: (
        left.pop() if method == "POST" and path.endswith("/issues") and left else None
    )

    first = watched.run("watch")
    opened = len(issues(watched))
    watched.run("watch")

    assert opened == int(performed)
    assert the_issue(watched).number == 1
    assert first.code == 5


def test_two_runs_at_once_end_in_one_issue(watched: Town) -> None:
    move(watched)
    alarm = Alarm("pinned-tag", "agentgateway", "a b", "moved", "x:v1", NOW)
    left = [1]

    def meanwhile(method: str, path: str) -> Fault | None:
        """The other run opens its own after this one has looked."""
        if method == "POST" and path.endswith("/issues") and left:
            left.clear()
            with Connections({}) as client:
                api = GitHubApi(client, watched.github.url, DOWNSTREAM, lambda: TOKEN, watched.clock, print)
                keep([alarm], Issues(api), None, DOWNSTREAM, NOW)
        return None

    watched.github.intercept = meanwhile

    runs = [watched.run("watch").code for _ in range(2)]

    assert the_issue(watched).number == 1
    assert [(issue.state, issue.state_reason) for issue in issues(watched)][1:] == [("closed", "not_planned")]
    assert "This is #1" in issues(watched)[1].body
    assert runs == [5, 5]


def after_the_comment(town: Town, act: Callable[[], object]) -> None:
    """A person acts once a comment has been written."""
    left = [1]

    def intercept(_: str, path: str) -> Fault | None:
        commented = any(e.method == "POST" and e.path.endswith("/comments") for e in town.github.exchanges)
        if commented and left and path.startswith(PATH):
            left.clear()
            act()
        return None

    town.github.exchanges.clear()
    town.github.intercept = intercept


def test_what_a_person_writes_while_the_bot_comments_stays(watched: Town) -> None:
    move(watched)
    watched.run("watch")
    body = the_issue(watched).body
    mend(watched)
    after_the_comment(watched, lambda: watched.github.edit_pull(DOWNSTREAM, 1, body=f"It was Anna.\n\n{body}"))

    run = watched.run("watch")

    issue = issues(watched)[0]
    assert issue.body.startswith("It was Anna.\n")
    assert "All is well again" in issue.body
    assert (issue.state, len(issue.comments), run.code) == ("closed", 1, 0)


def test_an_issue_that_a_person_closes_while_the_bot_comments_is_not_closed_again(watched: Town) -> None:
    move(watched)
    watched.run("watch")
    mend(watched)
    after_the_comment(watched, lambda: watched.github.close(DOWNSTREAM, 1))

    run = watched.run("watch")

    issue = issues(watched)[0]
    edits = [json.loads(e.body) for e in watched.github.exchanges if e.method == "PATCH"]
    assert [set(edit) for edit in edits] == [{"body"}]
    assert remembered(shown(issue)).alarms == ()
    assert (issue.state, len(issue.comments), run.code) == ("closed", 1, 0)


def another_turn(issue: StoredIssue) -> None:
    """What another run wrote meanwhile."""
    turn = remembered(shown(issue)).turn
    issue.body = issue.body.replace(f'"turn":{turn}', f'"turn":{turn + 1}')


@pytest.mark.parametrize(("times", "comments"), [(1, 1), (9, 0)])
def test_a_run_that_was_overtaken_decides_again_and_gives_up_in_the_end(
    watched: Town, times: int, comments: int
) -> None:
    move(watched)
    watched.run("watch")
    switch(watched, "disabled_manually")
    left = list(range(times))

    def overtake(method: str, path: str) -> Fault | None:
        if method == "GET" and path.endswith("/issues/1") and left:
            left.pop()
            another_turn(the_issue(watched))
        return None

    watched.github.intercept = overtake

    run = watched.run("watch")

    assert len(the_issue(watched).comments) == comments
    assert ("somebody else keeps changing the alarm issue" in run.err) == (not comments)
    assert run.code == 5


Step = Callable[[Town], object]


@pytest.mark.real  # by its length
@pytest.mark.parametrize(
    ("before", "change", "state"),
    [
        ((), move, "open"),
        ((move,), lambda town: switch(town, "disabled_manually"), "open"),
        ((move,), mend, "closed"),
        ((move, mend), move, "open"),
    ],
    ids=["opened", "changed", "over", "back"],
)
def test_a_run_that_dies_after_any_request_converges_on_the_next(
    watched: Town, chat: Chat, before: tuple[Step, ...], change: Step, state: str
) -> None:
    comments: set[int] = set()
    for number in range(1, 30):
        watched.github.intercept = None
        watched.github.repositories[DOWNSTREAM].issues.clear()
        mend(watched)
        switch(watched, "active")
        for step in before:
            step(watched)
            watched.run("watch")
        change(watched)
        chat.texts.clear()
        seen: list[str] = []
        watched.github.intercept = die_at(number, seen)
        died = watched.run("watch")
        watched.github.intercept = None

        watched.run("watch")
        written = writes(watched)
        told = list(chat.texts)
        watched.run("watch")

        assert len(issues(watched)) == 1
        issue = issues(watched)[0]
        memory = remembered(shown(issue))
        assert (issue.state, memory.told) == (state, fingerprint(memory.alarms))
        assert (writes(watched), chat.texts) == (written, told)
        assert 1 <= len(told) <= 2
        comments.add(len(issue.comments))
        if len(seen) < number:
            assert len(told) == 1
            break
        assert died.code != 0
    else:
        pytest.fail("it never came to an end")

    assert len(comments) == 1
