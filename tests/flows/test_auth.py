"""Tokens and credentials: who gets which, when they end, and that none is ever shown."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping

import pytest

from bot.embedded.registry import EmbeddedRegistry
from bot.embedded.server import Exchange, Fault, Request, Response, json_response
from bot.embedded.tokens import TokenServer
from tests.flows.conftest import TOKEN, UPSTREAM, Run, Town

USER, PASSWORD, IDENTITY = "ada", "hunter2-of-ada", "identity-of-ada"
BASIC = b64encode(f"{USER}:{PASSWORD}".encode()).decode()
STALE = b64encode(b"ada:stale").decode()
SECRETS = (PASSWORD, IDENTITY, BASIC, TOKEN)


class Refreshing(EmbeddedRegistry):
    """A registry whose token service also takes an identity token, by POST (Docker's OAuth2 form)."""

    def answer(self, request: Request) -> Response:
        if (request.method, request.path) == ("POST", "/token"):
            self.forms.append(request.body.decode())
            if f"refresh_token={IDENTITY}" not in request.body.decode():
                return json_response(401, {})
            assert self.tokens is not None
            headers = request.headers
            headers["Authorization"] = f"Basic {BASIC}"
            query = {"scope": [f"repository:{UPSTREAM}:pull"]}
            answer = self.tokens.give(Request("GET", "/token", query, headers, b""))
            token = json.loads(answer.body)["token"]
            return json_response(200, {"access_token": token, "expires_in": 300})
        return super().answer(request)

    @property
    def forms(self) -> list[str]:
        forms: list[str] = self.__dict__.setdefault("_forms", [])
        return forms


@pytest.fixture
def town(empty_town: Town) -> Iterator[Town]:
    """As the town of the others, with a registry that wants tokens."""
    with Refreshing(tokens=TokenServer(USER, PASSWORD)) as registry:
        empty_town.registry = registry
        empty_town.release("v1.3.1", days_ago=60)
        empty_town.release("v1.4.1", days_ago=10)
        empty_town.pin("v1.3.1")
        yield empty_town


def private(town: Town) -> None:
    assert town.registry.tokens is not None
    town.registry.tokens.private = True


def docker(town: Town, entry: Mapping[str, str]) -> None:
    """Docker's config file with this entry for the town's registry."""
    folder = town.root.parent / ".docker"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"auths": {town.registry.host: entry}}))


def only_tags(town: Town) -> None:
    town.settings('github = "agentgateway/agentgateway"\n', "")


def token_requests(town: Town) -> list[Exchange]:
    return [e for e in town.registry.exchanges if e.path.startswith("/token")]


def assert_no_secret(town: Town, run: Run) -> None:
    places = [run.out, run.err, *(e.path for e in (*town.registry.exchanges, *town.github.exchanges))]

    assert not any(secret in place for secret in SECRETS for place in places)


def test_a_public_image_is_read_with_an_anonymous_token(town: Town) -> None:
    run = town.run("plan", "--json")

    (asked,) = token_requests(town)
    assert "authorization" not in asked.headers
    assert f"scope=repository%3A{UPSTREAM.replace('/', '%2F')}%3Apull" in asked.path
    assert_no_secret(town, run)
    assert run.json["candidate"]["digest"] == town.digests["v1.4.1"]


@pytest.mark.parametrize("entry", [{"auth": BASIC}, {"identitytoken": IDENTITY}, {"auth": STALE}, {"auth": "%"}])
def test_credentials_are_not_even_read_for_a_public_image(town: Town, entry: Mapping[str, str]) -> None:
    docker(town, entry)

    run = town.run("plan", "--json")

    sent = [e.headers.get("authorization", "Bearer") for e in town.registry.exchanges]
    assert all(value.startswith("Bearer") for value in sent)
    assert [e.method for e in token_requests(town)] == ["GET"]
    assert run.json["outcome"] == "propose"


def test_a_private_image_is_read_with_dockers_credentials(town: Town) -> None:
    private(town)
    docker(town, {"auth": BASIC})

    run = town.run("plan", "--json")

    assert [e.headers.get("authorization") for e in token_requests(town)] == [None, f"Basic {BASIC}"]
    assert_no_secret(town, run)
    assert run.json["outcome"] == "propose"


def test_an_identity_token_is_exchanged_by_post(town: Town) -> None:
    private(town)
    docker(town, {"identitytoken": IDENTITY})

    run = town.run("plan", "--json")

    assert isinstance(town.registry, Refreshing)
    assert [(e.method, e.path) for e in token_requests(town)][1:] == [("POST", "/token")]
    assert "grant_type=refresh_token" in town.registry.forms[0]
    assert f"scope=repository%3A{UPSTREAM.replace('/', '%2F')}%3Apull" in town.registry.forms[0]
    assert_no_secret(town, run)
    assert run.json["outcome"] == "propose"


@pytest.mark.parametrize(
    "entry", [None, {"auth": STALE}, {"identitytoken": "stale"}], ids=["none", "stale", "stale identity"]
)
def test_a_private_image_without_good_credentials_says_how_to_log_in(
    town: Town, entry: Mapping[str, str] | None
) -> None:
    private(town)
    if entry is not None:
        docker(town, entry)

    run = town.run("plan", "--json")

    assert f"docker login {town.registry.host}" in run.json["next_step"]
    assert "(denied)" in run.json["reason"]
    assert "stale" not in run.out + run.err
    assert (run.code, run.json["outcome"]) == (4, "blocked")


