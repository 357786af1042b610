"""What is attached to an image comes along; what is no document about it is left, and hinders nothing."""

from __future__ import annotations

import json

import pytest

from bot.core.reference import Digest
from bot.embedded.images import CONFIG, INDEX, LAYER, MANIFEST, Content
from bot.embedded.server import Fault, Response
from bot.errors import BotError
from bot.flows.attach import MAX_OF_OURS, MAX_REFERRERS
from bot.flows.retag import Copied
from tests.flows.pair import Pair, pair
from tests.flows.release_standins import (
    BUNDLE,
    LEGACY,
    STRANGER,
    attach,
    manifest_of,
    proven,
    sign_legacy,
    subject_of,
    with_entry,
)
from tests.flows.releases import writes_of

__all__ = ["pair"]


def test_a_signature_tag_that_only_grew_is_brought_up_to_date_and_never_back(pair: Pair) -> None:
    digest = pair.one.push_image("up/app", "v1")
    pair.copy(digest)
    tag = f"{digest.replace(':', '-')}.sig"
    sign_legacy(pair.theirs, digest, "one")
    pair.attached(digest)
    first = pair.theirs.manifests[pair.theirs.tags[tag]]
    more = Content(LEGACY, b'{"identity": "two"}')
    pair.theirs.add_blob(more.data)
    grown = json.loads(first.data)
    grown["layers"].append(more.descriptor())
    both = pair.theirs.add_manifest(Content(MANIFEST, json.dumps(grown).encode()), tag)
    pair.attached(digest)
    after_growth = pair.ours.tags[tag]
    pair.theirs.tags[tag] = first.digest
    copied, warnings = pair.attached(digest)

    assert (after_growth, pair.ours.tags[tag]) == (both, both)
    assert (copied, warnings) == (Copied(), ())


def test_a_signature_tag_with_something_else_is_left_with_a_warning(pair: Pair) -> None:
    digest = pair.one.push_image("up/app", "v1")
    pair.copy(digest)
    sign_legacy(pair.theirs, digest, "one")
    sign_legacy(pair.ours, digest, "another")
    tag = f"{digest.replace(':', '-')}.sig"
    before = pair.ours.tags[tag]
    _, warnings = pair.attached(digest)

    assert pair.ours.tags[tag] == before
    assert warnings == (
        f"{pair.other.host}/our/app:{tag} was left: it holds something else than in {pair.one.host}/up/app",
    )


def test_a_signature_tag_that_may_not_be_moved_is_left_with_a_warning(pair: Pair) -> None:
    digest = pair.one.push_image("up/app", "v1")
    pair.copy(digest)
    sign_legacy(pair.theirs, digest, "one")
    pair.attached(digest)
    pair.other.immutable_tags = True
    tag = f"{digest.replace(':', '-')}.sig"
    grown = json.loads(pair.theirs.manifests[pair.theirs.tags[tag]].data)
    grown["layers"].append(grown["layers"][0] | {"annotations": {"a": "b"}})
    more = Content(LEGACY, b"{}x")
    pair.theirs.add_blob(more.data)
    grown["layers"].append(more.descriptor())
    pair.theirs.add_manifest(Content(MANIFEST, json.dumps(grown).encode()), tag)
    _, warnings = pair.attached(digest)

    assert len(warnings) == 1
    assert "was left: the tag may not be moved" in warnings[0]


@pytest.mark.parametrize("must", [True, False])
def test_a_list_of_referrers_in_a_tag_that_may_not_be_moved(pair: Pair, *, must: bool) -> None:
    """No API for referrers, and immutable tags: what is attached later can be listed nowhere."""
    digest = pair.one.push_image("up/app", "v1")
    pair.copy(digest)
    pair.other.referrers, pair.other.immutable_tags = False, True
    attach(pair.theirs, digest, STRANGER)
    pair.attached(digest)
    attach(pair.theirs, digest, "another")
    if must:
        with pytest.raises(Exception, match="the tag may not be moved") as raised:
            pair.attached(digest, must=True)
        assert "let its tags be mutable" in str(getattr(raised.value, "next_step", ""))
        return
    _, warnings = pair.attached(digest)

    assert len(warnings) == 1
    assert "the tag may not be moved" in warnings[0]


