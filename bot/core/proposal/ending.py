"""What becomes of a pull request that is not to be proposed any more, or that is refused now. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bot.core.plan import NothingNew
from bot.core.proposal.part import marked, updated
from bot.core.proposal.shown import STOP, Branch, PullRequest
from bot.core.proposal.table import Foreign, Stopped, has_theirs, opened, settled
from bot.core.text import plain
from bot.core.versions import parse_version

_CAUTION, _WITHDRAWN = "> [!CAUTION]", "**Withdrawn by gateway-bot:**"
_AS_PROPOSED, _FOLD_END = "<details>\n<summary>As it was proposed</summary>\n\n", "\n\n</details>"


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


Tidying = Withdraw | DeleteBranch | Stopped | Foreign | Nothing


def tidying(outcome: NothingNew, pulls: Sequence[PullRequest], branch: Branch | None) -> Tidying:
    """What to do where there is nothing to propose: what was merged or is obsolete does not stay behind."""
    pull = opened(pulls)
    if pull is None:
        last = pulls[0] if pulls else None
        if last is None or branch is None or not (last.merged or last.withdrawn):
            return Nothing()
        if not settled(branch, pulls):
            return Nothing(f"the branch of #{last.number} has newer commits, so it was left")
        return DeleteBranch(last, f"#{last.number} is {'merged' if last.merged else 'withdrawn'}")
    why = obsolete(outcome, pull)
    if not why:
        return Nothing()
    if pull.stopped:
        return Stopped(pull, f"#{pull.number} is obsolete ({why}), but has the label `{STOP}`")
    if pull.part is not None and pull.part.withdrawn:
        return Nothing(f"#{pull.number} was withdrawn, and somebody opened it again: it is theirs now ({why})")
    if branch is not None and has_theirs(branch):
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
    if selection.stands(part.ref):
        return ""
    seen = next((entry for entry in selection.considered if entry.ref == part.ref), None)
    if seen is None and outcome.wanted is not None:  # asked for one, the list may have ended before this one
        return ""
    return f"{part.ref} is no longer proposed: {seen.reason if seen else 'it is not among the releases any more'}"


def withdrawn_body(pull: PullRequest, reason: str) -> str:
    """The body that says why the bot closed it, and that a closed one was not declined by a person."""
    part = pull.part
    if part is None:
        return pull.body
    proposed = "" if part.edited else _without(_WITHDRAWN, part.text)  # an edited one is kept apart
    text = f"{_WITHDRAWN} {reason}.\n\n{proposed}"
    return updated(pull.body, marked(text, part.image, part.ref, part.digest, withdrawn=True), moved=True)


def warned_body(pull: PullRequest, reason: str, next_step: str) -> str:
    """The body with a warning above all: what is open was proven once, and is refused now."""
    from bot.core.notes.inline import words  # noqa: PLC0415 - few runs have to warn

    part = pull.part
    if part is None:
        return pull.body
    _, folded, proven = part.text.partition(_AS_PROPOSED)
    proven = proven.removesuffix(_FOLD_END) if folded else _without(_WITHDRAWN, part.text)
    warning = f"{_CAUTION}\n> **Do not merge.** {words(plain(reason, 1000))}\n>\n> {words(plain(next_step, 1000))}"
    alone = part.edited or (part.text.startswith(_CAUTION) and not folded)
    text = warning if alone else f"{warning}\n\n{_AS_PROPOSED}{proven}{_FOLD_END}"
    return updated(pull.body, marked(text, part.image, part.ref, part.digest), moved=True)


def _without(opening: str, text: str) -> str:
    """The text without its first paragraph, if that begins so."""
    return text.partition("\n\n")[2] if text.startswith(opening) else text
