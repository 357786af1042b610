"""A real Docker Engine and the stand-in for the gateway's program, in an image that nobody here wrote by hand.

What they answer is held against tests/recorded/engine, which the unit tests replay. With GATEWAY_BOT_RECORD=1 it is
written there instead.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping

import httpx
import pytest

from bot.adapters.engine import Engine
from bot.core.distribution import Login
from bot.embedded.registry import EmbeddedRegistry
from bot.embedded.tokens import TokenServer
from bot.errors import BotError, ServiceError
from tests.engine import CASES, VERSIONS, Case, ask, docker_host, engine_at, record, recorded, short, standin_image
from tests.parts import ROOT

pytestmark = pytest.mark.real
__all__ = ["docker_host"]


@pytest.fixture
def engine(docker_host: str) -> Iterator[Engine]:
    engine = engine_at(docker_host)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def images() -> Iterator[Mapping[str, str]]:
    """REPOSITORY@DIGEST of each version of the stand-in."""
    with EmbeddedRegistry() as registry:
        yield {
            version: f"{registry.host}/acme/gateway@{registry.push('acme/gateway', version, standin_image(version))}"
            for version in VERSIONS
        }


def left_behind(host: str, status: str = "") -> list[object]:
    """Containers and volumes of the engine; with a status, containers in it alone."""
    with httpx.Client(transport=httpx.HTTPTransport(uds=host.removeprefix("unix://"))) as client:
        asked = {"all": "true", "filters": json.dumps({"status": [status]} if status else {})}
        containers = client.get("http://engine/containers/json", params=asked).json()
        volumes = client.get("http://engine/volumes").json()["Volumes"]
    return [*containers, *(volumes or () if not status else ())]


def test_the_stand_in_answers_as_recorded_and_nothing_is_left(
    docker_host: str, engine: Engine, images: Mapping[str, str]
) -> None:
    answers = {name: short(ask(engine, images[case.version], case)) for name, case in CASES.items()}
    if os.environ.get("GATEWAY_BOT_RECORD") == "1":
        record(answers)

    assert left_behind(docker_host) == []
    assert answers == recorded()


def test_a_private_registry_gets_the_login_and_without_one_it_is_an_error(docker_host: str, engine: Engine) -> None:
    known = engine_at(docker_host, login=Login("bot", "secret"))
    with EmbeddedRegistry(tokens=TokenServer("bot", "secret", private=True)) as registry:
        image = f"{registry.host}/acme/own@{registry.push('acme/own', 'v1', standin_image('v1.4.1', {'MINE': '1'}))}"
        with pytest.raises(ServiceError) as refused:
            ask(engine, image, CASES["valid"])
        answer = ask(known, image, CASES["valid"])
    known.close()

    assert refused.value.exit_code == 4
    assert answer.code == 0


def test_an_image_that_is_for_another_platform_is_no_verdict(engine: Engine) -> None:
    with EmbeddedRegistry() as registry:
        image = standin_image("v1.4.1")
        registry.push("acme/arm", "v1", image)
        arm = f"{registry.host}/acme/arm@{image.manifests[1].digest}"
        with pytest.raises(ServiceError) as error:
            ask(engine, arm, CASES["valid"])

    assert "exec format error" in error.value.what


@pytest.mark.parametrize("digit", ["0", "f"])
def test_a_digest_that_is_nowhere_is_an_error(engine: Engine, images: Mapping[str, str], digit: str) -> None:
    repository = images["v1.4.1"].partition("@")[0]
    with pytest.raises(BotError) as error:
        ask(engine, f"{repository}@sha256:{digit * 64}", CASES["valid"])

    assert error.value.exit_code == 4
    assert "not found" in error.value.what


_ASK_AND_HANG = """
import sys
from tests.engine import Case, ask, engine_at
ask(engine_at(sys.argv[1]), sys.argv[2], Case("# stand-in: hang\\n", seconds=60))
"""


def test_an_interrupted_run_leaves_nothing_and_a_killed_one_is_cleaned_up_after(
    docker_host: str, engine: Engine, images: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-c", _ASK_AND_HANG, docker_host, images["v1.4.1"]]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}

    def run_until(how: signal.Signals) -> int:
        program = subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while not left_behind(docker_host, "running") and time.monotonic() < deadline:
            time.sleep(0.05)
        program.send_signal(how)
        program.wait(30)
        return len(left_behind(docker_host))

    after_interrupt = run_until(signal.SIGINT)
    after_kill = run_until(signal.SIGKILL)
    later = time.time() + 2 * 3600
    monkeypatch.setattr(time, "time", lambda: later)
    ask(engine, images["v1.4.1"], Case("# stand-in: silent\n"))

    assert (after_interrupt, after_kill > 0, left_behind(docker_host)) == (0, True, [])
