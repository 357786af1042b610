"""What a saved plan of Terraform changes, and which image it takes away. Pure.

`terraform show -json PLAN` prints it: the plan representation of Terraform's "JSON Output Format", version 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from bot.core.decoding import decode
from bot.errors import ServiceError

Action = Literal["create", "update", "replace", "delete", "move", "import", "forget", "other"]

_ACTIONS: dict[tuple[str, ...], Action] = {
    ("create",): "create",
    ("update",): "update",
    ("delete", "create"): "replace",
    ("create", "delete"): "replace",
    ("delete",): "delete",
    ("forget",): "forget",
}
_NAMES_AN_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,499}")
_DEEP = 64


class Changed(msgspec.Struct, frozen=True):
    """A resource, by its address in the configuration, and what is done to it."""

    address: str
    action: Action


class Changes(msgspec.Struct, frozen=True):
    """What a plan does, in its order. Reading a data source is no change."""

    changed: tuple[Changed, ...] = ()
    was: tuple[str, ...] = ()
    """The values in whose place the plan puts the image: one, where the same image runs everywhere."""
    is_secret: bool = False
    """Whether one of them stands in something that is marked sensitive."""
    held: bool = False
    """Whether a resource that does not change has the image already."""
    complete: bool = True
    """Whether Terraform would have nothing more to do afterwards."""


class _Change(msgspec.Struct):
    actions: tuple[str, ...]
    before: msgspec.Raw = msgspec.Raw(b"null")
    after: msgspec.Raw = msgspec.Raw(b"null")
    after_unknown: msgspec.Raw = msgspec.Raw(b"null")
    before_sensitive: msgspec.Raw = msgspec.Raw(b"null")
    after_sensitive: msgspec.Raw = msgspec.Raw(b"null")
    importing: msgspec.Raw = msgspec.Raw(b"null")


class _Resource(msgspec.Struct):
    address: str
    change: _Change
    mode: str = "managed"
    deposed: str = ""
    previous_address: str = ""


class _Document(msgspec.Struct):
    format_version: str
    resource_changes: list[_Resource] = []
    complete: bool = True
    errored: bool = False


def changes(document: bytes, image: str) -> Changes:
    """What the plan in this JSON does, that is to point a service at `image`. Raises ServiceError for no such JSON."""
    try:
        read = decode(document, _Document)
        if not read.format_version.startswith("1."):
            raise _unreadable(f"format {read.format_version[:20]!r}")
        return _changes(read, image)
    except (msgspec.MsgspecError, RecursionError):
        raise _unreadable("no plan in JSON") from None


def _changes(document: _Document, image: str) -> Changes:
    changed: list[Changed] = []
    held = False
    was: set[str] = set()
    is_secret = False
    for resource in document.resource_changes:
        if resource.mode != "managed":
            continue
        change, action = resource.change, _action(resource)
        if action is None:
            held = held or any(image in text for text in _texts(_value(change.after)))
            continue
        address = f"{resource.address} (deposed)" if resource.deposed else resource.address
        changed.append(Changed(address, action))
        for name, old in _replaced(change, image):
            was.add(old)
            is_secret |= _is_marked(change.before_sensitive, name) or _is_marked(change.after_sensitive, name)
    return Changes(
        tuple(changed),
        tuple(sorted(was)),
        is_secret,
        held,
        document.complete and not document.errored,
    )


def _action(resource: _Resource) -> Action | None:
    actions = resource.change.actions
    if actions == ("read",):
        return None
    if actions == ("no-op",):
        if _value(resource.change.importing) is not None:
            return "import"
        return "move" if resource.previous_address else None
    return _ACTIONS.get(actions, "other")


def _replaced(change: _Change, image: str) -> Iterator[tuple[str, str]]:
    """The attributes of a resource in which the image takes the place of a value, with that value."""
    before, after = _value(change.before), _value(change.after)
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name, value in after.items():
            for old in _olds(before.get(name), value, image):
                yield name, old


def _olds(before: object, after: object, image: str, depth: int = 0) -> Iterator[str]:
    """What stood where the image stands now: an item, or a part of a text, which may itself be JSON."""
    if depth > _DEEP:
        return
    if isinstance(after, Mapping) and isinstance(before, Mapping):
        for name, value in after.items():
            yield from _olds(before.get(name), value, image, depth + 1)
    elif isinstance(after, list) and isinstance(before, list):
        for old, new in _pairs(before, after):
            yield from _olds(old, new, image, depth + 1)
    elif isinstance(after, str) and isinstance(before, str) and image in after and image not in before:
        inner = _inner(before), _inner(after)
        if inner[0] is not None and inner[1] is not None:
            yield from _olds(*inner, image, depth + 1)
            return
        head, _, tail = after.partition(image)
        old = before[len(head) : len(before) - len(tail)]
        if before == f"{head}{old}{tail}" and _NAMES_AN_IMAGE.fullmatch(old):
            yield old


def _pairs(before: list[object], after: list[object]) -> Iterator[tuple[object, object]]:
    """Items that stand for the same thing: by their names where all have one, as containers do; else by their place."""
    old, new = _by_name(before), _by_name(after)
    if old is None or new is None:
        yield from zip(before, after, strict=False)
    else:
        yield from ((old[name], item) for name, item in new.items() if name in old)


def _by_name(items: list[object]) -> dict[str, object] | None:
    found: dict[str, object] = {}
    for item in items:
        name = item.get("name") if isinstance(item, Mapping) else None
        if isinstance(name, str):
            found[name] = item
    return found if len(found) == len(items) else None


def _is_marked(marks: msgspec.Raw, name: str) -> bool:
    """Whether anything in this attribute is marked sensitive."""
    value = _value(marks)
    return _any_true(value.get(name)) if isinstance(value, Mapping) else value is True


def _any_true(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(_any_true(item) for item in value.values())
    return any(_any_true(item) for item in value) if isinstance(value, list) else value is True


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _inner(text: str) -> object:
    """The JSON in a text, as resources of some providers keep it; None where it is no object and no list."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        found: object = decode(text, object)
    except (msgspec.MsgspecError, RecursionError):
        return None
    return found


def _value(raw: msgspec.Raw) -> object:
    value: object = decode(raw, object)
    return value


def _unreadable(what: str) -> ServiceError:
    return ServiceError(
        f"terraform show -json printed {what} that can be read",
        where="terraform",
        next_step="Use Terraform 1.9 or newer; run the printed commands by hand to see what it says.",
    )
