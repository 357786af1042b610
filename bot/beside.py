"""Work that goes on meanwhile, and does not keep an interrupted run alive."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import Any, TypeVar

_T = TypeVar("_T")
_SLICE_SECONDS = 0.5


class _Heard(Future[_T]):
    """Waits in slices: a signal that comes in the very moment before a wait begins is heard only when that ends."""

    def result(self, timeout: float | None = None) -> _T:
        self._wait(timeout)
        return super().result(None if self.done() else 0.0)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self._wait(timeout)
        return super().exception(None if self.done() else 0.0)

    def _wait(self, timeout: float | None) -> None:
        ends = float("inf") if timeout is None else time.monotonic() + timeout
        while not self.done() and (left := ends - time.monotonic()) > 0:
            try:
                super().exception(min(left, _SLICE_SECONDS))
            except TimeoutError:
                continue


def waited(wait: Callable[[float], bool], seconds: float) -> bool:
    """Whether what `wait` waits for, so many seconds at most, came in that time; in slices, as above."""
    ends = time.monotonic() + seconds
    while (left := ends - time.monotonic()) > 0:
        if wait(min(left, _SLICE_SECONDS)):
            return True
    return False


def settled(*futures: Future[Any]) -> None:
    """Wait for all of them, whatever they bring: an error of one leaves no other at work behind it."""
    for future in futures:
        future.exception()


def beside(work: Callable[[], _T]) -> Future[_T]:
    """Start `work` in a thread of its own. An executor would wait for it at the end, whatever happened."""
    future: Future[_T] = _Heard()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised again where the result is asked for
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future
