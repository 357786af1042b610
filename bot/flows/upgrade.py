"""The main job for one image after the other: observe, decide, act. One image's failure does not stop the others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from bot.core.gates import PINNED_TAG, Gate, first_refusal
from bot.core.model import Image, SourceFile
from bot.core.plan import Blocked, NothingNew, Observed, Outcome, Pinned, Plan, decide
from bot.core.text import plain
from bot.core.versions import Ref
from bot.errors import BotError, Bug, PolicyError
from bot.flows.observe import Files, Upstream, observe, read_pinned, reselect

if TYPE_CHECKING:
    from bot.core.evidence import Evidence
    from bot.core.wire import OutcomeJson
    from bot.flows.gather import Tools


_AGAIN = "Nothing was done. Make the plan again: gateway-bot plan --save FILE."
_CODES = frozenset(range(2, 9))


class Result(msgspec.Struct, frozen=True):
    """An outcome, and what acting on it did: in words, with the pull request's address and text if there is one."""

    outcome: Outcome
    did: str = ""
    url: str = ""
    preview: str = ""
    warnings: tuple[str, ...] = ()
    """What could not be done beside it, in words."""


class Worktree(Files, Protocol):
    """A checkout that can be written."""

    def write(self, before: Mapping[str, SourceFile], contents: Mapping[str, bytes]) -> None: ...


class Ground(msgspec.Struct, frozen=True):
    """What a plan is made on: where files are, which keys may stand in them, where each image comes from."""

    files: Files
    allowed_keys: Mapping[str, frozenset[str]]
    upstream: Callable[[Image], Upstream]
    tools: Tools | None
    """None where nothing can be gathered: then a plan needs evidence from elsewhere."""
    on_ci: bool = False


def plan(
    image: Image, ground: Ground, wanted: Ref | None, given: Evidence | None = None, *, proving: bool = True
) -> Outcome:
    """The decision for an image, with its evidence. An error becomes its outcome, with what was known by then.

    `given` is evidence from elsewhere: it is used where it proves this very candidate, and then nothing is gathered.
    Without `proving` it is the decision alone, on which nobody may act.
    """
    pinned = made = None
    try:
        pinned = read_pinned(image, ground.files, ground.allowed_keys)
        upstream = ground.upstream(image)
        seen = observe(image, pinned, upstream, wanted)
        made = decide(_hastened(seen, upstream, ground, given))
        return _proven(made, ground, upstream, given) if proving and isinstance(made, Plan) else made
    except BotError as error:
        return _blocked(error, image, pinned, made)
    except Exception as error:  # noqa: BLE001 - what is wrong with one image does not hide the others
        return _blocked(Bug.of(error), image, pinned, made)


def _blocked(error: BotError, image: Image, pinned: Pinned | None, made: Outcome | None) -> Blocked:
    plan = made if isinstance(made, Plan) else None
    return Blocked.by(error, image, current=pinned.pin if pinned else None, plan=plan)


def _hastened(seen: Observed, upstream: Upstream, ground: Ground, given: Evidence | None) -> Observed:
    """The same, with a release that need not cool down picked after all: it fixes what is bad enough."""
    policy = seen.image.scan
    if seen.selection.cooling is None or policy is None or policy.override is None:
        return seen
    from bot.flows.haste import urgent  # noqa: PLC0415 - only while a release cools down

    return reselect(seen, upstream, urgent(seen, upstream, ground.tools, given))


def _proven(made: Plan, ground: Ground, upstream: Upstream, given: Evidence | None) -> Outcome:
    """The plan with its evidence, or the first gate that refuses it."""
    image = made.image
    if image.signature is None and image.scan is None and image.config is None:
        return made
    from bot.core.evidence import proves, with_evidence  # noqa: PLC0415 - only where there is a candidate
    from bot.flows.gather import gather  # noqa: PLC0415 - as above

    now = upstream.clock.now()
    why = proves(given, made, now) if given is not None else "it has no evidence"
    if given is not None and not why:
        evidence = given
    elif ground.tools is not None:
        evidence = gather(made, ground.tools, now)
    else:
        raise PolicyError(
            f"the saved plan cannot be used: {why}",
            where=image.name,
            next_step="Nothing was done. Make the plan again: gateway-bot plan --save FILE.",
        )
    proven = with_evidence(made, evidence, on_ci=ground.on_ci)
    refusal = first_refusal(proven.gates)
    return Blocked.at(refusal, proven) if refusal else proven


