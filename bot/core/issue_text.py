"""An issue that the bot keeps current: how it is known, and the part of its body that is the bot's. Pure.

The part stands between two HTML comments. The first of them holds, as JSON, what the bot has to remember from run to
run; what a person writes above or below the part stays.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from bot.core.decoding import decode

LIMIT = 65_536
"""Characters; GitHub refuses bodies that are longer."""

State = Literal["open", "completed", "not_planned"]
"""What an issue is to be: open, or closed for one of GitHub's reasons."""

_ACTIVE = re.compile(r"[<>&@#]")


class Topic(msgspec.Struct, frozen=True):
    """What an issue is kept for. There is one open issue of a topic, and its title never changes."""

    name: str
    label: str
    title: str


class Issue(msgspec.Struct, frozen=True):
    """An issue as GitHub shows it."""

    number: int
    url: str
    title: str
    body: str
    is_open: bool
    labels: tuple[str, ...] = ()
    by_program: bool = False
    """Whether a program opened it, and no person."""


class Part(msgspec.Struct, frozen=True):
    """The bot's part of a body: what it remembers, as JSON, what it says, and from where to where it reaches."""

    memory: bytes
    text: str
    begin: int
    end: int


class _Memory(msgspec.Struct):
    duplicate_of: int = 0


def part_of(body: str, topic: Topic) -> Part | None:
    """The bot's part, or None where it is not there whole."""
    opening = re.search(rf"^<!-- gateway-bot:{topic.name} (\{{[^\r\n]*\}}) -->[ \t]*\r?$", body, re.MULTILINE)
    if opening is None:
        return None
    closing = re.compile(rf"^<!-- /gateway-bot:{topic.name} -->", re.MULTILINE).search(body, opening.end())
    if closing is None:
        return None
    text = body[opening.end() : closing.start()].replace("\r\n", "\n").strip()
    return Part(opening[1].encode(errors="replace"), text, opening.start(), closing.end())


def with_part(body: str, topic: Topic, memory: bytes, text: str) -> str:
    """The body with this part in the place of the old one, or at its end. Raises ValueError where it has no room."""
    part = f"{_opening(topic, memory)}\n{text}\n\n<!-- /gateway-bot:{topic.name} -->"
    old = part_of(body, topic)
    if old is not None:
        whole = f"{body[: old.begin]}{part}{body[old.end :]}"
    else:
        whole = f"{body.rstrip()}\n\n{part}" if body.strip() else part
    if len(whole) > LIMIT:
        raise ValueError(f"the body would have {len(whole):,} characters, and GitHub takes {LIMIT:,}")
    return whole


def room(body: str, topic: Topic, memory: bytes) -> int:
    """How many characters the text of the part may have."""
    old = part_of(body, topic)
    others = len(body) - (old.end - old.begin if old else 0)
    return LIMIT - others - len(_opening(topic, memory)) - len(topic.name) - 40


def is_ours(issue: Issue, topic: Topic) -> bool:
    """Whether an issue is the one that the bot keeps.

    Anybody can open an issue and write into it what he likes, but only who may triage can label one. So the label
    with the title or the part is proof; without the label, the part is, where a program opened the issue. To belong
    to the organisation is not enough: a closed issue with the right part silences an alarm.
    """
    there = part_of(issue.body, topic) is not None
    if topic.label in {label.lower() for label in issue.labels}:
        return there or issue.title == topic.title
    return there and issue.title == topic.title and issue.by_program


def duplicate(issue: Issue, topic: Topic, first: int) -> str:
    """The body of an issue that was opened although there was one already."""
    text = f"This is #{first}, opened twice; the bot keeps that one."
    return with_part(issue.body, topic, msgspec.json.encode(_Memory(first)), text)


def is_duplicate(issue: Issue, topic: Topic) -> bool:
    """Whether the bot closed it in favour of another one."""
    part = part_of(issue.body, topic)
    try:
        return part is not None and decode(part.memory, _Memory).duplicate_of > 0
    except (msgspec.DecodeError, RecursionError):
        return False


def _opening(topic: Topic, memory: bytes) -> str:
    """Nothing in it ends the comment, and nothing acts, whoever reads the body without knowing of comments."""
    escaped = _ACTIVE.sub(lambda match: f"\\u{ord(match[0]):04x}", memory.decode())
    return f"<!-- gateway-bot:{topic.name} {escaped} -->"
