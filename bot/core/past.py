"""What a repository says of its own past, and what its commits' messages say of a pin. Pure.

Names, subjects and messages are strangers' text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from bot.core.proposal.names import GATES
from bot.core.reference import Digest

_SUBJECT = 1000
_MOST_GATES = 40
_NUMBERED = re.compile(r"\(#([1-9][0-9]{0,8})\)\s*$")
_MERGE = re.compile(r"Merge pull request #([1-9][0-9]{0,8}) from ")
_GATES = re.compile(rf"^{GATES}:[ \t]*([^\r\n]*)", re.MULTILINE)
_GATE = re.compile(r"([A-Za-z][A-Za-z0-9-]{0,39})=(pass|warn|fail|unknown)")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class FileThen(msgspec.Struct, frozen=True):
    """What a path was: git's mode, and the hash of the object."""

    mode: str
    sha: str


Tree = Mapping[str, FileThen]
"""The files at one commit that may hold a pin, by their path seen from the settings' folder."""


class Change(msgspec.Struct, frozen=True):
    """What a commit changed of its first parent: each path's new state, None where it is gone."""

    commit: str
    files: Mapping[str, FileThen | None]


class CommitThen(msgspec.Struct, frozen=True):
    """A commit as its object says; `parents` also names those that were not fetched."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    by: str
    """The author's name."""
    date: datetime
    """UTC, the committer's."""
    message: str

    @property
    def subject(self) -> str:
        """The message's first line, at most 1,000 characters."""
        return self.message.lstrip().partition("\n")[0][:_SUBJECT]


class TagThen(msgspec.Struct, frozen=True):
    """A git tag, and the commit that it leads to; empty where it leads to none, or to one that is not here.

    `by` and `date` (UTC) are the tagger's; None of a tag that is only a name.
    """

    name: str
    commit: str
    by: str | None = None
    date: datetime | None = None
    names: str = "commit"
    """What kind of object it leads to; `missing` where that is not here."""


def pull_request_of(subject: str) -> int | None:
    """The number of the pull request that this subject says it came by: squashed, or merged."""
    found = _NUMBERED.search(subject) or _MERGE.match(subject)
    return int(found[1]) if found else None


def gates_in(message: str) -> tuple[tuple[str, str], ...]:
    """Names and verdicts of the last trailer in a message, each name once; a squash may have put words after it."""
    lines = _GATES.findall(message)
    words = (_GATE.fullmatch(word) for word in lines[-1].split()) if lines else ()
    return tuple({match[1]: match[2] for match in words if match}.items())[:_MOST_GATES]


def gates_of(digest: Digest, messages: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """The gates that the first of these messages says of this image, one that names it before one that names none.

    A message that names other images only speaks of those.
    """
    silent: tuple[tuple[str, str], ...] = ()
    for message in messages:
        gates = gates_in(message)
        named = set(_DIGEST.findall(message)) if gates else set()
        if digest in named:
            return gates
        if not named and not silent:
            silent = gates
    return silent
