from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from bot.embedded.github import EmbeddedGitHub
from bot.embedded.gitobjects import FILE
from tests.loopback import loopback_client
from tests.unit.embedded.town import NAME, NOW, ask, propose, running_github


@pytest.fixture
def github() -> Iterator[EmbeddedGitHub]:
    with running_github() as running:
        yield running


def test_permission_that_is_missing_is_named_as_on_github(github: EmbeddedGitHub) -> None:
    blob = {"content": "x"}
    reader = ask(github, "POST", f"/repos/{NAME}/git/blobs", blob, caller="reader", status=403)
    nobody = ask(github, "POST", f"/repos/{NAME}/git/blobs", blob, caller="", status=401)

    assert reader["message"] == "Resource not accessible by integration"
    assert nobody["message"] == "Requires authentication"


@pytest.mark.parametrize(
    ("caller", "status"), [("bot", 200), ("reader", 200), ("", 404), ("elsewhere", 404), ("unknown", 401)]
)
def test_private_repository_is_there_for_who_may_read_it(github: EmbeddedGitHub, caller: str, status: int) -> None:
    github.create_repository("acme/secret", private=True)

    ask(github, "GET", "/repos/acme/secret", caller=caller, status=status)


def test_public_repository_is_read_without_a_token(github: EmbeddedGitHub) -> None:
    assert "permissions" not in ask(github, "GET", f"/repos/{NAME}", caller="")


def test_app_has_no_user_and_a_person_has(github: EmbeddedGitHub) -> None:
    ask(github, "GET", "/user", status=403)

    assert ask(github, "GET", "/user", caller="person")["login"] == "octocat"


@pytest.mark.parametrize(("author", "verified"), [(None, True), ({"name": "n", "email": "e"}, False)])
def test_commit_of_a_bot_is_verified_unless_it_names_an_author(
    github: EmbeddedGitHub, author: dict[str, str] | None, verified: bool
) -> None:
    head = github.repositories[NAME].refs["refs/heads/main"]
    tree = ask(github, "GET", f"/repos/{NAME}/git/commits/{head}")["tree"]["sha"]
    body = {"message": "m", "tree": tree, "parents": [head]} | ({"author": author} if author else {})
    commit = ask(github, "POST", f"/repos/{NAME}/git/commits", body, status=201)

    assert commit["verification"]["verified"] is verified
    assert commit["author"]["name"] == ("n" if author else "gateway-bot[bot]")


def test_commits_of_a_pull_name_their_authors(github: EmbeddedGitHub) -> None:
    number = propose(github)
    github.commit(NAME, "bot/x", {"README.md": (FILE, b"mine\n")}, author="octocat")
    commits = ask(github, "GET", f"/repos/{NAME}/pulls/{number}/commits")

    assert [commit["author"]["login"] for commit in commits] == ["gateway-bot[bot]", "octocat"]


def test_merged_pull_is_on_its_base(github: EmbeddedGitHub) -> None:
    number = propose(github)
    github.merge(NAME, number, method="squash")
    (pull,) = github.pulls(NAME)

    assert (pull.state, pull.merged) == ("closed", NOW)
    assert github.files_at(NAME, "main") == {"versions.env": (FILE, b"A=2\n")}


def test_pull_whose_commits_reached_the_base_is_merged(github: EmbeddedGitHub) -> None:
    propose(github)
    (pull,) = github.pulls(NAME)
    ask(github, "PATCH", f"/repos/{NAME}/git/refs/heads/main", {"sha": pull.head_sha})

    assert (pull.state, pull.merge_sha) == ("closed", pull.head_sha)


def test_deleted_branch_closes_its_pull_for_good(github: EmbeddedGitHub) -> None:
    number = propose(github)
    ask(github, "DELETE", f"/repos/{NAME}/git/refs/heads/bot/x", status=204)
    refusal = ask(github, "PATCH", f"/repos/{NAME}/pulls/{number}", {"state": "open"}, status=422)
    (pull,) = github.pulls(NAME)

    assert (pull.state, pull.merged) == ("closed", None)
    assert refusal["errors"][0]["message"] == "state cannot be changed. The bot/x branch has been deleted."


