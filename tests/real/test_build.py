"""`build` and build mode on a real Docker Engine, with Terraform and the stand-in for the gateway's program."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import httpx
import msgspec
import pytest

from bot.adapters.engine import Engine, building
from bot.adapters.engine.context import packed
from bot.adapters.programs import Programs
from bot.adapters.terraform import Terraform
from bot.adapters.worktree import Worktree
from bot.core.distribution import Login
from bot.core.model import (
    Build,
    ConfigEnvironment,
    DockerfileSite,
    DotenvSite,
    GatewayConfig,
    Image,
    Platform,
    SourceFile,
)
from bot.core.pins.sites import allowed_keys
from bot.core.reference import parse_repository
from bot.core.release.built import Built
from bot.core.release.rebuilt import INDEX_TYPE, Rebuilt, rebuild, rebuilt_index
from bot.embedded.images import (
    DEFAULT_PLATFORMS,
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    MANIFEST,
    Content,
    MultiPlatformImage,
    build_image,
    platform_of,
)
from bot.embedded.registry import EmbeddedRegistry
from bot.embedded.tokens import TokenServer
from bot.flows.build import Child, build, rebuild_all
from bot.flows.observe import read_pinned
from tests.engine import CASES, ask, docker_host, engine_at, standin_image
from tests.parts import crane, crane_registry, free_port, require

pytestmark = pytest.mark.real
__all__ = ["crane", "crane_registry", "docker_host"]

DOCKERFILE = """ARG BASE={base}
FROM ${{BASE}}
ARG VERSION=1.4.1
LABEL org.opencontainers.image.title="gateway" org.opencontainers.image.version="${{VERSION}}"
EXPOSE 8787
"""
CREATED = datetime(2026, 8, 20, 12, 0, tzinfo=UTC)


class Checkout(msgspec.Struct, frozen=True):
    """A repository that pins the stand-in, and the tools that a build there is given."""

    root: Path
    image: Image
    engine: Engine
    renderer: Terraform
    base: str

    def build(self, more: str = "", config: str = "") -> Built:
        """The answer, with these lines at the end of the Dockerfile, and at the beginning of the config."""
        (self.root / "Dockerfile").write_text(DOCKERFILE.format(base=self.base) + more)
        text = f'{config}config:\n  readinessAddr: "127.0.0.1:{self.image.build.port}"\n'
        (self.root / "config.tftpl").write_text(text)
        return build(self.image, Worktree(self.root), allowed_keys([self.image]), self)


class Left(msgspec.Struct, frozen=True):
    """What an engine holds: images by their names, empty for one without; containers; volumes."""

    images: list[str]
    containers: int
    volumes: int


def left(host: str) -> Left:
    with httpx.Client(transport=httpx.HTTPTransport(uds=host.removeprefix("unix://"))) as client:
        images = client.get("http://engine/images/json", params={"all": "true"}).json()
        containers = client.get("http://engine/containers/json", params={"all": "true"}).json()
        volumes = client.get("http://engine/volumes").json()["Volumes"]
    names = [*(name for image in images for name in [*(image["RepoTags"] or ()), *(image["RepoDigests"] or ())])]
    return Left(sorted(names), len(containers), len(volumes or ()))


@pytest.fixture(scope="module", autouse=True)
def nothing_mounted(docker_host: str) -> Iterator[None]:
    """An engine leaves the network of the machine mounted once a container had it; its folder could not be removed."""
    yield
    mounted = Path(docker_host.removeprefix("unix://")).parent / "exec" / "netns" / "default"
    if mounted.exists():
        subprocess.run(["umount", "--lazy", str(mounted)], check=True, timeout=20)


@pytest.fixture
def engine(docker_host: str) -> Iterator[Engine]:
    engine = engine_at(docker_host)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def upstream() -> MultiPlatformImage:
    return standin_image("v1.4.1", {"PATH": "/app"})


@pytest.fixture(scope="module")
def registry(upstream: MultiPlatformImage) -> Iterator[EmbeddedRegistry]:
    with EmbeddedRegistry() as registry:
        registry.push("acme/gateway", "v1.4.1", upstream)
        yield registry


@pytest.fixture
def checkout(tmp_path: Path, engine: Engine, registry: EmbeddedRegistry, upstream: MultiPlatformImage) -> Checkout:
    repository = parse_repository(f"{registry.host}/acme/gateway")
    (tmp_path / "versions.env").write_text(f"REF=v1.4.1\nDIGEST={upstream.digest}\n")
    image = Image(
        "gateway",
        repository,
        (
            DotenvSite("versions.env", (("REF", "ref"), ("DIGEST", "digest"))),
            DockerfileSite("Dockerfile", (("VERSION", "version"), ("BASE", "image"))),
        ),
        config=GatewayConfig("config.tftpl", (ConfigEnvironment("dev"),)),
        build=Build(port=free_port()),
    )
    path = str(Path(require("terraform")).parent)
    renderer = Terraform(Programs({"PATH": path}, lambda _: None), tmp_path)
    return Checkout(tmp_path, image, engine, renderer, f"{repository}@{upstream.digest}")


def test_the_pinned_image_with_labels_starts_and_ends_and_nothing_is_left(checkout: Checkout, docker_host: str) -> None:
    checkout.build()
    before = left(docker_host)
    built = checkout.build()
    named = "org.opencontainers.image.title, org.opencontainers.image.version"

    assert left(docker_host) == before
    assert (before.containers, before.volumes) == (0, 0)
    assert [(step.name, step.verdict) for step in built.steps] == [
        (name, "pass") for name in ("built", "no-layer", "changes", "ready", "stopped")
    ]
    assert built.steps[0].evidence == (
        f"{built.built} for linux/amd64 from Dockerfile with VERSION=1.4.1, BASE={checkout.base}"
    )
    assert built.steps[2].evidence == f"changed: labels {named}; exposed ports 8787/tcp"
    assert (built.exit_code, built.platform) == (0, "linux/amd64")


@pytest.mark.parametrize(
    ("more", "instruction"),
    [
        ("COPY versions.env /\n", "COPY"),
        ("WORKDIR /made-anew\n", "WORKDIR /made-anew"),
        ('RUN ["/app/agentgateway", "-V"]\nLABEL after=it\n', "/app/agentgateway -V"),
    ],
)
def test_an_instruction_that_adds_a_layer_is_named(
    more: str, instruction: str, checkout: Checkout, docker_host: str
) -> None:
    checkout.build()
    before = left(docker_host)
    built = checkout.build(more)
    refused = built.steps[-1]

    assert left(docker_host) == before
    assert refused.evidence.startswith("1 layer added on top of the pinned image's 1, by ")
    assert instruction in refused.evidence
    assert "LABEL" not in refused.evidence
    assert (built.exit_code, refused.name) == (6, "no-layer")


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("FROM scratch AS 1\n", "invalid name for build stage"),
        ("COPY nowhere /\n", "COPY nowhere /: COPY failed"),
        ("COPY .git/HEAD /\n", "COPY .git/HEAD /: COPY failed"),
        ('RUN ["/nowhere"]\n', "no such file or directory"),
    ],
)
def test_a_dockerfile_that_does_not_build_says_why_and_leaves_nothing(
    more: str, why: str, checkout: Checkout, docker_host: str
) -> None:
    (checkout.root / ".git").mkdir()
    (checkout.root / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    checkout.build()
    before = left(docker_host)
    built = checkout.build(more)

    assert left(docker_host) == before
    assert why in built.steps[0].evidence
    assert [(step.name, step.verdict, step.exit_code) for step in built.steps] == [("built", "fail", 8)]


def test_another_base_than_the_pinned_one_is_no_layer_that_was_added(
    checkout: Checkout, registry: EmbeddedRegistry
) -> None:
    registry.push("acme/other", "v1", standin_image("v1.3.1", {"PATH": "/app"}))
    built = checkout.build(f"FROM {registry.host}/acme/other:v1\n")

    assert built.exit_code == 6
    assert built.steps[-1].evidence == "it is not built on the pinned image: its layers are others"


@pytest.mark.parametrize(
    ("more", "changed"),
    [("ENV A=b\n", "Env"), ("USER 5\n", "User"), ('CMD ["x"]\n', "Cmd"), ("WORKDIR /app\n", "Work")],
)
def test_what_changes_how_it_runs_is_said(more: str, changed: str, checkout: Checkout) -> None:
    step = checkout.build(more, "# stand-in: silent\n").steps[2]

    assert f"also {changed}" in step.evidence
    assert step.verdict == "warn"


@pytest.mark.parametrize(
    ("config", "step", "evidence"),
    [
        ("# stand-in: panic\n", "ready", "it ended with exit 101: thread 'main' panicked"),
        ("# stand-in: silent\n", "ready", "nothing answered at /healthz/ready"),
        ("unheard: of\n", "ready", "it ended with exit 1: unknown field `unheard`"),
        ("# stand-in: allocate\n", "ready", "it needed more than 512 MiB of memory and was stopped"),
        ("# stand-in: sour\n", "stopped", "SIGTERM: exit 3 after"),
    ],
)
def test_a_program_that_does_not_get_ready_or_end_well_is_refused(
    config: str, step: str, evidence: str, checkout: Checkout, docker_host: str
) -> None:
    built = checkout.build(config=config)

    assert left(docker_host).containers == 0
    assert evidence in built.steps[-1].evidence
    assert (built.exit_code, built.steps[-1].name) == (6, step)


@pytest.mark.parametrize(
    ("order", "said", "stopped"),
    [
        ("unready", "HTTP 500", "was not ready within 1 s and was stopped"),
        ("stubborn", "HTTP 200", "did not end within 1 s of SIGTERM and was stopped"),
    ],
)
def test_waiting_has_an_end(order: str, said: str, stopped: str, checkout: Checkout, docker_host: str) -> None:
    port = checkout.image.build.port
    config = f'# stand-in: {order}\nconfig:\n  readinessAddr: "127.0.0.1:{port}"\n'
    checkout.build()
    ran = checkout.engine.start(
        checkout.base, ("-f", "{file}"), config, {}, port=port, path="/healthz/ready", seconds=1, stop_seconds=1
    )

    assert left(docker_host).containers == 0
    assert (ran.said, ran.ended.stopped) == (said, stopped)


def test_a_port_that_somebody_else_has_is_said_before_anything_is_started(
    checkout: Checkout, registry: EmbeddedRegistry
) -> None:
    port = int(registry.host.rpartition(":")[2])
    taken = msgspec.structs.replace(checkout, image=msgspec.structs.replace(checkout.image, build=Build(port=port)))
    built = taken.build()

    assert f"port {port} of this machine is taken" in built.steps[-1].evidence
    assert (built.exit_code, built.steps[-1].name) == (4, "ready")


def test_the_base_of_a_private_registry_is_pulled_with_its_login(
    checkout: Checkout, docker_host: str, upstream: MultiPlatformImage
) -> None:
    dockerfile = SourceFile("Dockerfile", b"ARG BASE=none\nFROM ${BASE}\nLABEL a=b\n")
    engine = engine_at(docker_host, login=Login("bot", "secret"))
    with EmbeddedRegistry(tokens=TokenServer("bot", "secret", private=True)) as registry:
        base = f"{registry.host}/acme/private@{registry.push('acme/private', 'v1', upstream)}"
        with engine.built(base, checkout.root, dockerfile, {"BASE": base}) as (below, above):
            layers = below.layers
    engine.close()

    assert above.layers == layers


def test_an_image_that_a_killed_run_left_is_removed_and_what_another_builds_is_not(
    checkout: Checkout, docker_host: str
) -> None:
    checkout.build()
    now = time.time()
    dockerfile = SourceFile("Dockerfile", f"FROM {checkout.base}\nLABEL a=b\n".encode())
    client = checkout.engine._connected()
    stale, fresh = building.tag_until(now - 1), building.tag_until(now + 60)
    for tag in (stale, fresh):
        building.build(client, packed(checkout.root, dockerfile), dockerfile.path, {}, tag, "")
    checkout.build()
    names = left(docker_host).images
    building.forget(client, fresh)

    assert [tag in names for tag in (stale, fresh)] == [False, True]


def children_of(upstream: MultiPlatformImage) -> list[Child]:
    blobs = {blob.digest: blob.data for blob in upstream.blobs}
    platforms = (Platform("linux", "amd64"), Platform("linux", "arm64"))
    return [
        Child(platform, manifest.data, manifest.media_type, blobs[json.loads(manifest.data)["config"]["digest"]])
        for platform, manifest in zip(platforms, upstream.manifests, strict=True)
    ]


def rebuilt_image(
    rebuilt: tuple[tuple[Platform, Rebuilt], ...], upstream: MultiPlatformImage, annotations: Mapping[str, str]
) -> MultiPlatformImage:
    """As it is pushed: upstream's layers with the new configs, manifests and index."""
    configs = [Content(each.config_type, each.config) for _, each in rebuilt]
    manifests = [Content(each.manifest_type, each.manifest) for _, each in rebuilt]
    index = Content(INDEX_TYPE, rebuilt_index(rebuilt, annotations))
    return MultiPlatformImage((*upstream.blobs, *configs), tuple(manifests), index)


