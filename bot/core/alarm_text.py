"""The words of an alarm: in the issue, in its comments, to the webhook, and in the run. Pure.

Nothing here changes while the facts stay the same. Strangers' words in it are inert.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec

from bot.core.alarm import EXIT_CODES, Alarm, Answer, Fine, Memory, NotKnown, Question, Warned, facts
from bot.core.issue_text import Issue
from bot.core.notes.inline import words
from bot.core.notes.neutral import unlinked
from bot.core.text import plain

_TITLES: Mapping[Question, str] = {
    "pinned-tag": "the pinned tag has moved",
    "signature": "the pin's signature no longer verifies",
    "schedule": "nobody looks for new releases",
}
_MENTION = re.compile(r"@(?!sha256:)")


class WatchJson(msgspec.Struct, frozen=True):
    """What `watch --json` prints, one line a question; `state` is fine, warning, alarm or unknown.

    `since` is when an alarm was seen first, `issue` the address of the issue that says it, `acknowledged` whether a
    person has closed that issue; `stands` is what was seen then, where this answer is no alarm and does not end it.
    """

    question: str
    subject: str
    state: str
    reason: str
    where: str = ""
    next_step: str = ""
    since: datetime | None = None
    issue: str = ""
    acknowledged: bool = False
    exit_code: int = 0
    stands: str = ""


def next_step(alarm: Alarm) -> str:
    """What a person does about it."""
    match alarm.question:
        case "pinned-tag":
            return (
                "Do not build or deploy by this tag. Ask upstream why it was pushed again; what is pinned by digest is "
                "still the old image. If the new digest is right, write it into the first of the image's pins, run "
                "`gateway-bot check --fix`, and review that as a new release."
            )
        case "signature":
            return (
                "Do not deploy this image anew until it is understood. Run `gateway-bot verify` yourself; ask upstream "
                "whether the signature was withdrawn. If upstream changed how it signs, change `signature` in "
                "gateway-bot.toml."
            )
        case "schedule":
            return (
                f"Switch it on: on GitHub under Actions, {alarm.subject}, Enable workflow; or "
                f"`gh workflow enable {alarm.subject}`. GitHub switches schedules off after 60 days without activity "
                "in a public repository. If it is on, start it once by hand and look why it does not run."
            )


def again(alarm: Alarm) -> str:
    """The command that asks again."""
    match alarm.question:
        case "pinned-tag":
            return f"gateway-bot check --online --image {alarm.subject}"
        case "signature":
            return f"gateway-bot verify --image {alarm.subject}"
        case "schedule":
            return f"gh run list --workflow {alarm.subject} --event schedule --limit 3"


def issue_text(memory: Memory, room: int) -> str:
    """The bot's part of the issue, of at most `room` characters; what has no room is counted."""
    if not memory.alarms:
        return (
            f"**All is well again** since {_moment(memory.changed)}. When something happens again, the bot opens this "
            "issue again."
        )
    number = len(memory.alarms)
    head = f"**{number} alarm{'s' * (number > 1)}.** `gateway-bot watch` keeps this text current."
    foot = (
        "The bot closes this issue when it is over. Close it yourself to acknowledge what stands here: the same facts "
        "do not open it again, new ones do. Your own words above or below this text stay."
    )
    sections: list[str] = []
    left = room - len(head) - len(foot) - 100
    for alarm in memory.alarms:
        section = _section(alarm)
        left -= len(section) + 2
        if left < 0:
            sections.append(f"And {number - len(sections)} more: `gateway-bot watch` shows all of them.")
            break
        sections.append(section)
    return "\n\n".join((head, *sections, foot))


def news(alarms: Sequence[Alarm], mark: str) -> str:
    """The comment that tells people of alarms that the issue did not have."""
    lines = [f"- {words(plain(alarm.subject, 100))}: {words(plain(alarm.seen, 500))}" for alarm in alarms]
    return "\n".join(["**New:**", "", *lines, "", "The text of the issue says what to do.", "", mark])


def over(alarms: Sequence[Alarm], now: datetime, mark: str) -> str:
    """The comment with which the issue is closed."""
    lines = [f"- {_title(alarm)}, since {_moment(alarm.since)}" for alarm in alarms]
    return "\n".join([f"**Over**, seen on {_moment(now)}:", "", *lines, "", mark])


def unknown_before(now_there: Sequence[Alarm], before: Sequence[Alarm]) -> tuple[Alarm, ...]:
    """The alarms whose facts were not there before."""
    known = facts(before)
    return tuple(alarm for alarm in now_there if not facts([alarm]) <= known)


