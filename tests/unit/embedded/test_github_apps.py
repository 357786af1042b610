"""An App, its installations, and the tokens that it gets for them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from bot.embedded.github import Account, EmbeddedGitHub, Installation
from tests.unit.embedded.town import NAME, NOW, ask, propose, running_github

INSTALLED = frozenset({NAME, "acme/other"})
HELD = Installation({"contents": "write", "pull_requests": "write"}, INSTALLED)
TOKENS = "/app/installations/7/access_tokens"


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def github(key: rsa.RSAPrivateKey) -> Iterator[EmbeddedGitHub]:
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    with running_github() as running:
        for name in ("acme/other", "acme/elsewhere"):
            running.create_repository(name, private=True)
        running.add_app(42, "acme-bot", public.decode(), {7: HELD})
        running.add_app(43, "other-bot", public.decode(), {})
        yield running


def signed(key: rsa.RSAPrivateKey, **claims: object) -> str:
    now = int(NOW.timestamp())
    return jwt.encode({"iss": "42", "iat": now - 60, "exp": now + 600, **claims}, key, algorithm="RS256")


# Any: answers under test.
def token(github: EmbeddedGitHub, key: rsa.RSAPrivateKey, *, status: int = 201, **body: object) -> Any:
    return ask(github, "POST", TOKENS, body, caller=signed(key), status=status)


def test_app_finds_its_installation_and_gets_a_token_for_an_hour(
    github: EmbeddedGitHub, key: rsa.RSAPrivateKey
) -> None:
    app = ask(github, "GET", "/app", caller=signed(key))
    installation = ask(github, "GET", "installation", caller=signed(key))
    given = token(github, key)

    assert (app["slug"], installation["id"], installation["app_slug"]) == ("acme-bot", 7, "acme-bot")
    assert given["expires_at"] == "2026-08-01T07:30:00Z"
    assert given["permissions"] == {"metadata": "read", "contents": "write", "pull_requests": "write"}


def test_what_the_app_opens_is_by_its_bot(github: EmbeddedGitHub, key: rsa.RSAPrivateKey) -> None:
    caller = token(github, key)["token"]
    propose(github)
    github.close(NAME, 1)
    body = {"title": "t", "head": "bot/x", "base": "main"}

    assert ask(github, "POST", "pulls", body, caller=caller, status=201)["user"]["login"] == "acme-bot[bot]"


def test_token_is_narrowed_to_what_was_asked_for(github: EmbeddedGitHub, key: rsa.RSAPrivateKey) -> None:
    given = token(github, key, repositories=["ai-gateway"], permissions={"contents": "read", "metadata": "read"})
    blob = {"content": "x"}

    assert [one["full_name"] for one in given["repositories"]] == [NAME]
    assert (given["repository_selection"], given["permissions"]["contents"]) == ("selected", "read")
    ask(github, "POST", "git/blobs", blob, caller=given["token"], status=403)
    ask(github, "GET", "/repos/acme/other", caller=given["token"], status=404)
    ask(github, "GET", "/repos/acme/other", caller=token(github, key)["token"])


def test_token_is_bad_when_its_hour_is_over(github: EmbeddedGitHub, key: rsa.RSAPrivateKey) -> None:
    caller = token(github, key)["token"]
    ask(github, "GET", "", caller=caller)
    github.clock = lambda: NOW + timedelta(hours=1)

    assert ask(github, "GET", "", caller=caller, status=401)["message"] == "Bad credentials"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"permissions": {"issues": "write"}}, "The permissions requested are not granted to this installation."),
        ({"permissions": {"metadata": "write"}}, "The permissions requested are not granted to this installation."),
        ({"repositories": ["elsewhere"]}, "There is at least one repository that does not exist"),
        ({"repositories": ["ai-gateway", "missing"]}, "There is at least one repository that does not exist"),
    ],
)
def test_more_than_the_installation_has_is_refused(
    github: EmbeddedGitHub, key: rsa.RSAPrivateKey, body: dict[str, object], message: str
) -> None:
    assert token(github, key, status=422, **body)["message"].startswith(message)


@pytest.mark.parametrize(
    ("claims", "status", "message"),
    [
        ({"iss": "9"}, 404, "Integration not found"),
        ({"exp": int(NOW.timestamp()) + 601}, 401, "'Expiration time' claim ('exp') is too far in the future"),
        ({"exp": int(NOW.timestamp())}, 401, "'Expiration time' claim ('exp') must be a numeric value"),
        ({"iat": int(NOW.timestamp()) + 1}, 401, "'Issued at' claim ('iat') must be an Integer"),
    ],
)
def test_claim_that_is_wrong_is_named(
    github: EmbeddedGitHub, key: rsa.RSAPrivateKey, claims: dict[str, object], status: int, message: str
) -> None:
    refusal = ask(github, "GET", "/app", caller=signed(key, **claims), status=status)

    assert refusal["message"].startswith(message)


def test_key_of_somebody_else_signs_nothing(github: EmbeddedGitHub) -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    callers = [signed(other), "not-a-token", "bot", jwt.encode({"iss": "42"}, "k" * 32, algorithm="HS256")]
    refusals = [ask(github, "GET", "/app", caller=caller, status=401)["message"] for caller in callers]

    assert refusals == ["A JSON web token could not be decoded"] * 4


def test_app_that_is_not_installed_finds_nothing(github: EmbeddedGitHub, key: rsa.RSAPrivateKey) -> None:
    ask(github, "GET", "/repos/acme/elsewhere/installation", caller=signed(key), status=404)
    ask(github, "GET", "installation", caller=signed(key, iss="43"), status=404)
    ask(github, "POST", TOKENS, caller=signed(key, iss="43"), status=404)


def test_token_of_the_app_itself_opens_no_repository(github: EmbeddedGitHub, key: rsa.RSAPrivateKey) -> None:
    assert ask(github, "GET", "", caller=signed(key), status=401)["message"] == "Bad credentials"


def test_installation_token_is_no_user(github: EmbeddedGitHub, key: rsa.RSAPrivateKey) -> None:
    ask(github, "GET", "/user", caller=token(github, key)["token"], status=403)

    assert Account("acme-bot[bot]").kind == "Bot"
