"""The decision: what was observed of one image -> Plan, NothingNew or Blocked. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from bot.core import gates
from bot.core.gates import Gate
from bot.core.holds import hold_on, unhold_command
from bot.core.index import Index
from bot.core.model import Candidate, Image, Pin, Platform, Release, SourceFile
from bot.core.pins.held import Held
from bot.core.pins.sites import Drift, Edit, drift, edits, rewrite
from bot.core.reference import Tag
from bot.core.selection import Selection, between
from bot.core.versions import Ref, parse_version
from bot.errors import BotError, PolicyError

if TYPE_CHECKING:
    from bot.core.evidence import Evidence
    from bot.core.rollback.back import Back


class Pinned(msgspec.Struct, frozen=True):
    """What a repository's files say of one image."""

    sources: Mapping[str, SourceFile]
    held: tuple[Held, ...]
    pin: Pin
    tags: tuple[Tag, ...]
    """The image tags that the pin may have, of which the first that is there counts."""

    @property
    def bases(self) -> tuple[tuple[str, str], ...]:
        """Each file with the SHA-256 of its bytes: what a plan was made from."""
        files = sorted({held.file for held in self.held})
        return tuple((file, hashlib.sha256(self.sources[file].data).hexdigest()) for file in files)


class Observed(msgspec.Struct, frozen=True):
    """Everything that was read of one image, before anything is decided."""

    image: Image
    pinned: Pinned
    releases: tuple[Release, ...]
    selection: Selection
    pinned_index: Index | None
    """The index that the pinned tag answers with; None where the tag is gone."""
    candidate: Candidate | None
    """The selected release's image, proven; None where none was selected or its image is not there."""
    now: datetime
    wanted: Ref | None = None
    """The release that a person asked for by name."""

    @property
    def current_platforms(self) -> tuple[Platform, ...]:
        """Those of the pinned digest; none where the tag no longer answers with it."""
        index = self.pinned_index
        return index.platforms if index is not None and index.digest == self.pinned.pin.digest else ()


class Plan(msgspec.Struct, frozen=True):
    """What would change, and why: all edits of one upgrade, as data."""

    image: Image
    pinned: Pinned
    current: Pin
    current_platforms: tuple[Platform, ...]
    candidate: Candidate
    release: Release
    selection: Selection
    edits: tuple[Edit, ...]
    gates: tuple[Gate, ...]
    notes: tuple[Release, ...]
    """The releases above the pin up to the candidate, newest first, with their notes."""
    made: datetime
    wanted: Ref | None = None
    """The release that a person asked for by name."""
    evidence: Evidence | None = None
    """What was gathered of the candidate; None as long as nothing was."""
    back: Back | None = None
    """What makes it a rollback; None for an upgrade."""

    @property
    def contents(self) -> dict[str, bytes]:
        """The new bytes of each file that changes; the source of truth last."""
        changed = self.rewritten(self.pinned.sources, self.pinned.held)
        truth = self.image.sites[0].file
        return dict(sorted(changed.items(), key=lambda item: (item[0] == truth, item[0])))

    def rewritten(self, sources: Mapping[str, SourceFile], held: Sequence[Held]) -> dict[str, bytes]:
        """The same change to these files, which may be others than the plan was made from."""
        changed = rewrite(sources, held, self.candidate.pin)
        if self.back is not None and self.back.changes_settings:
            path = self.back.settings.path
            before = sources[path]
            now = msgspec.structs.replace(before, data=changed.get(path, before.data))
            data = self.back.edited(now, self.image.name)
            if data != before.data:
                changed[path] = data
        return changed


class NothingNew(msgspec.Struct, frozen=True):
    """Nothing to do, with the reason; this is success."""

    image: Image
    current: Pin
    reason: str
    selection: Selection
    gates: tuple[Gate, ...]
    current_platforms: tuple[Platform, ...] = ()
    wanted: Ref | None = None
    """The release that a person asked for by name: the selection then says little of the others."""


