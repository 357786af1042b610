"""Ledgers as values: pins by the minor version of the image, newest first."""

from __future__ import annotations

from datetime import timedelta

from bot.core.ledger import Entry, Ledger, OurRelease
from bot.core.reference import Digest
from tests.unit.values import NOW, pin

TODAY = NOW.date()


def digest(minor: int) -> Digest:
    return Digest(f"sha256:{minor:064x}")


def release(tag: str, minor: int | None, *, on_base: bool = True, by: str = "Rita", unknown: str = "") -> OurRelease:
    of = pin(f"v1.{minor}.0", digest(minor)) if minor is not None else None
    return OurRelease(tag, "f" * 40, NOW, by, on_base, of, unknown)


def entry(minor: int, *tags: str, by: str = "Ada", subject: str = "deps: bump", cut: bool = False) -> Entry:
    return Entry(
        pin=pin(f"v1.{minor}.0", digest(minor)),
        commit=f"{minor:040x}",
        date=NOW - timedelta(days=10 - minor),
        by=by,
        subject=subject,
        file="versions.env",
        pull_request=minor,
        gates=(("digest", "pass"), ("scan", "warn")),
        releases=tuple(release(tag, minor) for tag in tags),
        until=NOW,
        cut=cut,
    )


def ledger(
    *entries: Entry,
    elsewhere: tuple[OurRelease, ...] = (),
    lacks: tuple[str, ...] = (),
    whole: bool = True,
    unreadable: str = "",
) -> Ledger:
    return Ledger("app", "main", entries, elsewhere, lacks, whole=whole, unreadable=unreadable)
