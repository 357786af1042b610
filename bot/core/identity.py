"""Who the bot is on GitHub: whether checks start by themselves on its pull requests, and what it asks to be allowed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

Kind = Literal["app", "installation", "actions", "fine-grained", "classic", "user", "unknown"]
Purpose = Literal["propose", "look", "publish", "release"]


class Identity(msgspec.Struct, frozen=True):
    """Who makes the bot's requests.

    `what` names it in words. `checks_start` says whether checks start by themselves on what it pushes and opens; None
    where that is not known. `advice` says what to change where they do not, or may not; else it is empty.
    """

    kind: Kind
    what: str
    checks_start: bool | None
    advice: str = ""


_ACTIONS = Identity(
    "actions",
    "the workflow's own GITHUB_TOKEN",
    checks_start=False,
    advice="Checks wait until a person with write access approves their runs on the pull request (where GitHub offers "
    "no such button, close and reopen it). They start by themselves when the bot runs as a GitHub App.",
)
_INSTALLATION = Identity("installation", "an installation token of a GitHub App", checks_start=True)
_USER = Identity("user", "a token of a person's account", checks_start=True)
_UNKNOWN = Identity(
    "unknown",
    "a token of a kind that the bot does not know",
    checks_start=None,
    advice="Look whether checks start on the pull request. They do when the bot runs as a GitHub App.",
)
_BY_PREFIX: tuple[tuple[str, Identity], ...] = (
    ("ghs_", _INSTALLATION),
    ("github_pat_", Identity("fine-grained", "a fine-grained personal access token", checks_start=True)),
    ("ghp_", Identity("classic", "a classic personal access token", checks_start=True)),
    ("gho_", _USER),
    ("ghu_", _USER),
)
_APP = Identity("app", "a GitHub App", checks_start=True)
_GITHUB_TOKENS_AUTHOR = "github-actions[bot]"


def identity_of(token: str, *, has_app: bool, in_actions: bool) -> Identity:
    """What the credentials tell. `has_app`: there are a GitHub App's, which win over any token.

    A token is told by its prefix alone. GITHUB_TOKEN of a workflow and an installation token that an earlier step made
    look alike: in Actions it is taken for the first, until `after_author` knows better.
    """
    if has_app:
        return _APP
    found = next((identity for prefix, identity in _BY_PREFIX if token.startswith(prefix)), _UNKNOWN)
    return _ACTIONS if in_actions and found is _INSTALLATION else found


def after_author(identity: Identity, login: str) -> Identity:
    """What the author of a pull request that this identity has opened tells: `login` as REST gives it, or nothing.

    An identity that is certain stays what it is: a pull request may be older than the credentials of today.
    """
    if identity.kind not in {"installation", "actions", "unknown"} or not login:
        return identity
    if login == _GITHUB_TOKENS_AUTHOR:
        return _ACTIONS
    if login.endswith("[bot]"):
        return _INSTALLATION
    return _USER if identity.kind == "unknown" else identity


_PERMISSIONS: Mapping[Purpose, Mapping[str, str]] = {
    "propose": {"contents": "write", "pull_requests": "write"},
    "release": {"contents": "write"},
    "look": {"actions": "read", "contents": "read", "issues": "read", "metadata": "read", "pull_requests": "read"},
    "publish": {"actions": "read", "contents": "read", "issues": "write", "metadata": "read", "pull_requests": "read"},
}


def permissions(purpose: Purpose, files: Iterable[str] = (), *, teams: bool = False) -> Mapping[str, str]:
    """What an installation token has to be allowed, in the words of GitHub's API: to write the proposal of a change of
    `files`, to release, to look at proposals and runs, or to publish them in an issue as well.

    Beyond what GitHub documents for the requests themselves, it lets nobody change a workflow file without
    `workflows`, and does not find a team that is asked for a review (`teams`) without `members`.
    """
    more: dict[str, str] = {}
    if purpose == "propose" and any(file.startswith(".github/workflows/") for file in files):
        more["workflows"] = "write"
    if purpose == "propose" and teams:
        more["members"] = "read"
    return {**_PERMISSIONS[purpose], **more}
