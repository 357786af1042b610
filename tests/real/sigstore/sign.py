"""python -m tests.real.sigstore.sign PROGRAMS OUT: signs images, right and wrong, in a private Sigstore.

Leaves in OUT, which must not exist: `trusted-root.json`; `other-root.json`, of an instance that has nothing to do
with it; `signed.json`, the digest of each case's image and between which moments they were signed; and `oci/CASE/TAG`,
each an OCI image layout. The instances are gone afterwards; what they signed stays verifiable.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, get_args

from bot.core.reference import Digest, Tag, digest_of
from bot.embedded.images import INDEX, MANIFEST, Content, MultiPlatformImage, build_image
from bot.embedded.registry import EmbeddedRegistry
from bot.embedded.storage import StoredRepository
from tests.gateway import NEW, OLD, VULNERABLE, gateway_image
from tests.real.sigstore import services
from tests.real.sigstore.issuer import issuing, token
from tests.real.sigstore.keys import make_keys

TAG = "v1.4.1"
WORKFLOW = "agentgateway/agentgateway/.github/workflows/release.yml"
RELEASE = f"{WORKFLOW}@refs/tags/{TAG}"
STRANGER = f"evil/agentgateway/.github/workflows/release.yml@refs/tags/{TAG}"
IN_BOTH_FORMATS = {
    "both": RELEASE,
    "wrong-tag": f"{WORKFLOW}@refs/tags/v9.9.9",
    "nightly": f"{WORKFLOW}@refs/heads/main",
    "other-repository": STRANGER,
    "other-workflow": f"agentgateway/agentgateway/.github/workflows/nightly.yml@refs/tags/{TAG}",
}
_BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_EMPTY = Content("application/vnd.oci.empty.v1+json", b"{}")


Services = Literal["own", "mixed", "rekor1"]
"""By which a signature is made: a whole instance; the same with the other instance's Fulcio; with Rekor v1 alone."""


class Signing:
    """The registry that is signed in, and the two cosigns that sign."""

    def __init__(self, registry: EmbeddedRegistry, programs: Path, keys: Path, work: Path) -> None:
        self._registry = registry
        self._programs = programs
        self._keys = keys
        self._work = work

    def image(self, case: str) -> Digest:
        """An image of two platforms, the same on every machine."""
        return self._registry.push_image(case, TAG, variation=case)

    def gateway(self, case: str, current: MultiPlatformImage, candidate: MultiPlatformImage) -> Digest:
        """An image that has been released before, unsigned."""
        self._registry.push(case, "v1.3.1", current)
        return self._registry.push(case, TAG, candidate)

    def stored(self, case: str) -> StoredRepository:
        return self._registry.repository(case)

    def bundle(
        self, case: str, digest: Digest, who: str, *, issuer: str = services.ISSUER, by: Services = "own"
    ) -> None:
        """A signature by cosign 3."""
        self._run("cosign3", "sign", *self._services(by), *self._token(who, issuer), self._name(case, digest))

    def legacy(
        self, case: str, digest: Digest, who: str, *, issuer: str = services.ISSUER, by: Services = "own"
    ) -> None:
        """A signature by cosign 2, under the tag sha256-HEX.sig."""
        self._run("cosign2", "sign", *self._urls(by), *self._token(who, issuer), self._name(case, digest))

    def sbom(self, case: str, digest: Digest, who: str) -> None:
        """An SBOM attestation in each of the two formats."""
        predicate = self._work / "sbom.json"
        predicate.write_text(json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1}))
        about = ["--type=cyclonedx", f"--predicate={predicate}", *self._token(who, services.ISSUER)]
        self._run("cosign3", "attest", *self._services("own"), *about, self._name(case, digest))
        self._run("cosign2", "attest", *self._urls("own"), *about, self._name(case, digest))

    def _services(self, by: Services) -> list[str]:
        return [f"--signing-config={self._work / by}-config.json", f"--trusted-root={self._work / by}-root.json"]

    def _urls(self, by: Services) -> list[str]:
        fulcio = f"--fulcio-url={services.fulcio_url(other=by == 'mixed')}"
        return [fulcio, f"--rekor-url={services.rekor1_url()}", f"--trusted-root={self._work / by}-root.json"]

    def _token(self, who: str, issuer: str) -> list[str]:
        path = self._work / "token"
        path.write_text(token(self._keys, issuer, who))
        return [f"--identity-token={path}", "--yes"]

    def _name(self, case: str, digest: Digest) -> str:
        return f"{self._registry.host}/{case}@{digest}"

    def _run(self, program: str, *arguments: str) -> None:
        environ = {"PATH": os.environ["PATH"], "HOME": str(self._work)}
        command = [str(self._programs / program), *arguments]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")


