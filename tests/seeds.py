"""What the real world of the first house guest looks like, for any GitHub that can be seeded."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from bot.embedded.github import EmbeddedGitHub
from tests.emulator import Emulator

UPSTREAM = "agentgateway/agentgateway"
_TAGS = Path(__file__).resolve().parent / "real" / "data" / "upstream-tags.json"


def upstream_tags() -> list[tuple[str, datetime]]:
    """agentgateway's 101 git tags with their dates in UTC, in the order of its history."""
    return [(tag, datetime.fromisoformat(date)) for tag, date in json.loads(_TAGS.read_text())]


def seed_upstream(place: EmbeddedGitHub | Emulator, *, notes: str = "") -> None:
    """agentgateway's repository with its 101 releases. The emulator dates them all now."""
    place.create_repository(UPSTREAM)
    for tag, published in upstream_tags():
        if isinstance(place, Emulator):
            place.add_release(UPSTREAM, tag, body=notes)
        else:
            place.add_release(UPSTREAM, tag, body=notes, published=published)
