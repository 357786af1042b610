"""Who a run would sign as."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pytest

from bot.adapters.connections import Connections
from bot.adapters.http import Http
from bot.adapters.identity_token import workflow_of_run
from bot.core.model import Signature
from bot.core.release.identity import require_identity
from bot.embedded.server import LoopbackServer, Request, Response, json_response
from bot.errors import ServiceError, UsageError
from tests.flows.conftest import TestClock

WORKFLOW = "acme/gw/.github/workflows/release.yml@refs/tags/v1.2.3"
OURS = Signature("https://token.actions.githubusercontent.com", f"https://github.com/{WORKFLOW}")


def token(claims: object) -> str:
    return ".".join(urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({}, claims, "x"))


@dataclass
class Runner(LoopbackServer):
    """GitHub's runner, as far as it gives identity tokens."""

    given: Response
    asked: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def answer(self, request: Request) -> Response:
        self.asked.append((request.value("audience"), request.headers.get("Authorization", "")))
        return self.given


@pytest.fixture
def http() -> Iterator[Http]:
    with Connections({}) as connections:
        yield Http(connections, TestClock(), lambda _: None)


def test_the_runner_is_asked_for_a_token_and_says_which_workflow_this_is(http: Http) -> None:
    with Runner(json_response(200, {"value": token({"job_workflow_ref": WORKFLOW})})) as runner:
        environ = {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{runner.url}/token?api-version=2",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of-the-run",
        }

        assert workflow_of_run(lambda: http, environ) == WORKFLOW
    assert runner.asked == [("sigstore", "bearer of-the-run")]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"SIGSTORE_ID_TOKEN": token({"job_workflow_ref": WORKFLOW})}, WORKFLOW),
        ({"SIGSTORE_ID_TOKEN": token({"email": "somebody@example.org"})}, ""),
        ({"SIGSTORE_ID_TOKEN": token([])}, ""),
        ({"SIGSTORE_ID_TOKEN": "no.token"}, ""),
        ({"SIGSTORE_ID_TOKEN": "none"}, ""),
        ({"ACTIONS_ID_TOKEN_REQUEST_URL": "https://x.example"}, ""),
        ({}, ""),
    ],
)
def test_a_token_that_names_no_workflow_says_nothing(http: Http, environ: Mapping[str, str], expected: str) -> None:
    assert workflow_of_run(lambda: http, environ) == expected


@pytest.mark.parametrize("given", [Response(403, b"{}"), Response(200, b"<html>"), json_response(200, {"value": ""})])
def test_a_runner_that_gives_no_token_stops_the_run_before_anything_is_written(http: Http, given: Response) -> None:
    with Runner(given) as runner:
        environ = {"ACTIONS_ID_TOKEN_REQUEST_URL": f"{runner.url}/t?a=b", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "secret"}
        with pytest.raises(ServiceError, match="gives no identity token") as raised:
            workflow_of_run(lambda: http, environ)

    assert "secret" not in f"{raised.value} {raised.value.next_step}"


@pytest.mark.parametrize(
    "workflow",
    [
        WORKFLOW.replace("release.yml", "publish.yml"),
        WORKFLOW.replace("refs/tags/v1.2.3", "refs/heads/main"),
        WORKFLOW.replace("acme/gw", "evil/gw"),
        "gw/.github/workflows/release.yml@refs/tags/v1.2.4",
    ],
)
def test_a_run_that_would_sign_as_another_one_is_refused(workflow: str) -> None:
    with pytest.raises(UsageError, match="this run would sign as") as raised:
        require_identity(OURS, workflow)

    assert workflow in raised.value.what
    assert OURS.identity in raised.value.what


def test_the_right_workflow_and_an_unknown_one_go_on() -> None:
    require_identity(OURS, WORKFLOW)
    require_identity(OURS, "")
