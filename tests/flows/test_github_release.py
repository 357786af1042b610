"""A GitHub Release comes to be: from every state, killed at every request, refused, raced, lied to."""

from __future__ import annotations

import hashlib
import itertools
import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from threading import Thread
from urllib.parse import urlsplit

import pytest
from msgspec.structs import replace

from bot.adapters.connections import Connections
from bot.adapters.github_api import GitHubApi
from bot.adapters.github_releases import GitHubReleases
from bot.core.release.github_release import ReleaseFile, WantedRelease, with_our_part
from bot.embedded.github import Account, EmbeddedGitHub
from bot.embedded.github.records import Asset, Release
from bot.embedded.server import Fault, Response
from bot.errors import BotError, ForgeError, IntegrityError, ReleaseError
from bot.flows.github_release import Published, publish_release
from tests.flows.conftest import DOWNSTREAM, TOKEN, TestClock

TAG = "v0.2.0"
FILES = (
    ReleaseFile("agentgateway-amd64.cdx.json", "application/vnd.cyclonedx+json", b'{"bomFormat": "CycloneDX"}'),
    ReleaseFile("agentgateway-amd64.spdx.json", "application/json", b'{"spdxVersion": "SPDX-2.3"}'),
)
BOT = Account("gateway-bot[bot]", {"contents": "write"})
PATH = f"/repos/{DOWNSTREAM}/releases"


@dataclass
class World:
    """A repository on GitHub, and what is to be released of it."""

    github: EmbeddedGitHub
    connections: Connections
    wanted: WantedRelease
    said: list[str] = field(default_factory=list)
    incomplete: list[Release] = field(default_factory=list)
    """Published releases that lacked something when somebody could look."""

    @property
    def releases(self) -> list[Release]:
        return self.github.repositories[DOWNSTREAM].releases

    @property
    def published(self) -> list[Release]:
        return [release for release in self.releases if not release.draft and release.tag == TAG]

    @property
    def writes(self) -> list[str]:
        return [f"{e.method} {urlsplit(e.path).path}" for e in self.github.exchanges if e.method not in {"GET", "HEAD"}]

    def run(self, wanted: WantedRelease | None = None) -> Published:
        api = GitHubApi(self.connections, self.github.url, DOWNSTREAM, lambda: TOKEN, TestClock(), self.said.append)
        return publish_release(wanted or self.wanted, GitHubReleases(api), self.said.append)

    def add(self, tag: str = TAG, *files: ReleaseFile, **more: object) -> Release:
        """A release by a person, or a draft."""
        made = self.github.add_release(DOWNSTREAM, tag, draft=bool(more.get("draft")), body=str(more.get("body", "")))
        made.immutable, made.prerelease = bool(more.get("immutable")), bool(more.get("prerelease"))
        made.assets += [stored(file, 100 * made.id + number) for number, file in enumerate(files)]
        return made

    def is_right(self) -> bool:
        """Whether there is one release of the tag, with all files and nothing else."""
        (release,) = [release for release in self.releases if release.tag == TAG]
        return not release.draft and held(release) == expected()


def stored(file: ReleaseFile, number: int, *, broken: bool = False) -> Asset:
    when = TestClock().now()
    content = b"" if broken else file.data
    return Asset(number, file.name, file.content_type, content, BOT, when, None, "starter" if broken else "uploaded")


def held(release: Release) -> dict[str, bytes]:
    """The files that came whole; of two with one name GitHub would have refused the second."""
    assert len({asset.name for asset in release.assets}) == len(release.assets)
    return {asset.name: asset.content for asset in release.assets if asset.state == "uploaded"}


def expected() -> dict[str, bytes]:
    return {file.name: file.data for file in FILES}


def start(github: EmbeddedGitHub, connections: Connections) -> World:
    repository = github.create_repository(DOWNSTREAM)
    commit = repository.refs["refs/heads/main"]
    repository.refs[f"refs/tags/{TAG}"] = commit
    github.intercept = None
    github.exchanges.clear()
    return World(github, connections, WantedRelease(TAG, commit, TAG, "## Changes\n\n- a bump", False, True, FILES))


