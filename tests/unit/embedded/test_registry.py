from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Iterator

import httpx  # noqa: TC002 - one plain import is easier to read
import pytest

from bot.core.reference import digest_of
from bot.embedded.images import INDEX, build_image
from bot.embedded.registry import EmbeddedRegistry
from bot.embedded.tokens import TokenServer
from tests.loopback import loopback_client

NAME = "agentgateway/agentgateway"
ACCEPT = {"Accept": INDEX}


@pytest.fixture
def registry() -> Iterator[EmbeddedRegistry]:
    with EmbeddedRegistry() as running:
        yield running


def manifest(registry: EmbeddedRegistry, reference: str, **headers: str) -> httpx.Response:
    with loopback_client(registry.url) as client:
        return client.get(f"/v2/{NAME}/manifests/{reference}", headers=ACCEPT | headers)


def token(registry: EmbeddedRegistry, scope: str, auth: tuple[str, str] | None = None) -> httpx.Response:
    with loopback_client(registry.url) as client:
        return client.get("/token", params={"scope": scope}, auth=auth)


def test_image_has_the_same_bytes_on_every_machine() -> None:
    image = build_image(labels={"a": "b"}, annotations={"c": "d"}, attestations=True)

    assert image.digest == "sha256:207032dbaf4d4cce7c0e1c0b58bdd198c6a7c2c1641caf9aa903dc75c935612b"


def test_image_is_real_down_to_its_files() -> None:
    image = build_image(("linux/arm/v7",), files={"etc/os-release": b"ID=wolfi\n"})
    config, layer = image.blobs
    with tarfile.open(fileobj=io.BytesIO(layer.data)) as archive:
        file = archive.extractfile("etc/os-release")
        assert file is not None
        content = file.read()
    diff_ids = json.loads(config.data)["rootfs"]["diff_ids"]
    (entry,) = json.loads(image.index.data)["manifests"]

    assert content == b"ID=wolfi\n"
    assert diff_ids == [digest_of(gzip.decompress(layer.data))]
    assert entry["platform"] == {"os": "linux", "architecture": "arm", "variant": "v7"}
    assert entry["digest"] == image.manifests[0].digest


def test_variation_changes_the_digest() -> None:
    assert build_image(variation="a").digest != build_image(variation="b").digest


def test_pushed_image_is_there(registry: EmbeddedRegistry) -> None:
    digest = registry.push_image(NAME, "v1.4.1")

    assert digest_of(manifest(registry, "v1.4.1").content) == digest
    assert registry.host == registry.url.removeprefix("http://")


def test_any_bytes_can_stand_under_a_tag(registry: EmbeddedRegistry) -> None:
    registry.push_bytes(NAME, "v1", b"<html>", "text/html")
    response = manifest(registry, "v1")

    assert (response.content, response.headers["Content-Type"]) == (b"<html>", "text/html")


def test_tags_are_listed_oldest_first_when_told_to() -> None:
    with EmbeddedRegistry(tag_order="pushed", page_size=2) as registry:
        for tag in ("v1.3.1", "v1.10.0", "latest"):
            registry.push_image(NAME, tag)
        with loopback_client(registry.url) as client:
            first = client.get(f"/v2/{NAME}/tags/list?n=1000")
            second = client.get(first.links["next"]["url"])

    assert (first.json()["tags"], second.json()["tags"]) == (["v1.3.1", "v1.10.0"], ["latest"])


def test_immutable_tag_is_refused_even_for_the_same_digest() -> None:
    with EmbeddedRegistry(immutable_tags=True) as registry:
        image = build_image()
        registry.push(NAME, "v1", image)
        with loopback_client(registry.url) as client:
            url = f"/v2/{NAME}/manifests/v1"
            response = client.put(url, content=image.index.data, headers={"Content-Type": INDEX})

    assert (response.status_code, response.json()["errors"][0]["code"]) == (400, "TAG_INVALID")


def test_referrers_are_unknown_when_switched_off() -> None:
    with EmbeddedRegistry(referrers=False) as registry:
        digest = registry.push_image(NAME, "v1")

        with loopback_client(registry.url) as client:
            response = client.get(f"/v2/{NAME}/referrers/{digest}")

    assert response.status_code == 404


def test_anonymous_token_opens_a_public_image() -> None:
    with EmbeddedRegistry(tokens=TokenServer()) as registry:
        registry.push_image(NAME, "v1")
        refused = manifest(registry, "v1")
        given = token(registry, f"repository:{NAME}:pull").json()["token"]
        allowed = manifest(registry, "v1", Authorization=f"Bearer {given}")

        assert refused.status_code == 401
        assert refused.headers["WWW-Authenticate"] == (
            f'Bearer realm="{registry.url}/token",service="{registry.host}",scope="repository:{NAME}:pull"'
        )
        assert allowed.status_code == 200


def test_token_is_good_for_its_scope_only() -> None:
    with EmbeddedRegistry(tokens=TokenServer()) as registry:
        registry.push_image(NAME, "v1")
        given = token(registry, "repository:other/image:pull").json()["token"]
        response = manifest(registry, "v1", Authorization=f"Bearer {given}")

        assert response.status_code == 401
        assert 'error="insufficient_scope"' in response.headers["WWW-Authenticate"]


def test_token_expires() -> None:
    tokens = TokenServer()
    with EmbeddedRegistry(tokens=tokens) as registry:
        registry.push_image(NAME, "v1")
        given = token(registry, f"repository:{NAME}:pull").json()["token"]
        tokens.expire()

        assert manifest(registry, "v1", Authorization=f"Bearer {given}").status_code == 401


@pytest.mark.parametrize(
    ("auth", "private", "status", "may_push"),
    [
        (("bot", "secret"), True, 200, True),
        (("bot", "wrong"), False, 401, False),
        (None, True, 401, False),
        (None, False, 200, False),
    ],
)
def test_user_pushes_and_others_pull_what_is_public(
    auth: tuple[str, str] | None, private: bool, status: int, may_push: bool
) -> None:
    tokens = TokenServer(user="bot", password="secret", private=private)  # noqa: S106 - on loopback
    with EmbeddedRegistry(tokens=tokens) as registry:
        answer = token(registry, f"repository:{NAME}:pull,push", auth)
        headers = {"Authorization": f"Bearer {answer.json().get('token', 'none')}"}
        with loopback_client(registry.url) as client:
            push = client.post(f"/v2/{NAME}/blobs/uploads/", headers=headers)

    assert answer.status_code == status
    assert push.status_code == (202 if may_push else 401)
