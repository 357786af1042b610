"""The adapter on what a real engine answered; tests/real/test_engine.py sees that it still answers so."""

from __future__ import annotations

import base64
import gc
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bot.adapters import engine as adapter
from bot.adapters.engine import Engine, images
from bot.core.distribution import Login
from bot.core.gateway_config.verdict import Answer
from bot.errors import BotError, NoEngine, ServiceError, UsageError
from tests.engine import CASES, VALID, VERSIONS, Case, ask, engine_at, recorded, short
from tests.fake_engine import FakeEngine, Fault

IMAGES = {version: f"registry.example/acme/gateway@sha256:{str(i) * 64}" for i, version in enumerate(VERSIONS)}
IMAGE = IMAGES["v1.4.1"]


@pytest.fixture
def fake() -> FakeEngine:
    answers = recorded()
    asked = {
        image: [(case, answers[name]) for name, case in CASES.items() if case.version == version]
        for version, image in IMAGES.items()
    }
    return FakeEngine(asked, pulled=set(IMAGES.values()))


@pytest.fixture
def host(fake: FakeEngine) -> Iterator[str]:
    with fake.serving() as host:
        yield host


@pytest.fixture
def engine(host: str) -> Iterator[Engine]:
    engine = engine_at(host)
    yield engine
    engine.close()


def error_of(question: Callable[[], object]) -> BotError:
    with pytest.raises(BotError) as caught:
        question()
    return caught.value


@pytest.mark.parametrize("name", CASES)
def test_what_the_real_engine_said_comes_back_and_nothing_is_left(name: str, fake: FakeEngine, engine: Engine) -> None:
    case = CASES[name]
    answer = ask(engine, IMAGES[case.version], case)

    assert not fake.containers
    assert [query for _, query in fake.removed] == [{"v": ["True"], "link": ["False"], "force": ["True"]}]
    assert short(answer) == recorded()[name]


def test_the_container_can_do_nothing_but_read_one_file_and_print(fake: FakeEngine, engine: Engine) -> None:
    ask(engine, IMAGE, CASES["dummy"])
    created = fake.created[0]
    limits = created["HostConfig"]
    env = sorted(created["Env"])

    assert created["User"] == "65532:65532"
    assert env == ["HOME=/", "LOCAL_XDS_PATH", "NAME=dummy", "RUST_BACKTRACE"]
    assert (created["Volumes"], created["Healthcheck"]["Test"]) == ({"/gateway-bot": {}}, ["NONE"])
    expected = {
        "NetworkMode": "none",
        "ReadonlyRootfs": True,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges:true"],
        "Memory": 512 * 1024**2,
        "MemorySwap": 512 * 1024**2,
        "PidsLimit": 256,
        "NanoCpus": 10**9,
        "LogConfig": {"Type": "none", "Config": {}},
        "Dns": ["127.0.0.1"],
    }

    assert expected == limits


def test_an_image_that_is_there_is_not_pulled(fake: FakeEngine, engine: Engine) -> None:
    ask(engine, IMAGE, CASES["valid"])

    assert fake.auth == []


@pytest.mark.parametrize(
    ("login", "expected"),
    [
        (None, {}),
        (Login("bot", "pass"), {"username": "bot", "password": "pass", "serveraddress": "registry.example"}),
        (Login("", "", "t"), {"identitytoken": "t", "serveraddress": "registry.example"}),
    ],
)
def test_a_pull_gets_the_login_of_its_own_registry_and_no_other(
    login: Login | None, expected: dict[str, str], fake: FakeEngine, host: str
) -> None:
    fake.pulled.clear()
    asked: list[str] = []

    def login_of(registry: str) -> Login | None:
        asked.append(registry)
        return login

    log: list[str] = []
    engine = Engine(host, login_of, log.append)
    ask(engine, IMAGE, CASES["valid"])
    engine.close()
    sent = json.loads(base64.urlsafe_b64decode(fake.auth[0]))

    assert asked == ["registry.example"]
    assert expected == sent