def test_closed_pull_keeps_its_head(github: EmbeddedGitHub) -> None:
    number = propose(github)
    github.close(NAME, number)
    (pull,) = github.pulls(NAME)
    before = pull.head_sha
    github.commit(NAME, "bot/x", {"versions.env": (FILE, b"A=3\n")})

    assert (pull.state, pull.head_sha) == ("closed", before)


def test_pull_with_a_conflict_is_not_mergeable(github: EmbeddedGitHub) -> None:
    number = propose(github)
    github.commit(NAME, "main", {"versions.env": (FILE, b"A=9\n")})
    pull = ask(github, "GET", f"/repos/{NAME}/pulls/{number}")

    assert (pull["mergeable"], pull["mergeable_state"]) == (False, "dirty")


def test_reviewers_are_asked(github: EmbeddedGitHub) -> None:
    path = f"/repos/{NAME}/pulls/{propose(github)}/requested_reviewers"
    pull = ask(github, "POST", path, {"reviewers": ["octocat"]}, status=201)

    assert [reviewer["login"] for reviewer in pull["requested_reviewers"]] == ["octocat"]
    ask(github, "POST", path, {"reviewers": ["gateway-bot[bot]"]}, status=422)


def test_releases_are_newest_first_by_the_date_of_their_commit(github: EmbeddedGitHub) -> None:
    early, late = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    github.add_release(NAME, "v1.1.0", published=late)
    github.add_release(NAME, "v1.0.1", published=NOW, created=early)
    releases = ask(github, "GET", f"/repos/{NAME}/releases", caller="")

    assert [release["tag_name"] for release in releases] == ["v1.1.0", "v1.0.1"]
    assert releases[1]["published_at"] == "2026-08-01T06:30:00Z"


def test_pages_are_at_most_a_hundred_long(github: EmbeddedGitHub) -> None:
    for number in range(101):
        github.add_release(NAME, f"v0.{number}.0")
    with loopback_client(github.url) as client:
        response = client.get(f"/repos/{NAME}/releases?per_page=1000")

    assert len(response.json()) == 100
    assert response.links["next"] == response.links["last"] | {"rel": "next"}


@pytest.mark.parametrize("path", ["/absolute", "a/../b", "a//b", ".git/config"])
def test_path_that_leads_elsewhere_is_refused(github: EmbeddedGitHub, path: str) -> None:
    entry = {"path": path, "mode": FILE, "type": "blob", "content": "x"}

    ask(github, "POST", f"/repos/{NAME}/git/trees", {"tree": [entry]}, status=422)


@pytest.mark.parametrize("ref", ["refs/heads/main/x", "refs/heads", "heads/x"])
def test_ref_that_cannot_be_is_refused(github: EmbeddedGitHub, ref: str) -> None:
    sha = github.repositories[NAME].refs["refs/heads/main"]

    ask(github, "POST", f"/repos/{NAME}/git/refs", {"ref": ref, "sha": sha}, status=422)


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"content": 1}'])
def test_body_that_is_no_request_is_refused(github: EmbeddedGitHub, body: bytes) -> None:
    with loopback_client(github.url, bearer="bot") as client:
        response = client.post(f"/repos/{NAME}/git/blobs", content=body)

    assert response.status_code in {400, 422}


def test_requests_count_against_the_limit_of_their_caller(github: EmbeddedGitHub) -> None:
    ask(github, "GET", f"/repos/{NAME}")
    ask(github, "GET", f"/repos/{NAME}", caller="")

    assert github.used == {"gateway-bot[bot]": 1, "": 1}


def test_issue_is_found_by_label(github: EmbeddedGitHub) -> None:
    body = {"title": "tag re-pushed", "labels": ["security"]}
    issue = ask(github, "POST", f"/repos/{NAME}/issues", body, caller="alarm", status=201)
    found = ask(github, "GET", f"/repos/{NAME}/issues?labels=security")
    others = ask(github, "GET", f"/repos/{NAME}/issues?labels=other")

    assert ([one["number"] for one in found], others) == ([issue["number"]], [])
