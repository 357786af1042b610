"""The digest of a tag or digest, proven from its bytes, with its platforms."""

from __future__ import annotations

from collections.abc import Sequence

from bot.core.index import Index
from bot.core.model import Image, Platform, missing_of
from bot.core.reference import Reference, parse_digest, parse_reference, parse_tag
from bot.errors import IntegrityError, UsageError
from bot.flows.observe import Registry


def the_reference(text: str, images: Sequence[Image]) -> Reference:
    """What a person wrote: a whole reference, or a tag or digest of the one image. Raises UsageError."""
    try:
        if "/" in text:
            return parse_reference(text)
        if len(images) != 1:
            raise UsageError(
                f"{text[:80]!r} names no repository",
                where="REF",
                next_step="Write it in full, as in ghcr.io/owner/name:tag, or choose the image with --image.",
            )
        if text.startswith("sha256:"):
            return Reference(images[0].repository, None, parse_digest(text))
        return Reference(images[0].repository, parse_tag(text), None)
    except ValueError as error:
        raise UsageError(str(error), where="REF", next_step="Write HOST/PATH:TAG or HOST/PATH@sha256:DIGEST.") from None


def resolve(reference: Reference, registry: Registry, required: Sequence[Platform]) -> Index:
    """The index, proven. Raises IntegrityError where it is not there or not what the reference says."""
    name = reference.digest or reference.tag
    found = registry.first_index([name]) if name else None
    if found is None:
        raise IntegrityError(
            "the registry does not have it (HTTP 404, asked several times)",
            where=str(reference),
            next_step="Check the tag on the image's page; a new release may need some minutes.",
        )
    index = found[1]
    if reference.tag and reference.digest:
        tagged = registry.first_index([reference.tag])
        if tagged is None or tagged[1].digest != index.digest:
            holds = tagged[1].digest if tagged else "nothing"
            raise IntegrityError(
                f"the tag {reference.tag} is {holds}, not {reference.digest}",
                where=str(reference),
                next_step="The tag was moved, or the digest belongs to another: find out which before you use it.",
            )
    missing = missing_of(required, index.platforms)
    if missing:
        raise IntegrityError(
            f"required platforms are missing: {', '.join(map(str, missing))}; "
            f"it has {', '.join(map(str, index.platforms))}",
            where=str(reference),
            next_step="Wait for upstream to push them, or change `platforms` in gateway-bot.toml.",
        )
    return index
