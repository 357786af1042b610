"""Copies by digest between two registries: what is unusual and right, and what is hostile."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bot.adapters.connections import Connections
from bot.adapters.http import ATTEMPTS, Http
from bot.adapters.registry.content import Contents
from bot.adapters.registry.pushing import Target
from bot.core.content import Descriptor, read_content
from bot.core.reference import Digest, digest_of, parse_repository
from bot.embedded.images import (
    CONFIG,
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    INDEX,
    LAYER,
    MANIFEST,
    Content,
    build_image,
    platform_of,
)
from bot.embedded.registry import EmbeddedRegistry
from bot.embedded.server import LoopbackServer, Request, Response
from bot.embedded.storage import StoredRepository
from bot.errors import BotError, IntegrityError
from bot.flows.retag import Copied, bring, read_image
from tests.flows.conftest import TestClock
from tests.flows.pair import Pair, pair
from tests.flows.release_standins import lacks, manifest_of
from tests.flows.releases import writes_of

__all__ = ["pair"]

FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"


def put(stored: StoredRepository, manifests: Sequence[tuple[str, Content]], kind: str = INDEX) -> Digest:
    """An index of these manifests, by their platforms."""
    for _, manifest in manifests:
        stored.add_manifest(manifest)
    entries = [manifest.descriptor(platform=platform_of(platform)) for platform, manifest in manifests]
    document = {"schemaVersion": 2, "mediaType": kind, "manifests": entries}
    return stored.add_manifest(Content(kind, json.dumps(document).encode()))


def manifest(
    stored: StoredRepository, layers: Sequence[Content], *, config: bytes = b"{}", kind: str = MANIFEST, **more: object
) -> Content:
    """A manifest whose config and layers are there."""
    parts = [Content(CONFIG, config), *layers]
    for part in parts:
        stored.add_blob(part.data)
    head, *rest = (part.descriptor() for part in parts)
    document = {"schemaVersion": 2, "mediaType": kind, "config": head, "layers": [each | more for each in rest]}
    return Content(kind, json.dumps(document).encode())


def layer(data: bytes = b"one layer") -> Content:
    return Content(LAYER, data)


# --- unusual, and right


def test_a_blob_that_both_platforms_share_is_copied_once(pair: Pair) -> None:
    shared = layer()
    digest = put(
        pair.theirs,
        [
            ("linux/amd64", manifest(pair.theirs, [shared], config=b"1")),
            ("linux/arm64", manifest(pair.theirs, [shared], config=b"2")),
        ],
    )
    copied = pair.copy(digest)
    sent = [each.path for each in writes_of(pair.other) if each.method == "PUT" and shared.digest in each.path]

    assert (copied, len(sent), lacks(pair.ours, digest)) == (Copied(blobs=3, size=11, manifests=3), 1, [])


def test_an_empty_blob_is_a_blob(pair: Pair) -> None:
    digest = put(pair.theirs, [("linux/amd64", manifest(pair.theirs, [layer(b"")]))])
    pair.copy(digest)

    assert pair.ours.blobs[layer(b"").digest] == b""
    assert lacks(pair.ours, digest) == []


def test_docker_s_own_types_are_copied_as_they_are(pair: Pair) -> None:
    digest = put(pair.theirs, [("linux/amd64", manifest(pair.theirs, [layer()], kind=DOCKER_MANIFEST))], DOCKER_INDEX)
    pair.copy(digest)

    assert pair.ours.manifests[digest] == pair.theirs.manifests[digest]
    assert pair.ours.manifests[digest].media_type == DOCKER_INDEX


def test_a_layer_that_may_not_be_handed_on_stays_and_its_addresses_are_never_asked(pair: Pair) -> None:
    foreign = Content(FOREIGN, b"of somebody")
    with EmbeddedRegistry() as elsewhere:
        named = manifest(pair.theirs, [foreign], urls=[f"{elsewhere.url}/x"])
        digest = put(pair.theirs, [("linux/amd64", named)])
        pair.ours.add_blob(foreign.data)  # or the embedded registry would not take the manifest
        pair.one.exchanges.clear()
        pair.copy(digest)

        assert elsewhere.exchanges == []
        assert [each.path for each in pair.one.exchanges if foreign.digest in each.path] == []


def test_addresses_beside_an_ordinary_layer_are_never_asked_and_the_layer_comes_along(pair: Pair) -> None:
    with EmbeddedRegistry() as elsewhere:
        digest = put(pair.theirs, [("linux/amd64", manifest(pair.theirs, [layer()], urls=[f"{elsewhere.url}/x"]))])
        pair.copy(digest)

        assert elsewhere.exchanges == []
        assert lacks(pair.ours, digest) == []


def test_a_second_copy_sends_nothing(pair: Pair) -> None:
    digest = pair.one.push_image("up/app", "v1", attestations=True)
    first = pair.copy(digest)
    pair.other.exchanges.clear()
    second = pair.copy(digest)

    assert (first.blobs, first.manifests) == (8, 5)
    assert (second, writes_of(pair.other)) == (Copied(there=8), [])
    assert str(second) == "0 blobs copied (0 bytes), 8 already there"


# --- hostile


def bent(change: Callable[[dict[str, list[dict[str, object]]]], object]) -> Callable[[StoredRepository], Digest]:
    def build(stored: StoredRepository) -> Digest:
        image = build_image()
        for blob in image.blobs:
            stored.add_blob(blob.data)
        for each in image.manifests:
            stored.add_manifest(each)
        document = json.loads(image.index.data)
        change(document)
        return stored.add_manifest(Content(INDEX, json.dumps(document).encode()))

    return build


def nested(stored: StoredRepository) -> Digest:
    inner = put(stored, [("linux/amd64", manifest(stored, [layer()]))])
    entry = stored.manifests[inner].descriptor(
        platform=platform_of("unknown/unknown"), annotations={"vnd.docker.reference.type": "attestation-manifest"}
    )
    good = manifest(stored, [layer()])
    stored.add_manifest(good)
    document = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [good.descriptor(platform=platform_of("linux/amd64")), entry],
    }
    return stored.add_manifest(Content(INDEX, json.dumps(document).encode()))


def two_sizes(stored: StoredRepository) -> Digest:
    right = manifest(stored, [layer()])
    wrong = Content(MANIFEST, right.data.replace(b'"size": 9', b'"size": 8'))
    assert wrong != right
    return put(stored, [("linux/amd64", right), ("linux/arm64", wrong)])


HOSTILE: dict[str, tuple[Callable[[StoredRepository], Digest], str]] = {
    "an index in the index": (nested, "is an index itself"),
    "a manifest of another size": (
        bent(lambda index: index["manifests"][0].update(size=7)),
        "bytes, its descriptor says 7",
    ),
    "a manifest of no size": (bent(lambda index: index["manifests"][0].update(size="7")), "is no number of bytes"),
    "a blob of two sizes": (two_sizes, "its size is 9 and 8 bytes"),
    "a thousand entries": (
        bent(lambda index: index["manifests"].extend([index["manifests"][0]] * 998)),
        "it has 1000 entries; no image has more than 200",
    ),
    "more than a thousand entries": (
        bent(lambda index: index["manifests"].extend([index["manifests"][0]] * 999)),
        "no list of at most 1000",
    ),
    "a platform twice": (
        bent(lambda index: index["manifests"][1].update(platform=index["manifests"][0]["platform"])),
        "a platform appears twice: linux/amd64",
    ),
    "no platform": (bent(lambda index: index["manifests"].clear()), "no entry is an image"),
    "a manifest that is not there": (
        bent(lambda index: index["manifests"][0].update(digest=f"sha256:{'0' * 64}")),
        "the registry does not have it",
    ),
}


@pytest.mark.parametrize("how", HOSTILE)
def test_a_hostile_index_is_refused_before_anything_is_written(pair: Pair, how: str) -> None:
    build, said = HOSTILE[how]
    digest = build(pair.theirs)
    with pytest.raises(IntegrityError, match=said):
        pair.copy(digest)

    assert writes_of(pair.other) == []


def test_a_single_manifest_is_no_image_to_release(pair: Pair) -> None:
    digest = pair.theirs.add_manifest(manifest(pair.theirs, [layer()]))
    with pytest.raises(IntegrityError, match="single-platform manifest"):
        read_image(pair.source, digest)


def test_a_blob_that_is_config_and_layer_at_once_is_sent_once(pair: Pair) -> None:
    digest = pair.one.push_image("up/app", "v1")
    pair.copy(digest)
    same = Content("application/vnd.oci.empty.v1+json", b"{}")
    pair.theirs.add_blob(same.data)
    subject = pair.theirs.manifests[digest].descriptor()
    pair.theirs.add_manifest(manifest_of([same, same], subject, artifactType="application/example"))
    copied, warnings = pair.attached(digest)

    assert (copied, warnings) == (Copied(blobs=1, size=2, manifests=1), ())


def test_a_manifest_that_a_target_kept_half_is_put_again(pair: Pair) -> None:
    digest = pair.one.push_image("up/app", "v1")
    pair.copy(digest)
    whole = dict(pair.ours.manifests)
    for name, manifest in whole.items():
        pair.ours.manifests[name] = Content(manifest.media_type, manifest.data[:100])

    pair.copy(digest)

    assert {name: found.data for name, found in pair.ours.manifests.items() if name in whole} == {
        name: found.data for name, found in whole.items()
    }


def test_a_layer_that_may_not_be_handed_on_is_not_brought_where_the_target_lacks_it(pair: Pair) -> None:
    foreign = Content(FOREIGN, b"of somebody")
    named = manifest(pair.theirs, [foreign, layer()])
    blobs = read_content(named.data, content_type=MANIFEST, header_digest=None, expected=None).blobs
    copied = bring(pair.source, pair.target, blobs, pair.said.append)
    asked = [each.path for each in (*pair.one.exchanges, *pair.other.exchanges) if foreign.digest in each.path]

    assert (copied.blobs, foreign.digest in pair.ours.blobs, asked) == (2, False, [])


# --- a registry that takes whatever it is sent


class Careless(LoopbackServer):
    """Compares no digests, and keeps what came before a connection broke off."""

    def answer(self, request: Request) -> Response:
        match request.method:
            case "HEAD":
                return Response(404)
            case "POST":
                return Response(202, b"", (("Location", f"{request.path}one"),))
            case _:
                return Response(201)

    @property
    def uploads(self) -> list[bytes]:
        """What was sent of the blob."""
        return [each.body for each in self.exchanges if each.method == "PUT"]

    def wait_for(self, number: int) -> None:
        """A request that breaks off is known when the connection is closed."""
        ends = time.monotonic() + 5
        while len(self.uploads) < number and time.monotonic() < ends:
            time.sleep(0.005)


@contextmanager
def saying(parts: Sequence[bytes], *, length: int | None) -> Iterator[str]:
    """The host of a registry that sends these parts of a blob, one after another; chunked where it says no length."""

    class Said(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            if length is None:
                self.send_header("Transfer-Encoding", "chunked")
            else:
                self.send_header("Content-Length", str(length))
            self.end_headers()
            for part in parts:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part) if length is None else part)
            self.wfile.write(b"0\r\n\r\n" if length is None else b"")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            """It is not said."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Said)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


