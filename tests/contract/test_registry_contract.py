"""What the bot needs of a registry (OCI distribution specification 1.1), asked by plain HTTP."""

from __future__ import annotations

import json

import httpx
import pytest

from bot.core.reference import digest_of
from bot.embedded.images import INDEX, Content, MultiPlatformImage, build_image
from tests.contract.under_test import RegistryUnderTest

ACCEPT = {"Accept": INDEX}


@pytest.fixture
def image() -> MultiPlatformImage:
    return build_image(labels={"org.opencontainers.image.source": "https://example.com"}, attestations=True)


def upload(registry: RegistryUnderTest, blob: bytes) -> httpx.Response:
    start = registry.client.post(f"/v2/{registry.repository}/blobs/uploads/")
    assert start.status_code == 202
    location = httpx.URL(start.headers["Location"]).copy_merge_params({"digest": digest_of(blob)})
    headers = {"Content-Type": "application/octet-stream"}
    return registry.client.put(location, content=blob, headers=headers)


def put(registry: RegistryUnderTest, reference: str, manifest: Content) -> httpx.Response:
    url = f"/v2/{registry.repository}/manifests/{reference}"
    return registry.client.put(url, content=manifest.data, headers={"Content-Type": manifest.media_type})


def push(registry: RegistryUnderTest, image: MultiPlatformImage, *tags: str) -> None:
    for blob in image.blobs:
        assert upload(registry, blob.data).status_code == 201
    for manifest in (*image.manifests, image.index):
        assert put(registry, manifest.digest, manifest).status_code == 201
    for tag in tags:
        assert put(registry, tag, image.index).status_code == 201


def error_code(response: httpx.Response) -> str:
    code: str = response.json()["errors"][0]["code"]
    return code


def test_version_check_answers(registry: RegistryUnderTest) -> None:
    assert registry.client.get("/v2/").status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_index_is_found_by_tag_and_by_digest(
    registry: RegistryUnderTest, image: MultiPlatformImage, method: str
) -> None:
    push(registry, image, "v1.4.1")
    for reference in ("v1.4.1", image.digest):
        url = f"/v2/{registry.repository}/manifests/{reference}"
        response = registry.client.request(method, url, headers=ACCEPT)

        assert response.status_code == 200
        assert response.headers["Content-Type"] == INDEX
        assert response.headers["Docker-Content-Digest"] == image.digest
        assert int(response.headers["Content-Length"]) == len(image.index.data)
        assert response.content == (image.index.data if method == "GET" else b"")


def test_children_are_found_by_digest(registry: RegistryUnderTest, image: MultiPlatformImage) -> None:
    push(registry, image)
    for child in image.manifests:
        url = f"/v2/{registry.repository}/manifests/{child.digest}"

        assert registry.client.get(url, headers={"Accept": child.media_type}).content == child.data


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_blob_is_found_by_digest(registry: RegistryUnderTest, image: MultiPlatformImage, method: str) -> None:
    push(registry, image)
    blob = image.blobs[1]
    response = registry.client.request(method, f"/v2/{registry.repository}/blobs/{blob.digest}")

    assert response.status_code == 200
    assert int(response.headers["Content-Length"]) == len(blob.data)
    assert response.content == (blob.data if method == "GET" else b"")


def test_missing_manifest_is_an_error_in_the_specified_form(
    registry: RegistryUnderTest, image: MultiPlatformImage
) -> None:
    push(registry, image, "v1.4.1")
    response = registry.client.get(f"/v2/{registry.repository}/manifests/v9.9.9", headers=ACCEPT)

    assert response.status_code == 404
    assert error_code(response) == "MANIFEST_UNKNOWN"


def test_missing_repository_is_an_error(registry: RegistryUnderTest) -> None:
    manifest = registry.client.get(f"/v2/{registry.repository}/manifests/v1", headers=ACCEPT)
    tags = registry.client.get(f"/v2/{registry.repository}/tags/list")

    assert (manifest.status_code, tags.status_code) == (404, 404)
    assert error_code(manifest) in {"NAME_UNKNOWN", "MANIFEST_UNKNOWN"}
    assert error_code(tags) == "NAME_UNKNOWN"


