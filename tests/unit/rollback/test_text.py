from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from msgspec.structs import replace

from bot.core.evidence import Evidence, Scans
from bot.core.gates import Gate
from bot.core.identity import Identity
from bot.core.model import Candidate, Hold, SourceFile
from bot.core.pins.sites import edits
from bot.core.plan import Plan
from bot.core.pull_request import LIMIT
from bot.core.reference import Digest, Repository
from bot.core.rollback.back import Back, Wish, way_of, with_settings
from bot.core.rollback.text import LABEL, RELEASE_LABEL, body, commit_command
from bot.core.versions import Ref
from tests.unit.notes.judge import faults
from tests.unit.values import FILES, NEW, NOW, OLD, PLATFORMS, pin, pinned, plan, release
from tests.unit.vulnerabilities.made import finding, scan

SETTINGS = SourceFile("gateway-bot.toml", b'[[image]]\nname = "app"\n')
HOLD = Hold("1.4.1", "5xx", rolled_back_to=Ref("v1.3.1"), rolled_back_from=Digest(NEW))
THEIRS, OURS = Repository("ghcr.io", "acme/app"), Repository("ghcr.io", "acme/ours")
HOSTILE = "@acme/all <!-- fixes #1 [x](https://evil.example) \x1b[31m\n| # `"


def back(
    hold: Hold | None = HOLD,
    *lifted: Hold,
    wish: Wish | None = None,
    reason: str = "5xx",
    released: str = "v0.2.0 of 2026-08-20 by Rita",
    held_at: tuple[Repository, ...] = (THEIRS, OURS),
) -> Back:
    return Back(wish or Wish(), reason, hold, lifted, SETTINGS, released, held_at)


def gone_back(made: Back, current: str = "v1.4.1", target: str = "v1.3.1") -> Plan:
    """A rollback of the usual image, from one release to another."""
    digests = {"v1.3.1": OLD, "v1.4.1": NEW}
    files = {name: text.replace("v1.3.1", current).replace(OLD, digests[current]) for name, text in FILES.items()}
    held, to = pinned(files), pin(target, digests[target])
    way = way_of(held.pin, to)
    return replace(
        plan(),
        pinned=with_settings(held, made),
        current=held.pin,
        candidate=Candidate(to, PLATFORMS),
        edits=edits(held.held, to),
        gates=(Gate("image", "pass", "there", "gateway-bot resolve x"), Gate("platforms", "pass", "two")),
        notes=(replace(release("v1.4.1"), notes="what the newest brought"),),
        back=replace(made, way=way),
    )


def text(made: Back | None = None, **of: str) -> str:
    return body(gone_back(made or back(), **of))


def test_the_order_is_that_in_which_a_maintainer_asks() -> None:
    scans = Scans(scan((), digest=Digest(NEW)), scan([finding()], digest=Digest(OLD)))
    proven = replace(
        gone_back(back()),
        evidence=Evidence("app", Ref("v1.3.1"), Digest(OLD), Digest(NEW), NOW, scans=scans),
    )
    shown = body(proven, Identity("actions", "its own token", checks_start=False, advice="Approve them."))
    order = [
        "**app goes back from 1.4.1 to 1.3.1**, which was released as v0.2.0 of 2026-08-20 by Rita; its multi-arch",
        "digest is proven and all 2 gates passed.",
        "**Why:** 5xx",
        f"| from | `v1.4.1` | `{NEW}` |\n| back to | `v1.3.1` | `{OLD}` |",
        "Image `ghcr.io/acme/app`, still in `ghcr.io/acme/app`, `ghcr.io/acme/ours`. Changes 4 values in ",
        "It also puts `1.4.1` on hold in `gateway-bot.toml`.",
        "- ✅ **image**: there",
        "<summary>Ask again by hand</summary>",
        "**What comes back**: below, new is what `v1.3.1` brings back, fixed what goes with `v1.4.1`.",
        "**Vulnerabilities**: 1 new",
        "**What to do:**",
        "- **Merge** to pin `v1.3.1` in all places at once.",
        "- **It stays so**: `1.4.1` is passed over",
        "- **Close** to stay where you are; `gateway-bot rollback --to v1.3.1` opens it again.",
        "The label `rebase` asks it to go on; `stop-updating` keeps it away.",
        "- **To undo** it after merging: `gateway-bot rollback --to v1.4.1`, or revert the merge.",
        "**Checks do not start by themselves here**: it was opened with its own token. Approve them.",
        "<summary>Release notes of what is undone (1)</summary>",
        "what the newest brought",
    ]

    positions = [shown.index(words) for words in order]

    assert positions == sorted(positions)
    assert shown.endswith("\n\n</details>\n")


