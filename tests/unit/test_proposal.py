from __future__ import annotations

import hashlib
import re
import subprocess
from pathlib import Path

import pytest
from msgspec.structs import replace

from bot.core.proposal import (
    Action,
    Commit,
    Declined,
    EditText,
    Foreign,
    Keep,
    OpenPull,
    Proposal,
    PullRequest,
    Push,
    blob_id,
    branch_name,
    change_id,
    commit_message,
    is_ours,
    next_action,
    steps,
    title,
)
from tests.unit.values import FILES, NEW, OTHER, observed, plan

WANTED = Proposal("gateway-bot/app/1.4.1", "a title", f"a body with {NEW}", NEW, change_id(plan()))
TREE = "1" * 40
OURS = Commit(
    "2" * 40,
    TREE,
    commit_message(plan(), TREE),
    ("3" * 40,),
)
STALE = replace(OURS, message=OURS.message.replace(WANTED.change, "5" * 64))
LACKING = replace(OURS, message=OURS.message.replace("Gateway-Bot-Change", "Change"))
THEIRS = replace(OURS, tree="4" * 40)
OPEN = PullRequest(7, "https://github.com/acme/app/pull/7", WANTED.title, WANTED.body, is_open=True, merged=False)
CLOSED = replace(OPEN, number=6, is_open=False)
MERGED = replace(OPEN, number=5, is_open=False, merged=True)
OTHER_DIGEST = replace(CLOSED, number=4, body=f"a body with {OTHER} <details> notes that name {NEW}")
RETITLED = replace(OPEN, title="WIP")
REWORDED = replace(OPEN, body="mine")
CRLF = replace(OPEN, body=f"\r\n{WANTED.body}  \r\n\r\n")

DECISIONS: dict[str, tuple[tuple[PullRequest, ...], Commit | None, Action]] = {
    "nothing there": ((), None, Push(None, None)),
    "a branch without pull request": ((), OURS, OpenPull()),
    "an older branch without pull request": ((), STALE, Push(STALE, None)),
    "open and the same": ((OPEN,), OURS, Keep(OPEN)),
    "open, with GitHub's line ends": ((CRLF,), OURS, Keep(CRLF)),
    "open with another title": ((RETITLED,), OURS, EditText(RETITLED)),
    "open with another body": ((REWORDED,), OURS, EditText(REWORDED)),
    "open with another change": ((OPEN,), STALE, Push(STALE, OPEN)),
    "open with a change that is not named": ((OPEN,), LACKING, Push(LACKING, OPEN)),
    "open without branch": ((OPEN,), None, Push(None, OPEN)),
    "open with a person's commit": ((OPEN,), THEIRS, Foreign(THEIRS)),
    "a person's branch": ((), THEIRS, Foreign(THEIRS)),
    "declined": ((CLOSED,), OURS, Declined(CLOSED)),
    "declined, the branch gone": ((CLOSED,), None, Declined(CLOSED)),
    "declined, then a person's commit": ((CLOSED,), THEIRS, Declined(CLOSED)),
    "declined after a merge": ((CLOSED, MERGED), OURS, Declined(CLOSED)),
    "declined, but open again": ((OPEN, CLOSED), OURS, Keep(OPEN)),
    "another digest declined": ((OTHER_DIGEST,), STALE, Push(STALE, None)),
    "another digest declined, the branch gone": ((OTHER_DIGEST,), None, Push(None, None)),
    "merged and reverted": ((MERGED,), OURS, Push(OURS, None)),
    "merged, reverted, the branch gone": ((MERGED,), None, Push(None, None)),
    "merged, then a person's commit": ((MERGED,), THEIRS, Foreign(THEIRS)),
}


@pytest.mark.parametrize("case", DECISIONS)
def test_what_to_do_given_what_github_shows(case: str) -> None:
    pulls, head, expected = DECISIONS[case]

    actual = next_action(WANTED, pulls, head)

    assert expected == actual


MESSAGE = commit_message(plan(), TREE)


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

    assert branch_name(made) == "gateway-bot/app/1.4.1"
    assert title(made) == "deps(app): bump v1.3.1 to v1.4.1"
    assert (
        "deps(app): bump v1.3.1 to v1.4.1\n\n"
        f"ghcr.io/acme/app:v1.4.1\n{NEW}\n\n"
        f"Gateway-Bot-Change: {WANTED.change}\n"
        f"Gateway-Bot-Tree: {TREE}"
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

    texts = f"{branch_name(made)}\n{title(made)}\n{commit_message(made, TREE)}\n{steps(made)}"

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
