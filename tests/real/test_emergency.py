"""A service is pointed at another image by Terraform itself: local state, and resources that need no provider."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from bot.adapters.terraform_run import TerraformRun
from bot.core.emergency import Ran
from bot.core.model import Deployment, TerraformService
from bot.core.terraform_changes import Changed
from bot.errors import BotError, ReleaseError, ServiceError, UsageError
from bot.flows.emergency import run_emergency
from tests.parts import require

pytestmark = pytest.mark.real

OLD, NEW = (f"ghcr.io/acme/app@sha256:{digit * 64}" for digit in "ab")
SECRET = "hunter2-not-for-logs"  # noqa: S105 - that it is shown nowhere is what is tested
SERVICE = Deployment("production", "app", TerraformService("infra", ("infra/env/production.tfvars",)))
TASK, GATEWAY = "module.compute.terraform_data.task", "module.compute.terraform_data.service"
THE_IMAGE = (Changed(GATEWAY, "update"), Changed(TASK, "replace"))

ROOT_MODULE = """
variable "gateway_image" {
  type = string
  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.gateway_image))
    error_message = "by digest"
  }
}
variable "size" { type = number }
variable "pause" { default = 0 }
module "compute" {
  source = "./compute"
  image  = var.gateway_image
  size   = var.size
}
resource "terraform_data" "bucket" { input = var.size }
output "image" { value = var.gateway_image }
"""
COMPUTE = f"""
variable "image" {{}}
variable "size" {{}}
locals {{
  containers = jsonencode([{{ name = "side", image = "x:1" }}, {{ name = "app", image = var.image, size = var.size }}])
}}
resource "terraform_data" "task" {{
  input            = {{ containers = local.containers, key = "{SECRET}" }}
  triggers_replace = [local.containers]
}}
resource "terraform_data" "service" {{
  input = terraform_data.task.id
}}
output "service" {{
  value = terraform_data.service.output
}}
"""
SLOW = """
resource "terraform_data" "slow" {
  triggers_replace = [var.gateway_image]
  provisioner "local-exec" {
    command = "echo $$ > ${path.root}/began; sleep ${var.pause}"
  }
}
"""
FAILS = """
resource "terraform_data" "fails" {
  triggers_replace = [var.gateway_image, module.compute.service]
  provisioner "local-exec" {
    command = "test ! -e ${path.root}/broken || { echo password=hunter2-not-for-logs; exit 3; }"
  }
}
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose service runs the image OLD."""
    require("terraform")
    infra = tmp_path / "checkout" / "infra"
    (infra / "compute").mkdir(parents=True)
    (infra / "env").mkdir()
    (infra / "main.tf").write_text(ROOT_MODULE)
    (infra / "compute" / "main.tf").write_text(COMPUTE)
    (infra / "env" / "production.tfvars").write_text("size = 1\n")
    (infra / "env" / "all.tfvars").write_text(f'size = 1\ngateway_image = "{OLD}"\n')
    bring_up(infra)
    return infra.parent


def bring_up(infra: Path, image: str = OLD) -> None:
    terraform(infra, "init", "-input=false")
    terraform(
        infra,
        "apply",
        "-auto-approve",
        "-input=false",
        "-var-file=env/production.tfvars",
        f"-var=gateway_image={image}",
    )


def terraform(infra: Path, *arguments: str) -> str:
    return subprocess.run(
        ["terraform", f"-chdir={infra}", *arguments], capture_output=True, text=True, check=True, timeout=60
    ).stdout


def running(checkout: Path) -> str:
    """The image that the state says the service runs."""
    state = json.loads((checkout / "infra" / "terraform.tfstate").read_text())
    task = next(item for item in state["resources"] if item["name"] == "task")
    containers = json.loads(task["instances"][0]["attributes"]["input"]["value"]["containers"])
    return str(containers[1]["image"])


def run(checkout: Path, how: str = "apply", image: str = NEW, deployment: Deployment = SERVICE) -> Ran:
    said: list[str] = []
    asked = TerraformRun(os.environ, checkout, said.append)
    ran = run_emergency(deployment, image, asked, how="apply" if how == "apply" else "plan")
    assert SECRET not in repr(ran) + "".join(said)
    return ran


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary files go; a plan holds secrets, so none may be left."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    yield folder
    assert list(folder.glob("gateway-bot-*")) == []


def test_a_plan_shows_what_the_image_changes_and_changes_nothing(checkout: Path) -> None:
    ran = run(checkout, "plan")

    assert running(checkout) == OLD
    assert (ran.did, ran.was, ran.image, ran.changes) == ("planned", OLD, NEW, THE_IMAGE)


def test_an_apply_points_the_service_and_a_second_one_finds_it_there(checkout: Path) -> None:
    first, second = run(checkout), run(checkout)

    assert running(checkout) == NEW
    assert (first.did, second.did) == ("applied", "nothing")


def test_an_environment_with_a_state_of_its_own_leaves_the_folder_to_whoever_works_there(checkout: Path) -> None:
    infra = checkout / "infra"
    (infra / "backend.tf").write_text('terraform {\n  backend "local" {}\n}\n')
    (infra / "env" / "dev.hcl").write_text('path = "dev.tfstate"\n')
    (infra / "terraform.tfstate").rename(infra / "live.tfstate")
    shutil.rmtree(infra / ".terraform", ignore_errors=True)
    terraform(infra, "init", "-input=false", "-backend-config=env/dev.hcl")
    service = replace(SERVICE.service, backend_config=("path=live.tfstate",), working=".terraform/production")

    first = run(checkout, deployment=replace(SERVICE, service=service))
    again = run(checkout, deployment=replace(SERVICE, service=service))

    (infra / "live.tfstate").rename(infra / "terraform.tfstate")
    assert (first.did, again.did, running(checkout)) == ("applied", "nothing", NEW)
    assert '"path": "dev.tfstate"' in (infra / ".terraform" / "terraform.tfstate").read_text()


def test_another_pending_change_of_the_very_same_resource_is_refused(checkout: Path) -> None:
    (checkout / "infra" / "env" / "production.tfvars").write_text("size = 2\n")

    ran = run(checkout)

    assert running(checkout) == OLD
    assert (ran.did, ran.exit_code) == ("refused", 8)
    assert ran.pending == (Changed("terraform_data.bucket", "update"), *THE_IMAGE)


def test_a_resource_that_left_the_code_is_not_destroyed_on_the_way(checkout: Path) -> None:
    main = checkout / "infra" / "main.tf"
    main.write_text(main.read_text().replace('resource "terraform_data" "bucket" { input = var.size }\n', ""))

    ran = run(checkout)

    assert "terraform_data.bucket" in terraform(checkout / "infra", "state", "list")
    assert (ran.did, ran.why) == (
        "refused",
        "it would delete terraform_data.bucket: an emergency only updates and replaces",
    )


def test_a_service_that_was_never_deployed_has_nowhere_to_go_back_from(checkout: Path) -> None:
    (checkout / "infra" / "terraform.tfstate").unlink()

    ran = run(checkout)

    assert not (checkout / "infra" / "terraform.tfstate").exists()
    assert (ran.did, ran.why) == (
        "refused",
        "it would create terraform_data.bucket: an emergency only updates and replaces",
    )


def test_a_variable_that_reaches_no_resource_is_refused(checkout: Path) -> None:
    main = checkout / "infra" / "main.tf"
    main.write_text(main.read_text() + 'variable "unused" { default = "" }\n')

    ran = run(
        checkout, deployment=Deployment("x", "app", TerraformService("infra", ("infra/env/all.tfvars",), "unused"))
    )

    assert (ran.did, ran.why) == ("refused", "no resource is given the image by var.unused")


def test_a_variable_that_nobody_declared_is_a_mistake_in_the_settings(checkout: Path) -> None:
    with pytest.raises(UsageError, match="Value for undeclared variable") as error:
        run(checkout, deployment=Deployment("x", "app", TerraformService("infra", ("infra/env/all.tfvars",), "gone")))

    assert error.value.where == "infra"


def test_a_state_that_somebody_has_locked_is_left_alone_and_its_holder_named(checkout: Path) -> None:
    began = slow(checkout, seconds=30)
    holder = subprocess.Popen(
        [
            "terraform",
            f"-chdir={checkout / 'infra'}",
            "apply",
            "-auto-approve",
            "-var-file=env/production.tfvars",
            f"-var=gateway_image={NEW}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_for(began)
        with pytest.raises(
            ServiceError, match=r"^infra: the state is locked by \S+@\S+ since 20.* \(OperationTypeApply\)$"
        ) as error:
            run(checkout)
    finally:
        os.killpg(holder.pid, signal.SIGKILL)
        holder.wait()

    assert "terraform -chdir=infra force-unlock " in error.value.next_step


def slow(checkout: Path, seconds: int) -> Path:
    """The next apply takes so long in its middle; the file that is there from then on."""
    infra = checkout / "infra"
    with (infra / "main.tf").open("a") as file:
        file.write(SLOW)
    bring_up(infra)
    (infra / "began").unlink()
    (infra / "env" / "production.tfvars").write_text(f"size = 1\npause = {seconds}\n")
    return infra / "began"


def wait_for(path: Path, *, there: bool = True) -> None:
    ends = time.monotonic() + 20
    while path.exists() != there:
        assert time.monotonic() < ends
        time.sleep(0.05)


PROGRAM = """
import os, signal, sys
from pathlib import Path
from bot.adapters.terraform_run import TerraformRun
from bot.core.model import Deployment, TerraformService
from bot.flows.emergency import run_emergency
signal.signal(signal.SIGTERM, signal.default_int_handler)
service = TerraformService("infra", ("infra/env/production.tfvars",))
try:
    terraform = TerraformRun(os.environ, Path(sys.argv[1]), print)
    run_emergency(Deployment("p", "app", service), sys.argv[2], terraform, how="apply")
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize("times", [1, 3])
def test_told_to_end_in_the_middle_of_an_apply_it_waits_for_terraform_and_the_state_is_free(
    checkout: Path, times: int
) -> None:
    began = slow(checkout, seconds=3)
    bot = subprocess.Popen([sys.executable, "-c", PROGRAM, str(checkout), NEW], stdout=subprocess.PIPE, text=True)
    wait_for(began)
    for _ in range(times):
        bot.send_signal(signal.SIGTERM)
        time.sleep(0.2)
    said, _ = bot.communicate(timeout=60)

    assert "interrupted: terraform has ended with exit " in said
    assert not (checkout / "infra" / ".terraform.tfstate.lock.info").exists()
    terraform(
        checkout / "infra", "plan", "-lock-timeout=0s", "-var-file=env/production.tfvars", f"-var=gateway_image={NEW}"
    )
    assert bot.returncode == 130