def refer(pair: Pair, digest: Digest, *blobs: Content, **more: object) -> Digest:
    """Something that says of itself that it speaks of an image."""
    for blob in blobs:
        pair.theirs.add_blob(blob.data)
    pair.theirs.add_blob(b"{}")
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": Content("application/vnd.oci.empty.v1+json", b"{}").descriptor(),
        "layers": [blob.descriptor() for blob in blobs],
        "subject": subject_of(pair.theirs, digest),
        **more,
    }
    return pair.theirs.add_manifest(Content(MANIFEST, json.dumps(document).encode()))


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("number", "a referrer does not say what it is"),
        ("words", "a referrer does not say what it is"),
        ("long", "a referrer does not say what it is"),
        ("image", "it is an image: it has layers"),
        ("manifest", "its manifest has"),
        ("parts", "it has 66 parts, more than 64"),
    ],
)
def test_what_is_no_document_about_an_image_is_left(pair: Pair, how: str, why: str) -> None:
    digest = pair.one.push_image("up/app", "v1")
    pair.copy(digest)
    pair.other.referrers = False  # the list under the tag would have to name its type
    attach(pair.theirs, digest, "a-person")
    match how:
        case "image":
            left = refer(pair, digest, Content(LAYER, b"layer"), artifactType=BUNDLE)
        case "manifest":
            left = refer(pair, digest, artifactType=BUNDLE, annotations={"a": "x" * 1024 * 1024})
        case "parts":
            left = refer(pair, digest, *[Content(LEGACY, b"%d" % n) for n in range(65)], artifactType=BUNDLE)
        case _:
            kind = {"number": 5, "words": "not a type", "long": f"a/{'b' * 300}"}[how]
            left = refer(pair, digest, artifactType=kind)
    _, warnings = pair.attached(digest)

    assert [why in warning for warning in warnings] == [True]
    assert left not in pair.ours.manifests
    assert proven(pair.ours, digest, "a-person") != set()


def test_a_document_that_is_too_large_is_not_read(pair: Pair) -> None:
    digest = pair.one.push_image("up/app", "v1")
    pair.copy(digest)
    huge = Content(BUNDLE, b"x")
    pair.theirs.add_blob(huge.data)
    layer = huge.descriptor() | {"size": 32 * 1024 * 1024}
    refer(pair, digest, artifactType=BUNDLE, layers=[layer])
    pair.one.exchanges.clear()
    _, warnings = pair.attached(digest)

    assert ["bytes, more than 33,554,432" in warning for warning in warnings] == [True]
    assert [exchange.path for exchange in pair.one.exchanges if "/blobs/" in exchange.path] == []


def test_an_image_under_the_tag_of_a_signature_is_left(pair: Pair) -> None:
    digest = pair.one.push_image("up/app", "v1")
    pair.copy(digest)
    tag = f"{digest.replace(':', '-')}.sbom"
    layer = Content(LAYER, b"evil")
    for blob in (layer, Content(CONFIG, b"{}")):
        pair.theirs.add_blob(blob.data)
    pair.theirs.add_manifest(manifest_of([layer]), tag)
    _, warnings = pair.attached(digest)

    assert warnings == (f"{pair.other.host}/our/app:{tag} was left: it is an image: it has layers",)
    assert tag not in pair.ours.tags


@pytest.mark.parametrize("status", [400, 413])
def test_what_the_target_does_not_take_is_left(pair: Pair, status: int) -> None:
    digest = pair.one.push_image("up/app", "v1")
    pair.copy(digest)
    refused = attach(pair.theirs, digest, STRANGER)
    taken = attach(pair.theirs, digest, "a-person")
    pair.other.intercept = lambda method, path: (
        Fault(answer=Response(status)) if method == "PUT" and path.endswith(refused) else None
    )
    _, warnings = pair.attached(digest)

    assert [f"HTTP {status}" in warning for warning in warnings] == [True]
    assert (refused in pair.ours.manifests, taken in pair.ours.manifests) == (False, True)


