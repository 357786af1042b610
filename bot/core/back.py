"""What makes a plan a rollback: where it goes, what it puts on hold, and the gates that it is held to. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Literal

import msgspec

from bot.core.gates import Gate
from bot.core.hold_edit import with_hold, without_holds
from bot.core.holds import from_to, hold_on, left_by, names, said
from bot.core.index import Index
from bot.core.ledger import Entry, Ledger, known_good, named, previous
from bot.core.model import Hold, Image, Pin, Policy, Release, SourceFile
from bot.core.reference import Digest, Repository
from bot.core.selection import select
from bot.core.text import plain
from bot.core.versions import Ref, Version, parse_version
from bot.errors import BotError, IntegrityError, PolicyError, ReleaseError, ServiceError

if TYPE_CHECKING:
    from bot.core.plan import Pinned

_LISTED = 8


class Wish(msgspec.Struct, frozen=True):
    """What a person asked for: a version by name, or none for the newest known-good one; why; and what comes after."""

    to: Ref | None = None
    reason: str = ""
    release: bool = False
    """Whether it is released as soon as it is merged."""
    emergency: str = ""
    """The environment that was pointed at the image already, and that the code has to agree with."""


class Back(msgspec.Struct, frozen=True):
    """What a rollback does beside the pins, and what is known of where it goes."""

    wish: Wish
    reason: str
    hold: Hold | None
    """Put on the release that is left; None where that is older, and so would not be proposed again."""
    lifted: tuple[Hold, ...]
    """Taken off the release that it goes to."""
    settings: SourceFile
    released: str
    """The release of ours that the pin was in, in words; empty where there is none."""
    held_at: tuple[Repository, ...]
    """The repositories that have the image."""

    def edited(self, settings: SourceFile, image: str) -> bytes:
        """The settings with the holds as they are afterwards. Raises UsageError where they cannot be edited."""
        data = settings.data
        for hold in self.lifted:
            data, _ = without_holds(msgspec.structs.replace(settings, data=data), image, hold.version, hold.digest)
        return with_hold(msgspec.structs.replace(settings, data=data), image, self.hold) if self.hold else data

    @property
    def changes_settings(self) -> bool:
        return self.hold is not None or bool(self.lifted)


class Copy(msgspec.Struct, frozen=True):
    """Whether a repository still has an image by its digest; `broken`: not all of it, or not to be believed."""

    repository: Repository
    answer: Literal["there", "gone", "broken", "silent"]
    index: Index | None = None
    """Where it is there."""
    why: str = ""

    def __str__(self) -> str:
        words = {"there": "has it", "gone": "does not have it", "broken": "has it broken", "silent": "did not answer"}
        return f"{self.repository} {words[self.answer]}{f' ({plain(self.why, 200)})' if self.why else ''}"


def choose(ledger: Ledger, current: Pin, holds: Sequence[Hold], wish: Wish, today: date) -> Entry:
    """The pin to go back to. Raises PolicyError or ReleaseError where there is none, or not the one that was named."""
    since = _since(ledger, current)
    if wish.to is None:
        if ledger.lacks:
            raise _incomplete(ledger)
        found = previous(since, holds, today)
        if found is None:
            raise _no_previous(since, current, holds, today)
        return found
    version = parse_version(wish.to)
    found = (named(ledger, version) or _released_elsewhere(ledger, version)) if version is not None else None
    if found is not None:
        return found
    what = f"{wish.to} was never pinned on {ledger.base}"
    ways = f"{_ways(since, holds, today)} `gateway-bot history` shows all."
    if ledger.lacks:
        lacking = "; ".join(plain(lack, 300) for lack in ledger.lacks)
        raise ReleaseError(f"{what}, as far as its history is here: {lacking}", where="--to", next_step=ways)
    raise PolicyError(what, where="--to", next_step=ways)


def _released_elsewhere(ledger: Ledger, version: Version) -> Entry | None:
    """A release of ours with that version that the base does not reach: it has another history now, or never had it."""
    for release in ledger.elsewhere:
        if release.pin is not None and release.pin.version == version:
            return Entry(release.pin, release.commit, release.date, release.by, "", "", releases=(release,))
    return None


def went_back(ledger: Ledger, current: Pin, holds: Sequence[Hold]) -> str:
    """Why nobody goes back from here once more without saying where to: the base does not know of the first time yet.

    Empty where that is not so.
    """
    base = ledger.current
    if base is None or base.pin.digest == current.digest:
        return ""
    by_rollback = any(hold.rolled_back_to == current.ref and names(hold.version, base.pin.version) for hold in holds)
    if not by_rollback:
        return ""
    return (
        f"this checkout went back from {base.pin.ref} to {current.ref}, and {ledger.base} has not: commit that, or "
        "name with --to where to go"
    )


def lifted_by(holds: Sequence[Hold], pin: Pin, today: date) -> tuple[Hold, ...]:
    """The holds of exactly this version, and of rollbacks, which end when somebody goes back to it by name.

    Raises PolicyError for one that a person made of a range: it speaks of others too.
    """
    found = []
    for hold in holds:
        if hold_on((hold,), pin.version, pin.digest, today) is None:
            continue
        if parse_version(hold.version) is None and hold.rolled_back_to is None:
            raise PolicyError(
                f"{pin.ref} is {said(hold)} (the range {hold.version})",
                where="gateway-bot.toml",
                next_step=f"Narrow that range by hand, or take it out: gateway-bot unhold '{hold.version}'",
            )
        found.append(hold)
    return tuple(found)


def hold_of(current: Pin, target: Pin, reason: str, lifted: Sequence[Hold]) -> Hold | None:
    """The hold of the newest version that is left; None where it goes up, as what is older is not proposed anyway.

    What lies above the target in a hold that is lifted stays on hold, for its own reason.
    """
    left = {current.version: Hold("", reason)}
    left |= {newest: hold for hold in lifted if (newest := left_by(hold)) is not None}
    newest = max(left, key=lambda version: version.key)
    if newest <= target.version:
        return None
    return msgspec.structs.replace(left[newest], version=str(newest), rolled_back_to=target.ref)


def widened(
    hold: Hold, target: Pin, policy: Policy, lifted: Sequence[Hold], releases: Sequence[Release] | None, now: datetime
) -> Hold:
    """The same, with what the next run would propose in its place: going from 1.4 to 1.2 is no wish for 1.3.

    `releases` are upstream's; None where it does not answer: then all that may lie between is on hold.
    """
    left = parse_version(hold.version)
    if left is None or left.prerelease or target.version.prerelease:  # a range knows of no prereleases
        return hold
    if releases is None:
        return msgspec.structs.replace(hold, version=from_to(f">{target.version.base}", left))
    then = msgspec.structs.replace(
        policy, cooldown=timedelta(0), holds=tuple(each for each in policy.holds if each not in lifted)
    )
    allowed = {entry.ref for entry in select(releases, target, then, None, now).considered if entry.allowed}
    found = [each.version for each in releases if each.ref in allowed and each.version is not None]
    oldest = min(found, key=lambda version: version.key, default=left)
    return msgspec.structs.replace(hold, version=from_to(f">={oldest.base}", left)) if oldest < left else hold


def reason_of(wish: Wish, target: Pin, today: date) -> str:
    """What is written down as the reason, also where nobody gave one."""
    given = " ".join(wish.reason.split())
    return given or f"rolled back to {target.ref} on {today}, without a reason given"


def released_as(entry: Entry) -> str:
    """The newest release of ours with this pin, in words."""
    release = next(iter(entry.releases), None)
    return f"{release.tag} of {release.date:%Y-%m-%d} by {plain(release.by, 80)}" if release else ""


def image_gate(pin: Pin, copies: Sequence[Copy], there: Copy) -> Gate:
    """Is the image still there, and where? One place that has it is enough, since its bytes prove it."""
    everywhere = all(copy.answer == "there" for copy in copies)
    evidence = f"{pin.digest}: {'; '.join(map(str, copies))}"
    return Gate(
        "image", "pass" if everywhere else "warn", evidence, f"gateway-bot resolve {there.repository}@{pin.digest}"
    )


def nowhere(pin: Pin, copies: Sequence[Copy], next_step: str) -> BotError:
    """No place has the image. As long as one did not answer, nothing is known."""
    silent = [copy for copy in copies if copy.answer == "silent"]
    if silent:
        return ServiceError(
            f"whether the image of {pin.ref} is still there is not known: {'; '.join(map(str, copies))}",
            where=str(silent[0].repository),
            next_step="Nothing was changed, and no other version was taken. Run it again.",
        )
    return IntegrityError(
        f"the image of {pin.ref} is gone, {pin.digest}: {'; '.join(map(str, copies))}",
        where=str(copies[0].repository),
        next_step=next_step,
    )


def tag_gate(image: Image, pin: Pin, tagged: Digest | None, why: str = "") -> Gate:
    """Does upstream's tag still name that digest? Only a warning: the digest is what is pinned, and proven."""
    tag = f"{image.repository}:{pin.tag}"
    repeat = f"gateway-bot resolve {tag}"
    if why:
        return Gate("tag", "warn", f"{tag}: {plain(why, 200)}", repeat)
    if tagged is None:
        return Gate("tag", "warn", f"{tag} is not in the registry any more: runs of `plan` will say so", repeat)
    if tagged != pin.digest:
        said = f"{tag} is {tagged} by now: the tag was re-pushed, and runs of `plan` will end with 5"
        return Gate("tag", "warn", said, repeat)
    return Gate("tag", "pass", f"{tag} still answers with {tagged}", repeat)


