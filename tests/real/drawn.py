"""Configs drawn from a schema: most of what it describes, and now and then something wrong."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any, cast

from bot.core.gateway_config.nodes import resolve
from bot.core.gateway_config.values import Json

_WRONG: tuple[Json, ...] = (None, True, -1, 70_000, 1.5, "x", "", [], {}, {"zz": 1}, ["x"], [{}])
_ANY: tuple[Json, ...] = (1, "x", {"k": "v"})
_DEEP = 14


def drawn(document: Mapping[str, Json], chance: Random, *, wrong: float = 0) -> Json:
    """A value of the schema; `wrong` is how likely each part of it is something else."""
    return _Draw(document, chance, wrong).value(dict(document), 0)


class _Draw:
    def __init__(self, document: Mapping[str, Json], chance: Random, wrong: float) -> None:
        self._document = document
        self._chance = chance
        self._wrong = wrong

    def value(self, node: Any, depth: int) -> Json:
        if self._chance.random() < self._wrong:
            return self._chance.choice(_WRONG)
        if node is True or not node:
            return self._chance.choice(_ANY)
        if "const" in node or "enum" in node:
            return cast("Json", node.get("const", self._chance.choice(node.get("enum", [None]))))
        whole: Json = None
        if "$ref" in node:
            whole = self.value(resolve(self._document, node["$ref"]), depth + 1)
        for keyword in {"anyOf", "oneOf"} & set(node):
            whole = _joined(whole, self.value(self._branch(node[keyword], depth), depth + 1))
        kinds = node.get("type", "object" if "properties" in node else None)
        kind = self._chance.choice(kinds) if isinstance(kinds, list) else kinds
        return whole if kind is None else _joined(whole, self._of(kind, node, depth))

    def _branch(self, branches: list[Any], depth: int) -> Any:
        nulls = [branch for branch in branches if branch.get("type") == "null"]
        return nulls[0] if nulls and depth > _DEEP else self._chance.choice(branches)

    def _of(self, kind: str, node: Any, depth: int) -> Json:
        match kind:
            case "object":
                return self._object(node, depth)
            case "array":
                first = [self.value(item, depth + 1) for item in node.get("prefixItems", [])]
                more = self._chance.randint(0, 2) if depth < _DEEP and not first else 0
                return first + [self.value(node.get("items", True), depth + 1) for _ in range(more)]
            case "string":
                return self._chance.choice(("x", "10s", "a.b", "8080"))
            case "integer":
                return self._chance.randint(max(0, node.get("minimum", 0)), min(100, node.get("maximum", 100)))
            case "number":
                return 0.5
            case "boolean":
                return self._chance.random() < 0.5
        return None

    def _object(self, node: Any, depth: int) -> dict[str, Json]:
        properties = node.get("properties", {})
        often = min(0.5 if depth < 6 else 0.25, 6 / (len(properties) or 1)) if depth < _DEEP else 0
        made = {
            key: self.value(field, depth + 1)
            for key, field in properties.items()
            if key in node.get("required", []) or self._chance.random() < often
        }
        if node.get("additionalProperties") and depth < _DEEP:
            made |= {f"k{n}": self.value(node["additionalProperties"], depth + 1) for n in range(2)}
        if made and self._chance.random() < self._wrong:
            made.pop(self._chance.choice(list(made)))
        if self._chance.random() < self._wrong:
            made[self._chance.choice(("zz", "names", "azureOpenAI"))] = self._chance.choice(_WRONG)
        return made


def _joined(one: Json, other: Json) -> Json:
    return {**one, **other} if isinstance(one, dict) and isinstance(other, dict) else other
