from __future__ import annotations

from base64 import b64encode
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
    with pytest.raises(UsageError, match="GITHUB_API_URL: it is no HTTPS address") as raised:
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


BODY = "MIIEpAIBAAKCAQEA\n04up8hoqzS1+APIB\nRhjXyObwHQ=="
PEM = f"-----BEGIN RSA PRIVATE KEY-----\n{BODY}\n-----END RSA PRIVATE KEY-----\n"
APP = {"GATEWAY_BOT_APP_ID": "12345", "GATEWAY_BOT_APP_PRIVATE_KEY": PEM}


@pytest.mark.parametrize(
    "written",
    [
        PEM,
        f"\n  {PEM}\n\n",
        PEM.replace("\n", "\\n"),
        PEM.replace("\n", "\r\n"),
        PEM.replace("\n", "\\r\\n"),
        b64encode(PEM.encode()).decode(),
        "\n".join(b64encode(PEM.encode()).decode()[start : start + 64] for start in range(0, 400, 64)),
        b64encode(PEM.replace("\n", "\r\n").encode()).decode(),
    ],
    ids=["as it is", "blank around", "\\n", "CRLF", "\\r\\n", "base64", "base64 in lines", "base64 of CRLF"],
)
def test_a_key_is_read_as_stores_of_secrets_write_it(written: str) -> None:
    actual = read_environment({**APP, "GATEWAY_BOT_APP_PRIVATE_KEY": written})

    assert (actual.app_id, actual.app_key) == ("12345", PEM)


