"""The environment -> frozen Environment. The sole reader of the process's environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from bot.core.reference import is_host, is_loopback
from bot.errors import UsageError
from bot.settings.grammar import SLUG


class Environment(msgspec.Struct, frozen=True):
    """What the environment says: secrets and endpoints, and where GitHub Actions wants its answers."""

    github_api_url: str
    github_repository: str
    github_token: str
    docker_config: Path
    docker_host: str
    cache: Path
    step_summary: Path | None
    in_actions: bool
    on_ci: bool
    others: Mapping[str, str]
    """As it is: what other programs are started with is chosen from it."""

    def __repr__(self) -> str:
        return "Environment(...)"  # a secret shows in no message


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
    if slug and not re.fullmatch(SLUG, slug):
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
        on_ci=environ.get("CI", "").casefold() not in {"", "0", "false"} or environ.get("GITHUB_ACTIONS") == "true",
        docker_host=environ.get("DOCKER_HOST", ""),
        cache=Path(environ.get("XDG_CACHE_HOME", "") or home / ".cache") / "gateway-bot",
        others=environ,
    )
