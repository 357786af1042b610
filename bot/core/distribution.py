"""What a registry's or GitHub's answer says beside its body: challenges, next pages, waiting times. Pure.

RFC 9110 section 11 (challenges), RFC 8288 (Link), RFC 9110 section 10.2.3 (Retry-After).
"""

from __future__ import annotations

import re
from datetime import datetime
from urllib.parse import urljoin, urlsplit

import msgspec

from bot.core.reference import is_loopback

FLOOR_SECONDS, CAP_SECONDS = 1.0, 30.0
"""No Retry-After makes the bot hammer a service, or sleep through its schedule."""

_PARAM = re.compile(r'\s*([A-Za-z][A-Za-z0-9_-]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*(?:,|$)')
_LINK = re.compile(r"<([^<>]*)>\s*((?:;\s*[^,;]+)*)")

_TOKEN_HOSTS = {
    "registry-1.docker.io": "auth.docker.io",
    "registry.gitlab.com": "gitlab.com",
    "public.ecr.aws": "public.ecr.aws",
}
"""Registries whose tokens come from another host of the same owner, by their own documentation."""


class Challenge(msgspec.Struct, frozen=True):
    """What a 401 asks for: `scheme` is "bearer" or "basic"; `realm` and `service` are empty for basic."""

    scheme: str
    realm: str = ""
    service: str = ""


class Login(msgspec.Struct, frozen=True):
    """What Docker's config holds for a host: a name with a password, or an identity token."""

    username: str = ""
    password: str = ""
    identity_token: str = ""

    def __repr__(self) -> str:
        return "Login(...)"  # a secret shows in no message


def parse_challenge(header: str) -> Challenge | None:
    """The challenge of a WWW-Authenticate header to answer, or None: bearer before basic, which needs a login."""
    basic = None
    for match in re.finditer(r"(?:^|,\s*)(bearer|basic)(?:\s+|$)", header, re.IGNORECASE):
        scheme = match.group(1).lower()
        if scheme == "basic":
            basic = Challenge("basic")
            continue
        params: dict[str, str] = {}
        position = match.end()
        while found := _PARAM.match(header, position):
            name, quoted, bare = found.groups()
            params.setdefault(name.lower(), re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else bare)
            position = found.end()
        if params.get("realm"):
            return Challenge("bearer", params["realm"], params.get("service", ""))
    return basic


def is_own_realm(realm: str, registry_host: str) -> bool:
    """Whether the registry's own host, or its documented one, gives out the token (CVE-2020-15157).

    HTTPS only, except where the registry itself is on loopback.
    """
    try:
        parts = urlsplit(realm)
        host = parts.netloc.lower()
    except ValueError:
        return False
    if "@" in host or parts.fragment:
        return False
    own = registry_host.lower().removesuffix(":443")
    scheme = "http" if is_loopback(own) else "https"
    return parts.scheme == scheme and host.removesuffix(":443") in {own, _TOKEN_HOSTS.get(own, own)}


def next_page(link_header: str, current_url: str) -> str | None:
    """The absolute URL of `rel="next"`, or None on the last page. Raises ValueError for a foreign origin."""
    for target, params in _LINK.findall(link_header):
        if re.search(r';\s*rel\s*=\s*"?next"?\s*(?:;|$)', params, re.IGNORECASE):
            url: str = urljoin(current_url, target)
            if origin(url) != origin(current_url):
                raise ValueError(f"the next page is on another host: {origin(url)}")
            return url
    return None


def origin(url: str) -> str:
    """`scheme://host[:port]` of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


def retry_after(header: str | None, now: datetime, otherwise: float, cap: float = CAP_SECONDS) -> float:
    """Seconds to wait, between floor and cap, whatever the header says: seconds, a date, or nonsense."""
    seconds = otherwise
    if header is not None:
        text = header.strip()
        if re.fullmatch(r"[0-9]{1,9}(?:\.[0-9]+)?", text):
            seconds = float(text)
        elif re.fullmatch(r"[0-9]+", text):
            seconds = cap
        elif (date := _http_date(text)) is not None:
            seconds = (date - now).total_seconds()
    return min(max(seconds, FLOOR_SECONDS), cap)


def _http_date(text: str) -> datetime | None:
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - only a throttled run needs it

    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo else None
