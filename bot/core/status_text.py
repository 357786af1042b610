"""The status for a terminal, and as the Markdown of the dashboard. Pure.

The dashboard holds no time of the run itself: it changes when something has changed. Of the last run it says how it
ended, and links to the list of runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from textwrap import wrap
from typing import Literal

from bot.core.issue_text import Topic
from bot.core.notes.inline import words
from bot.core.report import short
from bot.core.status import Opened, Row, State, Status
from bot.core.text import plain

DASHBOARD = Topic("dashboard", "gateway-bot-dashboard", "gateway-bot: dashboard")

Place = Literal["pull", "issues"]

_WIDTH = 100
_COLUMNS = (24, 20, 20)
_EXPLAINED: frozenset[State] = frozenset({"alarm", "blocked", "not ready", "unknown"})
_NAME_IT = "name the one that runs by itself: workflow, in the table [watch] of gateway-bot.toml"
_MARKS: dict[State, str] = {
    "current": "✅",
    "due": "⬆️",
    "proposed": "⬆️",
    "cooling": "⏳",
    "declined": "✋",
    "not ready": "⏳",
    "blocked": "❌",
    "alarm": "🚨",
    "unknown": "❔",
}


def terminal(status: Status) -> str:
    """At most 100 columns, addresses aside, and without colours."""
    rows = [("image", "pin", "newest", "state")]
    rows += [(row.image, row.ref or "?", row.newest or "?", row.in_words) for row in status.images]
    widths = [min(max(len(plain(row[column], limit)) for row in rows), limit) for column, limit in enumerate(_COLUMNS)]
    left = _WIDTH - sum(widths) - 2 * len(widths)
    lines = [_aligned(row, widths, left) for row in rows]
    for title, found in _sections(status, left):
        lines += ["", title]
        for line in found:
            lines += _wrapped(line)
    return "\n".join(lines)


def dashboard(status: Status, room: int = 60_000) -> str:
    """What the dashboard issue says, in at most `room` characters."""
    head = "`gateway-bot status --publish` keeps this text current. Your own words above or below it stay."
    foot = "Close this issue if you do not want it."
    return "\n\n".join((head, markdown(status, room - len(head) - len(foot) - 4), foot))


def markdown(status: Status, room: int = 60_000, home: str = "..") -> str:
    """The status in at most `room` characters. `home` is where the repository is.

    A relative address leaves no trace on a pull request, as one that names the repository would.
    """
    parts = (
        _listed("Alarms", [_linked(line, home, "issues") for line in _alarms(status)]),
        _listed("Next", [_linked(line, home, kind) for line, kind in _next(status)]),
        _listed(
            "Open proposals",
            [
                _linked(f"{row.image}: #{p.number} {_of(p)}", home) + f": {_cell(p.title)}"
                for row, p in _proposals(status)
            ],
        ),
        _listed("Cooling", [_cell(line) for line in _cooling(status)]),
        _listed(
            "Passed over on purpose",
            [_linked(f"{row.image} {p.ref}: {p.reason}", home) for row in status.images for p in row.passed_over],
        ),
        _listed("Not known", [_cell(f"{missing.what}: {missing.why}") for missing in status.not_known]),
        _runs(status, home),
    )
    rest = "\n\n".join(filter(None, parts))
    if len(rest) > room // 2:
        rest = f"{rest[: room // 2].rpartition(chr(10))[0]}\n\nThere is more: `gateway-bot status` shows all of it."
    table = ["| image | pin | newest allowed | state |", "|---|---|---|---|"]
    left = room - len(rest) - 200
    for number, row in enumerate(status.images):
        line = _row(row, home)
        left -= len(line) + 1
        if left < 0:
            table.append(f"| and {len(status.images) - number} more | | | |")
            break
        table.append(line)
    return "\n\n".join(("\n".join(table), rest))


def _wrapped(line: str) -> list[str]:
    """Words stay whole: addresses and digests are copied."""
    return wrap(
        plain(line, 2000),
        _WIDTH,
        initial_indent="  ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _aligned(row: Sequence[str], widths: Sequence[int], left: int) -> str:
    cells = [f"{plain(cell, width):<{width}}" for cell, width in zip(row, widths, strict=False)]
    return "  ".join((*cells, plain(row[-1], left)))


def _sections(status: Status, left: int) -> Iterable[tuple[str, list[str]]]:
    """What the table does not say, or not to its end: it has `left` columns for the state."""
    images = status.images
    alarmed = {alarm.subject for alarm in status.alarms if alarm.question != "schedule"}
    why = [row for row in images if row.image not in alarmed]
    found = (
        ("alarms", [*_alarms(status), *dict.fromkeys(alarm.issue for alarm in status.alarms)]),
        ("why", [f"{row.image}: {row.said}" for row in why if row.state in _EXPLAINED or len(row.in_words) > left]),
        (
            "open proposals",
            [
                line
                for row, p in _proposals(status)
                for line in (f"#{p.number} {row.image}: {p.title}, {_of(p)}", p.url)
            ],
        ),
        ("cooling", _cooling(status)),
        ("passed over on purpose", [f"{row.image} {p.ref}: {p.reason}" for row in images for p in row.passed_over]),
        ("last run", [_last_run(status)]),
        ("not known", [f"{missing.what}: {missing.why}" for missing in status.not_known]),
        ("next", [line for line, _ in _next(status)]),
    )
    return ((title, lines) for title, lines in found if lines)


def _proposals(status: Status) -> list[tuple[Row, Opened]]:
    return [(row, pull) for row in status.images for pull in row.proposals]


def _alarms(status: Status) -> list[str]:
    return [f"#{a.number} {a.subject}: {short(a.seen)} (alarm since {_moment(a.since)})" for a in status.alarms]


def _next(status: Status) -> list[tuple[str, Place]]:
    """Each step once, with all that it is for; and where the numbers in it lead."""
    steps: dict[tuple[str, Place], list[str]] = {}
    for row in status.images:
        steps.setdefault((row.next_step, "issues" if row.state == "alarm" else "pull"), []).append(row.image)
    for missing in status.not_known:
        whom = steps.setdefault((missing.next_step, "pull"), [])
        if not whom:  # an image that waits for the same is named already
            whom.append(missing.what)
    return [(f"{_few(whom)}: {step}", place) for (step, place), whom in steps.items() if step]


def _few(names: Sequence[str]) -> str:
    return f"{', '.join(names[:5])} and {len(names) - 5} more" if len(names) > 5 else ", ".join(names)  # noqa: PLR2004 - a line


def _of(pull: Opened) -> str:
    marks = [
        *(["draft"] if pull.draft else []),
        *(["stopped by its label"] if pull.stopped else []),
        *(["with somebody's commit"] if pull.theirs else []),
    ]
    return ", ".join((f"since {_day(pull.since)}", *marks))


def _cooling(status: Status) -> list[str]:
    return [f"{row.image} {row.cooling.ref} until {_moment(row.cooling.until)}" for row in status.images if row.cooling]


def _last_run(status: Status) -> str:
    run = status.last_run
    if status.no_workflow:
        return f"{status.workflow}: there is no such workflow; {_NAME_IT}"
    if run is None:
        return f"{status.workflow}: none is known"
    return f"{status.workflow}: {_moment(run.started)}, {plain(run.state, 40)}, {plain(run.url, 300)}"


def _row(row: Row, home: str) -> str:
    pin = f"{_code(row.ref)} {_code(short(row.digest))}" if row.ref else "?"
    newest = _cell(row.newest) if row.newest else "?"
    text = short(row.in_words)
    said = _linked(text, home) if row.state in {"proposed", "declined", "due"} else _cell(text)
    return f"| **{_cell(row.image)}** | {pin} | {newest} | {_MARKS[row.state]} {said} |"


def _listed(title: str, lines: Sequence[str]) -> str:
    return "\n".join((f"### {title}", "", *(f"- {line}" for line in lines))) if lines else ""


def _runs(status: Status, home: str) -> str:
    if status.no_workflow:
        return f"There is no workflow {_code(status.workflow)}: {_NAME_IT}"
    ended = f"ended with {_cell(status.last_run.state)}" if status.last_run is not None else "is not known"
    return f"The last run of [{status.workflow}]({home}/actions/workflows/{status.workflow}) {ended}."


def _cell(text: str) -> str:
    """Inert, on one line, also in a table."""
    return words(plain(text, 500))


def _linked(text: str, home: str, place: Place = "pull") -> str:
    """The same, with the numbers of pull requests, or of issues, as links."""
    return re.sub(r"\N{FULLWIDTH NUMBER SIGN}([0-9]{1,10})", rf"[\\#\1]({home}/{place}/\1)", _cell(text))


def _code(text: str) -> str:
    return f"`{plain(text, 200).replace('`', chr(39)).replace('|', '/')}`"


def _day(when: datetime | None) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%d}" if when else "a day that is not known"


def _moment(when: datetime | None) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if when else "a day that is not known"
