"""What a container prints, as it comes from the engine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from requests import Response

MAX_BYTES = 1024 * 1024
"""Of each of the program's two outputs."""

_OUT, _ERR = 1, 2
_HEADER, _CHUNK = 8, 64 * 1024


class Output:
    """What a container prints, read to its end, kept up to a limit. `changed` is set at the end, or at the limit."""

    def __init__(self, attached: Response) -> None:
        self.changed = threading.Event()
        self.is_too_much = False
        self.error: Exception | None = None
        self._attached = attached
        self._kept = {_OUT: bytearray(), _ERR: bytearray()}
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    def texts(self) -> tuple[str, str]:
        out, err = (bytes(kept[:MAX_BYTES]).decode(errors="replace") for kept in self._kept.values())
        return out, err

    def _read(self) -> None:
        # Past the limit it is read on, and thrown away: an engine whose client does not read ends no container.
        try:
            for stream, chunk in _frames(self._attached):
                kept = self._kept[stream]
                kept.extend(chunk if len(kept) <= MAX_BYTES else b"")
                if len(kept) > MAX_BYTES:
                    self.is_too_much = True
                    self.changed.set()
        except Exception as error:  # noqa: BLE001 - raised again where it is waited for
            self.error = error
        self.changed.set()


def _frames(attached: Response) -> Iterator[tuple[int, bytes]]:
    """Which output, and what it holds (Docker Engine API, "Attach to a container": stream format)."""
    while len(header := attached.raw.read(_HEADER)) == _HEADER:
        length = int.from_bytes(header[4:], "big")
        while length > 0 and (chunk := attached.raw.read(min(length, _CHUNK))):
            yield header[0], chunk
            length -= len(chunk)