def test_annotations_that_are_too_many_for_a_list_stay_in_the_manifest(pair: Pair) -> None:
    digest = pair.one.push_image("up/app", "v1")
    pair.copy(digest)
    pair.other.referrers = False
    few = refer(pair, digest, artifactType=BUNDLE, annotations={"few": "x"})
    many = refer(pair, digest, artifactType=BUNDLE, annotations={"many": "x" * 5000})
    pair.attached(digest)
    listed = json.loads(pair.ours.manifests[pair.ours.tags[digest.replace(":", "-")]].data)["manifests"]

    assert {entry["digest"]: entry.get("annotations") for entry in listed} == {few: {"few": "x"}, many: None}
    assert many in pair.ours.manifests


def test_two_who_signed_the_same_bytes_are_two(pair: Pair) -> None:
    """cosign keeps a signature in a layer's annotations."""
    digest = pair.one.push_image("up/app", "v1")
    pair.copy(digest)
    sign_legacy(pair.theirs, digest, "one")
    tag = f"{digest.replace(':', '-')}.sig"
    first = json.loads(pair.theirs.manifests[pair.theirs.tags[tag]].data)
    layer = first["layers"][0]
    void, ours = (
        Content(MANIFEST, json.dumps(first | {"layers": layers}).encode())
        for layers in ([layer | {"annotations": {"signature": "void"}}], [layer, layer | {"annotations": {"b": "2"}}])
    )
    for each in (Content(LEGACY, b""), *[Content(LEGACY, blob) for blob in pair.theirs.blobs.values()]):
        pair.ours.add_blob(each.data)
    pair.ours.add_manifest(void, tag)
    _, planted = pair.attached(digest)
    pair.ours.tags.pop(tag)
    pair.attached(digest)
    pair.theirs.add_manifest(ours, tag)
    pair.attached(digest)

    assert ["it holds something else" in warning for warning in planted] == [True]
    assert pair.ours.tags[tag] == ours.digest


def test_a_list_of_the_target_s_that_nobody_can_read_is_written_anew(pair: Pair) -> None:
    digest = pair.one.push_image("up/app", "v1")
    pair.copy(digest)
    pair.other.referrers = False
    attach(pair.theirs, digest, "a-person")
    pair.ours.add_manifest(Content(INDEX, b'{"schemaVersion": 2, "manifests": 5}'), digest.replace(":", "-"))
    _, warnings = pair.attached(digest)

    assert warnings == ()
    assert proven(pair.ours, digest, "a-person") != set()


def test_strangers_referrers_do_not_crowd_out_what_must_come_along(pair: Pair) -> None:
    digest = pair.one.push_image("up/app", "v1")
    pair.copy(digest)
    for number in range(100):
        refer(pair, digest, artifactType="application/x", annotations={"number": str(number)})
    attach(pair.theirs, digest, "us")
    pair.attached(digest, must=True)

    assert proven(pair.ours, digest, "us") != set()


# --- lists of referrers


def paged(pair: Pair, digest: Digest, second: Response) -> None:
    """The source lists its first referrer on one page, and says of a second page."""
    whole = json.loads(pair.theirs.referrers(digest))
    page = json.dumps({**whole, "manifests": whole["manifests"][:1]}).encode()
    link = ("Link", f'</v2/up/app/referrers/{digest}?page=2>; rel="next"')
    first = Response(200, page, (("Content-Type", INDEX), link))

    def intercept(_method: str, path: str) -> Fault | None:
        if "/referrers/" not in path:
            return None
        return Fault(answer=second if path.endswith("?page=2") else first)

    pair.one.intercept = intercept


def test_referrers_on_two_pages_come_along_all(pair: Pair) -> None:
    digest = pair.one.push_image("up/app", "v1")
    pair.copy(digest)
    people = ("a-person", "another", "a-third")
    for person in people:
        attach(pair.theirs, digest, person)
    whole = json.loads(pair.theirs.referrers(digest))
    rest = json.dumps({**whole, "manifests": whole["manifests"][1:]}).encode()
    paged(pair, digest, Response(200, rest, (("Content-Type", INDEX),)))
    copied, warnings = pair.attached(digest)

    assert (copied.manifests, warnings) == (3, ())
    assert all(proven(pair.ours, digest, person) for person in people)


