"""Do all places that hold a pin agree, and is it still what upstream serves?"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from bot.core import gates
from bot.core.checked import Checked, Unchecked
from bot.core.gates import Gate
from bot.core.model import Image
from bot.core.pins.sites import drift, rewrite
from bot.core.plan import Pinned
from bot.core.reference import parse_tag
from bot.errors import BotError
from bot.flows.observe import Upstream, read_pinned
from bot.flows.upgrade import Worktree


def check(
    image: Image,
    worktree: Worktree,
    allowed_keys: Mapping[str, frozenset[str]],
    upstream: Upstream | None,
    *,
    fix: bool,
) -> Checked | Unchecked:
    """Read, compare, and with `fix` repair from the source of truth; an error is this image's answer.

    `upstream` is asked where it is given, and first: what it refuses is not spread to more files.
    """
    try:
        pinned = read_pinned(image, worktree, allowed_keys)
        asked = _asked(image, pinned, upstream) if upstream is not None else ()
        found = drift(image, pinned.held, pinned.pin)
        if not (fix and found) or gates.first_refusal(asked) is not None:
            return Checked(image, pinned.pin, pinned.held, found, (), asked)
        worktree.write(pinned.sources, rewrite(pinned.sources, pinned.held, pinned.pin))
    except BotError as error:
        return Unchecked(image.name, error.what, error.where, error.next_step, error.exit_code)
    return Checked(image, pinned.pin, pinned.held, (), found, asked)


def _asked(image: Image, pinned: Pinned, upstream: Upstream) -> tuple[Gate, ...]:
    found = upstream.registry.first_index(pinned.tags)
    if found is None:
        return (gates.pinned_tag(image, pinned.pin, None, leaving=False),)
    name, index = found
    pin = msgspec.structs.replace(pinned.pin, tag=parse_tag(name))
    asked = (gates.pinned_tag(image, pin, index, leaving=False),)
    return (*asked, gates.platforms(image, pin, index.platforms)) if index.digest == pin.digest else asked
