"""The one root of all errors that a user sees. `bot/cli.py` catches it once."""

from __future__ import annotations


class BotError(Exception):
    """What happened, where, and what to do next.

    `where` is a `FILE:LINE`, a URL, or the name of a setting; never a secret.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str, next_step: str) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class Bug(BotError):
    """Exit 1: an error that nobody foresaw. Only its kind and place are told; its text may hold anything."""

    @classmethod
    def of(cls, error: Exception) -> Bug:
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        file = trace.tb_frame.f_code.co_filename.rpartition("/")[2] if trace else "nowhere"
        return cls(
            f"a bug in gateway-bot: {type(error).__name__}",
            where=f"{file}:{trace.tb_lineno}" if trace else file,
            next_step="Report this line with the command that led to it.",
        )


class UsageError(BotError):
    """Exit 2: wrong use or wrong settings."""

    exit_code = 2


class PinError(BotError):
    """Exit 3: the pinned files cannot be read, disagree, or cannot be written."""

    exit_code = 3


class ServiceError(BotError):
    """Exit 4: the network or a service gave up; nothing is known, so nothing was decided."""

    exit_code = 4


class NoEngine(ServiceError):
    """No Docker Engine answers. A policy may say that this does not block."""


class IntegrityError(BotError):
    """Exit 5: what came back is not what it claims to be."""

    exit_code = 5


class PolicyError(BotError):
    """Exit 6: a gate refused."""

    exit_code = 6


class ForgeError(BotError):
    """Exit 7: GitHub refused, or somebody else changed the same thing."""

    exit_code = 7


class ReleaseError(BotError):
    """Exit 8: a release that cannot be made as it was asked for, or that another one contradicts."""

    exit_code = 8
