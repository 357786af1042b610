"""What a registry is asked with: how often a token is asked for, by whom, and when nobody asks any more."""

from __future__ import annotations

import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from bot.adapters.connections import Connections
from bot.adapters.http import Http
from bot.adapters.http import Response as Answer
from bot.adapters.registry.access import Access, Actions
from bot.core.distribution import Login
from bot.core.reference import parse_repository
from bot.embedded.registry import EmbeddedRegistry
from bot.embedded.server import Exchange, LoopbackServer, Request, Response, json_response
from bot.embedded.tokens import TokenServer
from tests.flows.conftest import TestClock

USER, PASSWORD = "bot", "of-the-registry"
LOGIN = Login(USER, PASSWORD)
BASIC = "Basic " + b64encode(f"{USER}:{PASSWORD}".encode()).decode()
Ask = Callable[[str], Answer]


@contextmanager
def access(
    server: LoopbackServer, actions: Actions = "pull", login: Login | None = LOGIN
) -> Iterator[tuple[Access, Ask]]:
    """Access to the repository `up/app`, and a question that needs it."""
    with Connections({}) as connections:
        http = Http(connections, TestClock(), lambda _text: None)

        def ask(authorization: str) -> Answer:
            headers = {"Authorization": authorization} if authorization else {}
            return http.get(f"{server.url}/v2/up/app/tags/list", headers, max_bytes=10_000)

        yield Access(http, parse_repository(f"{server.host}/up/app"), lambda _host: login, actions), ask


@contextmanager
def registry(*, private: bool = False) -> Iterator[tuple[EmbeddedRegistry, TokenServer]]:
    tokens = TokenServer(USER, PASSWORD, private=private)
    with EmbeddedRegistry(tokens=tokens) as running:
        running.push_image("up/app", "v1")
        yield running, tokens


def asked_for_tokens(server: LoopbackServer) -> list[str]:
    """By whom, each time."""
    return [each.headers.get("authorization", "") for each in server.exchanges if is_token(each)]


def is_token(exchange: Exchange) -> bool:
    return exchange.path.startswith("/token")


@pytest.mark.parametrize("private", [True, False])
def test_several_threads_ask_for_one_token(*, private: bool) -> None:
    """Who pushes, for all of them at once were told that they need one."""
    refused = threading.Barrier(6, timeout=10)
    with registry(private=private) as (server, _), access(server, "pull,push") as (found, ask):

        def together(authorization: str) -> Answer:
            answer = ask(authorization)
            if not authorization:
                refused.wait()
            return answer

        with ThreadPoolExecutor(6) as threads:
            answers = list(threads.map(lambda _: found.through(together).status, range(6)))

    assert (answers, asked_for_tokens(server)) == ([200] * 6, [BASIC])


def test_a_token_that_ended_is_renewed_by_one_of_several_threads() -> None:
    refused = threading.Barrier(6, timeout=10)
    with registry() as (server, tokens), access(server, "pull,push") as (found, ask):
        found.through(ask)
        old = tokens._tokens.copy()
        tokens.expire()

        def together(authorization: str) -> Answer:
            answer = ask(authorization)
            if authorization.removeprefix("Bearer ") in old:
                refused.wait()
            return answer

        with ThreadPoolExecutor(6) as threads:
            answers = list(threads.map(lambda _: found.through(together).status, range(6)))

    assert (answers, asked_for_tokens(server)) == ([200] * 6, [BASIC, BASIC])


@pytest.mark.parametrize("actions", ["pull", "pull,push"])
def test_a_token_that_ended_is_renewed_by_who_had_asked_for_it(actions: Actions) -> None:
    with registry(private=True) as (server, tokens), access(server, actions) as (found, ask):
        first = found.through(ask).status
        server.exchanges.clear()
        tokens.expire()
        again = found.through(ask).status

    assert (first, again) == (200, 200)
    assert [each.status for each in server.exchanges] == [401, 200, 200]
    assert asked_for_tokens(server) == [BASIC]


