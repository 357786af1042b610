"""Where there is nothing to propose: what is obsolete, merged or refused does not stay on GitHub as if it were not."""

from __future__ import annotations

from bot.core.plan import Blocked, NothingNew
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
from bot.flows.place import branches_of
from bot.flows.upgrade import Result

_REFUSED = (5, 6)
"""Exit codes that say that something is wrong with it, not that nobody knows."""


def tidy(outcome: NothingNew | Blocked, forge: Forge) -> Result:
    """The same outcome, and what it means for what is on GitHub. Raises ForgeError, ServiceError."""
    if isinstance(outcome, Blocked) and outcome.exit_code not in _REFUSED:
        return Result(outcome)
    image = outcome.image if isinstance(outcome, Blocked) else outcome.image.name
    done = [
        _warned(outcome, name, forge) if isinstance(outcome, Blocked) else _tidied(outcome, name, forge)
        for name in branches_of(forge, image)  # without a branch nothing is open
    ]
    did = "; ".join(filter(None, (did for did, _ in done)))
    return Result(outcome, did=did, url=next((url for _, url in done if url), ""))


def _tidied(outcome: NothingNew, name: str, forge: Forge) -> tuple[str, str]:
    """What was done to what is on a branch, in words, and the pull request's address if it concerns one."""
    pulls = forge.pulls.of(name)
    pull = opened(pulls)
    ended = pull is None and bool(pulls) and (pulls[0].merged or pulls[0].withdrawn)
    if not ended and (pull is None or not obsolete(outcome, pull)):
        return "", ""
    action = tidying(outcome, pulls, look(forge.git, name, forge.base_name(pulls), {}))
    match action:
        case Withdraw(pull, reason):
            forge.pulls.close(pull, withdrawn_body(pull, reason))
            forge.git.delete_branch(name)
            return f"#{pull.number} withdrawn: {reason}", pull.url
        case DeleteBranch(_, reason):
            forge.git.delete_branch(name)
            return f"branch {name} deleted: {reason}", ""
        case Stopped(pull, reason) | Foreign(_, pull, reason):
            return reason, pull.url if pull else ""
        case Nothing(reason):
            return reason, ""


def _warned(outcome: Blocked, name: str, forge: Forge) -> tuple[str, str]:
    """An open pull request that proposes what is refused now says so, and does not merge itself."""
    pull = opened(forge.pulls.of(name))
    if pull is None or pull.stopped:
        return "", ""
    did = []
    if pull.auto_merge_by and pull.auto_merge_by == pull.author:
        why = forge.pulls.disable_auto_merge(pull)
        did.append(f"its auto-merge could not be switched off: {why}" if why else "its auto-merge was switched off")
    if outcome.digest and outcome.digest == pull.digest:
        text = warned_body(pull, outcome.reason, outcome.next_step)
        if text != pull.body:
            forge.pulls.edit(pull, body=text)
            did.append("it says now that it is not to be merged")
    return f"#{pull.number}: {' and '.join(did)}" if did else "", pull.url
