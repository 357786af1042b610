"""Keys of a dotenv file.

Such a file is read by shells, by Docker Compose, by dotenv libraries, and by
`cat versions.env >> "$GITHUB_ENV"`, which sets environment variables of all later steps. So only what
all of them read alike is accepted, and only keys that the settings name: nothing in the file may become
`PATH` or `LD_PRELOAD` of a job, and no value may be more than its text.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from functools import lru_cache

from bot.core.model import DotenvSite, SourceFile
from bot.core.pins.held import Held, held_at
from bot.core.pins.text import PLAIN, byte_offset, fault, missing, text_of, twice

# Control characters, and all that some reader takes for the end of a line or for nothing at all: a lone CR,
# VT, FF, FS, GS, RS, NEL, LS, PS, a second byte order mark.
_CONTROL = re.compile("[\0-\b\v\f\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff]|\r(?!\n)")
_BINDING = re.compile(
    r"(?:export[ \t]+)?(?P<key>[A-Za-z_][A-Za-z0-9_]*)="
    rf"(?P<quote>[\"']?)(?P<value>{PLAIN})(?P=quote)"
    r"(?:[ \t]+#[^\r\n]*)?[ \t]*(?:\r?\n)?"
)
_START_OF_BINDING = re.compile(r"(?:export[ \t]+)?(?P<key>[A-Za-z_][A-Za-z0-9_]*)")
_START_OF_VALUE = re.compile(rf"=[\"']?{PLAIN}")


def locate(source: SourceFile, site: DotenvSite, allowed: frozenset[str] | None) -> tuple[Held, ...]:
    """The values of the site's keys, in their order in the settings.

    `allowed` are the keys that any image's settings name for this file; None where the file's keys were judged
    before. Raises PinError for any other key, for a key that is missing, twice, or only in a comment, and for a
    line that is more than KEY=VALUE.
    """
    named = {*(key for key, _ in site.keys), *site.other_keys}
    if allowed is not None and not named <= allowed:
        allowed |= named
    values = _values(source, allowed)
    held = []
    for key, field in site.keys:
        if key not in values:
            raise missing(
                source,
                key,
                rf"(?<![A-Za-z0-9_]){re.escape(key)}[ \t]*=",
                f"add a line {key}=VALUE, or correct `keys` of this pin site in the settings",
            )
        held.append(held_at(source, site, *values[key], field))
    return tuple(held)


@lru_cache(maxsize=4)  # one file may hold the pins of many images
def _values(source: SourceFile, allowed: frozenset[str] | None) -> Mapping[str, tuple[int, int]]:
    """The byte offsets of every key's value."""
    from dotenv.parser import parse_stream  # noqa: PLC0415 - not needed by a repository without dotenv pins

    offset, text = text_of(source)
    if control := _CONTROL.search(text):
        raise fault(
            source,
            byte_offset(offset, text, control.start()),
            f"the control character U+{ord(control.group()):04X}",
            "remove it; lines end with LF or CRLF",
        )
    found: dict[str, tuple[int, int]] = {}
    for binding in parse_stream(io.StringIO(text, newline="")):
        original = binding.original.string
        line = original.lstrip()
        before = original[: len(original) - len(line)]
        here = offset + len(before.encode())
        offset += len(original.encode())
        is_comment = line.startswith("#")
        if before.strip(" \t\r\n") or (line and not is_comment and before.rpartition("\n")[2]):
            odd = here - len(before.lstrip(" \t\r\n").encode())
            raise fault(source, odd, "a line that begins with white space", "begin the line with the key")
        if not line or is_comment:
            continue
        match = _BINDING.fullmatch(line)
        if match is None or (binding.key, binding.value) != (match["key"], match["value"]):
            raise fault(
                source,
                here,
                _why_no_binding(line),
                "write KEY=VALUE on one line, VALUE of letters, digits and . _ : / @ + - only",
            )
        key = match["key"]
        if allowed is not None and key not in allowed:
            raise fault(
                source,
                here,
                f"the key {key} is not one that the settings expect in this file",
                f"remove the line; if it belongs here, name it: other_keys = [{key!r}] at this pin site",
            )
        if key in found:
            raise twice(source, key, (found[key][0], here), "keep one of the lines")
        # Everything up to the value's end is ASCII, so characters are bytes.
        found[key] = (here + match.start("value"), here + match.end("value"))
    return found


def _why_no_binding(line: str) -> str:
    """What is wrong with a line. Values are not quoted: such files hold secrets elsewhere."""
    start = _START_OF_BINDING.match(line)
    if start is None:
        return "this line is no KEY=VALUE"
    key, rest = start["key"], line[start.end() :]
    if rest.startswith("<<"):
        return f"{key}<< begins a value of several lines in GitHub's environment files"
    value = _START_OF_VALUE.match(rest)
    if value is None:
        return f"{key} is not followed by '=' and its value"
    stop = rest[value.end() : value.end() + 1]
    return f"the value of {key} holds {stop!a}" if stop else f"the value of {key} has a quote that is not closed"
