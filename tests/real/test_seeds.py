"""The emulator can be made to look like the real world."""

from __future__ import annotations

import pytest

from tests.emulator import Emulator
from tests.loopback import loopback_client
from tests.seeds import UPSTREAM, seed_upstream, upstream_tags

pytestmark = pytest.mark.real


def test_upstream_has_its_101_releases(emulator: Emulator) -> None:
    seed_upstream(emulator)
    with loopback_client(emulator.url) as client:
        first = client.get(f"/repos/{UPSTREAM}/releases?per_page=100")
        second = client.get(first.links["next"]["url"])
    tags = {release["tag_name"] for release in (*first.json(), *second.json())}

    assert (len(first.json()), len(second.json())) == (100, 1)
    assert tags == {tag for tag, _ in upstream_tags()}


def test_downstream_has_exactly_our_files(emulator: Emulator) -> None:
    files = {"versions.env": ("100644", b"A=1\r\n"), "infrastructure/apply.sh": ("100755", b"\xff")}
    emulator.create_repository("acme/ai-gateway", files, default_branch="trunk", private=True)
    changed = emulator.commit("acme/ai-gateway", "trunk", {"versions.env": ("100644", b"A=2\n")})

    assert emulator.head("acme/ai-gateway", "trunk") == changed
    assert emulator.files_at("acme/ai-gateway", "trunk") == {**files, "versions.env": ("100644", b"A=2\n")}
