"""What is let through: judged over plans that a stand-in gives; tests/real has Terraform's own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import pytest

from bot.core.emergency import Ran, commands
from bot.core.model import Deployment, TerraformService
from bot.core.terraform_changes import Changed
from bot.errors import BotError, ServiceError, UsageError
from bot.flows.emergency import run_emergency

OLD, NEW = (f"ghcr.io/acme/app@sha256:{digit * 64}" for digit in "ab")
DEPLOYMENT = Deployment("production", "app", TerraformService("infra"))


class Standin:
    """A Terraform whose plans are given, by the image; it notes what it was asked."""

    def __init__(self, plans: Mapping[str, object]) -> None:
        self._plans = plans
        self.asked: list[str] = []

    @contextmanager
    def started(self, service: TerraformService) -> Iterator[Standin]:
        self.asked.append(f"init {service.folder}")
        yield self
        self.asked.append("over")

    def plan(self, image_value: str) -> bytes:
        self.asked.append(f"plan {image_value[-1]}")
        found = self._plans[image_value]
        if isinstance(found, BotError):
            raise found
        return json.dumps(found).encode()

    def apply(self, image_value: str, changed: tuple[Changed, ...]) -> None:
        self.asked.append(f"apply {image_value[-1]} {len(changed)}")


def plan(*changes: tuple[str, list[str], object, object], **more: object) -> dict[str, object]:
    resources = [
        {"address": address, "change": {"actions": actions, "before": before, "after": after, "after_unknown": {}}}
        for address, actions, before, after in changes
    ]
    return {"format_version": "1.2", "resource_changes": resources, **more}


TASK = ("task", ["delete", "create"], {"image": OLD}, {"image": NEW})
SERVICE = ("service", ["update"], {"task": "arn:old-task"}, {"task": "arn:new-task"})
BUCKET = ("bucket", ["update"], {"n": 1}, {"n": 2})
THERE = ("task", ["no-op"], {"image": NEW, "arn": "arn:new-task"}, {"image": NEW, "arn": "arn:new-task"})
QUIET = plan(("task", ["no-op"], {"image": OLD}, {"image": OLD}))


def run(terraform: Standin, how: Literal["plan", "apply"] = "apply") -> Ran:
    return run_emergency(DEPLOYMENT, NEW, terraform, how=how)


def test_with_the_image_that_runs_nothing_is_pending_so_the_plan_is_applied() -> None:
    terraform = Standin({NEW: plan(TASK, SERVICE), OLD: QUIET})

    ran = run(terraform)

    assert terraform.asked == ["init infra", "plan b", "plan a", "apply b 2", "over"]
    assert ran == Ran(
        "production",
        "applied",
        NEW,
        OLD,
        (Changed("task", "replace"), Changed("service", "update")),
        commands=commands(DEPLOYMENT, NEW),
    )


def test_a_plan_is_judged_alike_and_not_applied() -> None:
    terraform = Standin({NEW: plan(TASK, SERVICE), OLD: QUIET})

    ran = run(terraform, "plan")

    assert terraform.asked == ["init infra", "plan b", "plan a", "over"]
    assert ran.did == "planned"


def test_what_is_pending_with_the_image_that_runs_is_listed_and_nothing_applied() -> None:
    terraform = Standin({NEW: plan(TASK, SERVICE, BUCKET), OLD: plan(BUCKET)})

    ran = run(terraform)

    assert terraform.asked == ["init infra", "plan b", "plan a", "over"]
    assert (ran.did, ran.why, ran.pending) == (
        "refused",
        "more than the image would change",
        (Changed("bucket", "update"),),
    )


@pytest.mark.parametrize(
    ("plans", "did", "why"),
    [
        ({NEW: plan(THERE)}, "nothing", ""),
        ({NEW: plan()}, "refused", "no resource is given the image by var.gateway_image"),
        ({NEW: plan(THERE, complete=False)}, "refused", "not all that it would have to do"),
        ({NEW: plan(THERE, SERVICE)}, "refused", "nothing in it takes the place of another image"),
        ({NEW: plan(THERE, SERVICE, BUCKET)}, "refused", "nothing in it takes the place of another image"),
        ({NEW: plan(TASK, ("x", ["delete"], {}, None)), OLD: QUIET}, "refused", "it would delete x"),
        ({NEW: plan(TASK), OLD: plan(complete=False)}, "refused", "it has more to do, and not what"),
        (
            {NEW: plan(TASK), OLD: UsageError("by digest", where="infra", next_step="")},
            "refused",
            "as the image that runs now is refused: by digest",
        ),
    ],
)
def test_only_what_is_certain_is_applied(plans: Mapping[str, object], did: str, why: str) -> None:
    terraform = Standin(plans)

    ran = run(terraform)

    assert ran.did == did
    assert why in ran.why
    assert bool(why) == bool(ran.why)
    assert any(line.startswith("apply") for line in terraform.asked) == (did == "applied")


@pytest.mark.parametrize("image", [NEW, OLD])
def test_a_service_that_gives_up_is_no_refusal(image: str) -> None:
    plans = {NEW: plan(TASK), OLD: QUIET, image: ServiceError("no network", where="infra", next_step="")}

    with pytest.raises(ServiceError, match="no network"):
        run(Standin(plans))


def test_an_image_in_a_sensitive_place_is_not_told() -> None:
    secret = plan(TASK)
    change = secret["resource_changes"][0]["change"]  # type: ignore[index] # it was made above
    change["before_sensitive"] = {"image": True}

    ran = run(Standin({NEW: secret, OLD: QUIET}))

    assert (ran.did, ran.was) == ("applied", "")
