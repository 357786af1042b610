"""Image references: digests, tags, repositories, and the five forms in which a file may hold them.

Grammar: OCI distribution specification 1.1, section "Pulling manifests" (names and tags); image
specification 1.1, section "Digests". Only sha256 is a digest here: nothing else is proven by this bot.
"""

from __future__ import annotations

import hashlib
import re
from typing import NewType

import msgspec

Digest = NewType("Digest", str)
"""`sha256:` and 64 lower-case hex digits; made by `parse_digest` or `digest_of` only."""

Tag = NewType("Tag", str)
"""A tag as the registry knows it; made by `parse_tag` only."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_HOST = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9A-Fa-f:]+\])(?::([0-9]{1,5}))?"
)
_PATH = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_LOOPBACK = re.compile(r"localhost|127(?:\.(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])){3}|\[::1\]")
_LAST_PORT = 65535


def parse_digest(text: str) -> Digest:
    """The digest that `text` is. Raises ValueError for anything else: other algorithms, upper case, paths."""
    if not _DIGEST.fullmatch(text):
        raise ValueError(f"{text[:80]!r} is no digest: sha256: and 64 lower-case hex digits were expected")
    return Digest(text)


def digest_of(body: bytes) -> Digest:
    """The digest of these bytes."""
    return Digest(f"sha256:{hashlib.sha256(body).hexdigest()}")


def parse_tag(text: str) -> Tag:
    """The tag that `text` is. Raises ValueError."""
    if not _TAG.fullmatch(text):
        raise ValueError(f"{text[:80]!r} is no image tag: letters, digits, '_', '.', '-', at most 128 characters")
    return Tag(text)


class Repository(msgspec.Struct, frozen=True, order=True):
    """A repository in a registry: `ghcr.io` and `agentgateway/agentgateway`."""

    host: str
    path: str

    def __str__(self) -> str:
        return f"{self.host}/{self.path}"

    @property
    def is_loopback(self) -> bool:
        """Loopback registries speak plain HTTP, all others HTTPS."""
        return is_loopback(self.host)


class Reference(msgspec.Struct, frozen=True):
    """`repo:tag`, `repo@digest` or `repo:tag@digest`."""

    repository: Repository
    tag: Tag | None
    digest: Digest | None

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.repository}{tag}{digest}"


def is_host(text: str) -> bool:
    """Whether `text` is a host's name or address, with or without a port."""
    match = _HOST.fullmatch(text)
    return match is not None and (match[1] is None or 0 < int(match[1]) <= _LAST_PORT)


def is_loopback(host: str) -> bool:
    """Whether a host, with or without port, is this machine."""
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    return bool(_LOOPBACK.fullmatch(name))


def parse_repository(text: str) -> Repository:
    """`HOST[:PORT]/PATH`. The host is never guessed. Raises ValueError."""
    host, slash, path = text.partition("/")
    names_host = "." in host or ":" in host or host == "localhost"
    if not (slash and names_host and is_host(host) and _PATH.fullmatch(path)):
        raise ValueError(f"{text[:200]!r} is no repository: HOST/PATH was expected, as in ghcr.io/owner/name")
    return Repository(host, path)


def parse_reference(text: str) -> Reference:
    """A repository with a tag, a digest, or both. Raises ValueError."""
    rest, at, digest = text.partition("@")
    head, colon, tag = rest.rpartition(":")
    if colon and not tag:
        raise ValueError(f"{text[:200]!r} has an empty tag")
    if not colon or "/" in tag:
        head, tag = rest, ""
    if not at and not tag:
        raise ValueError(f"{text[:200]!r} names neither a tag nor a digest")
    return Reference(parse_repository(head), parse_tag(tag) if tag else None, parse_digest(digest) if at else None)
