from __future__ import annotations

import pytest

from bot.core.model import Field, Image, PatternSite, Pin
from bot.core.pins.current import current_pin
from bot.core.pins.held import Held
from bot.core.reference import Digest, Repository, Tag
from bot.core.versions import Ref, Version
from bot.errors import PinError

A = "sha256:" + "a" * 64
B = "sha256:" + "b" * 64
FIRST, SECOND = PatternSite("first", "x"), PatternSite("second", "x")


def image(*tags: str) -> Image:
    return Image("app", Repository("ghcr.io", "a/b"), (FIRST, SECOND), tags=tags or ("{ref}", "{version}"))


def held(*values: tuple[Field, str], site: PatternSite = FIRST) -> tuple[Held, ...]:
    return tuple(Held(site.file, line, 0, 0, field, text, site) for line, (field, text) in enumerate(values, 1))


def pin(ref: str, tag: str, version: str = "1.4.1") -> Pin:
    return Pin(Ref(ref), Version(version, (1, 4, 1)), Digest(A), Tag(tag))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([("ref", "v1.4.1"), ("digest", A)], pin("v1.4.1", "v1.4.1")),
        ([("digest", A), ("version", "1.4.1"), ("ref", "v1.4.1")], pin("v1.4.1", "v1.4.1")),
        ([("ref", "1.4.1"), ("digest", A)], pin("1.4.1", "1.4.1")),
        ([("image", f"ghcr.io/a/b:v1.4.1@{A}")], pin("v1.4.1", "v1.4.1")),
        ([("image", f"ghcr.io/a/b:1.4.1@{A}")], pin("1.4.1", "1.4.1")),
        ([("ref", "v1.4.1"), ("image", f"ghcr.io/a/b:1.4.1@{A}")], pin("v1.4.1", "1.4.1")),
        ([("ref", "v1.4.1"), ("image", A)], pin("v1.4.1", "v1.4.1")),
        ([("image", "v1.4.1"), ("image", A)], pin("v1.4.1", "v1.4.1")),
    ],
)
def test_the_first_site_says_the_pin(values: list[tuple[Field, str]], expected: Pin) -> None:
    assert expected == current_pin(image(), held(*values))


def test_the_tag_that_another_site_holds_is_the_one_in_use() -> None:
    first = held(("ref", "v1.4.1"), ("digest", A))
    second = held(("image", "mirror.example/x:1.4.1"), site=SECOND)

    assert pin("v1.4.1", "1.4.1") == current_pin(image(), first + second)


def test_a_drifting_second_site_does_not_change_the_pin() -> None:
    first = held(("ref", "v1.4.1"), ("digest", A))
    second = held(("image", f"mirror.example/x:v1.3.0@{B}"), ("version", "9.9.9"), site=SECOND)

    assert pin("v1.4.1", "v1.4.1") == current_pin(image(), first + second)


def test_a_ref_may_map_to_a_variant() -> None:
    values = held(("image", f"ghcr.io/a/b:1.4.1-alpine@{A}"))

    assert pin("1.4.1", "1.4.1-alpine") == current_pin(image("{version}-alpine"), values)


@pytest.mark.parametrize(
    ("values", "where", "what"),
    [
        ([("ref", "v1.4.1")], "first:1", "holds no digest"),
        ([("digest", A)], "first:1", "holds no ref"),
        ([("image", A)], "first:1", "holds no ref"),
        ([], "first", "holds no ref"),
        ([("ref", "v1.4.1"), ("digest", "sha256:abc")], "first:2", "is no digest"),
        ([("ref", "latest"), ("digest", A)], "first:1", "'latest' of app is no version"),
        ([("image", f"ghcr.io/a/b:latest@{A}")], "first:1", "'latest' of app is no version"),
        ([("ref", "v1.4.1"), ("digest", A), ("version", "1.4.0")], "first:3", "does not belong"),
        ([("ref", "v1.4.1"), ("digest", A), ("version", "v1.4.1")], "first:3", "does not belong"),
        ([("ref", "v1.4.1"), ("digest", A), ("digest", B)], "first:3", "does not belong"),
        ([("ref", "v1.4.1"), ("digest", A), ("image", f"ghcr.io/a/b@{B}")], "first:3", "does not belong"),
        ([("ref", "v1.4.1"), ("image", f"ghcr.io/a/b:v1.4.0@{A}")], "first:2", "does not belong"),
    ],
)
def test_a_first_site_that_says_no_pin_is_refused(values: list[tuple[Field, str]], where: str, what: str) -> None:
    with pytest.raises(PinError) as refused:
        current_pin(image(), held(*values))

    assert (where, True, True) == (refused.value.where, what in refused.value.what, bool(refused.value.next_step))


def test_a_ref_that_maps_to_no_tag_is_refused() -> None:
    with pytest.raises(PinError) as refused:
        current_pin(image("{ref}/x"), held(("ref", "v1.4.1"), ("digest", A)))

    assert "maps to no image tag" in refused.value.what
