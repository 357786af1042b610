"""gateway-bot.toml and the environment -> frozen Settings. The sole reader of the environment.

The structs are the file's grammar and, by `gateway-bot config schema`, its JSON Schema.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import msgspec

from bot.core.index import normal
from bot.core.model import (
    Channel,
    DockerfileSite,
    DotenvSite,
    Field,
    Image,
    MarkdownSite,
    PatternSite,
    Platform,
    Policy,
    Site,
    TerraformSite,
)
from bot.core.reference import is_host, is_loopback, parse_repository
from bot.errors import UsageError

FILE = "gateway-bot.toml"
_MAX_BYTES = 256 * 1024
_SLUG = r"^[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?/[A-Za-z0-9._-]{1,100}$"

_Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$(?!\n)")]
_File = Annotated[str, msgspec.Meta(min_length=1, max_length=1000, description="Path below the repository's root.")]
_Keys = Annotated[dict[str, Field], msgspec.Meta(min_length=1)]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class _Dotenv(_Table, frozen=True, tag_field="type", tag="dotenv"):
    """Keys of a dotenv file: `keys = { APP_IMAGE_DIGEST = "digest" }`. Other keys need to be in `other_keys`."""

    file: _File
    keys: _Keys
    other_keys: tuple[str, ...] = ()


class _Terraform(_Table, frozen=True, tag_field="type", tag="terraform"):
    """The default of a Terraform variable."""

    file: _File
    variable: str
    holds: Field = "image"


class _Dockerfile(_Table, frozen=True, tag_field="type", tag="dockerfile"):
    """Defaults of Dockerfile ARGs: `args = { APP_IMAGE = "image" }`."""

    file: _File
    args: _Keys


class _Markdown(_Table, frozen=True, tag_field="type", tag="markdown"):
    """Values between two markers, or in the table row with a cell that reads `row`, in its column `column`."""

    file: _File
    begin: str = ""
    end: str = ""
    row: str = ""
    column: str = ""


class _Pattern(_Table, frozen=True, tag_field="type", tag="pattern"):
    """A regular expression with named groups (ref, version, digest, image) that matches exactly once."""

    file: _File
    pattern: str


class _Policy(_Table, frozen=True):
    """What may be proposed."""

    allow: Annotated[str, msgspec.Meta(description="Version range, as in `>=1.3,<2`.")] = ""
    channel: Channel = "stable"
    platforms: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = ("linux/amd64", "linux/arm64")
    grace_hours: Annotated[int, msgspec.Meta(ge=0, le=24 * 30)] = 24
    cooldown_days: Annotated[int, msgspec.Meta(ge=0, le=365)] = 0


class _Image(_Table, frozen=True):
    """An upstream image that is tracked. The first pin is the source of truth: it holds ref and digest."""

    name: _Name
    registry: Annotated[str, msgspec.Meta(description="HOST/PATH, as in ghcr.io/owner/name.")]
    pins: Annotated[tuple[_Dotenv | _Terraform | _Dockerfile | _Markdown | _Pattern, ...], msgspec.Meta(min_length=1)]
    github: Annotated[
        str, msgspec.Meta(description="OWNER/NAME whose GitHub Releases count; without it, the registry's tags do.")
    ] = ""
    tags: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = ("{ref}", "{version}")
    policy: _Policy = _Policy()


class _File_(_Table, frozen=True, rename={"images": "image"}):  # noqa: N801 - the whole file; never seen outside
    images: Annotated[tuple[_Image, ...], msgspec.Meta(min_length=1)]
    base: Annotated[str, msgspec.Meta(description="Branch of the pull requests; default: the repository's own.")] = ""


class Settings(msgspec.Struct, frozen=True):
    """What gateway-bot.toml says."""

    images: tuple[Image, ...]
    base: str = ""


class Environment(msgspec.Struct, frozen=True):
    """What the environment says: secrets and endpoints, and where GitHub Actions wants its answers."""

    github_api_url: str
    github_repository: str
    github_token: str
    docker_config: Path
    step_summary: Path | None
    in_actions: bool

    def __repr__(self) -> str:
        return "Environment(...)"  # a secret shows in no message


def read_settings(root: Path) -> Settings:
    """The settings of a checkout. Raises UsageError that names the place in the file."""
    path = root / FILE
    try:
        if path.exists() and not (path.is_file() and path.stat().st_size <= _MAX_BYTES):
            raise _invalid(f"it is no plain file of at most {_MAX_BYTES:,} bytes")
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UsageError(
            "there are no settings",
            where=str(path),
            next_step=f"Run it where {FILE} is, or name that folder with -C.",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot be read: {error}", where=FILE, next_step="Make it a readable UTF-8 file.") from None
    try:
        return _settings(msgspec.convert(tomllib.loads(text), _File_))
    except msgspec.ValidationError as error:
        from bot.settings_errors import explain  # noqa: PLC0415 - only a wrong file needs it

        what, line = explain(str(error), text)
        raise _invalid(what, line) from None
    except (ValueError, RecursionError) as error:
        raise _invalid(f"it is no TOML: {str(error)[:200]}") from None


def read_environment(environ: Mapping[str, str] | None = None) -> Environment:
    """The environment, checked; the process's own unless another is given. Raises UsageError without secrets."""
    environ = os.environ if environ is None else environ
    api_url = environ.get("GITHUB_API_URL", "").rstrip("/") or "https://api.github.com"
    match = re.fullmatch(r"(https?)://([^/]+)(?:/[A-Za-z0-9._/-]*)?", api_url)
    if match is None or not is_host(match[2]) or (match[1] == "http" and not is_loopback(match[2])):
        raise UsageError(
            "GITHUB_API_URL is no HTTPS address of an API (plain HTTP is for loopback only)",
            where="GITHUB_API_URL",
            next_step="Set it as in https://api.github.com or https://HOST/api/v3, or unset it.",
        )
    slug = environ.get("GITHUB_REPOSITORY", "")
    if slug and not re.fullmatch(_SLUG, slug):
        raise UsageError(
            f"{slug[:80]!r} is not OWNER/NAME",
            where="GITHUB_REPOSITORY",
            next_step="Set it to the repository that gets the pull request.",
        )
    token = environ.get("GITHUB_TOKEN", "").strip()
    if not (token.isascii() and token.isprintable()):
        raise UsageError(
            "GITHUB_TOKEN holds characters that no token has, such as a line break",
            where="GITHUB_TOKEN",
            next_step="Set it to the token alone.",
        )
    home = Path(environ.get("HOME") or "/")
    summary = environ.get("GITHUB_STEP_SUMMARY", "")
    return Environment(
        github_api_url=api_url,
        github_repository=slug,
        github_token=token,
        docker_config=Path(environ.get("DOCKER_CONFIG", "") or home / ".docker"),
        step_summary=Path(summary) if summary else None,
        in_actions=environ.get("GITHUB_ACTIONS") == "true",
    )


