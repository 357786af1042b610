"""What the next release is, or why there is none: from what the repository, its pins and its settings say. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Literal

import msgspec

from bot.core.holds import hold_on, said
from bot.core.model import Image, Pin
from bot.core.pins.sites import Drift
from bot.core.release import changelog
from bot.core.release.changelog import Change, image_entry, named
from bot.core.release.history import Branch, Commit, Status
from bot.core.release.project import FILE as PROJECT
from bot.core.release.pushed import Pushed, start_by_hand
from bot.core.text import plain
from bot.core.versions import Version, parse_version
from bot.errors import PinError, PolicyError, ReleaseError

Part = Literal["patch", "minor", "major"]

FILES = (PROJECT, changelog.FILE)
"""What a release commit changes, and nothing else."""

_PARTS: tuple[Part, ...] = ("major", "minor", "patch")
_TAG = re.compile(r"v[0-9]+\.[0-9]+\.[0-9]+")
_SUBJECT = re.compile(r"chore\(release\): (v[0-9]+\.[0-9]+\.[0-9]+)")
_LISTED = 10
_TEMPORARY = re.compile(rf"\.(?:{'|'.join(map(re.escape, FILES))})\.gateway-bot-[A-Za-z0-9_]+")


class Place(msgspec.Struct, frozen=True):
    """Where a release is made: what is checked out, of which branch, beside which tags."""

    shallow: bool
    head: Commit | None
    branch: str | None
    base: Branch | None
    wanted_base: str
    """As it was asked for, for what is said where there is none."""
    follows: bool
    """Whether HEAD has all that the base has."""
    tags: tuple[str, ...]
    reachable: tuple[str, ...]
    """The tags that HEAD reaches."""
    project: Version
    """What pyproject.toml says at HEAD."""


class Since(msgspec.Struct, frozen=True):
    """What there is since the previous release; `pin` is what it had, or None with the reason in `unknown`."""

    pin: Pin | None
    unknown: str
    changes: tuple[Change, ...]
    commits: int


class Bump(msgspec.Struct, frozen=True):
    """A release to make: what its version is and came from, and what it holds."""

    version: Version
    tag: str
    previous: str
    """The tag of the release before; empty for the first."""
    pin: Pin
    entry: str
    """What the changelog says of the image; empty where it is the one that was released before."""
    changes: tuple[Change, ...]
    left_out: int
    """Commits that the changelog does not name."""
    notes: tuple[str, ...] = ()


class BumpedJson(msgspec.Struct, frozen=True):
    """What `release bump --json` prints; `did` is `bumped`, or `tagged` where the commit was there already, or `found`
    where the tag was, too.
    """

    ok: bool
    exit_code: int
    did: str
    version: str
    tag: str
    previous: str
    commit: str
    image: str
    ref: str
    digest: str
    changes: int
    left_out: int
    notes: list[str]
    pushed: bool
    run: str
    next: str


class Bumped(msgspec.Struct, frozen=True):
    """A release that is committed and tagged here, and pushed where `pushed` says so."""

    image: str
    bump: Bump
    commit: str
    did: Literal["bumped", "tagged", "found"]
    push: str
    """The command that publishes it."""
    pushed: Pushed | None = None

    @property
    def exit_code(self) -> int:
        return 0

    @property
    def next(self) -> str:
        """The command that is left to run, so that it is published; empty where there is none."""
        if self.pushed is None:
            return self.push
        return start_by_hand(self.pushed.workflow, self.bump.tag) if self.pushed.starts == "by hand" else ""

    def json(self) -> bytes:
        """One line of JSON, without its end; the shape is BumpedJson's."""
        bump = self.bump
        return msgspec.json.encode(
            BumpedJson(
                ok=True,
                exit_code=self.exit_code,
                did=self.did,
                version=str(bump.version),
                tag=bump.tag,
                previous=bump.previous,
                commit=self.commit,
                image=self.image,
                ref=bump.pin.ref,
                digest=bump.pin.digest,
                changes=len(bump.changes),
                left_out=bump.left_out,
                notes=list(bump.notes),
                pushed=self.pushed is not None,
                run=self.pushed.run if self.pushed else "",
                next=self.next,
            )
        )

    def text(self) -> str:
        """For a person: what was made, what was pushed and started, and what is left to do."""
        bump, short = self.bump, self.commit[:12]
        since = f"after {bump.previous}" if bump.previous else "the first release"
        if self.did == "found":
            lines = [f"{bump.tag}: commit {short} and its tag were there already"]
        elif self.did == "tagged":
            lines = [f"{bump.tag}: tagged {short}, its release commit, which was there already"]
        else:
            lines = [f"{bump.tag}: {since}; commit {short} and an annotated tag"]
            lines += [f"  {bump.entry}"] if bump.entry else []
            count = len(bump.changes)
            lines.append(f"  {changelog.FILE} names {count} change{'s' * (count != 1)}")
            if bump.left_out:
                lines.append(
                    f"  left out: {_commits(bump.left_out)} of other types, or outside of Conventional Commits"
                )
        lines += [f"  note: {note}" for note in bump.notes]
        lines += self.pushed.lines(bump.tag) if self.pushed else []
        lines += [f"  next: {self.next}"] if self.next else []
        return "\n".join(lines)


