"""A town to run the commands in: a checkout, a registry and a GitHub, all of them the embedded ones."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.cli import main
from bot.core.reference import Digest
from bot.demo import without_gates
from bot.embedded.github import Account, EmbeddedGitHub
from bot.embedded.registry import EmbeddedRegistry
from tests.flows.standins import Gateway, Programs

PROJECT = Path(__file__).parents[2]
NOW = datetime(2026, 8, 20, 12, 0, tzinfo=UTC)
UPSTREAM, DOWNSTREAM = "agentgateway/agentgateway", "acme/ai-gateway"
PIN_FILES = ("versions.env", "Dockerfile", "infrastructure/variables.tf", "infrastructure/README.md")
TOKEN = "ghs_the-bots-own-token"  # noqa: S105 - of the embedded GitHub


class TestClock:
    """Stands at NOW; sleeping takes no time, but counts. `pace` makes the seconds pass faster than real ones."""

    __test__ = False

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.pace = 1.0

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return time.monotonic() * self.pace + sum(self.slept)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@dataclass(frozen=True)
class Run:
    """What one command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def run_command(args: Sequence[str], environ: Mapping[str, str], clock: TestClock) -> Run:
    """One command in this process, through the same entry as the program's."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(args, environ, clock)
    return Run(code, out.getvalue(), err.getvalue())


@dataclass
class Town:
    """The world that a test describes. `digests` has what the registry holds, by tag."""

    root: Path
    registry: EmbeddedRegistry
    github: EmbeddedGitHub
    clock: TestClock = field(default_factory=TestClock)
    digests: dict[str, Digest] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def image(self) -> str:
        return f"{self.registry.host}/{UPSTREAM}"

    def release(self, ref: str, *, days_ago: float = 30, tag: str | None = None, **more: Any) -> Digest:
        """An upstream release with its image, as upstream publishes them."""
        digest = self.registry.push_image(UPSTREAM, tag or ref, attestations=True)
        self.digests[tag or ref] = digest
        self.github.add_release(UPSTREAM, ref, published=NOW - timedelta(days=days_ago), **more)
        return digest

    def pin(self, ref: str, digest: str | None = None) -> None:
        """Write the pin into every file of the checkout, and commit the checkout as the base on GitHub."""
        for name in PIN_FILES:
            text = (PROJECT / name).read_text()
            text = text.replace("ghcr.io/agentgateway/agentgateway", self.image)
            text = text.replace(CURRENT_DIGEST, digest or self.digests[ref]).replace("v1.3.1", ref)
            self.write(name, text.replace("1.3.1", ref.removeprefix("v")))
        settings = without_gates((PROJECT / "gateway-bot.toml").read_text())
        self.write("gateway-bot.toml", settings.replace("ghcr.io/agentgateway/agentgateway", self.image))
        self.github.create_repository(DOWNSTREAM, self.checkout())

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())

    def text(self, name: str) -> str:
        return (self.root / name).read_bytes().decode()

    def settings(self, old: str, new: str) -> None:
        """Change gateway-bot.toml."""
        text = self.text("gateway-bot.toml")
        assert old in text
        self.write("gateway-bot.toml", text.replace(old, new))

    def checkout(self) -> dict[str, tuple[str, bytes]]:
        files = (path for path in self.root.rglob("*") if path.is_file())
        return {str(path.relative_to(self.root)): ("100644", path.read_bytes()) for path in files}

    def run(self, *args: str, environ: Mapping[str, str] | None = None) -> Run:
        """One command, as its user would start it."""
        return run_command(["-C", str(self.root), *args], {**self.environ, **(environ or {})}, self.clock)


CURRENT_DIGEST = next(
    line.partition("=")[2] for line in (PROJECT / "versions.env").read_text().splitlines() if "DIGEST=" in line
)


@pytest.fixture
def empty_town(tmp_path: Path) -> Iterator[Town]:
    """Upstream and downstream without releases, images or pins."""
    bot = Account("gateway-bot[bot]", {"contents": "write", "pull_requests": "write"})
    root = tmp_path / "checkout"
    with EmbeddedRegistry() as registry, EmbeddedGitHub({TOKEN: bot}) as github:
        github.create_repository(UPSTREAM)
        town = Town(root, registry, github)
        town.environ = {
            "GITHUB_API_URL": github.url,
            "GITHUB_REPOSITORY": DOWNSTREAM,
            "GITHUB_TOKEN": TOKEN,
            "HOME": str(tmp_path),
        }
        yield town
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def town(empty_town: Town) -> Town:
    """v1.3.1 is pinned; v1.4.1 is the newest of three releases."""
    empty_town.release("v1.3.1", days_ago=60)
    empty_town.release("v1.4.0", days_ago=20)
    empty_town.release("v1.4.1", days_ago=10)
    empty_town.pin("v1.3.1")
    return empty_town


SIGNATURE = """
[image.signature]
identity = "https://github.com/agentgateway/agentgateway/.github/workflows/release.yml@refs/tags/{tag}"
"""
SCAN = """
[image.scan]
block = "HIGH"
override = "CRITICAL"
"""
CONFIG = """
[image.config]
template = "gateway.yaml.tftpl"
schema = "schema/config.json"
[[image.config.environments]]
name = "production"
"""
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {"binds": {"type": "array", "items": {"type": "object"}}},
    "additionalProperties": False,
}


@dataclass
class Gated:
    """A town with v1.3.1 pinned and v1.4.1 out, its programs and its engine; all is well unless a test says so."""

    town: Town
    programs: Programs
    engine: Gateway
    current: str
    candidate: str

    def ask(self, *tables: str) -> None:
        self.town.write("gateway-bot.toml", self.town.text("gateway-bot.toml") + "".join(tables))

    def schema(self, ref: str, schema: object) -> None:
        """What upstream publishes as its schema at a release."""
        body = schema if isinstance(schema, bytes) else json.dumps(schema).encode()
        head = self.town.github.commit(UPSTREAM, "main", {"schema/config.json": ("100644", body)})
        self.town.github.repositories[UPSTREAM].refs[f"refs/tags/{ref}"] = head

    def run(self, *args: str, **environ: str) -> Run:
        return self.town.run(*args, environ=environ)

    def gates(self, *args: str, **environ: str) -> dict[str, str]:
        """Every gate's verdict."""
        return {gate["name"]: gate["verdict"] for gate in self.run("plan", "--json", *args, **environ).json["gates"]}


@pytest.fixture
def gated(town: Town, tmp_path: Path) -> Iterator[Gated]:
    current, candidate = town.digests["v1.3.1"], town.digests["v1.4.1"]
    programs = Programs(tmp_path / "bin", town.image, current)
    for digest in (current, candidate):
        programs.signature(digest, "bundle")
        programs.findings(digest, [])
    engine = Gateway({}, pulled={f"{town.image}@{candidate}", f"{town.image}@{current}"})
    with engine.serving() as host:
        town.environ |= {"PATH": programs.path, "DOCKER_HOST": host, "XDG_CACHE_HOME": str(tmp_path / "cache")}
        town.write("gateway.yaml.tftpl", "binds: []\n")
        world = Gated(town, programs, engine, current, candidate)
        for ref in ("v1.3.1", "v1.4.1"):
            world.schema(ref, SCHEMA)
        yield world
