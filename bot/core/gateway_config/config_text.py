"""A config's text -> its JSON value, as the program reads it: libyaml's grammar, transcoded to JSON.

What a plain scalar means is YAML 1.2.2, section 10.3 (core schema): `yes` is a text, a date is a text, `<<` is an
ordinary key. No error holds a piece of the config, which may hold secrets.
"""

from __future__ import annotations

import math
import re
from typing import Any, cast

import yaml
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
)

from bot.core.gateway_config.values import Json

MAX_CHARS = 1024 * 1024
MAX_DEPTH = 64
MAX_VALUES = 100_000
"""Counted with aliases written out: a few lines can stand for billions of values."""

_CORE = "tag:yaml.org,2002:"
_INTEGER = re.compile(r"[-+]?(?:0x[0-9a-fA-F]+|0o[0-7]+|0b[01]+|0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE])|[1-9][0-9]*)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLS = {text: text.lower() == "true" for text in ("true", "True", "TRUE", "false", "False", "FALSE")}
_INTEGER_BITS = 128
_MAX_NUMBER = 400
"""Characters; reading a much longer number would take long, and nobody means one."""


class _Node:
    """A value, how many values it is when written out, and how deep it is."""

    __slots__ = ("height", "size", "value")

    def __init__(self, value: Json, size: int = 1, height: int = 0) -> None:
        self.value = value
        self.size = size
        self.height = height


class _Composer:
    """Events -> the value of the one document."""

    def __init__(self, text: str) -> None:
        self._events = yaml.parse(text, Loader=yaml.CBaseLoader)
        self._anchors: dict[str, _Node | None] = {}
        self._values = 0

    def document(self) -> Json:
        next(self._events)
        first = next(self._events)
        if not isinstance(first, DocumentStartEvent):
            raise _refused(first, "it is empty")
        root = self._node(self._next(), 0)
        next(self._events)
        after = next(self._events)
        if isinstance(after, DocumentStartEvent):
            raise _refused(after, "a second document begins; a config is one")
        return root.value

    def _next(self) -> NodeEvent:
        return cast("NodeEvent", next(self._events))

    def _node(self, event: NodeEvent, depth: int) -> _Node:
        if isinstance(event, AliasEvent):
            aliased = self._anchors.get(event.anchor or "")
            if aliased is None:
                raise _refused(event, "an alias has no anchor, or stands inside its own")
            self._count(aliased, event, depth)
            return aliased
        if event.anchor:
            self._anchors[event.anchor] = None
        if isinstance(event, ScalarEvent):
            node = _Node(_scalar(event))
            self._count(node, event, depth)
        else:
            self._count(_Node(None), event, depth)
            node = self._collection(cast("CollectionStartEvent", event), depth)
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _count(self, node: _Node, event: Event, depth: int) -> None:
        self._values += node.size
        if self._values > MAX_VALUES:
            raise _refused(event, f"here it holds more than {MAX_VALUES} values, with aliases written out")
        if depth + node.height > MAX_DEPTH:
            raise _refused(event, f"it is nested more than {MAX_DEPTH} deep")

    def _collection(self, event: CollectionStartEvent, depth: int) -> _Node:
        is_mapping = isinstance(event, MappingStartEvent)
        if event.tag not in {None, _CORE + ("map" if is_mapping else "seq")}:
            raise _refused(event, "a tag is not of YAML's core schema, or contradicts its value")
        size, height = 1, 0
        items: list[Json] = []
        fields: dict[str, Json] = {}
        key = ""
        while not isinstance(following := self._next(), CollectionEndEvent):
            if is_mapping:
                key = self._key(following, depth, fields)
                following = self._next()
            node = self._node(following, depth + 1)
            if is_mapping:
                fields[key] = node.value
            else:
                items.append(node.value)
            size, height = size + node.size + is_mapping, max(height, node.height + 1)
        return _Node(fields if is_mapping else items, size, height)

    def _key(self, event: NodeEvent, depth: int, before: dict[str, Json]) -> str:
        key = self._node(event, depth + 1).value
        if not isinstance(key, str):
            raise _refused(event, "a key is no text; write it in quotes")
        if key in before:
            raise _refused(event, "a key appears twice in its mapping")
        return key


def parse_config(text: str) -> Json:
    """The JSON value of a config whose variables are already replaced.

    Refused, though the program takes some of it: duplicate keys, keys that are no text, infinity and NaN, several
    documents, tags beyond the core schema. Raises ValueError, which names the line and quotes nothing of `text`.
    """
    if len(text) > MAX_CHARS:
        raise ValueError(f"it is longer than {MAX_CHARS} characters")
    try:
        return _Composer(text).document()
    except yaml.MarkedYAMLError as error:
        # what libyaml calls the problem is one of its constants
        raise ValueError(f"line {_line(error.problem_mark)}: it is no YAML: {error.problem}") from None
    except (yaml.YAMLError, UnicodeEncodeError):
        raise ValueError("it is no YAML: it holds a character that YAML does not allow") from None


def _scalar(event: ScalarEvent) -> Json:
    text: str = event.value
    quoted = event.tag is None and not event.implicit[0]
    if quoted or event.tag == f"{_CORE}str":
        return text
    value = _plain(text, event)
    if event.tag is None:
        return value
    kinds: dict[type, str] = {type(None): "null", bool: "bool", int: "int", float: "float"}
    if event.tag == f"{_CORE}{kinds.get(type(value))}":
        return value
    if event.tag == f"{_CORE}float" and type(value) is int:
        return float(value)
    raise _refused(event, "a tag is not of YAML's core schema, or contradicts its value")


def _plain(text: str, event: ScalarEvent) -> Json:
    if text in _NULLS:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    if _NOT_FINITE.fullmatch(text):
        raise _refused(event, "infinity and NaN are no JSON; write a text in quotes")
    if len(text) > _MAX_NUMBER:
        return text
    if _INTEGER.fullmatch(text) and (number := int(text, 0)).bit_length() <= _INTEGER_BITS:
        return number
    if _FLOAT.fullmatch(text) and math.isfinite(real := float(text)):
        return real
    return text


def _refused(event: Event, why: str) -> ValueError:
    return ValueError(f"line {_line(event.start_mark)}: {why}")


def _line(mark: Any) -> int:
    """From 1; libyaml's marks and those of pure Python have no type in common."""
    return int(mark.line) + 1 if mark else 1
