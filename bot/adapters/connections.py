"""Connections to HTTP services: pooled, over TLS with this machine's certificates, through the environment's proxies.

urllib3 does the work. What it is told here: nothing is followed, nothing is asked again, nothing is unpacked unasked.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import urllib3
from urllib3 import exceptions

from bot.core.reference import is_loopback
from bot.errors import UsageError

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

CHUNK = 1024 * 1024
"""Bytes that are read or sent at once."""

_POOLS, _CONNECTIONS = 64, 64
_WORDS = (
    (exceptions.DecodeError, "its bytes are not packed as it says"),
    (exceptions.ProxyError, "the proxy does not let it through"),
    (exceptions.SSLError, "its certificate is not accepted"),
    (exceptions.NameResolutionError, "its name is not known"),
    (exceptions.NewConnectionError, "no connection"),
    (exceptions.TimeoutError, "it took too long"),
    ((exceptions.ProtocolError, exceptions.IncompleteRead, exceptions.InvalidChunkLength), "the connection broke off"),
)
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


class Connections:
    """All connections of a run. Loopback is never asked through a proxy. Safe to use from several threads."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Raises UsageError for a proxy that the environment names and that is none."""
        self._environ = environ
        self._proxies = {scheme: url for scheme in ("http", "https") if (url := _proxy(environ, scheme))}
        self._ways: dict[str, urllib3.PoolManager] = {}
        self._lock = threading.Lock()
        for url in self._proxies.values():
            try:
                if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
                    raise _unusable("no HTTP proxy")
            except ValueError:
                raise _unusable("no address") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of them."""
        for way in self._ways.values():
            way.clear()

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | Iterable[bytes] | None,
        *,
        seconds: float,
    ) -> BaseHTTPResponse:
        """The answer's status and headers; its body is still to be read, and `close` is the caller's.

        `seconds` without a byte end it. Raises urllib3's HTTPError, or ValueError for what cannot be sent.
        """
        return self._way(url).urlopen(
            method,
            url,
            headers=headers,
            body=body,
            redirect=False,
            retries=False,
            timeout=urllib3.Timeout(connect=seconds, read=seconds),
            preload_content=False,
            decode_content=False,
            assert_same_host=False,
        )

    def _way(self, url: str) -> urllib3.PoolManager:
        """Directly, or through a proxy: one pool for each way."""
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        proxy = self._proxies.get(parts.scheme, "")
        if proxy and (is_loopback(host) or self._is_direct(host)):
            proxy = ""
        secure = parts.scheme == "https" or proxy.startswith("https:")
        key = f"{proxy} {secure}"
        with self._lock:
            if key not in self._ways:
                self._ways[key] = self._new_way(proxy, self._authorities if secure else None)
            return self._ways[key]

    def _new_way(self, proxy: str, context: ssl.SSLContext | None) -> urllib3.PoolManager:
        return (
            urllib3.ProxyManager(
                _without_user(proxy),
                num_pools=_POOLS,
                proxy_headers=_authorization(proxy),
                proxy_ssl_context=context,
                ssl_context=context,
                maxsize=_CONNECTIONS,
                blocksize=CHUNK,
            )
            if proxy
            else urllib3.PoolManager(_POOLS, ssl_context=context, maxsize=_CONNECTIONS, blocksize=CHUNK)
        )

    def _is_direct(self, host: str) -> bool:
        """Whether NO_PROXY names the host."""
        # typeshed does not know it
        from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined] # noqa: PLC0415 - 16 ms, for those who have a proxy

        direct = self._environ.get("no_proxy") or self._environ.get("NO_PROXY") or ""
        return bool(proxy_bypass_environment(host, {"no": direct}))

    @cached_property
    def _authorities(self) -> ssl.SSLContext:
        """The certificates that the environment names, else Mozilla's: read for the first HTTPS address only."""
        file, folder = (self._environ.get(name) or None for name in _CERTIFICATES)
        if file is None and folder is None:
            import certifi  # noqa: PLC0415 - only where nothing else is named

            file = certifi.where()
        try:
            return ssl.create_default_context(cafile=file, capath=folder)
        except (OSError, ValueError) as error:
            raise _unusable(type(error).__name__) from None


def why(error: exceptions.HTTPError) -> str:
    """What went wrong below HTTP, in plain words: in the library's own may stand what was sent, a secret too."""
    said = next((words for kind, words in _WORDS if isinstance(error, kind)), type(error).__name__)
    below: BaseException | None = error
    while below is not None:
        if detail := getattr(below, "verify_message", None) or getattr(below, "strerror", None):
            return f"{said} ({detail})"
        below = below.__cause__ or below.__context__ or _first(below)
    return said


def _first(error: BaseException) -> BaseException | None:
    """urllib3 gives the error below as its second argument."""
    return next((each for each in error.args if isinstance(each, BaseException)), None)


def _proxy(environ: Mapping[str, str], scheme: str) -> str:
    names = (f"{scheme}_proxy", f"{scheme}_proxy".upper(), "all_proxy", "ALL_PROXY")
    found = next((environ[name] for name in names if environ.get(name)), "")
    return found if not found or "://" in found else f"http://{found}"


def _authorization(proxy: str) -> dict[str, str] | None:
    user, at, _ = urlsplit(proxy).netloc.rpartition("@")
    return urllib3.make_headers(proxy_basic_auth=user) if at else None


def _without_user(proxy: str) -> str:
    parts = urlsplit(proxy)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _unusable(kind: str) -> UsageError:
    return UsageError(
        f"a proxy or a file of certificates that the environment names cannot be used: {kind}",
        where="HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, SSL_CERT_FILE, SSL_CERT_DIR",
        next_step="Mend the one that is wrong, or unset it.",
    )
