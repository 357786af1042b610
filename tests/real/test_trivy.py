"""Trivy itself, with databases of our own, on images in a registry that nobody here wrote.

What it answers is held against what tests/recorded/trivy has of it, which the unit tests replay. With
GATEWAY_BOT_RECORD=1 it is written there instead.
"""

from __future__ import annotations

import os
import subprocess
from datetime import date
from pathlib import Path

import pytest

from bot.core.distribution import Login
from bot.core.model import ScanPolicy
from bot.core.reference import Repository
from bot.core.vulnerabilities.findings import compare
from bot.core.vulnerabilities.judge import vulnerabilities_gate
from bot.embedded.images import CONFIG, Content, MultiPlatformImage, index_of, layer_of, manifest_of, platform_of
from bot.embedded.registry import EmbeddedRegistry
from bot.embedded.tokens import TokenServer
from bot.errors import IntegrityError, ServiceError
from tests.parts import require
from tests.trivy import (
    AMD,
    ARM,
    ARM_ONLY,
    BOTH,
    GONE,
    RATED_ANEW,
    RECORDED,
    UNRATED,
    Scanner,
    databases,
    images,
    normalised,
    push_database,
    recorded_files,
    wolfi,
)

pytestmark = pytest.mark.real

TODAY = date(2026, 8, 20)


@pytest.fixture(scope="module")
def registry(crane: str, crane_registry: str) -> str:
    """crane's registry with the images and the databases of tests/trivy.py."""
    maker = require("trivy-db")
    with EmbeddedRegistry() as source:
        for name, image in images().items():
            source.push(f"acme/{name}", "v1", image)
        for name, (made, entries) in databases().items():
            push_database(source, f"acme/{name}", made, entries, maker)
        for name in (*(f"{name}:v1" for name in images()), *(f"{name}:2" for name in databases())):
            command = [crane, "copy", f"{source.host}/acme/{name}", f"{crane_registry}/acme/{name}"]
            subprocess.run(command, check=True, timeout=60, capture_output=True)
    return crane_registry


@pytest.fixture
def scanner(tmp_path: Path, registry: str) -> Scanner:
    return Scanner(tmp_path, kept=tmp_path / "kept", real=require("trivy"), host=registry)


def kept(scanner: Scanner) -> None:
    """Hold what was recorded against what is stored, or store it."""
    folder = scanner.folder / "kept"
    fresh = {file: normalised((folder / file).read_text(), scanner.host) for file in recorded_files(folder)}
    if os.environ.get("GATEWAY_BOT_RECORD") == "1":
        for file, text in fresh.items():
            (RECORDED / file).parent.mkdir(parents=True, exist_ok=True)
            (RECORDED / file).write_text(text)
    stored = {file: (RECORDED / file).read_text() if (RECORDED / file).exists() else "" for file in fresh}

    assert stored == fresh


def test_what_is_new_on_arm64_alone_is_found_there(scanner: Scanner) -> None:
    changes = compare(scanner.scan("current"), scanner.scan("candidate"))
    gate = vulnerabilities_gate(changes, ScanPolicy(), TODAY, "v1.4.1")
    kept(scanner)

    assert (gate.verdict, gate.exit_code) == ("fail", 6)
    assert [(c.id, c.platforms, c.severity) for c in changes.new] == [
        (ARM_ONLY, (ARM,), "HIGH"),
        (UNRATED, (AMD,), "UNKNOWN"),
    ]
    assert [(c.id, c.platforms, c.severity) for c in changes.fixed] == [(GONE, BOTH, "CRITICAL")]
    assert [(c.id, c.platforms, c.severity) for c in changes.persisting] == [(RATED_ANEW, BOTH, "MEDIUM")]


def test_a_new_database_rates_both_images_anew(scanner: Scanner) -> None:
    yesterday = scanner.scan("current")
    scanner.again()
    today = scanner.scan("current", database="second"), scanner.scan("candidate", database="second")
    changes = compare(*today)
    kept(scanner)

    assert [f.severity for f in yesterday.findings if f.id == RATED_ANEW] == ["MEDIUM", "MEDIUM"]
    assert [(c.id, c.severity, c.was) for c in changes.persisting] == [(RATED_ANEW, "HIGH", None)]
    assert changes.escalated == ()
    with pytest.raises(ValueError, match="cannot be compared"):
        compare(yesterday, today[1])


