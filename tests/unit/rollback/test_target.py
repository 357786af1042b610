from __future__ import annotations

from datetime import date

import pytest
from msgspec.structs import replace

from bot.core.ledger import Entry, Ledger, OurRelease
from bot.core.model import Hold, Pin
from bot.core.rollback.back import Wish
from bot.core.rollback.target import choose, older_good, released_as, went_back
from bot.core.versions import Ref
from bot.errors import PolicyError, ReleaseError
from tests.unit.ledgers import TODAY, digest, entry, ledger, release
from tests.unit.values import pin

HELD = Hold("1.2.0", "slow")
LACK = "the clone is shallow: fetch it"
LEDGER = ledger(entry(4, "v0.4.0"), entry(3), entry(2, "v0.2.0"), entry(1, "v0.1.0"))
CURRENT = entry(4).pin


def to(version: str = "") -> Wish:
    return Wish(to=Ref(version) if version else None)


def image(minor: int, other: int, *tags: str) -> Entry:
    """Another image of a version than the usual one."""
    made = entry(minor, *tags)
    return replace(made, pin=pin(f"v1.{minor}.0", digest(other)))


@pytest.mark.parametrize(
    ("current", "holds", "expected"),
    [
        (CURRENT, (), "v1.2.0"),
        (CURRENT, (HELD,), "v1.1.0"),
        (CURRENT, (Hold("1.2.0", "slow", until=date(2026, 8, 19)),), "v1.2.0"),
        (entry(2).pin, (), "v1.1.0"),
        (pin("v1.5.0", digest(5)), (), "v1.4.0"),
        (pin("v1.0.5", digest(9)), (), None),
    ],
    ids=[
        "the newest that was released",
        "what is on hold is passed over",
        "the hold is over",
        "this checkout is behind the base",
        "this checkout is ahead of the base",
        "all that was is newer",
    ],
)
def test_by_itself_it_goes_to_the_newest_known_good_pin_before_the_one_that_is_pinned(
    current: Pin, holds: tuple[Hold, ...], expected: str | None
) -> None:
    if expected is None:
        with pytest.raises(PolicyError):
            choose(LEDGER, current, holds, to(), TODAY)
        return
    found = choose(LEDGER, current, holds, to(), TODAY)

    assert found.pin.ref == expected


def test_what_the_base_pins_now_is_no_way_back_from_a_checkout_with_the_same_image() -> None:
    found = choose(ledger(entry(4, "v0.4.0"), image(3, 4, "v0.3.0"), entry(2, "v0.2.0")), CURRENT, (), to(), TODAY)

    assert found.pin.ref == "v1.2.0"


@pytest.mark.parametrize(
    ("entries", "holds", "expected"),
    [
        ((image(2, 21), image(2, 22, "v0.2.0")), (), 22),
        ((image(2, 21, "v0.2.1"), image(2, 22, "v0.2.0")), (), 21),
        ((image(2, 21), image(2, 22)), (), 21),
        ((image(2, 21, "v0.2.1"), image(2, 22)), (Hold("1.2.0", "bad", digest=digest(21)),), 22),
        ((image(2, 21, "v0.2.1"), image(2, 22, "v0.2.0")), (Hold("1.2.0", "bad", digest=digest(21)),), 22),
        ((image(2, 21, "v0.2.1"), image(2, 22)), (HELD,), 21),
        ((image(2, 4, "v0.2.1"), image(2, 22)), (), 22),
        ((image(2, 4, "v0.2.1"), image(2, 22)), (Hold("1.2.0", "bad", digest=digest(22)),), 22),
        ((image(2, 4, "v0.2.1"),), (), 4),
    ],
    ids=[
        "what is known good comes first",
        "of two that are, the newer",
        "of two that were never released, the newer",
        "what is not on hold before what was released",
        "of two that were released the one that is not on hold",
        "of two that are on hold the one that was released",
        "what is pinned is the last resort",
        "what is pinned comes even after what is on hold",
        "what is pinned, where nothing else is",
    ],
)
def test_of_several_images_of_the_version_that_is_named_the_best_is_taken(
    entries: tuple[Entry, ...], holds: tuple[Hold, ...], expected: int
) -> None:
    found = choose(ledger(entry(4, "v0.4.0"), *entries), CURRENT, holds, to("1.2.0"), TODAY)

    assert found.pin.digest == digest(expected)


