"""What a repository holds, byte by byte: manifests, blobs as streams, and what refers to a manifest.

OCI distribution specification 1.1, sections "Pulling manifests", "Pulling blobs" and "Listing Referrers".
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from urllib.parse import urljoin, urlsplit

import msgspec
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse  # noqa: TC002 - the struct asks for it

from bot.adapters.connections import CHUNK, Connections, why
from bot.adapters.http import ATTEMPTS, PATIENCE_SECONDS, Http, Response, shown
from bot.adapters.registry import base_url, headers, not_proven, refused
from bot.adapters.registry.access import Access, Actions, foreign
from bot.core.content import Content, Descriptor, read_content
from bot.core.distribution import Login, next_page, origin
from bot.core.index import ACCEPT, INDEX_TYPES, MAX_BYTES, NotProven
from bot.core.reference import Digest, Repository, Tag, is_loopback
from bot.core.release.referrers import attached_tag
from bot.errors import IntegrityError, ServiceError

_OK, _NOT_FOUND = 200, 404
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS, _MAX_PAGES = 5, 20
_BEGINS_SECONDS = 3 * PATIENCE_SECONDS
_SLOWEST = 128 * 1024
"""Bytes a second: a blob that comes more slowly for long does not come at all."""


CONTINUES = "Nothing that is incomplete was tagged. Run it again: it continues where it stopped."


class BlobMissing(ServiceError):
    """A blob that is not there; GHCR has passing 404s on what exists."""


class Contents:
    """One repository of a registry, read in whole. `actions` say what its token is for."""

    def __init__(
        self,
        connections: Connections,
        http: Http,
        repository: Repository,
        logins: Callable[[str], Login | None],
        actions: Actions = "pull",
    ) -> None:
        self.repository = repository
        self._connections = connections
        self._http = http
        self._access = Access(http, repository, logins, actions)
        self._base = base_url(repository, self._access.host)

    def manifest(self, name: Tag | Digest, *, looks: int = 1) -> Content | None:
        """What a tag or digest names; None where it is not there, looked for so many times.

        GHCR has passing 404s on what exists. Raises IntegrityError for an answer that cannot be proven.
        """
        url = f"{self._base}/manifests/{name}"
        for attempt in range(looks):
            if attempt:
                # who looks four times expects it to be there, and should know what is waited for
                reason = f"{shown(url)}: HTTP 404, attempt {attempt}" if looks >= ATTEMPTS else ""
                self._http.pause(attempt - 1, reason)
            response = self._get(url, ACCEPT, MAX_BYTES)
            if response.status == _NOT_FOUND:
                continue
            if response.status != _OK:
                raise refused(response, self._access.host)
            return self._proven(response, name)
        return None

    def has_blob(self, blob: Descriptor) -> bool:
        """Whether it is there."""
        url = f"{self._base}/blobs/{blob.digest}"
        response = self._access.through(lambda authorization: self._http.head(url, headers("*/*", authorization)))
        # some keep blobs elsewhere, and say so of those that they have
        if response.status == _OK or response.status in _REDIRECTS:
            return True
        if response.status == _NOT_FOUND:
            return False
        raise refused(response, self._access.host)

    def referrers(self, digest: Digest) -> tuple[Descriptor, ...]:
        """The manifests that say something of this one, by the API, and by the tag that stands in for it.

        Raises IntegrityError for a list that is there and that nobody can read.
        """
        return tuple({each.digest: each for found in self._referrers(digest) for each in found.children}.values())

    @contextlib.contextmanager
    def blob(self, blob: Descriptor) -> Iterator[Iterator[bytes]]:
        """The bytes of a blob, in parts as they come; nothing is proven of them yet. Raises ServiceError."""
        url = f"{self._base}/blobs/{blob.digest}"
        opened = self._access.through(lambda authorization: self._open(url, authorization))
        if opened.status == _NOT_FOUND:
            raise BlobMissing(
                "the registry lacks a blob that one of its manifests names (HTTP 404)",
                where=f"{self.repository}@{blob.digest}",
                next_step="Nothing that is incomplete was tagged. What was removed there cannot be released.",
            )
        if opened.body is None:
            raise refused(opened.said(), self._access.host)
        try:
            said = opened.headers.get("Content-Length", "")
            if said.isdigit() and int(said) != blob.size:
                raise IntegrityError(
                    f"a blob has {int(said):,} bytes, its manifest says {blob.size:,}",
                    where=f"{self.repository}@{blob.digest}",
                    next_step="Nothing was published of it. Tell the registry's owner, and upstream.",
                )
            yield self._parts(opened.body, blob, opened.url)
        finally:
            opened.body.close()

    def _proven(self, response: Response, name: Tag | Digest) -> Content:
        try:
            return read_content(
                response.body,
                content_type=response.headers.get("Content-Type", ""),
                header_digest=response.headers.get("Docker-Content-Digest"),
                expected=Digest(name) if ":" in name else None,
            )
        except NotProven as error:
            raise not_proven(error, self.repository, name) from None

    def _referrers(self, digest: Digest) -> Iterator[Content]:
        yield from self._listed(digest)
        listed = self.manifest(attached_tag(digest))
        if listed is not None and listed.is_index:
            yield listed

    def _listed(self, digest: Digest) -> Iterator[Content]:
        """What the API lists: nothing where there is none, however that is said. GHCR redirects to a page.

        Once it has begun it has to come to its end. Raises IntegrityError, ServiceError.
        """
        url: str | None = f"{self._base}/referrers/{digest}"
        for page in range(_MAX_PAGES):
            if url is None:
                return
            try:
                response = self._get(url, INDEX_TYPES[0], MAX_BYTES)
            except IntegrityError:
                if page:
                    raise
                return
            kind = response.headers.get("Content-Type", "")
            is_list = response.status == _OK and kind.partition(";")[0].strip() in INDEX_TYPES
            if not page and not is_list:
                return
            if response.status != _OK:
                raise refused(response, self._access.host)
            try:
                yield read_content(response.body, content_type=kind, header_digest=None, expected=None)
                url = next_page(response.headers.get("Link", ""), response.url)
            except NotProven as error:
                raise not_proven(error, self.repository, digest) from None
            except ValueError as error:
                raise foreign(response, str(error)) from None
        raise not_proven(NotProven(f"its list of referrers does not end ({_MAX_PAGES} pages)"), self.repository, digest)

    def _get(self, url: str, accept: str, max_bytes: int) -> Response:
        return self._access.through(
            lambda authorization: self._http.get(url, headers(accept, authorization), max_bytes=max_bytes)
        )

    def _open(self, url: str, authorization: str) -> _Opened:
        """The beginning of a blob; where it is kept elsewhere, from there, where no credential is sent."""
        for _ in range(_MAX_REDIRECTS):
            try:
                response = self._http.within(_BEGINS_SECONDS, partial(self._begin, url, authorization), url)
            except (HTTPError, ValueError) as error:
                raise broken(error, url) from None
            if response.status == _OK:
                return _Opened(url, response.status, response.headers, response)
            response.close()
            if response.status not in _REDIRECTS:
                return _Opened(url, response.status, response.headers)
            target = joined(url, response.headers.get("Location", ""))
            if not self._is_fine(target):
                opened = _Opened(url, response.status, response.headers)
                raise foreign(opened, f"it keeps a blob at {shown(target)[:200]!r}")
            if origin(target) != origin(url):
                authorization = ""
            url = target
        raise ServiceError(
            f"it redirects more than {_MAX_REDIRECTS} times",
            where=shown(url),
            next_step="Nothing was decided. Run it again; if it stays so, tell the registry's owner.",
        )

    def _begin(self, url: str, authorization: str) -> BaseHTTPResponse:
        return self._connections.send("GET", url, headers("*/*", authorization), None, seconds=PATIENCE_SECONDS)

    def _is_fine(self, target: str) -> bool:
        """Blobs are kept elsewhere by many, over HTTPS; only a registry on loopback may lead to loopback."""
        try:
            parts = urlsplit(target)
            host = parts.netloc.rpartition("@")[2]
            return "@" not in parts.netloc and (
                is_loopback(host) if self.repository.is_loopback else parts.scheme == "https" and not is_loopback(host)
            )
        except ValueError:
            return False

    def _parts(self, response: BaseHTTPResponse, blob: Descriptor, url: str) -> Iterator[bytes]:
        """Raises ServiceError where it comes too slowly or breaks off, IntegrityError where it is too long."""
        clock = self._http.clock
        ends = clock.monotonic() + seconds_for(blob)
        left = blob.size
        try:
            while part := response.read1(CHUNK):
                left -= len(part)
                if left < 0:
                    raise IntegrityError(
                        f"it is longer than the {blob.size:,} bytes that its manifest says",
                        where=shown(url),
                        next_step="Nothing was published of it. Tell the registry's owner.",
                    )
                if clock.monotonic() > ends:
                    raise broken(TimeoutError(), url)
                yield part
        except (HTTPError, ValueError) as error:
            raise broken(error, url) from None


class _Opened(msgspec.Struct, frozen=True):
    """The beginning of an answer; `body` is there where it is a good one."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: BaseHTTPResponse | None = None

    def said(self) -> Response:
        return Response(shown(self.url), self.status, self.headers, b"")


def joined(url: str, location: str) -> str:
    """Where an answer leads to; what is no address leads nowhere."""
    try:
        return urljoin(url, location)
    except ValueError:
        return ""


def seconds_for(blob: Descriptor) -> float:
    """How long a blob may take on its way."""
    return 3 * PATIENCE_SECONDS + blob.size / _SLOWEST


def broken(error: Exception, url: str) -> ServiceError:
    """A stream that ended before its end."""
    said = why(error) if isinstance(error, HTTPError) else "it took too long"
    return ServiceError(
        f"no answer: {said}",
        where=shown(url),
        next_step=CONTINUES,
    )
