from __future__ import annotations

import json
import os
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.adapters import docker_config
from bot.adapters.docker_config import login_for
from bot.core.distribution import Login
from bot.errors import UsageError

HOST = "ghcr.io"
SECRET = "hunter2"  # noqa: S105 - nobody's
ADA = Login("ada", SECRET)

Helper = Callable[[str, str], Path]


def basic(text: str) -> str:
    return b64encode(text.encode()).decode()


AUTH = {"auth": basic(f"ada:{SECRET}")}


def config(folder: Path, document: object) -> Path:
    (folder / "config.json").write_text(document if isinstance(document, str) else json.dumps(document))
    return folder


def refusal(folder: Path, host: str = HOST) -> str:
    with pytest.raises(UsageError, match=r"Docker's config file") as raised:
        login_for(folder, host)
    assert raised.value.exit_code == 2
    assert SECRET not in f"{raised.value!r}{raised.value}{raised.value.next_step}"
    return str(raised.value)


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Helper:
    """Puts a credential helper on PATH; what it was asked is in the file that is returned."""
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")

    def install(name: str, script: str) -> Path:
        asked = tmp_path / f"asked-{name}"
        program = programs / f"docker-credential-{name}"
        program.write_text(f'#!/bin/sh\nread -r host; echo "$1 $host" >> {asked}\n{script}\n')
        program.chmod(0o755)
        return asked

    return install


def says(username: str = "ada", secret: str = SECRET) -> str:
    return f"echo '{json.dumps({'ServerURL': 'x', 'Username': username, 'Secret': secret})}'"


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"auths": {HOST: AUTH}}, ADA),
        ({"auths": {f"https://{HOST}": AUTH}}, ADA),
        ({"auths": {HOST: {"auth": basic("ada:a:b:c")}}}, Login("ada", "a:b:c")),
        ({"auths": {HOST: {"auth": basic("ada:p\u00e4ss")}}}, Login("ada", "p\u00e4ss")),
        ({"auths": {HOST: {"identitytoken": SECRET}}}, Login(identity_token=SECRET)),
        ({"auths": {HOST: {**AUTH, "identitytoken": SECRET}}}, Login(identity_token=SECRET)),
        ({"auths": {HOST: {}, f"https://{HOST}": AUTH}}, ADA),
        ({"auths": {HOST: {}}}, None),
        ({"auths": {HOST: {"auth": ""}}}, None),
        ({"auths": {HOST: None}}, None),
        ({"auths": {"other.example": AUTH}}, None),
        ({"auths": {"docker.io": AUTH}}, None),
        ({"auths": []}, None),
        ({}, None),
    ],
)
def test_what_docker_has_stored_for_a_host(tmp_path: Path, document: object, expected: Login | None) -> None:
    actual = login_for(config(tmp_path, document), HOST)

    assert expected == actual


@pytest.mark.parametrize("name", ["https://index.docker.io/v1/", "docker.io", "index.docker.io"])
def test_docker_hub_has_old_names(tmp_path: Path, name: str) -> None:
    actual = login_for(config(tmp_path, {"auths": {name: AUTH}}), "docker.io")

    assert actual == ADA