class Blocked(msgspec.Struct, frozen=True):
    """Something has to happen first: what, where, and what to do next. Nothing changes."""

    image: str
    reason: str
    where: str
    next_step: str
    exit_code: int
    current: Pin | None = None
    current_platforms: tuple[Platform, ...] = ()
    candidate: Candidate | None = None
    selection: Selection | None = None
    gates: tuple[Gate, ...] = ()
    drift: tuple[Drift, ...] = ()
    repository: str = ""
    refused: Plan | None = None
    """The plan that was made, and that a gate or an error stopped."""
    digest: str = ""
    ref: str = ""
    """The candidate's digest and ref, where they are known."""

    @classmethod
    def by(cls, error: BotError, image: Image, *, current: Pin | None = None, plan: Plan | None = None) -> Blocked:
        """What an error means for one image, with what was known of it by then."""
        return cls(
            image=image.name,
            reason=error.what,
            where=error.where,
            next_step=error.next_step,
            exit_code=error.exit_code,
            current=plan.current if plan else current,
            candidate=plan.candidate if plan else None,
            selection=plan.selection if plan else None,
            gates=plan.gates if plan else (),
            repository=str(image.repository),
            refused=plan,
            digest=plan.candidate.pin.digest if plan else "",
            ref=plan.candidate.pin.ref if plan else "",
        )

    @classmethod
    def at(cls, gate: Gate, plan: Plan) -> Blocked:
        """A plan that a gate refuses."""
        error = PolicyError(
            gate.evidence, where=f"{plan.image.repository}:{plan.candidate.pin.tag}", next_step=gate.next_step
        )
        return msgspec.structs.replace(cls.by(error, plan.image, plan=plan), exit_code=gate.exit_code)


Outcome = Plan | NothingNew | Blocked


def decide(seen: Observed) -> Outcome:
    """The one place where it is decided whether an image is upgraded."""
    image, current = seen.image, seen.pinned.pin
    asked = _gates(seen)
    refusal = gates.first_refusal(asked)
    if refusal is not None:
        return _refused(seen, asked, refusal)
    disagreeing = _drift(seen)
    if disagreeing:
        first = disagreeing[0]
        return _blocked(
            seen,
            asked,
            reason=f"the pinned files disagree in {len(disagreeing)} place{'s' if len(disagreeing) > 1 else ''}: "
            f"{first.where} holds {first.holds}, {image.sites[0].file} says {first.expected}",
            next_step=f"Repair them with `gateway-bot check --fix`, which takes {image.sites[0].file} as the truth.",
            exit_code=3,
            drift=disagreeing,
        )
    release, candidate = seen.selection.release, seen.candidate
    if release is None:
        if seen.wanted is not None and parse_version(seen.wanted) != current.version:
            return _not_as_asked(seen, asked, seen.wanted)
        return NothingNew(
            image, current, seen.selection.reason, seen.selection, asked, seen.current_platforms, seen.wanted
        )
    if candidate is None:
        return _without_image(seen, release, asked)
    return Plan(
        image=image,
        pinned=seen.pinned,
        current=current,
        current_platforms=seen.current_platforms,
        candidate=candidate,
        release=release,
        selection=seen.selection,
        edits=edits(seen.pinned.held, candidate.pin),
        gates=asked,
        notes=between(seen.releases, current.version, candidate.pin.version),
        made=seen.now,
        wanted=seen.wanted,
    )


def _gates(seen: Observed) -> tuple[Gate, ...]:
    """The moved tag first: it taints everything else."""
    asked = [gates.pinned_tag(seen.image, seen.pinned.pin, seen.pinned_index, leaving=seen.candidate is not None)]
    if seen.candidate is not None:
        asked += [
            gates.candidate_digest(seen.image, seen.candidate),
            gates.platforms(seen.image, seen.candidate.pin, seen.candidate.platforms),
            gates.new_digest(seen.pinned.pin, seen.candidate),
        ]
    asked += gates.about_holds(seen.image, seen.pinned.pin, seen.candidate, seen.releases, seen.now.date())
    return tuple(asked)


