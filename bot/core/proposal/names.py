"""The names and texts of a proposal, and by what the bot knows its own commit."""

from __future__ import annotations

import hashlib
import re

import msgspec

from bot.core.plan import Plan
from bot.core.proposal.part import marked
from bot.core.proposal.shown import Commit
from bot.core.text import plain

_REF = r"v?[0-9](?:[0-9A-Za-z.+-]*[0-9A-Za-z])?"
ALL_BRANCHES = "gateway-bot/"
BRANCHES = f"{ALL_BRANCHES}upgrade/"
ROLLBACKS = f"{ALL_BRANCHES}rollback/"
_TREE, _CHANGE, _KEEPS = "Gateway-Bot-Tree", "Gateway-Bot-Change", "Gateway-Bot-Keeps"
_REASON = "Reason"
GATES = "Gateway-Bot-Gates"
"""The trailer that says what was asked, and how it was answered: `digest=pass vulnerabilities=warn`."""


class Proposal(msgspec.Struct, frozen=True):
    """What should be on GitHub: one branch with one change, one pull request."""

    image: str
    ref: str
    digest: str
    branch: str
    base: str
    title: str
    body: str
    """The bot's part of the body, with its markers."""
    change: str
    """Names the change: which files, from which bytes, to which."""


def branch_name(image: str) -> str:
    """One for an image, whatever the version: GitHub allows one open pull request from a branch to a base."""
    return f"{BRANCHES}{image}"


def branch_of(plan: Plan) -> str:
    """Where a plan is proposed; a rollback does not wait for an upgrade that is open, nor take its place."""
    return f"{ROLLBACKS}{plan.image.name}" if plan.back else branch_name(plan.image.name)


def title(plan: Plan) -> str:
    """A Conventional Commit's first line; both refs are parsed versions, never free text."""
    what = f"revert({plan.image.name}): roll {plan.back.way}" if plan.back else f"deps({plan.image.name}): bump"
    return f"{what} {plan.current.ref} to {plan.candidate.pin.ref}"


def commit_message(plan: Plan, change: str, tree: str, *, keeping: str = "") -> str:
    """The message of the one commit. Its trailers name the change and the tree that the bot made.

    By them the bot later knows its own commit from one that a person changed, and whether it still says what
    the plan says, without any file of its own. `keeping`: the commit of a person's that it stands on.
    """
    pin = plan.candidate.pin
    trailers = f"{_CHANGE}: {change}\n{_TREE}: {tree}" + (f"\n{_KEEPS}: {keeping}" if keeping else "")
    asked = " ".join(f"{gate.name}={gate.verdict}" for gate in plan.gates)
    why = f"\n\n{_REASON}: {_inert(plan.back.reason)}" if plan.back else ""
    body = f"{plan.image.repository}:{pin.tag}\n{pin.digest}{why}"
    return f"{title(plan)}\n\n{body}\n\n{trailers}\n{GATES}: {asked}"


def _inert(reason: str) -> str:
    """What a commit says calls nobody, closes nothing, and skips no workflow."""
    from bot.core.notes.neutral import neutral  # noqa: PLC0415 - only a rollback has a reason

    return neutral(plain(reason, 500))


def reason_in(commit: Commit) -> str:
    """The reason that a rollback's commit gives; empty where it gives none."""
    found = re.search(rf"^{_REASON}: (.+)$", commit.message, re.MULTILINE)
    return found[1] if found else ""


def change_id(plan: Plan) -> str:
    """A hash over every pinned file's bytes before and after, and over the reason that the commit gives."""
    contents = plan.contents
    lines = [
        f"{path} {blob_id(source.data)} {blob_id(contents.get(path, source.data))}\n"
        for path, source in sorted(plan.pinned.sources.items())
    ]
    if plan.back is not None:
        lines.append(plan.back.reason)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def is_ours(commit: Commit) -> bool:
    """Whether the bot made this commit and nobody changed it since."""
    return _trailer(commit, _TREE) == commit.tree


def change_of(commit: Commit) -> str:
    """The change that the bot's commit names; empty where it names none."""
    return _trailer(commit, _CHANGE)


def keeps(commit: Commit) -> bool:
    """Whether the bot's commit stands on what a person changed, which has to stay."""
    return bool(_trailer(commit, _KEEPS))


def digest_of(commit: Commit) -> str:
    """The digest that the bot's commit proposes; empty for one of somebody else's."""
    found = re.findall(r"^(sha256:[0-9a-f]{64})$", commit.message, re.MULTILINE)
    return found[0] if found and is_ours(commit) else ""


def same_title(title: str, wanted: Proposal, *, moved: bool) -> str:
    """The title that a pull request should have: the bot's words in it are put right, a person's stay.

    A title that a person wrote anew speaks of what was proposed then, and is replaced when that has moved on.
    """
    ours = re.search(
        rf"(?:deps|revert)\({re.escape(wanted.image)}\): (?:bump|roll back|roll forward) {_REF} to {_REF}", title
    )
    if ours is not None:
        return title.replace(ours[0], wanted.title)
    return wanted.title if moved else title


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
        f"one commit on branch {branch_of(plan)}: {title(plan)}",
        "one pull request from it, opened or updated",
    )


def proposal(plan: Plan, base: str, body: str) -> Proposal:
    """What a plan asks GitHub to have; `body` is the bot's text."""
    pin = plan.candidate.pin
    return Proposal(
        image=plan.image.name,
        ref=pin.ref,
        digest=pin.digest,
        branch=branch_of(plan),
        base=base,
        title=title(plan),
        body=marked(body, plan.image.name, pin.ref, pin.digest),
        change=change_id(plan),
    )
