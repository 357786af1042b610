"""The same question of many, a few at a time: one that does not answer holds up its neighbours only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from bot.beside import beside

AT_ONCE = 8

_Of = TypeVar("_Of")
_Answer = TypeVar("_Answer")


def abreast(ask: Callable[[_Of], _Answer], of: Sequence[_Of]) -> Iterator[_Answer]:
    """The answers in the order of what was asked of. `ask` is called from several threads."""
    for first in range(0, len(of), AT_ONCE):
        asked = [beside(partial(ask, each)) for each in of[first : first + AT_ONCE]]
        yield from (answer.result() for answer in asked)
