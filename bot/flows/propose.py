"""A plan -> one commit and one pull request on GitHub; run again, it changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from bot.core.model import SourceFile
from bot.core.plan import Blocked, NothingNew, Outcome, Plan
from bot.core.proposal import (
    Blob,
    Commit,
    Conflict,
    Declined,
    EditText,
    Foreign,
    Keep,
    Proposal,
    PullRequest,
    Push,
    blob_id,
    branch_name,
    change_id,
    commit_message,
    next_action,
    title,
)
from bot.core.pull_request import body
from bot.errors import ForgeError, PinError
from bot.flows.upgrade import Ground, Result, plan


class _BaseMoved(Exception):
    """The base holds other bytes than those that the plan was made from."""

    def __init__(self, files: Mapping[str, Blob]) -> None:
        super().__init__()
        self.files = files


class Forge(Protocol):
    """The repository on GitHub that gets the pull request."""

    @property
    def name(self) -> str:
        """OWNER/NAME."""
        ...

    def base(self) -> str:
        """The name of the branch that the pull request goes to."""
        ...

    def head(self, branch: str) -> Commit | None:
        """The commit at the head of a branch; None where there is no branch."""
        ...

    def blobs(self, commit: Commit, paths: Iterable[str]) -> dict[str, Blob]:
        """These files as a commit holds them, by name; those that it does not have are left out."""
        ...

    def read(self, blobs: Mapping[str, Blob], paths: Iterable[str]) -> dict[str, SourceFile]: ...

    def pulls(self, branch: str, base: str) -> Sequence[PullRequest]:
        """All pull requests from a branch of this very repository, open and closed, newest first."""
        ...

    def tree(self, base: Commit, blobs: Mapping[str, Blob], contents: Mapping[str, bytes]) -> str:
        """A tree that is the base's with these files replaced, their modes kept."""
        ...

    def commit(self, message: str, tree: str, parents: Sequence[str]) -> str: ...

    def set_branch(self, branch: str, commit: str, *, before: str | None) -> None:
        """Create a branch, or move it forward from `before`; never by force. Raises Conflict."""
        ...

    def open(self, branch: str, base: str, title: str, body: str) -> PullRequest:
        """Open a pull request, or find the one that a doubtful answer opened."""
        ...

    def edit(self, pull: PullRequest, title: str, body: str) -> None: ...


class Proposed(msgspec.Struct, frozen=True):
    """What was done, in words, the pull request that it was done to, and the plan that it follows."""

    did: str
    pull: PullRequest
    plan: Plan


Replan = Callable[[Mapping[str, SourceFile]], Outcome]
"""The decision made again from the base's own files."""


def propose(plan: Plan, forge: Forge, replan: Replan, log: Callable[[str], None]) -> Proposed | NothingNew | Blocked:
    """Bring GitHub to what the plan says, or say what was decided instead on the base's own files.

    Where the base holds other files than the plan was made from, or somebody else was faster, it is
    planned again once. Raises ForgeError.
    """
    base = forge.base()
    why = ""
    for first in (True, False):
        try:
            return _attempt(plan, forge, base, first=first)
        except _BaseMoved as moved:
            why = f"{base} is not what the plan was made from"
            if not first:
                break
            again = replan(forge.read(moved.files, plan.pinned.sources))
            if not isinstance(again, Plan):
                return again
            plan = again
        except Conflict as conflict:
            why = str(conflict)
        if first:
            log(f"{why}; planning again")
    raise ForgeError(
        f"somebody else keeps changing the same thing: {why}",
        where=branch_name(plan),
        next_step="Nothing was overwritten. Run it again when the other run is done.",
    )


def propose_result(made: Plan, forge: Forge, ground: Ground, log: Callable[[str], None]) -> Result:
    """Propose, and plan again on the base's own files where they are others."""

    def replan(sources: Mapping[str, SourceFile]) -> Outcome:
        files = _Given(sources)
        return plan(made.image, msgspec.structs.replace(ground, files=files), made.wanted, made.evidence)

    match propose(made, forge, replan, log):
        case Proposed(did, pull, followed):
            return Result(followed, did=did, url=pull.url)
        case other:
            return Result(other)


