"""What msgspec says of a wrong gateway-bot.toml, in the words of the file, with the line that it means."""

from __future__ import annotations

import re
from difflib import get_close_matches

_NAMES = (
    *("base", "image", "name", "registry", "pins", "github", "tags", "policy"),
    *("signature", "scan", "config", "identity", "issuer", "trusted_root", "block", "override", "ignore", "database"),
    *("id", "reason", "until", "package", "template", "environments", "declarations", "schema", "arguments", "valid"),
    *("invalid", "dummies", "without_engine", "var_files", "values"),
    *("allow", "channel", "platforms", "grace_hours", "cooldown_days", "evidence_hours"),
    *("repositories", "pull_request", "draft", "labels", "reviewers", "team_reviewers", "assignees", "milestone"),
    *("auto_merge", "merge_method", "watch", "workflow", "silent_days"),
    *("release", "target", "repository", "moving", "mode", "signing_config", "hold", "version", "digest"),
    *("build", "start", "port", "path"),
    *("type", "file", "keys", "other_keys", "variable", "holds", "args", "begin", "end", "row", "column", "pattern"),
)
_FIELDS = "ref, version, digest or image"
_SEVERITIES = "UNKNOWN, LOW, MEDIUM, HIGH, CRITICAL or none"
_ALLOWED = {
    "type": "dotenv, terraform, dockerfile, markdown or pattern",
    "channel": "stable or prerelease",
    "block": _SEVERITIES,
    "override": _SEVERITIES,
    "without_engine": "ci, always or never",
    "auto_merge": "patch, minor, major or prerelease",
    "merge_method": "merge, squash or rebase",
    "mode": "retag or build",
    "holds": _FIELDS,
    "keys": _FIELDS,
    "args": _FIELDS,
}
_SHAPES = {
    "workflow": "the name of a file in .github/workflows, as in upgrade.yml",
    "labels": "a label of at most 50 characters, without a comma",
    "reviewers": "a person's login",
    "assignees": "a person's login",
    "team_reviewers": "a team's slug, without its organisation",
}


def explain(message: str, text: str) -> tuple[str, int | None]:
    """The message with its place in front and what would be right behind, and the line in `text` or None."""
    what, _, path = message.partition(" - at `$")
    place = path.rstrip("`").removeprefix(".")
    said = f"{place}: {_what(what, place)}" if place else _what(what, place)
    quoted = re.search(r"'([^']*)'$|`([^`]+)`$", what)
    word = (quoted[1] or quoted[2]) if quoted else ""
    return said, _line(text, word)


def _what(what: str, place: str) -> str:
    named = re.search(r"([a-z_]+)(?:\[(?:\.\.\.|\d+)\])?$", place)
    last = named[1] if named else ""
    if place == "image" and "got `object`" in what:
        return "several images are possible, so the table is written [[image]]"
    if what.startswith("Object contains unknown field"):
        name = what.rpartition("field ")[2].strip("`'")
        near = get_close_matches(name, _NAMES, n=1)
        return f"there is no setting {name!r}{f'; did you mean {near[0]!r}?' if near else ''}"
    if what.startswith("Object missing required field"):
        return f"the setting {what.rpartition('field ')[2]} is missing"
    if last in _ALLOWED and what.startswith("Invalid"):
        return f"{what.rpartition(' ')[2]} is not one of {_ALLOWED[last]}"
    if last in _SHAPES and "matching regex" in what:
        return f"it has to be {_SHAPES[last]}"
    if last == "name":
        return "a name is lower-case letters, digits and '-', at most 40"
    return what


def _line(text: str, word: str) -> int | None:
    """The first line that holds the word outside a comment."""
    if not word:
        return None
    lines = enumerate(text.splitlines(), start=1)
    return next(
        (number for number, line in lines if re.search(rf"\b{re.escape(word)}\b", line.partition("#")[0])), None
    )
