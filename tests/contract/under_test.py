"""What a contract test gets: a part, and a client for it."""

from __future__ import annotations

from dataclasses import dataclass

import httpx  # noqa: TC002 - one plain import is easier to read

from bot.embedded.github import EmbeddedGitHub
from tests.emulator import Emulator


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
