"""A status as text: bounded, aligned, inert."""

from __future__ import annotations

from datetime import datetime

import pytest
from msgspec.structs import replace

from bot.core.model import Policy
from bot.core.plan import Blocked, NothingNew, decide
from bot.core.proposal.part import marked
from bot.core.proposal.shown import Commit, PullRequest
from bot.core.runs import Run
from bot.core.status import Cooling, NotAsked, Opened, Passed, Row, Standing, State, Status, merged_gaps, row
from bot.core.status_text import dashboard, markdown, terminal
from bot.core.versions import Ref
from bot.errors import ServiceError
from tests.unit.values import IMAGE, NEW, NOW, OLD, observed, pin, plan

HOSTILE = "@all fixes #1 | <img src=x> `code` [x](http://evil.example) \u202e\x1b[31m\r\n# A heading\n- an item\v"
OPENED = Opened(7, "deps(app): bump", "https://github.com/acme/x/pull/7", "v1.4.1", NOW, False, False)
ROW = Row("app", "v1.3.1", OLD, "v1.4.1", "proposed", "in #7", "Review #7.", 0, (OPENED,))


def status(*rows: Row, run: Run | None = None, missing: tuple[NotAsked, ...] = ()) -> Status:
    return Status("acme/x", rows or (ROW,), "upgrade.yml", run, missing)


def pull(
    number: int, ref: str = "v1.4.1", digest: str = NEW, *, is_open: bool = True, merged: bool = False
) -> PullRequest:
    url, body = f"https://github.com/acme/x/pull/{number}", marked("text", "app", ref, digest)
    return PullRequest(number, url, f"bump to {ref}", body, is_open, merged)


def nothing_new() -> NothingNew:
    made = decide(observed(policy=Policy(allow="<1.4"), digest=None))
    assert isinstance(made, NothingNew)
    return made


@pytest.mark.parametrize(
    ("pulls", "state", "said"),
    [
        ((), "due", "v1.4.1 is not proposed yet"),
        ((pull(1),), "proposed", "in #1"),
        ((pull(2), pull(1, is_open=False)), "proposed", "in #2"),
        ((pull(1, "v1.4.0", OLD),), "proposed", "in #1, which says v1.4.0: the next run moves it to v1.4.1"),
        ((pull(1, is_open=False),), "declined", "v1.4.1 in #1"),
        ((pull(1, is_open=False, merged=True),), "due", "v1.4.1 is not proposed yet"),
        ((pull(1, "v1.4.0", OLD, is_open=False),), "due", "v1.4.1 is not proposed yet"),
        (NotAsked("proposals", "x", "y", 0), "due", "v1.4.1; whether it is proposed was not asked"),
        (
            NotAsked("proposals", "no answer", "y", 4),
            "unknown",
            "v1.4.1 is there; whether it is proposed is not known",
        ),
    ],
)
def test_a_plan_stands_where_its_proposals_stand(
    pulls: tuple[PullRequest, ...] | NotAsked, state: State, said: str
) -> None:
    found = row(IMAGE, plan(), pulls, ())

    assert (found.state, found.said) == (state, said)
    assert (found.ref, found.newest) == ("v1.3.1", "v1.4.1")
    assert found.exit_code == (4 if state == "unknown" else 0)


OURS = Commit("a" * 40, "b" * 40, f"deps\n\nGateway-Bot-Tree: {'b' * 40}", ())
ON_THEIRS = replace(OURS, message=f"{OURS.message}\nGateway-Bot-Keeps: {'c' * 40}")
THEIRS = replace(OURS, message="a change")
NOT_KNOWN = NotAsked("x", "y", "z", 7)
REBASE = frozenset({"rebase"})
OLDER = pull(1, "v1.4.0", OLD)
LEFT = "in #1, which says v1.4.0; the last commit on its branch is not the bot's, so the bot leaves it"
MOVES = "in #1, which says v1.4.0: the next run moves it to v1.4.1"
UNPROPOSED = "v1.4.1 is not proposed: the last commit on gateway-bot/upgrade/app is not the bot's"


@pytest.mark.parametrize(
    ("pulls", "head", "said", "step"),
    [
        ((OLDER,), OURS, MOVES, "Review #1."),
        ((OLDER,), ON_THEIRS, MOVES, "Review #1."),
        ((OLDER,), THEIRS, LEFT, "Merge #1, or give it the label `rebase`: the bot then goes on"),
        ((replace(OLDER, labels=REBASE),), THEIRS, MOVES, "Review #1."),
        ((OLDER,), NOT_KNOWN, "in #1, which says v1.4.0; whether the bot may move it to v1.4.1 is not known", "Review"),
        ((OLDER, pull(2, is_open=False)), OURS, "in #1, which says v1.4.0; v1.4.1 was declined in #2", "Review #1."),
        ((), THEIRS, UNPROPOSED, "Delete branch gateway-bot/upgrade/app to let the bot go on."),
        ((), ON_THEIRS, UNPROPOSED, "Delete branch"),
        ((), OURS, "v1.4.1 is not proposed yet", "The next run proposes it"),
        ((), NOT_KNOWN, "v1.4.1 is not proposed yet", "The next run proposes it"),
        (
            (pull(1, "v1.4.0", OLD, is_open=False),),
            THEIRS,
            UNPROPOSED,
            "Delete branch gateway-bot/upgrade/app to let the bot go on, or give #1 the label `rebase`.",
        ),
        ((replace(OLDER, is_open=False, labels=REBASE),), THEIRS, "v1.4.1 is not proposed yet", "The next run"),
        ((replace(OLDER, is_open=False, merged=True, head_sha="a" * 40),), THEIRS, "v1.4.1 is not proposed yet", "The"),
    ],
)
def test_what_a_person_committed_is_not_promised_to_move(
    pulls: tuple[PullRequest, ...], head: Commit | NotAsked, said: str, step: str
) -> None:
    found = row(IMAGE, plan(), pulls, (), head)

    assert (found.said, found.next_step[: len(step)]) == (said, step)


