"""`watch` and `status`: asked, acted on, printed. Imported by their commands only."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
import msgspec

from bot.adapters import actions
from bot.adapters.issues import Issues
from bot.adapters.workflow_runs import WorkflowRuns
from bot.core import alarm_text, status_text
from bot.core.alarm import Alarm, exit_code
from bot.core.proposal.names import ROLLBACKS, branch_name
from bot.core.status import NotAsked
from bot.core.text import json_line, no_command, plain
from bot.errors import BotError, UsageError
from bot.flows import status as status_flow
from bot.flows.alarm_issue import Kept, keep
from bot.flows.branch import proposals_of
from bot.flows.watch import look
from bot.world import World

if TYPE_CHECKING:
    from bot.flows.alarm_issue import Tell

_TO_ASK = "Set GITHUB_TOKEN and, as OWNER/NAME, GITHUB_REPOSITORY (or --repository) to see what is proposed."


def watch(world: World, *, as_json: bool = False) -> int:
    """Look, keep the alarm issue, tell the webhook, print one line a question.

    The exit code is that of the worst open alarm, else of what could not be found out, else of what could not be told.
    """
    world.require_forge()
    settings, now = world.settings, world.clock.now()
    answers = look(settings.images, world.ground(), WorkflowRuns(world.github), settings.watch, now)
    failed: BotError | None = None
    try:
        kept = keep(answers, Issues(world.github), _tell(world), world.repository, now)
        failed = kept.failed
    except BotError as error:
        failed = error
        kept = Kept(None, tuple(answer for answer in answers if isinstance(answer, Alarm)))
    known = kept.acknowledged
    url = kept.issue.url if kept.issue is not None else ""
    rows = [alarm_text.row_of(answer, kept.alarms, url, acknowledged=known) for answer in answers]
    for answer, row in zip(answers, rows, strict=True):
        line = alarm_text.line(answer, kept.alarms, acknowledged=known)
        click.echo(json_line(msgspec.json.encode(row)) if as_json else no_command(line))
    did = kept.did or alarm_text.stays(kept.issue, kept.alarms)
    did = f"{did}: {url}" if did else ""
    if did and not as_json:
        click.echo(no_command(plain(did, 500)))
    if failed is not None:
        click.echo(no_command(f"error: {plain(str(failed), 2000)}\n  next: {failed.next_step}"), err=True)
    _tell_actions(world, rows, did, failed)
    code = exit_code(answers, kept.alarms, acknowledged=known)
    return code or (failed.exit_code if failed is not None else 0)


def status(world: World, *, as_json: bool = False, markdown: bool = False, publish: bool = False) -> int:
    """Print where every image stands, and with `publish` keep the dashboard issue current.

    The exit code is that of what could not be found out; what stands still for a reason is an answer.
    """
    images, workflow = world.settings.images, world.settings.watch.workflow
    world.progress(f"asking upstream about {', '.join(image.name for image in images)}")
    world.connections  # noqa: B018 - made once, before there are threads
    shown = _shown(world, needed=publish)
    found = status_flow.look(images, world.ground(gathering=False), shown, workflow, world.repository)
    did, failed = "", None
    if publish and not isinstance(shown, NotAsked):
        try:
            found, did = status_flow.publish(found, shown.issues)
        except BotError as error:
            failed = error
    if as_json:
        click.echo(json_line(msgspec.json.encode(found)))
    elif markdown:
        click.echo(no_command(status_text.markdown(found)))
    else:
        click.echo(no_command(status_text.terminal(found)))
    if did:
        world.log(f"{did}: {found.dashboard}")
    if failed is not None:
        click.echo(no_command(f"error: {plain(str(failed), 2000)}\n  next: {failed.next_step}"), err=True)
    if world.environment.step_summary is not None:
        home = f"{world.environment.others.get('GITHUB_SERVER_URL', 'https://github.com')}/{world.repository}"
        _summarise(world, status_text.markdown(found, home=home))
    return found.exit_code or (failed.exit_code if failed is not None else 0)


def _shown(world: World, *, needed: bool) -> status_flow.Shown | NotAsked:
    """What GitHub is asked by, or why it cannot be asked. Raises UsageError where that is `needed`."""
    try:
        world.require_forge()
    except UsageError as error:
        if needed:
            raise
        return NotAsked("proposals, runs and alarms", f"nobody was asked, since {error.what}", _TO_ASK, 0)
    forge, github = world.forge, world.github
    return status_flow.Shown(
        lambda name: proposals_of(forge, branch_name(name)),
        lambda name: proposals_of(forge, f"{ROLLBACKS}{name}"),
        forge.git,
        WorkflowRuns(github),
        Issues(github),
    )


def _tell(world: World) -> Tell | None:
    url = world.environment.webhook
    if not url:
        return None
    from bot.adapters.webhook import Webhook  # noqa: PLC0415 - few have one

    return Webhook(world.connections, url, world.clock, world.log).tell


def _tell_actions(world: World, rows: Sequence[alarm_text.WatchJson], did: str, failed: BotError | None) -> None:
    """An annotation for each alarm and for what is not known, and the step summary; nothing outside GitHub Actions."""
    if world.environment.step_summary is not None:
        _summarise(world, alarm_text.summary(rows, did))
    if not world.environment.in_actions:
        return
    for row in rows:
        level = alarm_text.level(row)
        if level is not None:
            why, step = plain(alarm_text.reason(row), 1000), plain(row.next_step, 1000)
            text = f"{row.subject} {row.question}: {why}\nNext: {step}"
            print(actions.annotation(level, "gateway-bot", text), file=sys.stderr)  # noqa: T201 - the runner reads it
    if failed is not None:
        text = f"{plain(str(failed), 1000)}\nNext: {failed.next_step}"
        print(actions.annotation("error", "gateway-bot", text), file=sys.stderr)  # noqa: T201 - as above


def _summarise(world: World, markdown: str) -> None:
    path = world.environment.step_summary
    if path is None:
        return
    try:
        actions.append_summary(path, markdown)
    except OSError as error:
        world.log(f"the step summary cannot be written: {error.strerror}")
