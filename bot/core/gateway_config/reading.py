"""A config read by a schema: what does not fit, and which parts of the schema speak about which place.

JSON Schema Core 2020-12, sections 7.7, 10 and 11. Each part of the schema meets each place of the config at most
once, so that branches of branches and references that lead back cost no more than parts times places.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import cast

from bot.core.gateway_config.assertions import broken, strings
from bot.core.gateway_config.faults import Fault, fault_of, meant
from bot.core.gateway_config.nodes import Node, Schema, fields_of, named, one, regex, resolve, several
from bot.core.gateway_config.values import Json, Path

MAX_STEPS = 100_000
MAX_FAULTS = 50
_LOOKED_THROUGH = ("enum", "required", "dependentRequired", "dependentSchemas")
"""Keywords that cost more, the more they list."""


class Outcome:
    """What came of holding one value against one subschema.

    `parts` are those of its subschemas that speak about the value or what is in it: of alternatives the ones that
    fit, or else the one that was meant. `seen` are the keys and indexes in the value that were spoken about.
    """

    __slots__ = ("faults", "node", "parts", "path", "seen")

    def __init__(self, node: Node, path: Path) -> None:
        self.node = node
        self.path = path
        self.faults: list[Fault] = []
        self.parts: list[Outcome] = []
        self.seen: set[str | int] = set()

    @property
    def fits(self) -> bool:
        return not self.faults

    def blame(self, faults: Iterable[Fault]) -> None:
        for fault in faults:
            if len(self.faults) >= MAX_FAULTS:
                break
            if fault not in self.faults:
                self.faults.append(fault)

    def join(self, part: Outcome) -> None:
        """Takes over what a subschema that has to hold says about the same value, or about one in it."""
        self.parts.append(part)
        self.blame(part.faults)
        self.seen |= part.seen if len(part.path) == len(self.path) else {part.path[-1]}


class Reader:
    """Holds values against the subschemas of one schema. Raises ValueError where that takes too long."""

    def __init__(self, schema: Schema) -> None:
        self._document = schema.document
        self._done: dict[tuple[int, Path], Outcome | None] = {}
        self._known: dict[int, tuple[str, ...]] = {}
        self._steps = 0

    def read(self, value: Json, path: Path = (), node: Node | None = None) -> Outcome:
        """`value`, which stands at `path`, against `node`, or else the whole schema."""
        try:
            return self._outcome(self._document if node is None else node, value, path)
        except RecursionError:
            raise ValueError("the schema and the config together are nested too deeply") from None

    def _outcome(self, node: Node, value: Json, path: Path) -> Outcome:
        key = (id(node), path)
        if key in self._done:
            done = self._done[key]
            if done is None:
                raise ValueError("a `$ref` of the schema leads back to itself")
            return done
        self._spend(1)
        self._done[key] = None
        made = Outcome(node, path)
        if isinstance(node, bool):
            made.blame([] if node else [Fault(path, "refused")])
        else:
            self._judge(made, node, value)
        self._done[key] = made
        return made

    def _spend(self, steps: int) -> None:
        self._steps += steps
        if self._steps > MAX_STEPS:
            raise ValueError(f"it takes more than {MAX_STEPS} steps to hold the config against the schema")

    def _judge(self, made: Outcome, node: Mapping[str, Json], value: Json) -> None:
        self._spend(sum(len(cast("list[Json]", node.get(keyword, []))) for keyword in _LOOKED_THROUGH) // 8)
        made.blame(fault_of(node, keyword, made.path) for keyword in broken(node, value))
        for here in self._here(made, node, value):
            made.join(self._outcome(here, value, made.path))
        for keyword in ("anyOf", "oneOf"):
            if keyword in node:
                self._choose(made, several(node, keyword), value, only_one=keyword == "oneOf")
        excluded = one(node, "not")
        if excluded is not None and self._outcome(excluded, value, made.path).fits:
            made.blame([Fault(made.path, "together", _required(excluded))])
        if isinstance(value, dict):
            self._fields(made, node, value)
        elif isinstance(value, list):
            self._items(made, node, value)

    def _here(self, made: Outcome, node: Mapping[str, Json], value: Json) -> Iterator[Node]:
        """The subschemas that have to hold for the same value."""
        if "$ref" in node:
            yield resolve(self._document, cast("str", node["$ref"]))
        yield from several(node, "allOf")
        condition = one(node, "if")
        if condition is not None:
            holds = self._outcome(condition, value, made.path).fits
            if holds:
                yield condition
            branch = one(node, "then" if holds else "else")
            if branch is not None:
                yield branch
        if isinstance(value, dict):
            yield from (then for key, then in named(node, "dependentSchemas").items() if key in value)

    def _choose(self, made: Outcome, branches: list[Node], value: Json, *, only_one: bool) -> None:
        outcomes = [self._outcome(branch, value, made.path) for branch in branches]
        fitting = [outcome for outcome in outcomes if outcome.fits]
        for outcome in fitting:
            made.join(outcome)
        if only_one and len(fitting) > 1:
            names = tuple(key for outcome in fitting for key in _required(outcome.node))
            made.blame([Fault(made.path, "together", names)])
        if not fitting:
            indexes, faults = meant([outcome.faults for outcome in outcomes], made.path)
            made.blame(faults)
            made.parts += [outcomes[index] for index in indexes] if len(indexes) == 1 else []
            # What any of them knows is not unknown besides
            made.seen.update(*(outcome.seen for outcome in outcomes))

    def _fields(self, made: Outcome, node: Mapping[str, Json], value: dict[str, Json]) -> None:
        self._needed(made, node, value)
        properties, patterns = named(node, "properties"), named(node, "patternProperties")
        names, others = one(node, "propertyNames"), one(node, "additionalProperties")
        self._spend(len(patterns) * len(value))
        for key, field in value.items():
            at = (*made.path, key)
            known = [properties[key]] if key in properties else []
            known += [then for pattern, then in patterns.items() if regex(pattern)(key)]
            for part in known:
                made.join(self._outcome(part, field, at))
            if not known and others is not None:
                self._other(made, others, field, at, tuple(properties))
            if names is not None and not self._outcome(names, key, (*at, "(name)")).fits:
                made.blame([Fault(at, "limit", keyword="propertyNames")])
        unevaluated = one(node, "unevaluatedProperties")
        if unevaluated is not None:
            for key in [key for key in value if key not in made.seen]:
                self._other(made, unevaluated, value[key], (*made.path, key), self._fields_of(node))

    def _fields_of(self, node: Mapping[str, Json]) -> tuple[str, ...]:
        if id(node) not in self._known:
            self._known[id(node)] = tuple(fields_of(self._document, node))
        return self._known[id(node)]

    def _other(self, made: Outcome, node: Node, field: Json, at: Path, allowed: tuple[str, ...]) -> None:
        if node is False:
            made.blame([Fault(at, "unknown", allowed)])
            made.seen.add(at[-1])
        else:
            made.join(self._outcome(node, field, at))

    def _needed(self, made: Outcome, node: Mapping[str, Json], value: dict[str, Json]) -> None:
        needed = list(_required(node))
        for key, then in cast("dict[str, list[str]]", node.get("dependentRequired", {})).items():
            needed += then if key in value else []
        made.blame(Fault(made.path, "missing", (key,)) for key in needed if key not in value)

    def _items(self, made: Outcome, node: Mapping[str, Json], value: list[Json]) -> None:
        first, others = several(node, "prefixItems"), one(node, "items")
        for index, item in enumerate(value):
            part = first[index] if index < len(first) else others
            if part is not None:
                made.join(self._outcome(part, item, (*made.path, index)))
        wanted = one(node, "contains")
        if wanted is not None:
            found = [i for i, item in enumerate(value) if self._outcome(wanted, item, (*made.path, i)).fits]
            made.seen.update(found)
            least, most = (
                cast("float", node.get(key, by)) for key, by in (("minContains", 1), ("maxContains", len(value)))
            )
            if not least <= len(found) <= most:
                made.blame([Fault(made.path, "limit", keyword="contains")])
        rest = one(node, "unevaluatedItems")
        if rest is not None:
            for index in [index for index in range(len(value)) if index not in made.seen]:
                made.join(self._outcome(rest, value[index], (*made.path, index)))


def _required(node: Node) -> tuple[str, ...]:
    return () if isinstance(node, bool) else strings(node.get("required", []))
