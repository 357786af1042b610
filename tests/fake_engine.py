"""As much of the Docker Engine API as the bot uses, on loopback, with what a real engine answered, and with faults.

Docker Engine API 1.41: /version, networks, images with their builds, containers with archive, attach, start and kill.
tests/real/test_engine.py and tests/real/test_build.py hold a real engine to the same.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from bot.core.gateway_config.verdict import Answer
from tests.engine import Case

Fault = Literal["drop", "hang", "refuse", "nonsense"]

_ROUTES = (
    ("version", "GET", r"/version"),
    ("list", "GET", r"/containers/json"),
    ("networks", "GET", r"/networks"),
    ("build", "POST", r"/build"),
    ("images", "GET", r"/images/json"),
    ("history", "GET", r"/images/(?P<name>.+)/history"),
    ("untag", "DELETE", r"/images/(?P<name>.+)"),
    ("image", "GET", r"/images/(?P<name>.+)/json"),
    ("pull", "POST", r"/images/create"),
    ("create", "POST", r"/containers/create"),
    ("archive", "PUT", r"/containers/(?P<name>[\w-]+)/archive"),
    ("attach", "POST", r"/containers/(?P<name>[\w-]+)/attach"),
    ("start", "POST", r"/containers/(?P<name>[\w-]+)/start"),
    ("inspect", "GET", r"/containers/(?P<name>[\w-]+)/json"),
    ("kill", "POST", r"/containers/(?P<name>[\w-]+)/kill"),
    ("remove", "DELETE", r"/containers/(?P<name>[\w-]+)"),
)


BASE_LAYERS = (f"sha256:{'1' * 64}", f"sha256:{'2' * 64}")
_BASE_ID = f"sha256:{'b' * 64}"
_NO_FRAMES = Answer(0, "", "", "did not end")


@dataclass(slots=True)
class Made:
    """What the Dockerfile makes, and how it goes when it is started.

    `steps` are its instructions with the layers that are there after each. Readiness is answered with `statuses`, the
    last one for ever; None as `farewell` does not hear SIGTERM. With `lines` or another `status` the build says these.
    """

    config: Mapping[str, object]
    steps: tuple[tuple[str, tuple[str, ...]], ...] = (("/bin/sh -c #(nop)  LABEL a=b", BASE_LAYERS),)
    architecture: str = "amd64"
    statuses: tuple[int, ...] = (500, 500, 200)
    farewell: int | None = 0
    dies: Answer | None = None
    status: int = 200
    lines: tuple[Mapping[str, object], ...] = ()

    def image(self, step: int) -> dict[str, object]:
        """The image after so many steps."""
        layers = self.steps[step - 1][1] if step else BASE_LAYERS
        image_id = f"sha256:{step:064x}" if step else _BASE_ID
        told = {"Id": image_id, "Os": "linux", "Architecture": self.architecture, "Author": ""}
        return {**told, "Config": self.config, "RootFS": {"Type": "layers", "Layers": list(layers)}}


@dataclass(slots=True)
class Container:
    """What was created, and how far it has come."""

    body: dict[str, Any]
    config: str = ""
    started: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    answer: Answer | None = None
    readiness: ThreadingHTTPServer | None = None

    def end(self, code: int) -> None:
        """It ends with this code, if it has not yet."""
        if self.readiness is not None and not self.ended.is_set():
            self.answer = Answer(code, "", "")
            self.readiness.shutdown()
            self.readiness.server_close()
        self.ended.set()


@dataclass(slots=True)
class FakeEngine:
    """`cases` by image: what its program answers. `faults` by the name of a request."""

    cases: Mapping[str, list[tuple[Case, Answer]]]
    environ: tuple[str, ...] = ("PATH=/app", "LOCAL_XDS_PATH=/x", "RUST_BACKTRACE=1")
    faults: dict[str, Fault] = field(default_factory=dict)
    pulled: set[str] = field(default_factory=set)
    stated_digest: str = ""
    pull_error: str = ""
    containers: dict[str, Container] = field(default_factory=dict)
    left: list[dict[str, Any]] = field(default_factory=list)
    removed: list[tuple[str, dict[str, list[str]]]] = field(default_factory=list)
    created: list[dict[str, Any]] = field(default_factory=list)
    auth: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    bridge: bool = True
    made: Made | None = None
    tags: set[str] = field(default_factory=set)
    builds: list[dict[str, str]] = field(default_factory=list)
    contexts: list[dict[str, bytes]] = field(default_factory=list)
    build_headers: list[list[str]] = field(default_factory=list)
    untagged: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    @contextmanager
    def serving(self) -> Iterator[str]:
        """DOCKER_HOST of this engine."""
        fake = self

        class Handler(_Handler):
            engine = fake

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield f"tcp://127.0.0.1:{server.server_address[1]}"
        finally:
            self.over.set()
            server.shutdown()
            server.server_close()

    def answer_of(self, container: Container) -> Answer | None:
        """What was recorded for exactly this question."""
        environ = dict(entry.split("=", 1) for entry in container.body["Env"] if "=" in entry)
        for case, answer in self.cases[container.body["Image"]]:
            command = [argument.replace("{file}", "/gateway-bot/config.yaml") for argument in case.arguments]
            wanted = {"HOME": "/", **case.environ}
            if (container.config, container.body["Cmd"], environ) == (case.config, command, wanted):
                return answer
        return None


class _Handler(BaseHTTPRequestHandler):
    engine: FakeEngine
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each answer of two parts takes 40 ms

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Nothing is told."""

    def do_GET(self) -> None:
        self._route()

    def do_POST(self) -> None:
        self._route()

    def do_PUT(self) -> None:
        self._route()

    def do_DELETE(self) -> None:
        self._route()

    def _route(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        for name, method, pattern in _ROUTES:
            match = re.fullmatch(rf"(?:/v1\.\d+)?{pattern}", unquote(parts.path))
            if match and method == self.command:
                if not self._fails(self.engine.faults.get(name)):
                    with suppress(BrokenPipeError, ConnectionResetError):
                        getattr(self, f"_{name}")(match.groupdict().get("name", ""), parse_qs(parts.query), body)
                return
        self._json(404, {"message": f"page not found: {self.command} {parts.path}"})

    def _fails(self, fault: Fault | None) -> bool:
        match fault:
            case "drop":
                self.close_connection = True
            case "hang":
                self.engine.over.wait(60)
                self.close_connection = True
            case "refuse":
                self._json(500, {"message": "the engine \x1b[31mis not well"})
            case "nonsense":
                self._send(200, b"<html>")
        return fault is not None

    def _version(self, *_: object) -> None:
        self._json(200, {"ApiVersion": "1.41", "MinAPIVersion": "1.12", "Os": "linux", "Arch": "amd64"})

    def _list(self, *_: object) -> None:
        self._json(200, self.engine.left)

    def _networks(self, *_: object) -> None:
        self._json(200, [{"Name": "bridge", "Driver": "bridge"}] if self.engine.bridge else [])

    def _build(self, _: str, query: dict[str, list[str]], body: bytes) -> None:
        made = self.engine.made
        assert made is not None
        with tarfile.open(fileobj=io.BytesIO(body)) as archive:
            files = {each.name: archive.extractfile(each) for each in archive.getmembers() if each.isfile()}
            self.engine.contexts.append({name: file.read() for name, file in files.items() if file is not None})
        self.engine.builds.append({name: values[0] for name, values in query.items()})
        self.engine.build_headers.append(list(self.headers))
        if made.status != 200:
            self._json(made.status, {"message": "dockerfile parse error line 3: it is \x1b[31mnone"})
            return
        lines: list[Mapping[str, object]] = [{"stream": "Step 1/2 : FROM ${BASE}"}, {"stream": " ---> bbbbbbbbbbbb\n"}]
        for number, (instruction, _layers) in enumerate(made.steps, start=2):
            lines += [{"stream": f"Step {number}/{len(made.steps) + 1} : {instruction}"}]
            lines += [{"stream": f" ---> {number:012x}\n"}]
        self.engine.tags |= set() if made.lines else {query["t"][0]}
        self._chunked(made.lines or lines)

    def _images(self, *_: object) -> None:
        self._json(200, [{"Id": tag, "RepoTags": [tag]} for tag in sorted(self.engine.tags)])

    def _history(self, *_: object) -> None:
        made = self.engine.made
        assert made is not None
        told = [{"Id": made.image(n)["Id"], "CreatedBy": made.steps[n - 1][0]} for n in range(len(made.steps), 0, -1)]
        self._json(200, [*told, {"Id": "<missing>", "CreatedBy": "COPY / /"}])

    def _untag(self, name: str, *_: object) -> None:
        self.engine.untagged.append(name)
        self.engine.tags.discard(name)
        self.engine.pulled.discard(name)
        self._json(200, [])

    def _image(self, name: str, *_: object) -> None:
        if (made := self.engine.made) is not None and (step := self._step_of(name, made)):
            self._json(200, made.image(step))
            return
        if name not in self.engine.pulled:
            self._json(404, {"message": f"No such image: {name}"})
            return
        digest = self.engine.stated_digest or name.rpartition("@")[2]
        base = Made({"Env": list(self.engine.environ), "Entrypoint": ["/app/agentgateway"]}).image(0)
        self._json(200, {**base, "RepoDigests": [f"acme/gateway@{digest}"]})

    def _step_of(self, name: str, made: Made) -> int:
        """After which step an image has this name; 0 for one that was not built."""
        if name in self.engine.tags:
            return len(made.steps)
        return next((n for n in range(1, len(made.steps) + 1) if made.image(n)["Id"] == name), 0)

    def _pull(self, _: str, query: dict[str, list[str]], __: bytes) -> None:
        self.engine.auth.append(self.headers.get("X-Registry-Auth", ""))
        lines = [{"status": "Pulling"}]
        if self.engine.pull_error:
            lines.append({"error": self.engine.pull_error})
        else:
            self.engine.pulled.add(f"{query['fromImage'][0]}@{query['tag'][0]}")
        self.engine.asked.append(query.get("platform", [""])[0])
        self._chunked(lines)

    def _chunked(self, lines: Iterable[Mapping[str, object]]) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for chunk in (*(json.dumps(line).encode() + b"\r\n" for line in lines), b""):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))

    def _create(self, _: str, query: dict[str, list[str]], body: bytes) -> None:
        name = query["name"][0]
        self.engine.created.append(json.loads(body))
        self.engine.containers[name] = Container(self.engine.created[-1])
        self._json(201, {"Id": name, "Warnings": []})

    def _archive(self, name: str, query: dict[str, list[str]], body: bytes) -> None:
        with tarfile.open(fileobj=io.BytesIO(body)) as archive:
            member = archive.extractfile("config.yaml")
            assert member is not None
            assert query["path"] == ["/gateway-bot"]
            self.engine.containers[name].config = member.read().decode()
        self._send(200, b"")

    def _attach(self, name: str, *_: object) -> None:
        container = self.engine.containers[name]
        self.close_connection = True
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n")
        container.started.wait(10)
        if (answer := container.answer) is None:
            return
        if "printed" in answer.stopped:
            while not container.ended.is_set():
                self._frame(1, b"all work and no play\n" * 1000)
            return
        self._frame(1, answer.out.encode())
        self._frame(2, answer.err.encode())
        if "did not end" not in answer.stopped:
            container.ended.set()
        container.ended.wait(10)

    def _frame(self, stream: int, payload: bytes) -> None:
        if payload:
            self.wfile.write(bytes([stream, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload)

    def _start(self, name: str, *_: object) -> None:
        container = self.engine.containers[name]
        if self.engine.made is not None and container.body["Image"].startswith("sha256:"):
            container.answer = self.engine.made.dies or _NO_FRAMES
            if self.engine.made.dies is None:
                container.readiness = _readiness(self.engine.made.statuses, self.engine.asked)
        else:
            container.answer = self.engine.answer_of(container)
        container.started.set()
        if container.answer is None:
            self._json(500, {"message": "nobody recorded this question"})
        else:
            self._send(204, b"")

    def _inspect(self, name: str, *_: object) -> None:
        container = self.engine.containers[name]
        assert container.answer is not None
        ended = container.ended.is_set()
        oom = "memory" in container.answer.stopped
        state = {"Running": not ended, "ExitCode": container.answer.code if ended else 0, "OOMKilled": oom}
        ports: dict[str, list[dict[str, str]]] = {}
        if container.readiness is not None and not ended:
            bound = {"HostIp": "127.0.0.1", "HostPort": str(container.readiness.server_address[1])}
            ports = {port: [bound] for port in container.body["HostConfig"].get("PortBindings", {})}
        self._json(200, {"Id": name, "State": state, "NetworkSettings": {"Ports": ports}})

    def _kill(self, name: str, query: dict[str, list[str]], _: bytes) -> None:
        polite = query.get("signal") == ["SIGTERM"]
        farewell = self.engine.made.farewell if self.engine.made is not None and polite else 137
        if farewell is not None:
            self.engine.containers[name].end(farewell)
        self._send(204, b"")

    def _remove(self, name: str, query: dict[str, list[str]], _: bytes) -> None:
        self.engine.removed.append((name, query))
        if (container := self.engine.containers.pop(name, None)) is not None:
            container.end(137)
            container.started.set()
        self._send(204, b"")

    def _json(self, code: int, value: object) -> None:
        self._send(code, json.dumps(value).encode(), "application/json")

    def _send(self, code: int, body: bytes, kind: str = "text/plain") -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        if code != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _readiness(statuses: tuple[int, ...], asked: list[str]) -> ThreadingHTTPServer:
    """A program that answers with these statuses, in turn."""
    left = list(statuses)

    class Program(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Nothing is told."""

        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(left.pop(0) if len(left) > 1 else left[0])
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Program)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server
