"""How git is started: to read what a repository holds, and to write as its user would."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from threading import Thread
from typing import IO

from bot.adapters.programs import Finished, Programs
from bot.core.text import plain
from bot.errors import ReleaseError, ServiceError, UsageError

_OUTPUT = 32 * 1024 * 1024
_SECONDS = 60
_PATIENCE = 900
"""Seconds that a commit or tag may take: hooks run tests, and a person types a passphrase."""

_TAIL = 16 * 1024
_KEPT = ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM")
_SIGNER = re.compile(r"GIT_(?:AUTHOR|COMMITTER)_(?:NAME|EMAIL|DATE)|GIT_CONFIG_(?:COUNT|KEY_\d+|VALUE_\d+)")
_TRANSPORT = re.compile(
    r"GIT_(?:SSH|SSH_COMMAND|SSH_VARIANT|ASKPASS|TERMINAL_PROMPT|PROXY_COMMAND|(?:SSL|HTTP)_[A-Z_]+)"
)
_PASSWORD = re.compile(r"(?<=://)\S+@|(?<=[?&])[^\s'\"]+")
_EMPTY = "GATEWAY_BOT_EMPTY"

_ALWAYS = ("--no-pager", "--literal-pathspecs", "-c", "core.quotePath=false", "-c", "core.fsmonitor=false")
_READING = (
    "--no-optional-locks",
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.alternateRefsCommand=false"),
    *("-c", "log.showSignature=false"),
)
_NO_NETWORK = {"GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0"}


class GitProgram:
    """git in the folder `root`.

    Reading runs nothing that the repository could bring: no hook, file system monitor, pager, filter or transport,
    whatever its own config says. Writing does as git does for its user: identity, signing and hooks are theirs.
    """

    def __init__(self, root: Path, environ: Mapping[str, str]) -> None:
        self._root = root
        self._environ = environ
        self._programs = Programs(environ, lambda _: None)
        self._prefix: str | None = None
        self._filters: tuple[str, ...] | None = None

    def prefix(self) -> str:
        """The path of `root` in the repository, with its `/`; empty at the top. Raises UsageError for no checkout."""
        if self._prefix is None:
            done = self._run("rev-parse", "--is-inside-work-tree", "--show-prefix")
            inside, _, prefix = os.fsdecode(done.out).partition("\n")
            if done.code or inside != "true":
                said = plain(done.err.decode(errors="replace"), 300)
                raise UsageError(
                    f"it is no git checkout: {said or 'it has no work tree'}",
                    where=str(self._root),
                    next_step="Run it in a checkout of the repository, or name one with -C.",
                )
            self._prefix = prefix.removesuffix("\n")
        return self._prefix

    def read(self, *arguments: str, stdin: bytes = b"", codes: tuple[int, ...] = (0,)) -> Finished:
        """What git answered; raises ServiceError where it ended with another code than these."""
        self.prefix()
        if self._filters is None:
            self._filters = self._own_filters()
        done = self._run(*self._filters, *arguments, stdin=stdin)
        if done.code not in codes:
            raise ServiceError(
                f"git {arguments[0]} failed: {plain(done.err.decode(errors='replace'), 400)}",
                where=str(self._root),
                next_step="Run `git status` and `git fsck` there, and mend what they say.",
            )
        return done

    def _own_filters(self) -> tuple[str, ...]:
        """Options that switch off the filters of the repository's own config; the user's own (Git LFS) stay."""
        listed = self._run("config", "-z", "--show-scope", "--get-regexp", r"^filter\..*\.(clean|smudge|process)$")
        fields = os.fsdecode(listed.out).split("\0")
        own = (key for scope, key in zip(fields[::2], fields[1::2], strict=False) if scope in {"local", "worktree"})
        names = dict.fromkeys(key.partition("\n")[0].rpartition(".")[0] for key in own)
        return tuple(
            f"--config-env={name}.{key}={_EMPTY}"
            for name in names
            for key in ("clean", "smudge", "process", "required")
        )

    def _run(self, *arguments: str, stdin: bytes = b"") -> Finished:
        kept = {name: self._environ[name] for name in ("HOME", "XDG_CONFIG_HOME", *_KEPT) if name in self._environ}
        return self._programs.run(
            "git",
            [*_ALWAYS, *_READING, *arguments],
            seconds=_SECONDS,
            variables={**kept, **_NO_NETWORK, "GIT_NO_REPLACE_OBJECTS": "1", "GIT_GRAFT_FILE": os.devnull, _EMPTY: ""},
            stdin=stdin,
            max_bytes=_OUTPUT,
            folder=self._root,
        )

    def write(self, *arguments: str) -> None:
        """In this session and with its terminal: a passphrase may be asked for. Raises ReleaseError."""
        code, said = self._as_user(*arguments)
        if code != 0:
            raise ReleaseError(
                f"git {arguments[0]} was refused: {ended(code, said)}",
                where=str(self._root),
                next_step="Mend what git, a hook or the signing says, and run it again.",
            )

    def send(self, *arguments: str) -> tuple[int | None, str]:
        """As `write`, over the network, with the user's own way there: the exit code, None after too long a time, and
        the last that was said, without passwords.
        """
        code, said = self._as_user(*arguments, kept=_TRANSPORT)
        return code, _PASSWORD.sub("", said)

    def _as_user(self, *arguments: str, kept: re.Pattern[str] | None = None) -> tuple[int | None, str]:
        self.prefix()
        mine = {n: v for n, v in self._environ.items() if n != "GITHUB_TOKEN" and not n.startswith("GATEWAY_BOT_")}
        environ = {
            n: v
            for n, v in mine.items()
            if not n.startswith("GIT_") or n in _KEPT or _SIGNER.fullmatch(n) or (kept and kept.fullmatch(n))
        }
        try:
            process = subprocess.Popen(
                ["git", *_ALWAYS, *arguments],
                cwd=self._root,
                env={**environ, "GIT_EDITOR": "true", "LC_ALL": "C.UTF-8"},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        except OSError as error:
            raise ServiceError(
                f"git cannot be started: {error.strerror}",
                where="git",
                next_step="Install git where the PATH finds it.",
            ) from None
        said = bytearray()
        reader = Thread(target=_keep_tail, args=(process.stdout, said), daemon=True)
        reader.start()
        try:
            code = process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        reader.join(1.0)  # what a hook has left running may hold the pipe for ever
        return code, bytes(said).decode(errors="replace")


def ended(code: int | None, said: str) -> str:
    """Why git did not do it, in its own last words."""
    return (
        f"it did not end within {_PATIENCE} s" if code is None else plain(said[-600:], 600) or f"it ended with {code}"
    )


def _keep_tail(pipe: IO[bytes] | None, said: bytearray) -> None:
    """The last that was said, until nobody holds the pipe any more."""
    if pipe is not None:
        with pipe, contextlib.suppress(OSError):
            while chunk := os.read(pipe.fileno(), _TAIL):
                said += chunk
                del said[:-_TAIL]
