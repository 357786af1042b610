"""The ledger of an image's pins, from git alone: what the base pinned since when, and what was released with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

import msgspec

from bot.core.ledger import Entry, Ledger, OurRelease
from bot.core.model import Image, Pin
from bot.core.past import CommitThen, TagThen, gates_of, pull_request_of
from bot.core.past_pin import same
from bot.core.release.history import Branch
from bot.core.release.ours import is_our_tag
from bot.core.text import plain
from bot.errors import ServiceError
from bot.flows.past_pins import Contents, Images, PinsThen, Read, Seen

SETTINGS = "gateway-bot.toml"
_MOST_OF_A_MERGE = 1000
"""Commits that one merge brought, of which the messages are read: the newest."""

_UNKNOWN = datetime.fromtimestamp(0, UTC)


class PastGit(Contents, Protocol):
    """The local repository, many commits at once."""

    def base(self, name: str = "") -> Branch | None: ...

    def is_shallow(self) -> bool: ...

    def is_partial(self) -> bool: ...

    def parents(self, commit: str) -> dict[str, tuple[str, ...]]: ...

    def past_commits(self, shas: Iterable[str]) -> dict[str, CommitThen]: ...

    def past_tags(self) -> tuple[TagThen, ...]: ...


def history(image: Image, git: PastGit, base: str, images: Images, settings: str = SETTINGS) -> Ledger:
    """The ledger of one image on the branch `base`, empty for the remote's default.

    `images` reads the settings of a commit, which lie at `settings`; where it cannot, today's `image` counts. What is
    not here is no error: the ledger then says what it lacks. Raises ServiceError where git gives no answer.
    """
    branch = git.base(base)
    tip = branch.commit if branch else ""
    parents = git.parents(tip) if tip else {}
    line = _first_parents(parents, tip)
    tags = [tag for tag in git.past_tags() if is_our_tag(tag.name)]
    commits = git.past_commits([*line[-1:], *(tag.commit for tag in tags if tag.commit)])
    brought_at = _brought_at(parents, line)
    tagged = [tag.commit for tag in tags if tag.commit in commits and commits[tag.commit].tree]
    trees = [commits[sha].tree for sha in tagged if sha in brought_at]
    strange = [commits[sha].tree for sha in tagged if sha not in brought_at]
    cut = bool(line) and bool(commits[line[-1]].parents) and not parents[line[-1]]
    try:
        read = PinsThen(image, git, images, settings).read(tip, trees, strange)
    except ServiceError:
        if not git.is_partial():
            raise
        gone = Seen(why="its folders were not fetched", fetched=False)
        read = Read(((tip, gone),) if tip else (), dict.fromkeys([*trees, *strange], gone))
    known = _fetched(read.line)
    releases = _releases(tags, commits, read.trees, brought_at)
    entries = _entries(known, releases, _Past(git, parents, line, brought_at))
    begins_earlier = len(known) < len(read.line) or (cut and _reaches_the_cut(entries, known, line[-1], read))
    if entries and begins_earlier:
        entries = (*entries[:-1], msgspec.structs.replace(entries[-1], cut=True))
    is_shallow = git.is_shallow()
    listed = {release.tag for entry in entries for release in entry.releases}
    return Ledger(
        image=image.name,
        base=branch.name if branch else base or "main",
        entries=entries,
        elsewhere=tuple(release for release in _by_version(releases) if release.tag not in listed),
        lacks=_lacks(branch, base, tags, read, len(known), is_shallow=is_shallow),
        whole=branch is not None and not is_shallow and len(known) == len(read.line) and not _unfetched(read),
        unreadable=_unreadable(image, read) if branch else "",
    )


class _Past(msgspec.Struct, frozen=True):
    """The graph of the base: who came by whom. `brought_at` is the index in `line` of the commit that brought each."""

    git: PastGit
    parents: Mapping[str, tuple[str, ...]]
    line: Sequence[str]
    brought_at: Mapping[str, int]

    def brought_by(self, commits: Iterable[str]) -> dict[str, list[str]]:
        """The commits that each of these merges brought, newest first."""
        found: dict[int, list[str]] = {self.brought_at[sha]: [] for sha in commits if len(self.parents[sha]) > 1}
        for sha in self.parents if found else ():
            side = found.get(self.brought_at[sha])
            if side is not None and sha != self.line[self.brought_at[sha]] and len(side) < _MOST_OF_A_MERGE:
                side.append(sha)
        return {self.line[at]: side for at, side in found.items()}


def _first_parents(parents: Mapping[str, tuple[str, ...]], tip: str) -> list[str]:
    """Newest first."""
    line = []
    while tip:
        line.append(tip)
        tip = next(iter(parents.get(tip, ())), "")
    return line


def _brought_at(parents: Mapping[str, tuple[str, ...]], line: Sequence[str]) -> dict[str, int]:
    """For each commit that the base reaches, where on its line it came in."""
    found: dict[str, int] = {}
    for at in range(len(line) - 1, -1, -1):
        ahead = [line[at]]
        while ahead:
            sha = ahead.pop()
            if sha in parents and sha not in found:
                found[sha] = at
                ahead += parents[sha]
    return found


def _fetched(line: Sequence[tuple[str, Seen]]) -> Sequence[tuple[str, Seen]]:
    """Up to the first one that is not here: what lies behind it would be told with gaps that nobody sees."""
    return next((line[:at] for at, (_, seen) in enumerate(line) if not seen.fetched), line)


def _releases(
    tags: Sequence[TagThen], commits: Mapping[str, CommitThen], trees: Mapping[str, Seen], brought_at: Mapping[str, int]
) -> tuple[OurRelease, ...]:
    """All of ours, those that the base reaches first, in its order; of several at one place the highest first."""
    found = [_release(tag, commits.get(tag.commit), trees, on_base=tag.commit in brought_at) for tag in tags]
    return tuple(sorted(_by_version(found), key=lambda release: brought_at.get(release.commit, len(brought_at))))


def _by_version(releases: Iterable[OurRelease]) -> list[OurRelease]:
    return sorted(releases, key=lambda release: release.version, reverse=True)


def _release(tag: TagThen, commit: CommitThen | None, trees: Mapping[str, Seen], *, on_base: bool) -> OurRelease:
    seen = trees.get(commit.tree) if commit else None
    if seen is None:
        seen = Seen(why=f"the tag names a {tag.names}" if not tag.commit else "its commit cannot be read")
        if tag.names == "missing":
            seen = Seen(why="what the tag names was not fetched")
    date = tag.date or (commit.date if commit else _UNKNOWN)
    by = tag.by if tag.by is not None else commit.by if commit else ""
    return OurRelease(tag.name, tag.commit, date, by, on_base, seen.pin, "" if seen.pin else seen.why)


def _entries(known: Sequence[tuple[str, Seen]], releases: Sequence[OurRelease], past: _Past) -> tuple[Entry, ...]:
    """The stretches of one pin each, newest first. Where no pin can be read, the stretch before goes on."""
    starts: list[tuple[str, Pin, str]] = []
    for sha, seen in reversed(known):
        if seen.pin is not None and not (starts and same(starts[-1][1], seen.pin)):
            starts.append((sha, seen.pin, seen.file))
    sides = past.brought_by(sha for sha, _, _ in starts)
    commits = past.git.past_commits([*(sha for sha, _, _ in starts), *(sha for side in sides.values() for sha in side)])
    with_pin: dict[tuple[object, str], list[OurRelease]] = {}
    for release in releases:
        if release.on_base and release.pin is not None:
            with_pin.setdefault(_key(release.pin), []).append(release)
    entries: list[Entry] = []
    until = None
    for sha, pin, file in reversed(starts):
        commit = commits[sha]
        messages = (commits[each].message for each in (sha, *sides.get(sha, ())) if each in commits)
        entries.append(
            Entry(
                pin=pin,
                commit=sha,
                date=commit.date,
                by=commit.by,
                subject=commit.subject,
                file=file,
                pull_request=pull_request_of(commit.subject),
                gates=gates_of(pin.digest, messages),
                releases=tuple(with_pin.get(_key(pin), ())),
                until=until,
            )
        )
        until = commit.date
    return tuple(entries)


def _key(pin: Pin) -> tuple[object, str]:
    return pin.version, pin.digest


def _reaches_the_cut(entries: Sequence[Entry], known: Sequence[tuple[str, Seen]], end: str, read: Read) -> bool:
    """Whether the oldest entry may have begun before the line's end: it did there, or something there is unreadable."""
    return bool(entries) and known[-1][0] == end and (entries[-1].commit == end or read.existed)


