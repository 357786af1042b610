"""CHANGELOG.md where there is none yet, and the commits of a release as git-cliff reads them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from bot.adapters.programs import Programs
from bot.core.decoding import decode
from bot.core.release.changelog import FILE, Change
from bot.core.text import plain
from bot.errors import PinError, ServiceError

_PROGRAM = "git-cliff"
_SECONDS = 120
_OUTPUT = 64 * 1024 * 1024
_TEXT = 2000
"""Characters of one text of a commit that are kept."""

_CONFIG = r"""
[changelog]
header = ""
body = ""
footer = ""

[git]
conventional_commits = true
filter_unconventional = false
require_conventional = false
split_commits = false
filter_commits = false
protect_breaking_commits = true
commit_parsers = []
link_parsers = []
tag_pattern = "^$"
sort_commits = "newest"

# A body that follows its subject without a blank line is a body all the same; what git itself writes is a revert.
[[git.commit_preprocessors]]
pattern = '\A([^\r\n]+)\r?\n([^\r\n])'
replace = "${1}\n\n${2}"

[[git.commit_preprocessors]]
pattern = '\ARevert "([^\r\n]*)"'
replace = "revert: ${1}"
"""
"""Every commit, whatever it says, and no tag: which commits belong to a release is asked for by their hashes."""


class _Commit(msgspec.Struct):
    id: str
    message: str
    conventional: bool
    group: str | None = None
    scope: str | None = None
    breaking: bool | None = None
    breaking_description: str | None = None


class _Release(msgspec.Struct):
    commits: list[_Commit]


class Changelog:
    """The changelog of the checkout at `root`. PATH and HOME, and so who is trusted, are those of `environ`."""

    def __init__(self, root: Path, environ: Mapping[str, str]) -> None:
        self._root = root
        self._home = {name: environ[name] for name in ("HOME", "XDG_CONFIG_HOME") if name in environ}
        self._programs = Programs(environ, lambda _: None)

    def changes(self, since: str | None, until: str) -> dict[str, Change]:
        """What `until` reaches and `since` does not (two full hashes; None: everything), by the commit's hash.

        What the repository's own .cliffignore names is left out. Raises ServiceError.
        """
        if self._programs.find(_PROGRAM) is None:
            raise ServiceError(
                f"{_PROGRAM} is not installed",
                where=_PROGRAM,
                next_step="Install the bot with its extra `release`: docs/release.md says how.",
            )
        ends = until if since is None else f"{since}..{until}"
        with tempfile.TemporaryDirectory(prefix="gateway-bot-") as folder:
            config = Path(folder) / "cliff.toml"
            config.write_text(_CONFIG)
            done = self._programs.run(
                _PROGRAM,
                ["--offline", "--no-exec", "--config", str(config), "--repository", str(self._root.resolve()),
                 "--context", "--", ends],
                seconds=_SECONDS,
                variables=self._home,
                max_bytes=_OUTPUT,
                folder=Path(folder),
            )  # fmt: skip
        try:
            releases = decode(done.out, list[_Release])
        except (ValueError, RecursionError) as error:
            said = done.err.decode(errors="replace") if done.code else str(error)
            raise ServiceError(
                f"{_PROGRAM} says nothing that can be read: {plain(said, 300)}",
                where=_PROGRAM,
                next_step="Install the one that comes with the bot's extra `release`: docs/release.md says how.",
            ) from None
        return {each.id: _change(each) for release in releases for each in release.commits}

    def exists(self) -> bool:
        """Whether there is a CHANGELOG.md, whatever it is."""
        return os.path.lexists(self._root / FILE)

    def create(self) -> None:
        """An empty CHANGELOG.md where there is none. Raises PinError."""
        try:
            (self._root / FILE).touch(exist_ok=False)
        except OSError as error:
            raise PinError(
                f"cannot be made: {error.strerror}", where=FILE, next_step="Make the folder writable, and run it again."
            ) from None

    def remove(self) -> None:
        """Take back what `create` made."""
        (self._root / FILE).unlink(missing_ok=True)


def _change(commit: _Commit) -> Change:
    kind = (commit.group or "") if commit.conventional else ""
    breaking = (commit.breaking_description or commit.message) if commit.breaking else ""
    subject = commit.message.partition("\n")[0]
    return Change(commit.id, kind[:_TEXT], (commit.scope or "")[:_TEXT], subject[:_TEXT], breaking[:_TEXT])
