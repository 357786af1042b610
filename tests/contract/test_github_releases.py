"""What the bot needs of GitHub to publish a release: drafts, files, publishing.

As in test_github_contract.py the embedded GitHub is held to what GitHub documents, and the emulator's known gaps are
asserted beside it: it keeps no bytes, knows no digest, no latest release and no immutable one, and makes no tag.
"""

from __future__ import annotations

import hashlib
from typing import Any

import httpx  # noqa: TC002 - one plain import is easier to read
import pytest

from bot.adapters.connections import Connections
from bot.adapters.github_api import GitHubApi
from bot.adapters.github_releases import GitHubReleases
from bot.clock import SystemClock
from bot.core.release.github_release import ReleaseFile, WantedRelease
from bot.embedded.github import EmbeddedGitHub
from bot.flows.github_release import publish_release
from tests.contract.under_test import FILES, REPOSITORY, GitHubUnderTest, ask, head_of
from tests.emulator import BOT_TOKEN
from tests.loopback import loopback_client

TAG = "v0.2.0"
SBOM = b'{"bomFormat": "CycloneDX"}'


@pytest.fixture(autouse=True)
def repository(github: GitHubUnderTest) -> None:
    github.place.create_repository(REPOSITORY, FILES)


def emulated(github: GitHubUnderTest) -> bool:
    return github.part == "emulator"


# Any: these are answers under test.
def drafted(github: GitHubUnderTest, tag: str = TAG, **more: object) -> Any:
    body = {"tag_name": tag, "target_commitish": head_of(github, "main"), "name": tag, "body": "b", "draft": True}
    return ask(github, "POST", "/releases", {**body, **more}, status=201)


def published(github: GitHubUnderTest, tag: str = TAG, **more: object) -> Any:
    path = f"/releases/{drafted(github, tag)['id']}"
    return ask(github, "PATCH", path, {"tag_name": tag, "draft": False, **more})


def upload(github: GitHubUnderTest, release: Any, name: str = "app.cdx.json", data: bytes = SBOM) -> httpx.Response:
    url = release["upload_url"].partition("{")[0]
    headers = {"Content-Type": "application/json"}
    return github.bot.post(url, params={"name": name}, content=data, headers=headers)


def immutable(github: GitHubUnderTest) -> bool:
    """Releases of the repository cannot be changed once they are published; False where there is no such thing."""
    if isinstance(github.place, EmbeddedGitHub):
        github.place.repositories[REPOSITORY].immutable_releases = True
    return isinstance(github.place, EmbeddedGitHub)


def test_a_draft_is_there_for_writers_and_has_no_tag(github: GitHubUnderTest) -> None:
    made = drafted(github)
    found = ask(github, "GET", f"/releases/{made['id']}")
    listed = [release["id"] for release in ask(github, "GET", "/releases")]
    by_tag = github.bot.get(f"/repos/{REPOSITORY}/releases/tags/{TAG}").status_code
    ask(github, "GET", f"/git/ref/tags/{TAG}", status=404)

    assert (found["draft"], found["published_at"], found["tag_name"]) == (True, None, TAG)
    assert found["upload_url"].endswith(f"/repos/{REPOSITORY}/releases/{made['id']}/assets{{?name,label}}")
    assert (listed, by_tag) == ([made["id"]], 200 if emulated(github) else 404)  # finds drafts by their tag


def test_several_drafts_may_have_one_tag(github: GitHubUnderTest) -> None:
    drafted(github)
    body = {"tag_name": TAG, "draft": True}
    response = github.bot.post(f"/repos/{REPOSITORY}/releases", json=body)

    assert response.status_code == (422 if emulated(github) else 201)


def test_a_draft_is_edited_and_published(github: GitHubUnderTest) -> None:
    path = f"/releases/{drafted(github)['id']}"
    edited = ask(github, "PATCH", path, {"tag_name": TAG, "body": "new", "prerelease": True})
    made = ask(github, "PATCH", path, {"tag_name": TAG, "draft": False, "prerelease": False, "make_latest": "true"})
    found = ask(github, "GET", f"/releases/tags/{TAG}")

    assert (edited["body"], edited["prerelease"], edited["draft"]) == ("new", True, True)
    assert (made["draft"], made["prerelease"], made["published_at"].endswith("Z")) == (False, False, True)
    assert made["html_url"].endswith(f"/{REPOSITORY}/releases/tag/{TAG}")
    assert found["id"] == made["id"]


def test_publishing_makes_the_tag(github: GitHubUnderTest) -> None:
    published(github)
    response = github.bot.get(f"/repos/{REPOSITORY}/git/ref/tags/{TAG}")

    assert response.status_code == (404 if emulated(github) else 200)


def test_a_draft_is_deleted(github: GitHubUnderTest) -> None:
    path = f"/releases/{drafted(github)['id']}"
    ask(github, "DELETE", path, status=204)
    ask(github, "DELETE", path, status=404)

    assert ask(github, "GET", "/releases") == []


