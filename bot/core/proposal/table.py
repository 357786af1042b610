"""The decision table: what GitHub shows and what should be there -> one action, with its reason. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from bot.core.plan import NothingNew
from bot.core.proposal.names import Proposal, change_of, keeps, same_title
from bot.core.proposal.part import marked, updated
from bot.core.proposal.shown import REBASE, STOP, Branch, Commit, PullRequest
from bot.core.versions import parse_version


class Keep(msgspec.Struct, frozen=True):
    """Branch and pull request say it all already."""

    pull: PullRequest
    reason: str


class Edit(msgspec.Struct, frozen=True):
    """The branch is right; these of the pull request's texts, or its base, are not. None stays as it is."""

    pull: PullRequest
    reason: str
    title: str | None = None
    body: str | None = None
    base: str | None = None


class Push(msgspec.Struct, frozen=True):
    """Commit on the branch, on top of `head` where there is one; then open a pull request or edit this one.

    `keeping`: a person asked the bot to go on, on top of what they changed, and nothing of that is lost.
    """

    head: Commit | None
    edit: Edit | None
    reason: str
    keeping: bool = False


class Open(msgspec.Struct, frozen=True):
    """The branch is right, the pull request is missing: an earlier run ended between the two."""

    reason: str


class Declined(msgspec.Struct, frozen=True):
    """A person closed this version with this digest without merging it."""

    pull: PullRequest
    reason: str


class Stopped(msgspec.Struct, frozen=True):
    """A person told the bot to leave the pull request alone."""

    pull: PullRequest
    reason: str


class Foreign(msgspec.Struct, frozen=True):
    """A person's commit is on the branch; `pull` is open from it, or was the last one."""

    head: Commit
    pull: PullRequest | None
    reason: str


class Withdraw(msgspec.Struct, frozen=True):
    """The pull request proposes what is no longer to be proposed: close it, say why; the branch goes."""

    pull: PullRequest
    reason: str


class DeleteBranch(msgspec.Struct, frozen=True):
    """The pull request was merged or withdrawn, and nothing is on the branch that was not in it."""

    pull: PullRequest
    reason: str


class Nothing(msgspec.Struct, frozen=True):
    """There is nothing to tidy."""

    reason: str = ""


_CAUTION = "> [!CAUTION]"

Action = Keep | Edit | Push | Open | Foreign
Tidying = Withdraw | DeleteBranch | Stopped | Foreign | Nothing


def opened(pulls: Sequence[PullRequest]) -> PullRequest | None:
    """The open one. GitHub allows one from a branch to a base: the newest counts, should the base have changed."""
    return next((pull for pull in pulls if pull.is_open), None)


def declined(pulls: Sequence[PullRequest], digest: str) -> PullRequest | None:
    """The pull request with this digest that a person closed without merging."""
    return next((pull for pull in pulls if pull.declined and pull.digest == digest), None)


def answered(ref: str, digest: str, pulls: Sequence[PullRequest]) -> Declined | Stopped | None:
    """What a person has decided already, so that nothing more need be asked; None where nobody did."""
    pull = opened(pulls)
    if pull is not None:
        stops = f"#{pull.number} has the label `{STOP}`: it is left as it is until that is taken off"
        return Stopped(pull, stops) if pull.stopped else None
    refusal = declined(pulls, digest)
    if refusal is None:
        return None
    return Declined(
        refusal,
        f"{ref} was declined in #{refusal.number}, which was closed without merging; "
        "a new version or digest is a new question",
    )


def next_action(wanted: Proposal, pulls: Sequence[PullRequest], branch: Branch | None, base: Commit) -> Action:
    """What to do for a proposal that nobody has answered yet.

    `pulls`: all from the bot's branch, newest first; `base`: the head of the base.
    """
    pull = opened(pulls)
    if branch is None:
        return Push(None, _edit(wanted, pull, moved=True), "nothing was open")
    if branch.own is None and not (pull is None and _settled(branch, pulls)):
        return _on_a_persons_branch(wanted, branch, pull or next(iter(pulls), None))
    moved = branch.own is None or change_of(branch.own) != wanted.change
    keeping = branch.own is not None and keeps(branch.own)
    if pull is None:
        if moved or pulls:  # a branch that was merged, while the base holds the old pin again, has to move on
            return Push(branch.head, None, "nothing was open; its branch was still there", keeping)
        return Open("an earlier run ended before its pull request was there")
    if moved:
        return Push(branch.head, _edit(wanted, pull, moved=True), _why_moved(wanted, pull), keeping)
    if pull.to_rebase and base.sha not in branch.head.parents:
        return Push(branch.head, _edit(wanted, pull, moved=False), f"the label `{REBASE}` asked for it", keeping)
    edit = _edit(wanted, pull, moved=False)
    if edit is not None and (edit.title, edit.body, edit.base) != (None, None, None):
        return edit
    return Keep(pull, "it is open and says the same")


