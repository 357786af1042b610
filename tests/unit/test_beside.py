from __future__ import annotations

import threading
import time

import pytest

from bot.beside import beside, settled


def test_a_result_is_waited_for_longer_than_a_slice() -> None:
    let = threading.Event()
    work = beside(lambda: let.wait(0.7))

    assert work.result() is False


def test_a_wait_that_is_bounded_ends_in_time() -> None:
    let = threading.Event()
    work = beside(let.wait)
    began = time.monotonic()

    with pytest.raises(TimeoutError):
        work.result(timeout=0.6)

    assert 0.5 < time.monotonic() - began < 5
    let.set()
    assert work.result(timeout=5) is True


def test_an_error_is_raised_where_the_result_is_asked_for() -> None:
    def fail() -> None:
        raise TimeoutError("its own")

    work = beside(fail)
    settled(work)

    assert str(work.exception()) == "its own"
    with pytest.raises(TimeoutError, match="its own"):
        work.result(timeout=1)
