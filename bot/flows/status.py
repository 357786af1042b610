"""Find out where every image stands, without asking any gate; and keep the dashboard issue current."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

import msgspec

from bot.core.alarm import ALARM, remembered
from bot.core.issue_text import Issue, is_ours, part_of, room
from bot.core.model import Image
from bot.core.plan import Outcome, Plan
from bot.core.proposal.names import ALL_BRANCHES, ROLLBACKS, branch_name
from bot.core.proposal.shown import Commit, PullRequest
from bot.core.proposal.table import declined, opened
from bot.core.runs import NoWorkflow, Run
from bot.core.status import NotAsked, Standing, Status, merged_gaps, row
from bot.core.status_text import DASHBOARD, dashboard
from bot.errors import BotError
from bot.flows.abreast import abreast
from bot.flows.one_issue import Issues, find, open_one, rewrite
from bot.flows.upgrade import Ground, plan

_NOTHING = b"{}"
_Answer = TypeVar("_Answer")

Pulls = Sequence[PullRequest] | NotAsked
Head = Commit | NotAsked | None


class Runs(Protocol):
    """The repository's workflow runs."""

    def last(self, file: str, **only: str) -> Run | None: ...


class Branches(Protocol):
    """The repository's branches, as far as they tell whether the bot may move one."""

    def branches(self, prefix: str) -> frozenset[str]: ...

    def head(self, branch: str) -> Commit | None: ...

    def commit_of(self, sha: str) -> Commit: ...


class Shown(msgspec.Struct, frozen=True):
    """What the repository on GitHub is asked by."""

    proposals: Callable[[str], Sequence[PullRequest]]
    """All pull requests from an image's branch, newest first, by the image's name."""
    rollbacks: Callable[[str], Sequence[PullRequest]]
    """The same of its rollbacks' branch."""
    branches: Branches
    runs: Runs
    issues: Issues


def look(images: Sequence[Image], ground: Ground, shown: Shown | NotAsked, workflow: str, repository: str) -> Status:
    """Every image by the decision alone, with what GitHub shows; `shown` may say why nobody was asked."""
    missing: list[NotAsked] = [shown] if isinstance(shown, NotAsked) else []
    run, no_workflow = _last_run(shown, workflow, missing)
    alarms = _alarms(shown, missing)
    outcomes = abreast(lambda image: plan(image, ground, None, proving=False), images)
    found = [(image, outcome, _pulls(image, shown, missing)) for image, outcome in zip(images, outcomes, strict=True)]
    there = _branches(shown, missing)
    heads = _heads(found, shown, there, missing)
    back = _rollbacks(images, shown, there, missing)
    rows = [
        row(image, outcome, pulls, alarms, heads.get(image.name), back.get(image.name, ()))
        for image, outcome, pulls in found
    ]
    gaps = merged_gaps(missing)
    return Status(repository, tuple(rows), workflow, run, gaps, alarms=alarms, no_workflow=no_workflow)


def publish(status: Status, issues: Issues) -> tuple[Status, str]:
    """The status with its dashboard's address, and what was done. Raises BotError.

    Nothing is written where the issue says the same, and nothing where a person has closed it.
    """
    issue = find(issues, DASHBOARD, needed=True)
    if issue is None:
        issue = open_one(issues, DASHBOARD, _NOTHING, _text(status, None))
        return msgspec.structs.replace(status, dashboard=issue.url), f"the dashboard is #{issue.number}"
    done = msgspec.structs.replace(status, dashboard=issue.url)
    closed = f"the dashboard, #{issue.number}, was closed by a person, so it is left: open it again to have it"
    if not issue.is_open:
        return done, closed
    if _says(issue, status):
        return done, f"the dashboard, #{issue.number}, says the same"
    fresh = issues.read(issue.number) or issue  # with a person's newest words
    if not fresh.is_open:
        return done, closed
    rewrite(issues, fresh, DASHBOARD, _NOTHING, _text(status, fresh))
    return done, f"the dashboard, #{issue.number}, was updated"


def _says(issue: Issue, status: Status) -> bool:
    part = part_of(issue.body, DASHBOARD)
    return part is not None and part.text == _text(status, issue)


