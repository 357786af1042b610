"""What the commands share: the decisions that they ask for, and the answers that they print."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot.core.text import json_line, no_command, plain
from bot.errors import PolicyError, UsageError
from bot.world import World

# What a command does not need is not imported for it: PLC0415 is off for this file.

if TYPE_CHECKING:
    from bot.core.model import Image
    from bot.core.plan import Outcome
    from bot.core.versions import Ref
    from bot.flows.ask import Question
    from bot.flows.upgrade import Result


def outcomes(
    world: World, name: str | None, to: str | None, saved: Path | None = None, *, same_base: bool = False
) -> Iterator[Outcome]:
    """The decision for each image that was asked for, made when its turn comes: images may share a file."""
    from bot.flows import upgrade

    world.environment  # noqa: B018 - what is wrong with it is said once, before anything is asked
    if saved is not None:
        if to is not None or name is not None:
            raise UsageError("a saved plan says which release", where="--plan", next_step="Leave --to and --image out.")
        claims = world.saved_plans(saved)
        names = [claim.image for claim in claims]
        if len(set(names)) < len(names):
            raise PolicyError(
                "the saved plan has two lines for one image",
                where=str(saved),
                next_step="Nothing was done. Make the plan again: gateway-bot plan --save FILE.",
            )
        known = world.settings.images
        left = ", ".join(image.name for image in known if image.name not in names)
        if left:
            world.log(f"the saved plan says nothing of {left}")
        if same_base:
            upgrade.made_for_these(claims, known, world.files, str(saved))
        ground = world.ground(gathering=False)
        return (upgrade.plan_again(claim, str(saved), known, ground, same_base=same_base) for claim in claims)
    images = world.images(name)
    wanted = named_ref(to, images)
    world.progress(f"asking upstream about {', '.join(image.name for image in images)}")
    ground = world.ground()
    return (upgrade.plan(image, ground, wanted) for image in images)


def ask(
    world: World,
    name: str | None,
    to: str | None,
    question: Question,
    *,
    as_json: bool,
    of_pin: bool = False,
    sarif: Path | None = None,
) -> int:
    """Print the answer for each image; the exit code of the first that is no yes."""
    from bot.core.asked import Asked
    from bot.flows.ask import ask

    ground, code = world.ground(), 0
    images = world.images(name)
    wanted = named_ref(to, images)
    world.progress(f"asking about {', '.join(image.name for image in images)}")
    for image in images:
        answer = ask(image, ground, wanted, question, of_pin=of_pin)
        click.echo(json_line(answer.json()) if as_json else no_command(answer.text()))
        if sarif is not None and isinstance(answer, Asked) and answer.changes is not None:
            world.save(sarif, answer.sarif())
        code = code or answer.exit_code
    return code


def named_ref(to: str | None, images: Sequence[Image], where: str = "REF") -> Ref | None:
    """The release that a person named, `where`. Raises UsageError."""
    from bot.core.versions import Ref, parse_version

    if to is None:
        return None
    if len(images) > 1:
        raise UsageError("several images, one release", where=to[:80], next_step="Name its image with --image.")
    if parse_version(to) is None:
        raise UsageError(
            f"{to[:80]!r} is no release's tag", where=where, next_step="Name a version, as in v1.4.1 or 1.4.1."
        )
    return Ref(to)


def report(world: World, results: Iterable[Result], *, as_json: bool, explain: bool = False) -> int:
    """Print the answers and tell GitHub Actions; the exit code of the first image that was blocked."""
    from bot.core import report
    from bot.core.plan import Blocked

    code, words, urls = 0, ["nothing_new"], list[str]()
    for result in results:
        outcome = result.outcome
        if as_json:
            click.echo(json_line(one_line(result)))
        else:
            # what was done is said in two lines; what would be done, in full
            brief = result.url and not isinstance(outcome, Blocked)
            said = report.headline(outcome) if brief else report.terminal(outcome, explain=explain)
            warned = [f"warning: {plain(warning, 500)}" for warning in result.warnings]
            parts = (said, result.did, *warned, plain(result.url, 300), result.preview)
            click.echo(no_command("\n".join(filter(None, parts))))
        world.runner.tell(result)
        words.append(report.word_for(outcome))
        urls += [result.url] if result.url else []
        if isinstance(outcome, Blocked):
            code = code or outcome.exit_code
    worst = next(word for word in ("blocked", "propose", "nothing_new") if word in words)
    world.runner.set_outputs({"outcome": worst, "pull_request": " ".join(urls)})
    return code


def one_line(result: Result) -> bytes:
    """One line of JSON, without its end."""
    from bot.core.wire import to_json

    return to_json(result.outcome, result.did, result.url, result.warnings)
