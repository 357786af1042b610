"""What all requests to GitHub's REST API have in common: their headers, and how a refusal reads. 2022-11-28."""

from __future__ import annotations

import msgspec

from bot.adapters.http import Response
from bot.core.decoding import decode
from bot.core.text import plain

_FORBIDDEN, _TOO_MANY = 403, 429


def headers(token: str, *, sends: bool) -> dict[str, str]:
    """For a token or an App's assertion, or for nobody where it is empty; `sends`: there is a body."""
    given = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
    if token:
        given["Authorization"] = f"Bearer {token}"
    return given | {"Content-Type": "application/json"} if sends else given


class _Message(msgspec.Struct):
    message: str = ""
    errors: msgspec.Raw = msgspec.Raw(b"[]")


class _Detail(msgspec.Struct):
    message: str | None = None
    field: str | None = None


def is_limited(response: Response) -> bool:
    """The primary limit counts down to 0, the secondary one says Retry-After; both answer 403 or 429."""
    if response.status == _TOO_MANY:
        return True
    spent = "Retry-After" in response.headers or response.headers.get("x-ratelimit-remaining") == "0"
    return response.status == _FORBIDDEN and (spent or "rate limit" in said(response.body).lower())


def said(body: bytes) -> str:
    """GitHub's own words on one line: the message, and what it says of single fields."""
    try:
        answer = decode(body, _Message)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "no message"
    try:
        details = decode(answer.errors, list[_Detail])
    except (msgspec.DecodeError, RecursionError):  # some endpoints list plain texts
        details = []
    more = [detail.message or f"field {detail.field}" for detail in details if detail.message or detail.field]
    return plain("; ".join([answer.message or "no message", *more]), 300)