def test_missing_blob_is_an_error(registry: RegistryUnderTest, image: MultiPlatformImage) -> None:
    push(registry, image)
    response = registry.client.get(f"/v2/{registry.repository}/blobs/{digest_of(b'nothing')}")

    assert response.status_code == 404
    assert error_code(response) == "BLOB_UNKNOWN"


def listed(registry: RegistryUnderTest, query: str) -> list[list[str]]:
    url: httpx.URL | None = httpx.URL(f"/v2/{registry.repository}/tags/list{query}")
    pages: list[list[str]] = []
    while url is not None and len(pages) < 9:
        response = registry.client.get(url)
        assert response.json()["name"] == registry.repository
        pages.append(response.json()["tags"])
        following = response.links.get("next")
        url = httpx.URL(following["url"]) if following else None
    return pages


def test_every_tag_is_listed_without_a_page_size(registry: RegistryUnderTest, image: MultiPlatformImage) -> None:
    push(registry, image, "v1.3.1", "v1.4.0", "latest")
    tags = [tag for page in listed(registry, "") for tag in page]

    assert sorted(tags) == ["latest", "v1.3.1", "v1.4.0"]


def test_every_tag_is_listed_in_pages(registry: RegistryUnderTest, image: MultiPlatformImage) -> None:
    push(registry, image, "v1.3.1", "v1.4.0", "v1.4.1", "v1.10.0", "latest")
    pages = listed(registry, "?n=2")

    match registry.part:
        case "crane":  # cuts at n and sends no Link: whoever asks for n sees no more than n
            assert pages == [["latest", "v1.10.0"]]
        case "docker-registry":  # ignores n, and sorts as its folders are sorted
            assert sorted(*pages) == ["latest", "v1.10.0", "v1.3.1", "v1.4.0", "v1.4.1"]
        case _:
            assert pages == [["latest", "v1.10.0"], ["v1.3.1", "v1.4.0"], ["v1.4.1"]]


def test_listing_goes_on_after_last(registry: RegistryUnderTest, image: MultiPlatformImage) -> None:
    push(registry, image, "a", "b", "c")
    after_b = listed(registry, "?last=b")
    after_c = listed(registry, "?last=c")

    match registry.part:
        case "crane":  # starts again at the end: paging by `last` alone never ends
            assert (after_b, after_c) == ([["c"]], [["a", "b", "c"]])
        case "docker-registry":  # ignores last
            assert (sorted(*after_b), sorted(*after_c)) == (["a", "b", "c"], ["a", "b", "c"])
        case _:
            assert (after_b, after_c) == ([["c"]], [[]])


def test_bytes_under_another_digest_are_refused(registry: RegistryUnderTest, image: MultiPlatformImage) -> None:
    push(registry, image)
    other = digest_of(b"other")
    start = registry.client.post(f"/v2/{registry.repository}/blobs/uploads/")
    location = httpx.URL(start.headers["Location"]).copy_merge_params({"digest": other})
    blob = registry.client.put(location, content=b"these")
    manifest = put(registry, other, image.index)

    assert (blob.status_code, error_code(blob)) == (400, "DIGEST_INVALID")
    if registry.part == "crane":  # stores it under its own digest and says so
        assert manifest.headers["Docker-Content-Digest"] == image.digest
    else:
        assert (manifest.status_code, error_code(manifest)) == (400, "DIGEST_INVALID")


def test_manifest_before_its_blobs_is_refused(registry: RegistryUnderTest, image: MultiPlatformImage) -> None:
    response = put(registry, image.manifests[0].digest, image.manifests[0])

    if registry.part == "crane":  # looks for the children of an index only
        assert response.status_code == 201
    else:
        assert response.status_code in {400, 404}
        assert error_code(response) == "MANIFEST_BLOB_UNKNOWN"


def test_index_before_its_children_is_refused(registry: RegistryUnderTest, image: MultiPlatformImage) -> None:
    response = put(registry, "v1.4.1", image.index)

    assert response.status_code in {400, 404}


