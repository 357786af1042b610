"""An outcome, rendered for a terminal, a step summary, or as annotations. Pure; JSON is in wire.py."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bot.core.plan import Blocked, NothingNew, Outcome, Plan
from bot.core.selection import Selection
from bot.core.text import plain
from bot.errors import BotError


def word_for(outcome: Outcome) -> str:
    """The outcome in a word, as JSON and the step's outputs have it."""
    match outcome:
        case Plan():
            return "propose"
        case NothingNew():
            return "nothing_new"
        case Blocked():
            return "blocked"


def headline(outcome: Outcome) -> str:
    """What happened, in one line."""
    match outcome:
        case Plan():
            what = f"roll {outcome.back.way}" if outcome.back else "upgrade"
            return f"{outcome.image.name}: {what} {outcome.current.ref} -> {outcome.candidate.pin.ref}"
        case NothingNew():
            return f"{outcome.image.name}: nothing new. {plain(outcome.reason, 1000)}"
        case Blocked():
            return f"{plain(outcome.image, 80)}: blocked. {plain(outcome.reason, 1000)}"


def short(text: str) -> str:
    """Digests cut to twelve digits, for a reader who has them in full elsewhere."""
    return re.sub(r"(sha256:[0-9a-f]{12})[0-9a-f]{52}", r"\1…", text)


def shorter(value: str, plan: Plan) -> str:
    """A pin's value without the repository's name, which a plan says once."""
    return short(value).removeprefix(str(plan.image.repository))


def terminal(outcome: Outcome, *, explain: bool = False) -> str:
    """The outcome for a person at a terminal; `explain` adds every release with its reason."""
    lines = [headline(outcome)]
    match outcome:
        case Plan():
            pin, current = outcome.candidate.pin, outcome.current
            lines += [
                f"  from      {outcome.image.repository}:{current.tag}@{current.digest}",
                f"  to        {outcome.image.repository}:{pin.tag}@{pin.digest}",
                "  edits",
                *(
                    f"    {e.file}:{e.line}: {shorter(e.old, outcome)} -> {shorter(e.new, outcome)}"
                    for e in outcome.edits
                ),
                *(f"    {line}" for line in holds_changed(outcome)),
            ]
        case Blocked():
            lines += [
                f"  where     {plain(outcome.where, 1000)}",
                f"  next      {plain(outcome.next_step, 1000)}",
                *(f"  {d.where}: holds {plain(d.holds, 300)}, expected {d.expected}" for d in outcome.drift),
            ]
        case NothingNew():
            pass
    if outcome.gates:
        lines.append("  gates")
        first = next((gate for gate in outcome.gates if gate.refuses), None)
        for gate in outcome.gates:
            lines.append(f"    {gate.verdict:<7} {gate.name}: {short(plain(gate.evidence, 1000))}")
            if gate.refuses and gate is not first:  # the first one's stands above
                lines.append(f"            next: {plain(gate.next_step, 1000)}")
    made = outcome if isinstance(outcome, Plan) else outcome.refused if isinstance(outcome, Blocked) else None
    if made is not None and made.evidence is not None:
        from bot.core.findings import finding_lines  # noqa: PLC0415 - only where there is a candidate

        lines += [f"  {line}" for line in finding_lines(made)]
    if explain and outcome.selection is not None:
        lines += ["  releases", *_explained(outcome.selection)]
    return "\n".join(lines)


def holds_changed(plan: Plan) -> list[str]:
    """What a rollback does to the holds; nothing for an upgrade."""
    back = plan.back
    if back is None:
        return []
    path, lines = back.settings.path, [f"takes off the hold of {hold.version}" for hold in back.lifted]
    lines += [f"puts {hold.version} on hold: {plain(hold.reason, 500)}" for hold in (back.hold,) if hold]
    return [f"{path}: {line}" for line in lines]


def summary(outcome: Outcome, did: str = "", url: str = "", warnings: Sequence[str] = ()) -> str:
    """The outcome as Markdown for a step summary; every value in it was parsed, or stands in code."""
    lines = [f"### {headline(outcome)}" if isinstance(outcome, Plan) else f"### {code(headline(outcome))}"]
    if did:
        lines.append(code(did))
    if re.fullmatch(r"https?://[\w.:/-]+", url):
        lines.append(f"<{url}>")
    lines += [f"**Warning:** {code(warning)}" for warning in warnings]
    if isinstance(outcome, Blocked):
        lines += [f"**Where:** {code(outcome.where)}", f"**Next:** {code(outcome.next_step)}"]
        lines += [f"- {code(f'{d.where}: holds {d.holds}, expected {d.expected}')}" for d in outcome.drift]
    if isinstance(outcome, Plan):
        lines.append(
            "| file | old | new |\n|---|---|---|"
            + "".join(f"\n| {code(f'{e.file}:{e.line}')} | {code(e.old)} | {code(e.new)} |" for e in outcome.edits)
        )
        lines += [f"- {code(line)}" for line in holds_changed(outcome)]
    if outcome.gates:
        lines.append(
            "| gate | verdict | evidence |\n|---|---|---|"
            + "".join(f"\n| {gate.name} | {gate.verdict} | {code(gate.evidence)} |" for gate in outcome.gates)
        )
    made = outcome if isinstance(outcome, Plan) else outcome.refused if isinstance(outcome, Blocked) else None
    if made is not None and made.evidence is not None:
        from bot.core.findings import finding_sections  # noqa: PLC0415 - as above

        lines += finding_sections(made)
    return "\n\n".join(lines) + "\n"


def stopped(error: BotError) -> str:
    """For the step summary: what stopped a command before it had an answer."""
    return f"### {code(f'{error.where}: {error.what}')}\n\n**Next:** {code(error.next_step)}\n"


def _explained(selection: Selection) -> list[str]:
    width = max((len(plain(entry.ref, 60)) for entry in selection.considered), default=0)
    return [
        f"    {'*' if entry.picked else ' '} {plain(entry.ref, 60):<{width}}  {plain(entry.reason, 200)}"
        for entry in selection.considered
    ]


def code(text: str) -> str:
    """One line in code, whatever is in it, also inside a table."""
    return f"`{plain(text, 2000).replace('`', chr(39)).replace('|', '/')}`"
