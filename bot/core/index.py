"""An OCI image index from its raw bytes: proven, or refused.

OCI image specification 1.1, "Image Index"; Docker manifest list 2. The media type must say the same in
the header and in the body, and a body is an index or a manifest, never both (CVE-2021-41190).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import cast

import msgspec

from bot.core.model import Platform
from bot.core.reference import Digest, digest_of, parse_digest

INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
ACCEPT = ", ".join((*INDEX_TYPES, *MANIFEST_TYPES))
"""All four, so that a single-platform image is a clear refusal instead of a 404."""

MAX_BYTES = 8 * 1024 * 1024
"""Registries must accept manifests of 4 MiB; nothing true is much larger."""

_KNOWN = {"mediaType", "schemaVersion", "manifests", "layers", "config"}
_CASED = {key.casefold() for key in _KNOWN}
_NAME = re.compile(r"[A-Za-z0-9._-]{1,40}")
_MAX_ENTRIES = 200
_ATTESTATION = "vnd.docker.reference.type"


class NotProven(ValueError):
    """What came back is not what it claims to be; the text says how."""


class Index(msgspec.Struct, frozen=True):
    """An index, proven from its bytes: each platform once, attestations left out."""

    digest: Digest
    media_type: str
    platforms: tuple[Platform, ...]


def prove_index(body: bytes, *, content_type: str, header_digest: str | None, expected: Digest | None) -> Index:
    """The index that `body` is, with the digest of exactly these bytes.

    `header_digest` is Docker-Content-Digest where the registry sent one, `expected` the digest that was
    asked for. Raises NotProven.
    """
    digest, media_type, document = prove(body, content_type, header_digest, expected)
    if media_type in MANIFEST_TYPES:
        raise NotProven("it is a single-platform manifest, not multi-arch: an image index was expected")
    return Index(digest, media_type, _platforms(document))


def prove(
    body: bytes, content_type: str, header_digest: str | None, expected: Digest | None
) -> tuple[Digest, str, Mapping[str, object]]:
    """The digest of these bytes, their media type, and the document that they are. Raises NotProven."""
    digest = _prove_digest(body, header_digest, expected)
    document = _parse(body)
    return digest, _media_type(document, content_type), document


def _prove_digest(body: bytes, header_digest: str | None, expected: Digest | None) -> Digest:
    digest = digest_of(body)
    if header_digest is not None:
        try:
            claimed = parse_digest(header_digest)
        except ValueError as error:
            raise NotProven(f"the header Docker-Content-Digest is invalid: {error}") from None
        if claimed != digest:
            raise NotProven(f"the header Docker-Content-Digest says {claimed}, the bytes are {digest}")
    if expected is not None and expected != digest:
        raise NotProven(f"asked for {expected}, the bytes that came are {digest}")
    return digest


def _parse(body: bytes) -> Mapping[str, object]:
    try:
        document = json.loads(
            body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=_small_int
        )
    except RecursionError:
        raise NotProven("the JSON is nested too deeply") from None
    except ValueError as error:
        raise NotProven(f"the body is no valid JSON: {str(error)[:120]}") from None
    if not isinstance(document, dict):
        raise NotProven("the body is JSON but no object")
    return document


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Refuses keys that differ in case only: registries and clients in Go read them as the same key."""
    if len({key.casefold() for key, _ in pairs}) != len(pairs):
        raise ValueError("a key appears twice")
    return dict(pairs)


def _no_constant(text: str) -> object:
    raise ValueError(f"{text} is no JSON")


def _small_int(text: str) -> int:
    if len(text) > 20:  # noqa: PLR2004 - more digits than 64 bits have
        raise ValueError("a number is out of range")
    return int(text)