def test_blob_is_uploaded_in_chunks(registry: RegistryUnderTest) -> None:
    blob = b"one and two"
    start = registry.client.post(f"/v2/{registry.repository}/blobs/uploads/")
    headers = {"Content-Type": "application/octet-stream", "Content-Range": "0-3"}
    first = registry.client.patch(start.headers["Location"], content=blob[:4], headers=headers)
    assert (first.status_code, first.headers["Range"]) == (202, "0-3")
    headers["Content-Range"] = f"4-{len(blob) - 1}"
    second = registry.client.patch(first.headers["Location"], content=blob[4:], headers=headers)
    assert second.status_code == 202
    location = httpx.URL(second.headers["Location"]).copy_merge_params({"digest": digest_of(blob)})
    done = registry.client.put(location)

    assert done.status_code == 201
    assert done.headers["Docker-Content-Digest"] == digest_of(blob)
    assert registry.client.get(f"/v2/{registry.repository}/blobs/{digest_of(blob)}").content == blob


def test_blob_is_uploaded_as_a_stream_of_unknown_length(registry: RegistryUnderTest) -> None:
    start = registry.client.post(f"/v2/{registry.repository}/blobs/uploads/")
    headers = {"Content-Type": "application/octet-stream"}
    sent = registry.client.patch(start.headers["Location"], content=iter([b"one ", b"two"]), headers=headers)
    digest = digest_of(b"one two")
    done = registry.client.put(httpx.URL(sent.headers["Location"]).copy_merge_params({"digest": digest}))

    assert done.status_code == 201


def test_mount_is_done_or_asks_for_an_upload(registry: RegistryUnderTest, image: MultiPlatformImage) -> None:
    push(registry, image)
    blob = image.blobs[0]
    target = f"/v2/{registry.repository}-copy/blobs"
    missing = registry.client.post(f"{target}/uploads/?mount={digest_of(b'?')}&from={registry.repository}")
    mounted = registry.client.post(f"{target}/uploads/?mount={blob.digest}&from={registry.repository}")

    assert missing.status_code == 202
    assert mounted.status_code == (202 if registry.part == "crane" else 201)
    if mounted.status_code == 201:
        assert registry.client.head(f"{target}/{blob.digest}").status_code == 200


def test_tag_moves_with_a_push(registry: RegistryUnderTest, image: MultiPlatformImage) -> None:
    push(registry, image, "v1")
    other = build_image(variation="other")
    push(registry, other, "v1")
    response = registry.client.get(f"/v2/{registry.repository}/manifests/v1", headers=ACCEPT)

    assert response.headers["Docker-Content-Digest"] == other.digest


def test_index_is_not_given_to_who_does_not_accept_it(registry: RegistryUnderTest, image: MultiPlatformImage) -> None:
    push(registry, image, "v1")
    headers = {"Accept": "application/vnd.docker.distribution.manifest.v2+json"}
    response = registry.client.get(f"/v2/{registry.repository}/manifests/v1", headers=headers)

    if registry.part == "crane":  # does not read Accept
        assert response.headers["Content-Type"] == INDEX
    else:
        assert (response.status_code, error_code(response)) == (404, "MANIFEST_UNKNOWN")


def test_referrers_are_listed_where_they_are_known(registry: RegistryUnderTest, image: MultiPlatformImage) -> None:
    push(registry, image)
    child = image.manifests[0]
    signature = {**json.loads(child.data), "subject": image.index.descriptor()}
    referrer = Content(child.media_type, json.dumps(signature).encode())
    put(registry, referrer.digest, referrer)
    response = registry.client.get(f"/v2/{registry.repository}/referrers/{image.digest}")

    if registry.part == "embedded":
        assert response.headers["Content-Type"] == INDEX
        assert [entry["digest"] for entry in response.json()["manifests"]] == [referrer.digest]
    else:  # `crane registry serve` leaves them switched off; distribution 2.8 is older than they are
        assert response.status_code == 404