def sign_all(signing: Signing) -> None:
    """Every case that somebody has to sign."""
    signing.image("unsigned")
    signing.bundle("bundle", signing.image("bundle"), RELEASE)
    signing.legacy("legacy", signing.image("legacy"), RELEASE)
    signing.sbom("sbom-only", signing.image("sbom-only"), RELEASE)
    for case, who in IN_BOTH_FORMATS.items():
        digest = signing.image(case)
        signing.bundle(case, digest, who)
        signing.legacy(case, digest, who)
    digest = signing.image("other-issuer")
    signing.bundle("other-issuer", digest, RELEASE, issuer=services.OTHER_ISSUER)
    signing.legacy("other-issuer", digest, RELEASE, issuer=services.OTHER_ISSUER)
    digest = signing.image("other-root")
    signing.bundle("other-root", digest, RELEASE, by="mixed")
    signing.legacy("other-root", digest, RELEASE, by="mixed")
    digest = signing.image("in-company")
    signing.bundle("in-company", digest, STRANGER)
    signing.sbom("in-company", digest, RELEASE)
    signing.bundle("in-company", digest, RELEASE)
    first_comes_first(signing.stored("in-company"), digest)
    digest = signing.image("hidden")
    signing.legacy("hidden", digest, RELEASE)
    signing.bundle("hidden", digest, STRANGER)
    signing.image("child-only")
    child = build_image(variation="child-only").manifests[0].digest
    signing.bundle("child-only", child, RELEASE)
    signing.legacy("child-only", child, RELEASE)
    digest = signing.image("hidden-by-garbage")
    signing.legacy("hidden-by-garbage", digest, RELEASE)
    signing.bundle("rekor1", signing.image("rekor1"), RELEASE, by="rekor1")
    garbage = Content(_BUNDLE, b'{"mediaType": 1}')
    attach(signing.stored("hidden-by-garbage"), digest, [referrer(garbage, digest), referrer(_EMPTY, digest)], garbage)
    current = gateway_image("v1.3.1", OLD)
    for case, arm64 in (("gateway", NEW), ("vulnerable-gateway", VULNERABLE)):
        digest = signing.gateway(case, current, gateway_image(TAG, NEW, arm64))
        signing.bundle(case, digest, RELEASE)


def move_all(signing: Signing) -> None:
    """Signatures of one image, put where those of another one are looked for."""
    source, digest = signing.stored("bundle"), signing.image("copied-bundle")
    signed = source.manifests[source.tags["v1.4.1"]].digest
    (found,) = json.loads(source.manifests[source.tags[f"sha256-{signed.partition(':')[2]}"]].data)["manifests"]
    manifest = json.loads(source.manifests[found["digest"]].data)
    manifest["subject"]["digest"] = digest
    moved = Content(MANIFEST, json.dumps(manifest).encode())
    blobs = [Content("", source.blobs[part["digest"]]) for part in (manifest["config"], *manifest["layers"])]
    attach(signing.stored("copied-bundle"), digest, [moved], *blobs)

    source, digest = signing.stored("legacy"), signing.image("copied-legacy")
    target = signing.stored("copied-legacy")
    (tag,) = (tag for tag in source.tags if tag.endswith(".sig"))
    target.blobs.update(source.blobs)
    target.add_manifest(source.manifests[source.tags[tag]], f"sha256-{digest.partition(':')[2]}.sig")


def first_comes_first(stored: StoredRepository, digest: Digest) -> None:
    """List an image's referrers in the order of their making: cosign sorts them by digest, which is by chance."""
    tag = f"sha256-{digest.partition(':')[2]}"
    made = list(stored.manifests)
    index = json.loads(stored.manifests[stored.tags[tag]].data)
    index["manifests"].sort(key=lambda entry: made.index(entry["digest"]))
    stored.add_manifest(Content(INDEX, json.dumps(index).encode()), tag)


