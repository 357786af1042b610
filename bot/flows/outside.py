"""A release as a stranger sees it: a repository on GitHub at a tag, registries, and who says what is signed there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import msgspec
from msgspec.structs import replace

from bot.core.model import Image, PatternSite, ReleasePolicy, Signature, SourceFile
from bot.core.pins.sites import allowed_keys
from bot.core.pins.text import text_of
from bot.core.plan import Pinned
from bot.core.proposal.shown import Blob, Commit
from bot.core.reference import Repository
from bot.core.release.github_release import Shown
from bot.core.text import plain
from bot.errors import PinError, UsageError
from bot.flows.observe import read_pinned
from bot.flows.prove_release import Signer
from bot.flows.release_observe import Verifier
from bot.flows.retag import Source

_FILE = "gateway-bot.toml"
_TRIAL_SECONDS = 10.0
"""For all regular expressions of the pins: they are a stranger's, and may be made never to end."""


class Read(msgspec.Struct, frozen=True):
    """The settings at a commit, as far as a release is concerned. `base` is empty for the default branch."""

    image: Image
    policy: ReleasePolicy
    base: str = ""


class AtTag(msgspec.Struct, frozen=True):
    """What the repository says at the tag. `roots`: where each trusted root that is named is kept for cosign."""

    image: Image
    policy: ReleasePolicy
    pinned: Pinned
    roots: Mapping[str, str]


class OnGitHub(Protocol):
    """The repository on GitHub, as anybody sees it."""

    def tag(self, name: str) -> Commit | None: ...

    def default_branch(self) -> str: ...

    def head(self, branch: str) -> Commit | None: ...

    def reaches(self, head: str, commit: str) -> bool: ...

    def blobs(self, commit: Commit, paths: Iterable[str]) -> dict[str, Blob]: ...

    def read(self, blobs: Mapping[str, Blob], paths: Iterable[str]) -> dict[str, SourceFile]: ...


class Expressions(Protocol):
    """Tries regular expressions where they can be stopped."""

    def end(self, patterns: Sequence[tuple[str, str]], texts: Mapping[str, str], seconds: float) -> bool: ...


class Outside(msgspec.Struct, frozen=True):
    """What a stranger has. `settings` parses gateway-bot.toml; `keep` keeps a trusted root, and says where."""

    github: OnGitHub
    releases: Callable[[], Sequence[Shown]]
    registry: Callable[[Repository], Source]
    verifier: Verifier
    signer: Signer
    settings: Callable[[str], Read]
    expressions: Expressions
    keep: Callable[[bytes], str]
    root: SourceFile | None
    """A trusted root that who asks gives, in place of those that the repository names."""
    git: str
    """The repository's page: https://github.com/OWNER/NAME."""


def read_at(commit: Commit, outside: Outside) -> AtTag:
    """The settings at the tag, and the pins that they name; trusted roots are kept where cosign finds them.

    With a root of who asks, the signatures name that one. Raises UsageError, PinError, ForgeError.
    """
    read = _settings(commit, outside)
    given = outside.root.path if outside.root else ""
    policy = replace(read.policy, signature=_with_root(read.policy.signature, given))
    theirs = _with_root(read.image.signature, given) if read.image.signature else None
    image = replace(read.image, signature=theirs)
    signatures = (policy.signature, theirs)
    named = list(dict.fromkeys(each.trusted_root for each in signatures if each is not None and each.trusted_root))
    files: Mapping[str, SourceFile] = {given: outside.root} if outside.root else {}
    files = files or (_files(outside.github, commit, named) if named else {})
    roots = {path: outside.keep(_json(files[path])) for path in named}
    return AtTag(image, policy, _pinned(image, commit, outside), roots)


def merged(commit: Commit, outside: Outside) -> tuple[str, bool]:
    """The branch that releases are made from, and whether the commit is on it.

    It is the repository's default branch, or the `base` that the settings there name: those at the tag are whoever
    pushed the tag's. Raises BotError where GitHub does not say.
    """
    github = outside.github
    branch = github.default_branch()
    head = github.head(branch)
    if head is None:
        return branch, False
    try:
        base = _settings(head, outside).base
    except (UsageError, PinError):  # there are none any more, or a newer bot's
        base = ""
    if base and base != branch:
        branch, head = base, github.head(base)
    # by its commit: what has a branch's name may be a tag as well
    return branch, head is not None and github.reaches(head.sha, commit.sha)


def _settings(commit: Commit, outside: Outside) -> Read:
    return outside.settings(_files(outside.github, commit, [_FILE])[_FILE].data.decode(errors="replace"))


def _with_root(signature: Signature, given: str) -> Signature:
    """Where a private Sigstore is named, it is the given one; the public one stays what it is."""
    return replace(signature, trusted_root=given) if given and signature.trusted_root else signature


def _json(file: SourceFile) -> bytes:
    try:
        json.loads(file.data)
    except (ValueError, RecursionError):
        raise UsageError(
            "the trusted root is no JSON",
            where=plain(file.path, 300),
            next_step="Make it with `cosign trusted-root create`, from what your Sigstore says of itself.",
        ) from None
    return file.data


def _pinned(image: Image, commit: Commit, outside: Outside) -> Pinned:
    paths = list(dict.fromkeys(site.file for site in image.sites))
    sources = _files(outside.github, commit, paths)
    patterns = [(site.pattern, site.file) for site in image.sites if isinstance(site, PatternSite)]
    texts = {file: text_of(sources[file])[1] for _, file in patterns}
    if patterns and not outside.expressions.end(patterns, texts, _TRIAL_SECONDS):
        raise PinError(
            f"its regular expressions do not come to an end within {_TRIAL_SECONDS:.0f} s",
            where=f"`pattern` in {_FILE} at the tag",
            next_step="Do not use this release: nothing is known of it. Ask its maintainers for a simpler `pattern`.",
        )
    return read_pinned(image, _Sources(sources), allowed_keys((image,)))


class _Sources(msgspec.Struct, frozen=True):
    """Files that were read before."""

    sources: Mapping[str, SourceFile]

    def read(self, paths: Iterable[str]) -> dict[str, SourceFile]:
        return {path: self.sources[path] for path in paths}


def _files(github: OnGitHub, commit: Commit, paths: Sequence[str]) -> dict[str, SourceFile]:
    return github.read(github.blobs(commit, paths), paths)
