"""The object database of one repository: nested trees, and questions to the graph of commits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.embedded.gitobjects import TREE, Commit, Entry, blob_id, tree_id

Files = Mapping[str, Entry]
"""Every file below a tree by its path; directories are implied."""


@dataclass(slots=True)
class ObjectStore:
    """Objects by name."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    trees: dict[str, dict[str, Entry]] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)

    def add_blob(self, data: bytes) -> str:
        sha = blob_id(data)
        self.blobs[sha] = data
        return sha

    def add_commit(self, commit: Commit) -> str:
        sha = commit.sha
        self.commits[sha] = commit
        return sha

    def add_files(self, files: Files) -> str:
        """The tree that holds exactly these files."""
        here: dict[str, Entry] = {}
        below: dict[str, dict[str, Entry]] = {}
        for path, entry in files.items():
            name, slash, rest = path.partition("/")
            if slash:
                below.setdefault(name, {})[rest] = entry
            else:
                here[name] = entry
        here.update({name: Entry(TREE, self.add_files(rest)) for name, rest in below.items()})
        sha = tree_id(here.items())
        self.trees[sha] = dict(sorted(here.items()))
        return sha

    def files(self, tree: str) -> dict[str, Entry]:
        """Every file below a tree."""
        return {path: entry for path, entry in self.walk(tree).items() if entry.mode != TREE}

    def walk(self, tree: str) -> dict[str, Entry]:
        """Every file and directory below a tree, each directory before what it holds."""
        found: dict[str, Entry] = {}
        for name, entry in self.trees[tree].items():
            found[name] = entry
            if entry.mode == TREE:
                found.update({f"{name}/{path}": inner for path, inner in self.walk(entry.sha).items()})
        return found

    def changed(self, before: str, after: str) -> list[str]:
        """The paths in which two trees differ, sorted."""
        old, new = self.files(before), self.files(after)
        return sorted(path for path in old.keys() | new.keys() if old.get(path) != new.get(path))

    def history(self, head: str) -> list[str]:
        """Every commit reachable from `head`, itself first, newest first where dates tell."""
        seen = {head}
        waiting = [head]
        found = []
        while waiting:
            waiting.sort(key=lambda sha: self.commits[sha].committer.when)
            sha = waiting.pop()
            found.append(sha)
            new = [parent for parent in self.commits[sha].parents if parent not in seen]
            seen.update(new)
            waiting += new
        return found

    def is_ancestor(self, old: str, new: str) -> bool:
        """Whether `new` is `old` or comes after it, by any parent."""
        return old in self.history(new)

    def between(self, base: str, head: str) -> list[str]:
        """The commits that `head` has and `base` has not, oldest first."""
        known = set(self.history(base))
        return [sha for sha in reversed(self.history(head)) if sha not in known]

    def merge_base(self, one: str, other: str) -> str | None:
        """The newest commit that both have, or None for unrelated histories."""
        known = set(self.history(other))
        return next((sha for sha in self.history(one) if sha in known), None)

    def merge(self, ours: str, theirs: str) -> str | None:
        """The tree of a merge of two commits, file by file; None where both changed the same file."""
        base = self.merge_base(ours, theirs)
        before = self.files(self.commits[base].tree) if base else {}
        mine, other = self.files(self.commits[ours].tree), self.files(self.commits[theirs].tree)
        merged: dict[str, Entry] = {}
        for path in mine.keys() | other.keys():
            old, left, right = before.get(path), mine.get(path), other.get(path)
            if left != right and old not in (left, right):
                return None
            result = right if left == old else left
            if result is not None:
                merged[path] = result
        return self.add_files(merged)
