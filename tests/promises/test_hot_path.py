"""The run that finds nothing new loads only what it uses."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.flows.conftest import CONFIG, PROJECT, SCAN, SIGNATURE, Town

NEVER = (
    "jwt",
    "requests",
    "markdown_it",
    "packaging",
    "cryptography",
    "asyncio",
    "tree_sitter_markdown",
    "docker",
    "jsonschema_rs",
    "subprocess",
    "yaml",
    "bot.adapters.docker_config",
    "bot.adapters.app_token",
    "bot.adapters.programs",
    "bot.core.evidence",
    "bot.core.gateway_config",
    "bot.core.notes",
    "bot.core.pull_request",
    "bot.core.signature",
    "bot.core.vulnerabilities",
    "bot.core.wire",
    "bot.embedded",
    "bot.flows.gather",
    "bot.flows.propose",
)

PROGRAM = """
import json, sys
from bot.cli import main
code = main(["propose"])
print(json.dumps([code, sorted(sys.modules)]))
"""


def test_what_only_a_proposal_needs_is_not_loaded(town: Town) -> None:
    town.run("apply")
    settings = town.text("gateway-bot.toml").partition('[[image.pins]]\ntype = "markdown"')[0]
    town.write("gateway-bot.toml", settings + SIGNATURE + SCAN + CONFIG)

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=town.root,
        env={**town.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        check=True,
        text=True,
    )
    code, loaded = json.loads(done.stdout.splitlines()[-1])

    assert "nothing new" in done.stdout
    assert (code, [name for name in NEVER if name in loaded]) == (0, [])
