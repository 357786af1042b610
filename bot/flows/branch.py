"""What is on the bot's branch, and the one commit that is put there."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bot.core.model import SourceFile
from bot.core.plan import Plan
from bot.core.proposal.names import Proposal, blob_id, commit_message, is_ours
from bot.core.proposal.shown import Blob, Branch, Commit
from bot.core.proposal.table import Push
from bot.errors import PinError
from bot.flows.forge import Git

Rewrite = Callable[[Mapping[str, SourceFile]], Mapping[str, bytes]]
"""Files as they are -> those that change, with the candidate's pin."""


class BaseMoved(Exception):
    """The base holds other bytes than those that the plan was made from."""

    def __init__(self, files: Mapping[str, Blob]) -> None:
        super().__init__()
        self.files = files


def look(git: Git, branch: str, base: str, expected: Mapping[str, str]) -> Branch | None:
    """The branch and whose work is on it. `expected`: each pinned file's blob as the bot would write it now.

    Where only the base was merged into it (GitHub's button does that in a person's name), it is still the bot's:
    then it differs from the base in nothing but what the bot's last commit says, or would say now.
    """
    head = git.head(branch)
    if head is None:
        return None
    if is_ours(head):
        return Branch(head, head)
    change = git.change(base, branch)
    own = next((commit for commit in reversed(change.commits) if is_ours(commit)), None)
    if own is None or not change.whole or set(change.files) - set(expected):
        return Branch(head, None, own.sha if own else "")
    said = git.blobs(own, change.files)
    same = all(sha == expected[path] or (path in said and sha == said[path].sha) for path, sha in change.files.items())
    return Branch(head, own if same else None, own.sha)


def same_files(plan: Plan, git: Git, base: Commit) -> Mapping[str, Blob]:
    """The base's blobs of the pinned files. Raises BaseMoved where they are not what the plan was made from."""
    sources = plan.pinned.sources
    blobs = git.blobs(base, sources)
    if any(path not in blobs or blobs[path].sha != blob_id(source.data) for path, source in sources.items()):
        raise BaseMoved(blobs)
    linked = [path for path in sources if blobs[path].mode not in {"100644", "100755"}]
    if linked:
        raise PinError("it is no plain file on the base", where=linked[0], next_step="Name the file itself.")
    return blobs


def push(
    plan: Plan, wanted: Proposal, git: Git, base: Commit, blobs: Mapping[str, Blob], action: Push, rewrite: Rewrite
) -> None:
    """One commit that holds all files, on the branch: the transaction. Raises Conflict.

    On top of what is there: a branch only ever moves forward, so nobody's work is lost.
    """
    head = action.head
    if action.keeping and head is not None:
        there = git.blobs(head, plan.pinned.sources)
        contents = rewrite(git.read(there, plan.pinned.sources))
        tree = git.tree(head, there, contents) if contents else head.tree
        parents, keeping = [head.sha], head.sha
    else:
        tree = git.tree(base, blobs, plan.contents)
        parents, keeping = [base.sha], ""
        if head is not None:
            parents = [head.sha, *([] if base.sha in head.parents else [base.sha])]
    commit = git.commit(commit_message(plan, wanted.change, tree, keeping=keeping), tree, parents)
    git.set_branch(wanted.branch, commit, before=head.sha if head else None)
