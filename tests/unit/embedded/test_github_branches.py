"""What happens to pull requests when branches move, go, come back, get another name, or are protected."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bot.embedded.github import EmbeddedGitHub
from bot.embedded.gitobjects import FILE
from tests.unit.embedded.town import NAME, ask, events, propose, running_github


@pytest.fixture
def github() -> Iterator[EmbeddedGitHub]:
    with running_github() as running:
        yield running


def test_branch_that_is_restored_lets_its_pull_be_opened_again(github: EmbeddedGitHub) -> None:
    number = propose(github)
    github.delete_branch(NAME, "bot/x")
    closed = github.pulls(NAME)[0].state
    github.restore_branch(NAME, number)
    github.reopen(NAME, number)

    assert (closed, github.pulls(NAME)[0].state) == ("closed", "open")
    assert events(github, number) == ["closed", "head_ref_deleted", "head_ref_restored", "reopened"]


def test_merged_pull_says_by_whom_and_its_branch_goes_where_the_repository_says_so(github: EmbeddedGitHub) -> None:
    github.repositories[NAME].delete_branch_on_merge = True
    number = propose(github)
    github.merge(NAME, number, by="alice")

    assert ask(github, "GET", f"pulls/{number}")["merged_by"]["login"] == "alice"
    assert events(github, number) == ["merged", "closed", "head_ref_deleted"]
    assert "refs/heads/bot/x" not in github.repositories[NAME].refs


def test_pull_is_rebased_commit_by_commit_without_its_merges(github: EmbeddedGitHub) -> None:
    number = propose(github)
    github.commit(NAME, "main", {"other": (FILE, b"x")})
    github.update_branch(NAME, number)
    github.commit(NAME, "bot/x", {"versions.env": (FILE, b"A=3\n")}, message="Again")
    github.merge(NAME, number, method="rebase")
    repository = github.repositories[NAME]
    history = repository.objects.history(repository.refs["refs/heads/main"])

    assert github.files_at(NAME, "main") == {"versions.env": (FILE, b"A=3\n"), "other": (FILE, b"x")}
    assert [repository.objects.commits[sha].message for sha in history][:2] == ["Again", "A change"]
    assert all(len(repository.objects.commits[sha].parents) < 2 for sha in history)


def test_update_branch_merges_the_base_in_the_name_of_the_person(github: EmbeddedGitHub) -> None:
    number = propose(github)
    github.commit(NAME, "main", {"other": (FILE, b"x")})
    before = github.pulls(NAME)[0].head_sha
    github.update_branch(NAME, number, by="alice")
    head = ask(github, "GET", f"commits/{github.pulls(NAME)[0].head_sha}")
    again = ask(github, "PUT", f"pulls/{number}/update-branch", status=422)

    assert head["commit"]["message"] == "Merge branch 'main' into bot/x"
    assert head["author"]["login"] == "alice"
    assert [parent["sha"] for parent in head["parents"]] == [before, github.repositories[NAME].refs["refs/heads/main"]]
    assert again["message"] == "There are no new commits on the base branch."


def test_title_body_base_and_state_change_together_or_not_at_all(github: EmbeddedGitHub) -> None:
    number = propose(github)
    github.commit(NAME, "release", {"other": (FILE, b"x")})
    body = {"title": "New", "body": "b", "base": "missing", "state": "closed"}
    ask(github, "PATCH", f"pulls/{number}", body, status=422)
    untouched = github.pulls(NAME)[0]
    kept = (untouched.title, untouched.base, untouched.state)
    ask(github, "PATCH", f"pulls/{number}", body | {"base": "release", "state": "open"})
    changed = github.pulls(NAME)[0]

    assert kept == ("Update", "main", "open")
    assert (changed.title, changed.body, changed.base) == ("New", "b", "release")
    assert events(github, number) == ["base_ref_changed", "renamed"]


def test_pull_whose_branch_is_reset_to_its_base_is_closed(github: EmbeddedGitHub) -> None:
    number = propose(github)
    main = github.repositories[NAME].refs["refs/heads/main"]
    ask(github, "PATCH", "git/refs/heads/bot/x", {"sha": main, "force": True})

    assert events(github, number) == ["head_ref_force_pushed", "closed"]
    assert github.pulls(NAME)[0].merged is None


def test_base_with_another_name_takes_its_pulls_along(github: EmbeddedGitHub) -> None:
    number = propose(github)
    github.rename_branch(NAME, "main", "trunk")
    github.rename_branch(NAME, "trunk", "stem")
    moved = ask(github, "GET", "branches/main", status=301)
    with_old_name = {"title": "t", "head": "bot/x", "base": "main"}
    ask(github, "POST", "pulls", with_old_name, status=422)

    assert ask(github, "GET", "")["default_branch"] == "stem"
    assert ask(github, "GET", f"pulls/{number}")["base"]["ref"] == "stem"
    assert moved["url"] == f"{github.url}/repos/{NAME}/branches/stem"
    assert ask(github, "GET", moved["url"].removeprefix(github.url))["name"] == "stem"


def test_old_name_of_a_branch_leads_nowhere_once_it_is_taken_again(github: EmbeddedGitHub) -> None:
    github.rename_branch(NAME, "main", "trunk")
    github.commit(NAME, "main", {"other": (FILE, b"x")})

    assert ask(github, "GET", "branches/main")["name"] == "main"


def test_pull_from_a_branch_that_gets_another_name_is_closed(github: EmbeddedGitHub) -> None:
    propose(github)
    github.rename_branch(NAME, "bot/x", "bot/y")

    assert github.pulls(NAME)[0].state == "closed"


@pytest.mark.parametrize(
    ("rule", "messages"),
    [
        (
            "ruleset",
            [
                "Repository rule violations found\n\nCannot create ref due to creations being restricted.\n\n",
                "Repository rule violations found\n\nCannot update this protected ref.\n\n",
                "Repository rule violations found\n\nCannot delete this branch\n\n",
            ],
        ),
        (
            "protection",
            [
                "Reference update failed",
                "Protected branch update failed for refs/heads/bot/x.\nChanges must be made through a pull request.",
                "Cannot delete this protected branch",
            ],
        ),
    ],
)
def test_branch_that_is_protected_is_changed_by_persons_only(
    github: EmbeddedGitHub, rule: str, messages: list[str]
) -> None:
    propose(github)
    repository = github.repositories[NAME]
    repository.protected["bot/*"] = "ruleset" if rule == "ruleset" else "protection"
    sha = repository.refs["refs/heads/bot/x"]
    refusals = [
        ask(github, "POST", "git/refs", {"ref": "refs/heads/bot/y", "sha": sha}, status=422),
        ask(github, "PATCH", "git/refs/heads/bot/x", {"sha": sha}, status=422),
        ask(github, "DELETE", "git/refs/heads/bot/x", status=422),
    ]
    ask(github, "POST", "git/refs", {"ref": "refs/heads/bot/deep/er", "sha": sha}, status=201)
    shown = ask(github, "GET", "branches/bot/x")["protected"]
    github.delete_branch(NAME, "bot/x")

    assert [refusal["message"] for refusal in refusals] == messages
    assert (shown, "refs/heads/bot/x" in repository.refs) == (True, False)


def test_default_branch_is_not_deleted(github: EmbeddedGitHub) -> None:
    ask(github, "DELETE", "git/refs/heads/main", status=422)

    assert "refs/heads/main" in github.repositories[NAME].refs