@pytest.mark.parametrize("name", ["v1.3.0", "1.3.0", "v1.3"])
def test_a_version_may_be_named_in_several_ways_and_need_not_be_known_good(name: str) -> None:
    assert choose(LEDGER, CURRENT, (Hold("1.3.0", "slow"),), to(name), TODAY).pin.ref == "v1.3.0"


def elsewhere(*releases: OurRelease, whole: bool = True) -> Ledger:
    return ledger(entry(4, "v0.4.0"), elsewhere=releases, lacks=() if whole else (LACK,), whole=whole)


def test_a_release_that_the_base_does_not_reach_is_found_by_name_only() -> None:
    strange = release("v0.2.0", 2, on_base=False)
    found = choose(elsewhere(release("v0.0.1", None, unknown="gone"), strange), CURRENT, (), to("1.2.0"), TODAY)

    assert (found.pin, found.releases, found.date) == (strange.pin, (strange,), strange.date)
    with pytest.raises(PolicyError):
        choose(elsewhere(strange), CURRENT, (), to(), TODAY)


def test_what_the_base_had_comes_before_what_it_does_not_reach() -> None:
    other = replace(release("v0.9.0", 2, on_base=False), pin=pin("v1.2.0", digest(9)))

    found = choose(replace(LEDGER, elsewhere=(other,)), CURRENT, (), to("1.2.0"), TODAY)

    assert found.pin.digest == digest(2)


def test_a_version_that_was_never_pinned_is_refused_with_what_there_is() -> None:
    with pytest.raises(PolicyError) as error:
        choose(LEDGER, CURRENT, (HELD,), to("1.9.0"), TODAY)

    assert error.value.what == "1.9.0 was never pinned on main"
    assert error.value.next_step == (
        "By name there is, with --to: v1.3.0 (never released); v1.2.0 (on hold: slow); v1.1.0 (released as v0.1.0). "
        "`gateway-bot history` shows all."
    )


def test_who_names_a_release_of_ours_is_told_which_version_it_has() -> None:
    with pytest.raises(PolicyError) as error:
        choose(LEDGER, CURRENT, (), to("v0.2.0"), TODAY)

    assert error.value.next_step.startswith("v0.2.0 is a release of yours, which has v1.2.0: --to names the image's")


def test_what_is_no_version_was_never_pinned() -> None:
    with pytest.raises(PolicyError):
        choose(LEDGER, CURRENT, (), to("newest"), TODAY)


def test_half_a_history_is_not_chosen_from() -> None:
    half = replace(LEDGER, whole=False, lacks=(LACK,))

    with pytest.raises(ReleaseError) as by_itself:
        choose(half, CURRENT, (), to(), TODAY)
    with pytest.raises(ReleaseError) as unknown:
        choose(half, CURRENT, (), to("1.0.0"), TODAY)

    assert (by_itself.value.exit_code, LACK in by_itself.value.what) == (8, True)
    assert (unknown.value.exit_code, unknown.value.what) == (
        8,
        f"1.0.0 was never pinned on main, as far as its history is here: {LACK}",
    )
    assert choose(half, CURRENT, (), to("1.2.0"), TODAY).pin.ref == "v1.2.0"


def test_a_clone_without_tags_is_whole_and_says_what_is_not_known() -> None:
    lack = "no tag of a release is here\x1b[31m"
    with pytest.raises(PolicyError) as error:
        choose(ledger(entry(4), entry(3), lacks=(lack,)), CURRENT, (), to(), TODAY)

    assert error.value.exit_code == 6
    assert error.value.next_step == (
        "By name there is, with --to: v1.3.0 (never released). Not known: no tag of a release is here."
    )


def test_where_nothing_else_was_ever_pinned_that_is_said() -> None:
    for found in (ledger(), ledger(entry(4, "v0.4.0"))):
        with pytest.raises(PolicyError, match=r"there is no known-good pin before v1\.4\.0") as error:
            choose(found, CURRENT, (), to(), TODAY)

        assert error.value.next_step == "Nothing else was ever pinned here."


