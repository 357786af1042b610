"""What a pull request still gets: each thing once."""

from __future__ import annotations

from typing import Literal

import pytest
from msgspec.structs import replace

from bot.core.model import PullRequestPolicy, SourceFile
from bot.core.proposal.dressing import Dressing, Event, may_merge_itself, missing, not_yet
from bot.core.proposal.shown import PullRequest
from bot.core.rollback.back import Back, Wish
from tests.unit.values import plan

PLAN = plan()
PULL = PullRequest(7, "", "a title", "a body", is_open=True, merged=False, author="gateway-bot[bot]")
POLICY = PullRequestPolicy(
    labels=("dependencies", "Gateway"),
    reviewers=("alice", "Bob"),
    team_reviewers=("platform",),
    assignees=("carol",),
    milestone="Q3",
    auto_merge=("minor",),
)
ALL = Dressing(("dependencies", "Gateway"), ("alice", "Bob"), ("platform",), ("carol",), "Q3", auto_merge=True)


def test_what_is_asked_for_and_not_there_is_missing() -> None:
    there = replace(
        PULL,
        labels=frozenset({"gateway"}),
        reviewers=frozenset({"bob"}),
        team_reviewers=frozenset({"platform"}),
        assignees=frozenset({"Carol"}),
        milestone="Q4",
        auto_merge_by="somebody",
    )

    assert missing(POLICY, PULL, merges_itself=True) == ALL
    assert missing(POLICY, there, merges_itself=True) == Dressing(("dependencies",), ("alice",))
    assert not missing(PullRequestPolicy(), PULL, merges_itself=False)


def test_the_author_is_not_asked_for_a_review() -> None:
    assert missing(POLICY, replace(PULL, author="Alice"), merges_itself=True).reviewers == ("Bob",)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (Event("labeled", "gateway"), replace(ALL, labels=("dependencies",))),
        (Event("unlabeled", "gateway"), ALL),
        (Event("review_requested", "bob"), replace(ALL, reviewers=("alice",))),
        (Event("review_requested", "platform"), replace(ALL, team_reviewers=())),
        (Event("assigned", "carol"), replace(ALL, assignees=())),
        (Event("milestoned", "anything"), replace(ALL, milestone="")),
        (Event("auto_merge_enabled"), replace(ALL, auto_merge=False)),
        (Event("auto_squash_enabled"), replace(ALL, auto_merge=False)),
        (Event("closed"), ALL),
    ],
)
def test_what_was_there_once_is_not_given_again(event: Event, expected: Dressing) -> None:
    actual = not_yet(ALL, [event], "gateway-bot[bot]")

    assert expected == actual


def test_only_an_allowed_kind_whose_gates_all_passed_merges_itself() -> None:
    warned = replace(PLAN, gates=(*PLAN.gates, replace(PLAN.gates[0], verdict="warn")))

    assert may_merge_itself(POLICY, PLAN)
    assert not may_merge_itself(POLICY, warned)
    assert not may_merge_itself(replace(POLICY, auto_merge=("major", "patch")), PLAN)
    assert not may_merge_itself(PullRequestPolicy(), PLAN)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (
            [Event("auto_merge_enabled", by="gateway-bot[bot]"), Event("auto_merge_disabled", by="Gateway-bot[bot]")],
            True,
        ),
        ([Event("auto_merge_enabled", by="gateway-bot[bot]"), Event("auto_merge_disabled", by="alice")], False),
        ([Event("auto_merge_disabled", by="gateway-bot[bot]"), Event("auto_squash_enabled", by="alice")], False),
    ],
)
def test_what_the_bot_switched_off_it_may_switch_on_again(events: list[Event], *, expected: bool) -> None:
    actual = not_yet(ALL, events, "gateway-bot[bot]").auto_merge

    assert expected == actual


@pytest.mark.parametrize("way", ["back", "forward"])
def test_a_rollback_never_merges_itself(way: Literal["back", "forward"]) -> None:
    settings = SourceFile("gateway-bot.toml", b"")
    back = Back(Wish(), "5xx", None, (), settings, "v0.2.0", (), way)

    assert may_merge_itself(POLICY, PLAN)
    assert not may_merge_itself(POLICY, replace(PLAN, back=back))
