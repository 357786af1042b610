"""What would act in a pull request's body. Knows nothing of how the notes were made inert."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token  # noqa: TC002 - the package is loaded by the line above

_ACTS = {
    "mention": r"(?<![A-Za-z0-9])@[A-Za-z0-9]",
    "reference": r"#[0-9]",
    "GH reference": r"(?i)(?<![a-z0-9])GH-[0-9]",
    "commit": r"(?i)@[0-9a-f]{7}",
    "closing word": r"(?i)\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?):?\s+(?:\S*#[0-9]|https?://(?!redirect\.)[^\s/]*github\.com)",
    "github.com": r"(?i)https?://(?:[^\s/<>()\[\]`'\"]*@)?(?:www\.)?github\.com(?![\w-])(?!\.\w)",
    "github.com without scheme": r"(?i)(?<![\w.-])(?:www\.)?github\.com/[\w.-]+/[\w.-]+/(?:issues|pull)/\d",
    "comment": r"<!--",
    "check box": r"(?m)^[ >*+\d.)-]*\[[ xX]?\](?:\s|$)",
    "skipped workflow": r"(?i)\[(?:skip[ -]ci|ci[ -]skip|no[ -]ci|skip[ -]actions|actions[ -]skip)\]",
    "trailer": r"(?im)^[ >*+-]*(?:co-authored-by|skip-checks|release-as):",
}
_HIDDEN = {"Cc", "Cf", "Zl", "Zp", "Cs", "Co"}
_DRAWN = {"math", "mermaid", "geojson", "topojson", "stl", "suggestion"}


def faults(markdown: str, highest: int = 4) -> list[str]:
    """Everything in `markdown` that acts or misleads; headings start at level `highest`."""
    hidden = {f"hidden U+{ord(c):04X}" for c in markdown if c != "\n" and unicodedata.category(c) in _HIDDEN}
    raw = {f"{name}: {match[0]!r}" for name, pattern in _ACTS.items() for match in re.finditer(pattern, markdown)}
    return sorted(hidden | raw | set(_tree_faults(markdown, highest)))


def text_of(markdown: str) -> str:
    """What a reader of the rendered page sees, without the marks."""
    return " ".join(token.content for token in _tokens(markdown) if token.content and token.type != "inline")


def _tokens(markdown: str) -> Iterator[Token]:
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    for token in parser.parse(markdown):
        yield token
        yield from token.children or ()


def _tree_faults(markdown: str, highest: int) -> Iterator[str]:
    in_link = False
    for token in _tokens(markdown):
        in_link = token.type == "link_open" or (in_link and token.type != "link_close")
        if token.type in ("html_block", "html_inline", "image"):
            yield f"{token.type}: {token.content!r}"
        if token.type == "heading_open" and int(token.tag[1:]) < highest:
            yield f"heading {token.tag}"
        if token.type == "link_open":
            yield from _link_faults(str(token.attrs["href"]))
        if token.type == "fence" and (not re.fullmatch(r"[\w+-]*", token.info) or token.info.lower() in _DRAWN):
            yield f"info {token.info!r}"
        if token.type == "text" and not in_link:
            # GitHub searches each text node outside of links and code for itself: what precedes it does not protect it
            yield from (f"node {name}: {token.content!r}" for name, p in _ACTS.items() if re.search(p, token.content))
            if "$" in token.content or re.search(r"(?i)(?:^|\W)(?:www\.\w|\w+://)", token.content):
                yield f"math or bare link: {token.content!r}"


def _link_faults(href: str) -> Iterator[str]:
    parts = urlsplit(href)
    host = unicodedata.normalize("NFKC", unquote(parts.hostname or "")).rstrip(".")
    if parts.scheme != "https" or not parts.netloc or "@" in parts.netloc or host in ("github.com", "www.github.com"):
        yield f"link {href!r}"
