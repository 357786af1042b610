"""The README and the docs are held to their word."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import pytest

from bot import cli, errors
from bot.core import emergency, ledger_text
from bot.core.asked import AskedJson
from bot.core.hold_text import HoldDoneJson, UnholdDoneJson
from bot.core.release.built import BuiltJson
from bot.core.release.bump import BumpedJson
from bot.core.release.chain import ChainJson
from bot.core.release.publication import PublicationJson
from bot.core.wire import CheckJson, OutcomeJson, ResolvedJson, RollbackJson
from bot.settings import FILE, read_settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
SETTINGS = (ROOT / "docs/settings.md").read_text()
RELEASE = "".join((ROOT / "docs" / name).read_text() for name in ("release.md", "build.md"))
JSON = (ROOT / "docs/json.md").read_text()
HISTORY = (ROOT / "docs/history.md").read_text()


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
        ("`rollback`", RollbackJson),
        ("`rollback --emergency`", emergency.Ran),
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
    assert sorted(rows(section(JSON, heading))) == sorted(kind.__struct_fields__)


def test_what_hold_and_unhold_say_is_documented_field_by_field() -> None:
    fields = {*HoldDoneJson.__struct_fields__, *UnholdDoneJson.__struct_fields__}

    assert sorted(rows(section(JSON, "`hold`, `unhold`"))) == sorted(fields)


@pytest.mark.parametrize(
    ("before", "kind"),
    [("## JSON", ledger_text._Document), ("Of an entry:", ledger_text._Entry), ("Of a release:", ledger_text._Release)],
)
def test_the_history_is_documented_field_by_field(before: str, kind: type[msgspec.Struct]) -> None:
    table = HISTORY.partition(f"\n{before}\n")[2].partition("\n|---|---|\n")[2].partition("\n\n")[0]

    assert sorted(rows(f"\n{table}")) == sorted(kind.__struct_fields__)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (section(JSON, "`rollback --emergency`"), emergency.Ran),
        (section(JSON, "`hold`, `unhold`"), HoldDoneJson),
        (section(JSON, "`hold`, `unhold`"), UnholdDoneJson),
        (HISTORY.partition("\n## JSON\n")[2], ledger_text._Document),
    ],
    ids=lambda each: each.__name__ if isinstance(each, type) else "",
)
def test_what_stands_within_a_field_is_documented_too(text: str, kind: type[msgspec.Struct]) -> None:
    named = set(re.findall(r"`([a-z_]+)`", text))
    inner = {field.encode_name for each in structs(msgspec.inspect.type_info(kind)) for field in each.fields}

    assert set(kind.__struct_fields__) < inner
    assert inner <= named


def rows(text: str) -> list[str]:
    """The fields that the first column of a table names."""
    return [
        field for row in re.findall(r"^\| (`.*?) \| ", text, re.MULTILINE) for field in re.findall(r"`([a-z_]+)`", row)
    ]


def structs(kind: object) -> Iterator[msgspec.inspect.StructType]:
    """This struct and those within it, which no struct of JSON has itself in."""
    if isinstance(kind, msgspec.inspect.StructType):
        yield kind
        for field in kind.fields:
            yield from structs(field.type)
    elif isinstance(kind, msgspec.inspect.UnionType):
        for each in kind.types:
            yield from structs(each)
    elif isinstance(kind, msgspec.inspect.VarTupleType | msgspec.inspect.ListType):
        yield from structs(kind.item_type)


def test_the_runbook_of_a_rollback_is_one_page() -> None:
    assert len((ROOT / "docs/rollback.md").read_text().splitlines()) <= 60


def test_every_link_between_documents_leads_somewhere() -> None:
    documents = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    links = [(doc, link) for doc in documents for link in re.findall(r"\]\(([^)#:]+)\)", doc.read_text())]

    assert [(doc.name, link) for doc, link in links if not (doc.parent / link).exists()] == []
