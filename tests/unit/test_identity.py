from __future__ import annotations

import pytest

from bot.core.identity import Identity, Kind, Purpose, after_author, identity_of, permissions

STATELESS = f"ghs_15368_{'eyJhbGciOiJSUzI1NiJ9'}.{'x' * 300}.{'y-_' * 60}"  # the form since 2026: long, with dots


@pytest.mark.parametrize(
    ("token", "in_actions", "kind", "starts"),
    [
        ("ghs_16C7e42F292c6912E7", True, "actions", False),
        (STATELESS, True, "actions", False),
        ("ghs_16C7e42F292c6912E7", False, "installation", True),
        (STATELESS, False, "installation", True),
        ("github_pat_11AAAA_x", True, "fine-grained", True),
        ("github_pat_11AAAA_x", False, "fine-grained", True),
        ("ghp_16C7e42F292c6912E7", True, "classic", True),
        ("gho_16C7e42F292c6912E7", True, "user", True),
        ("ghu_16C7e42F292c6912E7", False, "user", True),
        ("v1.1f699f1069f60xxx", True, "unknown", None),
        ("0123456789abcdef0123456789abcdef01234567", True, "unknown", None),
        ("a-ghs_in-the-middle", True, "unknown", None),
        ("", True, "unknown", None),
    ],
)
def test_a_token_is_told_by_its_prefix(token: str, *, in_actions: bool, kind: Kind, starts: bool | None) -> None:
    actual = identity_of(token, has_app=False, in_actions=in_actions)

    assert (kind, starts) == (actual.kind, actual.checks_start)


@pytest.mark.parametrize("token", ["", "ghs_x", "ghp_x", "else"])
def test_an_app_wins_over_any_token(token: str) -> None:
    actual = identity_of(token, has_app=True, in_actions=True)

    assert (actual.kind, actual.checks_start, actual.advice) == ("app", True, "")


TOKENS = {
    "actions": ("ghs_x", True),
    "installation": ("ghs_x", False),
    "fine-grained": ("github_pat_x", True),
    "classic": ("ghp_x", True),
    "user": ("gho_x", True),
    "unknown": ("else", True),
}


def given(kind: str) -> Identity:
    if kind == "app":
        return identity_of("", has_app=True, in_actions=True)
    token, in_actions = TOKENS[kind]
    return identity_of(token, has_app=False, in_actions=in_actions)


@pytest.mark.parametrize(
    ("assumed", "author", "kind", "starts"),
    [
        ("actions", "github-actions[bot]", "actions", False),
        ("actions", "acme-bumper[bot]", "installation", True),
        ("actions", "octocat", "actions", False),
        ("installation", "github-actions[bot]", "actions", False),
        ("installation", "acme-bumper[bot]", "installation", True),
        ("unknown", "github-actions[bot]", "actions", False),
        ("unknown", "acme-bumper[bot]", "installation", True),
        ("unknown", "octocat", "user", True),
        ("unknown", "github-actions", "user", True),
    ],
)
def test_an_author_tells_what_the_token_did_not(assumed: str, author: str, kind: Kind, *, starts: bool | None) -> None:
    actual = after_author(given(assumed), author)

    assert (kind, starts) == (actual.kind, actual.checks_start)


@pytest.mark.parametrize("certain", ["app", "fine-grained", "classic", "user"])
@pytest.mark.parametrize("author", ["github-actions[bot]", "acme-bumper[bot]", "octocat"])
def test_an_older_pull_requests_author_changes_nothing_that_is_certain(certain: str, author: str) -> None:
    expected = given(certain)

    actual = after_author(expected, author)

    assert expected == actual


@pytest.mark.parametrize("kind", ["app", *TOKENS])
def test_no_author_tells_nothing(kind: str) -> None:
    expected = given(kind)

    actual = after_author(expected, "")

    assert expected == actual


@pytest.mark.parametrize("kind", ["app", *TOKENS])
def test_who_does_not_start_checks_is_told_what_to_do(kind: str) -> None:
    identity = given(kind)

    assert kind == identity.kind
    assert bool(identity.advice) == (identity.checks_start is not True)
    assert identity.what.isprintable()


WRITE = {"contents": "write", "pull_requests": "write"}
LOOK = {"actions": "read", "contents": "read", "issues": "read", "metadata": "read", "pull_requests": "read"}
WORKFLOW = ".github/workflows/ci.yml"


@pytest.mark.parametrize(
    ("purpose", "files", "teams", "expected"),
    [
        ("propose", (), False, WRITE),
        ("propose", ("versions.env", "docs/.github/workflows/x"), False, WRITE),
        ("propose", ("versions.env", WORKFLOW), False, {**WRITE, "workflows": "write"}),
        ("propose", (), True, {**WRITE, "members": "read"}),
        ("look", (WORKFLOW,), True, LOOK),
        ("publish", (WORKFLOW,), True, {**LOOK, "issues": "write"}),
    ],
)
def test_no_command_asks_for_more_than_it_needs(
    purpose: Purpose, files: tuple[str, ...], *, teams: bool, expected: dict[str, str]
) -> None:
    actual = permissions(purpose, files, teams=teams)

    assert expected == actual
