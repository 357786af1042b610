"""Gather the evidence of one candidate: signature, scans and config, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import datetime
from typing import Protocol, TypeVar

from bot.beside import beside, settled
from bot.core.evidence import Evidence, Scans
from bot.core.gates import Unanswered
from bot.core.gateway_config.answer import ConfigAnswer
from bot.core.model import GatewayConfig, Image, Pin, Platform, ScanPolicy, Signature
from bot.core.plan import Plan
from bot.core.reference import Digest, Repository
from bot.core.signature import NotSigned, Signed
from bot.core.versions import Ref
from bot.core.vulnerabilities.findings import Scan
from bot.errors import IntegrityError, PolicyError, ServiceError
from bot.flows.validate import ConfigTools, validate

_T = TypeVar("_T")


class Verifier(Protocol):
    """cosign."""

    def verify(
        self, repository: Repository, digest: Digest, ref: Ref, signature: Signature
    ) -> Signed | NotSigned | Unanswered: ...


class Scanner(Protocol):
    """Trivy."""

    def scan(self, repository: Repository, digest: Digest, platforms: Sequence[Platform], database: str) -> Scan: ...


class Tools(ConfigTools, Protocol):
    """What gathers evidence; each is made when it is first used."""

    @property
    def verifier(self) -> Verifier: ...

    @property
    def scanner(self) -> Scanner: ...

    def log(self, text: str) -> None: ...


def gather(made: Plan, tools: Tools, now: datetime, current_at: Repository | None = None) -> Evidence:
    """What the settings ask, all at once; `current_at` has the current image where the candidate's repository does not.

    Raises UsageError for files that the settings name and that are not there.
    """
    image, current, pin = made.image, made.current, made.candidate.pin
    signature = asked_signature(image, pin, tools) if image.signature else None
    scans = asked_scans(image, current.digest, pin.digest, tools, current_at) if image.scan else None
    config = asked_config(image, image.config, current, pin, tools) if image.config else None
    settled(*(each for each in (signature, scans, config) if each is not None))
    return Evidence(
        image=image.name,
        ref=pin.ref,
        candidate=pin.digest,
        current=current.digest,
        gathered=now,
        signature=signature.result() if signature else None,
        scans=scans.result() if scans else None,
        config=config.result() if config else None,
    )


def asked_signature(image: Image, pin: Pin, tools: Tools) -> Future[Signed | NotSigned | Unanswered]:
    """Who signed it."""
    signature = image.signature
    if signature is None:
        raise ValueError("nothing says who must have signed")
    return _asked(lambda: tools.verifier.verify(image.repository, pin.digest, pin.ref, signature))


def asked_scans(
    image: Image, current: Digest, candidate: Digest, tools: Tools, current_at: Repository | None = None
) -> Future[Scans | Unanswered]:
    """What a scanner finds in both."""
    return _asked(lambda: scan(image, current, candidate, tools.scanner, current_at))


def asked_config(
    image: Image, config: GatewayConfig, current: Pin, candidate: Pin, tools: Tools
) -> Future[ConfigAnswer | Unanswered]:
    """What its schema and its own program say of our config."""
    return _asked(lambda: validate(image, config, current, candidate, tools))


def scan(
    image: Image, current: Digest, candidate: Digest, scanner: Scanner, current_at: Repository | None = None
) -> Scans:
    """Both images on all required platforms, with one database. Raises ServiceError, IntegrityError."""
    database = (image.scan or ScanPolicy()).database
    platforms = image.policy.platforms
    if current == candidate:
        once = scanner.scan(image.repository, current, platforms, database)
        return Scans(once, once)
    before = beside(lambda: scanner.scan(current_at or image.repository, current, platforms, database))
    try:
        after = scanner.scan(image.repository, candidate, platforms, database)
    finally:
        before.exception()  # waits: an error leaves no scanner behind it
    return Scans(before.result(), after)


def _asked(question: Callable[[], _T]) -> Future[_T | Unanswered]:
    def ask() -> _T | Unanswered:
        try:
            return question()
        except (ServiceError, IntegrityError, PolicyError) as error:
            return Unanswered.by(error)

    return beside(ask)
