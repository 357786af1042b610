"""gateway-bot.toml -> frozen Settings."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from bot.core.decoding import convert
from bot.core.model import Deployment, Image, PullRequestPolicy, ReleasePolicy, Watch
from bot.errors import UsageError
from bot.settings.environments import deployments
from bot.settings.grammar import SLUG, File
from bot.settings.meaning import FILE, image, invalid
from bot.settings.release import release

_MAX_BYTES = 256 * 1024


class Settings(msgspec.Struct, frozen=True):
    """What gateway-bot.toml says."""

    images: tuple[Image, ...]
    base: str = ""
    repositories: tuple[str, ...] = ()
    pull_request: PullRequestPolicy = PullRequestPolicy()
    watch: Watch = Watch()
    release: ReleasePolicy | None = None
    deployments: tuple[Deployment, ...] = ()


def read_settings(root: Path, file: Path | None = None) -> Settings:
    """The settings of a checkout, or of a file elsewhere. Raises UsageError that names the place in the file."""
    path = file or root / FILE
    try:
        if path.exists() and not (path.is_file() and path.stat().st_size <= _MAX_BYTES):
            raise invalid(f"it is no plain file of at most {_MAX_BYTES:,} bytes")
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UsageError(
            "there are no settings",
            where=str(path),
            next_step=f"Run it where {FILE} is, or name that folder with -C, or the file with --settings.",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot be read: {error}", where=FILE, next_step="Make it a readable UTF-8 file.") from None
    return settings_in(text)


def settings_in(text: str) -> Settings:
    """What a text of gateway-bot.toml says. Raises UsageError that names the place in it."""
    try:
        return _settings(convert(tomllib.loads(text), File))
    except msgspec.ValidationError as error:
        from bot.settings.explain import explain  # noqa: PLC0415 - only a wrong file needs it

        what, line = explain(str(error), text)
        raise invalid(what, line) from None
    except (ValueError, RecursionError) as error:
        raise invalid(f"it is no TOML: {str(error)[:200]}") from None


def json_schema() -> dict[str, Any]:
    """The JSON Schema of gateway-bot.toml, for editors."""
    schema = msgspec.json.schema(File)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": FILE, **schema}


def _artifact(repository: str) -> str:
    """By what a workflow names what it keeps of a repository: a name there has no slash."""
    return repository.casefold().replace("/", "--")


def _settings(table: File) -> Settings:
    images = tuple(image(entry, f"image[{number}]") for number, entry in enumerate(table.images))
    names = [each.name for each in images]
    for name in names:
        if names.count(name) > 1:
            raise invalid(f"two images have the name {name!r}")
    if table.base and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]*", table.base):
        raise invalid("`base` is no branch name")
    for number, name in enumerate(table.repositories):
        if not re.fullmatch(SLUG, name):
            raise invalid(f"repositories[{number}]: {name[:80]!r} is not OWNER/NAME")
        if _artifact(name) in {_artifact(other) for other in table.repositories[:number]}:
            raise invalid(f"repositories[{number}]: {name[:80]!r} is there already, or too like another one")
    opening = convert(msgspec.structs.asdict(table.pull_request), PullRequestPolicy)
    watch = Watch(table.watch.workflow, table.watch.silent_days)
    releases = release(table.release, images) if table.release else None
    environments = deployments(table.environments, images)
    return Settings(images, table.base, table.repositories, opening, watch, releases, environments)
