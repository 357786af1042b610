"""The adapters, wired for one run of one command. Each is made, and its library imported, when it is first used."""

from __future__ import annotations

import sys
from collections.abc import Mapping
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
    import httpx

    from bot.adapters.forge import Forge
    from bot.adapters.registry import Registry
    from bot.adapters.worktree import Worktree
    from bot.core.distribution import Login
    from bot.core.plan import Outcome
    from bot.core.wire import OutcomeJson
    from bot.flows.observe import Upstream
    from bot.flows.upgrade import Ground
    from bot.tools import Tools


MAX_PLAN = 64 * 1024 * 1024


@dataclass
class World:
    """A checkout, the environment, and what can be reached from there."""

    root: Path
    environ: Mapping[str, str] | None
    clock: Clock
    _logins: dict[str, Login | None] = field(default_factory=dict)

    @cached_property
    def settings(self) -> Settings:
        return read_settings(self.root)

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
    def client(self) -> httpx.Client:
        from bot.adapters.http import new_client

        return new_client()

    @cached_property
    def tools(self) -> Tools:
        from bot.adapters.http import Http
        from bot.tools import Tools

        return Tools(
            self.root,
            self.environment,
            lambda: Http(self.client, self.clock, self.log),
            self._login,
            self.log,
        )

    def ground(self, *, gathering: bool = True) -> Ground:
        """What a plan is made on; one that is not `gathering` takes its evidence from a saved plan."""
        from bot.flows.upgrade import Ground

        tools = self.tools if gathering else None
        return Ground(self.files, self.allowed_keys, self.upstream, tools, self.environment.on_ci)

    @property
    def has_settings(self) -> bool:
        return (self.root / FILE).exists()

    def close(self) -> None:
        """Let go of the connections, where there are any."""
        if "client" in self.__dict__:
            self.client.close()
        if "forge" in self.__dict__:
            self.forge.close()
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

    def registry(self, repository: Repository) -> Registry:
        """One repository of a registry, with its own deadline."""
        from bot.adapters.http import Http
        from bot.adapters.registry import Registry

        return Registry(Http(self.client, self.clock, self.log), repository, self._login)

    def upstream(self, image: Image) -> Upstream:
        """An image's registry and releases, under one deadline."""
        from bot.adapters.http import Http
        from bot.adapters.registry import Registry
        from bot.adapters.releases import Releases
        from bot.flows.observe import Upstream

        http = Http(self.client, self.clock, self.log)
        releases = Releases(http, self.environment.github_api_url, self.environment.github_token)
        return Upstream(Registry(http, image.repository, self._login), releases, self.clock)

    @cached_property
    def forge(self) -> Forge:
        """The repository that gets the pull request. Raises UsageError where the environment does not say it."""
        self.require_forge()
        from bot.adapters.forge import Forge

        env = self.environment
        return Forge(
            env.github_api_url, env.github_repository, env.github_token, self.settings.base, self.clock, self.log
        )

    def require_forge(self) -> None:
        """Refuse early, not on the day when there is something to propose. Raises UsageError."""
        missing = [
            name
            for name, value in (
                ("GITHUB_TOKEN", self.environment.github_token),
                ("GITHUB_REPOSITORY", self.environment.github_repository),
            )
            if not value
        ]
        if missing:
            raise UsageError(
                f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set",
                where="environment",
                next_step="Set them (GITHUB_REPOSITORY as OWNER/NAME), or use --dry-run, which needs neither.",
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

    def tell_actions(self, outcome: Outcome, did: str) -> None:
        """The step summary and, for what is blocked, an annotation; nothing outside GitHub Actions."""
        if self.environment.step_summary is None and not self.environment.in_actions:
            return
        from bot.adapters import actions
        from bot.core import report
        from bot.core.plan import Blocked

        if self.environment.step_summary is not None:
            try:
                actions.append_summary(self.environment.step_summary, report.summary(outcome, did))
            except OSError as error:
                self.log(f"the step summary cannot be written: {error.strerror}")
        if self.environment.in_actions and isinstance(outcome, Blocked):
            text = f"{report.headline(outcome)}\n{outcome.where}\nNext: {outcome.next_step}"
            print(actions.annotation("error", "gateway-bot", text), file=sys.stderr)  # noqa: T201 - the runner reads it

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
        return UsageError(what, where=str(path), next_step="Name a file that `gateway-bot plan --save` wrote.")

    def _login(self, host: str) -> Login | None:
        if host not in self._logins:
            from bot.adapters.docker_config import login_for

            self._logins[host] = login_for(self.environment.docker_config, host)
        return self._logins[host]
