"""The candidate's findings as SARIF 2.1.0, for GitHub code scanning: an alert each, at the pin.

The same facts give the same bytes: there is no time in it. Fixed findings are not in it, which closes their alerts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date

import msgspec

from bot.core.model import ScanPolicy, Severity
from bot.core.notes.neutral import unlinked
from bot.core.notes.url import safe_url
from bot.core.text import plain
from bot.core.vulnerabilities.findings import Change, Changes, rank, worst
from bot.core.vulnerabilities.judge import ignore_of
from bot.core.vulnerabilities.wording import count, joined

MAX_RESULTS = 5000
"""As many as GitHub shows of one upload."""

_LEVELS: Mapping[Severity, str] = {
    "CRITICAL": "error",
    "HIGH": "error",
    "MEDIUM": "warning",
    "LOW": "note",
    "UNKNOWN": "warning",
}
_SCORES: Mapping[Severity, str] = {"CRITICAL": "9.5", "HIGH": "8.0", "MEDIUM": "5.5", "LOW": "2.0"}
"""The middle of GitHub's range for each; what nobody rated has none."""

_States = Sequence[tuple[Change, str]]


def sarif(changes: Changes, policy: ScanPolicy, today: date, *, image: str, uri: str, line: int) -> bytes:
    """One run, with the findings of the candidate located at `uri`:`line`, a path of the checkout.

    Findings that are ignored today are suppressed, with the reason. `image` is the name of the image in
    gateway-bot.toml: alerts of different images do not close each other.
    """
    states = [
        *((change, "new") for change in changes.new),
        *((change, "updated") for change in changes.escalated),
        *((change, "unchanged") for change in changes.persisting),
    ]
    together: dict[tuple[str, str], list[tuple[Change, str]]] = {}
    for change, state in states:
        together.setdefault((change.id, change.package), []).append((change, state))
    every = sorted(together.values(), key=lambda same: (-max(rank(c.severity) for c, _ in same), same[0][0].id))
    shown = every[:MAX_RESULTS]
    rules = _rules(shown)
    places = {str(rule["id"]): index for index, rule in enumerate(rules)}
    location = {
        "physicalLocation": {
            "artifactLocation": {"uri": uri, "uriBaseId": "%SRCROOT%"},
            "region": {"startLine": max(1, line)},
        }
    }
    run = {
        "tool": {
            "driver": {"name": "gateway-bot", "rules": rules},
            "extensions": [{"name": changes.candidate.scanner}],
        },
        "automationDetails": {"id": f"gateway-bot/scan/{image}/"},
        "columnKind": "unicodeCodePoints",
        "invocations": [_invocation(len(every))],
        "properties": {"digest": changes.candidate.digest, "database": str(changes.candidate.database)},
        "results": [_result(same, places, location, policy, today, image) for same in shown],
    }
    return msgspec.json.encode(
        {
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [run],
        }
    )


def _rules(shown: Sequence[_States]) -> list[dict[str, object]]:
    """One for each id, rated as its worst finding."""
    by_id: dict[str, list[Change]] = {}
    for same in shown:
        by_id.setdefault(_text(same[0][0].id), []).extend(change for change, _ in same)
    return [_rule(changes) for changes in by_id.values()]


def _rule(changes: Sequence[Change]) -> dict[str, object]:
    severity = worst(changes) or "UNKNOWN"
    change = changes[0]
    score = {"security-severity": _SCORES[severity]} if severity in _SCORES else {}
    rule: dict[str, object] = {
        "id": _text(change.id),
        "shortDescription": {"text": _text(change.title) or _text(change.id)},
        "defaultConfiguration": {"level": _LEVELS[severity]},
        "properties": {**score, "tags": ["security", "vulnerability"]},
    }
    if link := safe_url(change.url):
        rule["helpUri"] = link
    return rule


def _result(
    same: _States, places: Mapping[str, int], location: object, policy: ScanPolicy, today: date, image: str
) -> dict[str, object]:
    changes = [change for change, _ in same]
    first = changes[0]
    states = {state for _, state in same}
    result: dict[str, object] = {
        "ruleId": _text(first.id),
        "ruleIndex": places[_text(first.id)],
        "level": _LEVELS[worst(changes) or "UNKNOWN"],
        "message": {"text": "\n".join(map(_message, changes))},
        "locations": [location],
        "partialFingerprints": {"vulnerability/v1": _fingerprint(image, first)},
        "baselineState": next(state for state in ("new", "updated", "unchanged") if state in states),
    }
    if ignore := ignore_of(first, policy, today):
        reason = f"{_text(ignore.reason, 500)} (through {ignore.until})"
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": reason}]
    return result


def _message(change: Change) -> str:
    fixed = f"fixed in {_text(change.fixed)}" if change.fixed else "no fixed version is known"
    was = f" (was {change.was})" if change.was else ""
    return (
        f"{_text(change.id)}: {change.severity}{was} in {_text(change.package)} {_text(change.installed)}, {fixed}, "
        f"on {joined(map(str, change.platforms))}."
    )


def _invocation(total: int) -> dict[str, object]:
    invocation: dict[str, object] = {"executionSuccessful": True}
    if total > MAX_RESULTS:
        text = f"Left out: {count(total - MAX_RESULTS, 'finding')} of the least severity."
        invocation["toolExecutionNotifications"] = [{"level": "warning", "message": {"text": text}}]
    return invocation


def _fingerprint(image: str, change: Change) -> str:
    """The same as long as the finding is: it holds no version, platform or severity."""
    return hashlib.sha256(f"{image}\n{change.id}\n{change.package}".encode()).hexdigest()


def _text(text: str, limit: int = 200) -> str:
    """A stranger's text in a message, where square brackets would be a link (section 3.11.6)."""
    return unlinked(plain(text, limit)).replace("[", "(").replace("]", ")")
