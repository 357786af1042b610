"""Git repositories that tests make, below a home of their own."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, date, datetime
from pathlib import Path

from bot.adapters.changelog import Changelog
from bot.adapters.git import Git
from bot.adapters.worktree import Worktree
from bot.core.model import Image
from bot.core.pins.sites import allowed_keys
from bot.core.release.bump import Bumped, Part
from bot.flows.bump import bump
from tests.unit.values import FILES, IMAGE, NEW, OLD

WHEN = datetime(2026, 8, 20, 12, 0, tzinfo=UTC)
IDENTITY = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_AUTHOR_DATE": WHEN.isoformat(),
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "GIT_COMMITTER_DATE": WHEN.isoformat(),
}


class Repo:
    """A repository below a home of its own, so that nothing of the machine's config counts."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "checkout"
        self.root.mkdir()
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(folder / "gitconfig"),
            **IDENTITY,
        }
        self.run("init", "-q", "-b", "main")

    def run(self, *arguments: str, stdin: bytes = b"") -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.root, env=self.environ, input=stdin, capture_output=True, check=True
        )
        return done.stdout.decode().rstrip("\n")

    def commit(self, message: str, files: dict[str, str] | None = None) -> str:
        for name, text in (files or {}).items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        self.run("--literal-pathspecs", "add", "--all")
        self.run("commit", "-q", "--allow-empty", "--allow-empty-message", "--cleanup=verbatim", "-m", message)
        return self.run("rev-parse", "HEAD")

    @property
    def git(self) -> Git:
        return Git(self.root, self.environ)


TODAY = date(2026, 8, 20)
PROJECT = '[project]\r\nname = "gateway"\r\nversion = "1.2.3"  # ours\r\n\r\n[tool.x]\r\nversion = "1.2.3"\r\n'
UPGRADED = {name: text.replace(OLD, NEW).replace("v1.3.1", "v1.4.1") for name, text in FILES.items()}


class Project(Repo):
    """A project that released v1.2.3 with the image at v1.3.1."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.commit("feat: begin", {**FILES, "pyproject.toml": PROJECT})
        self.run("tag", "-a", "-m", "v1.2.3", "v1.2.3")

    def bump(
        self, part: Part = "patch", *, image: Image = IMAGE, today: date = TODAY, repository: str = "", base: str = ""
    ) -> Bumped:
        return bump(
            part,
            image,
            Git(self.root, self.environ),
            Worktree(self.root),
            Changelog(self.root, self.environ),
            allowed_keys([IMAGE]),
            today,
            repository,
            base,
        )

    def text(self, name: str) -> str:
        return (self.root / name).read_bytes().decode()

    @property
    def tags(self) -> list[str]:
        return self.run("tag").split()

    def state(self) -> tuple[str, str, str]:
        """All that a release may change."""
        return self.run("rev-parse", "HEAD"), self.run("tag"), self.run("status", "--porcelain")
