from __future__ import annotations

from pathlib import Path

import pytest

from bot.errors import UsageError
from bot.settings import read_environment

SECRET = "ghs_a-secret"  # noqa: S105 - nobody's


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", "https://api.github.com"),
        ("https://api.github.com", "https://api.github.com"),
        ("https://api.github.com/", "https://api.github.com"),
        ("https://github.example.com/api/v3/", "https://github.example.com/api/v3"),
        ("https://github.example.com:8443/api/v3", "https://github.example.com:8443/api/v3"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
        ("http://[::1]:3000", "http://[::1]:3000"),
    ],
)
def test_the_api_is_github_s_or_the_enterprises_or_on_loopback(url: str, expected: str) -> None:
    actual = read_environment({"GITHUB_API_URL": url}).github_api_url

    assert expected == actual


@pytest.mark.parametrize(
    "url",
    [
        "http://api.github.com",
        "http://localhost.evil.example",
        "http://127.0.0.1.evil.example",
        "http://127.0.0.1@evil.example",
        "https://user:secret@api.github.com",
        "https://api.github.com?token=secret",
        "https://api.github.com#x",
        "https://",
        "api.github.com",
        "ftp://api.github.com",
        "https://api.github.com\n",
        "https://api.github.com/a b",
        "https://api.github.com\\x",
        "https://api.g\u0131thub.com",
    ],
)
def test_another_address_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(UsageError, match="GITHUB_API_URL is no HTTPS address") as raised:
        read_environment({"GITHUB_API_URL": url})

    assert "secret" not in f"{raised.value!r}{raised.value.next_step}"
    assert (raised.value.where, raised.value.exit_code) == ("GITHUB_API_URL", 2)


@pytest.mark.parametrize("slug", ["acme/ai-gateway", "a/b", "A-1/x.y_z-", "acme/.github", ""])
def test_a_repository_is_owner_and_name(slug: str) -> None:
    actual = read_environment({"GITHUB_REPOSITORY": slug}).github_repository

    assert slug == actual


@pytest.mark.parametrize(
    "slug", ["acme", "acme/", "/x", "a/b/c", "-a/b", "a-/b", "a/b c", "a/b\n", "a/../b", "a/b?c", "\u00e9/b"]
)
def test_what_is_no_repository_is_refused(slug: str) -> None:
    with pytest.raises(UsageError, match="is not OWNER/NAME"):
        read_environment({"GITHUB_REPOSITORY": slug})


@pytest.mark.parametrize("token", ["one\ntwo", "one\x0btwo", "t\u00f6ken", "one\x00", "a\udcffb"])
def test_a_token_that_can_be_none_is_refused_without_being_shown(token: str) -> None:
    with pytest.raises(UsageError, match="GITHUB_TOKEN holds characters that no token has") as raised:
        read_environment({"GITHUB_TOKEN": token})

    assert token not in f"{raised.value!r}{raised.value}{raised.value.next_step}"
    assert raised.value.exit_code == 2


def test_no_secret_shows_in_a_message() -> None:
    environment = read_environment({"GITHUB_TOKEN": f" {SECRET}\n"})

    assert environment.github_token == SECRET
    assert SECRET not in f"{environment!r}{environment}{[environment]}"


@pytest.mark.parametrize(
    ("environ", "docker", "summary", "in_actions"),
    [
        ({"HOME": "/h"}, "/h/.docker", None, False),
        ({"HOME": "/h", "DOCKER_CONFIG": ""}, "/h/.docker", None, False),
        ({"HOME": "/h", "DOCKER_CONFIG": "/d"}, "/d", None, False),
        ({"GITHUB_STEP_SUMMARY": "/s", "GITHUB_ACTIONS": "true", "HOME": "/h"}, "/h/.docker", "/s", True),
        ({"GITHUB_STEP_SUMMARY": "", "GITHUB_ACTIONS": "1", "HOME": "/h"}, "/h/.docker", None, False),
    ],
)
def test_places_are_taken_from_the_environment(
    environ: dict[str, str], docker: str, summary: str | None, *, in_actions: bool
) -> None:
    actual = read_environment(environ)

    assert actual.docker_config == Path(docker)
    assert (summary and Path(summary), in_actions) == (actual.step_summary, actual.in_actions)


def test_without_another_the_processs_own_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", SECRET)
    monkeypatch.setenv("GITHUB_REPOSITORY", "acme/app")
    monkeypatch.delenv("GITHUB_API_URL", raising=False)

    actual = read_environment()

    assert (actual.github_token, actual.github_repository) == (SECRET, "acme/app")
