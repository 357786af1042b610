"""Copy an image by digest, byte for byte: blobs, manifests, index; then what refers to it. Nothing is tagged here.

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
from bot.core.release.referrers import extends, listed_with
from bot.errors import IntegrityError, ReleaseError
from bot.flows.abreast import side_by_side

AT_ONCE = 3
"""Blobs that are on their way at once."""

MAX_REFERRERS = 100
"""Of one manifest; nobody signs and attests so much."""

_ATTACHED = ("sig", "att", "sbom")


class Source(Protocol):
    """A repository that is read."""

    @property
    def repository(self) -> Repository: ...

    def manifest(self, name: Tag | Digest, *, patient: bool = False) -> Content | None: ...

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
        raise _not_proven(source, digest, str(error)) from None
    return index, tuple(side_by_side(lambda child: _child(source, child), index.children, AT_ONCE))


def copy_image(
    source: Source, target: Target, index: Content, manifests: Sequence[Content], tell: Callable[[str], None]
) -> Copied:
    """Have the index at the target, with all that it consists of."""
    copied = _bring(source, target, [blob for manifest in manifests for blob in manifest.blobs], tell)
    put = sum(side_by_side(lambda manifest: _put(target, manifest), manifests, AT_ONCE))
    put += _put(target, index)
    return copied + Copied(manifests=put)


def copy_attached(
    source: Source, target: Target, subjects: Sequence[Digest], tell: Callable[[str], None], *, must: bool
) -> tuple[Copied, tuple[str, ...]]:
    """Have at the target what is attached to these manifests: signatures, attestations; and what was left, with why.

    By referrers, and by the tags `sha256-HEX.sig`, `.att` and `.sbom`. Whoever may push to the source can attach
    anything: what is not proven is left, and hinders nothing. What the target refuses is left, too, unless it `must`
    come along: then it raises ReleaseError.
    """
    copied, warnings = Copied(), list[str]()
    found = side_by_side(lambda subject: _attached_to(source, subject, warnings.append), subjects, AT_ONCE)
    for subject, (referrers, tagged) in zip(subjects, found, strict=True):
        if len(referrers) > MAX_REFERRERS:
            warnings.append(f"{source.repository}@{subject}: of {len(referrers)} referrers {MAX_REFERRERS} were copied")
        try:
            copied += _refer(source, target, subject, referrers[:MAX_REFERRERS], tell, warnings.append)
        except ReleaseError as error:
            if must:
                raise
            warnings.append(f"{error.where} was left: {error.what}")
        for tag, manifest in tagged:
            try:
                copied += _tagged(source, target, tag, manifest, tell)
            except (IntegrityError, ReleaseError) as error:
                warnings.append(f"{target.repository}:{tag} was left: {error.what}")
    return copied, tuple(warnings)


def _tagged(source: Source, target: Target, tag: Tag, manifest: Content, tell: Callable[[str], None]) -> Copied:
    """Have a tag such as `sha256-HEX.sig` there. Raises ReleaseError where it holds what the source's has not."""
    held = target.manifest(tag)
    if held is not None and extends(held, manifest):
        return Copied()
    if held is not None and not extends(manifest, held):
        raise ReleaseError(
            f"it holds something else than in {source.repository}",
            where=f"{target.repository}:{tag}",
            next_step="Look who attached it there.",
        )
    copied = _bring(source, target, manifest.blobs, tell)
    target.put(manifest, tag)
    return copied + Copied(manifests=1)


def _there(source: Source, digest: Digest) -> Content:
    found = source.manifest(digest, patient=True)
    if found is None:
        raise IntegrityError(
            "the registry does not have it (HTTP 404, asked several times)",
            where=f"{source.repository}@{digest}",
            next_step="Nothing that is incomplete was tagged. What was removed there cannot be released.",
        )
    return found


def _child(source: Source, descriptor: Descriptor) -> Content:
    try:
        found = same_size(_there(source, descriptor.digest), descriptor)
    except NotProven as error:
        raise _not_proven(source, descriptor.digest, str(error)) from None
    if found.is_index:
        raise _not_proven(source, descriptor.digest, "what should be a manifest is an index itself")
    return found


def _referrer(source: Source, descriptor: Descriptor, subject: Digest) -> Content:
    """A manifest that refers to the subject. Raises IntegrityError for any other."""
    found = _child(source, descriptor)
    if found.subject != subject:
        raise _not_proven(source, descriptor.digest, f"it is listed for {subject}, and speaks of {found.subject}")
    return found


def _not_proven(source: Source, digest: Digest, what: str) -> IntegrityError:
    next_step = "Nothing was published of it. Tell the registry's owner, and upstream."
    return IntegrityError(what, where=f"{source.repository}@{digest}", next_step=next_step)


def _bring(source: Source, target: Target, blobs: Sequence[Descriptor], tell: Callable[[str], None]) -> Copied:
    """Have these blobs, each once, the largest first. Raises IntegrityError for one of two sizes."""
    sizes = {blob.digest: blob for blob in blobs if not blob.is_elsewhere}
    for blob in blobs:
        if blob.digest in sizes and blob.size != sizes[blob.digest].size:
            raise _not_proven(source, blob.digest, f"its size is {blob.size:,} and {sizes[blob.digest].size:,} bytes")

    def bring(blob: Descriptor) -> Copied:
        match target.bring(blob, source):
            case "there":
                return Copied(there=1)
            case "mounted":
                return Copied(mounted=1)
            case "copied":
                tell(f"{target.repository}: {blob.digest[:19]} copied, {blob.size:,} bytes")
                return Copied(blobs=1, size=blob.size)

    return sum(side_by_side(bring, sorted(sizes.values(), key=lambda blob: -blob.size), AT_ONCE), Copied())


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


def _attached_to(
    source: Source, subject: Digest, warn: Callable[[str], None]
) -> tuple[tuple[Descriptor, ...], list[tuple[Tag, Content]]]:
    referrers: tuple[Descriptor, ...] = ()
    tagged: list[tuple[Tag, Content]] = []
    try:
        referrers = source.referrers(subject)
    except IntegrityError as error:
        warn(f"what refers to {error.where} was left: {error.what}")
    for tag in (Tag(f"{subject.replace(':', '-')}.{kind}") for kind in _ATTACHED):
        try:
            found = source.manifest(tag)
        except IntegrityError as error:
            warn(f"{error.where} was left: {error.what}")
            continue
        if found is not None and not found.is_index:
            tagged.append((tag, found))
    return referrers, tagged


def _refer(
    source: Source,
    target: Target,
    subject: Digest,
    referrers: Sequence[Descriptor],
    tell: Callable[[str], None],
    warn: Callable[[str], None],
) -> Copied:
    """Have these referrers, and have them listed: by the registry, else under the tag that stands in for its API."""
    listed = {each.digest for each in target.referrers(subject)}
    copied, missing = Copied(), list[Content]()
    for each in referrers:
        if each.digest in listed:
            continue
        try:
            manifest = _referrer(source, each, subject)
            copied += _bring(source, target, manifest.blobs, tell) + Copied(manifests=1)
        except IntegrityError as error:
            warn(f"{error.where}, which is attached to {subject}, was left: {error.what}")
            continue
        target.put(manifest)
        missing.append(manifest)
    if not missing:
        return copied
    listed = {each.digest for each in target.referrers(subject)}
    unlisted = [manifest for manifest in missing if manifest.digest not in listed]
    if unlisted:
        tag = Tag(subject.replace(":", "-"))
        existing = target.manifest(tag)
        target.put(listed_with(existing if existing and existing.is_index else None, unlisted), tag)
    return copied
