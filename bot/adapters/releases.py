"""The GitHub Releases of a repository, newest first, read until enough is known.

GitHub REST API, "List releases"; pages by the Link header.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec

from bot.adapters.http import Http, Response
from bot.core.decoding import decode
from bot.core.distribution import next_page
from bot.core.model import Release
from bot.core.versions import Ref, parse_version
from bot.errors import ForgeError, IntegrityError, ServiceError, UsageError

MAX_PAGES = 100
MAX_NOTES = 60_000
"""Characters kept of one release's notes: more than a pull request can show."""

_MAX_BYTES = 32 * 1024 * 1024
_OK = 200
_FIRST, _LAST = 2000, 2999


class _Release(msgspec.Struct):
    tag_name: str
    draft: bool = False
    prerelease: bool = False
    published_at: datetime | None = None
    html_url: str = ""
    body: str | None = None


class Releases:
    """GitHub's releases, with or without a token; the token goes to the API's own host only."""

    def __init__(self, http: Http, api_url: str, token: str) -> None:
        self._http = http
        self._api_url = api_url
        self._headers = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def list(self, repository: str, enough: Callable[[Sequence[Release]], bool]) -> tuple[Release, ...]:
        """The releases of `owner/name`, page by page until `enough` says so of a page, or to the end.

        Raises ServiceError where there is no answer: that is never the same as "no releases".
        """
        url: str | None = f"{self._api_url}/repos/{repository}/releases?per_page=100"
        found: dict[Ref, Release] = {}
        seen: set[str] = set()
        while url is not None:
            if url in seen or len(seen) >= MAX_PAGES:
                raise ServiceError(
                    f"the list of releases does not end ({len(seen)} pages)",
                    where=f"{self._api_url}/repos/{repository}/releases",
                    next_step="Nothing was decided. The service's paging is broken: tell its owner.",
                )
            seen.add(url)
            response = self._http.get(url, self._headers, max_bytes=_MAX_BYTES)
            if response.status != _OK:
                raise _refused(response, repository)
            try:
                page = [_release(entry) for entry in _decode(response)]
            except OverflowError:
                raise _no_list(response, "a date is out of range") from None
            for release in page:
                found.setdefault(release.ref, release)
            if enough(page):
                break
            url = _next(response, url)
        return tuple(found.values())


def _release(entry: _Release) -> Release:
    published = entry.published_at
    if published is not None:
        published = published.replace(tzinfo=UTC) if published.tzinfo is None else published.astimezone(UTC)
        if not _FIRST <= published.year <= _LAST:
            raise OverflowError
    return Release(
        ref=Ref(entry.tag_name),
        version=parse_version(entry.tag_name),
        published=published,
        draft=entry.draft,
        prerelease=entry.prerelease,
        url=entry.html_url,
        notes=(entry.body or "")[:MAX_NOTES],
    )


def _decode(response: Response) -> Sequence[_Release]:
    try:
        return decode(response.body, list[_Release])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _no_list(response, str(error)) from None


def _no_list(response: Response, why: str) -> IntegrityError:
    return IntegrityError(
        f"the answer is no list of releases: {why}",
        where=response.url,
        next_step="Look at what GITHUB_API_URL serves; a proxy may answer in GitHub's place.",
    )


def _next(response: Response, url: str) -> str | None:
    try:
        return next_page(response.headers.get("Link", ""), url)
    except ValueError as error:
        raise IntegrityError(
            str(error), where=response.url, next_step="Nothing was sent there. Look at what GITHUB_API_URL serves."
        ) from None


def _refused(response: Response, repository: str) -> ServiceError | ForgeError | UsageError:
    match response.status:
        case 404:
            return UsageError(
                f"there is no repository {repository}, or the token may not see it",
                where=response.url,
                next_step="Check `github` of the image in gateway-bot.toml.",
            )
        case 401 | 403:
            return ForgeError(
                f"GitHub answered HTTP {response.status}: the token is not accepted",
                where=response.url,
                next_step="Renew GITHUB_TOKEN (or authorise it: fine-grained approval, SSO), or unset it.",
            )
        case status:
            return ServiceError(
                f"GitHub answered HTTP {status}",
                where=response.url,
                next_step="Nothing was decided. Run it again when GitHub answers.",
            )
