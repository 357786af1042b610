"""The forms of a value: a ref, a version, a digest, or an image in one of five forms.

The forms of an image: `tag`, `digest`, `repository:tag`, `repository@digest`, `repository:tag@digest`.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from bot.core.model import Pin
from bot.core.pins.held import Held
from bot.core.reference import (
    Digest,
    Reference,
    Repository,
    Tag,
    parse_digest,
    parse_reference,
    parse_tag,
)
from bot.errors import PinError


class ImageValue(msgspec.Struct, frozen=True):
    """An `image` value. Which parts are there is its form; at least a tag or a digest is."""

    repository: Repository | None
    tag: Tag | None
    digest: Digest | None

    def __str__(self) -> str:
        if self.repository is None:
            return self.tag or self.digest or ""
        return str(Reference(self.repository, self.tag, self.digest))


def image_value(held: Held) -> ImageValue:
    """The form of an `image` value. The repository may be a mirror: it is kept, and not judged.

    Raises PinError for a text in none of the five forms.
    """
    try:
        if held.text.startswith("sha256:"):
            return ImageValue(None, None, parse_digest(held.text))
        if not set(held.text) & set(":/@"):
            return ImageValue(None, parse_tag(held.text), None)
        reference = parse_reference(held.text)
    except ValueError as error:
        raise PinError(
            f"no image value: {error}",
            where=held.where,
            next_step="Write a tag, a sha256 digest, or HOST/PATH with :TAG, @DIGEST or both.",
        ) from error
    return ImageValue(reference.repository, reference.tag, reference.digest)


def render(held: Held, pin: Pin) -> str:
    """The text for a pin in the form that is held. Raises PinError where that form cannot be read."""
    match held.field:
        case "ref":
            return pin.ref
        case "version":
            return str(pin.version)
        case "digest":
            return pin.digest
        case "image":
            value = image_value(held)
            return str(
                ImageValue(value.repository, value.tag and pin.tag, value.digest and pin.digest),
            )


def agrees(held: Held, pin: Pin, tags: Collection[Tag]) -> bool:
    """Whether a value says this pin; `tags` are all image tags that the pin's ref may map to.

    Raises PinError for an `image` value in none of the five forms.
    """
    if held.field != "image":
        return held.text == render(held, pin)
    value = image_value(held)
    return (value.tag is None or value.tag in tags) and (value.digest is None or value.digest == pin.digest)
