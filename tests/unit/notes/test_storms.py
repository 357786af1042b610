from __future__ import annotations

import random
import time

import pytest

from bot.core.notes import inert
from tests.unit.notes.judge import faults
from tests.unit.notes.test_inert import HOSTILE

SECONDS = 1.0

UNITS = (
    "`", "` ", "`a", "[", "[[a]", "[a](", "![", "![a](", "*", "**a ", "*a _b ", "a*a_", "~~a ", "> ", ">", "- ",
    "- a\n", "-\n", "* * ", "1. ", "<", "<!--", "a <!-- ", "<a b='", "a <![CDATA[ ", "<b\n", "&#64;", "\\", "|",
    "|-", "|a\n", "a|b\n-|-\n", "[a]: /b\n", "[a]:\n", "[a]: b '", "](", "!", "<https://", "a@b ", "@", "\n", "a\n",
    " ", "\t", "# a\n", "= \n", "```\n", "~~~", "[x](<", "$a$", "https://github.com/ ", "https://a.b/)", "#1 ",
    "\u202e@", "- [ ] a\n", "- \t", "github.com/", "&amp;", "[^1]", "<b>x", "\ud800", "\u0301", "a" * 99 + "\n",
    "word ",
)  # fmt: skip

STORMS = {
    **{f"storm_of_{unit[:20]!a}": unit for unit in UNITS},
    "nested_lists": "".join("  " * depth + "- a\n" for depth in range(2000)),
    "nested_quotes": "".join(">" * depth + " a\n" for depth in range(2000)),
    "nested_links": "[" * 30_000 + "](a)" * 8_000,
    "nested_brackets": "[" * 30_000 + "]" * 30_000,
    "nested_emphasis": "*a " * 10_000 + "b* " * 10_000,
    "backtick_runs": " ".join("`" * length for length in range(1, 2000)),
    "wide_table": "|" + "a|" * 120 + "\n|" + "-|" * 120 + "\n" + "|a\n" * 20_000,
    "list_table": "- a|b\n  " + "-|" * 500 + "\n" + "  x\n" * 3_000,
    "emphasis_marks": "".join("*_"[index % 2] for index in range(60_000)),
}


@pytest.mark.parametrize("name", STORMS)
@pytest.mark.parametrize("size", [7_000, 60_000, 10_000_000], ids=["some", "full", "10_mb"])
def test_storms_pass_quickly_and_do_nothing(name: str, size: int) -> None:
    unit = STORMS[name]
    text = (unit * (size // len(unit) + 1))[:size]
    start = time.process_time()
    made = inert(text)
    taken = time.process_time() - start
    actual = (faults(made), taken < SECONDS)

    assert actual == ([], True)


def test_storms_come_back_in_a_code_block() -> None:
    actual = inert("[" * 10_000)

    assert actual == "```\n" + "[" * 10_000 + "\n```"


def test_a_cut_text_says_so() -> None:
    actual = inert("word\n\n" * 20_000).splitlines()[-1]

    assert actual == "(shortened)"


MARKS = (
    "\n", "\n\n", "\n- ", "\n> ", "\n  ", "\n    ", "\n|", " ", "a", "1", "`", "``", "```", "~~~", "*", "**", "_",
    "~~", "[", "]", "(", ")", "](", "<", ">", "<!--", "-->", "&", ";", "#", "@", "!", "|", "\\", "-", "+", "1.",
    ":", "/", "=", "$", "\u200b", "\t", "&#10;", "&#64;", "@all", "#1", "GH-", "https://", "github.com/",
    "o/r/issues/1", "<b>", "[a](https://x.org)", "![a](x)", "[a](/x)", "` `", "**&#8203;**", "[](x)", "<i>",
)  # fmt: skip
PIECES = (*MARKS, *(word for text in HOSTILE.values() for word in text.split(" ")))


@pytest.mark.parametrize("seed", range(4))
def test_any_mix_of_hostile_pieces_does_nothing(seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 - the same mixes in every run
    texts = ["".join(rng.choices(PIECES, k=rng.randint(2, 25))) for _ in range(500)]
    actual = {text: found for text in texts if (found := faults(inert(text)))}

    assert actual == {}
