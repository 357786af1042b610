"""What the bot needs of GitHub's REST API, asked by plain HTTP.

The embedded GitHub is held to what GitHub documents; where the emulator is known to differ, its answer is
asserted beside it, so that a change of the emulator is noticed.
"""

from __future__ import annotations

import base64

import pytest

from bot.embedded.gitobjects import FILE, blob_id
from tests.contract.under_test import FILES, REPOSITORY, GitHubUnderTest, ask, branch, commit, head_of, pull


@pytest.fixture(autouse=True)
def repository(github: GitHubUnderTest) -> None:
    github.place.create_repository(REPOSITORY, FILES, private=True)


def test_repository_tells_default_branch_and_push_permission(github: GitHubUnderTest) -> None:
    repository = ask(github, "GET", "")

    assert repository["full_name"] == REPOSITORY
    assert repository["default_branch"] == "main"
    assert repository["permissions"]["push"] is True
    assert repository["permissions"]["admin"] is (github.part == "emulator")  # says so to everybody


def test_addresses_in_answers_are_those_that_the_client_used(github: GitHubUnderTest) -> None:
    repository = ask(github, "GET", "")

    assert repository["url"] == f"{str(github.bot.base_url).rstrip('/')}/repos/{REPOSITORY}"


def test_releases_come_in_pages_with_links(github: GitHubUnderTest) -> None:
    for number in range(5):
        github.place.add_release(REPOSITORY, f"v0.{number}.0", body="notes")
    response = github.bot.get(f"/repos/{REPOSITORY}/releases?per_page=2")
    tags = [release["tag_name"] for release in response.json()]
    assert "prev" not in response.links
    while "next" in response.links:
        response = github.bot.get(response.links["next"]["url"])
        tags += [release["tag_name"] for release in response.json()]

    assert sorted(tags) == [f"v0.{number}.0" for number in range(5)]
    assert len(response.json()) == 1
    assert "prev" in response.links


def test_release_is_found_by_tag(github: GitHubUnderTest) -> None:
    github.place.add_release(REPOSITORY, "v1.4.1", name="1.4.1", body="notes", prerelease=True)
    release = ask(github, "GET", "/releases/tags/v1.4.1")
    ask(github, "GET", "/releases/tags/v9.9.9", status=404)

    assert (release["tag_name"], release["name"], release["body"]) == ("v1.4.1", "1.4.1", "notes")
    assert (release["draft"], release["prerelease"]) == (False, True)
    assert release["published_at"].endswith("Z")
    assert release["html_url"].endswith(f"/{REPOSITORY}/releases/tag/v1.4.1")


def test_draft_is_listed_for_who_may_push_only(github: GitHubUnderTest) -> None:
    github.place.create_repository("agentgateway/agentgateway")
    for name in (REPOSITORY, "agentgateway/agentgateway"):
        github.place.add_release(name, "v2.0.0", draft=True)
    foreign = github.bot.get("/repos/agentgateway/agentgateway/releases").json()

    assert [release["draft"] for release in ask(github, "GET", "/releases")] == [True]
    assert len(foreign) == (1 if github.part == "emulator" else 0)  # it shows drafts to every user


def test_branch_tells_its_commit(github: GitHubUnderTest) -> None:
    found = ask(github, "GET", "/branches/main")
    ask(github, "GET", "/branches/missing", status=404)

    assert found["name"] == "main"
    assert found["commit"]["sha"] == head_of(github, "main")
    if github.part != "emulator":  # its branch has no commit.commit
        tree = ask(github, "GET", f"/git/commits/{found['commit']['sha']}")["tree"]["sha"]
        assert found["commit"]["commit"]["tree"]["sha"] == tree


def test_contents_are_the_bytes_of_a_file(github: GitHubUnderTest) -> None:
    found = ask(github, "GET", "/contents/infrastructure/apply.sh?ref=main")
    ask(github, "GET", "/contents/missing", status=404)

    assert (found["type"], found["encoding"]) == ("file", "base64")
    assert base64.b64decode(found["content"]) == b"#!/bin/sh\n"
    assert found["sha"] == blob_id(b"#!/bin/sh\n")


