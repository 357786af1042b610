"""The pin of an image in one file of the past. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

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
from bot.core.pins.sites import read_sites
from bot.core.pins.value import image_value
from bot.core.reference import Tag
from bot.core.tags import image_tags
from bot.errors import PinError

_KEY = re.compile(rb"[A-Za-z_][A-Za-z0-9_]*")
_WORD = re.compile(rb"[A-Za-z0-9_.-]+")


def same(one: Pin, other: Pin) -> bool:
    """Whether two pins are one release and one image; how its ref or tag is written may differ from file to file."""
    return one.digest == other.digest and one.version == other.version


def pin_then(image: Image, site: Site, source: SourceFile) -> tuple[Pin, bool]:
    """The whole pin that this one site holds, and whether it names the image tag itself. Raises PinError.

    Which other keys a dotenv file had is no question of today. A version alone stands for the ref that is written so.
    """
    held = _held(image, site, source)
    if not _named(held) and not any(value.field == "ref" for value in held):
        versions = (value for value in held if value.field == "version")
        held += tuple(msgspec.structs.replace(value, field="ref", text=f"v{value.text}") for value in versions)
    pin = current_pin(msgspec.structs.replace(image, sites=(site,)), held)
    return pin, pin.tag in _named(held)


def tag_then(image: Image, pin: Pin, site: Site, source: SourceFile) -> Tag | None:
    """The image tag that this site names for the pin; None where it names none, or cannot be read."""
    tags = image_tags(image.tags, pin.ref, pin.version)
    written = {word.strip(b".") for word in _WORD.findall(source.data)}
    if not any(tag.encode().strip(b".") in written for tag in tags if tag != pin.tag):
        return None  # so do most files, which need not be parsed for it
    try:
        return next((tag for tag in _named(_held(image, site, source)) if tag in tags), None)
    except PinError:
        return None


def may_name_tag(site: Site) -> bool:
    """Whether a site can hold an image with its tag."""
    match site:
        case DotenvSite():
            return any(field == "image" for _, field in site.keys)
        case DockerfileSite():
            return any(field == "image" for _, field in site.args)
        case TerraformSite():
            return site.holds == "image"
        case PatternSite():
            return "(?P<image>" in site.pattern
        case MarkdownSite():
            return True


def _held(image: Image, site: Site, source: SourceFile) -> tuple[Held, ...]:
    keys = frozenset(key.decode() for key in _KEY.findall(source.data)) if isinstance(site, DotenvSite) else frozenset()
    alone = msgspec.structs.replace(image, sites=(site,))
    return read_sites(alone, {source.path: source}, {source.path: keys})


def _named(held: Sequence[Held]) -> list[Tag]:
    return [tag for value in held if value.field == "image" and (tag := image_value(value).tag)]
