"""GitHub Actions: workflow commands, the step summary and the step's outputs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from bot.core.text import no_command

MAX_SUMMARY = 1024 * 1024
"""Bytes; GitHub drops a step's summary that is larger."""

_NAME = re.compile(r"(?:[A-Z][A-Z0-9]*_)*(?:REF|VERSION|DIGEST|IMAGE|TAG)")
"""What a key of a pin is called. Everything else some program may obey: OPENSSL_CONF makes it load code."""

_RUNNERS = re.compile(r"(?:GITHUB|RUNNER|ACTIONS|INPUT|GATEWAY_BOT|AWS|DOCKER|GIT|PIP|NODE|PYTHON)_")


def annotation(level: Literal["error", "warning", "notice"], title: str, text: str) -> str:
    """A workflow command that shows on the run's page. Nothing in `text` can start another command."""
    return f"::{level} title={_property(title)}::{_escaped(no_command(text))}"


def append_summary(path: Path, markdown: str) -> None:
    """Add to the step summary, as far as it has room."""
    used = path.stat().st_size if path.exists() else 0
    room = MAX_SUMMARY - used - 1
    if room >= 0:
        whole = markdown.encode()[:room].decode(errors="ignore")
        with path.open("ab") as file:
            file.write(f"{whole}\n".encode())


def set_outputs(path: Path, outputs: Mapping[str, str]) -> None:
    """Outputs of one line each: no value can set another one."""
    lines = (f"{name}={' '.join(value.split())}\n" for name, value in outputs.items())
    with path.open("a", encoding="utf-8") as file:
        file.writelines(lines)


def set_variables(path: Path, variables: Mapping[str, str]) -> None:
    """Variables of the steps that follow, one by one. Raises ValueError for a name that would change a program."""
    for name, value in variables.items():
        if not _NAME.fullmatch(name) or _RUNNERS.match(name) or not (value.isascii() and value.isprintable()):
            raise ValueError(f"{name} may not be set for all steps that follow")
    with path.open("a", encoding="utf-8") as file:
        file.writelines(f"{name}={value}\n" for name, value in variables.items())


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")
