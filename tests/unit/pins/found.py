"""What every kind of pin site owes: offsets that hold the text, and refusals that say what to do next."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from bot.core.model import SourceFile
from bot.core.pins.held import Held
from bot.errors import PinError


def held_in(file: str, content: str | bytes, locate: Callable[[SourceFile], Sequence[Held]]) -> Sequence[Held]:
    """The values that are found, each of them at the bytes that it names."""
    data = content if isinstance(content, bytes) else content.encode()
    found = locate(SourceFile(file, data))
    assert [data[value.start : value.end].decode() for value in found] == [value.text for value in found]
    return found


def refused(find: Callable[[], object]) -> PinError:
    """The refusal, which says what to do next."""
    with pytest.raises(PinError) as raised:
        find()
    assert raised.value.next_step
    return raised.value
