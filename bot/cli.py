"""The commands. Each is wired here to its flow, and its answer printed; the one place that catches BotError."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot import __version__, console
from bot.clock import Clock, SystemClock
from bot.config_commands import config
from bot.core.text import json_line, no_command, plain
from bot.errors import BotError, Bug, UsageError
from bot.release_commands import build, release
from bot.rollback_commands import history, hold, rollback, unhold
from bot.settings import read_environment
from bot.settings.grammar import SLUG
from bot.world import World

# Each command imports its own flow where it runs, so that no command pays for another: PLC0415 is off for this file.

if TYPE_CHECKING:
    from bot.core.plan import Blocked, NothingNew, Plan
    from bot.flows.upgrade import Result

_INTERRUPTED = 130

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON: one object an image, one a line.")
_image = click.option("--image", "name", metavar="NAME", help="Only this image of gateway-bot.toml.")
_to = click.option("--to", "to", metavar="REF", help="This release, if the policy allows it: v1.4.1.")
_of = click.option("--to", "to", metavar="REF", help="Of this release; otherwise of the candidate, or of the pin.")
_saved = click.option(
    "--plan",
    "saved",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A plan that `plan --save` wrote; it is held against a fresh one first.",
)


def _slug(_context: click.Context, _option: click.Parameter, value: str | None) -> str:
    if value and not re.fullmatch(SLUG, value):
        raise click.BadParameter("OWNER/NAME is meant")
    return value or ""


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Example: gateway-bot plan --explain",
)
@click.option(
    "-C",
    "root",
    metavar="DIR",
    default=".",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Work on the checkout in DIR.",
)
@click.option(
    "--settings",
    "settings_file",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Read the settings from FILE, not from DIR/gateway-bot.toml.",
)
@click.option(
    "--repository",
    metavar="OWNER/NAME",
    callback=_slug,
    help="The checkout's repository on GitHub; else GITHUB_REPOSITORY.",
)
@click.version_option(__version__, prog_name="gateway-bot")
@click.pass_context
def cli(ctx: click.Context, root: Path, settings_file: Path | None, repository: str) -> None:
    """Keep a digest-pinned upstream image current, provably.

    Exit codes: 0 done or nothing to do, 2 wrong use or settings, 3 the pinned files, 4 the network or a service
    gave up, 5 integrity, 6 policy, 7 GitHub refused or a conflict, 8 a release that cannot be made,
    130 interrupted, 1 a bug.
    """
    environ, clock = ctx.obj
    ctx.obj = World(root.resolve(), environ, clock, settings_file, repository)
    ctx.call_on_close(ctx.obj.close)


@cli.command(epilog="Example: gateway-bot check --fix")
@click.option(
    "--export", is_flag=True, help="In GitHub Actions, set the keys of dotenv pins for the steps that follow."
)
@click.option("--fix", is_flag=True, help="Rewrite what disagrees from the source of truth, the image's first pin.")
@click.option("--online", is_flag=True, help="Also prove that the pinned tag still answers with the pinned digest.")
@_image
@_json
@click.pass_obj
def check(world: World, *, export: bool, fix: bool, online: bool, name: str | None, as_json: bool) -> int:
    """Say whether all places that hold a pin agree."""
    from bot.flows.check import check as run

    code, exported = 0, dict[str, str]()
    for image in world.images(name):
        upstream = world.upstream(image) if online else None
        done = run(image, world.files, world.allowed_keys, upstream, fix=fix)
        exported |= done.exported()
        click.echo(json_line(done.json()) if as_json else no_command(done.text()))
        code = code or done.exit_code
    if export and code == 0:
        world.runner.set_variables(exported)
    return code


@cli.command(epilog="Example: gateway-bot resolve ghcr.io/agentgateway/agentgateway:v1.4.1")
@click.argument("ref")
@_image
@_json
@click.pass_obj
def resolve(world: World, *, ref: str, name: str | None, as_json: bool) -> int:
    """Print the digest of REF, proven from its bytes, with its platforms.

    REF is a whole reference (HOST/PATH:TAG or HOST/PATH@DIGEST), which needs no gateway-bot.toml, or a tag or
    digest of an image that is in it. An image that is in it also has to have the platforms that its policy requires.
    """
    import msgspec

    from bot.core.wire import ResolvedJson
    from bot.flows.resolve import resolve as run
    from bot.flows.resolve import the_reference

    images = world.images(name) if name or "/" not in ref or world.has_settings else ()
    reference = the_reference(ref, images)
    required = next((i.policy.platforms for i in images if i.repository == reference.repository), ())
    index = run(reference, world.registry(reference.repository), required)
    platforms = [str(platform) for platform in index.platforms]
    if as_json:
        answer = ResolvedJson(str(reference), index.digest, index.media_type, platforms)
        click.echo(json_line(msgspec.json.encode(answer)))
    else:
        click.echo(f"{index.digest}\n{reference}: {index.media_type}\n{', '.join(platforms)}")
    return 0


@cli.command(epilog="Example: gateway-bot verify v1.4.1")
@click.argument("ref", required=False)
@_image
@_json
@click.pass_obj
def verify(world: World, *, ref: str | None, name: str | None, as_json: bool) -> int:
    """Prove digest, platforms and signature: of the pin, or of the release REF."""
    from bot.flows import ask

    return console.ask(world, name, ref, ask.verify, as_json=as_json, of_pin=True)


@cli.command(epilog="Example: gateway-bot scan --to v1.4.1 --sarif build/scan.sarif")
@_of
@click.option("--sarif", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="For code scanning.")
@_image
@_json
@click.pass_obj
def scan(world: World, *, to: str | None, sarif: Path | None, name: str | None, as_json: bool) -> int:
    """Compare the vulnerabilities of the candidate with those of the pin, by Trivy with one database."""
    from bot.flows import ask

    if sarif is not None and len(world.images(name)) > 1:
        raise UsageError("several images, one file", where="--sarif", next_step="Name its image with --image.")
    return console.ask(world, name, to, ask.scan, as_json=as_json, sarif=sarif)


@cli.command(epilog="Example: gateway-bot validate --to v1.4.1")
@_of
@_image
@_json
@click.pass_obj
def validate(world: World, *, to: str | None, name: str | None, as_json: bool) -> int:
    """Hold the rendered config against the candidate's JSON Schema, and give it to the candidate's own binary."""
    from bot.flows import ask

    return console.ask(world, name, to, ask.validate, as_json=as_json)


@cli.command(epilog="Example: gateway-bot plan --explain")
@_to
@click.option("--explain", is_flag=True, help="Show every release with the reason why it was passed over.")
@click.option("--save", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="Keep the plan.")
@_image
@_json
@click.pass_obj
def plan(world: World, *, to: str | None, explain: bool, save: Path | None, name: str | None, as_json: bool) -> int:
    """Say what would change, and why. Changes nothing."""
    from bot.flows.upgrade import Result

    results = [Result(outcome) for outcome in console.outcomes(world, name, to)]
    if save is not None:
        world.save(save, b"".join(console.one_line(result) + b"\n" for result in results))
    return console.report(world, results, as_json=as_json, explain=explain)


@cli.command(epilog="Example: gateway-bot apply --to v1.4.1")
@_to
@_saved
@_image
@_json
@click.pass_obj
def apply(world: World, *, to: str | None, saved: Path | None, name: str | None, as_json: bool) -> int:
    """Make the plan's edits in the work tree, all or nothing."""
    from bot.flows.upgrade import act
    from bot.flows.upgrade import apply as run

    outcomes = console.outcomes(world, name, to, saved, same_base=True)
    return console.report(world, act(outcomes, lambda made: run(made, world.files)), as_json=as_json)


