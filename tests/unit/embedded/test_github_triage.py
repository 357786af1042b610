from __future__ import annotations

from collections.abc import Iterator

import pytest

from bot.embedded.github import EmbeddedGitHub
from tests.unit.embedded.town import NAME, ask, events, propose, running_github


@pytest.fixture
def github() -> Iterator[EmbeddedGitHub]:
    with running_github() as running:
        yield running


def names(labels: list[dict[str, str]]) -> list[str]:
    return [label["name"] for label in labels]


def test_label_that_nobody_knew_is_made_and_has_no_case(github: EmbeddedGitHub) -> None:
    path = f"issues/{propose(github)}/labels"
    first = ask(github, "POST", path, {"labels": ["Dependencies"]})
    again = ask(github, "POST", path, ["dependencies"])
    known = ask(github, "GET", "labels")
    left = ask(github, "DELETE", f"{path}/DEPENDENCIES")

    assert (names(first), names(again), names(known), left) == (
        ["Dependencies"],
        ["Dependencies"],
        ["Dependencies"],
        [],
    )


def test_label_that_is_not_on_cannot_be_taken_off(github: EmbeddedGitHub) -> None:
    refusal = ask(github, "DELETE", f"issues/{propose(github)}/labels/rebase", status=404)

    assert refusal["message"] == "Label does not exist"


def test_label_longer_than_fifty_characters_is_refused(github: EmbeddedGitHub) -> None:
    refusal = ask(github, "POST", f"issues/{propose(github)}/labels", {"labels": ["x" * 51]}, status=422)

    assert refusal["errors"][0]["message"] == "name is too long (maximum is 50 characters)"


@pytest.mark.parametrize(("caller", "expected"), [("alarm", ["security"]), ("stranger", [])])
def test_labels_of_a_new_issue_are_dropped_for_a_person_without_push_access(
    github: EmbeddedGitHub, caller: str, expected: list[str]
) -> None:
    body = {"title": "tag re-pushed", "labels": ["security"], "assignees": ["acme"]}
    issue = ask(github, "POST", "issues", body, caller=caller, status=201)

    assert names(issue["labels"]) == expected
    assert len(issue["assignees"]) == len(expected)


def test_login_that_may_not_be_assigned_is_left_out(github: EmbeddedGitHub) -> None:
    github.repositories[NAME].collaborators.add("alice")
    path = f"issues/{propose(github)}/assignees"
    issue = ask(github, "POST", path, {"assignees": ["alice", "nobody", "acme"]}, status=201)
    left = ask(github, "DELETE", path, {"assignees": ["alice", "nobody"]})

    assert [one["login"] for one in issue["assignees"]] == ["alice", "acme"]
    assert [one["login"] for one in left["assignees"]] == ["acme"]


def test_milestone_is_set_and_unset_by_its_number(github: EmbeddedGitHub) -> None:
    number = propose(github)
    milestone = github.add_milestone(NAME, "2026-Q4")
    listed = ask(github, "GET", "milestones")
    ask(github, "PATCH", f"issues/{number}", {"milestone": milestone.number})
    pull = ask(github, "GET", f"pulls/{number}")
    refusal = ask(github, "PATCH", f"issues/{number}", {"milestone": 99}, status=422)
    cleared = ask(github, "PATCH", f"issues/{number}", {"milestone": None})

    assert [(one["number"], one["title"], one["open_issues"]) for one in listed] == [(1, "2026-Q4", 0)]
    assert pull["milestone"]["title"] == "2026-Q4"
    assert refusal["errors"] == [{"resource": "Issue", "code": "invalid", "field": "milestone"}]
    assert cleared["milestone"] is None


def test_reviewer_who_is_no_collaborator_fails_the_whole_request(github: EmbeddedGitHub) -> None:
    number = propose(github)
    body = {"reviewers": ["octocat", "nobody"]}
    refusal = ask(github, "POST", f"pulls/{number}/requested_reviewers", body, status=422)

    assert refusal["message"] == (
        "Reviews may only be requested from collaborators. One or more of the users or teams you specified is not a "
        f"collaborator of the {NAME} repository."
    )
    assert github.pulls(NAME)[0].reviewers == []


def test_teams_are_asked_and_let_off(github: EmbeddedGitHub) -> None:
    github.repositories[NAME].teams.add("platform")
    number = propose(github)
    body = {"reviewers": ["acme"], "team_reviewers": ["platform"]}
    pull = ask(github, "POST", f"pulls/{number}/requested_reviewers", body, status=201)
    github.remove_reviewer(NAME, number, "platform")
    happened = ask(github, "GET", f"issues/{number}/events")

    assert [team["slug"] for team in pull["requested_teams"]] == ["platform"]
    assert [event["requested_team"]["slug"] for event in happened if "requested_team" in event] == ["platform"] * 2
    assert happened[0]["requested_reviewer"]["login"] == "acme"
    assert github.pulls(NAME)[0].teams == []