def _text(status: Status, issue: Issue | None) -> str:
    return dashboard(status, room(issue.body if issue is not None else "", DASHBOARD, _NOTHING))


def _last_run(shown: Shown | NotAsked, workflow: str, missing: list[NotAsked]) -> tuple[Run | None, bool]:
    """The last run that came to its end, and whether there is no such workflow."""
    try:
        return (None if isinstance(shown, NotAsked) else shown.runs.last(workflow, status="completed")), False
    except NoWorkflow:
        return None, True
    except BotError as error:
        missing.append(NotAsked.by(error, "the last run"))
        return None, False


def _alarms(shown: Shown | NotAsked, missing: list[NotAsked]) -> tuple[Standing, ...]:
    """Those of the open alarm issue; of two, the one that `watch` keeps."""
    if isinstance(shown, NotAsked):
        return ()
    try:
        there = [issue for issue in shown.issues.labelled(ALARM.label) if issue.is_open and is_ours(issue, ALARM)]
    except BotError as error:
        missing.append(NotAsked.by(error, "alarms"))
        return ()
    issue = min(there, key=lambda issue: issue.number, default=None)
    return tuple(Standing.of(alarm, issue) for alarm in remembered(issue).alarms) if issue is not None else ()


def _pulls(image: Image, shown: Shown | NotAsked, missing: list[NotAsked]) -> Pulls:
    if isinstance(shown, NotAsked):
        return shown
    try:
        return shown.proposals(image.name)
    except BotError as error:
        missing.append(NotAsked.by(error, f"proposals of {image.name}"))
        return missing[-1]


def _branches(shown: Shown | NotAsked, missing: list[NotAsked]) -> frozenset[str]:
    """Of all images, by one request: there may be one without a proposal, or one that goes back."""
    if isinstance(shown, NotAsked):
        return frozenset()
    there = _known(partial(shown.branches.branches, ALL_BRANCHES), "the bot's branches", missing)
    return frozenset() if isinstance(there, NotAsked) else there


def _rollbacks(
    images: Sequence[Image], shown: Shown | NotAsked, there: frozenset[str], missing: list[NotAsked]
) -> dict[str, Sequence[PullRequest]]:
    """The pull requests that go back, by the image's name: one request for each that has such a branch."""
    found: dict[str, Sequence[PullRequest]] = {}
    for name in (image.name for image in images if f"{ROLLBACKS}{image.name}" in there):
        pulls = (
            shown
            if isinstance(shown, NotAsked)
            else _known(partial(shown.rollbacks, name), f"rollbacks of {name}", missing)
        )
        found[name] = () if isinstance(pulls, NotAsked) else pulls
    return found


def _heads(
    found: Sequence[tuple[Image, Outcome, Pulls]],
    shown: Shown | NotAsked,
    there: frozenset[str],
    missing: list[NotAsked],
) -> dict[str, Head]:
    """The last commit on each branch that the bot would move, by the image's name: `propose` leaves a person's.

    One request for every open proposal, and for every image that has none and yet a branch.
    """
    heads: dict[str, Head] = {}
    if isinstance(shown, NotAsked):
        return heads
    branches, unproposed = shown.branches, []
    for image, outcome, pulls in found:
        if isinstance(pulls, NotAsked):
            continue
        pull = opened(pulls)
        if pull is not None and not pull.stopped and not pull.to_rebase:
            ask = partial(branches.commit_of, pull.head_sha)
            heads[image.name] = _known(ask, f"whose commit is the last of #{pull.number}", missing)
        elif pull is None and isinstance(outcome, Plan) and declined(pulls, outcome.candidate.pin.digest) is None:
            unproposed.append(image.name)
    for name in unproposed:
        branch = branch_name(name)
        if branch in there:
            heads[name] = _known(partial(branches.head, branch), f"whose commit is the last of {branch}", missing)
    return heads


def _known(ask: Callable[[], _Answer], what: str, missing: list[NotAsked]) -> _Answer | NotAsked:
    try:
        return ask()
    except BotError as error:
        missing.append(NotAsked.by(error, what))
        return missing[-1]
