from __future__ import annotations

import tomllib

import pytest

from bot.core.toml_text import added, changed, elements, into_array, line_end, out_of_array, parts, removed, spelled
from bot.core.toml_text import statements as statements_of


def test_what_looks_like_a_header_within_a_string_is_none() -> None:
    text = (
        '[[image]] # [[release]]\na = """\n[[image]]\nb = 1\n"""\nc = [\n  "[x]", # ]\n]\n[x]\nd = \'\'\'\n[y]\'\'\'\n'
    )

    actual = [(part.header.header, [dict(key.table) for key in part.keys]) for part in parts(text)]

    assert actual == [
        (("image",), [{"a": "[[image]]\nb = 1\n"}, {"c": ["[x]"]}]),
        (("x",), [{"d": "[y]"}]),
    ]


@pytest.mark.parametrize(
    ("header", "keys", "entry"),
    [
        ("[[image]]", ("image",), True),
        ('[["image"."hold"]]', ("image", "hold"), True),
        ("  [ image . policy ]  # x", ("image", "policy"), False),
        ("a = [[1]]", (), False),
    ],
)
def test_a_header_is_its_keys_however_it_is_written(header: str, keys: tuple[str, ...], *, entry: bool) -> None:
    (statement,) = statements_of(header)

    assert (keys, entry) == (statement.header, statement.begins_entry)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ('a = "x" # y', '"x"'),
        ('"a=b" = "#" # "', '"#"'),
        ("a=1\r\n", "1"),
        ("a = '''\n# no\n''' # yes\n", "'''\n# no\n'''"),
        ("a = [ # one\n1 ] # two", "[ # one\n1 ]"),
    ],
)
def test_a_value_stands_without_the_comment_behind_it(line: str, value: str) -> None:
    (statement,) = statements_of(line)

    assert value == line[slice(*statement.value)]


def test_an_array_of_inline_tables_is_read_to_its_own_bracket() -> None:
    text = 'hold = [ # ]\n  { a = "}]" }, # {\n  { b = "x" } ] # ]'

    found, closing = elements(text, 7)

    assert [text[each.start : each.end] for each in found] == ['{ a = "}]" }', '{ b = "x" }']
    assert [each.comma for each in found] == [text.index("},") + 1, None]
    assert text[closing:] == "] # ]"


ARRAYS = [
    ("[]", "[N]"),
    ("[ ]", "[ N]"),
    ("[{a=1}]", "[{a=1}, N]"),
    ("[{a=1},]", "[{a=1}, N,]"),
    ("[ {a=1}, {b=2} ]", "[ {a=1}, {b=2}, N ]"),
    ("[\n  {a=1},\n]", "[\n  {a=1},\n  N,\n]"),
    ("[\n\t{a=1} # one\n\t# two\n]", "[\n\t{a=1}, # one\n\tN\n\t# two\n]"),
    ("[\n  {a=1}, {b=2},\n]", "[\n  {a=1}, {b=2}, N,\n]"),
    ("[\n]", "[\n  N,\n]"),
    ("[ # none\n  ]", "[ # none\n    N,\n  ]"),
    ("[\r\n  {a=1}\r\n]", "[\r\n  {a=1},\r\n  N\r\n]"),
    ("[{a=1},\n {b=2}]", "[{a=1},\n {b=2}, N]"),
    ("[{a=1} # c\n, # d\n]", "[{a=1} # c\n, N, # d\n]"),
]


@pytest.mark.parametrize(("array", "expected"), ARRAYS)
def test_an_element_joins_an_array_as_the_others_stand_there(array: str, expected: str) -> None:
    actual = changed(f"x = {array}\n", into_array(f"x = {array}\n", 4, "{n=0}"))

    assert tomllib.loads(actual)["x"][-1] == {"n": 0}
    assert f"x = {expected.replace('N', '{n=0}')}\n" == actual


@pytest.mark.parametrize("array", [array for array, _ in ARRAYS])
def test_an_element_that_joined_and_leaves_leaves_no_trace(array: str) -> None:
    text = f"x = {array}\n"
    longer = changed(text, into_array(text, 4, "{n=0}"))

    actual = changed(longer, out_of_array(longer, 4, [len(tomllib.loads(text)["x"])]))

    assert text == actual


@pytest.mark.parametrize(
    ("array", "gone", "expected"),
    [
        ("[{a=1}, {b=2}, {c=3}]", [0], "[{b=2}, {c=3}]"),
        ("[{a=1}, {b=2}, {c=3}]", [1], "[{a=1}, {c=3}]"),
        ("[{a=1}, {b=2}, {c=3}]", [0, 1], "[{c=3}]"),
        ("[{a=1}, {b=2}, {c=3}]", [1, 2], "[{a=1}]"),
        ("[{a=1}, {b=2}, {c=3}]", [0, 2], "[{b=2}]"),
        ("[{a=1}, {b=2}, {c=3}]", [0, 1, 2], "[]"),
        ("[\n  # one\n  {a=1}, # its own\n  # two\n  {b=2},\n]", [0], "[\n  # one\n  # two\n  {b=2},\n]"),
        ("[{a=1} # c\n, {b=2}]", [0], "[ # c\n {b=2}]"),
    ],
)
def test_elements_leave_an_array_and_the_comments_around_them_stay(array: str, gone: list[int], expected: str) -> None:
    actual = changed(f"x = {array}", out_of_array(f"x = {array}", 4, gone))

    assert len(tomllib.loads(actual)["x"]) == len(tomllib.loads(f"x = {array}")["x"]) - len(gone)
    assert f"x = {expected}" == actual


def test_lines_end_as_the_others_do_and_the_last_as_it_did() -> None:
    assert line_end("a\r\nb\n", 3) == "\r\n"
    assert line_end("a\r\nb\n", 5) == "\n"
    assert changed("a", [added("a", 1, ["b", "c"])]) == "a\nb\nc"
    assert changed("a\r\nb", [added("a\r\nb", 4, ["c"])]) == "a\r\nb\r\nc"
    assert changed("a\nb", [removed("a\nb", 2, 3)]) == "a"


@pytest.mark.parametrize(
    "text", ['say "no"', "a\\u0041\\", "one\ntwo\r\n\ttab", "\x00\x1f\x7f\x85", "größer 🚀", "a\u202eb\u200b\U000e0041"]
)
def test_any_text_is_a_basic_string_in_which_nothing_is_invisible(text: str) -> None:
    actual = spelled(text)

    assert actual.isprintable()
    assert tomllib.loads(f"x = {actual}") == {"x": text}
