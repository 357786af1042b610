"""How a release maps to image tags, and back: templates such as `{ref}` and `{version}-alpine`."""

from __future__ import annotations

from bot.core.reference import Tag, parse_tag
from bot.core.versions import Ref, Version, parse_version


def image_tags(templates: tuple[str, ...], ref: Ref, version: Version | None) -> tuple[Tag, ...]:
    """The tags that a release may have in the registry, in the order in which they are tried.

    A template whose result is no tag is left out; so is one that needs the version of a ref without one.
    """
    found: dict[Tag, None] = {}
    for template in templates:
        if "{version}" in template and version is None:
            continue
        text = template.replace("{ref}", ref).replace("{version}", str(version))
        try:
            found[parse_tag(text)] = None
        except ValueError:
            continue
    return tuple(found)


def version_of_tag(templates: tuple[str, ...], tag: str) -> Version | None:
    """The version that a registry's tag names under these templates, or None where it fits none of them."""
    for template in templates:
        prefix, placeholder, suffix = template.partition("{ref}")
        if not placeholder:
            prefix, _, suffix = template.partition("{version}")
        if len(tag) > len(prefix) + len(suffix) and tag.startswith(prefix) and tag.endswith(suffix):
            middle = tag[len(prefix) : len(tag) - len(suffix)]
            version = parse_version(middle)
            if version is not None and (placeholder or not middle.startswith("v")):
                return version
    return None
