"""Other people's programs: started from a list, in a bare environment, ended with the run.

Time, output and memory are bounded: a registry can answer with a few megabytes that unpack to many gigabytes.

A program sees no token of the bot's and no variable that could change its verdict: the environment is built anew
from a few names. Of Docker's credentials it gets those of the one registry that it is to read.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import IO

import msgspec

from bot.beside import waited
from bot.core.distribution import Login
from bot.errors import ServiceError

MAX_BYTES = 8 * 1024 * 1024
"""Of each of a program's two outputs, unless a caller allows more."""

MAX_MEMORY = 4 * 1024**3
"""Bytes of memory of its own that each process of a program may have, where the system is Linux."""

_CHUNK = 64 * 1024
_PASSED_ON = (
    "PATH",
    "TMPDIR",
    "TZ",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)
_HUB = "https://index.docker.io/v1/"


class Finished(msgspec.Struct, frozen=True):
    """A program that ended by itself, with all that it printed."""

    code: int
    out: bytes
    err: bytes


_STARTING = Lock()
_RUNNING: set[int] = set()
"""The process groups that are there; under the lock it is never behind."""


class Programs:
    """Starts programs. `environ` is where PATH, proxies and certificates come from; nothing else of it is passed on."""

    def __init__(self, environ: Mapping[str, str], login: Callable[[str], Login | None]) -> None:
        self._environ = {name: environ[name] for name in _PASSED_ON if name in environ}
        self._login = login

    def find(self, program: str) -> str | None:
        """The path of a program: by the PATH, or beside the interpreter, where packages install theirs."""
        found = shutil.which(program, path=self._environ.get("PATH", os.defpath))
        if found is None:
            import sysconfig  # noqa: PLC0415 - only where the PATH does not know it

            found = shutil.which(program, path=sysconfig.get_path("scripts"))
        return found

    def run(
        self,
        program: str,
        arguments: Sequence[str],
        *,
        seconds: float,
        registry: str = "",
        variables: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        max_bytes: int = MAX_BYTES,
        folder: Path | None = None,
    ) -> Finished:
        """Run a program to its end, in `folder`, with a home of its own that is gone afterwards.

        `registry` is the host whose credentials it may read. Raises ServiceError where it is not installed, does
        not end within `seconds`, or prints more than `max_bytes`: then nothing is known.
        """
        found = self.find(program)
        if found is None:
            raise ServiceError(
                f"{program} is not installed",
                where=program,
                next_step=f"Install {program} where the PATH finds it: docs/tools.md says which version, and how.",
            )
        with tempfile.TemporaryDirectory(prefix="gateway-bot-", ignore_cleanup_errors=True) as home:
            self._write_login(Path(home), registry)
            environ = {**self._environ, "HOME": home, "DOCKER_CONFIG": home, "LC_ALL": "C.UTF-8", **(variables or {})}
            with _started([found, *arguments], environ, folder or Path(home)) as process:
                return _watch(process, program, stdin, seconds, max_bytes)

    def _write_login(self, home: Path, registry: str) -> None:
        """A Docker config with the login of one registry, for the owner's eyes only."""
        login = self._login(registry) if registry else None
        entry: dict[str, str] = {}
        if login is not None and login.identity_token:
            entry["identitytoken"] = login.identity_token
        elif login is not None:
            entry["auth"] = b64encode(f"{login.username}:{login.password}".encode()).decode()
        auths = {_HUB if registry == "docker.io" else registry: entry} if entry else {}
        (home / "config.json").touch(mode=0o600)
        (home / "config.json").write_text(json.dumps({"auths": auths}))


@contextlib.contextmanager
def _started(command: Sequence[str], environ: Mapping[str, str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process group of its own, gone at the end of the block whatever happened in it."""
    try:
        with _STARTING:
            process = subprocess.Popen(
                command,
                env=dict(environ),
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
            _RUNNING.add(process.pid)
    except OSError as error:
        raise ServiceError(
            f"{command[0]} cannot be started: {error.strerror}",
            where=command[0],
            next_step="See that it is a program for this machine, and that it may be executed.",
        ) from None

    try:
        _limit_memory(process.pid)
        yield process
    finally:
        _end(process.pid)
        _RUNNING.discard(process.pid)
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def _end(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


@atexit.register
def _end_all() -> None:
    """An interrupted run leaves its threads, and would leave what they started, or start a moment later."""
    _STARTING.acquire(timeout=2.0)  # and never let go: from now on nothing is started
    for group in tuple(_RUNNING):
        _end(group)


def _limit_memory(pid: int) -> None:
    """Not address space: Go and Java reserve far more of it than they use. What it starts from now on inherits it."""
    if sys.platform == "linux":
        import resource  # noqa: PLC0415 - other systems do not have it

        with contextlib.suppress(OSError):  # it has ended already
            _, hard = resource.prlimit(pid, resource.RLIMIT_DATA)
            most = MAX_MEMORY if hard == resource.RLIM_INFINITY else min(MAX_MEMORY, hard)
            resource.prlimit(pid, resource.RLIMIT_DATA, (most, most))


def _watch(process: subprocess.Popen[bytes], program: str, stdin: bytes, seconds: float, max_bytes: int) -> Finished:
    out, err = bytearray(), bytearray()
    ended: SimpleQueue[None] = SimpleQueue()
    works = (
        partial(_read, process.stdout, out, max_bytes),
        partial(_read, process.stderr, err, max_bytes),
        partial(_feed, process.stdin, stdin),
    )
    for work in works:
        Thread(target=lambda work=work: ended.put(work()), daemon=True).start()
    ends = time.monotonic() + seconds
    why = f"did not end within {seconds:.0f} s"
    try:
        for _ in works:
            if not waited(partial(_ends, ended), ends - time.monotonic()):
                raise Empty  # noqa: TRY301 - as when it is too late below
            if max(len(out), len(err)) > max_bytes:
                why = f"printed more than {max_bytes:,} bytes"
                break
        else:
            return Finished(process.wait(max(0.0, ends - time.monotonic())), bytes(out), bytes(err))
    except (Empty, subprocess.TimeoutExpired):
        pass
    raise ServiceError(
        f"{program} {why} and was stopped",
        where=program,
        next_step="Nothing is known. Run it again; if it stays so, run the program by hand and look at what it does.",
    )


def _ends(ended: SimpleQueue[None], seconds: float) -> bool:
    try:
        ended.get(timeout=seconds)
    except Empty:
        return False
    return True


def _read(pipe: IO[bytes] | None, into: bytearray, max_bytes: int) -> None:
    """Everything up to the limit and a little more, so that too much can be told from just enough."""
    with contextlib.suppress(OSError, ValueError):
        while pipe is not None and len(into) <= max_bytes and (chunk := os.read(pipe.fileno(), _CHUNK)):
            into += chunk


def _feed(pipe: IO[bytes] | None, text: bytes) -> None:
    """Past the pipe's own buffer: its lock would keep whoever closes it waiting for the program."""
    with contextlib.suppress(OSError, ValueError):
        if pipe is not None:
            rest = memoryview(text)
            while rest:
                rest = rest[os.write(pipe.fileno(), rest[:_CHUNK]) :]
            pipe.close()
