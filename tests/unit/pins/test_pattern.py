from __future__ import annotations

import pytest

from bot.core.model import PatternSite, SourceFile
from bot.core.pins.pattern import locate
from bot.errors import PinError, UsageError
from tests.unit.pins.found import held_in, refused

DIGEST = "sha256:" + "a" * 64
PATTERN = r"^image: (?P<image>\S+@sha256:[0-9a-f]{64}) # (?P<version>[0-9.]+)$"
GOOD = f"image: ghcr.io/a/b@{DIGEST} # 1.4.1\n"


def texts(content: str, pattern: str = PATTERN) -> list[tuple[int, str, str]]:
    found = held_in("values.yaml", content, lambda source: locate(source, PatternSite("values.yaml", pattern)))
    return [(value.line, value.field, value.text) for value in found]


def refusal(content: str, pattern: str = PATTERN) -> PinError:
    return refused(lambda: texts(content, pattern))


@pytest.mark.parametrize(("before", "line"), [("", 1), ("\ufeff", 1), ("# é \U0001f600\n", 2), ("\r\n\r\n", 3)])
def test_groups_are_found_by_their_bytes(before: str, line: int) -> None:
    assert [(line, "image", f"ghcr.io/a/b@{DIGEST}"), (line, "version", "1.4.1")] == texts(before + GOOD)


def test_a_pattern_that_matches_nothing_is_refused() -> None:
    error = refusal("image: x\n")
    expected = ("values.yaml:1", True)

    assert expected == (error.where, "is missing" in error.what)


def test_a_pattern_that_matches_twice_is_refused() -> None:
    error = refusal(GOOD + "é\n" + GOOD)
    expected = ("values.yaml:3", True)

    assert expected == (error.where, "more than once, in lines 1, 3" in error.what)


def test_a_group_that_did_not_take_part_is_refused() -> None:
    error = refusal("\ntag: v1\n", r"tag: (?P<ref>\w+)(?:@(?P<digest>\S+))?")
    expected = ("values.yaml:2", True)

    assert expected == (error.where, "group digest" in error.what)


@pytest.mark.parametrize("content", ["tag: v1\r\n", "tag: v1 # x\n", "tag: $v1\n", "tag: é\n", "tag: 'v1'\n"])
def test_a_group_that_matches_more_than_a_value_is_refused(content: str) -> None:
    expected = "values.yaml:1"

    assert expected == refusal(content, r"^tag: (?P<ref>.*)$").where


@pytest.mark.parametrize(
    "pattern", ["(", "(?P<ref>a)(?P<ref>b)", "v1", "(v1)", "(?P<name>v1)", "(?P<ref>a{99999999999})"]
)
def test_a_pattern_that_names_no_field_is_wrong_use(pattern: str) -> None:
    with pytest.raises(UsageError) as refused:
        texts(GOOD, pattern)
    expected = "pattern of the pin site in values.yaml"

    assert expected == refused.value.where


@pytest.mark.parametrize("data", [b"\xff", b"\0", b" " * (1024 * 1024 + 1)])
def test_a_file_that_is_no_text_is_refused(data: bytes) -> None:
    with pytest.raises(PinError) as refused:
        locate(SourceFile("values.yaml", data), PatternSite("values.yaml", PATTERN))

    assert refused.value.where.startswith("values.yaml")
