from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from bot.adapters.actions import MAX_SUMMARY, annotation, append_summary


@pytest.mark.parametrize(
    ("level", "title", "text", "expected"),
    [
        ("error", "gateway-bot", "it lies", "::error title=gateway-bot::it lies"),
        ("warning", "a", "b", "::warning title=a::b"),
        ("error", "a", "one\ntwo\r\nthree", "::error title=a::one%0Atwo%0D%0Athree"),
        ("error", "a", "\n::set-output name=x::y", "::error title=a::%0A: :set-output name=x::y"),
        ("error", "a", "50% %0A", "::error title=a::50%25 %250A"),
        ("notice", "a,file=b::c\nd", "x", "::notice title=a%2Cfile=b%3A%3Ac%0Ad::x"),
    ],
)
def test_a_workflow_command_is_one_line_that_starts_no_other(
    level: Literal["error", "warning", "notice"], title: str, text: str, expected: str
) -> None:
    actual = annotation(level, title, text)

    assert len(actual.splitlines()) == 1
    assert expected == actual


def test_a_summary_grows(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    append_summary(path, "# één")
    append_summary(path, "two")

    assert path.read_text() == "# één\ntwo\n"


@pytest.mark.parametrize("before", [0, 1, MAX_SUMMARY - 10, MAX_SUMMARY - 1])
def test_a_summary_stays_within_what_github_keeps(tmp_path: Path, before: int) -> None:
    path = tmp_path / "summary.md"
    path.write_bytes(b"x" * before)

    append_summary(path, "y" * 2 * MAX_SUMMARY)

    data = path.read_bytes()
    assert data.startswith(b"x" * before)
    assert len(data) == MAX_SUMMARY


def test_a_summary_that_is_full_takes_no_more_text(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    path.write_bytes(b"x" * MAX_SUMMARY)

    append_summary(path, "y")

    assert b"y" not in path.read_bytes()


def test_a_summary_never_grows_past_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "summary"
    append_summary(path, "é" * MAX_SUMMARY)
    append_summary(path, "y")

    assert len(path.read_bytes()) <= MAX_SUMMARY
    assert set(path.read_text()) == {"é", "\n"}
