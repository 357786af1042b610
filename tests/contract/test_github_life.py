"""What the bot needs of GitHub over the life of a proposal: issues, labels, people, drafts, Apps.

As in test_github_contract.py the embedded GitHub is held to what GitHub documents, and the emulator's known gaps are
asserted beside it.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import httpx  # noqa: TC002 - one plain import is easier to read
import jwt
import pytest

from bot.embedded.github import EmbeddedGitHub, Installation
from tests.contract.under_test import FILES, REPOSITORY, GitHubUnderTest, ask, branch, pull
from tests.emulator import APP_ID, APP_PERMISSIONS, APP_SLUG, BOT_TOKEN, INSTALLATION, app_keys
from tests.loopback import loopback_client


@pytest.fixture(autouse=True)
def repository(github: GitHubUnderTest) -> None:
    place = github.place
    place.create_repository(REPOSITORY, FILES, private=True)
    if isinstance(place, EmbeddedGitHub):
        place.tokens[BOT_TOKEN] = replace(place.tokens[BOT_TOKEN], permissions=APP_PERMISSIONS)
        place.add_app(APP_ID, APP_SLUG, app_keys()[1], {INSTALLATION: Installation(APP_PERMISSIONS)})


def emulated(github: GitHubUnderTest) -> bool:
    return github.part == "emulator"


def opened(github: GitHubUnderTest, **more: object) -> int:
    branch(github, "bot/agentgateway")
    number: int = pull(github, "bot/agentgateway", **more)["number"]
    return number


def test_issue_is_opened_labelled_closed_with_a_reason_and_opened_again(github: GitHubUnderTest) -> None:
    made = ask(github, "POST", "/issues", {"title": "Tag moved", "body": "b", "labels": ["security"]}, status=201)
    path = f"/issues/{made['number']}"
    closed = ask(github, "PATCH", path, {"state": "closed", "state_reason": "not_planned"})
    reopened = ask(github, "PATCH", path, {"state": "open", "body": "again"})

    assert [label["name"] for label in made["labels"]] == ["security"]
    assert (closed["state"], closed["state_reason"], closed["closed_at"] is None) == ("closed", "not_planned", False)
    assert (reopened["state"], reopened["body"], reopened["state_reason"]) == ("open", "again", "reopened")


def test_what_happened_to_an_issue_is_told_in_order(github: GitHubUnderTest) -> None:
    path = f"/issues/{ask(github, 'POST', '/issues', {'title': 'Tag moved'}, status=201)['number']}"
    ask(github, "POST", f"{path}/labels", {"labels": ["security"]})
    ask(github, "DELETE", f"{path}/labels/security")
    ask(github, "PATCH", path, {"state": "closed"})
    ask(github, "PATCH", path, {"state": "open"})
    happened = ask(github, "GET", f"{path}/events")

    expected = ["labeled", "unlabeled", "closed", "reopened"]
    assert [event["event"] for event in happened] == (["opened", *expected] if emulated(github) else expected)
    assert happened[0]["actor"]["login"] == ask(github, "GET", path)["user"]["login"]
    if not emulated(github):  # names no label
        assert happened[0]["label"]["name"] == "security"


def test_what_happened_to_a_pull_is_told_as_well(github: GitHubUnderTest) -> None:
    number = opened(github)
    response = github.bot.get(f"/repos/{REPOSITORY}/issues/{number}/events")

    assert response.status_code == (404 if emulated(github) else 200)  # knows issues only


def test_issues_are_found_by_label_state_and_creator_and_pulls_are_among_them(github: GitHubUnderTest) -> None:
    number = opened(github)
    made = ask(github, "POST", "/issues", {"title": "Tag moved", "labels": ["security"]}, status=201)
    login = made["user"]["login"].replace("[", "%5B").replace("]", "%5D")
    by_label = ask(github, "GET", "/issues?labels=security&state=open")
    by_state = ask(github, "GET", "/issues?labels=security&state=closed")
    by_others = ask(github, "GET", "/issues?creator=nobody")
    by_bot = ask(github, "GET", f"/issues?creator={login}&state=all&per_page=100")

    assert [issue["number"] for issue in by_label] == [made["number"]]
    assert (by_state, by_others) == ([], [])
    # The emulator keeps pulls apart.
    expected = [made["number"]] if emulated(github) else [made["number"], number]
    assert [issue["number"] for issue in by_bot] == expected


def test_label_that_is_not_on_is_not_found(github: GitHubUnderTest) -> None:
    refusal = ask(github, "DELETE", f"/issues/{opened(github)}/labels/rebase", status=404)

    assert refusal["message"] == ("Not Found" if emulated(github) else "Label does not exist")


def test_labels_have_no_case(github: GitHubUnderTest) -> None:
    path = f"/issues/{opened(github)}/labels"
    ask(github, "POST", path, {"labels": ["Rebase"]})
    names = [label["name"] for label in ask(github, "POST", path, {"labels": ["rebase"]})]

    assert names == (["Rebase", "rebase"] if emulated(github) else ["Rebase"])


def test_assignee_without_access_is_left_out(github: GitHubUnderTest) -> None:
    number = ask(github, "POST", "/issues", {"title": "Tag moved"}, status=201)["number"]
    path, body = f"/issues/{number}/assignees", {"assignees": ["acme", "nobody"]}
    issue = ask(github, "POST", path, body, status=200 if emulated(github) else 201)
    logins = [person["login"] for person in issue["assignees"]]

    assert logins == (["acme", "nobody"] if emulated(github) else ["acme"])  # takes every user


def test_reviewer_without_access_is_refused(github: GitHubUnderTest) -> None:
    number = opened(github)
    response = github.bot.post(
        f"/repos/{REPOSITORY}/pulls/{number}/requested_reviewers", json={"reviewers": ["nobody"]}
    )

    assert response.status_code == (200 if emulated(github) else 422)  # takes every user


def test_pull_says_what_a_reviewer_sees(github: GitHubUnderTest) -> None:
    number = opened(github, draft=True)
    found = ask(github, "GET", f"/pulls/{number}")

    assert (found["draft"], found["auto_merge"], found["milestone"], found["closed_at"]) == (True, None, None, None)
    assert (found["labels"], found["assignees"]) == ([], [])
    assert (found["requested_reviewers"], found["requested_teams"]) == ([], [])
    assert found["head"]["repo"]["full_name"] == found["base"]["repo"]["full_name"] == REPOSITORY
    assert found["base"]["repo"]["default_branch"] == "main"
    assert isinstance(found["node_id"], str)


def test_comment_is_edited_in_place(github: GitHubUnderTest) -> None:
    number = opened(github)
    made = ask(github, "POST", f"/issues/{number}/comments", {"body": "first"}, status=201)
    ask(github, "PATCH", f"/issues/comments/{made['id']}", {"body": "second"})
    comments = ask(github, "GET", f"/issues/{number}/comments?per_page=100")

    assert [(one["id"], one["body"], one["user"]["login"]) for one in comments] == [
        (made["id"], "second", made["user"]["login"])
    ]


def test_deleted_branch_closes_its_pull(github: GitHubUnderTest) -> None:
    number = opened(github)
    ask(github, "DELETE", "/git/refs/heads/bot/agentgateway", status=204)

    assert ask(github, "GET", f"/pulls/{number}")["state"] == ("open" if emulated(github) else "closed")


def test_new_repository_has_no_milestones_and_no_workflows(github: GitHubUnderTest) -> None:
    ask(github, "GET", "/actions/workflows/upgrade.yml", status=404)
    ask(github, "GET", "/actions/workflows/upgrade.yml/runs?event=schedule", status=404)

    assert ask(github, "GET", "/milestones?state=open") == []


def test_graphql_says_who_is_asking(github: GitHubUnderTest) -> None:
    response = github.bot.post("/graphql", json={"query": "query { viewer { login } }"})

    assert response.status_code == (404 if emulated(github) else 200)  # has none


def signed(**claims: object) -> str:
    now = int(time.time())
    given = {"iss": str(APP_ID), "iat": now - 60, "exp": now + 540, **claims}
    return jwt.encode(given, app_keys()[0], algorithm="RS256")


# Any: these are answers under test.
def as_caller(github: GitHubUnderTest, token: str, method: str, path: str, body: object = None) -> Any:
    with loopback_client(str(github.bot.base_url), bearer=token) as client:
        return client.request(method, path, json=body)


def token_for(github: GitHubUnderTest, **body: object) -> httpx.Response:
    path = f"/app/installations/{INSTALLATION}/access_tokens"
    response: httpx.Response = as_caller(github, signed(), "POST", path, body)
    return response


def test_app_finds_its_installation_and_gets_a_narrowed_token(github: GitHubUnderTest) -> None:
    app = as_caller(github, signed(), "GET", "/app").json()
    installation = as_caller(github, signed(), "GET", f"/repos/{REPOSITORY}/installation").json()
    given = token_for(github, repositories=["ai-gateway"], permissions={"contents": "read"}).json()
    read = as_caller(github, given["token"], "GET", f"/repos/{REPOSITORY}/branches/main")
    written = as_caller(github, given["token"], "POST", f"/repos/{REPOSITORY}/git/blobs", {"content": "x"})

    assert (app["id"], app["slug"], installation["id"]) == (APP_ID, APP_SLUG, INSTALLATION)
    assert given["permissions"]["contents"] == "read"
    assert (read.status_code, written.status_code) == (200, 403)


def test_app_gets_no_more_than_it_was_granted(github: GitHubUnderTest) -> None:
    permission = token_for(github, permissions={"administration": "write"})
    repository = token_for(github, repositories=["missing"])

    assert (permission.status_code, repository.status_code) == (422, 422)
    assert permission.json()["message"] == "The permissions requested are not granted to this installation."


def test_app_with_a_wrong_token_or_without_installation_gets_nothing(github: GitHubUnderTest) -> None:
    github.place.create_repository("agentgateway/agentgateway")
    broken = as_caller(github, f"{signed()}x", "GET", "/app")
    late = as_caller(github, signed(iat=1, exp=2), "GET", "/app")
    elsewhere = as_caller(github, signed(), "GET", "/app/installations/7")

    assert [answer.status_code for answer in (broken, late, elsewhere)] == [401, 401, 404]
    assert broken.json()["message"] == "A JSON web token could not be decoded"
