"""The decision table: what GitHub shows -> one action."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from bot.core.plan import NothingNew
from bot.core.proposal.ending import obsolete, tidying, warned_body, withdrawn_body
from bot.core.proposal.names import commit_message, proposal
from bot.core.proposal.part import marked, part_of
from bot.core.proposal.shown import Branch, Commit, PullRequest
from bot.core.proposal.table import answered, cools_again, next_action
from bot.core.selection import Considered, Selection, select
from bot.core.versions import Ref
from tests.unit.values import IMAGE, NEW, NOW, OTHER, RELEASES, pin, plan

WANTED = proposal(plan(), "main", "what the bot says")
TREE, BASE = "1" * 40, Commit("b" * 40, "0" * 40, "a change", ())
OURS = Commit("2" * 40, TREE, commit_message(plan(), WANTED.change, TREE), ("3" * 40,))
STALE = replace(OURS, message=OURS.message.replace(WANTED.change, "5" * 64))
LACKING = replace(OURS, message=OURS.message.replace("Gateway-Bot-Change", "Change"))
KEEPING = replace(STALE, message=f"{STALE.message}\nGateway-Bot-Keeps: {'7' * 40}")
THEIRS = replace(OURS, sha="8" * 40, message="by hand")
OPEN = PullRequest(
    7, "https://github.com/acme/app/pull/7", WANTED.title, WANTED.body, is_open=True, merged=False, head_sha=OURS.sha,
    created=datetime(2026, 8, 1, tzinfo=UTC),
)  # fmt: skip
OLDER = replace(OPEN, body=marked("older", "app", "v1.4.0", OTHER), title="deps(app): bump v1.3.1 to v1.4.0")
CLOSED = replace(OPEN, number=6, is_open=False)
MERGED = replace(OPEN, number=5, is_open=False, merged=True)
WITHDRAWN = replace(CLOSED, number=4, body=withdrawn_body(OPEN, "it is gone"))
DECLINED_OTHER = replace(OLDER, number=3, is_open=False)
EMPTIED = replace(CLOSED, number=2, body="", commit_digest=NEW)


def branch(commit: Commit, own: Commit | None = None) -> Branch:
    return Branch(commit, own)


def labelled(pull: PullRequest, *labels: str) -> PullRequest:
    return replace(pull, labels=frozenset(labels))


ACTIONS: dict[str, tuple[tuple[PullRequest, ...], Branch | None, str]] = {
    "nothing there": ((), None, "Push on nothing"),
    "a branch without pull request": ((), branch(OURS, OURS), "Open"),
    "an older branch without pull request": ((), branch(STALE, STALE), "Push on head"),
    "open and the same": ((OPEN,), branch(OURS, OURS), "Keep"),
    "open, the base merged into it": ((OPEN,), branch(THEIRS, OURS), "Keep"),
    "open with a changed text": (
        (replace(OPEN, body=marked("x", "app", "v1.4.1", NEW)),),
        branch(OURS, OURS),
        "Edit body",
    ),
    "open with the bot's old title": ((replace(OPEN, title=OLDER.title),), branch(OURS, OURS), "Edit title"),
    "open with a person's title": ((replace(OPEN, title="WIP"),), branch(OURS, OURS), "Keep"),
    "open to another base": ((replace(OPEN, base="old"),), branch(OURS, OURS), "Edit base"),
    "open with another change": ((OPEN,), branch(STALE, STALE), "Push on head, edit"),
    "open with a change that is not named": ((OPEN,), branch(LACKING, LACKING), "Push on head, edit"),
    "open for an older version": ((OLDER,), branch(STALE, STALE), "Push on head, edit title, body"),
    "open without branch": ((OPEN,), None, "Push on nothing, edit"),
    "open with a person's commit": ((OPEN,), branch(THEIRS), "Foreign"),
    "open with a person's commit, to go on": (
        (labelled(OPEN, "rebase"),),
        branch(THEIRS),
        "Push on head, keeping, edit",
    ),
    "open with a person's commit, its text taken out, to go on": (
        (labelled(replace(OPEN, body="mine", title="WIP"), "rebase"),),
        branch(THEIRS),
        "Push on head, keeping, edit title, body",
    ),
    "open on top of a person's commit": ((OPEN,), branch(KEEPING, KEEPING), "Push on head, keeping, edit"),
    "closed on top of a person's commit": ((DECLINED_OTHER,), branch(KEEPING, KEEPING), "Foreign"),
    "merged on top of a person's commit": (
        (replace(MERGED, head_sha=KEEPING.sha),),
        branch(KEEPING, KEEPING),
        "Push on head",
    ),
    "to be rebased": ((labelled(OPEN, "rebase"),), branch(OURS, OURS), "Push on head, edit"),
    "rebased already": ((labelled(OPEN, "rebase"),), branch(replace(OURS, parents=(BASE.sha,)), OURS), "Keep"),
    "a person's branch": ((), branch(THEIRS), "Foreign"),
    "another digest declined": ((DECLINED_OTHER,), branch(STALE, STALE), "Push on head"),
    "another digest declined, the branch gone": ((DECLINED_OTHER,), None, "Push on nothing"),
    "merged and reverted": ((MERGED,), branch(OURS, OURS), "Push on head"),
    "merged with a person's commit, and reverted": (
        (replace(MERGED, head_sha=THEIRS.sha),),
        branch(THEIRS),
        "Push on head",
    ),
    "merged, reverted, the branch gone": ((MERGED,), None, "Push on nothing"),
    "merged, then a person's commit": ((MERGED,), branch(THEIRS), "Foreign"),
    "closed with a person's commit": ((DECLINED_OTHER,), branch(THEIRS), "Foreign"),
    "closed with a person's commit, to go on": (
        (labelled(DECLINED_OTHER, "rebase"),),
        branch(THEIRS),
        "Push on head, keeping",
    ),
    "withdrawn before": ((WITHDRAWN,), None, "Push on nothing"),
}


@pytest.mark.parametrize("case", ACTIONS)
def test_what_to_do_given_what_github_shows(case: str) -> None:
    pulls, there, expected = ACTIONS[case]

    action = next_action(WANTED, pulls, there, BASE)

    actual = type(action).__name__
    edit = getattr(action, "edit", None)
    if actual == "Push":
        actual += " on nothing" if getattr(action, "head", None) is None else " on head"
        actual += ", keeping" if getattr(action, "keeping", False) else ""
        actual += ", edit" if edit is not None else ""
    changed = action if actual == "Edit" else edit
    names = [name for name in ("title", "body", "base") if changed is not None and getattr(changed, name) is not None]
    actual += f" {', '.join(names)}" if names else ""
    assert action.reason
    assert expected == actual


@pytest.mark.parametrize(
    ("pulls", "expected"),
    [
        ((), None),
        ((OPEN,), None),
        ((CLOSED,), "Declined"),
        ((EMPTIED,), "Declined"),
        ((MERGED, CLOSED), "Declined"),
        ((OPEN, CLOSED), None),
        ((OLDER, CLOSED), "Declined"),
        ((DECLINED_OTHER,), None),
        ((WITHDRAWN,), None),
        ((MERGED,), None),
        ((labelled(OPEN, "stop-updating"),), "Stopped"),
        ((labelled(CLOSED, "stop-updating"), MERGED), "Declined"),
    ],
)
def test_what_a_person_has_decided_already(pulls: tuple[PullRequest, ...], expected: str | None) -> None:
    actual = answered("v1.4.1", NEW, pulls)

    assert expected == (type(actual).__name__ if actual else None)


def nothing(current: str = "v1.3.1", *, waits: str = "", considered: str = "") -> NothingNew:
    entries = tuple(
        Considered(Ref(ref), picked=False, reason=reason)
        for ref, reason in ((considered, "not allowed by <1.4"), (waits, "cooling until 2026-09-01 12:00 UTC"))
        if ref
    )
    return NothingNew(IMAGE, pin(current), "why", Selection(entries, None, "why"), ())


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (nothing("v1.4.1"), "the pin is at v1.4.1 already"),
        (nothing("v1.5.0"), "the pin is at v1.5.0 already"),
        (nothing(considered="v1.4.1"), "v1.4.1 is no longer proposed: not allowed by <1.4"),
        (nothing(), "not among the releases any more"),
        (nothing(waits="v1.4.1"), ""),
        (nothing(waits="v1.5.0"), "not among the releases any more"),
        (replace(nothing(), wanted=Ref("v1.3.1")), ""),
        (replace(nothing("v1.4.1"), wanted=Ref("v1.4.1")), "the pin is at v1.4.1 already"),
        (replace(nothing(), selection=select(RELEASES, pin(), IMAGE.policy, None, NOW)), ""),
    ],
)
def test_an_open_pull_request_is_obsolete_for_a_reason(outcome: NothingNew, words: str) -> None:
    actual = obsolete(outcome, OPEN)

    assert bool(words) == bool(actual)
    assert words in actual


@pytest.mark.parametrize(
    ("pulls", "there", "expected"),
    [
        ((), None, "Nothing"),
        ((OPEN,), branch(OURS, OURS), "Withdraw"),
        ((replace(OPEN, body="mine"),), branch(OURS, OURS), "Nothing"),
        ((labelled(OPEN, "stop-updating"),), branch(OURS, OURS), "Stopped"),
        ((OPEN,), branch(THEIRS), "Foreign"),
        ((OPEN,), branch(KEEPING, KEEPING), "Foreign"),
        ((MERGED,), branch(OURS, OURS), "DeleteBranch"),
        ((WITHDRAWN,), branch(OURS, OURS), "DeleteBranch"),
        ((MERGED,), branch(THEIRS), "Nothing"),
        ((MERGED,), None, "Nothing"),
        ((CLOSED, MERGED), branch(OURS, OURS), "Nothing"),
    ],
)
def test_what_is_left_behind_is_tidied(pulls: tuple[PullRequest, ...], there: Branch | None, expected: str) -> None:
    actual = tidying(nothing("v1.4.1"), pulls, there)

    assert expected == type(actual).__name__


def test_a_warning_stands_above_and_is_not_said_twice() -> None:
    warned = warned_body(OPEN, "the tag moved <!-- x -->", "look at it")
    again = warned_body(replace(OPEN, body=warned), "the tag moved <!-- x -->", "look at it")
    other = part_of(warned_body(replace(OPEN, body=warned), "unsigned", "ask them"))

    assert again == warned
    assert "<!--" not in warned
    assert other is not None
    assert other.text.count("[!CAUTION]") == 1
    assert "the tag moved" not in other.text
    assert other.text.endswith("<summary>As it was proposed</summary>\n\nwhat the bot says\n\n</details>")


@pytest.mark.parametrize(
    ("wanted", "waits", "expected"),
    [("v1.4.0", "v1.4.1", True), ("v1.4.0", "", False), ("v1.5.0", "v1.4.1", False)],
)
def test_what_is_open_does_not_go_back_to_an_older_release_while_it_cools(
    wanted: str, waits: str, *, expected: bool
) -> None:
    assert cools_again(OPEN, wanted, nothing(waits=waits).selection) == expected


def test_a_commit_that_only_says_it_is_the_bots_is_somebodys() -> None:
    there = Branch(OURS, OURS, proven=False)

    assert type(next_action(WANTED, (OPEN,), there, BASE)).__name__ == "Foreign"


def test_a_merged_branch_moves_on_once() -> None:
    later = branch(replace(OURS, sha="9" * 40), replace(OURS, sha="9" * 40))

    assert type(next_action(WANTED, (MERGED,), later, BASE)).__name__ == "Open"


def test_withdrawn_twice_says_so_once_and_keeps_what_a_person_changed() -> None:
    once = withdrawn_body(OPEN, "it is gone")
    twice = withdrawn_body(replace(OPEN, body=once), "it is gone again")
    edited = part_of(withdrawn_body(replace(OPEN, body=OPEN.body.replace("bot says", "bot said")), "it is gone"))

    assert twice.count("Withdrawn by gateway-bot") == 1
    assert "gone again" in twice
    assert edited is not None
    assert (edited.text.count("said"), edited.after.count("what the bot said")) == (0, 1)
