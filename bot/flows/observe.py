"""Read everything that a decision about one image needs: its pins, its releases, its registry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from bot.beside import beside
from bot.clock import Clock
from bot.core.holds import hold_on
from bot.core.index import Index
from bot.core.model import Candidate, Hold, Image, Pin, Release, SourceFile
from bot.core.pins.sites import current_pin, read_sites
from bot.core.pins.value import image_value
from bot.core.plan import Observed, Pinned
from bot.core.reference import Digest, Tag, parse_tag
from bot.core.selection import Selection, covers, select
from bot.core.tags import image_tags, ref_of_tag
from bot.core.versions import Ref
from bot.errors import BotError


class Files(Protocol):
    """Where pinned files are read from: a checkout, or the base of a pull request."""

    def read(self, paths: Iterable[str]) -> dict[str, SourceFile]: ...


class Registry(Protocol):
    """The image's repository."""

    def first_index(self, names: Sequence[Tag | Digest]) -> tuple[Tag | Digest, Index] | None: ...

    def tags(self) -> tuple[str, ...]: ...


class Releases(Protocol):
    """GitHub's releases of the image's source."""

    def list(self, repository: str, enough: Callable[[Sequence[Release]], bool]) -> tuple[Release, ...]: ...


class Upstream(msgspec.Struct, frozen=True):
    """One image's world, under one deadline."""

    registry: Registry
    releases: Releases
    clock: Clock


def read_pinned(image: Image, files: Files, allowed_keys: Mapping[str, frozenset[str]]) -> Pinned:
    """What the files say of an image. Raises PinError."""
    sources = files.read(site.file for site in image.sites)
    held = read_sites(image, sources, allowed_keys)
    pin = current_pin(image, held)
    written = {value.tag for place in held if place.field == "image" and (value := image_value(place)).tag}
    # a tag that stands in a file is the one that is pinned; a ref may map to several
    tags = (pin.tag,) if pin.tag in written else image_tags(image.tags, pin.ref, pin.version)
    return Pinned(sources, held, pin, tags)


def observe(image: Image, pinned: Pinned, upstream: Upstream, wanted: Ref | None) -> Observed:
    """Releases and the pinned tag side by side, then the candidate's index: as few round trips as there can be."""
    asked = beside(lambda: upstream.registry.first_index(pinned.tags))
    try:
        releases = releases_of(image, pinned.pin, upstream)
    except BotError:
        asked.exception()  # waits: an error leaves no request open behind it
        raise
    found = asked.result()
    now = upstream.clock.now()
    selection, candidate = _selected(image, releases, pinned.pin, wanted, now, upstream.registry)
    if found is not None:  # the tag that answered is the pin's
        pin = msgspec.structs.replace(pinned.pin, tag=parse_tag(found[0]))
        pinned = msgspec.structs.replace(pinned, pin=pin)
    return Observed(
        image=image,
        pinned=pinned,
        releases=releases,
        selection=selection,
        pinned_index=found[1] if found else None,
        candidate=candidate,
        now=now,
        wanted=wanted,
    )


def reselect(seen: Observed, upstream: Upstream, urgent: Mapping[Ref, str]) -> Observed:
    """The same world, with these releases spared the cooldown."""
    if not urgent:
        return seen
    selection, candidate = _selected(
        seen.image, seen.releases, seen.pinned.pin, seen.wanted, seen.now, upstream.registry, urgent
    )
    return msgspec.structs.replace(seen, selection=selection, candidate=candidate)


def _selected(
    image: Image,
    releases: Sequence[Release],
    current: Pin,
    wanted: Ref | None,
    now: datetime,
    registry: Registry,
    urgent: Mapping[Ref, str] | None = None,
) -> tuple[Selection, Candidate | None]:
    """The release that the policy picks, with its image; those whose very image is on hold are passed over.

    Only the registry knows the digest, so each of those costs a request.
    """
    held: dict[Ref, Hold] = {}
    while True:
        selection = select(releases, current, image.policy, wanted, now, urgent, held)
        candidate = prove(image, selection.release, registry) if selection.release else None
        if candidate is None:
            return selection, None
        pin = candidate.pin
        hold = hold_on(image.policy.holds, pin.version, pin.digest, now.date())
        if hold is None:
            return selection, candidate
        held[pin.ref] = hold


def prove(image: Image, release: Release, registry: Registry) -> Candidate | None:
    """The image of a release, proven from the bytes of its index; None where it is not there."""
    if release.version is None:
        return None
    found = registry.first_index(image_tags(image.tags, release.ref, release.version))
    if found is None:
        return None
    name, index = found
    return Candidate(Pin(release.ref, release.version, index.digest, parse_tag(name)), index.platforms)


def releases_of(image: Image, pin: Pin, upstream: Upstream) -> tuple[Release, ...]:
    """The releases of an image, or as many as are needed to decide; raises ServiceError where there is no answer."""
    if image.github:
        return upstream.releases.list(image.github, covers(pin, image.policy))
    return tuple(Release(*ref_of_tag(image.tags, tag)) for tag in upstream.registry.tags())
