"""Where there is nothing to propose: what is obsolete, merged or refused does not stay on GitHub as if it were not."""

from __future__ import annotations

from bot.core.plan import Blocked, NothingNew
from bot.core.proposal.names import BRANCHES, branch_name
from bot.core.proposal.table import (
    DeleteBranch,
    Foreign,
    Nothing,
    Stopped,
    Withdraw,
    obsolete,
    opened,
    tidying,
    warned_body,
    withdrawn_body,
)
from bot.flows.branch import look
from bot.flows.forge import Forge
from bot.flows.upgrade import Result

_REFUSED = (5, 6)
"""Exit codes that say that something is wrong with it, not that nobody knows."""


def tidy(outcome: NothingNew | Blocked, forge: Forge) -> Result:
    """The same outcome, and what it means for what is on GitHub. Raises ForgeError, ServiceError."""
    if isinstance(outcome, Blocked):
        return _warned(outcome, forge) if outcome.exit_code in _REFUSED else Result(outcome)
    name = branch_name(outcome.image.name)
    if name not in forge.git.branches(BRANCHES):  # one request for all images: without a branch nothing is open
        return Result(outcome)
    pulls = forge.pulls.of(name)
    pull = opened(pulls)
    ended = pull is None and bool(pulls) and (pulls[0].merged or pulls[0].withdrawn)
    if not ended and (pull is None or not obsolete(outcome, pull)):
        return Result(outcome)
    action = tidying(outcome, pulls, look(forge.git, name, forge.base_name(pulls), {}))
    match action:
        case Withdraw(pull, reason):
            forge.pulls.close(pull, withdrawn_body(pull, reason))
            forge.git.delete_branch(name)
            return Result(outcome, did=f"#{pull.number} withdrawn: {reason}", url=pull.url)
        case DeleteBranch(_, reason):
            forge.git.delete_branch(name)
            return Result(outcome, did=f"branch {name} deleted: {reason}")
        case Stopped(pull, reason) | Foreign(_, pull, reason):
            return Result(outcome, did=reason, url=pull.url if pull else "")
        case Nothing(reason):
            return Result(outcome, did=reason)


def _warned(outcome: Blocked, forge: Forge) -> Result:
    """An open pull request that proposes what is refused now says so, and does not merge itself."""
    pull = opened(forge.pulls.of(branch_name(outcome.image)))
    if pull is None or pull.stopped:
        return Result(outcome)
    did = []
    if pull.auto_merge_by and pull.auto_merge_by == pull.author:
        why = forge.pulls.disable_auto_merge(pull)
        did.append(f"its auto-merge could not be switched off: {why}" if why else "its auto-merge was switched off")
    if outcome.digest and outcome.digest == pull.digest:
        text = warned_body(pull, outcome.reason, outcome.next_step)
        if text != pull.body:
            forge.pulls.edit(pull, body=text)
            did.append("it says now that it is not to be merged")
    return Result(outcome, did=f"#{pull.number}: {' and '.join(did)}" if did else "", url=pull.url)
