"""A chat's incoming webhook: JSON as Slack takes it, which others understand too. Its address is a secret."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from bot.adapters.connections import Connections
from bot.adapters.http import Http
from bot.clock import Clock
from bot.core.distribution import retry_after
from bot.errors import BotError, ServiceError

ATTEMPTS = 3
_VARIABLE = "GATEWAY_BOT_WEBHOOK"
_MAX_BYTES = 1024 * 1024
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_FINE, _REDIRECTS, _ERRORS = range(200, 300), range(300, 400), 400


class Webhook:
    """One address. Nothing that is said here names it."""

    def __init__(self, connections: Connections, url: str, clock: Clock, log: Callable[[str], None]) -> None:
        self._connections = connections
        self._url = url
        self._clock = clock
        self._log = log

    def tell(self, text: str) -> None:
        """Post it, asked again while the service has a passing fault. Raises ServiceError.

        A doubtful answer is asked again too: to be told twice is better than not at all.
        """
        # one deadline for all attempts, waiting included
        http = Http(self._connections, self._clock, self._log)
        content = msgspec.json.encode({"text": text})
        why = ""
        for attempt in range(ATTEMPTS):
            wait = 1.0 * 2**attempt
            try:
                response = http.once(
                    "POST", self._url, {"Content-Type": "application/json"}, content, max_bytes=_MAX_BYTES
                )
            except ServiceError:
                why = "it does not answer"
            except BotError:
                why = "its answer cannot be read"
            else:
                if response.status in _FINE:
                    return
                why = f"HTTP {response.status}"
                if response.status in _REDIRECTS:
                    raise _refused(f"{why}, a redirect, and nothing was sent there")
                if response.status not in _PASSING:
                    raise _refused(why)
                wait = retry_after(response.headers.get("Retry-After"), self._clock.now(), wait)
            if attempt + 1 < ATTEMPTS:
                self._log(f"the webhook: {why}; again in {wait:g} s")
                self._clock.sleep(wait)
        raise _refused(f"{why} ({ATTEMPTS} attempts)")


def _refused(why: str) -> ServiceError:
    return ServiceError(
        f"the webhook was not told: {why}",
        where=_VARIABLE,
        next_step="The next run tells it. If it stays so, make a new address in the chat and set it anew.",
    )