def test_terraform_outlives_a_bot_that_is_killed_and_frees_its_lock(checkout: Path, temporary: Path) -> None:
    began = slow(checkout, seconds=1)
    bot = subprocess.Popen([sys.executable, "-c", PROGRAM, str(checkout), NEW], stdout=subprocess.DEVNULL)
    wait_for(began)
    bot.kill()
    bot.wait()
    lock = checkout / "infra" / ".terraform.tfstate.lock.info"
    assert lock.exists()
    wait_for(lock, there=False)
    for left in temporary.glob("gateway-bot-*"):  # nobody is there any more to remove it
        shutil.rmtree(left)

    assert run(checkout).did == "nothing"


def test_an_apply_that_stopped_between_the_task_and_the_service_is_for_a_person(checkout: Path) -> None:
    terraform(
        checkout / "infra",
        *("apply", "-auto-approve", "-var-file=env/production.tfvars", f"-var=gateway_image={NEW}", f"-target={TASK}"),
    )

    ran = run(checkout)

    assert ran.changes == (Changed(GATEWAY, "update"),)
    assert (ran.did, ran.exit_code) == ("refused", 8)
    assert "cannot be told apart" in ran.why


def test_an_apply_that_fails_says_how_far_it_came_and_quotes_no_secret(checkout: Path) -> None:
    infra = checkout / "infra"
    with (infra / "main.tf").open("a") as file:
        file.write(FAILS)
    bring_up(infra)
    (infra / "broken").touch()

    with pytest.raises(ReleaseError, match="the apply ended early; done: ") as error:
        run(checkout)

    assert SECRET not in str(error.value)
    assert "not done, or not known: terraform_data.fails. Error: local-exec provisioner error" in error.value.what


