"""Look for what a person must know at once: every question of `watch`, with its answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from bot.beside import beside
from bot.core.alarm import Answer, NotKnown, Question, about_schedule, about_signature, about_tag
from bot.core.model import Image, Watch
from bot.core.plan import Pinned
from bot.core.reference import parse_tag
from bot.core.runs import Run, Workflow
from bot.errors import BotError, Bug
from bot.flows.abreast import abreast
from bot.flows.gather import asked_signature
from bot.flows.observe import read_pinned
from bot.flows.upgrade import Ground


class Runs(Protocol):
    """The repository's workflows."""

    def workflow(self, file: str) -> Workflow: ...

    def last(self, file: str, **only: str) -> Run | None: ...


def look(images: Sequence[Image], ground: Ground, runs: Runs, watch: Watch, now: datetime) -> tuple[Answer, ...]:
    """Every question with its answer, in the order of the settings; an error is an answer."""
    found = [answer for of_one in abreast(lambda image: _of_image(image, ground, now), images) for answer in of_one]
    schedule = _answered("schedule", watch.workflow, lambda: _of_schedule(runs, watch, now))
    return (*found, schedule)


def _of_image(image: Image, ground: Ground, now: datetime) -> list[Answer]:
    """The tag and the signature side by side: the one is asked of a registry, the other of a program."""
    questions: tuple[Question, ...] = ("pinned-tag", "signature") if image.signature is not None else ("pinned-tag",)
    try:
        pinned = read_pinned(image, ground.files, ground.allowed_keys)
    except Exception as error:  # noqa: BLE001 - what is wrong with one image does not hide the others
        failed = error if isinstance(error, BotError) else Bug.of(error)
        return [NotKnown.by(failed, question, image.name) for question in questions]
    signature = beside(lambda: _of_signature(image, pinned, ground, now)) if image.signature is not None else None
    tag = _answered("pinned-tag", image.name, lambda: _of_tag(image, pinned, ground, now))
    if signature is None:
        return [tag]
    return [tag, _answered("signature", image.name, signature.result)]


def _of_tag(image: Image, pinned: Pinned, ground: Ground, now: datetime) -> Answer:
    found = ground.upstream(image).registry.first_index(pinned.tags)
    if found is None:
        return about_tag(image, pinned.pin, None, now)
    name, index = found
    return about_tag(image, msgspec.structs.replace(pinned.pin, tag=parse_tag(name)), index, now)


def _of_signature(image: Image, pinned: Pinned, ground: Ground, now: datetime) -> Answer:
    assert ground.tools is not None  # noqa: S101 - only a saved plan is made without
    return about_signature(image, pinned.pin, asked_signature(image, pinned.pin, ground.tools).result(), now)


def _of_schedule(runs: Runs, watch: Watch, now: datetime) -> Answer:
    workflow = runs.workflow(watch.workflow)
    last = None if workflow.is_switched_off else runs.last(watch.workflow, event="schedule")
    return about_schedule(workflow, last, watch, now)


def _answered(question: Question, subject: str, ask: Callable[[], Answer]) -> Answer:
    try:
        return ask()
    except BotError as error:
        return NotKnown.by(error, question, subject)
    except Exception as error:  # noqa: BLE001 - what is wrong with one question does not hide the others
        return NotKnown.by(Bug.of(error), question, subject)