@pytest.fixture
def world() -> Iterator[World]:
    with EmbeddedGitHub({TOKEN: BOT}) as github, Connections({}) as connections:
        yield start(github, connections)


# --- states


def test_a_draft_gets_all_files_and_is_published_last(world: World) -> None:
    found = world.run()

    (release,) = world.published
    made, *uploads, last = world.writes
    assert (made, last) == (f"POST {PATH}", f"PATCH {PATH}/1")
    assert uploads == [f"POST /api/uploads{PATH}/1/assets"] * 2
    assert (release.name, release.target, release.prerelease) == (TAG, world.wanted.commit, False)
    assert release.body == with_our_part(world.wanted, "")
    assert {asset.name: asset.content_type for asset in release.assets} == {f.name: f.content_type for f in FILES}
    assert world.github.repositories[DOWNSTREAM].latest_release == release.id
    assert found.url == f"{world.github.url}/{DOWNSTREAM}/releases/tag/{TAG}"
    assert found.did == (
        "draft of v0.2.0 made, agentgateway-amd64.cdx.json uploaded, agentgateway-amd64.spdx.json uploaded, "
        "v0.2.0 published"
    )
    assert (found.immutable, found.unproven) == (False, ())
    assert held(release) == expected()


def test_a_second_run_writes_nothing(world: World) -> None:
    world.run()
    before = world.writes

    found = world.run()

    assert (found.did, world.writes) == ("", before)


def test_what_was_published_is_served_to_anybody_with_its_bytes_and_digest(world: World) -> None:
    world.run()
    with socket.create_connection(("127.0.0.1", world.github.port)) as anybody:
        path = f"/{DOWNSTREAM}/releases/download/{TAG}/{FILES[0].name}"
        anybody.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: anybody.recv(65_536), b""))

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(FILES[0].data)


def test_an_immutable_release_is_complete_when_it_is_published(world: World) -> None:
    world.github.repositories[DOWNSTREAM].immutable_releases = True
    found, again = world.run(), world.run()

    assert (found.immutable, again.did) == (True, "")
    assert world.is_right()


def test_a_draft_by_hand_is_published_with_its_text_above_ours(world: World) -> None:
    draft = world.add(draft=True, body="Written by hand.")
    draft.name = "The big one"

    world.run()

    (release,) = world.releases
    assert release is draft
    assert (release.name, release.target) == ("The big one", world.wanted.commit)
    assert release.body == f"Written by hand.\n\n{with_our_part(world.wanted, '')}"
    assert world.is_right()


def test_files_of_a_draft_that_are_not_right_are_replaced(world: World) -> None:
    draft = world.add(draft=True, body=with_our_part(world.wanted, ""))
    draft.assets += [stored(replace(FILES[0], data=b"old"), 7), stored(FILES[1], 8, broken=True)]

    found = world.run()

    assert "agentgateway-amd64.cdx.json taken away, agentgateway-amd64.cdx.json uploaded" in found.did
    assert "agentgateway-amd64.cdx.json uploaded: it held other bytes" in world.said
    assert "agentgateway-amd64.spdx.json uploaded: its upload had broken off" in world.said
    assert world.is_right()


def test_of_several_drafts_one_is_published_and_those_that_hold_a_persons_words_stay(world: World) -> None:
    ours = with_our_part(world.wanted, "")
    for body in (ours, ours, "By hand.", f"{ours}\n\nBelow."):
        world.add(draft=True, body=body)

    found = world.run()
    again = world.run()

    assert [(release.id, release.draft) for release in world.releases] == [(3, False), (4, True)]
    assert "draft 1 deleted, draft 2 deleted" in found.did
    assert again.did == ""


