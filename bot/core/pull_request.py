"""The body of the pull request: one screen, in the order in which a maintainer asks. Pure.

Nothing here changes from run to run while the facts stay the same, so that an open pull request is left alone.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from bot.core.findings import finding_sections, urgent_fix, used_fields_of
from bot.core.gates import Gate, Verdict
from bot.core.hold_text import replaces_rollback
from bot.core.holds import rollbacks
from bot.core.identity import Identity
from bot.core.notes import breaking_signs, release_notes
from bot.core.notes.inline import link, words
from bot.core.plan import Plan
from bot.core.proposal.shown import REBASE, STOP
from bot.core.report import short
from bot.core.selection import in_haste

LIMIT = 50_000
"""Characters, of the 65,536 that GitHub takes: the rest is for what people write beside it."""

_MARKS: dict[Verdict, str] = {"pass": "✅", "warn": "⚠️", "fail": "❌", "unknown": "❔"}


def body(plan: Plan, identity: Identity | None = None, *, merges_itself: bool = False, has_theirs: bool = False) -> str:
    """The Markdown of the pull request, at most LIMIT characters; the release notes are cut first.

    `identity`: who opens it, which decides whether workflows run on it without somebody's approval.
    `merges_itself`: the settings let GitHub merge it when its checks have passed. `has_theirs`: a person's commits
    are on the branch, too.
    """
    parts = (
        _verdict(plan),
        replaces_rollback(rollbacks(plan.image.policy.holds, plan.current, plan.candidate.pin)),
        _what_changes(plan, has_theirs=has_theirs),
        gate_lines(plan),
        *finding_sections(plan),
        _signs(plan),
        _what_to_do(plan, merges_itself=merges_itself),
        unstarted(identity),
    )
    above = "\n\n".join(filter(None, parts))
    opening = f"<details>\n<summary>Release notes ({len(plan.notes)})</summary>\n\n"
    closing = "\n\n</details>\n"
    notes = release_notes(plan.notes, LIMIT - len(above) - len(opening) - len(closing) - 2)
    return f"{above}\n\n{opening}{notes}{closing}"


def _verdict(plan: Plan) -> str:
    pin = plan.candidate.pin
    why = next(entry.reason for entry in plan.selection.considered if entry.picked)
    warn = [gate.name for gate in plan.gates if gate.verdict == "warn"]
    number = len(plan.gates)
    checked = f"{len(warn)} of {number} gates warn ({', '.join(warn)})" if warn else f"all {number} gates passed"
    was = plan.current.version
    return (
        f"**{plan.image.name} {pin.version}**, a {was.jump_to(pin.version)} upgrade from {was}, is {why}; "
        f"its multi-arch digest is proven and {checked}.{_haste(plan)}"
    )


def _haste(plan: Plan) -> str:
    """Said as long as the policy has a cooldown, so that the text does not change when it would be over."""
    advisory = in_haste(plan.release, plan.image.policy)
    if advisory:
        return f" It does not wait for the cooldown: its notes name {advisory}."
    fixed = urgent_fix(plan) if plan.image.policy.cooldown else ""
    return f" It need not wait for the cooldown: it fixes {fixed}." if fixed else ""


def _what_changes(plan: Plan, *, has_theirs: bool) -> str:
    current, pin = plan.current, plan.candidate.pin
    published = f"{plan.release.published:%Y-%m-%d %H:%M} UTC" if plan.release.published else "not stated"
    return (
        "| | release | digest |\n|---|---|---|\n"
        f"| from | `{current.ref}` | `{current.digest}` |\n"
        f"| to | `{pin.ref}`{_link(plan)} | `{pin.digest}` |\n\n"
        f"Image `{plan.image.repository}`, published {published}{_cooled(plan)}{_compared(plan)}. "
        f"{changed_files(plan, has_theirs=has_theirs)}"
    )


def changed_files(plan: Plan, *, has_theirs: bool) -> str:
    """How many values change, in which files; `has_theirs` as above."""
    files = ", ".join(f"`{file}`" for file in dict.fromkeys(edit.file for edit in plan.edits))
    theirs = " The branch also holds what somebody committed there; no gate has looked at that." if has_theirs else ""
    return f"Changes {len(plan.edits)} value{'s' if len(plan.edits) != 1 else ''} in {files}.{theirs}"


def _cooled(plan: Plan) -> str:
    """That it waited, in words that stay the same from day to day."""
    days = plan.image.policy.cooldown.days
    if not days or plan.release.published is None or _haste(plan):
        return ""
    return f", {days} day{'s' if days != 1 else ''} of cooldown waited out"


def _compared(plan: Plan) -> str:
    """Upstream's own page of the difference."""
    host = re.match(r"https://([a-z0-9.-]+)/", plan.release.url)
    if not plan.image.github or host is None:
        return ""
    refs = f"{quote(plan.current.ref)}...{quote(plan.candidate.pin.ref)}"
    return f"; {link('all commits between', f'https://{host[1]}/{plan.image.github}/compare/{refs}')}"