def test_tree_lists_files_with_their_modes(github: GitHubUnderTest) -> None:
    sha = ask(github, "GET", f"/git/commits/{head_of(github, 'main')}")["tree"]["sha"]
    tree = ask(github, "GET", f"/git/trees/{sha}?recursive=1")
    modes = {entry["path"]: entry["mode"] for entry in tree["tree"] if entry["type"] == "blob"}

    assert modes == {path: mode for path, (mode, _) in FILES.items()}
    assert tree["truncated"] is False


@pytest.mark.parametrize("encoding", ["utf-8", "base64"])
def test_blob_keeps_its_bytes(github: GitHubUnderTest, encoding: str) -> None:
    content = "ä\r\n" if encoding == "utf-8" else base64.b64encode(b"\xff\x00").decode()
    expected = "ä\r\n".encode() if encoding == "utf-8" else b"\xff\x00"
    sha = ask(github, "POST", "/git/blobs", {"content": content, "encoding": encoding}, status=201)["sha"]
    blob = ask(github, "GET", f"/git/blobs/{sha}")

    assert sha == blob_id(expected)
    assert base64.b64decode(blob["content"]) == expected


def test_tree_changes_deletes_and_keeps(github: GitHubUnderTest) -> None:
    base = ask(github, "GET", f"/git/commits/{head_of(github, 'main')}")["tree"]["sha"]
    changes = [
        {"path": "versions.env", "mode": FILE, "type": "blob", "content": "NEW=1\n"},
        {"path": "infrastructure/variables.tf", "mode": FILE, "type": "blob", "sha": None},
        {"path": "new/file", "mode": "100755", "type": "blob", "content": "x"},
    ]
    sha = ask(github, "POST", "/git/trees", {"base_tree": base, "tree": changes}, status=201)["sha"]
    listed = ask(github, "GET", f"/git/trees/{sha}?recursive=1")["tree"]
    files = {entry["path"]: (entry["mode"], entry["sha"]) for entry in listed if entry["type"] == "blob"}

    assert files == {
        "versions.env": (FILE, blob_id(b"NEW=1\n")),
        "infrastructure/apply.sh": ("100755", blob_id(b"#!/bin/sh\n")),
        "new/file": ("100755", blob_id(b"x")),
    }


def test_ref_that_exists_is_not_made_again(github: GitHubUnderTest) -> None:
    branch(github, "bot/agentgateway")
    body = {"ref": "refs/heads/bot/agentgateway", "sha": head_of(github, "main")}
    refusal = ask(github, "POST", "/git/refs", body, status=422)

    assert refusal["message"] == "Reference already exists"


def test_ref_moves_forward_only_unless_forced(github: GitHubUnderTest) -> None:
    first = branch(github, "bot/agentgateway")
    sibling = commit(github, head_of(github, "main"), "AGENTGATEWAY_VERSION=1.4.2\n")
    path = "/git/refs/heads/bot/agentgateway"
    refusal = ask(github, "PATCH", path, {"sha": sibling}, status=422)
    unmoved = head_of(github, "bot/agentgateway")
    child = commit(github, first, "AGENTGATEWAY_VERSION=1.4.2\n")
    ask(github, "PATCH", path, {"sha": child})
    moved = head_of(github, "bot/agentgateway")
    ask(github, "PATCH", path, {"sha": sibling, "force": True})

    hyphen = "-" if github.part == "emulator" else " "
    assert refusal["message"] == f"Update is not a fast{hyphen}forward"
    assert (unmoved, moved, head_of(github, "bot/agentgateway")) == (first, child, sibling)


