"""Many objects of a repository at once, and what those of commits and tags say. gitformat: "commit", "tag"."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

import msgspec

from bot.adapters.git.program import GitProgram

_CHUNK = 16 * 1024 * 1024
"""Bytes that are read at once, unless one object alone has more."""

_NAME = 200
_WRITTEN_IN = re.compile(
    r"(?:iso-?8859-[0-9]{1,2}|latin-?[0-9]{1,2}|(?:windows-|cp)125[0-8]|koi8-[ru]|shift_jis|sjis|cp932|euc-(?:jp|kr)"
    r"|gbk|gb2312|gb18030|big5)",
    re.IGNORECASE,
)
_SIGNED = re.compile(r"(?P<name>.*?) ?<[^<>]*> (?P<seconds>-?[0-9]{1,18}) [+-][0-9]{4,}")


class Found(msgspec.Struct, frozen=True):
    """One object: its kind, its bytes; None where they are more than were asked for."""

    sha: str
    kind: str
    data: bytes | None


def read(program: GitProgram, shas: Iterable[str], largest: int, *, partial: bool) -> Iterator[Found]:
    """Each object that is here, once, in portions that fit into memory. Nothing is fetched.

    `partial`: the clone promises objects that it has not got. Git would ask the remote for each of them, one by one.
    """
    wanted = list(dict.fromkeys(shas))
    if partial and wanted:
        wanted = _here(program, wanted)
    sizes = _sizes(program, wanted)
    chunk: list[str] = []
    room = _CHUNK
    for sha, (kind, size) in sizes.items():
        if size > largest:
            yield Found(sha, kind, None)
            continue
        if chunk and size > room:
            yield from _contents(program, chunk)
            chunk, room = [], _CHUNK
        chunk.append(sha)
        room -= size
    if chunk:
        yield from _contents(program, chunk)


def headers(data: bytes) -> tuple[dict[str, list[str]], str]:
    """The headers of a commit or tag, without those of several lines, and its message."""
    above, _, message = data.partition(b"\n\n")
    found: dict[str, list[bytes]] = {}
    for line in above.split(b"\n"):
        name, _, value = line.partition(b" ")
        found.setdefault(name.decode(errors="replace"), []).append(value)
    encoding = found.get("encoding", [b"utf-8"])[0].decode(errors="replace")
    return {name: [_text(value, encoding) for value in values] for name, values in found.items()}, _text(
        message, encoding
    )


def signed(line: str) -> tuple[str, datetime] | None:
    """The name, without address, and the time in UTC of an `author`, `committer` or `tagger`; None for no such line."""
    match = _SIGNED.fullmatch(line)
    return (match["name"].strip()[:_NAME], date_of(match["seconds"])) if match else None


def date_of(seconds: str) -> datetime:
    """The time in UTC of so many seconds since 1970; 1970 itself where that is no number, or no time."""
    try:
        return datetime.fromtimestamp(int(seconds), UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)


def _here(program: GitProgram, shas: Sequence[str]) -> list[str]:
    """git-rev-list(1): only with `--missing` it asks nobody."""
    done = program.read(
        "rev-list", "--objects", "--no-walk=unsorted", "--filter=tree:0", "--ignore-missing", "--missing=allow-any",
        "--stdin", stdin=_lines(shas),
    )  # fmt: skip
    there = {line.split()[0] for line in os.fsdecode(done.out).splitlines()}
    return [sha for sha in shas if sha in there]


def _sizes(program: GitProgram, shas: Sequence[str]) -> dict[str, tuple[str, int]]:
    if not shas:
        return {}
    out = os.fsdecode(program.read("cat-file", "--batch-check", stdin=_lines(shas)).out)
    fields = [line.split() for line in out.splitlines()]
    return {parts[0]: (parts[1], int(parts[2])) for parts in fields if len(parts) == 3}  # noqa: PLR2004 - as above


def _contents(program: GitProgram, shas: Sequence[str]) -> Iterator[Found]:
    out = program.read("cat-file", "--batch", stdin=_lines(shas)).out
    at = 0
    while at < len(out):
        end = out.index(b"\n", at)
        sha, kind, size = out[at:end].decode().split()
        at = end + 1 + int(size)
        yield Found(sha, kind, out[end + 1 : at])
        at += 1


def _lines(names: Iterable[str]) -> bytes:
    return "".join(f"{name}\n" for name in names).encode()


def _text(data: bytes, encoding: str) -> str:
    """Of Python's codecs only those that people write in: some others yield no text, or take for ever."""
    try:
        return data.decode(encoding if _WRITTEN_IN.fullmatch(encoding) else "utf-8", errors="replace")
    except LookupError:
        return data.decode(errors="replace")
