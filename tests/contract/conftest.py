"""Each contract is kept by the embedded part always, and by the real ones under `make test-real`."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from bot.embedded.github import Account, EmbeddedGitHub
from bot.embedded.registry import EmbeddedRegistry
from tests.emulator import Emulator
from tests.parts import crane, crane_registry, docker_registry, emulator

__all__ = ["crane", "crane_registry", "docker_registry", "emulator"]

_BOT = Account("gateway-bot[bot]", {"contents": "write", "pull_requests": "write"})


@dataclass(frozen=True, slots=True)
class RegistryUnderTest:
    """A registry, a client for it, and the name of a repository that nobody else uses."""

    part: str
    client: httpx.Client
    repository: str


@dataclass(frozen=True, slots=True)
class GitHubUnderTest:
    """A GitHub, the bot's client for it, and what seeds it."""

    part: str
    bot: httpx.Client
    place: EmbeddedGitHub | Emulator

    @property
    def full_name(self) -> str:
        return "acme/ai-gateway"


@pytest.fixture(
    params=[
        "embedded",
        pytest.param("crane", marks=pytest.mark.real),
        pytest.param("docker-registry", marks=pytest.mark.real),
    ]
)
def registry(request: pytest.FixtureRequest) -> Iterator[RegistryUnderTest]:
    repository = f"contract/r{uuid.uuid4().hex}"
    if request.param == "embedded":
        with EmbeddedRegistry() as embedded, httpx.Client(base_url=embedded.url) as client:
            yield RegistryUnderTest("embedded", client, repository)
        return
    fixture = {"crane": "crane_registry", "docker-registry": "docker_registry"}[request.param]
    host: str = request.getfixturevalue(fixture)
    with httpx.Client(base_url=f"http://{host}") as client:
        yield RegistryUnderTest(request.param, client, repository)


@pytest.fixture(params=["embedded", pytest.param("emulator", marks=pytest.mark.real)])
def github(request: pytest.FixtureRequest) -> Iterator[GitHubUnderTest]:
    if request.param == "embedded":
        with EmbeddedGitHub({"bot-token": _BOT}) as embedded, _client(embedded.url, "bot-token") as client:
            yield GitHubUnderTest("embedded", client, embedded)
        return
    place: Emulator = request.getfixturevalue("emulator")
    with _client(place.url, place.token) as client:
        yield GitHubUnderTest("emulator", client, place)


def _client(url: str, token: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"})
