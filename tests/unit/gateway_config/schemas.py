"""Small schemas in the style of a gateway's: what a program that derives them from its types publishes."""

from __future__ import annotations

from typing import Any

import msgspec

from bot.core.gateway_config.nodes import Schema
from bot.core.gateway_config.schema import parse_schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def body(document: object) -> bytes:
    return msgspec.json.encode(document)


def schema(properties: dict[str, Any], **more: object) -> Schema:
    """A closed object with these fields; `defs` are its definitions."""
    defs = more.pop("defs", {})
    document = {"$schema": DIALECT, "type": "object", "properties": properties, "additionalProperties": False}
    return parse_schema(body({**document, **more, "$defs": defs}))


def closed(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def tagged(**variants: Any) -> dict[str, Any]:
    """One of several objects, each with a single field that names it."""
    return {"oneOf": [closed({name: variant}, name) for name, variant in variants.items()]}