def test_docker_s_own_config_is_not_used(
    fake: FakeEngine, host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = {"auths": {"registry.example": {"auth": base64.b64encode(b"someone:else").decode()}}}
    proxies = {"default": {"httpProxy": "http://proxy.example"}}
    (tmp_path / "config.json").write_text(json.dumps({**stored, "proxies": proxies, "credsStore": "nothing"}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    fake.pulled.clear()
    engine = engine_at(host)
    ask(engine, IMAGE, CASES["valid"])
    engine.close()

    assert base64.urlsafe_b64decode(fake.auth[0]) == b"{}"
    assert not any("proxy" in entry for entry in fake.created[0]["Env"])


def test_a_docker_config_that_is_none_is_said_to_be(host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text("[1]")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    error = error_of(lambda: ask(engine_at(host), IMAGE, CASES["valid"]))

    assert isinstance(error, UsageError)
    assert error.where == "DOCKER_CONFIG/config.json"


def test_an_engine_that_holds_another_digest_is_not_believed(fake: FakeEngine, engine: Engine) -> None:
    fake.stated_digest = f"sha256:{'f' * 64}"
    error = error_of(lambda: ask(engine, IMAGE, CASES["valid"]))

    assert isinstance(error, ServiceError)
    assert error.what == "the engine has another image under this digest"
    assert fake.created == []


def test_a_pull_that_fails_in_its_stream_says_why(fake: FakeEngine, engine: Engine) -> None:
    fake.pulled.clear()
    fake.pull_error = "no matching manifest for linux/riscv64"
    error = error_of(lambda: ask(engine, IMAGE, CASES["valid"]))

    assert (error.exit_code, error.where) == (4, IMAGE)
    assert error.what == "the engine cannot pull the image: no matching manifest for linux/riscv64"


@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket")  # the library leaves one where nobody listens
@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("tcp://127.0.0.1:9", "Connection refused"),
        ("unix:///nowhere/docker.sock", "No such file or directory"),
        ("nonsense://", "DockerException"),
    ],
)
def test_no_engine_is_told_apart_from_one_that_fails(host: str, why: str) -> None:
    error = error_of(lambda: ask(engine_at(host), IMAGE, CASES["valid"]))
    what = error.what
    is_missing = isinstance(error, NoEngine)
    del error
    gc.collect()

    assert is_missing
    assert what == f"no Docker Engine answers: {why}"


@pytest.mark.parametrize("fault", ["drop", "hang", "refuse", "nonsense"])
@pytest.mark.parametrize(
    "name", ["version", "list", "image", "pull", "create", "archive", "attach", "start", "inspect"]
)
def test_an_engine_that_fails_is_never_a_pass(
    name: str, fault: Fault, fake: FakeEngine, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "_REQUEST_SECONDS", 0.6)
    monkeypatch.setattr(images, "_PULL_SECONDS", 0.2)
    fake.pulled.clear()
    fake.faults[name] = fault
    is_missing = False
    try:
        said = ask(engine, IMAGE, Case(VALID, seconds=0.6)).stopped
    except ServiceError as error:
        said, is_missing = error.what, isinstance(error, NoEngine)

    assert said
    assert "\x1b" not in said
    assert not fake.containers
    assert is_missing == (name == "version")


def test_a_container_that_cannot_be_killed_is_an_error_of_the_engine(
    fake: FakeEngine, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "_REQUEST_SECONDS", 0.2)
    fake.faults["kill"] = "refuse"
    error = error_of(lambda: ask(engine, IMAGE, CASES["hangs"]))

    assert error.what == "the engine does not stop a container"


def test_what_a_killed_run_left_is_removed_and_what_another_runs_is_not(fake: FakeEngine, host: str) -> None:
    label = "gateway-bot.stale-after"
    now = int(time.time())
    ends = {"old": now - 1, "running": now + 60}
    fake.left = [{"Id": name, "Labels": {label: str(end)}} for name, end in ends.items()]
    fake.left.append({"Id": "odd", "Labels": {label: "soon"}})
    log: list[str] = []
    engine = engine_at(host, log=log)
    ask(engine, IMAGE, CASES["valid"])
    engine.close()

    assert log == [f"removing a container that an earlier run left: {name}" for name in ("old", "odd")]
    assert [name for name, _ in fake.removed][:-1] == ["old", "odd"]


def test_an_image_of_another_platform_is_no_verdict(fake: FakeEngine, engine: Engine) -> None:
    answer = Answer(1, "", "exec /app/agentgateway: exec format error\n")
    fake.cases = {IMAGE: [(CASES["valid"], answer)]}
    error = error_of(lambda: ask(engine, IMAGE, CASES["valid"]))

    assert (error.exit_code, error.where) == (4, IMAGE)
    assert "exec format error" in error.what


def test_several_threads_ask_one_engine(fake: FakeEngine, engine: Engine) -> None:
    from bot.beside import beside  # noqa: PLC0415 - only this test

    fake.pulled.clear()
    names = ["valid", "wrong type", "default", "unset variable"]
    asking = [beside(lambda name=name: ask(engine, IMAGE, CASES[name])) for name in names]  # type: ignore[misc] # mypy does not infer lambdas with defaults
    answers = [short(each.result(20)) for each in asking]

    assert len(fake.auth) == 1
    assert answers == [recorded()[name] for name in names]
