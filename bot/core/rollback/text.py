"""A rollback -> the text of its pull request: what is undone, what comes back, and what keeps it so. Pure."""

from __future__ import annotations

import shlex

from bot.core.findings import finding_sections
from bot.core.holds import said, unhold_command
from bot.core.identity import Identity
from bot.core.notes import release_notes
from bot.core.notes.inline import words
from bot.core.plan import Plan
from bot.core.proposal.names import title
from bot.core.proposal.shown import REBASE, STOP
from bot.core.pull_request import LIMIT, changed_files, gate_lines, unstarted
from bot.core.rollback.back import Back
from bot.core.text import plain

LABEL = "rollback"
RELEASE_LABEL = "release-after-merge"
"""Makes rollback.yml release it when it was merged."""


def body(plan: Plan, identity: Identity | None = None, *, has_theirs: bool = False) -> str:
    """The Markdown of the pull request, at most LIMIT characters; the notes of what is undone are cut first."""
    back = plan.back
    if back is None:
        raise ValueError("it is no rollback")
    parts = (
        _verdict(plan, back),
        _runs_already(plan, back),
        _what_changes(plan, back, has_theirs=has_theirs),
        gate_lines(plan),
        *_comes_back(plan),
        _what_to_do(plan, back),
        unstarted(identity),
    )
    above = "\n\n".join(filter(None, parts))
    what = "comes back" if back.way == "forward" else "is undone"
    opening = f"<details>\n<summary>Release notes of what {what} ({len(plan.notes)})</summary>\n\n"
    closing = "\n\n</details>\n"
    notes = release_notes(plan.notes, LIMIT - len(above) - len(opening) - len(closing) - 2)
    return f"{above}\n\n{opening}{notes}{closing}"


def commit_command(plan: Plan) -> str:
    """What commits a rollback in the work tree, and nothing beside it; to be pasted into a shell."""
    return shlex.join(("git", "commit", "-m", title(plan), "--", *plan.contents))


def _verdict(plan: Plan, back: Back) -> str:
    warn = [gate.name for gate in plan.gates if gate.verdict == "warn"]
    number = len(plan.gates)
    checked = f"{len(warn)} of {number} gates warn ({', '.join(warn)})" if warn else f"all {number} gates passed"
    released = f", which was released as {words(back.released)}" if back.released else ", which was never released"
    return (
        f"**{plan.image.name} goes {back.way} from {plan.current.version} to {plan.candidate.pin.version}**{released}; "
        f"its multi-arch digest is proven and {checked}.\n\n**Why:** {words(plain(back.reason, 500))}"
    )


def _runs_already(plan: Plan, back: Back) -> str:
    if not back.wish.emergency:
        return ""
    return (
        f"> [!WARNING]\n> `{back.wish.emergency}` was pointed at `{plan.candidate.pin.ref}` in an emergency, without a "
        "release. Until this is merged and released, the next deployment undoes that."
    )


def _what_changes(plan: Plan, back: Back, *, has_theirs: bool) -> str:
    current, pin = plan.current, plan.candidate.pin
    holds = [f"puts `{hold.version}` on hold in `{back.settings.path}`" for hold in (back.hold,) if hold]
    holds += [f"takes off the hold of `{hold.version}` ({words(said(hold))})" for hold in back.lifted]
    table = (
        "| | release | digest |\n|---|---|---|\n"
        f"| from | `{current.ref}` | `{current.digest}` |\n"
        f"| {back.way} to | `{pin.ref}` | `{pin.digest}` |\n\n"
    )
    where = ", ".join(f"`{name}`" for name in back.held_at)
    then = f" It also {' and '.join(holds)}." if holds else ""
    return (
        f"{table}Image `{plan.image.repository}`, still in {where}. {changed_files(plan, has_theirs=has_theirs)}{then}"
    )


def _comes_back(plan: Plan) -> tuple[str, ...]:
    """What the scan and the schema say; in a rollback, what is new is what comes back."""
    sections = tuple(finding_sections(plan))
    if not sections:
        return ()
    new, old = plan.candidate.pin.ref, plan.current.ref
    return (f"**What comes back**: below, new is what `{new}` brings back, fixed what goes with `{old}`.", *sections)


def _what_to_do(plan: Plan, back: Back) -> str:
    pin, current = plan.candidate.pin, plan.current
    if back.wish.release:
        then = f" With the label `{RELEASE_LABEL}`, rollback.yml then makes the next patch release and publishes it."
    else:
        then = (
            f" It reaches the service with the next release: the label `{RELEASE_LABEL}` makes one when this is merged."
        )
    stays = f"- `{current.version}` is older than `{pin.version}`, so nothing has to keep it away."
    if back.hold:
        unhold = unhold_command(plan.image.name, back.hold)
        stays = (
            f"- **It stays so**: `{back.hold.version}` is passed over from then on; a newer release is proposed as "
            f"usual, and says that it replaces this rollback. When the reason is gone: `{unhold}`."
        )
    return (
        f"**What to do:**\n\n- **Merge** to pin `{pin.ref}` in all places at once.{then}\n{stays}\n"
        f"- **Close** to stay where you are; `gateway-bot rollback --to {pin.ref}` opens it again.\n"
        f"- **Commit** to this branch if it needs more: the bot then leaves it alone. The label `{REBASE}` asks it to "
        f"go on; `{STOP}` keeps it away.\n"
        f"- **To undo** it after merging: `gateway-bot rollback --to {current.ref}`, or revert the merge."
    )
