"""Does a release that cools down fix what the current image has, badly enough not to wait?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.evidence import Scans
from bot.core.plan import Observed
from bot.core.versions import Ref
from bot.core.vulnerabilities.judge import overriding
from bot.errors import BotError
from bot.flows.gather import Tools, scan
from bot.flows.observe import Upstream, prove

if TYPE_CHECKING:
    from bot.core.evidence import Evidence


def urgent(seen: Observed, upstream: Upstream, tools: Tools | None, given: Evidence | None) -> dict[Ref, str]:
    """The cooling release with the finding for which it does not wait; empty where it waits.

    `given` evidence spares the scan: what it is for is compared later, with the plan that follows. A scan that
    fails leaves the release cooling: that is what it would do without any.
    """
    cooling, policy = seen.selection.cooling, seen.image.scan
    if cooling is None or policy is None:
        return {}
    scans = None
    if given is not None and given.ref == cooling.ref and isinstance(given.scans, Scans):
        scans = given.scans
    elif tools is not None:
        scans = _scanned(seen, upstream, tools)
    try:
        fixed = overriding(scans.changes(), policy, seen.now.date()) if scans else ()
    except ValueError:  # evidence that cannot be compared; `proves` says so of the plan that follows
        return {}
    return {cooling.ref: f"it fixes {fixed[0].id} ({fixed[0].severity})"} if fixed else {}


def _scanned(seen: Observed, upstream: Upstream, tools: Tools) -> Scans | None:
    cooling = seen.selection.cooling
    try:
        candidate = prove(seen.image, cooling, upstream.registry) if cooling else None
        return scan(seen.image, seen.pinned.pin.digest, candidate.pin.digest, tools.scanner) if candidate else None
    except BotError as error:
        tools.log(f"whether {cooling.ref if cooling else ''} is urgent is not known, so it cools down: {error}")
        return None
