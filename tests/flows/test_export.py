"""`check --export`: the keys of versions.env for later steps of a workflow, and nothing else of that file."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.adapters.actions import set_variables
from tests.flows.conftest import Town


@pytest.fixture
def variables(town: Town, tmp_path: Path) -> Path:
    """What the runner reads."""
    file = tmp_path / "github-env"
    file.touch()
    town.environ["GITHUB_ENV"] = str(file)
    return file


def test_the_keys_of_the_pin_are_set_one_by_one(town: Town, variables: Path) -> None:
    done = town.run("check", "--export")

    assert done.code == 0
    assert variables.read_text() == (
        f"AGENTGATEWAY_REF=v1.3.1\nAGENTGATEWAY_VERSION=1.3.1\nAGENTGATEWAY_IMAGE_DIGEST={town.digests['v1.3.1']}\n"
    )


@pytest.mark.parametrize(
    "line", ["PATH=/evil", "LD_PRELOAD=/evil.so", "AGENTGATEWAY_REF=v1.3.1\nBASH_ENV=/evil", "X=$(id)", "A='b\nPATH=c'"]
)
def test_a_file_with_more_in_it_is_refused_before_anything_is_set(town: Town, variables: Path, line: str) -> None:
    town.write("versions.env", f"{town.text('versions.env')}{line}\n")

    done = town.run("check", "--export")

    assert done.code == 3
    assert variables.read_text() == ""


def test_nothing_is_set_where_the_files_disagree(town: Town, variables: Path) -> None:
    town.write("versions.env", town.text("versions.env").replace("v1.3.1", "v1.3.0"))

    assert town.run("check", "--export").code == 3
    assert variables.read_text() == ""


def test_a_key_that_a_program_obeys_is_refused(town: Town, variables: Path) -> None:
    town.settings('AGENTGATEWAY_REF = "ref"', 'GIT_SSH_COMMAND = "ref"')
    for name in ("versions.env", "Dockerfile"):
        town.write(name, town.text(name).replace("AGENTGATEWAY_REF", "GIT_SSH_COMMAND"))

    done = town.run("check", "--export")

    assert done.code == 2
    assert "GIT_SSH_COMMAND may not be set for all steps that follow" in done.err
    assert variables.read_text() == ""


def test_outside_of_a_workflow_there_is_nobody_to_set_them_for(town: Town, variables: Path) -> None:
    del town.environ["GITHUB_ENV"]

    done = town.run("check", "--export")

    assert done.code == 2
    assert "there is no GITHUB_ENV" in done.err
    assert variables.read_text() == ""


@pytest.mark.parametrize(
    "name", ["PATH", "path", "LD_PRELOAD", "GITHUB_TOKEN", "NODE_OPTIONS", "https_proxy", "A=B", "1A", "A\nB", ""]
)
def test_no_name_that_changes_a_program_is_ever_written(tmp_path: Path, name: str) -> None:
    file = tmp_path / "env"
    file.touch()

    with pytest.raises(ValueError, match="may not be set"):
        set_variables(file, {"FINE": "1", name: "2"})

    assert file.read_text() == ""


@pytest.mark.parametrize("value", ["a\nB=c", "a\rb", "\x1b[0m", "é"])
def test_no_value_is_more_than_one_plain_line(tmp_path: Path, value: str) -> None:
    with pytest.raises(ValueError, match="may not be set"):
        set_variables(tmp_path / "env", {"FINE": value})

    assert not (tmp_path / "env").exists()
