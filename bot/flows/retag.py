"""Copy an image by digest, byte for byte: blobs, manifests, index. Nothing is tagged here.

Wherever it stops, nothing dangles: each thing is there before what names it, and a second run copies what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Literal, Protocol

import msgspec

from bot.core.content import Content, Descriptor, same_size
from bot.core.index import NotProven, prove_index
from bot.core.reference import Digest, Repository, Tag
from bot.errors import IntegrityError
from bot.flows.abreast import side_by_side

LOOKS = 4
"""For what has to be there: GHCR has passing 404s."""

AT_ONCE = 3
"""Blobs that are on their way at once."""


class Source(Protocol):
    """A repository that is read."""

    @property
    def repository(self) -> Repository: ...

    def manifest(self, name: Tag | Digest, *, looks: int = 1) -> Content | None: ...

    def referrers(self, digest: Digest) -> tuple[Descriptor, ...]: ...

    def blob(self, blob: Descriptor) -> AbstractContextManager[Iterator[bytes]]: ...


class Target(Source, Protocol):
    """A repository that is written to."""

    def bring(self, blob: Descriptor, source: Source) -> Literal["copied", "mounted", "there"]: ...

    def put(self, content: Content, tag: Tag | None = None) -> None: ...


class Copied(msgspec.Struct, frozen=True):
    """What a copy took: how many blobs came and how many bytes these are, how many were there."""

    blobs: int = 0
    size: int = 0
    mounted: int = 0
    there: int = 0
    manifests: int = 0

    def __add__(self, other: Copied) -> Copied:
        pairs = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)
        return Copied(*(ours + theirs for ours, theirs in pairs))

    def __str__(self) -> str:
        mounted = f", {self.mounted} mounted" if self.mounted else ""
        return f"{self.blobs} blobs copied ({self.size:,} bytes){mounted}, {self.there} already there"


def read_image(source: Source, digest: Digest) -> tuple[Content, tuple[Content, ...]]:
    """The index of that digest and its manifests, proven. Raises IntegrityError where one is not there."""
    index = _there(source, digest)
    try:
        prove_index(index.body, content_type=index.media_type, header_digest=None, expected=digest)
    except NotProven as error:
        raise not_proven(source, digest, str(error)) from None
    return index, tuple(side_by_side(lambda each: child(source, each), index.children, AT_ONCE))


def copy_image(
    source: Source, target: Target, index: Content, manifests: Sequence[Content], tell: Callable[[str], None]
) -> Copied:
    """Have the index at the target, with all that it consists of."""
    copied = bring(source, target, [blob for manifest in manifests for blob in manifest.blobs], tell)
    put = sum(side_by_side(lambda manifest: _put(target, manifest), manifests, AT_ONCE))
    put += _put(target, index)
    return copied + Copied(manifests=put)


def _there(source: Source, digest: Digest) -> Content:
    found = source.manifest(digest, looks=LOOKS)
    if found is None:
        raise IntegrityError(
            "the registry does not have it (HTTP 404, asked several times)",
            where=f"{source.repository}@{digest}",
            next_step="Nothing that is incomplete was tagged. What was removed there cannot be released.",
        )
    return found


def child(source: Source, descriptor: Descriptor) -> Content:
    """A manifest that a list or an index names. Raises IntegrityError for anything else."""
    try:
        found = same_size(_there(source, descriptor.digest), descriptor)
    except NotProven as error:
        raise not_proven(source, descriptor.digest, str(error)) from None
    if found.is_index:
        raise not_proven(source, descriptor.digest, "what should be a manifest is an index itself")
    return found


def not_proven(source: Source, digest: Digest, what: str) -> IntegrityError:
    """Something of a source that is not what it should be."""
    next_step = "Nothing was published of it. Tell the registry's owner, and upstream."
    return IntegrityError(what, where=f"{source.repository}@{digest}", next_step=next_step)


def bring(source: Source, target: Target, blobs: Sequence[Descriptor], tell: Callable[[str], None]) -> Copied:
    """Have these blobs, each once, the largest first. Raises IntegrityError for one of two sizes."""
    sizes = {blob.digest: blob for blob in blobs if not blob.is_elsewhere}
    for blob in blobs:
        if blob.digest in sizes and blob.size != sizes[blob.digest].size:
            raise not_proven(source, blob.digest, f"its size is {blob.size:,} and {sizes[blob.digest].size:,} bytes")

    def brought(blob: Descriptor) -> Copied:
        match target.bring(blob, source):
            case "there":
                return Copied(there=1)
            case "mounted":
                return Copied(mounted=1)
            case "copied":
                tell(f"{target.repository}: {blob.digest[:19]} copied, {blob.size:,} bytes")
                return Copied(blobs=1, size=blob.size)

    return sum(side_by_side(brought, sorted(sizes.values(), key=lambda blob: -blob.size), AT_ONCE), Copied())


def _put(target: Target, content: Content) -> int:
    """How many were put: none where it is there. What is there and damaged is put again, and read back."""
    try:
        if target.manifest(content.digest) is not None:
            return 0
    except IntegrityError:  # some registries keep half of what a run that was killed had sent
        target.put(content)
        target.manifest(content.digest)
        return 1
    target.put(content)
    return 1
