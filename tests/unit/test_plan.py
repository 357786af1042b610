from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from bot.core.model import Platform, Policy
from bot.core.pins.sites import Edit
from bot.core.plan import Blocked, NothingNew, Plan, decide
from bot.errors import IntegrityError
from tests.unit.values import (
    FILES,
    IMAGE,
    NEW,
    NOW,
    OLD,
    OTHER,
    PLATFORMS,
    RELEASES,
    index,
    observed,
    pin,
    plan,
    release,
)

AHEAD = ("main.tf", "Dockerfile")
HALF = FILES | {name: FILES[name].replace(OLD, NEW).replace("v1.3.1", "v1.4.1") for name in AHEAD}


def blocked(**changes: object) -> Blocked:
    outcome = decide(observed(**changes))  # type: ignore[arg-type] # passed on as they were given
    assert isinstance(outcome, Blocked)
    return outcome


def test_a_newer_release_is_a_plan_with_all_edits() -> None:
    expected = (
        Edit("versions.env", 1, "v1.3.1", "v1.4.1"),
        Edit("versions.env", 2, OLD, NEW),
        Edit("main.tf", 2, f"ghcr.io/acme/app:v1.3.1@{OLD}", f"ghcr.io/acme/app:v1.4.1@{NEW}"),
        Edit("Dockerfile", 1, f"ghcr.io/acme/app@{OLD}", f"ghcr.io/acme/app@{NEW}"),
    )

    made = plan()

    assert [gate.verdict for gate in made.gates] == ["pass"] * 4
    assert [note.ref for note in made.notes] == ["v1.4.1", "v1.4.0"]
    assert (made.release, made.made, made.wanted) == (RELEASES[0], NOW, None)
    assert expected == made.edits


def test_the_source_of_truth_is_written_last() -> None:
    contents = plan().contents

    assert list(contents) == ["Dockerfile", "main.tf", "versions.env"]
    assert contents["versions.env"] == f"APP_REF=v1.4.1\nAPP_DIGEST={NEW}\n".encode()


def test_what_an_apply_left_half_done_is_completed() -> None:
    made = plan(observed(files=HALF))

    assert {edit.file for edit in made.edits} == {"versions.env"}
    assert list(made.contents) == ["versions.env"]


def test_half_done_towards_another_release_is_drift() -> None:
    outcome = blocked(files=HALF, digest=OTHER)

    assert [(d.file, d.line) for d in outcome.drift] == [("main.tf", 2), ("Dockerfile", 1)]
    assert (outcome.exit_code, outcome.where) == (3, "main.tf:2")


def test_one_half_done_and_one_that_drifted_is_drift_of_that_one() -> None:
    outcome = blocked(files={**HALF, "Dockerfile": FILES["Dockerfile"].replace(OLD, OTHER)})

    assert [d.file for d in outcome.drift] == ["Dockerfile"]
    assert "in 1 place:" in outcome.reason
    assert outcome.exit_code == 3


def test_half_done_without_a_candidate_is_drift() -> None:
    outcome = blocked(files=HALF, releases=RELEASES[2:])

    assert "in 2 places:" in outcome.reason
    assert outcome.exit_code == 3


@pytest.mark.parametrize("found", [index(OTHER), index(OTHER, PLATFORMS[:1])], ids=["moved", "moved and smaller"])
def test_the_moved_tag_comes_before_all_else(found: object) -> None:
    outcome = blocked(pinned_index=found, files=HALF, digest=OLD)

    assert "moved tag" in outcome.reason
    assert outcome.current_platforms == ()
    assert outcome.exit_code == 5


def test_missing_platforms_block() -> None:
    outcome = blocked(platforms=(Platform("linux", "amd64"),))

    assert outcome.candidate is not None
    assert (outcome.exit_code, outcome.reason) == (5, "v1.4.1 lacks linux/arm64; it has linux/amd64")


def test_the_same_digest_is_for_a_person() -> None:
    outcome = blocked(digest=OLD)

    assert outcome.exit_code == 6


