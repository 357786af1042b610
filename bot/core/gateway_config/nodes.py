"""The subschemas of a JSON Schema (draft 2020-12), and how they refer to each other. Pure.

Values are as the metaschema has them, which parse_schema checks first: hence the casts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeAlias, cast
from urllib.parse import unquote

import msgspec

from bot.core.gateway_config.values import Json, name

Node: TypeAlias = "Mapping[str, Json] | bool"
"""A schema, or a subschema of one."""

_INDEX = re.compile(r"0|[1-9][0-9]{0,5}")
_REGEX_BYTES = 1024 * 1024


class Schema(msgspec.Struct, frozen=True):
    """A schema that was checked: valid by its metaschema, and every `$ref` leads to a subschema of it."""

    document: dict[str, Json]


def one(node: Mapping[str, Json], keyword: str) -> Node | None:
    """The subschema of a keyword that has one."""
    return cast("Node | None", node.get(keyword))


def several(node: Mapping[str, Json], keyword: str) -> list[Node]:
    """The subschemas of a keyword that has a list of them."""
    return cast("list[Node]", node.get(keyword, []))


def named(node: Mapping[str, Json], keyword: str) -> dict[str, Node]:
    """The subschemas of a keyword that has a map of them."""
    return cast("dict[str, Node]", node.get(keyword, {}))


def resolve(document: Mapping[str, Json], reference: str) -> Node:
    """What a `$ref` leads to: a JSON Pointer in a fragment, RFC 6901, section 6. Raises ValueError."""
    if not (reference == "#" or reference.startswith("#/")):
        raise ValueError(f"a `$ref` points outside of it: `{name(reference)}`")
    at = cast("Json", document)
    for token in unquote(reference[1:]).split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        if isinstance(at, dict) and key in at:
            at = at[key]
        elif isinstance(at, list) and _INDEX.fullmatch(key) and int(key) < len(at):
            at = at[int(key)]
        else:
            raise ValueError(f"a `$ref` points to nothing: `{name(reference)}`")
    return cast("Node", at)


def fields_of(document: Mapping[str, Json], *nodes: Node) -> dict[str, Node]:
    """Every field that a value of these schemas can have by name, in whichever branch, with its first subschema."""
    found: dict[str, Node] = {}
    seen: set[int] = set()
    ahead = list(reversed(nodes))
    while ahead:
        node = ahead.pop()
        if isinstance(node, bool) or id(node) in seen:
            continue
        seen.add(id(node))
        for key, field in named(node, "properties").items():
            found.setdefault(key, field)
        here = [*several(node, "allOf"), *several(node, "anyOf"), *several(node, "oneOf")]
        here += [branch for keyword in ("then", "else") if (branch := one(node, keyword)) is not None]
        here += named(node, "dependentSchemas").values()
        if isinstance(reference := node.get("$ref"), str):
            here.insert(0, resolve(document, reference))
        ahead += reversed(here)
    return found


@lru_cache(maxsize=1000)
def regex(pattern: str) -> Callable[[str], bool]:
    """Whether a text holds a match, in time linear in the text. Raises ValueError for a pattern that needs more."""
    import jsonschema_rs  # noqa: PLC0415 - 35 ms, and most schemas have no pattern

    options = jsonschema_rs.RegexOptions(size_limit=_REGEX_BYTES, dfa_size_limit=_REGEX_BYTES)
    try:
        return jsonschema_rs.Draft202012Validator({"pattern": pattern}, pattern_options=options, offline=True).is_valid
    except ValueError:
        raise ValueError(f"a pattern cannot be matched in linear time: `{name(pattern)}`") from None
