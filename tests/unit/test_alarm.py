"""What is an alarm, which of them stand, what is done about them, and in which words."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from bot.core import alarm_text
from bot.core.alarm import (
    ALARM,
    MAX_ALARMS,
    Action,
    Alarm,
    Answer,
    Close,
    Fine,
    Leave,
    Memory,
    NotKnown,
    Open,
    Reopen,
    Update,
    Warned,
    about_schedule,
    about_signature,
    about_tag,
    exit_code,
    fingerprint,
    next_action,
    remembered,
    standing,
    to_keep,
    to_tell,
)
from bot.core.gates import Unanswered
from bot.core.issue_text import LIMIT, Issue, room, with_part
from bot.core.model import Watch
from bot.core.moment import BEGINNING
from bot.core.runs import Run, Workflow
from bot.core.signature import NotSigned, Signed
from tests.unit.values import IMAGE, NEW, NOW, OLD, OTHER, index, pin

LATER = NOW + timedelta(days=2)
MOVED = Alarm("pinned-tag", "app", f"{OLD} {NEW}", "moved tag: app:v1.3.1", "ghcr.io/acme/app:v1.3.1", NOW)
LOST = Alarm("signature", "app", OLD, "the signature of v1.3.1 no longer verifies", f"ghcr.io/acme/app@{OLD}", NOW)
SILENT = Alarm("schedule", "upgrade.yml", "disabled_inactivity", "upgrade.yml is off", "upgrade.yml", NOW)
UNKNOWN = NotKnown("pinned-tag", "app", "no answer", "ghcr.io", "again", 4)
GONE = Warned("pinned-tag", "app", "not there", "ghcr.io", "ask")
FINE = Fine("pinned-tag", "app", "still there")


def changed(alarm: Alarm, **fields: Any) -> Alarm:
    return msgspec.structs.replace(alarm, **fields)


def issue(*alarms: Alarm, is_open: bool = True, turn: int = 1, told: str = "") -> Issue:
    body = with_part("", ALARM, msgspec.json.encode(Memory(alarms, turn, NOW, told)), "text")
    return Issue(5, "https://github.com/acme/x/issues/5", ALARM.title, body, is_open, (ALARM.label,), True)


def test_the_pinned_tag_is_an_alarm_only_where_it_answers_with_another_digest() -> None:
    answers = [about_tag(IMAGE, pin(), found, NOW) for found in (index(), index(NEW), None)]

    assert [type(answer) for answer in answers] == [Fine, Alarm, Warned]
    assert isinstance(answers[1], Alarm)
    assert (answers[1].fact, answers[1].where) == (f"{OLD} {NEW}", "ghcr.io/acme/app:v1.3.1")


def test_a_signature_is_an_alarm_only_where_the_answer_is_no() -> None:
    signed = Signed(OLD, "identity", "issuer", "bundle", "cosign 3.1.3")

    answers = [about_signature(IMAGE, pin(), a, NOW) for a in (signed, NotSigned("unsigned"), Unanswered("?", "again"))]

    assert [type(answer) for answer in answers] == [Fine, Alarm, NotKnown]


def test_the_words_of_a_program_are_no_part_of_the_fact() -> None:
    answers = [about_signature(IMAGE, pin(), NotSigned(reason), NOW) for reason in ("unsigned", "x" * 5000)]

    assert fingerprint(answers[:1]) == fingerprint(answers[1:])  # type: ignore[arg-type]  # NotSigned makes alarms
    assert all(isinstance(answer, Alarm) and len(answer.seen) < 400 for answer in answers)


@pytest.mark.parametrize(
    ("state", "ran", "made", "expected"),
    [
        ("active", 3, 90, Fine),
        ("active", 3.1, 90, Alarm),
        ("active", -1, 90, Fine),
        ("active", None, 3, Fine),
        ("active", None, 3.1, Alarm),
        ("disabled_inactivity", 0, 90, Alarm),
        ("disabled_manually", 0, 90, Alarm),
        ("deleted", 0, 90, Alarm),
    ],
)
def test_a_schedule_is_silent_after_the_days_that_are_set(
    state: str, ran: float | None, made: float, expected: type[Answer]
) -> None:
    workflow = Workflow("upgrade.yml", state, NOW - timedelta(days=made))
    last = Run(NOW - timedelta(days=ran), "failure", "") if ran is not None else None

    answer = about_schedule(workflow, last, Watch(), NOW)

    assert isinstance(answer, expected)


@pytest.mark.parametrize("days", [4, 40])
def test_silence_is_the_same_fact_from_day_to_day(days: int) -> None:
    workflow, last = Workflow("upgrade.yml", "active", NOW), Run(NOW, "success", "")

    answers = [about_schedule(workflow, last, Watch(), NOW + timedelta(days=d)) for d in (days, days + 1)]

    first, second = (changed(answer, since=NOW) for answer in answers if isinstance(answer, Alarm))
    assert first == second


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (changed(MOVED, since=LATER, seen="in other words"), (MOVED,)),
        (changed(MOVED, since=LATER, fact="another"), (changed(MOVED, since=LATER, fact="another"),)),
        (UNKNOWN, (MOVED,)),
        (GONE, (MOVED,)),
        (FINE, ()),
    ],
)
def test_an_alarm_stands_with_its_date_until_its_question_is_answered_with_yes(
    answer: Answer, expected: tuple[Alarm, ...]
) -> None:
    actual = standing([MOVED], [answer])

    assert expected == actual


@pytest.mark.parametrize("answer", [UNKNOWN, GONE, FINE])
def test_what_is_not_known_is_no_alarm(answer: Answer) -> None:
    assert standing([], [answer]) == ()


@pytest.mark.parametrize(
    ("there", "now_there", "expected"),
    [
        (None, (), Leave()),
        (None, (MOVED,), Open()),
        (issue(MOVED), (MOVED,), Leave()),
        (issue(MOVED), (changed(MOVED, since=LATER, seen="x"),), Leave()),
        (issue(MOVED), (changed(MOVED, fact="x"),), Update(())),
        (issue(MOVED), (MOVED, LOST), Update((LOST,))),
        (issue(MOVED, LOST), (LOST,), Update(())),
        (issue(MOVED), (), Close()),
        (issue(), (), Leave()),
        (issue(), (MOVED,), Update((MOVED,))),
        (issue(is_open=False), (), Leave()),
        (issue(is_open=False), (MOVED,), Reopen()),
        (issue(MOVED, is_open=False), (MOVED,), Leave()),
        (issue(MOVED, is_open=False), (changed(MOVED, fact="x"),), Reopen()),
        (issue(MOVED, is_open=False), (MOVED, LOST), Reopen()),
        (issue(MOVED, LOST, is_open=False), (LOST,), Update(())),
        (issue(MOVED, is_open=False), (), Update(())),
    ],
)
def test_the_issue_follows_the_facts(there: Issue | None, now_there: tuple[Alarm, ...], expected: Action) -> None:
    actual = next_action(there, remembered(there), now_there)

    assert expected == actual


def kept(changed: str = "2026-08-20T12:00:00Z", since: str = "2026-08-20T12:00:00Z", turn: str = "1") -> bytes:
    alarm = b'{"question":"schedule","subject":"x.yml","fact":"f","seen":"s","where":"w","since":"%s"}' % since.encode()
    return b'{"alarms":[%s],"turn":%s,"changed":"%s"}' % (alarm, turn.encode(), changed.encode())


def test_a_memory_that_makes_sense_is_one() -> None:
    body = with_part("", ALARM, kept(changed="2026-08-20T14:00:00+02:00"), "text")

    actual = remembered(msgspec.structs.replace(issue(), body=body))

    assert (actual.turn, actual.changed, [alarm.since for alarm in actual.alarms]) == (1, NOW, [NOW])


NEVER = ("0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-23:00", "9999-12-31T23:59:59Z", "2026-08-20T12:00:00")


@pytest.mark.parametrize(
    "memory",
    [
        b"{}",
        b'{"alarms": 1}',
        b'{"alarms": [{"question": "other"}]}',
        b'{"x": "\xff"}',
        b'{"x": %s}' % (b"[" * 20_000),
        *(kept(changed=when) for when in NEVER),
        *(kept(since=when) for when in NEVER),
        *(kept(turn=turn) for turn in ("-1", "1e300", "9" * 400)),
    ],
    ids=lambda memory: memory[:20].decode(errors="replace"),
)
def test_a_memory_that_somebody_damaged_is_none(memory: bytes) -> None:
    body = with_part("", ALARM, b"{}", "text").replace("{}", memory.decode(errors="replace"))

    actual = remembered(msgspec.structs.replace(issue(), body=body))

    assert actual == Memory()
    assert actual.changed == BEGINNING


@pytest.mark.parametrize(
    ("there", "told", "expected"),
    [
        (issue(MOVED), "", True),
        (issue(MOVED), fingerprint([MOVED]), False),
        (issue(MOVED, LOST), fingerprint([MOVED]), True),
        (issue(MOVED, is_open=False), "", False),
        (issue(is_open=False), fingerprint([MOVED]), True),
        (issue(is_open=False), "", False),
        (None, "", False),
    ],
)
def test_the_webhook_hears_of_what_it_does_not_know(there: Issue | None, told: str, *, expected: bool) -> None:
    memory = msgspec.structs.replace(remembered(there), told=told)

    actual = to_tell(there, memory)

    assert expected == actual


@pytest.mark.parametrize(
    ("answers", "alarms", "acknowledged", "expected"),
    [
        ([FINE], (), False, 0),
        ([GONE], (), False, 0),
        ([UNKNOWN], (), False, 4),
        ([SILENT], (SILENT,), False, 6),
        ([SILENT, MOVED], (SILENT, MOVED), False, 5),
        ([UNKNOWN, SILENT], (SILENT,), False, 6),
        ([UNKNOWN], (MOVED,), False, 5),
        ([MOVED], (MOVED,), True, 0),
        ([MOVED, UNKNOWN], (MOVED,), True, 4),
    ],
)
def test_the_exit_code_is_that_of_the_worst_that_nobody_acknowledged(
    answers: list[Answer], alarms: tuple[Alarm, ...], *, acknowledged: bool, expected: int
) -> None:
    actual = exit_code(answers, alarms, acknowledged=acknowledged)

    assert expected == actual


def text(*alarms: Alarm, space: int = LIMIT) -> str:
    return alarm_text.issue_text(Memory(alarms, 1, NOW), space)


def test_a_moved_tag_is_said_once() -> None:
    answer = about_tag(IMAGE, pin(), index(NEW), NOW)
    assert isinstance(answer, Alarm)

    written = text(answer)

    assert written.count("moved") == 1
    assert f"- **Seen:** ghcr.io/acme/app:v1.3.1 answers with {NEW}, and the pin says {OLD}\n" in written
    assert alarm_text.news([answer], "").count("answers with") == 1
    assert "gateway-bot check --fix" in alarm_text.next_step(answer)


def test_each_alarm_says_what_where_since_and_what_next() -> None:
    body = text(MOVED, LOST, SILENT)

    for alarm in (MOVED, LOST, SILENT):
        assert alarm_text.next_step(alarm) in body
        assert f"`{alarm_text.again(alarm)}`" in body
    assert body.count("**Since:** 2026-08-20 12:00 UTC") == 3
    assert body.startswith("**3 alarms.**")


def test_strangers_words_are_inert() -> None:
    hostile = "@all fixes #1 <img src=x> ``` </details> [x](http://evil.example) \u202e"
    alarm = changed(LOST, seen=hostile, where=f"x`{hostile}|y")
    now = datetime(2026, 8, 20, tzinfo=NOW.tzinfo)

    for written in (text(alarm), alarm_text.news([alarm], "m"), alarm_text.over([alarm], now, "m")):
        prose = [line for line in written.splitlines() if "**Where:**" not in line]
        assert not any(sign in line for line in prose for sign in ("@all", "#1", "<img", "</details>", "\u202e", "```"))
    assert text(alarm).count("`x'@all") == 1


@pytest.mark.parametrize("seen", ["moved tag: " + "sha256:" * 40, "@" * 900])
def test_as_many_alarms_as_there_may_be_fit_into_an_issue(seen: str) -> None:
    many = [changed(MOVED, subject=f"image-{n}", fact=f"{OLD} {OTHER}", seen=seen) for n in range(MAX_ALARMS + 9)]
    there = standing([], many)
    document = to_keep(Memory(there, 1, NOW, "told"))

    written = alarm_text.issue_text(Memory(there, 1, NOW), room("", ALARM, document))

    body = with_part("", ALARM, document, written)
    known = remembered(msgspec.structs.replace(issue(), body=body))
    assert fingerprint(known.alarms) == fingerprint(many[:MAX_ALARMS])
    assert written.count("### image-") > 20
    assert len(body) <= LIMIT


def test_what_has_no_room_is_counted() -> None:
    written = text(*(changed(MOVED, subject=f"image-{n}") for n in range(9)), space=2000)

    shown = written.count("### image-")
    assert 0 < shown < 9
    assert f"And {9 - shown} more: `gateway-bot watch` shows all of them" in written
    assert len(written) <= 2000


def test_what_the_chat_is_told_says_whether_it_begins_changes_or_ends() -> None:
    memories = (Memory((MOVED,)), Memory((MOVED,), told="x"), Memory((), told="x"))

    said = [alarm_text.told(memory, "acme/x", "https://github.com/acme/x/issues/5").splitlines() for memory in memories]

    assert [lines[0] for lines in said] == [
        "gateway-bot, acme/x: alarm",
        "gateway-bot, acme/x: the alarm has changed",
        "gateway-bot, acme/x: over, all is well again",
    ]
    assert [lines[-1] for lines in said] == ["https://github.com/acme/x/issues/5"] * 3


def test_the_chat_is_told_ten_lines_at_most() -> None:
    said = alarm_text.told(Memory(tuple(changed(MOVED, subject=f"i{n}") for n in range(12))), "acme/x", "")

    assert len(said.splitlines()) == 12
    assert said.endswith("and 2 more")


@pytest.mark.parametrize(
    ("answer", "alarms", "acknowledged", "state", "code", "level"),
    [
        (FINE, (), False, "fine", 0, None),
        (GONE, (), False, "warning", 0, "warning"),
        (GONE, (MOVED,), False, "warning", 5, "error"),
        (GONE, (MOVED,), True, "warning", 0, "warning"),
        (UNKNOWN, (), False, "unknown", 4, "error"),
        (UNKNOWN, (MOVED,), False, "unknown", 5, "error"),
        (UNKNOWN, (MOVED,), True, "unknown", 4, "warning"),
        (MOVED, (MOVED,), False, "alarm", 5, "error"),
        (MOVED, (MOVED,), True, "alarm", 0, "warning"),
        (SILENT, (SILENT,), False, "alarm", 6, "error"),
    ],
)
def test_a_row_says_how_bad_it_is(
    answer: Answer, alarms: tuple[Alarm, ...], *, acknowledged: bool, state: str, code: int, level: str | None
) -> None:
    row = alarm_text.row_of(answer, alarms, "url", acknowledged=acknowledged)

    assert (row.state, row.exit_code, alarm_text.level(row)) == (state, code, level)
    assert row.issue == ("url" if alarms else "")
    assert row.since == (NOW if alarms else None)
    assert alarm_text.line(answer, alarms, acknowledged=acknowledged).startswith(state)


@pytest.mark.parametrize("answer", [GONE, UNKNOWN])
def test_what_does_not_end_an_alarm_says_that_it_stands(answer: Answer) -> None:
    row = alarm_text.row_of(answer, (MOVED,), "url", acknowledged=False)
    said = alarm_text.line(answer, (MOVED,), acknowledged=False)

    assert row.stands == MOVED.seen
    assert f"stands: {MOVED.seen} (alarm since 2026-08-20 12:00 UTC)\n" in said
    assert f"the alarm stands: {MOVED.seen}" in alarm_text.summary([row], "")


@pytest.mark.parametrize(
    ("there", "alarms", "expected"),
    [
        (None, (), ""),
        (issue(), (), ""),
        (issue(MOVED), (MOVED,), "#5 stays open"),
        (
            issue(MOVED, is_open=False),
            (MOVED,),
            "#5 was closed by a person, who has seen it: it stays closed until there is something new",
        ),
    ],
)
def test_of_an_issue_that_is_left_it_is_said_why(there: Issue | None, alarms: tuple[Alarm, ...], expected: str) -> None:
    actual = alarm_text.stays(there, alarms)

    assert expected == actual


def test_a_strangers_line_breaks_end_no_cell_and_no_line() -> None:
    hostile = "no answer\r\n\n# A heading\n| x | y |\u2028::error::"
    row = alarm_text.row_of(NotKnown("schedule", "app", hostile, hostile, hostile, 4), (), "", acknowledged=False)

    page = alarm_text.summary([row], hostile).splitlines()

    assert len(page) == len(alarm_text.summary([], "done").splitlines()) + 1
    assert page[4].startswith("| unknown | `app` | schedule | `no answer # A heading / x / y /::error::` |")