@pytest.mark.parametrize(("head", "theirs"), [(OURS, False), (THEIRS, True), (NOT_KNOWN, None), (None, None)])
def test_a_proposal_says_whose_commit_is_its_last(head: Commit | NotAsked | None, *, theirs: bool | None) -> None:
    found = row(IMAGE, nothing_new(), (replace(OLDER, head_sha=OURS.sha),), (), head)

    assert found.proposals[0].theirs == theirs
    assert ("with somebody's commit" in terminal(status(found))) == bool(theirs)


@pytest.mark.parametrize(
    "said",
    ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-23:00", "2026-08-20T12:00:00"],
)
def test_a_proposal_made_at_a_time_that_cannot_be_is_since_a_day_that_is_not_known(said: str) -> None:
    found = row(IMAGE, plan(), (replace(OLDER, created=datetime.fromisoformat(said)),), ())

    assert found.proposals[0].since is None
    assert "since a day that is not known" in terminal(status(found))
    assert "since a day that is not known" in markdown(status(found))


@pytest.mark.parametrize(
    ("code", "state"), [(4, "unknown"), (7, "unknown"), (1, "unknown"), (3, "blocked"), (5, "blocked"), (6, "blocked")]
)
def test_what_could_not_be_found_out_is_unknown_and_what_refuses_is_blocked(code: int, state: State) -> None:
    found = row(IMAGE, Blocked("app", "why", "where", "next", code, current=pin()), (), ())

    assert (found.state, found.said, found.next_step) == (state, "why", "next")
    assert found.exit_code == (code if state == "unknown" else 0)


def test_newer_releases_that_are_left_out_on_purpose_are_listed() -> None:
    found = row(IMAGE, nothing_new(), (pull(1, is_open=False), pull(2, "v1.2.0", OLD, is_open=False)), ())

    assert [(passed.ref, passed.reason) for passed in found.passed_over] == [
        ("v1.4.1", "declined in #1"),
        ("v1.4.1", "outside the allowed range <1.4"),
        ("v1.4.0", "outside the allowed range <1.4"),
    ]
    assert (found.state, found.newest) == ("current", "v1.3.1")


def test_the_first_thing_that_is_not_known_is_the_exit_code() -> None:
    missing = NotAsked.by(ServiceError("no answer", where="https://x", next_step="again"), "the last run")
    unknown = replace(ROW, state="unknown", exit_code=7)

    codes = [status().exit_code, status(missing=(missing,)).exit_code, status(unknown, missing=(missing,)).exit_code]

    assert codes == [0, 4, 7]
    assert missing.why == "https://x: no answer"


def test_what_one_error_leaves_unknown_is_said_once() -> None:
    error = ServiceError("no token", where="https://x", next_step="Grant it.")
    gaps = [NotAsked.by(error, what) for what in ("the last run", "alarms", "proposals of app")]
    other = NotAsked("proposals of b", "HTTP 503", "again", 4)

    made = status(replace(ROW, state="unknown", next_step="Grant it."), missing=merged_gaps([*gaps, other]))

    assert [missing.what for missing in made.not_known] == ["the last run, alarms, proposals of app", "proposals of b"]
    for text in (terminal(made), markdown(made)):
        assert (text.count("no token"), text.count("Grant it.")) == (1, 1)


STANDING = (
    Standing("pinned-tag", "app", f"app:v1.3.1 answers with {NEW}", NOW, 3, "https://github.com/acme/x/issues/3"),
    Standing("schedule", "upgrade.yml", "upgrade.yml is off", NOW, 3, "https://github.com/acme/x/issues/3"),
)


def test_alarms_are_shown_with_their_issue_and_a_row_leads_to_it() -> None:
    found = row(IMAGE, plan(), (), STANDING)
    made = replace(status(found), alarms=STANDING)

    screen, page = terminal(made), markdown(made)

    assert (found.state, found.next_step) == ("alarm", "What to do stands in #3.")
    assert "  #3 upgrade.yml: upgrade.yml is off (alarm since 2026-08-20 12:00 UTC)\n" in screen
    assert screen.count("https://github.com/acme/x/issues/3") == 1
    assert "  app: What to do stands in #3." in screen
    assert "- [\\#3](../issues/3) upgrade.yml: upgrade.yml is off (alarm since 2026-08-20 12:00 UTC)" in page
    assert "- app: What to do stands in [\\#3](../issues/3)." in page


