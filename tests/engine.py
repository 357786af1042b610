"""A Docker Engine of the tests' own, the image of a stand-in for the gateway's program, and what it answers.

The world of these tests: two versions of the stand-in (tests/real/standin) that accept different fields, and configs
that make it do what a program can do wrong. tests/recorded/engine holds what came back from a real engine.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from bot.adapters.engine import Engine
from bot.core.distribution import Login
from bot.core.gateway_config.verdict import Answer
from bot.embedded.images import (
    CONFIG,
    DEFAULT_PLATFORMS,
    Content,
    MultiPlatformImage,
    index_of,
    layer_of,
    manifest_of,
    platform_of,
)
from tests.parts import READY_WITHIN, REAL, require

RECORDED = Path(__file__).resolve().parent / "recorded" / "engine" / "answers.json"
ARGUMENTS = ("--validate-only", "-f", "{file}")
VERSIONS = ("v1.3.1", "v1.4.1")
VALID = "config:\n  readinessAddr: 0.0.0.0:15021\nbinds:\n- port: 8787\n  listeners: []\n"


@dataclass(frozen=True, slots=True)
class Case:
    """A config, with what it is asked with."""

    config: str
    environ: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ARGUMENTS
    version: str = "v1.4.1"
    seconds: float = 20


CASES = {
    "valid": Case(VALID),
    "unknown field": Case("binds:\n- port: 8787\n  listeners:\n  - routes:\n    - hosts: []\n"),
    "wrong type": Case('binds:\n- port: "sk-not-for-logs"\n'),
    "no yaml": Case("binds: [\n"),
    "unset variable": Case("# costs $5\n" + VALID),
    "dummy": Case("binds:\n- port: 8787\n  listeners:\n  - name: $NAME\n", {"NAME": "dummy"}),
    "default": Case("binds:\n- port: ${PORT:-8787}\n"),
    "new field in the new version": Case("gateways: {}\n"),
    "new field in the old version": Case("gateways: {}\n", version="v1.3.1"),
    "no file named": Case(VALID, arguments=("--validate-only",)),
    "wrong arguments": Case(VALID, arguments=("--validate", "-f", "{file}")),
    "another file by the environment": Case(VALID, {"LOCAL_XDS_PATH": "/elsewhere"}),
    "says nothing": Case("# stand-in: silent\n"),
    "usage": Case("# stand-in: usage\n"),
    "network": Case("# stand-in: network\n"),
    "processes": Case("# stand-in: spawn\n"),
    "hangs": Case("# stand-in: hang\n", seconds=1),
    "floods": Case("# stand-in: flood\n"),
    "needs memory": Case("# stand-in: allocate\n"),
    "shows what it sees": Case("# stand-in: show\n", {"GIVEN": "dummy"}),
}


def recorded() -> dict[str, Answer]:
    """What the real engine and the stand-in answered, by the case."""
    return msgspec.json.decode(RECORDED.read_bytes(), type=dict[str, Answer])


def short(answer: Answer) -> Answer:
    """The answer with no more of a long output than its beginning."""
    return Answer(answer.code, answer.out[:1000], answer.err[:1000], answer.stopped)


def record(answers: Mapping[str, Answer]) -> None:
    """Keep what the real parts answered."""
    RECORDED.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(msgspec.to_builtins(answers), indent=2, sort_keys=True)
    RECORDED.write_text(f"{text}\n")


def engine_at(host: str, *, login: Login | None = None, log: list[str] | None = None) -> Engine:
    """The bot's engine; `login` is that of every registry."""
    return Engine(host, lambda _: login, (log if log is not None else []).append)


def ask(engine: Engine, image: str, case: Case) -> Answer:
    return engine.ask(image, case.arguments, case.config, case.environ, seconds=case.seconds)


def standin_image(
    version: str,
    environ: Mapping[str, str] | None = None,
    files: Mapping[str, Mapping[str, bytes]] | None = None,
) -> MultiPlatformImage:
    """The stand-in as a multi-arch image, which sets variables that would change its verdict; `files` by platform."""
    blobs: list[Content] = []
    manifests: list[Content] = []
    entries: list[dict[str, object]] = []
    for platform in DEFAULT_PLATFORMS:
        program = require("standin", REAL / "standin" / version / platform.partition("/")[2] / "agentgateway")
        layer = layer_of({"app/agentgateway": Path(program).read_bytes(), **(files or {}).get(platform, {})})
        config = _config(platform, layer, environ or {"PATH": "/app", "LOCAL_XDS_PATH": "/x", "RUST_BACKTRACE": "1"})
        manifest = manifest_of(config, (layer,))
        blobs += [config, layer]
        manifests.append(manifest)
        entries.append(manifest.descriptor(platform=platform_of(platform)))
    return MultiPlatformImage(tuple(blobs), tuple(manifests), index_of(entries, {}))


def _config(platform: str, layer: Content, environ: Mapping[str, str]) -> Content:
    import gzip  # noqa: PLC0415 - only the real tests make images

    from bot.core.reference import digest_of  # noqa: PLC0415 - as above

    value = {
        **platform_of(platform),
        "config": {
            "Entrypoint": ["/app/agentgateway"],
            "Env": [f"{name}={value}" for name, value in environ.items()],
            "Volumes": {"/data": {}},
        },
        "rootfs": {"type": "layers", "diff_ids": [digest_of(gzip.decompress(layer.data))]},
    }
    return Content(CONFIG, json.dumps(value).encode())


@pytest.fixture(scope="session")
def docker_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """DOCKER_HOST of an engine that was started for these tests, as root, with folders of its own."""
    dockerd = require("dockerd")
    folder = tmp_path_factory.mktemp("docker")
    with _dockerd(dockerd, folder) as host:
        yield host


@contextmanager
def _dockerd(dockerd: str, folder: Path) -> Iterator[str]:
    path, log = folder / "s", folder / "log"
    command = [dockerd, "--data-root", str(folder / "data"), "--exec-root", str(folder / "exec")]
    command += ["-H", f"unix://{path}", "--pidfile", str(folder / "pid"), "--iptables=false", "--ip6tables=false"]
    command += ["--bridge=none", "--insecure-registry", "127.0.0.0/8"]
    environ = {**os.environ, "PATH": f"{REAL / 'bin'}:{os.environ['PATH']}"}
    with log.open("wb") as output:
        program = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environ)
        try:
            if not _answers(program, path):
                _cannot(f"dockerd does not start:\n{log.read_text(errors='replace')[-2000:]}")
            yield f"unix://{path}"
        finally:
            program.terminate()
            try:
                program.wait(timeout=20)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()
            # of a container with the machine's own network; the daemon leaves it mounted
            subprocess.run(["umount", str(folder / "exec/netns/default")], capture_output=True, check=False)
            shutil.rmtree(folder, ignore_errors=True)


def _answers(program: subprocess.Popen[bytes], path: Path) -> bool:
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline and program.poll() is None:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(READY_WITHIN)
            try:
                connection.connect(str(path))
                connection.sendall(b"GET /_ping HTTP/1.0\r\nHost: engine\r\n\r\n")
                if b" 200 " in connection.recv(100):
                    return True
            except OSError:
                time.sleep(0.05)
    return False


def _cannot(reason: str) -> None:
    if os.environ.get("GATEWAY_BOT_REAL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
