"""The notes of the releases between two pins -> one text of a given length."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC

from bot.core.model import Release
from bot.core.notes.blocks import LONGEST, Block, blocks, verbatim
from bot.core.notes.inline import link, words
from bot.core.notes.url import safe_url
from bot.core.text import plain

_GAP = "\n\n"
_NAMED = 12
"""Releases named in the list of those that found no room; the others are counted."""

_LONGEST_REF = 60
_EMPTY = "No notes were published."


def release_notes(releases: Sequence[Release], limit: int) -> str:
    """The notes of `releases` as inert Markdown, in the given order, at most `limit` characters.

    Each stands under a heading with its ref, its date and the link to its page. Notes that are cut, between
    blocks, say where the rest is; releases that find no room are listed. Empty without releases or room.
    """
    entries: list[str] = []
    refs = [words(_ref(release)) or "(no ref)" for release in releases]
    room = limit
    unread = limit + limit // 4
    for index, release in enumerate(releases):
        left_out = _left_out(refs, index + 1)
        reserved = len(left_out) + len(_GAP) if left_out else 0
        notes = release.notes[: max(0, min(LONGEST, unread))]
        unread -= len(notes)
        entry = _entry(release, notes, room - reserved)
        if not entry:
            listed = _left_out(refs, index)
            return _GAP.join((*entries, listed)) if len(listed) <= room else _GAP.join(entries)
        entries.append(entry)
        room -= len(entry) + len(_GAP)
    return _GAP.join(entries)


def _entry(release: Release, notes: str, room: int) -> str:
    """One release's heading and as many of its notes as fit; empty if not even a part of them does."""
    heading = _heading(release)
    room -= len(heading) + len(_GAP)
    cut_off = f"(shortened: the rest is at {_page(release)})"
    if room < len(cut_off):
        return ""
    parts = blocks(notes)
    whole = _GAP.join(block.text for block in parts)
    complete = len(notes) == len(release.notes)
    if complete and len(whole) <= room:
        return _GAP.join((heading, whole or _EMPTY)) if len(whole or _EMPTY) <= room else ""
    shown = _fitting(parts, room - len(_GAP) - len(cut_off))
    return _GAP.join((heading, *shown, cut_off)) if shown else ""


def _fitting(parts: Sequence[Block], room: int) -> list[str]:
    shown: list[str] = []
    for block in parts:
        text = block.text
        if len(text) > room:
            # what cannot be divided is shown as the text it was written in, if nothing else would be shown
            text = block.shortened(room) or ("" if _says_something(shown) else verbatim(block.source, room))
        if text:
            shown.append(text)
        if text != block.text:
            break
        room -= len(text) + len(_GAP)
    return shown


def _says_something(shown: Sequence[str]) -> bool:
    return any(not text.startswith("#") for text in shown)


def _heading(release: Release) -> str:
    ref = link(_ref(release), release.url) or "(no ref)"
    if release.published is None:
        return f"### {ref}"
    published = release.published
    day = (published.astimezone(UTC) if published.tzinfo else published).date().isoformat()
    return f"### {ref} ({day})"


def _page(release: Release) -> str:
    target = safe_url(release.url)
    return f"<{target}>" if target else "the release's page"


def _left_out(refs: Sequence[str], start: int) -> str:
    """The sentence that names releases without their notes; of bounded length."""
    if start >= len(refs):
        return ""
    named = ", ".join(refs[start : start + _NAMED])
    more = f", and {len(refs) - start - _NAMED} more" if len(refs) - start > _NAMED else ""
    return f"The notes of these releases found no room here: {named}{more}."


def _ref(release: Release) -> str:
    return plain(release.ref, _LONGEST_REF)