def _unreadable(image: Image, read: Read) -> str:
    if not read.line:
        return f"{image.sites[0].file}: it is in no commit"
    return "" if read.line[0][1].pin is not None else read.line[0][1].why


def _unfetched(read: Read) -> int:
    return sum(not seen.fetched for seen in read.trees.values())


def _lacks(
    branch: Branch | None, base: str, tags: Sequence[TagThen], read: Read, known: int, *, is_shallow: bool
) -> tuple[str, ...]:
    found = []
    if branch is None:
        name = plain(base, 100) or "main"
        found.append(
            f"there is no branch {name} here, so nothing is known of its pins: `git fetch origin {name}` brings it; "
            "`base` in gateway-bot.toml names another one"
        )
    if is_shallow:
        found.append(
            "the clone is shallow: older pins, and which older tags the base reaches, are not known: "
            "`git fetch --unshallow --tags` (in GitHub Actions: `fetch-depth: 0` of the checkout)"
        )
    unfetched = _unfetched(read)
    if known < len(read.line) or unfetched:
        found.append(
            "the clone was made with a filter: older pins"
            + (f", and those of {unfetched} tagged commits," if unfetched else "")
            + " are not known, since their files were not fetched: `git fetch --refetch --no-filter --tags`"
        )
    if not tags:
        found.append(
            "no tag of a release, as v1.2.3, is here, so no pin is known to be good: where the remote has some, "
            "`git fetch --tags` (in GitHub Actions: `fetch-tags: true` of the checkout)"
        )
    return tuple(found)
