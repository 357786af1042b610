"""A town with a past: a git repository that pinned and released, and a registry that has what it released."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bot.core.reference import Digest
from bot.embedded.github import Account, EmbeddedGitHub
from bot.embedded.github.records import Pull
from bot.embedded.registry import EmbeddedRegistry
from tests.flows.conftest import DOWNSTREAM, NOW, TOKEN, UPSTREAM, Run, Town
from tests.repositories import Repo

OURS = "acme/ai-gateway"
BRANCH = "gateway-bot/rollback/agentgateway"
WHY = "5xx for every tenth request"


@dataclass
class Story(Town):
    """A town whose checkout is a git repository; `main` there and on GitHub hold the same files."""

    folder: Path = field(default_factory=Path)
    released: dict[str, str] = field(default_factory=dict)
    """Our tags, by the refs that they have."""

    def __post_init__(self) -> None:
        self.repo = Repo(self.folder)
        self.environ |= self.repo.environ

    def checkout(self) -> dict[str, tuple[str, bytes]]:
        return {name: entry for name, entry in super().checkout().items() if not name.startswith(".git/")}

    def pin(self, ref: str, digest: str | None = None) -> None:
        super().pin(ref, digest)
        self.settings('"ghcr.io/{repository}"', f'"{self.registry.host}/{OURS}"')

    def upgrade(self, ref: str, released: str = "") -> None:
        """A commit that pins a release, and a release of ours with it."""
        held = self.text("gateway-bot.toml") if (self.root / "gateway-bot.toml").exists() else ""
        self.pin(ref)
        if held:
            self.write("gateway-bot.toml", held)
        self.commit(f"deps(agentgateway): bump to {ref}")
        if released:
            self.tag(released)
            self.released[ref] = released

    def commit(self, message: str, **files: str) -> str:
        """What is in the checkout, as the next commit of `main`, here and on GitHub."""
        made = self.repo.commit(message, files)
        if DOWNSTREAM in self.github.repositories:
            self.github.commit(DOWNSTREAM, "main", self.checkout())
        return made

    def tag(self, name: str) -> None:
        self.repo.run("tag", "-a", "-m", name, name)

    def merge(self, branch: str = BRANCH) -> None:
        """What a branch on GitHub has becomes `main`, there and here."""
        for name, (_, data) in self.github.files_at(DOWNSTREAM, branch).items():
            self.write(name, data.decode())
        for pull in self.github.pulls(DOWNSTREAM):
            if pull.head == branch and pull.state == "open":
                pull.state, pull.merged = "closed", NOW
        there = self.github.repositories[DOWNSTREAM]
        message = there.objects.commits[there.refs.pop(f"refs/heads/{branch}")].message
        self.commit(message)

    def copy_ours(self) -> None:
        """Our registry gets what upstream's has, as releases bring it there."""
        ours = self.registry.repositories[OURS] = copy.deepcopy(self.registry.repositories[UPSTREAM])
        ours.tags = {tag: self.digests[ref] for ref, tag in self.released.items()}

    def lose(self, repository: str, digest: Digest) -> None:
        """An image that was deleted in a registry."""
        stored = self.registry.repositories[repository]
        del stored.manifests[digest]
        stored.tags = {tag: named for tag, named in stored.tags.items() if named != digest}

    def rollback(self, *args: str) -> Run:
        return self.run("rollback", "--reason", WHY, *args)

    @property
    def proposed(self) -> list[Pull]:
        """The open pull requests that go back."""
        return [pull for pull in self.github.pulls(DOWNSTREAM) if pull.head == BRANCH and pull.state == "open"]

    def on_branch(self, name: str) -> str:
        return self.github.files_at(DOWNSTREAM, BRANCH)[name][1].decode()


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    """v1.3.1, v1.4.0 and v1.4.1 were pinned and released as v1.0.0, v1.1.0 and v1.2.0; the last is current."""
    bot = Account("gateway-bot[bot]", {"contents": "write", "pull_requests": "write", "issues": "write"})
    with EmbeddedRegistry() as registry, EmbeddedGitHub({TOKEN: bot}) as github:
        github.create_repository(UPSTREAM)
        environ = {"GITHUB_API_URL": github.url, "GITHUB_REPOSITORY": DOWNSTREAM, "GITHUB_TOKEN": TOKEN}
        made = Story(tmp_path / "checkout", registry, github, environ=environ, folder=tmp_path)
        for ref, released, days in (("v1.3.1", "v1.0.0", 60), ("v1.4.0", "v1.1.0", 20), ("v1.4.1", "v1.2.0", 10)):
            made.release(ref, days_ago=days)
            made.upgrade(ref, released)
        made.copy_ours()
        yield made
