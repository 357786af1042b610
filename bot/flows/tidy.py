"""Where there is nothing to propose: what is obsolete, merged or refused does not stay on GitHub as if it were not."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bot.core.gates import PINNED_TAG
from bot.core.plan import Blocked, NothingNew
from bot.core.proposal.ending import DeleteBranch, Nothing, Withdraw, obsolete, tidying, warned_body, withdrawn_body
from bot.core.proposal.names import BRANCHES, branch_name
from bot.core.proposal.shown import Commit, PullRequest
from bot.core.proposal.table import Foreign, Stopped, opened
from bot.errors import BotError, ForgeError
from bot.flows.branch import look, proposals_of
from bot.flows.dress import hold_back, let_wait
from bot.flows.forge import Forge
from bot.flows.upgrade import Result

_RESTORED = "head_ref_restored"
_REFUSED = (5, 6)
"""Exit codes that say that something is wrong with it, not that nobody knows."""


def tidy(outcome: NothingNew | Blocked, forge: Forge) -> Result:
    """The same outcome, and what it means for what is on GitHub. Raises ForgeError, ServiceError."""
    image = outcome.image if isinstance(outcome, Blocked) else outcome.image.name
    known = not isinstance(outcome, Blocked) or outcome.exit_code in _REFUSED
    # one request for all images: without a branch nothing is open
    if not known or branch_name(image) not in forge.git.branches(BRANCHES):
        return Result(outcome)
    pulls = proposals_of(forge, branch_name(image))
    if isinstance(outcome, Blocked):
        return _warned(outcome, pulls, forge)
    pull = opened(pulls)
    held = hold_back(pull, forge) if pull is not None else []
    done = _tidied(outcome, pulls, forge)
    return msgspec.structs.replace(done, warnings=(*held, *done.warnings))


def _tidied(outcome: NothingNew, pulls: Sequence[PullRequest], forge: Forge) -> Result:
    name, pull = branch_name(outcome.image.name), opened(pulls)
    ended = pull is None and bool(pulls) and (pulls[0].merged or pulls[0].withdrawn)
    if not ended and (pull is None or not obsolete(outcome, pull)):
        return Result(outcome)
    files = dict.fromkeys((site.file for site in outcome.image.sites), "")
    seen = look(forge.git, name, pull.base if pull else forge.base_name(pulls), files)
    if seen is None:
        return Result(outcome)
    branch, _ = seen
    head = branch.head
    action = tidying(outcome, pulls, branch)
    match action:
        case Withdraw(pull, reason):
            now = forge.pulls.read(pull.number)
            if now.is_open:
                forge.pulls.close(now, withdrawn_body(now, reason))
                _, warnings = _deleted(name, head, forge)
                return Result(outcome, did=f"#{pull.number} withdrawn: {reason}", url=pull.url, warnings=warnings)
            return Result(outcome, did=f"#{pull.number} was closed meanwhile", url=pull.url)
        case DeleteBranch(pull, reason):
            if any(event.kind == _RESTORED for event in forge.pulls.events(pull)):
                return Result(outcome)  # somebody wants it to stay
            done, warnings = _deleted(name, head, forge)
            return Result(outcome, did=f"branch {name} {done}: {reason}" if done else "", warnings=warnings)
        case Stopped(pull, reason) | Foreign(_, pull, reason):
            return Result(outcome, did=reason, url=pull.url if pull else "")
        case Nothing(reason):
            return Result(outcome, did=reason)


def _deleted(name: str, head: Commit, forge: Forge) -> tuple[str, tuple[str, ...]]:
    """What became of a branch that is no longer needed, or a warning where a rule keeps it."""
    try:
        gone = forge.git.delete_branch(name, head.sha)
    except BotError as error:
        if error.exit_code != ForgeError.exit_code:
            raise
        return "", (f"branch {name}: {error.what}",)
    return "deleted" if gone else "was changed meanwhile, so it was left", ()


def _warned(outcome: Blocked, pulls: Sequence[PullRequest], forge: Forge) -> Result:
    """An open pull request that proposes what is refused now does not merge itself, and says so.

    Whoever let it merge itself did so before that was known. Told to stop, the bot still takes that back.
    """
    moved = any(gate.name == PINNED_TAG and gate.refuses for gate in outcome.gates)
    did, warnings, url = list[str](), list[str](), ""
    for pull in pulls:
        if not pull.is_open:
            continue
        there = (pull.digest, pull.part.ref if pull.part else "")
        same = any(ours and ours == theirs for ours, theirs in zip((outcome.digest, outcome.ref), there, strict=True))
        if not (same or moved):  # what is refused is another release than this one
            warnings += hold_back(pull, forge)
            continue
        url = url or pull.url
        if pull.auto_merge_by:
            refused = let_wait(pull, forge.pulls, whoever=True)
            warnings += [f"#{pull.number}: {why}" for why in refused]
            did += [] if refused else [f"#{pull.number}: its auto-merge was switched off"]
        if same and not pull.stopped:
            now = forge.pulls.read(pull.number)
            text = warned_body(now, outcome.reason, outcome.next_step)
            if now.is_open and text != now.body:
                forge.pulls.edit(now, body=text)
                did.append(f"#{pull.number}: it says now that it is not to be merged")
    return Result(outcome, did="; ".join(did), url=url, warnings=tuple(warnings))
