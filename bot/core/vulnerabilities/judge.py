"""What the difference between two scans means: the gate, and what lets a release skip its cooldown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

import msgspec

from bot.core.gates import Gate, Verdict
from bot.core.model import Ignore, ScanPolicy, Severity
from bot.core.vulnerabilities.findings import Change, Changes, Scan, rank, worst
from bot.core.vulnerabilities.wording import count, joined, name_of, named

STALE = timedelta(days=7)
"""How long after its replacement was due a database is taken for whole. Trivy's own is made anew every day."""

_NAMED = 5
"""How many of a kind the evidence names; the section of the pull request has them all."""


class _Brought(msgspec.Struct, frozen=True):
    """What an upgrade brings, by what the policy says of it."""

    blocking: tuple[Change, ...]
    unrated: tuple[Change, ...]
    others: tuple[Change, ...]
    ignored: tuple[tuple[Change, Ignore], ...]
    expired: tuple[tuple[Change, Ignore], ...]


def vulnerabilities_gate(changes: Changes, policy: ScanPolicy, today: date, ref: str) -> Gate:
    """Does the upgrade bring vulnerabilities? `ref` is the candidate's, `today` is in UTC.

    - fail: a finding that is new or escalated, at or above `policy.block`, and not ignored;
    - unknown: on some platform of the candidate nothing could be read, so that no findings say nothing;
    - warn: the answer may be incomplete (a severity that nobody rated, packages that can no longer be read, an
      operating system without advisories, a stale database), or the policy blocks nothing and there was something.
    """
    brought = _brought(changes.worse, policy, today)
    blind = _blind(changes.candidate)
    doubts = _doubts(changes, brought, today)
    verdict: Verdict = "pass"
    next_step = ""
    if brought.blocking:
        verdict = "fail"
        next_step = (
            "Wait for a release that fixes it. To accept it for a time, name its id with a reason and a day in an "
            "`ignore` of the image's `scan` in gateway-bot.toml."
        )
    elif blind:
        verdict = "unknown"
        next_step = (
            "Look at what the image is made of. If it holds nothing that a scanner can read, take the image's `scan` "
            "out of gateway-bot.toml: the question cannot be asked of it."
        )
    elif doubts or (policy.block is None and brought.others):
        verdict = "warn"
    said = [
        f"{len(brought.blocking)} new or escalated at or above {policy.block}: {named(brought.blocking, _NAMED)}"
        if brought.blocking
        else "",
        f"no packages were recognised on {blind}, so that no findings there say nothing" if blind else "",
        _counts(changes),
        *_excused(brought),
        *doubts,
        _seen_by(changes.candidate),
    ]
    return Gate(
        "vulnerabilities",
        verdict,
        "; ".join(filter(None, said)),
        f"gateway-bot scan --to {ref}",
        exit_code=6 if verdict in ("fail", "unknown") else 0,
        next_step=next_step,
    )


def overriding(changes: Changes, policy: ScanPolicy, today: date) -> tuple[Change, ...]:
    """The fixed findings that make an upgrade urgent: at or above `policy.override`.

    One that is ignored is not urgent: somebody has written down that it does no harm here. One that can no longer
    be seen is not fixed.
    """
    held = [ignore for ignore in policy.ignores if today <= ignore.until]
    return tuple(
        change for change in changes.fixed if _reaches(change.severity, policy.override) and not _first(change, held)
    )


def ignore_of(change: Change, policy: ScanPolicy, today: date) -> Ignore | None:
    """The ignore that holds for a finding today, the one that holds longest."""
    return _first(change, [ignore for ignore in policy.ignores if today <= ignore.until])


def _brought(worse: Sequence[Change], policy: ScanPolicy, today: date) -> _Brought:
    ignored = [(change, ignore) for change in worse if (ignore := ignore_of(change, policy, today))]
    excused = {change for change, _ in ignored}
    rest = [change for change in worse if change not in excused]
    blocking = [change for change in rest if _reaches(change.severity, policy.block)]
    others = [change for change in rest if not _reaches(change.severity, policy.block)]
    return _Brought(
        blocking=tuple(blocking),
        unrated=tuple(change for change in others if change.severity == "UNKNOWN"),
        others=tuple(others),
        ignored=tuple(ignored),
        expired=tuple((change, ignore) for change in rest if (ignore := _first(change, policy.ignores))),
    )


def _reaches(severity: Severity, limit: Severity | None) -> bool:
    return limit is not None and rank(severity) >= rank(limit)


def _first(change: Change, ignores: Iterable[Ignore]) -> Ignore | None:
    matching = [i for i in ignores if i.id == change.id and i.package in ("", change.package)]
    return max(matching, key=lambda ignore: ignore.until, default=None)


def _counts(changes: Changes) -> str:
    groups = (
        (changes.new, "new"),
        (changes.escalated, "escalated"),
        (changes.fixed, "fixed"),
        (changes.unseen, "no longer to be seen"),
        (changes.persisting, "persisting"),
    )
    said = [f"{len(group)} {word} (worst {worst(group)})" for group, word in groups if group]
    return ", ".join(said if changes.worse else ["nothing new", *said])


def _excused(brought: _Brought) -> list[str]:
    held = [
        f"{name_of(change.id)} in {name_of(change.package)} through {i.until} ({name_of(i.reason, 160)})"
        for change, i in brought.ignored
    ]
    over = [f"{name_of(change.id)} since {i.until + timedelta(days=1)}" for change, i in brought.expired]
    return [
        *([f"{len(held)} ignored: {joined(held, _NAMED)}"] if held else []),
        *([f"no longer ignored: {joined(dict.fromkeys(over), _NAMED)}"] if over else []),
    ]


def _doubts(changes: Changes, brought: _Brought, today: date) -> list[str]:
    """Why the answer may not be the whole one."""
    doubts = []
    if brought.unrated:
        doubts.append(f"the severity of {joined((name_of(c.id) for c in brought.unrated), _NAMED)} is not known")
    if changes.lost:
        gone = (f"{_KINDS[kind]} ({name_of(family)}) on {platform}" for platform, kind, family in changes.lost)
        doubts.append(f"recognised in the current image only: {joined(gone, _NAMED)}")
    before = _blind(changes.current)
    if before:
        doubts.append(f"nothing was recognised in the current image on {before}, so that all there counts as new")
    ended = [str(part.platform) for part in changes.candidate.parts if part.end_of_life]
    if ended:
        doubts.append(f"the operating system on {joined(ended)} gets no more advisories")
    following = changes.candidate.database.next_update
    due = (following or changes.candidate.database.updated).date()
    if today > due + STALE:
        doubts.append(f"the database should have been replaced on {due}")
    return doubts


def _blind(scan: Scan) -> str:
    """The platforms of which nothing is known."""
    blind = joined(str(part.platform) for part in scan.parts if not part.recognised)
    return blind if scan.parts else "any platform"


_KINDS = {"os-pkgs": "packages of the operating system", "lang-pkgs": "packages of a program's language"}


def _seen_by(scan: Scan) -> str:
    seen = (
        f"{count(sum(known.packages for known in part.recognised), 'package')} on {part.platform}"
        for part in scan.parts
        if part.recognised
    )
    return "; ".join(filter(None, (joined(seen), name_of(f"{scan.scanner}, {scan.database}", 400))))