def test_what_is_no_rollback_has_no_such_text() -> None:
    with pytest.raises(ValueError, match="no rollback"):
        body(plan())


def test_gates_that_warn_are_counted_and_named() -> None:
    made = gone_back(back())
    warned = replace(made, gates=(*made.gates, Gate("tag", "warn", "moved"), Gate("known-good", "warn", "never")))

    assert "is proven and 2 of 4 gates warn (tag, known-good)." in body(warned)


def test_where_nothing_was_scanned_nothing_comes_back() -> None:
    assert "What comes back" not in text()


def test_what_was_never_released_is_said_to_be_so() -> None:
    assert "**app goes back from 1.4.1 to 1.3.1**, which was never released; " in text(back(released=""))


def test_the_way_up_again_is_told_as_one() -> None:
    lifted = replace(HOLD, until=date(2026, 9, 1))
    shown = text(back(None, lifted), current="v1.3.1", target="v1.4.1")

    assert "**app goes forward from 1.3.1 to 1.4.1**" in shown
    assert f"| from | `v1.3.1` | `{OLD}` |\n| forward to | `v1.4.1` | `{NEW}` |" in shown
    assert "It also takes off the hold of `1.4.1` (on hold through 2026-09-01: 5xx)." in shown
    assert "<summary>Release notes of what comes back (1)</summary>" in shown
    assert "- `1.3.1` is older than `1.4.1`, so nothing has to keep it away.\n" in shown
    assert "It stays so" not in shown


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (back(), " It also puts `1.4.1` on hold in `gateway-bot.toml`.\n"),
        (
            back(HOLD, Hold("1.3.1", "leaks"), Hold(">=1.3.0,<=1.3.1", "slow", rolled_back_to=Ref("v1.2.0"))),
            (
                " It also puts `1.4.1` on hold in `gateway-bot.toml` and takes off the hold of `1.3.1` (on hold: "
                "leaks) and takes off the hold of `>=1.3.0,<=1.3.1` (on hold: slow).\n"
            ),
        ),
        (back(None), "`versions.env`, `main.tf`, `Dockerfile`.\n"),
    ],
    ids=["one is put on", "others are taken off", "none changes"],
)
def test_the_holds_that_change_with_it_are_told(made: Back, said: str) -> None:
    assert said in text(made)


def test_the_hold_is_taken_off_by_a_command_for_exactly_that() -> None:
    held = replace(HOLD, version=">=1.4.0,<=1.4.1", digest=Digest(NEW))

    assert f"`gateway-bot unhold '>=1.4.0,<=1.4.1' --digest {NEW} --image app`" in text(back(held))


@pytest.mark.parametrize("release_it", [True, False])
def test_whether_it_is_released_with_its_merge_is_said(*, release_it: bool) -> None:
    shown = text(back(wish=Wish(release=release_it)))
    asked = f" With the label `{RELEASE_LABEL}`, rollback.yml then makes the next patch release and publishes it."
    not_asked = (
        f" It reaches the service with the next release: the label `{RELEASE_LABEL}` makes one when this is merged."
    )

    assert (asked in shown, not_asked in shown) == (release_it, not release_it)
    assert (LABEL, RELEASE_LABEL) == ("rollback", "release-after-merge")


def test_what_runs_already_is_warned_of() -> None:
    shown = text(back(wish=Wish(emergency="production")))
    warning = (
        "> [!WARNING]\n> `production` was pointed at `v1.3.1` in an emergency, without a release. Until this is merged "
        "and released, the next deployment undoes that.\n\n| | release | digest |"
    )

    assert warning in shown
    assert "[!WARNING]" not in text()