def test_nothing_new_is_success_with_its_reason() -> None:
    outcome = decide(observed(RELEASES[2:]))

    assert isinstance(outcome, NothingNew)
    assert outcome.current_platforms == PLATFORMS
    assert outcome.reason == "v1.3.1 is the newest release that the policy allows, of 1 seen"


def test_a_pinned_tag_that_is_gone_blocks_where_nothing_is_new_and_warns_where_something_is() -> None:
    outcome = blocked(releases=RELEASES[2:], pinned_index=None)
    made = plan(observed(pinned_index=None))

    assert [gate.verdict for gate in made.gates] == ["warn", "pass", "pass", "pass"]
    assert made.current_platforms == ()
    assert (outcome.exit_code, "is not in the registry" in outcome.reason) == (5, True)


SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("age", "grace", "ready"),
    [
        (timedelta(0), 24, False),
        (timedelta(hours=24) - SECOND, 24, False),
        (timedelta(hours=24), 24, True),
        (timedelta(hours=24) + SECOND, 24, True),
        (timedelta(hours=-9), 24, False),
        (timedelta(hours=-9), 0, True),
        (timedelta(0), 0, True),
        (timedelta(hours=1) - SECOND, 1, False),
        (timedelta(days=30), 24 * 30, True),
    ],
)
def test_a_release_without_image_is_not_ready_until_its_grace_is_over(
    age: timedelta, grace: int, *, ready: bool
) -> None:
    young = replace(release("v1.4.1"), published=NOW - age)
    seen = observed((young, RELEASES[2]), policy=Policy(grace=timedelta(hours=grace)), digest=None)

    outcome = decide(seen)

    until = f"{NOW - age + timedelta(hours=grace):%Y-%m-%d %H:%M UTC}"
    assert isinstance(outcome, NothingNew) or outcome.exit_code == 5  # type: ignore[union-attr] # never a plan
    assert ready or until in outcome.reason  # type: ignore[union-attr]
    assert ready == isinstance(outcome, Blocked)


def test_a_release_without_date_and_image_is_an_error() -> None:
    outcome = blocked(releases=(replace(RELEASES[0], published=None), RELEASES[2]), digest=None)

    assert outcome.reason == "v1.4.1 has no image: ghcr.io/acme/app:v1.4.1 is not in the registry"
    assert outcome.exit_code == 5


def test_a_release_that_was_asked_for_is_planned() -> None:
    made = plan(observed(wanted="1.4.0"))

    assert (made.candidate.pin.ref, made.wanted) == ("v1.4.0", "1.4.0")
    assert [note.ref for note in made.notes] == ["v1.4.0"]


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ("v1.2.0", "v1.2.0 was asked for: no downgrade, the pin is v1.3.1"),
        ("v9.9.9", "v9.9.9 was asked for: no such release"),
        ("nonsense", "nonsense was asked for: no such release"),
        ("v1.5.0-rc.1", "v1.5.0-rc.1 was asked for: a prerelease or variant (rc.1)"),
    ],
)
def test_what_is_not_allowed_is_said_and_never_done(wanted: str, reason: str) -> None:
    outcome = blocked(releases=(*RELEASES, release("v1.5.0-rc.1")), wanted=wanted)

    assert (6, reason) == (outcome.exit_code, outcome.reason)


@pytest.mark.parametrize("wanted", ["v1.3.1", "1.3.1"])
def test_the_pin_that_was_asked_for_is_there_already(wanted: str) -> None:
    outcome = decide(observed(wanted=wanted))

    assert isinstance(outcome, NothingNew)
    assert outcome.reason == f"{wanted} was asked for, and is the pin"


def test_an_error_becomes_the_outcome_with_what_was_known() -> None:
    error = IntegrityError("it lies", where="there", next_step="Look.")
    made = plan()
    expected = Blocked("app", "it lies", "there", "Look.", 5, current=pin(), repository="ghcr.io/acme/app")

    bare, full = Blocked.by(error, IMAGE, current=pin()), Blocked.by(error, IMAGE, plan=made)

    assert (full.candidate, full.gates, full.selection) == (made.candidate, made.gates, made.selection)
    assert expected == bare


def test_the_same_facts_make_the_same_plan() -> None:
    assert isinstance(plan(), Plan)
    assert plan() == plan()