def test_a_file_that_a_published_release_lacks_is_added(world: World) -> None:
    world.add(TAG, FILES[0], body="By hand.")

    found = world.run()

    assert found.did == "agentgateway-amd64.spdx.json uploaded"
    assert world.published[0].body == "By hand."
    assert world.is_right()


@pytest.mark.parametrize(
    ("files", "immutable", "words"),
    [
        ((FILES[0], replace(FILES[1], data=b"other")), False, "other bytes in agentgateway-amd64.spdx.json"),
        ((replace(FILES[1], data=b"other"),), False, "other bytes in agentgateway-amd64.spdx.json"),
        (FILES[:1], True, "an immutable release takes no more files"),
    ],
    ids=["other bytes", "other bytes and one missing", "immutable"],
)
def test_a_published_release_that_says_otherwise_ends_the_run_with_8_and_nothing_changes(
    world: World, files: tuple[ReleaseFile, ...], words: str, *, immutable: bool
) -> None:
    world.add(TAG, *files, immutable=immutable)

    with pytest.raises(ReleaseError, match=words) as raised:
        world.run()

    assert (raised.value.exit_code, world.writes) == (8, [])


@pytest.mark.parametrize("left", ["nothing", "draft"])
def test_a_tag_that_once_had_an_immutable_release_needs_the_next_version(world: World, left: str) -> None:
    world.github.repositories[DOWNSTREAM].spent_tags.add(TAG)
    if left == "draft":
        world.add(TAG, *FILES, draft=True, body=with_our_part(world.wanted, ""))

    with pytest.raises(ReleaseError, match="tag_name was used by an immutable release") as raised:
        world.run()

    assert "release the next version" in raised.value.next_step
    assert world.published == []


def test_a_prerelease_is_flagged_and_never_the_latest(world: World) -> None:
    stable = world.add("v0.1.0")
    world.run(replace(world.wanted, prerelease=True))
    latest = json.loads(world.github.act(DOWNSTREAM, "GET", "/releases/latest").body)["id"]

    assert (world.published[0].prerelease, latest) == (True, stable.id)


def test_a_patch_of_an_older_line_does_not_become_the_latest(world: World) -> None:
    newer = world.add("v1.0.0")
    world.run()
    latest = json.loads(world.github.act(DOWNSTREAM, "GET", "/releases/latest").body)["id"]

    assert (world.published[0].draft, latest) == (False, newer.id)


def test_the_release_is_found_among_more_than_a_page_of_others(world: World) -> None:
    for number in range(120):
        world.add(f"v0.1.{number}")
    world.run()
    before = world.writes

    found = world.run()

    assert (found.did, world.writes) == ("", before)


def test_a_refusal_says_what_the_token_lacks(world: World) -> None:
    world.github.tokens[TOKEN] = Account("gateway-bot[bot]", {"contents": "read"})

    with pytest.raises(BotError, match="403") as raised:
        world.run()

    assert "contents: write" in raised.value.next_step
    assert (raised.value.exit_code, world.releases) == (7, [])


# --- killed, doubtful


OUTAGES = {
    "killed before it": Fault(drop=True),
    "killed after it": Fault(drop=True, performed=True),
}
DOUBTS = {
    "502 that worked": Fault(answer=Response(502, b""), performed=True),
    "502 that did not": Fault(answer=Response(502, b"")),
    "dropped, and it worked": Fault(drop=True, performed=True),
    "dropped, and it did not": Fault(drop=True),
    "cut": Fault(cut=20),
}
BEGINNINGS: dict[str, Callable[[World], object]] = {
    "nothing": lambda world: world.github,
    "an old draft": lambda world: world.add(
        TAG,
        replace(FILES[0], data=b"old"),
        FILES[1],
        draft=True,
        body=with_our_part(replace(world.wanted, body="old"), ""),
    ),
    "two drafts": lambda world: [
        world.add(TAG, FILES[number], draft=True, body=with_our_part(world.wanted, "")) for number in (0, 1)
    ],
    "immutable releases": lambda world: setattr(world.github.repositories[DOWNSTREAM], "immutable_releases", True),
}


