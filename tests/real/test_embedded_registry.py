"""The embedded registry and its images before judges that nobody here wrote."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.embedded.images import build_image
from bot.embedded.registry import EmbeddedRegistry
from bot.embedded.tokens import TokenServer

pytestmark = pytest.mark.real

NAME = "agentgateway/agentgateway"


@pytest.fixture
def embedded() -> Iterator[EmbeddedRegistry]:
    with EmbeddedRegistry() as registry:
        yield registry


def run(*command: str, **environment: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env=os.environ | environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_crane_finds_image_and_platforms_valid(embedded: EmbeddedRegistry, crane: str) -> None:
    digest = embedded.push_image(NAME, "v1.4.1", labels={"org.opencontainers.image.source": "here"})
    reference = f"{embedded.host}/{NAME}:v1.4.1"
    run(crane, "validate", "--remote", reference)
    config = json.loads(run(crane, "config", "--platform", "linux/arm64", reference))

    assert run(crane, "digest", reference) == digest
    assert (config["architecture"], config["config"]["Labels"]) == (
        "arm64",
        {"org.opencontainers.image.source": "here"},
    )


def test_crane_lists_tags_page_by_page(crane: str) -> None:
    with EmbeddedRegistry(page_size=2) as embedded:
        for tag in ("v1.3.1", "v1.4.0", "v1.4.1", "v1.10.0", "latest"):
            embedded.push_image(NAME, tag)
        listed = run(crane, "ls", f"{embedded.host}/{NAME}").split()

    assert listed == ["latest", "v1.10.0", "v1.3.1", "v1.4.0", "v1.4.1"]


@pytest.mark.parametrize("target", ["crane_registry", "docker_registry"])
def test_crane_copies_every_byte_out_and_back(
    embedded: EmbeddedRegistry, crane: str, target: str, request: pytest.FixtureRequest
) -> None:
    host: str = request.getfixturevalue(target)
    digest = embedded.push_image(NAME, "v1.4.1", attestations=True)
    run(crane, "copy", f"{embedded.host}/{NAME}:v1.4.1", f"{host}/copy/out:v1.4.1")
    run(crane, "copy", f"{host}/copy/out:v1.4.1", f"{embedded.host}/copy/back:v1.4.1")

    assert run(crane, "digest", f"{host}/copy/out:v1.4.1") == digest
    assert embedded.repository("copy/back").tags == {"v1.4.1": digest}


def test_skopeo_copies_every_platform(
    embedded: EmbeddedRegistry, skopeo: str, docker_registry: str, crane: str
) -> None:
    digest = embedded.push_image(NAME, "v1.4.1", attestations=True)
    source, target = f"{embedded.host}/{NAME}:v1.4.1", f"{docker_registry}/copy/skopeo:v1.4.1"
    options = ("--all", "--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false")
    run(skopeo, "copy", *options, f"docker://{source}", f"docker://{target}")

    assert run(crane, "digest", target) == digest


def test_crane_logs_in_and_pushes_with_a_token(crane: str, tmp_path: Path) -> None:
    tokens = TokenServer(user="bot", password="secret", private=True)  # noqa: S106 - on loopback
    with EmbeddedRegistry() as source, EmbeddedRegistry(tokens=tokens) as target:
        digest = source.push_image(NAME, "v1.4.1")
        home = {"DOCKER_CONFIG": str(tmp_path)}
        run(crane, "auth", "login", "-u", "bot", "-p", "secret", target.host, **home)
        run(crane, "copy", f"{source.host}/{NAME}:v1.4.1", f"{target.host}/ours/gateway:v1", **home)

        assert target.repository("ours/gateway").tags == {"v1": digest}


def test_attestations_are_no_platforms_for_crane(embedded: EmbeddedRegistry, crane: str) -> None:
    image = build_image(attestations=True)
    embedded.push(NAME, "v1.4.1", image)
    reference = f"{embedded.host}/{NAME}:v1.4.1"
    platforms = [entry["platform"] for entry in json.loads(run(crane, "manifest", reference))["manifests"]]

    assert [platform["os"] for platform in platforms] == ["linux", "linux", "unknown", "unknown"]
    assert run(crane, "digest", "--platform", "linux/arm64", reference) == image.manifests[1].digest