def test_another_vendors_rating_escalates(scanner: Scanner) -> None:
    changes = compare(scanner.scan("current"), scanner.scan("rebased"))
    kept(scanner)

    assert [(c.id, c.was, c.severity, c.platforms) for c in changes.escalated] == [(RATED_ANEW, "MEDIUM", "HIGH", BOTH)]


def test_a_database_that_cannot_be_had_is_no_answer(scanner: Scanner) -> None:
    with pytest.raises(ServiceError, match="the vulnerability database cannot be had") as caught:
        scanner.scan("candidate", database="nothing")
    kept(scanner)

    assert (caught.value.exit_code, scanner.scans) == (4, 0)


@pytest.mark.parametrize("image", ["scratch", "packageless"])
def test_an_image_in_which_nothing_is_recognised_is_not_clean(scanner: Scanner, image: str) -> None:
    scan = scanner.scan(image, (AMD,))
    gate = vulnerabilities_gate(compare(scan, scan), ScanPolicy(), TODAY, "v1.4.1")
    kept(scanner)

    assert (scan.findings, scan.parts[0].recognised, gate.verdict) == ((), (), "unknown")


def test_a_platform_that_is_not_there_is_no_answer(scanner: Scanner) -> None:
    with pytest.raises(ServiceError, match=r"trivy could not scan linux/arm64: .*no child with platform"):
        scanner.scan("scratch", (ARM,))
    kept(scanner)


def test_another_platforms_image_under_the_name_of_this_one_is_refused(scanner: Scanner) -> None:
    with pytest.raises(IntegrityError, match="scanned for linux/arm64 is for linux/amd64"):
        scanner.scan("mislabelled", (ARM,))
    kept(scanner)


def test_java_archives_are_no_answer(scanner: Scanner) -> None:
    with pytest.raises(ServiceError, match="Java DB") as caught:
        scanner.scan("java", (AMD,))
    kept(scanner)

    assert "Java archives" in caught.value.next_step


def test_files_where_the_bot_is_started_change_nothing(
    scanner: Scanner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".trivyignore").write_text(f"{GONE}\n")
    (tmp_path / "trivy.yaml").write_text("severity: [LOW]\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRIVY_SEVERITY", "LOW")
    scan = scanner.scan("current", (AMD,))

    assert [finding.id for finding in scan.findings] == [GONE, RATED_ANEW]


def test_a_layer_that_claims_to_be_another_is_looked_at(scanner: Scanner) -> None:
    """Its config names the hash of a layer that was scanned before, which a shared cache would take for it."""
    honest = images()["candidate"]
    hidden = layer_of(wolfi({"openssl": "3.5.0-r0"}))
    config = Content(CONFIG, honest.blobs[0].data.replace(b"COPY", b"RUN "))
    manifest = manifest_of(config, (hidden,))
    index = index_of([manifest.descriptor(platform=platform_of(str(AMD)))], {})
    lying = MultiPlatformImage((config, hidden), (manifest,), index)
    with EmbeddedRegistry() as registry:
        repository = Repository(registry.host, "acme/app")
        found = [
            scanner.trivy.scan(repository, registry.push("acme/app", "v1", image), (AMD,), scanner.database())
            for image in (honest, lying)
        ]

    assert [[f.id for f in scan.findings if f.id == ARM_ONLY] for scan in found] == [[], [ARM_ONLY]]


def test_an_image_of_a_private_registry_is_scanned_with_its_login(scanner: Scanner) -> None:
    tokens = TokenServer(user="bot", password="secret", private=True)  # noqa: S106 - on loopback
    with EmbeddedRegistry(tokens=tokens) as registry:
        repository = Repository(registry.host, "acme/app")
        digest = registry.push("acme/app", "v1", images()["current"])
        with pytest.raises(ServiceError, match="trivy could not scan linux/amd64"):
            scanner.trivy.scan(repository, digest, (AMD,), scanner.database())
        scanner.logins[registry.host] = Login("bot", "secret")
        scan = scanner.trivy.scan(repository, digest, (AMD,), scanner.database())

    assert [finding.id for finding in scan.findings] == [GONE, RATED_ANEW]
    assert "secret" not in str(scanner.starts)
