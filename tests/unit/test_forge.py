"""What GitHub may answer that tests/flows does not reach."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bot.adapters.forge import Forge
from bot.core.proposal import Blob, blob_id
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
def forge(github: EmbeddedGitHub, clock: TestClock) -> Iterator[Forge]:
    made = Forge(github.url, DOWNSTREAM, TOKEN, "", clock, lambda _: None)
    yield made
    made.close()


def changed(path: str, change: Callable[[dict[str, Any]], object]) -> Callable[[str, str], Fault | None]:
    """The answers to this path, with their JSON changed."""

    def edit(response: Response) -> Response:
        document = json.loads(response.body)
        change(document)
        return Response(response.status, json.dumps(document).encode(), response.headers)

    return lambda _, asked: Fault(change=edit) if path in asked else None


def answered(path: str, response: Response) -> Callable[[str, str], Fault | None]:
    return lambda _, asked: Fault(answer=response) if path in asked else None


def blobs(forge: Forge, *paths: str) -> dict[str, Blob]:
    head = forge.head("main")
    assert head is not None
    return forge.blobs(head, paths)


def test_a_tree_too_large_for_one_answer_is_walked(forge: Forge, github: EmbeddedGitHub) -> None:
    expected = blobs(forge, *FILES)
    github.intercept = changed("recursive=1", lambda tree: tree.update(truncated=True, tree=[]))

    actual = blobs(forge, *FILES, "deep/none", "versions.env/x", "none/x")

    assert actual["deep/er/main.tf"] == Blob("100755", blob_id(b"b"))
    assert expected == actual


def test_a_branch_without_its_commit_is_asked_for_it(forge: Forge, github: EmbeddedGitHub) -> None:
    expected = forge.head("main")
    github.intercept = changed("/branches/", lambda branch: branch.update(commit={"sha": branch["commit"]["sha"]}))

    actual = forge.head("main")

    assert expected == actual


def test_files_are_read_as_the_commit_holds_them(forge: Forge) -> None:
    paths = ("versions.env", "deep/er/main.tf")
    expected = {path: FILES[path] for path in paths}

    actual = {path: (source.mode, source.data) for path, source in forge.read(blobs(forge, *paths), paths).items()}

    assert expected == actual


@pytest.mark.parametrize(
    ("path", "words"), [("none", "there is no such file"), ("link", r"no plain file \(mode 120000\)")]
)
def test_what_is_no_plain_file_in_the_commit_is_refused(forge: Forge, path: str, words: str) -> None:
    found = blobs(forge, path)

    with pytest.raises(PinError, match=words):
        forge.read(found, [path])


@pytest.mark.parametrize("content", ["eA==", "", "%", "\u00e9"])
def test_a_blob_of_other_bytes_is_refused(forge: Forge, github: EmbeddedGitHub, content: str) -> None:
    found = blobs(forge, "versions.env")
    github.intercept = changed("/git/blobs/", lambda blob: blob.update(content=content))

    with pytest.raises(BotError, match="holds other bytes") as raised:
        forge.read(found, ["versions.env"])

    assert raised.value.exit_code == 5


def test_a_branch_that_is_not_there_is_none(forge: Forge) -> None:
    assert forge.head("gateway-bot/app/1.0.0") is None


@pytest.mark.parametrize(
    ("response", "code", "words"),
    [
        (Response(404, b'{"message": "Not Found"}'), 7, "HTTP 404"),
        (Response(401, b'{"message": "Bad\\u001b[2J credentials"}'), 7, r"HTTP 401: Bad\[2J credentials"),
        (Response(403, b'{"message": "slow", "x": 1}', (("Retry-After", "60"),)), 4, "rate limit"),
        (Response(403, b"{}", (("X-RateLimit-Remaining", "0"),)), 4, "rate limit"),
        (Response(429, b"{}"), 4, "rate limit"),
        (Response(500, b""), 4, "does not answer: HTTP 500"),
        (Response(200, b'{"default_branch": 5}'), 5, "lacks what its documentation promises"),
        (Response(200, b"[]"), 5, "lacks what its documentation promises"),
        (Response(200, b"<html>"), 5, "lacks what its documentation promises"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_an_answer_that_is_no_repository(
    forge: Forge, github: EmbeddedGitHub, response: Response, code: int, words: str
) -> None:
    typed = Response(response.status, response.body, (("Content-Type", "application/json"), *response.headers))
    github.intercept = answered(f"/repos/{DOWNSTREAM}", typed)

    with pytest.raises(BotError, match=words) as raised:
        forge.base()

    assert TOKEN not in f"{raised.value!r}{raised.value}"
    assert code == raised.value.exit_code


def test_reads_are_asked_again_and_writes_are_not(forge: Forge, github: EmbeddedGitHub, clock: TestClock) -> None:
    github.intercept = lambda _method, _path: Fault(drop=True)

    for act in (forge.base, lambda: forge.commit("m", "0" * 40, [])):
        with pytest.raises(BotError, match="does not answer: ConnectionError"):
            act()

    assert [e.method for e in github.exchanges] == ["GET"] * 3 + ["POST"]
    assert clock.slept == [1.0, 2.0]


@pytest.mark.parametrize("repo", [None, {"full_name": "evil/fork"}])
def test_a_pull_request_from_elsewhere_is_not_ours(forge: Forge, github: EmbeddedGitHub, repo: object) -> None:
    pull = {
        "number": 1,
        "state": "closed",
        "title": "t",
        "html_url": "",
        "head": {"ref": "b", "repo": repo},
        "base": {"ref": "main"},
    }
    github.intercept = answered("/pulls?", Response(200, json.dumps([pull]).encode()))

    assert list(forge.pulls("b", "main")) == []


def test_a_refusal_is_no_race(forge: Forge, github: EmbeddedGitHub) -> None:
    github.intercept = answered("/git/refs", Response(403, b'{"message": "no"}'))

    with pytest.raises(BotError, match="HTTP 403"):
        forge.set_branch("main", "1" * 40, before=None)
