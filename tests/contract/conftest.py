"""Each contract is kept by the embedded part always, and by the real ones under `make test-real`."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from bot.embedded.github import Account, EmbeddedGitHub
from bot.embedded.registry import EmbeddedRegistry
from tests.contract.under_test import GitHubUnderTest, RegistryUnderTest
from tests.emulator import BOT_TOKEN, Emulator
from tests.loopback import loopback_client
from tests.parts import crane, crane_registry, docker_registry, emulator

__all__ = ["crane", "crane_registry", "docker_registry", "emulator"]

_BOT = Account(
    "gateway-bot[bot]",
    {"contents": "write", "pull_requests": "write"},
    repositories=frozenset({"acme/ai-gateway"}),
)


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
        with EmbeddedRegistry() as embedded, loopback_client(embedded.url) as client:
            yield RegistryUnderTest("embedded", client, repository)
        return
    fixture = {"crane": "crane_registry", "docker-registry": "docker_registry"}[request.param]
    host: str = request.getfixturevalue(fixture)
    with loopback_client(f"http://{host}") as client:
        yield RegistryUnderTest(request.param, client, repository)


@pytest.fixture(params=["embedded", pytest.param("emulator", marks=pytest.mark.real)])
def github(request: pytest.FixtureRequest) -> Iterator[GitHubUnderTest]:
    if request.param == "embedded":
        with (
            EmbeddedGitHub({BOT_TOKEN: _BOT}) as embedded,
            loopback_client(embedded.url, bearer=BOT_TOKEN) as client,
        ):
            yield GitHubUnderTest("embedded", client, embedded)
        return
    place: Emulator = request.getfixturevalue("emulator")
    with loopback_client(place.url, bearer=place.token) as client:
        yield GitHubUnderTest("emulator", client, place)
