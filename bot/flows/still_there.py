"""Is an image still there, and where? Its index is asked for by digest, and the manifest of each of its platforms.

A registry that removes what has no tag may leave an index without what it names.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from bot.beside import beside, settled
from bot.core.back import Copy
from bot.core.content import Content
from bot.core.index import NotProven, prove_index
from bot.core.reference import Digest
from bot.errors import BotError, IntegrityError
from bot.flows.abreast import side_by_side
from bot.flows.retag import AT_ONCE, LOOKS, Source, child


def still_there(digest: Digest, places: Sequence[Source]) -> tuple[Copy, ...]:
    """Each place's answer, all asked at once; that a place does not answer is an answer too."""
    asked = [beside(partial(_copy, place, digest)) for place in places]
    settled(*asked)
    return tuple(each.result() for each in asked)


def _copy(place: Source, digest: Digest) -> Copy:
    try:
        found = place.manifest(digest, looks=LOOKS)
        if found is None:
            return Copy(place.repository, "gone")
        return _whole(place, found)
    except IntegrityError as error:
        return Copy(place.repository, "broken", why=error.what)
    except BotError as error:
        return Copy(place.repository, "silent", why=error.what)


def _whole(place: Source, found: Content) -> Copy:
    try:
        index = prove_index(found.body, content_type=found.media_type, header_digest=None, expected=found.digest)
    except NotProven as error:
        return Copy(place.repository, "broken", why=str(error))
    side_by_side(partial(child, place), [each for each in found.children if each.platform is not None], AT_ONCE)
    return Copy(place.repository, "there", index)
