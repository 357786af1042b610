"""Pushing to a repository: blobs as streams, manifests, tags.

OCI distribution specification 1.1, sections "Pushing blobs", "Mounting a blob from another repository", "Pushing
Manifests". A blob is sent in one request after the one that opens its upload: all registries take that, and the last
part is held back until the bytes are proven, so a registry can keep nothing else under that digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Literal, Protocol
from urllib.parse import quote, urlsplit, urlunsplit

import msgspec
from urllib3.exceptions import HTTPError

from bot.adapters.connections import Connections
from bot.adapters.http import ATTEMPTS, Http, Response, shown
from bot.adapters.registry import headers
from bot.adapters.registry.access import foreign
from bot.adapters.registry.content import CONTINUES, BlobMissing, Contents, broken, joined, seconds_for
from bot.core.content import Content, Descriptor, NotTaken
from bot.core.decoding import decode
from bot.core.distribution import Login, origin
from bot.core.reference import Digest, Repository, Tag, digest_of
from bot.core.text import plain
from bot.errors import BotError, IntegrityError, ReleaseError, ServiceError

Came = Literal["copied", "mounted", "there"]
"""How a blob came to be where it is."""

_PATIENCE_SECONDS = 120.0
"""Between the last byte of a blob and the answer: the registry hashes it, and may move it."""

_KEPT_IN_A_TAG = (
    "This registry has no API for referrers, so they are listed under this tag, which changes: let its tags be mutable."
)
_BYTES = 256 * 1024
_CREATED, _ACCEPTED, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 201, 202, 401, 403, 404
_LACKING = frozenset({"MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_UNKNOWN"})
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


class Blobs(Protocol):
    """Where blobs come from."""

    @property
    def repository(self) -> Repository: ...

    def blob(self, blob: Descriptor) -> AbstractContextManager[Iterator[bytes]]: ...


class Target(Contents):
    """A repository that is written to. Everything may be done again: what is there already is left as it is."""

    def __init__(
        self, connections: Connections, http: Http, repository: Repository, logins: Callable[[str], Login | None]
    ) -> None:
        super().__init__(connections, http, repository, logins, "pull,push")

    def bring(self, blob: Descriptor, source: Blobs) -> Came:
        """Have a blob here, from the source: mounted where both are in one registry, else byte by byte.

        Raises IntegrityError where the source's bytes are not the blob, or are not there, ServiceError where one of the
        two gives up.
        """
        if self.has_blob(blob):
            return "there"
        for attempt in range(ATTEMPTS):
            try:
                answer = self._access.through(lambda authorization: self._transfer(blob, source, authorization))
            except ServiceError as error:
                if attempt + 1 == ATTEMPTS and isinstance(error, BlobMissing):
                    raise IntegrityError(error.what, where=error.where, next_step=error.next_step) from None
                if attempt + 1 == ATTEMPTS:
                    raise
                self._http.pause(attempt, f"{error.where}: {error.what}, attempt {attempt + 1} of {ATTEMPTS}")
                continue
            if answer.status == _CREATED:
                self._took(answer, blob.digest)
                return "mounted" if answer.is_mounted else "copied"
            # a token may end between the request that begins an upload and the one that ends it
            passes = answer.status in _PASSING or (answer.status == _UNAUTHORIZED and answer.is_begun)
            if not passes or attempt + 1 == ATTEMPTS:
                raise self._refused(answer)
            self._http.pause(attempt, f"{answer.url}: HTTP {answer.status}, attempt {attempt + 1} of {ATTEMPTS}")
        raise AssertionError("unreachable")  # pragma: no cover - the loop returns or raises

    def add(self, blob: bytes) -> None:
        """Have a blob there that was made here."""
        descriptor = Descriptor(digest_of(blob), len(blob), "application/octet-stream")
        self.bring(descriptor, _Made(self.repository, blob))

    def put(self, content: Content, tag: Tag | None = None) -> None:
        """Put a manifest or index under its digest, or under a tag.

        What is under that digest already is the same bytes. Raises ReleaseError for a tag that may not be moved.
        """
        url = f"{self._base}/manifests/{tag or content.digest}"
        response = self._access.through(
            lambda authorization: self._write(
                "PUT", url, headers("*/*", authorization) | {"Content-Type": content.media_type}, content.body
            )
        )
        if response.status not in {200, _CREATED, _ACCEPTED}:
            raise self._refused(response, tag)
        self._took(response, content.digest)

    def _took(self, response: Response, digest: Digest) -> None:
        """Raises IntegrityError where the registry says that it has something else."""
        said = response.headers.get("Docker-Content-Digest")
        if said is not None and said != digest:
            raise IntegrityError(
                f"the registry took {digest} and says that it has {plain(said, 80)}",
                where=f"{self.repository}@{digest}",
                next_step="Look for a proxy that changes what is pushed. Nothing that is incomplete was tagged.",
            )

    def _transfer(self, blob: Descriptor, source: Blobs, authorization: str) -> _Sent:
        """The answer to the request that ends an upload, or to the one that would have begun it."""
        uploads = f"{self._base}/blobs/uploads/"
        same = isinstance(source, Contents) and source.repository.host == self.repository.host
        query = f"?mount={blob.digest}&from={quote(source.repository.path)}" if same else ""
        begun = self._write("POST", uploads + query, headers("*/*", authorization), b"")
        if begun.status == _CREATED and not same:
            raise IntegrityError(
                "the registry says that it has a blob of which nothing was sent",
                where=f"{self.repository}@{blob.digest}",
                next_step="Look for a proxy in the registry's place. Nothing that is incomplete was tagged.",
            )
        if begun.status != _ACCEPTED:
            return _Sent(begun.url, begun.status, begun.headers, begun.body, is_mounted=begun.status == _CREATED)
        place = joined(uploads, begun.headers.get("Location", ""))
        if not _same_origin(place, uploads):
            raise foreign(begun, f"it takes blobs at {shown(place)[:200]!r}")
        parts = urlsplit(place)
        query = f"{parts.query}&digest={blob.digest}".removeprefix("&")
        sent = headers("*/*", authorization)
        sent |= {"Content-Length": str(blob.size), "Content-Type": "application/octet-stream"}
        with source.blob(blob) as body:
            url, proven = urlunsplit(parts._replace(query=query)), _proven(body, blob, source.repository)
            seconds = seconds_for(blob) + _PATIENCE_SECONDS
            return self._http.within(seconds, partial(self._put, url, sent, proven), url)

    def _write(self, method: str, url: str, sent: Mapping[str, str], body: bytes) -> Response:
        try:
            return self._http.again(method, url, sent, body, max_bytes=_BYTES)
        except ServiceError as error:
            raise ServiceError(error.what, where=error.where, next_step=CONTINUES) from None

    def _put(self, url: str, sent: Mapping[str, str], body: Iterator[bytes]) -> _Sent:
        try:
            answer = self._connections.send("PUT", url, sent, body, seconds=_PATIENCE_SECONDS)
            try:
                text = answer.read1(_BYTES)
            finally:
                answer.close()
        except (HTTPError, ValueError) as error:
            raise broken(error, url) from None
        return _Sent(shown(url), answer.status, answer.headers, text, is_begun=True)

    def _refused(self, response: Response, tag: Tag | None = None) -> BotError:
        said, lacks = _said(response.body)
        said = self._access.hidden(said)
        what = f"the registry answered HTTP {response.status}{f': {said}' if said else ''}"
        where = f"{self.repository}{f':{tag}' if tag else ''}"
        if tag and "immutable" in said.casefold():
            return ReleaseError(
                f"the tag may not be moved: {said}",
                where=where,
                next_step=_KEPT_IN_A_TAG
                if tag.startswith("sha256-")
                else "Leave it out of `moving` for this repository, or let its tags be mutable.",
            )
        if response.status in {_UNAUTHORIZED, _FORBIDDEN}:
            next_step = f"Log in with the right to push: docker login {self._access.host}"
            return ServiceError(f"{what} (denied)", where=where, next_step=next_step)
        if lacks:
            return IntegrityError(
                f"the registry said that it has a blob or manifest, and lacks it: {what}",
                where=where,
                next_step="It was not tagged. Run it again; if it stays so, tell the registry's owner.",
            )
        if response.status == _NOT_FOUND:
            next_step = "Make the repository first, or name it right under [[release.target]] in gateway-bot.toml."
            return ReleaseError(f"there is no such repository: {what}", where=where, next_step=next_step)
        next_step = "Nothing that is incomplete was tagged. When that is mended, run it again: it continues."
        final = 400 <= response.status < 500 and response.status not in _PASSING  # noqa: PLR2004 - HTTP's refusals
        return (NotTaken if final else ServiceError)(what, where=where, next_step=next_step)


class _Sent(Response, frozen=True):
    """The end of a blob's way."""

    is_mounted: bool = False
    is_begun: bool = False
    """Whether the registry had let the upload begin."""


