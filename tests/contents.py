"""What a repository of a registry holds, asked by plain HTTP and hashed here: no code of the bot has a part in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import httpx

from tests.loopback import loopback_client

INDEX, MANIFEST = "application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json"
_ACCEPT = {"Accept": f"{INDEX}, {MANIFEST}"}


class Contents:
    """One repository, `HOST/PATH`. `login` is user and password, where it wants them."""

    def __init__(self, repository: str, login: tuple[str, str] | None = None) -> None:
        host, _, path = repository.partition("/")
        self.url = f"http://{host}/v2/{path}"
        self.login = login

    def image(self, digest: str) -> dict[str, bytes]:
        """Every manifest and blob of an index, by digest: the index, what it lists, and what that consists of."""
        with self._asking() as client:
            index = self._manifest(client, digest)
            found = {digest: index}
            for entry in json.loads(index)["manifests"]:
                found |= self._whole(client, entry["digest"])
        return found

    def attached(self, subject: str) -> dict[str, bytes]:
        """What refers to a manifest, by the API, by the tag that stands in for it, and by the legacy tags; whole."""
        with self._asking() as client:
            found: dict[str, bytes] = {}
            for digest in self._referrers(client, subject):
                found |= self._whole(client, digest)
            for kind in ("sig", "att"):
                legacy = client.get(f"{self.url}/manifests/{subject.replace(':', '-')}.{kind}", headers=_ACCEPT)
                if legacy.status_code == httpx.codes.OK:
                    found |= self._whole(client, digest_of(legacy.content))
        return found

    def subjects(self, digest: str) -> list[str]:
        """The index and the manifests of its platforms: what signatures are about."""
        with self._asking() as client:
            entries = json.loads(self._manifest(client, digest))["manifests"]
        return [digest, *(entry["digest"] for entry in entries if entry["platform"]["os"] != "unknown")]

    def everything(self, digest: str) -> dict[str, bytes]:
        """The image, and what is attached to it and to its platforms."""
        found = self.image(digest)
        for subject in self.subjects(digest):
            found |= self.attached(subject)
        return found

    def referrers(self, subject: str) -> list[str]:
        """The digests of what refers to a manifest."""
        with self._asking() as client:
            return sorted(set(self._referrers(client, subject)))

    def tag(self, name: str) -> str | None:
        """The digest of what a tag names now."""
        with self._asking() as client:
            answer = client.get(f"{self.url}/manifests/{name}", headers=_ACCEPT)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        answer.raise_for_status()
        return digest_of(answer.content)

    def tags(self) -> list[str]:
        """All of them but those that are made of digests."""
        with self._asking() as client:
            answer = client.get(f"{self.url}/tags/list")
        named = answer.json()["tags"] if answer.status_code == httpx.codes.OK else None
        return sorted(tag for tag in named or () if not tag.startswith("sha256-"))

    def _asking(self) -> httpx.Client:
        client = loopback_client()
        client.auth = self.login  # type: ignore[assignment] # httpx takes a pair
        return client

    def _referrers(self, client: httpx.Client, subject: str) -> Iterator[str]:
        for path in (f"referrers/{subject}", f"manifests/{subject.replace(':', '-')}"):
            answer = client.get(f"{self.url}/{path}", headers=_ACCEPT)
            if answer.status_code == httpx.codes.OK:
                yield from (entry["digest"] for entry in answer.json().get("manifests", ()))

    def _whole(self, client: httpx.Client, digest: str) -> dict[str, bytes]:
        manifest = self._manifest(client, digest)
        parts = json.loads(manifest)
        blobs = [parts["config"]["digest"], *(layer["digest"] for layer in parts["layers"])]
        return {digest: manifest, **{blob: self._proven(client, f"blobs/{blob}", blob) for blob in blobs}}

    def _manifest(self, client: httpx.Client, digest: str) -> bytes:
        return self._proven(client, f"manifests/{digest}", digest)

    def _proven(self, client: httpx.Client, path: str, digest: str) -> bytes:
        answer = client.get(f"{self.url}/{path}", headers=_ACCEPT)
        answer.raise_for_status()
        assert digest_of(answer.content) == digest, f"{self.url}/{path}"
        return answer.content


def digest_of(body: bytes) -> str:
    """As registries name it."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"
