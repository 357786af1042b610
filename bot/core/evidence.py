"""What was gathered of one candidate, before anything is judged; and the gates that it makes. Pure.

A saved plan carries the evidence, not the verdicts: who proposes judges it again.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Annotated

import msgspec

from bot.core.decoding import decode
from bot.core.gates import Gate, Unanswered
from bot.core.gateway_config.answer import ConfigAnswer
from bot.core.gateway_config.verdict import config_gate
from bot.core.model import Candidate, Image, Pin
from bot.core.plan import Plan
from bot.core.reference import Digest
from bot.core.signature import NotSigned, Signed, identity_of, repeat_command, signature_gate
from bot.core.versions import Ref
from bot.core.vulnerabilities.findings import Changes, Scan, compare
from bot.core.vulnerabilities.judge import vulnerabilities_gate

_SKEW = timedelta(minutes=10)
_CODES = frozenset({4, 5, 6})
_TOOL = re.compile(r"cosign [0-9A-Za-z.+-]{1,40}")
_SCANNER = re.compile(r"trivy [0-9A-Za-z.+-]{1,40}")


class Scans(msgspec.Struct, frozen=True, tag=True):
    """Both images, scanned by one scanner with one database."""

    current: Scan
    candidate: Scan

    def changes(self) -> Changes:
        """How they differ. Raises ValueError where they cannot be compared."""
        return compare(self.current, self.candidate)


class Evidence(msgspec.Struct, frozen=True):
    """What was observed of a candidate against the current pin. None: gateway-bot.toml has no table that asks."""

    image: str
    ref: Ref
    candidate: Digest
    current: Digest
    gathered: Annotated[datetime, msgspec.Meta(tz=True)]
    signature: Signed | NotSigned | Unanswered | None = None
    scans: Scans | Unanswered | None = None
    config: ConfigAnswer | Unanswered | None = None


def read_evidence(document: bytes) -> Evidence | None:
    """The evidence of a saved plan; None for `null`. Raises ValueError."""
    return None if document == b"null" else decode(document, Evidence)


def gates_of(evidence: Evidence, image: Image, today: date, *, on_ci: bool) -> tuple[Gate, ...]:
    """One gate for each question that the settings ask: that there is no answer is an answer too.

    `today`, in UTC, is the day on which ignores have to hold: that of the judging, whenever it was gathered.
    """
    asked: list[Gate] = []
    if image.signature is not None:
        form = evidence.signature.format if isinstance(evidence.signature, Signed) else "bundle"
        repeat = repeat_command(image.repository, evidence.candidate, evidence.ref, image.signature, form)
        asked.append(signature_gate(evidence.signature or _missing("signature"), evidence.ref, repeat))
    if image.scan is not None:
        match evidence.scans or _missing("scan"):
            case Unanswered() as unanswered:
                asked.append(unanswered.gate("vulnerabilities", f"gateway-bot scan --to {evidence.ref}"))
            case scans:
                asked.append(vulnerabilities_gate(scans.changes(), image.scan, today, evidence.ref))
    if image.config is not None:
        repeat = f"gateway-bot validate --to {evidence.ref}"
        match evidence.config or _missing("config"):
            case Unanswered() as unanswered:
                asked.append(unanswered.gate("config", repeat))
            case answer:
                asked.append(config_gate(answer, image.config, repeat, on_ci=on_ci))
    return tuple(asked)


def proves(evidence: Evidence, plan: Plan, now: datetime) -> str:
    """Why evidence from elsewhere is not for this plan, or is too old; nothing where it is usable."""
    image, current, candidate = plan.image, plan.current, plan.candidate
    about = (evidence.image, evidence.ref, evidence.candidate, evidence.current)
    if about != (image.name, candidate.pin.ref, candidate.pin.digest, current.digest):
        return "its evidence was gathered for another candidate or another pin"
    if isinstance(evidence.signature, Signed) and not _is_required(evidence.signature, image, candidate):
        return "its evidence holds a signature of another digest, or by another identity"
    if isinstance(evidence.scans, Scans) and not _are_of(evidence.scans, image, current, candidate):
        return "its evidence holds scans of other images or platforms, or scans that cannot be compared"
    if isinstance(evidence.config, ConfigAnswer) and not _are_all(evidence.config, image):
        return "its evidence speaks of other environments than gateway-bot.toml"
    if not all(map(_is_made_by_us, (evidence.signature, evidence.scans, evidence.config))):
        return "its evidence holds an answer that the bot does not give"
    age = now - evidence.gathered
    if age < -_SKEW:
        return f"its evidence is from the future: {evidence.gathered:%Y-%m-%d %H:%M} UTC"
    if age > image.policy.evidence:
        hours = image.policy.evidence // timedelta(hours=1)
        return f"its evidence of {evidence.gathered:%Y-%m-%d %H:%M} UTC is older than {hours} hours (`evidence_hours`)"
    return ""


def _is_made_by_us(answer: object) -> bool:
    """Whether an answer that is none has an exit code as the bot gives them."""
    return not isinstance(answer, Unanswered) or answer.exit_code in _CODES


def _is_required(signed: Signed, image: Image, candidate: Candidate) -> bool:
    wanted = image.signature
    return (
        wanted is not None
        and _TOOL.fullmatch(signed.tool) is not None
        and (signed.digest, signed.identity, signed.issuer)
        == (candidate.pin.digest, identity_of(wanted, candidate.pin.ref), wanted.issuer)
    )


def _are_of(scans: Scans, image: Image, current: Pin, candidate: Candidate) -> bool:
    required = tuple(sorted(image.policy.platforms))
    if (scans.current.digest, scans.candidate.digest) != (current.digest, candidate.pin.digest):
        return False
    before, after = scans.current, scans.candidate
    same = (before.database, before.scanner) == (after.database, after.scanner)
    whole = all(tuple(sorted(scan.platforms)) == required for scan in (before, after))
    placed = all(f.platform == part.platform for scan in (before, after) for part in scan.parts for f in part.findings)
    return same and whole and placed and _SCANNER.fullmatch(after.scanner) is not None


def _are_all(answer: ConfigAnswer, image: Image) -> bool:
    environments = [environment.name for environment in image.config.environments] if image.config else []
    return [judged.environment for judged in answer.judged] == environments


def with_evidence(plan: Plan, evidence: Evidence, *, on_ci: bool) -> Plan:
    """The plan with what was gathered, and with the gates that it makes."""
    asked = gates_of(evidence, plan.image, plan.made.date(), on_ci=on_ci)
    return msgspec.structs.replace(plan, gates=(*plan.gates, *asked), evidence=evidence)


def _missing(table: str) -> Unanswered:
    return Unanswered(
        f"nothing was gathered, although gateway-bot.toml has a table `{table}`",
        "Make the plan again with these settings: gateway-bot plan --save FILE.",
        6,
    )
