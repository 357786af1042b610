"""An OCI registry: indexes proven from their bytes, and lists of tags.

OCI distribution specification 1.1, sections "Pulling manifests" and "Listing tags"; tokens by the Docker
registry token specification, which all registries follow.
"""

from __future__ import annotations

import re
import threading
from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import TypeVar
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec

from bot.adapters.http import ATTEMPTS, Http, Response
from bot.core.distribution import Challenge, Login, is_own_realm, next_page, parse_challenge
from bot.core.index import ACCEPT, MAX_BYTES, Index, NotProven, prove_index
from bot.core.reference import Digest, Repository, Tag
from bot.errors import IntegrityError, ServiceError

MAX_PAGES = 200
MAX_TAGS = 100_000
_PAGE = 1000
_LIST_BYTES = 8 * 1024 * 1024
_TOKEN_BYTES = 256 * 1024
_T = TypeVar("_T")
_OK, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 200, 401, 403, 404


class _Tags(msgspec.Struct):
    tags: list[str] | None = None


class _Token(msgspec.Struct):
    token: str = ""
    access_token: str = ""


class _Access(msgspec.Struct, frozen=True):
    """What a request is sent with: the Authorization header, and the login that it was made by."""

    authorization: str = ""
    login: Login | None = None


_ANONYMOUS = _Access()


