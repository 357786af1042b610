from __future__ import annotations

import random
from itertools import pairwise

import pytest

from bot.core.versions import parse_version, why_no_release
from tests.unit.values import version

SECTION_11 = (
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
)
LARGER = ("1.0.1", "1.2.9", "1.2.10", "1.10.0", "2.0.0-0", "2.0.0-9", "2.0.0--", "2.0.0-A", "2.0.0-a", "2.0.0")


@pytest.mark.parametrize("pair", list(pairwise(SECTION_11 + LARGER)), ids=" < ".join)
def test_precedence_is_that_of_section_11(pair: tuple[str, str]) -> None:
    lower, higher = (version(text) for text in pair)

    assert lower < higher
    assert higher > lower
    assert lower != higher
    assert not higher <= lower


def test_any_order_sorts_to_the_specifications_own() -> None:
    mixed = [version(text) for text in SECTION_11 + LARGER]
    random.Random(1).shuffle(mixed)  # noqa: S311 - any order will do

    actual = tuple(map(str, sorted(mixed)))

    assert actual == SECTION_11 + LARGER


@pytest.mark.parametrize(
    ("text", "same"), [("v1.4.1", "1.4.1"), ("1.4", "1.4.0"), ("v1.4-rc.1", "1.4.0-rc.1"), ("v0.0", "0.0.0")]
)
def test_prefix_and_missing_patch_do_not_count(text: str, same: str) -> None:
    one, other = version(text), version(same)

    assert hash(one) == hash(other)
    assert text.removeprefix("v") == str(one)
    assert one == other


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v",
        "1",
        "v1",
        "1.2.3.4",
        "01.2.3",
        "1.02.3",
        "1.2.03",
        "1.2.3-",
        "1.2.3-a..b",
        "1.2.3-a.",
        "1.2.3+build",
        "vv1.2.3",
        "V1.2.3",
        " 1.2.3",
        "1.2.3 ",
        "1.2.3\n",
        "-1.2.3",
        "1.2.3-\u00e9",
        "\u0661.2.3",
        "1.\u0662.3",
        "1.2.3-rc.\u0663",
        "\uff11.2.3",
        "1.2.3-\u00b2",
        "1000000000.0.0",
        "0.1000000000.0",
        "9" * 100_000,
        "1.2." + "9" * 5000,
        "1.0.0-" + "9" * 5000,
        "1.0.0-" + "a." * 3000 + "a",
        "latest",
        "release-1.2.3",
        "sha256-" + "a" * 64 + ".sig",
    ],
    ids=lambda text: repr(text[:20]),
)
def test_what_is_no_version(text: str) -> None:
    assert parse_version(text) is None


def test_numbers_of_any_length_that_a_tag_can_hold_compare_as_numbers() -> None:
    shorter, longer = version("1.0.0-" + "9" * 100), version("1.0.0-1" + "0" * 100)

    assert shorter < longer
    assert version("999999999.0.0") > version("999999998.999999999.999999999")


def test_a_version_is_no_other_value() -> None:
    assert version("1.2.3") != "1.2.3"


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("1.3.1", "2.3.1", "major"),
        ("1.3.1", "1.4.0", "minor"),
        ("1.3.1", "1.3.2", "patch"),
        ("1.4.0-rc.1", "1.4.0", "prerelease"),
        ("1.4.0-rc.1", "1.4.0-rc.2", "prerelease"),
        ("1.3.1", "2.0.0-rc.1", "major"),
    ],
)
def test_the_part_that_changes_first_names_the_jump(one: str, other: str, expected: str) -> None:
    actual = version(one).jump_to(version(other))

    assert expected == actual


@pytest.mark.parametrize(("text", "expected"), [("1.4.0-rc.1", "1.4.0"), ("v1.4", "1.4.0"), ("1.4.2", "1.4.2")])
def test_the_release_that_a_prerelease_leads_to(text: str, expected: str) -> None:
    actual = version(text).base

    assert expected == actual


@pytest.mark.parametrize(
    ("text", "prereleases", "expected"),
    [
        ("v1.4.1", False, None),
        ("v1.4.1", True, None),
        ("latest", False, "not a version"),
        ("latest", True, "not a version"),
        ("0.0.0-alpha.3fa9c1e", False, "a nightly build (0.0.0)"),
        ("0.0.0", True, "a nightly build (0.0.0)"),
        ("1.5.0-rc.1", False, "a prerelease or variant (rc.1)"),
        ("1.5.0-rc.1", True, None),
        ("1.4.1-musl", False, "a prerelease or variant (musl)"),
    ],
)
def test_what_is_no_release_has_its_reason(text: str, *, prereleases: bool, expected: str | None) -> None:
    actual = why_no_release(parse_version(text), prereleases=prereleases)

    assert expected == actual


@pytest.mark.parametrize("text", ["1.4.0-rc1-musl", "1.4.0-devel"])
def test_a_variant_of_a_prerelease_is_no_prerelease(text: str) -> None:
    assert why_no_release(version(text), prereleases=True) is not None