def _link(plan: Plan) -> str:
    """The release's page, as inert as everything else that upstream wrote."""
    return f" {link('page', plan.release.url)}" if plan.release.url.startswith("https://") else ""


def gate_lines(plan: Plan) -> str:
    """One line each; the commands that ask again are folded, to be copied in one piece."""
    lines = [f"- {_MARKS[gate.verdict]} **{gate.name}**: {_evidence(gate)}" for gate in plan.gates]
    commands = "\n".join(dict.fromkeys(gate.repeat for gate in plan.gates if gate.repeat))
    again = f"<details>\n<summary>Ask again by hand</summary>\n\n```bash\n{commands}\n```\n\n</details>"
    return "\n".join(lines) + _not_asked(plan) + f"\n\n{again}"


def _evidence(gate: Gate) -> str:
    """Inert, since strangers' words are in it. Who signed is said as the settings say it: to the letter."""
    verified = gate.name == "signature" and gate.verdict == "pass"
    return short(gate.evidence) if verified else words(short(gate.evidence))


def _not_asked(plan: Plan) -> str:
    """The questions that the settings do not ask: a reader should not take silence for a yes."""
    image = plan.image
    tables = (("signature", image.signature), ("scan", image.scan), ("config", image.config))
    names = [f"`{name}`" for name, table in tables if table is None]
    return f"\n- not asked, as gateway-bot.toml has no table for it: {', '.join(names)}" if names else ""


def _signs(plan: Plan) -> str:
    """What in the notes sounds like a breaking change, quoted; no section where nothing does."""
    signs = breaking_signs(plan.notes, used_fields_of(plan))
    return f"**The notes may speak of breaking changes, or of fields of our config:**\n\n{signs}" if signs else ""


def _what_to_do(plan: Plan, *, merges_itself: bool) -> str:
    pin, current = plan.candidate.pin, plan.current
    merge = f"- **Merge** to pin `{pin.ref}` in all places at once."
    if merges_itself:
        merge += " The settings let GitHub do it: while auto-merge is on, when the required checks have passed."
    return (
        f"**What to do:**\n\n{merge}\n"
        "- **Close** to decline it: this version with this digest is not proposed again.\n"
        "- **Commit** to this branch if it needs more: the bot then leaves branch and text alone, and its runs end "
        f"with 7 until you merge. The label `{REBASE}` asks it to go on, or to start from the base again; `{STOP}` "
        "keeps it away.\n"
        f"- **To go back** after merging: `gateway-bot rollback --to {current.ref} --reason WHY`, or the workflow of "
        f"that name. It restores `{current.ref}` everywhere and keeps `{pin.ref}` from being proposed again."
    )


def unstarted(identity: Identity | None) -> str:
    """What to do where workflows do not run on it by themselves; empty where they do, or nobody knows."""
    if identity is None or identity.checks_start is not False:
        return ""
    return f"**Checks do not start by themselves here**: it was opened with {identity.what}. {identity.advice}"
