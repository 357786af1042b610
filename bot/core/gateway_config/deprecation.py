"""What a schema says of a field in words, and whether it calls it deprecated. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import cast

from bot.core.gateway_config.nodes import Node
from bot.core.gateway_config.values import Json
from bot.core.text import plain

_MAX_DESCRIPTION = 5_000
_MAX_SENTENCE = 200
_MAX_SENTENCES = 5
_DEPRECATED = re.compile(r"deprecated\b", re.IGNORECASE)
_SENTENCE_ENDS = re.compile(r"[.!?](?=\s|$)|\n\s*\n")
_LAST_END = re.compile(r".*(?:[.!?:](?=\s)|\n)", re.DOTALL)
_IS = re.compile(r"\b(?:is|are|been)\s+$")


def deprecation(nodes: Iterable[Mapping[str, Json]]) -> str:
    """The first sentence by which one of the subschemas of a value is deprecated; empty without any.

    JSON Schema Validation 2020-12, section 9.3 has a keyword for it, which few schemas use; descriptions say
    `Deprecated: ...` or `... is deprecated`.
    """
    for node in nodes:
        said = description(node)
        for word in islice(_DEPRECATED.finditer(said), _MAX_SENTENCES):
            before = _LAST_END.sub("", said[: word.start()], count=1)
            begins = not before.strip(" *_([") and (len(before) == word.start() or word[0][0] == "D")
            if begins or _IS.search(before):
                end = _SENTENCE_ENDS.search(said, word.end())
                sentence = before.lstrip(" *_([") + said[word.start() : end.start() if end else None]
                return plain(sentence.replace("**", "").rstrip(" *_)]"), _MAX_SENTENCE)
        if node.get("deprecated") is True:
            return "deprecated"
    return ""


def description(node: Node) -> str:
    """Its description, bounded, else empty."""
    said = "" if isinstance(node, bool) else node.get("description", "")
    return cast("str", said)[:_MAX_DESCRIPTION].strip()
