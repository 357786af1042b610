"""Upstream refs -> versions: what is a release and what is not, and which comes after which."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import total_ordering
from typing import Literal, NewType

Ref = NewType("Ref", str)
"""The upstream tag of a release: `v1.4.1`."""

Jump = Literal["patch", "minor", "major", "prerelease"]
"""Which part of the version an upgrade changes first."""

_VERSION = re.compile(
    r"(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})(?:\.(0|[1-9][0-9]{0,8}))?(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?"
)


_LONGEST = 128
"""Characters, as of an image tag: what is longer is no release's name."""

_PRERELEASE = re.compile(r"(?:alpha|beta|rc|pre|preview|dev)[0-9]*", re.IGNORECASE)
"""What upstreams call prereleases; every other suffix names a variant, such as `musl`."""

_Key = tuple[tuple[int, int, int], bool, tuple[tuple[bool, int, str], ...]]


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)  # a struct would bring comparisons of its own
class Version:
    """A version by Semantic Versioning 2.0.0; a missing patch counts as 0. Ordered by section 11."""

    text: str
    release: tuple[int, int, int]
    prerelease: tuple[str, ...] = ()
    key: _Key = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Section 11: a prerelease comes before its release; numbers before words; fewer fields first."""
        fields = tuple((not f.isdigit(), int(f) if f.isdigit() else 0, f) for f in self.prerelease)
        object.__setattr__(self, "key", (self.release, not fields, fields))

    def __str__(self) -> str:
        return self.text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __lt__(self, other: Version) -> bool:
        return self.key < other.key

    def jump_to(self, other: Version) -> Jump:
        """Which part changes first."""
        parts: tuple[Jump, ...] = ("major", "minor", "patch")
        names = zip(parts, self.release, other.release, strict=True)
        return next((name for name, ours, theirs in names if ours != theirs), "prerelease")

    @property
    def base(self) -> str:
        """The release that a prerelease leads to: `1.4.0` for `1.4.0-rc.1`."""
        return ".".join(map(str, self.release))


def parse_version(text: str) -> Version | None:
    """The version that `text` is, with or without a leading `v`; None where it is not a version.

    Suffixes that upstreams append for variants (`1.4.0-musl`) parse as prereleases, as Semantic
    Versioning says, and so never count as releases. Build metadata (`+x`) cannot be in an image tag.
    """
    match = _VERSION.fullmatch(text.removeprefix("v")) if len(text) <= _LONGEST else None
    if match is None:
        return None
    major, minor, patch, prerelease = match.groups()
    release = (int(major), int(minor), int(patch or 0))
    return Version(match.group(0), release, tuple(prerelease.split(".")) if prerelease else ())


def why_no_release(version: Version | None, *, prereleases: bool) -> str | None:
    """The reason why a ref is no release that this channel follows, or None where it is one."""
    if version is None:
        return "not a version"
    if version.release == (0, 0, 0):
        return "a nightly build (0.0.0)"
    if version.prerelease and not (prereleases and _PRERELEASE.fullmatch(version.prerelease[0])):
        return f"a prerelease or variant ({'.'.join(version.prerelease)})"
    return None
