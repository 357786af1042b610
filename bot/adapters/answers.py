"""What GitHub answers, as far as it is read. GitHub REST API, version 2022-11-28."""

from __future__ import annotations

import msgspec


class Repository(msgspec.Struct):
    default_branch: str


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


class Owner(msgspec.Struct):
    full_name: str = ""


class Side(msgspec.Struct):
    ref: str
    repo: Owner | None = None


class Pull(msgspec.Struct):
    number: int
    state: str
    title: str
    html_url: str
    head: Side
    base: Side
    body: str | None = None
    merged_at: str | None = None
