"""Why a push did not get there: what git and the remote said of it, as an error. git-push(1), "Output"."""

from __future__ import annotations

import re

from bot.adapters.git.program import ended
from bot.core.text import plain
from bot.errors import BotError, ForgeError, ServiceError, UsageError

_REFUSED = 1
"""git's exit code where it was refused, by the remote or by a hook here; now and then where the remote went away."""

_NOT_LET_IN = re.compile(
    r"error: 40[13]\b|HTTP 40[13]\b|Authentication failed|could not read (?:Username|Password)|Permission denied"
    r"|Permission to .* denied|Repository not found|repository '.*' not found"
)
_WENT_AWAY = re.compile(r"RPC failed|hung up unexpectedly|unexpected disconnect|failed to report status")
"""git says some of it, too, where it has broken off by itself: then it names what was rejected."""
_FASTER = ("(fetch first)", "(non-fast-forward)")
_OTHER_TAG = "(already exists)"
_WITH_THE_OTHER = ("(atomic push failed)", "(atomic push failure)")
"""Said of a ref that has nothing wrong with it, but goes or stays with one that has."""

_MAY_NOT = (
    "Give git credentials that may push there (in GitHub Actions: `contents: write`, and credentials for this step: "
    "docs/workflows.md), and run it again: it pushes what is here."
)


def push_error(code: int | None, said: str, remote: str, branch: str, tag: str) -> BotError:
    """The error of a `git push --atomic --porcelain` that ended with `code`, None after too long a time."""
    reasons = _reasons(said)
    why = reasons or ended(code, said)
    there = plain(remote, 80)
    if "does not appear to be a git repository" in said and f"'{remote}'" in said:
        return UsageError(
            f"there is no remote {there} to push to",
            where="git push",
            next_step=f"Add it (`git remote add {there} URL`), and run it again: it pushes what is here.",
        )
    if code is not None and not reasons and _NOT_LET_IN.search(said):
        return ForgeError(f"{there} does not let git in: {why}", where="git push", next_step=_MAY_NOT)
    if code == _REFUSED and ("rejected] " in reasons or not _WENT_AWAY.search(said)):
        advice = _advice(said, there, plain(branch, 80), plain(tag, 80))
        return ForgeError(f"the push to {there} is refused: {why}", where="git push", next_step=advice)
    return ServiceError(
        f"it is not known whether the push reached {there}: {why}",
        where="git push",
        next_step="Run it again: it goes on from there.",
    )


def _advice(said: str, remote: str, branch: str, tag: str) -> str:
    undo = f"git tag -d {tag} && git reset --keep HEAD^"
    if _OTHER_TAG in said:
        return (
            "There the tag names another commit, and is left alone. See whose it is: "
            f"git fetch {remote} refs/tags/{tag} && git show FETCH_HEAD. To go past it, take back what "
            f"is here: {undo} && git fetch --tags {remote}; then bump again."
        )
    if any(words in said for words in _FASTER):
        return (
            f"Somebody was faster. In GitHub Actions, run the job again: it starts from what {branch} is by then. "
            f"Elsewhere take back what is here, and bump again: {undo} && git pull --ff-only {remote} {branch}"
        )
    return (
        f"Where a rule protects {branch} or the tag, push with a token that its ruleset lets bypass it; or merge the "
        "release commit by a pull request: docs/release.md. Then run it again: it pushes what is here."
    )


def _reasons(said: str) -> str:
    """What was refused, each once, with the remote's own words; empty where nothing was said of single refs."""
    lines = said.split("\n")  # and no other line ends: what the remote says must not pass for what git says
    refs = [line.split("\t") for line in lines if line.startswith("!\t") and not line.endswith(_WITH_THE_OTHER)]
    reasons = [f"{parts[1].rpartition(':')[2]} {parts[2]}" for parts in refs if len(parts) == 3]  # noqa: PLR2004 - flag, refs, reason
    words = [line.removeprefix("remote:").strip() for line in lines if line.startswith("remote:")]
    return plain("; ".join(dict.fromkeys(filter(None, [*reasons, *words]))), 600) if reasons else ""