HALVES = (b"a" * 50_000, b"b" * 50_000)
UNPROVEN: dict[str, tuple[tuple[bytes, ...], int | None, int, int, str]] = {
    "other bytes at its end": ((HALVES[0], b"x" * 50_000), None, 1, 5, "not what its digest says"),
    "other bytes at its beginning": ((b"x" * 50_000, HALVES[1]), None, 1, 5, "not what its digest says"),
    "other bytes of a known length": ((HALVES[0], b"x" * 50_000), 100_000, 1, 5, "not what its digest says"),
    "too short": ((HALVES[0], HALVES[1][:-1]), None, ATTEMPTS, 4, "a blob broke off: 1 of 100,000 bytes did not come"),
    "nothing": ((), None, ATTEMPTS, 4, "a blob broke off: 100,000 of 100,000 bytes did not come"),
    "too long": ((*HALVES, b"x"), None, 1, 5, "longer than the 100,000 bytes"),
    "much too long": ((*HALVES, *HALVES), None, 1, 5, "longer than the 100,000 bytes"),
}


@contextmanager
def from_to(source: str, target: LoopbackServer) -> Iterator[tuple[Contents, Target]]:
    with Connections({}) as connections:
        http = Http(connections, TestClock(), lambda _text: None)
        yield (
            Contents(connections, http, parse_repository(f"{source}/up/app"), lambda _host: None),
            Target(connections, http, parse_repository(f"{target.host}/our/app"), lambda _host: None),
        )


@pytest.mark.parametrize("how", UNPROVEN)
def test_a_careless_registry_never_gets_the_last_part_of_a_blob_that_is_not_proven(how: str) -> None:
    parts, length, times, code, said = UNPROVEN[how]
    blob = Descriptor(digest_of(b"".join(HALVES)), 100_000, LAYER)
    with (
        saying(parts, length=length) as host,
        Careless() as careless,
        from_to(host, careless) as (source, target),
    ):
        with pytest.raises(BotError, match=said) as raised:
            target.bring(blob, source)
        careless.wait_for(times)
        sent = careless.uploads

    assert (raised.value.exit_code, len(sent)) == (code, times)
    assert [len(body) for body in sent if len(body) >= blob.size or not b"".join(parts).startswith(body)] == []
    assert b"".join(parts) not in [body for body in sent if body]


def test_a_careless_registry_gets_a_blob_that_is_proven_whole() -> None:
    blob = Descriptor(digest_of(b"".join(HALVES)), 100_000, LAYER)
    with saying(HALVES, length=None) as host, Careless() as careless, from_to(host, careless) as (source, target):
        came = target.bring(blob, source)

        assert (came, careless.uploads) == ("copied", [b"".join(HALVES)])
