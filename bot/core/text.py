"""Untrusted text, without the characters that nobody sees. Pure, and light: the hot path imports it."""

from __future__ import annotations

import re

_ESCAPE_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]{0,64}[ -/]{0,16}[@-~]"  # colours, cursor: ECMA-48 control sequences
    r"|(?:\x1b[\]P_^X]|[\x9d\x90\x9f\x9e\x98])[^\x07\x1b\x9c]{0,4096}(?:\x07|\x1b\\|\x9c)"  # titles, links
    r"|\x1b[ -/]{0,16}[0-~]"
)
_BLANK = re.compile(
    # Invisible though Python calls them printable: Unicode's Default_Ignorable_Code_Point without U+FE0E and
    # U+FE0F, which only choose between the text and the picture form of a sign.
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0d\uffa0\U000e0000-\U000e0fff]"
)
_NEWLINE = re.compile(r"\r\n?")


def visible(text: str) -> str:
    """`text` with spaces, newlines and visible characters only; tabs become spaces, up to the next stop of 4.

    Removed are control and format characters (zero width, bidi, tags), line and paragraph separators, surrogates,
    private use and unassigned code points. Every kind of space becomes the plain one.
    """
    if text.isascii() and text.isprintable():
        return text
    lines = _NEWLINE.sub("\n", text).expandtabs(4).split("\n")
    return "\n".join(line if line.isascii() and line.isprintable() else _visible_line(line) for line in lines)


def _visible_line(line: str) -> str:
    seen = (" " if char.isspace() and char > "\x7f" else char for char in line if _is_shown(char))
    return _BLANK.sub("", "".join(seen))


def _is_shown(char: str) -> bool:
    return char.isprintable() or (char.isspace() and char not in "\x0b\x0c\x1c\x1d\x1e\x1f\x85\u2028\u2029")


_COMMAND = re.compile(r"(?:^|(?<=[\r\x0b\x0c\x85\u2028\u2029]))([ \t]*):(?=:)|##(?=\[)", re.MULTILINE)
_UNSEEN = re.compile("[\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]|#(?=\\[)")


def no_command(text: str) -> str:
    """`text` in which GitHub's runner, which reads all that a step prints, finds no workflow command.

    It takes `::` at the beginning of a line, and `##[` anywhere in it.
    """
    return _COMMAND.sub(lambda match: f"{match[1]}: " if match[1] is not None else "# #", text)


def json_line(document: bytes) -> str:
    """JSON for a terminal or a log: the same document, its invisible characters and `##[` escaped."""
    return _UNSEEN.sub(lambda match: f"\\u{ord(match[0]):04x}", document.decode())


def plain(text: str, limit: int) -> str:
    """One line of at most `limit` characters, safe for a terminal; a cut is shown by `…`. Never raises."""
    if limit < 1:
        return ""
    raw = text[: 8 * limit + 1024]
    line = " ".join(visible(_ESCAPE_SEQUENCE.sub("", raw)).split())
    if len(line) <= limit and len(raw) == len(text):
        return line
    return f"{line[: limit - 1].rstrip()}…"
