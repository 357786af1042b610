"""Bytes -> Index, or NotProven with how. Numbers of docs/faults.md: 6 to 14."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bot.core.index import ACCEPT, INDEX_TYPES, MANIFEST_TYPES, Index, NotProven, prove_index
from bot.core.model import Platform, missing_of
from bot.core.reference import Digest, digest_of
from tests.unit.values import OTHER, PLATFORMS

OCI, DOCKER = INDEX_TYPES
ATTESTATION = {"vnd.docker.reference.type": "attestation-manifest"}


def entry(text: str = "linux/amd64", **more: Any) -> dict[str, Any]:
    platform = dict(zip(("os", "architecture", "variant"), text.split("/"), strict=False))
    return {"mediaType": MANIFEST_TYPES[0], "digest": digest_of(text.encode()), "size": 1, "platform": platform} | more


NO_VARIANT = {"os": "linux", "architecture": "arm", "variant": 7}
VERSIONED: dict[str, Any] = {"digest": OTHER, "platform": {"os": "linux", "architecture": "amd64", "os.version": "2"}}
WINDOWS: dict[str, Any] = {"digest": OTHER, "platform": {"os": "windows", "architecture": "amd64", "os.version": "2"}}
BOTH = [entry(), entry("linux/arm64")]


def body(entries: object = BOTH, **more: Any) -> bytes:
    document = {"schemaVersion": 2, "mediaType": OCI, "manifests": entries} | more
    return json.dumps({key: value for key, value in document.items() if value is not None}).encode()


def prove(data: bytes, content_type: str = OCI, header: str | None = None, expected: Digest | None = None) -> Index:
    return prove_index(data, content_type=content_type, header_digest=header, expected=expected)


def test_an_index_is_proven_from_its_bytes() -> None:
    data = body()

    actual = prove(data, header=digest_of(data), expected=digest_of(data))

    assert Index(digest_of(data), OCI, PLATFORMS) == actual


@pytest.mark.parametrize(
    ("data", "content_type", "media_type"),
    [
        (body(mediaType=None), OCI, OCI),
        (body(mediaType=DOCKER), DOCKER, DOCKER),
        (body(), f"{OCI}; charset=utf-8", OCI),
        (body(), OCI.upper(), OCI),
        (b" " + body(annotations={"a": "b"}, extra=[1.5, None, True]) + b"\n", OCI, OCI),
    ],
)
def test_the_header_and_the_body_say_the_same_type(data: bytes, content_type: str, media_type: str) -> None:
    actual = prove(data, content_type)

    assert (media_type, digest_of(data)) == (actual.media_type, actual.digest)


def test_all_four_types_are_asked_for() -> None:
    assert ", ".join(INDEX_TYPES + MANIFEST_TYPES) == ACCEPT


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([entry("linux/arm/v7"), entry("linux/arm/v6")], "linux/arm/v6 linux/arm/v7"),
        ([entry("linux/arm64/v8")], "linux/arm64"),
        ([entry(), entry("unknown/unknown", annotations=ATTESTATION)], "linux/amd64"),
        ([entry(), entry("unknown/unknown", annotations={"other": "x"})], "linux/amd64 unknown/unknown"),
        ([entry("linux/x86_64/v1"), entry("Linux/aarch64")], "linux/amd64 linux/arm64"),
        ([entry("windows/amd64"), entry(**WINDOWS)], "windows/amd64"),
    ],
    ids=["variants", "arm64 v8 is arm64", "attestation", "unknown without annotation", "other names", "windows"],
)
def test_platforms_are_listed_without_attestations(entries: list[object], expected: str) -> None:
    actual = " ".join(map(str, prove(body(entries)).platforms))

    assert expected == actual


def test_what_is_required_and_not_there_is_missing() -> None:
    wanted = (*PLATFORMS, Platform("linux", "s390x"), Platform("linux", "arm", "v7"))

    actual = missing_of(wanted, prove(body()).platforms)

    assert wanted[2:] == actual


NOT_PROVEN = {
    "a header of another digest": (body(), OCI, OTHER, "Docker-Content-Digest says"),
    "a header that is no digest": (body(), OCI, "sha512:" + "a" * 128, "Docker-Content-Digest is invalid"),
    "an empty header": (body(), OCI, "", "Docker-Content-Digest is invalid"),
    "a single manifest": (
        body(None, mediaType=MANIFEST_TYPES[0], config={}, layers=[]),
        MANIFEST_TYPES[0],
        None,
        "not multi-arch",
    ),
    "no type": (body(), "", None, "no image index or manifest"),
    "html": (b"<html>", "text/html", None, "no valid JSON"),
    "json as json": (body(), "application/json", None, "no image index or manifest"),
    "html as an index": (b"<html>", OCI, None, "no valid JSON"),
    "empty": (b"", OCI, None, "no valid JSON"),
    "a list": (b"[]", OCI, None, "no object"),
    "invalid utf-8": (b'{"a": "\xff"}', OCI, None, "no valid JSON"),
    "utf-16": (body().decode().encode("utf-16"), OCI, None, "no valid JSON"),
    "a byte order mark": (b"\xef\xbb\xbf" + body(), OCI, None, "no valid JSON"),
    "not a number": (body().replace(b": 2", b": NaN"), OCI, None, "no valid JSON"),
    "infinity": (body(x=1).replace(b'"x": 1', b'"x": -Infinity'), OCI, None, "no valid JSON"),
    "a huge number": (body(x=1).replace(b'"x": 1', b'"x": ' + b"9" * 5000), OCI, None, "no valid JSON"),
    "deep": (b'{"a":' * 100_000, OCI, None, "nested too deeply"),
    "a key twice": (body().replace(b"{", b'{"manifests": [], ', 1), OCI, None, "no valid JSON"),
    "a key twice in other capitals": (body(Manifests=[]), OCI, None, "no valid JSON"),
    "layers too": (body(layers=[]), OCI, None, "index and a manifest at once"),
    "config too": (body(config={}), OCI, None, "index and a manifest at once"),
    "old layers too": (body(fsLayers=[]), OCI, None, "index and a manifest at once"),
    "schema 1": (body(schemaVersion=1), OCI, None, "schemaVersion is '1'"),
    "no schema": (body(schemaVersion=None), OCI, None, "schemaVersion is 'None'"),
    "a schema that speaks to terminals": (body(schemaVersion="\x1b[2J"), OCI, None, r"'\\x1b\[2J'"),
    "another type in the body": (body(mediaType=DOCKER), OCI, None, "contradicts its Content-Type"),
    "a type that is no text": (body(mediaType=[OCI]), OCI, None, "contradicts its Content-Type"),
    "an index without manifests": (body(None), OCI, None, "does not fit its type"),
    "manifests in capitals": (body(None, MANIFESTS=BOTH), OCI, None, "written in another case"),
    "an index as manifest": (body(mediaType=None), MANIFEST_TYPES[0], None, "does not fit its type"),
    "manifests that are no list": (body({}), OCI, None, "no list"),
    "no entries": (body([]), OCI, None, "no entry is an image"),
    "only attestations": (
        body([entry("unknown/unknown", annotations=ATTESTATION)]),
        OCI,
        None,
        "no entry is an image",
    ),
    "a platform twice": (body([*BOTH, entry(digest=OTHER)]), OCI, None, "appears twice: linux/amd64"),
    "a digest twice": (body([entry(), entry("linux/s390x", digest=entry()["digest"])]), OCI, None, "the same digest"),
    "a platform with two versions": (body([entry(), entry(**VERSIONED)]), OCI, None, "appears twice: linux/amd64"),
    "an attestation that is a platform": (body([entry(annotations=ATTESTATION)]), OCI, None, "claims to be linux"),
    "an index in an index": (body([entry(mediaType=OCI)]), OCI, None, "no image manifest"),
    "arm64 twice, once as v8": (body([entry("linux/arm64"), entry("linux/arm64/v8")]), OCI, None, "appears twice"),
    "an entry that is no object": (body([*BOTH, "x"]), OCI, None, "no object"),
    "an entry without digest": (body([entry(digest=None)]), OCI, None, "`digest` of an entry"),
    "an entry with sha512": (body([entry(digest="sha512:" + "a" * 128)]), OCI, None, "digest is invalid"),
    "an entry that climbs": (body([entry(digest="../../x")]), OCI, None, "digest is invalid"),
    "an entry with a newline": (body([entry(digest=f"{OTHER}\n")]), OCI, None, "`digest` of an entry"),
    "an entry without platform": (body([entry(platform=None)]), OCI, None, "names no platform"),
    "a platform that is no text": (body([entry(platform={"os": 1})]), OCI, None, "`os` of an entry"),
    "a platform without architecture": (body([entry(platform={"os": "linux"})]), OCI, None, "`architecture`"),
    "a platform with control characters": (body([entry("linux/\x1b[2J")]), OCI, None, "`architecture`"),
    "a platform with bidi": (body([entry("linux/\u202ex")]), OCI, None, "`architecture`"),
    "a platform without end": (body([entry(f"linux/{'x' * 201}")]), OCI, None, "`architecture`"),
    "a variant that is no text": (body([entry(platform=NO_VARIANT)]), OCI, None, "`variant`"),
}  # fmt: skip


@pytest.mark.parametrize("case", NOT_PROVEN)
def test_what_cannot_be_what_it_claims_is_not_proven(case: str) -> None:
    data, content_type, header, words = NOT_PROVEN[case]

    with pytest.raises(NotProven, match=words) as raised:
        prove(data, content_type, header)
    assert len(str(raised.value)) < 500
    assert str(raised.value).isprintable()


def test_bytes_of_another_digest_than_was_asked_for_are_not_proven() -> None:
    with pytest.raises(NotProven, match=f"asked for {OTHER}"):
        prove(body(), expected=OTHER)


def test_every_cut_of_an_index_is_not_proven() -> None:
    data = body()

    for length in range(len(data)):
        with pytest.raises(NotProven):
            prove(data[:length])


def test_an_index_has_a_bound() -> None:
    with pytest.raises(NotProven, match="201 entries"):
        prove(body([entry(f"linux/a{n}") for n in range(201)]))


def test_an_attestation_is_unknown_altogether() -> None:
    with pytest.raises(NotProven, match="claims to be unknown/amd64"):
        prove(body([entry(), entry("unknown/amd64", annotations=ATTESTATION)]))
