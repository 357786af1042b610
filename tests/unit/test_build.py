"""The adapter's builds and starts, on an engine that fails and lies; tests/real/test_build.py has a real one."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.adapters import engine as adapter
from bot.adapters.engine import Engine, building, context, images, readiness
from bot.core.distribution import Login
from bot.core.model import Build, Platform, SourceFile
from bot.core.release.built import Ran
from bot.core.release.inspected import Inspected, Instruction
from bot.errors import BotError, NoEngine, ReleaseError, ServiceError, UsageError
from bot.settings import FILE, read_settings
from tests.engine import engine_at
from tests.fake_engine import BASE_LAYERS, FakeEngine, Fault, Made

BASE = f"registry.example/acme/gateway@sha256:{'a' * 64}"
CONFIG = {"Entrypoint": ["/app/agentgateway"], "Labels": {"a": "b"}}
DOCKERFILE = SourceFile("docker/Dockerfile", b"ARG BASE\nFROM ${BASE}\nLABEL a=b\n")
ARGUMENTS = {"BASE": BASE}
ADDED = f"sha256:{'3' * 64}"


@pytest.fixture
def fake() -> FakeEngine:
    return FakeEngine({}, pulled={BASE}, made=Made(CONFIG))


@pytest.fixture
def host(fake: FakeEngine) -> Iterator[str]:
    with fake.serving() as host:
        yield host


@pytest.fixture
def engine(host: str) -> Iterator[Engine]:
    engine = engine_at(host)
    yield engine
    engine.close()


def built(engine: Engine, root: Path, dockerfile: SourceFile = DOCKERFILE) -> tuple[Inspected, Inspected]:
    with engine.built(BASE, root, dockerfile, ARGUMENTS) as found:
        return found


def start(engine: Engine, *, seconds: float = 5, stop_seconds: float = 5) -> Ran:
    image = f"sha256:{1:064x}"
    return engine.start(
        image, ("-f", "{file}"), "{}", {}, port=15021, path="/ready", seconds=seconds, stop_seconds=stop_seconds
    )


def error_of(question: Callable[[], object]) -> BotError:
    with pytest.raises(BotError) as caught:
        question()
    return caught.value


def test_what_was_built_is_told_and_gone_afterwards(fake: FakeEngine, engine: Engine, tmp_path: Path) -> None:
    with engine.built(BASE, tmp_path, DOCKERFILE, ARGUMENTS) as (below, above):
        tags = set(fake.tags)

    assert (len(tags), fake.tags) == (1, set())
    assert below.layers == above.layers == BASE_LAYERS
    assert above.instructions == (Instruction("/bin/sh -c #(nop)  LABEL a=b"),)
    assert (above.platform, above.config) == (Platform("linux", "amd64"), CONFIG)


def test_the_builder_is_docker_s_own_without_network_cache_or_anybody_s_credentials(
    fake: FakeEngine, host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = {"auths": {"registry.example": {"auth": base64.b64encode(b"someone:else").decode()}}}
    (tmp_path / "config.json").write_text(json.dumps(stored))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    engine = engine_at(host, login=Login("bot", "secret"))
    built(engine, tmp_path)
    engine.close()
    asked = fake.builds[0]

    assert not [name for name in fake.build_headers[0] if "registry" in name.lower()]
    assert json.loads(asked["buildargs"]) == ARGUMENTS
    expected = {
        "version": "1",
        "dockerfile": "docker/Dockerfile",
        "nocache": "1",
        "networkmode": "none",
        "forcerm": "1",
    }
    assert {key: asked[key] for key in expected} == expected
    assert "platform" not in asked


def test_another_platform_is_pulled_by_its_own_digest_and_not_kept(
    fake: FakeEngine, engine: Engine, tmp_path: Path
) -> None:
    fake.pulled.clear()
    found = engine.build_for(Platform("linux", "arm64"), BASE, tmp_path, DOCKERFILE, ARGUMENTS)

    assert fake.asked == ["linux/arm64"]
    assert fake.builds[0]["platform"] == "linux/arm64"
    assert fake.untagged[-1] == BASE
    assert found.layers == BASE_LAYERS


def test_another_platform_that_was_there_before_stays(fake: FakeEngine, engine: Engine, tmp_path: Path) -> None:
    engine.build_for(Platform("linux", "arm64"), BASE, tmp_path, DOCKERFILE, ARGUMENTS)

    assert fake.pulled == {BASE}


def test_the_instruction_that_added_a_layer_is_found_by_the_image_after_it(
    fake: FakeEngine, engine: Engine, tmp_path: Path
) -> None:
    after = (*BASE_LAYERS, ADDED)
    fake.made = Made(CONFIG, steps=(("LABEL a", BASE_LAYERS), ("COPY a /", after), ("EXPOSE 1", after)))
    _, above = built(engine, tmp_path)

    assert [step.text for step in above.instructions if step.adds_layer] == ["COPY a /"]


@pytest.mark.parametrize(
    ("status", "lines", "kind", "what"),
    [
        (400, (), ReleaseError, "it does not build: dockerfile parse error line 3: it is none"),
        (500, (), ServiceError, "the engine does not build: dockerfile parse error line 3: it is none"),
        (
            200,
            ({"stream": "Step 2/2 : COPY a /"}, {"error": "COPY failed: \x1b[31mno a"}),
            ReleaseError,
            "it does not build: COPY a /: COPY failed: no a",
        ),
        (200, ({"error": "out of wood"},), ReleaseError, "it does not build: out of wood"),
        (
            200,
            ({"stream": "Step 1/2 : FROM elsewhere"}, {"error": "manifest unknown"}),
            ServiceError,
            "the engine cannot get the base image: FROM elsewhere: manifest unknown",
        ),
    ],
)
def test_a_build_that_fails_says_at_which_instruction_and_why(
    status: int,
    lines: tuple[dict[str, str], ...],
    kind: type,
    what: str,
    fake: FakeEngine,
    engine: Engine,
    tmp_path: Path,
) -> None:
    fake.made = Made(CONFIG, status=status, lines=lines)
    error = error_of(lambda: built(engine, tmp_path))

    assert (type(error), error.what, error.where) == (kind, what, "docker/Dockerfile")


@pytest.mark.parametrize(
    ("said", "removed"),
    [
        (("Step 1/2 : FROM x", " ---> bbbbbbbbbbbb\n", "Step 2/2 : COPY x /"), ""),
        (("Step 1/3 : from x", " ---> bbbbbbbbbbbb\n", "Step 2/3 : LABEL a", " ---> cccccccccccc\n"), "cccccccccccc"),
    ],
)
def test_what_a_build_that_fails_has_made_is_removed_and_its_base_is_not(
    said: tuple[str, ...], removed: str, fake: FakeEngine, engine: Engine, tmp_path: Path
) -> None:
    fake.made = Made(CONFIG, lines=(*({"stream": line} for line in said), {"error": "no x"}))
    error_of(lambda: built(engine, tmp_path))

    assert [name for name in fake.untagged if not name.startswith("gateway-bot/build:")] == [removed] * bool(removed)


def test_a_build_that_never_ends_is_given_up(
    fake: FakeEngine, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "_MAX_PRINTED", 100)
    fake.made = Made(CONFIG, lines=tuple({"stream": "all work and no play\n"} for _ in range(20)))
    error = error_of(lambda: built(engine, tmp_path))

    assert (error.exit_code, error.what) == (4, "the build prints more than 100 bytes")


@pytest.mark.parametrize("fault", ["drop", "hang", "refuse", "nonsense"])
@pytest.mark.parametrize("name", ["version", "list", "images", "image", "pull", "build", "history"])
def test_an_engine_that_fails_while_it_builds_is_an_error(
    name: str, fault: Fault, fake: FakeEngine, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "_REQUEST_SECONDS", 0.4)
    monkeypatch.setattr(building, "_SILENCE_SECONDS", 0.4)
    monkeypatch.setattr(images, "_PULL_SECONDS", 0.2)
    fake.pulled.clear()
    fake.faults[name] = fault
    error = error_of(lambda: built(engine, tmp_path))

    assert "\x1b" not in error.what
    assert not fake.tags
    assert (error.exit_code, isinstance(error, NoEngine)) == (4, name == "version")


def test_what_a_killed_run_left_is_removed_and_what_another_builds_is_not(
    fake: FakeEngine, host: str, tmp_path: Path
) -> None:
    now = time.time()
    stale, fresh, odd = building.tag_until(now - 2), building.tag_until(now + 60), "gateway-bot/build:mine"
    fake.tags |= {stale, fresh, odd}
    log: list[str] = []
    engine = engine_at(host, log=log)
    built(engine, tmp_path)
    engine.close()

    assert fake.tags == {fresh, odd}
    assert log == [f"removing an image that an earlier run left: {stale}"]


def test_a_program_is_ready_when_it_answers_200_and_not_before(fake: FakeEngine, engine: Engine) -> None:
    ran = start(engine)

    assert fake.asked == ["/ready"] * 3
    assert not fake.containers
    assert ran.ready_ms is not None
    assert 0 <= ran.ready_ms < 5000
    assert (ran.said, ran.ended.code, ran.ended.stopped) == ("HTTP 200", 0, "")


def test_a_yes_of_somebody_else_does_not_count_once_the_program_has_ended(host: str) -> None:
    name, _, port = host.removeprefix("tcp://").partition(":")
    probe = readiness.Probe((name, int(port)), "/version", time.monotonic() + 5)

    assert (probe.until_ready(lambda: False), probe.said) == (None, "HTTP 200")


@pytest.mark.parametrize("status", [204, 302, 404, 500])
def test_another_answer_is_not_ready(status: int, fake: FakeEngine, engine: Engine) -> None:
    fake.made = Made(CONFIG, statuses=(status,))
    ran = start(engine, seconds=0.1)

    assert not fake.containers
    assert (ran.said, ran.ready_ms) == (f"HTTP {status}", None)
    assert ran.ended.stopped == "was not ready within 0 s and was stopped"


def test_a_program_that_does_not_hear_sigterm_is_killed(fake: FakeEngine, engine: Engine) -> None:
    fake.made = Made(CONFIG, farewell=None)
    ran = start(engine, stop_seconds=0.1)

    assert not fake.containers
    assert (ran.is_ready, ran.ended.stopped) == (True, "did not end within 0 s of SIGTERM and was stopped")


def test_an_engine_on_another_machine_is_not_asked_to_start_anything(fake: FakeEngine, engine: Engine) -> None:
    engine._connected()
    engine._host = "tcp://engine.example:2376"
    error = error_of(lambda: start(engine))

    assert fake.created == []
    assert (error.exit_code, error.where) == (4, "tcp://engine.example:2376")


@pytest.mark.parametrize(
    "where", ["", "unix:///run/s", "npipe:////./pipe/d", "tcp://127.0.0.1:2375", "tcp://localhost"]
)
def test_an_engine_on_this_machine_is_known_by_its_address(where: str, engine: Engine) -> None:
    network = readiness.reachable(engine._connected(), where, 15021)

    assert network.host_config == {"port_bindings": {15021: ("127.0.0.1",)}}


def test_without_a_bridge_the_machine_s_own_network_is_used_where_the_port_is_free(
    fake: FakeEngine, host: str, engine: Engine
) -> None:
    fake.bridge = False
    taken = int(host.rpartition(":")[2])
    error = error_of(lambda: readiness.reachable(engine._connected(), "", taken))
    network = readiness.reachable(engine._connected(), "", _free())

    assert f"port {taken} of this machine is taken" in error.what
    assert (network.host_config, network.hostname) == ({"network_mode": "host"}, None)


def _free() -> int:
    import socket  # noqa: PLC0415 - here alone

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        (name, fault)
        for name in ("networks", "create", "archive", "attach", "start", "inspect")
        for fault in ("drop", "hang", "refuse", "nonsense")
        if fault != "nonsense" or name not in {"archive", "attach"}  # whose answers hold nothing to be read
    ],
)
def test_an_engine_that_fails_while_it_starts_is_an_error_and_nothing_is_left(
    name: str, fault: Fault, fake: FakeEngine, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "_REQUEST_SECONDS", 0.3)
    fake.faults[name] = fault
    error = error_of(lambda: start(engine, seconds=0.3, stop_seconds=0.3))

    assert not fake.containers
    assert (error.exit_code, "\x1b" in error.what) == (4, False)


def test_a_program_that_nobody_can_stop_is_an_error_of_the_engine(
    fake: FakeEngine, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "_REQUEST_SECONDS", 0.2)
    fake.faults["kill"] = "refuse"
    error = error_of(lambda: start(engine, stop_seconds=0.1))

    assert error.what == "the engine does not stop a container"


COPIES = SourceFile("Dockerfile", b"FROM x\ncopy . /\n")


def names(packed: bytes) -> list[str]:
    import io  # noqa: PLC0415 - here alone
    import tarfile  # noqa: PLC0415 - as above

    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        return sorted(member.name for member in archive.getmembers() if not member.isdir())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("Dockerfile", "kept/a", "left/a", "left/b", ".git/config", "sub/.git/config"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("on disk")
    (tmp_path / "kept" / "outside").symlink_to("/etc/passwd")
    return tmp_path


def test_a_dockerfile_that_copies_gets_what_dockerignore_leaves_and_never_git(root: Path) -> None:
    (root / ".dockerignore").write_text("# comment\nleft\n!left/b\n!.git\nDockerfile\n")

    assert names(context.packed(root, COPIES)) == [".dockerignore", "Dockerfile", "kept/a", "kept/outside", "left/b"]


def test_a_link_stays_a_link_and_the_dockerfile_is_the_one_that_was_read(root: Path) -> None:
    import io  # noqa: PLC0415 - here alone
    import tarfile  # noqa: PLC0415 - as above

    with tarfile.open(fileobj=io.BytesIO(context.packed(root, COPIES))) as archive:
        dockerfile = archive.extractfile("Dockerfile")

        assert dockerfile is not None
        assert dockerfile.read() == COPIES.data
        assert archive.getmember("kept/outside").issym()


@pytest.mark.parametrize(("limit", "value"), [("MAX_BYTES", 20), ("MAX_FILES", 2)])
def test_a_context_that_is_too_large_is_refused(
    limit: str, value: int, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, limit, value)
    error = error_of(lambda: context.packed(root, COPIES))

    assert isinstance(error, UsageError)
    assert error.where == ".dockerignore"


def settings(tmp_path: Path, table: str) -> Build:
    head = '[[image]]\nname = "app"\nregistry = "ghcr.io/acme/app"\n'
    pin = '[[image.pins]]\ntype = "terraform"\nfile = "a.tf"\nvariable = "x"\n'
    (tmp_path / FILE).write_text(head + pin + table)
    return read_settings(tmp_path).images[0].build


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("", Build(("-f", "{file}"), 15021, "/healthz/ready")),
        (
            '[image.build]\nstart = ["--config={file}"]\nport = 1\npath = "/"\n',
            Build(("--config={file}",), 1, "/"),
        ),
    ],
)
def test_the_settings_of_a_build_have_defaults_that_fit_the_gateway(
    table: str, expected: Build, tmp_path: Path
) -> None:
    assert settings(tmp_path, table) == expected


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("start = []", "start"),
        ('start = ["-f", "x"]', "{file}, once"),
        ('start = ["{file}", "{file}"]', "{file}, once"),
        ("port = 0", "port"),
        ("port = 65536", "port"),
        ('path = "ready"', "path"),
        ('path = "/a b"', "path"),
        ('path = "/a\\r\\nHost: b"', "path"),
        ("seconds = 1", "seconds"),
    ],
)
def test_settings_of_a_build_that_mean_nothing_are_refused(line: str, said: str, tmp_path: Path) -> None:
    def read() -> Any:
        return settings(tmp_path, f"[image.build]\n{line}\n")

    assert said in str(error_of(read))