def at(world: World, number: int, fault: Fault, *, lasting: bool) -> Callable[[str, str], Fault | None]:
    """The fault at one request, or from it on; and at each request nothing incomplete is published."""
    count = itertools.count(1)

    def intercept(_: str, __: str) -> Fault | None:
        world.incomplete += [release for release in world.published if held(release) != expected()]
        current = next(count)
        return fault if current == number or (lasting and current > number) else None

    return intercept


def requests_of(world: World, beginning: str) -> int:
    """How many requests the run makes from there, undisturbed."""
    fresh = start(world.github, world.connections)
    BEGINNINGS[beginning](fresh)
    fresh.run()
    return len(fresh.github.exchanges)


@pytest.mark.real  # by its length
@pytest.mark.parametrize("beginning", BEGINNINGS)
@pytest.mark.parametrize("outage", OUTAGES)
def test_killed_at_any_request_the_next_run_goes_on(world: World, beginning: str, outage: str) -> None:
    total = requests_of(world, beginning)
    for number in range(1, total + 1):
        fresh = start(world.github, world.connections)
        BEGINNINGS[beginning](fresh)
        fresh.github.intercept = at(fresh, number, OUTAGES[outage], lasting=True)
        with pytest.raises(BotError) as raised:
            fresh.run()
        fresh.github.intercept = at(fresh, 0, Fault(), lasting=False)
        fresh.run()
        before = fresh.writes
        again = fresh.run()

        assert raised.value.exit_code == 4
        assert (fresh.is_right(), fresh.incomplete) == (True, []), number
        assert (again.did, fresh.writes) == ("", before), number

    assert total >= 8


@pytest.mark.real  # by its length
@pytest.mark.parametrize("beginning", BEGINNINGS)
@pytest.mark.parametrize("doubt", DOUBTS)
def test_a_doubtful_answer_to_any_request_leads_to_one_release_all_the_same(
    world: World, beginning: str, doubt: str
) -> None:
    for number in range(1, requests_of(world, beginning) + 1):
        fresh = start(world.github, world.connections)
        BEGINNINGS[beginning](fresh)
        fresh.github.intercept = at(fresh, number, DOUBTS[doubt], lasting=False)
        fresh.run()

        assert (fresh.is_right(), fresh.incomplete) == (True, []), number


def test_a_502_that_leaves_a_broken_file_is_mended_in_the_same_run(world: World) -> None:
    left = [1]

    def break_off(method: str, path: str) -> Fault | None:
        if method == "POST" and path.startswith("/api/uploads") and left:
            left.clear()
            world.releases[0].assets.append(stored(FILES[0], 77, broken=True))
            return Fault(answer=Response(502, b""))
        return None

    world.github.intercept = break_off
    found = world.run()

    assert found.did.count("agentgateway-amd64.cdx.json uploaded") == 1
    assert "agentgateway-amd64.cdx.json taken away" in found.did
    assert world.is_right()


def test_an_upload_that_breaks_off_leaves_a_file_that_is_not_uploaded(world: World) -> None:
    draft = world.add(draft=True)
    with socket.create_connection(("127.0.0.1", world.github.port)) as sender:
        head = (
            f"POST /api/uploads{PATH}/{draft.id}/assets?name={FILES[0].name} HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {TOKEN}\r\nContent-Length: 1000\r\n\r\n"
        )
        sender.sendall(head.encode() + b"only this")
        sender.shutdown(socket.SHUT_WR)
        sender.recv(1000)
    (broken,) = draft.assets
    seen = (broken.state, broken.content)
    world.run()

    assert seen == ("starter", b"")
    assert world.is_right()


