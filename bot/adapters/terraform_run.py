"""Terraform where it plans and changes what runs: with the cloud's credentials, a backend and a state that is locked.

Unlike the other programs it is never killed while it may hold the lock: told to end, the bot asks it to, and waits. It
gets a process group of its own, as a second interrupt from a terminal would make it let go of everything at once. What
it prints goes to private files, so that it outlives a bot that is killed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType

import msgspec

from bot.core.emergency import apply_arguments, init_arguments, plan_arguments, variables
from bot.core.model import TerraformService
from bot.core.terraform_changes import Changed
from bot.core.terraform_said import Step, failure, how_far, last_words, unfinished
from bot.errors import BotError, ServiceError, UsageError

MAX_BYTES = 64 * 1024 * 1024
"""Of a plan in JSON."""

_SAID_BYTES = 1024 * 1024
_SECONDS: dict[Step, float] = {"init": 300.0, "plan": 900.0, "show": 60.0, "apply": 3600.0}
_GRACE_SECONDS = 60.0
_SLICE_SECONDS = 0.1
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PASSED_ON = frozenset(
    {
        *("PATH", "HOME", "USER", "TMPDIR", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR"),
        *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    }
)
_CLOUDS = ("AWS_", "GOOGLE_", "ARM_", "TF_")
_CHANGES_THE_ANSWER = ("TF_LOG", "TF_CLI_ARGS", "TF_IN_AUTOMATION", "TF_INPUT", "TF_REATTACH_PROVIDERS")
"""Logs quote secrets; arguments like -target, -destroy or -refresh=false make a plan that proves nothing."""
_KEPT = ("TF_CLI_ARGS_init",)
"""It holds the backend's settings, where they are not in the code."""
_OWN = {"TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1", "LC_ALL": "C.UTF-8"}
_SECRET_WORDS = ("SECRET", "TOKEN", "PASSWORD", "KEY", "CREDENTIALS", "TF_VAR_")
_SHORTEST_SECRET = 6


class _Finished(msgspec.Struct, frozen=True):
    code: int
    out: Path
    err: str


class TerraformRun:
    """Runs Terraform on the checkout at `root`. `environ` is chosen from: the clouds' variables, and no GITHUB_TOKEN.

    `log` is told each step before it begins, and how far an interrupted one came.
    """

    def __init__(self, environ: Mapping[str, str], root: Path, log: Callable[[str], None]) -> None:
        self._environ = {**{name: value for name, value in environ.items() if _is_passed(name)}, **_OWN}
        self._secrets = _secrets_of(self._environ)
        self._root = root
        self._log = log

    @contextlib.contextmanager
    def started(self, service: TerraformService) -> Iterator[Work]:
        """Terraform in the service's folder, initialized. All that it saves is gone at the end of the block.

        Raises UsageError where Terraform or the folder is missing, and as the steps fail; KeyboardInterrupt at the
        end of the step during which the run was told to end.
        """
        program = shutil.which("terraform", path=self._environ.get("PATH", os.defpath))
        if program is None:
            raise UsageError(
                "terraform is not installed",
                where="terraform",
                next_step="Install it where the PATH finds it (docs/tools.md), or leave out `--run`: the commands are "
                "printed, to be run where it is.",
            )
        folder = (self._root / service.folder).resolve()
        if not (folder.is_dir() and folder.is_relative_to(self._root.resolve())):
            raise UsageError(
                "it is no folder of the checkout",
                where=service.folder,
                next_step="Mend `folder` in the table [[environment]] of gateway-bot.toml.",
            )
        with _deferred() as told, tempfile.TemporaryDirectory(prefix="gateway-bot-", ignore_cleanup_errors=True) as own:
            environ = {**self._environ, **variables(service)}
            work = Work(program, self._root, service, environ, self._secrets, Path(own), told, self._log)
            work.init()
            yield work


