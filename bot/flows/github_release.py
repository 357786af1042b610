"""The GitHub Release of a version: look, decide, act, and look again until all is as it should be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from bot.core.release.github_release import (
    Act,
    Asset,
    Changes,
    Complete,
    Create,
    Discard,
    Impossible,
    Publish,
    ReleaseFile,
    Remove,
    Shown,
    Step,
    Upload,
    WantedRelease,
    decide,
)
from bot.errors import BotError, ForgeError, IntegrityError, ReleaseError, ServiceError

_ROUNDS = 24
_TRIES = {ServiceError.exit_code: 3, ForgeError.exit_code: 2, ReleaseError.exit_code: 2}
"""How often a step may fail, by the exit code of its failure; any other ends the run at once.

What GitHub refuses is tried again only where it is still to be done after another look: the other run did it otherwise.
"""


class Releases(Protocol):
    """The releases of the repository. What a write became of is known only where it answers."""

    def all(self) -> Sequence[Shown]:
        """Every release and every draft."""
        ...

    def read(self, number: int) -> Shown | None:
        """One as it is now; None where it is gone."""
        ...

    def create(self, wanted: Create) -> Shown: ...

    def publish(self, release: Shown, changes: Changes, *, latest: bool) -> Shown: ...

    def upload(self, release: Shown, file: ReleaseFile) -> Asset: ...

    def delete_asset(self, asset: Asset) -> None: ...

    def delete_draft(self, draft: Shown) -> None: ...


class Published(msgspec.Struct, frozen=True):
    """The release as it was read back, and what this run did for it: nothing, where `did` is empty.

    `unproven` are files of which this GitHub tells the size only.
    """

    url: str
    did: str
    immutable: bool
    unproven: tuple[str, ...] = ()


def publish_release(wanted: WantedRelease, releases: Releases, log: Callable[[str], None]) -> Published:
    """A draft, all of its files, then published; what an earlier run has done already is not done again.

    After a write that failed, or may have worked, it looks before it does anything else. Raises ReleaseError for a
    release that cannot become what it should be, and otherwise what the last step failed with.
    """
    made: set[int] = set()
    failures: Counter[tuple[str, int]] = Counter()
    did: list[str] = []
    for _ in range(_ROUNDS):
        match decide(wanted, _observed(wanted.tag, releases, made)):
            case Impossible() as fault:
                raise ReleaseError(fault.what, where=fault.where or wanted.tag, next_step=fault.next_step)
            case Complete() as complete:
                release = complete.release
                return Published(release.url, ", ".join(did), release.immutable, complete.unproven)
            case Act(steps):
                for step in steps:
                    try:
                        did.append(_take(step, releases, made))
                    except BotError as error:
                        failed = (_name(step), error.exit_code)
                        failures[failed] += 1
                        if failures[failed] >= _TRIES.get(error.exit_code, 1):
                            raise
                        log(f"{error}; looking what became of it")
                        break
                    log(f"{did[-1]}: {step.reason}")
    raise ForgeError(
        f"somebody else keeps changing the release {wanted.tag}",
        where=wanted.tag,
        next_step="Run it again when the other run is done: it continues where this one stopped.",
    )


def _observed(tag: str, releases: Releases, made: set[int]) -> list[Shown]:
    """All releases. GitHub's list may lag behind, so those of the tag, and what was made now, are read one by one."""
    listed = {release.id: release for release in releases.all()}
    of_tag = {release.id for release in listed.values() if release.tag == tag}
    fresh = {number: releases.read(number) for number in sorted(made | of_tag)}
    others = [release for release in listed.values() if release.id not in fresh]
    return [*others, *(release for release in fresh.values() if release is not None)]


def _take(step: Step, releases: Releases, made: set[int]) -> str:
    """Take one step, and what to say of it."""
    match step:
        case Create():
            made.add(releases.create(step).id)
        case Upload(release, file):
            kept = releases.upload(release, file)
            if kept.name != file.name or not kept.holds(file):
                raise IntegrityError(
                    f"GitHub keeps other bytes of {file.name} than those that were sent, or under another name",
                    where=release.url,
                    next_step="Nothing was published. Look for a proxy in between, then run it again.",
                )
        case Remove(_, asset):
            releases.delete_asset(asset)
        case Publish(release, changes, latest):
            releases.publish(release, changes, latest=latest)
        case Discard(release):
            releases.delete_draft(release)
    return _name(step)


def _name(step: Step) -> str:
    match step:
        case Create():
            return f"draft of {step.tag} made"
        case Upload(_, file):
            return f"{file.name} uploaded"
        case Remove(_, asset):
            return f"{asset.name} taken away"
        case Publish(release):
            return f"{release.tag} published"
        case Discard(release):
            return f"draft {release.id} deleted"
