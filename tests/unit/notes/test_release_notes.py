from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest

from bot.core.model import Release
from bot.core.notes import release_notes
from bot.core.versions import Ref
from tests.unit.notes.judge import faults
from tests.unit.notes.test_inert import GENERATED, HOSTILE

DAY = datetime(2026, 5, 1, 23, 30, tzinfo=UTC)
LIST = "## Changes\n" + "".join(f"* change {number} by @user in #{number}\n" for number in range(2000))
TABLE = "| a | b |\n|---|---|\n" + "| @x | `y` |\n" * 2000
FENCE = "```sh\n" + "echo @all\n" * 2000 + "```"
PARAGRAPH = "word @all `code` **bold** " * 2000
QUOTE = "> a\n>\n> b\n" * 600
GIANTS = {
    "list": LIST,
    "table": TABLE,
    "fence": FENCE,
    "paragraph": PARAGRAPH,
    "quote": QUOTE,
    "item": f"* {PARAGRAPH}",
}


def release(ref: str = "v1.4.0", notes: str = "", published: datetime | None = DAY, url: str | None = None) -> Release:
    page = f"https://github.com/o/r/releases/tag/{ref}" if url is None else url
    return Release(ref=Ref(ref), version=None, published=published, url=page, notes=notes)


def test_releases_stand_under_their_ref_day_and_page() -> None:
    actual = release_notes([release("v1.4.1", "# One\n* a"), release("v1.4.0", "two")], 58_000)

    expected = """\
### [v1.4.1](https://redirect.github.com/o/r/releases/tag/v1.4.1) (2026-05-01)

#### One

- a

### [v1.4.0](https://redirect.github.com/o/r/releases/tag/v1.4.0) (2026-05-01)

two"""
    assert expected == actual


def test_no_releases_are_no_text() -> None:
    actual = release_notes([], 58_000)

    assert actual == ""


@pytest.mark.parametrize("notes", ["", "  \n", "<!-- nothing -->", "\u200b"])
def test_empty_notes_say_that_none_were_published(notes: str) -> None:
    actual = release_notes([release(notes=notes)], 58_000).splitlines()[-1]

    assert actual == "No notes were published."


@pytest.mark.parametrize(
    ("published", "expected"),
    [
        (DAY, "### v1 (2026-05-01)"),
        (DAY.astimezone(timezone(timedelta(hours=9))), "### v1 (2026-05-01)"),
        (DAY.replace(tzinfo=None), "### v1 (2026-05-01)"),
        (datetime(2024, 2, 29, tzinfo=UTC), "### v1 (2024-02-29)"),
        (None, "### v1"),
    ],
)
def test_the_day_is_in_utc(published: datetime | None, expected: str) -> None:
    actual = release_notes([release("v1", published=published, url="")], 58_000).splitlines()[0]

    assert expected == actual


@pytest.mark.parametrize("url", ["", "http://x.org", "javascript:alert(1)", "https://x.org/) @all", "//x.org", "x\ny"])
def test_only_https_pages_are_linked(url: str) -> None:
    actual = release_notes([release("v1", "x", url=url)], 58_000)

    assert ("](" in actual, faults(actual, 3)) == (url.startswith("https:"), [])


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_refs_pages_and_notes_do_nothing(case: str) -> None:
    text = HOSTILE[case]
    made = release_notes([release(text, text, url=text), release(text, text, url=f"https://x.org/{text}")], 58_000)
    left_out = release_notes([release(text, LIST), release(text, text), release("v1", text)], 2_000)
    actual = (faults(made, 3), faults(left_out, 3))

    assert actual == ([], [])


@pytest.mark.parametrize("giant", GIANTS)
def test_a_giant_is_cut_and_says_where_the_rest_is(giant: str) -> None:
    made = release_notes([release(notes=GIANTS[giant])], 5_000)
    rest = "(shortened: the rest is at <https://redirect.github.com/o/r/releases/tag/v1.4.0>)"
    actual = (3_500 < len(made) <= 5_000, faults(made, 3), made.splitlines()[-1])

    assert actual == (True, [], rest)


def test_what_does_not_fit_is_cut_between_items() -> None:
    actual = release_notes([release("v1", "* one\n* two\n* " + "x" * 99, url="")], 100)

    assert actual == "### v1 (2026-05-01)\n\n- one\n- two\n\n(shortened: the rest is at the release's page)"


def test_releases_without_room_are_listed_by_ref() -> None:
    releases = [release("v3", LIST), release("v2", "two"), *(release(f"v1.{minor}", "x") for minor in range(20, 0, -1))]
    actual = release_notes(releases, 3_000).splitlines()[-1]

    expected = (
        "The notes of these releases found no room here: "
        "v2, v1.20, v1.19, v1.18, v1.17, v1.16, v1.15, v1.14, v1.13, v1.12, v1.11, v1.10, and 9 more."
    )
    assert expected == actual


@pytest.mark.parametrize("giant", GIANTS)
def test_any_limit_holds(giant: str) -> None:
    releases = [release("v4", GENERATED), release("v3", GIANTS[giant]), release("v2", GENERATED), release("v1")]
    made = {limit: release_notes(releases, limit) for limit in (-1, 0, 1, 40, *range(60, 4_000, 97))}
    actual = {limit: text for limit, text in made.items() if len(text) > max(0, limit) or faults(text, 3)}

    assert actual == {}


def test_the_body_stays_closed_around_the_notes() -> None:
    notes = release_notes([release(notes=text) for text in HOSTILE.values()], 58_000)
    closing = "</details>\n"
    actual = faults(f"<details>\n<summary>Notes</summary>\n\n{notes}\n\n{closing}", 3)

    assert actual == [f"html_block: '{closing[:-1]}\\n'", "html_block: '<details>\\n<summary>Notes</summary>\\n'"]


@pytest.mark.parametrize("notes", ["word " * 2_000_000, "![" * 3_000, "<!-- x -->\n" * 5_000, LIST, "| a " * 2_000])
def test_many_giant_releases_pass_quickly(notes: str) -> None:
    releases = [release(f"v1.{minor}", notes) for minor in range(1_000)]
    start = time.process_time()
    made = release_notes(releases, 58_000)
    taken = time.process_time() - start
    actual = (len(made) <= 58_000, faults(made, 3), taken < 1.0)

    assert actual == (True, [], True)
