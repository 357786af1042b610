"""The README and the docs are held to their word."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from bot import cli, errors
from bot.core.asked import AskedJson
from bot.core.release.built import BuiltJson
from bot.core.release.bump import BumpedJson
from bot.core.release.chain import ChainJson
from bot.core.release.publication import PublicationJson
from bot.core.wire import CheckJson, OutcomeJson, ResolvedJson
from bot.settings import FILE, read_settings
from tests.flows.conftest import Gated

if TYPE_CHECKING:
    import msgspec

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
SETTINGS = (ROOT / "docs/settings.md").read_text()
RELEASE = "".join((ROOT / "docs" / name).read_text() for name in ("release.md", "build.md"))
JSON = (ROOT / "docs/json.md").read_text()


def commands(group: click.Group, prefix: str = "") -> dict[str, click.Command]:
    found: dict[str, click.Command] = {}
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found |= commands(command, f"{prefix}{name} ")
        else:
            found[f"{prefix}{name}"] = command
    return found


def section(text: str, heading: str) -> str:
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def test_the_readme_names_every_command_with_its_options() -> None:
    rows = re.findall(r"^\| (`[a-z].*?) \| ", section(README, "Commands"), re.MULTILINE)
    named = {match for row in rows for match in re.findall(r"`([a-z]+(?: [a-z]+)?)", row)}
    shown = set(re.findall(r"--[a-z-]+", section(README, "Commands")))
    options = {
        option
        for command in commands(cli.cli).values()
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("--")
    }

    assert named == set(commands(cli.cli))
    assert options - {"--output"} <= shown


@pytest.mark.parametrize("name", commands(cli.cli))
def test_every_help_ends_with_an_example(name: str) -> None:
    command = commands(cli.cli)[name]

    assert command.epilog is not None
    assert command.epilog.startswith("Example: ")


def test_the_readme_gives_every_exit_code() -> None:
    listed = {int(code) for code in re.findall(r"^\| (\d+) \| ", section(README, "Commands"), re.MULTILINE)}
    raised = {kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "exit_code")}

    assert raised | {0, 130} == listed


def test_the_readmes_commands_are_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"make ([a-z-]+)", README))

    assert {"demo", "test"} <= targets
    assert all(f"\n{target}:" in makefile for target in targets)


def test_the_readmes_settings_and_shell_lines_work(gated: Gated) -> None:
    settings = "\n".join(re.findall(r"```toml\n(.*?)```", README, re.DOTALL))
    gated.town.write(FILE, settings.replace("ghcr.io/agentgateway/agentgateway", gated.town.image))
    for path in re.findall(r'"(infrastructure/(?:modules|environments)/[^"]+)"', settings):
        gated.town.write(path, (ROOT / path).read_text())
    lines = [line.partition("#")[0].strip() for line in README.splitlines() if line.startswith("gateway-bot ")]

    codes = {line: gated.run(*line.split()[1:]).code for line in lines}

    assert len(codes) == 6
    assert codes == dict.fromkeys(lines, 0)


@pytest.mark.parametrize("block", re.findall(r"```toml\n(.*?)```", SETTINGS + RELEASE, re.DOTALL))
def test_every_example_of_the_settings_is_valid(tmp_path: Path, block: str) -> None:
    head = '[[image]]\nname = "x"\nregistry = "ghcr.io/x/y"\ngithub = "x/y"\n'
    pins = "" if "[[image.pins]]" in block else '[[image.pins]]\ntype = "terraform"\nfile = "v.tf"\nvariable = "v"\n'
    whole = block if "[[image]]" in block else head + pins + block
    (tmp_path / FILE).write_text(whole)

    read = read_settings(tmp_path)

    assert len(read.images[0].sites) == len(tomllib.loads(whole)["image"][0]["pins"])


@pytest.mark.parametrize(
    ("heading", "kind"),
    [
        ("`plan`, `apply`, `propose`", OutcomeJson),
        ("`check`", CheckJson),
        ("`resolve`", ResolvedJson),
        ("`verify`, `scan`, `validate`", AskedJson),
        ("`build`", BuiltJson),
        ("`release bump`", BumpedJson),
        ("`release publish`", PublicationJson),
        ("`release verify`", ChainJson),
    ],
)
def test_the_json_is_documented_field_by_field(heading: str, kind: type[msgspec.Struct]) -> None:
    rows = re.findall(r"^\| (`.*?) \| ", section(JSON, heading), re.MULTILINE)
    documented = [field for row in rows for field in re.findall(r"`([a-z_]+)`", row)]

    assert sorted(documented) == sorted(kind.__struct_fields__)


def test_every_link_between_documents_leads_somewhere() -> None:
    documents = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    links = [(doc, link) for doc in documents for link in re.findall(r"\]\(([^)#:]+)\)", doc.read_text())]

    assert [(doc.name, link) for doc, link in links if not (doc.parent / link).exists()] == []
