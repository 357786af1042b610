"""The decision table: what GitHub shows and what should be there -> one action, with its reason. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bot.core.proposal.names import Proposal, change_of, keeps, same_title
from bot.core.proposal.part import updated
from bot.core.proposal.shown import REBASE, STOP, Branch, Commit, PullRequest
from bot.core.selection import Selection
from bot.core.versions import parse_version


class Keep(msgspec.Struct, frozen=True):
    """Branch and pull request say it all already."""

    pull: PullRequest
    reason: str


class Edit(msgspec.Struct, frozen=True):
    """The branch is right; these of the pull request's texts, or its base, are not. None stays as it is.

    `moved`: the branch says something else than before.
    """

    pull: PullRequest
    reason: str
    title: str | None = None
    body: str | None = None
    base: str | None = None
    moved: bool = False

    @property
    def changes(self) -> bool:
        return (self.title, self.body, self.base) != (None, None, None)


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


Action = Keep | Edit | Push | Open | Foreign


def opened(pulls: Sequence[PullRequest]) -> PullRequest | None:
    """The open one. GitHub allows one from a branch to a base: the newest counts, should the base have changed."""
    return next((pull for pull in pulls if pull.is_open), None)


def declined(pulls: Sequence[PullRequest], digest: str) -> PullRequest | None:
    """The pull request with this digest that a person closed without merging."""
    return next((pull for pull in pulls if pull.declined and pull.digest == digest), None)


def answered(ref: str, digest: str, pulls: Sequence[PullRequest]) -> Declined | Stopped | None:
    """What a person has decided already, so that nothing more need be asked; None where nobody did."""
    pull = opened(pulls)
    if pull is not None and pull.stopped:
        return Stopped(pull, f"#{pull.number} has the label `{STOP}`: it is left as it is until that is taken off")
    refusal = declined(pulls, digest) if pull is None or pull.digest != digest else None
    if refusal is None:
        return None
    return Declined(
        refusal,
        f"{ref} was declined in #{refusal.number}, which was closed without merging; a new version or digest is a "
        f"new question. To take it up after all, reopen #{refusal.number}",
    )


def cools_again(pull: PullRequest, ref: str, selection: Selection) -> bool:
    """Whether an open pull request proposes a newer release, which has to cool down now: it does not go back."""
    part, wanted = pull.part, parse_version(ref)
    there = parse_version(part.ref) if part is not None and selection.cools(part.ref) else None
    return there is not None and wanted is not None and there > wanted


def next_action(wanted: Proposal, pulls: Sequence[PullRequest], branch: Branch | None, base: Commit) -> Action:
    """What to do for a proposal that nobody has answered yet.

    `pulls`: all from the bot's branch, newest first; `base`: the head of the base.
    """
    pull = opened(pulls)
    if branch is None:
        return Push(None, _edit(wanted, pull, moved=True), "nothing was open")
    if _is_theirs(branch, pulls):
        return _on_a_persons_branch(wanted, branch, pull or next(iter(pulls), None))
    moved = branch.own is None or change_of(branch.own) != wanted.change
    keeping = branch.own is not None and keeps(branch.own) and not (pull is None and settled(branch, pulls))
    if not moved and not keeping and not branch.proven:
        return _on_a_persons_branch(wanted, branch, pull or next(iter(pulls), None))  # it says so, and is not so
    if pull is None:
        if moved or settled(branch, pulls):  # merged, while the base holds the old pin again: it has to move on
            return Push(branch.head, None, "nothing was open; its branch was still there", keeping)
        return Open("an earlier run ended before its pull request was there")
    if moved:
        return Push(branch.head, _edit(wanted, pull, moved=True), _why_moved(wanted, pull), keeping)
    if pull.to_rebase and not keeping and base.sha not in branch.head.parents:
        return Push(branch.head, _edit(wanted, pull, moved=False), f"the label `{REBASE}` asked for it")
    edit = _edit(wanted, pull, moved=False)
    if edit is not None and edit.changes:
        return edit
    return Keep(pull, "it is open and says the same")


def _is_theirs(branch: Branch, pulls: Sequence[PullRequest]) -> bool:
    """Whether the branch is a person's now: they committed there, and nobody has asked the bot to go on since."""
    return branch.own is None if opened(pulls) is not None else keeps_theirs(branch, pulls)


def keeps_theirs(branch: Branch | None, pulls: Sequence[PullRequest]) -> bool:
    """Whether what is proposed from the branch holds a person's commits: all of them that were not merged before."""
    if branch is None or not has_theirs(branch):
        return False
    return opened(pulls) is not None or not settled(branch, pulls)


def has_theirs(branch: Branch) -> bool:
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


def settled(branch: Branch, pulls: Sequence[PullRequest]) -> bool:
    """Whether all that is on the branch was in a pull request that was merged or withdrawn."""
    same = [pull for pull in pulls if pull.head_sha == branch.head.sha]
    return any(pull.merged or (pull.withdrawn and not has_theirs(branch)) for pull in same)


def _why_moved(wanted: Proposal, pull: PullRequest) -> str:
    part = pull.part
    if part is not None and part.digest != wanted.digest:
        return f"it proposed {part.ref}, and now proposes {wanted.ref}"
    return "the files that it changes are others on the base now, or its reason is another"


def _edit(wanted: Proposal, pull: PullRequest | None, *, moved: bool) -> Edit | None:
    return None if pull is None else edit_of(wanted, pull, moved=moved)


def edit_of(wanted: Proposal, pull: PullRequest, *, moved: bool) -> Edit:
    """What of the pull request's texts is to be changed, as they are now."""
    part = pull.part
    other = part.digest != wanted.digest if part is not None else moved
    title = same_title(pull.title, wanted, moved=other)
    body = updated(pull.body, wanted.body, moved=moved)
    return Edit(
        pull,
        "the evidence, the files or the wording are others now",
        title=title if title != pull.title else None,
        body=body if body != pull.body else None,
        base=wanted.base if pull.base != wanted.base else None,
        moved=moved,
    )
