"""GitHub's REST API for one repository: reads are asked again, a write is sent once. GitHub REST API 2022-11-28.

After a doubtful write the caller looks what became of it before anything else is done: a repeated POST makes
things twice.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec

from bot.adapters.connections import Connections
from bot.adapters.github_http import headers, is_limited, said
from bot.adapters.http import Http, Response
from bot.clock import Clock
from bot.core.decoding import decode
from bot.core.distribution import next_page, retry_after
from bot.core.text import plain
from bot.errors import BotError, ForgeError, IntegrityError, ServiceError

ATTEMPTS = 3
MAX_PAGES = 20
_MAX_BYTES = 32 * 1024 * 1024
_PATIENCE_SECONDS = 60.0
"""How long a rate limit is waited for; one that lasts longer is for the next run."""

_PROXY = "Look at what GITHUB_API_URL serves; a proxy may answer in GitHub's place."
_CONTINUE = "Nothing was lost: run it again later, it continues where it stopped."
_NOT_FOUND, _INVALID, _SERVER_ERRORS, _REDIRECTS = 404, 422, 500, 300
_JSON = "application/json"
_UPLOADS = re.compile(r"api\.(github\.com|[a-z0-9-]+\.ghe\.com)")
"""APIs beside which files are taken at the host `uploads`."""
_PATH = re.compile(r"(?:/(?!\.\.?/)[\w.-]+)+", re.ASCII)
_T = TypeVar("_T")


class Refused(BotError):
    """A request that did not succeed, as a user is told; `status` is GitHub's, 0 where it gave no answer."""

    def __init__(
        self,
        what: str,
        *,
        where: str,
        next_step: str,
        status: int,
        kind: type[BotError] = ForgeError,
    ) -> None:
        super().__init__(what, where=where, next_step=next_step)
        self.status = status
        self.exit_code = kind.exit_code

    @property
    def doubtful(self) -> bool:
        """Whether the request may have worked all the same."""
        return self.status == 0 or self.status >= _SERVER_ERRORS