def test_a_config_that_does_not_work_is_said_where_it_is_needed(town: Town) -> None:
    private(town)
    docker(town, {"auth": "%"})

    run = town.run("plan", "--json")

    assert run.json["where"] == "DOCKER_CONFIG/config.json"
    assert (run.code, run.json["outcome"]) == (2, "blocked")


def test_a_token_that_expires_in_a_long_listing_is_renewed(town: Town) -> None:
    only_tags(town)
    content = town.registry.repository(UPSTREAM).find_manifest("v1.4.1")
    assert content is not None
    for number in range(90):
        town.registry.push_bytes(UPSTREAM, f"v1.0.{number}", content.data, content.media_type)
    town.registry.page_size = 5
    pages: list[str] = []

    def expire(_: str, path: str) -> Fault | None:
        if "/tags/list" in path:
            # the pinned tag's request goes on beside the listing, and is answered first
            if not any("/manifests/" in e.path and e.status == 200 for e in town.registry.exchanges):
                return None
            pages.append(path)
            if len(pages) in {4, 9}:
                assert town.registry.tokens is not None
                town.registry.tokens.expire()
        return None

    town.registry.intercept = expire

    run = town.run("plan", "--json")

    statuses = [e.status for e in town.registry.exchanges if "/tags/list" in e.path]
    assert statuses.count(401) >= 2
    assert len(token_requests(town)) >= 3
    assert run.json["candidate"]["digest"] == town.digests["v1.4.1"]


def test_a_token_that_is_never_good_ends_the_run(town: Town) -> None:
    assert town.registry.tokens is not None
    town.registry.tokens.lifetime = 0.0

    run = town.run("plan", "--json")

    assert len(token_requests(town)) <= 3
    assert run.code == 4


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Response(401, b"{}"), 4),
        (Response(403, b"{}"), 4),
        (Response(404, b"{}"), 4),
        (Response(500), 4),
        (Response(200, b"<html>"), 5),
        (Response(200, b"{}"), 5),
        (Response(200, b'{"token": ""}'), 5),
        (Response(200, b'{"token": "a\\nX-Evil: b"}'), 5),
        (Response(200, b'{"token": "\\u00e9"}'), 5),
        (Response(200, b'{"token": 5}'), 5),
        (Response(200, b'{"token": "' + b"x" * 300_000 + b'"}'), 5),
        (Response(302, b"", (("Location", "https://evil.example/token"),)), 5),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_token_service_that_does_not_give_one(town: Town, answer: Response, code: int) -> None:
    town.registry.intercept = lambda _, path: Fault(answer=answer) if path.startswith("/token") else None

    run = town.run("plan", "--json")

    assert (run.code, run.json["outcome"]) == (code, "blocked")


class BasicOnly(EmbeddedRegistry):
    """A registry that wants a name and a password with every request, as some behind a web server do."""

    def answer(self, request: Request) -> Response:
        if request.headers.get("Authorization") != f"Basic {BASIC}":
            return json_response(401, {}, ("WWW-Authenticate", 'Basic realm="Registry"'))
        return super().answer(request)


@pytest.mark.parametrize(("auth", "code"), [(BASIC, 0), (STALE, 4), (None, 4)])
def test_a_registry_that_wants_a_password(empty_town: Town, auth: str | None, code: int) -> None:
    town = empty_town
    with BasicOnly() as registry:
        town.registry = registry
        town.release("v1.3.1", days_ago=60)
        town.release("v1.4.1")
        town.pin("v1.3.1")
        if auth:
            docker(town, {"auth": auth})

        run = town.run("plan", "--json")

        statuses = [e.status for e in registry.exchanges]
    assert (statuses == [401, 200, 200]) == (code == 0)
    assert_no_secret(town, run)
    assert run.code == code


def test_a_registry_that_forbids_what_is_anonymous_is_asked_with_credentials(town: Town) -> None:
    private(town)
    docker(town, {"auth": BASIC})
    asked: list[str] = []

    def forbid(_: str, path: str) -> Fault | None:
        if path.endswith("/manifests/v1.3.1") and not asked:
            asked.append(path)
            return Fault(answer=Response(403, b"{}"))
        return None

    town.registry.intercept = forbid

    run = town.run("resolve", "v1.3.1")

    assert run.code == 0


def test_credentials_of_another_host_are_not_sent(town: Town) -> None:
    private(town)
    docker(town, {"auth": BASIC})
    config = town.root.parent / ".docker" / "config.json"
    config.write_text(config.read_text().replace(town.registry.host, "other.example"))

    run = town.run("plan")

    assert not any("Basic" in e.headers.get("authorization", "") for e in town.registry.exchanges)
    assert run.code == 4


def test_githubs_token_goes_to_github_only(town: Town) -> None:
    town.run("propose")

    assert all(TOKEN in e.headers.get("authorization", "") for e in town.github.exchanges)
    assert not any(TOKEN in value for e in town.registry.exchanges for value in e.headers.values())
