"""The grammar of gateway-bot.toml: its tables as structs and, by `gateway-bot config schema`, its JSON Schema."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

import msgspec

from bot.core.model import Channel, Field, MergeMethod, ReleaseMode, Severity, Where
from bot.core.versions import Jump

SLUG = r"^[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:_[A-Za-z0-9]{1,20})?/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}$"
"""OWNER/NAME of a GitHub repository; an enterprise's managed owners end with `_` and its short name."""

_Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$(?!\n)")]
_File = Annotated[str, msgspec.Meta(min_length=1, max_length=1000, description="Path below the repository's root.")]
_Variable = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_]{1,200}$(?!\n)")]
_BackendConfig = Annotated[
    str,
    msgspec.Meta(min_length=1, max_length=1000, description="`KEY=VALUE`, or a file; as for `terraform init`."),
]
_Keys = Annotated[dict[str, Field], msgspec.Meta(min_length=1)]


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No table has a key that is not here."""


class DotenvTable(Table, frozen=True, tag_field="type", tag="dotenv"):
    """Keys of a dotenv file: `keys = { APP_IMAGE_DIGEST = "digest" }`. Other keys need to be in `other_keys`."""

    file: _File
    keys: _Keys
    other_keys: tuple[str, ...] = ()


class TerraformTable(Table, frozen=True, tag_field="type", tag="terraform"):
    """The default of a Terraform variable."""

    file: _File
    variable: str
    holds: Field = "image"


class DockerfileTable(Table, frozen=True, tag_field="type", tag="dockerfile"):
    """Defaults of Dockerfile ARGs: `args = { APP_IMAGE = "image" }`."""

    file: _File
    args: _Keys


class MarkdownTable(Table, frozen=True, tag_field="type", tag="markdown"):
    """Values between two markers, or in the table row with a cell that reads `row`, in its column `column`."""

    file: _File
    begin: str = ""
    end: str = ""
    row: str = ""
    column: str = ""


class PatternTable(Table, frozen=True, tag_field="type", tag="pattern"):
    """A regular expression with named groups (ref, version, digest, image) that matches exactly once."""

    file: _File
    pattern: str


class PolicyTable(Table, frozen=True):
    """What may be proposed."""

    allow: Annotated[str, msgspec.Meta(description="Version range, as in `>=1.3,<2`.")] = ""
    channel: Channel = "stable"
    platforms: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = ("linux/amd64", "linux/arm64")
    grace_hours: Annotated[int, msgspec.Meta(ge=0, le=24 * 30)] = 24
    cooldown_days: Annotated[int, msgspec.Meta(ge=0, le=365)] = 0
    evidence_hours: Annotated[int, msgspec.Meta(ge=1, le=24 * 30)] = 24


class SignatureTable(Table, frozen=True):
    """Who must have signed the index of a release, with cosign and without keys."""

    identity: Annotated[str, msgspec.Meta(description="Exact; `{tag}` stands for the release's git tag.")]
    issuer: str = "https://token.actions.githubusercontent.com"
    trusted_root: Annotated[str, msgspec.Meta(description="File with a private Sigstore's trusted root.")] = ""


class IgnoreTable(Table, frozen=True):
    """A finding that does not block, through the day `until`."""

    id: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{2,99}$(?!\n)")]
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    until: date
    package: str = ""


class ScanTable(Table, frozen=True, rename={"ignores": "ignore"}):
    """What Trivy's findings mean: `block` new ones from this severity on; fixing one from `override` on is urgent."""

    block: Severity | Literal["none"] = "HIGH"
    override: Severity | Literal["none"] = "CRITICAL"
    ignores: tuple[IgnoreTable, ...] = ()
    database: Annotated[str, msgspec.Meta(description="Repository of Trivy's database, HOST/PATH:TAG.")] = ""


class ConfigEnvironmentTable(Table, frozen=True):
    """One rendering of the config. `values` stand above the variable files."""

    name: _Name
    var_files: tuple[_File, ...] = ()
    values: dict[_Variable, str | int | float | bool | list[Any] | dict[str, Any]] = {}


class ConfigTable(Table, frozen=True):
    """The config of the image's program: rendered by Terraform, held against its schema and its own binary."""

    template: _File
    environments: Annotated[tuple[ConfigEnvironmentTable, ...], msgspec.Meta(min_length=1)]
    declarations: tuple[_File, ...] = ()
    schema: Annotated[str, msgspec.Meta(description="Path of the JSON Schema in the GitHub repository.")] = ""
    arguments: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = ("--validate-only", "-f", "{file}")
    valid: Annotated[str, msgspec.Meta(min_length=1)] = "Configuration is valid!"
    invalid: str = "No local configuration"
    dummies: dict[_Variable, Annotated[str, msgspec.Meta(min_length=1)]] = {}
    without_engine: Where = "ci"


class BuildTable(Table, frozen=True):
    """How `gateway-bot build` starts what it built, with the config of `config`, and where readiness is asked."""

    start: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = ("-f", "{file}")
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 15021
    path: Annotated[str, msgspec.Meta(pattern=r"^/[!-~]{0,199}$(?!\n)")] = "/healthz/ready"