def good_gate(entry: Entry, base: str) -> Gate:
    """Was it known to be good? It was released, and nobody has put it on hold since."""
    released = released_as(entry)
    if entry.releases and not entry.releases[0].on_base:
        evidence = f"{entry.pin.ref} was released as {released}, which {base} does not reach"
        return Gate("known-good", "warn", evidence, "gateway-bot history")
    if not released:
        evidence = f"{entry.pin.ref} was pinned from {entry.date:%Y-%m-%d} on, and never released"
        return Gate("known-good", "warn", evidence, "gateway-bot history")
    return Gate("known-good", "pass", f"{entry.pin.ref} was released as {released}", "gateway-bot history")


def weighed(gates: Sequence[Gate], *, runs_already: bool) -> tuple[Gate, ...]:
    """The gates as a rollback is held to them: what comes back is weighed by a person against what is broken now.

    Vulnerabilities only warn, and so does a config that nobody could ask about; where the image `runs_already`, also
    one that it refuses: the record is needed all the same.
    """
    return tuple(_weighed(gate, runs_already=runs_already) for gate in gates)


def _weighed(gate: Gate, *, runs_already: bool) -> Gate:
    told = gate.name == "vulnerabilities" or (gate.name == "config" and (runs_already or gate.verdict == "unknown"))
    if not gate.refuses:
        return gate
    if told:
        return msgspec.structs.replace(gate, verdict="warn", exit_code=0, next_step="")
    if gate.name == "signature" and gate.verdict == "fail":
        ways = "Do not go back there. `gateway-bot history` says what else is known good: name it with --to."
        return msgspec.structs.replace(gate, next_step=ways)
    return gate


