"""What an image consists of, from the raw bytes of its manifests: proven, or refused.

OCI image specification 1.1, "Content Descriptors", "Image Index", "Image Manifest"; Docker's of version 2 alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import msgspec

from bot.core.index import MANIFEST_TYPES, NotProven, normal, prove
from bot.core.model import Platform
from bot.core.reference import Digest, parse_digest
from bot.errors import ServiceError

_MAX_SIZE = 1 << 40
_MAX_PARTS = 1000
_ELSEWHERE = ("application/vnd.docker.image.rootfs.foreign.", "application/vnd.oci.image.layer.nondistributable.")


class Denied(ServiceError):
    """A repository that whoever asks may not read."""


class NotTaken(ServiceError):
    """What a repository does not take, and will not take the next time either."""


class Descriptor(msgspec.Struct, frozen=True):
    """A piece of content by its digest and its size in bytes."""

    digest: Digest
    size: int
    media_type: str
    platform: Platform | None = None
    """Of an entry of an index that is an image; None for attestations, and for what is no such entry."""
    is_elsewhere: bool = False
    """A layer that may not be handed on, by its media type: each registry may have it, and none has to."""


class Content(msgspec.Struct, frozen=True):
    """A manifest or an index, proven from its bytes, with what it consists of."""

    digest: Digest
    media_type: str
    body: bytes
    children: tuple[Descriptor, ...] = ()
    """Of an index: manifests."""
    blobs: tuple[Descriptor, ...] = ()
    """Of a manifest: config and layers."""
    subject: Digest | None = None
    """Of a manifest that says something of another one."""

    @property
    def is_index(self) -> bool:
        return self.media_type not in MANIFEST_TYPES


def read_content(body: bytes, *, content_type: str, header_digest: str | None, expected: Digest | None) -> Content:
    """What these bytes are. Raises NotProven."""
    digest, media_type, document = prove(body, content_type, header_digest, expected)
    subject = document.get("subject")
    found = Content(digest, media_type, body, subject=_descriptor(subject).digest if subject is not None else None)
    if found.is_index:
        return msgspec.structs.replace(found, children=tuple(map(_descriptor, _list(document, "manifests"))))
    blobs = [_descriptor(document.get("config")), *map(_descriptor, _list(document, "layers"))]
    return msgspec.structs.replace(found, blobs=tuple(blobs))


def same_size(found: Content, descriptor: Descriptor) -> Content:
    """The content, if it is as long as its descriptor says. Raises NotProven."""
    if len(found.body) != descriptor.size:
        raise NotProven(f"{found.digest} has {len(found.body)} bytes, its descriptor says {descriptor.size}")
    return found


def same_layers(ours: Content, theirs: Content) -> bool:
    """Whether two manifests have the same layers, in the same order; their configs may differ."""
    return [blob.digest for blob in ours.blobs[1:]] == [blob.digest for blob in theirs.blobs[1:]]


def _list(document: Mapping[str, object], key: str) -> Sequence[object]:
    found = document.get(key)
    if not isinstance(found, list) or len(found) > _MAX_PARTS:
        raise NotProven(f"`{key}` is no list of at most {_MAX_PARTS}")
    return found


def _descriptor(value: object) -> Descriptor:
    if not isinstance(value, dict):
        raise NotProven("a descriptor is no object")
    entry = cast("dict[str, object]", value)
    try:
        digest = parse_digest(str(entry.get("digest")))
    except ValueError as error:
        raise NotProven(f"a descriptor's digest is invalid: {error}") from None
    size, media_type = entry.get("size"), entry.get("mediaType")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= _MAX_SIZE:
        raise NotProven(f"the size of {digest} is no number of bytes")
    if not isinstance(media_type, str) or not 0 < len(media_type) <= 255 or not media_type.isprintable():  # noqa: PLR2004 - RFC 6838
        raise NotProven(f"the media type of {digest} is missing or no text")
    return Descriptor(digest, size, media_type, _platform(entry), media_type.startswith(_ELSEWHERE))


def _platform(entry: Mapping[str, object]) -> Platform | None:
    named = entry.get("platform")
    if not isinstance(named, dict):
        return None
    system, architecture, variant = (str(named.get(key) or "")[:40] for key in ("os", "architecture", "variant"))
    return None if "unknown" in {system, architecture} else normal(Platform(system, architecture, variant))
