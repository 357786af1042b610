"""A plan -> one commit and one pull request on GitHub; run again, it changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from bot.core.identity import Identity, after_author
from bot.core.model import SourceFile
from bot.core.plan import NothingNew, Outcome, Plan
from bot.core.proposal.dressing import may_merge_itself
from bot.core.proposal.names import Proposal, blob_id, branch_of, proposal, reason_in, title
from bot.core.proposal.part import updated
from bot.core.proposal.shown import REBASE, Branch, Commit, Conflict, PullRequest
from bot.core.proposal.table import (
    Declined,
    Edit,
    Foreign,
    Keep,
    Open,
    Push,
    Stopped,
    answered,
    cools_again,
    edit_of,
    keeps_theirs,
    next_action,
    opened,
)
from bot.core.pull_request import body as upgrade_body
from bot.errors import BotError, ForgeError
from bot.flows.branch import BaseMoved, Rewrite, look, proposals_of, push, same_files
from bot.flows.dress import dress, hold_back, is_armed_by_program, let_wait
from bot.flows.forge import Forge
from bot.flows.observe import read_pinned
from bot.flows.tidy import tidy
from bot.flows.upgrade import Ground, Result, plan


def propose(made: Plan, forge: Forge, ground: Ground, log: Callable[[str], None]) -> Result:
    """Bring GitHub to what the plan says, or say what was decided instead on the base's own files.

    Where the base holds other files than the plan was made from, or somebody else was faster, it is
    planned again once; a rollback is not, since it was chosen from the history of this clone. Raises ForgeError.
    """
    why = ""
    for first in (True, False):
        try:
            return _attempt(made, forge, _rewriter(made, ground), first=first)
        except BaseMoved as moved:
            why = "the base is not what the plan was made from"
            if made.back is not None:
                raise _behind(forge) from None
            if not first:
                break
            again = _replanned(made, ground, forge.git.read(moved.files, made.pinned.sources))
            if not isinstance(again, Plan):
                return tidy(again, forge)
            made = again
        except Conflict as conflict:
            why = str(conflict)
        if first:
            log(f"{why}; planning again")
    raise ForgeError(
        f"somebody else keeps changing the same thing: {why}",
        where=branch_of(made),
        next_step="Nothing was overwritten. Run it again when the other run is done.",
    )


def preview(made: Plan) -> Result:
    """What would be proposed, for a dry run."""
    text = f"{title(made)}\nfrom {branch_of(made)}\n\n{body(made)}"
    return Result(made, did="dry run: nothing was done; the pull request would read:\n", preview=text)


def body(made: Plan, identity: Identity | None = None, *, merges_itself: bool = False, has_theirs: bool = False) -> str:
    """The bot's text of the pull request, of an upgrade or of a rollback."""
    if made.back is None:
        return upgrade_body(made, identity, merges_itself=merges_itself, has_theirs=has_theirs)
    from bot.core.rollback.text import body as rollback_body  # noqa: PLC0415 - only for a rollback

    return rollback_body(made, identity, has_theirs=has_theirs)


class _Given(msgspec.Struct, frozen=True):
    """Files that were read already, where a flow wants to read them."""

    sources: Mapping[str, SourceFile]

    def read(self, paths: Iterable[str]) -> dict[str, SourceFile]:
        return {path: self.sources[path] for path in paths}


def _replanned(made: Plan, ground: Ground, sources: Mapping[str, SourceFile]) -> Outcome:
    files = _Given(sources)
    return plan(made.image, msgspec.structs.replace(ground, files=files), made.wanted, made.evidence)


def _rewriter(made: Plan, ground: Ground) -> Rewrite:
    """The candidate's pin put into files that a person may have changed otherwise."""

    def rewritten(sources: Mapping[str, SourceFile]) -> Mapping[str, bytes]:
        pinned = read_pinned(made.image, _Given(sources), ground.allowed_keys)
        return made.rewritten(sources, pinned.held)

    return rewritten


