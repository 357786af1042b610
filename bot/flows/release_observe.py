"""Read everything that a release needs, from the tag's own commit; refuse what must not be released.

The image is read from upstream. Where upstream has removed it, our own registries may still have it, from an earlier
release: its digest proves the bytes wherever they are, and upstream's signature came along with them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from typing import Protocol

import msgspec

from bot.core.content import Content, Descriptor
from bot.core.gates import Unanswered
from bot.core.holds import hold_on, said
from bot.core.index import NotProven, prove_index
from bot.core.model import Image, Pin, Platform, ReleasePolicy, Signature, SourceFile, missing_of
from bot.core.pins.sites import drift
from bot.core.plan import Pinned
from bot.core.reference import Digest, Repository
from bot.core.release.changelog import section_of
from bot.core.release.history import Branch, Commit, GitTag
from bot.core.release.ours import OurTag, Place
from bot.core.release.project import project_version
from bot.core.signature import NotSigned, Signed
from bot.core.versions import Ref
from bot.errors import BotError, IntegrityError, PinError, PolicyError, ReleaseError, ServiceError
from bot.flows.observe import read_pinned
from bot.flows.retag import LOOKS, Source, read_image

PROJECT, CHANGELOG = "pyproject.toml", "CHANGELOG.md"
_MAX_CONFIG = 8 * 1024 * 1024


class Files(Protocol):
    """The files of one commit."""

    def read(self, paths: Iterable[str]) -> dict[str, SourceFile]: ...


class Git(Protocol):
    """The local repository."""

    def require_history(self) -> None: ...

    def tags(self, reached_by: str | None = None) -> tuple[GitTag, ...]: ...

    def base(self, name: str = "") -> Branch | None: ...

    def is_ancestor(self, commit: str, of: str) -> bool: ...

    def commit_of(self, rev: str) -> Commit: ...

    def at(self, commit: str) -> Files: ...


class Verifier(Protocol):
    """cosign."""

    def verify(
        self, repository: Repository, digest: Digest, ref: Ref, signature: Signature
    ) -> Signed | NotSigned | Unanswered: ...


class Job(msgspec.Struct, frozen=True):
    """What is to be released: `repository` is OWNER/NAME on GitHub, `git` its URL, `run` the URL of this run."""

    tag: OurTag
    image: Image
    policy: ReleasePolicy
    ours: Signature
    places: tuple[Place, ...]
    repository: str
    git: str
    base: str
    allowed_keys: Mapping[str, frozenset[str]]
    today: date
    run: str = ""


class Served(msgspec.Struct, frozen=True):
    """The pinned image, proven. `served_by` is the repository of ours that has it, where upstream has it no more."""

    source: Source
    index: Content
    manifests: tuple[Content, ...]
    served_by: Repository | None = None
    warnings: tuple[str, ...] = ()


class Seen(msgspec.Struct, frozen=True):
    """What the tag says, and what upstream serves for it, or the repository `served_by`, where upstream has it not."""

    commit: str
    created: datetime
    pinned: Pinned
    changes: str
    """The section of the changelog."""
    source: Source
    index: Content
    manifests: tuple[Content, ...]
    signature: Signed | None
    warnings: tuple[str, ...]
    served_by: Repository | None = None

    @property
    def pin(self) -> Pin:
        return self.pinned.pin

    @property
    def platforms(self) -> tuple[tuple[Platform, Digest], ...]:
        """The images of the index; attestations are none."""
        return platforms_of(self.index)


def platforms_of(index: Content) -> tuple[tuple[Platform, Digest], ...]:
    """The images of an index, by platform."""
    return tuple(sorted((child.platform, child.digest) for child in index.children if child.platform is not None))


def read_tag(job: Job, git: Git) -> tuple[str, datetime, Pinned, str, tuple[str, ...]]:
    """Commit, its date, pins, changes and warnings of the tag. Raises ReleaseError, PinError, PolicyError."""
    git.require_history()
    name = job.tag.name
    commit = next((tag.commit for tag in git.tags() if tag.name == name), None)
    if commit is None:
        raise _refused(f"there is no tag {name} here", name, "Fetch it (git fetch --tags), or make it: release bump.")
    base = git.base(job.base)
    if base is None:
        raise _refused("there is no base branch here", job.base or "main", "Fetch it: git fetch origin")
    if not git.is_ancestor(commit, base.commit):
        what = f"{name} is not on {base.name}: its commit {commit[:12]} was never merged there"
        raise _refused(what, name, f"Release what was reviewed: merge it into {base.name}, and tag the result.")
    files = git.at(commit)
    pinned = read_pinned(job.image, files, job.allowed_keys)
    if found := drift(job.image, pinned.held, pinned.pin):
        raise PinError(
            f"at {name} it holds {found[0].holds}, {job.image.sites[0].file} says {found[0].expected}",
            where=found[0].where,
            next_step="Repair it with `gateway-bot check --fix`, merge that, and release the next version.",
        )
    hold = hold_on(job.image.policy.holds, pinned.pin.version, pinned.pin.digest, job.today)
    if hold is not None:
        next_step = "Release another pin, or take the hold out of gateway-bot.toml when its reason is gone."
        raise PolicyError(f"{pinned.pin.ref} is {said(hold)}", where=name, next_step=next_step)
    changes = _changes(job, files)
    return commit, git.commit_of(commit).date, pinned, changes, tuple(_behind(job, git, base, pinned.pin))


def observe(job: Job, git: Git, upstream: Source, look: Callable[[Repository], Source], verifier: Verifier) -> Seen:
    """All of it. Raises what `read_tag` does, IntegrityError for an image that is not proven, ServiceError."""
    commit, created, pinned, changes, warnings = read_tag(job, git)
    served = find_image(job, pinned.pin.digest, upstream, look)
    at, index = served.served_by or job.image.repository, served.index
    _require_platforms(job.image, index, at)
    return Seen(
        commit,
        created,
        pinned,
        changes,
        served.source,
        index,
        served.manifests,
        _signed(job.image, pinned.pin, at, verifier),
        (*warnings, *served.warnings),
        served.served_by,
    )


def find_image(job: Job, digest: Digest, upstream: Source, look: Callable[[Repository], Source]) -> Served:
    """The image at upstream's; where upstream has it not (HTTP 404), in the first target that has it whole.

    Upstream that does not answer has not removed it: a ServiceError, as where no target has it and one does not answer.
    Raises IntegrityError where nobody has it, or what upstream has is not what it should be.
    """
    try:
        return Served(upstream, *read_image(upstream, digest))
    except IntegrityError as error:
        if not _is_gone(upstream, digest):
            raise
        gone = error
    silent: ServiceError | None = None
    for source in (look(place.repository) for place in job.places):
        try:
            index, manifests = read_image(source, digest)
        except IntegrityError:
            continue
        except ServiceError as error:
            silent = silent or error
            continue
        warning = (
            f"{upstream.repository} no longer has all of {digest} (HTTP 404, asked several times): it is read from "
            f"{source.repository}, which has it from an earlier release"
        )
        return Served(source, index, manifests, source.repository, (warning,))
    if silent is not None:
        raise silent
    raise IntegrityError(
        f"{gone.what}, nor has one of the targets all of it", where=gone.where, next_step=gone.next_step
    )


def _is_gone(source: Source, digest: Digest) -> bool:
    """Whether an image that could not be read lacks a part. Raises IntegrityError for one that is another's."""
    index = source.manifest(digest)
    return index is None or any(source.manifest(each.digest, looks=LOOKS) is None for each in index.children)