def tidying(outcome: NothingNew, pulls: Sequence[PullRequest], branch: Branch | None) -> Tidying:
    """What to do where there is nothing to propose: what was merged or is obsolete does not stay behind."""
    pull = opened(pulls)
    if pull is None:
        last = pulls[0] if pulls else None
        if last is None or branch is None or not (last.merged or last.withdrawn):
            return Nothing()
        if not _settled(branch, pulls):
            return Nothing(f"the branch of #{last.number} has newer commits, so it was left")
        return DeleteBranch(last, f"#{last.number} is {'merged' if last.merged else 'withdrawn'}")
    why = obsolete(outcome, pull)
    if not why:
        return Nothing()
    if pull.stopped:
        return Stopped(pull, f"#{pull.number} is obsolete ({why}), but has the label `{STOP}`")
    if branch is not None and _has_theirs(branch):
        return Foreign(branch.head, pull, f"#{pull.number} is obsolete ({why}), but somebody's commit is on its branch")
    return Withdraw(pull, why)


def obsolete(outcome: NothingNew, pull: PullRequest) -> str:
    """Why an open pull request is not to be proposed any more; empty where it may stay."""
    part, selection = pull.part, outcome.selection
    version = parse_version(part.ref) if part else None
    if part is None or version is None:
        return ""
    if version <= outcome.current.version:
        return f"the pin is at {outcome.current.ref} already"
    waits = selection.cooling is not None and selection.cooling.ref == part.ref
    if selection.release is not None or waits:
        return ""
    seen = next((entry for entry in selection.considered if entry.ref == part.ref), None)
    return f"{part.ref} is no longer proposed: {seen.reason if seen else 'it is not among the releases any more'}"


def withdrawn_body(pull: PullRequest, reason: str) -> str:
    """The body that says why the bot closed it, and that a closed one was not declined by a person."""
    part = pull.part
    if part is None:
        return pull.body
    text = f"**Withdrawn by gateway-bot:** {reason}.\n\n{part.text}"
    return updated(pull.body, marked(text, part.image, part.ref, part.digest, withdrawn=True), moved=True)


def warned_body(pull: PullRequest, reason: str, next_step: str) -> str:
    """The body with a warning above all: what is open was proven once, and is refused now."""
    from bot.core.notes.inline import words  # noqa: PLC0415 - few runs have to warn

    part = pull.part
    if part is None:
        return pull.body
    proven = re.sub(rf"^{re.escape(_CAUTION)}(?:\n>[^\n]*)*\n*", "", part.text)
    warning = f"{_CAUTION}\n> **Do not merge.** {words(reason)}\n>\n> {words(next_step)}"
    return updated(pull.body, marked(f"{warning}\n\n{proven}", part.image, part.ref, part.digest), moved=True)


def _has_theirs(branch: Branch) -> bool:
    """Whether a person's commit is on it, also one that the bot went on from."""
    return branch.own is None or keeps(branch.own)


def _on_a_persons_branch(wanted: Proposal, branch: Branch, pull: PullRequest | None) -> Action:
    """`pull`: the open one, or the last one from there; a person may ask on either to go on."""
    if pull is not None and pull.to_rebase:
        return Push(
            branch.head,
            _edit(wanted, pull, moved=True) if pull.is_open else None,
            f"the label `{REBASE}` asked the bot to go on, on top of somebody's commits",
            keeping=True,
        )
    return Foreign(
        branch.head,
        pull,
        f"the branch has a commit that the bot did not make ({branch.head.sha[:12]}), so it was left as it is",
    )


def _settled(branch: Branch, pulls: Sequence[PullRequest]) -> bool:
    """Whether all that is on the branch was in a pull request that was merged or withdrawn."""
    return any(pull.head_sha == branch.head.sha for pull in pulls if pull.merged or pull.withdrawn)


def _why_moved(wanted: Proposal, pull: PullRequest) -> str:
    part = pull.part
    if part is not None and part.digest != wanted.digest:
        return f"it proposed {part.ref}, and now proposes {wanted.ref}"
    return "the files that it changes are others on the base now"


def _edit(wanted: Proposal, pull: PullRequest | None, *, moved: bool) -> Edit | None:
    """What of the pull request's texts is to be changed."""
    if pull is None:
        return None
    part = pull.part
    other = part.digest != wanted.digest if part is not None else moved
    title = same_title(pull.title, wanted, moved=other)
    body = updated(pull.body, wanted.body, moved=moved)
    return Edit(
        pull,
        "its text says what is so now",
        title=title if title != pull.title else None,
        body=body if body != pull.body else None,
        base=wanted.base if pull.base != wanted.base else None,
    )
