"""The adapters, wired for one run of one command. Each is made, and its library imported, when it is first used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bot.clock import Clock
from bot.core.model import Image
from bot.core.pins.sites import allowed_keys
from bot.core.reference import Repository
from bot.errors import UsageError
from bot.settings import FILE, Environment, Settings, read_environment, read_settings

if TYPE_CHECKING:
    from bot.adapters.connections import Connections
    from bot.adapters.github_api import GitHubApi
    from bot.adapters.http import Http
    from bot.adapters.registry import Registry
    from bot.adapters.worktree import Worktree
    from bot.core.distribution import Login
    from bot.core.identity import Identity, Purpose
    from bot.core.wire import OutcomeJson
    from bot.flows.forge import Forge
    from bot.flows.observe import Upstream
    from bot.flows.upgrade import Ground
    from bot.runner import Runner
    from bot.tools import Tools


MAX_PLAN = 64 * 1024 * 1024


@dataclass
class World:
    """A checkout, the environment, and what can be reached from there."""

    root: Path
    environ: Mapping[str, str] | None
    clock: Clock
    settings_file: Path | None = None
    """Where the settings are, if not in the checkout."""
    repository_name: str = ""
    """OWNER/NAME of the checkout's repository on GitHub, if not the environment's."""
    purpose: Purpose = "look"
    """What the command does on GitHub: a GitHub App's token may do no more."""
    _logins: dict[str, Login | None] = field(default_factory=dict)

    @cached_property
    def settings(self) -> Settings:
        return read_settings(self.root, self.settings_file)

    @cached_property
    def environment(self) -> Environment:
        return read_environment(self.environ)

    @cached_property
    def allowed_keys(self) -> dict[str, frozenset[str]]:
        return allowed_keys(self.settings.images)

    @cached_property
    def files(self) -> Worktree:
        from bot.adapters.worktree import Worktree

        return Worktree(self.root)

    @cached_property
    def connections(self) -> Connections:
        from bot.adapters.connections import Connections

        return Connections(self.environment.others)

    @cached_property
    def tools(self) -> Tools:
        from bot.tools import Tools

        return Tools(self.root, self.environment, self.http, self.login, self.log)

    def ground(self, *, gathering: bool = True) -> Ground:
        """What a plan is made on; one that is not `gathering` takes its evidence from a saved plan."""
        from bot.flows.upgrade import Ground

        tools = self.tools if gathering else None
        return Ground(self.files, self.allowed_keys, self.upstream, tools, self.environment.on_ci)

    @property
    def has_settings(self) -> bool:
        return self.settings_file is not None or (self.root / FILE).exists()

    def close(self) -> None:
        """Let go of the connections, where there are any."""
        if "connections" in self.__dict__:
            self.connections.close()
        if "tools" in self.__dict__:
            self.tools.close()

    def images(self, name: str | None) -> tuple[Image, ...]:
        """The image of that name, or all. Raises UsageError."""
        images = self.settings.images
        if name is None:
            return images
        found = tuple(image for image in images if image.name == name)
        if not found:
            names = ", ".join(image.name for image in images)
            raise UsageError(f"there is no image {name!r}", where="--image", next_step=f"There are: {names}.")
        return found

    def http(self, seconds: float | None = None) -> Http:
        """Requests under one deadline, in seconds from now."""
        from bot.adapters.http import DEADLINE_SECONDS, Http

        return Http(self.connections, self.clock, self.log, seconds or DEADLINE_SECONDS)

    def registry(self, repository: Repository) -> Registry:
        """One repository of a registry, with its own deadline."""
        from bot.adapters.registry import Registry

        return Registry(self.http(), repository, self.login)

    def upstream(self, image: Image) -> Upstream:
        """An image's registry and releases, under one deadline."""
        from bot.adapters.registry import Registry
        from bot.adapters.releases import Releases
        from bot.flows.observe import Upstream

        http = self.http()
        releases = Releases(http, self.environment.upstream_api_url, self.environment.upstream_token)
        return Upstream(Registry(http, image.repository, self.login), releases, self.clock)

    @property
    def repository(self) -> str:
        """OWNER/NAME of the repository on GitHub; empty where nobody says it."""
        return self.repository_name or self.environment.github_repository

    @cached_property
    def github(self) -> GitHubApi:
        """The API for the repository. Raises UsageError where the environment does not say which, or who asks."""
        self.require_forge()
        from bot.adapters.github_api import GitHubApi

        return GitHubApi(
            self.connections, self.environment.github_api_url, self.repository, self._token(), self.clock, self.log
        )

    @cached_property
    def identity(self) -> Identity:
        """Who the bot is on GitHub, as far as its credentials tell."""
        from bot.core.identity import identity_of

        env = self.environment
        return identity_of(env.github_token, has_app=bool(env.app_id), in_actions=env.in_actions)

    @cached_property
    def forge(self) -> Forge:
        """The repository that gets the pull request. Raises UsageError as `github` does."""
        from bot.adapters.git_data import GitData
        from bot.adapters.pull_requests import PullRequests
        from bot.flows.forge import Forge

        settings = self.settings
        git, pulls = GitData(self.github), PullRequests(self.github)
        return Forge(git, pulls, settings.base, settings.pull_request, self.identity)

    def require_forge(self) -> None:
        """Refuse early, not on the day when there is something to propose. Raises UsageError."""
        missing = [
            name
            for name, value in (
                ("GITHUB_TOKEN", self.environment.github_token or self.environment.app_id),
                ("GITHUB_REPOSITORY", self.repository),
            )
            if not value
        ]
        if missing:
            raise UsageError(
                f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set",
                where="environment",
                next_step="Set them: GITHUB_REPOSITORY as OWNER/NAME, or --repository; a GitHub App may be in place of "
                "the token: docs/identity.md. `propose --dry-run`, `rollback --dry-run`, `release verify` need none.",
            )

    def saved_plans(self, path: Path) -> list[OutcomeJson]:
        """What `plan --save` wrote. Raises UsageError for anything else."""
        from bot.core.wire import from_json

        try:
            if path.exists() and not (path.is_file() and path.stat().st_size <= MAX_PLAN):
                raise self._no_plan(path, f"it is no plain file of at most {MAX_PLAN:,} bytes")
            claims = [from_json(line) for line in path.read_bytes().splitlines() if line.strip()]
        except (OSError, ValueError, RecursionError) as error:
            what = error.strerror if isinstance(error, OSError) else str(error)[:200]
            raise self._no_plan(path, f"it is no saved plan: {what}") from None
        if not claims:
            raise self._no_plan(path, "it is empty")
        return claims

    def save(self, path: Path, data: bytes) -> None:
        """Write a file that a person asked for. Raises UsageError."""
        try:
            path.write_bytes(data)
        except OSError as error:
            raise UsageError(
                f"cannot be written: {error.strerror}",
                where=str(path),
                next_step="Name a file in a folder that exists.",
            ) from None

    @cached_property
    def runner(self) -> Runner:
        from bot.runner import Runner

        return Runner(self.environment, self.log)

    def progress(self, text: str) -> None:
        """For a person who watches; nobody else sees it."""
        if sys.stderr.isatty():
            self.log(text)

    def log(self, text: str) -> None:
        """A line on standard error: what a person who reads the log later wants to know."""
        from bot.core.text import no_command, plain

        # in one piece: two threads may speak at once
        sys.stderr.write(no_command(f"gateway-bot: {plain(text, 500)}\n"))

    def _no_plan(self, path: Path, what: str) -> UsageError:
        return UsageError(
            what, where=str(path), next_step="Name a file that `plan --save`, or `rollback --save`, wrote."
        )

    def _token(self) -> Callable[[], str]:
        """The token of each request; a GitHub App's is made for this repository and purpose, and renewed."""
        env = self.environment
        if not env.app_id:
            return lambda: env.github_token
        from bot.adapters.app_token import AppToken
        from bot.core.identity import permissions

        files = [site.file for image in self.settings.images for site in image.sites]
        allowed = permissions(self.purpose, files, teams=bool(self.settings.pull_request.team_reviewers))
        return AppToken(
            self.connections,
            env.github_api_url,
            self.repository,
            env.app_id,
            env.app_key,
            allowed,
            self.clock,
            self.log,
        )

    def login(self, host: str) -> Login | None:
        if host not in self._logins:
            from bot.adapters.docker_config import login_for

            self._logins[host] = login_for(self.environment.docker_config, host)
        return self._logins[host]
