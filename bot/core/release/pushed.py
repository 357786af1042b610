"""What became of a release's push: where it is, and what publishes it there. Pure."""

from __future__ import annotations

import re
import shlex
from typing import Literal

import msgspec

from bot.core.text import plain

_WORKFLOW = re.compile(r"/\.github/workflows/([A-Za-z0-9_.][A-Za-z0-9_.-]*\.ya?ml)@")

_BROKEN_OFF = frozenset({"failure", "cancelled", "timed_out", "startup_failure"})


class Pushed(msgspec.Struct, frozen=True):
    """A release that is at the remote, and what publishes it there."""

    remote: str
    branch: str
    now: bool
    """Whether this run brought it there."""
    workflow: str
    """The file of the workflow that publishes."""
    starts: Literal["the push", "now", "before", "by hand"] = "the push"
    """What starts it: the push of the tag, or, where such a push starts nothing, this run, one before, a person."""
    run: str = ""
    """The page of its run, where that is known."""
    state: str = ""
    """How far a run from before is."""

    def lines(self, tag: str) -> list[str]:
        """For a person: what is where, and what runs."""
        both = f"{plain(self.branch, 80)} and {tag}"
        there = plain(self.remote, 80)
        lines = [f"  pushed: {both} to {there}" if self.now else f"  pushed before: {both} to {there}"]
        run = f": {plain(self.run, 300)}" if self.run else ""
        match self.starts:
            case "now":
                lines.append(f"  started: {self.workflow}{run}")
            case "before":
                lines.append(f"  started before: {self.workflow} ({plain(self.state, 40)}){run}")
                if self.state in _BROKEN_OFF:
                    lines.append("  next: re-run its failed jobs there")
            case "the push":
                lines.append(f"  the push of a tag starts {self.workflow}")
        return lines


def workflow_of(identity: str) -> str:
    """The file of the workflow that a certificate's identity names; release.yml where it names none."""
    named = _WORKFLOW.search(identity)
    return named[1] if named else "release.yml"


def start_by_hand(workflow: str, tag: str) -> str:
    """The command that starts the workflow which publishes a tag."""
    return shlex.join(["gh", "workflow", "run", workflow, "--ref", tag])
