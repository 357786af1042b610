from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from bot.core.ledger import Entry, Ledger
from bot.core.ledger_text import FORMAT, markdown, table, to_json
from bot.core.model import Hold
from bot.core.versions import Ref
from tests.unit.ledgers import TODAY, digest, entry, ledger, release

HELD = Hold("1.3.0", "it leaks", until=date(2026, 9, 1), rolled_back_to=Ref("v1.2.0"), rolled_back_from=digest(3))
HOSTILE = "\x1b[31m|`*_[x](http://x.example)<!-- @all #1\u202e\r\n"
LACK = "the clone is shallow: `git fetch --unshallow --tags`"


def story() -> Ledger:
    found = ledger(entry(3, "v0.3.0"), entry(2, "v0.2.1", "v0.2.0"), entry(1, cut=True), lacks=(LACK,), whole=False)
    now = replace(found.entries[0], until=None)
    return replace(
        found,
        entries=(now, *found.entries[1:]),
        elsewhere=(release("v0.2.2", 7, on_base=False), release("v0.1.0", None, unknown="versions.env: gone")),
    )


def hostile() -> Ledger:
    bad = entry(1, by=HOSTILE, subject=HOSTILE)
    released = replace(release("v0.1.0", 1), by=HOSTILE)
    elsewhere = replace(release("v0.2.0", None, unknown=HOSTILE), by=HOSTILE)
    return replace(ledger(replace(bad, releases=(released,)), unreadable=HOSTILE), elsewhere=(elsewhere,))


def test_the_table_says_all_of_a_pin_on_100_columns() -> None:
    shown = table(story(), (HELD,), TODAY)

    assert shown.splitlines() == [
        "app: what main pinned, newest first",
        "",
        "v1.3.0  2026-08-13 12:00 to now               current, on hold",
        f"  {digest(3)}",
        "  brought by #3, 000000000000, Ada: deps: bump",
        "  released as v0.3.0 (2026-08-20, Rita); its commit says of the gates: 1 passed, scan warn",
        "  on hold through 2026-09-01: it leaks",
        "",
        "v1.2.0  2026-08-12 12:00 to 2026-08-20 12:00  known good",
        f"  {digest(2)}",
        "  brought by #2, 000000000000, Ada: deps: bump",
        "  released as v0.2.1 (2026-08-20, Rita), v0.2.0 (2026-08-20, Rita); its commit says of the gates: 1",
        "    passed, scan warn",
        "",
        "v1.1.0  before 2026-08-11 12:00 to 2026-08-20 12:00  never released",
        f"  {digest(1)}",
        "  there already in #1, 000000000000, Ada: deps: bump",
        "  no release; its commit says of the gates: 1 passed, scan warn",
        "",
        "releases that are in no pin of main",
        "  v0.2.2 (2026-08-20, Rita): v1.7.0; main does not reach it, as far as its history is here;",
        f"    {digest(7)}",
        "  v0.1.0 (2026-08-20, Rita): its pin is not known: versions.env: gone",
        "",
        "not known",
        f"  {LACK}",
        "",
        "rollback",
        "  by itself it goes nowhere from here, as not all of the history is; `gateway-bot rollback --to",
        "    VERSION`",
    ]


@pytest.mark.parametrize(
    ("whole", "entries", "ref", "shown"),
    [
        (True, (entry(3), entry(2, "v0.2.0")), "v1.2.0", f"by itself it goes to v1.2.0, {digest(2)}"),
        (True, (entry(3), entry(2)), None, "by itself it goes nowhere: no older pin is known good; "),
        (False, (entry(3), entry(2, "v0.2.0")), None, "by itself it goes nowhere from here, as not all of the history"),
    ],
    ids=["an older pin is known good", "none is", "half a history"],
)
def test_where_a_rollback_goes_by_itself_is_said_alike_everywhere(
    whole: bool,
    entries: tuple[Entry, ...],
    ref: str | None,
    shown: str,
) -> None:
    found = ledger(*entries, whole=whole)
    back = json.loads(to_json(found, (), TODAY))["rollback_to"]

    assert (back and back["ref"]) == ref
    assert shown in " ".join(table(found, (), TODAY).split())
    assert shown.partition(",")[0] in markdown(found, (), TODAY).replace("\\", "")


def test_a_table_is_never_wider_than_a_terminal() -> None:
    wide = replace(story().entries[0], by="x y" * 500, subject="word " * 500, gates=(("gate", "fail"),) * 40)
    shown = table(ledger(wide, unreadable="why " * 400), (Hold("<9", "reason " * 300),), TODAY)

    assert max(map(len, shown.splitlines())) <= 100


def test_where_there_is_no_current_pin_the_table_begins_with_why() -> None:
    shown = table(ledger(entry(2, "v0.2.0"), unreadable="versions.env: there was no such file"), (), TODAY)

    assert shown.splitlines()[2:5] == [
        "now",
        "  no pin can be read at the end of main: versions.env: there was no such file; the last pin that was",
        "    there is v1.2.0",
    ]


def test_many_releases_of_one_pin_are_counted() -> None:
    shown = table(ledger(entry(1, *(f"v0.{number}.0" for number in range(9)))), (), TODAY)

    assert "v0.5.0 (2026-08-20, Rita) and 3 more;" in " ".join(shown.split())


