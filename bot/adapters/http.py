"""HTTP for the adapters: bounded in time and size, retried where that can help, never redirected."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec
from urllib3 import HTTPHeaderDict
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

from bot import __version__
from bot.adapters.connections import Connections, why
from bot.beside import beside
from bot.clock import Clock
from bot.core.distribution import retry_after
from bot.errors import IntegrityError, ServiceError

ATTEMPTS = 4
DEADLINE_SECONDS = 120.0
"""For everything that one image asks of the network, waiting included."""

PATIENCE_SECONDS = 20.0
"""Without a byte."""
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_CHUNK = 64 * 1024
_T = TypeVar("_T")
_FORM = "application/x-www-form-urlencoded"
# one layer of gzip at most: what comes out of a chunk of it stays small
_HEADERS = {"User-Agent": f"gateway-bot/{__version__}", "Accept-Encoding": "gzip", "Accept": "*/*"}


class Response(msgspec.Struct, frozen=True):
    """A whole answer: its body was read to the end and is no longer than was allowed."""

    url: str
    status: int
    headers: Mapping[str, str]
    """Found in any case."""
    body: bytes


class Request(msgspec.Struct, frozen=True):
    """What is sent: an address that was checked, and headers of which each has one value."""

    method: str
    url: str
    headers: HTTPHeaderDict
    body: bytes | None = None


class Http:
    """Requests of one image under one deadline, in seconds from now. Safe to use from several threads."""

    def __init__(
        self,
        connections: Connections,
        clock: Clock,
        log: Callable[[str], None],
        seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self.clock = clock
        self._connections = connections
        self._log = log
        self._ends = clock.monotonic() + seconds

    def get(self, url: str, headers: Mapping[str, str], *, max_bytes: int) -> Response:
        """The answer, whatever its status. Raises ServiceError when it gave up, IntegrityError for a redirect."""
        return self._send(_request("GET", url, headers), max_bytes)

    def head(self, url: str, headers: Mapping[str, str]) -> Response:
        """As `get`, without a body; a redirect is an answer too."""
        return self._send(_request("HEAD", url, headers), 0, takes_redirects=True)

    def post_form(self, url: str, form: Mapping[str, str], *, max_bytes: int) -> Response:
        """As `get`, for a POST that changes nothing and so may be repeated."""
        return self._send(_request("POST", url, {"Content-Type": _FORM}, urlencode(form).encode()), max_bytes)

    def again(self, method: str, url: str, headers: Mapping[str, str], content: bytes, *, max_bytes: int) -> Response:
        """As `get`, for a write that says the same whenever it is sent again."""
        return self._send(_request(method, url, headers, content), max_bytes)

    def once(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None, *, max_bytes: int
    ) -> Response:
        """The answer to one attempt, whatever its status, a redirect too. Raises ServiceError where there is none."""
        try:
            return self._in_time(_request(method, url, headers, content), shown(url), max_bytes)
        except HTTPError as error:
            raise self._gave_up(why(error), shown(url)) from None

    def within(self, seconds: float, work: Callable[[], _T], url: str) -> _T:
        """What `work` brings in that time, however slowly it comes byte by byte. Raises ServiceError."""
        try:
            return beside(work).result(timeout=seconds)
        except TimeoutError:
            raise self._gave_up("the answer came too slowly", shown(url)) from None

    def pause(self, attempt: int, reason: str) -> None:
        """Wait before the next attempt, longer each time; said, unless there is no reason to say.

        Raises ServiceError when the deadline would pass.
        """
        self._wait(0.5 * 2**attempt, reason, "")

    def _send(self, request: Request, max_bytes: int, *, takes_redirects: bool = False) -> Response:
        url = shown(request.url)
        reason = ""
        for attempt in range(ATTEMPTS):
            backoff = 0.5 * 2**attempt
            try:
                response = self._in_time(request, url, max_bytes)
            except HTTPError as error:
                reason = why(error)
            else:
                if 300 <= response.status < 400 and not takes_redirects:  # noqa: PLR2004 - HTTP's redirects
                    raise IntegrityError(
                        f"it redirects to {shown(response.headers.get('Location', '')) or 'nowhere'}",
                        where=url,
                        next_step="Nothing was sent there. If it has moved, name its new place in gateway-bot.toml.",
                    )
                if not _is_passing(response):
                    return response
                reason = f"HTTP {response.status}"
                header = response.headers.get("Retry-After")
                if header is not None or response.status == HTTPStatus.TOO_MANY_REQUESTS:
                    backoff = retry_after(header, self.clock.now(), max(backoff, 1.0))
            if attempt + 1 < ATTEMPTS:
                self._wait(backoff, f"attempt {attempt + 1} of {ATTEMPTS}: {reason}", url)
        raise self._gave_up(f"{reason} ({ATTEMPTS} attempts)", url)

    def _in_time(self, request: Request, url: str, max_bytes: int) -> Response:
        """One attempt that ends at the deadline even where the service drips its headers byte by byte."""
        asked = beside(lambda: self._once(request, url, max_bytes))
        try:
            return asked.result(timeout=max(0.0, self._ends - self.clock.monotonic()) + 1.0)
        except TimeoutError:
            raise self._gave_up("the answer came too slowly", url) from None

    def _once(self, request: Request, url: str, max_bytes: int) -> Response:
        """One attempt. A body that is cut short raises in the HTTP layer, so a part never counts as whole."""
        left = self._ends - self.clock.monotonic()
        if left <= 0:
            raise self._gave_up("the time for this image was used up", url)
        response = self._connections.send(
            request.method, request.url, request.headers, request.body, seconds=min(PATIENCE_SECONDS, left)
        )
        try:
            encoding = response.headers.get("Content-Encoding", "identity")
            if encoding not in {"identity", request.headers["Accept-Encoding"]}:
                raise IntegrityError(
                    f"its bytes are encoded ({encoding[:40]}), which was not asked for, so they prove nothing",
                    where=url,
                    next_step="Look for a proxy that compresses what the service sends.",
                )
            body = bytearray()
            # as it comes, so that a drip is noticed
            while chunk := response.read1(_CHUNK, decode_content=True):
                body += chunk
                if len(body) > max_bytes:
                    raise IntegrityError(
                        f"the answer is larger than {max_bytes:,} bytes",
                        where=url,
                        next_step="No true answer is that large: look at what the address serves.",
                    )
                if self.clock.monotonic() > self._ends:
                    raise self._gave_up("the answer came too slowly", url)
        finally:
            response.close()
        return Response(url, response.status, response.headers, bytes(body))

    def _wait(self, seconds: float, reason: str, url: str) -> None:
        if self.clock.monotonic() + seconds > self._ends:
            raise self._gave_up(reason, url)
        if reason:
            self._log(f"{url}: {reason}; again in {seconds:g} s" if url else f"{reason}; again in {seconds:g} s")
        self.clock.sleep(seconds)

    def _gave_up(self, reason: str, url: str) -> ServiceError:
        return ServiceError(
            f"no answer: {reason}",
            where=url or "network",
            next_step="Nothing is known, so nothing was decided. Run it again when the service answers.",
        )


def _request(method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Request:
    """Raises IntegrityError for what is no address or no header: both come from answers."""
    merged = HTTPHeaderDict(_HEADERS)  # names match in any case: one value each, ours
    merged.update(headers)
    if not (_is_address(url) and all(value.isascii() and value.isprintable() for value in merged.values())):
        raise IntegrityError(
            "an answer led to an address that is none",
            where=shown(url),
            next_step="Nothing was sent there. Look at what the service before it answers.",
        )
    return Request(method, url, merged, body)


def _is_address(url: str) -> bool:
    try:
        parts = parse_url(url)
    except HTTPError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.host)


def _is_passing(response: Response) -> bool:
    """Whether the same request may be answered otherwise soon; GitHub also throttles with 403."""
    if response.status == HTTPStatus.FORBIDDEN:
        return "Retry-After" in response.headers or response.headers.get("x-ratelimit-remaining") == "0"
    return response.status in _PASSING


def shown(url: str) -> str:
    """The URL without user information and query, either of which may hold a secret."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an invalid address"
    host = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else ""
    return f"{host}{parts.path}"