class GitHubApi:
    """One repository (`OWNER/NAME`) at one API. `token` is asked for the token of each request."""

    def __init__(
        self,
        connections: Connections,
        api_url: str,
        repository: str,
        token: Callable[[], str],
        clock: Clock,
        log: Callable[[str], None],
    ) -> None:
        # One second between writes, as GitHub asks; none where GitHub is a test's on loopback
        self._between = 0.0 if api_url.startswith("http://") else 1.0
        self._last_write = -self._between
        self._connections = connections
        self._api_url = api_url
        self._token = token
        self._clock = clock
        self._log = log
        self.repository = repository

    def read(self, path: str, kind: type[_T]) -> _T | None:
        """A GET below the repository, asked again while the service has a passing fault; None for 404."""
        response = self._read(self._url(path))
        return None if response is None else self._as(response, kind)

    def pages(self, path: str, kind: type[_T]) -> Iterator[_T]:
        """A list, page by page to its end. Raises ServiceError for one that does not end."""
        url = self._url(path)
        for _ in range(MAX_PAGES):
            response = self._read(url)
            if response is None:
                raise self.missing(path)
            yield self._as(response, kind)
            try:
                following = next_page(response.headers.get("Link", ""), url)
            except ValueError as error:
                raise self._untrue(response.url, str(error)) from None
            if following is None:
                return
            url = following
        raise Refused(
            f"the list does not end ({MAX_PAGES} pages)",
            where=_shown(url),
            next_step="Nothing was decided. Close what is no longer needed there.",
            status=0,
            kind=ServiceError,
        )

    def write(self, verb: str, path: str, sent: object, kind: type[_T]) -> _T:
        """One write, once; where a rate limit refuses it, it is waited for and the write sent again."""
        return self._as(self._write(verb, self._url(path), sent), kind)

    def upload(
        self, address: str, path: str, query: Mapping[str, str], content: bytes, content_type: str, kind: type[_T]
    ) -> _T:
        """One POST of these bytes, once, to the address that GitHub named for `path` below the repository.

        The address is a template (RFC 6570), of which only the part before its variables is used. Raises
        IntegrityError, before anything is sent, where it does not belong to the API: the token goes nowhere else.
        """
        url = self._upload_url(address, path)
        return self._as(self._once("POST", f"{url}?{urlencode(query)}", content, content_type), kind)

    def delete(self, path: str) -> None:
        """A DELETE, once; it answers nothing."""
        self._write("DELETE", self._url(path), None)

    def graphql(self, query: str, variables: dict[str, str]) -> str:
        """One GraphQL mutation, for what REST cannot do; GitHub's reason where it refuses, else nothing."""
        url = f"{self._api_url.removesuffix('/v3')}/graphql"
        answer = self._as(self._write("POST", url, {"query": query, "variables": variables}), _GraphQL)
        done = not answer.errors and any(value is not None for value in (answer.data or {}).values())
        why = "; ".join(filter(None, (plain(error.message, 300) for error in answer.errors)))
        return "" if done else self._hidden(why) or "GitHub does not say why"

    def missing(self, path: str) -> Refused:
        """What a 404 means where something has to be there."""
        return self._error(self._url(path), _NOT_FOUND, "Not Found")

    def refused(self, what: str) -> Refused:
        """What was refused without a status of its own."""
        return Refused(what, where=self.repository, next_step=_advice("", _INVALID, ""), status=_INVALID)

    def untrue(self, path: str, what: str) -> Refused:
        """An answer that cannot be GitHub's."""
        return self._untrue(self._url(path), what)

    def _url(self, path: str) -> str:
        return f"{self._api_url}/repos/{self.repository}{path}"

    def _read(self, url: str) -> Response | None:
        for attempt in range(ATTEMPTS):
            try:
                return self._sent("GET", url, None)
            except Refused as refused:
                if refused.status == _NOT_FOUND:
                    return None
                if not refused.doubtful or attempt + 1 == ATTEMPTS:
                    raise
                self._log(f"{refused}; again in {2**attempt} s")
                self._clock.sleep(2.0**attempt)
        raise AssertionError("unreachable")  # pragma: no cover - the loop returns or raises

    def _upload_url(self, address: str, path: str) -> str:
        """The address, put together anew from what was checked of it."""
        api = urlsplit(self._api_url.lower())
        own = {api.netloc}
        if beside_it := _UPLOADS.fullmatch(api.netloc):
            own.add(f"uploads.{beside_it[1]}")
        try:
            named = urlsplit(address.partition("{")[0])
        except ValueError:
            named = urlsplit("")
        if named.scheme.lower() != api.scheme or named.netloc.lower() not in own:
            raise self._elsewhere(address, f"the host {' or '.join(sorted(own))}")
        below = f"/repos/{self.repository}{path}".lower()
        if not named.path.lower().endswith(below) or not _PATH.fullmatch(named.path):
            raise self._elsewhere(address, f"a path that ends with {below}")
        if named.query or named.fragment:
            raise self._elsewhere(address, "neither a query nor a fragment")
        return f"{named.scheme}://{named.netloc}{named.path}"

    def _elsewhere(self, address: str, expected: str) -> IntegrityError:
        named = plain(_shown(address.partition("{")[0]), 200)
        return IntegrityError(
            f"GitHub names {named!r} as the place for a file; expected: {expected}",
            where=self._api_url,
            next_step=f"Nothing was sent there. {_PROXY}",
        )

    def _write(self, verb: str, url: str, sent: object) -> Response:
        return self._once(verb, url, None if sent is None else msgspec.json.encode(sent), _JSON)

    def _once(self, verb: str, url: str, content: bytes | None, content_type: str) -> Response:
        """One request that changes something, a second after the last one."""
        wait = self._last_write + self._between - self._clock.monotonic()
        if wait > 0:
            self._clock.sleep(wait)
        try:
            return self._sent(verb, url, content, content_type)
        finally:
            self._last_write = self._clock.monotonic()

    def _sent(self, verb: str, url: str, content: bytes | None, content_type: str = _JSON) -> Response:
        """The answer to one request that succeeded; a rate limit that passes soon is waited for once."""
        for patient in (True, False):
            given = headers(self._token(), sends=content is not None)
            if content is not None:
                given["Content-Type"] = content_type
            try:
                http = Http(self._connections, self._clock, self._log)
                response = http.once(verb, url, given, content, max_bytes=_MAX_BYTES)
            except ServiceError as error:
                raise Refused(
                    f"GitHub does not answer: {error.what}",
                    where=_shown(url),
                    next_step=_CONTINUE,
                    status=0,
                    kind=ServiceError,
                ) from None
            if response.status < _REDIRECTS:
                return response
            wait = self._wait_for(response) if patient else None
            if wait is None:
                raise self._refused(url, response)
            self._log(f"{_shown(url)}: GitHub's rate limit; again in {wait:g} s")
            self._clock.sleep(wait)
        raise AssertionError("unreachable")  # pragma: no cover - the loop returns or raises

    def _wait_for(self, response: Response) -> float | None:
        """Seconds until a rate limit passes; None where it is none, or lasts too long."""
        header = response.headers.get("Retry-After")
        if header is None or not is_limited(response):
            return None
        wait = retry_after(header, self._clock.now(), 1.0, math.inf)
        return wait if wait <= _PATIENCE_SECONDS else None

    def _as(self, response: Response, kind: type[_T]) -> _T:
        try:
            return decode(response.body, kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._untrue(
                response.url, f"GitHub's answer lacks what its documentation promises: {error}"
            ) from None

    def _refused(self, url: str, response: Response) -> Refused:
        if response.status < 400:  # noqa: PLR2004 - HTTP's redirects
            return self._redirected(url, response)
        message = self._hidden(said(response.body))
        if is_limited(response):
            what = f"GitHub's rate limit is used up (HTTP {response.status})"
            return Refused(what, where=_shown(url), next_step=_CONTINUE, status=response.status, kind=ServiceError)
        return self._error(url, response.status, message)

    def _hidden(self, text: str) -> str:
        """GitHub's words without the token, should something in its place repeat it."""
        token = self._token()
        return text.replace(token, "***") if token else text

    def _redirected(self, url: str, response: Response) -> Refused:
        """A renamed repository or branch answers so; a foreign host in GitHub's place does, too."""
        target = response.headers.get("Location", "")
        try:
            same = urlsplit(target).netloc in {"", urlsplit(url).netloc}
        except ValueError:
            target, same = "an address that is none", False
        return Refused(
            f"GitHub redirects to {plain(_shown(target), 300) or 'nowhere'}, and nothing was sent there",
            where=_shown(url),
            next_step="It was renamed or moved: set GITHUB_REPOSITORY (or `base` in gateway-bot.toml, for a branch) "
            "to its new name.",
            status=response.status,
            kind=ForgeError if same else IntegrityError,
        )

    def _error(self, url: str, status: int, message: str) -> Refused:
        where = _shown(url)
        if status >= _SERVER_ERRORS:
            what = f"GitHub does not answer: HTTP {status}"
            return Refused(what, where=where, next_step=_CONTINUE, status=status, kind=ServiceError)
        what = f"GitHub answered HTTP {status}: {message}"
        return Refused(what, where=where, next_step=_advice(url, status, message), status=status)

    def _untrue(self, url: str, what: str) -> Refused:
        return Refused(what, where=_shown(url), next_step=_PROXY, status=0, kind=IntegrityError)


class _GraphQLError(msgspec.Struct):
    message: str = ""


class _GraphQL(msgspec.Struct):
    data: dict[str, object] | None = None
    errors: list[_GraphQLError] = []


def _shown(url: str) -> str:
    return url.partition("?")[0]


def _advice(url: str, status: int, message: str) -> str:
    if "not permitted to create or approve pull requests" in message:
        return "Allow it under Settings, Actions, General: `Allow GitHub Actions to create and approve pull requests`."
    if "SAML" in message or "SSO" in message:
        return "Authorise the token for the organisation's single sign-on, then run it again."
    return {
        401: "Renew GITHUB_TOKEN: it has expired or was revoked.",
        403: f"Give the token the permission `{_permission(url)}` on this repository: docs/identity.md.",
        404: "Check GITHUB_REPOSITORY; a token that may not see a repository gets the same answer.",
        422: "A rule of the repository refused it: look at its branch protection and rulesets.",
    }.get(status, _CONTINUE)


def _permission(url: str) -> str:
    """What a request needs; labels and comments of a pull request may come with either of two."""
    for part, permission in (
        ("/pulls", "pull-requests: write"),
        ("/issues", "issues: write` or `pull-requests: write"),
        ("/actions/", "actions: read"),
        ("/graphql", "pull-requests: write"),
    ):
        if part in url:
            return permission
    return "contents: write"
