"""An OCI registry: indexes proven from their bytes, and lists of tags.

OCI distribution specification 1.1, sections "Pulling manifests" and "Listing tags".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from bot.adapters.http import ATTEMPTS, Http, Response
from bot.adapters.registry.access import Access, decoded, foreign
from bot.core.content import Denied
from bot.core.distribution import Login, next_page
from bot.core.index import ACCEPT, MAX_BYTES, Index, NotProven, prove_index
from bot.core.reference import Digest, Repository, Tag
from bot.errors import IntegrityError, ServiceError

MAX_PAGES = 200
MAX_TAGS = 100_000
_PAGE = 1000
_LIST_BYTES = 8 * 1024 * 1024
_OK, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 200, 401, 403, 404


class _Tags(msgspec.Struct):
    tags: list[str] | None = None


class Registry:
    """One repository of a registry, read."""

    def __init__(self, http: Http, repository: Repository, logins: Callable[[str], Login | None]) -> None:
        self._http = http
        self._repository = repository
        self._access = Access(http, repository, logins)
        self._base = base_url(repository, self._access.host)

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
                raise refused(response, self._access.host)
            page = decoded(response, _Tags)
            found.update(dict.fromkeys(page.tags or ()))
            try:
                url = next_page(response.headers.get("Link", ""), url)
            except ValueError as error:
                raise foreign(response, str(error)) from None
        return found, len(seen) == 1 and len(found) == _PAGE

    def _index(self, name: Tag | Digest) -> Index | None:
        response = self._get(f"{self._base}/manifests/{name}", ACCEPT, MAX_BYTES)
        if response.status == _NOT_FOUND:
            return None
        if response.status != _OK:
            raise refused(response, self._access.host)
        try:
            return prove_index(
                response.body,
                content_type=response.headers.get("Content-Type", ""),
                header_digest=response.headers.get("Docker-Content-Digest"),
                expected=Digest(name) if ":" in name else None,
            )
        except NotProven as error:
            raise not_proven(error, self._repository, name) from None

    def _get(self, url: str, accept: str, max_bytes: int) -> Response:
        return self._access.through(
            lambda authorization: self._http.get(url, headers(accept, authorization), max_bytes=max_bytes)
        )


def base_url(repository: Repository, host: str) -> str:
    """Where the repository is: `https://HOST/v2/PATH`."""
    return f"{'http' if repository.is_loopback else 'https'}://{host}/v2/{repository.path}"


def headers(accept: str, authorization: str) -> dict[str, str]:
    """Identity, not gzip: the digest is that of the bytes on the wire."""
    sent = {"Accept": accept, "Accept-Encoding": "identity"}
    return sent | {"Authorization": authorization} if authorization else sent


def not_proven(error: NotProven, repository: Repository, name: Tag | Digest) -> IntegrityError:
    """What came is not what it claims to be."""
    return IntegrityError(
        str(error),
        where=f"{repository}{'@' if ':' in name else ':'}{name}",
        next_step="Do not use this image. If upstream confirms the release, run it again later.",
    )


def refused(response: Response, host: str) -> ServiceError:
    """An answer that is none, to a request that reads."""
    denied = response.status in {_UNAUTHORIZED, _FORBIDDEN}
    next_step = "Nothing was decided. Run it again when the registry answers."
    if denied or response.status == _NOT_FOUND:
        next_step = f"Check `registry` in gateway-bot.toml; if it is private: docker login {host}"
    what = f"the registry answered HTTP {response.status}{' (denied)' if denied else ''}"
    return (Denied if denied else ServiceError)(what, where=response.url, next_step=next_step)
