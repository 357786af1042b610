"""AWS as far as a workflow meets it: moto answers the AWS CLI, and Debian's docker-registry stands for ECR's registry.

moto gives ECR's password to whoever asks, whatever identity the role was assumed with; the registry lets in who has it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.parts import REAL, free_port, require, running

ACCOUNT, REGION = "123456789012", "eu-central-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/release"
PASSWORD = f"{ACCOUNT}-auth-token"
"""What moto gives for this account."""

# htpasswd of the user `AWS` with PASSWORD: bcrypt, which is all that docker-registry reads.
_HTPASSWD = "AWS:$2b$04$sXm/Sp8vPqjCtH7MLIlepuniBPP.4BK140NrUD68Oiws47E7fWhXO\n"
_PROGRAMS = REAL / "aws" / "bin"


@pytest.fixture(scope="session")
def aws() -> str:
    """The path of the AWS CLI."""
    return require("aws", _PROGRAMS / "aws")


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of STS and ECR's API."""
    program = require("moto_server", _PROGRAMS / "moto_server")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [program, "--host", "127.0.0.1", "--port", str(port)]
    with running(command, f"{url}/moto-api/", tmp_path_factory.mktemp("moto") / "log"):
        yield url


@pytest.fixture(scope="session")
def ecr_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`127.0.0.1:PORT` of a registry that wants ECR's user and password for everything."""
    program, folder = require("docker-registry"), tmp_path_factory.mktemp("ecr-registry")
    host = f"127.0.0.1:{free_port()}"
    (folder / "htpasswd").write_text(_HTPASSWD)
    settings = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "storage")}},
        "http": {"addr": host},
        "auth": {"htpasswd": {"realm": "ecr", "path": str(folder / "htpasswd")}},
    }
    (folder / "config.yml").write_text(json.dumps(settings))
    with running([program, "serve", str(folder / "config.yml")], f"http://{host}/v2/", folder / "log"):
        yield host
