"""The environment -> frozen Environment. The sole reader of the process's environment."""

from __future__ import annotations

import binascii
import os
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from bot.core.distribution import origin
from bot.core.reference import is_host, is_loopback
from bot.errors import UsageError
from bot.settings.grammar import SLUG

_APP_ID, _APP_KEY = "GATEWAY_BOT_APP_ID", "GATEWAY_BOT_APP_PRIVATE_KEY"
_GITHUB, _PAGES = "https://api.github.com", "https://github.com"
_ORIGIN = r"(https?)://([^/?#@\\\s]+)"
_PEM = re.compile(r"-----BEGIN ((?:[A-Z]+ )*)PRIVATE KEY-----(?:(?!-----)[!-~\n ])+-----END \1PRIVATE KEY-----")


class Environment(msgspec.Struct, frozen=True):
    """What the environment says: secrets and endpoints, and where GitHub Actions wants its answers."""

    github_api_url: str
    github_repository: str
    github_token: str
    app_id: str
    app_key: str
    """A GitHub App's id and its private key in PEM form; both are there, or neither is."""
    upstream_api_url: str
    upstream_token: str
    """Where upstream's releases are; empty where nothing may be sent there."""
    webhook: str
    docker_config: Path
    docker_host: str
    cache: Path
    step_summary: Path | None
    server_url: str
    """GitHub's pages: https://github.com."""
    run_url: str
    """The page of this very run in GitHub Actions; empty elsewhere."""
    tag: str
    """The git tag that this run is for; empty where it is for none."""
    in_actions: bool
    on_ci: bool
    others: Mapping[str, str]
    """As it is: what other programs are started with is chosen from it."""

    def __repr__(self) -> str:
        return "Environment(...)"  # a secret shows in no message


def read_environment(environ: Mapping[str, str] | None = None) -> Environment:
    """The environment, checked; the process's own unless another is given. Raises UsageError without secrets."""
    environ = os.environ if environ is None else environ
    api_url = _api_url(environ, "GITHUB_API_URL", _GITHUB)
    token = _token(environ, "GITHUB_TOKEN")
    upstream_api_url = _api_url(environ, "GATEWAY_BOT_UPSTREAM_API_URL", api_url)
    # an enterprise's token is for the enterprise alone
    shared = token if origin(upstream_api_url) == origin(api_url) else ""
    app_id, app_key = _app(environ)
    home = Path(environ.get("HOME") or "/")
    summary = environ.get("GITHUB_STEP_SUMMARY", "")
    server = _api_url(environ, "GITHUB_SERVER_URL", _PAGES)
    return Environment(
        github_api_url=api_url,
        github_repository=_repository(environ),
        github_token=token,
        app_id=app_id,
        app_key=app_key,
        upstream_api_url=upstream_api_url,
        upstream_token=_token(environ, "GATEWAY_BOT_UPSTREAM_TOKEN") or shared,
        webhook=_webhook(environ),
        docker_config=Path(environ.get("DOCKER_CONFIG", "") or home / ".docker"),
        server_url=server,
        run_url=_run(environ, server),
        tag=environ.get("GITHUB_REF_NAME", "") if environ.get("GITHUB_REF_TYPE") == "tag" else "",
        step_summary=Path(summary) if summary else None,
        in_actions=environ.get("GITHUB_ACTIONS") == "true",
        on_ci=environ.get("CI", "").casefold() not in {"", "0", "false"} or environ.get("GITHUB_ACTIONS") == "true",
        docker_host=environ.get("DOCKER_HOST", ""),
        cache=Path(environ.get("XDG_CACHE_HOME", "") or home / ".cache") / "gateway-bot",
        others=environ,
    )


def _api_url(environ: Mapping[str, str], name: str, otherwise: str) -> str:
    url = environ.get(name, "").rstrip("/") or otherwise
    if not _is_address(rf"{_ORIGIN}(?:/[A-Za-z0-9._/-]*)?", url):
        raise UsageError(
            "it is no HTTPS address of an API (plain HTTP is for loopback only)",
            where=name,
            next_step=f"Set it as in {_GITHUB} or https://HOST/api/v3, or unset it.",
        )
    return url


