"""The proposal: its names and texts, and what to do about it given what GitHub shows. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import msgspec

from bot.core.plan import Plan

_TREE, _CHANGE = "Gateway-Bot-Tree", "Gateway-Bot-Change"


class Conflict(Exception):
    """Somebody else moved or made the same thing first."""


class PullRequest(msgspec.Struct, frozen=True):
    """A pull request from the bot's branch, as GitHub shows it."""

    number: int
    url: str
    title: str
    body: str
    is_open: bool
    merged: bool


class Commit(msgspec.Struct, frozen=True):
    """The commit at the head of a branch."""

    sha: str
    tree: str
    message: str
    parents: tuple[str, ...]


class Blob(msgspec.Struct, frozen=True):
    """A file in a tree: git's mode, and the id of its bytes."""

    mode: str
    sha: str


class Proposal(msgspec.Struct, frozen=True):
    """What should be on GitHub: one branch with one change, one pull request."""

    branch: str
    title: str
    body: str
    digest: str
    change: str
    """Names the change: which files, from which bytes, to which."""


class Keep(msgspec.Struct, frozen=True):
    """Branch and pull request already say it all."""

    pull: PullRequest


class EditText(msgspec.Struct, frozen=True):
    """The branch is right, the pull request's text is not."""

    pull: PullRequest


class OpenPull(msgspec.Struct, frozen=True):
    """The branch is right, the pull request is missing: an earlier run ended between the two."""


class Push(msgspec.Struct, frozen=True):
    """Commit on the branch (on top of `head`, where there is one), then open or edit the pull request."""

    head: Commit | None
    pull: PullRequest | None


class Declined(msgspec.Struct, frozen=True):
    """A person closed this version and digest without merging it."""

    pull: PullRequest


class Foreign(msgspec.Struct, frozen=True):
    """The branch has a commit that the bot did not make."""

    head: Commit


Action = Keep | EditText | OpenPull | Push | Declined | Foreign


def branch_name(plan: Plan) -> str:
    """By image and version, so that a second run finds the first one's work."""
    return f"gateway-bot/{plan.image.name}/{plan.candidate.pin.version}"


def title(plan: Plan) -> str:
    """A Conventional Commit's first line; both refs are parsed versions, never free text."""
    return f"deps({plan.image.name}): bump {plan.current.ref} to {plan.candidate.pin.ref}"


def commit_message(plan: Plan, tree: str) -> str:
    """The message of the one commit. Its trailers name the change and the tree that the bot made.

    By them the bot later knows its own commit from one that a person changed, and whether it still says what
    the plan says, without any file of its own.
    """
    pin = plan.candidate.pin
    trailers = f"{_CHANGE}: {change_id(plan)}\n{_TREE}: {tree}"
    return f"{title(plan)}\n\n{plan.image.repository}:{pin.tag}\n{pin.digest}\n\n{trailers}"


def change_id(plan: Plan) -> str:
    """A hash over every pinned file's bytes before and after."""
    contents = plan.contents
    lines = [
        f"{path} {blob_id(source.data)} {blob_id(contents.get(path, source.data))}\n"
        for path, source in sorted(plan.pinned.sources.items())
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def is_ours(commit: Commit) -> bool:
    """Whether the bot made this commit and nobody changed it since."""
    return _trailer(commit, _TREE) == commit.tree


def _trailer(commit: Commit, name: str) -> str:
    found = re.findall(rf"^{name}: ([0-9a-f]+)$", commit.message, re.MULTILINE)
    return found[-1] if found else ""


def blob_id(data: bytes) -> str:
    """Git's name for these bytes."""
    return hashlib.sha1(b"blob %d\x00" % len(data) + data, usedforsecurity=False).hexdigest()


def steps(plan: Plan) -> tuple[str, ...]:
    """What acting on the plan does, in order."""
    return (
        *(f"rewrite {edit.file}:{edit.line}" for edit in plan.edits),
        f"one commit on branch {branch_name(plan)}: {title(plan)}",
        "one pull request from it, opened or updated",
    )


def next_action(wanted: Proposal, pulls: Sequence[PullRequest], head: Commit | None) -> Action:
    """What to do, given all pull requests from the branch and the commit at its head."""
    opened = next((pull for pull in pulls if pull.is_open), None)
    if opened is None:
        # above the fold: release notes, which stand below it, may name digests too
        declined = next((p for p in pulls if not p.merged and wanted.digest in p.body.partition("<details>")[0]), None)
        if declined is not None:
            return Declined(declined)
    if head is None:
        return Push(None, opened)
    if not is_ours(head):
        return Foreign(head)
    if _trailer(head, _CHANGE) != wanted.change:
        return Push(head, opened)
    if opened is not None:
        unchanged = (opened.title, _normal(opened.body)) == (wanted.title, _normal(wanted.body))
        return Keep(opened) if unchanged else EditText(opened)
    # a branch that was merged, while the base holds the old pin again, has nothing to merge until it moves on
    return Push(head, None) if pulls else OpenPull()


def _normal(body: str) -> str:
    """GitHub may store CRLF and cut white space at the end."""
    return body.replace("\r\n", "\n").strip()
