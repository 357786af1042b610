"""Two registries with a repository each, between which things are copied."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from bot.adapters.connections import Connections
from bot.adapters.http import Http
from bot.adapters.registry.content import Contents
from bot.adapters.registry.pushing import Target
from bot.core.distribution import Login
from bot.core.reference import Digest, parse_repository
from bot.embedded.registry import EmbeddedRegistry
from bot.embedded.storage import StoredRepository
from bot.flows.attach import copy_attached
from bot.flows.retag import Copied, copy_image, read_image
from tests.flows.conftest import TestClock


@dataclass
class Pair:
    """Two registries, and a repository in each."""

    one: EmbeddedRegistry
    other: EmbeddedRegistry
    source: Contents
    target: Target
    said: list[str] = field(default_factory=list)

    @property
    def theirs(self) -> StoredRepository:
        return self.one.repository("up/app")

    @property
    def ours(self) -> StoredRepository:
        return self.other.repository("our/app")

    def copy(self, digest: str) -> Copied:
        index, manifests = read_image(self.source, Digest(digest))
        return copy_image(self.source, self.target, index, manifests, self.said.append)

    def attached(self, *digests: Digest, must: bool = False) -> tuple[Copied, tuple[str, ...]]:
        return copy_attached(self.source, self.target, digests, self.said.append, must=must)


@pytest.fixture
def pair() -> Iterator[Pair]:
    def nobody(_host: str) -> Login | None:
        return None

    with EmbeddedRegistry() as one, EmbeddedRegistry() as other, Connections({}) as connections:
        http = Http(connections, TestClock(), lambda _text: None)
        source = Contents(connections, http, parse_repository(f"{one.host}/up/app"), nobody)
        target = Target(connections, http, parse_repository(f"{other.host}/our/app"), nobody)
        yield Pair(one, other, source, target)
