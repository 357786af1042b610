"""Pointing a running service at an image that is there already, without a release: by which commands, and what of it
is let through. Pure.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Literal

import msgspec

from bot.core.model import Deployment, TerraformService
from bot.core.terraform_changes import Action, Changed, Changes
from bot.core.text import plain

_SAVED = "gateway-bot.tfplan"
_LISTED = 20
_LOOKED_AT = 2
"""Of the commands, those that change nothing."""

_REFUSED = 8
_LOCK_SECONDS = 10
_MAY: tuple[Action, ...] = ("update", "replace")

Did = Literal["shown", "planned", "refused", "applied", "nothing"]
"""`shown`: the commands only; `nothing`: the service is there already."""


class Ran(msgspec.Struct, frozen=True):
    """What was done for an environment. Its fields are the JSON form too."""

    environment: str
    did: Did
    image: str
    was: str = ""
    """The image that it takes the place of; empty where that is not known, or marked sensitive."""
    changes: tuple[Changed, ...] = ()
    pending: tuple[Changed, ...] = ()
    """What would change as well, whichever image it is."""
    why: str = ""
    """Why it was refused."""
    commands: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        return _REFUSED if self.did == "refused" else 0

    @property
    def is_there(self) -> bool:
        """Whether the service is pointed at the image now, so that the code has to be made to agree."""
        return self.did in {"applied", "nothing"}


def shown(deployment: Deployment, image_value: str) -> Ran:
    """The commands only."""
    return Ran(deployment.name, "shown", image_value, commands=commands(deployment, image_value))


def refusal(wanted: Changes) -> str:
    """Why a plan that changes something is not let through by itself, whatever else is pending; empty where it is."""
    others = [one for one in wanted.changed if one.action not in _MAY]
    if not wanted.complete:
        return "Terraform says that this plan is not all that it would have to do"
    if others:
        return f"it would {others[0].action} {plain(others[0].address, 200)}: an emergency only updates and replaces"
    if not wanted.was:
        return "nothing in it takes the place of another image, so what else it does cannot be told apart"
    if len(wanted.was) > 1:
        return f"it takes the place of {len(wanted.was)} different images, so what else it does cannot be told apart"
    return ""


def commands(deployment: Deployment, image_value: str) -> tuple[str, ...]:
    """The lines for a shell at the repository's root that point the service at `image_value`, HOST/PATH@DIGEST."""
    match deployment.service:
        case TerraformService() as service:
            words = (
                ("terraform", *init_arguments(service)),
                ("terraform", *plan_arguments(service, image_value, _SAVED)),
                ("terraform", *apply_arguments(service, _SAVED)),
                ("rm", "--", _SAVED if service.folder == "." else f"{service.folder}/{_SAVED}"),
            )
            own = "".join(f"{name}={shlex.quote(value)} " for name, value in variables(service).items())
            return tuple(f"{own if line[0] == 'terraform' else ''}{shlex.join(line)}" for line in words)


def variables(service: TerraformService) -> dict[str, str]:
    """What Terraform needs in its environment for this service."""
    return {"TF_DATA_DIR": service.working} if service.working else {}


def init_arguments(service: TerraformService) -> tuple[str, ...]:
    """Of Terraform, started at the repository's root."""
    settings = [each if "=" in each else _seen_from(service.folder, each) for each in service.backend_config]
    again = ("-reconfigure",) if settings else ()
    return (f"-chdir={service.folder}", "init", "-input=false", *again, *(f"-backend-config={s}" for s in settings))


def plan_arguments(service: TerraformService, image_value: str, file: str) -> tuple[str, ...]:
    """Of Terraform, started at the repository's root; the plan is kept in `file`, which is seen from the folder."""
    return (
        f"-chdir={service.folder}",
        "plan",
        "-input=false",
        f"-lock-timeout={_LOCK_SECONDS}s",
        *(f"-var-file={_seen_from(service.folder, path)}" for path in service.var_files),
        "-var",
        f"{service.variable}={image_value}",
        f"-out={file}",
    )


def apply_arguments(service: TerraformService, file: str) -> tuple[str, ...]:
    """Of Terraform, started at the repository's root."""
    return (f"-chdir={service.folder}", "apply", "-input=false", f"-lock-timeout={_LOCK_SECONDS}s", file)


def _seen_from(folder: str, path: str) -> str:
    """A path from the root as it is written in `folder`, where -chdir has Terraform look for it."""
    here = [] if folder == "." else folder.split("/")
    there = path.split("/")
    while here and len(there) > 1 and here[0] == there[0]:
        here, there = here[1:], there[1:]
    return "/".join([".."] * len(here) + there)


def text(ran: Ran, ref: str, reason: str = "") -> str:
    """For a terminal. `ref` is the release of the image, by which it is recorded afterwards, for that reason."""
    record = shlex.join(("gateway-bot", "rollback", "--to", ref, *(("--reason", reason) if reason else ())))
    afterwards = f"Afterwards record it, or the next deployment undoes it: {record}"
    lines = [f"  {line}" for line in ran.commands]
    look, do = lines[:_LOOKED_AT], lines[_LOOKED_AT:]
    between = ("", "Read what that prints. Only if it is what you want (this asks no more):", "")
    by_hand = ("", *look, *between, *do, "", afterwards)
    said: tuple[str, ...]
    match ran.did:
        case "shown":
            said = (
                f"{ran.environment}: this points the service at {ref}, once you answer for the plan:",
                *by_hand,
            )
        case "nothing":
            said = (f"{ran.environment}: the service is pointed at {ref} already; nothing changed.",)
        case "planned":
            said = (
                f"{ran.environment}: planned, not applied. It changes the image and nothing else:",
                *_what(ran),
                "",
                "`--run apply` plans it again and does it.",
            )
        case "applied":
            said = (
                f"{ran.environment}: applied. The service is pointed at {ref}; see that it comes up.",
                *_what(ran),
            )
        case "refused":
            said = (
                f"{ran.environment}: refused, nothing was applied: {ran.why}.",
                *_what(ran),
                *_pending(ran),
                "",
                "To do it all the same, look first:",
                *by_hand,
            )
    return "\n".join(said)


def _what(ran: Ran) -> tuple[str, ...]:
    if not ran.changes:
        return ()
    return (f"  image    {ran.was or '(not shown)'}", f"        -> {ran.image}", *_listed(ran.changes))


def _pending(ran: Ran) -> tuple[str, ...]:
    if not ran.pending:
        return ()
    return ("Also with the image that runs now, Terraform would change:", *_listed(ran.pending))


def _listed(changes: Sequence[Changed]) -> tuple[str, ...]:
    """Addresses and what is done to them, never values: they may be secret."""
    lines = [f"  {one.action:<8} {plain(one.address, 200)}" for one in changes[:_LISTED]]
    more = len(changes) - len(lines)
    return (*lines, *((f"  and {more} more",) if more else ()))
