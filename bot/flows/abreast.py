"""The same of many, a few at a time: one that does not answer holds up its neighbours only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import repeat
from threading import Lock
from typing import TypeVar

from bot.beside import beside, settled

AT_ONCE = 8

_Of = TypeVar("_Of")
_Answer = TypeVar("_Answer")


def abreast(ask: Callable[[_Of], _Answer], of: Sequence[_Of]) -> Iterator[_Answer]:
    """The answers in the order of what was asked of. `ask` is called from several threads."""
    for first in range(0, len(of), AT_ONCE):
        asked = [beside(partial(ask, each)) for each in of[first : first + AT_ONCE]]
        yield from (answer.result() for answer in asked)


def side_by_side(work: Callable[[_Of], _Answer], of: Sequence[_Of], at_once: int) -> list[_Answer]:
    """What `work` makes of each, in their order; the next begins as soon as one has ended.

    After the first error nothing new begins; it is raised when what had begun has ended.
    """
    waiting, lock = iter(enumerate(of)), Lock()
    made: dict[int, _Answer] = {}
    failed: list[BaseException] = []

    def next_one() -> tuple[int, _Of] | None:
        with lock:
            return None if failed else next(waiting, None)

    def go_on() -> None:
        while (taken := next_one()) is not None:
            number, each = taken
            try:
                made[number] = work(each)
            except BaseException as error:  # noqa: BLE001 - raised again below
                failed.append(error)

    settled(*(beside(start) for start in repeat(go_on, min(at_once, len(of)))))
    if failed:
        raise failed[0]
    return [made[number] for number in range(len(of))]
