"""What GitHub answers, as far as it is read. GitHub REST API, version 2022-11-28."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Repository(msgspec.Struct):
    default_branch: str
    node_id: str = ""


class Sha(msgspec.Struct):
    sha: str


class Commit(msgspec.Struct):
    message: str
    tree: Sha
    parents: list[Sha] = []


class Head(msgspec.Struct):
    sha: str
    commit: Commit | None = None
    parents: list[Sha] | None = None


class Branch(msgspec.Struct):
    commit: Head


class Ref(msgspec.Struct):
    ref: str


class Entry(msgspec.Struct):
    path: str
    mode: str
    type: str
    sha: str


class Tree(msgspec.Struct):
    sha: str
    tree: list[Entry] = []
    truncated: bool = False


class Content(msgspec.Struct):
    content: str


class File(msgspec.Struct):
    filename: str
    status: str
    sha: str | None = None


class Compared(msgspec.Struct):
    total_commits: int
    base_commit: Head
    merge_base_commit: Head
    commits: list[Head] = []
    files: list[File] | None = None


class Owner(msgspec.Struct):
    full_name: str = ""
    default_branch: str = ""


class Side(msgspec.Struct):
    ref: str
    sha: str = ""
    repo: Owner | None = None


class User(msgspec.Struct):
    login: str = ""
    type: str = ""


class Team(msgspec.Struct):
    slug: str = ""


class Label(msgspec.Struct):
    name: str = ""


class Milestone(msgspec.Struct):
    title: str = ""
    number: int = 0


class AutoMerge(msgspec.Struct):
    enabled_by: User | None = None


class Pull(msgspec.Struct):
    number: int
    state: str
    title: str
    html_url: str
    head: Side
    base: Side
    node_id: str = ""
    user: User | None = None
    body: str | None = None
    merged_at: str | None = None
    created_at: datetime | None = None
    draft: bool = False
    labels: list[Label] = []
    assignees: list[User] | None = None
    requested_reviewers: list[User] | None = None
    requested_teams: list[Team] | None = None
    milestone: Milestone | None = None
    auto_merge: AutoMerge | None = None


class Comment(msgspec.Struct):
    body: str | None = None
    user: User | None = None


class Event(msgspec.Struct):
    event: str
    actor: User | None = None
    label: Label | None = None
    assignee: User | None = None
    requested_reviewer: User | None = None
    requested_team: Team | None = None
    milestone: Milestone | None = None


class Asset(msgspec.Struct):
    id: int
    name: str
    size: int
    state: str
    digest: str | None = None


class Release(msgspec.Struct):
    id: int
    tag_name: str
    target_commitish: str
    draft: bool
    prerelease: bool
    html_url: str
    upload_url: str
    name: str | None = None
    body: str | None = None
    immutable: bool = False
    assets: list[Asset] = []
