"""Is an image still there, and where? Its index is asked for by digest, then all that its platforms consist of.

A registry that removes what has no tag may leave an index without what it names.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Protocol

from bot.beside import beside, settled
from bot.core.content import Content, Descriptor
from bot.core.index import NotProven, prove_index
from bot.core.reference import Digest, Tag
from bot.core.rollback.gates import Copy, Named
from bot.errors import BotError, IntegrityError
from bot.flows.abreast import side_by_side
from bot.flows.retag import AT_ONCE, LOOKS, Source, child

_BLOBS_AT_ONCE = 8


class Place(Source, Protocol):
    """A repository that may have an image."""

    def has_blob(self, blob: Descriptor) -> bool: ...


def still_there(digest: Digest, places: Sequence[Place]) -> tuple[Copy, ...]:
    """Each place's answer, all asked at once; that a place does not answer is an answer too."""
    asked = [beside(partial(_copy, place, digest)) for place in places]
    settled(*asked)
    return tuple(each.result() for each in asked)


def _copy(place: Place, digest: Digest) -> Copy:
    try:
        found = place.manifest(digest, looks=LOOKS)
        if found is None:
            return Copy(place.repository, "gone")
        return _whole(place, found)
    except IntegrityError as error:
        return Copy(place.repository, "broken", why=error.what)
    except BotError as error:
        return Copy(place.repository, "silent", why=error.what)


def _whole(place: Place, found: Content) -> Copy:
    try:
        index = prove_index(found.body, content_type=found.media_type, header_digest=None, expected=found.digest)
    except NotProven as error:
        return Copy(place.repository, "broken", why=str(error))
    platforms = [each for each in found.children if each.platform is not None]
    manifests = side_by_side(partial(child, place), platforms, AT_ONCE)
    blobs = {blob.digest: blob for manifest in manifests for blob in manifest.blobs if not blob.is_elsewhere}
    lacking = _lacking(place, _lacking(place, list(blobs.values())))  # twice: GHCR has passing 404s
    if lacking:
        return Copy(place.repository, "broken", why=f"it lacks {len(lacking)} of {len(blobs)} blobs of its platforms")
    return Copy(place.repository, "there", index)


def _lacking(place: Place, blobs: Sequence[Descriptor]) -> list[Descriptor]:
    there = side_by_side(place.has_blob, blobs, _BLOBS_AT_ONCE)
    return [blob for blob, has in zip(blobs, there, strict=True) if not has]


def named_there(tags: Sequence[tuple[Source, Tag]]) -> tuple[Named, ...]:
    """What each tag names now, as HOST/PATH:TAG: a digest, or None, with the reason where nobody answered."""
    return tuple(side_by_side(_named, tags, AT_ONCE))


def _named(each: tuple[Source, Tag]) -> Named:
    place, tag = each
    name = f"{place.repository}:{tag}"
    try:
        found = place.manifest(tag, looks=LOOKS)
    except BotError as error:
        return name, None, error.what
    return name, found.digest if found else None, ""
