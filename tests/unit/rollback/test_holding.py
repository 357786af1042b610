from __future__ import annotations

from datetime import date, timedelta

import pytest
from msgspec.structs import replace

from bot.core.model import Hold, Pin, Policy, Release
from bot.core.reference import Digest
from bot.core.rollback.holding import (
    held_by_hand,
    hold_of,
    is_rolled_back_to,
    lifted_by,
    reason_of,
    widened,
)
from bot.core.versions import Ref
from bot.errors import PolicyError
from tests.unit.values import NEW, NOW, OLD, OTHER, pin, release

TODAY = NOW.date()
YESTERDAY, TOMORROW = TODAY - timedelta(days=1), TODAY + timedelta(days=1)
V131, V140, V141 = pin("v1.3.1", OLD), pin("v1.4.0", OTHER), pin("v1.4.1", NEW)
BACK = Hold("1.4.1", "slow", rolled_back_to=Ref("v1.3.1"), rolled_back_from=Digest(NEW))
WIDE = replace(BACK, version=">=1.4.0,<=1.4.1")


@pytest.mark.parametrize(
    ("holds", "target", "expected"),
    [
        ((), V141, ()),
        ((Hold("1.4.1", "slow"),), V141, (0,)),
        ((Hold("1.4.1", "slow"),), V140, ()),
        ((Hold("1.4.1", "slow", until=YESTERDAY),), V141, ()),
        ((Hold("1.4.1", "slow", until=TODAY),), V141, (0,)),
        ((Hold("1.4.1", "slow", digest=Digest(NEW)),), V141, (0,)),
        ((Hold("1.4.1", "slow", digest=Digest(OLD)),), V141, ()),
        ((WIDE,), V140, (0,)),
        ((WIDE,), V131, ()),
        ((WIDE, Hold("1.4.0", "leaks"), Hold("1.3.0", "old")), V140, (0, 1)),
        ((BACK,), pin("v1.5.0", NEW), (0,)),
    ],
    ids=[
        "none",
        "by hand, of exactly this one",
        "of another one",
        "it is over",
        "it is its last day",
        "of this image",
        "of another image of it",
        "of a rollback, with what lay between",
        "of a rollback that went there",
        "all that hold it",
        "the image that was left, under another name",
    ],
)
def test_going_to_a_version_by_name_takes_its_holds_off(
    holds: tuple[Hold, ...], target: Pin, expected: tuple[int, ...]
) -> None:
    assert lifted_by(holds, target, TODAY) == tuple(holds[number] for number in expected)


def test_a_range_that_a_person_made_is_not_taken_off() -> None:
    with pytest.raises(PolicyError) as error:
        lifted_by((Hold("1.4.0", "slow"), Hold(">=1.4", "all of it")), V140, TODAY)

    assert error.value.what == "v1.4.0 is on hold: all of it (the range >=1.4)"
    assert "gateway-bot unhold '>=1.4'" in error.value.next_step
    assert lifted_by((Hold(">=1.4", "all of it", until=YESTERDAY),), V140, TODAY) == ()


BY_HAND = Hold("1.4.1", "slow", until=TOMORROW)


@pytest.mark.parametrize(
    ("current", "target", "lifted", "by_hand", "expected"),
    [
        (
            V141,
            V131,
            (),
            None,
            Hold("1.4.1", "why", None, None, Ref("v1.3.1"), Digest(NEW)),
        ),
        (
            V141,
            V131,
            (),
            BY_HAND,
            Hold("1.4.1", "why", TOMORROW, None, Ref("v1.3.1"), Digest(NEW)),
        ),
        (
            V141,
            pin("v1.4.1", OLD),
            (),
            None,
            Hold("1.4.1", "why", None, Digest(NEW), Ref("v1.4.1"), Digest(NEW)),
        ),
        (V131, V141, (), None, None),
        (V131, V141, (BACK,), None, None),
        (V131, V140, (WIDE,), None, replace(BACK, rolled_back_to=Ref("v1.4.0"))),
        (V131, V140, (Hold("1.4.0", "by hand"),), None, None),
        (
            V141,
            V140,
            (replace(WIDE, version=">=1.4.0,<=1.5.0", until=TOMORROW),),
            None,
            replace(BACK, version="1.5.0", until=TOMORROW, rolled_back_to=Ref("v1.4.0")),
        ),
        (
            V141,
            V131,
            (replace(BACK, version=">=1.3.0,<=1.4.0", rolled_back_from=Digest(OTHER)),),
            None,
            Hold("1.4.1", "why", None, None, Ref("v1.3.1"), Digest(NEW)),
        ),
    ],
    ids=[
        "the version that is left",
        "as long as a person said",
        "the other image of one version, and only that",
        "it goes up",
        "it goes up to all that was held",
        "what is above it stays on hold, for its own reason and by its image",
        "a hold by hand was of that version only",
        "a rollback is rolled back half of the way, as long as that held",
        "what is left is newer than what was held",
    ],
)
def test_the_newest_version_that_is_left_is_on_hold(
    current: Pin, target: Pin, lifted: tuple[Hold, ...], by_hand: Hold | None, expected: Hold | None
) -> None:
    actual = hold_of(current, target, "why", lifted, by_hand)

    assert actual == expected


@pytest.mark.parametrize(
    ("hold", "expected"),
    [
        (BY_HAND, True),
        (replace(BY_HAND, version="v1.4.1"), True),
        (replace(BY_HAND, digest=Digest(NEW)), True),
        (replace(BY_HAND, digest=Digest(OLD)), False),
        (replace(BY_HAND, version="1.4.0"), False),
        (replace(BY_HAND, version=">=1.4"), False),
        (replace(BY_HAND, until=YESTERDAY), False),
        (replace(BY_HAND, until=TODAY), True),
    ],
    ids=[
        "exactly it",
        "spelled with a v",
        "its image",
        "another image of it",
        "another version",
        "a range",
        "it is over",
        "it is its last day",
    ],
)
def test_who_held_the_pin_by_hand_has_said_why(hold: Hold, *, expected: bool) -> None:
    assert held_by_hand(V141, (Hold("1.0.0", "x"), hold), TODAY) == (hold if expected else None)