class Registry:
    """One repository of a registry. Anonymous first: stale credentials turn a public image into `denied`."""

    def __init__(self, http: Http, repository: Repository, logins: Callable[[str], Login | None]) -> None:
        scheme = "http" if repository.is_loopback else "https"
        host = "registry-1.docker.io" if repository.host == "docker.io" else repository.host
        self._http = http
        self._repository = repository
        self._host = host
        self._base = f"{scheme}://{host}/v2/{repository.path}"
        self._logins = logins
        self._lock = threading.Lock()
        self._access = _ANONYMOUS

    def first_index(self, names: Sequence[Tag | Digest]) -> tuple[Tag | Digest, Index] | None:
        """The first of these names that is there, with its index.

        A 404 is asked again: GHCR has passing ones on manifests that exist. Raises IntegrityError for
        an answer that cannot be proven, ServiceError where there is none.
        """
        for attempt in range(ATTEMPTS):
            for position, name in enumerate(names):
                index = self._index(name)
                if index is not None and position == 0:
                    return name, index
                if index is not None:
                    # a name before it may only have had a passing 404, and be another image
                    self._http.pause(0, f"{self._repository}: {names[0]}: HTTP 404, {name} is there")
                    earlier = ((n, found) for n in names[:position] if (found := self._index(n)) is not None)
                    return next(earlier, (name, index))
            if attempt + 1 < ATTEMPTS:
                listed = ", ".join(names)
                self._http.pause(attempt, f"{self._repository}: {listed}: HTTP 404, attempt {attempt + 1}")
        return None

    def tags(self) -> tuple[str, ...]:
        """All tags, in the registry's order, over all pages."""
        # n above 1,000 is refused by ECR; `last` is no shortcut, since tags are not in the order of versions
        found, cut = self._tags(f"{self._base}/tags/list?n={_PAGE}")
        if cut:
            # go-containerregistry's registry cuts a listing at n without a word: without n it says all
            found |= self._tags(f"{self._base}/tags/list")[0]
        return tuple(found)

    def _tags(self, first: str) -> tuple[dict[str, None], bool]:
        """The tags from this page on, and whether the only page was full and said nothing of a next one."""
        url: str | None = first
        found: dict[str, None] = {}
        seen: set[str] = set()
        while url is not None:
            if url in seen or len(seen) >= MAX_PAGES or len(found) > MAX_TAGS:
                raise ServiceError(
                    f"the list of tags does not end ({len(seen)} pages, {len(found)} tags)",
                    where=f"{self._base}/tags/list",
                    next_step="Nothing was decided. The registry's paging is broken: tell its owner.",
                )
            seen.add(url)
            response = self._get(url, "application/json", _LIST_BYTES)
            if response.status != _OK:
                raise self._refused(response)
            page = _decode(response, _Tags)
            found.update(dict.fromkeys(page.tags or ()))
            try:
                url = next_page(response.headers.get("Link", ""), url)
            except ValueError as error:
                raise _foreign(response, str(error)) from None
        return found, len(seen) == 1 and len(found) == _PAGE

    def _index(self, name: Tag | Digest) -> Index | None:
        response = self._get(f"{self._base}/manifests/{name}", ACCEPT, MAX_BYTES)
        if response.status == _NOT_FOUND:
            return None
        if response.status != _OK:
            raise self._refused(response)
        try:
            return prove_index(
                response.body,
                content_type=response.headers.get("Content-Type", ""),
                header_digest=response.headers.get("Docker-Content-Digest"),
                expected=Digest(name) if ":" in name else None,
            )
        except NotProven as error:
            raise IntegrityError(
                str(error),
                where=f"{self._repository}{'@' if ':' in name else ':'}{name}",
                next_step="Do not use this image. If upstream confirms the release, run it again later.",
            ) from None

    def _get(self, url: str, accept: str, max_bytes: int) -> Response:
        """One request, and once more with a new token; then once with Docker's credentials, if it has any."""
        used = self._access
        response = self._ask(url, accept, used, max_bytes)
        if response.status == _UNAUTHORIZED:
            response, used = self._again(url, accept, max_bytes, response, used, None)
        if response.status in {_UNAUTHORIZED, _FORBIDDEN} and used.login is None:
            login = self._logins(self._repository.host)
            if login is not None:
                if "WWW-Authenticate" not in response.headers:
                    response = self._ask(url, accept, _ANONYMOUS, max_bytes)
                response, _ = self._again(url, accept, max_bytes, response, used, login)
        return response

    def _again(
        self, url: str, accept: str, max_bytes: int, response: Response, used: _Access, login: Login | None
    ) -> tuple[Response, _Access]:
        """The same request with the access that its challenge leads to; where it leads nowhere, as it was."""
        with self._lock:
            # another thread may have answered the challenge meanwhile: its access serves both
            if self._access is used or (login is not None and self._access.login is None):
                self._access = self._answer(response, login or used.login) or used
            access = self._access
        if access is used:
            return response, used
        return self._ask(url, accept, access, max_bytes), access

    def _ask(self, url: str, accept: str, access: _Access, max_bytes: int) -> Response:
        # identity: the digest is that of the bytes on the wire
        headers = {"Accept": accept, "Accept-Encoding": "identity"}
        if access.authorization:
            headers["Authorization"] = access.authorization
        return self._http.get(url, headers, max_bytes=max_bytes)

    def _answer(self, response: Response, login: Login | None) -> _Access | None:
        """The access that a challenge leads to, or None."""
        challenge = parse_challenge(response.headers.get("WWW-Authenticate", ""))
        match challenge:
            case Challenge(scheme="bearer"):
                token = self._bearer(challenge, response, login)
                return _Access(token, login) if token else None
            case Challenge(scheme="basic") if login is not None:
                return _Access(_basic(login), login)
            case _:
                return None

    def _bearer(self, challenge: Challenge, response: Response, login: Login | None) -> str:
        """A token by the challenge, or "" where it was denied."""
        if not is_own_realm(challenge.realm, self._host):
            raise _foreign(response, f"it asks for a token from {challenge.realm[:100]!r}")
        query = {"service": challenge.service, "scope": f"repository:{self._repository.path}:pull"}
        query = {name: value for name, value in query.items() if value}
        if login is not None and login.identity_token:
            form = {
                **query,
                "grant_type": "refresh_token",
                "client_id": "gateway-bot",
                "refresh_token": login.identity_token,
            }
            answer = self._http.post_form(challenge.realm, form, max_bytes=_TOKEN_BYTES)
        else:
            parts = urlsplit(challenge.realm)
            url = urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, urlencode(query))))))
            headers = {"Authorization": _basic(login)} if login is not None else {}
            answer = self._http.get(url, headers, max_bytes=_TOKEN_BYTES)
        if answer.status != _OK:
            return ""
        token = _decode(answer, _Token)
        text = token.token or token.access_token
        if not re.fullmatch("[!-~]+", text):
            raise IntegrityError(
                "the token service answered without a token",
                where=answer.url,
                next_step="Nothing was decided. Run it again; if it stays, tell the registry's owner.",
            )
        return f"Bearer {text}"

    def _refused(self, response: Response) -> ServiceError:
        denied = response.status in {_UNAUTHORIZED, _FORBIDDEN}
        next_step = "Nothing was decided. Run it again when the registry answers."
        if denied or response.status == _NOT_FOUND:
            next_step = f"Check `registry` in gateway-bot.toml; if it is private: docker login {self._host}"
        what = f"the registry answered HTTP {response.status}{' (denied)' if denied else ''}"
        return ServiceError(what, where=response.url, next_step=next_step)


def _basic(login: Login) -> str:
    return "Basic " + b64encode(f"{login.username}:{login.password}".encode()).decode()


def _decode(response: Response, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(response.body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise IntegrityError(
            f"the answer is not the JSON that the specification asks for: {error}",
            where=response.url,
            next_step="Look at what the address serves; a proxy may answer in the registry's place.",
        ) from None


def _foreign(response: Response, what: str) -> IntegrityError:
    return IntegrityError(
        f"{what}, which is not the registry's own",
        where=response.url,
        next_step="Nothing was sent there. Tell the registry's owner, or use a repository that answers by itself.",
    )