class Planner(Protocol):
    """Makes the plan of one image anew."""

    def __call__(
        self,
        image: Image,
        ground: Ground,
        wanted: Ref | None,
        given: Evidence | None = None,
        /,
        *,
        proving: bool = True,
    ) -> Outcome: ...


def plan_again(
    claim: OutcomeJson,
    where: str,
    images: Sequence[Image],
    ground: Ground,
    *,
    same_base: bool,
    planned: Planner = plan,
    again: str = _AGAIN,
) -> Outcome:
    """A fresh plan for what a saved one names; refused where the two do not say the same.

    Nothing in the file (`where` is its name) is believed: it chooses the release, everything else is observed
    again. `same_base`: the edits must be the same too.
    """

    def refused(reason: str) -> Blocked:
        return Blocked(claim.image, f"the saved plan {reason}", where, again, exit_code=6)

    from bot.core.wire import differences  # noqa: PLC0415 - only a saved plan needs it

    image = next((image for image in images if image.name == claim.image), None)
    if image is None:
        return refused(f"is for an image {claim.image[:80]!r} that gateway-bot.toml does not have")
    if claim.outcome == "blocked":
        code = claim.exit_code if claim.exit_code in _CODES else 6
        why = f"blocked when it was planned: {claim.reason}"
        digest, ref = (claim.candidate.digest, claim.candidate.ref) if claim.candidate else ("", "")
        moved = tuple(
            Gate(gate.name, "fail", gate.evidence, gate.repeat, code, gate.next_step)
            for gate in claim.gates
            if gate.name == PINNED_TAG and gate.verdict == "fail"
        )
        return Blocked(claim.image, why, claim.where, claim.next_step, code, gates=moved, digest=digest, ref=ref)
    try:
        given = _read(claim)
    except ValueError:
        return refused("was edited: its evidence cannot be read")
    wanted = Ref(claim.candidate.ref) if claim.candidate else None
    fresh = planned(image, ground, wanted, given, proving=claim.outcome != "nothing_new")
    if isinstance(fresh, Plan):
        if claim.candidate is None and claim.outcome != "nothing_new":
            return refused("names no candidate")
        if claim.candidate is None:
            reason = f"nothing was planned; {fresh.candidate.pin.ref}, which is there now, is for the next run"
            return NothingNew(image, fresh.current, reason, fresh.selection, fresh.gates, fresh.current_platforms)
        differ = differences(claim, fresh, same_base=same_base)
        if differ:
            return refused(f"was edited or is out of date: a plan made now says otherwise of {', '.join(differ)}")
    return fresh


def _read(claim: OutcomeJson) -> Evidence | None:
    if bytes(claim.evidence) == b"null":
        return None
    from bot.core.evidence import read_evidence  # noqa: PLC0415 - only a saved plan with gates has some

    return read_evidence(bytes(claim.evidence))


def made_for_these(claims: Sequence[OutcomeJson], images: Sequence[Image], files: Files, where: str) -> None:
    """Raise PolicyError unless the files are those that all of these plans were made from.

    Asked before the first is applied: images may share a file.
    """
    sources = files.read(site.file for image in images for site in image.sites)
    now = {path: hashlib.sha256(source.data).hexdigest() for path, source in sources.items()}
    other = {path for claim in claims for path, digest in claim.bases.items() if now.get(path) != digest}
    if other:
        raise PolicyError(
            f"these files have changed since the saved plan was made: {plain(', '.join(sorted(other)), 300)}",
            where=where,
            next_step="Nothing was done. Make the plan again: gateway-bot plan --save FILE.",
        )


def act(
    outcomes: Iterable[Outcome],
    on_plan: Callable[[Plan], Result],
    on_other: Callable[[NothingNew | Blocked], Result] = Result,
) -> Iterator[Result]:
    """Each outcome acted on. Where that fails, the error is that image's outcome; one that was blocked stays so."""
    for outcome in outcomes:
        try:
            yield on_plan(outcome) if isinstance(outcome, Plan) else on_other(outcome)
        except Exception as error:  # noqa: BLE001 - as above
            failed = error if isinstance(error, BotError) else Bug.of(error)
            if isinstance(outcome, Blocked):
                yield Result(outcome, warnings=(f"GitHub was not brought up to date: {failed}",))
            else:
                made = outcome if isinstance(outcome, Plan) else None
                yield Result(Blocked.by(failed, outcome.image, current=outcome.current, plan=made))


def apply(made: Plan, worktree: Worktree) -> Result:
    """The plan's edits in a checkout, all or nothing. Raises PinError."""
    contents = made.contents
    worktree.write(made.pinned.sources, contents)
    return Result(made, did=f"rewrote {', '.join(contents)}")
