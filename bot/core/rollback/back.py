"""What a rollback is asked for, and what makes a plan one. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from bot.core.hold_edit import with_hold, without_holds
from bot.core.model import Hold, Pin, SourceFile
from bot.core.reference import Repository
from bot.core.versions import Ref

if TYPE_CHECKING:
    from bot.core.plan import Pinned


class Wish(msgspec.Struct, frozen=True):
    """What a person asked for: a version by name, or none for the newest known-good one; why; and what comes after."""

    to: Ref | None = None
    reason: str = ""
    release: bool = False
    """Whether it is released as soon as it is merged."""
    emergency: str = ""
    """The environment that was pointed at the image already, and that the code has to agree with."""


class Back(msgspec.Struct, frozen=True):
    """What a rollback does beside the pins, and what is known of where it goes."""

    wish: Wish
    reason: str
    hold: Hold | None
    """Put on the release that is left; None where that is older, and so would not be proposed again."""
    lifted: tuple[Hold, ...]
    """Taken off the release that it goes to."""
    settings: SourceFile
    released: str
    """The release of ours that the pin was in, in words; empty where there is none."""
    held_at: tuple[Repository, ...]
    """The repositories that have the image."""
    way: Literal["back", "forward"] = "back"
    """`forward` undoes a rollback."""

    def edited(self, settings: SourceFile, image: str) -> bytes:
        """The settings with the holds as they are afterwards. Raises UsageError where they cannot be edited."""
        data = settings.data
        for hold in self.lifted:
            now = msgspec.structs.replace(settings, data=data)
            data, _ = without_holds(now, image, hold.version, hold.digest, exactly=True)
        return with_hold(msgspec.structs.replace(settings, data=data), image, self.hold) if self.hold else data

    @property
    def changes_settings(self) -> bool:
        return self.hold is not None or bool(self.lifted)


def way_of(current: Pin, target: Pin) -> Literal["back", "forward"]:
    """Whether it goes to a lower version, or undoes that."""
    return "forward" if current.version < target.version else "back"


def with_settings(pinned: Pinned, back: Back) -> Pinned:
    """The pinned files with the settings beside them: they change in one commit, or not at all."""
    if not back.changes_settings or back.settings.path in pinned.sources:
        return pinned
    return msgspec.structs.replace(pinned, sources={**pinned.sources, back.settings.path: back.settings})
