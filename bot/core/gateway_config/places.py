"""A config as one schema reads it, place by place. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import cast

from bot.core.gateway_config.assertions import identity
from bot.core.gateway_config.faults import Fault
from bot.core.gateway_config.nodes import Node, Schema, fields_of
from bot.core.gateway_config.reading import Outcome, Reader
from bot.core.gateway_config.values import Json, Path

_MAX_TRIES = 500


class Places:
    """At each place of a config the subschemas that speak about it. Raises ValueError where that takes too long."""

    def __init__(self, schema: Schema, config: Json) -> None:
        self._schema = schema
        self._config = config
        self._trier = Reader(schema)
        self._entries: dict[Path, list[Node]] = {}
        self._fields: dict[tuple[int, ...], dict[str, Node]] = {}
        self._taken: dict[tuple[Hashable, ...], bool] = {}
        self.nodes: dict[Path, list[Mapping[str, Json]]] = {}
        root = Reader(schema).read(config)
        self.faults: list[Fault] = root.faults
        self.at_fault = {fault.path[:length] for fault in root.faults for length in range(len(fault.path) + 1)}
        """Every place where something does not fit, there or inside."""
        self._take(root)

    def _take(self, root: Outcome) -> None:
        seen: set[int] = set()
        ahead = [(root, True)]
        while ahead:
            outcome, is_entry = ahead.pop()
            if is_entry:
                self._entries.setdefault(outcome.path, []).append(outcome.node)
            if id(outcome) in seen:
                continue
            seen.add(id(outcome))
            if not isinstance(outcome.node, bool):
                self.nodes.setdefault(outcome.path, []).append(outcome.node)
            ahead += [(part, part.path != outcome.path) for part in reversed(outcome.parts)]

    def value(self, path: Path) -> Json:
        """What our config has there."""
        at = self._config
        for step in path:
            at = cast("dict[str | int, Json]", at)[step]
        return at

    def takes(self, path: Path, value: Json) -> bool:
        """Whether another value would fit there. Yes where that is not known: after many questions, or costly ones."""
        nodes = self._entries.get(path, [])
        key = (*map(id, nodes), identity(value))
        if key not in self._taken and len(self._taken) < _MAX_TRIES:
            at = (len(self._taken),)
            try:
                self._taken[key] = all(self._trier.read(value, at, node).fits for node in nodes)
            except ValueError:
                self._taken[key] = True
        return self._taken.get(key, True)

    def rules(self, path: Path, keyword: str) -> list[Json]:
        """What a keyword says about the value there, in each subschema that has it."""
        return [node[keyword] for node in self.nodes.get(path, []) if keyword in node]

    def fields(self, path: Path) -> dict[str, Node]:
        """The fields that can be there by name, in whichever alternative."""
        nodes = self._entries.get(path, [])
        key = tuple(map(id, nodes))
        if key not in self._fields:
            self._fields[key] = fields_of(self._schema.document, *nodes)
        return self._fields[key]