@pytest.mark.parametrize("kind", ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "])
def test_a_private_key_of_any_kind_is_left_to_who_reads_it(kind: str) -> None:
    expected = PEM.replace("RSA ", kind)

    actual = read_environment({**APP, "GATEWAY_BOT_APP_PRIVATE_KEY": expected}).app_key

    assert expected == actual


def test_a_key_in_one_line_is_left_to_who_reads_it() -> None:
    actual = read_environment({**APP, "GATEWAY_BOT_APP_PRIVATE_KEY": PEM.replace("\n", " ")}).app_key

    assert PEM.replace("\n", " ").strip() == actual.strip()


@pytest.mark.parametrize(
    "written",
    [
        BODY,
        PEM.partition("-----END")[0],
        PEM.partition("-----\n")[2],
        PEM.replace("END RSA", "END EC"),
        PEM.replace("PRIVATE", "PUBLIC"),
        PEM + PEM,
        PEM.replace("04up", "04\x00up"),
        PEM.replace("04up", "04\u00fcp"),
        b64encode(BODY.encode()).decode(),
        b64encode(PEM.encode()).decode()[:-7],
        b64encode(PEM.encode()).decode() + "!",
        b64encode(b"\xff" + PEM.encode()).decode(),
        "/run/secrets/app.pem",
    ],
)
def test_what_is_no_private_key_is_refused_without_being_shown(written: str) -> None:
    with pytest.raises(UsageError, match="GATEWAY_BOT_APP_PRIVATE_KEY: it is no private key in PEM form") as raised:
        read_environment({**APP, "GATEWAY_BOT_APP_PRIVATE_KEY": written})

    shown = f"{raised.value!r}{raised.value}{raised.value.next_step}"
    assert not any(line in shown for line in (*BODY.splitlines(), written))
    assert (raised.value.where, raised.value.exit_code) == ("GATEWAY_BOT_APP_PRIVATE_KEY", 2)


@pytest.mark.parametrize("app_id", ["1", "12345", " 12345\n", "Iv1.a629723bfcd9f1d5", "Iv23liABCDEFabcdef12"])
def test_an_app_is_named_by_its_id_or_its_client_id(app_id: str) -> None:
    actual = read_environment({**APP, "GATEWAY_BOT_APP_ID": app_id}).app_id

    assert app_id.strip() == actual


@pytest.mark.parametrize(
    "app_id", ["gateway-bot", "-1", "1.5", "1 2", "12\x0034", "12\n34", "\u0661\u0662", "Iv", "Iv1.a b", PEM, "9" * 21]
)
def test_what_is_no_app_is_refused_without_being_shown(app_id: str) -> None:
    with pytest.raises(UsageError, match="GATEWAY_BOT_APP_ID is neither") as raised:
        read_environment({**APP, "GATEWAY_BOT_APP_ID": app_id})

    assert app_id not in f"{raised.value!r}{raised.value}".replace("GATEWAY_BOT_APP_ID", "").replace("(Iv...)", "")
    assert (raised.value.where, raised.value.exit_code) == ("GATEWAY_BOT_APP_ID", 2)


@pytest.mark.parametrize("missing", APP)
@pytest.mark.parametrize("value", [None, "", " \n"])
def test_half_an_app_is_refused_by_both_names(missing: str, value: str | None) -> None:
    environ = {name: text for name, text in APP.items() if name != missing}
    environ |= {} if value is None else {missing: value}

    with pytest.raises(UsageError) as raised:
        read_environment(environ)

    shown = f"{raised.value}{raised.value.next_step}"
    assert all(name in shown for name in APP)
    assert not any(text in shown for text in (*BODY.splitlines(), "12345"))
    assert (raised.value.where, raised.value.exit_code) == (missing, 2)


def test_without_an_app_there_is_none() -> None:
    actual = read_environment({"GATEWAY_BOT_APP_ID": "", "GATEWAY_BOT_APP_PRIVATE_KEY": ""})

    assert (actual.app_id, actual.app_key, actual.webhook) == ("", "", "")


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.slack.com/services/T0/B0/x-_y",
        "https://chat.example.com:8443/hooks/x?key=a%20b&token=c=",
        "https://chat.example.com?key=x",
        "https://chat.example.com",
        "http://127.0.0.1:3000/hook",
        "http://localhost/hook",
        "",
    ],
)
def test_a_webhook_is_an_address(url: str) -> None:
    actual = read_environment({"GATEWAY_BOT_WEBHOOK": f"{url}\n"}).webhook

    assert url == actual


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.slack.com/a-secret",
        "http://localhost.evil.example/a-secret",
        "http://127.0.0.1@evil.example/a-secret",
        "https://user:a-secret@chat.example.com/",
        "https://chat.example.com/a-secret#x",
        "https://chat.example.com\\a-secret",
        "https://chat.example.com/a-secret\nX: y",
        "https://chat.example.com/a-secret x",
        "https://chat.ex\u00e4mple.com/a-secret",
        "https://chat.example.com/a-secret\u00e4",
        "https:///a-secret",
        "hooks.slack.com/a-secret",
        "file:///a-secret",
        "a-secret",
    ],
)
def test_a_webhook_that_is_none_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(UsageError, match="GATEWAY_BOT_WEBHOOK: it is no HTTPS address") as raised:
        read_environment({"GATEWAY_BOT_WEBHOOK": url})

    assert "a-secret" not in f"{raised.value!r}{raised.value}{raised.value.next_step}"
    assert (raised.value.where, raised.value.exit_code) == ("GATEWAY_BOT_WEBHOOK", 2)


ENTERPRISE = {"GITHUB_API_URL": "https://github.example.com/api/v3", "GITHUB_TOKEN": SECRET}
UPSTREAM = "GATEWAY_BOT_UPSTREAM_API_URL"