def _attempt(made: Plan, forge: Forge, rewritten: Rewrite, *, first: bool) -> Result:
    git, pin = forge.git, made.candidate.pin
    pulls = proposals_of(forge, branch_of(made))
    pull = opened(pulls)
    decided = answered(pin.ref, pin.digest, pulls)
    if decided is not None and not (made.back and isinstance(decided, Declined)):  # who asks again wants it now
        return _left(made, decided, forge)
    if pull is not None and cools_again(pull, pin.ref, made.selection):
        why = f"#{pull.number} proposes a newer release, which has to cool down now: left as it is"
        return Result(made, did=why, url=pull.url, warnings=tuple(hold_back(pull, forge)))
    made = _with_its_reason(made, pull, forge) if pull is not None else made
    base_name = forge.base_name(pulls)
    branch, base = _looked(made, forge, pull.base if pull else base_name, guess=first and not pulls)
    if pull is not None and pull.base != base_name:
        base = _head_of(base_name, forge)
    theirs, before = keeps_theirs(branch, pulls), pull
    wanted = _wanted(made, forge, base_name, pull, theirs=theirs)
    action = next_action(wanted, pulls, branch, base)
    if isinstance(action, Foreign):
        raise _left_to_its_author(action, branch, wanted.branch, forge)
    # What was made from this very base was compared with it then
    fresh = branch is not None and base.sha in branch.head.parents and not isinstance(action, Push)
    blobs = {} if fresh else same_files(made, git, base)
    proven = not action.keeping if isinstance(action, Push) else branch is None or branch.proven
    merges = proven and may_merge_itself(forge.policy, made)
    warnings = _disarmed(pull, action, wanted, forge, merges=merges)
    head = push(made, wanted, git, base, blobs, action, rewritten) if isinstance(action, Push) else ""
    pull, did, new = _acted(made, wanted, action, forge, theirs=theirs)
    for asking in pulls:
        if asking.to_rebase:  # a closed one may have asked too
            forge.pulls.remove_label(asking, REBASE)
    head = head or (branch.head.sha if branch else "")
    warnings += _unlabelled(before, pull, made, forge)
    warnings += dress(pull, forge.pulls, forge.policy, head, new=new, merges_itself=merges)
    return Result(made, did=did, url=pull.url, warnings=tuple(warnings))


def _looked(made: Plan, forge: Forge, base_name: str, *, guess: bool) -> tuple[Branch | None, Commit]:
    """The bot's branch and the head of its base. Raises ForgeError where there is no base.

    `guess`: without a pull request there is hardly ever a branch. Making it tells, and the second attempt looks.
    """
    seen = None if guess else look(forge.git, branch_of(made), base_name, _expected(made), made.contents)
    if seen is not None:
        return seen
    return None, _head_of(base_name, forge)


def _head_of(base_name: str, forge: Forge) -> Commit:
    base = forge.git.head(base_name)
    if base is None:
        raise _no_base(forge, base_name)
    return base


def _wanted(made: Plan, forge: Forge, base: str, pull: PullRequest | None, *, theirs: bool) -> Proposal:
    """`theirs`: a person's commits are proposed with it."""
    merges = may_merge_itself(forge.policy, made) and not theirs
    identity = after_author(forge.identity, pull.author if pull else "")
    return proposal(made, base, body(made, identity, merges_itself=merges, has_theirs=theirs))


def _disarmed(
    pull: PullRequest | None, action: Keep | Edit | Push | Open, wanted: Proposal, forge: Forge, *, merges: bool
) -> list[str]:
    """Auto-merge off where it may not stay on; in words, where GitHub refuses that. Raises ForgeError before a push.

    What is pushed may pass its checks at once, and a person who switched it on agreed to another release.
    """
    if pull is None:
        return []
    other = isinstance(action, Push) and pull.digest != wanted.digest
    if merges and (not other or is_armed_by_program(pull)):
        return []
    refused = let_wait(pull, forge.pulls, whoever=other)
    if refused and isinstance(action, Push):
        raise ForgeError(
            f"nothing was pushed, since it might merge itself: {'; '.join(refused)}",
            where=wanted.branch,
            next_step="Switch auto-merge off on the pull request by hand, then run it again.",
        )
    return refused


def _acted(
    made: Plan, wanted: Proposal, action: Keep | Edit | Push | Open, forge: Forge, *, theirs: bool
) -> tuple[PullRequest, str, bool]:
    """The pull request, opened or edited once its branch is right; what was done; whether it is new.

    Raises Conflict.
    """
    if isinstance(action, Keep):
        return action.pull, f"#{action.pull.number}: nothing to do; {action.reason}", False
    edit = action if isinstance(action, Edit) else action.edit if isinstance(action, Push) else None
    if edit is not None:
        _edited(wanted, edit.pull.number, forge, moved=edit.moved)
        what = "branch and text" if isinstance(action, Push) else "text"
        return edit.pull, f"#{edit.pull.number}: {what} updated; {action.reason}", False
    pull, new = forge.pulls.open(wanted.branch, wanted.base, wanted.title, wanted.body, draft=forge.policy.draft)
    identity = after_author(forge.identity, pull.author)
    if not new and pull.part is None:  # somebody opened it by hand: it gets the evidence, and keeps their words
        forge.pulls.edit(pull, body=updated(pull.body, wanted.body, moved=True))
    if new and identity != forge.identity:  # GitHub says only now who it is
        forge.pulls.edit(pull, body=_wanted(made, forge, wanted.base, pull, theirs=theirs).body)
    did = f"#{pull.number} opened with {identity.what}" if new else f"#{pull.number} was opened meanwhile"
    return pull, f"{did}; {action.reason}. {_checks(identity)}", new


