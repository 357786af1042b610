"""What `hold` and `unhold` did, for a person and as JSON; what an upgrade says of a rollback that it replaces. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Literal

import msgspec

from bot.core.holds import said
from bot.core.model import Hold
from bot.core.text import plain

_REASON = 600
"""Characters shown of a reason with its date: all that the settings allow."""

Did = Literal["added", "changed", "nothing"]


class HoldJson(msgspec.Struct, frozen=True):
    """One hold, as gateway-bot.toml has it; `until` is its last day, in UTC."""

    version: str
    reason: str
    until: date | None
    digest: str | None
    rolled_back_to: str | None
    rolled_back_from: str | None


class HoldDoneJson(msgspec.Struct, frozen=True):
    """The answer of `hold`; `was` is what stood there before, where it was changed."""

    image: str
    file: str
    did: Did
    hold: HoldJson
    was: HoldJson | None
    warnings: tuple[str, ...]


class UnholdDoneJson(msgspec.Struct, frozen=True):
    """The answer of `unhold`: what was taken out, and what the image has left."""

    image: str
    file: str
    removed: tuple[HoldJson, ...]
    left: tuple[HoldJson, ...]
    warnings: tuple[str, ...]


class HoldDone(msgspec.Struct, frozen=True):
    """What became of a hold; `was` is what stood there before, where it was changed."""

    image: str
    file: str
    did: Did
    hold: Hold
    was: Hold | None = None
    warnings: tuple[str, ...] = ()

    def text(self) -> str:
        """For a person at a terminal."""
        line = f"{self.image}: {hold_line(self.hold)}"
        if self.did == "nothing":
            return _joined([f"{line}; {self.file} says so already, nothing to do"], self.warnings)
        before = [f"  before    {hold_line(self.was)}"] if self.was else []
        return _joined([line, *before, _wrote(self.file)], self.warnings)

    def json(self) -> bytes:
        """One line of JSON, without its end; the shape is HoldDoneJson's."""
        was = _json(self.was) if self.was else None
        return msgspec.json.encode(HoldDoneJson(self.image, self.file, self.did, _json(self.hold), was, self.warnings))


class UnholdDone(msgspec.Struct, frozen=True):
    """The holds that were taken out, and those that the image has left."""

    image: str
    file: str
    removed: tuple[Hold, ...]
    left: tuple[Hold, ...] = ()
    warnings: tuple[str, ...] = ()

    def text(self) -> str:
        """For a person at a terminal."""
        lines = [f"{self.image}: no longer {hold_line(hold)}" for hold in self.removed]
        lines += [f"  left      {hold_line(hold)}" for hold in self.left]
        return _joined([*lines, _wrote(self.file)], self.warnings)

    def json(self) -> bytes:
        """One line of JSON, without its end; the shape is UnholdDoneJson's."""
        removed, left = (tuple(map(_json, holds)) for holds in (self.removed, self.left))
        return msgspec.json.encode(UnholdDoneJson(self.image, self.file, removed, left, self.warnings))


def hold_line(hold: Hold) -> str:
    """A hold in one line: what, since which reason, until when."""
    only = f" (only {hold.digest})" if hold.digest else ""
    back = f"; rolled back to {hold.rolled_back_to}" if hold.rolled_back_to else ""
    return f"{plain(hold.version, 200)}{only} {plain(said(hold), _REASON)}{back}"


def replaces_rollback(rolled_back: Sequence[Hold]) -> str:
    """That an upgrade replaces rollbacks, as Markdown in which the reasons are inert; empty where it replaces none."""
    from bot.core.notes.inline import words  # noqa: PLC0415 - only a pull request needs Markdown

    told = [
        f"It replaces the rollback from {words(hold.version)} to {words(str(hold.rolled_back_to))}, which was made for "
        f"this reason: {words(plain(hold.reason, _REASON))}"
        for hold in rolled_back
    ]
    return "\n\n".join(told)


def _json(hold: Hold) -> HoldJson:
    back = hold.rolled_back_to, hold.rolled_back_from
    return HoldJson(hold.version, hold.reason, hold.until, hold.digest, *back)


def _wrote(file: str) -> str:
    return f"  wrote     {file}; commit it, so that the next run knows"


def _joined(lines: Sequence[str], warnings: Sequence[str]) -> str:
    return "\n".join((*lines, *(f"  warning   {plain(warning, 1000)}" for warning in warnings)))