def test_a_persons_commits_are_told() -> None:
    assert "holds what somebody committed" in body(gone_back(back()), has_theirs=True)
    assert "holds what somebody committed" not in text()


@pytest.mark.parametrize(
    "made",
    [
        back(reason=HOSTILE),
        back(HOLD, Hold("1.3.1", HOSTILE)),
        back(released=f"v0.2.0 of 2026-08-20 by {HOSTILE}"),
    ],
    ids=["the reason", "the reason of a hold", "who released it"],
)
def test_what_strangers_wrote_acts_nowhere(made: Back) -> None:
    shown = text(made)

    plain_one = faults(text(back(HOLD, Hold("1.3.1", "x"))))
    assert faults(shown) == plain_one


def test_a_reason_has_its_limit() -> None:
    (line,) = [line for line in text(back(reason="x " * 5000)).splitlines() if line.startswith("**Why:**")]

    assert len(line) < 520


@pytest.mark.parametrize("size", [10, 49_000, 10_000_000])
def test_the_notes_are_cut_and_nothing_above_them_is(size: int) -> None:
    made = gone_back(back())
    notes = tuple(replace(release(f"v1.4.{number}"), notes="* a change\n" * (size // 11)) for number in range(2))
    shown = body(replace(made, notes=notes))

    opening = "<summary>Release notes of what is undone"
    assert len(shown) <= LIMIT
    assert shown.partition(opening)[0] == text().partition(opening)[0]
    assert (len(shown) > LIMIT - 500) == (size > 10)


def test_the_command_commits_what_changed_and_nothing_beside_it(tmp_path: Path) -> None:
    line = commit_command(gone_back(back()))
    shown = subprocess.run(
        ["sh", "-c", f"git() {{ printf '%s\\n' \"$@\"; }}; {line}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()

    assert shown == [
        "commit",
        "-m",
        "revert(app): roll back v1.4.1 to v1.3.1",
        "--",
        "Dockerfile",
        "gateway-bot.toml",
        "main.tf",
        "versions.env",
    ]


@pytest.mark.parametrize(
    ("made", "files", "held"),
    [
        (back(), 4, b'\n[[image.hold]]\nversion = "1.4.1"\n'),
        (back(None), 3, None),
    ],
    ids=["with the hold", "without one"],
)
def test_the_settings_change_with_the_pins_or_not_at_all(made: Back, files: int, held: bytes | None) -> None:
    found = gone_back(made)

    assert len(found.contents) == files
    assert ("gateway-bot.toml" in found.pinned.sources) == (held is not None)
    assert held is None or held in found.contents["gateway-bot.toml"]


def test_a_hold_that_is_lifted_leaves_the_settings_and_the_new_one_comes() -> None:
    lifted = Hold("1.3.1", "leaks")
    settings = SourceFile(
        "gateway-bot.toml",
        SETTINGS.data + b'\n[[image.hold]]\nversion = "v1.3.1"\nreason = "leaks"\n',
    )

    after = replace(back(HOLD, lifted), settings=settings).edited(settings, "app").decode()

    assert 'version = "1.4.1"' in after
    assert "leaks" not in after


Changed = Callable[[Back], Back]


@pytest.mark.parametrize(
    ("change", "changes"),
    [
        (lambda made: made, True),
        (lambda made: replace(made, hold=None), False),
        (lambda made: replace(made, hold=None, lifted=(HOLD,)), True),
    ],
    ids=["a hold is put on", "neither", "one is taken off"],
)
def test_the_settings_are_only_looked_at_where_a_hold_changes(change: Changed, *, changes: bool) -> None:
    assert change(back()).changes_settings == changes


@pytest.mark.parametrize(
    ("current", "target", "expected"), [("v1.4.1", "v1.3.1", "back"), ("v1.3.1", "v1.4.1", "forward")]
)
def test_the_way_is_that_of_the_versions(current: str, target: str, expected: str) -> None:
    assert way_of(pin(current), pin(target)) == expected


def test_another_image_of_the_same_version_is_a_way_back() -> None:
    assert way_of(pin("v1.4.1", NEW), pin("v1.4.1", OLD)) == "back"