def _run(environ: Mapping[str, str], server: str) -> str:
    repository, run = _repository(environ), environ.get("GITHUB_RUN_ID", "")
    attempt = environ.get("GITHUB_RUN_ATTEMPT", "")
    if not (repository and re.fullmatch("[0-9]{1,20}", run)):
        return ""
    page = f"{server}/{repository}/actions/runs/{run}"
    return f"{page}/attempts/{attempt}" if re.fullmatch("[0-9]{1,9}", attempt) else page


def _webhook(environ: Mapping[str, str]) -> str:
    url = environ.get("GATEWAY_BOT_WEBHOOK", "").strip()
    if url and not _is_address(rf"{_ORIGIN}(?:[/?][!-\"$-\[\]-~]*)?", url):
        raise UsageError(
            "it is no HTTPS address (plain HTTP is for loopback only)",
            where="GATEWAY_BOT_WEBHOOK",
            next_step="Set it to the whole address that the chat gave you for incoming messages, or unset it.",
        )
    return url


def _is_address(pattern: str, url: str) -> bool:
    match = re.fullmatch(pattern, url)
    return match is not None and is_host(match[2]) and (match[1] == "https" or is_loopback(match[2]))


def _repository(environ: Mapping[str, str]) -> str:
    slug = environ.get("GITHUB_REPOSITORY", "")
    if slug and not re.fullmatch(SLUG, slug):
        raise UsageError(
            f"{slug[:80]!r} is not OWNER/NAME",
            where="GITHUB_REPOSITORY",
            next_step="Set it to the repository that gets the pull request.",
        )
    return slug


def _token(environ: Mapping[str, str], name: str) -> str:
    token = environ.get(name, "").strip()
    if not (token.isascii() and token.isprintable()):
        raise UsageError(
            f"{name} holds characters that no token has, such as a line break",
            where=name,
            next_step="Set it to the token alone.",
        )
    return token


def _app(environ: Mapping[str, str]) -> tuple[str, str]:
    """The GitHub App's id and private key; two empty texts where there is none."""
    app_id, key = environ.get(_APP_ID, "").strip(), environ.get(_APP_KEY, "").strip()
    if bool(app_id) != bool(key):
        there, missing = (_APP_ID, _APP_KEY) if app_id else (_APP_KEY, _APP_ID)
        raise UsageError(
            f"{there} is set and {missing} is not: a GitHub App needs both",
            where=missing,
            next_step="Set both (in GitHub Actions: from the secrets of this repository), or unset both.",
        )
    if app_id and not re.fullmatch(r"[0-9]{1,20}|Iv[0-9][A-Za-z0-9.]{6,60}", app_id):
        raise UsageError(
            f"{_APP_ID} is neither an App's id (digits) nor its client id (Iv...)",
            where=_APP_ID,
            next_step="Copy one of them from the App's page: Settings, Developer settings, GitHub Apps.",
        )
    return app_id, _pem(key) if key else ""


def _pem(text: str) -> str:
    r"""The key with true line breaks: many stores of secrets write them as \n, others hold the file in base64."""
    if "-----BEGIN" not in text:
        try:
            text = binascii.a2b_base64(re.sub(r"\s", "", text), strict_mode=True).decode("ascii")
        except ValueError:
            text = ""
    text = text.replace("\\n", "\n").replace("\\r", "").replace("\r", "").strip()
    if not _PEM.fullmatch(text):
        raise UsageError(
            "it is no private key in PEM form",
            where=_APP_KEY,
            next_step="Set it to the whole text of the .pem file that GitHub gave you, first and last line included; "
            r"line breaks may be written as \n, or the whole file in base64.",
        )
    return f"{text}\n"
