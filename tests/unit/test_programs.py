"""Programs that people wrote to be trusted, and what happens when they are not."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import stat
import sys
import threading
import time
import tracemalloc
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.adapters import programs as programs_adapter
from bot.adapters.programs import Finished, Programs
from bot.core.distribution import Login
from bot.errors import ServiceError

SECRETS = {
    "GITHUB_TOKEN": "ghs_secret",
    "GH_TOKEN": "ghs_secret",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "secret",
    "TF_VAR_password": "secret",
    "COSIGN_REPOSITORY": "elsewhere.example/signatures",
    "COSIGN_EXPERIMENTAL": "1",
    "SIGSTORE_ROOT_FILE": "mine.pem",
    "TUF_ROOT_JSON": "{}",
    "TRIVY_IGNOREFILE": "all",
    "DOCKER_CONFIG": "/home/somebody/.docker",
    "DOCKER_AUTH_CONFIG": "{}",
    "REGISTRY_AUTH_FILE": "/run/auth.json",
    "XDG_RUNTIME_DIR": "/run/user/0",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "GOOGLE_APPLICATION_CREDENTIALS": "/home/somebody/key.json",
    "LD_PRELOAD": "./mine.so",
    "PYTHONPATH": ".",
    "GODEBUG": "x509sha1=1",
    "HOME": "/home/somebody",
    "LANG": "tlh",
}
PASSED = {
    "TMPDIR": "/elsewhere",
    "TZ": "UTC",
    "HTTP_PROXY": "http://proxy:1",
    "https_proxy": "http://proxy:2",
    "NO_PROXY": "127.0.0.1",
    "SSL_CERT_FILE": "/etc/ssl/own.pem",
    "SSL_CERT_DIR": "/etc/ssl/own",
}
SYSTEM = os.pathsep.join(
    sorted({str(Path(shutil.which(name) or "").parent) for name in ("sh", "cat", "sleep", "head")})
)

Install = Callable[[str], None]


def no_login(_host: str) -> Login | None:
    return None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "path"
    path.mkdir()
    return path


@pytest.fixture
def install(folder: Path) -> Install:
    """Makes `tool` this shell script."""

    def write(script: str) -> None:
        (folder / "tool").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "tool").chmod(0o755)

    return write


@pytest.fixture
def programs(folder: Path) -> Programs:
    return Programs({"PATH": f"{folder}{os.pathsep}{SYSTEM}"}, no_login)


def run(
    programs: Programs, *arguments: str, seconds: float = 20, stdin: bytes = b"", max_bytes: int = 8000
) -> Finished:
    return programs.run("tool", arguments, seconds=seconds, stdin=stdin, max_bytes=max_bytes)


def is_gone(pid: int) -> bool:
    """Whether a process has ended: who adopted it may not have noticed yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def soon(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    ends = time.monotonic() + seconds
    while not condition() and time.monotonic() < ends:
        time.sleep(0.01)
    return condition()


def test_what_a_program_says_comes_back(install: Install, programs: Programs) -> None:
    install("echo out; echo err >&2; exit 3")

    assert run(programs) == Finished(3, b"out\n", b"err\n")


def test_nothing_of_the_environment_reaches_a_program_but_what_it_needs(install: Install, folder: Path) -> None:
    install("env -0")
    path = f"{folder}{os.pathsep}{SYSTEM}"
    done = run(Programs({**SECRETS, **PASSED, "PATH": path}, no_login))
    seen = dict(pair.split("=", 1) for pair in done.out.decode().split("\0") if pair)
    home = seen.pop("HOME")

    assert seen.pop("DOCKER_CONFIG") == home
    for own in ("PWD", "SHLVL", "_", "OLDPWD"):
        seen.pop(own, None)
    assert seen == {**PASSED, "PATH": path, "LC_ALL": "C.UTF-8"}


def test_a_caller_adds_variables_of_its_own(install: Install, programs: Programs) -> None:
    install('printf %s "$TUF_ROOT"')
    done = programs.run("tool", [], seconds=20, variables={"TUF_ROOT": "/cache/sigstore"})

    assert done.out == b"/cache/sigstore"


def test_the_home_of_a_program_is_empty_and_gone_afterwards(install: Install, programs: Programs) -> None:
    install('printf "%s\\n" "$HOME" "$PWD"; ls -A; : > "$HOME/.left-behind"; mkdir -p "$HOME/a/b"')
    home, where, *there = run(programs).out.decode().splitlines()

    assert Path(home).resolve() == Path(where).resolve()
    assert there == ["config.json"]
    assert not Path(home).exists()


def test_a_program_may_be_started_in_another_folder(install: Install, programs: Programs, tmp_path: Path) -> None:
    install("pwd -P")

    assert programs.run("tool", [], seconds=20, folder=tmp_path).out.decode().strip() == str(tmp_path.resolve())


@pytest.mark.parametrize(
    ("host", "login", "name", "entry"),
    [
        ("ghcr.io", Login("bot", "pass:word"), "ghcr.io", {"auth": "bot:pass:word"}),
        ("127.0.0.1:5000", Login("bot", "ü"), "127.0.0.1:5000", {"auth": "bot:ü"}),
        ("docker.io", Login("bot", "x"), "https://index.docker.io/v1/", {"auth": "bot:x"}),
        ("ghcr.io", Login(identity_token="t0k3n"), "ghcr.io", {"identitytoken": "t0k3n"}),  # noqa: S106 - nobody's
    ],
)
def test_of_all_logins_a_program_gets_that_of_its_registry(
    host: str, login: Login, name: str, entry: dict[str, str], install: Install, programs: Programs
) -> None:
    asked: list[str] = []

    def login_of(wanted: str) -> Login | None:
        asked.append(wanted)
        return {host: login, "other.example": Login("other", "secret")}.get(wanted)

    install('cat "$DOCKER_CONFIG/config.json"; ls -l "$DOCKER_CONFIG/config.json" >&2')
    programs._login = login_of
    done = programs.run("tool", [], seconds=20, registry=host)
    auths = json.loads(done.out)["auths"]
    if "auth" in auths[name]:
        auths[name]["auth"] = b64decode(auths[name]["auth"]).decode()

    assert auths == {name: entry}
    assert done.err.startswith(b"-rw------- ")
    assert asked == [host]


def test_without_a_registry_nobody_is_asked_for_a_login(install: Install, folder: Path) -> None:
    def login_of(host: str) -> Login | None:
        pytest.fail(f"asked for {host!r}")

    install('cat "$DOCKER_CONFIG/config.json"')
    done = run(Programs({"PATH": f"{folder}{os.pathsep}{SYSTEM}"}, login_of))

    assert json.loads(done.out) == {"auths": {}}


def test_a_config_is_for_its_owners_eyes_whatever_the_umask(install: Install, programs: Programs) -> None:
    install('cp -p "$DOCKER_CONFIG/config.json" "$1"; exit 0')
    before = os.umask(0)
    try:
        seen = Path(programs._environ["PATH"].split(os.pathsep)[0]) / "seen"
        run(programs, str(seen))
    finally:
        os.umask(before)

    assert stat.S_IMODE(seen.stat().st_mode) == 0o600


def test_arguments_are_never_read_by_a_shell(install: Install, programs: Programs, tmp_path: Path) -> None:
    hostile = ["$(touch owned)", "`id`", "; exit 9", "a b", "*", "", "--flag=\nx", "'\"", "\udcff", "-"]
    install('printf "%s\\0" "$@"')
    done = programs.run("tool", hostile, seconds=20, folder=tmp_path)

    assert done.out.split(b"\0")[:-1] == [os.fsencode(argument) for argument in hostile]
    assert not (tmp_path / "owned").exists()


def test_a_program_gets_its_input_whole(install: Install, programs: Programs) -> None:
    install("exec cat")
    text = os.urandom(1_000_000)

    assert run(programs, stdin=text, max_bytes=2_000_000).out == text


def test_a_program_without_input_reads_to_the_end(install: Install, programs: Programs) -> None:
    install("cat; echo end")

    assert run(programs).out == b"end\n"


def test_a_program_that_does_not_want_its_input_is_no_failure(install: Install, programs: Programs) -> None:
    install("exec 0<&-; echo done")

    assert run(programs, stdin=b"x" * 1_000_000) == Finished(0, b"done\n", b"")


def test_a_program_that_a_signal_ended_says_so_by_its_code(install: Install, programs: Programs) -> None:
    install("kill -SEGV $$")

    assert run(programs).code == -signal.SIGSEGV


@pytest.mark.parametrize(
    "make",
    [
        lambda _path: None,
        lambda path: path.write_text("#!/bin/sh\n"),
        lambda path: path.mkdir(),
        lambda path: path.symlink_to("nowhere"),
    ],
    ids=["missing", "not executable", "a folder", "a dangling link"],
)
def test_a_program_that_is_not_there_is_named(make: Callable[[Path], None], folder: Path, programs: Programs) -> None:
    make(folder / "tool")
    with pytest.raises(ServiceError) as raised:
        run(programs)

    assert raised.value.what == "tool is not installed"
    assert "docs/tools.md" in raised.value.next_step
    assert raised.value.exit_code == 4


@pytest.mark.parametrize("text", [b"\x7fELF of another machine", b"#!/nowhere/interpreter\n", b""])
def test_a_program_that_cannot_be_started_is_named(text: bytes, folder: Path, programs: Programs) -> None:
    (folder / "tool").write_bytes(text)
    (folder / "tool").chmod(0o755)
    with pytest.raises(ServiceError, match="cannot be started") as raised:
        run(programs)

    assert str(folder / "tool") in raised.value.what


def test_a_program_that_hangs_is_ended_with_its_children_and_grandchildren(
    install: Install, programs: Programs, folder: Path
) -> None:
    install(f"(sleep 100 & echo $! > {folder}/grandchild; wait) & echo $! > {folder}/child; wait")
    began = time.monotonic()
    with pytest.raises(ServiceError, match=r"tool did not end within 0 s and was stopped"):
        run(programs, seconds=0.4)

    assert time.monotonic() - began < 5
    for name in ("child", "grandchild"):
        assert soon(lambda name=name: is_gone(int((folder / name).read_text())))  # type: ignore[misc] # bound at once


def test_what_a_program_left_running_ends_with_it(install: Install, programs: Programs, folder: Path) -> None:
    install(f"sleep 100 </dev/null >/dev/null 2>&1 & echo $! > {folder}/child")
    done = run(programs)

    assert done.code == 0
    assert soon(lambda: is_gone(int((folder / "child").read_text())))


def test_a_program_that_closes_its_outputs_and_lingers_is_ended(install: Install, programs: Programs) -> None:
    install("exec >&- 2>&-; exec sleep 100")
    began = time.monotonic()
    with pytest.raises(ServiceError, match="did not end within"):
        run(programs, seconds=0.3)

    assert time.monotonic() - began < 5


@pytest.mark.skipif(shutil.which("setsid") is None, reason="setsid is not installed")
def test_one_who_ran_away_with_the_pipes_does_not_keep_the_bot(
    install: Install, programs: Programs, folder: Path
) -> None:
    """A daemon in a session of its own holds all three pipes open, and reads nothing."""
    daemon = f"setsid sh -c 'echo $$ > {folder}/daemon; exec sleep 100'"
    install(f"exec 3<&0; {daemon} <&3 & while [ ! -s {folder}/daemon ]; do :; done")
    began = time.monotonic()
    try:
        with pytest.raises(ServiceError, match="did not end within"):
            run(programs, seconds=0.5, stdin=b"x" * 1_000_000)

        assert time.monotonic() - began < 5
    finally:
        os.kill(int((folder / "daemon").read_text()), signal.SIGKILL)


@pytest.mark.parametrize("output", ["1", "2"])
def test_a_gigabyte_is_stopped_at_once_and_in_little_memory(output: str, install: Install, programs: Programs) -> None:
    install(f"head -c 1000000000 /dev/zero >&{output}")
    tracemalloc.start()
    began = time.monotonic()
    try:
        with pytest.raises(ServiceError, match=r"tool printed more than 1,000,000 bytes and was stopped"):
            run(programs, max_bytes=1_000_000, seconds=60)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert time.monotonic() - began < 20
    assert peak < 5_000_000


def test_as_much_as_is_allowed_is_not_too_much(install: Install, programs: Programs) -> None:
    install("head -c 8000 /dev/zero; head -c 8000 /dev/zero >&2")
    done = run(programs, max_bytes=8000)

    assert (len(done.out), len(done.err)) == (8000, 8000)
    install("head -c 8000 /dev/zero; sleep 0.1; echo")
    with pytest.raises(ServiceError, match="8,000 bytes"):
        run(programs, max_bytes=8000)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit it")
def test_a_programs_memory_is_bounded_and_its_childrens_too(
    install: Install, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs_adapter, "MAX_MEMORY", 256 * 1024**2)
    # The shell waits for its input, so that the limit is there before it starts another one.
    install(f"cat; exec {sys.executable} -IS -c 'print(len(bytes(2**29)))'")
    before = resource.getrlimit(resource.RLIMIT_DATA)
    done = run(programs)

    assert done.code == 1
    assert b"MemoryError" in done.err
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_several_programs_run_at_once(install: Install, programs: Programs, folder: Path) -> None:
    """Each waits for all others: one after the other they would never end."""
    install(f"touch {folder}/at-$$; while [ $(ls {folder} | grep -c at-) -lt 4 ]; do sleep 0.01; done; echo $$")
    outputs: list[bytes] = []
    threads = [threading.Thread(target=lambda: outputs.append(run(programs).out)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert len(set(outputs)) == 4


def test_a_message_shows_no_argument(install: Install, programs: Programs) -> None:
    install("sleep 100")
    with pytest.raises(ServiceError) as raised:
        run(programs, "--password=hunter2", seconds=0.2)

    assert not re.search("hunter2|password", f"{raised.value!r}{raised.value.where}{raised.value.next_step}")