def test_deleted_ref_is_gone(github: GitHubUnderTest) -> None:
    branch(github, "bot/agentgateway")
    ask(github, "DELETE", "/git/refs/heads/bot/agentgateway", status=204)

    ask(github, "GET", "/git/ref/heads/bot/agentgateway", status=404)


def test_ref_that_is_missing_cannot_move(github: GitHubUnderTest) -> None:
    response = github.bot.patch(f"/repos/{REPOSITORY}/git/refs/heads/missing", json={"sha": head_of(github, "main")})

    assert response.status_code == (404 if github.part == "emulator" else 422)


def test_pull_is_found_by_owner_and_branch(github: GitHubUnderTest) -> None:
    sha = branch(github, "bot/agentgateway")
    opened = pull(github, "bot/agentgateway")
    branch(github, "bot/other", "OTHER=1\n")
    other = pull(github, "bot/other")
    by_owner = ask(github, "GET", "/pulls?state=all&head=acme:bot/agentgateway")
    by_stranger = ask(github, "GET", "/pulls?state=all&head=stranger:bot/agentgateway")
    by_branch = ask(github, "GET", "/pulls?state=all&head=bot/agentgateway")

    assert [found["number"] for found in by_owner] == [opened["number"]]
    assert by_stranger == []
    assert opened["head"]["sha"] == sha
    assert (opened["head"]["ref"], opened["base"]["ref"]) == ("bot/agentgateway", "main")
    # Without an owner the filter is no filter. The emulator reads it.
    expected = [opened["number"]] if github.part == "emulator" else [other["number"], opened["number"]]
    assert [found["number"] for found in by_branch] == expected


def test_pull_is_edited_closed_and_opened_again(github: GitHubUnderTest) -> None:
    branch(github, "bot/agentgateway")
    path = f"/pulls/{pull(github, 'bot/agentgateway')['number']}"
    edited = ask(github, "PATCH", path, {"title": "New", "body": "because"})
    closed = ask(github, "PATCH", path, {"state": "closed"})
    listed = [ask(github, "GET", f"/pulls?state={state}") for state in ("open", "closed", "all")]
    reopened = ask(github, "PATCH", path, {"state": "open"})

    assert (edited["title"], edited["body"]) == ("New", "because")
    assert (closed["state"], closed["merged"], closed["closed_at"] is None) == ("closed", False, False)
    assert [len(found) for found in listed] == [0, 1, 1]
    assert reopened["state"] == "open"


def test_pull_follows_its_branch(github: GitHubUnderTest) -> None:
    first = branch(github, "bot/agentgateway")
    opened = pull(github, "bot/agentgateway")
    second = commit(github, first, "AGENTGATEWAY_VERSION=1.4.2\n")
    ask(github, "PATCH", "/git/refs/heads/bot/agentgateway", {"sha": second})
    now_at = ask(github, "GET", f"/pulls/{opened['number']}")["head"]["sha"]

    assert now_at == (first if github.part == "emulator" else second)  # frozen there


def test_pull_lists_its_commits_and_files(github: GitHubUnderTest) -> None:
    sha = branch(github, "bot/agentgateway")
    number = pull(github, "bot/agentgateway")["number"]
    commits = ask(github, "GET", f"/pulls/{number}/commits")
    files = ask(github, "GET", f"/pulls/{number}/files")

    if github.part != "emulator":  # knows neither
        assert [found["sha"] for found in commits] == [sha]
        assert [(found["filename"], found["status"]) for found in files] == [("versions.env", "modified")]
        assert (files[0]["additions"], files[0]["deletions"]) == (1, 1)