def test_an_empty_ledger_is_a_text() -> None:
    shown = table(ledger(lacks=(LACK,)), (), TODAY), markdown(ledger(lacks=(LACK,)), (), TODAY)

    assert all("it goes nowhere" in text and "--unshallow" in text for text in shown)


def test_strangers_text_acts_nowhere() -> None:
    shown, inert = table(hostile(), (), TODAY), markdown(hostile(), (), TODAY)

    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e]", shown + inert)
    ours = r"`[^`]*`|\[\\#1\]\(\.\./pull/1\)|\*\*[A-Z][^*]*\*\*|^#+ "
    theirs = re.sub(ours, "", inert, flags=re.MULTILINE)
    assert not re.search(r"(?<!\\)[\[<*]|@all|#1|<!--", theirs)
    row = next(line for line in inert.splitlines() if line.startswith("| `v1"))
    assert len(re.findall(r"(?<!\\)\|", row)) == 9


def test_markdown_has_a_row_for_each_pin_and_the_links_of_its_pull_requests() -> None:
    shown = markdown(story(), (HELD,), TODAY, home="https://github.com/acme/gateway")

    row = (
        "| `v1.3.0` | `sha256:000000000000…` | 2026-08-13 12:00 | now | "
        "[\\#3](https://github.com/acme/gateway/pull/3), Ada | v0.3.0 (2026-08-20, Rita) | 1 passed, scan warn | "
        "current, on hold; on hold through 2026-09-01: it leaks |"
    )

    assert shown.splitlines()[:5] == [
        "### app: what main pinned",
        "",
        "| pin | digest | from | to | brought by | released as | gates | state |",
        "|---|---|---|---|---|---|---|---|",
        row,
    ]
    assert "`git fetch --unshallow --tags`" in shown.replace("\\", "")


def test_markdown_keeps_to_its_room_and_says_what_is_cut() -> None:
    many = ledger(*(entry(number % 10, "v0.1.0") for number in range(1000)))
    flooded = replace(many, elsewhere=(release("v9.0.0", None, unknown="why " * 60),) * 900)
    shown = [markdown(each, (), TODAY, room=20_000) for each in (many, flooded)]

    assert all(len(text) < 21_000 and re.search(r"\| and \d+ older \|", text) for text in shown)
    assert "There is more" in shown[1]


def test_the_json_document_holds_what_its_page_says() -> None:
    document = json.loads(to_json(story(), (HELD,), TODAY))
    pinned = {"ref": "v1.3.0", "version": "1.3.0", "digest": digest(3), "tag": "v1.3.0"}

    first = document["entries"][0]

    assert (document["format"], document["image"], document["base"]) == (FORMAT, "app", "main")
    assert (document["current"], document["rollback_to"]) == (pinned, None)
    assert (document["lacks"], document["unreadable"]) == ([LACK], "")
    assert [(each["tag"], each["pin"] and each["pin"]["ref"], each["unknown"]) for each in document["elsewhere"]] == [
        ("v0.2.2", "v1.7.0", ""),
        ("v0.1.0", None, "versions.env: gone"),
    ]
    assert first == {
        "pin": pinned,
        "states": ["current", "on hold"],
        "hold": {
            "version": "1.3.0",
            "reason": "it leaks",
            "until": "2026-09-01",
            "digest": None,
            "rolled_back_to": "v1.2.0",
            "rolled_back_from": digest(3),
        },
        "commit": f"{3:040x}",
        "date": "2026-08-13T12:00:00Z",
        "until": None,
        "by": "Ada",
        "subject": "deps: bump",
        "file": "versions.env",
        "pull_request": 3,
        "gates": [{"name": "digest", "verdict": "pass"}, {"name": "scan", "verdict": "warn"}],
        "releases": [
            {
                "tag": "v0.3.0",
                "commit": "f" * 40,
                "date": "2026-08-20T12:00:00Z",
                "by": "Rita",
                "on_base": True,
                "pin": pinned,
                "unknown": "",
            }
        ],
        "cut": False,
    }


@pytest.mark.parametrize("part", ["JSON", "Of an entry:", "Of a release:"])
def test_every_field_of_the_document_is_on_its_page(part: str) -> None:
    document = json.loads(to_json(story(), (HELD,), TODAY))
    kinds = {"JSON": document, "Of an entry:": document["entries"][0], "Of a release:": document["elsewhere"][0]}
    page = (Path(__file__).parents[2] / "docs" / "history.md").read_text()

    rows = page.split(part + "\n")[1].split("|---|---|\n")[1].split("\n\n")[0]
    named = [name for row in rows.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])]

    assert sorted(kinds[part]) == sorted(named)


def test_a_date_that_nobody_knows_is_none() -> None:
    unknown = replace(release("v0.1.0", None, unknown="the tag names a blob"), date=datetime.fromtimestamp(0, UTC))
    found = replace(ledger(entry(1)), elsewhere=(unknown,))

    assert json.loads(to_json(found, (), TODAY))["elsewhere"][0]["date"] is None
    assert "v0.1.0 (?, Rita)" in table(found, (), TODAY)
