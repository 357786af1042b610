"""Upstream's bytes and what an engine built -> a config, a manifest and an index, or the reason why not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from msgspec.structs import replace

from bot.core.index import INDEX_TYPES, MANIFEST_TYPES, Index, prove_index
from bot.core.model import Platform
from bot.core.reference import Digest, digest_of
from bot.core.release.inspected import Changes, Inspected, Instruction, changes, layer_fault
from bot.core.release.rebuilt import Rebuilt, rebuild, rebuilt_index
from bot.errors import BotError, IntegrityError, PolicyError

OCI, DOCKER = MANIFEST_TYPES
CONFIG_TYPES = {
    OCI: "application/vnd.oci.image.config.v1+json",
    DOCKER: "application/vnd.docker.container.image.v1+json",
}
LAYERS = tuple(Digest(f"sha256:{digit * 64}") for digit in "12")
AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
CREATED = datetime(2026, 8, 20, 12, 0, tzinfo=UTC)
STARTED: dict[str, object] = {
    "Entrypoint": ["/app/agentgateway"],
    "Env": ["PATH=/app"],
    "User": "65532",
    "Labels": {"org.opencontainers.image.source": "upstream", "title": "theirs"},
}
HISTORY = [{"created_by": "base"}, {"created_by": "ENV", "empty_layer": True}, {"created_by": "COPY"}]
UPSTREAM: dict[str, object] = {
    "architecture": "amd64",
    "os": "linux",
    "config": STARTED,
    "rootfs": {"type": "layers", "diff_ids": list(LAYERS)},
    "history": HISTORY,
    "created": "2026-08-01T00:00:00Z",
    "author": "upstream",
}
LABELS = {"org.opencontainers.image.source": "upstream", "title": "ours", "é": "\n"}
BUILT = Inspected(
    f"sha256:{'b' * 64}",
    AMD64,
    LAYERS,
    {
        # what an engine notes of the container that it built in, and how it writes what there is none of
        "Hostname": "",
        "AttachStdin": False,
        "Image": "sha256:c0ffee",
        "Cmd": None,
        "OnBuild": [],
        "WorkingDir": "",
        **STARTED,
        "Labels": LABELS,
        "ExposedPorts": {"8787/tcp": {}},
    },
    "upstream",
    (Instruction("/bin/sh -c #(nop)  LABEL title=ours"), Instruction("EXPOSE 8787")),
)


def manifest_of(config: bytes, media_type: str = OCI, /, **more: Any) -> bytes:
    described = {"mediaType": CONFIG_TYPES[media_type], "digest": digest_of(config), "size": len(config)}
    layers = [{"mediaType": "x", "digest": digest_of(layer.encode()), "size": 7, "urls": ["u"]} for layer in LAYERS]
    document = {"schemaVersion": 2, "mediaType": media_type, "config": described, "layers": layers} | more
    return json.dumps({key: value for key, value in document.items() if value is not None}, indent=3).encode()


def rebuilt(
    upstream: Mapping[str, object] = UPSTREAM,
    built: Inspected = BUILT,
    media_type: str = OCI,
    created: datetime = CREATED,
    **manifest: Any,
) -> Rebuilt:
    config = json.dumps(upstream, indent=1).encode()
    return rebuild(manifest_of(config, media_type, **manifest), media_type, config, built, created)


def error_of(**given: Any) -> BotError:
    with pytest.raises(BotError) as caught:
        rebuilt(**given)
    return caught.value


@pytest.mark.parametrize("media_type", MANIFEST_TYPES)
def test_labels_and_ports_are_ours_and_everything_else_is_upstream_s(media_type: str) -> None:
    made = rebuilt(media_type=media_type)
    said = ("LABEL title=ours", "EXPOSE 8787")
    steps = [{"created": "2026-08-20T12:00:00Z", "created_by": text, "empty_layer": True} for text in said]
    expected = {
        **UPSTREAM,
        "created": "2026-08-20T12:00:00Z",
        "config": {**STARTED, "Labels": BUILT.config["Labels"], "ExposedPorts": {"8787/tcp": {}}},
        "history": [*HISTORY, *steps],
    }

    assert (made.manifest_type, made.config_type) == (media_type, CONFIG_TYPES[media_type])
    assert json.loads(made.config) == expected


def test_the_manifest_describes_upstream_s_layers_in_upstream_s_words() -> None:
    made = rebuilt(annotations={"of": "upstream"}, subject={"digest": "another's"})
    described = {"mediaType": CONFIG_TYPES[OCI], "digest": made.config_digest, "size": len(made.config)}
    layers = json.loads(manifest_of(b""))["layers"]

    assert json.loads(made.manifest) == {
        "schemaVersion": 2,
        "mediaType": OCI,
        "config": described,
        "layers": layers,
    }


def test_the_same_input_gives_the_same_bytes_whatever_the_builder_s_host_says() -> None:
    labels = dict(sorted(LABELS.items(), reverse=True))
    noted = {"Hostname": "c0ffee", "Image": "sha256:1", "Labels": labels}
    elsewhere = {key: BUILT.config[key] for key in sorted(BUILT.config)} | noted
    other_zone = CREATED.astimezone(timezone(timedelta(hours=9)))
    again = rebuilt(built=replace(BUILT, config=elsewhere, id="sha256:2"), created=other_zone)

    assert again == rebuilt()


def test_a_date_without_a_time_zone_is_no_date() -> None:
    with pytest.raises(ValueError, match="time zone"):
        rebuilt(created=CREATED.replace(tzinfo=None))


def test_what_docker_noted_of_upstream_s_own_build_is_left_out() -> None:
    noted = {"container": "c", "container_config": {"Cmd": ["x"]}, "docker_version": "1", "parent": "p", "id": "i"}

    assert rebuilt({**UPSTREAM, **noted}) == rebuilt()


@pytest.mark.parametrize("history", [None, [], HISTORY[:2], "none"])
def test_a_history_that_does_not_tell_of_every_layer_stays_as_it_is(history: object) -> None:
    upstream = {key: value for key, value in {**UPSTREAM, "history": history}.items() if value is not None}

    assert json.loads(rebuilt(upstream).config).get("history") == history


@pytest.mark.parametrize("labels", [None, {}])
def test_a_dockerfile_that_changes_nothing_keeps_the_words_of_upstream_s_config(labels: object) -> None:
    upstream = {**UPSTREAM, "config": {**STARTED, "Labels": labels}}
    built = replace(BUILT, config={**STARTED, "Labels": None}, instructions=())
    made = json.loads(rebuilt(upstream, built).config)

    assert made == {**upstream, "created": "2026-08-20T12:00:00Z"}


@pytest.mark.parametrize(
    ("layers", "instructions", "why"),
    [
        (
            (*LAYERS, LAYERS[0]),
            (Instruction("LABEL a=b"), Instruction("COPY \x1b[31mx /", adds_layer=True)),
            "1 layer added on top of the pinned image's 2, by COPY x /",
        ),
        ((*LAYERS, *LAYERS), (), "2 layers added on top of the pinned image's 2"),
        (LAYERS[::-1], (), "it is not built on the pinned image: its layers are others"),
        (LAYERS[:1], (), "it is not built on the pinned image: its layers are others"),
        ((), (), "it is not built on the pinned image: its layers are others"),
    ],
)
def test_other_layers_than_upstream_s_are_refused(
    layers: tuple[Digest, ...], instructions: tuple[Instruction, ...], why: str
) -> None:
    built = replace(BUILT, layers=layers, instructions=instructions)
    error = error_of(built=built)

    assert layer_fault(LAYERS, built) == why
    assert (type(error), error.what) == (PolicyError, why)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Entrypoint", ["/bin/sh"]),
        ("Cmd", ["x"]),
        ("Env", ["PATH=/app", "A=b"]),
        ("User", ""),
        ("WorkingDir", "/app"),
        ("Volumes", {"/data": {}}),
        ("StopSignal", "SIGINT"),
        ("Healthcheck", {"Test": ["NONE"]}),
        ("OnBuild", ["RUN x"]),
        ("Shell", ["/bin/sh"]),
    ],
)
def test_what_decides_how_it_runs_may_not_change(key: str, value: object) -> None:
    error = error_of(built=replace(BUILT, config={**BUILT.config, key: value}))

    assert (type(error), error.what) == (PolicyError, f"the Dockerfile changes {key}")


@pytest.mark.parametrize("env", [None, [], ["A=b"]])
def test_the_path_that_docker_s_builder_adds_is_no_change_and_is_not_taken_over(env: list[str] | None) -> None:
    upstream = {**UPSTREAM, "config": {**STARTED, "Env": env}}
    path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    made = rebuilt(upstream, replace(BUILT, config={**BUILT.config, "Env": [*(env or ()), path]}))

    assert json.loads(made.config)["config"]["Env"] == env


def test_another_path_is_a_change() -> None:
    error = error_of(built=replace(BUILT, config={**BUILT.config, "Env": ["PATH=/usr/bin"]}))

    assert error.what == "the Dockerfile changes Env"


def test_another_author_is_another_image() -> None:
    assert error_of(built=replace(BUILT, author="somebody")).what == "the Dockerfile changes Author"


@pytest.mark.parametrize(
    ("upstream", "built"),
    [
        (AMD64, ARM64),
        (Platform("linux", "arm", "v7"), Platform("linux", "arm", "v6")),
        (Platform("windows", "amd64"), AMD64),
    ],
)
def test_another_platform_than_upstream_s_is_an_integrity_error(upstream: Platform, built: Platform) -> None:
    named = {"os": upstream.os, "architecture": upstream.architecture, "variant": upstream.variant}
    error = error_of(upstream={**UPSTREAM, **named}, built=replace(BUILT, platform=built))

    assert (type(error), error.what) == (IntegrityError, f"the engine built for {built} on the image for {upstream}")


def test_a_default_variant_is_the_same_platform() -> None:
    upstream = {**UPSTREAM, "architecture": "arm64", "variant": "v8"}

    assert json.loads(rebuilt(upstream, replace(BUILT, platform=ARM64)).config)["variant"] == "v8"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"mediaType": DOCKER}, "no image manifest of the type"),
        ({"schemaVersion": 1}, "schema version 2"),
        ({"manifests": []}, "schema version 2"),
        ({"layers": {}}, "names no config or no layers"),
        ({"layers": []}, "its config counts 2 layers, its manifest 0"),
        ({"config": {"mediaType": "application/vnd.unknown"}}, "another kind than an image's"),
        ({"config": {"mediaType": CONFIG_TYPES[OCI], "digest": LAYERS[0], "size": 1}}, "does not name the config"),
        ({"Layers": []}, "a key is written in another case"),
        ({"upstream": {**UPSTREAM, "rootfs": {}}}, "its config counts 0 layers, its manifest 2"),
        ({"upstream": {**UPSTREAM, "rootfs": {"diff_ids": ["md5:1"]}}}, "is no digest"),
        ({"upstream": {**UPSTREAM, "config": {**STARTED, "labels": {}}}}, "a key is written in another case"),
        ({"upstream": {**UPSTREAM, "a": float("nan")}}, "NaN is no JSON"),
    ],
)
def test_bytes_that_are_not_what_they_claim_to_be_are_refused(given: dict[str, Any], why: str) -> None:
    error = error_of(**given)

    assert isinstance(error, IntegrityError)
    assert error.where.startswith("sha256:")
    assert why in error.what


@pytest.mark.parametrize(
    ("manifest", "why"),
    [
        (b"[]", "it is JSON but no object"),
        (b"<html>", "it is no valid JSON"),
        (b"\xff", "it is no valid JSON"),
        (b'{"a":1,"a":2}', "a key appears twice"),
        (b"[" * 100_000, "it is no valid JSON"),
        (b" " * (8 * 1024 * 1024 + 1), "it is larger than"),
    ],
)
def test_a_manifest_that_is_no_json_object_is_refused(manifest: bytes, why: str) -> None:
    with pytest.raises(IntegrityError) as caught:
        rebuild(manifest, OCI, b"{}", BUILT, CREATED)

    assert why in caught.value.what


def test_the_index_is_proven_by_the_same_eyes_as_upstream_s_and_its_order_is_by_name() -> None:
    docker = rebuilt({**UPSTREAM, "architecture": "arm64"}, replace(BUILT, platform=ARM64), DOCKER)
    armv7 = Platform("linux", "arm", "v7")
    children = [(ARM64, docker), (AMD64, rebuilt()), (armv7, rebuilt(created=CREATED - timedelta(1)))]
    body = rebuilt_index(children, {"org.opencontainers.image.base.name": "upstream"})
    expected = Index(digest_of(body), INDEX_TYPES[0], (AMD64, armv7, ARM64))

    assert json.loads(body)["annotations"] == {"org.opencontainers.image.base.name": "upstream"}
    assert body == rebuilt_index(children[::-1], {"org.opencontainers.image.base.name": "upstream"})
    assert prove_index(body, content_type=INDEX_TYPES[0], header_digest=None, expected=None) == expected


@pytest.mark.parametrize("platforms", [(), (AMD64, AMD64)])
def test_an_index_of_nothing_or_of_one_platform_twice_is_not_made(platforms: tuple[Platform, ...]) -> None:
    with pytest.raises(ValueError, match="each platform once"):
        rebuilt_index([(platform, rebuilt()) for platform in platforms], {})


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {"Labels": None, "Env": []}, (Changes(), "nothing")),
        ({"Labels": {"a": "1"}}, {"Labels": {}}, (Changes(("a",)), "labels a")),
        (
            {"Labels": {"a": "1", "b": "2"}, "User": "1"},
            {"Labels": {"a": "1", "b": "3", "c": "\x1b[31m"}, "ExposedPorts": {"1/tcp": {}}},
            (Changes(("b", "c"), ("1/tcp",), ("User",)), "labels b, c; exposed ports 1/tcp; also User"),
        ),
        (
            {},
            {"Labels": dict.fromkeys("abcdefghij", "")},
            (Changes(tuple("abcdefghij")), "labels a, b, c, d, e, f, g, h and 2 more"),
        ),
    ],
)
def test_what_changed_is_named(
    before: Mapping[str, object], after: Mapping[str, object], expected: tuple[Changes, str]
) -> None:
    found = changes(before, after)

    assert expected == (found, str(found))
