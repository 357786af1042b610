"""A release as a stranger sees it: a repository on GitHub at a tag, registries, and who says what is signed there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from bot.core.model import Image, ReleasePolicy, SourceFile
from bot.core.pins.sites import allowed_keys
from bot.core.plan import Pinned
from bot.core.proposal.shown import Blob, Commit
from bot.core.reference import Repository
from bot.core.release.github_release import Shown
from bot.flows.observe import read_pinned
from bot.flows.prove_release import Signer
from bot.flows.release_observe import Verifier
from bot.flows.retag import Source


class Read(msgspec.Struct, frozen=True):
    """The settings at the tag, as far as a release is concerned."""

    image: Image
    policy: ReleasePolicy


class OnGitHub(Protocol):
    """The repository on GitHub, as anybody sees it."""

    def tag(self, name: str) -> Commit | None: ...

    def blobs(self, commit: Commit, paths: Iterable[str]) -> dict[str, Blob]: ...

    def read(self, blobs: Mapping[str, Blob], paths: Iterable[str]) -> dict[str, SourceFile]: ...


class Outside(msgspec.Struct, frozen=True):
    """What a stranger has. `settings` parses gateway-bot.toml; `trust` keeps a private Sigstore's trusted root."""

    github: OnGitHub
    releases: Callable[[], Sequence[Shown]]
    registry: Callable[[Repository], Source]
    verifier: Verifier
    signer: Signer
    settings: Callable[[str], Read]
    trust: Callable[[str, bytes], None]
    git: str
    """The repository's page: https://github.com/OWNER/NAME."""


def read_at(commit: Commit, outside: Outside) -> tuple[Read, Pinned]:
    """The settings at the tag, and the pins that they name; a private trusted root is kept where cosign finds it."""
    name = "gateway-bot.toml"
    read = outside.settings(_files(outside.github, commit, [name])[name].data.decode(errors="replace"))
    pinned = read_pinned(read.image, _AtCommit(outside.github, commit), allowed_keys((read.image,)))
    signatures = (read.policy.signature, read.image.signature)
    roots = [each.trusted_root for each in signatures if each is not None and each.trusted_root]
    for path, file in _files(outside.github, commit, roots).items() if roots else ():
        outside.trust(path, file.data)
    return read, pinned


class _AtCommit:
    """The files of one commit, as the pins are read from."""

    def __init__(self, github: OnGitHub, commit: Commit) -> None:
        self._github = github
        self._commit = commit

    def read(self, paths: Iterable[str]) -> dict[str, SourceFile]:
        return _files(self._github, self._commit, list(dict.fromkeys(paths)))


def _files(github: OnGitHub, commit: Commit, paths: Sequence[str]) -> dict[str, SourceFile]:
    return github.read(github.blobs(commit, paths), paths)
