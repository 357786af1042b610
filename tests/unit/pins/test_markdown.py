from __future__ import annotations

import subprocess
import sys

import pytest

from bot.core.model import MarkdownSite
from bot.core.pins.markdown import locate
from bot.core.pins.tables import plain
from bot.errors import PinError
from tests.unit.pins.found import held_in, refused

A = "sha256:" + "a" * 64
B = "sha256:" + "b" * 64
BEGIN, END = "<!-- pin -->", "<!-- /pin -->"
MARKERS = MarkdownSite("README.md", BEGIN, END)
ROW = MarkdownSite("README.md", row="gateway_image")
CELL = MarkdownSite("README.md", row="gateway_image", column="Default")
TABLE = f"""\
# Inputs

| Name | Description | Default |
|------|-------------|:-------:|
| <a name="input_other"></a> [other](#input\\_other) | from 0.9.0 | `"ghcr.io/a/b:v9.9.9"` |
| <a name="input_gateway_image"></a> [gateway\\_image](#input\\_gateway\\_image) | since 1.0.0 | `"ghcr.io/a/b@{A}"` |
"""


def texts(content: str, site: MarkdownSite) -> list[tuple[int, str, str]]:
    found = held_in("README.md", content, lambda source: locate(source, site))
    return [(value.line, value.field, value.text) for value in found]


def refusal(content: str, site: MarkdownSite) -> PinError:
    return refused(lambda: texts(content, site))


def marked(text: str) -> str:
    return f"# é, not v0.0.1\n{BEGIN}\n{text}\n{END}\nnot 0.0.2\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("We run v1.4.1.", [("ref", "v1.4.1")]),
        ("We run 1.4.1, pinned.", [("version", "1.4.1")]),
        ("**v1.4.1** (1.4.1)", [("ref", "v1.4.1"), ("version", "1.4.1")]),
        ("_v1.4.1-rc.1_", [("ref", "v1.4.1-rc.1")]),
        ('"`1.4.1`"', [("version", "1.4.1")]),
        (f"`{A}`", [("image", A)]),
        (f"ghcr.io/a/b:v1.4.1 and {A}", [("image", "ghcr.io/a/b:v1.4.1"), ("image", A)]),
        (f"ghcr.io/a/b:v1.4.1@{A}.", [("image", f"ghcr.io/a/b:v1.4.1@{A}")]),
        ("See ghcr.io/a/b:v1.4.1.", [("image", "ghcr.io/a/b:v1.4.1")]),
        (f"<b>localhost:5000/x@{A}</b>", [("image", f"localhost:5000/x@{A}")]),
        ("```bash\ndocker pull ghcr.io/a/b:v1.4.1\n```", [("image", "ghcr.io/a/b:v1.4.1")]),
        ("[v1.4.1](https://x.example/tag/v1.4.1)", [("ref", "v1.4.1"), ("ref", "v1.4.1")]),
        ("<!--v1.4.1-->", [("ref", "v1.4.1")]),
        ("<!--ghcr.io/a/b:v1.4.1-->", [("image", "ghcr.io/a/b:v1.4.1")]),
        ("[notes](https://x.example/tag/v1.4.1)", [("ref", "v1.4.1")]),
        ("10.0.0.1, x-v1.0.0, v1.0.0.tar.gz, 1.4.1+x, v1.2, sha256:abc, é 1.4.1", [("version", "1.4.1")]),
        (f"b@{A}", [("image", A)]),
    ],
)
def test_what_reads_as_part_of_a_pin_is_found_between_markers(text: str, found: list[tuple[str, str]]) -> None:
    assert found == [(field, value) for _, field, value in texts(marked(text), MARKERS)]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("nothing", "no image reference"),
        ("v1.4", "no image reference"),
        ("v1.4.1\nv1.4.0", "which ref is the pin's? v1.4.1 in line 3, v1.4.0 in line 4"),
        ("v1.4.1\nv1.4.1", "which ref"),
        ("1.4.1\n1.4.0", "which version"),
        (f"{A}\n{B}", "which digest"),
        (f"ghcr.io/a/b@{A}\nghcr.io/a/c@{A}", "which reference"),
        ("[v1.4.1](https://x.example/tag/v1.4.0)", "which ref"),
    ],
)
def test_a_place_that_does_not_hold_one_pin_is_refused(text: str, what: str) -> None:
    error = refusal(marked(text), MARKERS)
    expected = (True, True)

    assert expected == (what in error.what, "`row` and `column`" in error.next_step)


