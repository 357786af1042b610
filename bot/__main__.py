"""The program: what is installed as `gateway-bot`. It hears signals before it loads the rest, which takes a while."""

from __future__ import annotations

import os
import signal
import sys

_TOLD_TO_END = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_INTERRUPTED = 130


def entry() -> int:
    """Run the command that was asked for; its exit code.

    Told to end, it ends as if it was interrupted: what it started goes with it. What whoever started it made it deaf
    to, as nohup does, it stays deaf to.
    """
    heard = [told for told in _TOLD_TO_END if signal.getsignal(told) is not signal.SIG_IGN]
    for told in heard:
        signal.signal(told, _end)
    from bot.cli import main  # noqa: PLC0415 - only now: an error of an import would be a traceback

    try:
        for told in heard:
            signal.signal(told, signal.default_int_handler)
        return main()
    except KeyboardInterrupt:  # just before or just after what `main` itself answers for
        return _INTERRUPTED


def _end(_signal: int, _frame: object) -> None:
    """At once: nothing was begun, and an exception in the middle of an import is not always passed on."""
    try:
        os.write(2, b"interrupted: nothing was begun\n")
    finally:
        os._exit(_INTERRUPTED)


if __name__ == "__main__":
    sys.exit(entry())
