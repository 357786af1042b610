from __future__ import annotations

import shlex

import msgspec
import pytest

from bot.core import emergency
from bot.core.emergency import Ran
from bot.core.model import Deployment, TerraformService
from bot.core.terraform_changes import Changed, Changes

OLD, NEW = (f"ghcr.io/acme/app@sha256:{digit * 64}" for digit in "ab")
DEPLOYMENT = Deployment("production", "app", TerraformService("infra", ("infra/env/production.tfvars",)))
CHANGES = (Changed("aws_ecs_task_definition.app", "replace"), Changed("aws_ecs_service.app", "update"))
RAN = Ran("production", "planned", NEW, OLD, CHANGES, commands=emergency.commands(DEPLOYMENT, NEW))


def test_the_commands_are_ready_to_paste() -> None:
    actual = emergency.commands(DEPLOYMENT, NEW)

    assert actual == (
        "terraform -chdir=infra init -input=false",
        (
            "terraform -chdir=infra plan -input=false -lock-timeout=10s -var-file=env/production.tfvars "
            f"-var gateway_image={NEW} -out=gateway-bot.tfplan"
        ),
        "terraform -chdir=infra apply -input=false -lock-timeout=10s gateway-bot.tfplan",
        "rm -- infra/gateway-bot.tfplan",
    )


@pytest.mark.parametrize(
    ("folder", "file", "expected"),
    [
        (".", "env/a.tfvars", "env/a.tfvars"),
        ("infra", "infra/a.tfvars", "a.tfvars"),
        ("infra", "a.tfvars", "../a.tfvars"),
        ("infra/app", "infra/env/a.tfvars", "../env/a.tfvars"),
        ("infra/app", "env/a.tfvars", "../../env/a.tfvars"),
        ("infra", "infra", "../infra"),
        ("infra/a b", "infra/a b/it's.tfvars", "it's.tfvars"),
    ],
)
def test_a_variable_file_is_named_as_the_folder_sees_it(folder: str, file: str, expected: str) -> None:
    line = emergency.commands(Deployment("x", "app", TerraformService(folder, (file,))), NEW)[1]

    assert shlex.split(line)[:2] == ["terraform", f"-chdir={folder}"]
    assert f"-var-file={expected}" in shlex.split(line)


def test_in_the_root_the_saved_plan_is_removed_there() -> None:
    actual = emergency.commands(Deployment("x", "app", TerraformService(".")), NEW)[-1]

    assert actual == "rm -- gateway-bot.tfplan"


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Changes(CHANGES, (OLD,)), ""),
        (Changes(CHANGES, (OLD,), complete=False), "not all that it would have to do"),
        (Changes((*CHANGES, Changed("a.b", "delete")), (OLD,)), "it would delete a.b: an emergency only updates"),
        (Changes((Changed("a.b", "create"),), (OLD,)), "it would create a.b: an emergency only updates"),
        (Changes((Changed("a.b", "forget"),), (OLD,)), "it would forget a.b: an emergency only updates"),
        (Changes(CHANGES), "nothing in it takes the place of another image"),
        (Changes(CHANGES, (OLD, NEW)), "it takes the place of 2 different images"),
    ],
)
def test_only_one_image_may_go_and_nothing_be_made_or_lost(wanted: Changes, expected: str) -> None:
    actual = emergency.refusal(wanted)

    assert expected in actual
    assert bool(actual) == bool(expected)


def test_a_state_of_its_own_is_named_and_noted_apart() -> None:
    service = TerraformService(
        "infra", backend_config=("bucket=state live", "infra/live.hcl"), working=".terraform/live"
    )

    init, plan, apply, remove = emergency.commands(Deployment("live", "app", service), NEW)

    assert init == (
        "TF_DATA_DIR=.terraform/live terraform -chdir=infra init -input=false -reconfigure "
        "'-backend-config=bucket=state live' -backend-config=live.hcl"
    )
    assert all(line.startswith("TF_DATA_DIR=.terraform/live terraform -chdir=infra ") for line in (plan, apply))
    assert remove == "rm -- infra/gateway-bot.tfplan"


def test_what_is_shown_is_the_commands_and_how_it_is_recorded() -> None:
    ran = emergency.shown(DEPLOYMENT, NEW)

    actual = emergency.text(ran, "v1.3.1").splitlines()

    assert (ran.did, ran.exit_code, ran.is_there) == ("shown", 0, False)
    assert [line[2:] for line in actual if line.startswith("  ")] == list(emergency.commands(DEPLOYMENT, NEW))
    assert actual[-1] == ("Afterwards record it, or the next deployment undoes it: gateway-bot rollback --to v1.3.1")


def test_a_plan_is_told_by_addresses_and_the_image() -> None:
    actual = emergency.text(RAN, "v1.3.1").splitlines()

    assert actual[:5] == [
        "production: planned, not applied. It changes the image and nothing else:",
        f"  image    {OLD}",
        f"        -> {NEW}",
        "  replace  aws_ecs_task_definition.app",
        "  update   aws_ecs_service.app",
    ]


def test_many_changes_are_counted() -> None:
    many = tuple(Changed(f'a.b["\x1b[31m{number}"]', "update") for number in range(25))

    actual = emergency.text(msgspec.structs.replace(RAN, was="", changes=many), "v1.3.1")

    assert "\x1b" not in actual
    assert "  image    (not shown)\n" in actual
    assert actual.count("a.b[") == 20
    assert "  and 5 more\n" in actual


def test_a_refusal_says_why_what_else_is_pending_and_how_to_do_it_by_hand() -> None:
    refused = msgspec.structs.replace(
        RAN, did="refused", why="more than the image would change", pending=(Changed("aws_s3_bucket.b", "update"),)
    )

    actual = emergency.text(refused, "v1.3.1")

    assert (refused.exit_code, refused.is_there) == (8, False)
    assert "production: refused, nothing was applied: more than the image would change.\n" in actual
    assert "Terraform would change:\n  update   aws_s3_bucket.b\n" in actual
    assert all(f"  {line}\n" in actual for line in emergency.commands(DEPLOYMENT, NEW))


@pytest.mark.parametrize(
    ("ran", "words"),
    [
        (msgspec.structs.replace(RAN, did="applied"), "production: applied. The service is pointed at v1.3.1"),
        (Ran("production", "nothing", NEW), "production: the service is pointed at v1.3.1 already"),
    ],
)
def test_where_the_service_is_pointed_at_it_the_code_has_to_agree(ran: Ran, words: str) -> None:
    assert (ran.exit_code, ran.is_there) == (0, True)
    assert emergency.text(ran, "v1.3.1").startswith(words)


def test_the_json_form_has_no_value_but_the_image() -> None:
    actual = msgspec.json.decode(msgspec.json.encode(RAN))

    assert actual["changes"][0] == {"address": "aws_ecs_task_definition.app", "action": "replace"}
    assert set(actual) == {"environment", "did", "image", "was", "changes", "pending", "why", "commands"}
