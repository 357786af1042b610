"""Registries and signatures that mean harm, before both cosigns: nothing passes wrongly, hangs, or fills the memory."""

from __future__ import annotations

import gzip
import json
import re
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bot.adapters import cosign as cosign_adapter
from bot.adapters import programs
from bot.core.gates import Unanswered
from bot.core.reference import Digest
from bot.core.signature import NotSigned, Signed
from bot.embedded.images import MANIFEST, Content
from bot.embedded.registry import EmbeddedRegistry
from bot.embedded.server import Fault, Response
from bot.embedded.storage import StoredRepository
from tests import sigstore
from tests.real.sigstore.sign import attach, referrer
from tests.sigstore import Judge, SignedImages

pytestmark = pytest.mark.real

judge, signed = sigstore.judge, sigstore.signed


@pytest.fixture
def registry() -> Iterator[EmbeddedRegistry]:
    """Without referrers API, as GHCR: what refers to an image stands in an index under a tag."""
    with EmbeddedRegistry(referrers=False) as registry:
        yield registry


class Referrers:
    """What refers to a case's image: it can be read, and anything can be put in its place."""

    def __init__(self, registry: EmbeddedRegistry, case: str, digest: Digest) -> None:
        self.stored: StoredRepository = registry.repository(f"signed/{case}")
        self.digest = digest
        index = json.loads(self.stored.manifests[self.stored.tags[f"sha256-{digest.partition(':')[2]}"]].data)
        self.manifests = [self.stored.manifests[entry["digest"]] for entry in index["manifests"]]

    def bundle(self, position: int) -> dict[str, Any]:
        """A bundle's JSON."""
        layer = json.loads(self.manifests[position].data)["layers"][0]
        document: dict[str, Any] = json.loads(self.stored.blobs[layer["digest"]])
        return document

    def replace(self, *bodies: bytes, before: tuple[Content, ...] = (), after: tuple[Content, ...] = ()) -> None:
        """Nothing but these, each as a bundle, between manifests that are there."""
        blobs = [Content("application/vnd.dev.sigstore.bundle.v0.3+json", body) for body in bodies]
        made = [referrer(blob, self.digest) for blob in blobs]
        attach(self.stored, self.digest, [*before, *made, *after], *blobs)


def copies(manifest: Content, number: int) -> tuple[Content, ...]:
    """A manifest again and again, each with another digest."""
    document = json.loads(manifest.data)
    return tuple(
        Content(MANIFEST, json.dumps({**document, "annotations": {"copy": str(copy)}}).encode())
        for copy in range(number)
    )


def test_a_crowd_of_strangers_does_not_hide_upstream(
    judge: Judge, registry: EmbeddedRegistry, signed: SignedImages
) -> None:
    signed.push(registry.host, "in-company")
    there = Referrers(registry, "in-company", signed.digests["in-company"])
    stranger, *_, upstream = there.manifests
    there.replace(before=copies(stranger, 300), after=(upstream,))
    answer = judge.verify(registry.host, "in-company")

    assert isinstance(answer, Signed)
    assert (answer.at, answer.log_index) == (None, None), "the crowd's words would count"


def test_a_strangers_bundle_that_is_too_big_to_print_does_not_undo_upstreams(
    judge: Judge, registry: EmbeddedRegistry, signed: SignedImages
) -> None:
    signed.push(registry.host, "bundle")
    there = Referrers(registry, "bundle", signed.digests["bundle"])
    big = there.bundle(0)
    statement = json.loads(b64decode(big["dsseEnvelope"]["payload"])) | {"predicate": {"x": "y" * 9_000_000}}
    big["dsseEnvelope"]["payload"] = b64encode(json.dumps(statement).encode()).decode()
    there.replace(json.dumps(big).encode(), after=tuple(there.manifests))
    began = time.monotonic()
    answer = judge.verify(registry.host, "bundle")

    assert isinstance(answer, Signed)
    assert (answer.at, answer.log_index) == (None, None)
    assert time.monotonic() - began < 20


def test_a_few_megabytes_that_unpack_to_gigabytes_end_cosign_and_not_the_machine(
    judge: Judge, registry: EmbeddedRegistry, signed: SignedImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "MAX_MEMORY", 512 * 1024**2)
    signed.push(registry.host, "bundle")
    there = Referrers(registry, "bundle", signed.digests["bundle"])
    there.replace(gzip.compress(b" " * 64 * 1024**2) * 48, after=tuple(there.manifests))
    answer = judge.verify(registry.host, "bundle")

    assert isinstance(answer, Unanswered)
    assert re.search("out of memory|cannot allocate memory|pthread_create failed", answer.reason)
    assert len(answer.reason) < 700