class Work:
    """One service's Terraform, made by `TerraformRun.started`."""

    def __init__(
        self,
        program: str,
        root: Path,
        service: TerraformService,
        environ: Mapping[str, str],
        secrets: frozenset[str],
        own: Path,
        told: threading.Event,
        log: Callable[[str], None],
    ) -> None:
        self._program = program
        self._root = root
        self._service = service
        self._environ = environ
        self._secrets = secrets
        self._own = own
        self._told = told
        self._log = log
        self._saved: dict[str, Path] = {}

    def init(self) -> None:
        """Get the backend and the providers ready."""
        self._log(f"terraform init in {self._service.folder}")
        self._checked("init", init_arguments(self._service))

    def plan(self, image_value: str) -> bytes:
        """The plan that gives the variable this value, as JSON; it is saved. Nothing is applied."""
        file = self._own / f"{len(self._saved)}.tfplan"
        file.touch(mode=0o600)  # Terraform keeps the mode of a file that is there
        self._log("terraform plan again, with the image that runs now" if self._saved else "terraform plan")
        self._checked("plan", plan_arguments(self._service, image_value, str(file)))
        self._saved[image_value] = file
        shown = self._checked("show", (f"-chdir={self._service.folder}", "show", "-json", str(file)))
        if shown.out.stat().st_size > MAX_BYTES:
            raise ServiceError(
                f"the plan is larger than {MAX_BYTES:,} bytes",
                where=self._service.folder,
                next_step="Run the printed commands by hand.",
            )
        return shown.out.read_bytes()

    def apply(self, image_value: str, changed: tuple[Changed, ...]) -> None:
        """Exactly the plan that was saved for this value; `changed` is what it does.

        Raises ReleaseError where it ends early, saying how far it came, or where the state has changed since.
        """
        self._log(f"terraform apply of {len(changed)} {'change' if len(changed) == 1 else 'changes'}")
        ended = self._run("apply", apply_arguments(self._service, str(self._saved[image_value])))
        said = _read(ended.out)
        if self._told.is_set():
            self._log(f"interrupted: terraform has ended with exit {ended.code}, {how_far(changed, said)}")
            raise KeyboardInterrupt
        if ended.code != 0:
            began = any(f"{one.address}: " in said for one in changed)
            words = last_words(ended.err, self._secrets)
            raise unfinished(changed, said, words, self._service.folder) if began else self._failure("apply", ended)

    def _checked(self, step: Step, arguments: tuple[str, ...]) -> _Finished:
        ended = self._run(step, arguments)
        if self._told.is_set():
            self._log("interrupted: terraform has ended, nothing was applied")
            raise KeyboardInterrupt
        if ended.code != 0:
            raise self._failure(step, ended)
        return ended

    def _failure(self, step: Step, ended: _Finished) -> BotError:
        return failure(step, ended.code, ended.err, self._service.folder, self._secrets)

    def _run(self, step: Step, arguments: tuple[str, ...]) -> _Finished:
        if self._told.is_set():
            raise KeyboardInterrupt
        out, err = self._own / "out", self._own / "err"
        chdir, command, *rest = arguments
        colourless = [self._program, chdir, command, *([] if step == "show" else ["-no-color"]), *rest]
        with _private(out) as to_out, _private(err) as to_err:
            try:
                process = subprocess.Popen(
                    colourless,
                    env=dict(self._environ),
                    cwd=self._root,
                    stdin=subprocess.DEVNULL,
                    stdout=to_out,
                    stderr=to_err,
                    start_new_session=True,
                )
            except OSError as error:
                raise UsageError(
                    f"it cannot be started: {error.strerror}",
                    where=self._program,
                    next_step="See that it is a program for this machine, and that it may be executed.",
                ) from None
        is_late = not self._waited(process, step)
        if is_late and not self._told.is_set():
            raise ServiceError(
                f"terraform {step} did not end within {_SECONDS[step]:.0f} s and was stopped"
                + (f"; {last_words(_read(err), self._secrets)}" if err.stat().st_size else ""),
                where=self._service.folder,
                next_step="See whether its state is locked, and what is applied: terraform plan, by hand.",
            )
        return _Finished(process.returncode, out, _read(err))

    def _waited(self, process: subprocess.Popen[bytes], step: Step) -> bool:
        """Until it has ended; whether it did so in time. Told to end, or late, it is asked to, once."""
        ends = time.monotonic() + _SECONDS[step]
        asked = 0.0
        while not _has_ended(process):
            now = time.monotonic()
            if not asked and (self._told.is_set() or now > ends):
                self._log(f"waiting for terraform {step} (process {process.pid}) to end by itself and free its lock")
                process.send_signal(signal.SIGINT)
                asked = now
            elif asked and step != "apply" and now > asked + _GRACE_SECONDS:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
        return asked <= ends


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(_SLICE_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True


@contextlib.contextmanager
def _deferred() -> Iterator[threading.Event]:
    """Signals that end a run are noted in the block, so that none comes between a program and its end.

    Raises KeyboardInterrupt at the end of the block for one that nobody has acted on. Only the main thread hears
    signals; in another one nothing is changed.
    """
    told = threading.Event()

    def note(_signal: int, _frame: FrameType | None) -> None:
        told.set()

    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            was = signal.getsignal(number)
            if was is not None and (was != signal.SIG_IGN or number == signal.SIGINT):
                before[number] = was
                signal.signal(number, note if was != signal.SIG_IGN else _unheard)
    try:
        yield told
    finally:
        for number, was in before.items():
            signal.signal(number, was)
    if told.is_set():
        raise KeyboardInterrupt


def _unheard(_signal: int, _frame: FrameType | None) -> None:
    """What a background job ignores it ignores still; its programs do not inherit that, as they would without this."""


def _is_passed(name: str) -> bool:
    if name in _PASSED_ON or name in _KEPT:
        return True
    return name.startswith(_CLOUDS) and not name.startswith(_CHANGES_THE_ANSWER)


def _secrets_of(environ: Mapping[str, str]) -> frozenset[str]:
    """What of the environment must not be quoted, line by line: a key may have several."""
    named = (value for name, value in environ.items() if any(word in name for word in _SECRET_WORDS))
    return frozenset(line for value in named for line in value.split("\n") if len(line) >= _SHORTEST_SECRET)


@contextlib.contextmanager
def _private(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_SAID_BYTES).decode(errors="replace")
