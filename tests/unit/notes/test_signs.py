"""The lines of release notes that sound like a breaking change."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bot.core.model import Release
from bot.core.notes import breaking_signs
from bot.core.versions import Ref, parse_version
from tests.unit.notes.judge import faults


def signs(*notes: str, fields: Sequence[str] = ()) -> str:
    releases = [Release(Ref(f"v1.{n}.0"), parse_version(f"1.{n}.0"), notes=text) for n, text in enumerate(notes)]
    return breaking_signs(releases, fields)


@pytest.mark.parametrize(
    "line",
    [
        "the provider x is renamed to y",
        "Removed the old listener",
        "feat(llm)!: one policy for all",
        "`a` is deprecated",
        "you must now set z",
        "**BREAKING**: q",
        "x is no longer read",
    ],
)
def test_a_line_that_sounds_like_one_is_quoted_with_its_release(line: str) -> None:
    found = signs(f"## What's Changed\n* {line}\n* fix: something else")

    assert found.startswith("- v1.0.0: ")
    assert len(found.splitlines()) == 1


@pytest.mark.parametrize("notes", ["", "* feat: a listener", "* fix: unbreaking a thing", "remover of stains"])
def test_other_lines_are_not(notes: str) -> None:
    assert signs(notes) == ""


def test_all_that_stands_below_such_a_heading_counts() -> None:
    found = signs("### Breaking changes\n* `one`\n\n**two**\n**Full Changelog**: x\n### Other\n* three")

    assert found == "- v1.0.0: one\n- v1.0.0: two"


def test_a_long_list_is_cut_and_counted() -> None:
    found = signs("\n".join(f"* removed {n}" for n in range(20)))

    assert found.splitlines()[-1] == "- and 14 more in the notes below"
    assert len(found.splitlines()) == 7


def test_what_is_quoted_is_inert() -> None:
    hostile = "removed @all fixes #1 https://github.com/a/b/issues/1 <b>x</b> ![i](https://x.org/i.png) | `c` \u202e"

    found = signs(f"* {hostile}\n* removed {'[' * 5000}\n* ::error::removed ##[x]")

    assert faults(found) == []


FIELDS = ("config.readinessAddr", "binds[].port", "binds[].listeners[].routes[].backends[].ai.groups[]")


def test_a_line_that_names_a_field_of_our_config_stands_before_all_others() -> None:
    notes = "* feat: nothing of ours\n* the old flag was removed\n* `readinessAddr` takes a list now\n"

    lines = signs(notes, fields=FIELDS).splitlines()

    assert len(lines) == 2
    assert "readinessAddr" in lines[0]
    assert "removed" in lines[1]


def test_a_line_that_does_both_is_told_once() -> None:
    notes = "* `readinessAddr` was removed\n"

    assert len(signs(notes, fields=FIELDS).splitlines()) == 1


def test_a_word_of_everyday_english_is_no_field() -> None:
    assert signs("* better port handling in groups\n", fields=FIELDS) == ""
