"""CHANGELOG.md, after Keep a Changelog 1.1: one section a release, written once. Pure.

What a section says comes from commit messages, which strangers write: it is parsed as Markdown of one line and written
anew, so that nothing in it acts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date

import msgspec

from bot.core.model import Pin
from bot.core.text import plain
from bot.core.versions import Version, parse_version

FILE = "CHANGELOG.md"

HEAD = """\
# Changelog

All notable changes are listed here, newest first. The form is that of [Keep a Changelog](https://keepachangelog.com/en/1.1.0/);
versions follow [Semantic Versioning](https://semver.org/spec/v2.0.0.html).
"""

_MOST = 500
"""Entries of one section; a release has more only where nobody released for years."""

_GROUPS = ("Added", "Changed", "Fixed", "Security")
_GROUP = {
    "feat": "Added",
    "fix": "Fixed",
    "security": "Security",
    "perf": "Changed",
    "revert": "Changed",
    "deps": "Changed",
}
"""Where a type of commit stands. Other types are named only where they break something, or update dependencies."""

_LINES = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_TITLE = re.compile(r"\[?v?([0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z.-]+)?)\]?(?![0-9A-Za-z.-])")
_UNRELEASED = re.compile(r"\[?unreleased\b", re.IGNORECASE)
_DATED = re.compile(r"\b([0-9]{4}-[0-9]{2}-[0-9]{2})\b")
_DEFINITION = re.compile(r"\s*\[[^\]]+\]:\s+\S+.*")


_NUMBER = re.compile(r" \(#([1-9][0-9]{0,8})\)\Z")


class Change(msgspec.Struct, frozen=True):
    """One commit as Conventional Commits 1.0.0 reads it; `kind` is empty where it does not follow them.

    `scope`, `text` and `breaking` (what it breaks, empty for nothing) are a stranger's text.
    """

    sha: str
    kind: str
    scope: str
    text: str
    breaking: str = ""


class _Section(msgspec.Struct, frozen=True):
    """A heading of the second level: its text, and the lines of it and of what follows it."""

    title: str
    first: int
    body: int
    end: int


def named(changes: Sequence[Change], image: str, *, moved: bool) -> tuple[Change, ...]:
    """The changes that a changelog names; the upgrade of the image itself has an entry of its own where it `moved`."""
    return tuple(
        change
        for change in changes
        if _group(change) and not (moved and (change.kind.lower(), change.scope) == ("deps", image))
    )


def image_entry(pin: Pin, previous: Pin | None) -> str:
    """What a release says of its image: from where to where, with the digest that it has now."""
    if previous is None:
        return f"Gateway image: {pin.ref} (`{pin.digest}`)"
    if previous.ref == pin.ref and previous.digest != pin.digest:
        return f"Gateway image: {pin.ref}, another build (`{previous.digest}` -> `{pin.digest}`)"
    return f"Gateway image: {previous.ref} -> {pin.ref} (`{pin.digest}`)"


def section(
    version: Version, day: date, entry: str, changes: Sequence[Change], previous: str = "", repository: str = ""
) -> str:
    """The section of a release, with LF and without a blank line at its end.

    `entry` is the image's own, or empty; `previous` is the tag before, and `repository` OWNER/NAME on github.com for
    the links: empty where they are not known.
    """
    groups: dict[str, list[str]] = {group: [] for group in _GROUPS}
    if entry:
        groups["Changed"].append(f"- {entry}")
    for change in sorted(changes[:_MOST], key=lambda each: not each.breaking):
        groups[_group(change) or "Changed"].append(_bullet(change, repository))
    if len(changes) > _MOST:
        groups["Changed"].append(f"- {len(changes) - _MOST:,} more")
    parts = [f"## {version} - {day}"]
    for name, lines in groups.items():
        parts += [f"### {name}", "\n".join(lines)] if lines else []
    if previous and repository:
        parts.append(f"[{previous}...v{version}](https://github.com/{repository}/compare/{previous}...v{version})")
    return "\n\n".join(parts)


def with_section(source: bytes, version: Version, text: str) -> bytes:
    """The changelog with a new section above all others, below what is not released yet; every other byte is kept.

    An empty `source` gets a head first. One that has a section of this version comes back as it is.
    """
    if not source.strip():
        return f"{HEAD}\n{text}\n".encode()
    whole = source.decode(errors="surrogateescape")
    sections = tuple(_sections(whole))
    if _found(sections, version) is not None:
        return source
    mark = "\ufeff" if whole.startswith("\ufeff") else ""
    lines = _LINES.findall(whole[len(mark) :])
    ending = next((end for end in ("\r\n", "\n", "\r") if lines[0].endswith(end)), "\n")
    released = (each.first for each in sections if not _UNRELEASED.match(each.title))
    place = next(released, len(lines))
    before, after = "".join(lines[:place]), "".join(lines[place:])
    if before and not before.endswith(("\n", "\r")):
        before += ending
    blank = ending if before and not before.endswith((ending * 2, "\n\n")) else ""
    new = f"{text}\n".replace("\n", ending)
    return f"{mark}{before}{blank}{new}{ending if after else ''}{after}".encode(errors="surrogateescape")


def section_of(text: str, version: Version) -> str:
    """What the changelog says of a version, without its heading, with LF; empty where it has no such section."""
    found = _found(_sections(text), version)
    if found is None:
        return ""
    lines = [line.rstrip("\r\n") for line in _LINES.findall(text)[found.body : found.end]]
    while lines and (not lines[-1].strip() or _DEFINITION.fullmatch(lines[-1])):
        lines.pop()
    return "\n".join(lines).strip("\n")


def day_of(text: str, version: Version) -> date | None:
    """The date in the heading of a version's section."""
    found = _found(_sections(text), version)
    match = _DATED.search(found.title) if found is not None else None
    try:
        return date.fromisoformat(match[1]) if match else None
    except ValueError:
        return None


def _group(change: Change) -> str:
    kind = change.kind.lower()
    if kind in {"build", "chore"} and change.scope.lower().startswith("deps"):
        return "Changed"
    return _GROUP.get(kind, "Changed" if change.breaking else "")


def _bullet(change: Change, repository: str) -> str:
    scope = f"**{_inert(change.scope, 60)}:** " if change.scope else ""
    subject, number = _numbered(change.text) if repository else (change.text, "")
    text = _inert(subject, 300)
    what = change.breaking if change.breaking != change.text else ""
    text = f"{text or '(no words)'}{f': {_inert(what, 500)}' if what else ''}"
    breaking = "**Breaking:** " if change.breaking else ""
    short = f"`{change.sha[:7]}`"
    link = f"[{short}](https://github.com/{repository}/commit/{change.sha})" if repository else short
    pull = f" ([#{number}](https://github.com/{repository}/pull/{number}))" if number else ""
    return f"- {breaking}{scope}{text}{pull} ({link})"


def _numbered(text: str) -> tuple[str, str]:
    """A subject, and the number of the pull request that GitHub put behind it when it was squashed."""
    found = _NUMBER.search(text)
    return (text[: found.start()], found[1]) if found else (text, "")


def _inert(text: str, limit: int) -> str:
    """One line of Markdown in which nothing acts; what stands in backticks stays code."""
    from markdown_it import MarkdownIt  # noqa: PLC0415 - only where a release is made

    from bot.core.notes.inline import inline  # noqa: PLC0415 - as above

    tokens = MarkdownIt("commonmark").parseInline(plain(text, limit))
    return " ".join(inline(tokens[0].children or ()).split()) if tokens else ""


def _found(sections: Iterable[_Section], version: Version) -> _Section | None:
    for each in sections:
        match = _TITLE.match(each.title)
        if match is not None and parse_version(match[1]) == version:
            return each
    return None


def _sections(text: str) -> Iterator[_Section]:
    """The sections of a Markdown text, as CommonMark has them: not what stands in code, comments or lists."""
    from markdown_it import MarkdownIt  # noqa: PLC0415 - only where a release is made

    tokens = MarkdownIt("commonmark").parse(text.removeprefix("\ufeff").replace("\0", " "))
    heads = [
        (token.tag, tokens[number + 1].content, token.map)
        for number, token in enumerate(tokens)
        if token.type == "heading_open" and token.level == 0 and token.tag in {"h1", "h2"} and token.map
    ]
    ends = [*(place[0] for _, _, place in heads), len(_LINES.findall(text))][1:]
    for (tag, title, place), end in zip(heads, ends, strict=True):
        if tag == "h2":
            yield _Section(title.strip(), place[0], place[1], end)
