"""What is attached to an image: signatures, attestations; and their list where a registry has no API for that. Pure.

OCI distribution specification 1.1, section "Referrers Tag Schema": the client keeps the list. Whoever may push beside
an image can attach anything to it, so what comes along to our registries has to look like what it is for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from bot.core.content import Content, read_content
from bot.core.index import INDEX_TYPES, NotProven
from bot.core.reference import Digest, Tag

MAX_MANIFEST, MAX_BLOB = 1024 * 1024, 32 * 1024 * 1024
"""Bytes of an attached manifest, and of a document; an SBOM of ten thousand packages has ten million."""

_MAX_PARTS = 64
_MAX_ANNOTATIONS = 4096
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}")
_LAYERS = ("application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs.")


def attached_tag(digest: Digest, kind: str = "") -> Tag:
    """The tag that holds a signature (`sig`) or the like; without a kind, the list of referrers."""
    return Tag(f"{digest.replace(':', '-')}{f'.{kind}' if kind else ''}")


def require_attachable(manifest: Content) -> None:
    """Raises NotProven for what is no document about an image but an image itself, or too large for one.

    Its config says nothing: cosign 2 gave its signatures an image's.
    """
    if len(manifest.body) > MAX_MANIFEST:
        raise NotProven(f"its manifest has {len(manifest.body):,} bytes, more than {MAX_MANIFEST:,}")
    if len(manifest.blobs) > _MAX_PARTS:
        raise NotProven(f"it has {len(manifest.blobs)} parts, more than {_MAX_PARTS}")
    if any(blob.media_type.startswith(_LAYERS) for blob in manifest.blobs):
        raise NotProven("it is an image: it has layers")
    size = sum(blob.size for blob in manifest.blobs)
    if size > MAX_BLOB:
        raise NotProven(f"it has {size:,} bytes, more than {MAX_BLOB:,}")


def listed_with(existing: Content | None, more: Sequence[Content]) -> Content:
    """The list with these manifests in it too; what it says already is kept as it is. Raises NotProven."""
    entries: list[object] = []
    if existing is not None:
        found = json.loads(existing.body).get("manifests")
        entries = list(found) if isinstance(found, list) else []
    held = {child.digest for child in existing.children} if existing else set()
    entries += [_entry(each) for each in more if each.digest not in held]
    document = {"schemaVersion": 2, "mediaType": INDEX_TYPES[0], "manifests": entries}
    body = json.dumps(document, separators=(",", ":")).encode()
    return read_content(body, content_type=INDEX_TYPES[0], header_digest=None, expected=None)


def extends(ours: Content, theirs: Content) -> bool:
    """Whether the manifest of a tag such as `sha256-HEX.sig` has all that the other one has: it only grows.

    cosign keeps a signature in the annotations of a layer, whose bytes are the same for everybody who signs.
    """
    return _layers(theirs) <= _layers(ours)


def artifact_type(manifest: Content) -> str:
    """What a referrer is: its artifactType, else its config's media type. Raises NotProven for what is none."""
    document = json.loads(manifest.body)
    config = document.get("config")
    kind = document.get("artifactType") or (config.get("mediaType") if isinstance(config, dict) else None)
    if not isinstance(kind, str) or not _MEDIA_TYPE.fullmatch(kind):
        raise NotProven("a referrer does not say what it is")
    return kind


def _layers(manifest: Content) -> set[str]:
    layers = json.loads(manifest.body).get("layers")
    return {json.dumps(layer, sort_keys=True) for layer in layers} if isinstance(layers, list) else set()


def _entry(manifest: Content) -> dict[str, object]:
    """The descriptor of a referrer; annotations that are too many for a list stay in the manifest."""
    entry: dict[str, object] = {
        "mediaType": manifest.media_type,
        "digest": manifest.digest,
        "size": len(manifest.body),
        "artifactType": artifact_type(manifest),
    }
    annotations = json.loads(manifest.body).get("annotations")
    fits = isinstance(annotations, dict) and len(json.dumps(annotations)) <= _MAX_ANNOTATIONS
    return entry | {"annotations": annotations} if annotations and fits else entry
