"""Where the statements of a TOML text stand, so that a few bytes change and all others stay.

tomllib reads every piece: what looks like a header within a string, or a bracket within a comment, misleads nobody.
Offsets are characters of the text. Pure.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date

import msgspec

Change = tuple[int, int, str]
"""What stands from one offset to another becomes this text."""

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}
_LAST_OF_FOUR = 0xFFFF
_CLOSING = re.compile(r"\"\"\"|'''|[\]}]")


class Statement(msgspec.Struct, frozen=True):
    """A header, or a key with its value: whole lines, with the comment behind it and the end of its last line."""

    start: int
    text: str
    table: Mapping[str, object]
    """What it says, read alone."""

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    @property
    def indent(self) -> str:
        return self.text[: len(self.text) - len(self.text.lstrip(" \t"))]

    @property
    def header(self) -> tuple[str, ...]:
        """The keys between the brackets; none where it is no header."""
        if not self.text.lstrip(" \t").startswith("["):
            return ()
        keys, within = [], self.table
        while within:
            ((key, value),) = within.items()
            keys.append(key)
            value = value[0] if isinstance(value, list) else value
            within = value if isinstance(value, dict) else {}
        return tuple(keys)

    @property
    def begins_entry(self) -> bool:
        """Whether it is a header in double brackets: one more entry of a list of tables."""
        return self.text.lstrip(" \t").startswith("[[")

    @property
    def value(self) -> tuple[int, int]:
        """Where the value of a key stands."""
        equals = next(at for at in _places("=", self.text) if read(f"{self.text[:at]}= 0") is not None)
        begin = equals + 1 + len(self.text[equals + 1 :]) - len(self.text[equals + 1 :].lstrip())
        ends = (self.text[begin:at].rstrip() for at in (*_places("#", self.text, begin), len(self.text)))
        written = next(value for value in ends if read(f"value = {value}") is not None)
        return self.start + begin, self.start + begin + len(written)


class Part(msgspec.Struct, frozen=True):
    """A header with the keys below it."""

    header: Statement
    keys: tuple[Statement, ...]

    @property
    def end(self) -> int:
        """Behind its last line that is neither blank nor a comment."""
        return self.keys[-1].end if self.keys else self.header.end

    @property
    def indent(self) -> str:
        """That of its keys."""
        return self.keys[0].indent if self.keys else self.header.indent


class Element(msgspec.Struct, frozen=True):
    """An inline table in an array: from its first brace to behind its last, and the comma behind it if there is one."""

    start: int
    end: int
    comma: int | None = None


def read(text: str) -> dict[str, object] | None:
    """What a TOML text says; None where it is none."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        return None


def statements(text: str) -> Iterator[Statement]:
    """The statements of a valid text, in order; blank lines and comments are none."""
    start = 0
    for line in _LINE.finditer(text):
        if start < line.start() and _CLOSING.search(line[0]) is None:
            continue  # a value that goes on over several lines ends in one of these
        table = read(text[start : line.end()])
        if table is None:
            continue
        if table:
            yield Statement(start, text[start : line.end()], table)
        start = line.end()


def parts(text: str) -> Iterator[Part]:
    """The headers of a valid text, each with its keys; keys above the first header are left out."""
    header: Statement | None = None
    keys: list[Statement] = []
    for statement in statements(text):
        if not statement.header:
            keys.append(statement)
            continue
        if header is not None:
            yield Part(header, tuple(keys))
        header, keys = statement, []
    if header is not None:
        yield Part(header, tuple(keys))


def elements(text: str, start: int) -> tuple[list[Element], int]:
    """The inline tables of the valid array that begins at `start`, and where its last bracket stands."""
    found: list[Element] = []
    at = start + 1
    while text[at] != "]":
        if text[at] == "#":
            at = text.index("\n", at)
        elif text[at] == "{":
            end = next(end for end in _places("}", text, at) if read(f"value = {text[at : end + 1]}") is not None)
            found.append(Element(at, end + 1))
            at = end
        elif text[at] == ",":
            found[-1] = msgspec.structs.replace(found[-1], comma=at)
        at += 1
    return found, at


