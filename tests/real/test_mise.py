"""The names in mise.toml, by the real mise, on a repository that is thrown away."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.parts import ROOT, require
from tests.repositories import Project

pytestmark = pytest.mark.real

SETTINGS = """
[[image]]
name = "app"
registry = "ghcr.io/acme/app"
[[image.pins]]
type = "dotenv"
file = "versions.env"
keys = { APP_REF = "ref", APP_DIGEST = "digest" }
[release]
[[release.target]]
repository = "ghcr.io/acme/gateway"
[release.signature]
identity = "https://github.com/acme/gateway/.github/workflows/release.yml@refs/tags/{tag}"
"""


class Mise:
    """mise in a project whose files are all committed."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self.project = Project(folder)
        shutil.copy(ROOT / "mise.toml", self.project.root)
        self.project.commit("feat: one", {"gateway-bot.toml": SETTINGS})
        self.environ = {
            **self.project.environ,
            "PATH": f"{Path(sys.executable).parent}:{self.project.environ['PATH']}",
            "MISE_TRUSTED_CONFIG_PATHS": str(self.project.root),
            "MISE_OFFLINE": "1",
            "MISE_YES": "0",
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._program, *arguments],
            cwd=self.project.root,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


@pytest.fixture
def mise(tmp_path: Path) -> Mise:
    return Mise(require("mise"), tmp_path)


@pytest.mark.parametrize(("part", "tag"), [("patch", "v1.2.4"), ("minor", "v1.3.0"), ("major", "v2.0.0")])
def test_mise_bumps_each_part(mise: Mise, part: str, tag: str) -> None:
    done = mise.run("run", f"release:bump-{part}")

    assert done.returncode == 0, done.stderr
    assert f"git push --atomic origin main {tag}" in done.stdout
    assert mise.project.run("describe", "--exact-match") == tag
    assert mise.project.run("status", "--porcelain") == ""


def test_a_refusal_keeps_its_exit_code(mise: Mise) -> None:
    (mise.project.root / "versions.env").write_text("spoilt\n")

    done = mise.run("run", "release:bump-patch")

    assert "the tree is not clean: versions.env" in done.stderr
    assert done.returncode == 8


def test_every_task_says_what_it_does(mise: Mise) -> None:
    tasks = tomllib.loads((ROOT / "mise.toml").read_text())["tasks"]
    listed = mise.run("tasks", "--no-header").stdout

    assert {line.split()[0] for line in listed.splitlines()} == set(tasks)
    assert all(task["description"] in listed for task in tasks.values())
