"""What GitHub shows of a proposal."""

from __future__ import annotations

from datetime import datetime

import msgspec

from bot.core.proposal.part import Part, part_of

STOP, REBASE = "stop-updating", "rebase"
"""Labels that the bot obeys on its pull request."""


class Conflict(Exception):
    """Somebody else moved or made the same thing first."""


class PullRequest(msgspec.Struct, frozen=True):
    """A pull request from the bot's branch."""

    number: int
    url: str
    title: str
    body: str
    is_open: bool
    merged: bool
    base: str = "main"
    head_sha: str = ""
    node_id: str = ""
    author: str = ""
    created: datetime | None = None
    draft: bool = False
    labels: frozenset[str] = frozenset()
    assignees: frozenset[str] = frozenset()
    reviewers: frozenset[str] = frozenset()
    team_reviewers: frozenset[str] = frozenset()
    milestone: str = ""
    auto_merge_by: str = ""
    """Who told GitHub to merge it by itself; empty where nobody did."""
    default_branch: str = ""
    """The repository's own, which GitHub shows with each pull request."""
    commit_digest: str = ""
    """The digest that its commit names: what it proposed, where a person took the bot's part out of the body."""

    @property
    def part(self) -> Part | None:
        """The bot's part of the body; None where a person took it out."""
        return part_of(self.body)

    @property
    def digest(self) -> str:
        """The digest that it proposes or proposed."""
        return self.part.digest if self.part else self.commit_digest

    @property
    def withdrawn(self) -> bool:
        """Whether the bot closed it, not a person."""
        return not self.is_open and self.part is not None and self.part.withdrawn

    @property
    def declined(self) -> bool:
        """Whether a person closed it without merging."""
        return not self.is_open and not self.merged and not self.withdrawn

    @property
    def stopped(self) -> bool:
        return STOP in self.labels

    @property
    def to_rebase(self) -> bool:
        return REBASE in self.labels


class Commit(msgspec.Struct, frozen=True):
    """A commit."""

    sha: str
    tree: str
    message: str
    parents: tuple[str, ...]


class Blob(msgspec.Struct, frozen=True):
    """A file in a tree: git's mode, and the id of its bytes."""

    mode: str
    sha: str


class Branch(msgspec.Struct, frozen=True):
    """The bot's branch: the commit at its head, and the bot's own commit that says what is on it.

    The two are the same as long as nobody else committed. Where somebody only merged the base into the branch,
    `own` is the bot's last commit; where a person changed something, it is None.
    """

    head: Commit
    own: Commit | None
    since: str = ""
    """The bot's last commit below a person's; empty where there is none."""
    proven: bool = True
    """Whether it differs from its base in nothing but what the bot would write now."""


class Change(msgspec.Struct, frozen=True):
    """What is on a branch and not on its base: the commits, oldest first, and each changed file's blob.

    `base` and `head` are the commits that were compared. Not `whole`: there is more than GitHub shows at once, or a
    file was added, removed or renamed.
    """

    base: Commit
    head: Commit
    commits: tuple[Commit, ...]
    files: dict[str, str]
    whole: bool
