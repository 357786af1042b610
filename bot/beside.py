"""Work that goes on meanwhile, and does not keep an interrupted run alive."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import Any, TypeVar

_T = TypeVar("_T")


def settled(*futures: Future[Any]) -> None:
    """Wait for all of them, whatever they bring: an error of one leaves no other at work behind it."""
    for future in futures:
        future.exception()


def beside(work: Callable[[], _T]) -> Future[_T]:
    """Start `work` in a thread of its own. An executor would wait for it at the end, whatever happened."""
    future: Future[_T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised again where the result is asked for
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future
