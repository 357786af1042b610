"""The values that all rooms share. Frozen; parsed once at the edge; the words are those of docs/architecture.md."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Literal

import msgspec

from bot.core.reference import Digest, Repository, Tag
from bot.core.versions import Jump, Ref, Version

Field = Literal["ref", "version", "digest", "image"]
"""What a pin site holds: one part of the pin, or an `image` value in one of its five forms."""

Channel = Literal["stable", "prerelease"]

Severity = Literal["UNKNOWN", "LOW", "MEDIUM", "HIGH", "CRITICAL"]
SEVERITIES: tuple[Severity, ...] = ("UNKNOWN", "LOW", "MEDIUM", "HIGH", "CRITICAL")
"""From the least to the worst."""

Where = Literal["ci", "always", "never"]
"""Where a question that cannot be answered blocks."""


MergeMethod = Literal["merge", "squash", "rebase"]


class Platform(msgspec.Struct, frozen=True, order=True):
    """`linux/arm64` or `linux/arm/v7`."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


def missing_of(required: Sequence[Platform], found: Sequence[Platform]) -> tuple[Platform, ...]:
    """The required platforms that are not there."""
    return tuple(platform for platform in required if platform not in found)


class Pin(msgspec.Struct, frozen=True):
    """Ref, version and digest that belong together; `tag` is the image tag that the ref maps to."""

    ref: Ref
    version: Version
    digest: Digest
    tag: Tag


class Candidate(msgspec.Struct, frozen=True):
    """A pin that was proven from the bytes of its index."""

    pin: Pin
    platforms: tuple[Platform, ...]


class Release(msgspec.Struct, frozen=True):
    """One upstream release, as published. `notes` are a stranger's text; dates are in UTC."""

    ref: Ref
    version: Version | None
    published: datetime | None = None
    draft: bool = False
    prerelease: bool = False
    url: str = ""
    notes: str = ""


class Hold(msgspec.Struct, frozen=True):
    """Versions that must not be proposed or released, for a reason: one, or a range as packaging.specifiers reads it.

    With `digest` only that image of them is held; with `until` it holds through that day, in UTC.
    """

    version: str
    reason: str
    until: date | None = None
    digest: Digest | None = None
    rolled_back_to: Ref | None = None
    """The release that took its place, where a rollback put it on hold."""
    rolled_back_from: Digest | None = None
    """The image that was left then: it is on hold under whatever name."""


class Policy(msgspec.Struct, frozen=True):
    """What may be proposed. `allow` is a version range as packaging.specifiers reads it, empty for all."""

    allow: str = ""
    channel: Channel = "stable"
    platforms: tuple[Platform, ...] = (Platform("linux", "amd64"), Platform("linux", "arm64"))
    grace: timedelta = timedelta(hours=24)
    """How long a release may be without its image before that is an error."""
    cooldown: timedelta = timedelta(0)
    """How old a release has to be, unless its notes name an advisory or it fixes a finding that is bad enough."""
    evidence: timedelta = timedelta(hours=24)
    """How old the evidence in a saved plan may be when it is proposed."""
    holds: tuple[Hold, ...] = ()


class Signature(msgspec.Struct, frozen=True):
    """Who must have signed: the exact issuer, and the exact identity with `{tag}` for the release's git tag."""

    issuer: str
    identity: str
    trusted_root: str = ""
    """A file of the checkout with the trusted root of a private Sigstore; empty: the public one."""


class Ignore(msgspec.Struct, frozen=True):
    """A finding that does not block, for a reason, through the day `until`. `package` empty: in any."""

    id: str
    reason: str
    until: date
    package: str = ""


class ScanPolicy(msgspec.Struct, frozen=True):
    """What a scan's findings mean. A new or escalated finding at or above `block` blocks; None: none does."""

    block: Severity | None = "HIGH"
    override: Severity | None = "CRITICAL"
    """A release that fixes a finding of the current image at or above it does not cool down; None: none does."""
    ignores: tuple[Ignore, ...] = ()
    database: str = ""
    """The repository of the vulnerability database, HOST/PATH:TAG; empty: Trivy's own."""


class ConfigEnvironment(msgspec.Struct, frozen=True):
    """One rendering of the config: Terraform variable files of the checkout, and values beside or above them.

    `values` are JSON texts by the variable's name.
    """

    name: str
    var_files: tuple[str, ...] = ()
    values: tuple[tuple[str, str], ...] = ()


class GatewayConfig(msgspec.Struct, frozen=True):
    """A config of the image's program: how it is rendered, and what says whether it is valid. Paths are the checkout's.

    `declarations` are Terraform files whose variable blocks the template is given, under their own names.
    `arguments` start the image's program, `{file}` is the config's path in the container; it is valid where the
    program ends with 0, prints the line `valid` and never `invalid`. `dummies` are values of variables that the
    program expands, where the usual one does not fit.
    """

    template: str
    environments: tuple[ConfigEnvironment, ...]
    declarations: tuple[str, ...] = ()
    schema: str = ""
    """The path of the JSON Schema in the GitHub repository, at the release's tag; empty: there is none."""
    arguments: tuple[str, ...] = ("--validate-only", "-f", "{file}")
    valid: str = "Configuration is valid!"
    invalid: str = "No local configuration"
    dummies: tuple[tuple[str, str], ...] = ()
    without_engine: Where = "ci"


