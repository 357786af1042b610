"""A regular expression that must match exactly once, for the files that no other kind of site can read."""

from __future__ import annotations

import re
from itertools import islice
from typing import get_args

from bot.core.model import Field, PatternSite, SourceFile
from bot.core.pins.held import Held
from bot.core.pins.text import byte_offset, fault, missing, text_of, twice, value_at
from bot.errors import UsageError

_FIELDS: tuple[Field, ...] = get_args(Field)


def locate(source: SourceFile, site: PatternSite) -> tuple[Held, ...]:
    """What the pattern's groups `ref`, `version`, `digest` and `image` match, in the order of the file.

    `^` and `$` match at lines. Raises PinError where the pattern matches never or more than once, or leaves a
    group out; UsageError for a pattern that is none or names other groups.
    """
    pattern = _compiled(site)
    start, text = text_of(source)
    matches = list(islice(pattern.finditer(text), 2))
    advice = f"correct `pattern` of this pin site in the settings: {site.pattern[:200]!r}"
    if not matches:
        raise missing(source, "what `pattern` looks for", r"(?!)", advice)
    offsets = tuple(byte_offset(start, text, match.start()) for match in matches)
    if len(offsets) > 1:
        raise twice(source, "what `pattern` looks for", offsets, advice)
    held = []
    for field in _FIELDS:
        if field not in pattern.groupindex:
            continue
        begin, end = matches[0].span(field)
        if begin < 0:
            raise fault(source, offsets[0], f"the group {field} of `pattern` matches nothing here", advice)
        ends = (byte_offset(start, text, begin), byte_offset(start, text, end))
        held.append(value_at(source, site, ends, field, f"the group {field} of `pattern`"))
    return tuple(sorted(held, key=lambda value: value.start))


def _compiled(site: PatternSite) -> re.Pattern[str]:
    try:
        pattern = re.compile(site.pattern, re.MULTILINE)
    except (re.error, OverflowError, RecursionError) as error:
        raise UsageError(
            f"no regular expression: {error}",
            where=f"pattern of the pin site in {site.file}",
            next_step="Write it as Python's re module reads it.",
        ) from error
    if not pattern.groupindex or not set(pattern.groupindex) <= set(_FIELDS):
        raise UsageError(
            f"the pattern names the groups {sorted(pattern.groupindex)}",
            where=f"pattern of the pin site in {site.file}",
            next_step="Name one or more of the groups (?P<ref>), (?P<version>), (?P<digest>), (?P<image>).",
        )
    return pattern
