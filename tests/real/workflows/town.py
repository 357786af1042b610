"""A town that runs workflows: repositories to check out, a registry, a GitHub, and the programs that the gates ask."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from bot.core.reference import Digest
from bot.demo import without_gates
from bot.embedded.github import Account, EmbeddedGitHub, Pull
from bot.embedded.registry import EmbeddedRegistry
from tests.emulator import Emulator
from tests.flows.conftest import CURRENT_DIGEST, DOWNSTREAM, PIN_FILES, PROJECT, UPSTREAM
from tests.flows.standins import Programs
from tests.parts import REAL, require
from tests.real.workflows.act import PATH, Act
from tests.real.workflows.log import Run

READER, WRITER = "ghs_reads-the-contents-only", "ghs_may-what-upgrade-yml-asks-for"
BOT = "acme/gateway-bot"
"""The repository that other ones take the bot from."""
WHEELS = REAL / "wheels"
_ACCOUNT = "github-actions[bot]"
TOKENS = {
    READER: Account(_ACCOUNT, {"contents": "read"}),
    WRITER: Account(_ACCOUNT, {"contents": "write", "pull_requests": "write", "issues": "write", "actions": "read"}),
}
Files = Mapping[str, bytes]


@cache
def project() -> dict[str, bytes]:
    """The files of this project as they are now, without its tests."""
    listed = git(PROJECT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    files = ((name, PROJECT / name) for name in listed if not name.startswith("tests/"))
    return {name: path.read_bytes() for name, path in files if path.is_file()}


@cache
def _venvs() -> Path:
    """Where the bot is installed, once for each lock and each source, until these tests end."""
    folder = Path(tempfile.mkdtemp(prefix="venvs-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@dataclass
class Town:
    """v1.3.1 is pinned in `DOWNSTREAM`, v1.4.1 is the newest of three releases."""

    root: Path
    program: str
    registry: EmbeddedRegistry
    github: EmbeddedGitHub | Emulator
    digests: dict[str, Digest] = field(default_factory=dict)
    programs: Programs = field(init=False)

    def __post_init__(self) -> None:
        self.github.create_repository(UPSTREAM)
        for days_ago, ref in ((60, "v1.3.1"), (20, "v1.4.0"), (10, "v1.4.1")):
            self.release(ref, days_ago)
        self.programs = Programs(self.root / "programs", self.image, self.digests["v1.3.1"])
        for digest in self.digests.values():
            self.programs.signature(digest, "bundle")
            self.programs.findings(digest, [])

    @property
    def image(self) -> str:
        return f"{self.registry.host}/{UPSTREAM}"

    def release(self, ref: str, days_ago: int = 0) -> None:
        """An upstream release with its image, as upstream publishes them."""
        self.digests[ref] = self.registry.push_image(UPSTREAM, ref, attestations=True)
        if isinstance(self.github, Emulator):
            self.github.add_release(UPSTREAM, ref)
        else:
            self.github.add_release(UPSTREAM, ref, published=datetime.now(UTC) - timedelta(days=days_ago))

    def pinned(self, ref: str = "v1.3.1", gates: str = "") -> dict[str, bytes]:
        """The files that hold the pin, with the settings; these ask for no gate that `gates` does not have."""
        found = {}
        for name in (*PIN_FILES, "gateway-bot.toml"):
            text = project()[name].decode().replace("ghcr.io/agentgateway/agentgateway", self.image)
            text = text.replace(CURRENT_DIGEST, self.digests[ref]).replace("1.3.1", ref.removeprefix("v"))
            found[name] = (without_gates(text) + gates if name == "gateway-bot.toml" else text).encode()
        return found

    def publish(
        self, slug: str, files: Files, *, on_github: bool = True, readers: Sequence[str] = (), silent_days: int = 0
    ) -> str:
        """A repository with these files: to run workflows in, to check out, and on GitHub. Returns the commit.

        With `readers` it is private, and only these tokens check it out. Its schedule last ran `silent_days` ago.
        """
        folder, bare = self.root / "work" / slug, self.root / "remotes" / f"{slug}.git"
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        git(self.root, "init", "--quiet", "--initial-branch=main", str(folder))
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", "--message", "The files")
        git(self.root, "clone", "--quiet", "--bare", str(folder), str(bare))
        if readers:
            (bare / "readers").write_text("".join(f"{token}\n" for token in readers))
        if on_github:
            seen = {name: ("100644", files[name]) for name in self.pinned() if name in files}
            self.github.create_repository(slug, seen, private=bool(readers))
            if isinstance(self.github, EmbeddedGitHub):
                self.github.add_run(slug, "upgrade.yml", "schedule", datetime.now(UTC) - timedelta(days=silent_days))
        return git(folder, "rev-parse", "HEAD").strip()

    def run(
        self,
        workflow: str,
        event: str = "schedule",
        *,
        slug: str = DOWNSTREAM,
        token: str = "",
        inputs: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        job: str = "",
    ) -> Run:
        """A workflow of the repository `slug`, as GitHub would start it."""
        act = self.act(self.environ())
        repository = self.root / "work" / slug
        chosen = token or (self.github.token if isinstance(self.github, Emulator) else WRITER)
        return act.run(repository, workflow, event, slug=slug, token=chosen, inputs=inputs, secrets=secrets, job=job)

    def environ(self) -> dict[str, str]:
        """What every step gets of the town."""
        return {
            "GITHUB_API_URL": self.github.url,
            "PIP_FIND_LINKS": str(WHEELS),
            "PIP_NO_INDEX": "1",
            "STANDIN_PROGRAMS": str(self.programs.folder),
            "STANDIN_PYTHON": sys.executable,
            "STANDIN_REMOTES": str(self.root / "remotes"),
            "STANDIN_VENVS": str(_venvs()),
        }

    def act(self, environ: Mapping[str, str], path: str = PATH) -> Act:
        bot = self.root / "work" / BOT
        return Act(self.program, self.root / "runs", environ, {BOT: bot} if bot.exists() else {}, path)

    def issues(self, slug: str = DOWNSTREAM) -> list[str]:
        """The titles of all issues, pull requests aside, oldest first."""
        assert isinstance(self.github, EmbeddedGitHub)
        return [issue.title for issue in self.github.repositories[slug].issues.values() if not isinstance(issue, Pull)]

    def pulls(self, slug: str = DOWNSTREAM) -> list[str]:
        """The titles of all pull requests, oldest first."""
        if isinstance(self.github, Emulator):
            return [str(pull["title"]) for pull in reversed(self.github.pulls(slug))]
        return [pull.title for pull in self.github.pulls(slug)]


@contextmanager
def town_with(github: EmbeddedGitHub | Emulator, root: Path) -> Iterator[Town]:
    """A town on this GitHub."""
    program = require("act")
    require("wheels", WHEELS)
    (root / "runs").mkdir(parents=True)
    with EmbeddedRegistry() as registry:
        yield Town(root, program, registry, github)
    for made in (*root.glob("runs/*/cache"), root / "work", root / "remotes"):  # the logs stay for who looks
        shutil.rmtree(made, ignore_errors=True)


def git(folder: Path, *args: str) -> str:
    """What git says, whoever runs it."""
    person = {"NAME": "octocat", "EMAIL": "octocat@example.com"}
    environ = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in person.items()}
    environ |= {"PATH": os.defpath, "HOME": "/", "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(["git", *args], cwd=folder, env=environ, capture_output=True, check=True, timeout=60)
    return done.stdout.decode()
