"""What holds for the repository's own files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from bot.adapters.worktree import Worktree
from bot.core.pins.sites import allowed_keys, drift
from bot.flows.observe import read_pinned
from bot.settings import read_settings

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def test_the_repositorys_own_pins_agree() -> None:
    settings = read_settings(ROOT)
    image = settings.images[0]
    pinned = read_pinned(image, Worktree(ROOT), allowed_keys(settings.images))

    assert drift(image, pinned.held, pinned.pin) == ()


def test_the_dockerfile_adds_no_layer() -> None:
    instructions = re.findall(r"^([A-Z]+) ", (ROOT / "Dockerfile").read_text(), re.MULTILINE)

    assert set(instructions) == {"ARG", "FROM", "LABEL", "EXPOSE"}


@pytest.mark.parametrize("file", [*WORKFLOWS, ROOT / "action.yml"], ids=lambda path: path.name)
def test_every_action_is_pinned_by_commit_and_says_its_version(file: Path) -> None:
    uses = re.findall(r"uses: (?!\./)(.*)", file.read_text())  # ./ is the bot's own checkout

    assert uses
    assert [line for line in uses if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []


@pytest.mark.parametrize("file", [*WORKFLOWS, ROOT / "action.yml"], ids=lambda path: path.name)
def test_no_expression_stands_in_a_script(file: Path) -> None:
    document = yaml.safe_load(file.read_text())
    jobs = document["jobs"].values() if "jobs" in document else [document["runs"]]
    scripts = [step["run"] for job in jobs for step in job.get("steps", []) if "run" in step]

    assert scripts
    assert not any("${{" in script for script in scripts)


def test_the_upgrade_runs_off_the_hour_and_never_cancels_a_run() -> None:
    text = (ROOT / ".github/workflows/upgrade.yml").read_text()
    minute = re.findall(r'cron: "(\d+) ', text)

    assert minute != ["0"]
    assert "cancel-in-progress: false" in text


@pytest.mark.parametrize("name", ["runtime", "dev"])
def test_what_is_installed_is_locked_by_hash_and_names_no_address(name: str) -> None:
    text = (ROOT / f"requirements/{name}.txt").read_text()
    pinned = re.findall(r"^[a-z0-9].*==", text, re.MULTILINE)

    assert len(pinned) <= text.count("--hash=sha256:")
    assert re.findall(r"https?://|--index|--find-links", text) == []


def test_the_environment_has_one_reader() -> None:
    readers = [
        path.name for path in (ROOT / "bot").rglob("*.py") if re.search(r"os\.(environ|getenv)", path.read_text())
    ]

    assert readers == ["environment.py"]
