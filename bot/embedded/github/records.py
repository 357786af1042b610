"""What the embedded GitHub keeps records of: accounts, issues and pull requests, releases, workflows."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from bot.embedded.gitobjects import Ident

Level = Literal["read", "write"]
MergeMethod = Literal["merge", "squash", "rebase"]


@dataclass(frozen=True, slots=True)
class Account:
    """Who a token stands for, and what it may do.

    `permissions` are those of an App or a fine-grained token: `{"contents": "write", "pull_requests": "write"}`.
    `repositories` limits them to some full names; None is all of them. What is public, everybody reads.
    """

    login: str
    permissions: Mapping[str, Level] = field(default_factory=dict)
    kind: Literal["User", "Bot"] = "Bot"
    repositories: frozenset[str] | None = None

    @property
    def number(self) -> int:
        """A stable id."""
        return zlib.crc32(self.login.encode())

    @property
    def email(self) -> str:
        """The address by which GitHub knows the account in commits."""
        return f"{self.number}+{self.login}@users.noreply.github.com"

    def may(self, permission: str, level: Level, full_name: str) -> bool:
        """Whether the account holds a permission on a repository."""
        if self.repositories is not None and full_name not in self.repositories:
            return False
        held = self.permissions.get(permission)
        return held in ("write", level)

    def ident(self, when: datetime) -> Ident:
        return Ident(self.login, self.email, when)


@dataclass(slots=True)
class Comment:
    """A comment below an issue or a pull request."""

    id: int
    author: Account
    body: str
    created: datetime
    updated: datetime


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to an issue or a pull request, in GitHub's names for it.

    `subject` is the label, login, team, milestone, commit or new title that it is about; `before` the old title.
    """

    id: int
    name: str
    actor: Account
    created: datetime
    subject: str = ""
    before: str = ""


@dataclass(slots=True)
class Milestone:
    """A milestone of a repository."""

    number: int
    title: str
    created: datetime
    state: Literal["open", "closed"] = "open"


@dataclass(frozen=True, slots=True)
class AutoMerge:
    """GitHub's own auto-merge, switched on for one pull request."""

    enabled_by: Account
    method: MergeMethod
    title: str | None = None
    message: str | None = None


@dataclass(slots=True, kw_only=True)
class Issue:
    """An issue. Pull requests are issues too, with numbers from the same row."""

    number: int
    title: str
    body: str
    author: Account
    created: datetime
    updated: datetime
    state: Literal["open", "closed"] = "open"
    state_reason: str | None = None
    closed: datetime | None = None
    closed_by: Account | None = None
    labels: list[str] = field(default_factory=list)
    assignees: list[str] = field(default_factory=list)
    milestone: Milestone | None = None
    comments: list[Comment] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Pull(Issue):
    """A pull request between two branches of one repository. `head_sha` follows its branch while open."""

    head: str
    head_sha: str
    base: str
    base_sha: str
    draft: bool = False
    merged: datetime | None = None
    merged_by: Account | None = None
    merge_sha: str | None = None
    reviewers: list[str] = field(default_factory=list)
    teams: list[str] = field(default_factory=list)
    """Teams whose review is requested."""
    auto_merge: AutoMerge | None = None
    passed_sha: str = ""
    """The head for which the required checks passed."""


@dataclass(slots=True)
class Asset:
    """A file of a release. `starter` is one whose upload broke off."""

    id: int
    name: str
    content_type: str
    content: bytes
    uploader: Account
    created: datetime
    label: str | None = None
    state: Literal["uploaded", "starter"] = "uploaded"


@dataclass(slots=True, kw_only=True)
class Release:
    """A GitHub Release. Drafts have no `published`."""

    id: int
    tag: str
    name: str
    body: str
    author: Account
    created: datetime
    published: datetime | None
    draft: bool = False
    prerelease: bool = False
    target: str = ""
    immutable: bool = False
    assets: list[Asset] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a workflow. Without a conclusion it is still in progress."""

    id: int
    event: str
    branch: str
    sha: str
    created: datetime
    conclusion: str | None


@dataclass(slots=True)
class Workflow:
    """A workflow file and its runs, oldest first."""

    id: int
    file: str
    created: datetime
    state: Literal["active", "disabled_inactivity", "disabled_manually"] = "active"
    runs: list[Run] = field(default_factory=list)
