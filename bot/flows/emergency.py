"""A running service is pointed at an image that is there already, if that changes nothing else."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Literal, Protocol

import msgspec

from bot.core import emergency
from bot.core.emergency import Ran
from bot.core.model import Deployment, TerraformService
from bot.core.terraform_changes import Changed, changes
from bot.errors import UsageError


class Work(Protocol):
    """Terraform in a folder that is initialized. What it saves is private, and gone when the work is over."""

    def plan(self, image_value: str) -> bytes:
        """The plan that gives the variable this value, as JSON."""

    def apply(self, image_value: str, changed: tuple[Changed, ...]) -> None:
        """What `plan` saved for this value, and nothing else. `changed` is what it does."""


class TerraformRun(Protocol):
    """Terraform, on the checkout."""

    def started(self, service: TerraformService) -> AbstractContextManager[Work]: ...


def run_emergency(
    deployment: Deployment, image_value: str, terraform: TerraformRun, *, how: Literal["plan", "apply"]
) -> Ran:
    """Point the service at `image_value`, HOST/PATH@DIGEST, that was proven to be there; or only plan it.

    It is let through where Terraform would change nothing with the image that runs now: then whatever it changes with
    the other one, it changes because of that. Raises UsageError, ServiceError or ReleaseError as Terraform fails;
    KeyboardInterrupt, once Terraform has ended, when the run is told to end.
    """
    with terraform.started(deployment.service) as work:
        ran = _judged(deployment, image_value, work)
        if ran.did == "planned" and how == "apply":
            work.apply(image_value, ran.changes)
            return msgspec.structs.replace(ran, did="applied")
    return ran


def _judged(deployment: Deployment, image_value: str, work: Work) -> Ran:
    wanted = changes(work.plan(image_value), image_value)
    was = wanted.was[0] if len(wanted.was) == 1 else ""
    ran = Ran(
        deployment.name,
        "planned",
        image_value,
        "" if wanted.is_secret else was,
        wanted.changed,
        commands=emergency.commands(deployment, image_value),
    )
    if not wanted.changed and wanted.complete:
        if wanted.held:
            return msgspec.structs.replace(ran, did="nothing")
        return _refused(ran, f"no resource is given the image by var.{deployment.service.variable}")
    why = emergency.refusal(wanted)
    if why:
        return _refused(ran, why)
    try:
        others = changes(work.plan(was), was)
    except UsageError as error:
        return _refused(
            ran, f"what else is pending cannot be told, as the image that runs now is refused: {error.what}"
        )
    if others.changed:
        return _refused(ran, "more than the image would change", others.changed)
    return ran if others.complete else _refused(ran, "Terraform says that it has more to do, and not what")


def _refused(ran: Ran, why: str, pending: tuple[Changed, ...] = ()) -> Ran:
    return msgspec.structs.replace(ran, did="refused", why=why, pending=pending)
