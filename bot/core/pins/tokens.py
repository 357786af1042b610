"""What reads as part of a pin in prose, tables and code: references, digests, refs and versions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from bot.core.model import Field, Site, SourceFile
from bot.core.pins.held import Held, held_at, line_at
from bot.core.pins.text import fault

_DIGEST = rb"sha256:[0-9a-f]{64}(?![0-9A-Za-z])"
_NUMBERS = rb"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*)){2}(?:-[0-9A-Za-z-]*[0-9A-Za-z](?:\.[0-9A-Za-z-]*[0-9A-Za-z])*)?"
_BEFORE = rb"(?<![0-9A-Za-z.+])(?<![0-9A-Za-z][_-])"
_AFTER = rb"(?![0-9A-Za-z+]|[._-]+[0-9A-Za-z])"
_TOKEN = re.compile(
    rb"(?P<reference>(?<![_:/@])" + _BEFORE + rb"[0-9A-Za-z][0-9A-Za-z.-]*(?::[0-9]+)?/[0-9a-z][0-9a-z._/-]*"
    rb"(?::[0-9A-Za-z_](?:[0-9A-Za-z._-]{0,126}[0-9A-Za-z_])?(?:@" + _DIGEST + rb")?|@" + _DIGEST + rb")"
    rb"(?![@:/])" + _AFTER + rb")"
    rb"|(?P<digest>(?<![0-9A-Za-z])" + _DIGEST + rb")"
    rb"|(?P<ref>" + _BEFORE + rb"v" + _NUMBERS + _AFTER + rb")"
    rb"|(?P<version>" + _BEFORE + _NUMBERS + _AFTER + rb")"
)
_ADDRESS = re.compile(rb"(?:https?://|\]\()[^\s<>()\"'`|]*")
_FIELDS: dict[str, Field] = {"reference": "image", "digest": "image", "ref": "ref", "version": "version"}


def tokens(source: SourceFile, site: Site, spans: Sequence[tuple[int, int]]) -> tuple[Held, ...]:
    """The parts of a pin that stand within these byte offsets, in order.

    A reference and a bare digest are both `image` values, and a place may have one of each, one ref and one
    version. A token may stand again in the address of a link, and changes there with it. Raises PinError
    where there is no token, or more than one of a kind.
    """
    found = [token for span in spans for token in _within(source, span)]
    for kind in _FIELDS:
        alike = [(start, end, linked) for name, start, end, linked in found if name == kind]
        texts = {source.data[start:end] for start, end, _ in alike}
        if len(texts) > 1 or sum(not linked for _, _, linked in alike) > 1:
            listed = ", ".join(
                f"{source.data[start:end].decode()} in line {line_at(source.data, start)}"
                for start, end, _ in alike[:3]
            )
            raise fault(source, alike[1][0], f"which {kind} is the pin's? {listed}", f"leave one {kind}; {_NARROW}")
    if not found:
        raise fault(
            source,
            spans[0][0],
            "no image reference, sha256 digest, ref (v1.2.3) or version (1.2.3) stands here",
            f"write the pin here, or correct this pin site: {_NARROW}",
        )
    return tuple(held_at(source, site, start, end, _FIELDS[kind]) for kind, start, end, _ in found)


_NARROW = "`begin` and `end` markers, `row` and `column` say where the bot looks"


def _within(source: SourceFile, span: tuple[int, int]) -> Iterable[tuple[str, int, int, bool]]:
    """Kind, byte offsets, and whether it is part of a link's address, of every token."""
    first, last = span
    text = source.data[first:last]
    addresses = [address.span() for address in _ADDRESS.finditer(text)]
    for match in _TOKEN.finditer(text):
        linked = any(start <= match.start() < end for start, end in addresses)
        yield str(match.lastgroup), first + match.start(), first + match.end(), linked
