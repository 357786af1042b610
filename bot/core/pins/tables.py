"""The tables of a Markdown file, with what a reader sees in each cell."""

from __future__ import annotations

import html
import re
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from bot.core.model import SourceFile
from bot.core.pins.syntax import first_error, parse
from bot.core.pins.text import text_of

if TYPE_CHECKING:
    from tree_sitter import Node

_LITERAL = re.compile(r"(?P<ticks>`+)(?P<code>.+?)(?P=ticks)|\\(?P<escaped>[!-/:-@\[-`{-~])")
_TAG = re.compile(r"<[^<>]*>")
_LINK = re.compile(r"!?\[(?P<text>[^\[\]]*)\](?:\([^()]*\)|\[[^\[\]]*\])?")
_EMPHASIS = re.compile(r"\*+|~~|(?<![^\W_])_+|_+(?![^\W_])")
_LONGEST_NAME = 1000
_SHIELD = 0xF0000
"""Literal characters are moved to a private plane of Unicode while the markup around them is removed."""


class Cell(msgspec.Struct, frozen=True):
    """A cell between two byte offsets; `text` is its plain text."""

    start: int
    end: int
    text: str


class Row(msgspec.Struct, frozen=True):
    """A row between two byte offsets."""

    start: int
    end: int
    cells: tuple[Cell, ...]


class Table(msgspec.Struct, frozen=True):
    """A table; `error` is the byte offset of what does not read as a table's row, if anything does not."""

    header: Row
    rows: tuple[Row, ...]
    error: int | None


@lru_cache(maxsize=4)  # one file may hold the pins of many images
def tables(source: SourceFile) -> tuple[Table, ...]:
    """All tables of the file, in order. Raises PinError where the file is no text."""
    from tree_sitter_markdown import language  # noqa: PLC0415 - loaded only where a table holds a pin

    text_of(source)
    found = []
    waiting = [parse(source, language)]
    while waiting:
        node = waiting.pop()
        if node.type == "pipe_table":
            found.append(_table(source, node))
        else:
            waiting.extend(reversed(node.children))
    return tuple(found)


def _table(source: SourceFile, node: Node) -> Table:
    header = next(child for child in node.children if child.type == "pipe_table_header")
    return Table(
        _row(source, header),
        tuple(_row(source, child) for child in node.children if child.type == "pipe_table_row"),
        first_error(node) if node.has_error else None,
    )


def _row(source: SourceFile, node: Node) -> Row:
    cells = (child for child in node.children if child.type == "pipe_table_cell")
    return Row(
        node.start_byte,
        node.end_byte,
        tuple(
            Cell(cell.start_byte, cell.end_byte, plain(source.data[cell.start_byte : cell.end_byte].decode()))
            for cell in cells
        ),
    )


def plain(markdown: str) -> str:
    r"""What a reader sees of a cell: no tags, link targets, emphasis, backticks or escapes.

    `<a name="input_x"></a> [gateway\_image](#input\_x)` is `gateway_image`. A cell too long to be a name is left
    as it is, so that reading a table takes time in proportion to its length.
    """
    if len(markdown) > _LONGEST_NAME:
        return markdown
    text = _LITERAL.sub(_shielded, markdown)
    text = _LINK.sub(lambda link: link["text"], _TAG.sub("", text))
    text = html.unescape(_EMPHASIS.sub("", text))
    return "".join(chr(ord(c) - _SHIELD) if ord(c) >= _SHIELD else c for c in text).strip()


def _shielded(literal: re.Match[str]) -> str:
    text = literal["escaped"] or literal["code"].replace("\\|", "|")
    return "".join(chr(ord(c) + _SHIELD) if c.isascii() and not c.isalnum() else c for c in text)
