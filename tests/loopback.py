"""HTTP to servers on this machine."""

from __future__ import annotations

import ssl

import httpx

# httpx reads all certificates of the world for each client unless it is given a context: 20 ms that loopback
# does not need.
_NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def loopback_client(url: str = "", *, bearer: str = "") -> httpx.Client:
    """A client for plain HTTP, to be closed by who asked for it."""
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    return httpx.Client(base_url=url, headers=headers, verify=_NO_CERTIFICATES)
