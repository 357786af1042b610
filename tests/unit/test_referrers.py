from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from bot.core.content import Content, read_content
from bot.core.index import INDEX_TYPES, MANIFEST_TYPES, NotProven
from bot.core.release.referrers import extends, listed_with
from tests.unit.values import NEW, OLD, OTHER

CONFIG = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": OLD, "size": 2}


def manifest(*layers: str, **more: object) -> Content:
    described = [{"mediaType": "application/x", "digest": digest, "size": 1} for digest in layers]
    document = {"schemaVersion": 2, "mediaType": MANIFEST_TYPES[0], "config": CONFIG, "layers": described, **more}
    return read_content(
        json.dumps(document).encode(), content_type=MANIFEST_TYPES[0], header_digest=None, expected=None
    )


def entries(content: Content) -> Sequence[dict[str, object]]:
    found: Sequence[dict[str, object]] = json.loads(content.body)["manifests"]
    return found


def test_a_list_says_of_each_what_kind_it_is_and_what_it_says_of_itself() -> None:
    one = manifest(artifactType="application/a", annotations={"k": "v"})
    listed = listed_with(None, [one])

    assert (listed.media_type, listed.is_index) == (INDEX_TYPES[0], True)
    assert entries(listed) == [
        {
            "mediaType": MANIFEST_TYPES[0],
            "digest": one.digest,
            "size": len(one.body),
            "artifactType": "application/a",
            "annotations": {"k": "v"},
        }
    ]


def test_without_an_artifact_type_the_config_s_type_is_the_kind() -> None:
    assert entries(listed_with(None, [manifest()]))[0]["artifactType"] == CONFIG["mediaType"]


def test_what_stands_in_a_list_already_stays_as_it_is_and_stands_there_once() -> None:
    one, two = manifest(artifactType="application/a"), manifest(artifactType="application/b")
    before = listed_with(None, [one])
    bent = json.loads(before.body)
    bent["manifests"][0]["artifactType"] = "as somebody wrote it"
    bent["annotations"] = {"x": "y"}
    theirs = read_content(json.dumps(bent).encode(), content_type=INDEX_TYPES[0], header_digest=None, expected=None)
    after = listed_with(theirs, [one, two])

    assert [entry["artifactType"] for entry in entries(after)] == ["as somebody wrote it", "application/b"]


def test_the_same_list_is_the_same_bytes() -> None:
    one = manifest(artifactType="application/a")

    assert listed_with(listed_with(None, [one]), [one]).digest == listed_with(None, [one]).digest


@pytest.mark.parametrize("kind", [7, "a" * 256])
def test_one_that_does_not_say_what_it_is_is_refused(kind: object) -> None:
    with pytest.raises(NotProven, match="does not say what it is"):
        listed_with(None, [manifest(artifactType=kind)])


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ((NEW,), (NEW,), True),
        ((NEW, OTHER), (NEW,), True),
        ((NEW,), (NEW, OTHER), False),
        ((OTHER,), (NEW,), False),
        ((NEW,), (), True),
    ],
)
def test_a_tag_of_signatures_only_grows(ours: Sequence[str], theirs: Sequence[str], *, expected: bool) -> None:
    assert extends(manifest(*ours), manifest(*theirs)) == expected
