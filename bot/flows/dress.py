"""Labels, people, a milestone and auto-merge for a pull request; what GitHub refuses of it is told, not fatal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from bot.core.model import PullRequestPolicy
from bot.core.proposal.dressing import Dressing, missing, not_yet
from bot.core.proposal.names import is_ours
from bot.core.proposal.shown import PullRequest
from bot.errors import BotError, ForgeError
from bot.flows.forge import Forge, Pulls


def dress(
    pull: PullRequest, pulls: Pulls, policy: PullRequestPolicy, head: str, *, new: bool, merges_itself: bool
) -> list[str]:
    """Give a pull request what the settings ask for, once each; what could not be given, in words.

    `head`: the commit that may merge itself.

    Raises ServiceError where GitHub does not answer: the next run goes on.
    """
    lacks = missing(policy, pull, merges_itself=merges_itself)
    if lacks and not new:
        lacks = not_yet(lacks, pulls.events(pull), pull.author)
    return [*_given(pull, lacks, pulls, policy, head)]


def is_armed_by_program(pull: PullRequest) -> bool:
    """Whether auto-merge is on, and not by a person's hand."""
    by = pull.auto_merge_by
    return bool(by) and (by == pull.author or by.endswith("[bot]"))


def hold_back(pull: PullRequest, forge: Forge) -> list[str]:
    """For a run that looks no further into an open pull request: it merges itself only at the bot's own commit.

    What was done, or could not be, in words.
    """
    if not is_armed_by_program(pull):
        return []
    if forge.policy.auto_merge and is_ours(forge.git.commit_of(pull.head_sha)):
        return []
    why = "its last commit is not the bot's" if forge.policy.auto_merge else "the settings no longer ask for it"
    return let_wait(pull, forge.pulls) or [f"#{pull.number}: auto-merge was switched off: {why}"]


def let_wait(pull: PullRequest, pulls: Pulls, *, whoever: bool = False) -> list[str]:
    """Switch auto-merge off, if it was a program or `whoever` who switched it on; in words, where GitHub refuses."""
    if not pull.auto_merge_by or not (whoever or is_armed_by_program(pull)):
        return []
    return _refused(lambda: pulls.disable_auto_merge(pull), "auto-merge could not be switched off")


def _given(pull: PullRequest, lacks: Dressing, pulls: Pulls, policy: PullRequestPolicy, head: str) -> Iterator[str]:
    if lacks.labels:
        yield from _refused(lambda: pulls.add_labels(pull, lacks.labels), "[pull_request] labels")
    if lacks.reviewers or lacks.team_reviewers:
        yield from _reviewed(pull, lacks.reviewers, lacks.team_reviewers, pulls)
    if lacks.assignees:
        yield from _refused(lambda: _assigned(pull, lacks.assignees, pulls), "[pull_request] assignees")
    if lacks.milestone:
        yield from _refused(lambda: _milestone(pull, lacks.milestone, pulls), "[pull_request] milestone")
    if lacks.auto_merge:
        on = "[pull_request] auto_merge"
        yield from _refused(lambda: pulls.enable_auto_merge(pull, policy.merge_method, head), on)


def _reviewed(pull: PullRequest, people: Sequence[str], teams: Sequence[str], pulls: Pulls) -> Iterator[str]:
    """One request for all; GitHub refuses all for one who is no collaborator, so then one for each."""
    alone = len(people) + len(teams) == 1
    what = f"[pull_request] reviewers: {', '.join([*people, *teams])}"
    refused = _refused(lambda: pulls.request_review(pull, people, teams), what)
    if not refused or alone:
        yield from refused
        return
    for person in people:
        yield from _reviewed(pull, [person], [], pulls)
    for team in teams:
        yield from _reviewed(pull, [], [team], pulls)


def _assigned(pull: PullRequest, people: Sequence[str], pulls: Pulls) -> str:
    there = {login.casefold() for login in pulls.assign(pull, people)}
    left = [person for person in people if person.casefold() not in there]
    return f"{', '.join(left)} may not be assigned here" if left else ""


def _milestone(pull: PullRequest, title: str, pulls: Pulls) -> str:
    return "" if pulls.set_milestone(pull, title) else f"there is no open milestone {title!r}"


def _refused(give: Callable[[], str | None], what: str) -> list[str]:
    """Why something was not given, if it was not."""
    try:
        why = give()
    except BotError as error:
        if error.exit_code != ForgeError.exit_code:
            raise
        why = error.what
    return [f"{what}: {why}"] if why else []