def release_of(tag: str) -> Version | None:
    """The version of a release's tag, `vX.Y.Z`; None for prereleases, variants, and tags of other things."""
    return parse_version(tag) if _TAG.fullmatch(tag) else None


def newest(tags: Iterable[str]) -> tuple[str, Version] | None:
    """The tag of the highest release among these, with its version."""
    found = [(version, tag) for tag in tags if (version := release_of(tag)) is not None]
    best = max(found, default=None)
    return (best[1], best[0]) if best else None


def subject(tag: str) -> str:
    """The subject of a release commit."""
    return f"chore(release): {tag}"


def tag_in(subject: str) -> str | None:
    """The tag whose release commit has this subject; None for every other subject."""
    match = _SUBJECT.fullmatch(subject)
    return match[1] if match else None


def next_version(place: Place, part: Part) -> Version:
    """One step from the highest of what was released and what pyproject.toml says. Raises ReleaseError."""
    released = newest(place.reachable)
    before = max(place.project, released[1]) if released else place.project
    numbers = list(before.release)
    step = _PARTS.index(part)
    numbers = [*numbers[:step], numbers[step] + 1, *[0] * (2 - step)]
    version = parse_version(".".join(map(str, numbers)))
    if version is None:
        raise ReleaseError(
            f"nothing comes after {before}", where=PROJECT, next_step="Release a version with smaller numbers."
        )
    return version


def require_place(place: Place) -> None:
    """Raises ReleaseError where no release may be made from what is checked out."""
    if place.shallow:
        raise ReleaseError(
            "the clone is shallow: which releases there were cannot be told",
            where=".git/shallow",
            next_step="Run `git fetch --unshallow --tags`.",
        )
    if place.head is None:
        raise ReleaseError("there is no commit yet", where="HEAD", next_step="Commit the project first.")
    if place.base is None:
        raise ReleaseError(
            f"there is no branch {plain(place.wanted_base or 'main', 80)}, here or at the remote",
            where="git",
            next_step='Say in gateway-bot.toml which branch releases are made of: base = "...", or run '
            "`git remote set-head origin --auto`.",
        )
    if place.branch != place.base.name:
        here = f"on {plain(place.branch, 80)}" if place.branch else "on no branch (HEAD is detached)"
        raise ReleaseError(
            f"releases are made on {plain(place.base.name, 80)}, and this is {here}",
            where="HEAD",
            next_step=f"git switch {plain(place.base.name, 80)}"
            + ("" if place.branch else f" (in GitHub Actions: `ref: {plain(place.base.name, 80)}` of the checkout)"),
        )
    if not place.follows:
        tag = tag_in(place.head.subject)
        raise ReleaseError(
            f"{plain(place.base.name, 80)} lacks commits that its remote has",
            where="HEAD",
            next_step=f"A release was made here and not pushed; undo it, and bump again after: git tag -d {tag} && "
            "git reset --hard HEAD~1 && git pull --ff-only"
            if tag
            else "git pull --ff-only, or --rebase where there are commits of your own",
        )


