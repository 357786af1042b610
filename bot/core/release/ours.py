"""One release of ours: its tag, and the repositories and tags that it gets. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from bot.core.model import Target
from bot.core.reference import Digest, Repository, Tag, parse_repository, parse_tag
from bot.core.versions import Version, parse_version
from bot.errors import ReleaseError, UsageError


class OurTag(msgspec.Struct, frozen=True):
    """A git tag of ours, `v1.2.3`."""

    name: str
    version: Version


class Place(msgspec.Struct, frozen=True):
    """A repository that a release is copied to, the tags that name it there, and those that follow the newest."""

    repository: Repository
    tags: tuple[Tag, ...]
    moving: tuple[Tag, ...] = ()


class Held(msgspec.Struct, frozen=True):
    """What a tag of a place names now; None where there is no such tag."""

    repository: Repository
    tag: Tag
    digest: Digest | None


def our_tag(text: str) -> OurTag:
    """Raises UsageError for what is no tag of a release."""
    version = parse_version(text) if re.match(r"v[0-9]+\.[0-9]+\.[0-9]", text) else None
    if version is None or text != f"v{version}":
        raise UsageError(f"{text[:80]!r} is no tag of a release", where="TAG", next_step="Name one, as in v1.2.3.")
    return OurTag(text, version)


def is_our_tag(text: str) -> bool:
    """Whether this is the tag of a release of ours."""
    try:
        our_tag(text)
    except UsageError:
        return False
    return True


def places_of(targets: Sequence[Target], repository: str, tag: OurTag) -> tuple[Place, ...]:
    """Where this release goes; `repository` is OWNER/NAME on GitHub. A prerelease moves no tag. Raises UsageError."""
    return tuple(_place(target, repository, tag) for target in targets)


def repository_of(target: Target, repository: str) -> Repository:
    """The repository in a registry that a target is; `repository` is OWNER/NAME on GitHub. Raises UsageError."""
    try:
        return parse_repository(target.repository.replace("{repository}", repository.lower()))
    except ValueError as error:
        raise _wrong(error) from None


def file_stem(places: Sequence[Place], tag: OurTag) -> str:
    """What the names of a release's files begin with: `ai-gateway-v1.2.3`."""
    return f"{places[0].repository.path.rpartition('/')[2]}-{tag.name}"


def contradiction(held: Sequence[Held], digest: Digest) -> ReleaseError | None:
    """Why this release cannot have its tags: one of them names another image. One that names it is right."""
    for each in held:
        if each.digest is not None and each.digest != digest:
            return ReleaseError(
                f"the tag {each.tag} is there already, and is {each.digest}; this release is {digest}",
                where=f"{each.repository}:{each.tag}",
                next_step="Nothing was changed. A tag that was released is never moved: see who pushed it there, and "
                "release the next version with `gateway-bot release bump patch`.",
            )
    return None


def _place(target: Target, repository: str, tag: OurTag) -> Place:
    place = repository_of(target, repository)
    try:
        tags = tuple(
            parse_tag(each.replace("{tag}", tag.name).replace("{version}", str(tag.version))) for each in target.tags
        )
        moving = () if tag.version.prerelease else tuple(map(parse_tag, target.moving))
    except ValueError as error:
        raise _wrong(error) from None
    return Place(place, tags, moving)


def _wrong(error: ValueError) -> UsageError:
    return UsageError(
        str(error), where="[[release.target]]", next_step="Mend it in gateway-bot.toml: docs/release.md shows it."
    )