def in_docker_s_types(image: MultiPlatformImage) -> MultiPlatformImage:
    """The same image as Docker itself describes one."""
    manifests, configs = [], []
    for manifest in image.manifests:
        value = json.loads(manifest.data)
        config = next(blob for blob in image.blobs if blob.digest == value["config"]["digest"])
        configs.append(Content("application/vnd.docker.container.image.v1+json", config.data))
        layers = [
            {**layer, "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip"} for layer in value["layers"]
        ]
        value |= {"mediaType": DOCKER_MANIFEST, "config": configs[-1].descriptor(), "layers": layers}
        manifests.append(Content(DOCKER_MANIFEST, json.dumps(value).encode()))
    entries = [
        manifest.descriptor(platform=platform_of(platform))
        for platform, manifest in zip(DEFAULT_PLATFORMS, manifests, strict=True)
    ]
    index = {"schemaVersion": 2, "mediaType": DOCKER_INDEX, "manifests": entries}
    return MultiPlatformImage(image.blobs, tuple(manifests), Content(DOCKER_INDEX, json.dumps(index).encode()))


@pytest.mark.parametrize("media_type", [MANIFEST, DOCKER_MANIFEST])
def test_every_platform_is_rebuilt_over_upstream_s_layers_and_crane_and_docker_take_it(
    media_type: str,
    checkout: Checkout,
    docker_host: str,
    upstream: MultiPlatformImage,
    registry: EmbeddedRegistry,
    crane: str,
    crane_registry: str,
) -> None:
    upstream = upstream if media_type == MANIFEST else in_docker_s_types(upstream)
    registry.push("acme/gateway", "v1.4.1", upstream)
    (checkout.root / "versions.env").write_text(f"REF=v1.4.1\nDIGEST={upstream.digest}\n")
    base = f"{checkout.image.repository}@{upstream.digest}"
    msgspec.structs.replace(checkout, base=base).build()
    before = left(docker_host)
    pinned = read_pinned(checkout.image, Worktree(checkout.root), allowed_keys([checkout.image]))
    first, second = (
        rebuild_all(checkout.image, pinned, children_of(upstream), checkout.root, checkout.engine, CREATED)
        for _ in range(2)
    )
    after = left(docker_host)
    image = rebuilt_image(first, upstream, {"org.opencontainers.image.base.digest": upstream.digest})
    digest = registry.push("acme/own", "v1", image)
    copied = f"{crane_registry}/acme/own"
    for command in (["copy", f"{registry.host}/acme/own:v1", f"{copied}:v1"], ["validate", "--remote", f"{copied}:v1"]):
        subprocess.run([crane, *command], check=True, capture_output=True, timeout=60)
    answer = ask(checkout.engine, f"{copied}@{digest}", CASES["valid"])
    config = json.loads(first[1][1].config)
    layers = [json.loads(each.data)["layers"] for each in (*upstream.manifests, *image.manifests)]

    assert first == second
    assert after == before
    assert layers[:2] == layers[2:]
    assert config["config"]["Labels"]["org.opencontainers.image.version"] == "1.4.1"
    assert (config["architecture"], config["created"]) == ("arm64", "2026-08-20T12:00:00Z")
    assert {each.media_type for each in image.manifests} == {media_type}
    assert answer.out == "Configuration is valid!\n"