def read_small(source: Source, blob: Descriptor) -> bytes:
    """A blob that is no layer, proven. Raises IntegrityError."""
    if blob.size > _MAX_CONFIG:
        raise _not_proven(f"a config of {blob.size:,} bytes", source.repository, blob.digest)
    with source.blob(blob) as parts:
        body = b"".join(parts)
    if f"sha256:{hashlib.sha256(body).hexdigest()}" != blob.digest:
        raise _not_proven("the bytes of a blob are not what its digest says", source.repository, blob.digest)
    return body


def _changes(job: Job, files: Files) -> str:
    found = files.read((PROJECT, CHANGELOG))
    version = project_version(found[PROJECT].data)
    if version != job.tag.version:
        what = f"{PROJECT} at {job.tag.name} says {version}"
        raise _refused(what, f"{job.tag.name}:{PROJECT}", "Make releases with `gateway-bot release bump`.")
    changes = section_of(found[CHANGELOG].data.decode(errors="replace"), job.tag.version)
    if not changes.strip():
        what = f"{CHANGELOG} at {job.tag.name} says nothing of {job.tag.version}"
        raise _refused(what, f"{job.tag.name}:{CHANGELOG}", "Make releases with `gateway-bot release bump`.")
    return changes


def _behind(job: Job, git: Git, base: Branch, pin: Pin) -> Iterable[str]:
    """What the tag says is released, whatever the base says by now; a person should know that they differ."""
    try:
        now = read_pinned(job.image, git.at(base.commit), job.allowed_keys).pin
    except BotError as error:
        yield f"what {base.name} pins by now is not known: {error}"
        return
    if now.digest != pin.digest:
        yield f"{base.name} pins {now.ref} by now; {job.tag.name} is released as it says, with {pin.ref}"


def _require_platforms(image: Image, index: Content, repository: Repository) -> None:
    try:
        found = prove_index(index.body, content_type=index.media_type, header_digest=None, expected=index.digest)
    except NotProven as error:
        raise _not_proven(str(error), repository, index.digest) from None
    if missing := missing_of(image.policy.platforms, found.platforms):
        raise _not_proven(f"it lacks {', '.join(map(str, missing))}", repository, index.digest)


def _signed(image: Image, pin: Pin, at: Repository, verifier: Verifier) -> Signed | None:
    if image.signature is None:
        return None
    match verifier.verify(at, pin.digest, pin.ref, image.signature):
        case Signed() as signed:
            return signed
        case NotSigned(reason):
            raise _not_proven(f"{pin.ref} is not signed by upstream: {reason}", at, pin.digest)
        case Unanswered() as unanswered:
            raise ServiceError(unanswered.reason, where=f"{at}@{pin.digest}", next_step=unanswered.next_step)


def _refused(what: str, where: str, next_step: str) -> ReleaseError:
    return ReleaseError(what, where=where, next_step=next_step)


def _not_proven(what: str, repository: Repository, digest: Digest) -> IntegrityError:
    next_step = "Nothing was released. Do not use this image before upstream explains it."
    return IntegrityError(what, where=f"{repository}@{digest}", next_step=next_step)
