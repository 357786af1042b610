"""The version that pyproject.toml states in `[project]`, and the same file with another one. Pure."""

from __future__ import annotations

import re
import tomllib

from bot.core.text import plain
from bot.core.versions import Version, parse_version
from bot.errors import ServiceError, UsageError

FILE = "pyproject.toml"

_BOM = "\ufeff"
_PLAIN = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")


def project_version(source: bytes) -> Version:
    """The version in `[project]`. Raises UsageError where there is none, or it is not of the form X.Y.Z."""
    try:
        table = tomllib.loads(_text(source)).get("project", {})
    except (ValueError, RecursionError) as error:
        raise _unusable(f"it is no TOML: {plain(str(error), 200)}", "Mend the file.") from None
    stated = table.get("version") if isinstance(table, dict) else None
    if not isinstance(stated, str):
        raise _unusable(
            "`[project]` states no `version`",
            'Write `version = "0.1.0"` there; a version that is computed (`dynamic`) cannot be bumped.',
        )
    version = parse_version(stated) if _PLAIN.fullmatch(stated) else None
    if version is None:
        raise _unusable(f"its version {plain(stated, 60)!r} is not of the form X.Y.Z", "Write it as in 1.2.3.")
    return version


def with_version(source: bytes, version: Version) -> bytes:
    """The file with this version in `[project]`; every other byte is kept.

    Raises UsageError as `project_version` does, and where the file cannot be written without changing more, and
    ServiceError where tomlkit is not installed.
    """
    before = project_version(source)
    try:
        import tomlkit  # noqa: PLC0415 - from an extra, and only where a file is written
        from tomlkit.items import String  # noqa: PLC0415 - as above
    except ImportError:
        raise ServiceError(
            "tomlkit is not installed",
            where="tomlkit",
            next_step="Install the bot with its extra `release`: docs/release.md says how.",
        ) from None
    text = _text(source)
    document = tomlkit.parse(text)
    table = document["project"]
    old = table["version"]
    is_literal = isinstance(old, String) and old.as_string().startswith("'")
    table["version"] = tomlkit.string(str(version), literal=is_literal)
    changed = tomlkit.dumps(document)
    if not _differs_only(text, changed, str(before), str(version)):
        raise _unusable(
            "its version cannot be changed without changing more of the file",
            f'Write the version {version} by hand, as `version = "{version}"` on a line of its own in `[project]`.',
        )
    bom = _BOM if source.startswith(_BOM.encode()) else ""
    return (bom + changed).encode()


def _differs_only(text: str, changed: str, old: str, new: str) -> bool:
    """Whether one occurrence of `old` became `new`, and nothing else is another."""
    return any(
        text[: match.start()] + new + text[match.end() :] == changed for match in re.finditer(re.escape(old), text)
    )


def _text(source: bytes) -> str:
    try:
        return source.decode().removeprefix(_BOM)
    except UnicodeDecodeError:
        raise _unusable("it is no UTF-8", "Save it as UTF-8.") from None


def _unusable(what: str, next_step: str) -> UsageError:
    return UsageError(what, where=FILE, next_step=next_step)
