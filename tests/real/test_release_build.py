"""Build mode on a real Docker Engine: labels of our own over upstream's layers, released and proven."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import live_sigstore as live
from tests import registries
from tests.contents import Contents
from tests.live_sigstore import ISSUER, LiveSigstore
from tests.registries import Start
from tests.releasing import DOWNSTREAM, OURS, TAG, Places, expect, release

pytestmark = pytest.mark.real

live_sigstore, sigstore_of_session, registry = live.live_sigstore, live.sigstore_of_session, registries.registry


def test_what_is_built_has_upstream_s_layers_and_is_the_same_each_time(
    tmp_path: Path, live_sigstore: LiveSigstore, registry: Start, docker_host: str
) -> None:
    upstream, ecr, ghcr = registry(), registry(immutable=True), registry(referrers=False, public=True)
    with release(tmp_path, Places(upstream.host, ecr.host, ghcr.host), live_sigstore, mode="build") as made:
        made.environ["DOCKER_HOST"] = docker_host
        first = json.loads(expect(made.hurried("--json")).out)
        again = json.loads(expect(made.hurried("--json")).out)
        digest = first["digest"]
        source, places = Contents(made.upstream), [Contents(target) for target in made.targets]
        theirs, ours = source.image(made.digest), places[0].image(digest)
        platforms = places[0].subjects(digest)[1:]
        for place in made.targets:
            for each in (digest, *platforms):
                made.tool("crane", "validate", "--remote", f"{place}@{each}")
            flags = ["--trusted-root", str(live_sigstore.trusted_root), "--certificate-oidc-issuer", ISSUER]
            made.tool("cosign3", "verify", *flags, "--certificate-identity", OURS, f"{place}@{digest}")
        empty = tmp_path / "empty"
        empty.mkdir()
        root = f"--trusted-root {live_sigstore.trusted_root}"
        verify = f"gateway-bot --repository {DOWNSTREAM} release verify {TAG} {root} --json"
        links = json.loads(expect(made.stranger(verify, empty)).out)["links"]

    assert digest != made.digest
    assert ours == places[1].image(digest)
    assert layers_of(ours, platforms) == layers_of(theirs, source.subjects(made.digest)[1:])
    assert {labels_of(ours, each)["org.opencontainers.image.title"] for each in platforms} == {"ai-gateway"}
    assert (again["digest"], [step["did"] for step in again["steps"]]) == (digest, [False] * len(again["steps"]))
    assert [place.tag(TAG) for place in places] == [digest] * 2
    assert {link["verdict"] for link in links} == {"pass"}
    assert "layers" in {link["name"] for link in links}


def layers_of(found: dict[str, bytes], manifests: list[str]) -> list[list[str]]:
    """The layers of each platform, in order."""
    return [[layer["digest"] for layer in json.loads(found[manifest])["layers"]] for manifest in manifests]


def labels_of(found: dict[str, bytes], manifest: str) -> dict[str, str]:
    config = json.loads(found[json.loads(found[manifest])["config"]["digest"]])
    labels: dict[str, str] = config["config"]["Labels"]
    return labels
