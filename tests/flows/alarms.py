"""What the tests of `watch` and `status` share: a town that is watched, and what goes wrong in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest

from bot.core.issue_text import Issue
from bot.embedded.github import Account
from bot.embedded.github import Issue as StoredIssue
from bot.embedded.server import Fault, LoopbackServer, Request, Response
from tests.flows.conftest import DOWNSTREAM, NOW, TOKEN, UPSTREAM, Run, TestClock, Town

WORKFLOW = "upgrade.yml"


PATH = f"/repos/{DOWNSTREAM}"


class Later(TestClock):
    """NOW, and some days."""

    def __init__(self, days: float) -> None:
        super().__init__()
        self.days = days

    def now(self) -> datetime:
        return NOW + timedelta(days=self.days)


class Chat(LoopbackServer):
    """What takes the webhook's messages, and how it answers."""

    def __init__(self) -> None:
        super().__init__()
        self.status = 200
        self.headers: tuple[tuple[str, str], ...] = ()
        self.texts: list[str] = []

    def answer(self, request: Request) -> Response:
        if self.status == 200:
            self.texts.append(json.loads(request.body)["text"])
        return Response(self.status, b"ok", self.headers)


@pytest.fixture
def watched(town: Town) -> Town:
    """All is well: the schedule ran this morning, and the bot may write issues."""
    permissions = dict.fromkeys(("contents", "pull_requests", "issues"), "write") | {"actions": "read"}
    town.github.tokens[TOKEN] = Account("gateway-bot[bot]", permissions)  # type: ignore[arg-type]  # literals in a dict
    town.github.add_run(DOWNSTREAM, WORKFLOW, "schedule", NOW - timedelta(hours=7))
    return town


@pytest.fixture
def chat(watched: Town) -> Iterator[Chat]:
    with Chat() as running:
        watched.environ["GATEWAY_BOT_WEBHOOK"] = f"{running.url}/services/T0/B0/top-secret"
        yield running


def move(town: Town, variation: str = "re-pushed") -> str:
    return town.registry.push_image(UPSTREAM, "v1.3.1", variation=variation)


def mend(town: Town) -> None:
    town.registry.push_image(UPSTREAM, "v1.3.1", attestations=True)


def switch(town: Town, state: str) -> None:
    workflow = town.github.repositories[DOWNSTREAM].workflows[WORKFLOW]
    workflow.state = state  # type: ignore[assignment]  # a Literal there, a parameter here


def issues(town: Town) -> list[StoredIssue]:
    return [issue for issue in town.github.repositories[DOWNSTREAM].issues.values() if not hasattr(issue, "head")]


def the_issue(town: Town) -> StoredIssue:
    opened = [issue for issue in issues(town) if issue.state == "open"]
    assert len(opened) == 1
    return opened[0]


def writes(town: Town) -> list[str]:
    return [f"{e.method} {e.path.removeprefix(PATH)}" for e in town.github.exchanges if e.method != "GET"]


def rows(run: Run) -> dict[str, dict[str, object]]:
    """By its question."""
    return {row["question"]: row for row in map(json.loads, run.out.splitlines())}


def states(run: Run) -> dict[str, object]:
    return {question: row["state"] for question, row in rows(run).items()}


def shown(issue: StoredIssue) -> Issue:
    return Issue(issue.number, "", issue.title, issue.body, issue.state == "open", tuple(issue.labels))


def die_at(number: int, seen: list[str]) -> Callable[[str, str], Fault | None]:
    """From this request on GitHub is not reached any more; the request itself was carried out."""

    def intercept(_: str, path: str) -> Fault | None:
        if not path.startswith(PATH):
            return None
        seen.append(path)
        if len(seen) < number:
            return None
        return Fault(drop=True, performed=len(seen) == number)

    return intercept