@pytest.mark.parametrize("what", ["manifests", "blobs"])
def test_an_answer_that_drips_ends_with_the_deadline(
    judge: Judge, what: str, registry: EmbeddedRegistry, signed: SignedImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed.push(registry.host, "both")
    monkeypatch.setattr(cosign_adapter, "SECONDS", 1.5)
    registry.intercept = lambda method, path: Fault(drip=0.2) if method == "GET" and f"/{what}/" in path else None
    began = time.monotonic()
    answer = judge.verify(registry.host, "both")

    assert isinstance(answer, Unanswered)
    assert "cosign did not end within 2 s and was stopped" in answer.reason
    assert time.monotonic() - began < 4


def test_a_strangers_bundle_that_drips_does_not_hide_a_legacy_signature(
    judge: Judge, registry: EmbeddedRegistry, signed: SignedImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed.push(registry.host, "hidden")
    there = Referrers(registry, "hidden", signed.digests["hidden"])
    blob = json.loads(there.manifests[0].data)["layers"][0]["digest"]
    monkeypatch.setattr(cosign_adapter, "SECONDS", 1.5)
    registry.intercept = lambda _method, path: Fault(drip=0.2) if path.endswith(blob) else None
    answer = judge.verify(registry.host, "hidden")

    assert isinstance(answer, Signed if judge.major == "3" else Unanswered), answer


@pytest.mark.parametrize("fault", [Fault(answer=Response(403)), Fault(cut=20)], ids=["refused", "cut"])
def test_a_registry_that_does_not_say_what_refers_to_an_image_leaves_it_unknown(
    judge: Judge, fault: Fault, signed: SignedImages
) -> None:
    """cosign 3 takes it for an image without bundles, and would call it unsigned."""
    with EmbeddedRegistry() as registry:
        signed.push(registry.host, "bundle", "legacy")
        registry.intercept = lambda _method, path: fault if "/referrers/" in path else None
        answers = [judge.verify(registry.host, case) for case in ("bundle", "legacy")]

    assert isinstance(answers[0], Unanswered), answers
    assert isinstance(answers[1], Signed)


@pytest.mark.parametrize("fault", [Fault(answer=Response(404)), Fault(cut=20)], ids=["missing", "cut"])
@pytest.mark.parametrize("case", ["bundle", "legacy"])
def test_a_signature_that_cannot_be_read_does_not_pass(
    judge: Judge, case: str, fault: Fault, registry: EmbeddedRegistry, signed: SignedImages
) -> None:
    signed.push(registry.host, case)
    registry.intercept = lambda _method, path: fault if "/blobs/" in path else None
    answer = judge.verify(registry.host, case)

    assert not isinstance(answer, Signed)


def without_log(bundle: dict[str, Any]) -> None:
    bundle["verificationMaterial"]["tlogEntries"] = []


def without_time(bundle: dict[str, Any]) -> None:
    del bundle["verificationMaterial"]["timestampVerificationData"]


def at_another_time(bundle: dict[str, Any]) -> None:
    stamp = bundle["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"][0]
    token = bytearray(b64decode(stamp["signedTimestamp"]))
    token[token.index(b"\x18\x0f20") + 5] ^= 1
    stamp["signedTimestamp"] = b64encode(token).decode()


def at_another_place(bundle: dict[str, Any]) -> None:
    entry = bundle["verificationMaterial"]["tlogEntries"][0]
    entry["logIndex"] = str(int(entry["logIndex"]) - 1)


def of_another_payload(bundle: dict[str, Any]) -> None:
    payload = b64decode(bundle["dsseEnvelope"]["payload"]).replace(b'"predicate":{}', b'"predicate":{"a":1}')
    bundle["dsseEnvelope"]["payload"] = b64encode(payload).decode()


def of_another_kind(bundle: dict[str, Any]) -> None:
    bundle["dsseEnvelope"]["payloadType"] = "text/plain"


def without_signature(bundle: dict[str, Any]) -> None:
    bundle["dsseEnvelope"]["signatures"] = []


def with_a_key_alone(bundle: dict[str, Any]) -> None:
    del bundle["verificationMaterial"]["certificate"]
    bundle["verificationMaterial"]["publicKey"] = {"hint": "x"}


@pytest.mark.parametrize(
    "change",
    [
        without_log,
        without_time,
        at_another_time,
        at_another_place,
        of_another_payload,
        of_another_kind,
        without_signature,
        with_a_key_alone,
    ],
)
def test_a_bundle_that_was_changed_does_not_pass(
    judge: Judge,
    change: Callable[[dict[str, Any]], None],
    registry: EmbeddedRegistry,
    signed: SignedImages,
) -> None:
    signed.push(registry.host, "both")
    there = Referrers(registry, "both", signed.digests["both"])
    del there.stored.tags[f"sha256-{there.digest.partition(':')[2]}.sig"]
    bundle = there.bundle(0)
    before = json.dumps(bundle)
    there.replace(before.encode())
    untouched = judge.verify(registry.host, "both")
    change(bundle)
    there.replace(json.dumps(bundle).encode())
    answer = judge.verify(registry.host, "both")

    assert json.dumps(bundle) != before
    assert isinstance(untouched, Signed)
    assert isinstance(answer, NotSigned)


def test_a_bundle_with_the_strangers_certificate_does_not_pass_for_upstreams(
    judge: Judge, registry: EmbeddedRegistry, signed: SignedImages
) -> None:
    """Each part is right by itself: upstream's certificate and log entry, the stranger's envelope."""
    signed.push(registry.host, "in-company")
    there = Referrers(registry, "in-company", signed.digests["in-company"])
    mixed = there.bundle(-1) | {"dsseEnvelope": there.bundle(0)["dsseEnvelope"]}
    there.replace(json.dumps(mixed).encode())

    assert isinstance(judge.verify(registry.host, "in-company"), NotSigned)


def with_a_stamp_of_anybodys(bundle: dict[str, Any]) -> None:
    stamps = bundle["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"]
    stamps.insert(0, {"signedTimestamp": b64encode(b"\x18\x0f20010101000000Z").decode()})


def with_an_entry_of_anybodys_log(bundle: dict[str, Any]) -> None:
    entries = bundle["verificationMaterial"]["tlogEntries"]
    place = {"logIndex": "77", "logId": {"keyId": b64encode(b"anybody").decode()}}
    entries.insert(0, entries[0] | place)


@pytest.mark.parametrize("change", [with_a_stamp_of_anybodys, with_an_entry_of_anybodys_log])
def test_what_cosign_passes_over_in_a_bundle_is_not_told_as_evidence(
    judge: Judge, change: Callable[[dict[str, Any]], None], registry: EmbeddedRegistry, signed: SignedImages
) -> None:
    """It verifies one timestamp and one log entry, and does not mind what stands beside them."""
    signed.push(registry.host, "bundle")
    there = Referrers(registry, "bundle", signed.digests["bundle"])
    bundle = there.bundle(0)
    change(bundle)
    there.replace(json.dumps(bundle).encode())
    answer = judge.verify(registry.host, "bundle")

    assert isinstance(answer, Signed)
    assert answer.at is None or answer.at >= signed.began.replace(microsecond=0)
    assert answer.log_index in {None, 0}


@pytest.mark.parametrize("annotation", ["bundle", "certificate", "signature"])
def test_a_legacy_signature_that_lacks_a_part_does_not_pass(
    judge: Judge, annotation: str, registry: EmbeddedRegistry, signed: SignedImages
) -> None:
    """Without its log entry cosign asks the public log: here by a proxy that nobody listens at."""
    judge.environ |= {"HTTPS_PROXY": "http://127.0.0.1:1"}
    signed.push(registry.host, "legacy")
    stored, digest = registry.repository("signed/legacy"), signed.digests["legacy"]
    tag = f"sha256-{digest.partition(':')[2]}.sig"
    manifest = json.loads(stored.manifests[stored.tags[tag]].data)
    found = [name for name in manifest["layers"][0]["annotations"] if name.endswith(f"/{annotation}")]
    for name in found:
        del manifest["layers"][0]["annotations"][name]
    stored.add_manifest(Content(MANIFEST, json.dumps(manifest).encode()), tag)

    assert len(found) == 1
    assert not isinstance(judge.verify(registry.host, "legacy"), Signed)


def test_a_flood_of_legacy_signatures_is_refused(
    judge: Judge, registry: EmbeddedRegistry, signed: SignedImages
) -> None:
    signed.push(registry.host, "copied-legacy")
    stored, digest = registry.repository("signed/copied-legacy"), signed.digests["copied-legacy"]
    tag = f"sha256-{digest.partition(':')[2]}.sig"
    manifest = json.loads(stored.manifests[stored.tags[tag]].data)
    manifest["layers"] *= 5000
    stored.add_manifest(Content(MANIFEST, json.dumps(manifest).encode()), tag)
    answer = judge.verify(registry.host, "copied-legacy")

    assert isinstance(answer, Unanswered)
    assert "exceeded the limit" in answer.reason
