"""The GitHub Release of a version: what GitHub shows of it and what should be there -> what to do. Pure.

A release is a draft until it holds all of its files, because an immutable one takes none once it is published. Of
several drafts the oldest is published, whoever looks: two runs at once then work on the same one. Whatever else there
is of the tag is deleted afterwards, when it cannot be published any more, and only where nobody but us wrote in it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import msgspec

from bot.core.decoding import decode
from bot.core.issue_text import LIMIT, Topic, part_of, with_part
from bot.core.reference import Digest, digest_of
from bot.core.text import plain
from bot.core.versions import Version, parse_version

MAX_FILE = 100 * 1024 * 1024
"""Bytes; a file is held in memory while it is sent."""

_PART = Topic("release", "", "")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,198}[A-Za-z0-9])?")
"""Names that GitHub keeps as they are."""

_SHOWN = 5
_EDITED = "<details>\n<summary>What stood here before, with the changes that somebody made to it</summary>\n\n"


class ReleaseFile(msgspec.Struct, frozen=True):
    """A file that belongs to a release."""

    name: str
    content_type: str
    data: bytes

    @property
    def digest(self) -> Digest:
        return digest_of(self.data)


class WantedRelease(msgspec.Struct, frozen=True):
    """A release as it should be. `body` is Markdown; with `latest` it is shown as the latest, if it is the highest."""

    tag: str
    commit: str
    name: str
    body: str
    prerelease: bool
    latest: bool
    files: tuple[ReleaseFile, ...]


class Asset(msgspec.Struct, frozen=True):
    """A file of a release as GitHub shows it. Where an upload broke off, it is there, but not `uploaded`."""

    id: int
    name: str
    size: int
    uploaded: bool
    digest: Digest | None
    """None where this GitHub keeps none, as older enterprise servers do."""

    def holds(self, file: ReleaseFile) -> bool:
        """Whether these are its bytes, by digest, or by size where that is all there is."""
        known = self.digest is None or self.digest == file.digest
        return self.uploaded and known and self.size == len(file.data)


class Shown(msgspec.Struct, frozen=True):
    """A release, or the draft of one, as GitHub shows it."""

    id: int
    tag: str
    target: str
    name: str
    body: str
    draft: bool
    prerelease: bool
    immutable: bool
    url: str
    upload_url: str
    assets: tuple[Asset, ...] = ()

    def asset(self, name: str) -> Asset | None:
        return next((asset for asset in self.assets if asset.name == name), None)


class Changes(msgspec.Struct, frozen=True):
    """What is written over in a draft when it is published; None stays as it is."""

    target: str | None = None
    name: str | None = None
    body: str | None = None
    prerelease: bool | None = None


class Create(msgspec.Struct, frozen=True):
    """Make a draft."""

    tag: str
    commit: str
    name: str
    body: str
    prerelease: bool
    reason: str


class Upload(msgspec.Struct, frozen=True):
    """Add a file."""

    release: Shown
    file: ReleaseFile
    reason: str


class Remove(msgspec.Struct, frozen=True):
    """Delete a file, to make room for the right one of this name."""

    release: Shown
    asset: Asset
    reason: str


class Publish(msgspec.Struct, frozen=True):
    """Publish the draft, which is complete."""

    release: Shown
    changes: Changes
    latest: bool
    reason: str


class Discard(msgspec.Struct, frozen=True):
    """Delete a draft that was left over."""

    release: Shown
    reason: str


Step = Create | Upload | Remove | Publish | Discard


class Act(msgspec.Struct, frozen=True):
    """Take these steps in this order, then look again."""

    steps: tuple[Step, ...]


class Complete(msgspec.Struct, frozen=True):
    """All is there. `unproven` are files of which GitHub tells the size only."""

    release: Shown
    unproven: tuple[str, ...] = ()


class Impossible(msgspec.Struct, frozen=True):
    """The release cannot become what it should be."""

    what: str
    next_step: str
    where: str = ""


def decide(wanted: WantedRelease, shown: Sequence[Shown]) -> Act | Complete | Impossible:
    """What to do next. `shown`: all releases of the repository, drafts too."""
    if (fault := _unfit(wanted)) is not None:
        return fault
    there = [release for release in shown if release.tag == wanted.tag]
    published = next((release for release in there if not release.draft), None)
    if published is not None:
        return _of_published(wanted, published, [release for release in there if release.draft])
    draft = min(there, key=lambda release: (is_ours(release), release.id), default=None)
    body = draft.body if draft is not None else ""
    try:
        body = with_our_part(wanted, body)
    except ValueError as error:
        return Impossible(
            f"the text of the release {wanted.tag} is too long: {error}",
            "Make the changelog's section of this version shorter, or what stands beside it in the draft.",
        )
    if draft is None:
        create = Create(
            wanted.tag, wanted.commit, wanted.name, body, wanted.prerelease, f"{wanted.tag} had no release yet"
        )
        return Act((create,))
    if missing := _uploads(wanted, draft):
        return Act(missing)
    changes = Changes(
        target=wanted.commit if draft.target != wanted.commit else None,
        name=wanted.name if not draft.name else None,
        body=body if _same(draft.body) != _same(body) else None,
        prerelease=wanted.prerelease if draft.prerelease != wanted.prerelease else None,
    )
    return Act((Publish(draft, changes, is_latest(wanted, shown), f"the draft of {wanted.tag} holds all files"),))


def is_latest(wanted: WantedRelease, shown: Sequence[Shown]) -> bool:
    """Whether it may be shown as the latest: no release that is published, and no prerelease, has a higher version."""
    version = _stable(wanted.tag, flagged=wanted.prerelease)
    others = [
        _stable(release.tag, flagged=release.prerelease)
        for release in shown
        if not release.draft and release.tag != wanted.tag
    ]
    return wanted.latest and version is not None and all(other is None or other < version for other in others)


def is_ours(draft: Shown) -> bool:
    """Whether nobody but us wrote in a draft's text."""
    part = part_of(draft.body, _PART)
    if part is None or f"{draft.body[: part.begin]}{draft.body[part.end :]}".strip():
        return False
    return _mark(part.text) == _remembered(part.memory).text


