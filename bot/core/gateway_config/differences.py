"""What a new schema changes for the places that our config uses; what else changed is of no interest here. Pure.

Both schemas read the same config. What breaks is what the new one finds and the old one does not, so `mismatches`
says it as well. What only became narrower is told where a value proves it, which the old schema takes and the new one
does not: definitions that moved and alternatives that were split change nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, cast

import msgspec

from bot.core.gateway_config.assertions import AT_LEAST, AT_MOST, identity, strings
from bot.core.gateway_config.deprecation import deprecation, description
from bot.core.gateway_config.faults import Fault, listed, literal, told
from bot.core.gateway_config.nodes import Node, Schema
from bot.core.gateway_config.places import Places
from bot.core.gateway_config.values import Json, Path, collapsed, name

Kind = Literal["removed", "renamed", "refused", "required", "type", "values", "limit", "combination", "deprecated"]

MAX_DIFFERENCES = 100
_NOT_LOOKED_INTO = ("unknown", "type", "values", "alternatives", "refused")
_MAX_CANDIDATES = 100
_ALIKE = 0.75


class Difference(msgspec.Struct, frozen=True):
    """One change at a field that our config uses; `path` stands for all items of a list. `breaks`: ours does not fit.

    `text` holds words of the schema, which strangers wrote, and no value of the config.
    """

    path: str
    kind: Kind
    text: str
    breaks: bool = False


def differences(old: Schema, new: Schema, config: Json) -> tuple[Difference, ...]:
    """What changes for `config`, what breaks first; at most MAX_DIFFERENCES.

    Raises ValueError where that cannot be found out, which is no answer, and not the answer that nothing changes.
    """
    before, after = Places(old, config), Places(new, config)
    found = {
        *_broken(before, after),
        *_forgotten(before, after),
        *_narrower(before, after),
        *_deprecated(before, after),
    }
    return tuple(sorted(found, key=lambda one: (not one.breaks, one.path, one.kind, one.text)))[:MAX_DIFFERENCES]


def _broken(before: Places, after: Places) -> Iterator[Difference]:
    """What does not fit any more. What the old schema refuses, it did not look into."""
    as_ever = {_identity(fault) for fault in before.faults}
    unread = _unread(before)
    for fault in after.faults:
        if _identity(fault) not in as_ever and not unread & _upwards(fault.path):
            kind, text = _said(fault, before, after)
            yield Difference(collapsed(fault.path), kind, text, breaks=True)


def _identity(fault: Fault) -> tuple[object, ...]:
    """The same for what two schemas say in other words: whichever values they allow instead, ours is none."""
    return fault.path, fault.kind, fault.keyword, fault.names if fault.kind in {"missing", "together"} else ()


def _unread(places: Places) -> set[Path]:
    """Where the value is so wrong that the schema does not look into it."""
    return {fault.path for fault in places.faults if fault.kind in _NOT_LOOKED_INTO}


def _upwards(path: Path) -> set[Path]:
    return {path[:length] for length in range(len(path) + 1)}


def _said(fault: Fault, before: Places, after: Places) -> tuple[Kind, str]:
    names = listed(fault.names)
    match fault.kind:
        case "unknown" if fault.path[-1] in after.fields(fault.path[:-1]):
            return "combination", "does not go with what else stands there now"
        case "unknown":
            gone = _gone(fault.path, before, after)
            return gone or ("refused", "fields that the schema does not know are refused now")
        case "missing":
            return "required", f"{_required(fault.names)}; ours lacks it"
        case "alternatives":
            return "required", f"one of {names} is required now; ours has none"
        case "type":
            was = [one for rule in before.rules(fault.path, "type") for one in strings(rule)]
            return "type", f"must be of type {names} now{f', was {listed(was)}' if was else ''}"
        case "values":
            return "values", f"ours is not one of the values allowed now: {names}"
        case "limit" if not fault.names:
            return "limit", f"ours breaks `{name(fault.keyword)}` now"
        case "limit":
            limit = _limit(fault.keyword, fault.names, before.rules(fault.path, fault.keyword))
            return "limit", f"{limit}; ours does not fit"
        case "together" | "refused":
            return "combination", f"now {told(fault)}"


def _required(names: Sequence[str]) -> str:
    return f"{listed(names, 'and')} {'is' if len(names) == 1 else 'are'} required now"


def _limit(keyword: str, now: tuple[str, ...], was: list[Json]) -> str:
    return f"`{name(keyword)}` is {listed(now)} now, was {listed(map(literal, was)) if was else 'not limited'}"


def _gone(path: Path, before: Places, after: Places) -> tuple[Kind, str] | None:
    """What is said of a field that the new schema does not know; None where the old one did not know it by name."""
    key = str(path[-1])
    known = before.fields(path[:-1])
    if key not in known:
        return None
    new = {one: node for one, node in after.fields(path[:-1]).items() if one not in known}
    successor = _successor(key, known[key], new)
    if successor:
        return "renamed", f"is gone; `{name(successor)}` is new there and may take its place"
    return "removed", "is gone"


def _successor(key: str, node: Node, new: Mapping[str, Node]) -> str | None:
    """The new field that is described in the same words, or has a name much like it."""
    from difflib import SequenceMatcher  # noqa: PLC0415 - only where a field is gone

    candidates = list(new.items())[:_MAX_CANDIDATES]
    said = description(node)
    for other, described in candidates:
        if said and said == description(described):
            return other
    likeness = {other: SequenceMatcher(None, name(key).lower(), name(other).lower()).ratio() for other, _ in candidates}
    for other in list(likeness):
        short, long = sorted((key.lower(), other.lower()), key=len)
        if len(short) > 3 and (long.startswith(short) or long.endswith(short)):  # noqa: PLR2004 - `ai` is part of much
            likeness[other] = max(likeness[other], _ALIKE)
    best = max(likeness, key=lambda other: likeness[other], default=None)
    return best if best is not None and likeness[best] >= _ALIKE else None


def _forgotten(before: Places, after: Places) -> Iterator[Difference]:
    """Fields that the new schema takes without knowing them, so that they may do nothing any more."""
    unread = _unread(after)
    for path in before.nodes:
        if not path or path in after.nodes or path[:-1] not in after.nodes or unread & _upwards(path):
            continue
        gone = _gone(path, before, after) if isinstance(path[-1], str) else None
        if gone is not None and path[-1] not in after.fields(path[:-1]):
            yield Difference(collapsed(path), gone[0], f"{gone[1]}; it is taken, but may do nothing")


def _deprecated(before: Places, after: Places) -> Iterator[Difference]:
    for path, nodes in after.nodes.items():
        if path in before.nodes:
            sentence = deprecation(nodes)
            if sentence and not deprecation(before.nodes[path]):
                yield Difference(collapsed(path), "deprecated", sentence)


def _narrower(before: Places, after: Places) -> Iterator[Difference]:
    """Where less is allowed than before, though ours still is."""
    for path in before.nodes:
        if path not in after.nodes or path in before.at_fault or path in after.at_fault:
            continue
        gone = list(_values_gone(path, before, after))
        if gone:
            yield Difference(collapsed(path), "values", f"no longer allowed: {listed(gone, 'and')}; ours still is")
        required = list(_required_now(path, before, after))
        if required:
            yield Difference(collapsed(path), "required", f"{_required(required)}; ours fits")
        for text in _limits(path, before, after):
            yield Difference(collapsed(path), "limit", f"{text}; ours fits")


def _values_gone(path: Path, before: Places, after: Places) -> Iterator[str]:
    still = {identity(value) for value in _values(path, after)}
    for value in _values(path, before):
        if identity(value) not in still and before.takes(path, value) and not after.takes(path, value):
            yield literal(value)


def _values(path: Path, places: Places) -> list[Json]:
    listed_values = cast("list[list[Json]]", places.rules(path, "enum"))
    return [*places.rules(path, "const"), *(value for values in listed_values for value in values)]


def _required_now(path: Path, before: Places, after: Places) -> Iterator[str]:
    was = {key for rule in before.rules(path, "required") for key in strings(rule)}
    value = before.value(path)
    for key in dict.fromkeys(key for rule in after.rules(path, "required") for key in strings(rule)):
        if isinstance(value, dict) and key in value and key not in was:
            without = {other: field for other, field in value.items() if other != key}
            if before.takes(path, without) and not after.takes(path, without):
                yield key


def _limits(path: Path, before: Places, after: Places) -> Iterator[str]:
    for keywords, narrowest in ((AT_MOST, min), (AT_LEAST, max)):
        for keyword in keywords:
            was = cast("list[float]", before.rules(path, keyword))
            now = cast("list[float]", after.rules(path, keyword))
            if now and (not was or narrowest(*now, narrowest(was)) != narrowest(was)):
                yield _limit(keyword, (literal(narrowest(now)),), [narrowest(was)] if was else [])
    for keyword in ("pattern", "multipleOf"):
        was_rules = before.rules(path, keyword)
        for rule in after.rules(path, keyword):
            if rule not in was_rules:
                yield _limit(keyword, (literal(rule),), was_rules)
