"""The decision: what was observed of where it goes back to -> a Plan, or the gate that refuses it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from bot.core import gates
from bot.core.gates import Gate, first_refusal
from bot.core.ledger import Entry
from bot.core.model import Candidate, Image, Pin, Release, SourceFile
from bot.core.pins.sites import drift, edits
from bot.core.plan import Blocked, Pinned, Plan
from bot.core.rollback.back import Back, Wish, way_of, with_settings
from bot.core.rollback.gates import Copy, Named, certain_tag, further_gate, good_gate, image_gate
from bot.core.rollback.holding import held_by_hand, hold_of, lifted_by, reason_of, widened
from bot.core.rollback.target import released_as
from bot.core.selection import Selection, between
from bot.errors import PinError


class Seen(msgspec.Struct, frozen=True):
    """Everything that was read of a rollback before it is decided."""

    image: Image
    pinned: Pinned
    entry: Entry
    back: Back
    releases: tuple[Release, ...]
    """Upstream's; none where it does not answer."""
    there: Copy
    copies: tuple[Copy, ...]
    """All who were asked for the image; `there` is the first that has it."""
    tag: Gate
    named: Sequence[Named]
    base: str
    now: datetime


def back_of(
    image: Image,
    pinned: Pinned,
    entry: Entry,
    wish: Wish,
    settings: SourceFile,
    releases: Sequence[Release] | None,
    now: datetime,
) -> Back:
    """What a rollback does beside the pins; who has the image is not known yet. `releases` are upstream's, if known.

    Raises PolicyError for a range on hold, PinError for files that disagree, UsageError for settings that cannot be
    edited: before a registry is asked.
    """
    current, target, holds = pinned.pin, entry.pin, image.policy.holds
    lifted = lifted_by(holds, target, now.date())
    _require_agreement(image, pinned, target)
    by_hand = held_by_hand(current, holds, now.date())
    reason = reason_of(wish.reason, target, by_hand, now.date())
    hold = hold_of(current, target, reason, lifted, by_hand)
    if hold is not None:
        hold = widened(hold, target, image.policy, lifted, releases, now)
    back = Back(wish, reason, hold, lifted, settings, released_as(entry), (), way_of(current, target))
    back.edited(settings, image.name)
    return back


def decide(seen: Seen) -> Plan | Blocked:
    """The plan as far as history and registries tell, or what is wrong with it."""
    image, current, target = seen.image, seen.pinned.pin, seen.entry.pin
    candidate = Candidate(target, seen.there.index.platforms if seen.there.index else ())
    holders = tuple(copy.repository for copy in seen.copies if copy.index is not None)
    back = msgspec.structs.replace(seen.back, held_at=holders)
    asked = (
        image_gate(target, seen.copies, seen.there),
        certain_tag(seen.tag, seen.entry),
        gates.platforms(image, target, candidate.platforms),
        gates.new_digest(current, candidate),
        good_gate(seen.entry, seen.base, seen.named),
        *further_gate(image.policy.holds, current, back.wish, seen.now.date()),
    )
    low, high = sorted((target.version, current.version), key=lambda version: version.key)
    made = Plan(
        image=image,
        pinned=with_settings(seen.pinned, back),
        current=current,
        current_platforms=(),
        candidate=candidate,
        release=Release(target.ref, target.version),
        selection=picked(target),
        edits=edits(seen.pinned.held, target),
        gates=asked,
        notes=between(seen.releases, low, high) if image.github else (),
        made=seen.now,
        wanted=back.wish.to,
        back=back,
    )
    refusal = first_refusal(asked)
    return Blocked.at(refusal, made) if refusal else made


def picked(pin: Pin) -> Selection:
    """Nothing was selected among: a person, or the ledger, says where it goes."""
    return Selection((), Release(pin.ref, pin.version), f"{pin.ref} is where it goes back to")


def _require_agreement(image: Image, pinned: Pinned, target: Pin) -> None:
    """Sites that hold neither the pin nor where it goes are somebody's work. Raises PinError."""
    ahead = {(d.file, d.line) for d in drift(image, pinned.held, target)}
    odd = [d for d in drift(image, pinned.held, pinned.pin) if (d.file, d.line) in ahead]
    if odd:
        raise PinError(
            f"the pinned files disagree: it holds {odd[0].holds}, {image.sites[0].file} says {odd[0].expected}",
            where=odd[0].where,
            next_step="Repair them with `gateway-bot check --fix`, then go back.",
        )