def releases(*refs: str) -> tuple[Release, ...]:
    return tuple(release(ref) for ref in refs)


ALL = releases("v1.4.1", "v1.4.0", "v1.3.2", "v1.3.1", "v1.3.0")


@pytest.mark.parametrize(
    ("target", "published", "policy", "lifted", "expected"),
    [
        (V140, ALL, Policy(), (), "1.4.1"),
        (V131, ALL, Policy(), (), ">=1.3.2,<=1.4.1"),
        (V131, releases("v1.5.0", "v1.4.2", "v1.4.1", "v1.3.1"), Policy(), (), "1.4.1"),
        (pin("v1.2.0"), ALL, Policy(), (), ">=1.3.0,<=1.4.1"),
        (V131, (), Policy(), (), "1.4.1"),
        (V131, None, Policy(), (), ">1.3.1,<=1.4.1"),
        (V131, ALL, Policy(allow=">=1.4"), (), ">=1.4.0,<=1.4.1"),
        (V131, ALL, Policy(allow="<1.4"), (), ">=1.3.2,<=1.4.1"),
        (V131, ALL, Policy(holds=(Hold("1.3.2", "x"),)), (), ">=1.4.0,<=1.4.1"),
        (V131, ALL, Policy(holds=(Hold("1.3.2", "x"), Hold("1.4.0", "x"))), (), "1.4.1"),
        (V131, ALL, Policy(holds=(Hold("1.3.2", "x"),)), (Hold("1.3.2", "x"),), ">=1.3.2,<=1.4.1"),
        (V131, ALL, Policy(holds=(Hold("1.3.2", "x", until=YESTERDAY),)), (), ">=1.3.2,<=1.4.1"),
        (V131, ALL, Policy(cooldown=timedelta(days=900)), (), ">=1.3.2,<=1.4.1"),
        (V131, releases("v1.4.1", "v1.4.0-rc.1", "v1.3.1"), Policy(), (), "1.4.1"),
        (V131, (release("v1.4.0", draft=True), release("v1.4.1")), Policy(), (), "1.4.1"),
    ],
    ids=[
        "nothing lies between",
        "what lies between",
        "what is newer than what is left",
        "all that is newer than where it goes",
        "upstream has published nothing",
        "upstream does not answer",
        "what the policy forbids is not proposed anyway",
        "nor what it allows no longer",
        "what is on hold already has its own reason",
        "all between is on hold already",
        "but for a hold that is taken off",
        "or one that is over",
        "what still cools down will be proposed one day",
        "prereleases",
        "drafts",
    ],
)
def test_what_the_next_run_would_propose_in_its_place_is_on_hold_too(
    target: Pin, published: tuple[Release, ...] | None, policy: Policy, lifted: tuple[Hold, ...], expected: str
) -> None:
    hold = replace(BACK, rolled_back_to=target.ref)

    actual = widened(hold, target, policy, lifted, published, NOW)

    assert actual == replace(hold, version=expected)


@pytest.mark.parametrize(
    ("version", "target"),
    [("1.4.1-rc.2", V131), ("1.4.1", pin("v1.3.1-rc.1")), ("1.3.1", V131), (">=1.3.2,<=1.4.1", V131)],
    ids=["a prerelease is left", "it goes to a prerelease", "another image of one version", "it is a range already"],
)
@pytest.mark.parametrize("published", [ALL, None])
def test_a_range_is_made_of_whole_versions_only(
    version: str, target: Pin, published: tuple[Release, ...] | None
) -> None:
    hold = replace(BACK, version=version)

    assert widened(hold, target, Policy(channel="prerelease"), (), published, NOW) == hold


@pytest.mark.parametrize(
    ("hold", "current", "expected"),
    [
        (BACK, V131, True),
        (WIDE, V131, True),
        (replace(BACK, until=TODAY), V131, True),
        (replace(BACK, until=YESTERDAY), V131, False),
        (replace(BACK, rolled_back_to=Ref("v1.3.0")), V131, False),
        (replace(BACK, rolled_back_to=None), V131, False),
        (replace(BACK, rolled_back_to=Ref("v1.4.1")), pin("v1.4.1", OLD), False),
        (replace(BACK, version=">1.4"), V131, False),
    ],
    ids=[
        "it went there",
        "with what lay between",
        "on the last day",
        "it is over",
        "it went elsewhere",
        "by hand",
        "it only changed the image",
        "somebody wrote another range",
    ],
)
def test_a_pin_is_known_as_that_of_a_rollback(hold: Hold, current: Pin, *, expected: bool) -> None:
    assert is_rolled_back_to((Hold("1.0.0", "x"), hold), current, TODAY) == (hold if expected else None)


@pytest.mark.parametrize(
    ("given", "by_hand", "expected"),
    [
        ("it  leaks\n\tmuch ", None, "it leaks much"),
        ("it leaks", BY_HAND, "it leaks"),
        ("", BY_HAND, "slow"),
        (" \n", BY_HAND, "slow"),
        ("", None, "rolled back to v1.3.1 on 2026-08-20, without a reason given"),
        ("  ", None, "rolled back to v1.3.1 on 2026-08-20, without a reason given"),
    ],
)
def test_a_reason_is_always_written_down(given: str, by_hand: Hold | None, expected: str) -> None:
    assert reason_of(given, V131, by_hand, date(2026, 8, 20)) == expected
