"""Inline tokens of the Markdown tree -> Markdown, escaped by us."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal

from markdown_it.token import Token  # noqa: TC002 - blocks.py needs all of markdown_it anyway

from bot.core.notes.neutral import neutral, unlinked
from bot.core.notes.url import REDIRECT, safe_url
from bot.core.text import visible

_MARKERS = {"em": "*", "strong": "**", "s": "~~"}
_BARE_URL = re.compile(r"(?<![A-Za-z0-9])https?://[^\s<>\"`]+", re.IGNORECASE)
_LOOKS_LIKE_URL = re.compile(r"\s*(?:https?:|//|www\.)\S*\s*", re.IGNORECASE)
_ISSUE = re.compile(rf"https://{re.escape(REDIRECT)}/([\w.-]+/[\w.-]+)/(?:pull|issues|discussions)/([0-9]+)")
_COMPARE = re.compile(rf"https://{re.escape(REDIRECT)}/[\w.-]+/[\w.-]+/compare/([\w.+-]+\.\.\.[\w.+-]+)")

_SPECIAL = re.compile(r"[\\`*\[\]|~]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|(?<!\S)#")
_ENTITY = re.compile(r"&(?=[#A-Za-z])")
_LINE_START = re.compile(r"^(?:[-+=>#/]|:(?=-)|[0-9]{1,9}(?=[.)](?:\s|$)))", re.MULTILINE)
_LONG_RUN = re.compile(r"`{9,}")
_DOLLAR = "\N{FULLWIDTH DOLLAR SIGN}"


@dataclass(frozen=True, slots=True)
class _Piece:
    """Words still to be escaped, or Markdown that is ready."""

    content: str
    kind: Literal["words", "linked words", "code", "mark"]

    @property
    def is_words(self) -> bool:
        return self.kind in ("words", "linked words")


@dataclass(slots=True)
class _Open:
    """A construct that is still open: `em`, `strong`, `s`, `link`, or the whole text."""

    kind: str
    href: str = ""
    pieces: list[_Piece] = field(default_factory=list)


def inline(tokens: Sequence[Token]) -> str:
    """The Markdown of an inline run; each of its lines is one that no block construct starts on."""
    return _assembled(_pieces(tokens))


def words(text: str) -> str:
    """Text that is not Markdown, as Markdown."""
    return _assembled([_Piece(text, "words")])


def link(text: str, url: str) -> str:
    """`text` on one line, linked to `url` where that may be followed."""
    target = safe_url(url)
    shown = _assembled([_Piece(text, "linked words")]).replace("\n", " ")
    return f"[{shown}]({target})" if target and shown else shown


def code_text(text: str) -> str:
    """What may stand between backticks: neutral, and without storms of backticks."""
    return _LONG_RUN.sub("`" * 8, neutral(text))


def longest_backticks(text: str) -> int:
    """How many backticks follow each other at most."""
    return max((len(run) for run in re.findall("`+", text)), default=0)


def _pieces(tokens: Iterable[Token]) -> list[_Piece]:
    stack = [_Open("text")]
    open_kinds: Counter[str] = Counter()
    for token in tokens:
        kind, _, end = token.type.rpartition("_")
        if end == "open":
            stack.append(_Open(kind, str(token.attrs.get("href", ""))))
            open_kinds[kind] += 1
        elif end == "close":
            # markdown-it nests well; a stray end would otherwise close what it does not belong to
            if stack[-1].kind == kind:
                closed = stack.pop()
                open_kinds[kind] -= 1
                stack[-1].pieces += closed.pieces if open_kinds[kind] else _closed(closed)
        else:
            stack[-1].pieces.append(_leaf(token, "linked words" if open_kinds["link"] else "words"))
    return [piece for opened in stack for piece in opened.pieces]


def _leaf(token: Token, kind: Literal["words", "linked words"]) -> _Piece:
    match token.type:
        case "code_inline":
            return _Piece(_code_span(token.content), "code")
        case "softbreak" | "hardbreak":
            return _Piece("\n", kind)
        case "html_inline":
            return _Piece("\n" if token.content[:3].lower() == "<br" else "", kind)
        case "image":
            alternative = (" " if child.type.endswith("break") else child.content for child in token.children or ())
            return _Piece("".join(alternative), kind)
        case _:
            return _Piece(token.content, kind)


def _closed(closed: _Open) -> list[_Piece]:
    """The construct with its marks, which stand close to the words: white space moves outside of them."""
    pieces = _merged(closed.pieces)
    before, after = "", ""
    if pieces and pieces[0].is_words:
        stripped = pieces[0].content.lstrip()
        before = " " if len(stripped) < len(pieces[0].content) else ""
        pieces[0] = _Piece(stripped, pieces[0].kind)
    if pieces and pieces[-1].is_words:
        stripped = pieces[-1].content.rstrip()
        after = " " if len(stripped) < len(pieces[-1].content) else ""
        pieces[-1] = _Piece(stripped, pieces[-1].kind)
    inner = [piece for piece in pieces if piece.content]
    marked = _linked(inner, closed.href) if closed.kind == "link" else _emphasised(inner, _MARKERS.get(closed.kind, ""))
    return [_Piece(before, "words"), *marked, _Piece(after, "words")]


def _emphasised(inner: list[_Piece], marker: str) -> list[_Piece]:
    return [_Piece(marker, "mark"), *inner, _Piece(marker, "mark")] if inner else []


def _linked(inner: list[_Piece], href: str) -> list[_Piece]:
    target = safe_url(href)
    if target is None:
        # one with the words around it, so that `#[1](x)` is seen as what it becomes
        return [_Piece(piece.content, "words") if piece.is_words else piece for piece in inner]
    text = "".join(piece.content for piece in inner)
    if not text or _LOOKS_LIKE_URL.fullmatch(text):
        # a text that names an address names the one that the link leads to
        return [_Piece(_shown(target), "mark")]
    return [_Piece("[", "mark"), *inner, _Piece(f"]({target})", "mark")]


def _shown(target: str) -> str:
    """A link that says where it goes, as short as on GitHub's own pages."""
    if issue := _ISSUE.fullmatch(target):
        return f"[{_escaped(issue[1])}\N{FULLWIDTH NUMBER SIGN}{issue[2]}]({target})"
    if compare := _COMPARE.fullmatch(target):
        return f"[{_escaped(compare[1])}]({target})"
    return f"<{target}>"