PAGE = Response(200, b"<html>", (("Content-Type", "text/html"),))
BREAKS_OFF = {
    "not there": (Response(404), 4, "HTTP 404"),
    "denied": (Response(403), 4, "HTTP 403"),
    "unavailable": (Response(503), 4, "HTTP 503"),
}


@pytest.mark.parametrize("must", [True, False])
@pytest.mark.parametrize("how", BREAKS_OFF)
def test_a_list_of_referrers_that_breaks_off_after_its_first_page_is_none(pair: Pair, how: str, *, must: bool) -> None:
    """Else the rest would be missing without a word."""
    digest = pair.one.push_image("up/app", "v1")
    pair.copy(digest)
    attach(pair.theirs, digest, "a-person")
    second, code, said = BREAKS_OFF[how]
    paged(pair, digest, second)
    with pytest.raises(BotError, match=said) as raised:
        pair.attached(digest, must=must)

    assert raised.value.exit_code == code
    assert proven(pair.ours, digest, "a-person") == set()


@pytest.mark.parametrize("how", ["redirect", "page of another kind"])
def test_a_second_page_that_cannot_be_read_is_said(pair: Pair, how: str) -> None:
    digest = pair.one.push_image("up/app", "v1")
    pair.copy(digest)
    attach(pair.theirs, digest, "a-person")
    moved = Response(307, b"", (("Location", f"/v2/up/app/referrers/{digest}"),))
    paged(pair, digest, moved if how == "redirect" else PAGE)
    _, warnings = pair.attached(digest)

    assert [warning.startswith("what refers to ") for warning in warnings] == [True]


@pytest.mark.parametrize(("more", "brought"), [(0, MAX_REFERRERS), (1, MAX_REFERRERS)])
def test_no_more_referrers_than_anybody_needs_are_brought(pair: Pair, more: int, brought: int) -> None:
    digest = pair.one.push_image("up/app", "v1")
    pair.copy(digest)
    for number in range(MAX_REFERRERS + more):
        refer(pair, digest, artifactType="application/x", annotations={"number": str(number)})
    copied, warnings = pair.attached(digest)
    listed = json.loads(pair.ours.referrers(digest))["manifests"]

    assert (copied.manifests, len(listed)) == (brought, brought)
    assert [f"of {MAX_REFERRERS + more} referrers {MAX_REFERRERS} were copied" in said for said in warnings] == [
        True
    ] * more
    assert MAX_OF_OURS > MAX_REFERRERS


def test_a_list_under_the_tag_of_a_signature_is_left(pair: Pair) -> None:
    digest = pair.one.push_image("up/app", "v1")
    pair.copy(digest)
    tag = f"{digest.replace(':', '-')}.sig"
    pair.theirs.tags[tag] = digest
    copied, warnings = pair.attached(digest)

    assert (copied, warnings, tag in pair.ours.tags) == (Copied(), (), False)


@pytest.mark.parametrize("api", [True, False])
def test_referrers_are_listed_under_a_tag_only_where_the_registry_does_not_list_them(pair: Pair, *, api: bool) -> None:
    digest = pair.one.push_image("up/app", "v1")
    pair.copy(digest)
    pair.other.referrers = api
    attached = attach(pair.theirs, digest, "a-person")
    tag = digest.replace(":", "-")
    pair.attached(digest)
    written = [each.path for each in writes_of(pair.other) if each.path.endswith(f"/manifests/{tag}")]

    assert (len(written), tag in pair.ours.tags) == ((0, False) if api else (1, True))
    assert attached in pair.ours.manifests


def test_only_what_is_not_listed_is_added_to_the_list(pair: Pair) -> None:
    """What somebody listed there already stays as it is said, and is not said twice."""
    digest = pair.one.push_image("up/app", "v1")
    pair.copy(digest)
    pair.other.referrers = False
    there = attach(pair.theirs, digest, "a-person")
    added = attach(pair.theirs, digest, "another")
    tag = digest.replace(":", "-")
    pair.ours.add_manifest(pair.theirs.manifests[there])
    pair.ours.add_manifest(with_entry(b"", pair.theirs.manifests[there]), tag)
    pair.attached(digest)
    listed = json.loads(pair.ours.manifests[pair.ours.tags[tag]].data)["manifests"]

    assert [entry["digest"] for entry in listed] == [there, added]