def test_a_second_release_of_a_tag_is_refused(github: GitHubUnderTest) -> None:
    if not emulated(github):  # refuses the second draft
        other = drafted(github)
        published(github)
        refusal = ask(github, "PATCH", f"/releases/{other['id']}", {"tag_name": TAG, "draft": False}, status=422)

        assert refusal["errors"] == [{"resource": "Release", "code": "already_exists", "field": "tag_name"}]
    else:
        published(github)
    ask(github, "POST", "/releases", {"tag_name": TAG}, status=422)

    assert [release["draft"] for release in ask(github, "GET", "/releases")].count(False) == 1


def test_a_file_is_uploaded_listed_and_deleted(github: GitHubUnderTest) -> None:
    draft = drafted(github)
    made = upload(github, draft)
    asset = made.json()
    listed = ask(github, "GET", f"/releases/{draft['id']}/assets")
    shown = ask(github, "GET", f"/releases/{draft['id']}")["assets"]
    one = ask(github, "GET", f"/releases/assets/{asset['id']}")
    ask(github, "DELETE", f"/releases/assets/{asset['id']}", status=204)
    ask(github, "DELETE", f"/releases/assets/{asset['id']}", status=404)

    assert (made.status_code, asset["name"], asset["size"], asset["state"]) == (201, "app.cdx.json", 26, "uploaded")
    assert (asset["content_type"], asset["label"]) == ("application/json", None)
    assert [one["id"], *(each["id"] for each in (*listed, *shown))] == [asset["id"]] * 3
    assert asset.get("digest") == (None if emulated(github) else f"sha256:{hashlib.sha256(SBOM).hexdigest()}")
    assert ask(github, "GET", f"/releases/{draft['id']}")["assets"] == []


def test_a_second_file_of_one_name_is_refused(github: GitHubUnderTest) -> None:
    draft = drafted(github)
    upload(github, draft)
    again = upload(github, draft, data=b"other")

    assert again.status_code == (201 if emulated(github) else 422)  # keeps both
    if not emulated(github):
        assert again.json()["errors"] == [{"resource": "ReleaseAsset", "code": "already_exists", "field": "name"}]


def test_a_file_is_renamed_and_labelled(github: GitHubUnderTest) -> None:
    asset = upload(github, drafted(github)).json()
    edited = ask(github, "PATCH", f"/releases/assets/{asset['id']}", {"name": "b.json", "label": "The SBOM"})

    assert (edited["name"], edited["label"]) == ("b.json", "The SBOM")


def test_a_file_without_a_name_or_content_is_refused(github: GitHubUnderTest) -> None:
    draft = drafted(github)
    nameless, empty = upload(github, draft, name=""), upload(github, draft, data=b"")

    assert nameless.status_code == 422
    assert empty.status_code == (201 if emulated(github) else 400)


def test_a_name_with_special_characters_is_changed(github: GitHubUnderTest) -> None:
    name = upload(github, drafted(github), name="my app.json").json()["name"]

    assert name == ("my app.json" if emulated(github) else "my.app.json")


def test_the_bytes_of_a_published_release_are_everybodys_and_those_of_a_draft_are_not(github: GitHubUnderTest) -> None:
    draft = drafted(github)
    asset = upload(github, draft).json()
    raw = github.bot.get(asset["url"], headers={"Accept": "application/octet-stream"})
    with loopback_client(str(github.bot.base_url)) as anybody:
        hidden = anybody.get(asset["browser_download_url"])
        ask(github, "PATCH", f"/releases/{draft['id']}", {"tag_name": TAG, "draft": False})
        address = ask(github, "GET", f"/releases/assets/{asset['id']}")["browser_download_url"]
        served = anybody.get(address)

    if emulated(github):  # keeps no bytes
        assert (raw.json()["id"], served.status_code) == (asset["id"], 404)
        return
    assert address.endswith(f"/{REPOSITORY}/releases/download/{TAG}/app.cdx.json")
    assert (raw.content, served.content, served.headers["Content-Type"]) == (SBOM, SBOM, "application/json")
    assert hidden.status_code == 404


def test_bytes_of_a_private_repository_are_not_everybodys(github: GitHubUnderTest) -> None:
    github.place.create_repository(REPOSITORY, FILES, private=True)
    draft = drafted(github)
    asset = upload(github, draft).json()
    ask(github, "PATCH", f"/releases/{draft['id']}", {"tag_name": TAG, "draft": False})
    address = ask(github, "GET", f"/releases/assets/{asset['id']}")["browser_download_url"]
    with loopback_client(str(github.bot.base_url)) as anybody:
        refused = anybody.get(address)

    assert refused.status_code == 404


