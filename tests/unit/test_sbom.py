from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest

from bot.adapters import sbom_libraries
from bot.core.index import NotProven
from bot.core.model import Platform
from bot.core.reference import Digest, digest_of
from bot.core.release.sbom import KINDS, Kind, Sboms, file_name, prove_sbom, prove_scan, spec_version
from bot.errors import UsageError
from tests.unit.values import NEW, OLD

ARM = Platform("linux", "arm64")
HEX = NEW.removeprefix("sha256:")


def scan(platform: Platform = ARM, *, config_of: str = "") -> tuple[bytes, Digest]:
    """What syft says in its own format of an image for this platform, and that image's digest."""
    system = {"os": platform.os, "architecture": platform.architecture, "variant": platform.variant}
    config = json.dumps(system).encode()
    manifest = json.dumps({"config": {"digest": config_of or digest_of(config)}}).encode()
    metadata = {"manifest": b64encode(manifest).decode(), "config": b64encode(config).decode(), "architecture": "amd64"}
    return json.dumps({"source": {"metadata": metadata, "version": OLD}}).encode(), digest_of(manifest)


def bom() -> dict[str, Any]:
    """A CycloneDX document about NEW with two packages, as syft writes it."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": "urn:uuid:7e63a67d-1252-485f-81b9-e9312ee5226c",
        "version": 1,
        "metadata": {"component": {"type": "container", "name": "ghcr.io/acme/app", "version": NEW}},
        "components": [
            {"type": "library", "name": "zlib", "version": "1.3-r0"},
            {"type": "application", "name": "gateway"},
            {"type": "operating-system", "name": "wolfi", "version": "20230201"},
            {"type": "file", "name": "/lib/apk/db/installed"},
        ],
    }


def spdx() -> dict[str, Any]:
    """An SPDX document about NEW with two packages, as syft writes it."""
    image: dict[str, Any] = {
        "name": "ghcr.io/acme/app",
        "SPDXID": "SPDXRef-DocumentRoot-Image",
        "versionInfo": NEW,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "checksums": [{"algorithm": "SHA256", "checksumValue": HEX}],
    }
    packages = [
        {
            "name": name,
            "SPDXID": f"SPDXRef-Package-{name}",
            "versionInfo": "1",
            "downloadLocation": "NONE",
            "filesAnalyzed": False,
        }
        for name in ("zlib", "gateway")
    ]
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": "ghcr.io/acme/app",
        "documentNamespace": "https://anchore.com/syft/image/app-1",
        "creationInfo": {"creators": ["Tool: syft-1.18.1"], "created": "2026-08-20T12:00:00Z"},
        "packages": [*packages, image],
        "relationships": [
            {
                "spdxElementId": "SPDXRef-DOCUMENT",
                "relatedSpdxElement": "SPDXRef-DocumentRoot-Image",
                "relationshipType": "DESCRIBES",
            }
        ],
    }


DOCUMENTS: dict[Kind, Callable[[], dict[str, Any]]] = {"cyclonedx": bom, "spdx": spdx}


def sbom(kind: Kind, change: Callable[[Any], object] = lambda _document: None) -> bytes:
    document = DOCUMENTS[kind]()
    change(document)
    return json.dumps(document).encode()


@pytest.mark.parametrize("platform", [ARM, Platform("linux", "arm", "v7"), Platform("linux", "arm64", "v8")])
def test_a_scan_of_these_bytes_for_this_platform_is_proven(platform: Platform) -> None:
    """Whatever it says of its version and architecture, which syft writes as it was told."""
    report, digest = scan(platform)
    prove_scan(report, digest, platform)

    with pytest.raises(NotProven, match="instead"):
        prove_scan(report, NEW, platform)


@pytest.mark.parametrize(
    "asked", [Platform("linux", "amd64"), Platform("windows", "arm64"), Platform("linux", "arm64", "v9")]
)
def test_a_scan_of_another_platform_is_refused(asked: Platform) -> None:
    report, digest = scan()

    with pytest.raises(NotProven, match=f"it is an image for linux/arm64, not for {asked}"):
        prove_scan(report, digest, asked)


def test_a_config_that_the_manifest_does_not_name_is_refused() -> None:
    report, digest = scan(config_of=NEW)

    with pytest.raises(NotProven, match="another config than its manifest names"):
        prove_scan(report, digest, ARM)


@pytest.mark.parametrize(
    "report",
    [
        b"",
        b"{}",
        b"[" * 100_000,
        b'{"source":{"metadata":{}}}',
        b'{"source":{"metadata":{"manifest":"","config":""}}}',
        b'{"source":{"metadata":{"manifest":"%%","config":"%%"}}}',
        b'{"source":{"metadata":{"manifest":"e30=","config":"e30="}}}',
    ],
)
def test_a_scan_that_does_not_say_what_it_looked_at_is_refused(report: bytes) -> None:
    with pytest.raises(NotProven, match="does not say which image"):
        prove_scan(report, NEW, ARM)


@pytest.mark.parametrize("kind", KINDS)
def test_an_sbom_names_its_packages_beside_the_image_itself(kind: Kind) -> None:
    assert prove_sbom(kind, sbom(kind), NEW) == 2


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("cyclonedx", lambda document: document["metadata"]["component"].update(version=OLD)),
        ("cyclonedx", lambda document: document["metadata"]["component"].update(version="v1.4.1")),
        ("cyclonedx", lambda document: document["metadata"]["component"].update(type="library")),
        ("cyclonedx", lambda document: document["metadata"].pop("component")),
        ("cyclonedx", lambda document: document.update(bomFormat="SPDX")),
        ("cyclonedx", lambda document: document.pop("bomFormat")),
        ("spdx", lambda document: document["packages"][2].update(versionInfo=OLD)),
        ("spdx", lambda document: document["packages"][2]["checksums"][0].update(checksumValue=OLD)),
        ("spdx", lambda document: document["packages"][2]["checksums"][0].update(algorithm="SHA512")),
        ("spdx", lambda document: document["packages"][2].pop("checksums")),
        ("spdx", lambda document: document["relationships"].clear()),
        ("spdx", lambda document: document["relationships"][0].update(relatedSpdxElement="SPDXRef-Package-zlib")),
        ("spdx", lambda document: document["relationships"][0].update(relationshipType="CONTAINS")),
        ("spdx", lambda document: document["packages"].append(document["packages"][2])),
        ("spdx", lambda document: document.update(spdxVersion="SPDX-3.0")),
        ("spdx", lambda document: document.pop("spdxVersion")),
    ],
)
def test_an_sbom_about_another_image_or_none_is_refused(kind: Kind, change: Callable[[Any], object]) -> None:
    with pytest.raises(NotProven):
        prove_sbom(kind, sbom(kind, change), NEW)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("document", [b"", b"{}", b"[]", b"null", b"\xff", b"[" * 100_000])
def test_what_is_no_sbom_is_refused(kind: Kind, document: bytes) -> None:
    with pytest.raises(NotProven, match="it is no SBOM of the kind"):
        prove_sbom(kind, document, NEW)
    with pytest.raises(NotProven, match="it is no SBOM of the kind"):
        sbom_libraries.validate(kind, document)


@pytest.mark.parametrize(
    ("stem", "platform", "expected"),
    [
        ("ai-gateway-v1.2.3", Platform("linux", "amd64"), ["linux-amd64.cdx.json", "linux-amd64.spdx.json"]),
        ("app", Platform("linux", "arm", "v7"), ["linux-arm-v7.cdx.json", "linux-arm-v7.spdx.json"]),
    ],
)
def test_a_file_is_named_by_its_platform_and_kind(stem: str, platform: Platform, expected: list[str]) -> None:
    assert [f"{stem}-{end}" for end in expected] == [file_name(stem, platform, kind) for kind in KINDS]


def test_both_kinds_are_found_by_name() -> None:
    sboms = Sboms(b"a", b"b", 0)

    assert [sboms.of(kind) for kind in KINDS] == [b"a", b"b"]


@pytest.mark.parametrize(
    ("document", "expected"),
    [(b'{"specVersion":"1.6"}', "1.6"), (b"{}", ""), (b"[]", ""), (b"", ""), (b"[" * 99999, "")],
)
def test_the_version_of_the_specification_is_read(document: bytes, expected: str) -> None:
    assert expected == spec_version(document)


@pytest.mark.parametrize("kind", KINDS)
def test_a_valid_document_is_valid_by_its_library(kind: Kind) -> None:
    """And one that lacks what it needs is not: the library is asked indeed."""
    sbom_libraries.validate(kind, sbom(kind))

    with pytest.raises(NotProven):
        sbom_libraries.validate(kind, sbom(kind, lambda document: document.update(packages=1, components=1)))


@pytest.mark.parametrize(
    ("kind", "change", "why"),
    [
        ("cyclonedx", lambda document: document.update(surprise=1), "Additional properties are not allowed"),
        ("cyclonedx", lambda document: document.update(version="one"), "not of type 'integer'"),
        ("cyclonedx", lambda document: document.pop("specVersion"), "it is no SBOM"),
        ("cyclonedx", lambda document: document.update(specVersion="9.9"), "it is no SBOM"),
        ("cyclonedx", lambda document: document["components"][0].pop("name"), "'name' is a required property"),
        ("spdx", lambda document: document["packages"][0].update(downloadLocation="x y"), "download_location"),
        ("spdx", lambda document: document.pop("creationInfo"), "CreationInfo does not exist"),
        ("spdx", lambda document: document.update(spdxVersion="SPDX-9"), "spdx_version"),
        ("spdx", lambda document: document["packages"][0].update(checksums="x"), "AttributeError"),
        (
            "spdx",
            lambda document: document["relationships"][0].update(relatedSpdxElement="SPDXRef-nobody"),
            "SPDXRef-nobody",
        ),
    ],
)
def test_a_document_that_breaks_its_specification_is_refused_by_its_library(
    kind: Kind, change: Callable[[Any], object], why: str
) -> None:
    with pytest.raises(NotProven) as refused:
        sbom_libraries.validate(kind, sbom(kind, change))

    assert why in str(refused.value)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 800


@pytest.mark.parametrize("name", ["cyclonedx", "jsonschema", "spdx_tools"])
def test_a_missing_library_says_how_to_install_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda wanted: None if wanted == name else object())
    for ask in (sbom_libraries.see_installed, lambda: sbom_libraries.validate("spdx", b"{}")):
        with pytest.raises(UsageError) as refused:
            ask()

        assert refused.value.what.startswith(f"{name} is not installed")
        assert refused.value.next_step == "Install the bot with its extra `release`: docs/release.md says how."
