"""Read everything that a decision about one image needs: its pins, its releases, its registry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from threading import Thread
from typing import Protocol, TypeVar

import msgspec

from bot.clock import Clock
from bot.core.index import Index
from bot.core.model import Candidate, Image, Pin, Release, SourceFile
from bot.core.pins.sites import current_pin, read_sites
from bot.core.plan import Observed, Pinned
from bot.core.reference import Digest, Tag, parse_tag
from bot.core.selection import covers, select
from bot.core.tags import image_tags, ref_of_tag
from bot.core.versions import Ref
from bot.errors import BotError

_T = TypeVar("_T")


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
    return Pinned(sources, held, current_pin(image, held))


def observe(image: Image, pinned: Pinned, upstream: Upstream, wanted: Ref | None) -> Observed:
    """Releases and the pinned tag side by side, then the candidate's index: as few round trips as there can be."""
    asked = _beside(lambda: pinned_index(image, pinned.pin, upstream.registry))
    try:
        releases = _releases(image, pinned.pin, upstream)
    except BotError:
        asked.exception()  # waits: an error leaves no request open behind it
        raise
    index = asked.result()
    selection = select(releases, pinned.pin, image.policy, wanted)
    candidate = prove(image, selection.release, upstream.registry) if selection.release else None
    return Observed(
        image=image,
        pinned=pinned,
        releases=releases,
        selection=selection,
        pinned_index=index,
        candidate=candidate,
        now=upstream.clock.now(),
        wanted=wanted,
    )


def pinned_index(image: Image, pin: Pin, registry: Registry) -> Index | None:
    """The index that the pinned tag answers with, or None where the tag is gone."""
    found = registry.first_index(image_tags(image.tags, pin.ref, pin.version))
    return found[1] if found else None


def prove(image: Image, release: Release, registry: Registry) -> Candidate | None:
    """The image of a release, proven from the bytes of its index; None where it is not there."""
    if release.version is None:
        return None
    found = registry.first_index(image_tags(image.tags, release.ref, release.version))
    if found is None:
        return None
    name, index = found
    return Candidate(Pin(release.ref, release.version, index.digest, parse_tag(name)), index.platforms)


def _beside(work: Callable[[], _T]) -> Future[_T]:
    """Work that goes on meanwhile. An executor's thread would keep an interrupted run waiting for its answer."""
    future: Future[_T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised again where the result is asked for
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future


def _releases(image: Image, pin: Pin, upstream: Upstream) -> tuple[Release, ...]:
    if image.github:
        return upstream.releases.list(image.github, covers(pin, image.policy))
    return tuple(Release(*ref_of_tag(image.tags, tag)) for tag in upstream.registry.tags())