def with_settings(pinned: Pinned, back: Back) -> Pinned:
    """The pinned files with the settings beside them: they change in one commit, or not at all."""
    if not back.changes_settings or back.settings.path in pinned.sources:
        return pinned
    return msgspec.structs.replace(pinned, sources={**pinned.sources, back.settings.path: back.settings})


def older_good(ledger: Ledger, current: Pin, holds: Sequence[Hold], today: date, but: Pin) -> tuple[Entry, ...]:
    """The other known-good pins, newest first, for who has to look further."""
    found: dict[str, Entry] = {}
    for entry in _since(ledger, current).entries[1:]:
        other = entry.pin.digest not in {but.digest, current.digest} and entry.pin.version < current.version
        if other and known_good(entry, holds, today):
            found.setdefault(entry.pin.digest, entry)
    return tuple(found.values())[:_LISTED]


def _since(ledger: Ledger, current: Pin) -> Ledger:
    """The ledger from the pin on that is current here: a checkout may be behind its base, or ahead of it."""
    at = next((number for number, entry in enumerate(ledger.entries) if entry.pin.digest == current.digest), None)
    if at is not None:
        return msgspec.structs.replace(ledger, entries=ledger.entries[at:])
    if not ledger.entries:
        return ledger
    now = msgspec.structs.replace(ledger.entries[0], pin=current, releases=(), commit="", subject="", gates=())
    return msgspec.structs.replace(ledger, entries=(now, *ledger.entries))


def _no_previous(ledger: Ledger, current: Pin, holds: Sequence[Hold], today: date) -> BotError:
    what = f"there is no known-good pin before {current.ref}: none that is older was released and is not on hold"
    return PolicyError(what, where=ledger.base, next_step=_ways(ledger, holds, today))


def _incomplete(ledger: Ledger) -> BotError:
    """Which pin was the last good one is not guessed from half a history."""
    return ReleaseError(
        f"which pin was the last known-good one cannot be told: {'; '.join(plain(lack, 300) for lack in ledger.lacks)}",
        where=ledger.base,
        next_step="Get that, and run it again; or name the version with --to.",
    )


def _ways(ledger: Ledger, holds: Sequence[Hold], today: date) -> str:
    """What there is to go back to by name."""
    seen: dict[Version, str] = {}
    for entry in ledger.entries[1:]:
        if entry.pin.version in seen or entry.pin.digest == ledger.entries[0].pin.digest:
            continue
        held = hold_on(holds, entry.pin.version, entry.pin.digest, today)
        state = said(held) if held else f"released as {entry.releases[0].tag}" if entry.releases else "never released"
        seen[entry.pin.version] = f"{entry.pin.ref} ({plain(state, 120)})"
    listed = "; ".join(list(seen.values())[:_LISTED])
    return f"By name there is, with --to: {listed}." if listed else "Nothing else was ever pinned here."
