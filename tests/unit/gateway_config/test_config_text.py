from __future__ import annotations

import pytest

from bot.core.gateway_config.config_text import MAX_CHARS, MAX_DEPTH, MAX_VALUES, parse_config
from bot.core.gateway_config.values import Json

SECRET = "sk-0123456789"  # noqa: S105 - stands for one


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[(text, text) for text in ("yes", "no", "on", "y", "<<", "=", "2026-01-01", "1_000", "190:20:30", "1.2.3")],
        *[(text, text) for text in ("010", "08", "+01", "0x", "0o8", "0B1", "tRUE", "inf", "1e400", "1e", ".", "0x-1")],
        *[(text, None) for text in ("", "~", "null", "Null", "NULL")],
        *[(text, True) for text in ("true", "True", "TRUE")],
        *[("0", 0), ("-0", 0), ("+1", 1), ("0o17", 15), ("0x1F", 31), ("-0b11", -3), ("18446744073709551616", 2**64)],
        *[(".5", 0.5), ("1.", 1.0), ("1e3", 1000.0), ("-1.e5", -1e5), ("01.5", 1.5), (f"1{'0' * 44}", 1e44)],
        *[("'1'", "1"), ('"true"', "true"), ('"x\\/\\u0041"', "x/A"), ("b\tc", "b\tc"), ("b#c", "b#c"), ("x:y", "x:y")],
        *[("!!str 1", "1"), ("!!int '1'", 1), ("!!float 1", 1.0), ("!!null ~", None), ("!!seq [1]", [1])],
        ("|\n    x\n    y\n", "x\ny\n"),
        (">-\n    x\n    y\n", "x y"),
        ("[1, {b: c}, ]", [1, {"b": "c"}]),
    ],
)
def test_a_value_is_read_as_the_program_reads_it(text: str, value: Json) -> None:
    actual = parse_config(f"a: {text}")

    assert actual == {"a": value}
    assert type(actual["a"]) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("%YAML 1.1\n---\na: yes\n...\n", {"a": "yes"}),
        ("<<: {b: 1}\na: 2", {"<<": {"b": 1}, "a": 2}),
        ("x: &x {b: 1}\ny: {<<: *x, c: *x}", {"x": {"b": 1}, "y": {"<<": {"b": 1}, "c": {"b": 1}}}),
        ("yes: 1\n'1': 2\n!!str 3: 4", {"yes": 1, "1": 2, "3": 4}),
        ("\ufeffa: 1\r\nb: 2\r\n", {"a": 1, "b": 2}),
        ("- a\n- b", ["a", "b"]),
        ("{}", {}),
    ],
)
def test_a_document_is_read_as_the_program_reads_it(text: str, value: Json) -> None:
    actual = parse_config(text)

    assert value == actual


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it is empty"),
        ("# nothing\n", "it is empty"),
        ("a: 1\n---\nb: 2", "line 2: a second document begins"),
        ("a: 1\nb: 2\na: 3", "line 3: a key appears twice"),
        ("&a a: 1\n*a : 2", "line 2: a key appears twice"),
        *[
            (f"a: 1\n{key}: 2", "line 2: a key is no text; write it in quotes")
            for key in ("1", "true", "null", "1.5", "[a]")
        ],
        *[
            (f"a: {text}", "line 1: infinity and NaN are no JSON")
            for text in (".inf", "-.INF", "+.Inf", ".nan", ".NaN")
        ],
        *[(f"a: {tag} x", "line 1: a tag is not of YAML's core schema") for tag in ("!x", "!", "!!int", "!!binary")],
        ("a: !!set {b}", "line 1: a tag is not of YAML's core schema"),
        ("a: *b", "line 1: an alias has no anchor"),
        ("a: &x [*x]", "line 1: an alias has no anchor, or stands inside its own"),
        (f"a: {SECRET}\nb: [{SECRET}}}", "line 2: it is no YAML: did not find expected ',' or ']'"),
        (f"a: {SECRET}: b", "line 1: it is no YAML: mapping values are not allowed"),
        ("a: \x07", "a character that YAML does not allow"),
        ("a: \ud800", "a character that YAML does not allow"),
    ],
)
def test_what_may_mean_two_things_is_refused_with_its_line(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        parse_config(text)

    assert why in str(refused.value)
    assert SECRET not in str(refused.value)


def _bomb() -> str:
    lines = ["a0: &a0 [x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 30)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (_bomb(), f"more than {MAX_VALUES} values, with aliases written out"),
        (f"a: [{'1,' * MAX_VALUES}]", f"more than {MAX_VALUES} values"),
        ("[" * 300_000, f"nested more than {MAX_DEPTH} deep"),
        ("- " * 300_000, f"nested more than {MAX_DEPTH} deep"),
        ("? " * 300_000, f"nested more than {MAX_DEPTH} deep"),
        (f"a: &a {'[' * 40}{']' * 40}\nb: {'[' * 40}*a{']' * 40}", f"line 2: it is nested more than {MAX_DEPTH} deep"),
        ("a" * (MAX_CHARS + 1), f"longer than {MAX_CHARS} characters"),
    ],
)
def test_a_config_that_is_absurdly_large_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_config(text)


def test_a_number_that_would_take_long_to_read_is_a_text() -> None:
    digits = "1" * 100_000

    assert parse_config(f"a: {digits}") == {"a": digits}
