"""The JSON form of an outcome: `plan --json`, and the saved plan. One shape, documented in docs/json.md.

The structs below are that documentation's source: fields are only ever added.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from bot.core.decoding import decode
from bot.core.gates import Gate
from bot.core.model import Candidate, Pin, Platform
from bot.core.pins.sites import Drift
from bot.core.plan import Blocked, NothingNew, Outcome, Plan
from bot.core.proposal.names import steps
from bot.core.report import word_for
from bot.core.selection import Selection

FORMAT = "gateway-bot/plan/v1"
_NONE = msgspec.Raw(b"null")


class PinJson(msgspec.Struct, frozen=True):
    """A pin; `platforms` as `os/architecture`, empty where they were not observed."""

    ref: str
    version: str
    digest: str
    tag: str
    platforms: list[str]


class ConsideredJson(msgspec.Struct, frozen=True):
    """One release and why it was picked or passed over."""

    ref: str
    picked: bool
    reason: str


class EditJson(msgspec.Struct, frozen=True):
    """One value in one file, before and after."""

    file: str
    line: int
    old: str
    new: str


class GateJson(msgspec.Struct, frozen=True):
    """One question; `verdict` is pass, warn, fail or unknown; `repeat` asks it again, `next_step` is for the others."""

    name: str
    verdict: str
    evidence: str
    repeat: str
    next_step: str = ""


class DriftJson(msgspec.Struct, frozen=True):
    """One place that disagrees with the source of truth."""

    file: str
    line: int
    holds: str
    expected: str


class NoteJson(msgspec.Struct, frozen=True):
    """One release's notes: a stranger's text, not made inert."""

    ref: str
    published: str | None
    url: str
    body: str


class HeldJson(msgspec.Struct, frozen=True):
    """One value at one pin site."""

    file: str
    line: int
    field: str
    holds: str


class CheckJson(msgspec.Struct, frozen=True):
    """What `check --json` prints, one line an image; `drift` is what disagrees now, `fixed` what did."""

    image: str
    ok: bool
    exit_code: int
    pin: PinJson | None = None
    sites: list[HeldJson] = []
    drift: list[DriftJson] = []
    fixed: list[DriftJson] = []
    gates: list[GateJson] = []
    reason: str = ""
    where: str = ""
    next_step: str = ""


class ResolvedJson(msgspec.Struct, frozen=True):
    """What `resolve --json` prints."""

    reference: str
    digest: str
    media_type: str
    platforms: list[str]


class RollbackJson(msgspec.Struct, frozen=True):
    """What makes a plan a rollback; `hold` is put on, `lifted` are taken off, `held_at` still have the image."""

    reason: str
    hold: str
    lifted: list[str]
    released: str
    held_at: list[str]
    release: bool = False
    emergency: str = ""


class OutcomeJson(msgspec.Struct, frozen=True):
    """What `plan --json` prints, one line an image; `outcome` is propose, nothing_new or blocked."""

    format: str
    outcome: str
    reason: str
    image: str
    repository: str = ""
    current: PinJson | None = None
    candidate: PinJson | None = None
    selection: list[ConsideredJson] = []
    edits: list[EditJson] = []
    gates: list[GateJson] = []
    drift: list[DriftJson] = []
    where: str = ""
    next_step: str = ""
    exit_code: int = 0
    bases: dict[str, str] = {}
    steps: list[str] = []
    notes: list[NoteJson] = []
    made: str = ""
    did: str = ""
    pull_request: str = ""
    warnings: list[str] = []
    evidence: msgspec.Raw = _NONE
    """What was gathered of the candidate, as core/evidence.py has it; null where nothing was."""
    rollback: RollbackJson | None = None
    """Null for an upgrade."""


def to_json(outcome: Outcome, did: str = "", pull_request: str = "", warnings: Sequence[str] = ()) -> bytes:
    """One line of JSON, without its end; the rest says what acting on it did, and what could not be done."""
    document = _document(outcome)
    if did or pull_request or warnings:
        document = msgspec.structs.replace(document, did=did, pull_request=pull_request, warnings=list(warnings))
    return msgspec.json.encode(document)


def _document(outcome: Outcome) -> OutcomeJson:
    match outcome:
        case Plan():
            return OutcomeJson(
                FORMAT,
                word_for(outcome),
                outcome.selection.reason,
                outcome.image.name,
                repository=str(outcome.image.repository),
                current=pin_json(outcome.current, outcome.current_platforms),
                candidate=_candidate(outcome.candidate),
                selection=_selection(outcome.selection),
                edits=[EditJson(edit.file, edit.line, edit.old, edit.new) for edit in outcome.edits],
                gates=gates_json(outcome.gates),
                bases=dict(outcome.pinned.bases),
                steps=list(steps(outcome)),
                notes=[
                    NoteJson(note.ref, note.published.isoformat() if note.published else None, note.url, note.notes)
                    for note in outcome.notes
                ],
                made=outcome.made.isoformat(),
                evidence=_evidence(outcome),
                rollback=_rollback(outcome),
            )
        case NothingNew():
            return OutcomeJson(
                FORMAT,
                word_for(outcome),
                outcome.reason,
                outcome.image.name,
                repository=str(outcome.image.repository),
                current=pin_json(outcome.current, outcome.current_platforms),
                selection=_selection(outcome.selection),
                gates=gates_json(outcome.gates),
            )
        case Blocked():
            return OutcomeJson(
                FORMAT,
                word_for(outcome),
                outcome.reason,
                outcome.image,
                repository=outcome.repository,
                current=pin_json(outcome.current, outcome.current_platforms) if outcome.current else None,
                candidate=_candidate(outcome.candidate) if outcome.candidate else None,
                selection=_selection(outcome.selection) if outcome.selection else [],
                gates=gates_json(outcome.gates),
                drift=drift_json(outcome.drift),
                where=outcome.where,
                next_step=outcome.next_step,
                exit_code=outcome.exit_code,
                evidence=_evidence(outcome.refused),
            )


def from_json(data: bytes) -> OutcomeJson:
    """A saved plan as it stands in its file: a claim, to be held against a fresh plan. Raises ValueError."""
    document = decode(data, OutcomeJson)
    if document.format != FORMAT:
        raise ValueError(f"its format is {document.format[:40]!r}, not {FORMAT!r}")
    return document


def differences(saved: OutcomeJson, fresh: Plan, *, same_base: bool) -> tuple[str, ...]:
    """Where a saved plan does not say what a plan made now says; nothing in it is believed otherwise.

    `same_base`: whether the edits must be the same although the files are others.
    """
    now = from_json(to_json(fresh))
    names = ["outcome", "image", "repository", "current", "candidate", "gates", "rollback"]
    if same_base or saved.bases == now.bases:
        names.append("edits")
    return tuple(name for name in names if getattr(saved, name) != getattr(now, name))


def pin_json(pin: Pin, platforms: tuple[Platform, ...]) -> PinJson:
    """A pin as it stands in JSON."""
    return PinJson(pin.ref, str(pin.version), pin.digest, pin.tag, [str(platform) for platform in platforms])


def _evidence(plan: Plan | None) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(plan.evidence)) if plan and plan.evidence else _NONE


def _rollback(plan: Plan) -> RollbackJson | None:
    back = plan.back
    if back is None:
        return None
    return RollbackJson(
        reason=back.reason,
        hold=back.hold.version if back.hold else "",
        lifted=[hold.version for hold in back.lifted],
        released=back.released,
        held_at=[str(repository) for repository in back.held_at],
        release=back.wish.release,
        emergency=back.wish.emergency,
    )


def _candidate(candidate: Candidate) -> PinJson:
    return pin_json(candidate.pin, candidate.platforms)


def _selection(selection: Selection) -> list[ConsideredJson]:
    return [ConsideredJson(entry.ref, entry.picked, entry.reason) for entry in selection.considered]


def gates_json(gates: Iterable[Gate]) -> list[GateJson]:
    """Gates as they stand in JSON."""
    return [GateJson(gate.name, gate.verdict, gate.evidence, gate.repeat, gate.next_step) for gate in gates]


def drift_json(drift: Iterable[Drift]) -> list[DriftJson]:
    """Drift as it stands in JSON."""
    return [DriftJson(d.file, d.line, d.holds, d.expected) for d in drift]