@pytest.mark.parametrize(
    ("environ", "url", "token"),
    [
        ({"GITHUB_TOKEN": SECRET}, "https://api.github.com", SECRET),
        (ENTERPRISE, "https://github.example.com/api/v3", SECRET),
        ({**ENTERPRISE, UPSTREAM: "https://api.github.com/"}, "https://api.github.com", ""),
        ({**ENTERPRISE, UPSTREAM: "https://github.example.com"}, "https://github.example.com", SECRET),
        ({**ENTERPRISE, UPSTREAM: "https://GitHub.example.com"}, "https://GitHub.example.com", SECRET),
        ({**ENTERPRISE, UPSTREAM: "https://github.example.com:444"}, "https://github.example.com:444", ""),
        ({**ENTERPRISE, UPSTREAM: "https://github.example.com.evil"}, "https://github.example.com.evil", ""),
        (
            {"GITHUB_API_URL": "https://127.0.0.1:1", "GITHUB_TOKEN": SECRET, UPSTREAM: "http://127.0.0.1:1"},
            "http://127.0.0.1:1",
            "",
        ),
        (
            {**ENTERPRISE, UPSTREAM: "https://api.github.com", "GATEWAY_BOT_UPSTREAM_TOKEN": " another\n"},
            "https://api.github.com",
            "another",
        ),
        ({**ENTERPRISE, "GATEWAY_BOT_UPSTREAM_TOKEN": "another"}, "https://github.example.com/api/v3", "another"),
    ],
)
def test_an_enterprises_token_is_for_the_enterprise_alone(environ: dict[str, str], url: str, token: str) -> None:
    actual = read_environment(environ)

    assert actual.github_token == SECRET
    assert (url, token) == (actual.upstream_api_url, actual.upstream_token)


@pytest.mark.parametrize("url", ["http://api.github.com", "https://user:secret@api.github.com", "api.github.com"])
def test_upstreams_address_is_held_to_the_same(url: str) -> None:
    with pytest.raises(UsageError, match=f"{UPSTREAM}: it is no HTTPS address") as raised:
        read_environment({UPSTREAM: url})

    assert "secret" not in f"{raised.value!r}{raised.value.next_step}"
    assert (raised.value.where, raised.value.exit_code) == (UPSTREAM, 2)


def test_upstreams_token_is_held_to_the_same() -> None:
    with pytest.raises(UsageError, match="GATEWAY_BOT_UPSTREAM_TOKEN holds characters") as raised:
        read_environment({"GATEWAY_BOT_UPSTREAM_TOKEN": "one\ntwo"})

    assert (raised.value.where, raised.value.exit_code) == ("GATEWAY_BOT_UPSTREAM_TOKEN", 2)


def test_no_secret_of_an_app_or_a_chat_shows_in_a_message() -> None:
    hook = "https://hooks.slack.com/services/a-secret"
    environment = read_environment({**APP, "GATEWAY_BOT_WEBHOOK": hook, "GATEWAY_BOT_UPSTREAM_TOKEN": SECRET})

    shown = f"{environment!r}{environment}{[environment]}"
    assert not any(text in shown for text in (*BODY.splitlines(), "a-secret", SECRET))


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


RUN = {"GITHUB_REPOSITORY": "acme/gw", "GITHUB_RUN_ID": "77"}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, ""),
        (RUN, "https://github.com/acme/gw/actions/runs/77"),
        ({**RUN, "GITHUB_RUN_ATTEMPT": "2"}, "https://github.com/acme/gw/actions/runs/77/attempts/2"),
        ({**RUN, "GITHUB_RUN_ATTEMPT": "x"}, "https://github.com/acme/gw/actions/runs/77"),
        ({**RUN, "GITHUB_SERVER_URL": "https://git.example/"}, "https://git.example/acme/gw/actions/runs/77"),
        ({**RUN, "GITHUB_RUN_ID": "7/../8"}, ""),
        ({**RUN, "GITHUB_RUN_ID": "7\n"}, ""),
        ({"GITHUB_RUN_ID": "77"}, ""),
    ],
)
def test_a_run_has_a_page_of_its_own(environ: dict[str, str], expected: str) -> None:
    assert read_environment(environ).run_url == expected


def test_a_page_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="GITHUB_SERVER_URL"):
        read_environment({"GITHUB_SERVER_URL": "http://git.example"})


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"GITHUB_REF_TYPE": "tag", "GITHUB_REF_NAME": "v1.2.3"}, "v1.2.3"),
        ({"GITHUB_REF_TYPE": "branch", "GITHUB_REF_NAME": "v1.2.3"}, ""),
        ({"GITHUB_REF_NAME": "v1.2.3"}, ""),
        ({"GITHUB_REF_TYPE": "tag"}, ""),
    ],
)
def test_a_run_is_for_a_tag_only_where_it_says_so(environ: dict[str, str], expected: str) -> None:
    assert read_environment(environ).tag == expected
