"""What a person must know at once: each question with its answer, what is remembered of it, and what to do. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

import msgspec

from bot.core.decoding import decode
from bot.core.gates import Unanswered, pinned_tag
from bot.core.index import Index
from bot.core.issue_text import LIMIT, Issue, Topic, part_of, room
from bot.core.model import Image, Pin, Watch
from bot.core.moment import BEGINNING, moment
from bot.core.runs import Run, Workflow
from bot.core.signature import NotSigned, Signed
from bot.core.text import plain
from bot.errors import BotError

Question = Literal["pinned-tag", "signature", "schedule"]

ALARM = Topic("alarm", "gateway-bot-alarm", "gateway-bot: a person has to look")
MAX_ALARMS = 50
"""As many as an issue can say; more are shown by the run."""

EXIT_CODES: Mapping[Question, int] = {"pinned-tag": 5, "signature": 5, "schedule": 6}
"""Integrity for what is pinned; a schedule that is silent breaks the rule that `watch` in the settings sets."""


class Fine(msgspec.Struct, frozen=True):
    """It is as it has to be. `subject` is an image's name, or the workflow's file."""

    question: Question
    subject: str
    said: str


class Warned(msgspec.Struct, frozen=True):
    """Not as it should be, and yet no alarm: it proves nothing."""

    question: Question
    subject: str
    said: str
    where: str
    next_step: str


class NotKnown(msgspec.Struct, frozen=True):
    """It could not be found out, which is neither an alarm nor "all is well". `exit_code` as of errors."""

    question: Question
    subject: str
    why: str
    where: str
    next_step: str
    exit_code: int

    @classmethod
    def by(cls, error: BotError, question: Question, subject: str) -> NotKnown:
        """What an error leaves of a question."""
        return cls(question, subject, plain(error.what, 600), plain(error.where, 300), error.next_step, error.exit_code)


class Alarm(msgspec.Struct, frozen=True):
    """It is not as it has to be. Another `fact` about the same is another alarm; `seen` says it in words."""

    question: Question
    subject: str
    fact: str
    seen: str
    where: str
    since: datetime

    @property
    def of(self) -> tuple[Question, str]:
        return self.question, self.subject


Answer = Fine | Warned | NotKnown | Alarm


class Memory(msgspec.Struct, frozen=True):
    """What the issue remembers: its alarms, how often they changed and when last, and which the webhook was told."""

    alarms: tuple[Alarm, ...] = ()
    turn: Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)] = 0
    changed: datetime = BEGINNING
    told: str = ""


class Leave(msgspec.Struct, frozen=True):
    """The issue says it all, or there is no need for one."""


class Open(msgspec.Struct, frozen=True):
    """There is an alarm, and no issue."""


class Reopen(msgspec.Struct, frozen=True):
    """There is an alarm that the closed issue does not know."""


class Update(msgspec.Struct, frozen=True):
    """The facts have changed. `news` are alarms about something that the issue did not know of: people are told."""

    news: tuple[Alarm, ...]


class Close(msgspec.Struct, frozen=True):
    """All of it is over."""


Action = Leave | Open | Reopen | Update | Close


def about_tag(image: Image, pin: Pin, index: Index | None, now: datetime) -> Answer:
    """Does the pinned tag still answer with the pinned digest?

    One that is gone proves nothing: upstreams withdraw bad releases (docs/decisions/0007-a-gone-tag.md).
    """
    gate = pinned_tag(image, pin, index, leaving=True)
    where = f"{image.repository}:{pin.tag}"
    if index is None:
        return Warned("pinned-tag", image.name, gate.evidence, where, gate.next_step)
    if index.digest != pin.digest:
        seen = f"{where} answers with {index.digest}, and the pin says {pin.digest}"
        return Alarm("pinned-tag", image.name, f"{pin.digest} {index.digest}", seen, where, now)
    return Fine("pinned-tag", image.name, gate.evidence)


def about_signature(image: Image, pin: Pin, answer: Signed | NotSigned | Unanswered, now: datetime) -> Answer:
    """Does the pin's signature still verify?

    The words that cosign finds for it are no part of the fact: they may differ from run to run.
    """
    where = f"{image.repository}@{pin.digest}"
    match answer:
        case Signed():
            return Fine("signature", image.name, f"signed by {plain(answer.identity, 300)}, verified by {answer.tool}")
        case NotSigned(reason):
            seen = f"the signature of {pin.ref} no longer verifies: {plain(reason, 300)}"
            return Alarm("signature", image.name, pin.digest, seen, where, now)
        case Unanswered():
            return NotKnown("signature", image.name, answer.reason, where, answer.next_step, answer.exit_code)


def about_schedule(workflow: Workflow, last: Run | None, watch: Watch, now: datetime) -> Answer:
    """Has the workflow run by itself lately, whether it succeeded or not? One that never ran counts from its making."""
    file = workflow.file
    where = f".github/workflows/{file}"
    if workflow.is_switched_off:
        state = plain(workflow.state, 40)
        seen = f"{file} is switched off ({state}): nothing looks for new releases any more"
        return Alarm("schedule", file, state, seen, where, now)
    since = last.started if last is not None else workflow.created
    shown = f"{since.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    if now - since > timedelta(days=watch.silent_days):
        what = (
            f"{file} last ran by its schedule on {shown}" if last else f"{file}, made on {shown}, never ran by itself"
        )
        seen = f"{what}, more than {watch.silent_days} days ago"
        return Alarm("schedule", file, f"silent {since.isoformat()}", seen, where, now)
    said = f"{file} ran by its schedule on {shown}" if last else f"{file} was made on {shown} and has not run yet"
    return Fine("schedule", file, said)


def remembered(issue: Issue | None) -> Memory:
    """What an issue remembers; nothing where there is none, or where somebody changed its memory to what cannot be."""
    part = part_of(issue.body, ALARM) if issue is not None else None
    try:
        memory = decode(part.memory, Memory) if part is not None else Memory()
    except (msgspec.DecodeError, RecursionError):
        return Memory()
    times = (memory.changed, *(alarm.since for alarm in memory.alarms))
    return memory if all(moment(when) is not None for when in times) else Memory()


def to_keep(memory: Memory) -> bytes:
    """The memory as JSON that leaves at least half of an issue to its text: words are cut first."""
    document = b""
    for limit in (500, 100, 1):
        cut = [
            msgspec.structs.replace(alarm, seen=plain(alarm.seen, limit), where=plain(alarm.where, 200))
            for alarm in memory.alarms
        ]
        document = msgspec.json.encode(msgspec.structs.replace(memory, alarms=tuple(cut)))
        if room("", ALARM, document) >= LIMIT // 2:
            break
    return document


def standing(before: Sequence[Alarm], answers: Iterable[Answer]) -> tuple[Alarm, ...]:
    """The alarms that there are now. One stands until its question is answered with yes, and keeps its date."""
    known = {alarm.of: alarm for alarm in before}
    found: list[Alarm] = []
    for answer in answers:
        was = known.get((answer.question, answer.subject))
        match answer:
            case Alarm():
                found.append(was if was is not None and was.fact == answer.fact else answer)
            case NotKnown() | Warned() if was is not None:
                found.append(was)
            case _:
                pass
    return tuple(found[:MAX_ALARMS])


def next_action(issue: Issue | None, memory: Memory, now_there: Sequence[Alarm]) -> Action:
    """What to do about the issue.

    The bot closes it with an empty memory. One that is closed and remembers alarms was closed by a person, who has
    seen them; they are no news, and that some of them are over is only written down.
    """
    before, there = facts(memory.alarms), facts(now_there)
    if issue is None:
        return Open() if there else Leave()
    if not issue.is_open and there - before:
        return Reopen()
    if there == before:
        return Leave()
    if issue.is_open and not there:
        return Close()
    known = {alarm.of for alarm in memory.alarms}
    return Update(tuple(alarm for alarm in now_there if issue.is_open and alarm.of not in known))


def facts(alarms: Iterable[Alarm]) -> frozenset[tuple[str, str, str]]:
    """What makes alarms the same, without times and words."""
    return frozenset((alarm.question, alarm.subject, alarm.fact) for alarm in alarms)


def fingerprint(alarms: Iterable[Alarm]) -> str:
    """The facts as one word; empty where there is no alarm."""
    there = sorted(facts(alarms))
    return hashlib.sha256(msgspec.json.encode(there)).hexdigest()[:16] if there else ""


def to_tell(issue: Issue | None, memory: Memory) -> bool:
    """Whether the webhook has to hear of it: what a person has closed is not told again."""
    now_there = fingerprint(memory.alarms)
    return issue is not None and memory.told != now_there and (issue.is_open or not now_there)


def exit_code(answers: Iterable[Answer], alarms: Iterable[Alarm], *, acknowledged: bool) -> int:
    """That of the worst alarm that nobody has acknowledged, else of the first question without an answer."""
    codes = [] if acknowledged else sorted(EXIT_CODES[alarm.question] for alarm in alarms)
    unknown = [answer.exit_code for answer in answers if isinstance(answer, NotKnown)]
    return next(iter([*codes, *unknown]), 0)
