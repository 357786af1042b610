"""The whole past of a repository in a few questions: no checkout, and no process for each commit."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bot.adapters.git import MAX_BYTES, Git
from bot.adapters.git.objects import Found, headers, read, signed
from bot.core.past import Change, CommitThen, FileThen, TagThen, Tree

_EMPTY_TREE = {
    40: "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    64: "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
}
"""By the length of the repository's hashes; every git knows it."""

_NESTED = 5
"""Tags of tags of tags that are followed."""

_PROMISES = r"^(extensions\.partialclone|remote\..*\.(promisor|partialclonefilter))$"
_NOBODY = datetime.fromtimestamp(0, UTC)


class _End(msgspec.Struct, frozen=True):
    """What an object is; of a tag, where it leads, and who made it when."""

    kind: str
    leads_to: str = ""
    tagger: tuple[str, datetime] | None = None


_MISSING = _End("missing")
_NO_END = _End("tag")
"""Of a tag that is nested too deeply."""


class Past(Git):
    """As Git, of many commits at once. Whatever was not fetched is left out of the answers; nothing is fetched."""

    def __init__(self, root: Path, environ: Mapping[str, str]) -> None:
        super().__init__(root, environ)
        self._partial: bool | None = None
        self._commits: dict[str, CommitThen] = {}

    def is_partial(self) -> bool:
        """Whether the clone was made with a filter: it may lack any file or folder of the past."""
        if self._partial is None:
            done = self._program.read("config", "--get-regexp", _PROMISES, codes=(0, 1))
            self._partial = bool(done.out.strip())
        return self._partial

    def parents(self, commit: str) -> dict[str, tuple[str, ...]]:
        """Every commit that `commit` reaches, with its parents; children come before them. `commit` is a full hash."""
        out = self._program.read("rev-list", "--topo-order", "--parents", commit, "--").out.decode()
        return {sha: tuple(rest) for sha, *rest in map(str.split, out.splitlines())}

    def changes(self, commit: str, paths: Iterable[str]) -> tuple[Change, ...]:
        """What changed at these paths on the first-parent line that ends with `commit`, newest first.

        The last commit of the line counts as one that adds all that it has.
        """
        out = self._program.read(
            "log", "-z", "--first-parent", "--diff-merges=first-parent", "--format=tformat:%H", *_RAW, "--root",
            "--no-follow", "--no-relative", "--no-color", "--no-notes", commit, "--", *paths,
        ).out  # fmt: skip
        changes: list[tuple[str, dict[str, FileThen | None]]] = []
        fields = iter(os.fsdecode(out).split("\0"))
        for field in fields:
            entry = field.lstrip("\n")
            if entry.startswith(":"):
                changes[-1][1].update(self._state(entry, next(fields)))
            elif entry:
                changes.append((entry, {}))
        return tuple(Change(sha, files) for sha, files in changes)

    def trees(self, trees: Iterable[str], paths: Iterable[str]) -> dict[str, Tree]:
        """What each of these trees, by full hash, has at these paths."""
        wanted = tuple(dict.fromkeys(trees))
        if not wanted:
            return {}
        pairs = "".join(f"{_EMPTY_TREE[len(tree)]} {tree}\n" for tree in wanted).encode()
        out = self._program.read("diff-tree", "--stdin", "-z", "-r", *_RAW, "--no-relative", "--", *paths, stdin=pairs)
        found: dict[str, dict[str, FileThen]] = {tree: {} for tree in wanted}
        here = ""
        fields = iter(os.fsdecode(out.out).split("\0"))
        for field in fields:
            *names, entry = field.split("\n")
            here = names[-1].split()[-1] if names else here
            if entry:
                found[here] |= {p: file for p, file in self._state(entry, next(fields)).items() if file is not None}
        return dict(found)

    def past_commits(self, shas: Iterable[str]) -> dict[str, CommitThen]:
        """Those of these commits that are here, each with its whole message; of a larger one than 1 MiB none of it."""
        wanted = tuple(dict.fromkeys(shas))
        new = (sha for sha in wanted if sha not in self._commits)
        self._commits |= {found.sha: _commit(found) for found in self._objects(new) if found.kind == "commit"}
        return {sha: self._commits[sha] for sha in wanted if sha in self._commits}

    def past_tags(self) -> tuple[TagThen, ...]:
        """All tags whose names are one line, in the order of their names."""
        out = os.fsdecode(self._program.read("for-each-ref", "--format=%(objectname) %(refname)%00", "refs/tags").out)
        lines = (line.removeprefix("\n") for line in out.split("\0"))
        named = [(name, sha) for sha, _, name in (line.partition(" refs/tags/") for line in lines) if name]
        leads = {sha: sha for _, sha in named}
        ends: dict[str, _End] = {}
        for _ in range(_NESTED):
            new = [end for end in dict.fromkeys(leads.values()) if end not in ends]
            ends |= dict.fromkeys(new, _MISSING) | self._ends(new)
            leads = {sha: ends[end].leads_to or end for sha, end in leads.items()}
        plain = ((name, sha) for name, sha in named if "\n" not in name)
        return tuple(
            _tag(name, leads[sha], ends.get(leads[sha], _NO_END).kind, ends[sha].tagger) for name, sha in plain
        )

    def blobs(self, shas: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
        """Those of these files' contents that are here; None for one of more than 1 MiB."""
        return ((found.sha, found.data) for found in self._objects(shas))

    def _objects(self, shas: Iterable[str]) -> Iterator[Found]:
        return read(self._program, shas, MAX_BYTES, partial=self.is_partial())

    def _ends(self, shas: Sequence[str]) -> dict[str, _End]:
        found: dict[str, _End] = {}
        for each in self._objects(shas):
            if each.kind == "commit":  # most tags lead to one, and it is asked for next
                self._commits[each.sha] = _commit(each)
            above, _ = headers(each.data) if each.kind == "tag" and each.data is not None else ({}, "")
            found[each.sha] = _End(each.kind, above.get("object", [""])[0], signed(above.get("tagger", [""])[0]))
        return found

    def _state(self, entry: str, path: str) -> dict[str, FileThen | None]:
        _, mode, _, sha, _ = entry.split(" ")
        prefix = self._program.prefix()
        return {path.removeprefix(prefix): FileThen(mode, sha) if mode != "000000" else None}


_RAW = ("--raw", "--no-abbrev", "--no-renames", "--no-ext-diff", "--no-textconv", "--ignore-submodules=none")


def _commit(found: Found) -> CommitThen:
    above, message = headers(found.data or b"")
    author, committer = (signed(above.get(who, [""])[0]) for who in ("author", "committer"))
    return CommitThen(
        sha=found.sha,
        tree=above.get("tree", [""])[0],
        parents=tuple(above.get("parent", ())),
        by=author[0] if author else "",
        date=committer[1] if committer else _NOBODY,
        message=message,
    )


def _tag(name: str, end: str, kind: str, tagger: tuple[str, datetime] | None) -> TagThen:
    by, date = tagger or (None, None)
    return TagThen(name, end if kind == "commit" else "", by, date, kind)
