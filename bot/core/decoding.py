"""JSON, and what is like it, to typed values; safe in several threads at once.

msgspec works out what it has to know of a type when that is first used, and keeps it on the type before it is whole:
a thread that comes to the same type meanwhile ends the process (a segmentation fault, with 0.22). So this is done
once for each type, by one thread at a time. What is known of a type is then only read. Encoding needs none of it.
"""

from __future__ import annotations

from threading import Lock
from typing import Any, TypeVar

import msgspec

_T = TypeVar("_T")

_making = Lock()
_made: dict[object, msgspec.json.Decoder[Any]] = {}  # Any: of each kind its own


def decode(data: bytes | str | msgspec.Raw, kind: type[_T]) -> _T:
    """The value of `kind` that this JSON is. Raises as `msgspec.json.decode` does: ValueError, RecursionError."""
    value: _T = _decoder(kind).decode(data)
    return value


def convert(value: object, kind: type[_T]) -> _T:
    """The value of `kind` that plain values make, as TOML and other libraries yield them. Raises ValidationError."""
    _decoder(kind)
    return msgspec.convert(value, kind)


def _decoder(kind: object) -> msgspec.json.Decoder[Any]:
    found = _made.get(kind)
    if found is None:
        with _making:
            found = _made.setdefault(kind, msgspec.json.Decoder(kind))
    return found
