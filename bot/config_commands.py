"""The commands that look at gateway-bot.toml itself."""

from __future__ import annotations

import json

import click

from bot.errors import UsageError
from bot.settings import json_schema
from bot.world import World


@click.group(epilog="Example: gateway-bot config schema > gateway-bot.schema.json")
def config() -> None:
    """Look at gateway-bot.toml."""


@config.command("validate", epilog="Example: gateway-bot config validate")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def config_validate(world: World, *, as_json: bool) -> int:
    """Say whether gateway-bot.toml is valid."""
    names = [image.name for image in world.settings.images]
    text = f"gateway-bot.toml is valid: {', '.join(names)}"
    click.echo(json.dumps({"valid": True, "images": names}) if as_json else text)
    return 0


@config.command("repositories", epilog="Example: gateway-bot config repositories --json")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list, for a workflow's matrix.")
@click.pass_obj
def config_repositories(world: World, *, as_json: bool) -> int:
    """Print the repositories that these settings are for."""
    names = world.settings.repositories
    if not names:
        raise UsageError(
            "there are no repositories",
            where="gateway-bot.toml",
            next_step='Name them: repositories = ["OWNER/NAME", ...], above the first table.',
        )
    click.echo(json.dumps(names) if as_json else "\n".join(names))
    return 0


@config.command(epilog="Example: gateway-bot config schema > gateway-bot.schema.json")
def schema() -> int:
    """Print the JSON Schema of gateway-bot.toml, for editors."""
    click.echo(json.dumps(json_schema(), indent=2))
    return 0
