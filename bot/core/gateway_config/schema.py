"""A published JSON Schema from its bytes: one that says something about a config and stands alone, or refused.

Draft 2020-12. Nothing is ever fetched: a reference has to point into the document itself. The program decides
whether a config is valid; where a config does not fit the schema, the schema explains.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Never, cast

import msgspec

from bot.core.decoding import decode
from bot.core.gateway_config.faults import told
from bot.core.gateway_config.nodes import Node, Schema, fields_of, named, regex, resolve, several
from bot.core.gateway_config.reading import MAX_FAULTS, Reader
from bot.core.gateway_config.values import Json, name, shown
from bot.core.text import plain

MAX_BYTES = 4 * 1024 * 1024
MAX_NODES = 50_000
MAX_LIST = 1_000
"""Entries of one list, so that no single look at an `enum` takes long."""
MAX_PATTERNS = 200
MAX_MISMATCHES = MAX_FAULTS

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ONE = (
    *("not", "if", "then", "else", "propertyNames", "additionalProperties", "unevaluatedProperties"),
    *("items", "contains", "unevaluatedItems"),
)
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_MAPS = ("properties", "patternProperties", "dependentSchemas", "$defs", "definitions")
_UNFOLLOWED = ("dependencies", "$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveAnchor", "$recursiveRef")


class Mismatch(msgspec.Struct, frozen=True):
    """Where a config does not fit, as the program writes paths, and why. Neither holds a value of the config."""

    path: str
    message: str


def parse_schema(body: bytes) -> Schema:
    """The schema that `body` is. Raises ValueError, which says why it is none."""
    if len(body) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES} bytes")
    try:
        document = decode(body, object)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValueError:
        raise ValueError("it is no JSON") from None
    if not isinstance(document, dict):
        raise ValueError("it is JSON but no object")  # noqa: TRY004 - one kind of error says all
    if document.get("$schema", _DIALECT) not in (_DIALECT, f"{_DIALECT}#"):
        raise ValueError("it is not of draft 2020-12, the only one that is read here")
    _check_metaschema(document)
    _check_nodes(document)
    if not fields_of(document, document):
        raise ValueError("it describes no field, so nothing can be held against it")
    return Schema(document)


def mismatches(schema: Schema, config: Json) -> tuple[Mismatch, ...]:
    """Where `config` does not fit, at most MAX_MISMATCHES. Raises ValueError where that cannot be found out."""
    faults = Reader(schema).read(config).faults
    found = dict.fromkeys(Mismatch(shown(fault.path), told(fault)) for fault in faults)
    return tuple(found)[:MAX_MISMATCHES]


def _check_metaschema(document: dict[str, Json]) -> None:
    import jsonschema_rs  # noqa: PLC0415 - only where there is a schema

    try:
        jsonschema_rs.meta.validate(document, registry=jsonschema_rs.Registry([], retriever=_fetch_nothing))
    except jsonschema_rs.ValidationError as error:
        at = plain("/".join(map(str, error.instance_path)), 100)
        raise ValueError(f"it is no JSON Schema: its metaschema does not allow what stands at `/{at}`") from None
    except ValueError:
        raise ValueError("it is nested too deeply") from None


def _fetch_nothing(address: str) -> Never:
    raise ValueError(f"{plain(address, 100)} is not fetched")


def _check_nodes(document: dict[str, Json]) -> None:
    """Every reference leads to a subschema, every pattern can be matched, and nothing is absurdly large."""
    seen: dict[int, Mapping[str, Json]] = {}
    patterns: set[str] = set()
    ahead: list[Node] = [document]
    while ahead:
        node = ahead.pop()
        if isinstance(node, bool) or id(node) in seen:
            continue
        seen[id(node)] = node
        if len(seen) > MAX_NODES:
            raise ValueError(f"it has more than {MAX_NODES} subschemas")
        ahead += _subschemas(node)
        _check_keywords(node, is_root=node is document)
        patterns |= {*named(node, "patternProperties"), *cast("list[str]", filter(None, [node.get("pattern")]))}
        if len(patterns) > MAX_PATTERNS:
            raise ValueError(f"it has more than {MAX_PATTERNS} regular expressions")
    for pattern in patterns:
        regex(pattern)
    for node in seen.values():
        if "$ref" in node:
            target = resolve(document, cast("str", node["$ref"]))
            if not isinstance(target, bool) and id(target) not in seen:
                raise ValueError(f"a `$ref` points to what is no schema: `{name(cast('str', node['$ref']))}`")


def _subschemas(node: Mapping[str, Json]) -> Iterator[Node]:
    for keyword in _ONE:
        if keyword in node:
            yield cast("Node", node[keyword])
    for keyword in _LISTS:
        yield from several(node, keyword)
    for keyword in _MAPS:
        yield from named(node, keyword).values()


def _check_keywords(node: Mapping[str, Json], *, is_root: bool) -> None:
    unfollowed = [keyword for keyword in _UNFOLLOWED if keyword in node]
    if "$id" in node and not is_root:
        unfollowed.append("$id")
    if unfollowed:
        raise ValueError(f"it uses `{unfollowed[0]}`, which is not followed here")
    if any(isinstance(value, list) and len(value) > MAX_LIST for value in node.values()):
        raise ValueError(f"it has a list of more than {MAX_LIST} entries")