class Build(msgspec.Struct, frozen=True):
    """How the image's program is started after a local build, and where it says that it is ready.

    `start` are its arguments, `{file}` is the config's path in the container; it is ready where `GET path` on `port`
    answers 200.
    """

    start: tuple[str, ...] = ("-f", "{file}")
    port: int = 15021
    path: str = "/healthz/ready"


class DotenvSite(msgspec.Struct, frozen=True):
    """Keys of a dotenv file. `other_keys` may stand in it too; any other key is refused."""

    file: str
    keys: tuple[tuple[str, Field], ...]
    other_keys: tuple[str, ...] = ()


class TerraformSite(msgspec.Struct, frozen=True):
    """The default of a Terraform variable."""

    file: str
    variable: str
    holds: Field = "image"


class DockerfileSite(msgspec.Struct, frozen=True):
    """Defaults of Dockerfile `ARG`s."""

    file: str
    args: tuple[tuple[str, Field], ...]


class MarkdownSite(msgspec.Struct, frozen=True):
    """A place in a Markdown file, from widest to narrowest: between two markers, in a table row, in a column.

    `row` is the text of one cell of the row; at least the markers or a row are given.
    """

    file: str
    begin: str = ""
    end: str = ""
    row: str = ""
    column: str = ""


class PatternSite(msgspec.Struct, frozen=True):
    """A regular expression whose named groups are fields, and that must match exactly once."""

    file: str
    pattern: str


Site = DotenvSite | TerraformSite | DockerfileSite | MarkdownSite | PatternSite


class Image(msgspec.Struct, frozen=True):
    """An upstream image that is tracked. `sites[0]` is the source of truth: it holds ref and digest."""

    name: str
    repository: Repository
    sites: tuple[Site, ...]
    github: str = ""
    """`owner/name` whose GitHub Releases are the releases; empty: the registry's tags are."""
    tags: tuple[str, ...] = ("{ref}", "{version}")
    """How a release maps to image tags, tried in this order."""
    policy: Policy = Policy()
    signature: Signature | None = None
    scan: ScanPolicy | None = None
    config: GatewayConfig | None = None
    build: Build = Build()


class SourceFile(msgspec.Struct, frozen=True):
    """A file as it was read: its path in the repository, its bytes, and git's mode for it."""

    path: str
    data: bytes
    mode: str = "100644"


class PullRequestPolicy(msgspec.Struct, frozen=True):
    """How a pull request is opened, and which kinds of upgrade GitHub may merge by itself."""

    draft: bool = False
    labels: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    team_reviewers: tuple[str, ...] = ()
    assignees: tuple[str, ...] = ()
    milestone: str = ""
    auto_merge: tuple[Jump, ...] = ()
    merge_method: MergeMethod = "squash"


class Watch(msgspec.Struct, frozen=True):
    """The workflow that has to run by itself, and after how many days without a run that is an alarm."""

    workflow: str = "upgrade.yml"
    silent_days: int = 3


ReleaseMode = Literal["retag", "build"]


class Target(msgspec.Struct, frozen=True):
    """A repository that releases are copied to, with the tags that a release gets there.

    In `repository`, `{repository}` stands for the OWNER/NAME on GitHub in lower case; in the tags, `{tag}` for the git
    tag and `{version}` for the version. `moving` tags follow the newest release.
    """

    repository: str
    tags: tuple[str, ...] = ("{tag}",)
    moving: tuple[str, ...] = ()


class ReleasePolicy(msgspec.Struct, frozen=True):
    """How a release is made of an image, where to, and who signs it."""

    image: str
    targets: tuple[Target, ...]
    signature: Signature
    """Our own: `{tag}` stands for our git tag, `{repository}` for OWNER/NAME on GitHub."""
    signing_config: str = ""
    """A file of the checkout that says where a private Sigstore signs; empty: the public one."""
    mode: ReleaseMode = "retag"


class TerraformService(msgspec.Struct, frozen=True):
    """A running service that Terraform describes in a folder of the checkout; `variable` says which image it runs.

    `folder` is `.` for the repository's root. Paths are the checkout's.
    """

    folder: str
    var_files: tuple[str, ...] = ()
    variable: str = "gateway_image"
    backend_config: tuple[str, ...] = ()
    """What the code leaves open of where the state is: `KEY=VALUE`, or files."""
    working: str = ""
    """Terraform's folder for what it keeps, seen from `folder`; empty for its own, which is of one state only."""


class Deployment(msgspec.Struct, frozen=True):
    """An environment in which an image, by its name, runs as a service."""

    name: str
    image: str
    service: TerraformService
