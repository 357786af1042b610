"""Do all places that hold a pin agree, and is it still what upstream serves?"""

from __future__ import annotations

from collections.abc import Mapping

from bot.core import gates
from bot.core.checked import Checked
from bot.core.gates import Gate
from bot.core.model import Image
from bot.core.pins.sites import drift, rewrite
from bot.flows.observe import Upstream, pinned_index, read_pinned
from bot.flows.upgrade import Worktree


def check(
    image: Image,
    worktree: Worktree,
    allowed_keys: Mapping[str, frozenset[str]],
    upstream: Upstream | None,
    *,
    fix: bool,
) -> Checked:
    """Read, compare, and with `fix` repair from the source of truth. `upstream` is asked where it is given."""
    pinned = read_pinned(image, worktree, allowed_keys)
    found = drift(image, pinned.held, pinned.pin)
    if fix and found:
        contents = rewrite(pinned.sources, pinned.held, pinned.pin)
        worktree.write(pinned.sources, contents)
    asked: tuple[Gate, ...] = ()
    if upstream is not None:
        index = pinned_index(image, pinned.pin, upstream.registry)
        asked = (gates.pinned_tag(image, pinned.pin, index),)
        if index is not None and index.digest == pinned.pin.digest:
            asked += (gates.platforms(image, pinned.pin, index.platforms),)
    return Checked(image, pinned.pin, pinned.held, () if fix else found, found if fix else (), asked)
