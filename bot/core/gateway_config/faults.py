"""What does not fit, where, and which of several alternatives was meant. No fault holds a value of the config. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, cast

import msgspec

from bot.core.gateway_config.assertions import strings
from bot.core.gateway_config.values import Json, Path, name

Kind = Literal["unknown", "missing", "type", "values", "limit", "together", "alternatives", "refused"]

_MOST_NAMES = 8


class Fault(msgspec.Struct, frozen=True):
    """One thing that does not fit. `names` are the schema's words: fields, types, values, or a limit.

    `path` ends in the field itself where that is unknown, and is that of the object where a field is missing.
    """

    path: Path
    kind: Kind
    names: tuple[str, ...] = ()
    keyword: str = ""


def fault_of(node: Mapping[str, Json], keyword: str, path: Path) -> Fault:
    """The fault of a value that breaks what `keyword` asserts."""
    rule = node[keyword]
    if keyword == "type":
        return Fault(path, "type", strings(rule), keyword)
    if keyword in {"enum", "const"}:
        return Fault(path, "values", values_of(node), keyword)
    return Fault(path, "limit", (literal(rule),), keyword)


def values_of(node: Mapping[str, Json]) -> tuple[str, ...]:
    """The values that `enum` or `const` allow, as texts."""
    allowed = [node["const"]] if "const" in node else cast("list[Json]", node.get("enum", []))
    return tuple(map(literal, allowed))


def literal(value: Json) -> str:
    """A value of a schema, as a person reads it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def listed(names: Iterable[str], last: str = "or") -> str:
    """`a`, `b` or `c`; of many only some."""
    shown = [f"`{name(one)}`" for one in dict.fromkeys(names)]
    if len(shown) > _MOST_NAMES:
        return f"{', '.join(shown[:_MOST_NAMES])} {last} {len(shown) - _MOST_NAMES} more"
    return f" {last} ".join(filter(None, [", ".join(shown[:-1]), *shown[-1:]]))


def told(fault: Fault) -> str:
    """What is wrong there, in a few words."""
    names = listed(fault.names)
    match fault.kind:
        case "unknown" if fault.path[-1] in fault.names:
            return "does not go with what else stands there"
        case "unknown":
            return f"unknown field; here can be {names or 'none'}"
        case "missing":
            return f"lacks {listed(fault.names, 'and')}"
        case "alternatives":
            return f"lacks one of {names}"
        case "type":
            return f"must be of type {names}"
        case "values":
            return f"must be {names}"
        case "limit":
            return f"breaks `{name(fault.keyword)}`{f': {names}' if names else ''}"
        case "together":
            return f"{listed(fault.names, 'and')} exclude each other" if names else "a combination that is excluded"
        case "refused":
            return "nothing may stand here"


def meant(branches: Sequence[Sequence[Fault]], path: Path) -> tuple[list[int], tuple[Fault, ...]]:
    """Of alternatives that all do not fit: those that were meant, by their index, and what is wrong.

    Meant is the one that comes nearest in shape: of the right type, with the right tag, with the fewest fields
    that are unknown or missing. Where several are as near, what each of them wants is said as one.
    """
    shapes = [_shape(faults, path) for faults in branches]
    least = min(shapes)
    nearest = [index for index, shape in enumerate(shapes) if shape == least]
    merged = _merged([branches[index] for index in nearest], path) if len(nearest) > 1 and any(least) else ()
    if merged:
        return nearest, merged
    best = min(nearest, key=lambda index: len(branches[index]))
    return [best], tuple(branches[best])


def _shape(faults: Sequence[Fault], path: Path) -> tuple[int, int, int]:
    """How far a value is from a branch: a wrong type, wrong tags, fields unknown or missing. (0, 0, 0): only inside."""
    wrong_type = wrong_tag = fields = 0
    for fault in faults:
        depth = len(fault.path) - len(path)
        wrong_type += depth == 0 and fault.kind in {"type", "refused"}
        wrong_tag += (depth == 0 and fault.kind == "values") or (depth == 1 and fault.keyword == "const")
        fields += (depth == 0 and fault.kind in {"alternatives", "together"}) or (
            depth == 1 and fault.kind == "unknown"
        )
        fields += len(fault.names) if depth == 0 and fault.kind == "missing" else 0
    return wrong_type, wrong_tag, fields


def _merged(branches: Sequence[Sequence[Fault]], path: Path) -> tuple[Fault, ...]:
    """One fault for what all of the branches complain about; none where they differ in more than names."""
    unknown = [{fault.path for fault in faults if fault.kind == "unknown"} for faults in branches]
    wanted = tuple(dict.fromkeys(one for faults in branches for one in _wanted(faults, path)))
    if common := set.intersection(*unknown):
        return tuple(Fault(at, "unknown", wanted) for at in sorted(common, key=str))
    if wanted:
        return (Fault(path, "alternatives" if len(wanted) > 1 else "missing", wanted),)
    for kind in ("type", "values"):
        for at in dict.fromkeys(fault.path for fault in branches[0] if fault.kind == kind):
            of_kind = [[fault for fault in faults if (fault.path, fault.kind) == (at, kind)] for faults in branches]
            if all(of_kind):
                names = dict.fromkeys(one for faults in of_kind for fault in faults for one in fault.names)
                return (Fault(at, kind, tuple(names)),)
    return ()


def _wanted(faults: Sequence[Fault], path: Path) -> tuple[str, ...]:
    """The fields that a branch lacks, or else those that it knows instead of others."""
    lacking = [
        one
        for fault in faults
        if fault.path == path and fault.kind in {"missing", "alternatives"}
        for one in fault.names
    ]
    return tuple(
        lacking
        or (one for fault in faults if fault.path[:-1] == path and fault.kind == "unknown" for one in fault.names)
    )
