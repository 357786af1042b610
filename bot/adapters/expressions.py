"""Regular expressions of strangers, tried in a process that can be ended: Python's `re` may take for ever."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import msgspec

from bot.adapters.programs import Programs
from bot.errors import ServiceError

# what bot.core.pins.pattern does with them, so that what ended here ends there
_TRIAL = """
import json, re, sys
from itertools import islice
asked = json.load(sys.stdin)
for pattern, file in asked["patterns"]:
    try:
        list(islice(re.compile(pattern, re.MULTILINE).finditer(asked["texts"][file]), 2))
    except (re.error, OverflowError, RecursionError):
        pass
"""


class Expressions:
    """Tries expressions with the interpreter that runs the bot."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs

    def end(self, patterns: Sequence[tuple[str, str]], texts: Mapping[str, str], seconds: float) -> bool:
        """Whether each pattern is done with its file within `seconds` for all of them; a pattern that is none is.

        `patterns` go with names of files, whose contents are `texts`.
        """
        asked = msgspec.json.encode({"patterns": patterns, "texts": texts})
        try:
            # isolated, and without what is installed: it needs neither, and starts faster
            done = self._programs.run(sys.executable, ["-I", "-S", "-c", _TRIAL], seconds=seconds, stdin=asked)
        except ServiceError:
            return False
        return done.code == 0
