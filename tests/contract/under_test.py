"""What a contract test gets: a part, a client for it, and what GitHub's contract asks again and again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx  # noqa: TC002 - one plain import is easier to read

from bot.embedded.github import EmbeddedGitHub
from bot.embedded.gitobjects import FILE
from tests.emulator import Emulator

REPOSITORY = "acme/ai-gateway"
FILES = {
    "versions.env": (FILE, b"AGENTGATEWAY_VERSION=1.3.1\n"),
    "infrastructure/variables.tf": (FILE, b'variable "gateway_image" {}\n'),
    "infrastructure/apply.sh": ("100755", b"#!/bin/sh\n"),
}


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


# Any: these are answers under test.
def ask(github: GitHubUnderTest, method: str, path: str, body: object = None, *, status: int = 200) -> Any:
    response = github.bot.request(method, f"/repos/{REPOSITORY}{path}", json=body)
    assert response.status_code == status, response.text
    return response.json() if response.content else None


def head_of(github: GitHubUnderTest, branch: str) -> str:
    sha: str = ask(github, "GET", f"/git/ref/heads/{branch}")["object"]["sha"]
    return sha


def commit(github: GitHubUnderTest, parent: str, content: str, message: str = "Update agentgateway") -> str:
    """A commit on top of `parent` that changes versions.env."""
    blob = ask(github, "POST", "/git/blobs", {"content": content, "encoding": "utf-8"}, status=201)["sha"]
    base = ask(github, "GET", f"/git/commits/{parent}")["tree"]["sha"]
    entry = {"path": "versions.env", "mode": FILE, "type": "blob", "sha": blob}
    tree = ask(github, "POST", "/git/trees", {"base_tree": base, "tree": [entry]}, status=201)["sha"]
    body = {"message": message, "tree": tree, "parents": [parent]}
    sha: str = ask(github, "POST", "/git/commits", body, status=201)["sha"]
    return sha


def branch(github: GitHubUnderTest, name: str, content: str = "AGENTGATEWAY_VERSION=1.4.1\n") -> str:
    sha = commit(github, head_of(github, "main"), content)
    ask(github, "POST", "/git/refs", {"ref": f"refs/heads/{name}", "sha": sha}, status=201)
    return sha


def pull(github: GitHubUnderTest, head: str, **more: object) -> Any:
    body = {"title": "Update agentgateway to 1.4.1", "body": "why", "head": head, "base": "main", **more}
    return ask(github, "POST", "/pulls", body, status=201)