def test_without_a_config_file_there_are_no_credentials(tmp_path: Path) -> None:
    assert login_for(tmp_path / "none", HOST) is None


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("", "cannot be read"),
        ("{", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ("[]", "is no JSON object"),
        ({"auths": {HOST: {"auth": "%%%"}}}, "no base64 of name:password"),
        ({"auths": {HOST: {"auth": "\u00e9"}}}, "no base64 of name:password"),
        ({"auths": {HOST: {"auth": b64encode(b"\xff\xfe").decode()}}}, "no base64 of name:password"),
        ({"credsStore": "../../bin/sh"}, "is no program's name"),
        ({"credHelpers": {HOST: "x; id"}}, "is no program's name"),
        ({"credsStore": "that-nobody-has"}, "docker-credential-that-nobody-has, which is not installed"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_config_that_does_not_work_is_said(tmp_path: Path, document: object, words: str) -> None:
    actual = refusal(config(tmp_path, document))

    assert words in actual


def test_a_config_that_is_not_utf_8_is_said(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b'{"a": "\xff"}')

    assert "cannot be read" in refusal(tmp_path)


@pytest.mark.parametrize(
    "settings",
    [{"credsStore": "store"}, {"credHelpers": {HOST: "store"}}, {"credHelpers": {HOST: "store"}, "auths": {HOST: {}}}],
)
def test_a_helper_is_asked_by_standard_input(tmp_path: Path, helper: Helper, settings: object) -> None:
    asked = helper("store", says())

    actual = login_for(config(tmp_path, settings), HOST)

    assert asked.read_text() == f"get {HOST}\n"
    assert actual == ADA


def test_a_hosts_own_helper_comes_before_the_store(tmp_path: Path, helper: Helper) -> None:
    helper("own", says())
    store = helper("store", says("wrong"))

    actual = login_for(config(tmp_path, {"credsStore": "store", "credHelpers": {HOST: "own"}}), HOST)

    assert not store.exists()
    assert actual == ADA


def test_a_helper_that_gives_an_identity_token(tmp_path: Path, helper: Helper) -> None:
    helper("store", says("<token>"))

    actual = login_for(config(tmp_path, {"credsStore": "store"}), HOST)

    assert actual == Login(identity_token=SECRET)


def test_a_helper_that_has_nothing_leaves_it_to_the_file(tmp_path: Path, helper: Helper) -> None:
    asked = helper("store", 'echo "credentials not found in native keychain"; exit 1')

    actual = login_for(config(tmp_path, {"credsStore": "store", "auths": {HOST: AUTH}}), HOST)

    assert asked.read_text() == f"get {HOST}\nget https://{HOST}\n"
    assert actual == ADA


@pytest.mark.parametrize(
    "script",
    [
        "",
        "echo no json",
        "echo '[]'",
        "echo '\"x\"'",
        'echo \'{"Username": "ada"}\'',
        f'echo \'{{"Secret": "{SECRET}"}}\'',
    ],
)
def test_a_helper_that_answers_nonsense_is_said(tmp_path: Path, helper: Helper, script: str) -> None:
    helper("store", script)

    assert "whose answer is no JSON with Username and Secret" in refusal(config(tmp_path, {"credsStore": "store"}))


def test_a_helper_that_hangs_is_left_after_its_time(
    tmp_path: Path, helper: Helper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_config, "_HELPER_SECONDS", 0.2)
    helper("store", f"sleep 20; {says()}")
    started = time.monotonic()

    message = refusal(config(tmp_path, {"credsStore": "store"}))

    assert "did not answer in 0.2 s" in message
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(("text", "mode"), [("#!/bin/sh\n", 0o644), ("\x7fELF", 0o755), ("#!/nowhere/sh\n", 0o755)])
def test_a_helper_that_cannot_be_started_is_said(tmp_path: Path, helper: Helper, text: str, mode: int) -> None:
    helper("store", "")
    program = tmp_path / "programs" / "docker-credential-store"
    program.write_text(text)
    program.chmod(mode)

    assert "docker-credential-store, which" in refusal(config(tmp_path, {"credsStore": "store"}))


def test_a_helper_that_does_not_listen_is_heard(tmp_path: Path, helper: Helper) -> None:
    helper("store", "")
    (tmp_path / "programs" / "docker-credential-store").write_text(f"#!/bin/sh\nexec <&-\n{says()}\n")

    actual = login_for(config(tmp_path, {"credsStore": "store"}), HOST)

    assert actual == ADA


def test_an_empty_name_of_a_helper_is_no_helper(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"credsStore": "", "auths": {"ghcr.io": {"auth": "YTpi"}}}')

    assert login_for(tmp_path, "ghcr.io") == Login("a", "b")