def test_a_service_that_does_not_come_back_ends_the_run_with_4(world: World) -> None:
    world.github.intercept = lambda _, path: (
        Fault(answer=Response(502, b"")) if path.startswith("/api/uploads") else None
    )

    with pytest.raises(BotError, match="502") as raised:
        world.run()

    assert (raised.value.exit_code, world.published) == (4, [])
    assert len([line for line in world.writes if "uploads" in line]) == 3


def test_a_list_that_lags_behind_makes_no_second_draft(world: World) -> None:
    def lagging(method: str, path: str) -> Fault | None:
        empty = Response(200, b"[]", (("Content-Type", "application/json"),))
        return Fault(answer=empty) if (method, path) == ("GET", f"{PATH}?per_page=100") else None

    world.github.intercept = lagging
    world.run()

    assert world.writes.count(f"POST {PATH}") == 1
    assert world.is_right()


# --- two at once


@pytest.mark.real  # by its length
@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_another_run_between_any_two_requests_leads_to_one_release(world: World, beginning: str) -> None:
    total = requests_of(world, beginning)
    for number in range(1, total + 1):
        fresh = start(world.github, world.connections)
        BEGINNINGS[beginning](fresh)
        count = itertools.count(1)

        def meanwhile(_: str, __: str, fresh: World = fresh, count: Iterator[int] = count, now: int = number) -> None:
            if next(count) == now:
                fresh.run()

        fresh.github.intercept = meanwhile
        fresh.run()

        assert fresh.is_right(), number


