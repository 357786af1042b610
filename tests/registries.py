"""Real registries as release targets: one as ECR, one as GHCR, and what each was asked.

`registry` is go-containerregistry's own, built by scripts/parts/registry.sh: with the referrers API, and with immutable
tags and an end to its room where a test asks for that. `private_registry` is Debian's docker-registry with a password.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

import pytest

from bot.core.distribution import Login
from tests.parts import free_port, require, running
from tests.workshop import HTPASSWD, PASSWORD

LOGIN = Login("bot", PASSWORD)

# ours is `METHOD TARGET STATUS`; docker-registry's is the line that web servers write
_DONE = re.compile(r'^(?:.*")?([A-Z]+) (/\S*)(?: HTTP/1\.\d")? (\d{3})\b')


class Asked(NamedTuple):
    """A request that was done."""

    method: str
    target: str
    status: int


@dataclass
class LoggedRegistry:
    """A registry that says what it did. In its folder stands what it keeps, and its log."""

    host: str
    folder: Path
    _read: int = 0
    _asked: list[Asked] = field(default_factory=list)

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def room(self) -> Path:
        """Says how many bytes its blobs may have, where they are bounded."""
        return self.folder / "room"

    @property
    def requests(self) -> list[Asked]:
        """In the order in which they ended."""
        with self.log.open("rb") as log:
            log.seek(self._read)
            new, end, _ = log.read().rpartition(b"\n")
        self._read += len(new + end)
        found = (_DONE.match(line) for line in new.decode(errors="replace").splitlines())
        self._asked += [Asked(done[1], done[2], int(done[3])) for done in found if done]
        return list(self._asked)

    @property
    def writes(self) -> list[Asked]:
        """The requests that wrote something, or would have."""
        return [each for each in self.requests if each.method not in {"GET", "HEAD"}]


class Start(Protocol):
    """Starts a registry. Only LOGIN may push where it is `public`; `room` is in bytes."""

    def __call__(
        self, *, immutable: bool = False, referrers: bool = True, public: bool = False, room: int | None = None
    ) -> LoggedRegistry: ...


@contextmanager
def starting(folders: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts registries, which end with the block."""
    program = require("oci-registry")
    with ExitStack() as stack:

        def start(
            *, immutable: bool = False, referrers: bool = True, public: bool = False, room: int | None = None
        ) -> LoggedRegistry:
            folder = folders.mktemp("registry")
            port = free_port()
            found = LoggedRegistry(f"127.0.0.1:{port}", folder)
            (folder / "blobs").mkdir()
            options = [f"-port={port}", f"-blobs={folder / 'blobs'}", f"-referrers={str(referrers).lower()}"]
            options += ["-immutable"] if immutable else []
            options += [f"-login={LOGIN.username}:{LOGIN.password}"] if public else []
            if room is not None:
                found.room.write_text(str(room))
                options.append(f"-room={found.room}")
            stack.enter_context(running([program, *options], f"http://{found.host}/v2/", found.log))
            return found

        yield start


@contextmanager
def private(folders: pytest.TempPathFactory) -> Iterator[LoggedRegistry]:
    """Debian's docker-registry, which wants LOGIN for everything. It has no referrers API."""
    program, folder = require("docker-registry"), folders.mktemp("private-registry")
    host = f"127.0.0.1:{free_port()}"
    (folder / "htpasswd").write_text(HTPASSWD)
    settings = {
        "version": 0.1,
        "log": {"accesslog": {"disabled": False}, "level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "storage")}},
        "http": {"addr": host},
        "auth": {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}},
    }
    (folder / "config.yml").write_text(json.dumps(settings))
    with running([program, "serve", str(folder / "config.yml")], f"http://{host}/v2/", folder / "log"):
        yield LoggedRegistry(host, folder)


@pytest.fixture
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    with starting(tmp_path_factory) as start:
        yield start


@pytest.fixture
def private_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoggedRegistry]:
    with private(tmp_path_factory) as started:
        yield started
