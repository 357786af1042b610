"""Where a pin goes back to, and whether it may: the ledger, what still has the image, and the gates -> a Plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date

import msgspec

from bot.beside import beside, settled
from bot.core.evidence import Evidence, gates_of, proves
from bot.core.gates import Gate, first_refusal
from bot.core.ledger import Ledger
from bot.core.model import Image, Pin, Release
from bot.core.plan import Blocked, NothingNew, Outcome, Pinned, Plan
from bot.core.reference import Repository, Tag
from bot.core.rollback.back import Wish
from bot.core.rollback.decide import Seen, back_of, decide, picked
from bot.core.rollback.gates import Copy, nowhere, tag_gate, weighed
from bot.core.rollback.target import choose, older_good, went_back
from bot.errors import BotError, Bug, PolicyError
from bot.flows.gather import gather
from bot.flows.observe import Upstream, read_pinned, releases_of
from bot.flows.still_there import Place, named_there, still_there
from bot.flows.upgrade import Ground

_OTHERS = 5
"""Older pins that are asked for where the one that was wanted is gone."""


class Way(msgspec.Struct, frozen=True):
    """What a rollback needs beside what an upgrade does."""

    ledger: Ledger
    settings: str
    """The path of the settings, in the checkout."""
    places: tuple[Place, ...]
    """The repositories that may have the image: upstream's, then our own."""
    tags: Callable[[str], Sequence[tuple[Place, Tag]]]
    """Where our own repositories have a release of ours, by its git tag; nowhere where its digest is another."""


def plan_back(
    image: Image, ground: Ground, way: Way, wish: Wish, given: Evidence | None = None, *, proving: bool = True
) -> Outcome:
    """The decision for one image. An error becomes its outcome, as in an upgrade.

    `given` is evidence from elsewhere, used where it is of this very pin. Without `proving` nothing is gathered.
    """
    pinned = made = None
    try:
        pinned = read_pinned(image, ground.files, ground.allowed_keys)
        made = _planned(image, ground, way, wish, pinned)
        return _proven(made, ground, way, given) if proving and isinstance(made, Plan) else made
    except Exception as error:  # noqa: BLE001 - it is told as what it is, without a traceback
        failed = error if isinstance(error, BotError) else Bug.of(error)
        plan = made if isinstance(made, Plan) else None
        return Blocked.by(failed, image, current=pinned.pin if pinned else None, plan=plan)


def _planned(image: Image, ground: Ground, way: Way, wish: Wish, pinned: Pinned) -> Outcome:
    """The plan as far as history and registries tell, or what is wrong with it."""
    upstream = ground.upstream(image)
    now = upstream.clock.now()
    current, holds = pinned.pin, image.policy.holds
    done = "" if wish.to else went_back(way.ledger, current, holds)
    if done:
        return NothingNew(image, current, done, picked(current), ())
    entry = choose(way.ledger, current, holds, wish, now.date())
    target = entry.pin
    if (target.digest, target.version) == (current.digest, current.version):
        return NothingNew(image, current, f"{current.ref} is what is pinned already", picked(target), ())
    settings = ground.files.read((way.settings,))[way.settings]
    releases = _releases(image, target, upstream)
    back = back_of(image, pinned, entry, wish, settings, releases, now)
    copies, tag = _looked_for(image, target, upstream, way)
    there = next((copy for copy in copies if copy.answer == "there"), None)
    if there is None:
        raise nowhere(target, copies, _what_is_there(way, image, current, target, now.date()))
    named = named_there(way.tags(entry.releases[0].tag)) if entry.releases else ()
    return decide(Seen(image, pinned, entry, back, releases or (), there, copies, tag, named, way.ledger.base, now))


def _looked_for(image: Image, pin: Pin, upstream: Upstream, way: Way) -> tuple[tuple[Copy, ...], Gate]:
    """Who still has the image; and whether upstream's tag still names it, which does not stop a rollback."""
    tag = beside(lambda: upstream.registry.first_index((pin.tag,)))
    copies = still_there(pin.digest, way.places)
    settled(tag)
    try:
        named = tag.result()
    except BotError as error:
        return copies, tag_gate(image, pin, None, error.what)
    return copies, tag_gate(image, pin, named[1].digest if named else None)


def _what_is_there(way: Way, image: Image, current: Pin, target: Pin, today: date) -> str:
    """The newest known-good pin whose image is still there: named, never taken."""
    for entry in older_good(way.ledger, current, image.policy.holds, today, target)[:_OTHERS]:
        if any(copy.answer == "there" for copy in still_there(entry.pin.digest, way.places)):
            ref = entry.pin.ref
            return f"The newest known-good pin that is still there is {ref}: gateway-bot rollback --to {ref}"
    return "No older known-good pin is there either: pin a release that is, and review it as new."


def _releases(image: Image, target: Pin, upstream: Upstream) -> tuple[Release, ...] | None:
    """Upstream's releases, or None where nobody answers: a rollback does not wait for them."""
    try:
        return releases_of(image, target, upstream)
    except BotError:
        return None


def _proven(made: Plan, ground: Ground, way: Way, given: Evidence | None) -> Outcome:
    """The plan with its evidence, asked where the image is; or the first gate that refuses it."""
    image = made.image
    if image.signature is None and image.scan is None and image.config is None:
        return made
    places = made.back.held_at if made.back else ()
    serving = msgspec.structs.replace(image, repository=places[0])
    asked = msgspec.structs.replace(made, image=serving)
    why = proves(given, asked, made.made) if given is not None else "it has no evidence"
    if given is not None and not why:
        evidence = given
    elif ground.tools is not None:
        evidence = gather(asked, ground.tools, made.made, _left_at(made, serving, way))
    else:
        raise PolicyError(
            f"the saved plan cannot be used: {why}",
            where=image.name,
            next_step="Nothing was done. Make the plan again: gateway-bot rollback --save FILE.",
        )
    answered = weighed(
        gates_of(evidence, serving, made.made.date(), on_ci=ground.on_ci),
        runs_already=made.back is not None and bool(made.back.wish.emergency),
        at_upstream=serving.repository == image.repository,
    )
    proven = msgspec.structs.replace(made, gates=(*made.gates, *answered), evidence=evidence)
    refusal = first_refusal(proven.gates)
    return Blocked.at(refusal, proven) if refusal else proven


def _left_at(made: Plan, serving: Image, way: Way) -> Repository | None:
    """Where the image that is left is scanned: not each place has what another one has."""
    if serving.scan is None:
        return None
    there = (copy.repository for copy in still_there(made.current.digest, way.places) if copy.answer == "there")
    return next(there, None)
