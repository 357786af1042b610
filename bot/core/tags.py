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


def ref_of_tag(templates: tuple[str, ...], tag: str) -> tuple[Ref, Version | None]:
    """What a registry's tag names under these templates: the part that stands for the ref, and its version.

    A tag that fits none of them is its own ref, and no version.
    """
    for template in templates:
        placeholder = "{ref}" if "{ref}" in template else "{version}"
        prefix, _, suffix = template.partition(placeholder)
        if len(tag) > len(prefix) + len(suffix) and tag.startswith(prefix) and tag.endswith(suffix):
            middle = tag[len(prefix) : len(tag) - len(suffix)]
            # `v1.4.1` is a ref; a version is written without the v
            version = parse_version(middle)
            if version is not None and (placeholder == "{ref}" or not middle.startswith("v")):
                return Ref(middle), version
    return Ref(tag), None
