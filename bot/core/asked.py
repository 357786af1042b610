"""The answer of `verify`, `scan` or `validate` for one image, and its two forms. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

import msgspec

from bot.core.gates import Gate, first_refusal
from bot.core.gateway_config.answer import ConfigAnswer
from bot.core.gateway_config.differences import Difference
from bot.core.gateway_config.schema import Mismatch
from bot.core.model import Candidate, Image, Pin, Platform, ScanPolicy, Severity
from bot.core.report import short
from bot.core.signature import Signed
from bot.core.text import plain
from bot.core.vulnerabilities.findings import Change, Changes
from bot.core.wire import GateJson, PinJson, gates_json, pin_json


class SignatureJson(msgspec.Struct, frozen=True):
    """A signature that was verified; `format` is bundle or legacy, `at` null where the signature does not say."""

    identity: str
    issuer: str
    digest: str
    format: str
    at: datetime | None
    log_index: int | None
    tool: str


class ChangeJson(msgspec.Struct, frozen=True):
    """A finding on the platforms where it is alike; `was` is its severity in the current image where that differs."""

    id: str
    package: str
    installed: str
    fixed: str
    severity: Severity
    was: Severity | None
    platforms: list[str]
    title: str
    url: str


class ChangesJson(msgspec.Struct, frozen=True):
    """What the candidate's findings are against the current image's; one database and one scanner for both."""

    database: str
    scanner: str
    new: list[ChangeJson]
    escalated: list[ChangeJson]
    fixed: list[ChangeJson]
    unseen: list[ChangeJson]
    persisting: list[ChangeJson]


class EnvironmentJson(msgspec.Struct, frozen=True):
    """One environment's config: why the program refuses it, empty where it does not, and what its schema says."""

    name: str
    refusal: str
    mismatches: list[Mismatch]


class ConfigJson(msgspec.Struct, frozen=True):
    """What the candidate means for our config; the texts say why a part is not known."""

    environments: list[EnvironmentJson]
    not_asked: str
    schema_unknown: str
    differences: list[Difference]


class AskedJson(msgspec.Struct, frozen=True):
    """What `verify --json`, `scan --json` and `validate --json` print, one line an image.

    `candidate` is null where the question was asked of the pin. Of the last three fields one is there at most.
    """

    image: str
    ok: bool
    exit_code: int
    current: PinJson | None = None
    candidate: PinJson | None = None
    gates: list[GateJson] = []
    reason: str = ""
    where: str = ""
    next_step: str = ""
    signature: SignatureJson | None = None
    vulnerabilities: ChangesJson | None = None
    config: ConfigJson | None = None


class Asked(msgspec.Struct, frozen=True):
    """The gates that were asked, with what is behind them; `lines` say it to a person."""

    image: Image
    current: Pin
    current_platforms: tuple[Platform, ...]
    candidate: Candidate | None
    gates: tuple[Gate, ...]
    lines: tuple[str, ...] = ()
    signature: Signed | None = None
    changes: Changes | None = None
    config: ConfigAnswer | None = None
    today: date = date.min
    """The day in UTC on which ignores are judged."""
    line: int = 1
    """Where in the source of truth the digest stands."""

    @property
    def exit_code(self) -> int:
        """That of the first gate that refuses."""
        refusal = first_refusal(self.gates)
        return refusal.exit_code if refusal else 0

    def json(self) -> bytes:
        """One line of JSON, without its end; the shape is AskedJson's."""
        return msgspec.json.encode(
            AskedJson(
                image=self.image.name,
                ok=self.exit_code == 0,
                exit_code=self.exit_code,
                current=pin_json(self.current, self.current_platforms),
                candidate=pin_json(self.candidate.pin, self.candidate.platforms) if self.candidate else None,
                gates=gates_json(self.gates),
                signature=_signature_json(self.signature) if self.signature else None,
                vulnerabilities=_changes_json(self.changes) if self.changes else None,
                config=_config_json(self.config) if self.config else None,
            )
        )

    def text(self) -> str:
        """For a person: of what it was asked, the gates, and what to do where one refuses."""
        pin = self.candidate.pin if self.candidate else self.current
        about = f"{self.image.repository}:{pin.tag}@{pin.digest}"
        than = f", against {self.current.ref}" if self.candidate and self.changes else ""
        lines = [f"{self.image.name}: {pin.ref}{than}", f"  {about}"]
        for gate in self.gates:
            lines.append(f"  {gate.verdict:<7} {gate.name}: {short(plain(gate.evidence, 2000))}")
            if gate.repeat and gate.name == "signature":
                lines.append(f"          again: {plain(gate.repeat, 1000)}")
            if gate.refuses:
                lines.append(f"          next: {plain(gate.next_step, 1000)}")
        return "\n".join([*lines, *(f"  {line}" for line in self.lines)])

    def sarif(self) -> bytes:
        """The scan for GitHub's code scanning, at the place of the pin in the source of truth."""
        from bot.core.vulnerabilities.sarif import sarif  # noqa: PLC0415 - only --sarif needs it

        changes, policy = self.changes, self.image.scan or ScanPolicy()
        if changes is None:
            raise ValueError("nothing was scanned")
        return sarif(changes, policy, self.today, image=self.image.name, uri=self.image.sites[0].file, line=self.line)


class NotAsked(msgspec.Struct, frozen=True):
    """An image of which it could not be asked: why, where, and what to do next."""

    image: str
    reason: str
    where: str
    next_step: str
    exit_code: int

    def json(self) -> bytes:
        """As `Asked.json`."""
        return msgspec.json.encode(
            AskedJson(
                image=self.image,
                ok=False,
                exit_code=self.exit_code,
                reason=self.reason,
                where=self.where,
                next_step=self.next_step,
            )
        )

    def text(self) -> str:
        """As `Asked.text`."""
        said = f"{plain(self.image, 80)}: {plain(self.where, 1000)}: {plain(self.reason, 1000)}"
        return f"{said}\n  next: {plain(self.next_step, 1000)}"


def _signature_json(signed: Signed) -> SignatureJson:
    return SignatureJson(
        identity=signed.identity,
        issuer=signed.issuer,
        digest=signed.digest,
        format=signed.format,
        at=signed.at,
        log_index=signed.log_index,
        tool=signed.tool,
    )


def _changes_json(changes: Changes) -> ChangesJson:
    return ChangesJson(
        database=str(changes.candidate.database),
        scanner=changes.candidate.scanner,
        new=_all(changes.new),
        escalated=_all(changes.escalated),
        fixed=_all(changes.fixed),
        unseen=_all(changes.unseen),
        persisting=_all(changes.persisting),
    )


def _config_json(answer: ConfigAnswer) -> ConfigJson:
    return ConfigJson(
        environments=[EnvironmentJson(each.environment, each.refusal, list(each.mismatches)) for each in answer.judged],
        not_asked=answer.not_asked,
        schema_unknown=answer.schema_unknown,
        differences=list(answer.differences),
    )


def _all(changes: Sequence[Change]) -> list[ChangeJson]:
    return [
        ChangeJson(
            c.id, c.package, c.installed, c.fixed, c.severity, c.was, [str(p) for p in c.platforms], c.title, c.url
        )
        for c in changes
    ]
