"""The SBOMs of a release: their names, what they are attested as, and whether they are about our image. Pure.

syft writes into CycloneDX and SPDX what it was asked for, even the digest of an index of which it looked at one
platform; its own format holds the bytes of the manifest and of the config that it looked at. So those are proven, and
the two documents are held to the same digest.
"""

from __future__ import annotations

import json
from binascii import a2b_base64
from collections.abc import Mapping
from typing import Literal

import msgspec

from bot.core.decoding import decode
from bot.core.index import NotProven, normal
from bot.core.model import Platform
from bot.core.reference import Digest, digest_of
from bot.core.text import plain

Kind = Literal["cyclonedx", "spdx"]
KINDS: tuple[Kind, ...] = ("cyclonedx", "spdx")
PREDICATE_TYPES: Mapping[Kind, str] = {
    "cyclonedx": "https://cyclonedx.org/bom",
    "spdx": "https://spdx.dev/Document",
}
SUFFIXES: Mapping[Kind, str] = {"cyclonedx": "cdx.json", "spdx": "spdx.json"}
MEDIA_TYPES: Mapping[Kind, str] = {"cyclonedx": "application/vnd.cyclonedx+json", "spdx": "application/spdx+json"}
_DOCUMENT = "SPDXRef-DOCUMENT"


class Sboms(msgspec.Struct, frozen=True):
    """Both SBOMs of one platform, as canonical JSON, and how many packages they name."""

    cyclonedx: bytes
    spdx: bytes
    packages: int

    def of(self, kind: Kind) -> bytes:
        return self.cyclonedx if kind == "cyclonedx" else self.spdx


def file_name(stem: str, platform: Platform, kind: Kind) -> str:
    """A release file's name: `STEM-linux-amd64.cdx.json`."""
    return f"{stem}-{str(platform).replace('/', '-')}.{SUFFIXES[kind]}"


class _Metadata(msgspec.Struct):
    manifest: str
    config: str


class _Source(msgspec.Struct):
    metadata: _Metadata


class _Scan(msgspec.Struct):
    source: _Source


class _Descriptor(msgspec.Struct):
    digest: str


class _Manifest(msgspec.Struct):
    config: _Descriptor


class _Config(msgspec.Struct):
    os: str
    architecture: str
    variant: str = ""


def prove_scan(scan: bytes, digest: Digest, platform: Platform) -> None:
    """Raises NotProven unless syft's own report is about the bytes of this manifest, for this platform."""
    try:
        metadata = decode(scan, _Scan).source.metadata
        manifest, config = (a2b_base64(text, strict_mode=True) for text in (metadata.manifest, metadata.config))
        claimed = decode(manifest, _Manifest).config.digest
        system = decode(config, _Config)
    except (ValueError, RecursionError):
        raise NotProven("syft does not say which image it looked at") from None
    if digest_of(manifest) != digest:
        raise NotProven(f"syft looked at {digest_of(manifest)} instead")
    if digest_of(config) != claimed:
        raise NotProven("syft looked at another config than its manifest names")
    found = normal(Platform(plain(system.os, 40), plain(system.architecture, 40), plain(system.variant, 40)))
    if found != normal(platform):
        raise NotProven(f"it is an image for {found}, not for {platform}")


class _Component(msgspec.Struct):
    type: str
    version: str = ""


class _BomMetadata(msgspec.Struct):
    component: _Component


class _Bom(msgspec.Struct, rename="camel"):
    bom_format: str
    spec_version: str
    metadata: _BomMetadata
    components: list[_Component] = []


class _Checksum(msgspec.Struct, rename="camel"):
    algorithm: str
    checksum_value: str


class _Package(msgspec.Struct, rename="camel"):
    id: str = msgspec.field(name="SPDXID")
    version_info: str = ""
    checksums: list[_Checksum] = []


class _Relationship(msgspec.Struct, rename="camel"):
    spdx_element_id: str
    related_spdx_element: str
    relationship_type: str


class _Document(msgspec.Struct, rename="camel"):
    spdx_version: str
    relationships: list[_Relationship]
    packages: list[_Package]


def prove_sbom(kind: Kind, document: bytes, digest: Digest) -> int:
    """How many packages an SBOM names beside the image itself. Raises NotProven unless the image is `digest`."""
    try:
        return _prove_bom(document, digest) if kind == "cyclonedx" else _prove_spdx(document, digest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotProven(f"it is no SBOM of the kind {kind}: {plain(str(error), 200)}") from None


def _prove_bom(document: bytes, digest: Digest) -> int:
    """CycloneDX 1.6, `metadata.component`: what the SBOM is about. Files and the system are no packages."""
    bom = decode(document, _Bom)
    about = bom.metadata.component
    if bom.bom_format != "CycloneDX" or about.type != "container" or about.version != digest:
        raise NotProven(f"it is about {plain(about.type, 40)} {plain(about.version, 80)}, not about {digest}")
    return sum(component.type in {"library", "application", "framework"} for component in bom.components)


def _prove_spdx(document: bytes, digest: Digest) -> int:
    """SPDX 2.3, sections 7 and 11: what the document DESCRIBES, with its checksum."""
    spdx = decode(document, _Document)
    described = {
        relation.related_spdx_element
        for relation in spdx.relationships
        if relation.spdx_element_id == _DOCUMENT and relation.relationship_type == "DESCRIBES"
    }
    about = [package for package in spdx.packages if package.id in described]
    wanted = _Checksum("SHA256", digest.removeprefix("sha256:"))
    if not spdx.spdx_version.startswith("SPDX-2.") or len(about) != 1:
        raise NotProven(f"it describes {len(about)} packages, and not one image")
    if about[0].version_info != digest or wanted not in about[0].checksums:
        raise NotProven(f"it is about {plain(about[0].version_info, 80)}, not about {digest}")
    return len(spdx.packages) - 1


def spec_version(cyclonedx: bytes) -> str:
    """The version of CycloneDX that an SBOM says it is written in: `1.6`. Empty where it says none."""
    try:
        return str(json.loads(cyclonedx)["specVersion"])[:10]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
