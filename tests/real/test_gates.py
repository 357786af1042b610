"""Every gate, asked of real programs: cosign, Trivy, Terraform and a Docker Engine, of images in a real registry."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.demo import without_gates
from bot.embedded.github import Account, EmbeddedGitHub
from bot.embedded.registry import EmbeddedRegistry
from tests.flows.conftest import (
    CURRENT_DIGEST,
    DOWNSTREAM,
    PIN_FILES,
    PROJECT,
    TOKEN,
    UPSTREAM,
    Run,
    TestClock,
    run_command,
)
from tests.parts import require
from tests.sigstore import IDENTITY, SIGNATURE, SignedImages, signed
from tests.trivy import databases, push_database

pytestmark = pytest.mark.real
__all__ = ["signed"]

GATES = f"""
[image.signature]
identity = "{SIGNATURE.identity}"
trusted_root = "trusted-root.json"

[image.scan]
database = "DATABASES/first:2"

[image.config]
template = "infrastructure/modules/compute/agentgateway-config.yaml.tftpl"
declarations = ["infrastructure/modules/compute/variables.tf"]
schema = "schema/config.json"

[[image.config.environments]]
name = "dev"
var_files = ["infrastructure/environments/dev.tfvars"]

[[image.config.environments]]
name = "production"
var_files = ["infrastructure/environments/production.tfvars"]
"""
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {"config": {"type": "object"}, "binds": {"type": "array", "items": {"$ref": "#/$defs/Bind"}}},
    "additionalProperties": False,
    "$defs": {"Bind": {"type": "object", "properties": {"port": {"type": "integer"}, "listeners": {"type": "array"}}}},
}
RELEASES = {"v1.3.1": datetime(2026, 6, 1, tzinfo=UTC), "v1.4.1": datetime(2026, 8, 1, tzinfo=UTC)}


@dataclass
class World:
    """A checkout whose gates ask real programs."""

    root: Path
    github: EmbeddedGitHub
    environ: dict[str, str]

    def run(self, *args: str) -> Run:
        return run_command(["-C", str(self.root), *args], self.environ, TestClock())


@pytest.fixture
def databases_host() -> Iterator[str]:
    with EmbeddedRegistry() as registry:
        for name, (made, entries) in databases().items():
            push_database(registry, name, made, entries, require("trivy-db"))
        yield registry.host


@pytest.fixture
def world(
    tmp_path: Path,
    signed: SignedImages,
    crane_registry: str,
    docker_host: str,
    databases_host: str,
    request: pytest.FixtureRequest,
) -> Iterator[World]:
    """The images of the case that the test asks for."""
    case = str(request.param)
    signed.push(crane_registry, case)
    repository = f"{crane_registry}/signed/{case}"
    root, programs = tmp_path / "checkout", tmp_path / "programs"
    shutil.copytree(PROJECT / "infrastructure", root / "infrastructure")
    current = signed.current(case)
    for name in (*PIN_FILES, "gateway-bot.toml"):
        text = without_gates((PROJECT / name).read_text()).replace("ghcr.io/agentgateway/agentgateway", repository)
        (root / name).write_text(text.replace(CURRENT_DIGEST, current))
    settings = (root / "gateway-bot.toml").read_text() + GATES.replace("DATABASES", databases_host)
    (root / "gateway-bot.toml").write_text(settings)
    shutil.copy(signed.folder / "trusted-root.json", root)
    programs.mkdir()
    (programs / "cosign").symlink_to(require("cosign3"))
    (programs / "trivy").symlink_to(require("trivy"))
    (programs / "terraform").symlink_to(require("terraform"))
    bot = Account("gateway-bot[bot]", {"contents": "write", "pull_requests": "write"})
    with EmbeddedGitHub({TOKEN: bot}) as github:
        github.create_repository(UPSTREAM)
        for ref, published in RELEASES.items():
            schema = json.dumps(SCHEMA).encode()
            head = github.commit(UPSTREAM, "main", {"schema/config.json": ("100644", schema)})
            github.repositories[UPSTREAM].refs[f"refs/tags/{ref}"] = head
            github.add_release(UPSTREAM, ref, published=published, body="* `readinessAddr` takes a list too")
        files = {str(p.relative_to(root)): ("100644", p.read_bytes()) for p in root.rglob("*") if p.is_file()}
        github.create_repository(DOWNSTREAM, files)
        yield World(
            root,
            github,
            {
                "GITHUB_API_URL": github.url,
                "GITHUB_REPOSITORY": DOWNSTREAM,
                "GITHUB_TOKEN": TOKEN,
                "HOME": str(tmp_path),
                "PATH": f"{programs}:{os.environ['PATH']}",
                "DOCKER_HOST": docker_host,
                "CI": "true",
            },
        )


@pytest.mark.parametrize("world", ["gateway"], indirect=True)
def test_a_candidate_that_passes_all_gates_is_proposed_with_the_evidence(world: World) -> None:
    run = world.run("propose")

    assert run.code == 0, run.out
    body = world.github.pulls(DOWNSTREAM)[0].body
    assert f"signed by {IDENTITY}" in body
    assert "verified by cosign 3.1.3" in body
    assert "CVE-2026-0002" in body
    assert "accepts dev, production, and so does its schema" in body
    assert "readinessAddr" in body.partition("<summary>Release notes")[0]


@pytest.mark.parametrize("world", ["gateway"], indirect=True)
def test_a_job_without_programs_proposes_what_a_job_without_a_token_has_gathered(world: World, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    token = world.environ.pop("GITHUB_TOKEN")
    planned = world.run("plan", "--save", str(file))
    world.environ |= {"GITHUB_TOKEN": token, "PATH": "/nonexistent", "DOCKER_HOST": "tcp://127.0.0.1:9"}

    proposed = world.run("propose", "--plan", str(file))

    assert (planned.code, proposed.code) == (0, 0), planned.out + proposed.out
    assert len(world.github.pulls(DOWNSTREAM)) == 1


@pytest.mark.parametrize("world", ["vulnerable-gateway"], indirect=True)
def test_a_vulnerability_of_the_arm64_part_alone_stops_the_upgrade(world: World) -> None:
    run = world.run("propose")

    assert run.code == 6
    assert "CVE-2026-0001 HIGH in openssl on linux/arm64" in run.out
    assert world.github.pulls(DOWNSTREAM) == ()


@pytest.mark.parametrize("world", ["gateway"], indirect=True)
def test_the_pinned_image_is_not_signed_and_verify_says_so(world: World) -> None:
    pinned, candidate = world.run("verify"), world.run("verify", "v1.4.1")

    assert (pinned.code, candidate.code) == (5, 0)
    assert "unsigned" in pinned.out


@pytest.mark.parametrize("world", ["gateway"], indirect=True)
def test_a_full_proposal_takes_little_time_beside_that_of_the_programs(world: World) -> None:
    world.run("plan")  # the image is pulled, the database is there, and what was scanned is known

    began = time.monotonic()
    run = world.run("propose")
    took = time.monotonic() - began

    assert run.code == 0
    assert took < 3