def json_schema() -> dict[str, Any]:
    """The JSON Schema of gateway-bot.toml, for editors."""
    schema = msgspec.json.schema(_File_)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": FILE, **schema}


def _settings(table: _File_) -> Settings:
    images = tuple(_image(entry, f"image[{number}]") for number, entry in enumerate(table.images))
    names = [image.name for image in images]
    for name in names:
        if names.count(name) > 1:
            raise _invalid(f"two images have the name {name!r}")
    if table.base and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]*", table.base):
        raise _invalid("`base` is no branch name")
    return Settings(images, table.base)


def _image(entry: _Image, at: str) -> Image:
    try:
        repository = parse_repository(entry.registry)
    except ValueError as error:
        raise _invalid(f"{at}.registry: {error}") from None
    if "\n" in entry.name:
        raise _invalid(f"{at}.name: a name is one line")
    if entry.github and not re.fullmatch(_SLUG, entry.github):
        raise _invalid(f"{at}.github: {entry.github[:80]!r} is not OWNER/NAME")
    if entry.policy.cooldown_days and not entry.github:
        raise _invalid(f"{at}.policy.cooldown_days: a registry's tags have no dates, so it needs `github`")
    for template in entry.tags:
        if template.count("{ref}") + template.count("{version}") != 1:
            raise _invalid(f"{at}.tags: {template[:80]!r} must hold {{ref}} or {{version}}, once")
    sites = tuple(_site(site, f"{at}.pins[{number}]") for number, site in enumerate(entry.pins))
    _truth(sites[0], f"{at}.pins[0]")
    for number, site in enumerate(sites):
        if site in sites[:number]:
            raise _invalid(f"{at}.pins[{number}]: the same place as an earlier one")
    return Image(
        name=entry.name,
        repository=repository,
        sites=sites,
        github=entry.github,
        tags=entry.tags,
        policy=_policy(entry.policy, f"{at}.policy"),
    )


