"""Every request of the bot, and every answer of the embedded GitHub, held to GitHub's published API description."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

import bot.adapters
from bot.adapters.connections import Connections
from bot.adapters.git_data import GitData
from bot.adapters.github_api import GitHubApi
from bot.adapters.github_releases import GitHubReleases
from bot.core.release.github_release import Create, ReleaseFile, WantedRelease, with_our_part
from bot.embedded.github import Account, Installation
from bot.embedded.github.records import Level
from bot.embedded.server import Exchange, Response
from bot.flows.github_release import publish_release
from tests.api_description import Judge, graphql_faults
from tests.emulator import app_keys
from tests.flows.conftest import DOWNSTREAM, NOW, TOKEN, Town, empty_town, town
from tests.parts import REAL, require

__all__ = ["empty_town", "town"]
pytestmark = pytest.mark.real

BRANCH = "gateway-bot/upgrade/agentgateway"
DRESS = """
[pull_request]
labels = ["dependencies"]
reviewers = ["octocat"]
team_reviewers = ["platform"]
assignees = ["octocat"]
milestone = "2026-Q4"
"""


def fresh(town: Town) -> None:
    town.run("propose")


def unchanged(town: Town) -> None:
    town.run("propose")
    town.run("propose")


def base_moved(town: Town) -> None:
    town.run("propose")
    town.write("versions.env", f"# a new line\n{town.text('versions.env')}")
    town.github.commit(DOWNSTREAM, "main", {"versions.env": town.checkout()["versions.env"]})
    town.run("propose")


def text_edited(town: Town) -> None:
    town.run("propose")
    town.github.edit_pull(DOWNSTREAM, 1, title="WIP", body="My words")
    town.run("propose")


def newer_release(town: Town) -> None:
    town.run("propose")
    town.release("v1.5.0", days_ago=5)
    town.run("propose")


def declined(town: Town) -> None:
    town.run("propose")
    town.github.close(DOWNSTREAM, 1)
    town.run("propose")


def declined_without_its_branch(town: Town) -> None:
    town.run("propose")
    town.github.close(DOWNSTREAM, 1)
    town.github.delete_branch(DOWNSTREAM, BRANCH)
    town.run("propose")
    town.release("v1.5.0", days_ago=5)
    town.run("propose")


def merged(town: Town) -> None:
    town.run("propose")
    town.github.merge(DOWNSTREAM, 1)
    town.run("propose")


def persons_commit(town: Town) -> None:
    town.run("propose")
    town.github.commit(DOWNSTREAM, BRANCH, {"fix.txt": ("100644", b"mine")})
    town.run("propose")
    town.github.label(DOWNSTREAM, 1, "rebase")
    town.run("propose")


def stopped(town: Town) -> None:
    town.run("propose")
    town.github.label(DOWNSTREAM, 1, "stop-updating")
    town.release("v1.5.0", days_ago=5)
    town.run("propose")


def updated_by_the_button(town: Town) -> None:
    town.run("propose")
    town.github.commit(DOWNSTREAM, "main", {"other.txt": ("100644", b"x")})
    town.github.update_branch(DOWNSTREAM, 1)
    town.run("propose")


def dressed(town: Town) -> None:
    town.write("gateway-bot.toml", town.text("gateway-bot.toml") + DRESS)
    town.github.repositories[DOWNSTREAM].teams.add("platform")
    town.github.add_milestone(DOWNSTREAM, "2026-Q4")
    town.run("propose")
    town.github.unlabel(DOWNSTREAM, 1, "dependencies")
    town.run("propose")


def reviewer_refused(town: Town) -> None:
    town.write("gateway-bot.toml", town.text("gateway-bot.toml") + DRESS)
    town.github.repositories[DOWNSTREAM].collaborators.clear()
    town.run("propose")


def drafted(town: Town) -> None:
    town.write("gateway-bot.toml", town.text("gateway-bot.toml") + "\n[pull_request]\ndraft = true\n")
    town.run("propose")
    town.github.ready_for_review(DOWNSTREAM, 1)
    town.run("propose")


def merged_by_itself(town: Town) -> None:
    repository = town.github.repositories[DOWNSTREAM]
    repository.allow_auto_merge = repository.required_checks = True
    town.write("gateway-bot.toml", town.text("gateway-bot.toml") + '\n[pull_request]\nauto_merge = ["minor"]\n')
    town.run("propose")
    town.github.checks_pass(DOWNSTREAM, 1)
    town.run("propose")


def protected_branch(town: Town) -> None:
    town.github.repositories[DOWNSTREAM].protected["gateway-bot/**"] = "ruleset"
    town.run("propose")


def base_renamed(town: Town) -> None:
    town.run("propose")
    town.github.rename_branch(DOWNSTREAM, "main", "trunk")
    town.run("propose")


def renamed_base_in_the_settings(town: Town) -> None:
    town.settings("[[image]]\n", 'base = "main"\n[[image]]\n')
    town.github.rename_branch(DOWNSTREAM, "main", "trunk")
    town.run("propose")


def as_an_app(town: Town) -> None:
    private, public = app_keys()
    installation = Installation({"contents": "write", "pull_requests": "write"}, frozenset({DOWNSTREAM}))
    town.github.clock = town.clock.now
    town.github.add_app(12345, "acme-bot", public, {678: installation})
    town.environ |= {"GATEWAY_BOT_APP_ID": "12345", "GATEWAY_BOT_APP_PRIVATE_KEY": private, "GITHUB_TOKEN": ""}
    assert town.run("propose").code == 0


def alarmed(town: Town) -> None:
    permissions: dict[str, Level] = {"contents": "read", "pull_requests": "read", "issues": "write", "actions": "read"}
    town.github.tokens[TOKEN] = Account("gateway-bot[bot]", permissions)
    town.github.add_run(DOWNSTREAM, "upgrade.yml", "schedule", NOW - timedelta(days=30))
    assert town.run("watch").code == 6
    assert town.run("status", "--publish").code == 0
    town.github.add_run(DOWNSTREAM, "upgrade.yml", "schedule", NOW)
    assert town.run("watch").code == 0


def released(town: Town) -> None:
    """A draft of an older attempt is made right and published; a prerelease of the next version follows."""
    repository = town.github.repositories[DOWNSTREAM]
    files = tuple(ReleaseFile(f"sbom.{kind}.json", "application/json", kind.encode()) for kind in ("cdx", "spdx"))
    head = repository.refs["refs/heads/main"]
    wanted = WantedRelease("v0.2.0", head, "v0.2.0", "- a bump", False, True, files)
    with Connections({}) as connections:
        api = GitHubApi(connections, town.github.url, DOWNSTREAM, lambda: TOKEN, town.clock, lambda _: None)
        releases = GitHubReleases(api)
        for number in range(2):
            draft = releases.create(Create("v0.2.0", "main", "", with_our_part(wanted, ""), True, "a story"))
            releases.upload(draft, ReleaseFile("sbom.cdx.json", "application/json", str(number).encode()))
        publish_release(wanted, releases, lambda _: None)
        publish_release(wanted, releases, lambda _: None)
        repository.immutable_releases = True
        publish_release(replace(wanted, tag="v0.3.0-rc.1", prerelease=True), releases, lambda _: None)


def asked_what_was_merged(town: Town) -> None:
    """As `release verify` asks: of a commit on the default branch, of one that is not, of one that is not there."""
    first = town.github.repositories[DOWNSTREAM].refs["refs/heads/main"]
    town.github.repositories[DOWNSTREAM].refs["refs/heads/side"] = first
    side = town.github.commit(DOWNSTREAM, "side", {"other.txt": ("100644", b"x")})
    with Connections({}) as connections:
        git = GitData(GitHubApi(connections, town.github.url, DOWNSTREAM, lambda: TOKEN, town.clock, lambda _: None))
        head = git.head(git.default_branch())
        assert head is not None
        assert [git.reaches(head.sha, each) for each in (first, side, "0" * 40)] == [True, False, False]


SCENARIOS: list[Callable[[Town], None]] = [
    fresh,
    unchanged,
    base_moved,
    text_edited,
    newer_release,
    declined,
    declined_without_its_branch,
    merged,
    persons_commit,
    stopped,
    updated_by_the_button,
    dressed,
    reviewer_refused,
    drafted,
    merged_by_itself,
    protected_branch,
    base_renamed,
    renamed_base_in_the_settings,
    as_an_app,
    alarmed,
    released,
    asked_what_was_merged,
]
"""What the bot lives through. Each is one story in a town; add a function here, and it is judged."""


@pytest.fixture(scope="session")
def judge() -> Judge:
    place = require("api.github.com.json", REAL / "openapi" / "api.github.com.json")
    return Judge(json.loads(Path(place).read_bytes()))


def names_that_are_read() -> frozenset[str]:
    """Every name by which an adapter reads an answer."""
    names: set[str] = set()
    for found in pkgutil.iter_modules(bot.adapters.__path__):
        module = importlib.import_module(f"bot.adapters.{found.name}")
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, msgspec.Struct):
                names.update(field.encode_name for field in msgspec.structs.fields(value))
    return frozenset(names)


READ = names_that_are_read()
UNTRUE = ".description: None is not of type 'string'"
"""The description says so of labels in a list of pull requests; GitHub answers null where a label has none."""


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: str(scenario.__name__))
def test_no_request_of_the_bot_is_at_fault_and_no_answer_to_it(
    judge: Judge, town: Town, scenario: Callable[[Town], None]
) -> None:
    scenario(town)
    asked = town.github.exchanges
    rest = [exchange for exchange in asked if not exchange.path.endswith("/graphql")]
    faults = [fault for exchange in rest for fault in judge.faults(exchange)]
    faults += [fault for exchange in asked if exchange not in rest for fault in graphql_faults(exchange)]
    answered = [exchange for exchange in rest if exchange.status < 300 and exchange.response.body]
    wrong = [fault for exchange in rest for fault in judge.answer_faults(exchange, READ)]

    assert faults == []
    assert [fault for fault in wrong if not fault.endswith(UNTRUE)] == []
    assert all(judge.describes_answer(exchange) for exchange in answered)
    assert len(answered) > 1


def test_the_stories_reach_graphql(town: Town) -> None:
    merged_by_itself(town)

    assert [exchange.path for exchange in town.github.exchanges if exchange.path == "/graphql"]


REPOSITORY = "/repos/acme/ai-gateway"
TREE = {"tree": [{"path": "a", "mode": "100644", "type": "blob", "sha": None}]}


def sent(method: str, path: str, body: object = None, status: int = 200, **headers: str) -> Exchange:
    raw = b"" if body is None else json.dumps(body).encode()
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return Exchange(method, path, status, 0, 0, {"user-agent": "x", **given}, raw)


def uploaded(query: str = "", body: bytes = b"bytes", **headers: str) -> Exchange:
    given = {"content_type": "application/json", "content_length": str(len(body)), **headers}
    named = {name.replace("_", "-"): value for name, value in given.items() if value}
    path = f"/api/uploads{REPOSITORY}/releases/1/assets{query}"
    return Exchange("POST", path, 201, 0, 0, {"user-agent": "x", **named}, body)


@pytest.mark.parametrize(
    "exchange",
    [
        sent("GET", f"{REPOSITORY}/pulls?state=all&per_page=100&head=acme%3Ax"),
        sent("GET", f"{REPOSITORY}/branches/gateway-bot/upgrade/agentgateway", status=404),
        sent("GET", f"{REPOSITORY}/releases/latest"),
        sent("POST", f"{REPOSITORY}/git/trees", TREE, 201),
        sent("PATCH", f"{REPOSITORY}/issues/1", {"milestone": None}),
        sent("DELETE", f"{REPOSITORY}/git/refs/heads/gateway-bot/x", status=204),
        uploaded("?name=sbom.json"),
    ],
    ids=lambda exchange: exchange.path,
)
def test_a_right_request_has_no_fault(judge: Judge, exchange: Exchange) -> None:
    assert judge.faults(exchange) == []


@pytest.mark.parametrize(
    ("exchange", "fault"),
    [
        (sent("GET", f"{REPOSITORY}/pull"), "no such operation"),
        (sent("PUT", f"{REPOSITORY}/pulls"), "no such operation"),
        (sent("GET", f"{REPOSITORY}/pulls/one"), "path parameter pull_number"),
        (sent("GET", f"{REPOSITORY}/pulls?branch=x"), "query parameter branch is not known"),
        (sent("GET", f"{REPOSITORY}/pulls?state=opened"), "query parameter state: 'opened' does not fit"),
        (sent("GET", f"{REPOSITORY}/pulls?per_page=many"), "query parameter per_page: 'many' does not fit"),
        (sent("GET", f"{REPOSITORY}/pulls?per_page=1000"), "1000 is not between 1 and 100"),
        (sent("GET", f"{REPOSITORY}/pulls?page=1&page=2"), "more than once"),
        (sent("GET", f"{REPOSITORY}/pulls", {"state": "all"}), "takes no body"),
        (sent("POST", f"{REPOSITORY}/pulls", status=201), "the body is missing"),
        (sent("POST", f"{REPOSITORY}/pulls", {"head": "a", "title": "t"}, 201), "'base' is a required property"),
        (sent("POST", f"{REPOSITORY}/pulls", {"head": "a", "base": 1}, 201), "body.base: 1 is not of type 'string'"),
        (
            sent("POST", f"{REPOSITORY}/pulls", {"head": "a", "base": "b", "labels": ["x"]}, 201),
            "body.labels is not known",
        ),
        (sent("POST", f"{REPOSITORY}/issues/1/labels", {"label": ["x"]}), "body.label is not known"),
        (
            sent("POST", f"{REPOSITORY}/git/trees", {"tree": [{"path": "a", "colour": "b"}]}, 201),
            "body.tree[0].colour is not known",
        ),
        (sent("POST", f"{REPOSITORY}/git/trees", {"tree": [{"mode": "0644"}]}, 201), "is not one of"),
        (sent("GET", f"{REPOSITORY}/pulls", status=418), "status 418 is not documented"),
        (sent("GET", f"{REPOSITORY}/pulls", user_agent=""), "User-Agent"),
        (uploaded("?name=x", content_type=""), "do not say what they are"),
        (uploaded("?name=x", content_length="1"), "how many"),
        (uploaded(), "query parameter name is missing"),
        (uploaded("?name=x", body=b""), "there are no bytes"),
        (sent("POST", f"{REPOSITORY}/releases/1/assets?name=x", {}, 201), "no such operation"),
        (sent("PATCH", f"/api/uploads{REPOSITORY}/releases/1", {}), "no such operation"),
        (sent("PATCH", f"{REPOSITORY}/releases/1", {"make_latest": "yes"}), "is not one of"),
        (
            sent("POST", f"{REPOSITORY}/issues/1/comments", {"body": "x"}, 201, content_type="text/plain"),
            "text/plain",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_wrong_request_has_this_one_fault(judge: Judge, exchange: Exchange, fault: str) -> None:
    (found,) = judge.faults(exchange)

    assert fault in found


ENABLE = "mutation($id: ID!) { enablePullRequestAutoMerge(input: {pullRequestId: $id}) { clientMutationId } }"


@pytest.mark.parametrize(
    ("query", "variables", "faults"),
    [
        (ENABLE, {"id": "PR_1"}, 0),
        ("query { viewer { login } }", {}, 0),
        (ENABLE, {}, 1),
        (ENABLE, {"id": "PR_1", "other": "x"}, 1),
        (ENABLE.replace("pullRequestId", "pullId"), {"id": "PR_1"}, 2),
        (ENABLE.replace("enable", "erase"), {"id": "PR_1"}, 1),
        ("query { repository { id } }", {}, 1),
    ],
)
def test_a_query_is_one_of_the_few_that_are_known(query: str, variables: dict[str, str], faults: int) -> None:
    body = {"query": query, "variables": variables}

    assert len(graphql_faults(sent("POST", "/graphql", body))) == faults


# Any: an answer, to be spoiled.
def spoiled(exchange: Exchange, spoil: Callable[[Any], object]) -> Exchange:
    answer = json.loads(exchange.response.body)
    spoil(answer)
    response = Response(exchange.status, json.dumps(answer).encode())
    return Exchange(exchange.method, exchange.path, exchange.status, 0, 0, exchange.headers, b"", response)


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda answer: answer.pop("html_url"), "html_url is missing"),
        (lambda answer: answer["head"].pop("ref"), "ref is missing"),
        (lambda answer: answer.update(number="1"), "is not of type 'integer'"),
        (lambda answer: answer.update(state="merged"), "'merged' is not one of"),
        (lambda answer: answer.update(title=None), "None is not of type 'string'"),
    ],
)
def test_an_answer_that_is_not_githubs_is_noticed(
    judge: Judge, town: Town, spoil: Callable[[Any], object], fault: str
) -> None:
    fresh(town)
    opened = next(one for one in town.github.exchanges if (one.method, one.path) == ("POST", f"{REPOSITORY}/pulls"))

    assert judge.answer_faults(opened, READ) == []
    assert any(fault in found for found in judge.answer_faults(spoiled(opened, spoil), READ))