def test_digests_are_short_in_a_table_of_markdown() -> None:
    out = markdown(status(replace(ROW, state="alarm", said=f"moved tag: x is {NEW}, the pin says {OLD}")))

    assert f"x is {NEW[:19]}…, the pin says {OLD[:19]}…" in out
    assert max(len(word) for word in out.split()) < 60


def test_each_next_step_is_said_once_with_all_that_it_is_for() -> None:
    due = [replace(ROW, image=f"i{number}", next_step="Go.", proposals=()) for number in range(7)]

    out = markdown(status(ROW, *due))

    assert "### Next\n\n- app: Review [\\#7](../pull/7).\n- i0, i1, i2, i3, i4 and 2 more: Go.\n" in out


def test_only_the_issue_speaks_of_itself() -> None:
    page, whole = markdown(status()), dashboard(status())

    assert page in whole
    assert whole.endswith("\n\nClose this issue if you do not want it.")
    assert not any(word in page for word in ("Close this issue", "keeps this text"))


def test_a_workflow_that_is_not_there_is_said_in_one_line_with_what_to_do() -> None:
    made = replace(status(), no_workflow=True)

    remedy = "name the one that runs by itself: workflow, in the table [watch] of gateway-bot.toml"
    assert f"upgrade.yml: there is no such workflow; {remedy}" in " ".join(terminal(made).split())
    assert f"There is no workflow `upgrade.yml`: {remedy}" in markdown(made)
    assert made.exit_code == 0


def test_a_terminal_shows_everything_in_a_hundred_columns() -> None:
    rows = (
        ROW,
        replace(
            ROW, image="x" * 40, ref=f"v1.0.0-{'y' * 90}", state="blocked", said="long " * 60, next_step="do " * 60
        ),
        replace(ROW, image="cool", state="cooling", cooling=Cooling("v1.5.0", NOW), proposals=()),
        replace(ROW, image="left", passed_over=(Passed("v1.4.0", "declined in #5", "url"),), proposals=()),
    )

    out = terminal(status(*rows, run=Run(NOW, "success", "https://github.com/acme/x/actions/runs/1")))

    headings = [line for line in out.splitlines() if line and not line.startswith(" ")][len(rows) + 1 :]
    assert headings == ["why", "open proposals", "cooling", "passed over on purpose", "last run", "next"]
    assert max(map(len, out.splitlines())) <= 100
    assert "  cool v1.5.0 until 2026-08-20 12:00 UTC" in out
    assert "  https://github.com/acme/x/pull/7" in out


def test_a_dashboard_has_a_row_an_image_and_links_that_leave_no_trace() -> None:
    out = markdown(status(ROW, replace(ROW, image="b", state="current", said="", proposals=())))

    assert "| **app** | `v1.3.1` `sha256:aaaaaaaaaaaa…` | v1.4.1 | ⬆️ proposed: in [\\#7](../pull/7) |" in out
    assert "- app: [\\#7](../pull/7) since 2026-08-20: deps(app): bump" in out
    assert "| **b** |" in out
    assert "github.com" not in out


def test_strangers_words_are_inert_in_a_dashboard_and_plain_in_a_terminal() -> None:
    hostile = replace(OPENED, title=HOSTILE)
    rows = (
        replace(ROW, proposals=(hostile,)),
        replace(ROW, state="unknown", said=HOSTILE, passed_over=(Passed(HOSTILE, HOSTILE),)),
    )
    made = status(*rows, run=Run(NOW, HOSTILE, HOSTILE), missing=(NotAsked(HOSTILE, HOSTILE, HOSTILE, 4),))
    made = replace(made, alarms=(Standing("schedule", HOSTILE, HOSTILE, NOW, 3, "https://x"),))

    page, screen = markdown(made), terminal(made)

    assert not any(sign in page for sign in ("@all", "fixes #1", "<img", "(http://evil", "\u202e", "\x1b"))
    assert not any(sign in screen for sign in ("\u202e", "\x1b"))
    assert not any(line.startswith(("# A", "- an item", "\v")) for line in (*page.splitlines(), *screen.splitlines()))
    table = [line for line in page.splitlines() if line.startswith("| **app**")]
    assert [line.replace("\\|", "").count("|") for line in table] == [5, 5]


@pytest.mark.parametrize("room", [3_000, 60_000])
def test_a_dashboard_of_a_thousand_images_has_room_in_an_issue(room: int) -> None:
    rows = [replace(ROW, image=f"image-{number}", said=HOSTILE * 3, state="unknown") for number in range(1000)]

    out = dashboard(status(*rows), room=room)

    assert len(out) <= room
    assert "more | | | |" in out
    assert "There is more: `gateway-bot status` shows all of it." in out


def test_a_release_whose_date_is_not_known_is_said_so() -> None:
    out = terminal(status(replace(ROW, cooling=Cooling(Ref("v2.0.0"), None))))

    assert "app v2.0.0 until a day that is not known" in out