def with_our_part(wanted: WantedRelease, body: str) -> str:
    """The text with our part of it as it should be; all that a person wrote stays. Raises ValueError for no room.

    Where a person changed our part, it stays as it is until there is something new to say, and is kept below then.
    """
    text = wanted.body.replace("<!-- /gateway-bot:", "<!-- /gateway-bot ").strip()
    memory = _Memory(wanted.tag, _mark(text))
    old = part_of(body, _PART)
    edited = old is not None and _mark(old.text) != _remembered(old.memory).text
    if old is not None and edited and _remembered(old.memory) == memory:
        return body
    whole = with_part(body, _PART, msgspec.json.encode(memory), text)
    if old is not None and edited:
        whole = f"{whole}\n\n{_EDITED}{old.text}\n\n</details>"
    if len(whole) > LIMIT:
        raise ValueError(f"with what a person changed it would have {len(whole):,} characters")
    return whole


def _of_published(wanted: WantedRelease, release: Shown, drafts: Sequence[Shown]) -> Act | Complete | Impossible:
    others = [
        file.name
        for file in wanted.files
        if (asset := release.asset(file.name)) is not None and asset.uploaded and not asset.holds(file)
    ]
    if others:
        return Impossible(
            f"{wanted.tag} is published with other bytes in {_listed(others)} than those that belong to it now",
            "Nothing was changed. If the published files are wrong, release the next version: `gateway-bot release "
            "bump patch`; if they are right, find out what differs: `gateway-bot release verify` proves them.",
            release.url,
        )
    missing = _uploads(wanted, release)
    if missing and release.immutable:
        names = [step.file.name for step in missing if isinstance(step, Upload)]
        return Impossible(
            f"{wanted.tag} is published without {_listed(names)}, and an immutable release takes no more files",
            "Nothing was changed. Release the next version: `gateway-bot release bump patch`.",
            release.url,
        )
    if missing:
        return Act(missing)
    known = {file.name for file in wanted.files}
    discarded = [
        Discard(draft, f"{wanted.tag} is published; an unfinished draft of it was left over")
        for draft in drafts
        if is_ours(draft) and {asset.name for asset in draft.assets} <= known
    ]
    if discarded:
        return Act(tuple(discarded))
    assets = (release.asset(file.name) for file in wanted.files)
    return Complete(release, tuple(asset.name for asset in assets if asset is not None and asset.digest is None))


def _uploads(wanted: WantedRelease, release: Shown) -> tuple[Upload | Remove, ...]:
    """What is missing, and what is in the place of it."""
    steps: list[Upload | Remove] = []
    for file in wanted.files:
        asset, reason = release.asset(file.name), "it was missing"
        if asset is not None and asset.holds(file):
            continue
        if asset is not None:
            reason = "it held other bytes" if asset.uploaded else "its upload had broken off"
            steps.append(Remove(release, asset, reason))
        steps.append(Upload(release, file, reason))
    return tuple(steps)


def _unfit(wanted: WantedRelease) -> Impossible | None:
    """What GitHub would change or refuse, so that nothing is begun that cannot be finished."""
    names = [file.name for file in wanted.files]
    wrong = [name for name in names if not _NAME.fullmatch(name)]
    if wrong or len({name.lower() for name in names}) != len(names):
        what = f"GitHub would rename {_listed(wrong)}" if wrong else "two files of the release have the same name"
        return Impossible(what, "Give the image in gateway-bot.toml a name of letters, digits, dots and dashes.")
    sizes = [file.name for file in wanted.files if not 0 < len(file.data) <= MAX_FILE]
    if sizes:
        what = f"{_listed(sizes)} is empty or larger than {MAX_FILE:,} bytes"
        return Impossible(what, "Look at what made it: no SBOM of an image is like that.")
    return None


class _Memory(msgspec.Struct, frozen=True):
    """Of our part: the tag, and the mark of the text as we wrote it."""

    tag: str = ""
    text: str = ""


def _remembered(memory: bytes) -> _Memory:
    try:
        return decode(memory, _Memory)
    except (msgspec.DecodeError, RecursionError):
        return _Memory()


def _mark(text: str) -> str:
    return hashlib.sha256(_same(text).encode(errors="replace")).hexdigest()[:16]


def _same(text: str) -> str:
    """GitHub may store CRLF and cut white space at the end."""
    return text.replace("\r\n", "\n").strip()


def _stable(tag: str, *, flagged: bool) -> Version | None:
    version = parse_version(tag)
    return None if version is None or version.prerelease or flagged else version


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(plain(name, 80) for name in names[:_SHOWN]) + more
