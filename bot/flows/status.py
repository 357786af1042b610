"""Find out where every image stands, without asking any gate; and keep the dashboard issue current."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from bot.core.alarm import ALARM, Alarm, remembered
from bot.core.issue_text import Issue, is_ours, part_of, room
from bot.core.model import Image
from bot.core.proposal.shown import PullRequest
from bot.core.runs import Run
from bot.core.status import NotAsked, Status, row
from bot.core.status_text import DASHBOARD, markdown
from bot.errors import BotError
from bot.flows.abreast import abreast
from bot.flows.one_issue import Issues, find, open_one, rewrite
from bot.flows.upgrade import Ground, plan

_NOTHING = b"{}"
_NOBODY = "There is no GITHUB_TOKEN and GITHUB_REPOSITORY: set both to see proposals, runs and alarms."


class Runs(Protocol):
    """The repository's workflow runs."""

    def last(self, file: str, **only: str) -> Run | None: ...


class Shown(msgspec.Struct, frozen=True):
    """What the repository on GitHub is asked by."""

    proposals: Callable[[str], Sequence[PullRequest]]
    """All pull requests from an image's branch, newest first, by the image's name."""
    runs: Runs
    issues: Issues


def look(images: Sequence[Image], ground: Ground, shown: Shown | None, workflow: str, repository: str) -> Status:
    """Every image by the decision alone, with what GitHub shows where there is somebody to ask."""
    missing: list[NotAsked] = []
    run: Run | None = None
    alarms: tuple[Alarm, ...] = ()
    if shown is None:
        missing.append(NotAsked("proposals, runs and alarms", "nobody was asked", _NOBODY, 0))
    else:
        try:
            run = shown.runs.last(workflow, status="completed")
        except BotError as error:
            missing.append(NotAsked.by(error, "the last run"))
        try:
            alarms = _alarms(shown.issues)
        except BotError as error:
            missing.append(NotAsked.by(error, "alarms"))
    rows = []
    outcomes = abreast(lambda image: plan(image, ground, None, proving=False), images)
    for image, outcome in zip(images, outcomes, strict=True):
        pulls = _pulls(image, shown)
        if isinstance(pulls, NotAsked) and pulls.exit_code:
            missing.append(pulls)
        rows.append(row(image, outcome, pulls, alarms))
    return Status(repository, tuple(rows), workflow, run, tuple(missing))


def publish(status: Status, issues: Issues) -> tuple[Status, str]:
    """The status with its dashboard's address, and what was done. Raises BotError.

    Nothing is written where the issue says the same, and nothing where a person has closed it.
    """
    issue = find(issues, DASHBOARD, needed=True)
    if issue is None:
        issue = open_one(issues, DASHBOARD, _NOTHING, _text(status, None))
        return msgspec.structs.replace(status, dashboard=issue.url), f"the dashboard is #{issue.number}"
    done = msgspec.structs.replace(status, dashboard=issue.url)
    if not issue.is_open:
        return done, f"the dashboard, #{issue.number}, was closed by a person, so it is left: open it again to have it"
    if _says(issue, status):
        return done, f"the dashboard, #{issue.number}, says the same"
    fresh = issues.read(issue.number) or issue  # with a person's newest words
    rewrite(issues, fresh, DASHBOARD, _NOTHING, _text(status, fresh))
    return done, f"the dashboard, #{issue.number}, was updated"


def _says(issue: Issue, status: Status) -> bool:
    part = part_of(issue.body, DASHBOARD)
    return part is not None and part.text == _text(status, issue)


def _text(status: Status, issue: Issue | None) -> str:
    return markdown(status, room(issue.body if issue is not None else "", DASHBOARD, _NOTHING))


def _pulls(image: Image, shown: Shown | None) -> Sequence[PullRequest] | NotAsked:
    if shown is None:
        return NotAsked(f"proposals of {image.name}", "nobody was asked", _NOBODY, 0)
    try:
        return shown.proposals(image.name)
    except BotError as error:
        return NotAsked.by(error, f"proposals of {image.name}")


def _alarms(issues: Issues) -> tuple[Alarm, ...]:
    """Those of the open alarm issue."""
    for issue in issues.labelled(ALARM.label):
        if issue.is_open and is_ours(issue, ALARM):
            return remembered(issue).alarms
    return ()