def test_only_the_newest_eight_are_listed_and_each_version_once() -> None:
    entries = [*(entry(minor) for minor in range(30, 10, -1)), entry(30), entry(29)]
    with pytest.raises(PolicyError) as error:
        choose(ledger(entry(40), *entries), entry(40).pin, (), to(), TODAY)

    assert error.value.next_step.count("never released") == 8
    assert "v1.23.0" in error.value.next_step
    assert "v1.22.0" not in error.value.next_step


BACK = Hold("1.4.0", "slow", rolled_back_to=Ref("v1.2.0"))
GONE_BACK = pin("v1.2.0", digest(2))


@pytest.mark.parametrize(
    ("base", "current", "hold", "is_so"),
    [
        (LEDGER, GONE_BACK, BACK, True),
        (LEDGER, GONE_BACK, replace(BACK, version=">=1.3.0,<=1.4.0"), True),
        (LEDGER, CURRENT, replace(BACK, rolled_back_to=Ref("v1.4.0"), digest=digest(9)), False),
        (LEDGER, CURRENT, BACK, False),
        (LEDGER, GONE_BACK, replace(BACK, rolled_back_to=Ref("v1.1.0")), False),
        (LEDGER, GONE_BACK, replace(BACK, rolled_back_to=None), False),
        (LEDGER, GONE_BACK, replace(BACK, version="1.3.0"), False),
        (replace(LEDGER, unreadable="gone"), GONE_BACK, BACK, False),
        (ledger(), GONE_BACK, BACK, False),
    ],
    ids=[
        "it went back here and the base has not",
        "what lies between is on hold too",
        "the base has it as well, which went to another image of one version",
        "nobody went back",
        "a rollback to another one",
        "a hold by hand",
        "a rollback from another one",
        "nobody knows what the base has",
        "the base has nothing",
    ],
)
def test_nobody_goes_back_once_more_before_the_base_knows_of_the_first_time(
    base: Ledger, current: Pin, hold: Hold, is_so: bool
) -> None:
    told = "this checkout went back from v1.4.0 to v1.2.0, and main has not: commit that, or name with --to where to go"

    assert went_back(base, current, (hold,)) == (told if is_so else "")


@pytest.mark.parametrize(
    ("entries", "but", "holds", "expected"),
    [
        ((3, 2, 1), 3, (), ["v1.2.0", "v1.1.0"]),
        ((3, 2, 1), 2, (), ["v1.3.0", "v1.1.0"]),
        ((3, 2, 1), 3, (HELD,), ["v1.1.0"]),
        ((3, 5, 2, 4, 2, 1), 3, (), ["v1.2.0", "v1.1.0"]),
    ],
    ids=["the newest first", "all but that one", "none on hold", "none that is newer or pinned, each once"],
)
def test_who_has_to_look_further_is_given_the_other_known_good_pins(
    entries: tuple[int, ...], but: int, holds: tuple[Hold, ...], expected: list[str]
) -> None:
    found = ledger(entry(4, "v0.4.0"), *(entry(minor, f"v0.{minor}.0") for minor in entries), entry(0))

    actual = older_good(found, CURRENT, holds, TODAY, entry(but).pin)

    assert [each.pin.ref for each in actual] == expected


def test_at_most_eight_are_given() -> None:
    found = ledger(*(entry(minor, "v0.1.0") for minor in range(30, 0, -1)))

    assert len(older_good(found, entry(30).pin, (), TODAY, entry(29).pin)) == 8


def test_a_release_is_said_by_the_newest_tag_with_its_day_and_a_bounded_name() -> None:
    loud = replace(entry(2), releases=(release("v0.2.1", 2, by="R\x1b" * 200), release("v0.2.0", 2)))

    assert released_as(entry(2)) == ""
    assert released_as(entry(2, "v0.2.1", "v0.2.0")) == "v0.2.1 of 2026-08-20 by Rita"
    assert len(released_as(loud)) < 120
    assert "\x1b" not in released_as(loud)
