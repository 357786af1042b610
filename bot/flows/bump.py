"""The next release of the project: its version, its section in the changelog, one commit, one annotated tag.

Killed anywhere and run again it goes on: what it left in its two files it knows by their bytes, and a release commit
without a tag by its subject and its version. So does a push: what is at the remote and runs there is left alone.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date
from typing import Literal, Protocol

import msgspec

from bot.core.model import Image, Pin
from bot.core.pins.sites import drift
from bot.core.release import changelog as texts
from bot.core.release.bump import (
    FILES,
    Bump,
    Bumped,
    Part,
    Place,
    Since,
    decide,
    newest,
    not_clean,
    require_clean,
    require_pin,
    require_place,
    uncommitted,
    undo,
)
from bot.core.release.changelog import Change
from bot.core.release.history import Branch, Commit, GitTag, Status
from bot.core.release.project import FILE as PROJECT
from bot.core.release.project import project_version
from bot.core.release.resumed import finished, unfinished
from bot.core.text import plain
from bot.core.versions import Version
from bot.errors import BotError, PinError, ReleaseError, UsageError
from bot.flows.bump_files import ChangelogFile, WorkFiles, committed, committed_as, drafted
from bot.flows.observe import Files, read_pinned
from bot.flows.push_release import Publisher, published

_NO_VERSION = Version("0.0.0", (0, 0, 0))


class Repository(Protocol):
    """The local repository."""

    def alone(self) -> AbstractContextManager[None]: ...

    def is_shallow(self) -> bool: ...

    def status(self) -> Status: ...

    def head(self) -> str | None: ...

    def resolve(self, rev: str) -> str | None: ...

    def branch(self) -> str | None: ...

    def base(self, name: str = "") -> Branch | None: ...

    def remote(self, branch: str) -> str: ...

    def tags(self, reached_by: str | None = None) -> tuple[GitTag, ...]: ...

    def commits(self, since: str | None, until: str = "HEAD") -> tuple[Commit, ...]: ...

    def commit_of(self, rev: str) -> Commit: ...

    def is_ancestor(self, commit: str, of: str) -> bool: ...

    def changed_by(self, commit: str) -> tuple[str, ...]: ...

    def staged(self, path: str) -> bytes | None: ...

    def at(self, commit: str) -> Files: ...

    def commit(self, paths: Sequence[str], message: str) -> str: ...

    def tag(self, name: str, commit: str, message: str) -> None: ...

    def push(self, remote: str, branch: str, tag: str) -> bool: ...


class Changelog(ChangelogFile, Protocol):
    """The changelog's file, and what commits say."""

    def changes(self, since: str | None, until: str) -> dict[str, Change]: ...


def bump(
    part: Part,
    image: Image,
    git: Repository,
    files: WorkFiles,
    changelog: Changelog,
    allowed_keys: Mapping[str, frozenset[str]],
    today: date,
    repository: str = "",
    base: str = "",
    publisher: Publisher | None = None,
) -> Bumped:
    """Commit and tag the next release here; with a publisher also push it, and start what publishes it.

    `today` is in UTC, `repository` is OWNER/NAME on github.com where it is known, `base` the branch that releases are
    made on, if not the remote's default. Raises BotError with nothing changed: UsageError for a project without a
    version, ReleaseError for a repository that is in no state to release, or where there is nothing to release,
    PinError for drift, PolicyError for a pin on hold. After that, with the release made here: ForgeError where the
    push is refused, or GitHub does not start the workflow; ServiceError where one of them is not reached.
    """
    with git.alone():
        again = publisher is not None
        done = _bump(part, image, git, files, changelog, allowed_keys, today, repository, base, again=again)
        return done if publisher is None else published(done, git, publisher)


