"""A release that is made here, to the remote, and its workflow on its way. Run again, it does what is left."""

from __future__ import annotations

from typing import Protocol

import msgspec

from bot.core.release.bump import Bumped
from bot.core.release.pushed import Pushed, start_by_hand
from bot.core.runs import NoWorkflow, Run
from bot.errors import BotError, ForgeError


class Remote(Protocol):
    """The local repository, and where it is pushed to."""

    def branch(self) -> str | None: ...

    def remote(self, branch: str) -> str: ...

    def push(self, remote: str, branch: str, tag: str) -> bool: ...


class WorkflowRuns(Protocol):
    """The workflows of the repository on GitHub."""

    def last(self, file: str, **only: str) -> Run | None: ...

    def start(self, file: str, ref: str) -> str: ...


class Publisher(msgspec.Struct, frozen=True):
    """The workflow that publishes a tag, by its file. `in_actions`: a push from here starts no workflow by itself, so
    it is started by `runs`, or, without them, by a person.
    """

    workflow: str
    in_actions: bool = False
    runs: WorkflowRuns | None = None


def published(done: Bumped, git: Remote, publisher: Publisher) -> Bumped:
    """The release with what was pushed and what publishes it.

    Raises ForgeError where the push or the start is refused, ServiceError where it is not known what is there.
    """
    tag, branch = done.bump.tag, git.branch() or ""
    remote = git.remote(branch)
    try:
        now = git.push(remote, branch, tag)
    except BotError as error:
        error.what = f"{tag} is made here, and not pushed: {error.what}"
        raise
    pushed = Pushed(remote, branch, now, publisher.workflow)
    if publisher.in_actions:
        pushed = _started(pushed, tag, done.commit, publisher.runs)
    return msgspec.structs.replace(done, pushed=pushed)


def _started(pushed: Pushed, tag: str, commit: str, runs: WorkflowRuns | None) -> Pushed:
    """With the run that publishes the tag: one of the tag as it is now, whatever started it."""
    if runs is None:
        return msgspec.structs.replace(pushed, starts="by hand")
    file = pushed.workflow
    try:
        there = runs.last(file, branch=tag, head_sha=commit)
        if there is not None:
            return msgspec.structs.replace(pushed, starts="before", run=there.url, state=there.state)
        return msgspec.structs.replace(pushed, starts="now", run=runs.start(file, tag))
    except BotError as error:
        refused = error.exit_code == ForgeError.exit_code
        then = f"{file} was not started" if refused else f"it is not known whether {file} was started"
        error.what = f"{tag} is pushed, and {then}: {error.what}"
        if isinstance(error, NoWorkflow):
            error.next_step = f"Save the workflow that publishes as .github/workflows/{file}: docs/workflows.md."
        error.next_step += f" Then run this again, or start it by hand: {start_by_hand(file, tag)}"
        raise
