from __future__ import annotations

import re

import pytest
from msgspec.structs import replace

from bot.core.plan import Blocked, NothingNew, Outcome, decide
from bot.core.report import headline, short, shorter, summary, terminal
from tests.unit.values import FILES, NEW, OLD, OTHER, RELEASES, observed, plan, release

HOSTILE = "v9\x1b[2J\x1b]0;title\x07\u202eevil\n::error::x`|</td><!-- **b** [a](https://evil.example) @all #1\r"
HIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")
PLAN = plan()
DRIFTED = decide(observed(files=FILES | {"Dockerfile": FILES["Dockerfile"].replace(OLD, OTHER)}))
NOTHING = decide(observed(RELEASES[2:]))
BLOCKED = Blocked(HOSTILE, HOSTILE, HOSTILE, HOSTILE, 5)
LISTED = decide(observed((*RELEASES[2:], release(HOSTILE), replace(release("v1.5.0"), prerelease=True))))


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (PLAN, "app: upgrade v1.3.1 -> v1.4.1"),
        (NOTHING, "app: nothing new. v1.3.1 is the newest release that the policy allows, of 1 seen"),
        (Blocked("app", "it lies", "there", "Look.", 5), "app: blocked. it lies"),
    ],
)
def test_the_headline_is_one_line(outcome: Outcome, expected: str) -> None:
    actual = headline(outcome)

    assert expected == actual


def test_a_plan_for_a_person_at_a_terminal() -> None:
    expected = f"""\
app: upgrade v1.3.1 -> v1.4.1
  from      ghcr.io/acme/app:v1.3.1@{OLD}
  to        ghcr.io/acme/app:v1.4.1@{NEW}
  edits
    versions.env:1: v1.3.1 -> v1.4.1
    versions.env:2: sha256:aaaaaaaaaaaa… -> sha256:bbbbbbbbbbbb…
    main.tf:2: :v1.3.1@sha256:aaaaaaaaaaaa… -> :v1.4.1@sha256:bbbbbbbbbbbb…
    Dockerfile:1: @sha256:aaaaaaaaaaaa… -> @sha256:bbbbbbbbbbbb…
  gates
    pass    pinned-tag: ghcr.io/acme/app:v1.3.1 still answers with sha256:aaaaaaaaaaaa…
    pass    digest: the bytes of the index at ghcr.io/acme/app:v1.4.1 hash to sha256:bbbbbbbbbbbb…
    pass    platforms: linux/amd64, linux/arm64
    pass    new-digest: sha256:bbbbbbbbbbbb… replaces sha256:aaaaaaaaaaaa…
  releases
    * v1.4.1  the newest release that the policy allows
      v1.4.0  older than v1.4.1
      v1.3.1  the pin"""

    assert terminal(PLAN) == expected.partition("\n  releases")[0]
    assert expected == terminal(PLAN, explain=True)


def test_drift_is_listed_with_what_is_expected() -> None:
    text = terminal(DRIFTED)

    assert "  where     Dockerfile:1\n" in text
    assert "  next      Repair them with `gateway-bot check --fix`" in text
    assert f"  Dockerfile:1: holds ghcr.io/acme/app@{OTHER}, expected ghcr.io/acme/app@{OLD}\n" in text


@pytest.mark.parametrize("outcome", [BLOCKED, LISTED, replace(BLOCKED, selection=LISTED.selection)], ids=str)
def test_no_hostile_text_speaks_to_the_terminal_or_to_the_runner(outcome: Outcome) -> None:
    texts = (terminal(outcome, explain=True), summary(outcome, HOSTILE), headline(outcome))

    assert not any(line.startswith("::") for text in texts for line in text.splitlines())
    assert [HIDDEN.findall(text) for text in texts] == [[], [], []]


def test_a_hostile_text_stays_in_its_code_in_the_summary() -> None:
    text = summary(BLOCKED, HOSTILE)
    outside = re.sub(r"`[^`\n]*`", "", text)

    assert not any(sign in outside for sign in ("evil", "@", "<", "|", "#1", "["))
    assert text.count("`") == 8


def test_the_summary_is_markdown() -> None:
    text = summary(PLAN, "#7 opened")

    assert text.startswith("### app: upgrade v1.3.1 -> v1.4.1\n\n`#7 opened`\n\n| file | old | new |\n|---|---|---|\n")
    assert f"| `versions.env:2` | `{OLD}` | `{NEW}` |\n" in text
    assert "| platforms | pass | `linux/amd64, linux/arm64` |\n" in text
    assert all(line.count("|") == 4 for line in text.splitlines() if line.startswith("|"))


def test_the_summary_of_drift_and_of_nothing_new() -> None:
    drifted, nothing = summary(DRIFTED), summary(NOTHING)

    assert "**Where:** `Dockerfile:1`" in drifted
    assert f"- `Dockerfile:1: holds ghcr.io/acme/app@{OTHER}, expected ghcr.io/acme/app@{OLD}`" in drifted
    assert nothing.startswith("### `app: nothing new. v1.3.1 is the newest")


def test_a_long_reason_is_cut() -> None:
    outcome = NothingNew(PLAN.image, PLAN.current, "x" * 100_000, PLAN.selection, ())

    assert len(headline(outcome)) < 1100
    assert len(summary(outcome)) < 1200


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (OLD, "sha256:aaaaaaaaaaaa…"),
        (f"{OLD} and {NEW}", "sha256:aaaaaaaaaaaa… and sha256:bbbbbbbbbbbb…"),
        (f"a:v1@{OLD}.", "a:v1@sha256:aaaaaaaaaaaa…."),
        ("sha256:abc", "sha256:abc"),
        ("", ""),
    ],
)
def test_digests_are_cut_for_a_reader_who_has_them_elsewhere(text: str, expected: str) -> None:
    actual = short(text)

    assert expected == actual


def test_a_value_is_shown_without_the_repository_that_the_plan_says_once() -> None:
    assert shorter(f"ghcr.io/acme/app:v1.3.1@{OLD}", PLAN) == ":v1.3.1@sha256:aaaaaaaaaaaa…"
    assert shorter("mirror.example/acme/app:v1.3.1", PLAN) == "mirror.example/acme/app:v1.3.1"
