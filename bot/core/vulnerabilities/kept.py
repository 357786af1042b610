"""A scan that is kept in a file, so that the same question is not asked twice; and read back with suspicion."""

from __future__ import annotations

import hashlib

import msgspec

from bot.core.decoding import decode
from bot.core.model import Platform
from bot.core.reference import Digest
from bot.core.vulnerabilities.findings import Database, PlatformScan

_FORMAT = 1
"""To be raised when what a scan says changes: older files are then never read."""

MAX_BYTES = 64 * 1024 * 1024


class ScanKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a scan of one platform depends on. Another database or scanner is another scan."""

    digest: Digest
    platform: Platform
    database: Database
    scanner: str
    format: int = _FORMAT

    @property
    def name(self) -> str:
        """A file's name, the same for the same key."""
        return f"{hashlib.sha256(msgspec.json.encode(self)).hexdigest()}.json"


class _Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: ScanKey
    part: PlatformScan


def write_kept(key: ScanKey, part: PlatformScan) -> bytes:
    """The bytes of the file: a checksum, and below it what was scanned and found."""
    body = msgspec.json.encode(_Kept(key, part))
    return f"{hashlib.sha256(body).hexdigest()}\n".encode() + body


def read_kept(content: bytes, key: ScanKey) -> PlatformScan | None:
    """The scan that the file holds, or None where it is damaged, was edited, or answers another question."""
    checksum, _, body = content.partition(b"\n")
    if checksum != hashlib.sha256(body).hexdigest().encode():
        return None
    try:
        kept = decode(body, _Kept)
    except (ValueError, RecursionError):
        return None
    # as it was written, field by field: what is unknown or differently spelled is not what we wrote
    return kept.part if kept.key == key and msgspec.json.encode(kept) == body else None
