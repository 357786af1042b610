"""What was found at a pin site."""

from __future__ import annotations

import msgspec

from bot.core.model import Field, Site, SourceFile


class Held(msgspec.Struct, frozen=True):
    """One value in one file: `source.data[start:end]` is `text`, in UTF-8, without quotes."""

    file: str
    line: int
    """Counted from 1."""
    start: int
    end: int
    field: Field
    text: str
    site: Site
    """Where the settings say that it stands: it can be found again."""

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}"


def held_at(source: SourceFile, site: Site, start: int, end: int, field: Field) -> Held:
    """The value that stands between two byte offsets of a file."""
    return Held(
        file=source.path,
        line=line_at(source.data, start),
        start=start,
        end=end,
        field=field,
        text=source.data[start:end].decode(),
        site=site,
    )


def line_at(data: bytes, offset: int) -> int:
    """The line, from 1, in which a byte offset stands. Lines end with LF, CRLF or CR."""
    feeds, returns, both = (data.count(end, 0, offset) for end in (b"\n", b"\r", b"\r\n"))
    return feeds + returns - both + 1
