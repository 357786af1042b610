"""The list of referrers that stands under a tag where a registry has no API for it. Pure.

OCI distribution specification 1.1, section "Referrers Tag Schema": the client keeps it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from bot.core.content import Content, read_content
from bot.core.index import INDEX_TYPES, NotProven

_MAX_TEXT = 255


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
    """Whether the manifest of a tag such as `sha256-HEX.sig` has all that the other one has: it only grows."""
    return {blob.digest for blob in theirs.blobs[1:]} <= {blob.digest for blob in ours.blobs[1:]}


def _entry(manifest: Content) -> dict[str, object]:
    document = json.loads(manifest.body)
    config = document.get("config")
    kind = document.get("artifactType") or (config.get("mediaType") if isinstance(config, dict) else None)
    if not isinstance(kind, str) or len(kind) > _MAX_TEXT:
        raise NotProven("a referrer does not say what it is")
    entry: dict[str, object] = {
        "mediaType": manifest.media_type,
        "digest": manifest.digest,
        "size": len(manifest.body),
        "artifactType": kind,
    }
    annotations = document.get("annotations")
    return entry | {"annotations": annotations} if annotations else entry
