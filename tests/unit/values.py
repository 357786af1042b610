"""A small world of values: one image with three pin sites, its pin, its releases, and what was observed of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from msgspec.structs import replace

from bot.core.index import INDEX_TYPES, Index
from bot.core.model import (
    Candidate,
    DockerfileSite,
    DotenvSite,
    Image,
    Pin,
    Platform,
    Policy,
    Release,
    SourceFile,
    TerraformSite,
)
from bot.core.pins.sites import allowed_keys
from bot.core.plan import Observed, Pinned, Plan, decide
from bot.core.reference import Digest, Repository, Tag
from bot.core.selection import select
from bot.core.versions import Ref, Version, parse_version
from bot.flows.observe import read_pinned

NOW = datetime(2026, 8, 20, 12, 0, tzinfo=UTC)
OLD, NEW, OTHER = (Digest(f"sha256:{digit * 64}") for digit in "abc")
PLATFORMS = (Platform("linux", "amd64"), Platform("linux", "arm64"))
IMAGE = Image(
    "app",
    Repository("ghcr.io", "acme/app"),
    (
        DotenvSite("versions.env", (("APP_REF", "ref"), ("APP_DIGEST", "digest"))),
        TerraformSite("main.tf", "image"),
        DockerfileSite("Dockerfile", (("APP_IMAGE", "image"),)),
    ),
    github="acme/app",
)
FILES = {
    "versions.env": f"APP_REF=v1.3.1\nAPP_DIGEST={OLD}\n",
    "main.tf": f'variable "image" {{\n  default = "ghcr.io/acme/app:v1.3.1@{OLD}"\n}}\n',
    "Dockerfile": f"ARG APP_IMAGE=ghcr.io/acme/app@{OLD}\nFROM ${{APP_IMAGE}}\n",
}


def version(text: str) -> Version:
    found = parse_version(text)
    assert found is not None
    return found


def pin(ref: str = "v1.3.1", digest: str = OLD) -> Pin:
    return Pin(Ref(ref), version(ref), Digest(digest), Tag(ref))


def index(digest: str = OLD, platforms: tuple[Platform, ...] = PLATFORMS) -> Index:
    return Index(Digest(digest), INDEX_TYPES[0], platforms)


def release(ref: str, *, days_ago: float = 10, draft: bool = False, prerelease: bool = False) -> Release:
    return Release(Ref(ref), parse_version(ref), NOW - timedelta(days=days_ago), draft, prerelease)


RELEASES = (release("v1.4.1"), release("v1.4.0", days_ago=20), release("v1.3.1", days_ago=60))


class Given(msgspec.Struct, frozen=True):
    """Files by name, where a flow wants to read them."""

    texts: Mapping[str, str]

    def read(self, paths: Iterable[str]) -> dict[str, SourceFile]:
        return {path: SourceFile(path, self.texts[path].encode()) for path in paths}


def pinned(files: Mapping[str, str] = FILES) -> Pinned:
    return read_pinned(IMAGE, Given(files), allowed_keys([IMAGE]))


_SEEN_INDEX = index()


def observed(
    releases: Sequence[Release] = RELEASES,
    *,
    files: Mapping[str, str] = FILES,
    policy: Policy | None = None,
    wanted: str | None = None,
    pinned_index: Index | None = _SEEN_INDEX,
    digest: str | None = NEW,
    platforms: tuple[Platform, ...] = PLATFORMS,
) -> Observed:
    """What was seen; `digest` and `platforms` are those of the release that was selected, None where it has none."""
    policy = policy or Policy()
    held = pinned(files)
    ref = Ref(wanted) if wanted else None
    selection = select(releases, held.pin, policy, ref, NOW)
    chosen = selection.release
    candidate = Candidate(pin(chosen.ref, digest), platforms) if chosen is not None and digest else None
    return Observed(
        image=replace(IMAGE, policy=policy),
        pinned=held,
        releases=tuple(releases),
        selection=selection,
        pinned_index=pinned_index,
        candidate=candidate,
        now=NOW,
        wanted=ref,
    )


def plan(seen: Observed | None = None) -> Plan:
    made = decide(observed() if seen is None else seen)
    assert isinstance(made, Plan)
    return made
