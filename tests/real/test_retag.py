"""Copies by `release publish` that do not go smoothly: expiring tokens, no room, legacy signatures, large layers."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from bot.embedded.images import (
    LAYER,
    MANIFEST,
    Content,
    MultiPlatformImage,
    index_of,
    platform_of,
)
from bot.embedded.registry import EmbeddedRegistry
from bot.embedded.server import Request, Response
from bot.embedded.tokens import TokenServer
from tests import live_sigstore as live
from tests import registries, releasing
from tests import sigstore as recorded
from tests.contents import Contents, digest_of
from tests.live_sigstore import ISSUER, LiveSigstore
from tests.loopback import loopback_client
from tests.registries import LOGIN, LoggedRegistry, Start
from tests.releasing import OF_UPSTREAM, TAG, Places, Release, expect, image, release
from tests.sigstore import SignedImages

pytestmark = pytest.mark.real

live_sigstore, sigstore_of_session, signed = live.live_sigstore, live.sigstore_of_session, recorded.signed
registry, private_registry, sboms = registries.registry, registries.private_registry, releasing.sboms

MIB = 1024
"""In the kilobytes of the kernel."""
LARGE = 300_000_000


@dataclass(slots=True)
class ShortLived(TokenServer):
    """Its tokens are good for some requests only."""

    good_for: int = 16
    uses: Counter[str] = field(default_factory=Counter)
    ended: int = 0

    def challenge(self, request: Request, repository: str, action: str) -> Response | None:
        token = request.headers.get("Authorization", "").partition(" ")[2]
        self.uses[token] += 1
        if self.uses[token] > self.good_for:
            self.ended += self._tokens.pop(token, None) is not None
        return TokenServer.challenge(self, request, repository, action)


@pytest.fixture
def tokens() -> ShortLived:
    return ShortLived(LOGIN.username, LOGIN.password, private=True)


@pytest.fixture
def behind_tokens(tokens: ShortLived) -> Iterator[EmbeddedRegistry]:
    with EmbeddedRegistry(tokens=tokens, referrers=False) as registry:
        yield registry


def test_tokens_that_end_after_some_requests_are_got_anew(
    tmp_path: Path,
    live_sigstore: LiveSigstore,
    registry: Start,
    behind_tokens: EmbeddedRegistry,
    tokens: ShortLived,
    sboms: Path,
) -> None:
    upstream, ecr = registry(), registry(immutable=True)
    with release(tmp_path, Places(upstream.host, ecr.host, behind_tokens.host), live_sigstore) as made:
        made.take_sboms(sboms)
        done = expect(made.hurried())
    held = behind_tokens.repositories["acme/ai-gateway"]

    assert tokens.ended >= 3
    assert {tag: digest for tag, digest in held.tags.items() if not tag.startswith("sha256-")} == dict.fromkeys(
        ("1.2.4", "latest", TAG), made.digest
    )
    assert held.find_manifest(TAG) == image().index
    assert all(held.find_blob(blob.digest) == blob.data for blob in image().blobs)
    assert LOGIN.password not in done.out + done.err


def test_a_target_without_room_is_said_and_nothing_is_tagged_anywhere(
    tmp_path: Path, live_sigstore: LiveSigstore, registry: Start, sboms: Path
) -> None:
    upstream, ecr, full = registry(), registry(immutable=True), registry(referrers=False, public=True, room=200_000)
    with release(tmp_path, Places(upstream.host, ecr.host, full.host), live_sigstore) as made:
        made.take_sboms(sboms)
        stopped = expect(made.hurried(), 4)
        tags = [Contents(target).tags() for target in made.targets]
        manifests = [each for each in full.writes if "/manifests/" in each.target]
        full.room.write_text("100000000")
        expect(made.hurried())

        assert "no space left on device" in stopped.err
        assert "run it again: it continues" in stopped.err
        assert (tags, manifests) == ([[], []], [])
        assert Contents(made.ghcr).image(made.digest) == Contents(made.upstream).image(made.digest)


def test_a_legacy_signature_travels_and_verifies_at_the_copy(
    tmp_path: Path,
    live_sigstore: LiveSigstore,
    signed: SignedImages,
    docker_registry: str,
    registry: Start,
    private_registry: LoggedRegistry,
) -> None:
    ecr = registry(immutable=True)
    with release(
        tmp_path, Places(docker_registry, ecr.host, private_registry.host), live_sigstore, signed=signed
    ) as made:
        first = expect(made.hurried())
        again = expect(made.hurried())
        tag = f"{made.digest.replace(':', '-')}.sig"
        sources = [Contents(made.upstream), Contents(made.ecr), Contents(made.ghcr, (LOGIN.username, LOGIN.password))]
        for target in made.targets:
            flags = ["--trusted-root", str(signed.folder / "trusted-root.json"), "--new-bundle-format=false"]
            flags += ["--certificate-oidc-issuer", ISSUER, "--certificate-identity", OF_UPSTREAM]
            claims = json.loads(made.tool("cosign3", "verify", *flags, f"{target}@{made.digest}"))

            assert claims[0]["critical"]["image"]["docker-manifest-digest"] == made.digest
        assert len({source.tag(tag) for source in sources}) == 1
        assert "upstream: signed by" in first.err
        assert "nothing was left to do" in again.out

        grow(sources[0], tag)
        grown = expect(made.hurried())

        assert "warning: " in grown.out
        assert [source.tag(tag) == sources[0].tag(tag) for source in sources] == [True, False, True]


def test_a_layer_of_any_size_goes_through_little_memory(
    tmp_path: Path, live_sigstore: LiveSigstore, registry: Start, sboms: Path
) -> None:
    upstream, ecr, ghcr = registry(), registry(immutable=True), registry(referrers=False, public=True)
    digest, large = with_a_large_layer(upstream.folder / "blobs")
    with release(tmp_path, Places(upstream.host, ecr.host, ghcr.host), live_sigstore, pinned=large) as made:
        made.sboms.mkdir()
        for file in sboms.iterdir():
            text = file.read_text()
            for small, other in zip(image().manifests, large.manifests, strict=False):
                text = text.replace(small.digest.removeprefix("sha256:"), other.digest.removeprefix("sha256:"))
            (made.sboms / file.name).write_text(text)
        code, peak = peak_of(made)
        sizes = [httpx.head(f"{url}/blobs/{digest}").headers["Content-Length"] for url in urls_of(made)]

    assert code == 0
    assert sizes == [str(LARGE)] * 2
    assert 20 * MIB < peak <= 80 * MIB, f"{peak / MIB:.1f} MiB"


def urls_of(made: Release) -> list[str]:
    return [Contents(target).url for target in made.targets]


def with_a_large_layer(blobs: Path) -> tuple[str, MultiPlatformImage]:
    """The image with one more layer in a platform, which nobody unpacks; the registry of these blobs has it already."""
    usual = image()
    body = os.urandom(LARGE)
    digest = digest_of(body)
    (blobs / digest.removeprefix("sha256:")).write_bytes(body)
    first, second = usual.manifests[:2]
    described = json.loads(first.data)
    described["layers"].append({"mediaType": LAYER, "digest": digest, "size": LARGE})
    manifest = Content(MANIFEST, json.dumps(described).encode())
    entries = [
        manifest.descriptor(platform=platform_of("linux/amd64")),
        second.descriptor(platform=platform_of("linux/arm64")),
    ]
    return digest, MultiPlatformImage(usual.blobs, (manifest, second), index_of(entries, {}))


def peak_of(made: Release) -> tuple[int, int]:
    """How a publish ended, and the most memory that it had, in kilobytes: of its own, without cosign's."""
    log = (made.folder / "log").open("wb")
    with log, subprocess.Popen(made.hurried_command(), env=made.environ, stdout=log, stderr=log) as run:
        status, peak = Path(f"/proc/{run.pid}/status"), 0
        while run.poll() is None:
            lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
            peak = max(peak, int(lines.get("VmHWM", "0 kB").split()[0]))
            time.sleep(0.01)
    return run.returncode, peak


def grow(upstream: Contents, tag: str) -> None:
    """Upstream signs once more: the manifest of the legacy tag gets another layer."""
    with loopback_client() as client:
        accept = {"Accept": MANIFEST}
        manifest = client.get(f"{upstream.url}/manifests/{tag}", headers=accept).json()
        payload = b'{"signed": "once more"}'
        begun = client.post(f"{upstream.url}/blobs/uploads/").headers["Location"]
        client.put(f"{begun}&digest={digest_of(payload)}", content=payload).raise_for_status()
        layer = {**manifest["layers"][0], "digest": digest_of(payload), "size": len(payload)}
        manifest["layers"].append(layer)
        sent = {"Content-Type": MANIFEST}
        client.put(f"{upstream.url}/manifests/{tag}", content=json.dumps(manifest), headers=sent).raise_for_status()