def test_a_history_goes_on_where_upstream_s_ends(checkout: Checkout, registry: EmbeddedRegistry, crane: str) -> None:
    upstream = build_image(labels={"theirs": "kept"})
    base = f"{registry.host}/acme/told@{registry.push('acme/told', 'v1', upstream)}"
    dockerfile = SourceFile("Dockerfile", f"FROM {base}\nLABEL ours=x\nEXPOSE 8787\n".encode())
    with checkout.engine.built(base, checkout.root, dockerfile, {}) as (_, above):
        instructions = [step.text for step in above.instructions]
    one = children_of(upstream)[0]
    made = rebuild(one.manifest, one.media_type, one.config, above, CREATED)
    image = rebuilt_image(((one.platform, made),), upstream, {})
    registry.push("acme/told-anew", "v1", image)
    validated = [crane, "validate", "--remote", f"{registry.host}/acme/told-anew:v1"]
    subprocess.run(validated, check=True, capture_output=True, timeout=60)
    config = json.loads(made.config)

    assert len(instructions) == 2
    assert config["config"]["Labels"] == {"theirs": "kept", "ours": "x"}
    assert [(step["created_by"], step.get("empty_layer", False)) for step in config["history"]] == [
        ("COPY / / # embedded", False),
        ("LABEL ours=x", True),
        ("EXPOSE 8787", True),
    ]