class _Made:
    """A blob that is in memory, where a source is asked for."""

    def __init__(self, repository: Repository, made: bytes) -> None:
        self.repository = repository
        self._made = made

    @contextmanager
    def blob(self, blob: Descriptor) -> Iterator[Iterator[bytes]]:
        del blob  # it is the only one
        yield iter((self._made,))


class _Error(msgspec.Struct):
    code: str = ""
    message: str | None = None
    detail: msgspec.Raw = msgspec.Raw(b"")


class _Errors(msgspec.Struct):
    errors: list[_Error] = []


def _proven(body: Iterator[bytes], blob: Descriptor, source: Repository) -> Iterator[bytes]:
    """The same bytes, of which the last are given away when all are proven to be the blob."""
    hashed, left, held = hashlib.sha256(), blob.size, b""
    for part in body:
        hashed.update(part)
        left -= len(part)
        if held:
            yield held
        held = part
    if left > 0:
        raise ServiceError(
            f"a blob broke off: {left:,} of {blob.size:,} bytes did not come",
            where=f"{source}@{blob.digest}",
            next_step=CONTINUES,
        )
    if f"sha256:{hashed.hexdigest()}" != blob.digest:
        raise IntegrityError(
            f"the bytes of a blob are not what its digest says: they hash to sha256:{hashed.hexdigest()}",
            where=f"{source}@{blob.digest}",
            next_step="Nothing was published of it. Do not use this image: tell the registry's owner, and upstream.",
        )
    if held:
        yield held


def _same_origin(one: str, other: str) -> bool:
    try:
        return origin(one) == origin(other)
    except ValueError:
        return False


def _said(body: bytes) -> tuple[str, bool]:
    """The registry's own words, in one bounded line; and whether they are that it lacks what a manifest names."""
    try:
        errors = decode(body, _Errors).errors[:3]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = body[:1000].decode(errors="replace")
        return ("" if "<" in text else plain(text, 200)), False
    said = (f"{each.code} {each.message or ''} {_detail(each.detail)}".strip() for each in errors)
    return plain("; ".join(said), 300), any(each.code in _LACKING for each in errors)


def _detail(detail: msgspec.Raw) -> str:
    """Where Debian's registry says what is wrong with its disk; what it says of parts by digest is long."""
    text = bytes(detail).decode(errors="replace")
    return "" if text in {"", "null", "{}", "[]", '""'} else f"({plain(text, 120)})"
