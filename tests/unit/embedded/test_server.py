from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from bot.embedded.server import Fault, LoopbackServer, Request, Response, json_response
from tests.loopback import loopback_client


class Counter(LoopbackServer):
    """Counts the requests that it carried out."""

    carried_out = 0

    def answer(self, request: Request) -> Response:
        self.carried_out += 1
        return json_response(200, {"path": request.path, "x": request.value("x"), "body": request.body.decode()})


@pytest.fixture
def server() -> Iterator[Counter]:
    with Counter() as running:
        yield running


@pytest.fixture
def client(server: Counter) -> Iterator[httpx.Client]:
    with loopback_client(server.url) as open_client:
        yield open_client


def fail(server: Counter, fault: Fault) -> None:
    server.intercept = lambda _method, _path: fault


def test_request_is_answered(client: httpx.Client) -> None:
    answer = client.post("/a%2Fb?x=1", content=b"hello").json()

    assert answer == {"path": "/a%2Fb", "x": "1", "body": "hello"}


def test_head_has_the_length_and_no_body(client: httpx.Client) -> None:
    response = client.head("/a")

    assert response.content == b""
    assert int(response.headers["Content-Length"]) == len(client.get("/a").content)


def test_one_connection_serves_many_requests_without_a_delayed_answer(client: httpx.Client) -> None:
    times = []
    for _ in range(15):
        started = time.monotonic()
        client.post("/a", content=b"x")
        times.append(time.monotonic() - started)

    assert statistics.median(times) < 0.03


def test_every_exchange_is_remembered(server: Counter, client: httpx.Client) -> None:
    client.get("/a?x=1", headers={"Authorization": "Bearer t"})
    client.get("/b")
    first, second = server.exchanges

    assert (first.method, first.path, first.status) == ("GET", "/a?x=1", 200)
    assert first.headers["authorization"] == "Bearer t"
    assert first.started <= first.ended <= second.started


def test_intercept_sees_method_and_path_with_query(server: Counter, client: httpx.Client) -> None:
    seen = []

    def intercept(method: str, path: str) -> Fault | None:
        seen.append((method, path))
        return None

    server.intercept = intercept
    client.delete("/a?x=1")

    assert seen == [("DELETE", "/a?x=1")]


@pytest.mark.parametrize(("performed", "carried_out"), [(False, 0), (True, 1)])
def test_answer_is_replaced_before_or_after_the_request_worked(
    server: Counter, client: httpx.Client, performed: bool, carried_out: int
) -> None:
    fail(server, Fault(answer=Response(502), performed=performed))

    assert client.post("/a").status_code == 502
    assert server.carried_out == carried_out


def test_answer_is_changed(server: Counter, client: httpx.Client) -> None:
    fail(server, Fault(change=lambda answer: replace(answer, body=answer.body + b" ")))

    assert client.get("/a").content.endswith(b"} ")


@pytest.mark.parametrize(("performed", "carried_out"), [(False, 0), (True, 1)])
def test_connection_is_dropped(server: Counter, client: httpx.Client, performed: bool, carried_out: int) -> None:
    fail(server, Fault(drop=True, performed=performed))

    with pytest.raises(httpx.TransportError):
        client.get("/a")
    assert server.carried_out == carried_out
    assert [exchange.status for exchange in server.exchanges] == [0]


def test_body_is_shorter_than_its_length(server: Counter, client: httpx.Client) -> None:
    fail(server, Fault(cut=3))

    with pytest.raises(httpx.RemoteProtocolError):
        client.get("/a")


def test_body_drips(server: Counter, client: httpx.Client) -> None:
    fail(server, Fault(drip=0.001))

    assert client.get("/a").json()["path"] == "/a"


def test_answer_is_late(server: Counter, client: httpx.Client) -> None:
    fail(server, Fault(delay=0.05))
    client.get("/a")
    (exchange,) = server.exchanges

    assert exchange.ended - exchange.started >= 0.05


def test_stopped_server_ends_open_connections() -> None:
    server = Counter().start()
    with loopback_client(server.url) as client:
        client.get("/a")
        server.stop()

        with pytest.raises(httpx.TransportError):
            client.get("/a")


def test_server_that_was_not_started_has_no_address() -> None:
    with pytest.raises(RuntimeError, match="has not been started"):
        _ = Counter().host
