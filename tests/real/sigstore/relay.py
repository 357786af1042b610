"""What is said to one socket is said to another: a port of a network namespace, reached from outside by a file."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Thread

_CHUNK = 64 * 1024


class Relay:
    """Listens on a port of 127.0.0.1, the same one each time it is started, for a service behind a socket's file."""

    def __init__(self, to: Path) -> None:
        self._to = to
        self._listener: socket.socket | None = None
        self._held: list[socket.socket] = []
        self.port = 0
        self.start()

    def start(self) -> None:
        self._listen(lambda caller: _relay(caller, partial(_to_file, self._to)))

    def hang(self) -> None:
        """From now on whoever calls is let in, and waits."""
        self._listen(self._held.append)

    def stop(self) -> None:
        """From now on calls are refused."""
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)  # whoever waits for a call wakes up
            self._listener.close()
            self._listener = None
        while self._held:
            self._held.pop().close()

    def _listen(self, answer: Callable[[socket.socket], object]) -> None:
        self.stop()
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        Thread(target=_serve, args=(self._listener, answer), daemon=True).start()


@contextmanager
def from_file(file: Path, port: int) -> Iterator[None]:
    """A port of this namespace's 127.0.0.1, behind a socket's file."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(file))
        listener.listen(64)
        reach = partial(socket.create_connection, ("127.0.0.1", port))
        Thread(target=_serve, args=(listener, lambda caller: _relay(caller, reach)), daemon=True).start()
        yield


def _to_file(file: Path) -> socket.socket:
    service = socket.socket(socket.AF_UNIX)
    try:
        service.connect(str(file))
    except OSError:
        service.close()
        raise
    return service


def _serve(listener: socket.socket, answer: Callable[[socket.socket], object]) -> None:
    with contextlib.suppress(OSError):
        while True:
            answer(listener.accept()[0])


def _relay(caller: socket.socket, reach: Callable[[], socket.socket]) -> None:
    Thread(target=_converse, args=(caller, reach), daemon=True).start()


def _converse(caller: socket.socket, reach: Callable[[], socket.socket]) -> None:
    with caller, contextlib.suppress(OSError), reach() as service:
        back = Thread(target=_copy, args=(service, caller), daemon=True)
        back.start()
        _copy(caller, service)
        back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Until the source has said all; then the target is told so."""
    with contextlib.suppress(OSError):
        while chunk := source.recv(_CHUNK):
            target.sendall(chunk)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
