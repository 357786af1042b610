"""What `release publish` does to a registry, on the embedded one and on real ones: copies, attachments, tags."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx  # noqa: TC002 - one plain import is easier to read
import pytest

from bot.adapters.connections import Connections
from bot.adapters.http import Http
from bot.adapters.registry.content import Contents
from bot.adapters.registry.pushing import Target
from bot.core.content import Descriptor
from bot.core.reference import Digest, Tag, digest_of, parse_repository
from bot.core.release.referrers import attached_tag
from bot.embedded.images import INDEX, Content, MultiPlatformImage, build_image
from bot.embedded.registry import EmbeddedRegistry
from bot.errors import IntegrityError
from bot.flows.attach import copy_attached
from bot.flows.retag import Copied, copy_image, read_image
from tests.contract.under_test import RegistryUnderTest
from tests.flows.conftest import TestClock
from tests.flows.release_standins import STRANGER, attach, sign_legacy

SOURCE = "up/app"


class Copying:
    """An image in an embedded registry, and a repository of the registry under test."""

    def __init__(self, registry: RegistryUnderTest, upstream: EmbeddedRegistry, connections: Connections) -> None:
        host = registry.client.base_url.netloc.decode()
        self.client, self.name, self.upstream = registry.client, registry.repository, upstream
        self.image: MultiPlatformImage = build_image(variation=registry.repository, attestations=True)
        upstream.push(SOURCE, "v1", self.image)
        http = Http(connections, TestClock(), lambda _text: None)
        self.source = Contents(connections, http, parse_repository(f"{upstream.host}/{SOURCE}"), lambda _host: None)
        self.target = Target(connections, http, parse_repository(f"{host}/{self.name}"), lambda _host: None)
        self.beside = Target(connections, http, parse_repository(f"{host}/{self.name}-beside"), lambda _host: None)

    def copy(self, target: Target, source: Contents | None = None) -> Copied:
        index, manifests = read_image(source or self.source, self.image.digest)
        return copy_image(source or self.source, target, index, manifests, lambda _text: None)

    def attached(self) -> tuple[Copied, tuple[str, ...]]:
        subjects = (self.image.digest, self.image.manifests[0].digest)
        return copy_attached(self.source, self.target, subjects, lambda _text: None, must=True)

    def get(self, path: str) -> httpx.Response:
        return self.client.get(
            f"/v2/{self.name}/{path}", headers={"Accept": f"{INDEX}, {self.image.manifests[0].media_type}"}
        )


@pytest.fixture
def copying(registry: RegistryUnderTest) -> Iterator[Copying]:
    with EmbeddedRegistry() as upstream, Connections({}) as connections:
        yield Copying(registry, upstream, connections)


def test_every_byte_arrives_and_nothing_is_tagged(copying: Copying) -> None:
    copied = copying.copy(copying.target)
    blobs = {blob.digest: blob.data for blob in copying.image.blobs}
    manifests = {each.digest: each.data for each in (*copying.image.manifests, copying.image.index)}

    assert (copied.blobs, copied.manifests, copied.there) == (len(blobs), len(manifests), 0)
    assert {digest: copying.get(f"blobs/{digest}").content for digest in blobs} == blobs
    assert {digest: copying.get(f"manifests/{digest}").content for digest in manifests} == manifests
    assert not copying.get("tags/list").json().get("tags")


def test_a_second_copy_sends_nothing(copying: Copying) -> None:
    copying.copy(copying.target)

    assert copying.copy(copying.target) == Copied(there=len(copying.image.blobs))


def test_a_tag_names_the_index_that_was_copied(copying: Copying) -> None:
    copying.copy(copying.target)
    index, _ = read_image(copying.target, copying.image.digest)
    copying.target.put(index, Tag("v1"))
    found = copying.target.manifest(Tag("v1"))

    assert found == index
    assert copying.target.manifest(Tag("v2")) is None


def test_a_repository_beside_it_gets_its_blobs_without_sending_them(copying: Copying) -> None:
    copying.copy(copying.target)
    copied = copying.copy(copying.beside, copying.target)

    assert copied.blobs + copied.mounted + copied.there == len(copying.image.blobs)
    assert read_image(copying.beside, copying.image.digest)[0].body == copying.image.index.data


def test_what_is_attached_arrives_and_is_listed(copying: Copying) -> None:
    stored = copying.upstream.repository(SOURCE)
    made = {
        attach(stored, copying.image.digest, STRANGER),
        attach(stored, copying.image.digest, "another"),
        attach(stored, copying.image.manifests[0].digest, STRANGER),
    }
    sign_legacy(stored, copying.image.digest, STRANGER)
    copying.copy(copying.target)
    first = copying.attached()
    second = copying.attached()
    subjects = (copying.image.digest, copying.image.manifests[0].digest)
    listed = {each.digest for subject in subjects for each in copying.target.referrers(subject)}

    assert (first[0].manifests, first[1]) == (4, ())
    assert second == (Copied(), ())
    assert listed == made
    assert copying.target.manifest(Tag(f"{copying.image.digest.replace(':', '-')}.sig")) is not None


def test_one_more_that_is_attached_later_keeps_the_others(copying: Copying) -> None:
    stored, digest = copying.upstream.repository(SOURCE), copying.image.digest
    copying.copy(copying.target)
    one = attach(stored, digest, STRANGER)
    copying.attached()
    two = attach(stored, digest, "another")
    copying.attached()

    assert {each.digest for each in copying.target.referrers(digest)} == {one, two}
    kept = copying.target.manifest(attached_tag(digest))
    assert kept is None or {entry["digest"] for entry in json.loads(kept.body)["manifests"]} == {one, two}


def test_a_blob_with_other_bytes_is_not_there_afterwards(copying: Copying) -> None:
    wrong = Digest(f"sha256:{'0' * 64}")
    stored = copying.upstream.repository(SOURCE)
    stored.blobs[wrong] = b"x" * 100_000
    descriptor = Descriptor(wrong, 100_000, "application/octet-stream")
    with pytest.raises(IntegrityError, match="are not what its digest says"):
        copying.target.bring(descriptor, copying.source)

    assert not copying.target.has_blob(descriptor)
    assert copying.get(f"blobs/{digest_of(b'x' * 100_000)}").status_code == 404


def test_a_manifest_whose_parts_are_missing_is_not_taken_or_at_least_not_called_there(copying: Copying) -> None:
    _, manifests = read_image(copying.source, copying.image.digest)
    try:
        copying.target.put(manifests[0])
    except IntegrityError as error:
        assert "lacks it" in error.what  # noqa: PT017 - crane's registry takes it, which is its right
    blob = manifests[0].blobs[0]

    assert not copying.target.has_blob(blob)


def test_a_blob_that_was_made_here_is_added(copying: Copying) -> None:
    made = Content("application/octet-stream", b"made here")
    copying.target.add(made.data)
    copying.target.add(made.data)

    assert copying.get(f"blobs/{made.digest}").content == made.data
