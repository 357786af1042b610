"""All pin sites of an image, whatever their kind: what they hold, where they drift, and how they change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise

import msgspec

from bot.core.model import (
    DockerfileSite,
    DotenvSite,
    Image,
    MarkdownSite,
    PatternSite,
    Pin,
    Site,
    SourceFile,
    TerraformSite,
)
from bot.core.pins.current import current_pin
from bot.core.pins.held import Held
from bot.core.pins.value import agrees, image_value, render
from bot.core.tags import image_tags
from bot.errors import PinError

__all__ = ["Drift", "Edit", "allowed_keys", "current_pin", "drift", "edits", "read_sites", "rewrite"]


class Drift(msgspec.Struct, frozen=True):
    """A value that does not say the pin that it should."""

    file: str
    line: int
    holds: str
    expected: str

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}"


class Edit(msgspec.Struct, frozen=True):
    """A value that changes, before and after."""

    file: str
    line: int
    old: str
    new: str


def allowed_keys(images: Iterable[Image]) -> dict[str, frozenset[str]]:
    """The keys that the settings name for each dotenv file, over all images that it serves."""
    named: dict[str, set[str]] = {}
    for image in images:
        for site in image.sites:
            if isinstance(site, DotenvSite):
                named.setdefault(site.file, set()).update(site.other_keys, (key for key, _ in site.keys))
    return {file: frozenset(keys) for file, keys in named.items()}


def read_sites(
    image: Image, sources: Mapping[str, SourceFile], allowed: Mapping[str, frozenset[str]]
) -> tuple[Held, ...]:
    """What all pin sites of an image hold, site by site. `allowed` is `allowed_keys` of all images.

    Raises PinError where a file is not among the sources, a site is not found exactly once, an image value has
    no known form, or two sites hold the same bytes.
    """
    held = tuple(value for site in image.sites for value in _read(site, sources, allowed.get(site.file, frozenset())))
    for one, other in pairwise(sorted(held, key=lambda value: (value.file, value.start, value.end))):
        if one.file == other.file and (other.start < one.end or other.start == one.start):
            raise PinError(
                f"two pin sites of {image.name} hold the same text {other.text!r}",
                where=other.where,
                next_step="Remove one of the two from the settings.",
            )
    return held


def drift(image: Image, held: Iterable[Held], pin: Pin) -> tuple[Drift, ...]:
    """The values that do not say this pin. An image value agrees by any tag that the ref may map to."""
    tags = (pin.tag, *image_tags(image.tags, pin.ref, pin.version))
    return tuple(
        Drift(value.file, value.line, value.text, render(value, pin)) for value in held if not agrees(value, pin, tags)
    )


def edits(held: Iterable[Held], pin: Pin) -> tuple[Edit, ...]:
    """What changes so that all of these values say this pin: file by file as they were given, from top to bottom."""
    held = tuple(held)
    order = {file: number for number, file in enumerate(dict.fromkeys(value.file for value in held))}
    return tuple(
        Edit(value.file, value.line, value.text, new)
        for value in sorted(held, key=lambda value: (order[value.file], value.start))
        if (new := render(value, pin)) != value.text
    )


def rewrite(sources: Mapping[str, SourceFile], held: Iterable[Held], pin: Pin) -> dict[str, bytes]:
    """The new bytes of each file that changes, in which all of these values say this pin; other bytes are kept.

    The values have been found again in the new bytes. Raises PinError where they are not, or where a source is
    not the one in which they were held. Several images in one file: rewrite for one, read the result, rewrite
    for the next.
    """
    held = tuple(held)
    changed = dict(sources)
    for value in sorted(held, key=lambda value: value.start, reverse=True):
        source = changed.get(value.file)
        if source is None or source.data[value.start : value.end] != value.text.encode():
            raise PinError(
                f"{value.text!r} no longer stands here",
                where=value.where,
                next_step="The file changed in the meantime: run the command again.",
            )
        data = source.data[: value.start] + render(value, pin).encode() + source.data[value.end :]
        if data != source.data:
            changed[value.file] = msgspec.structs.replace(source, data=data)
    _prove(changed, held, pin)
    return {file: source.data for file, source in changed.items() if source is not sources[file]}


def _read(site: Site, sources: Mapping[str, SourceFile], allowed: frozenset[str] | None) -> tuple[Held, ...]:
    source = sources.get(site.file)
    if source is None:
        raise PinError(
            "this file with a pin is missing",
            where=site.file,
            next_step="Restore it, or remove its pin site from the settings.",
        )
    held = _locate(site, source, allowed)
    for value in held:
        if value.field == "image":
            image_value(value)
    return held


def _locate(site: Site, source: SourceFile, allowed: frozenset[str] | None) -> tuple[Held, ...]:
    """The one table of kinds. Each brings a grammar, which is loaded only where there is such a site."""
    match site:
        case DotenvSite():
            from bot.core.pins import dotenv

            return dotenv.locate(source, site, allowed)
        case TerraformSite():
            from bot.core.pins import terraform

            return terraform.locate(source, site)
        case DockerfileSite():
            from bot.core.pins import dockerfile

            return dockerfile.locate(source, site)
        case MarkdownSite():
            from bot.core.pins import markdown

            return markdown.locate(source, site)
        case PatternSite():
            from bot.core.pins import pattern

            return pattern.locate(source, site)


def _prove(changed: Mapping[str, SourceFile], held: tuple[Held, ...], pin: Pin) -> None:
    """Raise PinError unless the same sites, read again in the new bytes, hold the pin and nothing else."""
    for site in dict.fromkeys(value.site for value in held):
        before = [value for value in held if value.site == site]
        reason: PinError | None = None
        found: list[tuple[str, str]] = []
        try:
            found = [(value.field, value.text) for value in _read(site, changed, None)]
        except PinError as error:
            reason = error
        if found != [(value.field, render(value, pin)) for value in before]:
            raise PinError(
                f"with {pin.ref!r} written here, this pin site would not read back as that pin"
                + (f" ({reason})" if reason else ""),
                where=before[0].where,
                next_step="Change this place by hand, or hold it with a `pattern` site; nothing was written.",
            ) from reason
