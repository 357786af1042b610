"""The two files that a release commit changes: drafted, written and committed, or put back as they were.

What a killed run left in them is known by its bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Protocol

import msgspec

from bot.core.model import SourceFile
from bot.core.release import changelog as texts
from bot.core.release.bump import FILES, Bump, subject
from bot.core.release.project import FILE as PROJECT
from bot.core.release.project import with_version
from bot.core.text import plain
from bot.errors import BotError, PinError, ReleaseError
from bot.flows.observe import Files


class Commits(Protocol):
    """The local repository: what is committed, what is about to be, and a commit more."""

    def head(self) -> str | None: ...

    def at(self, commit: str) -> Files: ...

    def staged(self, path: str) -> bytes | None: ...

    def commit(self, paths: Sequence[str], message: str) -> str: ...


class WorkFiles(Protocol):
    """The files of the checkout."""

    def read(self, paths: Iterable[str]) -> dict[str, SourceFile]: ...

    def write(self, before: Mapping[str, SourceFile], contents: Mapping[str, bytes]) -> None: ...


class ChangelogFile(Protocol):
    """The changelog's file where there is none."""

    def exists(self) -> bool: ...

    def create(self) -> None: ...

    def remove(self) -> None: ...


class Draft(msgspec.Struct, frozen=True):
    """Both files as they are, as they were before any bump, and as the release has them."""

    present: dict[str, SourceFile]
    originals: dict[str, bytes | None]
    """None: the last commit has no such file."""
    contents: dict[str, bytes]


def committed(git: Commits, commit: str, path: str) -> bytes | None:
    """A file's bytes at a commit; None where it is not there, or no plain file."""
    try:
        return git.at(commit).read([path])[path].data
    except PinError:
        return None


def drafted(
    made: Bump,
    git: Commits,
    files: WorkFiles,
    changelog: ChangelogFile,
    dirty: Sequence[str],
    head: str,
    today: date,
    repository: str,
) -> Draft | None:
    """What is to be written; None where one of the two files holds what no bump like this one wrote."""
    there = [path for path in FILES if path != texts.FILE or changelog.exists()]
    try:
        present = files.read(there)
    except PinError:
        if dirty:
            return None
        raise
    originals = {
        path: committed(git, head, path) if path in dirty else present[path].data if path in present else None
        for path in FILES
    }
    day = today
    if dirty and texts.FILE in present:  # the day may have changed since
        day = texts.day_of(present[texts.FILE].data.decode(errors="replace"), made.version) or today
    section = texts.section(made.version, day, made.entry, made.changes, made.previous, repository)
    contents = {
        texts.FILE: texts.with_section(originals[texts.FILE] or b"", made.version, section),
        PROJECT: with_version(originals[PROJECT] or b"", made.version),
    }
    for path in dirty:
        held = present[path].data if path in present else None
        known = {originals[path], contents[path], *([b""] if originals[path] is None else [])}
        if held not in known or git.staged(path) not in known:
            return None
    return Draft(present, originals, contents)


def committed_as(
    made: Bump, draft: Draft, git: Commits, files: WorkFiles, changelog: ChangelogFile, head: str, undoing: str
) -> str:
    """The release commit; both files are as they were where there is none."""
    present = dict(draft.present)
    try:
        if texts.FILE not in present:
            changelog.create()
            present[texts.FILE] = SourceFile(texts.FILE, b"")
        files.write(present, draft.contents)
        commit = git.commit(FILES, subject(made.tag))
    except BaseException as refused:
        if git.head() == head:
            _restore(draft, files, changelog, undoing, refused)
        raise
    return commit


def _restore(draft: Draft, files: WorkFiles, changelog: ChangelogFile, undoing: str, refused: BaseException) -> None:
    """Put both files back, whatever a hook has made of them since."""
    try:
        if draft.originals[texts.FILE] is None:
            changelog.remove()
        wanted = {path: data for path, data in draft.originals.items() if data is not None}
        now = files.read(wanted)
        files.write(now, {path: data for path, data in wanted.items() if now[path].data != data})
    except BotError as error:
        raise ReleaseError(
            f"no release was made ({plain(str(refused), 300)}), and its files could not be put back: {error.what}",
            where=error.where,
            next_step=f"Take them back by hand: {undoing}",
        ) from refused