def test_everything_that_a_person_changes_is_told_with_who_and_what(github: EmbeddedGitHub) -> None:
    number = propose(github)
    github.add_milestone(NAME, "2026-Q4")
    github.label(NAME, number, "stop-updating", by="alice")
    github.unlabel(NAME, number, "stop-updating", by="alice")
    github.assign(NAME, number, "acme")
    github.unassign(NAME, number, "acme")
    github.set_milestone(NAME, number, 1)
    github.set_milestone(NAME, number, None)
    github.edit_pull(NAME, number, title="Mine", body="My words")
    github.close(NAME, number)
    github.reopen(NAME, number)
    happened = ask(github, "GET", f"issues/{number}/events")

    assert [event["event"] for event in happened] == [
        *("labeled", "unlabeled", "assigned", "unassigned", "milestoned", "demilestoned", "renamed"),
        *("closed", "reopened"),
    ]
    assert happened[0]["actor"]["login"] == "alice"
    assert happened[0]["label"]["name"] == "stop-updating"
    assert happened[2]["assignee"]["login"] == "acme"
    assert happened[4]["milestone"] == {"title": "2026-Q4"}
    assert happened[6]["rename"] == {"from": "Update", "to": "Mine"}
    assert happened[0]["id"] < happened[1]["id"]


def test_events_come_in_pages(github: EmbeddedGitHub) -> None:
    number = propose(github)
    for name in ("a", "b", "c"):
        github.label(NAME, number, name)

    assert len(ask(github, "GET", f"issues/{number}/events?per_page=2&page=2")) == 1
    assert events(github, number) == ["labeled"] * 3


def test_issues_are_found_by_creator_state_and_time(github: EmbeddedGitHub) -> None:
    number = propose(github)
    ask(github, "POST", "issues", {"title": "alarm"}, caller="alarm", status=201)
    found = ask(github, "GET", "issues?creator=alarm%5Bbot%5D")
    both = ask(github, "GET", "issues")
    later = ask(github, "GET", "issues?since=2026-08-02T00:00:00Z")
    ask(github, "GET", "issues?since=yesterday", status=422)

    assert [issue["title"] for issue in found] == ["alarm"]
    assert [issue["number"] for issue in both if "pull_request" in issue] == [number]
    assert later == []


def test_reason_for_closing_an_issue_is_kept(github: EmbeddedGitHub) -> None:
    path = f"issues/{ask(github, 'POST', 'issues', {'title': 'alarm'}, caller='alarm', status=201)['number']}"
    closed = ask(github, "PATCH", path, {"state": "closed", "state_reason": "not_planned"}, caller="alarm")
    opened = ask(github, "PATCH", path, {"state": "open"}, caller="alarm")
    done = ask(github, "PATCH", path, {"state": "closed"}, caller="alarm")
    ask(github, "PATCH", path, {"state": "closed", "state_reason": "bored"}, caller="alarm", status=422)

    assert [one["state_reason"] for one in (closed, opened, done)] == ["not_planned", "reopened", "completed"]


def test_repository_without_issues_has_pulls_all_the_same(github: EmbeddedGitHub) -> None:
    github.repositories[NAME].has_issues = False
    ask(github, "GET", "issues", caller="alarm", status=410)
    refusal = ask(github, "POST", "issues", {"title": "alarm"}, caller="alarm", status=410)
    number = propose(github)

    assert refusal["message"] == "Issues has been disabled in this repository."
    assert ask(github, "GET", f"issues/{number}/labels") == []


def test_comment_is_edited_by_its_author_but_not_by_a_stranger(github: EmbeddedGitHub) -> None:
    number = propose(github)
    made = ask(github, "POST", f"issues/{number}/comments", {"body": "first"}, status=201)
    ask(github, "PATCH", f"issues/comments/{made['id']}", {"body": "second"})
    ask(github, "PATCH", f"issues/comments/{made['id']}", {"body": "mine"}, caller="stranger", status=403)
    github.comment(NAME, number, "thanks")
    listed = ask(github, "GET", f"issues/{number}/comments")

    assert [(one["user"]["login"], one["body"]) for one in listed] == [
        ("gateway-bot[bot]", "second"),
        ("octocat", "thanks"),
    ]
