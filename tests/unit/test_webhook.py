"""A chat that is told, once or again, and whose address is said nowhere."""

from __future__ import annotations

import pytest

from bot.adapters.connections import Connections
from bot.adapters.webhook import ATTEMPTS, Webhook
from bot.embedded.server import LoopbackServer, Request, Response
from bot.errors import ServiceError
from tests.flows.conftest import TestClock


class Flaky(LoopbackServer):
    """Answers with these, one after the other; the last one stays."""

    def __init__(self, *answers: Response) -> None:
        super().__init__()
        self.answers = list(answers)

    def answer(self, _: Request) -> Response:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.mark.parametrize(
    ("answers", "asked", "slept", "error"),
    [
        ([Response(200, b"ok")], 1, [], ""),
        ([Response(204)], 1, [], ""),
        ([Response(500), Response(429, b"", (("Retry-After", "7"),)), Response(200)], 3, [1.0, 7.0], ""),
        ([Response(503)], ATTEMPTS, [1.0, 2.0], r"HTTP 503 \(3 attempts\)"),
        ([Response(404)], 1, [], "HTTP 404"),
        ([Response(307, b"", (("Location", "/other"),))], 1, [], "a redirect, and nothing was sent there"),
    ],
)
def test_a_webhook_is_asked_again_where_that_helps(
    answers: list[Response], asked: int, slept: list[float], error: str
) -> None:
    clock, said = TestClock(), list[str]()
    with Flaky(*answers) as chat, Connections({}) as client:
        hook = Webhook(client, f"{chat.url}/top-secret", clock, said.append)
        if error:
            with pytest.raises(ServiceError, match=error) as raised:
                hook.tell("text")
            said += [str(raised.value), raised.value.next_step]
        else:
            hook.tell("text")

        assert (len(chat.exchanges), clock.slept) == (asked, slept)
        assert chat.exchanges[0].body == b'{"text":"text"}'
    assert not any("top-secret" in line for line in said)


def test_a_webhook_that_is_not_reached_is_said_without_its_address() -> None:
    said: list[str] = []
    with Flaky(Response(200)) as chat:
        url = f"{chat.url}/top-secret"
    with Connections({}) as client, pytest.raises(ServiceError, match="does not answer") as raised:
        Webhook(client, url, TestClock(), said.append).tell("text")

    assert not any("secret" in line or "127.0.0.1" in line for line in (*said, str(raised.value)))
    assert raised.value.__cause__ is None
