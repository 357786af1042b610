"""What holds of every text; single cases are in tests/unit/notes/test_plain.py."""

from __future__ import annotations

import random
import unicodedata

import pytest

from bot.core.text import plain, visible

ALPHABET = "ab \t\n\r\x07\x1b[]0;m\\\x9b\u200b\u202e\u2028\u3164\ud800\U000e0041\u00e9\u4e2d…"


def texts(seed: int) -> list[str]:
    chance = random.Random(seed)  # noqa: S311 - any texts will do
    return ["".join(chance.choices(ALPHABET, k=chance.randrange(60))) for _ in range(200)]


@pytest.mark.parametrize("seed", range(5))
def test_a_plain_text_is_one_visible_line_within_its_limit(seed: int) -> None:
    for text in texts(seed):
        for limit in (-1, 0, 1, 2, 10, 1000):
            line = plain(text, limit)

            assert len(line) <= max(0, limit)
            assert line == "" or line.isprintable()
            assert line == plain(line, max(0, limit))


@pytest.mark.parametrize("seed", range(5))
def test_what_is_visible_stays_so_and_nothing_else_does(seed: int) -> None:
    for text in texts(seed):
        shown = visible(text)

        hidden = [
            char for char in shown if char != "\n" and unicodedata.category(char) in {"Cc", "Cf", "Zl", "Zp", "Cs"}
        ]
        assert hidden == []
        assert shown == visible(shown)


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("ab cd", 4, "ab…"),
        ("abc\n", 3, "abc"),
        ("   abc", 3, "abc"),
        ("abc", 1, "…"),
        ("", 5, ""),
        ("\x1b[31m" * 3 + "abc", 3, "abc"),
    ],
)
def test_a_cut_is_shown(text: str, limit: int, expected: str) -> None:
    actual = plain(text, limit)

    assert expected == actual


def test_a_gigantic_text_is_cut_before_it_is_read() -> None:
    assert plain("\x1b[31m" * 10_000_000 + "x", 10).endswith("…")
    assert plain("x" * 50_000_000, 10) == "x" * 9 + "…"


@pytest.mark.parametrize(("text", "expected"), [("a\tb", "a   b"), ("abcd\te", "abcd    e"), ("\t", "    ")])
def test_tabs_become_spaces_up_to_the_next_stop(text: str, expected: str) -> None:
    actual = visible(text)

    assert expected == actual
