"""The main job on parts that nobody here wrote: upstream's real tags, real registries, the GitHub emulator."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bot.demo import without_gates
from bot.embedded.registry import EmbeddedRegistry
from tests.emulator import Emulator
from tests.flows.conftest import CURRENT_DIGEST, DOWNSTREAM, PIN_FILES, PROJECT, UPSTREAM, Run, TestClock, run_command
from tests.seeds import seed_upstream, upstream_tags

pytestmark = pytest.mark.real

OTHERS = ("latest", "latest-dev", "v0.0.0-alpha.3fa9c1e", "v1.4.0-musl", "v0.7.0-ext", "buildcache-amd64")


def image_tag(git_tag: str) -> str:
    """Upstream wrote image tags without the v up to 1.0.0-alpha.4, and with it from 1.0.0-rc.1 on."""
    bare = git_tag.startswith(("v0.", "v1.0.0-alpha"))
    return git_tag.removeprefix("v") if bare else git_tag


class Real:
    """A checkout pinned to v1.3.1, upstream's images in a real registry, its releases in the emulator."""

    def __init__(self, root: Path, host: str, emulator: Emulator, crane: str) -> None:
        self.root, self.host, self.emulator, self.crane = root, host, emulator, crane
        self.clock = TestClock()
        self.image = f"{host}/{UPSTREAM}"

    def seed(self, tags: list[str]) -> None:
        """Copy two images under all these tags, the newest one under v1.4.1."""
        with EmbeddedRegistry() as source:
            for name in ("v1.3.1", "v1.4.1"):
                source.push_image("seed", name, attestations=True)
                self.do("copy", f"{source.host}/seed:{name}", f"{self.image}:{name}")
        for tag in tags:
            if tag not in {"v1.3.1", "v1.4.1"}:
                self.do("tag", f"{self.image}:v1.3.1", tag)

    def do(self, *args: str) -> str:
        done = subprocess.run([self.crane, *args], capture_output=True, text=True, check=True, timeout=60)
        return done.stdout.strip()

    def digest(self, tag: str) -> str:
        return self.do("digest", f"{self.image}:{tag}")

    def pin(self, *, github: bool) -> None:
        for name in (*PIN_FILES, "gateway-bot.toml"):
            text = without_gates((PROJECT / name).read_text())  # tests/real/test_gates.py has those
            text = text.replace("ghcr.io/agentgateway/agentgateway", self.image)
            if not github:
                text = text.replace('github = "agentgateway/agentgateway"\n', "")
            target = self.root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text.replace(CURRENT_DIGEST, self.digest("v1.3.1")))

    def run(self, *args: str) -> Run:
        environ = {
            "GITHUB_API_URL": self.emulator.url,
            "GITHUB_REPOSITORY": DOWNSTREAM,
            "GITHUB_TOKEN": self.emulator.token,
            "HOME": str(self.root.parent),
        }
        return run_command(["-C", str(self.root), *args], environ, self.clock)


@pytest.fixture(params=["crane", "docker"])
def real(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    crane: str,
    crane_registry: str,
    docker_registry: str,
    emulator: Emulator,
) -> Real:
    host = crane_registry if request.param == "crane" else docker_registry
    return Real(tmp_path / "checkout", host, emulator, crane)


def test_one_pull_request_from_upstreams_101_releases(real: Real) -> None:
    real.seed([image_tag(tag) for tag, _ in upstream_tags()] + list(OTHERS))
    seed_upstream(real.emulator, notes="* feat: x by @someone, fixes #1")
    real.pin(github=True)
    files = {name: ("100644", (real.root / name).read_bytes()) for name in (*PIN_FILES, "gateway-bot.toml")}
    real.emulator.create_repository(DOWNSTREAM, files)

    plan = real.run("plan", "--json")
    first = real.run("propose", "--json")
    second = real.run("propose")

    branch = real.emulator.files_at(DOWNSTREAM, "gateway-bot/upgrade/agentgateway")
    pulls = real.emulator.pulls(DOWNSTREAM)
    assert plan.json["candidate"]["ref"] == "v1.4.1"
    assert len(plan.json["selection"]) == len(upstream_tags())
    assert "#1 opened" in first.json["did"]
    assert "nothing to do" in second.out
    assert [pull["state"] for pull in pulls] == ["open"]
    assert "@someone" not in str(pulls[0]["body"])
    assert all(real.digest("v1.4.1").encode() in branch[name][1] for name in PIN_FILES)


def test_a_source_without_github_releases_uses_the_registrys_tags(real: Real) -> None:
    newest = "v1.10.0"
    real.seed([f"v1.0.{number}" for number in range(1200)] + [newest, *OTHERS])
    real.do("tag", f"{real.image}:v1.4.1", newest)
    real.pin(github=False)

    run = real.run("plan", "--to", newest, "--json")
    resolved = real.run("resolve", f"{real.image}:{newest}", "--json")

    assert len(run.json["selection"]) >= 1200
    assert run.json["candidate"]["digest"] == real.digest(newest) == resolved.json["digest"]