def _merged(pieces: Iterable[_Piece]) -> list[_Piece]:
    """Words that follow each other as one: what was dropped between them must not hide a mention.

    Content is cleaned here, because entities bring characters in that the raw text did not have.
    """
    merged: list[_Piece] = []
    for kind, run in groupby((piece for piece in pieces if piece.content), key=lambda piece: piece.kind):
        if kind in ("words", "linked words"):
            merged.append(_Piece(visible("".join(piece.content for piece in run)), kind))
        else:
            merged += run
    return [piece for piece in merged if piece.content]


def _assembled(pieces: Iterable[_Piece]) -> str:
    out = [""]
    for piece in _merged(pieces):
        for chunk in _prose(piece.content, linked=piece.kind == "linked words") if piece.is_words else (piece.content,):
            if chunk.startswith("[") and out[-1].endswith("!"):
                out[-1] = f"{out[-1][:-1]}\\!"
            elif chunk.startswith("`") and out[-1].endswith("`"):
                # two spans side by side would be read as one that ends elsewhere
                out.append(" ")
            if chunk:
                out.append(chunk)
    lines = (line.strip() for line in "".join(out).split("\n"))
    return _LINE_START.sub(_escaped_start, "\n".join(line for line in lines if line))


def _code_span(content: str) -> str:
    text = code_text(content).replace("\n", " ")
    if not text.strip():
        return ""
    fence = "`" * (longest_backticks(text) + 1)
    pad = " " if text[0] in "` " or text[-1] in "` " else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _prose(text: str, *, linked: bool) -> Iterator[str]:
    done = 0
    for match in () if linked else _BARE_URL.finditer(text):
        raw = match[0][: _url_length(match[0])]
        target = safe_url(raw)
        if target is not None:
            yield _escaped(unlinked(text[done : match.start()]))
            yield _shown(target)
            done = match.start() + len(raw)
    yield _escaped(unlinked(text[done:]))


def _url_length(raw: str) -> int:
    """Where a bare URL ends: not in punctuation, nor in a bracket that it did not open."""
    end, surplus = len(raw), raw.count(")") - raw.count("(")
    while end and (raw[end - 1] in ".,:;!?'*_~]}" or (raw[end - 1] == ")" and surplus > 0)):
        surplus -= raw[end - 1] == ")"
        end -= 1
    return end


def _escaped(text: str) -> str:
    text = _ENTITY.sub("&amp;", _SPECIAL.sub(r"\\\g<0>", text))
    return text.replace("<", "&lt;").replace("$", _DOLLAR)


def _escaped_start(match: re.Match[str]) -> str:
    return f"{match[0]}\\" if match[0].isdigit() else f"\\{match[0]}"
