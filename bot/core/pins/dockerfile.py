"""Defaults of Dockerfile `ARG`s."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from bot.core.model import DockerfileSite, Field, SourceFile
from bot.core.pins.held import Held
from bot.core.pins.syntax import parse_without_error
from bot.core.pins.text import fault, missing, twice, value_at

if TYPE_CHECKING:
    from tree_sitter import Node

_QUOTED = {"double_quoted_string", "single_quoted_string"}
_ESCAPE = re.compile(rb"\A(?:\xef\xbb\xbf)?(?:[ \t]*#[^\n]*\n)*?[ \t]*#[ \t]*escape[ \t]*=[ \t]*[^\\\s]", re.IGNORECASE)


def locate(source: SourceFile, site: DockerfileSite) -> tuple[Held, ...]:
    """The defaults of the site's arguments, in their order in the settings.

    An `ARG NAME` without a default only brings the argument into a stage and does not count. Raises PinError
    for a file that is no Dockerfile, for a default that is missing or there twice, and for one that is more
    than a text.
    """
    return tuple(_locate_one(source, site, name, field) for name, field in site.args)


def _locate_one(source: SourceFile, site: DockerfileSite, name: str, field: Field) -> Held:
    pairs = _defaults(source).get(name, ())
    if not pairs:
        raise missing(
            source,
            f"ARG {name} with a default",
            rf"(?<![A-Za-z0-9_]){re.escape(name)}=",
            f"add ARG {name}=VALUE, or correct `args` of this pin site in the settings",
        )
    if len(pairs) > 1:
        raise twice(
            source,
            f"ARG {name} with a default",
            tuple(pair.start_byte for pair in pairs),
            f"keep one default; a later stage needs only ARG {name}",
        )
    return value_at(source, site, _value(source, name, pairs[0]), field, f"ARG {name}")


@lru_cache(maxsize=4)  # one file may hold the pins of many images
def _defaults(source: SourceFile) -> Mapping[str, Sequence[Node]]:
    """All `NAME=VALUE` pairs of `ARG` instructions, `ONBUILD ARG` among them, by name."""
    from tree_sitter_containerfile import language  # noqa: PLC0415 - loaded only where a Dockerfile holds a pin

    root = parse_without_error(source, language, "a Dockerfile")
    if directive := _ESCAPE.match(source.data):
        raise fault(
            source,
            directive.end(),
            "the directive `escape` changes how lines continue, which this bot cannot follow",
            "remove the directive, or hold this pin with a `pattern` site instead",
        )
    instructions = [
        inner
        for outer in root.children
        for inner in (outer.children if outer.type == "onbuild_instruction" else (outer,))
    ]
    found: dict[str, list[Node]] = {}
    for instruction in instructions:
        for pair in instruction.children if instruction.type == "arg_instruction" else ():
            name = pair.child_by_field_name("name")
            if name is not None and any(child.type == "=" for child in pair.children):
                key = source.data[name.start_byte : name.end_byte].decode()
                found.setdefault(key, []).append(pair)
    return found


def _value(source: SourceFile, name: str, pair: Node) -> tuple[int, int]:
    """The byte offsets of a pair's value, without its quotes. Raises PinError for a value of several parts."""
    parts = pair.children_by_field_name("default")
    after = source.data[pair.end_byte : pair.end_byte + 1]
    if len(parts) > 1 or after.strip():
        raise fault(
            source,
            pair.start_byte,
            f"the value of ARG {name} is put together from parts",
            f"write ARG {name}=VALUE in one piece, on one line",
        )
    if not parts:
        return pair.end_byte, pair.end_byte
    quote = 1 if parts[0].type in _QUOTED else 0
    return parts[0].start_byte + quote, parts[0].end_byte - quote
