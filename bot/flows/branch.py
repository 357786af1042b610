"""What there is of an image's proposal: its pull requests, what is on its branch, and the commit that is put there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from bot.core.model import SourceFile
from bot.core.plan import Plan
from bot.core.proposal.names import Proposal, blob_id, commit_message, digest_of, is_ours, keeps
from bot.core.proposal.shown import Blob, Branch, Commit, PullRequest
from bot.core.proposal.table import Push
from bot.errors import PinError
from bot.flows.forge import Forge, Git

_OLD = 3
"""Pull requests without the bot's part whose commit is asked what they propose or proposed."""

Rewrite = Callable[[Mapping[str, SourceFile]], Mapping[str, bytes]]
"""Files as they are -> those that change, with the candidate's pin."""


class BaseMoved(Exception):
    """The base holds other bytes than those that the plan was made from."""

    def __init__(self, files: Mapping[str, Blob]) -> None:
        super().__init__()
        self.files = files


def proposals_of(forge: Forge, branch: str) -> Sequence[PullRequest]:
    """The pull requests from one of the bot's branches, newest first.

    Anybody who may write can open one from the bot's branch to another base: such a one counts only if a program
    opened it. Those whose text a person emptied are known by their commit.
    """
    found = forge.pulls.of(branch)
    base = forge.base_name(found) if found else ""
    pulls = [pull for pull in found if pull.base == base or pull.author.endswith("[bot]")]
    unknown = [pull.number for pull in pulls if (pull.declined or pull.is_open) and not pull.digest][:_OLD]
    return [
        msgspec.structs.replace(pull, commit_digest=digest_of(forge.git.commit_of(pull.head_sha)))
        if pull.number in unknown
        else pull
        for pull in pulls
    ]


def look(
    git: Git, branch: str, base: str, expected: Mapping[str, str], must: Iterable[str] = ()
) -> tuple[Branch, Commit] | None:
    """The branch with whose work is on it, and the head of the base; None where one of them is not there.

    `expected`: each pinned file with its blob as the bot would write it now; `must`: those of them that change. A
    trailer in a commit's message can be written by anybody: what differs from the base in other files than these is
    somebody's work, whoever signed it. Where only the base was merged into the branch (GitHub's button does that in a
    person's name), it is still the bot's: then each pinned file is as the bot's last commit has it, or would now.
    """
    change = git.change(base, branch)
    if change is None:
        return None
    head, files = change.head, change.files
    own = next((commit for commit in reversed(change.commits) if is_ours(commit)), None)
    since = own.sha if own else ""
    if not change.commits and change.whole:  # all of it is on the base
        return Branch(head, head), change.base
    if is_ours(head) and keeps(head):
        return Branch(head, head, since, proven=False), change.base
    if own is None or not change.whole or set(files) - set(expected):
        return Branch(head, None, since, proven=False), change.base
    if head is not own and not _says(git.blobs(head, expected), git.blobs(own, expected), expected):
        return Branch(head, None, since, proven=False), change.base
    proven = set(must) <= set(files) and all(sha == expected[path] for path, sha in files.items())
    return Branch(head, own, since, proven=proven), change.base


def _says(now: Mapping[str, Blob], said: Mapping[str, Blob], expected: Mapping[str, str]) -> bool:
    """Whether each pinned file is as the bot's commit said, or as it would say now."""
    return all(
        path in now and path in said and now[path].mode == said[path].mode and now[path].sha in (said[path].sha, sha)
        for path, sha in expected.items()
    )


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
) -> str:
    """One commit that holds all files, on the branch: the transaction. Its name. Raises Conflict.

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
    return commit
