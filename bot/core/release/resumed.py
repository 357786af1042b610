"""Whether HEAD is the release commit of a bump before this one: interrupted before its tag, or done. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from bot.core.release.bump import Part, Place, next_version, tag_in
from bot.core.versions import Version
from bot.errors import ReleaseError


def unfinished(place: Place, part: Part, parent: Version | None) -> str | None:
    """The tag that HEAD lacks, where it is the release commit of a bump that was interrupted; None where it is not.

    `parent` is what pyproject.toml says one commit before. Raises ReleaseError where it was a bump of another part.
    """
    tag = _head_releases(place)
    if tag is None or tag in place.tags:
        return None
    if parent is not None and parent < place.project:
        asked = next_version(msgspec.structs.replace(place, project=parent), part)
        if asked != place.project:
            raise ReleaseError(
                f"HEAD is the release commit of {tag}, which has no tag yet, and a {part} bump would be v{asked}",
                where="HEAD",
                next_step=f"Run the bump that made it, and it is tagged; or take it back: git reset --keep HEAD^ "
                f"(a commit that nobody else has), and then `gateway-bot release bump {part}`.",
            )
    return tag


def finished(place: Place, part: Part, parent: Version | None, on_head: Iterable[str]) -> str | None:
    """The tag of HEAD, where HEAD is the release commit that such a bump makes; None where it is not.

    `parent` is what pyproject.toml says one commit before, `on_head` the tags of HEAD.
    """
    tag = _head_releases(place)
    if tag is None or tag not in on_head:
        return None
    before = msgspec.structs.replace(
        place, project=parent or place.project, reachable=tuple(name for name in place.reachable if name != tag)
    )
    return tag if parent is None or next_version(before, part) == place.project else None


def _head_releases(place: Place) -> str | None:
    """The tag that HEAD is the release commit of, as its subject and its version say."""
    tag = tag_in(place.head.subject) if place.head else None
    return tag if tag == f"v{place.project}" else None
