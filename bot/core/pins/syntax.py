"""Syntax trees of the formats that have a grammar. The grammars are loaded by the rooms that need them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from bot.core.model import SourceFile
from bot.core.pins.text import fault, text_of

if TYPE_CHECKING:
    from tree_sitter import Node

_LONE_CARRIAGE_RETURN = re.compile(rb"\r(?!\n)")
_SLOW = re.compile(rb"[ \t\r\n]{1000}|<{100}")
"""The grammars' scanners look ahead over these runs again and again: their time grows with the square."""


def parse(source: SourceFile, language: Callable[[], object]) -> Node:
    """The root of the syntax tree of a text; it may hold errors. Offsets in it are those of the file's bytes."""
    from tree_sitter import Language, Parser  # noqa: PLC0415 - not needed by a repository of dotenv pins

    return Parser(Language(language())).parse(source.data).root_node


def parse_without_error(source: SourceFile, language: Callable[[], object], name: str) -> Node:
    """The root of a tree without errors. Raises PinError where the file is no text, or has a syntax error."""
    text_of(source)
    if run := _SLOW.search(source.data):
        raise fault(source, run.start(), "1000 white-space characters or 100 '<' in a row", "remove them")
    if stray := _LONE_CARRIAGE_RETURN.search(source.data):
        # Its own tool would read on where the grammar sees a new line: a comment could become a pin.
        raise fault(source, stray.start(), "a carriage return without a line feed", "end lines with LF or CRLF")
    root = parse(source, language)
    if root.has_error:
        raise fault(
            source,
            first_error(root),
            f"this does not read as {name}",
            "correct the syntax; if it is correct, hold this pin with a `pattern` site instead",
        )
    return root


def first_error(root: Node) -> int:
    """The byte offset of the first node that the grammar could not make sense of."""
    node = root
    while not (node.is_error or node.is_missing):
        inner = next((child for child in node.children if child.has_error or child.is_missing), None)
        if inner is None:
            break
        node = inner
    return node.start_byte
