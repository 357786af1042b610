"""The library that the bot speaks to GitHub with, from a branch to a pull request and back."""

from __future__ import annotations

from collections.abc import Iterator

import github as pygithub
import pytest
from github.Repository import Repository  # noqa: TC002 - one plain import is easier to read

from tests.contract.under_test import GitHubUnderTest

NAME = "acme/ai-gateway"


@pytest.fixture
def repository(github: GitHubUnderTest) -> Iterator[Repository]:
    github.place.create_repository(NAME, {"versions.env": ("100644", b"A=1\n")}, private=True)
    client = pygithub.Github(
        auth=pygithub.Auth.Token("bot-token"),
        base_url=f"http://localhost:{github.bot.base_url.port}",
        retry=None,
        seconds_between_requests=0,
        seconds_between_writes=0,
    )
    yield client.get_repo(NAME)
    client.close()


def propose(repository: Repository, branch: str, content: str) -> str:
    base = repository.get_branch("main").commit
    blob = repository.create_git_blob(content, "utf-8")
    element = pygithub.InputGitTreeElement("versions.env", "100644", "blob", sha=blob.sha)
    tree = repository.create_git_tree([element], repository.get_git_tree(base.commit.tree.sha))
    commit = repository.create_git_commit("Update", tree, [repository.get_git_commit(base.sha)])
    repository.create_git_ref(f"refs/heads/{branch}", commit.sha)
    return commit.sha


def test_pull_request_lives_from_branch_to_close(repository: Repository) -> None:
    sha = propose(repository, "bot/x", "A=2\n")
    pull = repository.create_pull(title="Update", body="why", head="bot/x", base="main")
    pull.edit(title="Update to 2", body="because")
    pull.add_to_labels("dependencies")
    pull.create_issue_comment("hello")
    found = list(repository.get_pulls(state="open", head="acme:bot/x"))
    assert [(one.number, one.title, one.head.sha) for one in found] == [(pull.number, "Update to 2", sha)]
    assert [label.name for label in pull.get_labels()] == ["dependencies"]
    assert [comment.body for comment in pull.get_issue_comments()] == ["hello"]
    pull.edit(state="closed")

    assert list(repository.get_pulls(state="open")) == []


def test_contents_of_a_branch_are_read(repository: Repository) -> None:
    propose(repository, "bot/x", "A=2\n")
    file = repository.get_contents("versions.env", ref="bot/x")

    assert not isinstance(file, list)
    assert file.decoded_content == b"A=2\n"


def test_every_release_is_listed(repository: Repository, github: GitHubUnderTest) -> None:
    for number in range(35):
        github.place.add_release(NAME, f"v0.{number}.0")

    assert len({release.tag_name for release in repository.get_releases()}) == 35


def test_ref_is_edited_and_deleted(repository: Repository, github: GitHubUnderTest) -> None:
    sha = propose(repository, "bot/x", "A=2\n")
    parent = repository.get_git_commit(sha)
    child = repository.create_git_commit("Again", repository.get_git_tree(parent.tree.sha), [parent])
    ref = repository.get_git_ref("heads/bot/x")
    if github.part == "emulator":  # the address in its answer takes neither
        with pytest.raises(pygithub.UnknownObjectException):
            ref.edit(child.sha)
        return
    ref.edit(child.sha)
    assert repository.get_branch("bot/x").commit.sha == child.sha
    with pytest.raises(pygithub.GithubException, match="not a fast forward"):
        ref.edit(sha)
    ref.delete()

    with pytest.raises(pygithub.GithubException, match="404"):
        repository.get_branch("bot/x")
