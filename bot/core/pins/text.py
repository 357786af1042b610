"""What every kind of pin site asks of a file before and after it looks for something."""

from __future__ import annotations

import codecs
import re

from bot.core.model import Field, Site, SourceFile
from bot.core.pins.held import Held, held_at, line_at
from bot.errors import PinError

PLAIN = r"[A-Za-z0-9._:/@+-]*"
"""All that a ref, a version, a digest or an image reference needs. No format reads these as anything else."""

_PLAIN = re.compile(PLAIN)
_LARGEST = 1024 * 1024


def text_of(source: SourceFile) -> tuple[int, str]:
    """The byte offset at which the text begins, after a byte order mark if there is one, and the text.

    Raises PinError for a file over 1 MiB, with a NUL, or not in UTF-8.
    """
    if len(source.data) > _LARGEST:
        raise PinError(
            f"{len(source.data)} bytes are too many for a file with a pin, 1 MiB is the most",
            where=source.path,
            next_step="Check that the pin site names the right file.",
        )
    start = len(codecs.BOM_UTF8) if source.data.startswith(codecs.BOM_UTF8) else 0
    try:
        text = source.data[start:].decode()
    except UnicodeDecodeError as error:
        raise fault(source, start + error.start, "this is not UTF-8", "save the file as UTF-8") from error
    if (nul := source.data.find(b"\0")) >= 0:
        raise fault(source, nul, "a NUL byte", "check that the pin site names the right file")
    return start, text


def byte_offset(start: int, text: str, index: int) -> int:
    """The offset in the file's bytes of a character of its text, as `text_of` gave both."""
    return start + len(text[:index].encode())


def value_at(source: SourceFile, site: Site, span: tuple[int, int], field: Field, name: str) -> Held:
    """The value that stands between two byte offsets. Raises PinError where it is not plain text."""
    start, end = span
    for character in source.data[start:end].decode(errors="replace"):
        if not _PLAIN.fullmatch(character):
            raise fault(
                source,
                start,
                f"the value of {name} holds {character!a}",
                "write the value itself, of letters, digits and . _ : / @ + - only: no variables, escapes or spaces",
            )
    return held_at(source, site, start, end, field)


def fault(source: SourceFile, offset: int, what: str, next_step: str) -> PinError:
    """The error for what stands at a byte offset of a file."""
    sentence = f"{next_step[:1].upper()}{next_step[1:].rstrip('.')}."
    return PinError(what, where=f"{source.path}:{line_at(source.data, offset)}", next_step=sentence)


def missing(source: SourceFile, what: str, mention: str, next_step: str) -> PinError:
    """The error for something that is not there.

    `mention` is a regular expression: where it matches all the same, that is a comment or a text, and its
    line is what the reader needs to see.
    """
    match = re.search(mention.encode(), source.data)
    if match is None:
        return fault(source, 0, f"{what} is missing", next_step)
    line = line_at(source.data, match.start())
    return fault(
        source, match.start(), f"{what} is missing: line {line} has it only in a comment or other text", next_step
    )


def twice(source: SourceFile, what: str, offsets: tuple[int, ...], next_step: str) -> PinError:
    """The error for something that must be there once; it points at the second."""
    lines = ", ".join(str(line_at(source.data, offset)) for offset in offsets[:5])
    return fault(source, offsets[1], f"{what} stands more than once, in lines {lines}", next_step)
