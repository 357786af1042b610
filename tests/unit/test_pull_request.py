from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from bot.core.identity import identity_of
from bot.core.model import Pin, Release
from bot.core.plan import Plan
from bot.core.pull_request import LIMIT, body
from bot.core.reference import Digest, Tag
from bot.core.versions import Ref
from tests.unit.notes.judge import faults
from tests.unit.values import NEW, NOW, OLD, observed, plan, release, version

GIGANTIC = {
    "a word": "x" * 10_000_000,
    "lines": "* a change by @somebody in #1\n" * 300_000,
    "backticks": "`" * 1_000_000,
    "brackets": "[" * 1_000_000,
    "fences": "```\n" * 300_000,
    "comments": "<!--" * 300_000,
    "details": "</details>\n" * 100_000,
    "nothing": "",
}


def with_notes(*notes: str) -> Plan:
    made = plan()
    releases = tuple(replace(release(f"v1.4.{number}"), notes=text) for number, text in enumerate(notes))
    return replace(made, notes=releases[::-1])


def test_the_order_is_that_in_which_a_maintainer_asks() -> None:
    text = body(with_notes("the first", "the second"))
    order = [
        "**app 1.4.1**, a minor upgrade from 1.3.1, is the newest release that the policy allows",
        f"| from | `v1.3.1` | `{OLD}` |",
        f"| to | `v1.4.1` | `{NEW}` |",
        "Image `ghcr.io/acme/app`, published 2026-08-10 12:00 UTC. Changes 4 values in `versions.env`, `main.tf`, ",
        "- ✅ **pinned-tag**",
        "- ✅ **platforms**: linux/amd64, linux/arm64",
        "- ✅ **new-digest**",
        "<summary>Ask again by hand</summary>",
        "gateway-bot resolve ghcr.io/acme/app:v1.3.1",
        "</details>",
        "**Merge** to pin `v1.4.1`",
        "<summary>Release notes (2)</summary>",
        "the second",
        "the first",
    ]

    positions = [text.index(words) for words in order]

    assert positions == sorted(positions)


@pytest.mark.parametrize("kind", GIGANTIC)
@pytest.mark.parametrize("count", [1, 40])
def test_the_body_has_its_limit_whatever_the_notes_are(kind: str, count: int) -> None:
    text = body(with_notes(*[GIGANTIC[kind][: 60_000 * (1 if count > 1 else 200)]] * count))

    assert text.endswith("\n\n</details>\n")
    assert text.count("</details>") == 2
    assert len(text) <= LIMIT
    assert LIMIT == 50_000


def test_notes_are_cut_and_nothing_above_them_is() -> None:
    short, long = body(with_notes("short")), body(with_notes(GIGANTIC["lines"]))
    above = short.partition("<summary>Release notes")[0]

    assert len(long) > LIMIT // 2
    assert above == long.partition("<summary>Release notes")[0]


def test_the_same_facts_give_the_same_bytes_on_any_day() -> None:
    made = with_notes("a", "b")
    later = replace(made, made=NOW + timedelta(days=400), wanted=None)

    assert body(made).encode() == body(later).encode()


def test_a_warning_is_counted_and_shown() -> None:
    text = body(plan(observed(pinned_index=None)))

    assert "1 of 4 gates warn (pinned-tag)." in text
    assert "- ⚠️ **pinned-tag**: ghcr.io/acme/app:v1.3.1 is not in the registry" in text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://github.com/acme/app/releases/tag/v1.4.1", True),
        ("javascript:alert(1)", False),
        ("http://github.com/acme/app", False),
        ("", False),
        ("https://x.org/a)[@all](https://evil.example) <!-- fixes #1", False),
    ],
)
def test_the_releases_page_is_linked_where_it_is_harmless(url: str, *, shown: bool) -> None:
    made = plan()
    text = body(replace(made, release=replace(made.release, url=url)))
    row = next(line for line in text.splitlines() if line.startswith("| to |"))

    own = "<details>\n<summary>Ask again by hand</summary>"
    above = text.partition("<details>\n<summary>Release notes")[0].replace(own, "").replace("</details>", "", 1)
    assert faults(above) == []
    assert ("[page](https://redirect.github.com/" in row) == shown
    assert row.count("|") == 4


def test_a_release_without_date_says_so() -> None:
    made = plan()
    text = body(replace(made, release=Release(made.release.ref, made.release.version)))

    assert "published not stated." in text


def test_the_longest_versions_fit() -> None:
    made = plan()
    ref = Ref("v1.4.1-" + "a" * 121)
    pin = Pin(ref, version(ref), Digest(NEW), Tag(ref))
    text = body(replace(made, candidate=replace(made.candidate, pin=pin), notes=(release(ref),)))

    assert ref in text
    assert len(text) <= LIMIT


def test_upstreams_page_of_the_difference_is_linked() -> None:
    made = plan()
    there = replace(made, release=replace(made.release, url="https://github.com/acme/app/releases/tag/v1.4.1"))

    expected = "[all commits between](https://redirect.github.com/acme/app/compare/v1.3.1...v1.4.1)"
    assert expected in body(there)
    assert "all commits between" not in body(made)


@pytest.mark.parametrize(
    ("days", "words"), [(0, ""), (1, ", 1 day of cooldown waited out"), (3, ", 3 days of cooldown")]
)
def test_how_long_it_cooled_is_said_in_words_that_stay(days: int, words: str) -> None:
    made = plan()
    policy = replace(made.image.policy, cooldown=timedelta(days=days))

    text = body(replace(made, image=replace(made.image, policy=policy)))

    assert words in text
    assert ("cooldown" in text) == bool(words)


def test_who_opens_it_decides_what_is_said_of_checks() -> None:
    own, app = (identity_of("ghs_x", has_app=has_app, in_actions=True) for has_app in (False, True))

    assert "**Checks do not start by themselves here**: it was opened with the workflow's own" in body(plan(), own)
    assert body(plan(), app) == body(plan())


def test_what_merges_itself_says_so() -> None:
    words = "while auto-merge is on, when the required checks have passed"

    assert words in body(plan(), merges_itself=True)
    assert words not in body(plan())
