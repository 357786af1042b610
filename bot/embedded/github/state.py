"""What the embedded GitHub remembers."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from bot.embedded.gitobjects import Ident
from bot.embedded.gitstore import ObjectStore

Level = Literal["read", "write"]


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
    closed: datetime | None = None
    labels: list[str] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Pull(Issue):
    """A pull request between two branches of one repository. `head_sha` follows its branch while open."""

    head: str
    head_sha: str
    base: str
    base_sha: str
    draft: bool = False
    merged: datetime | None = None
    merge_sha: str | None = None
    reviewers: list[str] = field(default_factory=list)


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


@dataclass(slots=True)
class Repository:
    """A repository. Refs are full names: `refs/heads/main`."""

    owner: str
    name: str
    default_branch: str = "main"
    private: bool = False
    objects: ObjectStore = field(default_factory=ObjectStore)
    refs: dict[str, str] = field(default_factory=dict)
    issues: dict[int, Issue] = field(default_factory=dict)
    releases: list[Release] = field(default_factory=list)
    people: dict[str, Account] = field(default_factory=dict)
    """Accounts by the address that stands in their commits."""

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"

    @property
    def pulls(self) -> list[Pull]:
        return [issue for issue in self.issues.values() if isinstance(issue, Pull)]

    @property
    def next_number(self) -> int:
        return len(self.issues) + 1

    def find_commit(self, name: str) -> str | None:
        """The commit of a branch, a tag, a full ref or a SHA."""
        for ref in (f"refs/heads/{name}", f"refs/tags/{name}", f"refs/{name}", name):
            if ref in self.refs:
                return self.refs[ref]
        return name if name in self.objects.commits else None

    def set_ref(self, ref: str, sha: str, now: datetime) -> None:
        """Moves or makes a ref; pull requests follow, and one whose commits reached its base is merged."""
        self.refs[ref] = sha
        for pull in self.pulls:
            if pull.state == "open" and ref == f"refs/heads/{pull.head}":
                pull.head_sha, pull.updated = sha, now
            if pull.state == "open" and ref == f"refs/heads/{pull.base}":
                if self.objects.is_ancestor(pull.head_sha, sha):
                    pull.state, pull.closed, pull.merged, pull.merge_sha = "closed", now, now, sha
                else:
                    pull.base_sha = sha

    def delete_ref(self, ref: str, now: datetime) -> None:
        """Deletes a ref; open pull requests from that branch are closed."""
        del self.refs[ref]
        for pull in self.pulls:
            if pull.state == "open" and ref == f"refs/heads/{pull.head}":
                pull.state, pull.closed, pull.updated = "closed", now, now