def _truth(site: Site, at: str) -> None:
    """The first pin has to say which release it is and by which digest; Markdown says so only in its file."""
    fields: set[str]
    match site:
        case DotenvSite():
            fields = {field for _, field in site.keys}
        case DockerfileSite():
            fields = {field for _, field in site.args}
        case TerraformSite():
            fields = {site.holds}
        case PatternSite():
            fields = set(re.compile(site.pattern).groupindex)
        case _:
            return
    if "image" not in fields and not {"ref", "digest"} <= fields:
        held = ", ".join(sorted(fields))
        raise _invalid(f"{at}: the first pin is the source of truth and holds ref and digest; this one holds {held}")


def _policy(entry: _Policy, at: str) -> Policy:
    if entry.allow:
        from packaging.specifiers import InvalidSpecifier, SpecifierSet  # noqa: PLC0415 - only where a range is set

        try:
            SpecifierSet(entry.allow)
        except InvalidSpecifier:
            raise _invalid(f"{at}.allow: {entry.allow[:80]!r} is no version range, as in '>=1.3,<2'") from None
    platforms = []
    for text in entry.platforms:
        system, *rest = text.split("/")
        if len(rest) not in {1, 2} or not all(re.fullmatch(r"[a-z0-9_]+", part) for part in (system, *rest)):
            raise _invalid(f"{at}.platforms: {text[:80]!r} is no platform, as in 'linux/arm64'")
        platforms.append(normal(Platform(system, *rest)))
    return Policy(
        entry.allow,
        entry.channel,
        tuple(platforms),
        timedelta(hours=entry.grace_hours),
        timedelta(days=entry.cooldown_days),
    )


def _site(entry: _Dotenv | _Terraform | _Dockerfile | _Markdown | _Pattern, at: str) -> Site:
    path = PurePosixPath(entry.file)
    plain = entry.file.isprintable() and not set(entry.file) & set("\\`") and str(path) == entry.file != "."
    if not plain or path.is_absolute() or {".."} & set(path.parts) or any(p.casefold() == ".git" for p in path.parts):
        raise _invalid(f"{at}.file: {entry.file[:80]!r} is no plain path below the repository's root")
    match entry:
        case _Dotenv():
            for key in (*entry.keys, *entry.other_keys):
                if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key):
                    raise _invalid(f"{at}: {key[:80]!r} is no name of a variable")
            return DotenvSite(entry.file, tuple(entry.keys.items()), entry.other_keys)
        case _Terraform():
            return TerraformSite(entry.file, entry.variable, entry.holds)
        case _Dockerfile():
            return DockerfileSite(entry.file, tuple(entry.args.items()))
        case _Markdown():
            if (
                bool(entry.begin) != bool(entry.end)
                or not (entry.begin or entry.row)
                or (entry.column and not entry.row)
            ):
                raise _invalid(f"{at}: name `begin` with `end`, or `row`, or both; `column` needs `row`")
            return MarkdownSite(entry.file, entry.begin, entry.end, entry.row, entry.column)
        case _Pattern():
            return PatternSite(entry.file, _pattern(entry.pattern, at))


def _pattern(pattern: str, at: str) -> str:
    fields: tuple[Literal["ref", "version", "digest", "image"], ...] = ("ref", "version", "digest", "image")
    try:
        groups = re.compile(pattern).groupindex
    except (re.error, OverflowError, RecursionError) as error:
        raise _invalid(f"{at}.pattern: {error}") from None
    if not groups or set(groups) - set(fields):
        raise _invalid(f"{at}.pattern: it needs a named group, of {', '.join(fields)}")
    return pattern


def _invalid(what: str, line: int | None = None) -> UsageError:
    next_step = "docs/settings.md shows every table; `gateway-bot config schema` prints the grammar for editors."
    return UsageError(what, where=f"{FILE}:{line}" if line else FILE, next_step=next_step)