def told(memory: Memory, repository: str, url: str) -> str:
    """What the webhook is told: Slack's mrkdwn, in which no mention acts and no link of a stranger is one."""
    if not memory.alarms:
        head = f"gateway-bot, {repository}: over, all is well again"
    else:
        head = f"gateway-bot, {repository}: {'the alarm has changed' if memory.told else 'alarm'}"
    lines = [f"• {alarm.subject}: {alarm.seen}" for alarm in memory.alarms[:10]]
    more = [f"• and {len(memory.alarms) - 10} more"] if len(memory.alarms) > 10 else []  # noqa: PLR2004 - a screen
    said = "\n".join(_chat(line) for line in (head, *lines, *more))
    return f"{said}\n{_escaped(plain(url, 300))}" if url.startswith(("https://", "http://")) else said


def line(answer: Answer, alarms: Sequence[Alarm], *, acknowledged: bool) -> str:
    """The answer for a person at a terminal."""
    row = row_of(answer, alarms, "", acknowledged=acknowledged)
    noted = ", acknowledged" if row.acknowledged else ""
    since = f" (alarm since {_moment(row.since)}{noted})" if row.since else ""
    lines = [f"{row.state:<8}{row.subject} {row.question}: {plain(row.reason, 1000)}"]
    if row.stands:
        lines.append(f"        stands: {plain(row.stands, 1000)}")
    lines[-1] += since
    if row.next_step:
        lines.append(f"        next: {plain(row.next_step, 1000)}")
    return "\n".join(lines)


def stays(issue: Issue | None, alarms: Sequence[Alarm]) -> str:
    """What is so of an issue that nothing was done about; empty where no alarm stands."""
    if issue is None or not alarms:
        return ""
    if issue.is_open:
        return f"#{issue.number} stays open"
    return f"#{issue.number} was closed by a person, who has seen it: it stays closed until there is something new"


def row_of(answer: Answer, alarms: Sequence[Alarm], issue: str, *, acknowledged: bool) -> WatchJson:
    """The answer as it stands in JSON. `alarms` are those that stand: one may, although it could not be asked again."""
    about = answer.question, answer.subject
    stands = next((alarm for alarm in alarms if alarm.of == about), None)
    known = acknowledged and stands is not None
    since, issue, seen = (stands.since, issue, stands.seen) if stands else (None, "", "")
    match answer:
        case Fine():
            return WatchJson(*about, "fine", answer.said)
        case Alarm():
            code = 0 if known else EXIT_CODES[answer.question]
            return WatchJson(*about, "alarm", answer.seen, answer.where, next_step(answer), since, issue, known, code)
        case Warned():
            code = EXIT_CODES[answer.question] if stands and not known else 0
            said = answer.said, answer.where, answer.next_step
            return WatchJson(*about, "warning", *said, since, issue, known, code, seen)
        case NotKnown():
            code = EXIT_CODES[answer.question] if stands and not known else answer.exit_code
            said = answer.why, answer.where, answer.next_step
            return WatchJson(*about, "unknown", *said, since, issue, known, code, seen)


def level(row: WatchJson) -> Literal["error", "warning"] | None:
    """How GitHub Actions annotates it: what a person has acknowledged is no error any more."""
    if row.state == "fine":
        return None
    return "warning" if row.acknowledged or (row.state == "warning" and not row.exit_code) else "error"


def summary(rows: Sequence[WatchJson], did: str) -> str:
    """The step summary, as Markdown."""
    cells = (
        f"| {row.state} | {_code(row.subject)} | {row.question} | {_code(reason(row))} | {_code(row.next_step)} |"
        for row in rows
    )
    head = ["### gateway-bot watch", "", "| | of what | question | seen | next |", "|---|---|---|---|---|"]
    return "\n".join([*head, *cells, "", *([words(plain(did, 500)), ""] if did else [])])


def reason(row: WatchJson) -> str:
    """Why a row is as it is, with the alarm that stands all the same."""
    return f"{plain(row.reason, 500)}; the alarm stands: {plain(row.stands, 400)}" if row.stands else row.reason


def _section(alarm: Alarm) -> str:
    return "\n".join(
        (
            f"### {_title(alarm)}",
            "",
            f"- **Seen:** {words(plain(alarm.seen, 500))}",
            f"- **Where:** {_code(alarm.where)}",
            f"- **Since:** {_moment(alarm.since)}, when it was seen first",
            f"- **Next:** {next_step(alarm)}",
            f"- **Ask again:** {_code(again(alarm))}",
        )
    )


def _title(alarm: Alarm) -> str:
    return f"{words(plain(alarm.subject, 100))}: {_TITLES[alarm.question]}"


def _moment(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _code(text: str) -> str:
    return f"`{plain(text, 1000).replace('`', chr(39)).replace('|', '/')}`" if text else ""


def _chat(text: str) -> str:
    return _MENTION.sub("\N{FULLWIDTH COMMERCIAL AT}", _escaped(unlinked(plain(text, 700))))


def _escaped(text: str) -> str:
    """Slack: `&`, `<` and `>` begin links and mentions; other chats read `@name` as well."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
