"""The commands of going back, and of staying back: `history`, `hold`, `unhold`, `rollback`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot import console
from bot.core.text import json_line, no_command
from bot.errors import PolicyError, UsageError
from bot.rollback_desk import RollbackDesk
from bot.world import World

if TYPE_CHECKING:
    from bot.core.plan import Outcome, Plan
    from bot.core.reference import Digest
    from bot.core.rollback.back import Wish
    from bot.flows.upgrade import Result

_INTERRUPTED = 130
_AGAIN = (
    "Nothing was done. With --plan say --to, --reason and --release as with --save: what is asked for is not taken "
    "from a file. Else make it again: gateway-bot rollback --save FILE."
)
_THIS = "this"
_DATE = click.DateTime(["%Y-%m-%d"])
_image = click.option("--image", "name", metavar="NAME", help="Only this image of gateway-bot.toml.")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON: one object an image, one a line.")


@click.command(epilog="Example: gateway-bot history --markdown")
@click.option("--markdown", is_flag=True, help="Print Markdown.")
@_image
@_json
@click.pass_obj
def history(world: World, *, name: str | None, markdown: bool, as_json: bool) -> int:
    """Say which pin was there from when to when, who released it, and what is known good.

    All of it comes from git: the base branch, its pins and the tags of releases.
    """
    from bot.core import ledger_text

    if markdown and as_json:
        raise UsageError("two forms of one answer", where="--json, --markdown", next_step="Name one of them.")
    desk, today = RollbackDesk(world, in_place=True), world.clock.now().date()
    for image in desk.images(name):
        ledger, holds = desk.ledger(image), image.policy.holds
        if as_json:
            click.echo(json_line(ledger_text.to_json(ledger, holds, today)))
        else:
            show = ledger_text.markdown if markdown else ledger_text.table
            click.echo(no_command(show(ledger, holds, today)))
    return 0


@click.command(epilog="Example: gateway-bot hold v1.4.1 --reason '5xx under load' --until 2026-12-31")
@click.argument("version")
@click.option("--reason", metavar="TEXT", required=True, help="Why: who meets the hold later reads it.")
@click.option("--until", type=_DATE, help="Its last day, in UTC; without it, until it is taken off.")
@click.option(
    "--digest",
    metavar="[DIGEST]",
    is_flag=False,
    flag_value=_THIS,
    help="Only this image of the version; without a value, the one that it names today.",
)
@_image
@_json
@click.pass_obj
def hold(
    world: World,
    *,
    version: str,
    reason: str,
    until: datetime | None,
    digest: str | None,
    name: str | None,
    as_json: bool,
) -> int:
    """Put VERSION, or a range as in '>=1.4,<1.4.3', on hold in gateway-bot.toml: it is neither proposed nor released.

    What is proposed instead is the newest release that is not on hold. Commit the file, so that the next run knows.
    """
    from bot.flows.hold import HoldWish, hold_version

    desk = RollbackDesk(world, in_place=True)
    this, until_day = digest == _THIS, until.date() if until else None
    wish = HoldWish(version, reason, until_day, _digest(digest) if digest and not this else None, this)
    done = hold_version(desk.image(name), wish, desk.holds)
    click.echo(json_line(done.json()) if as_json else no_command(done.text()))
    return 0


@click.command(epilog="Example: gateway-bot unhold v1.4.1")
@click.argument("version")
@click.option("--digest", metavar="DIGEST", help="Only the hold of this image.")
@_image
@_json
@click.pass_obj
def unhold(world: World, *, version: str, digest: str | None, name: str | None, as_json: bool) -> int:
    """Take the hold of VERSION, or of a range as it stands there, out of gateway-bot.toml."""
    from bot.flows.hold import unhold_version

    desk = RollbackDesk(world, in_place=True)
    done = unhold_version(desk.image(name), version, _digest(digest) if digest else None, desk.holds)
    click.echo(json_line(done.json()) if as_json else no_command(done.text()))
    return 0


def _digest(text: str) -> Digest:
    from bot.core.reference import parse_digest

    try:
        return parse_digest(text)
    except ValueError as error:
        raise UsageError(
            str(error), where="--digest", next_step="Name one: sha256: and 64 hexadecimal digits."
        ) from None


@click.command(epilog="Example: gateway-bot rollback --to v1.4.0 --reason '5xx since the upgrade' --release")
@click.option("--to", metavar="VERSION", help="This one; else the newest known-good one before the current.")
@click.option("--reason", metavar="TEXT", default="", help="Why: written into the commit, and as the hold's reason.")
@click.option("--apply", "in_place", is_flag=True, help="Change the work tree; open no pull request.")
@click.option("--dry-run", is_flag=True, help="Do not act: show the pull request that would be there.")
@click.option("--release", is_flag=True, help="Make a release of it as soon as the pull request is merged.")
@click.option("--save", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="Keep the plan; no more.")
@click.option(
    "--plan",
    "saved",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A plan that --save wrote; it is held against a fresh one first.",
)
@click.option("--emergency", metavar="ENV", default="", help="Point this environment's service there, before all else.")
@click.option("--run", type=click.Choice(["plan", "apply"]), help="With --emergency: do it, not only say how.")
@_image
@_json
@click.pass_obj
def rollback(
    world: World,
    *,
    to: str | None,
    reason: str,
    in_place: bool,
    dry_run: bool,
    release: bool,
    save: Path | None,
    saved: Path | None,
    emergency: str,
    run: str | None,
    name: str | None,
    as_json: bool,
) -> int:
    """Go back to an earlier pin by one pull request, and keep what is left from being proposed again.

    It goes to the newest pin before the current one that was released and is not on hold, or to the one that --to
    names, if its image is still there and still verifies. The version that is left is put on hold in the same commit.
    """
    from bot.core.rollback.back import Wish

    _one_of(
        ("--apply", in_place), ("--dry-run", dry_run), ("--save", save), ("--plan", saved), ("--emergency", emergency)
    )
    _one_of(("--apply", in_place), ("--release", release))
    if run and not emergency:
        raise UsageError("nothing says what it is run for", where="--run", next_step="Add --emergency ENV.")
    world.environment  # noqa: B018 - what is wrong with it is said once, before anything is asked
    if not (in_place or dry_run or save or emergency) or run == "apply":
        world.purpose = "propose"
        _require_forge(world, run)
    desk = RollbackDesk(world, in_place=in_place)
    wish = Wish(console.named_ref(to, (), "--to"), reason, release)
    if emergency:
        return _emergency(desk, wish, emergency, run, name, as_json=as_json)
    desk.tell_difference()
    outcomes = _saved(desk, wish, name, saved) if saved else _planned(desk, wish, name)
    if save is not None:
        from bot.flows.upgrade import Result

        results = [Result(outcome) for outcome in outcomes]
        world.save(save, b"".join(console.one_line(result) + b"\n" for result in results))
        return console.report(world, results, as_json=as_json)
    return _act(desk, wish, outcomes, dry_run=dry_run, as_json=as_json, gathering=saved is None)


def _planned(desk: RollbackDesk, wish: Wish, name: str | None) -> Iterable[Outcome]:
    image = desk.image(name)
    desk.world.progress(f"looking for where {image.name} can go back to")
    return [desk.planner(wish)(image, desk.ground(), None)]


def _saved(desk: RollbackDesk, wish: Wish, name: str | None, path: Path) -> Iterable[Outcome]:
    """A fresh plan for the saved one, made by what is asked for now; refused where the two differ."""
    import msgspec

    from bot.core.plan import Blocked
    from bot.flows.upgrade import plan_again

    claims = desk.world.saved_plans(path)
    image = desk.image(name)
    claim = claims[0]
    if [each.image for each in claims] != [image.name] or (claim.outcome == "propose" and claim.rollback is None):
        raise PolicyError(f"it is no plan of one rollback, of {image.name}", where=str(path), next_step=_AGAIN)
    ground, planned = desk.ground(gathering=False), desk.planner(wish)
    fresh = plan_again(claim, str(path), (image,), ground, same_base=True, planned=planned, again=_AGAIN)
    if not isinstance(fresh, Blocked) or claim.outcome != "propose" or claim.candidate is None:
        return [fresh]
    if fresh.refused is None and fresh.where != str(path):  # by what is asked for, and not by a gate, nor for the file
        reason = f"the saved plan goes to {claim.candidate.ref}; by what is asked for now: {fresh.reason}"
        return [msgspec.structs.replace(fresh, reason=reason, next_step=_AGAIN)]
    return [fresh]


def _act(
    desk: RollbackDesk, wish: Wish, outcomes: Iterable[Outcome], *, dry_run: bool, as_json: bool, gathering: bool
) -> int:
    import msgspec

    from bot.core.rollback.text import commit_command
    from bot.flows.upgrade import act, apply

    world = desk.world

    def on_plan(made: Plan) -> Result:
        if desk.in_place:
            done = apply(made, world.files)
            return msgspec.structs.replace(done, did=f"{done.did}\nnext: {commit_command(made)}")
        from bot.flows.propose import preview, propose

        if dry_run:
            return preview(made)
        return propose(made, desk.forge(wish), desk.ground(gathering=gathering), world.log)

    return console.report(world, act(outcomes, on_plan), as_json=as_json)


def _emergency(
    desk: RollbackDesk, wish: Wish, environment: str, run: str | None, name: str | None, *, as_json: bool
) -> int:
    """The service first, then the code: what was done is proposed as a rollback, so that no deployment undoes it."""
    import msgspec

    from bot.core import emergency
    from bot.core.plan import Plan
    from bot.flows.upgrade import Result

    world, deployment = desk.world, desk.deployment(environment)
    if name not in {None, deployment.image}:
        raise UsageError(
            f"{environment} runs {deployment.image}",
            where="--image",
            next_step="Leave it out: the environment says it.",
        )
    image = desk.image(deployment.image)
    desk.tell_difference()
    wish = desk.of_service(image, wish)
    planned = desk.planner(wish)
    asked = msgspec.structs.replace(image, scan=None, config=None)  # neither keeps a service down
    made = planned(asked, desk.ground(), None)
    pin = desk.pin_of(made, wish)
    if pin is None:
        return console.report(world, [Result(made)], as_json=as_json)
    value = desk.our_image(image, pin)
    for gate in made.gates if isinstance(made, Plan) else ():
        if gate.verdict == "warn":
            world.log(f"warning: {gate.name}: {gate.evidence}")
    try:
        ran = desk.run(deployment, value, run) if run else emergency.shown(deployment, value)
    except KeyboardInterrupt:
        again = "Run it again: it says what is done, or what is in the way and how to do it by hand"
        click.echo(f"interrupted: above is said how far it came. {again}", err=True)
        return _INTERRUPTED
    said = msgspec.json.encode(ran) if as_json else emergency.text(ran, pin.ref, wish.reason)
    click.echo(json_line(said) if isinstance(said, bytes) else no_command(said))
    if not (run == "apply" and ran.is_there and isinstance(made, Plan)):
        return ran.exit_code
    record = msgspec.structs.replace(wish, emergency=environment)
    outcomes = [desk.planner(record)(image, desk.ground(), None)]
    code = _act(desk, record, outcomes, dry_run=False, as_json=as_json, gathering=True)
    if code:
        world.log(f"{environment} runs {pin.ref}, and nothing records it: mend that, and run the same command again")
    return code


def _require_forge(world: World, run: str | None) -> None:
    """Raises UsageError where nobody may propose; what is done in an emergency has to be recorded."""
    try:
        world.require_forge()
    except UsageError as error:
        if run:
            error.next_step += " Without --run the commands are printed, and nothing is proposed."
        raise


def _one_of(*options: tuple[str, object]) -> None:
    """Raises UsageError where several of these were given."""
    given = [option for option, value in options if value]
    if len(given) > 1:
        raise UsageError("they ask for different things", where=", ".join(given), next_step="Name one of them.")
