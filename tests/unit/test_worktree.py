"""What a checkout may hold in a file's place."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from bot.adapters.worktree import MAX_BYTES, Worktree
from bot.core.model import SourceFile
from bot.errors import PinError


def test_a_file_is_its_bytes_and_its_mode(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xff\r\n")
    (tmp_path / "b").write_bytes(b"x" * MAX_BYTES)
    (tmp_path / "b").chmod(0o755)
    expected = {"a": SourceFile("a", b"\xff\r\n"), "b": SourceFile("b", b"x" * MAX_BYTES, "100755")}

    actual = Worktree(tmp_path).read(["a", "b", "a"])

    assert expected == actual


def folder(path: Path) -> None:
    path.mkdir()


def pipe(path: Path) -> None:
    os.mkfifo(path)


def large(path: Path) -> None:
    path.write_bytes(b"x" * (MAX_BYTES + 1))


def dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def nothing(_: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (nothing, "there is no such file"),
        (folder, "no regular file"),
        (pipe, "no regular file"),
        (large, "larger than 1,048,576 bytes"),
        (dangling, "a symbolic link"),
    ],
)
def test_what_is_no_plain_file_is_refused(tmp_path: Path, make: object, words: str) -> None:
    assert callable(make)
    make(tmp_path / "a")

    with pytest.raises(PinError, match=words) as raised:
        Worktree(tmp_path).read(["a"])

    assert raised.value.where == "a"


def test_a_file_in_a_folders_place_is_said(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")

    with pytest.raises(PinError, match="cannot be read: Not a directory"):
        Worktree(tmp_path).read(["a/b"])


def test_only_plain_tracked_files_are_listed(tmp_path: Path) -> None:
    tree = Worktree(tmp_path)
    before = tree.tracked()
    for name in ("a", "b c", "\u00e9", "gone", "untracked"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "link").symlink_to("a")
    for command in (["init", "-q"], ["add", "a", "b c", "\u00e9", "gone", "link"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    (tmp_path / "gone").unlink()

    actual = tree.tracked()

    assert before == []
    assert actual == ["a", "b c", "\u00e9"]


def test_files_are_replaced_in_the_order_given_and_nothing_is_left_behind(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"old")
    (tmp_path / ".a.gateway-bot-left").write_bytes(b"of a run that was killed")
    tree = Worktree(tmp_path)

    tree.write(tree.read(["a", "b"]), {"b": b"new b", "a": b"new a"})

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"new a", "b": b"new b"}
