"""HTTP for the adapters: bounded in time and size, retried where that can help, never redirected."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import httpx
import msgspec

from bot import __version__
from bot.beside import beside
from bot.clock import Clock
from bot.core.distribution import retry_after
from bot.errors import IntegrityError, ServiceError, UsageError

ATTEMPTS = 4
DEADLINE_SECONDS = 120.0
"""For everything that one image asks of the network, waiting included."""

_PATIENCE_SECONDS = 20.0
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


class Response(msgspec.Struct, frozen=True):
    """A whole answer: its body was read to the end and is no longer than was allowed."""

    url: str
    status: int
    headers: httpx.Headers
    body: bytes


def new_client() -> httpx.Client:
    """One pool of connections for a run. Loopback is never asked through a proxy."""
    direct: dict[str, httpx.BaseTransport | None] = {
        f"all://{host}": None for host in ("localhost", "127.0.0.1", "[::1]")
    }
    # one layer of gzip at most: what comes out of a chunk of it stays small
    headers = {"User-Agent": f"gateway-bot/{__version__}", "Accept-Encoding": "gzip"}
    try:
        return httpx.Client(headers=headers, mounts=direct)
    except (ValueError, OSError) as error:
        raise UsageError(
            f"a proxy or a file of certificates that the environment names cannot be used: {type(error).__name__}",
            where="HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, SSL_CERT_FILE, SSL_CERT_DIR",
            next_step="Mend the one that is wrong, or unset it.",
        ) from None


class Http:
    """Requests of one image under one deadline. Safe to use from several threads."""

    def __init__(self, client: httpx.Client, clock: Clock, log: Callable[[str], None]) -> None:
        self.clock = clock
        self._client = client
        self._log = log
        self._ends = clock.monotonic() + DEADLINE_SECONDS

    def get(self, url: str, headers: Mapping[str, str], *, max_bytes: int) -> Response:
        """The answer, whatever its status. Raises ServiceError when it gave up, IntegrityError for a redirect."""
        return self._send(self._request("GET", url, headers), max_bytes)

    def post_form(self, url: str, form: Mapping[str, str], *, max_bytes: int) -> Response:
        """As `get`, for a POST that changes nothing and so may be repeated."""
        return self._send(self._request("POST", url, {}, dict(form)), max_bytes)

    def once(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None, *, max_bytes: int
    ) -> Response:
        """The answer to one attempt, whatever its status, a redirect too. Raises ServiceError where there is none."""
        request = self._request(method, url, headers, content=content)
        try:
            return self._in_time(request, _shown(url), max_bytes)
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise self._gave_up(_why(error), _shown(url)) from None

    def pause(self, attempt: int, why: str) -> None:
        """Wait before the next attempt, longer each time. Raises ServiceError when the deadline would pass."""
        self._wait(0.5 * 2**attempt, why, "")

    def _request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        form: dict[str, str] | None = None,
        content: bytes | None = None,
    ) -> httpx.Request:
        merged = self._client.headers.copy()  # names match in any case: one value each, ours
        merged.update(headers)
        try:
            return httpx.Request(method, url, headers=merged, data=form, content=content)
        except (httpx.InvalidURL, ValueError):
            raise IntegrityError(
                "an answer led to an address that is none",
                where=_shown(url),
                next_step="Nothing was sent there. Look at what the service before it answers.",
            ) from None

    def _send(self, request: httpx.Request, max_bytes: int) -> Response:
        url = _shown(str(request.url))
        why = ""
        for attempt in range(ATTEMPTS):
            backoff = 0.5 * 2**attempt
            try:
                response = self._in_time(request, url, max_bytes)
            except (httpx.TransportError, httpx.DecodingError) as error:
                why = _why(error)
            else:
                if 300 <= response.status < 400:  # noqa: PLR2004 - HTTP's redirects
                    raise IntegrityError(
                        f"it redirects to {_shown(response.headers.get('Location', '')) or 'nowhere'}",
                        where=url,
                        next_step="Nothing was sent there. If it has moved, name its new place in gateway-bot.toml.",
                    )
                if not _is_passing(response):
                    return response
                why = f"HTTP {response.status}"
                header = response.headers.get("Retry-After")
                if header is not None or response.status == httpx.codes.TOO_MANY_REQUESTS:
                    backoff = retry_after(header, self.clock.now(), max(backoff, 1.0))
            if attempt + 1 < ATTEMPTS:
                self._wait(backoff, f"attempt {attempt + 1} of {ATTEMPTS}: {why}", url)
        raise self._gave_up(f"{why} ({ATTEMPTS} attempts)", url)

    def _in_time(self, request: httpx.Request, url: str, max_bytes: int) -> Response:
        """One attempt that ends at the deadline even where the service drips its headers byte by byte."""
        asked = beside(lambda: self._once(request, url, max_bytes))
        try:
            return asked.result(timeout=max(0.0, self._ends - self.clock.monotonic()) + 1.0)
        except TimeoutError:
            raise self._gave_up("the answer came too slowly", url) from None

    def _once(self, request: httpx.Request, url: str, max_bytes: int) -> Response:
        """One attempt. A body that is cut short raises in the HTTP layer, so a part never counts as whole."""
        left = self._ends - self.clock.monotonic()
        if left <= 0:
            raise self._gave_up("the time for this image was used up", url)
        request.extensions = {"timeout": httpx.Timeout(min(_PATIENCE_SECONDS, left)).as_dict()}
        response = self._client.send(request, stream=True)
        try:
            encoding = response.headers.get("Content-Encoding", "identity")
            if encoding not in {"identity", request.headers["Accept-Encoding"]}:
                raise IntegrityError(
                    f"its bytes are encoded ({encoding[:40]}), which was not asked for, so they prove nothing",
                    where=url,
                    next_step="Look for a proxy that compresses what the service sends.",
                )
            body = bytearray()
            for chunk in response.iter_bytes():
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
        return Response(url, response.status_code, response.headers, bytes(body))

    def _wait(self, seconds: float, why: str, url: str) -> None:
        if self.clock.monotonic() + seconds > self._ends:
            raise self._gave_up(why, url)
        self._log(f"{url}: {why}; again in {seconds:g} s" if url else f"{why}; again in {seconds:g} s")
        self.clock.sleep(seconds)

    def _gave_up(self, why: str, url: str) -> ServiceError:
        return ServiceError(
            f"no answer: {why}",
            where=url or "network",
            next_step="Nothing is known, so nothing was decided. Run it again when the service answers.",
        )


def _why(error: httpx.HTTPError) -> str:
    """What was sent may be quoted in the one kind, and holds secrets; in the others the reason helps."""
    quotes = isinstance(error, httpx.LocalProtocolError) or not str(error)
    return type(error).__name__ if quotes else f"{type(error).__name__}: {error}"


def _is_passing(response: Response) -> bool:
    """Whether the same request may be answered otherwise soon; GitHub also throttles with 403."""
    if response.status == httpx.codes.FORBIDDEN:
        return "Retry-After" in response.headers or response.headers.get("x-ratelimit-remaining") == "0"
    return response.status in _PASSING


def _shown(url: str) -> str:
    """The URL without user information and query, either of which may hold a secret."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an invalid address"
    host = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else ""
    return f"{host}{parts.path}"