class HoldTable(Table, frozen=True):
    """Versions that must not be proposed or released: `version = "1.4.0"`, or a range."""

    version: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    until: date | None = None
    digest: str = ""
    rolled_back_to: Annotated[str, msgspec.Meta(description="Written by a rollback: the release it went to.")] = ""
    rolled_back_from: Annotated[str, msgspec.Meta(description="Written by a rollback: the digest that it left.")] = ""


PinTable = DotenvTable | TerraformTable | DockerfileTable | MarkdownTable | PatternTable


class ImageTable(Table, frozen=True, rename={"holds": "hold"}):
    """An upstream image that is tracked. The first pin is the source of truth: it holds ref and digest."""

    name: _Name
    registry: Annotated[str, msgspec.Meta(description="HOST/PATH, as in ghcr.io/owner/name.")]
    pins: Annotated[
        tuple[PinTable, ...],
        msgspec.Meta(min_length=1),
    ]
    github: Annotated[
        str, msgspec.Meta(description="OWNER/NAME whose GitHub Releases count; without it, the registry's tags do.")
    ] = ""
    tags: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = ("{ref}", "{version}")
    policy: PolicyTable = PolicyTable()
    signature: SignatureTable | None = None
    scan: ScanTable | None = None
    config: ConfigTable | None = None
    build: BuildTable = BuildTable()
    holds: tuple[HoldTable, ...] = ()


_Login = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9](?:[A-Za-z0-9_-]{0,98}[A-Za-z0-9])?$(?!\n)")]
_Label = Annotated[str, msgspec.Meta(pattern=r"^[^\s,](?:[^\n,]{0,48}[^\s,])?$(?!\n)")]


class PullRequestTable(Table, frozen=True):
    """How a pull request is opened. What a person changes of it afterwards stays as they left it."""

    draft: bool = False
    labels: tuple[_Label, ...] = ()
    reviewers: tuple[_Login, ...] = ()
    team_reviewers: Annotated[tuple[_Login, ...], msgspec.Meta(description="Slugs of the organisation's teams.")] = ()
    assignees: tuple[_Login, ...] = ()
    milestone: Annotated[str, msgspec.Meta(max_length=200, description="Title of an open milestone.")] = ""
    auto_merge: Annotated[tuple[Jump, ...], msgspec.Meta(description="Kinds of upgrade; every gate must pass.")] = ()
    merge_method: MergeMethod = "squash"


class WatchTable(Table, frozen=True):
    """What `gateway-bot watch` looks for beside the pins themselves."""

    workflow: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{1,100}\.ya?ml$(?!\n)")] = "upgrade.yml"
    silent_days: Annotated[int, msgspec.Meta(ge=1, le=365)] = 3


_TagTemplate = Annotated[str, msgspec.Meta(pattern=r"^(?:[A-Za-z0-9_.-]|\{tag\}|\{version\}){1,140}$(?!\n)")]


class TargetTable(Table, frozen=True):
    """A repository that releases are copied to."""

    repository: Annotated[str, msgspec.Meta(description="HOST/PATH; `{repository}` is OWNER/NAME on GitHub.")]
    tags: Annotated[tuple[_TagTemplate, ...], msgspec.Meta(min_length=1)] = ("{tag}",)
    moving: Annotated[tuple[_TagTemplate, ...], msgspec.Meta(description="Follow the newest release: `latest`.")] = ()


class OurSignatureTable(SignatureTable, frozen=True):
    """Who signs our releases, with cosign and without keys."""

    signing_config: Annotated[str, msgspec.Meta(description="File that says where a private Sigstore signs.")] = ""


class ReleaseTable(Table, frozen=True, rename={"targets": "target"}):
    """How a release is made."""

    targets: Annotated[tuple[TargetTable, ...], msgspec.Meta(min_length=1)]
    signature: OurSignatureTable
    image: Annotated[str, msgspec.Meta(description="Name of the image; needed where there are several.")] = ""
    mode: ReleaseMode = "retag"


class TerraformServiceTable(Table, frozen=True):
    """A service that Terraform runs: where it is described, and the variable that says which image it is."""

    folder: Annotated[str, msgspec.Meta(min_length=1, max_length=1000, description="From the root; `.` is the root.")]
    var_files: tuple[_File, ...] = ()
    variable: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,199}$(?!\n)")] = "gateway_image"
    backend_config: tuple[_BackendConfig, ...] = ()


class EnvironmentTable(Table, frozen=True):
    """An environment in which an image runs. How, says the one table that it has beside its name: `terraform`."""

    name: _Name
    image: Annotated[str, msgspec.Meta(description="Name of the image; needed where there are several.")] = ""
    terraform: TerraformServiceTable | None = None


class File(Table, frozen=True, rename={"images": "image", "environments": "environment"}):
    """The whole file."""

    images: Annotated[tuple[ImageTable, ...], msgspec.Meta(min_length=1)]
    base: Annotated[str, msgspec.Meta(description="Branch of the pull requests; default: the repository's own.")] = ""
    repositories: Annotated[
        tuple[str, ...], msgspec.Meta(description="OWNER/NAME of each repository that these settings are for.")
    ] = ()
    pull_request: PullRequestTable = PullRequestTable()
    watch: WatchTable = WatchTable()
    release: ReleaseTable | None = None
    environments: tuple[EnvironmentTable, ...] = ()
