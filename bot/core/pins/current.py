"""The pin that an image's files say now: that of the first pin site, the source of truth."""

from __future__ import annotations

from collections.abc import Sequence

from bot.core.model import Image, Pin
from bot.core.pins.held import Held
from bot.core.pins.value import agrees, image_value
from bot.core.reference import Digest, parse_digest
from bot.core.tags import image_tags, ref_of_tag
from bot.core.versions import Ref, parse_version
from bot.errors import PinError


def current_pin(image: Image, held: Sequence[Held]) -> Pin:
    """The pin that the first site says, out of all values held for an image.

    The ref is that of a `ref`, else the one that the tag of an `image` value stands for; the digest is that of
    a `digest` or an `image`. The image tag is one that is held, by any site, else the first that the ref maps to.
    Raises PinError where ref or digest are missing, the ref is no version, or the first site contradicts itself.
    """
    truth = [value for value in held if value.site == image.sites[0]]
    ref, digest = _ref(image, truth), _digest(image, truth)
    version = parse_version(ref)
    if version is None:
        raise PinError(
            f"the ref {ref!r} of {image.name} is no version",
            where=truth[0].where,
            next_step="Pin a release, such as v1.2.3.",
        )
    tags = image_tags(image.tags, ref, version)
    if not tags:
        raise PinError(
            f"the ref {ref!r} of {image.name} maps to no image tag",
            where=truth[0].where,
            next_step="Correct `tags` of this image in the settings.",
        )
    named = (image_value(value).tag for value in held if value.field == "image")
    tag = next((tag for tag in named if tag in tags), tags[0])
    pin = Pin(ref, version, digest, tag)
    for value in truth:
        if not agrees(value, pin, tags):
            raise PinError(
                f"the {value.field} {value.text!r} does not belong to {ref} with {digest}, which stand here too",
                where=value.where,
                next_step="Correct it by hand: this site is the source of truth, so the bot does not guess.",
            )
    return pin


def _ref(image: Image, truth: Sequence[Held]) -> Ref:
    for value in truth:
        if value.field == "ref":
            return Ref(value.text)
    for value in truth:
        if value.field == "image" and (tag := image_value(value).tag):
            return ref_of_tag(image.tags, tag)[0]
    raise _says_nothing(image, truth, "ref")


def _digest(image: Image, truth: Sequence[Held]) -> Digest:
    for value in truth:
        if value.field == "digest":
            try:
                return parse_digest(value.text)
            except ValueError as error:
                raise PinError(str(error), where=value.where, next_step="Restore the pinned digest.") from error
    for value in truth:
        if value.field == "image" and (digest := image_value(value).digest):
            return digest
    raise _says_nothing(image, truth, "digest")


def _says_nothing(image: Image, truth: Sequence[Held], part: str) -> PinError:
    return PinError(
        f"the first pin site of {image.name} holds no {part}",
        where=truth[0].where if truth else image.sites[0].file,
        next_step="Put the pin site that holds ref and digest first: it is the source of truth.",
    )
