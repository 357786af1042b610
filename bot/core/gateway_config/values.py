"""The values of a config, and where in it they stand. Pure."""

from __future__ import annotations

from typing import TypeAlias

from bot.core.text import plain

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

Path: TypeAlias = tuple[str | int, ...]
"""Keys and indexes, from the root."""

_NAME = 60
_PATH = 300


def shown(path: Path) -> str:
    """As the program's own errors write it: `binds[0].listeners[0].routes[0]`; the root is `.`."""
    return _joined(path, collapse=False)


def collapsed(path: Path) -> str:
    """The same text for every item of a list: `binds[].listeners[].routes[]`."""
    return _joined(path, collapse=True)


def name(text: str) -> str:
    """A key, or a word of a schema, as it can stand between backticks."""
    return plain(text, _NAME).replace("`", "'")


def _joined(path: Path, *, collapse: bool) -> str:
    parts = []
    for step in path:
        if isinstance(step, int):
            parts.append("[]" if collapse else f"[{step}]")
        else:
            parts.append(f".{name(step)}")
    return plain("".join(parts).removeprefix("."), _PATH) or "."
