"""What is attached to images in tests of releases, and who attaches it: stand-ins for cosign and syft, in this process.

They keep what they say where the real ones do: as referrers, in the registry, by HTTP.
"""

from __future__ import annotations

import itertools
import json
import threading
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence

import urllib3

from bot.core.gates import Unanswered
from bot.core.model import Platform, ReleasePolicy, Signature
from bot.core.reference import Digest, Repository
from bot.core.release.attestation import STATEMENTS, Statement, canonical
from bot.core.release.sbom import Sboms
from bot.core.signature import NotSigned, Signed, identity_of
from bot.core.versions import Ref
from bot.embedded.images import INDEX, MANIFEST, Content
from bot.embedded.storage import StoredRepository
from bot.errors import ServiceError

REPOSITORY, UPSTREAM, GATEWAY = "acme/Gateway", "up/agent", "acme/gateway"
"""On GitHub; upstream's image; ours, in both registries."""

TAG, REF = "v1.2.4", "v1.4.1"
OURS = f"https://github.com/{REPOSITORY}/.github/workflows/release.yml@refs/tags/{TAG}"
THEIRS = f"https://github.com/{UPSTREAM}/.github/workflows/release.yml@refs/tags/{REF}"
STRANGER = "https://github.com/evil/fork/.github/workflows/release.yml@refs/tags/v1"
SIGN = "https://sigstore.dev/cosign/sign/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"
SBOMS = ("https://cyclonedx.org/bom", "https://spdx.dev/Document")
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
EMPTY = Content("application/vnd.oci.empty.v1+json", b"{}")
LEGACY = "application/vnd.dev.cosign.simplesigning.v1+json"


# --- what is attached to images


def bundle(subject: Mapping[str, object], identity: str, kind: str = SIGN, said: bytes = b"{}") -> tuple[Content, ...]:
    """A blob that says something of an image in somebody's name, and the manifest that refers to the image."""
    document = {"identity": identity, "kind": kind, "about": subject["digest"], "said": b64encode(said).decode()}
    blob = Content(BUNDLE, json.dumps(document).encode())
    return EMPTY, blob, manifest_of([blob], subject, artifactType=BUNDLE)


def manifest_of(layers: Sequence[Content], subject: Mapping[str, object] | None = None, **more: object) -> Content:
    """The manifest of something attached."""
    document: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": EMPTY.descriptor(),
        "layers": [layer.descriptor() for layer in layers],
        **more,
    }
    return Content(MANIFEST, json.dumps(document | ({"subject": dict(subject)} if subject else {})).encode())


def subject_of(stored: StoredRepository, digest: str) -> dict[str, object]:
    return stored.manifests[Digest(digest)].descriptor()


def attach(
    stored: StoredRepository, digest: str, identity: str, kind: str = SIGN, said: bytes = b"{}", *, listed: bool = False
) -> Digest:
    """Have somebody say something of an image; `listed` under the tag that stands in for a referrers API, too."""
    *blobs, manifest = bundle(subject_of(stored, digest), identity, kind, said)
    for blob in blobs:
        stored.add_blob(blob.data)
    stored.add_manifest(manifest)
    if listed:
        tag = digest.replace(":", "-")
        before = stored.find_manifest(tag)
        stored.add_manifest(with_entry(before.data if before else b"", manifest), tag)
    return manifest.digest


def with_entry(before: bytes, manifest: Content) -> Content:
    """The list under the fallback tag, with one more."""
    entries = json.loads(before)["manifests"] if before else []
    entries.append(manifest.descriptor(artifactType=BUNDLE))
    return Content(INDEX, json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode())


def sign_legacy(stored: StoredRepository, digest: str, identity: str, kind: str = "sig") -> None:
    """As cosign 2 did: under the tag `sha256-HEX.sig`."""
    document = {"identity": identity, "kind": SIGN, "about": digest, "said": b64encode(b"{}").decode()}
    blob = Content(LEGACY, json.dumps(document).encode())
    for each in (EMPTY, blob):
        stored.add_blob(each.data)
    stored.add_manifest(manifest_of([blob]), f"{digest.replace(':', '-')}.{kind}")


def proven(stored: StoredRepository, digest: str, identity: str) -> set[str]:
    """What that identity says of an image, by kind, as far as every byte of it is there and it is listed."""
    listed = stored.find_manifest(digest.replace(":", "-"))
    found = json.loads(stored.referrers(digest))["manifests"] + (json.loads(listed.data)["manifests"] if listed else [])
    kinds = set()
    for entry in found:
        manifest = stored.find_manifest(entry["digest"])
        layers = json.loads(manifest.data)["layers"] if manifest else []
        for blob in filter(None, (stored.find_blob(layer["digest"]) for layer in layers)):
            document = json.loads(blob)
            if (document["identity"], document["about"]) == (identity, digest):
                kinds.add(document["kind"])
    return kinds


