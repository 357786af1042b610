from __future__ import annotations

import pytest

from bot.core.model import Field, PatternSite, Pin
from bot.core.pins.held import Held
from bot.core.pins.value import agrees, image_value, render
from bot.core.reference import Digest, Tag
from bot.core.versions import Ref, Version
from bot.errors import PinError

OLD = "sha256:" + "a" * 64
NEW = "sha256:" + "b" * 64
PIN = Pin(Ref("v1.5.0"), Version("1.5.0", (1, 5, 0)), Digest(NEW), Tag("v1.5.0"))
TAGS = (Tag("v1.5.0"), Tag("1.5.0"))


def held(text: str, field: Field = "image") -> Held:
    return Held("some.file", 7, 0, len(text), field, text, PatternSite("some.file", "unused"))


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("v1.4.1", "v1.5.0"),
        ("latest", "v1.5.0"),
        (OLD, NEW),
        ("ghcr.io/owner/name:v1.4.1", "ghcr.io/owner/name:v1.5.0"),
        (f"ghcr.io/owner/name@{OLD}", f"ghcr.io/owner/name@{NEW}"),
        (f"ghcr.io/owner/name:v1.4.1@{OLD}", f"ghcr.io/owner/name:v1.5.0@{NEW}"),
        (f"127.0.0.1:5000/mirror/x@{OLD}", f"127.0.0.1:5000/mirror/x@{NEW}"),
        ("1.dkr.ecr.eu-west-1.amazonaws.com/x:1", "1.dkr.ecr.eu-west-1.amazonaws.com/x:v1.5.0"),
    ],
)
def test_an_image_keeps_its_form_and_its_repository(text: str, rendered: str) -> None:
    assert rendered == render(held(text), PIN)


@pytest.mark.parametrize(
    ("field", "rendered"), [("ref", "v1.5.0"), ("version", "1.5.0"), ("digest", NEW), ("image", NEW)]
)
def test_each_field_has_its_part_of_the_pin(field: Field, rendered: str) -> None:
    assert rendered == render(held(OLD, field), PIN)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256:abc",
        "sha256:" + "A" * 64,
        "sha512:" + "a" * 128,
        "name:v1.4.1",
        f"v1.4.1@{OLD}",
        "ghcr.io/owner/name",
        "ghcr.io/owner/name:",
        "ghcr.io/owner/name@sha256:abc",
        "ghcr.io/Owner/name:v1",
        "ghcr.io/../name:v1",
        "https://ghcr.io/owner/name:v1",
    ],
)
def test_an_image_in_no_known_form_is_refused(text: str) -> None:
    with pytest.raises(PinError) as refused:
        image_value(held(text))
    expected = ("some.file:7", True)

    assert expected == (refused.value.where, bool(refused.value.next_step))


@pytest.mark.parametrize(
    ("text", "field", "expected"),
    [
        ("v1.5.0", "ref", True),
        ("1.5.0", "ref", False),
        ("1.5.0", "version", True),
        ("v1.5.0", "version", False),
        ("1.5", "version", False),
        (NEW, "digest", True),
        (OLD, "digest", False),
        ("v1.5.0", "image", True),
        ("1.5.0", "image", True),
        ("v1.5", "image", False),
        (NEW, "image", True),
        (OLD, "image", False),
        ("mirror.example/x:1.5.0", "image", True),
        (f"mirror.example/x:1.5.0@{NEW}", "image", True),
        (f"mirror.example/x:1.5.0@{OLD}", "image", False),
        (f"mirror.example/x:v1.4.1@{NEW}", "image", False),
    ],
)
def test_values_agree_where_all_their_parts_do(text: str, field: Field, expected: bool) -> None:
    assert expected == agrees(held(text, field), PIN, TAGS)
