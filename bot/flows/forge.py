"""The repository on GitHub that gets the pull request, as the flows see it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from bot.core.identity import Identity
from bot.core.model import MergeMethod, PullRequestPolicy, SourceFile
from bot.core.proposal.dressing import Event
from bot.core.proposal.shown import Blob, Change, Commit, PullRequest


class Git(Protocol):
    """Branches, commits and files."""

    @property
    def name(self) -> str:
        """OWNER/NAME."""
        ...

    def default_branch(self) -> str: ...

    def head(self, branch: str) -> Commit | None:
        """The commit at the head of a branch; None where there is no branch."""
        ...

    def branches(self, prefix: str) -> frozenset[str]:
        """The names of the branches that begin so, as they were when this was asked first."""
        ...

    def commit_of(self, sha: str) -> Commit: ...

    def change(self, base: str, branch: str) -> Change | None:
        """What is on a branch and not on its base; None where one of them is not there."""
        ...

    def blobs(self, commit: Commit, paths: Iterable[str]) -> dict[str, Blob]:
        """These files as a commit holds them, by name; those that it does not have are left out."""
        ...

    def read(self, blobs: Mapping[str, Blob], paths: Iterable[str]) -> dict[str, SourceFile]: ...

    def tree(self, on: Commit, blobs: Mapping[str, Blob], contents: Mapping[str, bytes]) -> str:
        """A tree that is the commit's with these files replaced, their modes kept."""
        ...

    def commit(self, message: str, tree: str, parents: Sequence[str]) -> str: ...

    def set_branch(self, branch: str, commit: str, *, before: str | None) -> None:
        """Create a branch, or move it forward from `before`; never by force. Raises Conflict."""
        ...

    def delete_branch(self, branch: str, at: str) -> bool:
        """Delete a branch whose head is still `at`, else False."""
        ...


class Pulls(Protocol):
    """Pull requests."""

    def of(self, branch: str) -> Sequence[PullRequest]:
        """All from a branch of this very repository, open and closed, newest first."""
        ...

    def read(self, number: int) -> PullRequest: ...

    def open(self, branch: str, base: str, title: str, body: str, *, draft: bool) -> tuple[PullRequest, bool]:
        """Open a pull request (True), or find the one that a doubtful answer or somebody else opened (False)."""
        ...

    def edit(
        self, pull: PullRequest, *, title: str | None = None, body: str | None = None, base: str | None = None
    ) -> PullRequest:
        """The pull request as it is then."""
        ...

    def close(self, pull: PullRequest, body: str) -> None: ...

    def comment_once(self, pull: PullRequest, mark: str, text: str) -> bool:
        """Comment, unless a comment with this mark is there; whether it was made now."""
        ...

    def events(self, pull: PullRequest) -> Sequence[Event]: ...

    def add_labels(self, pull: PullRequest, labels: Sequence[str]) -> None: ...

    def remove_label(self, pull: PullRequest, label: str) -> None: ...

    def request_review(self, pull: PullRequest, people: Sequence[str], teams: Sequence[str]) -> None: ...

    def assign(self, pull: PullRequest, people: Sequence[str]) -> frozenset[str]:
        """Who is assigned then."""
        ...

    def set_milestone(self, pull: PullRequest, title: str) -> bool:
        """False where there is no open milestone of this title."""
        ...

    def enable_auto_merge(self, pull: PullRequest, method: MergeMethod, head: str) -> str:
        """GitHub's reason where it refuses, else nothing."""
        ...

    def disable_auto_merge(self, pull: PullRequest) -> str: ...


class Forge(msgspec.Struct, frozen=True):
    """A repository, how it wants its pull requests, and who the bot is there."""

    git: Git
    pulls: Pulls
    base: str
    """The branch of the pull requests, as the settings say; empty for the repository's own."""
    policy: PullRequestPolicy
    identity: Identity

    def base_name(self, pulls: Sequence[PullRequest]) -> str:
        """The branch that pull requests go to; GitHub shows the repository's own with each of them."""
        shown = next((pull.default_branch for pull in pulls if pull.default_branch), "")
        return self.base or shown or self.git.default_branch()