def lacks(stored: StoredRepository, digest: str) -> list[str]:
    """What an image consists of and is not in a repository."""
    manifest = stored.find_manifest(digest)
    if manifest is None:
        return [digest]
    document = json.loads(manifest.data)
    if "manifests" in document:
        return [part for child in document["manifests"] for part in lacks(stored, child["digest"])]
    parts = [part["digest"] for part in (document["config"], *document["layers"])]
    return [part for part in parts if stored.find_blob(part) is None]


# --- stand-ins


class Stamp:
    """Signs, attests and verifies in the place of cosign. `down` are the uses at which Sigstore does not answer."""

    def __init__(self, logins: Mapping[str, tuple[str, str]]) -> None:
        self.identity = OURS
        self.down: set[str] = set()
        self.done: list[str] = []
        """Every use, in its order."""
        self._logins = logins
        self._keys: dict[str, dict[str, str]] = {}
        self._pool = urllib3.PoolManager(retries=False, maxsize=8)
        self._alone = threading.Lock()

    def ready(self, policy: ReleasePolicy) -> None:
        del policy

    def sign(self, repository: Repository, digest: Digest, policy: ReleasePolicy) -> None:
        del policy
        self._use("sign", repository, digest)
        self._keep(repository, digest, SIGN, b"{}")

    def attest(
        self, repository: Repository, digest: Digest, predicate_type: str, predicate: bytes, policy: ReleasePolicy
    ) -> None:
        del policy
        self._use(f"attest {predicate_type}", repository, digest)
        self._keep(repository, digest, predicate_type, predicate)

    def verify(
        self, repository: Repository, digest: Digest, ref: Ref, signature: Signature
    ) -> Signed | NotSigned | Unanswered:
        identity = identity_of(signature, ref)
        try:
            self._use("verify", repository, digest)
            said = [each for each in self._said(repository, digest) if each["kind"] == SIGN]
        except ServiceError as error:
            return Unanswered.by(error)
        if any((each["identity"], each["about"]) == (identity, digest) for each in said):
            form = "bundle"
            return Signed(digest, identity, signature.issuer, form, "stamp 1", None, 91)  # type: ignore[arg-type] # a literal
        return NotSigned(f"not signed as it must be: by {said[0]['identity']}" if said else "unsigned")

    def attestations(
        self, repository: Repository, digest: Digest, predicate_type: str, signature: Signature
    ) -> tuple[Statement, ...] | NotSigned | Unanswered:
        try:
            self._use(f"attestations {predicate_type}", repository, digest)
            said = self._said(repository, digest)
        except ServiceError as error:
            return Unanswered.by(error)
        wanted = (signature.identity, digest, predicate_type)
        found = {b64decode(each["said"]) for each in said if (each["identity"], each["about"], each["kind"]) == wanted}
        if not found:
            return NotSigned("unsigned")
        return tuple(Statement(STATEMENTS[0], predicate_type, predicate) for predicate in sorted(found))

    def _use(self, what: str, repository: Repository, digest: Digest) -> None:
        self.done.append(f"{what} {repository}@{digest}")
        if any(what.startswith(each) for each in self.down):
            raise self._failed(f"{what.partition(' ')[0]}: no answer from Sigstore")

    def _keep(self, repository: Repository, digest: Digest, kind: str, said: bytes) -> None:
        base = f"/v2/{repository.path}"
        about = self._ask(repository, "GET", f"{base}/manifests/{digest}")
        subject = {"mediaType": about.headers["Content-Type"], "digest": digest, "size": len(about.data)}
        *blobs, manifest = bundle(subject, self.identity, kind, said)
        for blob in blobs:
            begun = self._ask(repository, "POST", f"{base}/blobs/uploads/")
            place = f"{begun.headers['Location']}&digest={blob.digest}"
            self._ask(repository, "PUT", place, blob.data, "application/octet-stream")
        self._ask(repository, "PUT", f"{base}/manifests/{manifest.digest}", manifest.data, MANIFEST)
        if self._ask(repository, "GET", f"{base}/referrers/{digest}").status == 404:
            with self._alone:
                listed = f"{base}/manifests/{digest.replace(':', '-')}"
                before = self._ask(repository, "GET", listed)
                entries = with_entry(before.data if before.status == 200 else b"", manifest)
                self._ask(repository, "PUT", listed, entries.data, INDEX)

    def _said(self, repository: Repository, digest: Digest) -> list[dict[str, str]]:
        """As cosign 3 looks: by the API, else under its tag, else what cosign 2 made."""
        base, name = f"/v2/{repository.path}", digest.replace(":", "-")
        listed = self._ask(repository, "GET", f"{base}/referrers/{digest}")
        if listed.status == 404:
            listed = self._ask(repository, "GET", f"{base}/manifests/{name}")
        found = [each["digest"] for each in json.loads(listed.data).get("manifests", [])]
        said = []
        for reference in (*found, f"{name}.sig"):
            manifest = self._ask(repository, "GET", f"{base}/manifests/{reference}")
            for layer in json.loads(manifest.data).get("layers", []):
                if layer["mediaType"] in {BUNDLE, LEGACY}:
                    blob = self._ask(repository, "GET", f"{base}/blobs/{layer['digest']}")
                    said += [json.loads(blob.data)] if blob.status == 200 else []
        return said

    def _ask(
        self, repository: Repository, method: str, path: str, body: bytes | None = None, kind: str = ""
    ) -> urllib3.BaseHTTPResponse:
        headers = {"Accept": f"{INDEX}, {MANIFEST}"} | ({"Content-Type": kind} if kind else {})
        url = f"http://{repository.host}"
        key = self._keys.get(repository.host, {})
        try:
            answer = self._pool.request(method, f"{url}{path}", headers={**headers, **key}, body=body)
            if answer.status == 401:
                key = self._keys[repository.host] = self._key(url, repository, answer)
                answer = self._pool.request(method, f"{url}{path}", headers={**headers, **key}, body=body)
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            raise self._failed(type(error).__name__) from None
        if answer.status not in {200, 201, 202, 404}:
            raise self._failed(f"HTTP {answer.status}")
        return answer

    def _key(self, url: str, repository: Repository, answer: urllib3.BaseHTTPResponse) -> dict[str, str]:
        login = self._logins.get(repository.host)
        basic = dict(urllib3.make_headers(basic_auth=":".join(login))) if login else {}
        if answer.headers["WWW-Authenticate"].startswith("Basic"):
            return basic
        scope = f"{url}/token?scope=repository:{repository.path}:pull,push"
        return {"Authorization": f"Bearer {self._pool.request('GET', scope, headers=basic).json()['token']}"}

    def _failed(self, what: str) -> ServiceError:
        return ServiceError(what, where="cosign", next_step="Run it again.")