def _drift(seen: Observed) -> tuple[Drift, ...]:
    """Sites that disagree with the source of truth.

    A site that already holds the candidate is no drift: an `apply` that was killed between two files
    left it, and applying again converges, since the source of truth is written last.
    """
    found = drift(seen.image, seen.pinned.held, seen.pinned.pin)
    if seen.candidate is None or not found:
        return found
    ahead = {(d.file, d.line, d.holds) for d in drift(seen.image, seen.pinned.held, seen.candidate.pin)}
    return tuple(d for d in found if (d.file, d.line, d.holds) in ahead)


def _without_image(seen: Observed, release: Release, asked: tuple[Gate, ...]) -> NothingNew | Blocked:
    """A release whose image is not in the registry: upstream pushes the image first, but caches lag."""
    where = f"{seen.image.repository}:{release.ref}"
    if release.published is not None:
        until = release.published + seen.image.policy.grace
        age = max(seen.now - release.published, timedelta(0))  # a clock that is behind makes no negative age
        if age < seen.image.policy.grace:
            reason = (
                f"{release.ref} is not ready yet: it was published {release.published:%Y-%m-%d %H:%M} UTC and {where} "
                f"is not in the registry. The next run looks again; from {until:%Y-%m-%d %H:%M} UTC on this is an error"
            )
            return NothingNew(
                seen.image, seen.pinned.pin, reason, seen.selection, asked, seen.current_platforms, seen.wanted
            )
    published = f", published {release.published:%Y-%m-%d}," if release.published else ""
    return _blocked(
        seen,
        asked,
        reason=f"{release.ref}{published} has no image: {where} is not in the registry",
        next_step="Look at upstream's release workflow; if it stays without an image, leave it out with `allow`.",
        exit_code=5,
    )


def _not_as_asked(seen: Observed, asked: tuple[Gate, ...], wanted: Ref) -> Blocked:
    """A person named a release that the policy does not allow: said, never done."""
    version = parse_version(wanted)
    if version is not None and version < seen.pinned.pin.version:
        reason = f"{wanted} was asked for: no downgrade, the pin is {seen.pinned.pin.ref}"
        next_step = "An upgrade only goes forward. `gateway-bot history` says what `gateway-bot rollback` goes back to."
    elif version is not None and (hold := hold_on(seen.image.policy.holds, version, None, seen.now.date())) is not None:
        reason = seen.selection.reason
        next_step = f"When that is no longer so: {unhold_command(seen.image.name, hold)}"
    else:
        reason = seen.selection.reason
        next_step = (
            "`gateway-bot plan --explain` lists the releases; `policy` in gateway-bot.toml says what is allowed."
        )
    return _blocked(seen, asked, reason=reason, next_step=next_step, exit_code=6)


def _refused(seen: Observed, asked: tuple[Gate, ...], gate: Gate) -> Blocked:
    return _blocked(seen, asked, reason=gate.evidence, next_step=gate.next_step, exit_code=gate.exit_code)


def _blocked(
    seen: Observed,
    asked: tuple[Gate, ...],
    *,
    reason: str,
    next_step: str,
    exit_code: int,
    drift: Sequence[Drift] = (),
) -> Blocked:
    return Blocked(
        image=seen.image.name,
        reason=reason,
        where=drift[0].where if drift else str(seen.image.repository),
        next_step=next_step,
        exit_code=exit_code,
        current=seen.pinned.pin,
        current_platforms=seen.current_platforms,
        candidate=seen.candidate,
        selection=seen.selection,
        gates=asked,
        drift=tuple(drift),
        repository=str(seen.image.repository),
        digest=seen.candidate.pin.digest if seen.candidate else "",
        ref=seen.candidate.pin.ref if seen.candidate else "",
    )
