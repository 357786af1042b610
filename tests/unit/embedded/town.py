"""An embedded GitHub with one repository, and how tests ask it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from bot.embedded.github import Account, EmbeddedGitHub
from bot.embedded.github.records import Level
from bot.embedded.gitobjects import FILE
from tests.loopback import loopback_client

NAME = "acme/ai-gateway"
NOW = datetime(2026, 8, 1, 6, 30, tzinfo=UTC)
WRITE: dict[str, Level] = {"contents": "write", "pull_requests": "write"}
ACCOUNTS = {
    "bot": Account("gateway-bot[bot]", WRITE),
    "reader": Account("reader[bot]", {"contents": "read"}),
    "alarm": Account("alarm[bot]", {"issues": "write"}),
    "person": Account("octocat", WRITE, kind="User"),
    "stranger": Account("stranger", {"issues": "write"}, kind="User"),
    "elsewhere": Account("else[bot]", {"contents": "write"}, repositories=frozenset({"acme/other"})),
}


@contextmanager
def running_github() -> Iterator[EmbeddedGitHub]:
    with EmbeddedGitHub(ACCOUNTS, clock=lambda: NOW) as running:
        running.create_repository(NAME, {"versions.env": (FILE, b"A=1\n")})
        yield running


# Any: answers under test.
def ask(
    github: EmbeddedGitHub, method: str, path: str, body: object = None, *, caller: str = "bot", status: int = 200
) -> Any:
    """The answer to a request to a path below the server's address, or, without a slash, below the repository's."""
    url = path if path.startswith("/") else f"/repos/{NAME}/{path}".rstrip("/")
    headers = {"Authorization": f"Bearer {caller}"} if caller else {}
    with loopback_client(github.url) as client:
        response = client.request(method, url, json=body, headers=headers)
    assert response.status_code == status, response.text
    return response.json() if response.content else None


def propose(github: EmbeddedGitHub, branch: str = "bot/x", content: bytes = b"A=2\n", **more: object) -> int:
    """The number of a pull request by the bot that changes versions.env."""
    github.commit(NAME, branch, {"versions.env": (FILE, content)}, author="gateway-bot[bot]")
    body = {"title": "Update", "body": "why", "head": branch, "base": "main", **more}
    number: int = ask(github, "POST", "pulls", body, status=201)["number"]
    return number


def events(github: EmbeddedGitHub, number: int) -> list[str]:
    """The names of what happened, oldest first."""
    return [event["event"] for event in ask(github, "GET", f"issues/{number}/events")]