def undo(*, has_changelog: bool) -> str:
    """The command that takes both files back to the last commit, which has a changelog or not."""
    if has_changelog:
        return f"git restore --staged --worktree -- {PROJECT} {changelog.FILE}"
    kept = f"git restore --staged --worktree -- {PROJECT}"
    return f"{kept} && git rm --quiet --cached --ignore-unmatch -- {changelog.FILE} && rm -f {changelog.FILE}"


def uncommitted(status: Status) -> tuple[str, ...]:
    """What is not committed, but for what a killed bump prepared beside its files: the next write clears that away."""
    left = {path for path in status.untracked if _TEMPORARY.fullmatch(path)}
    return tuple(path for path in status.dirty if path not in left)


def require_clean(dirty: Sequence[str], undoing: str) -> None:
    """Raises ReleaseError where something is not committed."""
    if dirty:
        raise not_clean(dirty, undoing)


def not_clean(dirty: Sequence[str], undoing: str) -> ReleaseError:
    """The refusal of a tree with these paths; `undoing` is the command that takes the release's own two files back."""
    shown = ", ".join(plain(path, 120) for path in dirty[:_LISTED])
    more = f" and {len(dirty) - _LISTED:,} more" if len(dirty) > _LISTED else ""
    own = set(dirty) <= set(FILES)
    return ReleaseError(
        f"the tree is not clean: {shown}{more}",
        where="git status",
        next_step=f"Commit them, or take them back: {undoing}" if own else "Commit them, remove them, or git stash -u.",
    )


def require_pin(image: Image, pin: Pin, drift: Sequence[Drift], today: date) -> None:
    """Raises PinError where the pinned files disagree, PolicyError where what they pin is on hold."""
    if drift:
        first = drift[0]
        raise PinError(
            f"holds {plain(first.holds, 200)}, {image.sites[0].file} says {first.expected}"
            + (f"; {len(drift)} places disagree" if len(drift) > 1 else ""),
            where=first.where,
            next_step="Run `gateway-bot check --fix`, review and commit what it changes.",
        )
    hold = hold_on(image.policy.holds, pin.version, pin.digest, today)
    if hold is not None:
        raise PolicyError(
            f"{pin.ref} is {plain(said(hold), 500)}",
            where="gateway-bot.toml",
            next_step="Pin a release that is not on hold, or take the hold out when its reason is gone.",
        )


def decide(image: Image, place: Place, pin: Pin, since: Since, part: Part) -> Bump:
    """The release that this part asks for. Raises ReleaseError where it exists, or there is nothing to release."""
    released = newest(place.reachable)
    version = next_version(place, part)
    tag = f"v{version}"
    if tag in place.tags:
        raise ReleaseError(
            f"the tag {tag} exists already" + ("" if tag in place.reachable else ", on another branch"),
            where=tag,
            next_step=f"See what it is: git show {tag}. Another part, or a higher version in {PROJECT}, goes past it.",
        )
    previous = released[0] if released else ""
    moved = since.pin is None or (since.pin.ref, since.pin.digest) != (pin.ref, pin.digest)
    changes = named(since.changes, image.name, moved=moved)
    if not changes and (not moved or (previous and not since.commits)):
        raise ReleaseError(
            f"nothing to release: {_commits(since.commits)} since {previous}"
            + (", none of which the changelog names, and the same image" if since.commits else ""),
            where=previous,
            next_step="A commit of type feat, fix, perf, security, revert or deps, a breaking one, or another image "
            "makes a release.",
        )
    notes = list(_notes(place, released))
    if previous and since.pin is None:
        notes.append(f"the image at {previous} is not known: {plain(since.unknown, 300)}")
    entry = image_entry(pin, since.pin) if moved else ""
    return Bump(version, tag, previous, pin, entry, changes, since.commits - len(changes), tuple(notes))


def _notes(place: Place, released: tuple[str, Version] | None) -> Sequence[str]:
    if released is None:
        return [f"there was no release yet: it goes from {place.project} in {PROJECT}"]
    if released[1] != place.project:
        higher = max(place.project, released[1])
        return [f"{PROJECT} says {place.project}, the newest release is {released[0]}: it goes from {higher}"]
    return []


def _commits(count: int) -> str:
    return f"{count:,} commit{'s' * (count != 1)}" if count else "no commits"
