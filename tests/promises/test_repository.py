"""What holds for the repository's own files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.adapters.worktree import Worktree
from bot.core.pins.sites import allowed_keys, drift
from bot.flows.observe import read_pinned
from bot.settings import read_settings

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
ACTIONS = [ROOT / "action.yml", *sorted((ROOT / ".github/actions").glob("*/action.yml"))]
RELEASE = {
    "sbom": {"contents": "read", "packages": "read"},
    "publish": {"contents": "write", "packages": "write", "id-token": "write"},
    "verify": {"contents": "read", "packages": "read", "id-token": "write"},
}
"""What each job of a release may do: only the one that publishes may write to the repository or to its packages."""


def read_yaml(text: str) -> Any:  # a parsed YAML file; its shape is what the tests judge
    return yaml.safe_load(text)


def scripts_of(file: Path) -> list[str]:
    document = read_yaml(file.read_text())
    jobs = document["jobs"].values() if "jobs" in document else [document["runs"]]
    return [step["run"] for job in jobs for step in job.get("steps", []) if "run" in step]


def releases() -> list[Any]:
    """release.yml, and the one that docs/workflows.md shows."""
    (documented,) = re.findall(r"```yaml\n(name: release\n.*?)```", (ROOT / "docs/workflows.md").read_text(), re.DOTALL)
    return [read_yaml(text) for text in ((ROOT / ".github/workflows/release.yml").read_text(), documented)]


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


@pytest.mark.parametrize("file", [*WORKFLOWS, *ACTIONS], ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_expression_stands_in_a_script(file: Path) -> None:
    scripts = scripts_of(file)

    assert scripts
    assert not any("${{" in script for script in scripts)


@pytest.mark.parametrize("file", [*WORKFLOWS, *ACTIONS], ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_script_sets_variables_of_later_steps(file: Path) -> None:
    """A file that is copied there sets any variable; `gateway-bot check --export` writes the pin's own, one by one."""
    assert [script for script in scripts_of(file) if "GITHUB_ENV" in script] == []


def test_the_pin_is_exported_by_the_job_that_publishes_alone() -> None:
    jobs = read_yaml((ROOT / ".github/workflows/release.yml").read_text())["jobs"]
    exporting = [name for name, job in jobs.items() if "check --export" in str(job["steps"])]

    assert exporting == ["publish"]


def test_each_job_of_a_release_may_do_no_more_than_it_needs() -> None:
    for workflow in releases():
        assert workflow["permissions"] == {}
        assert {name: job["permissions"] for name, job in workflow["jobs"].items()} == RELEASE


def test_syft_runs_where_nothing_can_be_written_or_signed() -> None:
    """It starts in the first job; `publish` is given what it made there."""
    for workflow in releases():
        scripts = {
            name: " ".join(step.get("run", "") for step in job["steps"]) for name, job in workflow["jobs"].items()
        }
        assert [name for name, script in scripts.items() if "release sbom" in script] == ["sbom"]
        assert 'release publish --sbom "$RUNNER_TEMP/sbom"' in scripts["publish"]


def test_a_release_starts_with_a_tag_and_one_that_runs_is_never_cancelled() -> None:
    for workflow in releases():
        assert {name: event or {} for name, event in workflow[True].items()} == {  # YAML 1.1 reads `on` as a truth
            "push": {"tags": ["v*"]},
            "workflow_dispatch": {},
        }
        assert workflow["concurrency"] == {"group": "gateway-bot-release", "cancel-in-progress": False}


def test_a_checkout_leaves_no_token_behind() -> None:
    workflows = [*releases(), *(read_yaml(file.read_text()) for file in WORKFLOWS)]
    steps = [step for workflow in workflows for job in workflow["jobs"].values() for step in job.get("steps", [])]
    checkouts = [step.get("with", {}) for step in steps if step.get("uses", "").startswith("actions/checkout@")]

    assert checkouts
    assert [each for each in checkouts if each.get("persist-credentials") is not False] == []


def test_who_signs_is_the_workflow_that_is_here() -> None:
    release = read_settings(ROOT).release

    assert release is not None
    assert "/.github/workflows/release.yml@refs/tags/{tag}" in release.signature.identity


def test_the_upgrade_runs_off_the_hour_and_never_cancels_a_run() -> None:
    text = (ROOT / ".github/workflows/upgrade.yml").read_text()
    minute = re.findall(r'cron: "(\d+) ', text)

    assert minute != ["0"]
    assert "cancel-in-progress: false" in text


@pytest.mark.parametrize("name", ["runtime", "release", "dev"])
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


def test_what_msgspec_knows_of_a_type_is_made_in_one_place() -> None:
    """Anywhere else, two threads that do so at once may end the process: bot/core/decoding.py says why."""
    direct = re.compile(
        r"msgspec\.(?:convert|json\.(?:decode|Decoder)|(?:toml|yaml|msgpack)\.)|from msgspec(?:\.json)? import"
    )
    places = [path.name for path in (ROOT / "bot").rglob("*.py") if direct.search(path.read_text())]

    assert places == ["decoding.py"]
