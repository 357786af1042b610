"""Templates that render and templates that do not, and what Terraform says to them.

tests/recorded/terraform holds each question, file by file, with the answers of a real Terraform; `terraform` of
`replaying` answers from there, and refuses a question that nobody recorded.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.adapters.programs import Finished, Programs
from bot.adapters.terraform import Terraform
from bot.core.model import ConfigEnvironment, GatewayConfig
from bot.errors import BotError

RECORDED = Path(__file__).resolve().parent / "recorded" / "terraform"
SECRET = "sk-not-for-logs"  # noqa: S105 - that it is shown nowhere is what is tested
_VOLATILE = ("@timestamp", "@module", "ui", "terraform")

_DECLARED = """\
terraform {
  required_version = ">= 99"
  backend "s3" {}
}

resource "aws_ecs_service" "gateway" {}

variable "region" {
  type = string

  validation {
    condition     = startswith(var.region, "eu-")
    error_message = "region must be in Europe."
  }
}

variable "ports" {
  type    = list(number)
  default = [8787]
}

variable "cluster" {
  type = string
}
"""
_SECRETIVE = """\
variable "key" {
  type      = string
  sensitive = true

  validation {
    condition     = length(var.key) > 10
    error_message = "The key ${var.key} is too short."
  }
}
"""


@dataclass(frozen=True, slots=True)
class Case:
    """A checkout and what is rendered of it; `expected` is the text, or exit code, place and what is said."""

    template: str
    expected: str | tuple[int, str, str]
    declared: str = _DECLARED
    more: Mapping[str, str] = field(default_factory=dict)
    given: str = 'region = "eu-north-1"\n'
    values: tuple[tuple[str, str], ...] = ()

    @property
    def files(self) -> dict[str, str]:
        own = {"app/config.tftpl": self.template, "app/vars.tf": self.declared, "env/dev.tfvars": self.given}
        return {**own, **self.more}

    @property
    def environment(self) -> ConfigEnvironment:
        more = tuple(path for path in self.more if "tfvars" in path)
        return ConfigEnvironment("dev", ("env/dev.tfvars", *more), self.values)

    @property
    def config(self) -> GatewayConfig:
        more = tuple(path for path in self.more if path.endswith(".tf"))
        return GatewayConfig("app/config.tftpl", (self.environment,), ("app/vars.tf", *more))


CASES = {
    "all that a template can do": Case(
        'r: "${region}"\n%{ for port in ports ~}\n- ${port}\n%{ endfor ~}\nkey: "$KEY $${LATER} ß"\r\n${extra.a}\n',
        'r: "eu-north-1"\n- 1\n- 2\nkey: "$KEY ${LATER} ß"\r\ntrue\n',
        more={"env/more.tfvars.json": '{"ports": [3], "unknown": 1}'},
        values=(("ports", "[1, 2]"), ("extra", '{"a": true}')),
    ),
    "a value that looks like a template": Case("${x}", "${region}", values=(("x", '"${region}"'),)),
    "a later file overrides": Case("${region}", "eu-west-1", more={"env/b.tfvars": 'region = "eu-west-1"\n'}),
    "a secret value": Case("${key}", SECRET, more={"app/more.tf": _SECRETIVE}, values=(("key", f'"{SECRET}"'),)),
    "an unknown name": Case(
        "a\n${regoin}\n", (6, "app/config.tftpl:2", 'the template uses "regoin", and no declaration names it')
    ),
    "a variable without a value": Case(
        "a\n\n${cluster}\n", (6, "app/config.tftpl:3", 'the template uses "cluster", and no value is given for it')
    ),
    "a value against its validation": Case(
        "${region}",
        (6, "env/dev.tfvars:1", "Invalid value for variable: region must be in Europe. (app/vars.tf:11)"),
        given='region = "us-east-1"\n',
    ),
    "a value of a wrong type": Case(
        "${ports[0]}",
        (6, "env/dev.tfvars:2", "Invalid value for input variable: The given value is not suitable for var.ports"),
        given='region = "eu-north-1"\nports = "none"\n',
    ),
    "a secret against its validation": Case(
        "${key}",
        (6, "values in gateway-bot.toml", "Invalid value for variable (app/more.tf:5)"),
        more={"app/more.tf": _SECRETIVE},
        values=(("key", '"sk-short"'),),
    ),
    "a syntax error in the template": Case(
        "${region\n", (6, "app/config.tftpl:1", "Unclosed template interpolation sequence: There is no closing brace")
    ),
    "a function that fails": Case(
        "a\n${tonumber(region)}\n",
        (6, "app/config.tftpl:2", 'Invalid function argument: Invalid value for "v" parameter: cannot convert "eu-n'),
    ),
    "a function that fails beside a secret": Case(
        "${tonumber(key)}\n",
        (6, "app/config.tftpl:1", "Invalid function argument"),
        more={"app/more.tf": _SECRETIVE},
        values=(("key", f'"{SECRET}"'),),
    ),
    "known only when it is applied": Case(
        "${timestamp()}", (6, "app/config.tftpl", "what it renders is known only when Terraform applies it")
    ),
    "declared twice": Case(
        "${region}", (6, "app/more.tf:10", "Duplicate variable declaration"), more={"app/more.tf": f"\n\n{_DECLARED}"}
    ),
    "a value that names are not": Case("${x}", (6, "app/config.tftpl", ""), values=(("count", "1"),)),
}


class Recording(Programs):
    """Starts the real Terraform, and keeps what it was asked and what it said."""

    def __init__(self) -> None:
        super().__init__(os.environ, lambda _: None)
        self.record: dict[str, Any] = {}

    def run(self, program: str, arguments: Sequence[str], **options: Any) -> Finished:
        """As `Programs.run`."""
        folder: Path = options["folder"]
        if not self.record:
            self.record["question"] = {path.name: path.read_bytes().decode() for path in sorted(folder.iterdir())}
        finished = super().run(program, arguments, **options)
        out = [_normalised(json.loads(line)) for line in finished.out.splitlines()]
        self.record[arguments[0]] = {"arguments": list(arguments), "code": finished.code, "out": out}
        return finished


def _normalised(message: dict[str, Any]) -> dict[str, Any]:
    if "planned_values" in message:
        return {"planned_values": message["planned_values"]}
    kept = {key: value for key, value in message.items() if key not in _VOLATILE}
    if kept.get("type") == "version":
        del kept["@message"]
    kept.get("diagnostic", {}).pop("snippet", None)
    return kept


def said_of(terraform: Terraform, case: Case) -> str | tuple[int, str, str]:
    """What came of it, in the form of `Case.expected`; of what an error says, as much as is expected."""
    try:
        return terraform.render(case.config, case.environment)
    except BotError as error:
        said = error.what.removeprefix("the config does not render: ")
        return error.exit_code, error.where, said[: len(case.expected[2])] if case.expected[2:] else said


def recorded_at(name: str) -> Path:
    """Where a case is kept."""
    return RECORDED / f"{name.replace(' ', '-')}.json"


def checkout(case: Case, folder: Path) -> Path:
    """The case's files in a folder."""
    for path, text in case.files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, newline="")
    return folder


def replaying(record: Path, root: Path, bin_folder: Path) -> Terraform:
    """A Terraform that answers from a record."""
    bin_folder.mkdir(exist_ok=True)
    command = [sys.executable, str(RECORDED / "program.py"), str(record)]
    program(bin_folder, f'exec {shlex.join(command)} "$@"')
    return Terraform(Programs({"PATH": f"{bin_folder}:/usr/bin:/bin"}, lambda _: None), root)


def program(bin_folder: Path, script: str) -> None:
    """A `terraform` that does this, in a shell."""
    path = bin_folder / "terraform"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
