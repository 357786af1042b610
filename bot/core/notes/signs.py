"""Signs of breaking changes in release notes: the lines that a reviewer should see before all others."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bot.core.model import Release
from bot.core.notes.inline import words
from bot.core.text import plain

_SHOWN = 6
_LENGTH = 160
_LINES = 2000

_WORDS = re.compile(
    r"\b(?:breaking|backwards?[- ]incompatib\w*|incompatible|removed?|removes|renamed?|renames|deprecat\w*|migrat\w*"
    r"|no longer|drops? support|dropped support|now requires?|must now)\b"
    r"|^(?:feat|fix|refactor|perf|chore|build)(?:\([^)]{0,60}\))?!:",
    re.IGNORECASE,
)
_HEADING = re.compile(r"\s{0,3}#{1,6}\s")
_EMPHASIS = re.compile(r"\*\*|`")
_MARKS = re.compile(r"^[\s#>*+-]{0,12}(?:[0-9]{1,3}[.)]\s)?")


def breaking_signs(releases: Sequence[Release], fields: Sequence[str] = ()) -> str:
    """A short list of the lines that sound like a breaking change, inert, newest release first; empty without any.

    Lines that name a field of our config stand first, whatever they say of it; `fields` are its paths. Upstream has
    no convention for either, so this reads words: it may find too much, and silence proves nothing.
    """
    ours = {(release.ref, line): None for release in releases for line in _naming(release.notes, fields)}
    others = {(release.ref, line): None for release in releases for line in _lines(release.notes)}
    found = list(ours | others)
    shown = [f"- {words(plain(ref, 60))}: {words(plain(line, _LENGTH))}" for ref, line in found[:_SHOWN]]
    if len(found) > _SHOWN:
        shown.append(f"- and {len(found) - _SHOWN} more in the notes below")
    return "\n".join(shown)


def _naming(notes: str, fields: Sequence[str]) -> list[str]:
    """The lines that name a field of our config."""
    if not fields:
        return []
    from bot.core.gateway_config.fields import fields_named  # noqa: PLC0415 - only where a config was validated

    if not fields_named(notes, fields):
        return []
    lines = (line for line in notes.split("\n", _LINES)[:_LINES] if fields_named(line, fields))
    return list(dict.fromkeys(_EMPHASIS.sub("", _MARKS.sub("", line)).strip() for line in lines))


def _lines(notes: str) -> list[str]:
    """The lines with such a word, and every line below a heading with one, up to the next heading."""
    found: dict[str, None] = {}
    below = False
    for line in notes.split("\n", _LINES)[:_LINES]:
        text = _EMPHASIS.sub("", _MARKS.sub("", line)).strip()
        if text.startswith("Full Changelog"):
            continue  # GitHub's own last line, below whatever heading came before
        if _HEADING.match(line):
            below = _WORDS.search(text) is not None
        elif text and (below or _WORDS.search(text)):
            found[text] = None
    return list(found)
