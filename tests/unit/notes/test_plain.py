from __future__ import annotations

import subprocess
import sys
import unicodedata

import pytest

from bot.core.text import plain, visible

TEXTS = {
    "words": ("v1.4.0", "v1.4.0"),
    "lines": (" a\r\nb\tc\n\n d ", "a b c d"),
    "colours": ("\x1b[31mred\x1b[0m \x1b[1;32mgreen\x1b[m", "red green"),
    "cursor": ("a\x1b[2J\x1b[Hb\x9b5Ac", "abc"),
    "title": ("\x1b]0;evil\x07a\x1b]8;;https://x.org\x1b\\b\x1b]8;;\x1b\\", "ab"),
    "unfinished": ("a\x1b[", "a"),
    "bidi": ("a\u202eb\u2066c\u200fd", "abcd"),
    "zero_width": ("a\u200bb\ufeffc\u00ad\U000e0041", "abc"),
    "separators": ("a\u2028b\u2029c\x85d", "abcd"),
    "spaces": ("a\u00a0b\u3000c", "a b c"),
    "surrogate": ("a\ud800b\ue000c\uffffd", "abcd"),
    "fillers": ("a\u3164b\u115fc\U000e0101d", "abcd"),
    "kept": ("\u00e9 \u4e2d \u26a0\ufe0f \U0001f389", "\u00e9 \u4e2d \u26a0\ufe0f \U0001f389"),
    "empty": ("", ""),
}


@pytest.mark.parametrize("case", TEXTS)
def test_one_line_for_a_terminal(case: str) -> None:
    text, expected = TEXTS[case]
    actual = plain(text, 100)

    assert expected == actual


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdef", 5, "abcd\u2026"),
        ("ab cd", 4, "ab\u2026"),
        ("ab", 1, "\u2026"),
        ("ab", 0, ""),
    ],
)
def test_a_long_line_is_cut_visibly(text: str, limit: int, expected: str) -> None:
    actual = plain(text, limit)

    assert expected == actual


def test_ten_megabytes_are_cut() -> None:
    actual = len(plain("\u202ex" * 5_000_000, 80))

    assert actual == 80


def test_no_hidden_character_is_shown() -> None:
    shown = visible("".join(map(chr, range(0x110000)))).replace("\n", "")
    actual = {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}

    assert actual == set()


def test_tabs_and_line_ends_become_spaces_and_newlines() -> None:
    actual = visible("a\tb\r\nc\rd\n")

    assert actual == "a   b\nc\nd\n"


def test_the_hot_path_does_not_load_a_markdown_parser() -> None:
    probe = "import sys, bot.core.text; print('markdown_it' in sys.modules)"
    actual = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout.strip()

    assert actual == "False"