@pytest.mark.parametrize("_", range(5))
def test_two_runs_side_by_side_lead_to_one_release(world: World, _: int) -> None:
    failed: list[BotError] = []

    def attempt() -> None:
        try:
            world.run()
        except BotError as error:
            failed.append(error)

    runs = [Thread(target=attempt) for _ in range(2)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    found = world.run()

    assert found.url.endswith(TAG)
    assert world.is_right()
    assert [error for error in failed if error.exit_code not in {4, 7}] == []


def test_somebody_who_keeps_taking_the_draft_away_ends_the_run_with_7(world: World) -> None:
    def take_away(method: str, path: str) -> Fault | None:
        if method == "GET" and path == f"{PATH}?per_page=100":
            world.releases.clear()
        return None

    world.github.intercept = take_away

    with pytest.raises(ForgeError, match=r"somebody else keeps changing the release v0\.2\.0"):
        world.run()

    assert world.published == []


# --- lies


def lied(change: Callable[[dict[str, object]], object], *, method: str = "GET") -> Callable[[str, str], Fault | None]:
    """Every release that GitHub answers with is changed."""

    def changed(response: Response) -> Response:
        answer = json.loads(response.body)
        for release in answer if isinstance(answer, list) else [answer]:
            change(release)
        return Response(response.status, json.dumps(answer).encode(), response.headers)

    def intercept(asked: str, path: str) -> Fault | None:
        return Fault(change=changed) if asked == method and path.startswith(PATH) and "/assets" not in path else None

    return intercept


@pytest.mark.parametrize(
    "address",
    [
        "http://{other}{path}",
        "http://{host}@{other}{path}",
        "http://{other}/{host}{path}",
        "https://{host}{path}",
        "//{other}{path}",
        "http://{host}.evil.invalid{path}",
        "http://{host}\\@{other}{path}",
        "http://{host}\t@{other}{path}",
        "http://[{path}",
        "{path}",
        "",
        "http://{host}/somewhere",
        "http://{host}/../repos/x/../{path}",
        "http://{host}/repos/acme/other/releases/1/assets",
        "http://{host}{path}?to=http://{other}",
        "http://{host}{path}#x",
    ],
)
def test_a_token_and_a_file_go_to_the_api_alone(world: World, address: str) -> None:
    with EmbeddedGitHub() as other:
        named = address.replace("{host}", world.github.host).replace("{other}", other.host)
        named = named.replace("{path}", f"{PATH}/1/assets")
        world.github.intercept = lied(lambda release: release.update(upload_url=f"{named}{{?name,label}}"))

        with pytest.raises(IntegrityError, match="as the place for a file; expected") as raised:
            world.run()

    assert raised.value.next_step.startswith("Nothing was sent there.")
    assert (other.exchanges, world.writes, raised.value.exit_code) == ([], [f"POST {PATH}"], 5)


@pytest.mark.parametrize(
    ("api", "address", "expected"),
    [
        ("https://api.github.com", f"https://uploads.github.com{PATH}/1/assets", True),
        ("https://api.github.com", f"https://uploads.github.com.evil.invalid{PATH}/1/assets", False),
        ("https://api.github.com", f"https://uploads.acme.ghe.com{PATH}/1/assets", False),
        ("https://api.github.com", f"http://uploads.github.com{PATH}/1/assets", False),
        ("https://api.github.com", f"https://uploads.github.com:8443{PATH}/1/assets", False),
        ("https://api.acme.ghe.com", f"https://uploads.acme.ghe.com{PATH}/1/assets", True),
        ("https://api.acme.ghe.com", f"https://uploads.other.ghe.com{PATH}/1/assets", False),
        ("https://ghe.acme.io/api/v3", "https://ghe.acme.io/api/uploads/repos/Acme/AI-gateway/releases/1/assets", True),
        ("https://ghe.acme.io/api/v3", f"https://uploads.github.com{PATH}/1/assets", False),
        ("https://api.acme.io", f"https://uploads.acme.io{PATH}/1/assets", False),
    ],
)  # fmt: skip
def test_the_host_of_uploads_belongs_to_the_api(api: str, address: str, *, expected: bool) -> None:
    with Connections({}) as connections:
        asked = GitHubApi(connections, api, DOWNSTREAM, lambda: TOKEN, TestClock(), lambda _: None)
        try:
            found = asked._upload_url(f"{address}{{?name,label}}", "/releases/1/assets")
        except IntegrityError:
            found = ""

    assert found == (address if expected else "")


def test_a_file_that_github_does_not_keep_as_it_was_sent_is_not_published(world: World) -> None:
    def garble(response: Response) -> Response:
        answer = json.loads(response.body)
        answer["digest"] = f"sha256:{hashlib.sha256(b'other').hexdigest()}"
        return Response(201, json.dumps(answer).encode(), response.headers)

    world.github.intercept = lambda _, path: Fault(change=garble) if path.startswith("/api/uploads") else None

    with pytest.raises(IntegrityError, match="keeps other bytes"):
        world.run()

    assert world.published == []


ASSET = {"id": 1, "name": "x", "size": 1, "state": "uploaded"}


@pytest.mark.parametrize(
    "change",
    [
        lambda release: release.pop("upload_url"),
        lambda release: release.update(id="1"),
        lambda release: release.update(draft="yes"),
        lambda release: release.update(assets=[{**ASSET, "digest": "md5:1"}]),
        lambda release: release.update(assets=[{**ASSET, "size": -1.5}]),
        lambda release: release.update(assets={}),
    ],
)  # fmt: skip
def test_an_answer_that_cannot_be_githubs_ends_the_run_with_5(
    world: World, change: Callable[[dict[str, object]], object]
) -> None:
    world.add("v0.1.0")
    world.github.intercept = lied(change)

    with pytest.raises(BotError) as raised:
        world.run()

    assert (raised.value.exit_code, world.writes) == (5, [])


def test_a_github_without_digests_is_believed_its_sizes_and_the_answer_says_so(world: World) -> None:
    def forget(response: Response) -> Response:
        body = json.loads(response.body)
        for shown in body if isinstance(body, list) else [body]:
            for asset in shown.get("assets", [shown]):
                asset.pop("digest", None)
        return Response(response.status, json.dumps(body).encode(), response.headers)

    world.github.intercept = lambda method, _: Fault(change=forget) if method != "DELETE" else None
    found = world.run()

    assert found.unproven == tuple(file.name for file in FILES)
    assert world.is_right()
