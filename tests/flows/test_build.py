"""`build` from the files of a checkout to its answer, on the fake engine; tests/real/test_build.py has a real one."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from bot.core.gateway_config.verdict import Answer
from bot.core.model import Platform
from bot.core.reference import digest_of
from bot.core.release.built import Built
from bot.embedded.images import CONFIG as CONFIG_TYPE
from bot.embedded.images import MANIFEST
from bot.flows.build import Child, build, rebuild_all
from bot.flows.observe import read_pinned
from bot.world import World
from tests.fake_engine import BASE_LAYERS, Made
from tests.flows.conftest import CONFIG, Gated

BASE_CONFIG = {
    "Env": ["PATH=/app", "LOCAL_XDS_PATH=/x", "RUST_BACKTRACE=1"],
    "Entrypoint": ["/app/agentgateway"],
}
LABELS = {**BASE_CONFIG, "Labels": {"title": "ours"}, "ExposedPorts": {"8787/tcp": {}}}
ADDED = f"sha256:{'3' * 64}"


CREATED = datetime(2026, 8, 20, 12, 0, tzinfo=UTC)
UPSTREAM = {
    "architecture": "amd64",
    "os": "linux",
    "config": BASE_CONFIG,
    "rootfs": {"type": "layers", "diff_ids": list(BASE_LAYERS)},
}


class Builds:
    """A checkout with a config, and its engine."""

    def __init__(self, gated: Gated) -> None:
        self.gated = gated
        self.gated.engine.made = Made(LABELS)

    def build(self, environment: str = "") -> Built:
        town = self.gated.town
        world = World(town.root, town.environ, town.clock)
        try:
            image = world.settings.images[0]
            return build(image, world.files, world.allowed_keys, world.tools, environment=environment)
        finally:
            world.close()

    def made(self, config: dict[str, object] | None = None, **how: Any) -> Built:
        self.gated.engine.made = Made(LABELS if config is None else config, **how)
        return self.build()


@pytest.fixture
def builds(gated: Gated) -> Iterator[Builds]:
    gated.ask(CONFIG)
    gated.programs.renders("binds: []\n# $KEY\n")
    builds = Builds(gated)
    yield builds
    assert not gated.engine.containers
    assert not gated.engine.tags


def steps(built: Built) -> list[tuple[str, str]]:
    return [(step.name, step.verdict) for step in built.steps]


def test_every_step_is_a_line_with_what_was_observed(builds: Builds) -> None:
    built = builds.build()
    engine, digest = builds.gated.engine, builds.gated.current
    base = f"{builds.gated.town.image}@{digest}"
    arguments = {"AGENTGATEWAY_REF": "v1.3.1", "AGENTGATEWAY_VERSION": "1.3.1", "AGENTGATEWAY_IMAGE": base}
    lines = built.text().splitlines()

    assert json.loads(engine.builds[0]["buildargs"]) == arguments
    assert lines[0].startswith("pass: built: sha256:000000000000… for linux/amd64 from Dockerfile with ")
    assert lines[1:3] == [
        "pass: no-layer: all 2 layers are the pinned image's, in order",
        "pass: changes: changed: labels title; exposed ports 8787/tcp",
    ]
    assert lines[3].startswith("pass: ready: HTTP 200 at /healthz/ready on port 15021, ")
    assert lines[3].endswith(" ms after the start, with the config of production")
    assert lines[4].startswith("pass: stopped: SIGTERM: exit 0 after ")
    assert (built.exit_code, len(lines)) == (0, 5)


def test_the_json_form_says_the_same(builds: Builds) -> None:
    built = builds.build()
    form = json.loads(built.json())

    assert [(step["name"], step["verdict"]) for step in form["steps"]] == steps(built)
    assert form["arguments"] == json.loads(builds.gated.engine.builds[0]["buildargs"])
    assert {key: form[key] for key in ("image", "ok", "exit_code", "platform")} == {
        "image": "agentgateway",
        "ok": True,
        "exit_code": 0,
        "platform": "linux/amd64",
    }


def test_a_dockerfile_that_copies_nothing_is_given_no_file_of_the_checkout(builds: Builds) -> None:
    builds.build()

    assert [list(files) for files in builds.gated.engine.contexts] == [["Dockerfile"]]


def test_it_is_started_with_the_config_and_dummies_and_with_no_rights(builds: Builds) -> None:
    builds.build()
    created = builds.gated.engine.created[0]
    limits = created["HostConfig"]

    assert created["Env"] == ["KEY=dummy"]
    assert created["Cmd"] == ["-f", "/gateway-bot/config.yaml"]
    assert limits["PortBindings"] == {"15021/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}
    assert {key: limits[key] for key in ("ReadonlyRootfs", "CapDrop", "SecurityOpt", "Memory", "PidsLimit")} == {
        "ReadonlyRootfs": True,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges:true"],
        "Memory": 512 * 1024**2,
        "PidsLimit": 256,
    }


def test_nothing_but_readiness_is_asked(builds: Builds) -> None:
    builds.build()

    assert builds.gated.engine.asked == ["/healthz/ready"] * 3


def test_the_settings_say_how_it_is_started_and_asked(builds: Builds) -> None:
    builds.gated.ask('[image.build]\nstart = ["serve", "--config={file}"]\nport = 9000\npath = "/ready?full"\n')
    built = builds.build()

    assert builds.gated.engine.created[0]["Cmd"] == ["serve", "--config=/gateway-bot/config.yaml"]
    assert builds.gated.engine.asked[0] == "/ready?full"
    assert built.steps[3].evidence.startswith("HTTP 200 at /ready?full on port 9000, ")


def test_without_a_config_it_is_not_started_and_the_answer_says_so(gated: Gated) -> None:
    built = Builds(gated).build()

    assert gated.engine.created == []
    assert built.steps[-1].evidence.startswith("not started: gateway-bot.toml has no table [image.config]")
    assert (built.exit_code, steps(built)[-1]) == (0, ("ready", "warn"))


def test_an_environment_that_is_not_there_is_refused_before_anything_is_built(builds: Builds) -> None:
    built = builds.build("staging")

    assert builds.gated.engine.builds == []
    assert built.steps[0].next_step == "Name one of [[image.config.environments]]: production."
    assert (built.exit_code, steps(built)) == (2, [("pins", "fail")])


def test_drift_is_refused_before_anything_is_built(builds: Builds) -> None:
    town = builds.gated.town
    town.write(
        "Dockerfile", town.text("Dockerfile").replace("ARG AGENTGATEWAY_REF=v1.3.1", "ARG AGENTGATEWAY_REF=v1.3.0")
    )
    built = builds.build()

    assert builds.gated.engine.builds == []
    assert "holds v1.3.0, versions.env says v1.3.1" in built.steps[0].evidence
    assert (built.exit_code, steps(built)) == (3, [("pins", "fail")])


def test_without_a_dockerfile_there_is_nothing_to_build(builds: Builds) -> None:
    text = builds.gated.town.text("gateway-bot.toml")
    begin = text.index('[[image.pins]]\ntype = "dockerfile"')
    builds.gated.town.write("gateway-bot.toml", text[:begin] + text[text.index("[[image.pins]]", begin + 1) :])
    built = builds.build()

    assert (built.exit_code, steps(built)) == (2, [("pins", "fail")])


@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket")  # the library leaves one where nobody listens
def test_without_an_engine_nothing_is_known(builds: Builds) -> None:
    builds.gated.town.environ["DOCKER_HOST"] = "unix:///nowhere/docker.sock"
    built = builds.build()
    gc.collect()

    assert "no Docker Engine answers" in built.steps[0].evidence
    assert (built.exit_code, steps(built)) == (4, [("built", "unknown")])


def test_a_layer_that_was_added_ends_it_before_anything_is_started(builds: Builds) -> None:
    made = (("LABEL a=b", BASE_LAYERS), ("COPY dir:1 in /", (*BASE_LAYERS, ADDED)), ("EXPOSE 1", (*BASE_LAYERS, ADDED)))
    built = builds.made(steps=made)

    assert builds.gated.engine.created == []
    assert built.steps[-1].evidence == "1 layer added on top of the pinned image's 2, by COPY dir:1 in /"
    assert (built.exit_code, steps(built)) == (6, [("built", "pass"), ("no-layer", "fail")])


def test_a_change_that_build_mode_refuses_is_a_warning(builds: Builds) -> None:
    built = builds.made({**LABELS, "User": "0"})

    assert "also User; only labels and exposed ports may change" in built.steps[2].evidence
    assert (built.exit_code, built.steps[2].verdict) == (0, "warn")


@pytest.mark.parametrize(
    ("how", "step", "evidence"),
    [
        (
            {"dies": Answer(1, "", "Error: binds[0].port: invalid type\n")},
            "ready",
            "with the config of production: nothing answered at /healthz/ready on port 15021; it ended with exit 1: ",
        ),
        ({"farewell": 143}, "stopped", "SIGTERM: exit 143 after"),
    ],
)
def test_a_program_that_does_not_start_or_end_well_is_refused(
    how: dict[str, Any], step: str, evidence: str, builds: Builds
) -> None:
    built = builds.made(**how)
    why = how["dies"].err.removeprefix("Error: ").strip() if "dies" in how else " ms"

    assert built.steps[-1].evidence.endswith(why)
    assert built.steps[-1].evidence.startswith(evidence)
    assert (built.exit_code, steps(built)[-1]) == (6, (step, "fail"))


def test_a_value_of_the_config_is_not_shown(builds: Builds) -> None:
    builds.gated.programs.renders('binds: []\nkey: "sk-not-for-logs"\n')
    built = builds.made(dies=Answer(1, "", 'Error: key: invalid type: string "sk-not-for-logs", expected u16\n'))

    assert "invalid type: string" in built.steps[-1].evidence
    assert "sk-not" not in built.text() + built.json().decode()


def child() -> Child:
    config = json.dumps(UPSTREAM).encode()
    described = {"mediaType": CONFIG_TYPE, "digest": digest_of(config), "size": len(config)}
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": described, "layers": [{}, {}]}
    return Child(Platform("linux", "amd64"), json.dumps(manifest).encode(), MANIFEST, config)


@pytest.mark.parametrize(
    ("line", "field", "held", "expected"),
    [
        ("FROM ${X}", "image", "{repository}@{digest}", "{repository}@{child}"),
        ("FROM ${X}", "image", "{repository}:v1.3.1@{digest}", "{repository}@{child}"),
        ("FROM ${X}", "image", "{repository}:v1.3.1", "{repository}@{child}"),
        ("FROM mirror.example/app@${X}", "image", "{digest}", "{child}"),
        ("FROM mirror.example/app@${X}", "digest", "{digest}", "{child}"),
        ("FROM mirror.example/app:${X}", "image", "v1.3.1", "v1.3.1"),
        ("FROM mirror.example/app:${X}", "ref", "v1.3.1", "v1.3.1"),
    ],
)
def test_a_platform_is_built_on_its_own_manifest(
    line: str, field: str, held: str, expected: str, builds: Builds
) -> None:
    town, engine, one = builds.gated.town, builds.gated.engine, child()
    names = {"repository": town.image, "digest": builds.gated.current, "child": digest_of(one.manifest)}
    town.write("Dockerfile", f"ARG X={held.format(**names)}\n{line}\n")
    arguments = 'AGENTGATEWAY_REF = "ref", AGENTGATEWAY_VERSION = "version", AGENTGATEWAY_IMAGE = "image"'
    begin = town.text("gateway-bot.toml").index(arguments, town.text("gateway-bot.toml").index("dockerfile"))
    text = town.text("gateway-bot.toml")
    town.write("gateway-bot.toml", f'{text[:begin]}X = "{field}"{text[begin + len(arguments) :]}')
    world = World(town.root, town.environ, town.clock)
    image = world.settings.images[0]
    pinned = read_pinned(image, world.files, world.allowed_keys)
    ((platform, made),) = rebuild_all(image, pinned, [one], town.root, world.tools.engine, CREATED)
    world.close()

    assert (platform, engine.asked) == (one.platform, ["linux/amd64"])
    assert json.loads(made.config)["config"] == LABELS
    assert json.loads(engine.builds[0]["buildargs"]) == {"X": expected.format(**names)}
