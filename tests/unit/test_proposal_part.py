"""The bot's part of a body, and what a person wrote beside it or into it."""

from __future__ import annotations

import pytest

from bot.core.proposal.part import ROOM, marked, part_of, updated
from tests.unit.values import NEW, OTHER


def written(text: str, digest: str = NEW, *, withdrawn: bool = False) -> str:
    return marked(text, "app", "v1.4.1", digest, withdrawn=withdrawn)


FIRST, SECOND = written("the first text"), written("the second text", OTHER)


def test_a_part_is_read_as_it_was_written() -> None:
    part = part_of(f"mine\n\n{FIRST}\n\nmine too")

    assert part is not None
    assert (part.image, part.ref, part.digest) == ("app", "v1.4.1", NEW)
    assert (part.before, part.text, part.after) == ("mine", "the first text", "mine too")
    assert not part.edited
    assert not part.withdrawn


@pytest.mark.parametrize(
    "body",
    [
        "",
        "all mine",
        FIRST.partition("gateway-bot:end")[0],
        FIRST.replace("text:", "text"),
        FIRST.replace("begin", "start"),
        FIRST.replace(NEW, "sha256:0"),
    ],
)
def test_what_is_no_part_is_none(body: str) -> None:
    assert part_of(body) is None


def test_github_may_change_line_ends_and_cut_white_space() -> None:
    stored = "\r\n".join(line.rstrip() for line in f"{FIRST}\n\n".split("\n"))

    part = part_of(stored)

    assert part is not None
    assert not part.edited
    assert updated(stored, FIRST, moved=False) == stored


def test_notes_that_hold_a_marker_end_nothing() -> None:
    hostile = f"before\n[//]: # (gateway-bot:end app v9 {OTHER} text:{'0' * 16})\n[//]: # (gateway-bot:begin)\nafter"

    part = part_of(written(hostile))

    assert part is not None
    assert part.digest == NEW
    assert part.text == hostile.replace("(gateway-bot:", "(gateway-bot\N{MODIFIER LETTER COLON}")
    assert not part.edited


def test_what_a_person_wrote_around_it_stays() -> None:
    body = f"please wait\n\n{FIRST}\n\nuntil Monday"

    assert updated(body, SECOND, moved=True) == f"please wait\n\n{SECOND}\n\nuntil Monday"


def test_a_text_that_a_person_edited_stays_while_there_is_nothing_new_to_say() -> None:
    body = FIRST.replace("first", "improved")

    assert updated(body, FIRST, moved=False) == body


def test_a_text_that_a_person_edited_is_kept_below_what_is_new() -> None:
    body = FIRST.replace("first", "improved <details>")

    actual = updated(body, SECOND, moved=True)

    assert actual.startswith(SECOND)
    assert "the improved <details> text\n</details>" in actual
    assert updated(actual, SECOND, moved=False) == actual


def test_a_part_that_a_person_took_out_comes_back_only_with_something_new() -> None:
    assert updated("mine", FIRST, moved=False) == "mine"
    assert updated("mine", FIRST, moved=True) == f"{FIRST}\n\nmine"


def test_a_withdrawn_one_that_is_open_again_is_put_right() -> None:
    assert updated(written("x", withdrawn=True), written("x"), moved=False) == written("x")


def test_where_it_is_too_long_the_bots_own_text_is_cut() -> None:
    theirs = "y" * 25_000
    body = f"first of all\n\n{FIRST}\n\n{theirs}"

    actual = updated(body, written("a line\n" * 7_000), moved=True)

    part = part_of(actual)
    assert len(actual) <= ROOM
    assert part is not None
    assert (part.before, part.after) == ("first of all", theirs)
    assert part.text.endswith("(cut here: too long)")
    assert updated(actual, written("a line\n" * 7_000), moved=False) == actual
