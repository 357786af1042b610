"""Every endpoint of the embedded GitHub answers as GitHub's published API description says, as far as it is read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import jwt
import pytest

from bot.embedded.github import Account, EmbeddedGitHub, Installation
from bot.embedded.github.endpoints import ROUTES
from bot.embedded.gitobjects import FILE
from bot.embedded.server import Exchange
from tests.api_description import Judge
from tests.emulator import app_keys
from tests.loopback import loopback_client
from tests.real.test_api_description import READ, UNTRUE, judge

__all__ = ["judge"]
pytestmark = pytest.mark.real

NAME = "acme/ai-gateway"
NOW = datetime(2026, 8, 1, 6, 30, tzinfo=UTC)
BOT = Account(
    "gateway-bot[bot]", {"contents": "write", "pull_requests": "write", "issues": "write", "actions": "write"}
)
NOT_DESCRIBED = {"/git/refs", "/git/refs/(.+)", "/contents"}
"""GETs that GitHub answers all the same: the description has `matching-refs`, `ref` and `contents/PATH` instead."""


@pytest.fixture
def exchanges() -> Iterator[list[Exchange]]:
    """One exchange with every endpoint, and with some of them more."""
    with (
        EmbeddedGitHub({"bot": BOT}, clock=lambda: NOW) as github,
        loopback_client(github.url, bearer="bot") as client,
    ):
        github.create_repository(NAME, {"versions.env": (FILE, b"A=1\n"), "deep/er": (FILE, b"x")})
        first = github.commit(NAME, "bot/x", {"versions.env": (FILE, b"A=2\n")}, author="gateway-bot[bot]")
        github.commit(NAME, "bot/y", {"versions.env": (FILE, b"A=3\n")})
        github.add_release(NAME, "v1.0.0", body="notes")
        github.add_milestone(NAME, "2026-Q4")
        github.add_run(NAME, "upgrade.yml", "schedule", NOW)
        github.repositories[NAME].teams.add("platform")
        tree = github.repositories[NAME].objects.commits[first].tree
        blob = client.post(f"/repos/{NAME}/git/blobs", json={"content": "x", "encoding": "utf-8"}).json()["sha"]
        entry = {"path": "a", "mode": FILE, "type": "blob", "sha": blob}
        for verb, path, body in (
            ("GET", "", None),
            ("GET", "/branches", None),
            ("GET", "/branches/bot/x", None),
            ("GET", "/tags", None),
            ("GET", "/commits", None),
            ("GET", f"/commits/{first}", None),
            ("GET", "/contents", None),
            ("GET", "/contents/versions.env", None),
            ("GET", "/contents/deep", None),
            ("GET", "/compare/main...bot/x", None),
            ("GET", f"/git/blobs/{blob}", None),
            ("POST", "/git/trees", {"base_tree": tree, "tree": [entry]}),
            ("GET", f"/git/trees/{tree}?recursive=1", None),
            ("POST", "/git/commits", {"message": "m", "tree": tree, "parents": [first]}),
            ("GET", f"/git/commits/{first}", None),
            ("POST", "/git/refs", {"ref": "refs/heads/bot/z", "sha": first}),
            ("GET", "/git/refs", None),
            ("GET", "/git/matching-refs/heads/bot", None),
            ("GET", "/git/ref/heads/bot/z", None),
            ("GET", "/git/refs/heads/bot/z", None),
            ("PATCH", "/git/refs/heads/bot/z", {"sha": first, "force": True}),
            ("DELETE", "/git/refs/heads/bot/z", None),
            ("GET", "/releases", None),
            ("POST", "/releases", {"tag_name": "v1.1.0"}),
            ("GET", "/releases/latest", None),
            ("GET", "/releases/tags/v1.0.0", None),
            ("GET", "/releases/1", None),
            ("POST", "/releases", {"tag_name": "v1.2.0", "draft": True}),
            ("PATCH", "/releases/3", {"tag_name": "v1.2.0", "body": "b", "prerelease": True}),
            ("POST", "/pulls", {"title": "t", "body": "b", "head": "bot/x", "base": "main", "draft": True}),
            ("POST", "/issues", {"title": "alarm", "labels": ["security"], "assignees": ["acme"], "milestone": 1}),
            ("GET", "/issues?state=all", None),
            ("GET", "/issues/2", None),
            ("PATCH", "/issues/2", {"title": "all clear", "state": "closed", "state_reason": "completed"}),
            ("POST", "/issues/1/comments", {"body": "hello"}),
            ("GET", "/issues/1/comments", None),
            ("GET", "/issues/comments/1", None),
            ("PATCH", "/issues/comments/1", {"body": "bye"}),
            ("POST", "/issues/1/labels", {"labels": ["dependencies", "rebase"]}),
            ("GET", "/issues/1/labels", None),
            ("DELETE", "/issues/1/labels/rebase", None),
            ("GET", "/labels", None),
            ("GET", "/labels/rebase", None),
            ("POST", "/issues/1/assignees", {"assignees": ["acme"]}),
            ("DELETE", "/issues/1/assignees", {"assignees": ["acme"]}),
            ("GET", "/milestones", None),
            ("PATCH", "/issues/1", {"milestone": 1}),
            ("PATCH", "/issues/1", {"milestone": None}),
            ("POST", "/pulls/1/requested_reviewers", {"reviewers": ["octocat"], "team_reviewers": ["platform"]}),
            ("DELETE", "/pulls/1/requested_reviewers", {"reviewers": ["octocat"], "team_reviewers": ["platform"]}),
            ("PATCH", "/pulls/1", {"title": "new", "body": "b", "base": "main", "state": "open"}),
            ("GET", "/issues/1/events", None),
            ("GET", "/issues/2/events", None),
            ("GET", "/pulls?state=all", None),
            ("GET", "/pulls/1", None),
            ("GET", "/pulls/1/files", None),
            ("GET", "/pulls/1/commits", None),
            ("GET", "/actions/workflows", None),
            ("GET", "/actions/workflows/upgrade.yml", None),
            ("GET", "/actions/workflows/upgrade.yml/runs", None),
            ("POST", "/actions/workflows/upgrade.yml/dispatches", {"ref": "main", "return_run_details": True}),
            ("POST", "/actions/workflows/upgrade.yml/dispatches", {"ref": "main"}),
        ):
            client.request(verb, f"/repos/{NAME}{path}", json=body)
        as_json = {"Content-Type": "application/json"}
        for name in ("a.json", "b.json"):
            upload = f"/api/uploads/repos/{NAME}/releases/3/assets?name={name}&label=SBOM"
            client.post(upload, content=b"{}", headers=as_json)
        for verb, path, body in (
            ("GET", "/releases/3/assets", None),
            ("GET", "/releases/assets/1", None),
            ("PATCH", "/releases/assets/1", {"name": "c.json", "label": "The SBOM"}),
            ("DELETE", "/releases/assets/2", None),
            ("PATCH", "/releases/3", {"tag_name": "v1.2.0", "draft": False, "make_latest": "false"}),
            ("DELETE", "/releases/3", None),
            ("PATCH", "/git/refs/tags/v1.2.0", {"sha": first, "force": True}),
            ("DELETE", "/git/refs/tags/v1.2.0", None),
        ):
            client.request(verb, f"/repos/{NAME}{path}", json=body)
        github.ready_for_review(NAME, 1)
        github.commit(NAME, "main", {"other": (FILE, b"x")})
        client.put(f"/repos/{NAME}/pulls/1/update-branch", json={})
        client.put(f"/repos/{NAME}/pulls/1/merge", json={"merge_method": "squash"})
        client.get(f"/repos/{NAME}/issues/1/events")
        github.add_app(42, "acme-bot", app_keys()[1], {7: Installation({"contents": "write"}, frozenset({NAME}))})
        now = int(NOW.timestamp())
        signed = jwt.encode({"iss": "42", "iat": now, "exp": now + 60}, app_keys()[0], algorithm="RS256")
        as_app = {"Authorization": f"Bearer {signed}"}
        narrowed = {"repositories": ["ai-gateway"], "permissions": {"contents": "read"}}
        for path in ("/app", f"/repos/{NAME}/installation", "/app/installations/7"):
            client.get(path, headers=as_app)
        client.post("/app/installations/7/access_tokens", headers=as_app, json=narrowed)
        yield github.exchanges


def below(exchange: Exchange) -> str:
    return exchange.path.partition("?")[0].removeprefix(f"/repos/{NAME}").rstrip("/") or ""


def test_every_endpoint_was_asked_and_did_what_it_was_asked_for(exchanges: list[Exchange]) -> None:
    asked = {(exchange.method, below(exchange)) for exchange in exchanges}
    missing = [
        f"{route.method} {route.path.pattern}"
        for route in ROUTES
        if not any(method == route.method and route.path.fullmatch(path) for method, path in asked)
    ]

    assert missing == []
    assert [f"{one.method} {one.path}: {one.status}" for one in exchanges if one.status >= 300] == []


def test_every_answer_is_githubs(exchanges: list[Exchange], judge: Judge) -> None:
    described = [one for one in exchanges if not _is_left_out(one)]
    faults = [fault for one in described for fault in (*judge.faults(one), *judge.answer_faults(one, READ))]
    silent = [one.path for one in described if one.response.body and not judge.describes_answer(one)]

    assert [fault for fault in faults if not fault.endswith(UNTRUE)] == []
    assert silent == []


def _is_left_out(exchange: Exchange) -> bool:
    patterns = {route.path.pattern for route in ROUTES if route.path.fullmatch(below(exchange))}
    return exchange.method == "GET" and bool(patterns & NOT_DESCRIBED)
