"""The real parts, for the tests that `make test-real` adds."""

from __future__ import annotations

from tests.engine import docker_host
from tests.parts import crane, crane_registry, docker_registry, emulator, skopeo

__all__ = ["crane", "crane_registry", "docker_host", "docker_registry", "emulator", "skopeo"]