def preview(made: Plan) -> Result:
    """What would be proposed, for a dry run."""
    text = f"{title(made)}\nfrom {branch_name(made)}\n\n{body(made)}"
    return Result(made, did="dry run: nothing was done; the pull request would read:\n", preview=text)


class _Given(msgspec.Struct, frozen=True):
    """Files that were read already, where a flow wants to read them."""

    sources: Mapping[str, SourceFile]

    def read(self, paths: Iterable[str]) -> dict[str, SourceFile]:
        return {path: self.sources[path] for path in paths}


def _attempt(plan: Plan, forge: Forge, base_name: str, *, first: bool) -> Proposed | NothingNew:
    wanted = Proposal(branch_name(plan), title(plan), body(plan), plan.candidate.pin.digest, change_id(plan))
    pulls = forge.pulls(wanted.branch, base_name)
    # Without a pull request there is hardly ever a branch: creating it tells, and the second attempt looks
    head = forge.head(wanted.branch) if pulls or not first else None
    action = next_action(wanted, pulls, head)
    match action:
        case Declined(pull):
            reason = (
                f"{plan.candidate.pin.ref} was declined in #{pull.number}, which was closed without merging; "
                "a new version or digest is a new question"
            )
            return NothingNew(plan.image, plan.current, reason, plan.selection, plan.gates, plan.current_platforms)
        case Foreign(commit):
            raise ForgeError(
                f"the branch has a commit that the bot did not make ({commit.sha[:12]}), so it was left as it is",
                where=wanted.branch,
                next_step="Merge that pull request, or take the commit off the branch to let the bot go on.",
            )
    base = _base(forge, base_name)
    # What was made from this very base was compared with it then
    fresh = head is not None and base.sha in head.parents and not isinstance(action, Push)
    blobs = {} if fresh else _same_files(plan, forge, base)
    match action:
        case Keep(pull):
            return Proposed(f"#{pull.number} is open and says the same; nothing to do", pull, plan)
        case EditText(pull):
            forge.edit(pull, wanted.title, wanted.body)
            return Proposed(f"#{pull.number}: text updated", pull, plan)
        case Push(head, there):
            _push(plan, forge, base, blobs, head)
            if there is not None:
                forge.edit(there, wanted.title, wanted.body)
                return Proposed(f"#{there.number}: branch and text updated", there, plan)
    opened = forge.open(wanted.branch, base_name, wanted.title, wanted.body)
    return Proposed(f"#{opened.number} opened", opened, plan)


def _base(forge: Forge, name: str) -> Commit:
    base = forge.head(name)
    if base is None:
        raise ForgeError(
            f"{forge.name} has no branch {name}, or the token may not see it",
            where=forge.name,
            next_step="Check GITHUB_REPOSITORY, what the token may see, and `base` in gateway-bot.toml.",
        )
    return base


def _same_files(plan: Plan, forge: Forge, base: Commit) -> Mapping[str, Blob]:
    """The base's blobs of the pinned files. Raises _BaseMoved where they are not what the plan was made from."""
    sources = plan.pinned.sources
    blobs = forge.blobs(base, sources)
    if any(path not in blobs or blobs[path].sha != blob_id(source.data) for path, source in sources.items()):
        raise _BaseMoved(blobs)
    linked = [path for path in sources if blobs[path].mode not in {"100644", "100755"}]
    if linked:
        raise PinError("it is no plain file on the base", where=linked[0], next_step="Name the file itself.")
    return blobs


def _push(plan: Plan, forge: Forge, base: Commit, blobs: Mapping[str, Blob], head: Commit | None) -> None:
    """One commit that holds all files, on the branch: the transaction."""
    tree = forge.tree(base, blobs, plan.contents)
    # On top of what is there, merged with the base: a branch only ever moves forward, so nobody's work is lost
    parents = [base.sha] if head is None else [head.sha, *([] if base.sha in head.parents else [base.sha])]
    commit = forge.commit(commit_message(plan, tree), tree, parents)
    forge.set_branch(branch_name(plan), commit, before=head.sha if head else None)
