from __future__ import annotations

import pytest
from msgspec.structs import replace

from bot.core.model import Deployment, TerraformService
from bot.errors import UsageError
from bot.settings import read_settings
from bot.settings.environments import deployments
from bot.settings.grammar import EnvironmentTable, TerraformServiceTable
from tests.flows.conftest import PROJECT
from tests.unit.values import IMAGE

OTHER = replace(IMAGE, name="other")
TERRAFORM = TerraformServiceTable("infra", ("infra/env/dev.tfvars",))


def test_an_environment_is_an_image_and_how_it_runs() -> None:
    tables = [
        EnvironmentTable("dev", terraform=TERRAFORM),
        EnvironmentTable("live", "app", TerraformServiceTable(".", variable="image")),
    ]

    actual = deployments(tables, [IMAGE])

    assert actual == (
        Deployment("dev", "app", TerraformService("infra", ("infra/env/dev.tfvars",), "gateway_image")),
        Deployment("live", "app", TerraformService(".", (), "image")),
    )


def test_an_environment_with_a_state_of_its_own_keeps_what_terraform_notes_apart() -> None:
    table = TerraformServiceTable("infra", backend_config=("bucket=state-live", "infra/live.hcl"))

    (actual,) = deployments([EnvironmentTable("live", terraform=table)], [IMAGE])

    assert actual.service == TerraformService(
        "infra", backend_config=("bucket=state-live", "infra/live.hcl"), working=".terraform/live"
    )


def test_one_of_several_images_is_named() -> None:
    actual = deployments([EnvironmentTable("dev", "other", TERRAFORM)], [IMAGE, OTHER])

    assert [one.image for one in actual] == ["other"]


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ([EnvironmentTable("dev", terraform=TERRAFORM)], r"environment\[0\].image: there are several images; name one"),
        ([EnvironmentTable("dev", "app", TERRAFORM)] * 2, r"environment\[1\].name: there are two environments 'dev'"),
        ([EnvironmentTable("dev", "gone", TERRAFORM)], r"environment\[0\].image: there is no image 'gone'"),
        ([EnvironmentTable("dev", "app")], r"environment\[0\]: it does not say how the service runs"),
        ([EnvironmentTable("dev", "app", TerraformServiceTable("../x"))], r"environment\[0\].terraform.folder: "),
        ([EnvironmentTable("dev", "app", TerraformServiceTable("/x"))], r"environment\[0\].terraform.folder: "),
        (
            [EnvironmentTable("dev", "app", TerraformServiceTable(".", backend_config=("../b",)))],
            r"environment\[0\].terraform.backend_config\[0\]: ",
        ),
        (
            [EnvironmentTable("dev", "app", TerraformServiceTable(".", backend_config=("a=\n",)))],
            r"environment\[0\].terraform.backend_config\[0\]: ",
        ),
        (
            [EnvironmentTable("dev", "app", TerraformServiceTable(".", ("a", "../b")))],
            r"environment\[0\].terraform.var_files\[1\]: ",
        ),
    ],
)
def test_an_environment_that_means_nothing_is_refused(tables: list[EnvironmentTable], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        deployments(tables, [IMAGE, OTHER])


def test_the_projects_environments_name_files_that_are_there() -> None:
    found = read_settings(PROJECT).deployments

    assert [one.name for one in found] == ["dev", "staging", "production"]
    assert all((PROJECT / file).is_file() for one in found for file in one.service.var_files)
