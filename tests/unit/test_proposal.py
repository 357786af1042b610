from __future__ import annotations

import hashlib
import re
import subprocess
from pathlib import Path

import pytest
from msgspec.structs import replace

from bot.core.proposal.names import (
    blob_id,
    branch_name,
    change_id,
    commit_message,
    digest_of,
    is_ours,
    keeps,
    proposal,
    same_title,
    steps,
    title,
)
from bot.core.proposal.shown import Commit
from tests.unit.values import FILES, NEW, OTHER, observed, plan

WANTED = proposal(plan(), "main", "what the bot says")
TREE = "1" * 40
MESSAGE = commit_message(plan(), WANTED.change, TREE)
OURS = Commit("2" * 40, TREE, MESSAGE, ("3" * 40,))
THEIRS = replace(OURS, tree="4" * 40)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (MESSAGE, True),
        (f"{MESSAGE}\n", True),
        (f"{MESSAGE}\nCo-Authored-By: somebody", True),
        ("fix: by hand", False),
        ("", False),
        (MESSAGE.replace(TREE, TREE[:-1]), False),
        (MESSAGE.replace(TREE, "5" * 40), False),
        (MESSAGE.replace("Gateway-Bot-Tree", "  Gateway-Bot-Tree"), False),
        (MESSAGE.replace("Gateway-Bot-Tree", "gateway-bot-tree"), False),
        (f"Revert it\n\n> Gateway-Bot-Tree: {TREE}", False),
    ],
)
def test_the_bots_own_commit_names_its_tree(message: str, *, expected: bool) -> None:
    actual = is_ours(replace(OURS, message=message))

    assert expected == actual


def test_a_commit_that_somebody_amended_is_theirs() -> None:
    assert is_ours(OURS)
    assert not is_ours(THEIRS)


def test_branch_title_and_message_are_of_parsed_values() -> None:
    made = plan()

    assert branch_name(made.image.name) == "gateway-bot/upgrade/app"
    assert title(made) == "deps(app): bump v1.3.1 to v1.4.1"
    assert (
        "deps(app): bump v1.3.1 to v1.4.1\n\n"
        f"ghcr.io/acme/app:v1.4.1\n{NEW}\n\n"
        f"Gateway-Bot-Change: {WANTED.change}\n"
        f"Gateway-Bot-Tree: {TREE}\n"
        "Gateway-Bot-Gates: pinned-tag=pass digest=pass platforms=pass new-digest=pass"
    ) == MESSAGE  # fmt: skip


def test_a_change_is_named_by_the_bytes_before_and_after() -> None:
    others = [
        plan(observed(digest=OTHER)),
        plan(observed(wanted="v1.4.0")),
        plan(observed(files=FILES | {"main.tf": f"# new\n{FILES['main.tf']}"})),
    ]

    assert change_id(plan()) == WANTED.change
    assert len({WANTED.change, *map(change_id, others)}) == 4


def test_no_text_of_a_stranger_reaches_branch_title_or_message() -> None:
    made = plan()
    hostile = replace(made.release, notes="@all fixes #1 `$(id)`", url="https://evil.example/@all")
    made = replace(made, release=hostile, notes=(hostile,))

    texts = f"{title(made)}\n{commit_message(made, WANTED.change, TREE)}\n{steps(made)}"

    assert re.search(r"@all|#1|evil|\$|`", texts) is None


@pytest.mark.parametrize("data", [b"", b"x", b"a\r\nb\x00\xff", b"x" * 100_000], ids=len)
def test_a_blob_has_the_name_that_git_gives_it(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "blob"
    path.write_bytes(data)
    git = subprocess.run(["git", "hash-object", "--no-filters", str(path)], capture_output=True, check=True)

    actual = blob_id(data)

    assert actual == hashlib.sha1(f"blob {len(data)}\0".encode() + data, usedforsecurity=False).hexdigest()
    assert git.stdout.decode().strip() == actual


def test_the_last_trailer_counts() -> None:
    assert is_ours(replace(OURS, message=f"Gateway-Bot-Tree: {'9' * 40}\n\n{OURS.message}"))


def test_the_bots_commit_says_what_it_proposes() -> None:
    assert digest_of(OURS) == NEW
    assert digest_of(THEIRS) == ""


def test_a_commit_on_top_of_somebodys_work_says_so() -> None:
    keeping = commit_message(plan(), WANTED.change, TREE, keeping="6" * 40)

    assert keeps(replace(OURS, message=keeping))
    assert not keeps(OURS)


@pytest.mark.parametrize(
    ("there", "moved", "expected"),
    [
        (WANTED.title, False, WANTED.title),
        ("deps(app): bump v1.3.1 to v1.4.0", True, WANTED.title),
        ("OPS-1 deps(app): bump v1.3.1 to v1.4.0 (wait)", True, f"OPS-1 {WANTED.title} (wait)"),
        ("deps(other): bump v1 to v2", False, "deps(other): bump v1 to v2"),
        ("Wait for the freeze", False, "Wait for the freeze"),
        ("Wait for the freeze", True, WANTED.title),
    ],
)
def test_a_title_keeps_a_persons_words_as_long_as_they_are_true(there: str, expected: str, *, moved: bool) -> None:
    actual = same_title(there, WANTED, moved=moved)

    assert expected == actual