@cli.command(epilog="Example: GITHUB_REPOSITORY=acme/ai-gateway gateway-bot propose --dry-run")
@_to
@_saved
@click.option("--dry-run", is_flag=True, help="Do not act: show the pull request that would be there.")
@_image
@_json
@click.pass_obj
def propose(world: World, *, to: str | None, saved: Path | None, dry_run: bool, name: str | None, as_json: bool) -> int:
    """Open one pull request for each image that has a newer release, or update the one that is open."""
    from bot.flows.upgrade import Result, act

    if not dry_run:
        world.purpose = "propose"
        world.require_forge()

    def on_plan(made: Plan) -> Result:
        from bot.flows.propose import preview
        from bot.flows.propose import propose as run

        return preview(made) if dry_run else run(made, world.forge, world.ground(gathering=saved is None), world.log)

    def on_other(outcome: NothingNew | Blocked) -> Result:
        from bot.core.plan import Blocked
        from bot.flows.tidy import tidy

        name = outcome.image if isinstance(outcome, Blocked) else outcome.image.name
        known = name in {image.name for image in world.settings.images}  # a saved plan may say anything
        return tidy(outcome, world.forge) if known and not dry_run else Result(outcome)

    return console.report(world, act(console.outcomes(world, name, to, saved), on_plan, on_other), as_json=as_json)


