"""The ledger for a terminal, as Markdown, and as one JSON document. Pure. Fields are only ever added."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from textwrap import wrap

import msgspec

from bot.core.holds import hold_on, said
from bot.core.ledger import Entry, Ledger, OurRelease, previous, states
from bot.core.model import Hold, Pin
from bot.core.reference import Digest, Tag
from bot.core.report import code, short
from bot.core.text import plain
from bot.core.versions import Ref

FORMAT = "gateway-bot/history/v1"

_WIDTH = 100
_LISTED = 6
"""Releases of one pin that a person is shown; JSON has all."""


def table(ledger: Ledger, holds: Sequence[Hold], today: date) -> str:
    """At most 100 columns, without colours; `today` is in UTC."""
    lines = [f"{plain(ledger.image, 60)}: what {plain(ledger.base, 60)} pinned, newest first"]
    if ledger.unreadable:
        lines += ["", "now", *_wrapped(_no_current(ledger))]
    width = max((len(_ref(entry.pin)) for entry in ledger.entries), default=0)
    for entry in ledger.entries:
        what = ", ".join(states(entry, ledger, holds, today))
        lines += ["", f"{_ref(entry.pin):<{width}}  {_from(entry)} to {_to(entry, ledger):<16}  {what}"]
        for line in (entry.pin.digest, _brought(entry), _released(entry), *_held(entry, holds, today)):
            lines += _wrapped(line)
    for title, found in _sections(ledger, holds, today):
        lines += ["", title]
        for line in found:
            lines += _wrapped(line)
    return "\n".join(lines)


def markdown(ledger: Ledger, holds: Sequence[Hold], today: date, room: int = 60_000, home: str = "..") -> str:
    """The same, inert, in about `room` characters: the oldest pins are cut first. `home` is where the repository is."""
    lines = [f"### {_words(ledger.image)}: what {_words(ledger.base)} pinned"]
    if ledger.unreadable:
        lines += ["", _words(_no_current(ledger))]
    rest: list[str] = []
    for title, found in _sections(ledger, holds, today):
        rest += ["", f"**{title[:1].upper()}{title[1:]}:**", "", *(f"- {_words(line)}" for line in found)]
    left = max(room - sum(map(len, rest)), room // 2)
    if sum(map(len, rest)) > room // 2:
        rest = [*_fitting(rest, room // 2), "", "There is more: `gateway-bot history` shows all of it."]
    lines += [
        "",
        "| pin | digest | from | to | brought by | released as | gates | state |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for number, entry in enumerate(ledger.entries):
        line = _row(entry, ledger, holds, today, home)
        left -= len(line) + 1
        if left < 0:
            lines.append(f"| and {len(ledger.entries) - number} older | | | | | | | |")
            break
        lines.append(line)
    return "\n".join([*lines, *rest]) + "\n"


class _Pin(msgspec.Struct, frozen=True):
    ref: Ref
    version: str
    digest: Digest
    tag: Tag


class _Gate(msgspec.Struct, frozen=True):
    name: str
    verdict: str


class _Hold(msgspec.Struct, frozen=True):
    version: str
    reason: str
    until: date | None
    digest: Digest | None
    rolled_back_to: Ref | None
    rolled_back_from: Digest | None


class _Release(msgspec.Struct, frozen=True):
    tag: str
    commit: str
    date: datetime | None
    by: str
    on_base: bool
    pin: _Pin | None
    unknown: str


class _Entry(msgspec.Struct, frozen=True):
    pin: _Pin
    states: tuple[str, ...]
    hold: _Hold | None
    commit: str
    date: datetime | None
    until: datetime | None
    by: str
    subject: str
    file: str
    pull_request: int | None
    gates: tuple[_Gate, ...]
    releases: tuple[_Release, ...]
    cut: bool


class _Document(msgspec.Struct, frozen=True):
    format: str
    image: str
    base: str
    current: _Pin | None
    rollback_to: _Pin | None
    entries: tuple[_Entry, ...]
    elsewhere: tuple[_Release, ...]
    lacks: tuple[str, ...]
    unreadable: str


def to_json(ledger: Ledger, holds: Sequence[Hold], today: date) -> bytes:
    """One document, as docs/history.md describes it."""
    back = _previous(ledger, holds, today)
    return msgspec.json.encode(
        _Document(
            format=FORMAT,
            image=ledger.image,
            base=ledger.base,
            current=_pin(ledger.current.pin) if ledger.current else None,
            rollback_to=_pin(back.pin) if back else None,
            entries=tuple(_entry(entry, ledger, holds, today) for entry in ledger.entries),
            elsewhere=tuple(map(_release, ledger.elsewhere)),
            lacks=ledger.lacks,
            unreadable=ledger.unreadable,
        )
    )


def _entry(entry: Entry, ledger: Ledger, holds: Sequence[Hold], today: date) -> _Entry:
    hold = hold_on(holds, entry.pin.version, entry.pin.digest, today)
    return _Entry(
        pin=_pin(entry.pin),
        states=states(entry, ledger, holds, today),
        hold=_hold(hold) if hold else None,
        commit=entry.commit,
        date=_known(entry.date),
        until=_known(entry.until),
        by=entry.by,
        subject=entry.subject,
        file=entry.file,
        pull_request=entry.pull_request,
        gates=tuple(_Gate(name, verdict) for name, verdict in entry.gates),
        releases=tuple(map(_release, entry.releases)),
        cut=entry.cut,
    )


def _release(release: OurRelease) -> _Release:
    return _Release(
        tag=release.tag,
        commit=release.commit,
        date=_known(release.date),
        by=release.by,
        on_base=release.on_base,
        pin=_pin(release.pin) if release.pin else None,
        unknown=release.unknown,
    )


def _pin(pin: Pin) -> _Pin:
    return _Pin(pin.ref, str(pin.version), pin.digest, pin.tag)


def _known(when: datetime | None) -> datetime | None:
    """The beginning of Unix time stands for a date that a commit does not say."""
    return when if when is not None and when.timestamp() != 0 else None


def _wrapped(line: str) -> list[str]:
    """Words stay whole: digests and commands are copied."""
    return wrap(
        plain(line, 2000),
        _WIDTH,
        initial_indent="  ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _sections(ledger: Ledger, holds: Sequence[Hold], today: date) -> list[tuple[str, list[str]]]:
    found = (
        (
            f"releases that are in no pin of {plain(ledger.base, 60)}",
            [_elsewhere(each, ledger) for each in ledger.elsewhere],
        ),
        ("not known", list(ledger.lacks)),
        ("rollback", [_back(ledger, holds, today)]),
    )
    return [(title, lines) for title, lines in found if lines]


def _previous(ledger: Ledger, holds: Sequence[Hold], today: date) -> Entry | None:
    """Where a rollback goes by itself; nowhere, from half a history."""
    return previous(ledger, holds, today) if ledger.whole else None


def _back(ledger: Ledger, holds: Sequence[Hold], today: date) -> str:
    if not ledger.whole:
        return "by itself it goes nowhere from here, as not all of the history is; `gateway-bot rollback --to VERSION`"
    back = previous(ledger, holds, today)
    if back is None:
        return "by itself it goes nowhere: no older pin is known good; `gateway-bot rollback --to VERSION` names one"
    return f"by itself it goes to {_ref(back.pin)}, {back.pin.digest}"


def _no_current(ledger: Ledger) -> str:
    last = f"; the last pin that was there is {_ref(ledger.entries[0].pin)}" if ledger.entries else ""
    return f"no pin can be read at the end of {plain(ledger.base, 60)}: {plain(ledger.unreadable, 300)}{last}"


def _elsewhere(release: OurRelease, ledger: Ledger) -> str:
    pin = _ref(release.pin) if release.pin else f"its pin is not known: {release.unknown}"
    known = ", as far as its history is here" if ledger.lacks else ""
    where = "" if release.on_base else f"; {plain(ledger.base, 60)} does not reach it{known}"
    return f"{_as(release)}: {pin}{where}{f'; {release.pin.digest}' if release.pin else ''}"


def _brought(entry: Entry) -> str:
    pull = f"#{entry.pull_request}, " if entry.pull_request else ""
    when = "there already in" if entry.cut else "brought by"
    return f"{when} {pull}{entry.commit[:12]}, {plain(entry.by, 60) or 'nobody'}: {plain(entry.subject, 120)}"


def _released(entry: Entry) -> str:
    gates = f"; its commit says of the gates: {_gates(entry)}" if entry.gates else ""
    if not entry.releases:
        return f"no release{gates}"
    return f"released as {_listed(entry)}{gates}"


def _listed(entry: Entry) -> str:
    names = ", ".join(_as(release) for release in entry.releases[:_LISTED])
    more = len(entry.releases) - _LISTED
    return f"{names} and {more} more" if more > 0 else names


def _as(release: OurRelease) -> str:
    return f"{plain(release.tag, 60)} ({_day(release.date)}, {plain(release.by, 60) or 'nobody'})"


def _gates(entry: Entry) -> str:
    passed = sum(verdict == "pass" for _, verdict in entry.gates)
    others = [f"{name} {verdict}" for name, verdict in entry.gates if verdict != "pass"]
    return ", ".join([f"{passed} passed", *others])


def _held(entry: Entry, holds: Sequence[Hold], today: date) -> list[str]:
    hold = hold_on(holds, entry.pin.version, entry.pin.digest, today)
    return [said(hold)] if hold else []


def _row(entry: Entry, ledger: Ledger, holds: Sequence[Hold], today: date, home: str) -> str:
    pull = f"[\\#{entry.pull_request}]({home}/pull/{entry.pull_request}), " if entry.pull_request else ""
    what = "; ".join((", ".join(states(entry, ledger, holds, today)), *_held(entry, holds, today)))
    cells = (
        code(_ref(entry.pin)),
        code(short(entry.pin.digest)),
        _from(entry),
        _to(entry, ledger),
        f"{pull}{_words(entry.by)}",
        _words(_listed(entry)),
        _words(_gates(entry)) if entry.gates else "",
        _words(what),
    )
    return f"| {' | '.join(cells)} |"


def _fitting(lines: Sequence[str], room: int) -> list[str]:
    kept = []
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    return kept


def _words(text: str) -> str:
    """Inert, on one line, also in a table."""
    from bot.core.notes.inline import words  # noqa: PLC0415 - brings the Markdown grammar, which a terminal does not need

    return words(plain(text, 500))


def _ref(pin: Pin) -> str:
    return plain(pin.ref, 40)


def _from(entry: Entry) -> str:
    return f"{'before ' if entry.cut else ''}{_minute(entry.date)}"


def _to(entry: Entry, ledger: Ledger) -> str:
    return "now" if entry == ledger.current else _minute(entry.until) if entry.until else "?"


def _hold(hold: Hold) -> _Hold:
    back = hold.rolled_back_to, hold.rolled_back_from
    return _Hold(hold.version, hold.reason, hold.until, hold.digest, *back)


def _minute(when: datetime) -> str:
    known = _known(when)
    return f"{known.astimezone(UTC):%Y-%m-%d %H:%M}" if known else "?"


def _day(when: datetime | None) -> str:
    known = _known(when)
    return f"{known.astimezone(UTC):%Y-%m-%d}" if known else "?"
