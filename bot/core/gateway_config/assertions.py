"""What a schema asserts of one value without looking inside it. JSON Schema Validation 2020-12, section 6. Pure."""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import TypeAlias, cast

from bot.core.gateway_config.nodes import regex
from bot.core.gateway_config.values import Json

_Compared: TypeAlias = Callable[[float, float], bool]


def _is_multiple(value: float, rule: float) -> bool:
    from fractions import Fraction  # noqa: PLC0415 - 5 ms, for a keyword that is rare

    return Fraction(str(value)) % Fraction(str(rule)) == 0


AT_MOST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
AT_LEAST = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_NUMBER: dict[str, _Compared] = {
    "maximum": operator.le,
    "exclusiveMaximum": operator.lt,
    "minimum": operator.ge,
    "exclusiveMinimum": operator.gt,
    "multipleOf": _is_multiple,
}
_SIZE: dict[type, dict[str, _Compared]] = {
    str: {"maxLength": operator.le, "minLength": operator.ge},
    list: {"maxItems": operator.le, "minItems": operator.ge},
    dict: {"maxProperties": operator.le, "minProperties": operator.ge},
}
_TYPES: dict[type, tuple[str, ...]] = {
    type(None): ("null",),
    bool: ("boolean",),
    int: ("integer", "number"),
    str: ("string",),
    list: ("array",),
    dict: ("object",),
}


def broken(node: Mapping[str, Json], value: Json) -> Iterator[str]:
    """The keywords of `node` whose assertion `value` does not meet."""
    if "type" in node and not set(types_of(value)) & set(strings(node["type"])):
        yield "type"
    if "enum" in node and identity(value) not in map(identity, cast("list[Json]", node["enum"])):
        yield "enum"
    if "const" in node and identity(value) != identity(node["const"]):
        yield "const"
    compared: dict[str, _Compared] = {}
    measure: float = 0
    if isinstance(value, int | float) and not isinstance(value, bool):
        compared, measure = _NUMBER, value
    elif isinstance(value, str | list | dict):
        compared, measure = _SIZE[type(value)], len(value)
    for keyword, holds in compared.items():
        if keyword in node and not holds(measure, cast("float", node[keyword])):
            yield keyword
    if isinstance(value, str) and "pattern" in node and not regex(cast("str", node["pattern"]))(value):
        yield "pattern"
    if isinstance(value, list) and node.get("uniqueItems") and len(set(map(identity, value))) < len(value):
        yield "uniqueItems"


def types_of(value: Json) -> tuple[str, ...]:
    """The names of a value's types; 1.0 is an integer, as section 6.1.1 has it."""
    if isinstance(value, float):
        return ("integer", "number") if value.is_integer() else ("number",)
    return _TYPES[type(value)]


def strings(value: Json) -> tuple[str, ...]:
    """The texts of a keyword that has one or a list of them."""
    return (value,) if isinstance(value, str) else tuple(cast("list[str]", value))


def identity(value: Json) -> Hashable:
    """Equal for equal JSON values: 1 is 1.0 and not true, the order of keys does not count."""
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, list):
        return ("array", *map(identity, value))
    if isinstance(value, dict):
        return frozenset((key, identity(field)) for key, field in value.items())
    return value