def attach(stored: StoredRepository, digest: Digest, manifests: list[Content], *blobs: Content) -> None:
    """Referrers of an image, listed under the tag that stands in for the API (distribution specification 1.1)."""
    for blob in (*blobs, _EMPTY):
        stored.add_blob(blob.data)
    for manifest in manifests:
        stored.add_manifest(manifest)
    entries = [manifest.descriptor(artifactType=_BUNDLE) for manifest in manifests]
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
    stored.add_manifest(Content(INDEX, json.dumps(index).encode()), f"sha256-{digest.partition(':')[2]}")


def referrer(layer: Content, digest: Digest) -> Content:
    """A manifest by which one layer refers to an image, as cosign 3 writes it."""
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": _BUNDLE,
        "config": _EMPTY.descriptor(),
        "layers": [layer.descriptor()],
        "subject": {"mediaType": INDEX, "digest": digest, "size": 1},
    }
    return Content(MANIFEST, json.dumps(manifest).encode())


def write_layout(stored: StoredRepository, tag: str, folder: Path) -> None:
    """An OCI image layout (image specification 1.1) of what a tag leads to."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    top = stored.manifests[stored.tags[tag]]

    def write(content: Content) -> None:
        (blobs / content.digest.partition(":")[2]).write_bytes(content.data)
        document = json.loads(content.data)
        for child in document.get("manifests", []):
            write(stored.manifests[child["digest"]])
        for part in (document.get("config"), *document.get("layers", [])):
            if part is not None:
                write_blob(stored.blobs[part["digest"]])

    def write_blob(body: bytes) -> None:
        (blobs / digest_of(body).partition(":")[2]).write_bytes(body)

    write(top)
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [top.descriptor()]}
    (folder / "index.json").write_text(json.dumps(index))
    (folder / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))


@contextmanager
def _sigstore(programs: Path, work: Path, out: Path) -> Iterator[Path]:
    """One whole instance and a second Fulcio; yields the folder of the first one's keys."""
    keys, others = work / "keys", work / "other-keys"
    make_keys(keys, services.HOSTS)
    make_keys(others, services.HOSTS)
    # One issuer serves both Fulcios, so they trust one TLS certificate.
    (others / "tls-ca.pem").write_bytes((keys / "tls-ca.pem").read_bytes())
    cosign = programs / "cosign3"
    services.trusted_root(cosign, keys, keys, out / "trusted-root.json")
    services.trusted_root(cosign, others, others, out / "other-root.json")
    for by in get_args(Services):
        services.trusted_root(cosign, others if by == "mixed" else keys, keys, work / f"{by}-root.json")
        config = work / f"{by}-config.json"
        services.signing_config(cosign, config, other=by == "mixed", rekor1=by == "rekor1")
    with ExitStack() as running:
        running.enter_context(issuing(keys))
        running.enter_context(services.authority(programs, keys, work / "authority"))
        running.enter_context(services.authority(programs, others, work / "other-authority", other=True))
        running.enter_context(services.witnesses(programs, keys, work / "witnesses"))
        yield keys


def main(programs: Path, out: Path) -> None:
    out.mkdir(parents=True)
    with TemporaryDirectory() as folder, EmbeddedRegistry(referrers=False) as registry:
        work = Path(folder)
        began = datetime.now(UTC)
        with _sigstore(programs, work, out) as keys:
            signing = Signing(registry, programs, keys, work)
            sign_all(signing)
            move_all(signing)
        for case, stored in registry.repositories.items():
            for tag in stored.tags:
                write_layout(stored, tag, out / "oci" / case / tag)
        digests = {case: stored.tags[Tag(TAG)] for case, stored in registry.repositories.items()}
        between = {"began": began.isoformat(), "ended": datetime.now(UTC).isoformat()}
        (out / "signed.json").write_text(json.dumps({"digests": digests, **between}, indent=1))


def enter_namespace(arguments: list[str]) -> None:
    """This program again, alone with a loopback, where the issuers' hosts are this machine."""
    with TemporaryDirectory() as folder:
        hosts = Path(folder) / "hosts"
        hosts.write_text(f"127.0.0.1 localhost {' '.join(services.HOSTS)}\n")
        alone = 'ip link set lo up && mount --bind "$1" /etc/hosts && shift && exec "$@"'
        again = [sys.executable, "-m", "tests.real.sigstore.sign", "--inside", *arguments]
        sys.exit(
            subprocess.run(["unshare", "-rnm", "sh", "-euc", alone, "sh", str(hosts), *again], check=False).returncode
        )


if __name__ == "__main__":
    if sys.argv[1] == "--inside":
        main(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        enter_namespace(sys.argv[1:])
