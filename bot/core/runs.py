"""A workflow of the repository and its runs, as GitHub Actions shows them. Pure."""

from __future__ import annotations

from datetime import datetime

import msgspec

from bot.errors import ForgeError


class NoWorkflow(ForgeError):
    """The repository is there, and has no such workflow."""


class Workflow(msgspec.Struct, frozen=True):
    """A workflow file; `state` is GitHub's word for whether it runs at all: `active`, `disabled_inactivity`, ..."""

    file: str
    state: str
    created: datetime

    @property
    def is_switched_off(self) -> bool:
        return self.state != "active"


class Run(msgspec.Struct, frozen=True):
    """One run; `state` is its conclusion, or how far it is where it has none yet."""

    started: datetime
    state: str
    url: str
