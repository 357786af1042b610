"""The programs and services that gates ask, wired for one run. Each is made when it is first used."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bot.settings import Environment

if TYPE_CHECKING:
    from bot.adapters.cosign import Cosign
    from bot.adapters.cosign.signing import Signer
    from bot.adapters.engine import Engine
    from bot.adapters.http import Http
    from bot.adapters.programs import Programs
    from bot.adapters.schemas import Schemas
    from bot.adapters.syft import Syft
    from bot.adapters.terraform import Terraform
    from bot.adapters.trivy import Trivy
    from bot.core.distribution import Login


class Tools:
    """cosign, Trivy, Terraform, the Docker Engine and GitHub's files, for a checkout at `root`."""

    def __init__(
        self,
        root: Path,
        environment: Environment,
        http: Callable[[], Http],
        login: Callable[[str], Login | None],
        log: Callable[[str], None],
    ) -> None:
        self.root = root
        self.environment = environment
        self.http = http
        self.login = login
        self.log = log

    def close(self) -> None:
        """Let go of the connections, where there are any."""
        if "engine" in self.__dict__:
            self.engine.close()

    @cached_property
    def verifier(self) -> Cosign:
        from bot.adapters.cosign import Cosign

        return Cosign(self.programs, self.root)

    @cached_property
    def signer(self) -> Signer:
        from bot.adapters.cosign.signing import Signer

        return Signer(self.programs, self.root, self.environment.others)

    @cached_property
    def sboms(self) -> Syft:
        from bot.adapters.sbom_libraries import validate
        from bot.adapters.syft import Syft

        return Syft(self.programs, validate)

    @cached_property
    def scanner(self) -> Trivy:
        from bot.adapters.trivy import Trivy

        return Trivy(self.programs, self.environment.cache, self.log)

    @cached_property
    def renderer(self) -> Terraform:
        from bot.adapters.terraform import Terraform

        return Terraform(self.programs, self.root)

    @cached_property
    def engine(self) -> Engine:
        from bot.adapters.engine import Engine

        return Engine(self.environment.docker_host, self.login, self.log)

    @cached_property
    def schemas(self) -> Schemas:
        from bot.adapters.schemas import Schemas

        return Schemas(self.http(), self.environment.upstream_api_url, self.environment.upstream_token)

    @cached_property
    def programs(self) -> Programs:
        from bot.adapters.programs import Programs

        return Programs(self.environment.others, self.login)
