"""One question asked by hand: of a release that is named, of the candidate, or of the pin itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec

from bot.core import gates
from bot.core.asked import Asked, NotAsked
from bot.core.evidence import Evidence, Scans, gates_of
from bot.core.gates import Gate, Unanswered
from bot.core.gateway_config import section as config_section
from bot.core.gateway_config.answer import ConfigAnswer
from bot.core.index import Index
from bot.core.model import Candidate, Image, Pin, Platform, Release, ScanPolicy
from bot.core.plan import Blocked, Plan, decide
from bot.core.reference import parse_tag
from bot.core.selection import is_wanted
from bot.core.signature import NotSigned, Signed
from bot.core.versions import Ref, parse_version
from bot.core.vulnerabilities import section as vulnerabilities_section
from bot.core.vulnerabilities.findings import Changes
from bot.errors import BotError, Bug, IntegrityError, UsageError
from bot.flows.gather import Tools, asked_config, asked_scans, asked_signature
from bot.flows.observe import Upstream, observe, prove, read_pinned, releases_of
from bot.flows.upgrade import Ground


class Subject(msgspec.Struct, frozen=True):
    """Of what it is asked: the pin, and a candidate where there is one."""

    image: Image
    current: Pin
    platforms: tuple[Platform, ...]
    candidate: Candidate | None
    now: datetime
    line: int
    """Where in the source of truth the pin stands."""
    index: Index | None = None
    """What the pinned tag answers with, where the pin is asked."""

    @property
    def asked(self) -> Candidate:
        return self.candidate or Candidate(self.current, self.platforms)

    def evidence(
        self,
        signature: Signed | NotSigned | Unanswered | None = None,
        scans: Scans | Unanswered | None = None,
        config: ConfigAnswer | Unanswered | None = None,
    ) -> Evidence:
        pin = self.asked.pin
        return Evidence(self.image.name, pin.ref, pin.digest, self.current.digest, self.now, signature, scans, config)

    def answered(
        self,
        asked: tuple[Gate, ...],
        lines: tuple[str, ...] = (),
        signature: Signed | None = None,
        changes: Changes | None = None,
        config: ConfigAnswer | None = None,
    ) -> Asked:
        return Asked(
            image=self.image,
            current=self.current,
            current_platforms=self.platforms,
            candidate=self.candidate,
            gates=asked,
            lines=lines,
            signature=signature,
            changes=changes,
            config=config,
            today=self.now.date(),
            line=self.line,
        )


Question = Callable[[Subject, Ground], Asked]


def ask(image: Image, ground: Ground, wanted: Ref | None, question: Question, *, of_pin: bool) -> Asked | NotAsked:
    """The answer for one image; an error is its answer. `of_pin`: where no release is named, the pin is asked."""
    try:
        subject = _subject(image, ground, wanted, of_pin=of_pin)
        return subject if isinstance(subject, NotAsked) else question(subject, ground)
    except BotError as error:
        return NotAsked(image.name, error.what, error.where, error.next_step, error.exit_code)
    except Exception as error:  # noqa: BLE001 - what is wrong with one image does not hide the others
        bug = Bug.of(error)
        return NotAsked(image.name, bug.what, bug.where, bug.next_step, bug.exit_code)


def verify(subject: Subject, ground: Ground) -> Asked:
    """Is it there by its digest, with its platforms, signed by the one who must have signed it?"""
    image, asked = subject.image, subject.asked
    if image.signature is None:
        raise _no_table(image, "signature")
    there = (
        gates.candidate_digest(image, asked)
        if subject.candidate
        else gates.pinned_tag(image, subject.current, subject.index, leaving=False)
    )
    platforms = gates.platforms(image, asked.pin, asked.platforms)
    answer = asked_signature(image, asked.pin, _tools(ground)).result()
    only = msgspec.structs.replace(image, scan=None, config=None)
    signature = gates_of(subject.evidence(signature=answer), only, subject.now.date(), on_ci=ground.on_ci)
    return subject.answered((there, platforms, *signature), signature=answer if isinstance(answer, Signed) else None)


def scan(subject: Subject, ground: Ground) -> Asked:
    """What are its vulnerabilities, against those of the current image?"""
    policy = subject.image.scan or ScanPolicy()
    only = msgspec.structs.replace(subject.image, scan=policy, signature=None, config=None)
    scans = asked_scans(only, subject.current.digest, subject.asked.pin.digest, _tools(ground)).result()
    asked = gates_of(subject.evidence(scans=scans), only, subject.now.date(), on_ci=ground.on_ci)
    if not isinstance(scans, Scans):
        return subject.answered(asked)
    changes = scans.changes()
    lines = vulnerabilities_section.lines(changes, policy, subject.now.date())
    return subject.answered(asked, lines=tuple(lines), changes=changes)


def validate(subject: Subject, ground: Ground) -> Asked:
    """Does our config work with it?"""
    only = msgspec.structs.replace(subject.image, signature=None, scan=None)
    if only.config is None:
        raise _no_table(only, "config")
    answer = asked_config(only, only.config, subject.current, subject.asked.pin, _tools(ground)).result()
    asked = gates_of(subject.evidence(config=answer), only, subject.now.date(), on_ci=ground.on_ci)
    if not isinstance(answer, ConfigAnswer):
        return subject.answered(asked)
    return subject.answered(asked, lines=tuple(config_section.lines(answer)), config=answer)


def _subject(image: Image, ground: Ground, wanted: Ref | None, *, of_pin: bool) -> Subject | NotAsked:
    pinned = read_pinned(image, ground.files, ground.allowed_keys)
    upstream = ground.upstream(image)
    now = upstream.clock.now()
    line = next(
        (held.line for held in pinned.held if held.site == image.sites[0] and held.field in {"digest", "image"}), 1
    )
    if wanted is not None:
        return Subject(image, pinned.pin, (), _named(image, pinned.pin, upstream, wanted), now, line)
    if of_pin:
        name, index = upstream.registry.first_index(pinned.tags) or (None, None)
        pin = msgspec.structs.replace(pinned.pin, tag=parse_tag(name)) if name else pinned.pin
        same = index is not None and index.digest == pin.digest
        return Subject(image, pin, index.platforms if index and same else (), None, now, line, index)
    match decide(observe(image, pinned, upstream, None)):
        case Blocked() as made:
            return NotAsked(image.name, made.reason, made.where, made.next_step, made.exit_code)
        case Plan() as made:
            return Subject(image, made.current, made.current_platforms, made.candidate, now, line)
        case made:
            return Subject(image, made.current, made.current_platforms, None, now, line)


def _named(image: Image, pin: Pin, upstream: Upstream, wanted: Ref) -> Candidate:
    """The image of a release by its name, whatever the policy says of it: asking changes nothing."""
    release = next((r for r in releases_of(image, pin, upstream) if is_wanted(r, wanted)), None)
    release = release or Release(wanted, parse_version(wanted))
    candidate = prove(image, release, upstream.registry)
    if candidate is None:
        raise IntegrityError(
            f"{release.ref} has no image",
            where=f"{image.repository}:{release.ref}",
            next_step="Check the tag on the image's page; a new release may need some minutes.",
        )
    return candidate


def _tools(ground: Ground) -> Tools:
    assert ground.tools is not None  # noqa: S101 - only a saved plan is made without
    return ground.tools


def _no_table(image: Image, table: str) -> UsageError:
    return UsageError(
        f"{image.name} has no table `{table}`",
        where="gateway-bot.toml",
        next_step=f"Say there what is required: docs/settings.md shows [image.{table}].",
    )