@pytest.mark.parametrize("actions", ["pull", "pull,push"])
def test_a_token_that_ends_before_it_was_used_is_renewed(actions: Actions) -> None:
    with registry(private=True) as (server, tokens), access(server, actions, LOGIN) as (found, ask):
        given: list[str] = []

        def late(authorization: str) -> Answer:
            if authorization and not given:
                given.append(authorization)
                tokens.expire()
            return ask(authorization)

        status = found.through(late).status

    assert (status, asked_for_tokens(server)[-2:]) == (200, [BASIC, BASIC])


def test_a_token_that_ends_each_time_is_not_renewed_for_ever() -> None:
    with registry(private=True) as (server, tokens), access(server, "pull,push") as (found, ask):

        def late(authorization: str) -> Answer:
            tokens.expire()
            return ask(authorization)

        status = found.through(late).status

    assert (status, len(asked_for_tokens(server))) == (401, 2)


def test_a_token_that_is_still_good_is_used_again() -> None:
    with registry() as (server, _), access(server) as (found, ask):
        answers = [found.through(ask).status for _ in range(3)]

    assert (answers, asked_for_tokens(server)) == ([200] * 3, [""])


def test_who_only_pulls_is_nobody_first() -> None:
    with registry() as (server, _), access(server, "pull") as (found, ask):
        found.through(ask)

    assert asked_for_tokens(server) == [""]


def test_who_only_pulls_logs_in_where_nobody_may() -> None:
    with registry(private=True) as (server, _), access(server, "pull") as (found, ask):
        status = found.through(ask).status

    assert (status, asked_for_tokens(server)) == (200, ["", BASIC])


def test_who_pushes_logs_in_at_once() -> None:
    with registry() as (server, _), access(server, "pull,push") as (found, ask):
        found.through(ask)
    (asked,) = [each.path for each in server.exchanges if is_token(each)]

    assert asked_for_tokens(server) == [BASIC]
    assert "scope=repository%3Aup%2Fapp%3Apull%2Cpush" in asked


class Never(LoopbackServer):
    """Gives everybody a token, and lets nobody in with it."""

    def __init__(self, status: int, scheme: str) -> None:
        super().__init__()
        self.status, self.scheme = status, scheme

    def answer(self, request: Request) -> Response:
        if request.path == "/token":
            return json_response(200, {"token": f"of-no-use-{len(self.exchanges)}"})
        bearer = f'Bearer realm="{self.url}/token",service="x"'
        challenge = bearer if self.scheme == "bearer" else 'Basic realm="x"'
        status = self.status if request.headers.get("Authorization") else 401
        return Response(status, b"", (("WWW-Authenticate", challenge),))


@pytest.mark.parametrize(
    ("scheme", "actions", "login", "status", "asked", "tokens"),
    [
        ("bearer", "pull", LOGIN, 401, 5, ["", "", BASIC, BASIC]),
        ("bearer", "pull", LOGIN, 403, 3, ["", BASIC]),
        ("bearer", "pull", None, 401, 3, ["", ""]),
        ("bearer", "pull", None, 403, 2, [""]),
        ("bearer", "pull,push", LOGIN, 401, 3, [BASIC, BASIC]),
        ("bearer", "pull,push", LOGIN, 403, 2, [BASIC]),
        ("bearer", "pull,push", None, 401, 3, ["", ""]),
        ("basic", "pull", LOGIN, 401, 2, []),
        ("basic", "pull", None, 401, 1, []),
        ("basic", "pull,push", LOGIN, 401, 2, []),
    ],
)
def test_who_is_not_let_in_with_a_login_does_not_ask_for_ever(
    scheme: str, actions: Actions, login: Login | None, status: int, asked: int, tokens: list[str]
) -> None:
    with Never(status, scheme) as server, access(server, actions, login) as (found, ask):
        answered = found.through(ask).status
    questions = [each for each in server.exchanges if not is_token(each)]

    assert answered == (status if asked > 1 else 401)
    assert (len(questions), asked_for_tokens(server)) == (asked, tokens)
