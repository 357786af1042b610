"""An OCI registry: indexes proven from their bytes, and lists of tags.

OCI distribution specification 1.1, sections "Pulling manifests" and "Listing tags"; tokens by the Docker
registry token specification, which all registries follow.
"""

from __future__ import annotations

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
_PAGE = 1000
_LIST_BYTES = 16 * 1024 * 1024
_TOKEN_BYTES = 256 * 1024
_T = TypeVar("_T")
_OK, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 200, 401, 403, 404


class _Tags(msgspec.Struct):
    tags: list[str] | None = None


class _Token(msgspec.Struct):
    token: str = ""
    access_token: str = ""


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
        self._authorization = ""
        self._login: Login | None = None

    def index(self, name: Tag | Digest) -> Index | None:
        """The index of a tag or digest; None where it is not there, now and after a few more attempts."""
        found = self.first_index([name])
        return found[1] if found else None

    def first_index(self, names: Sequence[Tag | Digest]) -> tuple[Tag | Digest, Index] | None:
        """The first of these names that is there, with its index.

        A 404 is asked again: GHCR has passing ones on manifests that exist. Raises IntegrityError for
        an answer that cannot be proven, ServiceError where there is none.
        """
        for attempt in range(ATTEMPTS):
            for name in names:
                index = self._index(name)
                if index is not None:
                    return name, index
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
            if url in seen or len(seen) >= MAX_PAGES:
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
        used = self._authorization
        response = self._ask(url, accept, used, max_bytes)
        if response.status == _UNAUTHORIZED and self._authorize(response, used):
            used = self._authorization
            response = self._ask(url, accept, used, max_bytes)
        if response.status in {_UNAUTHORIZED, _FORBIDDEN} and self._log_in():
            challenge = response
            if "WWW-Authenticate" not in response.headers:
                challenge = self._ask(url, accept, "", max_bytes)
            if self._authorize(challenge, used):
                response = self._ask(url, accept, self._authorization, max_bytes)
        return response

    def _ask(self, url: str, accept: str, authorization: str, max_bytes: int) -> Response:
        # identity: the digest is that of the bytes on the wire
        headers = {"Accept": accept, "Accept-Encoding": "identity"}
        if authorization:
            headers["Authorization"] = authorization
        return self._http.get(url, headers, max_bytes=max_bytes)

    def _log_in(self) -> bool:
        """Whether Docker's config has credentials that were not tried yet."""
        with self._lock:
            if self._login is None:
                self._login = self._logins(self._repository.host)
                return self._login is not None
            return False

    def _authorize(self, response: Response, used: str) -> bool:
        """Answer a challenge; whether there is another authorization to try than the one that was used."""
        with self._lock:
            if self._authorization != used:
                return True  # another thread answered it meanwhile
            challenge = parse_challenge(response.headers.get("WWW-Authenticate", ""))
            match challenge:
                case Challenge(scheme="bearer"):
                    self._authorization = self._bearer(challenge, response) or used
                case Challenge(scheme="basic") if self._login is not None:
                    self._authorization = _basic(self._login)
                case _:
                    pass
            return self._authorization != used

    def _bearer(self, challenge: Challenge, response: Response) -> str:
        """A token by the challenge, or "" where it was denied."""
        if not is_own_realm(challenge.realm, self._host):
            raise _foreign(response, f"it asks for a token from {urlsplit(challenge.realm).netloc or 'nowhere'}")
        query = {"service": challenge.service, "scope": f"repository:{self._repository.path}:pull"}
        query = {name: value for name, value in query.items() if value}
        login = self._login
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
        if not text or not text.isascii() or not text.isprintable():
            raise IntegrityError(
                "the token service answered without a token",
                where=answer.url,
                next_step="Nothing was decided. Run it again; if it stays, tell the registry's owner.",
            )
        return f"Bearer {text}"

    def _refused(self, response: Response) -> ServiceError:
        denied = response.status in {_UNAUTHORIZED, _FORBIDDEN}
        return ServiceError(
            f"the registry answered HTTP {response.status}{' (denied)' if denied else ''}",
            where=response.url,
            next_step=(
                f"Check the repository's name in gateway-bot.toml; if it is private: docker login {self._host}"
                if denied
                else "Nothing was decided. Run it again when the registry answers."
            ),
        )


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
