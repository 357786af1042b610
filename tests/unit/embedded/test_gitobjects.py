from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from bot.embedded.gitobjects import EXECUTABLE, FILE, SYMLINK, Commit, Entry, Ident, blob_id
from bot.embedded.gitstore import ObjectStore

FILES = {
    "a": (FILE, b""),
    "a.b/x": (FILE, b"1\n"),
    "a-b": (EXECUTABLE, b"#!/bin/sh\n"),
    "b/c/d": (FILE, "ä".encode()),
    "b/link": (SYMLINK, b"../a"),
}
WHEN = datetime(2026, 7, 29, 20, 52, 54, tzinfo=timezone(timedelta(hours=-4)))


def git(folder: Path, *arguments: str, stdin: bytes = b"") -> str:
    who = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in IDENT.items()}
    environment = os.environ | who | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", *arguments], cwd=folder, input=stdin, capture_output=True, check=True, env=environment
    )
    return done.stdout.decode().strip()


IDENT = {"NAME": "Octo Cat", "EMAIL": "octocat@example.com", "DATE": f"{int(WHEN.timestamp())} -0400"}


def store_files(store: ObjectStore, files: dict[str, tuple[str, bytes]]) -> str:
    return store.add_files({path: Entry(mode, store.add_blob(data)) for path, (mode, data) in files.items()})


def test_names_are_those_that_git_gives(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    for path, (mode, data) in FILES.items():
        sha = git(tmp_path, "hash-object", "-w", "--stdin", stdin=data)
        assert sha == blob_id(data)
        git(tmp_path, "update-index", "--add", "--cacheinfo", f"{mode},{sha},{path}")
    tree = git(tmp_path, "write-tree")
    first = git(tmp_path, "commit-tree", tree, stdin=b"First\n\nwith a body")
    second = git(tmp_path, "commit-tree", tree, "-p", first, stdin=b"Second")
    ident = Ident(IDENT["NAME"], IDENT["EMAIL"], WHEN)
    store = ObjectStore()
    ours = store_files(store, FILES)

    assert ours == tree
    assert Commit(ours, (), ident, ident, "First\n\nwith a body").sha == first
    assert Commit(ours, (first,), ident, ident, "Second").sha == second


def test_files_come_back_as_they_were_stored() -> None:
    store = ObjectStore()
    files = store.files(store_files(store, FILES))

    assert {path: (entry.mode, store.blobs[entry.sha]) for path, entry in files.items()} == FILES


class Graph:
    """Commits with one letter each; the content of a commit is its letter in the file of that name."""

    def __init__(self) -> None:
        self.store = ObjectStore()
        self.names: dict[str, str] = {}

    def commit(self, name: str, *parents: str, **files: str) -> str:
        contents = {path: (FILE, text.encode()) for path, text in files.items()}
        ident = Ident("x", "x@example.com", datetime(2026, 1, 1, 0, len(self.names), tzinfo=UTC))
        tree = store_files(self.store, contents)
        sha = self.store.add_commit(Commit(tree, tuple(parents), ident, ident, name))
        self.names[sha] = name
        return sha


@pytest.fixture
def graph() -> Graph:
    return Graph()


def test_ancestors_are_found_by_any_parent(graph: Graph) -> None:
    a = graph.commit("a")
    b, c = graph.commit("b", a), graph.commit("c", a)
    merge = graph.commit("m", b, c)

    assert graph.store.is_ancestor(c, merge)
    assert not graph.store.is_ancestor(c, b)
    assert [graph.names[sha] for sha in graph.store.between(b, merge)] == ["c", "m"]
    assert graph.store.merge_base(b, c) == a


def test_merge_takes_the_changes_of_both(graph: Graph) -> None:
    base = graph.commit("base", one="1", two="2", gone="x")
    ours = graph.commit("ours", base, one="1a", two="2", gone="x")
    theirs = graph.commit("theirs", base, one="1", two="2a", new="n")
    merged = graph.store.merge(ours, theirs)

    assert merged is not None
    assert {path: graph.store.blobs[entry.sha] for path, entry in graph.store.files(merged).items()} == {
        "one": b"1a",
        "two": b"2a",
        "new": b"n",
    }


def test_merge_of_two_changes_to_one_file_is_a_conflict(graph: Graph) -> None:
    base = graph.commit("base", one="1")
    ours, theirs = graph.commit("ours", base, one="2"), graph.commit("theirs", base, one="3")

    assert graph.store.merge(ours, theirs) is None
