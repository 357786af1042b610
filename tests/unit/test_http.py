"""What tests/flows does not reach of time, size and addresses."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from bot.adapters.connections import Connections
from bot.adapters.http import ATTEMPTS, DEADLINE_SECONDS, Http
from bot.clock import SystemClock
from bot.embedded.server import Fault, LoopbackServer, Request, Response
from bot.errors import IntegrityError, ServiceError
from tests.flows.conftest import TestClock


class Echo(LoopbackServer):
    """Answers with what it was sent."""

    def answer(self, request: Request) -> Response:
        return Response(200, request.body or b"0123456789", (("X-Host", request.headers.get("Host", "")),))


@pytest.fixture
def server() -> Iterator[Echo]:
    with Echo() as running:
        yield running


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


@pytest.fixture
def logged() -> list[str]:
    return []


@pytest.fixture
def http(clock: TestClock, logged: list[str]) -> Iterator[Http]:
    with Connections({}) as client:
        yield Http(client, clock, logged.append)


def every(fault: Fault) -> Callable[[str, str], Fault]:
    return lambda _method, _path: fault


def test_a_body_of_exactly_what_is_allowed_is_whole(server: Echo, http: Http) -> None:
    answer = http.get(f"{server.url}/x", {}, max_bytes=10)

    assert (answer.status, answer.body, answer.url) == (200, b"0123456789", f"{server.url}/x")


def test_one_byte_more_is_refused_and_not_asked_again(server: Echo, http: Http) -> None:
    with pytest.raises(IntegrityError, match="larger than 9 bytes"):
        http.get(server.url, {}, max_bytes=9)

    assert len(server.exchanges) == 1


def test_a_body_that_unpacks_beyond_its_limit_is_refused(server: Echo, http: Http) -> None:
    import gzip  # noqa: PLC0415 - for this one

    body = gzip.compress(b"x" * 50_000_000)
    server.intercept = every(Fault(answer=Response(200, body, (("Content-Encoding", "gzip"),))))

    with pytest.raises(IntegrityError, match="larger than"):
        http.get(server.url, {}, max_bytes=1_000_000)


def test_a_body_that_is_not_packed_as_it_says_is_no_answer(server: Echo, http: Http) -> None:
    server.intercept = every(Fault(answer=Response(200, b"no gzip", (("Content-Encoding", "gzip"),))))

    with pytest.raises(ServiceError, match="not packed as it says"):
        http.get(server.url, {}, max_bytes=100)


def test_a_form_is_posted(server: Echo, http: Http) -> None:
    answer = http.post_form(f"{server.url}/token", {"a": "b c", "d": "&"}, max_bytes=100)

    assert answer.body == b"a=b+c&d=%26"


@pytest.mark.parametrize(
    ("status", "headers", "attempts"),
    [
        (200, (), 1),
        (400, (), 1),
        (401, (), 1),
        (403, (), 1),
        (404, (), 1),
        (500, (), ATTEMPTS),
        (501, (), 1),
        (503, (), ATTEMPTS),
        (408, (), ATTEMPTS),
        (429, (), ATTEMPTS),
        (403, (("Retry-After", "1"),), ATTEMPTS),
        (403, (("X-RateLimit-Remaining", "0"),), ATTEMPTS),
        (403, (("X-RateLimit-Remaining", "1"),), 1),
    ],
)
def test_only_what_may_pass_is_asked_again(
    server: Echo, http: Http, status: int, headers: tuple[tuple[str, str], ...], attempts: int
) -> None:
    server.intercept = every(Fault(answer=Response(status, b"", headers)))

    if attempts == 1:
        assert http.get(server.url, {}, max_bytes=10).status == status
    else:
        with pytest.raises(ServiceError, match=f"HTTP {status} \\({ATTEMPTS} attempts\\)"):
            http.get(server.url, {}, max_bytes=10)

    assert attempts == len(server.exchanges)


@pytest.mark.parametrize(
    ("status", "header", "waits"),
    [(503, None, [0.5, 1.0, 2.0]), (429, None, [1.0, 1.0, 2.0]), (503, "7", [7.0, 7.0, 7.0]), (429, "0", [1.0] * 3)],
)
def test_waits_grow_unless_the_service_names_one(
    server: Echo, http: Http, clock: TestClock, status: int, header: str | None, waits: list[float]
) -> None:
    headers = (("Retry-After", header),) if header else ()
    server.intercept = every(Fault(answer=Response(status, b"", headers)))

    with pytest.raises(ServiceError):
        http.get(server.url, {}, max_bytes=10)

    assert waits == clock.slept


def test_nothing_is_asked_after_the_deadline(server: Echo, http: Http, clock: TestClock) -> None:
    clock.slept.append(DEADLINE_SECONDS)

    with pytest.raises(ServiceError, match="the time for this image was used up"):
        http.get(server.url, {}, max_bytes=10)

    assert server.exchanges == []


def test_no_wait_goes_past_the_deadline(server: Echo, http: Http, clock: TestClock) -> None:
    server.intercept = every(Fault(answer=Response(503, b"", (("Retry-After", "30"),))))
    clock.slept.append(DEADLINE_SECONDS - 20)

    with pytest.raises(ServiceError, match="HTTP 503"):
        http.get(server.url, {}, max_bytes=10)

    assert len(server.exchanges) == 1


def test_a_pause_is_logged_and_grows(http: Http, clock: TestClock, logged: list[str]) -> None:
    for attempt in range(3):
        http.pause(attempt, "not there")

    assert logged[0] == "not there; again in 0.5 s"
    assert clock.slept == [0.5, 1.0, 2.0]


def test_a_query_and_a_password_are_not_shown(server: Echo, http: Http, logged: list[str]) -> None:
    server.intercept = every(Fault(answer=Response(503)))
    url = f"http://user:secret@{server.host}/x?token=secret"

    with pytest.raises(ServiceError) as raised:
        http.get(url, {}, max_bytes=10)

    assert raised.value.where == f"{server.url}/x"
    assert "secret" not in f"{raised.value!r}{raised.value}{logged}"


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("https://evil.example/x?token=secret", "redirects to https://evil.example/x"),
        ("https://u:secret@evil.example/", "redirects to https://evil.example/"),
        ("/elsewhere", "redirects to /elsewhere"),
        ("", "redirects to nowhere"),
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_refused_and_named(server: Echo, http: Http, status: int, location: str, words: str) -> None:
    server.intercept = every(Fault(answer=Response(status, b"", (("Location", location),))))

    with pytest.raises(IntegrityError, match=words) as raised:
        http.get(server.url, {}, max_bytes=10)

    assert "secret" not in str(raised.value)
    assert len(server.exchanges) == 1


def test_loopback_is_never_asked_through_a_proxy(server: Echo, clock: TestClock) -> None:
    environ = dict.fromkeys(("HTTP_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"), "http://192.0.2.1:9")
    with Connections(environ) as client:
        answer = Http(client, clock, print).get(server.url, {}, max_bytes=10)

    assert answer.body == b"0123456789"


def test_the_systems_clock_goes_forward_in_utc() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    started = time.monotonic()
    clock.sleep(0.01)

    assert clock.monotonic() - before >= 0.01
    assert time.monotonic() - started < 5
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)
    assert clock.now().tzinfo is UTC


def test_a_redirect_is_an_answer_to_who_only_asks_whether_it_is_there(server: Echo, http: Http) -> None:
    server.intercept = every(Fault(answer=Response(307, b"", (("Location", "https://elsewhere.example/x"),))))
    answer = http.head(server.url, {})

    assert (answer.status, answer.headers["location"], len(server.exchanges)) == (307, "https://elsewhere.example/x", 1)


def test_a_write_that_says_the_same_each_time_is_sent_again(server: Echo, http: Http) -> None:
    faults = iter([Fault(answer=Response(503)), Fault(drop=True), Fault(drop=True, performed=True)])
    server.intercept = lambda _method, _path: next(faults, None)
    answer = http.again("PUT", f"{server.url}/x", {"Content-Type": "a/b"}, b"the same", max_bytes=100)

    assert (answer.status, answer.body) == (200, b"the same")
    assert [each.body for each in server.exchanges] == [b"the same"] * 4


def test_a_write_that_is_redirected_goes_nowhere(server: Echo, http: Http) -> None:
    server.intercept = every(Fault(answer=Response(307, b"", (("Location", "http://127.0.0.1:1/x"),))))
    with pytest.raises(IntegrityError, match="it redirects to http://127"):
        http.again("PUT", server.url, {}, b"x", max_bytes=100)

    assert len(server.exchanges) == 1