def _edited(wanted: Proposal, number: int, forge: Forge, *, moved: bool) -> None:
    """The texts put right as they are now: what a person wrote a moment ago stays. Raises Conflict."""
    now = forge.pulls.read(number)
    if not now.is_open:
        raise Conflict(f"#{number} was closed meanwhile")
    edit = edit_of(wanted, now, moved=moved)
    if edit.changes and not forge.pulls.edit(now, title=edit.title, body=edit.body, base=edit.base).is_open:
        # Closed in that very moment: what was closed says what it said
        forge.pulls.edit(now, title=now.title, body=now.body)
        raise Conflict(f"#{number} was closed meanwhile")


def _checks(identity: Identity) -> str:
    if identity.checks_start is None:
        said = "Whether checks start by themselves is not known"
    else:
        said = f"Checks {'start' if identity.checks_start else 'do not start'} by themselves"
    return f"{said}. {identity.advice}".strip()


def _with_its_reason(made: Plan, pull: PullRequest, forge: Forge) -> Plan:
    """The rollback with the reason of the one that is open to the same pin, where none was given now."""
    back, part, pin = made.back, pull.part, made.candidate.pin
    if back is None or back.wish.reason or part is None or (part.ref, part.digest) != (pin.ref, pin.digest):
        return made
    reason = reason_in(forge.git.commit_of(pull.head_sha))
    if not reason:
        return made
    hold = back.hold
    if hold is not None and hold.reason == back.reason:
        hold = msgspec.structs.replace(hold, reason=reason)
    return msgspec.structs.replace(made, back=msgspec.structs.replace(back, reason=reason, hold=hold))


def _unlabelled(before: PullRequest | None, pull: PullRequest, made: Plan, forge: Forge) -> list[str]:
    """The label that releases what is merged, off where it was put on another pin; in words, where it stays.

    A person may have put it there for this one.
    """
    if made.back is None or made.back.wish.release:
        return []
    from bot.core.rollback.text import RELEASE_LABEL  # noqa: PLC0415 - only for a rollback

    if RELEASE_LABEL not in pull.labels:
        return []
    if before is not None and before.digest != made.candidate.pin.digest:
        forge.pulls.remove_label(pull, RELEASE_LABEL)
        return [f"#{pull.number}: the label `{RELEASE_LABEL}` was taken off: it was put there for another pin"]
    return [f"#{pull.number} has the label `{RELEASE_LABEL}`: merged, it is released"]


def _behind(forge: Forge) -> ForgeError:
    return ForgeError(
        "the base on GitHub holds other pins or settings than this clone: what is right to go back to may be another",
        where=forge.git.name,
        next_step="Nothing was changed. Run `git fetch --tags origin` (in GitHub Actions: start the workflow anew), or "
        "push what only this clone has; then go back.",
    )


def _expected(made: Plan) -> dict[str, str]:
    """Each pinned file's blob as the bot would write it."""
    contents = made.contents
    return {path: blob_id(contents.get(path, source.data)) for path, source in made.pinned.sources.items()}


def _left(made: Plan, decided: Declined | Stopped, forge: Forge) -> Result:
    """A person has decided: said, and nothing done, but for an older proposal that the policy no longer allows."""
    if isinstance(decided, Stopped):
        held = tuple(hold_back(decided.pull, forge))
        return Result(made, did=decided.reason, url=decided.pull.url, warnings=held)
    why, platforms = decided.reason, made.current_platforms
    return tidy(NothingNew(made.image, made.current, why, made.selection, made.gates, platforms, made.wanted), forge)


def _left_to_its_author(action: Foreign, branch: Branch | None, name: str, forge: Forge) -> ForgeError:
    """What a person has on the branch stays; the pull request says so, once."""
    pull = action.pull
    if pull is None:
        return ForgeError(action.reason, where=name, next_step="Delete that branch to let the bot go on.")
    asks = f"give #{pull.number} the label `{REBASE}`: the bot then goes on, on top of that commit."
    if not pull.is_open:
        return ForgeError(action.reason, where=name, next_step=f"Delete that branch to let the bot go on, or {asks}")
    armed = "".join(f"; {why}" for why in let_wait(pull, forge.pulls))
    since = branch.since if branch and branch.since else "start"
    try:
        forge.pulls.comment_once(
            pull,
            f"[//]: # (gateway-bot:theirs {since})",
            f"There is a commit on this branch that I did not make, so I leave the branch and this text as they are. "
            f"Merge when it is right. To let me go on, on top of that commit, add the label `{REBASE}`.",
        )
    except BotError as error:
        if error.exit_code != ForgeError.exit_code:
            raise  # else the conversation is locked: what is wrong is the commit, not that
    return ForgeError(f"{action.reason}{armed}", where=name, next_step=f"Merge #{pull.number}, or {asks}")


def _no_base(forge: Forge, name: str) -> ForgeError:
    return ForgeError(
        f"{forge.git.name} has no branch {name}, or the token may not see it",
        where=forge.git.name,
        next_step="Check GITHUB_REPOSITORY, what the token may see, and `base` in gateway-bot.toml.",
    )
