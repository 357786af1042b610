"""The real parts: where scripts/real-parts.sh puts them, and how each is started and stopped.

Each fixture starts its part once a session (once a worker under xdist) on a free port of 127.0.0.1, and ends
only what it started. Without the part a test is skipped; with GATEWAY_BOT_REAL=1 it fails.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.emulator import Emulator, write_seed
from tests.loopback import loopback_client

ROOT = Path(__file__).resolve().parent.parent
REAL = ROOT / ".cache" / "real"
READY_WITHIN = 30.0


def require(name: str, *places: Path) -> str:
    """The path of a real part; without it the test ends here."""
    for place in (*places, REAL / "bin" / name):
        if place.exists():
            return str(place)
    found = shutil.which(name)
    if found is None:
        reason = f"{name} is not installed: run scripts/real-parts.sh"
        if os.environ.get("GATEWAY_BOT_REAL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def running(command: list[str], ready_url: str, log: Path) -> Iterator[None]:
    """The program from the moment it answers `ready_url` until the end of the block."""
    with log.open("wb") as output:
        program = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        try:
            _wait_until_ready(program, ready_url, log)
            yield
        finally:
            program.terminate()
            try:
                program.wait(timeout=5)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()


@pytest.fixture(scope="session")
def crane() -> str:
    """The path of crane."""
    return require("crane")


@pytest.fixture(scope="session")
def skopeo() -> str:
    """The path of skopeo."""
    return require("skopeo")


@pytest.fixture(scope="session")
def crane_registry(crane: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`127.0.0.1:PORT` of crane's registry: OCI 1.1 with referrers, in memory."""
    host = f"127.0.0.1:{free_port()}"
    log = tmp_path_factory.mktemp("crane-registry") / "log"
    with running([crane, "registry", "serve", "--address", host], f"http://{host}/v2/", log):
        yield host


@pytest.fixture(scope="session")
def docker_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`127.0.0.1:PORT` of Debian's docker-registry (distribution 2.8): no referrers, no paging of tags."""
    program = require("docker-registry")
    host = f"127.0.0.1:{free_port()}"
    folder = tmp_path_factory.mktemp("docker-registry")
    settings = folder / "config.yml"
    storage = {"filesystem": {"rootdirectory": str(folder / "storage")}, "delete": {"enabled": True}}
    settings.write_text(json.dumps({"version": 0.1, "storage": storage, "http": {"addr": host}}))
    with running([program, "serve", str(settings)], f"http://{host}/v2/", folder / "log"):
        yield host


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """The GitHub emulator, with an owner and a bot."""
    modules = REAL / "npm" / "node_modules"
    program = require("emulate", modules / "emulate" / "dist" / "index.js")
    node = require("node", modules / "node" / "bin" / "node")
    folder = tmp_path_factory.mktemp("emulator")
    seed = folder / "seed.json"
    write_seed(seed)
    port = free_port()
    url = f"http://localhost:{port}"
    command = [node, program, "--service", "github", "--port", str(port), "--seed", str(seed)]
    with running(command, f"{url}/rate_limit", folder / "log"), loopback_client(url) as client:
        yield Emulator(url, client)


def _wait_until_ready(program: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN
    with loopback_client() as client:
        while time.monotonic() < deadline and program.poll() is None:
            try:
                client.get(url, timeout=1)
            except httpx.TransportError:
                time.sleep(0.05)
            else:
                return
    pytest.fail(f"{program.args!r} did not answer at {url} within {READY_WITHIN} s:\n{log.read_text()[-2000:]}")