def test_the_latest_release_is_the_one_that_was_made_so(github: GitHubUnderTest) -> None:
    published(github, "v1.0.0", make_latest="true")
    published(github, "v0.9.1", make_latest="false")
    published(github, "v1.1.0-rc.1", make_latest="false", prerelease=True)
    latest = ask(github, "GET", "/releases/latest")["tag_name"]

    assert latest == ("v0.9.1" if emulated(github) else "v1.0.0")  # takes the newest


def test_a_release_that_is_immutable_takes_no_change_but_of_its_words(github: GitHubUnderTest) -> None:
    if not immutable(github):
        assert "immutable" not in published(github)
        return
    draft = drafted(github)
    asset = upload(github, draft).json()
    path = f"/releases/{draft['id']}"
    made = ask(github, "PATCH", path, {"tag_name": TAG, "draft": False})
    late = upload(github, made, "late.json")
    ask(github, "DELETE", f"/releases/assets/{asset['id']}", status=422)
    ask(github, "PATCH", f"/releases/assets/{asset['id']}", {"name": "b.json"}, status=422)
    ask(github, "PATCH", path, {"tag_name": "v9.9.9"}, status=422)
    ask(github, "PATCH", path, {"draft": True}, status=422)
    ask(github, "PATCH", f"/git/refs/tags/{TAG}", {"sha": head_of(github, "main"), "force": True}, status=422)
    ask(github, "DELETE", f"/git/refs/tags/{TAG}", status=422)
    edited = ask(github, "PATCH", path, {"tag_name": TAG, "body": "new", "name": "new"})

    assert (late.status_code, late.json()["message"]) == (422, "Cannot upload assets to an immutable release.")
    assert (made["immutable"], edited["body"], edited["name"]) == (True, "new", "new")
    assert [each["id"] for each in edited["assets"]] == [asset["id"]]


def test_a_tag_that_once_had_an_immutable_release_gets_no_other(github: GitHubUnderTest) -> None:
    if not immutable(github):
        return
    made = published(github)
    ask(github, "DELETE", f"/releases/{made['id']}", status=204)
    refusals = [ask(github, "POST", "/releases", {"tag_name": TAG, "draft": d}, status=422) for d in (True, False)]
    ask(github, "DELETE", f"/git/refs/tags/{TAG}", status=204)

    assert {refusal["errors"][0]["message"] for refusal in refusals} == {"tag_name was used by an immutable release"}


def test_a_tag_without_a_release_moves_like_any_ref(github: GitHubUnderTest) -> None:
    head = head_of(github, "main")
    ask(github, "POST", "/git/refs", {"ref": "refs/tags/deep/v1", "sha": head}, status=201)
    moved = ask(github, "PATCH", "/git/refs/tags/deep/v1", {"sha": head, "force": True})
    ask(github, "DELETE", "/git/refs/tags/deep/v1", status=204)

    assert moved["ref"] == "refs/tags/deep/v1"


def test_the_bot_publishes_a_release_with_its_files_once(github: GitHubUnderTest) -> None:
    head = head_of(github, "main")
    ask(github, "POST", "/git/refs", {"ref": f"refs/tags/{TAG}", "sha": head}, status=201)
    file = ReleaseFile("app.cdx.json", "application/json", SBOM)
    wanted = WantedRelease(TAG, head, TAG, "- a bump", False, True, (file,))
    url = str(github.bot.base_url).rstrip("/")
    with Connections({}) as connections:
        api = GitHubApi(connections, url, REPOSITORY, lambda: BOT_TOKEN, SystemClock(), lambda _: None)
        runs = [publish_release(wanted, GitHubReleases(api), lambda _: None) for _ in range(2)]
    (release,) = ask(github, "GET", "/releases")

    assert [run.did for run in runs] == ["draft of v0.2.0 made, app.cdx.json uploaded, v0.2.0 published", ""]
    assert {run.unproven for run in runs} == {("app.cdx.json",) if emulated(github) else ()}
    assert (release["draft"], [asset["size"] for asset in release["assets"]]) == (False, [len(SBOM)])


def test_readers_see_no_drafts_and_write_nothing(github: GitHubUnderTest) -> None:
    if not isinstance(github.place, EmbeddedGitHub):
        return  # it shows drafts to every user
    draft = drafted(github)
    asset = upload(github, draft).json()
    with loopback_client(str(github.bot.base_url)) as anybody:
        asked = [
            anybody.get(f"/repos/{REPOSITORY}/releases/{draft['id']}"),
            anybody.get(f"/repos/{REPOSITORY}/releases/{draft['id']}/assets"),
            anybody.get(f"/repos/{REPOSITORY}/releases/assets/{asset['id']}"),
            anybody.delete(f"/repos/{REPOSITORY}/releases/assets/{asset['id']}"),
            anybody.post(draft["upload_url"].partition("{")[0], params={"name": "x"}, content=b"x"),
            anybody.patch(f"/repos/{REPOSITORY}/releases/{draft['id']}", json={"draft": False}),
        ]

    assert [answer.status_code for answer in asked] == [404, 404, 404, 401, 401, 401]
