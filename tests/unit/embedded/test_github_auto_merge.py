"""Drafts and auto-merge, which only GraphQL has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bot.embedded.github import EmbeddedGitHub
from bot.embedded.gitobjects import FILE
from tests.unit.embedded.town import NAME, ask, events, propose, running_github

ENABLE = """mutation($id: ID!, $method: PullRequestMergeMethod!) {
  enablePullRequestAutoMerge(input: {pullRequestId: $id, mergeMethod: $method}) { pullRequest { number } }
}"""


@pytest.fixture
def github() -> Iterator[EmbeddedGitHub]:
    with running_github() as running:
        repository = running.repositories[NAME]
        repository.allow_auto_merge = repository.required_checks = True
        yield running


# Any: answers under test.
def mutate(github: EmbeddedGitHub, query: str, number: int, *, caller: str = "bot", **variables: str) -> Any:
    node = ask(github, "GET", f"pulls/{number}")["node_id"]
    body = {"query": query, "variables": {"id": node, **variables}}
    return ask(github, "POST", "/graphql", body, caller=caller)


@pytest.mark.parametrize(
    ("method", "event"),
    [("MERGE", "auto_merge_enabled"), ("SQUASH", "auto_squash_enabled"), ("REBASE", "auto_rebase_enabled")],
)
def test_pull_with_auto_merge_is_merged_when_its_checks_pass(github: EmbeddedGitHub, method: str, event: str) -> None:
    number = propose(github)
    answer = mutate(github, ENABLE, number, method=method)
    pull = ask(github, "GET", f"pulls/{number}")
    github.checks_pass(NAME, number)
    merged = ask(github, "GET", f"pulls/{number}")

    assert answer["data"]["enablePullRequestAutoMerge"]["pullRequest"]["number"] == number
    assert (pull["mergeable_state"], pull["auto_merge"]["merge_method"]) == ("blocked", method.lower())
    assert pull["auto_merge"]["enabled_by"]["login"] == "gateway-bot[bot]"
    assert (merged["merged"], merged["merged_by"]["login"]) == (True, "gateway-bot[bot]")
    assert events(github, number) == [event, "merged", "closed"]


def test_pull_without_auto_merge_waits_for_a_person(github: EmbeddedGitHub) -> None:
    number = propose(github)
    refusal = ask(github, "PUT", f"pulls/{number}/merge", status=405)
    github.checks_pass(NAME, number)
    pull = ask(github, "GET", f"pulls/{number}")
    github.commit(NAME, "bot/x", {"versions.env": (FILE, b"A=3\n")})

    assert refusal["message"] == 'Required status check "ci" is expected.'
    assert (pull["state"], pull["mergeable_state"]) == ("open", "clean")
    assert ask(github, "GET", f"pulls/{number}")["mergeable_state"] == "blocked"  # the checks were for another head


@pytest.mark.parametrize(
    ("state", "kind", "message"),
    [
        ("not allowed", "UNPROCESSABLE", "Pull request Auto merge is not allowed for this repository"),
        ("clean", "UNPROCESSABLE", "Pull request Pull request is in clean status"),
        ("closed", "UNPROCESSABLE", "Can't enable auto-merge for this pull request."),
        ("no permission", "FORBIDDEN", "Resource not accessible by integration"),
        ("unknown", "NOT_FOUND", "Could not resolve to a node with the global id of 'PR_none'"),
    ],
)
def test_auto_merge_is_refused_with_status_200(github: EmbeddedGitHub, state: str, kind: str, message: str) -> None:
    number = propose(github)
    repository = github.repositories[NAME]
    repository.allow_auto_merge = state != "not allowed"
    repository.required_checks = state != "clean"
    if state == "closed":
        github.close(NAME, number)
    variables = {"method": "SQUASH"} | ({"id": "PR_none"} if state == "unknown" else {})
    answer = mutate(github, ENABLE, number, caller="reader" if state == "no permission" else "bot", **variables)

    assert answer["data"] == {"enablePullRequestAutoMerge": None}
    assert [(error["type"], error["message"], error["path"]) for error in answer["errors"]] == [
        (kind, message, ["enablePullRequestAutoMerge"])
    ]
    assert github.pulls(NAME)[0].auto_merge is None


def test_auto_merge_ends_with_a_person_or_with_the_pull(github: EmbeddedGitHub) -> None:
    number = propose(github)
    mutate(github, ENABLE, number, method="SQUASH")
    github.disable_auto_merge(NAME, number)
    mutate(github, ENABLE, number, method="SQUASH")
    github.close(NAME, number)
    again = mutate(github, "mutation { disablePullRequestAutoMerge(input: {pullRequestId: $id}) {x} }", number)

    assert events(github, number) == [*("auto_squash_enabled", "auto_merge_disabled") * 2, "closed"]
    assert again["errors"][0]["type"] == "UNPROCESSABLE"


def test_draft_becomes_ready_and_a_draft_again(github: EmbeddedGitHub) -> None:
    number = propose(github, draft=True)
    ready = mutate(github, "mutation { markPullRequestReadyForReview(input: {pullRequestId: $id}) {x} }", number)
    listed = ask(github, "GET", "pulls")[0]["draft"]
    mutate(github, "mutation { convertPullRequestToDraft(input: {pullRequestId: $id}) {x} }", number)
    pull = ask(github, "GET", f"pulls/{number}")
    github.ready_for_review(NAME, number)

    assert ready["data"]["markPullRequestReadyForReview"]["pullRequest"]["isDraft"] is False
    assert (listed, pull["draft"], pull["mergeable_state"]) == (False, True, "draft")
    assert events(github, number) == ["ready_for_review", "convert_to_draft", "ready_for_review"]


def test_draft_is_refused_where_the_plan_has_none(github: EmbeddedGitHub) -> None:
    github.repositories[NAME].allow_drafts = False
    github.commit(NAME, "bot/x", {"versions.env": (FILE, b"A=2\n")})
    body = {"title": "Update", "head": "bot/x", "base": "main", "draft": True}
    refusal = ask(github, "POST", "pulls", body, status=422)

    assert refusal["message"] == "Draft pull requests are not supported in this repository."
    ask(github, "POST", "pulls", {**body, "draft": False}, status=201)


def test_viewer_is_who_the_token_stands_for(github: EmbeddedGitHub) -> None:
    query = {"query": "query { viewer { login } }"}
    ask(github, "POST", "/graphql", query, caller="", status=401)

    assert ask(github, "POST", "/graphql", query) == {"data": {"viewer": {"login": "gateway-bot[bot]"}}}


def test_query_that_is_not_known_is_an_error(github: EmbeddedGitHub) -> None:
    assert "data" not in ask(github, "POST", "/graphql", {"query": "query { repository { name } }"})