@pytest.mark.parametrize(
    ("case", "error"),
    [
        ("duplicate", {"code": "custom", "message": "A pull request already exists for acme:bot/agentgateway."}),
        ("missing head", {"code": "invalid", "field": "head"}),
        ("missing base", {"code": "invalid", "field": "base"}),
        ("no commits", {"code": "custom", "message": "No commits between main and bot/empty"}),
    ],
)
def test_pull_that_makes_no_sense_is_refused(github: GitHubUnderTest, case: str, error: dict[str, str]) -> None:
    branch(github, "bot/agentgateway")
    ask(github, "POST", "/git/refs", {"ref": "refs/heads/bot/empty", "sha": head_of(github, "main")}, status=201)
    pull(github, "bot/agentgateway")
    head = {"duplicate": "bot/agentgateway", "missing head": "bot/missing", "no commits": "bot/empty"}
    body = {
        "title": "t",
        "head": head.get(case, "bot/agentgateway"),
        "base": "missing" if case == "missing base" else "main",
    }
    response = github.bot.post(f"/repos/{REPOSITORY}/pulls", json=body)

    if github.part == "emulator":  # takes them all
        assert response.status_code == 201
    else:
        assert response.status_code == 422
        assert response.json()["message"] == "Validation Failed"
        assert response.json()["errors"] == [{"resource": "PullRequest", **error}]


def test_body_ends_at_65536_characters(github: GitHubUnderTest) -> None:
    branch(github, "bot/agentgateway")
    number = pull(github, "bot/agentgateway", body="x" * 65_536)["number"]
    response = github.bot.patch(f"/repos/{REPOSITORY}/pulls/{number}", json={"body": "x" * 65_537})

    assert response.status_code == (200 if github.part == "emulator" else 422)


def test_labels_are_added_listed_and_removed(github: GitHubUnderTest) -> None:
    branch(github, "bot/agentgateway")
    path = f"/issues/{pull(github, 'bot/agentgateway')['number']}/labels"
    ask(github, "POST", path, {"labels": ["dependencies", "gateway"]})
    ask(github, "DELETE", f"{path}/gateway")

    assert [label["name"] for label in ask(github, "GET", path)] == ["dependencies"]


def test_comments_stand_below_a_pull(github: GitHubUnderTest) -> None:
    branch(github, "bot/agentgateway")
    path = f"/issues/{pull(github, 'bot/agentgateway')['number']}/comments"
    ask(github, "POST", path, {"body": "superseded"}, status=201)

    assert [comment["body"] for comment in ask(github, "GET", path)] == ["superseded"]


def test_comparison_tells_commits_and_files(github: GitHubUnderTest) -> None:
    sha = branch(github, "bot/agentgateway")
    compared = ask(github, "GET", "/compare/main...bot/agentgateway")

    assert (compared["status"], compared["ahead_by"], compared["behind_by"]) == ("ahead", 1, 0)
    assert [found["sha"] for found in compared["commits"]] == [sha]
    assert [found["filename"] for found in compared["files"]] == ["versions.env"]


def test_repository_of_somebody_else_is_not_written(github: GitHubUnderTest) -> None:
    github.place.create_repository("agentgateway/agentgateway")
    path = "/repos/agentgateway/agentgateway"
    blob = github.bot.post(f"{path}/git/blobs", json={"content": "x"})
    response = github.bot.get(path)

    assert (response.status_code, blob.status_code) == (200, 403)


def test_unknown_token_is_refused(github: GitHubUnderTest) -> None:
    headers = {"Authorization": "Bearer unknown"}
    response = github.bot.get(f"/repos/{REPOSITORY}", headers=headers)

    if github.part == "emulator":  # takes the caller for its first user
        assert response.status_code == 403
    else:
        assert (response.status_code, response.json()["message"]) == (401, "Bad credentials")


def test_same_answer_again_costs_nothing(github: GitHubUnderTest) -> None:
    path = f"/repos/{REPOSITORY}/releases"
    first = github.bot.get(path)
    if github.part == "emulator":
        assert "ETag" not in first.headers
        return
    second = github.bot.get(path, headers={"If-None-Match": first.headers["ETag"]})

    assert (second.status_code, second.content) == (304, b"")
    assert second.headers["X-RateLimit-Remaining"] == first.headers["X-RateLimit-Remaining"]