@pytest.mark.parametrize(
    ("content", "where", "what"),
    [
        ("v1.4.1\n", "README.md:1", "is missing"),
        (f"{BEGIN}\nv1.4.1\n", "README.md:1", "is missing"),
        (f"{BEGIN}\nv1.4.1\n{BEGIN}{END}\n", "README.md:3", "more than once, in lines 1, 3"),
        (f"{END}\nv1.4.1\n{BEGIN}\n", "README.md:1", "stands before"),
    ],
)
def test_markers_that_do_not_stand_once_and_in_order_are_refused(content: str, where: str, what: str) -> None:
    error = refusal(content, MARKERS)

    assert (where, True) == (error.where, what in error.what)


@pytest.mark.parametrize("content", [TABLE, TABLE.replace("\n", "\r\n"), "\ufeff" + TABLE.rstrip()])
def test_a_cell_is_found_by_its_row_and_column(content: str) -> None:
    assert [(6, "image", f"ghcr.io/a/b@{A}")] == texts(content, CELL)


def test_a_row_without_a_column_is_searched_in_all_other_cells() -> None:
    assert [(6, "version", "1.0.0"), (6, "image", f"ghcr.io/a/b@{A}")] == texts(TABLE, ROW)


def test_the_cell_that_names_the_row_is_not_the_pin() -> None:
    content = "| app | now |\n|---|---|\n| 1.0.0 | 1.4.1 |\n"
    expected = [(3, "version", "1.4.1")]

    assert expected == texts(content, MarkdownSite("README.md", row="1.0.0"))


def test_markers_choose_between_tables_with_the_same_row() -> None:
    site = MarkdownSite("README.md", BEGIN, END, "gateway_image", "Default")

    assert [(15, "image", f"ghcr.io/a/b@{A}")] == texts(f"{TABLE}\n{BEGIN}\n\n{TABLE}\n{END}\n", site)


def test_a_table_may_stand_in_a_list_or_a_quote() -> None:
    quoted = "".join(f"> {line}\n" for line in TABLE.splitlines())
    listed = "- x\n\n" + "".join(f"  {line}\n" for line in TABLE.splitlines())

    assert [texts(quoted, CELL)[0][2]] * 2 == [f"ghcr.io/a/b@{A}", texts(listed, CELL)[0][2]]


@pytest.mark.parametrize(
    ("content", "site", "where", "what"),
    [
        (TABLE + "\n" + TABLE, CELL, "README.md:13", "more than once, in lines 6, 13"),
        (TABLE, MarkdownSite("README.md", row="nothing"), "README.md:1", "is missing"),
        (f"```\n{TABLE}```\n", CELL, "README.md:1", "is missing"),
        (TABLE, MarkdownSite("README.md", row="gateway_image", column="default"), "README.md:3", "'Default'"),
        (TABLE.replace("Description", "Default"), CELL, "README.md:3", "2 columns"),
        (TABLE + "|| v1 |\n", CELL, "README.md:7", "does not read as Markdown"),
        ("| a | b |\n|---|---|\n| x |\n", MarkdownSite("README.md", row="x", column="b"), "README.md:3", "no cell"),
        ("| a | b |\n|---|---|\n| x | |\n", MarkdownSite("README.md", row="x"), "README.md:3", "no image reference"),
    ],
)
def test_a_row_or_column_that_is_not_there_once_is_refused(
    content: str, site: MarkdownSite, where: str, what: str
) -> None:
    error = refusal(content, site)

    assert (where, True) == (error.where, what in error.what)


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ('<a name="input_gateway_image"></a> [gateway\\_image](#input\\_gateway\\_image) ', "gateway_image"),
        ("**`gateway_image`**", "gateway_image"),
        ("__gateway_image__", "gateway_image"),
        ("*a* ~~b~~ _c_ d_e", "a b c d_e"),
        ("[`x`][1]", "x"),
        ("![logo](x.png) app", "logo app"),
        ("\\*a\\*", "*a*"),
        ("`a\\|b *c*`", "a|b *c*"),
        ("a &amp; b", "a & b"),
    ],
)
def test_a_cell_reads_as_a_reader_sees_it(markdown: str, text: str) -> None:
    assert text == plain(markdown)


def test_markers_alone_do_not_load_the_grammar() -> None:
    script = (
        "import sys; from bot.core.model import *; from bot.core.pins.markdown import locate; "
        "locate(SourceFile('x', b'<b>v1.4.1<e>'), MarkdownSite('x', '<b>', '<e>')); "
        "print([name for name in sys.modules if name.startswith('tree_sitter')])"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True)
    expected = ("[]\n", "")

    assert expected == (done.stdout, done.stderr)
