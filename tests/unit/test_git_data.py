"""What GitHub may answer that tests/flows does not reach."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from urllib3 import HTTPResponse

from bot.adapters.connections import Connections
from bot.adapters.git_data import GitData
from bot.adapters.github_api import GitHubApi
from bot.adapters.pull_requests import PullRequests
from bot.core.proposal.names import blob_id
from bot.core.proposal.shown import Blob, Conflict, PullRequest
from bot.embedded.github import Account, EmbeddedGitHub
from bot.embedded.server import Fault, Response
from bot.errors import BotError, PinError
from tests.flows.conftest import DOWNSTREAM, TOKEN, TestClock

FILES = {
    "versions.env": ("100644", b"a"),
    "deep/er/main.tf": ("100755", b"b"),
    "deep/other": ("100644", b"c"),
    "link": ("120000", b"versions.env"),
}


@pytest.fixture
def github() -> Iterator[EmbeddedGitHub]:
    bot = Account("gateway-bot[bot]", {"contents": "write", "pull_requests": "write"})
    with EmbeddedGitHub({TOKEN: bot}) as running:
        running.create_repository(DOWNSTREAM, FILES)
        yield running


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


@pytest.fixture
def api(github: EmbeddedGitHub, clock: TestClock) -> Iterator[GitHubApi]:
    with Connections({}) as client:
        yield GitHubApi(client, github.url, DOWNSTREAM, lambda: TOKEN, clock, lambda _: None)


@pytest.fixture
def git(api: GitHubApi) -> GitData:
    return GitData(api)


def changed(path: str, change: Callable[[dict[str, Any]], object]) -> Callable[[str, str], Fault | None]:
    """The answers to this path, with their JSON changed."""

    def edit(response: Response) -> Response:
        document = json.loads(response.body)
        change(document)
        return Response(response.status, json.dumps(document).encode(), response.headers)

    return lambda _, asked: Fault(change=edit) if path in asked else None


def answered(path: str, response: Response) -> Callable[[str, str], Fault | None]:
    return lambda _, asked: Fault(answer=response) if path in asked else None


def blobs(git: GitData, *paths: str) -> dict[str, Blob]:
    head = git.head("main")
    assert head is not None
    return git.blobs(head, paths)


def test_a_tree_too_large_for_one_answer_is_walked(git: GitData, github: EmbeddedGitHub) -> None:
    expected = blobs(git, *FILES)
    github.intercept = changed("recursive=1", lambda tree: tree.update(truncated=True, tree=[]))

    actual = blobs(git, *FILES, "deep/none", "versions.env/x", "none/x")

    assert actual["deep/er/main.tf"] == Blob("100755", blob_id(b"b"))
    assert expected == actual


@pytest.mark.parametrize("lacks", ["commit", "parents"])
def test_a_branch_without_its_whole_commit_is_asked_for_it(git: GitData, github: EmbeddedGitHub, lacks: str) -> None:
    expected = git.head("main")
    github.intercept = changed("/branches/", lambda branch: branch["commit"].pop(lacks))

    actual = git.head("main")

    assert expected == actual


def test_a_commit_that_is_gone_is_said(git: GitData) -> None:
    with pytest.raises(BotError, match="HTTP 404") as raised:
        git.commit_of("1" * 40)

    assert raised.value.exit_code == 7


def test_files_are_read_as_the_commit_holds_them(git: GitData) -> None:
    paths = ("versions.env", "deep/er/main.tf")
    expected = {path: FILES[path] for path in paths}

    actual = {path: (source.mode, source.data) for path, source in git.read(blobs(git, *paths), paths).items()}

    assert expected == actual


@pytest.mark.parametrize(
    ("path", "words"), [("none", "there is no such file"), ("link", r"no plain file \(mode 120000\)")]
)
def test_what_is_no_plain_file_in_the_commit_is_refused(git: GitData, path: str, words: str) -> None:
    found = blobs(git, path)

    with pytest.raises(PinError, match=words):
        git.read(found, [path])


@pytest.mark.parametrize("content", ["eA==", "", "%", "\u00e9"])
def test_a_blob_of_other_bytes_is_refused(git: GitData, github: EmbeddedGitHub, content: str) -> None:
    found = blobs(git, "versions.env")
    github.intercept = changed("/git/blobs/", lambda blob: blob.update(content=content))

    with pytest.raises(BotError, match="holds other bytes") as raised:
        git.read(found, ["versions.env"])

    assert raised.value.exit_code == 5


def test_a_branch_that_is_not_there_is_none(git: GitData) -> None:
    assert git.head("gateway-bot/app/1.0.0") is None


@pytest.mark.parametrize(
    ("response", "code", "words"),
    [
        (Response(404, b'{"message": "Not Found"}'), 7, "HTTP 404"),
        (Response(401, b'{"message": "Bad\\u001b[2J credentials"}'), 7, r"HTTP 401: Bad credentials"),
        (Response(401, b'{"message": "no"}', (("X-RateLimit-Remaining", "0"),)), 7, "HTTP 401: no"),
        (Response(403, b'{"message": "slow", "x": 1}', (("Retry-After", "60"),)), 4, "rate limit"),
        (Response(403, b"{}", (("X-RateLimit-Remaining", "0"),)), 4, "rate limit"),
        (Response(429, b"{}"), 4, "rate limit"),
        (Response(500, b""), 4, "does not answer: HTTP 500"),
        (Response(200, b'{"default_branch": 5}'), 5, "lacks what its documentation promises"),
        (Response(200, b"[]"), 5, "lacks what its documentation promises"),
        (Response(200, b"<html>"), 5, "lacks what its documentation promises"),
        (Response(200, b'{"x":' + b"[" * 100_000), 5, "lacks what its documentation promises"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_an_answer_that_is_no_repository(
    git: GitData, github: EmbeddedGitHub, response: Response, code: int, words: str
) -> None:
    typed = Response(response.status, response.body, (("Content-Type", "application/json"), *response.headers))
    github.intercept = answered(f"/repos/{DOWNSTREAM}", typed)

    with pytest.raises(BotError, match=words) as raised:
        git.default_branch()

    assert TOKEN not in f"{raised.value!r}{raised.value}"
    assert code == raised.value.exit_code


def test_reads_are_asked_again_and_writes_are_not(git: GitData, github: EmbeddedGitHub, clock: TestClock) -> None:
    github.intercept = lambda _method, _path: Fault(drop=True)

    for act in (git.default_branch, lambda: git.commit("m", "0" * 40, [])):
        with pytest.raises(BotError, match="does not answer: no answer: "):
            act()

    assert [e.method for e in github.exchanges] == ["GET"] * 3 + ["POST"]
    assert clock.slept == [1.0, 2.0]


@pytest.mark.parametrize("repo", [None, {"full_name": "evil/fork"}])
def test_a_pull_request_from_elsewhere_is_not_ours(api: GitHubApi, github: EmbeddedGitHub, repo: object) -> None:
    pull = {
        "number": 1,
        "state": "closed",
        "title": "t",
        "html_url": "",
        "head": {"ref": "b", "repo": repo},
        "base": {"ref": "main"},
    }
    github.intercept = answered("/pulls?", Response(200, json.dumps([pull]).encode()))

    assert list(PullRequests(api).of("b")) == []


def test_a_refusal_is_no_race(git: GitData, github: EmbeddedGitHub) -> None:
    github.intercept = answered("/git/refs", Response(403, b'{"message": "no"}'))

    with pytest.raises(BotError, match="HTTP 403"):
        git.set_branch("main", "1" * 40, before=None)


def test_a_branch_that_exists_is_a_race(git: GitData) -> None:
    head = git.head("main")
    assert head is not None
    other = git.commit("other", head.tree, [head.sha])

    with pytest.raises(Conflict):
        git.set_branch("main", other, before=None)


def test_a_branch_is_deleted_as_long_as_nobody_moved_it(git: GitData, github: EmbeddedGitHub) -> None:
    seen = github.commit(DOWNSTREAM, "bot", {"x": ("100644", b"1")})
    theirs = github.commit(DOWNSTREAM, "bot", {"x": ("100644", b"2")})

    assert not git.delete_branch("bot", seen)
    assert git.delete_branch("bot", theirs)
    assert git.delete_branch("bot", theirs)
    assert git.head("bot") is None


def test_a_branch_that_may_not_be_deleted_is_said(git: GitData, github: EmbeddedGitHub) -> None:
    head = github.commit(DOWNSTREAM, "bot", {"x": ("100644", b"1")})
    github.repositories[DOWNSTREAM].protected["bot"] = "ruleset"

    with pytest.raises(BotError, match="the branch was not deleted: ") as raised:
        git.delete_branch("bot", head)

    assert raised.value.exit_code == 7


@pytest.mark.parametrize("status", [404, 502])
def test_a_branch_is_deleted_where_graphql_is_missing_but_not_in_doubt(
    git: GitData, github: EmbeddedGitHub, status: int
) -> None:
    head = github.commit(DOWNSTREAM, "bot", {"x": ("100644", b"1")})
    github.intercept = answered("/graphql", Response(status, b"{}"))

    if status == 404:
        assert git.delete_branch("bot", head)
    else:
        with pytest.raises(BotError, match="HTTP 502"):
            git.delete_branch("bot", head)

    assert (git.head("bot") is None) == (status == 404)


def test_bytes_that_are_no_text_are_written_as_they_are(git: GitData, github: EmbeddedGitHub) -> None:
    contents = {"versions.env": b"A=\xff\r\n", "deep/other": "é\r\n".encode()}
    head = git.head("main")
    assert head is not None

    commit = git.commit("m", git.tree(head, git.blobs(head, FILES), contents), [head.sha])
    git.set_branch("bot", commit, before=None)

    files = github.files_at(DOWNSTREAM, "bot")
    assert {path: files[path][1] for path in contents} == contents
    assert files["deep/er/main.tf"] == FILES["deep/er/main.tf"]


def test_what_a_branch_changes_is_compared_with_its_base(git: GitData, github: EmbeddedGitHub) -> None:
    github.commit(DOWNSTREAM, "x", {"versions.env": ("100644", b"new")}, message="one")
    changed_only = git.change("main", "x")
    github.commit(DOWNSTREAM, "x", {"added": ("100644", b"new")}, message="two")

    later = git.change("main", "x")
    assert changed_only is not None
    assert later is not None
    assert (changed_only.files, changed_only.whole) == ({"versions.env": blob_id(b"new")}, True)
    assert ([commit.message for commit in later.commits], later.head) == (["one", "two"], git.head("x"))
    assert (later.whole, later.base) == (False, git.head("main"))
    assert git.change("main", "none") is None


def test_a_branch_with_nothing_of_its_own_has_its_head_all_the_same(git: GitData, github: EmbeddedGitHub) -> None:
    head = git.head("main")
    assert head is not None
    git.set_branch("x", head.sha, before=None)
    github.commit(DOWNSTREAM, "main", {"versions.env": ("100644", b"new")})

    change = git.change("main", "x")

    assert change is not None
    assert (change.head, change.commits, change.whole) == (head, (), True)


@pytest.mark.parametrize("answer", [b"{}", b'{"data": {"x": null}}', b'{"errors": [{}]}', b'{"data": null}'])
def test_what_graphql_does_not_confirm_is_not_done(api: GitHubApi, github: EmbeddedGitHub, answer: bytes) -> None:
    github.intercept = answered("/graphql", Response(200, answer))

    assert api.graphql("mutation { x }", {}) == "GitHub does not say why"


def test_a_token_that_comes_back_is_not_shown(git: GitData, github: EmbeddedGitHub) -> None:
    github.intercept = answered("/branches/", Response(403, json.dumps({"message": f"no: {TOKEN}"}).encode()))

    with pytest.raises(BotError, match=r"no: \*\*\*") as raised:
        git.head("main")

    assert TOKEN not in str(raised.value)


def test_a_redirect_to_no_address_is_refused(git: GitData, github: EmbeddedGitHub) -> None:
    github.intercept = answered("/branches/", Response(301, b"{}", (("Location", "http://a:b@["),)))

    with pytest.raises(BotError, match="an address that is none") as raised:
        git.head("main")

    assert raised.value.exit_code == 5


@pytest.mark.parametrize(
    ("seconds", "calls", "slept"),
    [("7", 2, [7.0]), ("3600", 1, []), ("-1", 2, [1.0])],
    ids=["soon", "late", "nonsense"],
)
def test_a_rate_limit_that_passes_soon_is_waited_for(
    git: GitData, github: EmbeddedGitHub, clock: TestClock, seconds: str, calls: int, slept: list[float]
) -> None:
    left = [Fault(answer=Response(403, b'{"message": "secondary rate limit"}', (("Retry-After", seconds),)))]
    github.intercept = lambda _method, _path: left.pop() if left else None
    late = calls == 1

    if late:
        with pytest.raises(BotError, match="rate limit is used up") as raised:
            git.default_branch()
        assert raised.value.exit_code == 4
    else:
        assert git.default_branch() == "main"

    assert (len(github.exchanges), clock.slept) == (calls, slept)


class Fine(Connections):
    """To whatever address: everything is well."""

    def send(self, *_: object, **__: object) -> HTTPResponse:
        return HTTPResponse(io.BytesIO(b"{}"), status=200, preload_content=False)


@pytest.mark.parametrize(("api_url", "slept"), [("https://api.github.com", [1.0, 1.0]), ("http://127.0.0.1:1", [])])
def test_a_second_passes_between_writes_as_github_asks(clock: TestClock, api_url: str, slept: list[float]) -> None:
    api = GitHubApi(Fine({}), api_url, DOWNSTREAM, lambda: TOKEN, clock, lambda _: None)
    for _ in range(3):
        api.write("POST", "/issues", {}, object)

    assert clock.slept == pytest.approx(slept, abs=0.5)


@pytest.mark.parametrize(
    ("location", "code"), [("/repos/acme/renamed", 7), ("http://127.0.0.1:1/evil", 5)], ids=["renamed", "foreign"]
)
def test_a_redirect_is_followed_by_nobody(git: GitData, github: EmbeddedGitHub, location: str, code: int) -> None:
    github.intercept = answered("/branches/", Response(301, b"{}", (("Location", location),)))

    with pytest.raises(BotError, match="redirects to") as raised:
        git.head("main")

    assert code == raised.value.exit_code
    assert len(github.exchanges) == 1


def test_a_list_that_does_not_end_is_given_up(api: GitHubApi, github: EmbeddedGitHub) -> None:
    link = (("Link", f'<{github.url}/repos/{DOWNSTREAM}/milestones?page=1>; rel="next"'),)
    github.intercept = answered("/milestones", Response(200, b"[]", link))

    with pytest.raises(BotError, match="does not end") as raised:
        list(api.pages("/milestones", list[object]))

    assert raised.value.exit_code == 4


def test_what_graphql_refuses_is_said_on_one_line(api: GitHubApi, github: EmbeddedGitHub) -> None:
    body = b'{"data": null, "errors": [{"message": "Pull request is in\\nclean status"}]}'
    github.intercept = answered("/graphql", Response(200, body))

    assert api.graphql("mutation { x }", {}) == "Pull request is in clean status"


def test_where_no_events_are_kept_nothing_is_known_to_have_happened(api: GitHubApi, github: EmbeddedGitHub) -> None:
    pull = PullRequest(1, "", "", "", is_open=True, merged=False)
    github.intercept = answered("/events", Response(404, b"{}"))
    assert PullRequests(api).events(pull) == []
    github.intercept = answered("/events", Response(403, b"{}"))

    with pytest.raises(BotError, match="HTTP 403"):
        PullRequests(api).events(pull)


def test_a_branch_reaches_its_head_and_what_is_before_it(github: EmbeddedGitHub, git: GitData) -> None:
    first = github.repositories[DOWNSTREAM].refs["refs/heads/main"]
    head = github.commit(DOWNSTREAM, "main", {"more": ("100644", b"x")})
    asked = {"head": (head, head), "before": (head, first), "after": (first, head), "nowhere": (head, "0" * 40)}

    assert {name: git.reaches(*each) for name, each in asked.items()} == {
        "head": True,
        "before": True,
        "after": False,
        "nowhere": False,
    }