def _bump(
    part: Part,
    image: Image,
    git: Repository,
    files: WorkFiles,
    changelog: Changelog,
    allowed_keys: Mapping[str, frozenset[str]],
    today: date,
    repository: str,
    base: str,
    *,
    again: bool,
) -> Bumped:
    """`again`: a release that is made already is an answer, and not that there is nothing to release."""
    place = _place(git, base)
    require_place(place)
    head = _head(place)
    dirty = uncommitted(git.status())
    undoing = undo(has_changelog=committed(git, head, texts.FILE) is not None)
    if set(dirty) - set(FILES):
        require_clean(dirty, undoing)
    pinned = read_pinned(image, files, allowed_keys)
    require_pin(image, pinned.pin, drift(image, pinned.held, pinned.pin), today)
    parent = _parent(git)
    tag = unfinished(place, part, parent)
    if tag is not None:
        require_clean(dirty, undoing)
        return _tagged(image, place, git, _left(place, tag, pinned.pin), head, "tagged")
    made_before = finished(place, part, parent, _tags_on(git, head)) if again else None
    if made_before is not None:
        require_clean(dirty, undoing)
        return _done(image, place, git, _left(place, made_before, pinned.pin), head, "found")
    try:
        made = decide(image, place, pinned.pin, _since(image, place, git, changelog, allowed_keys), part)
    except ReleaseError:
        require_clean(dirty, undoing)
        raise
    draft = drafted(made, git, files, changelog, dirty, head, today, repository)
    if draft is None:
        raise not_clean(dirty, undoing)
    commit = committed_as(made, draft, git, files, changelog, head, undoing)
    return _tagged(image, place, git, made, commit, "bumped")


def _place(git: Repository, base: str) -> Place:
    head = git.head()
    found = git.base(base)
    return Place(
        shallow=git.is_shallow(),
        head=git.commit_of(head) if head else None,
        branch=git.branch(),
        base=found,
        wanted_base=base,
        follows=bool(head and found and git.is_ancestor(found.commit, head)),
        tags=tuple(tag.name for tag in git.tags()),
        reachable=tuple(tag.name for tag in git.tags(head)) if head else (),
        project=_version_at(git, head) if head else _NO_VERSION,
    )


def _head(place: Place) -> str:
    return place.head.sha if place.head else ""


def _version_at(git: Repository, commit: str) -> Version:
    source = committed(git, commit, PROJECT)
    if source is None:
        raise UsageError(
            "the last commit has no such file, so the project has no version",
            where=PROJECT,
            next_step='Commit one with [project], `name` and `version = "0.1.0"`.',
        )
    return project_version(source)


def _parent(git: Repository) -> Version | None:
    """What the project's version was one commit ago, where it can be told."""
    commit = git.resolve("HEAD^")
    try:
        return _version_at(git, commit) if commit else None
    except BotError:
        return None


def _tags_on(git: Repository, commit: str) -> tuple[str, ...]:
    return tuple(tag.name for tag in git.tags() if tag.commit == commit)


def _since(
    image: Image, place: Place, git: Repository, changelog: Changelog, allowed_keys: Mapping[str, frozenset[str]]
) -> Since:
    released = newest(place.reachable)
    since = git.resolve(f"refs/tags/{released[0]}") if released else None
    commits = git.commits(since, _head(place))
    said = changelog.changes(since, _head(place)) if commits else {}
    pin, unknown = None, ""
    if since is not None:
        # the other places need not have agreed, nor have been there
        first = msgspec.structs.replace(image, sites=image.sites[:1])
        try:
            pin = read_pinned(first, git.at(since), allowed_keys).pin
        except PinError as error:
            unknown = str(error)
    return Since(pin, unknown, tuple(said[commit.sha] for commit in commits if commit.sha in said), len(commits))


def _left(place: Place, tag: str, pin: Pin) -> Bump:
    """The release whose commit is there already."""
    released = newest(name for name in place.reachable if name != tag)
    return Bump(place.project, tag, released[0] if released else "", pin, "", (), 0)


def _tagged(
    image: Image, place: Place, git: Repository, made: Bump, commit: str, did: Literal["bumped", "tagged"]
) -> Bumped:
    """The release, with its tag."""
    others = sorted(set(git.changed_by(commit)) - set(FILES))
    if others:
        raise ReleaseError(
            f"the commit of {made.tag} changes other files too: {', '.join(plain(path, 120) for path in others[:10])}",
            where=commit[:12],
            next_step="A hook has added them. Take the commit back with `git reset --soft HEAD^`, commit them by "
            "themselves, and bump again.",
        )
    git.tag(made.tag, commit, made.tag)
    return _done(image, place, git, made, commit, did)


def _done(
    image: Image, place: Place, git: Repository, made: Bump, commit: str, did: Literal["bumped", "tagged", "found"]
) -> Bumped:
    branch = place.branch or ""
    push = shlex.join(["git", "push", "--atomic", git.remote(branch), branch, made.tag])
    return Bumped(image.name, made, commit, did, push)
