"""Git's objects as values and bytes: a blob, a tree and a commit hash here to what git itself says."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

FILE = "100644"
EXECUTABLE = "100755"
SYMLINK = "120000"
SUBMODULE = "160000"
TREE = "040000"
MODES = frozenset({FILE, EXECUTABLE, SYMLINK, SUBMODULE, TREE})


@dataclass(frozen=True, slots=True)
class Entry:
    """What a tree says of one name: a mode of six digits, and the object."""

    mode: str
    sha: str

    @property
    def kind(self) -> str:
        """`blob`, `tree` or `commit` (a submodule)."""
        return {TREE: "tree", SUBMODULE: "commit"}.get(self.mode, "blob")


@dataclass(frozen=True, slots=True)
class Ident:
    """Who did something, and when."""

    name: str
    email: str
    when: datetime

    def line(self) -> str:
        """Git's form: name, address, seconds since 1970 and the offset from UTC."""
        return f"{self.name} <{self.email}> {int(self.when.timestamp())} {self.when:%z}"


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit. `verified` is what GitHub says of its signature; the signature itself is not kept."""

    tree: str
    parents: tuple[str, ...]
    author: Ident
    committer: Ident
    message: str
    verified: bool = False

    @property
    def sha(self) -> str:
        lines = [
            f"tree {self.tree}",
            *(f"parent {parent}" for parent in self.parents),
            f"author {self.author.line()}",
            f"committer {self.committer.line()}",
            "",
            self.message,
        ]
        return object_id("commit", "\n".join(lines).encode())


def object_id(kind: str, body: bytes) -> str:
    """The name that git gives to an object."""
    header = f"{kind} {len(body)}\0".encode()
    return hashlib.sha1(header + body, usedforsecurity=False).hexdigest()


def blob_id(data: bytes) -> str:
    """The name of a file's content."""
    return object_id("blob", data)


def tree_id(entries: Iterable[tuple[str, Entry]]) -> str:
    """The name of one directory. Git sorts a subdirectory as if its name ended with a slash."""
    ordered = sorted(entries, key=lambda item: (item[0] + "/" * (item[1].mode == TREE)).encode())
    body = b"".join(
        f"{entry.mode.lstrip('0')} {name}".encode() + b"\0" + bytes.fromhex(entry.sha) for name, entry in ordered
    )
    return object_id("tree", body)
