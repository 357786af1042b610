"""The answer of `build` for one image, and its two forms. Pure."""

from __future__ import annotations

import msgspec

from bot.core.gates import Gate, first_refusal
from bot.core.gateway_config.verdict import Answer
from bot.core.report import short
from bot.core.text import plain
from bot.core.wire import GateJson, gates_json

_NOT_ENDED = Answer(-1, "", "")


class Ran(msgspec.Struct, frozen=True):
    """How a started program went.

    `said` is its last answer when it was asked for readiness, and `ready_ms` how long after its start, in
    milliseconds, that was a yes. `ended` is how it ended: by SIGTERM `stop_ms` after that, by itself, or stopped.
    """

    said: str
    ready_ms: int | None = None
    ended: Answer = _NOT_ENDED
    stop_ms: int = 0

    @property
    def is_ready(self) -> bool:
        return self.ready_ms is not None


class BuiltJson(msgspec.Struct, frozen=True):
    """`build --json`, one line for an image; `built` is the image's id in the engine, empty where there is none."""

    image: str
    ok: bool
    exit_code: int
    built: str
    platform: str
    arguments: dict[str, str]
    steps: list[GateJson]


class Built(msgspec.Struct, frozen=True):
    """What came of a local build, step by step; the first that refuses is the last."""

    image: str
    steps: tuple[Gate, ...]
    arguments: tuple[tuple[str, str], ...] = ()
    built: str = ""
    platform: str = ""

    @property
    def exit_code(self) -> int:
        """That of the step that refuses, else 0."""
        refusal = first_refusal(self.steps)
        return refusal.exit_code if refusal else 0

    def json(self) -> bytes:
        """One line of JSON, without its end; the shape is BuiltJson's."""
        return msgspec.json.encode(
            BuiltJson(
                image=self.image,
                ok=self.exit_code == 0,
                exit_code=self.exit_code,
                built=self.built,
                platform=self.platform,
                arguments=dict(self.arguments),
                steps=gates_json(self.steps),
            )
        )

    def text(self) -> str:
        """For a person: a line for each step, and what to do where one refuses."""
        lines = [f"{step.verdict}: {step.name}: {short(plain(step.evidence, 1000))}" for step in self.steps]
        lines += [f"  next: {step.next_step}" for step in self.steps if step.refuses]
        return "\n".join(lines)