@cli.command(epilog="Example: gateway-bot watch")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: one object a question, one a line.")
@click.pass_obj
def watch(world: World, *, as_json: bool) -> int:
    """Look for what a person has to know at once, and keep one issue about it.

    That is a pinned tag that was moved, a pin whose signature no longer verifies, and a schedule that stands still.
    """
    from bot.overview import watch as run

    world.purpose = "publish"
    return run(world, as_json=as_json)


@cli.command(epilog="Example: gateway-bot status --markdown")
@click.option("--markdown", is_flag=True, help="Print Markdown, as the dashboard issue has it.")
@click.option("--publish", is_flag=True, help="Keep the dashboard issue current.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def status(world: World, *, markdown: bool, publish: bool, as_json: bool) -> int:
    """Say where every image stands: its pin, what is proposed, what cools down, what was declined, the last run."""
    from bot.overview import status as run

    if markdown and as_json:
        raise UsageError("two forms of one answer", where="--json, --markdown", next_step="Name one of them.")
    world.purpose = "publish" if publish else "look"
    return run(world, as_json=as_json, markdown=markdown, publish=publish)


@cli.command(epilog="Example: gateway-bot demo")
@click.option(
    "--output",
    metavar="DIR",
    default="build/demo",
    show_default=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the pull request's page is left.",
)
@click.pass_obj
def demo(world: World, *, output: Path) -> int:
    """Tell the whole story with this checkout's first image, on a registry and a GitHub of the bot's own."""
    from bot.demo import demo as run

    return run(world.root, output, main)


cli.add_command(config)
cli.add_command(build)
cli.add_command(release)
cli.add_command(history)
cli.add_command(hold)
cli.add_command(unhold)
cli.add_command(rollback)


def main(
    args: Sequence[str] | None = None, environ: Mapping[str, str] | None = None, clock: Clock | None = None
) -> int:
    """Run one command; the exit code. Every error of the bot's, and every other, ends here."""
    try:
        done = cli.main(
            args=list(args) if args is not None else None,
            prog_name="gateway-bot",
            standalone_mode=False,
            obj=(environ, clock or SystemClock()),
        )
    except BotError as error:
        _tell_runner(error, environ)
        click.echo(no_command(f"error: {plain(str(error), 2000)}\n  next: {error.next_step}"), err=True)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted: run it again, it continues where it stopped", err=True)
        return _INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last resort: no traceback reaches a user
        bug = Bug.of(error)
        click.echo(f"error: {bug} (version {__version__})\n  next: {bug.next_step}", err=True)
        return bug.exit_code
    return done if isinstance(done, int) else 0


def _tell_runner(error: BotError, environ: Mapping[str, str] | None) -> None:
    """What stopped the whole command, where GitHub shows it; nothing outside GitHub Actions."""
    with contextlib.suppress(BotError):  # an environment that is wrong is what is being told
        environment = read_environment(environ)
        if environment.in_actions:
            from bot.runner import Runner

            Runner(environment, lambda text: click.echo(text, err=True)).tell_error(error)
