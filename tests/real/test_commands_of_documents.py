"""The documents' commands that need a real Terraform: those that it is named in, and a rollback in an emergency."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.flows.conftest import DOWNSTREAM, gated
from tests.flows.pasts import Story
from tests.parts import ROOT, require
from tests.promises.conftest import Place, Scene, bad_release, checkout, gateway
from tests.promises.test_commands_of_documents import BLOCKS, SAYS, Block, town

__all__ = ["bad_release", "checkout", "gated", "gateway", "town"]

pytestmark = pytest.mark.real

OF_TERRAFORM = [block for block in BLOCKS if any(line.startswith("terraform ") for line in block.lines)]
EMERGENCIES = [block for block in BLOCKS if any("--emergency" in line for line in block.lines)]
SERVICE = """
resource "terraform_data" "task" { triggers_replace = [var.gateway_image] }
resource "terraform_data" "service" { input = terraform_data.task.id }
"""


def typed(line: str, root: Path, answer: str = "") -> subprocess.CompletedProcess[str]:
    """The line, and what is answered when it asks."""
    environ = {**os.environ, "CHECKPOINT_DISABLE": "1"}
    return subprocess.run(
        shlex.split(line), cwd=root, env=environ, input=answer, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.parametrize("block", OF_TERRAFORM, ids=lambda block: block.lines[0])
def test_what_is_typed_to_terraform_works_on_this_repository(block: Block, tmp_path: Path) -> None:
    require("terraform")
    shutil.copytree(ROOT / "infrastructure", tmp_path / "infrastructure")
    lines = [line for line in block.lines if line.startswith("terraform")]
    prepared = typed("terraform -chdir=infrastructure init", tmp_path)

    ran = {line: typed(line, tmp_path, "yes\n") for line in lines}

    assert prepared.returncode == 0, prepared.stderr
    assert {line: done.returncode for line, done in ran.items()} == dict.fromkeys(lines, 0), ran
    assert (tmp_path / "infrastructure/terraform.tfstate").exists() == any(" apply " in line for line in lines)


@pytest.fixture
def running(checkout: Place, bad_release: Scene) -> Path:
    """The service, brought up by Terraform with v1.4.1; the state says what it runs."""
    real = require("terraform")
    story, programs = checkout.gateway, checkout.gated.programs.folder
    templates = '*) exec "$(dirname "$0")/terraform-of-templates" "$@"'
    (programs / "terraform").write_text(f'#!/bin/sh\ncase "$1" in -chdir=*) exec {real} "$@" ;; {templates} ;; esac\n')
    story.write("infrastructure/service.tf", SERVICE)
    story.write("infrastructure/environments/production.tfvars", "")
    story.commit("feat: the service")
    story.repo.run("push", "-q", "origin", "main")
    image = f"{story.registry.host}/{DOWNSTREAM}@{story.digests['v1.4.1']}"
    for line in ("init", f"apply -auto-approve -var gateway_image={image}"):
        done = typed(f"{real} -chdir=infrastructure {line}", bad_release.root)
        assert done.returncode == 0, done.stderr
    return bad_release.root / "infrastructure" / "terraform.tfstate"


def image_in(state: Path) -> str:
    resources = json.loads(state.read_text())["resources"]
    task = next(each for each in resources if each["name"] == "task")
    image: str = task["instances"][0]["attributes"]["triggers_replace"]["value"][0]
    return image


@pytest.mark.parametrize("block", EMERGENCIES, ids=lambda block: block.lines[0])
def test_an_emergency_as_it_is_shown_moves_the_service_and_records_it(
    block: Block, running: Path, bad_release: Scene, gateway: Story
) -> None:
    for line in block.lines:
        answer = bad_release.run(line)
        assert answer.code == 0, f"{line}\n{answer.out}{answer.err}"
        assert SAYS[line] in answer.out

    assert image_in(running) == f"{gateway.registry.host}/{DOWNSTREAM}@{gateway.digests['v1.4.0']}"
    assert [pull.title for pull in gateway.proposed] == ["revert(agentgateway): roll back v1.4.1 to v1.4.0"]
