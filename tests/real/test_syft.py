"""syft itself, on images in registries that nobody here wrote; what it says is attested and read back."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from bot.adapters.cosign.signing import Signer
from bot.adapters.programs import Programs
from bot.adapters.sbom_libraries import validate
from bot.adapters.syft import Syft
from bot.core.distribution import Login
from bot.core.index import NotProven
from bot.core.model import Platform, ReleasePolicy, Signature, Target
from bot.core.reference import Digest, Repository, parse_repository
from bot.core.release.attestation import canonical
from bot.core.release.sbom import KINDS, PREDICATE_TYPES, Kind, Sboms, prove_sbom
from bot.embedded.registry import EmbeddedRegistry
from bot.embedded.tokens import TokenServer
from bot.errors import IntegrityError, ServiceError
from tests import live_sigstore as live
from tests.live_sigstore import ISSUER, LiveSigstore
from tests.parts import require
from tests.trivy import AMD, ARM, BOTH, images

pytestmark = pytest.mark.real

live_sigstore, sigstore_of_session = live.live_sigstore, live.sigstore_of_session

PASSWORD = "of no secret"  # noqa: S105 - of a registry on loopback
OURS = Signature(ISSUER, "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1.2.3", "root.json")
POLICY = ReleasePolicy("app", (Target("ghcr.io/acme/app"),), OURS, "config.json")


class Shelf:
    """An image in a registry, and syft beside the interpreter: the PATH does not know it."""

    def __init__(self, crane: str, host: str, image: str) -> None:
        self._crane = crane
        self.repository = parse_repository(f"{host}/acme/{image}")
        self.digest = images()[image].digest
        self.login: Login | None = None
        self.logins: list[str] = []
        with EmbeddedRegistry() as source:
            source.push("acme/app", "v1", images()[image])
            self._run("copy", f"{source.host}/acme/app:v1", f"{self.repository}:v1")

    def manifest(self, platform: Platform) -> Digest:
        return Digest(self._run("digest", "--platform", str(platform), f"{self.repository}@{self.digest}"))

    def syft(self) -> Syft:
        def login(host: str) -> Login | None:
            self.logins.append(host)
            return self.login

        return Syft(Programs({"PATH": "/usr/bin:/bin"}, login), validate)

    def sboms(self, platform: Platform) -> Sboms:
        return self.syft().sboms(self.repository, self.manifest(platform), platform)

    def _run(self, *arguments: str) -> str:
        return subprocess.run(
            [self._crane, *arguments], check=True, timeout=60, capture_output=True, text=True
        ).stdout.strip()


@pytest.fixture(params=["crane_registry", "docker_registry"])
def shelf(crane: str, request: pytest.FixtureRequest) -> Shelf:
    """In each of the registries."""
    return Shelf(crane, request.getfixturevalue(request.param), "candidate")


@pytest.fixture
def private() -> Iterator[str]:
    """A registry that gives tokens to one user, and nothing to others."""
    with EmbeddedRegistry(tokens=TokenServer("bot", PASSWORD, private=True)) as registry:
        registry.push("acme/app", "v1", images()["candidate"])
        yield registry.host


def named(kind: Kind, sbom: bytes) -> dict[str, str]:
    """The packages by name, with their versions, without the image itself and its system."""
    document = json.loads(sbom)
    if kind == "cyclonedx":
        return {each["name"]: each["version"] for each in document["components"] if each["type"] == "library"}
    packages = [each for each in document["packages"] if not each["SPDXID"].startswith("SPDXRef-DocumentRoot")]
    return {each["name"]: each["versionInfo"] for each in packages}


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        (AMD, {"glibc": "2.40-r0", "openssl": "3.5.1-r0", "zlib": "1.3-r1", "busybox": "1.37.0-r0"}),
        (ARM, {"glibc": "2.40-r0", "openssl": "3.5.0-r0", "zlib": "1.3-r1"}),
    ],
)
def test_each_platform_has_sboms_of_its_own_packages(
    shelf: Shelf, platform: Platform, expected: dict[str, str]
) -> None:
    sboms = shelf.sboms(platform)

    assert sboms.packages == len(expected)
    assert f"?arch={platform.architecture}" in json.dumps(json.loads(sboms.spdx)["packages"])
    assert [expected, expected] == [named(kind, sboms.of(kind)) for kind in KINDS]


@pytest.mark.parametrize("kind", KINDS)
def test_an_sbom_is_about_one_manifest_and_no_other(crane: str, crane_registry: str, kind: Kind) -> None:
    shelf = Shelf(crane, crane_registry, "candidate")
    sbom = shelf.sboms(ARM).of(kind)
    for other in (shelf.digest, shelf.manifest(AMD)):
        with pytest.raises(NotProven):
            prove_sbom(kind, sbom, other)

    assert prove_sbom(kind, sbom, shelf.manifest(ARM)) == 3


def test_an_index_has_no_sbom_though_syft_would_make_one(crane: str, crane_registry: str) -> None:
    """It looks at one of the platforms, and writes that it looked at the index."""
    shelf = Shelf(crane, crane_registry, "candidate")
    with pytest.raises(IntegrityError) as refused:
        shelf.syft().sboms(shelf.repository, shelf.digest, AMD)

    assert f"syft looked at {shelf.manifest(AMD)} instead" in refused.value.what


def test_a_manifest_of_another_platform_is_refused_though_syft_takes_it(crane: str, crane_registry: str) -> None:
    shelf = Shelf(crane, crane_registry, "candidate")
    with pytest.raises(IntegrityError) as refused:
        shelf.syft().sboms(shelf.repository, shelf.manifest(ARM), AMD)

    assert "it is an image for linux/arm64, not for linux/amd64" in refused.value.what


def test_a_manifest_that_is_not_there_is_said_by_syft(crane: str, crane_registry: str) -> None:
    shelf = Shelf(crane, crane_registry, "candidate")
    with pytest.raises(ServiceError) as refused:
        shelf.syft().sboms(shelf.repository, Digest(f"sha256:{'0' * 64}"), AMD)

    assert "MANIFEST_UNKNOWN" in refused.value.what


@pytest.mark.parametrize(("image", "packages"), [("scratch", 0), ("packageless", 0), ("java", 4)])
def test_an_sbom_says_how_many_packages_it_names(crane: str, crane_registry: str, image: str, packages: int) -> None:
    sboms = Shelf(crane, crane_registry, image).sboms(AMD)

    assert sboms.packages == packages


def test_two_runs_differ_in_serial_number_namespace_and_time_alone(crane: str, crane_registry: str) -> None:
    """So a run that goes on takes what was attested."""
    shelf = Shelf(crane, crane_registry, "candidate")

    def bare(sboms: Sboms) -> list[object]:
        bom, spdx = json.loads(sboms.cyclonedx), json.loads(sboms.spdx)
        del bom["serialNumber"], bom["metadata"]["timestamp"]
        del spdx["documentNamespace"], spdx["creationInfo"]["created"]
        return [bom, spdx]

    one, other = shelf.sboms(AMD), shelf.sboms(AMD)

    assert one.cyclonedx != other.cyclonedx
    assert one.spdx != other.spdx
    assert bare(one) == bare(other)


def test_a_private_registry_is_looked_at_with_its_own_login(crane: str, crane_registry: str, private: str) -> None:
    shelf = Shelf(crane, crane_registry, "candidate")
    digest, shelf.repository = shelf.manifest(AMD), Repository(private, "acme/app")
    with pytest.raises(ServiceError):
        shelf.syft().sboms(shelf.repository, digest, AMD)
    shelf.login = Login("bot", PASSWORD)
    sboms = shelf.syft().sboms(shelf.repository, digest, AMD)

    assert set(shelf.logins) == {private}
    assert sboms.packages == 4


def test_nothing_is_left_behind(
    crane: str, crane_registry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    Shelf(crane, crane_registry, "candidate").sboms(AMD)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("platform", BOTH)
def test_what_was_attested_is_the_release_file_byte_for_byte(
    shelf: Shelf, platform: Platform, live_sigstore: LiveSigstore, tmp_path: Path
) -> None:
    (tmp_path / "root.json").write_bytes(live_sigstore.trusted_root.read_bytes())
    (tmp_path / "config.json").write_bytes(live_sigstore.signing_config.read_bytes())
    signer = Signer(_with_cosign(tmp_path), tmp_path, live_sigstore.environ(OURS.identity))
    digest, sboms = shelf.manifest(platform), shelf.sboms(platform)
    for kind in KINDS:
        signer.attest(shelf.repository, digest, PREDICATE_TYPES[kind], sboms.of(kind), POLICY)
    read = partial(signer.attestations, shelf.repository, digest, signature=OURS)
    answers = [read(PREDICATE_TYPES[kind]) for kind in KINDS]

    assert [sboms.of(kind) for kind in KINDS] == [canonical(sboms.of(kind)) for kind in KINDS]
    assert [sboms.of(kind) for kind in KINDS] == [
        statement.predicate for answer in answers if isinstance(answer, tuple) for statement in answer
    ]


def _with_cosign(folder: Path) -> Programs:
    path = folder / "path"
    path.mkdir()
    (path / "cosign").symlink_to(require("cosign3"))
    return Programs({"PATH": f"{path}:{os.environ['PATH']}"}, lambda _host: None)
