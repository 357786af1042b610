from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from bot.core.content import Content, Descriptor, read_content, same_size
from bot.core.index import INDEX_TYPES, MANIFEST_TYPES, NotProven
from bot.core.model import Platform
from bot.core.reference import Digest, digest_of
from tests.unit.values import NEW, OLD, OTHER

ENTRY = {"mediaType": MANIFEST_TYPES[0], "digest": OLD, "size": 7}


def read(document: Mapping[str, object], kind: str = MANIFEST_TYPES[0], expected: Digest | None = None) -> Content:
    body = json.dumps({"schemaVersion": 2, "mediaType": kind, **document}).encode()
    return read_content(body, content_type=kind, header_digest=None, expected=expected)


def manifest(**more: object) -> Content:
    return read({"config": ENTRY, "layers": [{**ENTRY, "digest": NEW}], **more})


def test_a_manifest_is_its_config_and_its_layers_in_order() -> None:
    found = manifest()

    assert (found.digest, found.is_index, found.children, found.subject) == (digest_of(found.body), False, (), None)
    assert [(blob.digest, blob.size) for blob in found.blobs] == [(OLD, 7), (NEW, 7)]


def test_an_index_is_its_manifests_with_their_platforms() -> None:
    entries = [
        {**ENTRY, "platform": {"os": "linux", "architecture": "aarch64", "variant": "v8"}},
        {**ENTRY, "digest": NEW, "platform": {"os": "unknown", "architecture": "unknown"}},
        {**ENTRY, "digest": OTHER},
    ]
    found = read({"manifests": entries}, INDEX_TYPES[0])

    assert (found.is_index, found.blobs) == (True, ())
    assert [(child.digest, child.platform) for child in found.children] == [
        (OLD, Platform("linux", "arm64")),
        (NEW, None),
        (OTHER, None),
    ]


def test_what_refers_to_another_says_to_which() -> None:
    assert manifest(subject={**ENTRY, "digest": OTHER}).subject == OTHER


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", True),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", True),
        ("application/vnd.oci.image.layer.v1.tar+gzip", False),
    ],
)
def test_what_may_not_be_handed_on_is_known_by_its_type_whatever_addresses_it_names(
    kind: str, *, expected: bool
) -> None:
    layer = {"mediaType": kind, "digest": NEW, "size": 1, "urls": ["http://169.254.169.254/"]}

    assert manifest(layers=[layer]).blobs[1].is_elsewhere == expected


@pytest.mark.parametrize(
    "entry",
    [
        None,
        [],
        {},
        {**ENTRY, "digest": "sha512:0"},
        {**ENTRY, "digest": f"{OLD}/../x"},
        {**ENTRY, "digest": 7},
        {**ENTRY, "size": -1},
        {**ENTRY, "size": True},
        {**ENTRY, "size": 1.5},
        {**ENTRY, "size": 2**41},
        {**ENTRY, "size": "7"},
        {**ENTRY, "mediaType": ""},
        {**ENTRY, "mediaType": "a" * 256},
        {**ENTRY, "mediaType": "a\nb"},
        {"digest": OLD, "size": 7},
    ],
)
def test_what_is_no_descriptor_is_refused_wherever_it_stands(entry: object) -> None:
    for document in ({"config": entry, "layers": []}, {"config": ENTRY, "layers": [entry]}):
        with pytest.raises(NotProven):
            read(document)
    with pytest.raises(NotProven):
        read({"manifests": [entry]}, INDEX_TYPES[0])
    if entry is not None:
        with pytest.raises(NotProven):
            manifest(subject=entry)


@pytest.mark.parametrize("layers", [None, {}, "x", [ENTRY] * 1001])
def test_layers_that_are_no_list_or_an_endless_one_are_refused(layers: object) -> None:
    with pytest.raises(NotProven, match="`layers` is no list of at most 1000"):
        manifest(layers=layers)


def test_bytes_of_another_digest_than_was_asked_for_are_refused() -> None:
    with pytest.raises(NotProven, match=f"asked for {OTHER}"):
        read({"config": ENTRY, "layers": []}, expected=OTHER)


def test_a_manifest_of_another_size_than_its_descriptor_says_is_refused() -> None:
    found = manifest()
    right = Descriptor(found.digest, len(found.body), found.media_type)
    wrong = Descriptor(found.digest, len(found.body) + 1, found.media_type)

    with pytest.raises(NotProven, match=f"its descriptor says {len(found.body) + 1}"):
        same_size(found, wrong)
    assert same_size(found, right) is found
