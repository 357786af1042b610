"""Regular expressions that are tried where they can be ended."""

from __future__ import annotations

import os
import time

import pytest

from bot.adapters.expressions import Expressions
from bot.adapters.programs import Programs


@pytest.fixture
def expressions() -> Expressions:
    return Expressions(Programs(os.environ, lambda _: None))


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"^v(?P<version>\S+)$", "v1.2.3\n" * 1000),
        ("(?P<ref>ü)", "ä\u2028ü\U0001f600"),
        ("(", "no expression"),
        ("a{99999999999}", "too much"),
    ],
)
def test_what_ends_ends_whatever_it_finds(expressions: Expressions, pattern: str, text: str) -> None:
    assert expressions.end([(pattern, "a.txt")], {"a.txt": text}, 10)


@pytest.mark.parametrize("text", ["a" * 60, "b\n" + "a" * 60])
def test_what_does_not_end_is_ended_in_time(expressions: Expressions, text: str) -> None:
    began = time.monotonic()
    patterns = [("b", "a.txt"), ("(a+)+c", "a.txt")]

    assert not expressions.end(patterns, {"a.txt": text}, 0.5)
    assert time.monotonic() - began < 5


def test_the_time_is_for_all_of_them(expressions: Expressions) -> None:
    slow = [("(a+)+c", "a.txt")] * 400
    text = "a" * 17

    assert expressions.end(slow[:1], {"a.txt": text}, 1.0)
    assert not expressions.end(slow, {"a.txt": text}, 1.0)
