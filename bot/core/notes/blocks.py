"""Markdown, parsed -> blocks of Markdown that we wrote."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from markdown_it import MarkdownIt
from markdown_it.token import Token  # noqa: TC002 - the package is loaded by the line above

from bot.core.notes.inline import code_text, inline, longest_backticks, words
from bot.core.text import visible

LONGEST = 60_000
"""Characters of one text that are looked at: more than a pull request can hold."""

_STRUCTURE = 8_000
_LINES = 3_000
_BRACKETS = 1_500
_CELLS = 20_000
"""Bounds on what a parser has work with; a long changelog that people wrote stays far below them."""

_STRUCTURAL = re.compile(r"[\\`*_~\[\]!<>&|]")
_LANGUAGE = re.compile(r"[^A-Za-z0-9_+-]+")
_DRAWN = frozenset({"geojson", "math", "mermaid", "stl", "suggestion", "topojson"})
"""Languages that GitHub draws, or offers to apply."""

_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_TAG = re.compile(r"</?[A-Za-z][^<>]*>|<[!?][^<>]*>")
_RULE = "***"
_RULERS = {"text-align:left": ":---", "text-align:center": ":---:", "text-align:right": "---:"}


@dataclass(frozen=True, slots=True)
class Block:
    """A block of Markdown that can end after any of its parts."""

    parts: tuple[str, ...]
    joint: str = "\n"
    opening: str = ""
    closing: str = ""
    source: str = ""
    """The lines it was written in, where it is a block of the text and not of another block."""

    @property
    def text(self) -> str:
        return self.opening + self.joint.join(self.parts) + self.closing

    def shortened(self, room: int) -> str:
        """As many of the first parts as fit `room` characters, complete as Markdown; empty if none fits."""
        room -= len(self.opening) + len(self.closing) - len(self.joint)
        count = 0
        for part in self.parts:
            room -= len(part) + len(self.joint)
            if room < 0:
                break
            count += 1
        return replace(self, parts=self.parts[:count]).text if count else ""


class _Parser(MarkdownIt):
    """Leaves link targets as they were written; `safe_url` judges them all."""

    def normalizeLink(self, url: str) -> str:  # noqa: N802 - markdown-it's name
        return url

    def normalizeLinkText(self, link: str) -> str:  # noqa: N802 - markdown-it's name
        return link

    def validateLink(self, url: str) -> bool:  # noqa: ARG002, N802 - markdown-it's name
        return True


_PARSER = _Parser("commonmark", {"html": True}).enable(["table", "strikethrough"])


def inert(markdown: str) -> str:
    """`markdown` as Markdown in which nothing acts: no mention, reference, HTML, image, or link but to https.

    Only its first 60,000 characters are read; a cut is said. Text that is a storm of special characters, and
    would take long to parse, comes back in a code block. Never raises.
    """
    text = "\n\n".join(block.text for block in blocks(markdown[:LONGEST]))
    return f"{text}\n\n(shortened)" if len(markdown) > LONGEST else text


def blocks(markdown: str) -> list[Block]:
    """The blocks of a text, in order; those without words are left out."""
    text = visible(markdown)
    if _is_storm(text):
        return [replace(_code(text, ""), source=text)]
    lines = text.split("\n")
    return [
        replace(block, source="\n".join(lines[first:last])) for block, (first, last) in _blocks(_PARSER.parse(text))
    ]


def verbatim(text: str, room: int) -> str:
    """The start of `text` in a code block of at most `room` characters; empty if there is no room for words."""
    fence = len(_code(text, "").opening) - 1
    cut = code_text(text)[: max(0, room - 2 * (fence + 1))].strip("\n")
    return _code(cut, "").text if cut.strip() else ""


def _is_storm(text: str) -> bool:
    lines = text.split("\n")
    if len(lines) > _LINES or text.count("[") > _BRACKETS or len(_STRUCTURAL.findall(text)) > _STRUCTURE:
        return True
    # a row of `|---|---|` makes as many cells in every line that follows, even in short ones
    columns = max(1 + line.count("|", len(line.rstrip("-|: "))) for line in lines)
    return columns * len(lines) > _CELLS


def _blocks(tokens: Sequence[Token]) -> list[tuple[Block, tuple[int, int]]]:
    found: list[tuple[Block, tuple[int, int]]] = []
    index = 0
    while index < len(tokens):
        token, end = tokens[index], _end(tokens, index)
        block = _block(token, tokens[index + 1 : end])
        if block.parts:
            first, last = token.map or (0, 0)
            found.append((block, (first, last)))
        index = end + 1
    return found


def _end(tokens: Sequence[Token], start: int) -> int:
    depth = 0
    for index in range(start, len(tokens)):
        depth += tokens[index].nesting
        if depth <= 0:
            return index
    return len(tokens)


def _block(token: Token, inner: Sequence[Token]) -> Block:
    match token.type:
        case "paragraph_open":
            return _of(_inline(inner))
        case "heading_open":
            # below the headings that we write ourselves
            level = min(6, max(4, int(token.tag[1:]) + 2))
            title = _inline(inner).replace("\n", " ")
            return _of(f"{'#' * level} {title}" if title else "")
        case "bullet_list_open":
            return _list(inner, None)
        case "ordered_list_open":
            return _list(inner, int(token.attrs.get("start", 1)))
        case "blockquote_open":
            quoted = (_prefixed(block.text, "> ", "> ") for block, _ in _blocks(inner))
            return Block(tuple(quoted), joint="\n>\n")
        case "table_open":
            return _table(inner)
        case "fence" | "code_block":
            return _code(token.content, token.info)
        case "hr":
            return _of(_RULE)
        case "html_block":
            return _of(words(html.unescape(_TAG.sub("", _COMMENT.sub("", token.content)))))
        case _:
            return _of(_inline((token,)))


def _of(text: str) -> Block:
    return Block((text,) if text else ())


def _inline(tokens: Sequence[Token]) -> str:
    return "\n".join(filter(None, (inline(token.children or ()) for token in tokens)))


def _list(tokens: Sequence[Token], start: int | None) -> Block:
    items: list[str] = []
    tight = True
    index = 0
    while index < len(tokens):
        end = _end(tokens, index)
        inner = tokens[index + 1 : end]
        tight = tight and not _is_loose(inner)
        marker = "- " if start is None else f"{min(start + len(items), 999_999_999)}. "
        text = _item([block for block, _ in _blocks(inner)])
        if text:
            items.append(_prefixed(text, marker, " " * len(marker)))
        index = end + 1
    return Block(tuple(items), joint="\n" if tight else "\n\n")


def _is_loose(item: Sequence[Token]) -> bool:
    return any(t.type == "paragraph_open" and t.level == item[0].level and not t.hidden for t in item)


def _item(inner: Sequence[Block]) -> str:
    """Only a list of bullets may follow a line directly; other blocks could become one with it."""
    text = ""
    for block in inner:
        text += ("\n" if block.text.startswith("- ") else "\n\n") if text else ""
        text += block.text
    return text


def _table(tokens: Sequence[Token]) -> Block:
    rows: list[list[str]] = []
    rulers: list[str] = []
    for index, token in enumerate(tokens):
        if token.type == "tr_open":
            rows.append([])
        elif token.type in ("th_open", "td_open"):
            rows[-1].append(_cell(tokens[index + 1]))
            if token.type == "th_open":
                rulers.append(_RULERS.get(str(token.attrs.get("style", "")), "---"))
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    opening = f"{head}\n| {' | '.join(rulers)} |"
    return Block((opening, *body))


def _cell(token: Token) -> str:
    """One line; pipes give way in code, as parsers disagree on what an escaped one is there."""
    for child in token.children or ():
        if child.type == "code_inline":
            child.content = child.content.replace("|", "\N{FULLWIDTH VERTICAL LINE}")
    return _inline((token,)).replace("\n", " ")


def _code(content: str, info: str) -> Block:
    text = code_text(content).strip("\n")
    fence = "`" * max(3, longest_backticks(text) + 1)
    language = _language(info)
    return Block(tuple(text.split("\n")) if text.strip() else (), opening=f"{fence}{language}\n", closing=f"\n{fence}")


def _language(info: str) -> str:
    """The first word of a fence's info string, where it is one that only colours the code."""
    name = _LANGUAGE.sub("", "".join(info.split(maxsplit=1)[:1]))[:30]
    return "" if name.lower() in _DRAWN or code_text(name) != name else name


def _prefixed(text: str, first: str, others: str) -> str:
    """`text` with `first` before its first line and `others` before the rest."""
    head, *rest = text.split("\n")
    return "\n".join((first + head, *(f"{others}{line}".rstrip() for line in rest)))
