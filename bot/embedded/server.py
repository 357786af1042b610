"""An HTTP/1.1 server on loopback: what the embedded registry and the embedded GitHub have in common.

It keeps connections alive, sends each answer in one write, remembers every exchange, and lets a test put
a fault between a request and its answer.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

_NO_BODY = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `path` is as it came, still percent-encoded; `headers` finds names in any case."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Message
    body: bytes

    @classmethod
    def of(cls, method: str, path: str, body: bytes = b"") -> Self:
        """A request that did not come over the network."""
        return cls(method, path, {}, Message(), body)

    @property
    def base_url(self) -> str:
        """The server's address in the words of the client: `localhost` stays `localhost`."""
        return f"http://{self.headers.get('Host', '')}"

    def accepts(self, media_type: str) -> bool:
        """Whether Accept names the media type itself; a wildcard is not enough for registries."""
        named = ",".join(self.headers.get_all("Accept", [])).split(",")
        return media_type in (entry.partition(";")[0].strip() for entry in named)

    def value(self, name: str, default: str = "") -> str:
        """The last value of a query parameter."""
        return self.query.get(name, [default])[-1]


@dataclass(frozen=True, slots=True)
class Response:
    """One answer. Content-Length is added by the server."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one exchange. `Fault()` changes nothing.

    `answer` replaces the real answer, and the request is carried out first only when `performed` is set (a 502
    for something that worked); `change` edits the real answer. `delay` is in seconds, before the answer; `drop`
    closes the connection without one; `cut` sends that many bytes of the body, then closes; `drip` is the
    pause in seconds between single bytes of the body.
    """

    answer: Response | None = None
    performed: bool = False
    change: Callable[[Response], Response] | None = None
    delay: float = 0.0
    drop: bool = False
    cut: int | None = None
    drip: float = 0.0


Intercept = Callable[[str, str], Fault | None]
"""Asked with the method and the path with its query as sent; None lets the exchange pass."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One exchange that took place; times are `time.monotonic()`. A dropped one has status 0."""

    method: str
    path: str
    status: int
    started: float
    ended: float
    headers: Mapping[str, str] = field(repr=False)
    """The request's headers, names in lower case."""
    body: bytes = field(default=b"", repr=False)
    """The request's body."""
    response: Response = field(default=Response(0), repr=False)
    """What was answered, before a fault cut it."""


def json_response(status: int, value: object, *headers: tuple[str, str]) -> Response:
    """An answer with a JSON body. A Content-Type among the headers replaces application/json."""
    typed = any(name == "Content-Type" for name, _ in headers)
    default = () if typed else (("Content-Type", "application/json; charset=utf-8"),)
    return Response(status, json.dumps(value).encode(), default + headers)


class LoopbackServer(ABC):
    """A server on a free port of 127.0.0.1, from `start` to `stop` or in a `with` block."""

    def __init__(self, *, intercept: Intercept | None = None) -> None:
        self.intercept = intercept
        self.exchanges: list[Exchange] = []
        self._server: _Server | None = None

    @property
    def port(self) -> int:
        if self._server is None:
            raise RuntimeError(f"{type(self).__name__} has not been started")
        return self._server.server_port

    @property
    def host(self) -> str:
        """`127.0.0.1:PORT`."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return f"http://{self.host}"

    def start(self) -> Self:
        self._server = _Server(self)
        run = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        run.start()
        return self

    def stop(self) -> None:
        """Closes the port and every connection. What is stored stays readable."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @abstractmethod
    def answer(self, request: Request) -> Response:
        """The answer to a request. Called from several threads at once."""

    def answer_with_fault(self, request: Request, fault: Fault) -> Response:
        """The answer to a request with which something goes wrong."""
        response = None
        if fault.performed or (fault.answer is None and not fault.drop):
            response = self.answer(request)
        time.sleep(fault.delay)
        if fault.answer is not None or response is None:
            return fault.answer or Response(0)
        return fault.change(response) if fault.change else response


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    block_on_close = False

    def __init__(self, application: LoopbackServer) -> None:
        self.application = application
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Connection)

    def server_bind(self) -> None:
        # The one of HTTPServer asks the resolver for the machine's name, which can take seconds.
        socket.socket.bind(self.socket, self.server_address)
        self.server_name, self.server_port = "127.0.0.1", self.socket.getsockname()[1]

    def opened(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)

    def closed(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)

    def server_close(self) -> None:
        super().server_close()
        with self._lock:
            for connection in self._open:
                _hang_up(connection)


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server
    connection: socket.socket

    def setup(self) -> None:
        super().setup()
        self.server.opened(self.connection)

    def finish(self) -> None:
        self.server.closed(self.connection)
        super().finish()

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def exchange(self) -> None:
        started = time.monotonic()
        application = self.server.application
        parts = urlsplit(self.path)
        query = parse_qs(parts.query, keep_blank_values=True)
        request = Request(self.command, parts.path, query, self.headers, self._read_body())
        fault = (application.intercept and application.intercept(self.command, self.path)) or Fault()
        response = application.answer_with_fault(request, fault)
        headers = {name.lower(): value for name, value in self.headers.items()}
        status = 0 if fault.drop else response.status
        ended = time.monotonic()
        application.exchanges.append(
            Exchange(self.command, self.path, status, started, ended, headers, request.body, response)
        )
        if fault.drop:
            self._close()
        else:
            self._send(response, fault)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = exchange  # noqa: N815 - http.server's names

    def _read_body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(chunks)

    def _send(self, response: Response, fault: Fault) -> None:
        lines = [f"HTTP/1.1 {response.status} {_reason(response.status)}"]
        lines += [f"{name}: {value}" for name, value in response.headers]
        if response.status not in _NO_BODY:
            lines.append(f"Content-Length: {len(response.body)}")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        body = b"" if self.command == "HEAD" or response.status in _NO_BODY else response.body
        if fault.drip:
            self.wfile.write(head)
            for position in range(len(body)):
                time.sleep(fault.drip)
                self.wfile.write(body[position : position + 1])
        elif fault.cut is not None:
            self.wfile.write(head + body[: fault.cut])
            self._close()
        else:
            self.wfile.write(head + body)

    def _close(self) -> None:
        self.close_connection = True
        _hang_up(self.connection)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Standard error belongs to the program that this server is embedded in."""


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it was closed from the other side
