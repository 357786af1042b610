"""What a git repository says of its own past: commits, tags, and what is not committed yet. Pure."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Commit(msgspec.Struct, frozen=True):
    """A commit: its full hash, the first 1,000 characters of its subject (a stranger's text), its date in UTC."""

    sha: str
    subject: str
    date: datetime


class GitTag(msgspec.Struct, frozen=True):
    """A tag of the repository; `commit` is None where it names something else than a commit."""

    name: str
    commit: str | None
    annotated: bool


class Branch(msgspec.Struct, frozen=True):
    """A branch as the remote has it, or as it is here where no remote has it."""

    name: str
    commit: str


class Status(msgspec.Struct, frozen=True):
    """What is not committed: paths, seen from the folder that was asked about."""

    staged: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()

    @property
    def dirty(self) -> tuple[str, ...]:
        """All of them, each once, in order."""
        return tuple(sorted({*self.staged, *self.changed, *self.untracked}))
