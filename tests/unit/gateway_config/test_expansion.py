from __future__ import annotations

import time

import pytest

from bot.core.gateway_config.expansion import Variable, dummies, variables


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("key: $KEY", ("KEY",)),
        ("key: ${KEY}", ("KEY",)),
        ("key: '$KEY'", ("KEY",)),
        ("# $KEY in a comment, for $5", ("KEY", "5")),
        ("$A$B ${A}", ("A", "B")),
        ("a $ b, $$, $$A, $-, $", ()),
        ("$$$A", ("A",)),
        (r"\$A", ("A",)),
        ("$Straße_1-x", ("Straße_1",)),
        ("${A-d} ${B:?m} ${}", ("A-d", "B:?m", "")),
        ("${A\nb: ${C}", ("A\nb: ${C",)),
        ("${A", ()),
        ("} ${A $B", ("B",)),
        ("# yaml-language-server: $schema=https://example.com", ()),
        ("#yaml-language-server: $schema=x", ("schema",)),
    ],
)
def test_a_variable_is_what_the_program_looks_up(text: str, expected: tuple[str, ...]) -> None:
    assert tuple(variable.name for variable in variables(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${A:-1}", (Variable("A", has_default=True),)),
        ("${A:-}", (Variable("A", has_default=True),)),
        ("${A:-b:-c}", (Variable("A", has_default=True),)),
        ("${:-1}", (Variable(":-1"),)),
        ("${A:-1} $A", (Variable("A", has_default=True), Variable("A"))),
    ],
)
def test_a_default_makes_a_variable_optional(text: str, expected: tuple[Variable, ...]) -> None:
    assert variables(text) == expected


@pytest.mark.parametrize(
    ("text", "given", "expected"),
    [
        ("$B ${A}", {}, {"A": "dummy", "B": "dummy"}),
        ("$B ${A}", {"A": "10s", "UNUSED": "1"}, {"A": "10s", "B": "dummy"}),
        ("port: ${PORT:-8787}", {}, {}),
        ("port: ${PORT:-8787}", {"PORT": "1"}, {"PORT": "1"}),
        ("port: ${PORT:-8787} $PORT", {}, {"PORT": "dummy"}),
        ("# $5, ${A-d}, $é", {}, {}),
        ("# $5", {"5": "five"}, {"5": "five"}),
    ],
)
def test_only_what_a_deployment_can_set_gets_a_dummy(
    text: str, given: dict[str, str], expected: dict[str, str]
) -> None:
    assert dummies(text, given) == expected


@pytest.mark.parametrize("piece", ["${", "$", "${A", "${A:-", "}${", "$A${"])
def test_a_hostile_text_takes_no_time(piece: str) -> None:
    began = time.perf_counter()
    variables(piece * (1_000_000 // len(piece)))

    assert time.perf_counter() - began < 20
