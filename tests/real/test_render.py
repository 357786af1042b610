"""Terraform itself. What it says is held against tests/recorded/terraform, which the unit tests replay.

With GATEWAY_BOT_RECORD=1 it is written there instead. The repository's own template is rendered too, held against
upstream's published schemas, and given to the stand-in for the gateway's program.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from jsonschema.validators import Draft202012Validator

from bot.adapters.engine import Engine
from bot.adapters.programs import Programs
from bot.adapters.terraform import Terraform
from bot.core.gateway_config.expansion import dummies, variables
from bot.core.model import ConfigEnvironment, GatewayConfig
from bot.embedded.registry import EmbeddedRegistry
from tests.engine import ARGUMENTS, VERSIONS, docker_host, engine_at, standin_image
from tests.parts import ROOT, require
from tests.terraform import CASES, Recording, checkout, recorded_at, said_of

pytestmark = pytest.mark.real
__all__ = ["docker_host"]

SCHEMAS = ROOT.parent / "shared" / "upstream" / "schema"
MODULE = "infrastructure/modules/compute"
ENVIRONMENTS = ("dev", "staging", "production")
OWN = GatewayConfig(
    f"{MODULE}/agentgateway-config.yaml.tftpl",
    tuple(ConfigEnvironment(name, (f"infrastructure/environments/{name}.tfvars",)) for name in ENVIRONMENTS),
    (f"{MODULE}/variables.tf",),
)


@pytest.fixture
def terraform() -> str:
    return require("terraform")


@pytest.fixture
def own(terraform: str) -> Terraform:
    return Terraform(Programs({"PATH": str(Path(terraform).parent)}, lambda _: None), ROOT)


@pytest.mark.usefixtures("terraform")
@pytest.mark.parametrize("name", CASES)
def test_terraform_answers_as_recorded(name: str, tmp_path: Path) -> None:
    programs, case = Recording(), CASES[name]
    said = said_of(Terraform(programs, checkout(case, tmp_path)), case)
    text = json.dumps(programs.record, indent=1, ensure_ascii=False) + "\n"
    if os.environ.get("GATEWAY_BOT_RECORD") == "1":
        recorded_at(name).write_text(text)

    assert text == recorded_at(name).read_text()
    assert said == case.expected


@pytest.mark.parametrize("environment", OWN.environments, ids=ENVIRONMENTS)
def test_our_own_config_fits_upstream_s_schemas(own: Terraform, environment: ConfigEnvironment) -> None:
    if not SCHEMAS.exists():
        pytest.skip("upstream's schemas are not beside this checkout")
    config = yaml.safe_load(own.render(OWN, environment))
    errors = {
        version: [error.message for error in Draft202012Validator(json.loads(path.read_bytes())).iter_errors(config)]
        for version in ("1.2.1", "1.3.1", "1.4.0", "1.4.1")
        for path in [SCHEMAS / f"config-v{version}.json"]
    }

    assert [found for found in errors.values() if found] == []


@pytest.mark.parametrize("environment", OWN.environments, ids=ENVIRONMENTS)
def test_our_own_config_cuts_no_request_and_needs_one_variable(own: Terraform, environment: ConfigEnvironment) -> None:
    text = own.render(OWN, environment)
    config = yaml.safe_load(text)["config"]
    least, most = (
        int(config[key].removesuffix("s"))
        for key in ("connectionMinTerminationDeadline", "connectionTerminationDeadline")
    )

    assert 30 <= least < most < 120
    assert [variable.name for variable in variables(text)] == ["ANTHROPIC_API_KEY"]


def test_both_versions_of_the_program_accept_our_own_config(own: Terraform, engine: Engine) -> None:
    said = {}
    with EmbeddedRegistry() as registry:
        for version in VERSIONS:
            image = f"{registry.host}/acme/gateway@{registry.push('acme/gateway', version, standin_image(version))}"
            for environment in OWN.environments:
                text = own.render(OWN, environment)
                answer = engine.ask(image, ARGUMENTS, text, dummies(text, {}))
                said[version, environment.name] = (answer.code, answer.out, answer.err)

    assert said == dict.fromkeys(said, (0, "Configuration is valid!\n", ""))


def test_the_infrastructure_is_formatted_and_its_module_valid(terraform: str) -> None:
    for arguments in (["fmt", "-check", "-recursive", "infrastructure"], [f"-chdir={MODULE}", "validate"]):
        done = subprocess.run(
            [terraform, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
        )

        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def engine(docker_host: str) -> Iterator[Engine]:
    engine = engine_at(docker_host)
    yield engine
    engine.close()
