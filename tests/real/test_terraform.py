"""The repository's own infrastructure, by Terraform itself."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.flows.conftest import PROJECT

pytestmark = pytest.mark.real


def test_the_infrastructure_is_valid_and_its_default_is_the_pin(tmp_path: Path) -> None:
    terraform = shutil.which("terraform")
    if terraform is None:
        pytest.skip("terraform is not on the PATH, and comes from no package registry")
    shutil.copytree(PROJECT / "infrastructure", tmp_path / "infrastructure")

    def run(*args: str) -> str:
        command = [terraform, f"-chdir={tmp_path / 'infrastructure'}", *args]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    run("init", "-backend=false", "-input=false")
    valid = json.loads(run("validate", "-json"))["valid"]
    default = subprocess.run(
        [terraform, f"-chdir={tmp_path / 'infrastructure'}", "console"],
        input="var.gateway_image",
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    digest = (PROJECT / "versions.env").read_text().strip().rpartition("=")[2]

    assert valid is True
    assert default.strip().strip('"').endswith(f"@{digest}")