class FakeSyft:
    """Makes SBOMs that are valid, about the image, and never the same twice."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self._number = itertools.count(1)

    def ready(self, images: object = ()) -> None: ...

    def sboms(self, repository: Repository, digest: Digest, platform: Platform) -> Sboms:
        self.made.append(f"{repository}@{digest} {platform}")
        return sboms_of(digest, next(self._number))


def sboms_of(digest: str, number: int = 1) -> Sboms:
    """Both SBOMs of an image."""
    component = {"type": "container", "name": "agent", "version": digest}
    library = {"type": "library", "name": "openssl", "version": "3.5.0"}
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:00000000-0000-4000-8000-{number:012}",
        "metadata": {"component": component},
        "components": [library],
    }
    nowhere = {"downloadLocation": "NOASSERTION", "filesAnalyzed": False}
    checksum = {"algorithm": "SHA256", "checksumValue": digest.removeprefix("sha256:")}
    spdx = {
        "spdxVersion": "SPDX-2.3",
        "SPDXID": "SPDXRef-DOCUMENT",
        "dataLicense": "CC0-1.0",
        "name": "agent",
        "creationInfo": {"created": "2026-08-20T12:00:00Z", "creators": ["Tool: of-tests"]},
        "documentNamespace": f"https://example.org/{number}",
        "packages": [
            {"SPDXID": "SPDXRef-image", "name": "agent", "versionInfo": digest, "checksums": [checksum], **nowhere},
            {"SPDXID": "SPDXRef-openssl", "name": "openssl", "versionInfo": "3.5.0", **nowhere},
        ],
        "relationships": [
            {
                "spdxElementId": "SPDXRef-DOCUMENT",
                "relatedSpdxElement": "SPDXRef-image",
                "relationshipType": "DESCRIBES",
            }
        ],
    }
    return Sboms(canonical(json.dumps(bom).encode()), canonical(json.dumps(spdx).encode()), 1)
