"""Where an image's proposal is: which of its branches, with the pull requests from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from bot.core.proposal.names import BRANCHES, branch_names, digest_of
from bot.core.proposal.shown import Branch, PullRequest
from bot.core.proposal.table import Declined, Stopped, answered, is_taken
from bot.errors import ForgeError
from bot.flows.branch import look
from bot.flows.forge import Forge

_OLD = 3
"""Closed pull requests without the bot's part whose commit is asked what they proposed."""


class Place(msgspec.Struct, frozen=True):
    """A branch by its name, what is on it, all pull requests from it, and the base that they go to."""

    name: str
    branch: Branch | None
    pulls: Sequence[PullRequest]
    base: str


def find_place(
    forge: Forge, image: str, ref: str, digest: str, expected: Mapping[str, str], *, first: bool
) -> Place | Declined | Stopped:
    """Where to propose a release, or what a person has decided about it already.

    A branch whose pull request was closed, and on which a person has committed, is theirs: the next name is taken.
    `expected` as in `look`. `first`: without a pull request there is hardly ever a branch; making it tells, and the
    second attempt looks.
    """
    seen: list[PullRequest] = []
    for name in branch_names(image):
        pulls = shown(forge, name)
        seen += pulls
        decided = answered(ref, digest, seen)
        if decided is not None:
            return decided
        base = forge.base_name(seen)
        branch = look(forge.git, name, base, expected) if pulls or not first else None
        if branch is None or not is_taken(branch, pulls):
            return Place(name, branch, pulls, base)
    raise ForgeError(
        "each branch that the bot may use has somebody's commits and a closed pull request",
        where=", ".join(branch_names(image)),
        next_step="Delete those branches that are no longer needed.",
    )


def shown(forge: Forge, branch: str) -> Sequence[PullRequest]:
    """A branch's pull requests, newest first; those whose text a person emptied are known by their commit."""
    pulls = forge.pulls.of(branch)
    unknown = [pull.number for pull in pulls if pull.declined and not pull.digest][:_OLD]
    return [
        msgspec.structs.replace(pull, commit_digest=digest_of(forge.git.commit_of(pull.head_sha)))
        if pull.number in unknown
        else pull
        for pull in pulls
    ]


def branches_of(forge: Forge, image: str) -> tuple[str, ...]:
    """Those of the image's branches that are there; one request a run tells of all images."""
    there = forge.git.branches(BRANCHES)
    return tuple(name for name in branch_names(image) if name in there)


def proposals_of(forge: Forge, image: str) -> Sequence[PullRequest]:
    """All pull requests of an image, as far as their branch is its first one or still there; newest first."""
    first, *_ = branch_names(image)
    names = dict.fromkeys((first, *branches_of(forge, image)))
    return sorted((pull for name in names for pull in shown(forge, name)), key=lambda pull: -pull.number)
