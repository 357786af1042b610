"""Terraform, which renders the gateway's config as it does when it is deployed: no network, no provider, no state."""

from __future__ import annotations

import re
import stat
import tempfile
from pathlib import Path

import msgspec

from bot.adapters.programs import Finished, Programs
from bot.core.decoding import decode
from bot.core.gateway_config.diagnostics import diagnostics, refused
from bot.core.gateway_config.terraform import question
from bot.core.model import ConfigEnvironment, GatewayConfig, SourceFile
from bot.core.text import plain
from bot.errors import PolicyError, ServiceError, UsageError

MAX_BYTES = 1024 * 1024
"""Of a file that is read, and of the config that is rendered."""

_SECONDS = 60
_PLAN = ("plan", "-json", "-input=false", "-lock=false", "-refresh=false", "-out=plan")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_VARIABLES = {"CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "TF_INPUT": "0"}


class _Output(msgspec.Struct):
    value: str | None = None


class _Values(msgspec.Struct):
    outputs: dict[str, _Output] = {}


class _Plan(msgspec.Struct):
    planned_values: _Values


class Terraform:
    """Renders templates of the checkout at `root`. May be used from several threads at once."""

    def __init__(self, programs: Programs, root: Path) -> None:
        self._programs = programs
        self._root = root

    def read(self, path: str) -> SourceFile:
        """A file of the checkout. Raises UsageError for one that is missing, outside of it, too large, or no file."""
        try:
            target = (self._root / path).resolve(strict=True)
            status = target.stat()
            if not target.is_relative_to(self._root.resolve()):
                raise _unusable(path, "it is outside of the checkout")
            if not stat.S_ISREG(status.st_mode):
                raise _unusable(path, "it is no regular file")
            with target.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except (OSError, RuntimeError, ValueError) as error:
            missing = isinstance(error, FileNotFoundError)
            why = "there is no such file" if missing else f"it cannot be read: {type(error).__name__}"
            raise _unusable(path, why) from None
        if len(data) > MAX_BYTES:
            raise _unusable(path, f"it is larger than {MAX_BYTES:,} bytes")
        return SourceFile(path, data)

    def render(self, config: GatewayConfig, environment: ConfigEnvironment) -> str:
        """The config of one environment, as Terraform's templatefile() renders it.

        Raises UsageError for a file that is not there, PolicyError for a template that does not render, at its
        place, and ServiceError where Terraform is missing or gives up.
        """
        asked = question(
            self.read(config.template),
            [self.read(path) for path in config.declarations],
            [self.read(path) for path in environment.var_files],
            {name: _json(name, text) for name, text in environment.values},
        )
        with tempfile.TemporaryDirectory(prefix="gateway-bot-") as folder:
            for name, content in asked.files.items():
                (Path(folder) / name).write_bytes(content)
            planned = self._run(Path(folder), *_PLAN, *asked.arguments)
            found = diagnostics(planned.out)
            if found:
                raise refused(found[0], asked.paths, asked.unset, is_secret=asked.is_secret)
            if planned.code != 0:
                raise _gave_up("plan", planned)
            shown = self._run(Path(folder), "show", "-json", "plan")
        return _rendered(shown, config.template)

    def _run(self, folder: Path, *arguments: str) -> Finished:
        return self._programs.run("terraform", arguments, seconds=_SECONDS, variables=_VARIABLES, folder=folder)


def _rendered(shown: Finished, template: str) -> str:
    try:
        value = decode(shown.out, _Plan).planned_values.outputs["rendered"].value
    except (msgspec.MsgspecError, KeyError):
        raise _gave_up("show", shown) from None
    if value is None:
        raise PolicyError(
            "what it renders is known only when Terraform applies it",
            where=template,
            next_step="Leave out timestamp(), uuid() and bcrypt(): each rendering would differ.",
        )
    if len(value.encode()) > MAX_BYTES:
        raise PolicyError(
            f"it renders to more than {MAX_BYTES:,} bytes", where=template, next_step="No config is that large."
        )
    return value


def _json(name: str, text: str) -> bytes:
    if not _NAME.fullmatch(name):
        raise _unusable(f"values.{plain(name, 60)}", "that is no name of a Terraform variable")
    try:
        decode(text, object)
    except (msgspec.MsgspecError, RecursionError):
        raise _unusable(f"values.{name}", "its value is no JSON") from None
    return text.encode()


def _unusable(where: str, what: str) -> UsageError:
    return UsageError(what, where=where, next_step="Mend the table [image.config] in gateway-bot.toml, or the file.")


def _gave_up(command: str, finished: Finished) -> ServiceError:
    return ServiceError(
        f"terraform {command} ended with exit {finished.code} and said nothing that can be read",
        where="terraform",
        next_step="Use Terraform 1.9 or newer; run it by hand in the module of the template to see what it says.",
    )