def _media_type(document: Mapping[str, object], content_type: str) -> str:
    header = content_type.partition(";")[0].strip().lower()
    if header not in (*INDEX_TYPES, *MANIFEST_TYPES):
        raise NotProven(f"its Content-Type is {header[:80]!r}, which is no image index or manifest")
    keys = {key.casefold() for key in document}
    if any(key.casefold() in _CASED and key not in _KNOWN for key in document):
        raise NotProven("a key is written in another case, which some clients read and others do not")
    if "manifests" in keys and keys & {"layers", "config", "fslayers"}:
        raise NotProven("it claims to be an index and a manifest at once (`manifests` with `layers` or `config`)")
    if document.get("schemaVersion") != 2:  # noqa: PLR2004 - the only version there is
        raise NotProven(f"its schemaVersion is {str(document.get('schemaVersion'))[:20]!r}, not 2")
    stated = document.get("mediaType", header)
    if stated != header:
        raise NotProven(f"its mediaType {str(stated)[:80]!r} contradicts its Content-Type {header!r}")
    if (header in INDEX_TYPES) != ("manifests" in document):
        raise NotProven(f"its content does not fit its type {header!r}")
    return header


def _platforms(document: Mapping[str, object]) -> tuple[Platform, ...]:
    entries = document["manifests"]
    if not isinstance(entries, list):
        raise NotProven("`manifests` is no list")
    if len(entries) > _MAX_ENTRIES:
        raise NotProven(f"it has {len(entries)} entries; no image has more than {_MAX_ENTRIES}")
    found = [platform for entry in entries if (platform := _platform(entry)) is not None]
    digests = [entry["digest"] for entry in entries]
    if len(set(digests)) != len(digests):
        raise NotProven("two entries have the same digest")
    if not found:
        raise NotProven("no entry is an image: only attestations, or nothing")
    twice = sorted(platform for (platform, _), count in Counter(found).items() if count > 1)
    if twice:
        raise NotProven(f"a platform appears twice: {', '.join(map(str, twice))}")
    return tuple(sorted({platform for platform, _ in found}))


def _platform(entry: object) -> tuple[Platform, str] | None:
    """The platform of one descriptor, with its `os.version` (of Windows images only); None for an attestation."""
    if not isinstance(entry, dict):
        raise NotProven("an entry of `manifests` is no object")
    descriptor = cast("dict[str, object]", entry)
    try:
        parse_digest(_text(descriptor, "digest"))
    except ValueError as error:
        raise NotProven(f"an entry's digest is invalid: {error}") from None
    platform = descriptor.get("platform")
    if not isinstance(platform, dict):
        raise NotProven(f"entry {descriptor['digest']} names no platform")
    named = cast("dict[str, object]", platform)
    value = Platform(_name(named, "os"), _name(named, "architecture"), _name(named, "variant", ""))
    annotations = descriptor.get("annotations")
    if isinstance(annotations, dict) and _ATTESTATION in annotations:
        if (value.os, value.architecture) != ("unknown", "unknown"):
            raise NotProven(f"an attestation claims to be {value}")
        return None
    if _text(descriptor, "mediaType") not in MANIFEST_TYPES:
        raise NotProven(f"the entry for {value} is no image manifest")
    return normal(value), _text(named, "os.version", "") if value.os == "windows" else ""


def normal(value: Platform) -> Platform:
    """As containerd reads a platform: other names and default variants are the same platform."""
    system, architecture = value.os.lower(), value.architecture.lower()
    architecture = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64"}.get(architecture, architecture)
    default = {"amd64": "v1", "arm64": "v8"}.get(architecture)
    return Platform(system, architecture, "" if value.variant == default else value.variant)


def _name(mapping: Mapping[str, object], key: str, default: str | None = None) -> str:
    """A word such as `linux`: it stands in reports, so nothing else passes."""
    value = _text(mapping, key, default)
    if not _NAME.fullmatch(value) and value != default:
        raise NotProven(f"`{key}` of an entry is no name: {value[:40]!r}")
    return value


def _text(mapping: Mapping[str, object], key: str, default: str | None = None) -> str:
    value = mapping.get(key, default)
    if not isinstance(value, str) or len(value) > 200 or not value.isprintable():  # noqa: PLR2004 - a bound
        raise NotProven(f"`{key}` of an entry is missing or no text")
    return value
