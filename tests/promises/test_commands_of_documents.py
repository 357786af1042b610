"""Every command that a document shows in a block is run; those within a line of text fit what the programs take."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest
import yaml

from bot import cli
from tests.flows.pasts import Story
from tests.promises.conftest import TASKS, Scene

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


class Block(NamedTuple):
    """The commands of one fenced block, in their order and without comments, and where it stands first."""

    document: str
    lines: tuple[str, ...]


_FENCE = re.compile(r"^ *(```+|~~~+) *([^\n`]*)\n(.*?)^ *\1 *$", re.MULTILINE | re.DOTALL)
_SHELL = {"bash", "sh", "shell", "console"}


def fenced() -> list[tuple[Path, str, str]]:
    """Document, language and text of every block."""
    return [
        (document, language.strip(), text)
        for document in DOCUMENTS
        for _, language, text in _FENCE.findall(document.read_text())
    ]


def blocks() -> list[Block]:
    """Of shells; one that stands in several documents counts once."""
    found: dict[tuple[str, ...], Block] = {}
    for document, language, text in fenced():
        if language not in _SHELL:
            continue
        lines = [line.strip() for line in text.replace("\\\n", " ").splitlines()]
        typed = [line.removeprefix("$ ") for line in lines if language != "console" or line.startswith("$ ")]
        commands = tuple(filter(None, (shlex.join(shlex.split(line, comments=True)) for line in typed)))
        found.setdefault(commands, Block(str(document.relative_to(ROOT)), commands))
    return list(found.values())


BLOCKS = blocks()
SHOWN = {line for block in BLOCKS for line in block.lines}
WHY = "'5xx since the upgrade'"

SCENES = {
    "gateway-bot check": "readme",
    "gateway-bot verify v1.4.1": "readme",
    "mise run release:bump-patch": "new_release",
    "gateway-bot history": "bad_release",
    "gateway-bot build": "new_release",
    "gateway-bot hold 1.4.0 --reason 'drops streams under load'": "new_release",
    "gateway-bot release bump patch": "new_release",
    "gateway-bot release bump patch --push": "new_release",
    "gateway-bot --repository acme/ai-gateway release verify v1.2.4": "published",
    "gateway-bot --repository acme/ai-gateway release verify v1.2.4 --trusted-root company-root.json": "published",
    "gateway-bot release sbom v1.2.4 --output build/sbom": "tagged",
    "gateway-bot plan --explain": "new_release",
    "git switch main": "merged_elsewhere",
    "gateway-bot apply --to v1.4.1": "new_release",
    "terraform -chdir=infrastructure init": "new_release",
    "gateway-bot validate --to v1.4.1": "new_release",
    "git revert --no-edit HEAD": "new_release",
    "git fetch --tags origin": "bad_release",
    "gateway-bot rollback --emergency production --run plan": "bad_release",
    f"gateway-bot rollback --to v1.3.1 --reason {WHY}": "bad_release",
    f"gateway-bot rollback --apply --reason {WHY}": "bad_release",
    "gateway-bot rollback --to v1.4.1 --reason 'it was the load balancer'": "went_back",
}
"""Where a block is run, by its first line."""

SAYS = {
    f"gateway-bot rollback --reason {WHY}": "roll back v1.4.1 -> v1.4.0",
    f"gateway-bot rollback --reason {WHY} --release": "roll back v1.4.1 -> v1.4.0",
    f"gateway-bot rollback --to v1.3.1 --reason {WHY}": "roll back v1.4.1 -> v1.3.1",
    "gateway-bot rollback --to v1.4.1 --reason 'it was the load balancer'": "roll forward v1.4.0 -> v1.4.1",
    f"gateway-bot rollback --apply --reason {WHY}": "rewrote Dockerfile, gateway-bot.toml",
    "gateway-bot rollback --emergency production --run plan": "planned, not applied",
    f"gateway-bot rollback --emergency production --run apply --reason {WHY}": "is pointed at v1.4.0",
    "gateway-bot release bump patch --push": "pushed: main and v1.2.4 to origin",
    "gateway-bot propose": "#1 opened",
    "gateway-bot apply --to v1.4.1": "rewrote Dockerfile",
    "gateway-bot unhold 1.4.0": "no longer 1.4.0",
    "gateway-bot history": "known good",
}
"""What a line answers where its document promises more than that it works."""

NOT_RUN = {
    "make demo": "it makes an environment of its own; tests/flows has the demo's parts",
    "make test": "it is what runs this",
    "pip install .": "it asks a package registry",
    "gh workflow run rollback.yml -f 'reason=5xx since the upgrade' -f release=true": "it asks GitHub",
    "terraform -chdir=infrastructure init": "tests/real runs it",
    "terraform -chdir=infrastructure plan -var-file=environments/dev.tfvars": "tests/real runs it",
    "terraform -chdir=infrastructure apply -var-file=environments/dev.tfvars": "tests/real runs it",
}
"""Lines that nobody can run here, and why; `fits` looks whether what they name is there."""


@pytest.fixture
def town(gateway: Story) -> Story:
    """What `gated` puts its programs into."""
    return gateway


def fits(words: Sequence[str]) -> bool:
    """Whether what a line names is in this repository."""
    match words:
        case ["make", target]:
            return f"\n{target}: " in (ROOT / "Makefile").read_text()
        case ["mise", "run", task]:
            return task in TASKS
        case ["pip", "install", "."]:
            module, _, name = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"][
                "gateway-bot"
            ].partition(":")
            return callable(getattr(import_module(module), name))
        case ["gh", "workflow", "run", file, *rest]:
            return _starts(file, rest)
        case ["terraform", chdir, "init" | "plan" | "apply", *rest]:
            folder = ROOT / chdir.removeprefix("-chdir=")
            return all((folder / each.removeprefix("-var-file=")).is_file() for each in rest) and folder.is_dir()
    return False


def _starts(file: str, rest: Sequence[str]) -> bool:
    """Whether a workflow is there, is started by hand, and takes these inputs: all that it wants, and no others."""
    path = ROOT / ".github/workflows" / file
    if not path.is_file():
        return False
    events: dict[str, Any] = yaml.safe_load(path.read_text())[True]  # YAML 1.1 reads `on` as a truth
    if "workflow_dispatch" not in events:
        return False
    inputs = (events["workflow_dispatch"] or {}).get("inputs", {})
    pairs = [word for word in rest if word != "-f" and "=" in word]
    given = {pair.partition("=")[0] for pair in pairs}
    wanted = {name for name, each in inputs.items() if each.get("required")}
    return wanted <= given <= set(inputs)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.document}:{block.lines[0]}")
def test_the_commands_of_a_block_work_one_after_the_other(block: Block, request: pytest.FixtureRequest) -> None:
    typed = [line for line in block.lines if line not in NOT_RUN]
    if typed:
        scene: Scene = request.getfixturevalue(SCENES[block.lines[0]])
        for line in typed:
            answer = scene.run(line)
            told = f"{line}\n{answer.out}{answer.err}"
            assert answer.code == 0, told
            assert SAYS.get(line, "") in answer.out, told

    assert all(fits(shlex.split(line)) for line in set(block.lines) - set(typed))


def test_what_is_said_of_lines_is_said_of_those_that_are_shown() -> None:
    first = {block.lines[0] for block in BLOCKS}

    assert (set(SCENES) - first, set(SAYS) - SHOWN, set(NOT_RUN) - SHOWN) == (set(), set(), set())


def test_what_is_typed_stands_in_a_block_of_a_shell() -> None:
    programs = re.compile(r"^ *\$? *(gateway-bot|git|make|mise|pip|terraform|gh|cosign|docker) +(?!=)", re.MULTILINE)
    others = [(document.name, language, text) for document, language, text in fenced() if language not in _SHELL]

    assert {language for _, language, _ in others} <= {"toml", "ini", "yaml", "json", ""}
    assert [each for each in others if each[1] != "yaml" and programs.search(each[2])] == []  # of workflows: steps


def spans() -> list[tuple[str, str]]:
    """The code within lines of text, outside of blocks; what has placeholders is no whole command."""
    found = []
    for document in DOCUMENTS:
        text = _FENCE.sub("", document.read_text())
        found += [(str(document.relative_to(ROOT)), span) for span in re.findall(r"`([^`\n]+)`", text)]
    return found


def _is_whole(span: str) -> bool:
    return not re.search(r"\b[A-Z]{2,}\b(?!=)|\.\.\.|[\[\]|$]", span)


@pytest.mark.parametrize("span", sorted({s for _, s in spans() if s.startswith("gateway-bot ") and _is_whole(s)}))
def test_a_command_in_a_line_of_text_can_be_typed(span: str) -> None:
    words = shlex.split(span)[1:]
    command: click.Command = cli.cli
    while isinstance(command, click.Group) and words:
        context = click.Context(command)
        words = command.make_parser(context).parse_args(list(words))[1]
        command, words = command.commands[words[0]], words[1:]
    if words:  # else it is the name of a command
        with command.make_context(command.name, words) as context:
            assert context.params


def _named(words: Sequence[str]) -> click.Command | None:
    """The command of `rollback --apply`, as text names it."""
    command: click.Command | None = cli.cli
    for word in words:
        if not isinstance(command, click.Group):
            break
        command = command.commands.get(word)
    return None if isinstance(command, click.Group) else command


def test_every_option_that_a_line_of_text_gives_to_a_command_exists() -> None:
    wrong = []
    for document, span in spans():
        words = span.removeprefix("gateway-bot ").split()
        command = _named(words)
        options = {option for word in words for option in re.findall(r"--[a-z][a-z-]+", word)}
        known = {name for each in command.params for name in each.opts} if command else options
        if not options <= known | {"--help"}:
            wrong.append((document, span))

    assert wrong == []


def test_what_a_line_of_text_starts_elsewhere_is_here() -> None:
    named = [(document, span) for document, span in spans() if re.match(r"(make|mise run|gh workflow run) ", span)]

    assert named
    assert [each for each in named if _is_whole(each[1]) and not fits(shlex.split(each[1]))] == []
