"""What Terraform says when it fails, and how far an apply came. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Literal

from bot.core.terraform_changes import Changed
from bot.core.text import plain
from bot.errors import BotError, ReleaseError, ServiceError, UsageError

Step = Literal["init", "plan", "show", "apply"]

_SAID = 700
_READ = 16_384
_LISTED = 5
_BOX = re.compile(r"^[╷│╵| ]+", re.MULTILINE)
_SOURCE = re.compile(r"^[0-9]+: .*$", re.MULTILINE)
"""A line of the file that an error is in: values stand there."""
_LOCKED = "Error acquiring the state lock"
_STALE = "Saved plan is stale"
_SETTINGS = (
    "Value for undeclared variable",
    "Failed to read variables file",
    "Invalid value for variable",
    "No value for required variable",
    "Terraform initialized in an empty directory",
    "No configuration files",
)
_SECRETS = (
    re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,}"),
    re.compile(r"\b(?:gh[opusr]_|github_pat_|glpat-|sk-|xox[abp]-|hvs\.|eyJ)[A-Za-z0-9._~+/=-]{8,}"),
    re.compile(r"(?<=://)[^/\s@]{1,500}(?=@)"),
    re.compile(r"(?i)(?<=bearer )\S+|(?<=basic )[A-Za-z0-9+/=]{8,}"),
    re.compile(
        r"(?i)(?<![a-z])[\w-]{0,40}(?:password|passwd|secret|token|signature|credential|api_?key|access_?key)[\w-]{0,40}"
        r"[\"']?\s*[=:]\s*[^\s,;&]+"
    ),
    re.compile(r"(?<![\w/+])(?=[\w/+]{0,39}[0-9])(?=[\w/+]{0,39}[a-z])(?=[\w/+]{0,39}[A-Z])[A-Za-z0-9/+]{40,}={0,2}"),
)
"""Keys of AWS by their form, tokens by their beginning, credentials in addresses and headers, and what is named so."""


def last_words(said: str, secrets: Collection[str] = ()) -> str:
    """The errors that Terraform printed, on one line of at most 700 characters, without `secrets` and their like."""
    for secret in sorted(secrets, key=len, reverse=True):
        said = said.replace(secret, "***")
    lines = _SOURCE.sub("", _BOX.sub("", said))
    errors = lines[max(lines.find("Error: "), 0) :][:_READ]
    for pattern in _SECRETS:
        errors = pattern.sub("***", errors)
    return plain(errors, _SAID)


def failure(step: Step, code: int, said: str, folder: str, secrets: Collection[str] = ()) -> BotError:
    """Why a step failed that ended with `code` and changed nothing; for an apply that had begun, see `unfinished`."""
    words = last_words(said, secrets) or f"it ended with exit {code} and said nothing"
    if _LOCKED in said:
        return _locked(said, folder)
    if _STALE in said:
        return ReleaseError(
            "somebody else changed the state since it was planned; nothing was applied",
            where=folder,
            next_step="Run it again: it is planned anew.",
        )
    if any(sign in said for sign in _SETTINGS):
        return UsageError(
            f"terraform {step}: {words}",
            where=folder,
            next_step="Mend the table [[environment]] in gateway-bot.toml, or the files that it names.",
        )
    return ServiceError(
        f"terraform {step}: {words}",
        where=folder,
        next_step="Nothing was applied. Mend what it names (credentials, network, the backend), and run it again; "
        "without `--run` the commands are printed, to be run by hand.",
    )


def _locked(said: str, folder: str) -> ServiceError:
    found = dict(re.findall(r"(ID|Operation|Who|Created): +(\S[^\n]{0,200})", _BOX.sub("", said)))
    held = {name: plain(value, 120) for name, value in found.items()}
    who, since = held.get("Who", "somebody"), held.get("Created", "an unknown time")
    lock = held.get("ID", "")
    unlock = f"terraform -chdir={folder} force-unlock {lock}" if re.fullmatch(r"[\w./:-]{1,120}", lock) else ""
    return ServiceError(
        f"the state is locked by {who} since {since} ({held.get('Operation', 'no operation named')})",
        where=folder,
        next_step="Nothing was applied. Wait for that run and start again."
        + (f" Only if it is certain that it is dead: {unlock}" if unlock else ""),
    )


def done(changed: Sequence[Changed], said: str) -> tuple[Changed, ...]:
    """Those that Terraform says it has completed."""
    lines = said.splitlines()
    return tuple(
        one
        for one in changed
        if any(
            line.startswith((f"{one.address}: Modifications comp", f"{one.address}: Creation comp")) for line in lines
        )
    )


def how_far(changed: Sequence[Changed], said: str) -> str:
    """What was done of these changes, and what was not."""
    completed = done(changed, said)
    rest = [one for one in changed if one not in completed]
    return f"done: {_named(completed)}; not done, or not known: {_named(rest)}"


def unfinished(changed: Sequence[Changed], said: str, words: str, folder: str) -> ReleaseError:
    """An apply that failed after it had begun."""
    return ReleaseError(
        f"the apply ended early; {how_far(changed, said)}. {words}",
        where=folder,
        next_step="What is done is in the state. Mend what it names and run the same command again: where only the "
        "pointing is left, it goes on; else it shows what is left, with the commands for it.",
    )


def _named(changed: Sequence[Changed]) -> str:
    names = [plain(one.address, 120) for one in changed[:_LISTED]]
    more = len(changed) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "") if names else "nothing"