def test_a_state_that_changed_after_the_plan_is_not_overwritten(checkout: Path) -> None:
    asked = TerraformRun(os.environ, checkout, lambda _: None)

    with asked.started(TerraformService("infra", ("infra/env/production.tfvars",))) as work:
        work.plan(NEW)
        bring_up(checkout / "infra", OLD.replace("a" * 64, "c" * 64))
        with pytest.raises(ReleaseError, match="somebody else changed the state"):
            work.apply(NEW, THE_IMAGE)

    assert running(checkout).endswith("c" * 64)


def test_the_plan_is_private_as_long_as_it_is_there(checkout: Path, temporary: Path) -> None:
    with TerraformRun(os.environ, checkout, lambda _: None).started(
        TerraformService("infra", ("infra/env/production.tfvars",))
    ) as work:
        work.plan(NEW)
        found = sorted((path.name, oct(path.stat().st_mode & 0o777)) for path in temporary.rglob("*") if path.is_file())

    assert found == [("0.tfplan", "0o600"), ("err", "0o600"), ("out", "0o600")]


def test_a_folder_without_terraform_in_it_is_a_mistake_in_the_settings(checkout: Path) -> None:
    (checkout / "empty").mkdir()

    with pytest.raises(BotError) as error:
        run(checkout, deployment=Deployment("x", "app", TerraformService("empty")))

    assert error.value.exit_code == 2
