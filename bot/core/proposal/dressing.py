"""Labels, people, milestone and auto-merge of a pull request: each is given once, and not again. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from bot.core.model import PullRequestPolicy
from bot.core.plan import Plan
from bot.core.proposal.shown import PullRequest


class Event(msgspec.Struct, frozen=True):
    """Something that happened to a pull request: GitHub's word for it, the label or person it is about, and by whom."""

    kind: str
    name: str = ""
    by: str = ""


class Dressing(msgspec.Struct, frozen=True):
    """What a pull request still gets."""

    labels: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    team_reviewers: tuple[str, ...] = ()
    assignees: tuple[str, ...] = ()
    milestone: str = ""
    auto_merge: bool = False

    def __bool__(self) -> bool:
        return self != Dressing()


_OFF = "auto_merge_disabled"
_AUTO_MERGE = frozenset({"auto_merge_enabled", "auto_squash_enabled", "auto_rebase_enabled"})


def missing(policy: PullRequestPolicy, pull: PullRequest, *, merges_itself: bool) -> Dressing:
    """What the settings ask for, and GitHub does not show. The author cannot review."""
    author = pull.author.casefold()
    return Dressing(
        labels=_without(policy.labels, pull.labels),
        reviewers=_without(policy.reviewers, {*pull.reviewers, author}),
        team_reviewers=_without(policy.team_reviewers, pull.team_reviewers),
        assignees=_without(policy.assignees, pull.assignees),
        milestone=policy.milestone if not pull.milestone else "",
        auto_merge=merges_itself and not pull.auto_merge_by,
    )


def may_merge_itself(policy: PullRequestPolicy, plan: Plan) -> bool:
    """Whether the settings let GitHub merge this kind of upgrade, every gate having passed without a warning.

    Never a rollback: a person weighs what comes back.
    """
    if plan.back is not None:
        return False
    kind = plan.current.version.jump_to(plan.candidate.pin.version)
    return kind in policy.auto_merge and all(gate.verdict == "pass" for gate in plan.gates)


def not_yet(dressing: Dressing, events: Sequence[Event], author: str) -> Dressing:
    """The same without what was there once: a person who takes it off wants it so.

    `events` as they happened; `author` is the bot's login: what it switched off itself, it may switch on again.
    """
    seen = {(event.kind, event.name.casefold()) for event in events}
    kinds = {kind for kind, _ in seen}

    def fresh(names: tuple[str, ...], kind: str) -> tuple[str, ...]:
        return tuple(name for name in names if (kind, name.casefold()) not in seen)

    return Dressing(
        labels=fresh(dressing.labels, "labeled"),
        reviewers=fresh(dressing.reviewers, "review_requested"),
        team_reviewers=fresh(dressing.team_reviewers, "review_requested"),
        assignees=fresh(dressing.assignees, "assigned"),
        milestone="" if "milestoned" in kinds else dressing.milestone,
        auto_merge=dressing.auto_merge and _may_switch_on(events, author),
    )


def _may_switch_on(events: Sequence[Event], author: str) -> bool:
    last = next((event for event in reversed(events) if event.kind in _AUTO_MERGE | {_OFF}), None)
    return last is None or (last.kind == _OFF and last.by.casefold() == author.casefold())


def _without(names: tuple[str, ...], there: Iterable[str]) -> tuple[str, ...]:
    known = {name.casefold() for name in there}
    return tuple(name for name in names if name.casefold() not in known)
