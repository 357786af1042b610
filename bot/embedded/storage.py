"""What the embedded registry keeps of one repository: blobs, manifests, tags and unfinished uploads."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from bot.core.reference import Digest, digest_of, parse_digest
from bot.embedded.images import INDEX, Content


class MissingPartError(Exception):
    """A manifest names something that the repository does not hold."""


@dataclass(slots=True)
class StoredRepository:
    """Blobs by digest, manifests by digest, and tags in the order of their first push."""

    blobs: dict[Digest, bytes] = field(default_factory=dict)
    manifests: dict[Digest, Content] = field(default_factory=dict)
    tags: dict[str, Digest] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)

    def add_blob(self, data: bytes) -> Digest:
        digest = digest_of(data)
        self.blobs[digest] = data
        return digest

    def add_manifest(self, manifest: Content, tag: str = "") -> Digest:
        """Stores a manifest as it is; nothing is asked of its content."""
        self.manifests[manifest.digest] = manifest
        if tag:
            self.tags[tag] = manifest.digest
        return manifest.digest

    def find_manifest(self, reference: str) -> Content | None:
        """The manifest of a tag or digest."""
        digest = self.tags.get(reference) or _digest(reference)
        return self.manifests.get(digest) if digest else None

    def find_blob(self, reference: str) -> bytes | None:
        """The blob of a digest."""
        digest = _digest(reference)
        return self.blobs.get(digest) if digest else None

    def require_parts(self, body: bytes) -> None:
        """Raises MissingPartError unless everything that a pushed manifest names is here.

        A `subject` may be missing (distribution specification 1.1, "Pushing Manifests with Subject").
        Raises ValueError where the body is no manifest.
        """
        match json.loads(body):
            case {"manifests": list(children)}:
                held: set[str] = {*self.manifests}
                named = children
            case {"layers": list(layers), **rest}:
                held = {*self.blobs}
                named = [*layers, rest.get("config")]
            case _:
                raise ValueError("neither an index nor an image manifest")
        for part in named:
            match part:
                case {"digest": str(digest)} if digest in held:
                    continue
                case _:
                    raise MissingPartError(str(part))

    def referrers(self, digest: str, artifact_type: str = "") -> bytes:
        """The index of the manifests whose subject is `digest` (distribution specification 1.1)."""
        found: list[dict[str, object]] = []
        for manifest in self.manifests.values():
            match json.loads(manifest.data):
                case {"subject": {"digest": str(subject)}, **rest} if subject == digest:
                    config = rest.get("config")
                    default = config.get("mediaType", "") if isinstance(config, dict) else ""
                    kind = rest.get("artifactType") or default
                    more = {"annotations": rest["annotations"]} if rest.get("annotations") else {}
                    if artifact_type in ("", kind):
                        found.append(manifest.descriptor(artifactType=kind, **more))
                case _:
                    continue
        return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": found}).encode()


def _digest(text: str) -> Digest | None:
    try:
        return parse_digest(text)
    except ValueError:
        return None