def changed(text: str, changes: Iterable[Change]) -> str:
    """The text with changes that do not overlap."""
    pieces, at = [], 0
    for start, end, new in sorted(changes):
        pieces += [text[at:start], new]
        at = end
    return "".join((*pieces, text[at:]))


def into_array(text: str, start: int, new: str) -> list[Change]:
    """What adds an inline table to the array of them at `start`, on a line of its own where the others have one."""
    found, closing = elements(text, start)
    margin = text[line_start(text, closing) : closing]
    has_lines = not margin.strip() and line_start(text, closing) > start
    if not found:
        if has_lines:
            return [added(text, line_start(text, closing), [f"{margin}  {new},"])]
        return [(closing, closing, new)]
    last = found[-1]
    behind = last.end if last.comma is None else last.comma + 1
    indent = text[line_start(text, last.start) : last.start]
    if not has_lines or indent.strip():
        return [(behind, behind, f", {new}" if last.comma is None else f" {new},")]
    below = text.index("\n", behind) + 1
    if last.comma is None:
        return [(last.end, last.end, ","), added(text, below, [f"{indent}{new}"])]
    return [added(text, below, [f"{indent}{new},"])]


def out_of_array(text: str, start: int, gone: Sequence[int]) -> list[Change]:
    """What takes the inline tables with these numbers out of an array, each with the comment behind it on its line."""
    found, _ = elements(text, start)
    changes = [change for number in gone for change in _taken(text, found, number, gone)]
    kept = [number for number in range(len(found)) if number not in gone]
    if kept and found[-1].comma is None and (comma := found[kept[-1]].comma) is not None:
        changes.append((comma, comma + 1, ""))
    return changes


def _taken(text: str, found: Sequence[Element], number: int, gone: Sequence[int]) -> list[Change]:
    element = found[number]
    start, end = element.start, element.end if element.comma is None else element.comma + 1
    if text[element.end : end].strip(" \t,"):  # a comment stands before the comma
        return [(start, element.end, ""), (end - 1, end, "")]
    line, below = line_start(text, start), text.find("\n", end) + 1
    rest = text[end:below].strip()
    if not text[line:start].strip() and below and (not rest or rest.startswith("#")):
        return [(line, below, "")]
    if any(earlier not in gone for earlier in range(number)):
        return [(len(text[:start].rstrip(" \t")), end, "")]
    if number < len(found) - 1:
        end = len(text) - len(text[end:].lstrip(" \t"))
    return [(start, end, "")]


def spelled(value: object) -> str:
    """A value as TOML 1.0 has it: a local date, or a basic string in which nothing is invisible."""
    return value.isoformat() if isinstance(value, date) else f'"{"".join(map(_escaped, str(value)))}"'


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    return f"\\u{ord(char):04x}" if ord(char) <= _LAST_OF_FOUR else f"\\U{ord(char):08x}"


def line_end(text: str, at: int) -> str:
    """How the line before `at` ends; where it does not, as the text's lines do."""
    if text[:at].endswith("\n"):
        return "\r\n" if text[:at].endswith("\r\n") else "\n"
    return "\r\n" if "\r\n" in text else "\n"


def added(text: str, at: int, lines: Sequence[str]) -> Change:
    """Lines between two others, or at the end of a text that may lack its last line end, and then still does."""
    end = line_end(text, at)
    body = end.join(lines)
    return (at, at, f"{body}{end}" if text[:at].endswith("\n") else f"{end}{body}")


def removed(text: str, start: int, end: int) -> Change:
    """No line between these offsets; a text that lacks its last line end still does."""
    if end == len(text) and not text.endswith("\n") and start:
        start -= len(line_end(text, start))
    return (start, end, "")


def line_start(text: str, at: int) -> int:
    """Where the line begins in which an offset stands."""
    return text.rfind("\n", 0, at) + 1


def _places(char: str, text: str, start: int = 0) -> Iterator[int]:
    at = text.find(char, start)
    while at >= 0:
        yield at
        at = text.find(char, at + 1)
