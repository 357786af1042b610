from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from bot.core.model import Hold, Policy, Release
from bot.core.selection import Considered, between, covers, select
from bot.core.versions import Ref
from tests.unit.values import NEW, NOW, RELEASES, pin, release, version

NEWEST = "the newest release that the policy allows"


def chosen(releases: Sequence[Release], policy: Policy | None = None, wanted: str | None = None) -> dict[str, str]:
    """Every release with its reason; the picked one is marked by `*`."""
    selection = select(releases, pin(), policy or Policy(), Ref(wanted) if wanted else None, NOW)
    return {f"{'*' if entry.picked else ''}{entry.ref}": entry.reason for entry in selection.considered}


def why(releases: Sequence[Release], policy: Policy | None = None, wanted: str | None = None) -> str:
    return select(releases, pin(), policy or Policy(), Ref(wanted) if wanted else None, NOW).reason


def test_every_release_has_its_reason_newest_first() -> None:
    releases = [
        release("latest"),
        release("v1.2.9"),
        release("v1.3.1"),
        release("v1.5.0-rc.1"),
        release("v1.4.0"),
        release("v1.4.2", draft=True),
        release("v0.0.0-alpha.3fa9c1e"),
        release("v1.4.1"),
        release("v1.6.0", prerelease=True),
    ]
    expected = {
        "v1.6.0": "marked as a prerelease",
        "v1.5.0-rc.1": "a prerelease or variant (rc.1)",
        "v1.4.2": "a draft",
        "*v1.4.1": NEWEST,
        "v1.4.0": "older than v1.4.1",
        "v1.3.1": "the pin",
        "v1.2.9": "older than the pin v1.3.1",
        "v0.0.0-alpha.3fa9c1e": "a nightly build (0.0.0)",
        "latest": "not a version",
    }

    actual = chosen(releases)

    assert list(expected) == list(actual)
    assert expected == actual


def test_the_order_in_which_releases_come_does_not_matter() -> None:
    expected = chosen(RELEASES)

    actual = chosen(RELEASES[::-1])

    assert expected == actual


@pytest.mark.parametrize(
    ("allow", "picked"),
    [("", "v2.0.0"), ("<2", "v1.4.1"), (">=1.3,<1.4.1", "v1.4.0"), ("==1.4.*", "v1.4.1"), ("!=2.0.0", "v1.4.1")],
)
def test_the_range_says_how_far(allow: str, picked: str) -> None:
    actual = chosen((*RELEASES, release("v2.0.0")), Policy(allow=allow))

    assert actual[f"*{picked}"] == NEWEST
    assert all(actual[ref].startswith("outside the allowed range") for ref in ("v2.0.0",) if ref in actual and allow)


def test_the_prerelease_channel_follows_prereleases_in_the_range_of_their_release() -> None:
    releases = (*RELEASES, release("v1.5.0-rc.1"), release("v1.5.0-rc.2", prerelease=True), release("v2.0.0-rc.1"))
    expected = {
        "v2.0.0-rc.1": "outside the allowed range <2",
        "*v1.5.0-rc.2": NEWEST,
        "v1.5.0-rc.1": "older than v1.5.0-rc.2",
        "v1.4.1": "older than v1.5.0-rc.2",
        "v1.4.0": "older than v1.5.0-rc.2",
        "v1.3.1": "the pin",
    }

    actual = chosen(releases, Policy(allow="<2", channel="prerelease"))

    assert expected == actual


def test_two_names_of_one_version_are_one_choice() -> None:
    actual = chosen((release("v1.4.1"), release("1.4.1"), release("1.3.1")))

    assert [ref for ref in actual if ref.startswith("*")] == ["*v1.4.1"]
    assert actual == {"*v1.4.1": NEWEST, "1.4.1": "the same version as v1.4.1", "1.3.1": "the pin"}


@pytest.mark.parametrize("wanted", ["v1.4.0", "1.4.0", "1.4", "v1.4"])
def test_what_a_person_asks_for_is_picked_among_what_is_allowed(wanted: str) -> None:
    expected = {
        "v1.4.1": f"{wanted} was asked for",
        "*v1.4.0": "the release that was asked for, older than v1.4.1, which is allowed too",
        "v1.3.1": "the pin",
    }

    actual = chosen(RELEASES, wanted=wanted)

    assert expected == actual


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ("v1.2.0", "older than the pin v1.3.1"),
        ("v2.0.0", "outside the allowed range <2"),
        ("v1.5.0-rc.1", "a prerelease or variant (rc.1)"),
        ("v1.4.2", "a draft"),
        ("v9.9.9", "no such release"),
        ("v0.0.0", "a nightly build (0.0.0)"),
    ],
)
def test_what_the_policy_refuses_is_refused_by_name_too(wanted: str, reason: str) -> None:
    extra = ("v1.2.0", "v2.0.0", "v1.5.0-rc.1", "v0.0.0")
    releases = (*RELEASES, *map(release, extra), release("v1.4.2", draft=True))

    selection = select(releases, pin(), Policy(allow="<2"), Ref(wanted), NOW)

    assert selection.release is None
    assert f"{wanted} was asked for: {reason}" == selection.reason


@pytest.mark.parametrize("wanted", ["v1.3.1", "1.3.1"])
def test_the_pin_by_name_is_there_already(wanted: str) -> None:
    assert why(RELEASES, wanted=wanted) == why((), wanted=wanted) == f"{wanted} was asked for, and is the pin"


@pytest.mark.parametrize(
    ("releases", "expected"),
    [
        ((), "upstream has published no releases"),
        ((release("v1.2.0"),), "no downgrade: v1.2.0 is older than the pin v1.3.1"),
        ((release("v1.2.0"), release("v1.4.0-rc.1")), f"v1.3.1 is {NEWEST}, of 2 seen; passed over: v1.4.0-rc.1"),
        ((release("v1.3.1"),), f"v1.3.1 is {NEWEST}, of 1 seen"),
        ((release("latest"),), f"v1.3.1 is {NEWEST}, of 1 seen"),
        (
            (release("v1.3.1"), release("v1.4.0", draft=True)),
            f"v1.3.1 is {NEWEST}, of 2 seen; passed over: v1.4.0 (a draft)",
        ),
    ],
)
def test_nothing_new_says_why(releases: tuple[Release, ...], expected: str) -> None:
    actual = why(releases)

    assert actual.startswith(expected)


def test_a_long_list_of_what_was_passed_over_is_cut() -> None:
    actual = why([release(f"v1.5.{number}", prerelease=True) for number in range(50)])

    assert actual.endswith(" and more")
    assert actual.count("marked as a prerelease") == 5


OLDER = tuple(release(f"v1.2.{number}") for number in range(40))


@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        ([(RELEASES[0],), (RELEASES[2],), OLDER], [False, False, True]),
        ([(RELEASES[2], *OLDER)], [True]),
        ([(RELEASES[2], *OLDER[:10]), OLDER[10:20], OLDER[20:]], [False, False, True]),
        ([RELEASES + OLDER, OLDER], [False, True]),
        ([(RELEASES[2], *OLDER, RELEASES[1]), OLDER], [False, True]),
        ([OLDER, OLDER], [False, False]),
        ([(RELEASES[2], *OLDER, release("v1.9.0-rc.1"), release("latest"))], [True]),
    ],
    ids=["newer first", "one page", "few a page", "newer above", "newer below", "no pin", "what is no release"],
)
def test_pages_are_read_until_enough_below_the_pin_holds_nothing_newer(
    pages: list[tuple[Release, ...]], expected: list[bool]
) -> None:
    enough = covers(pin(), Policy())

    actual = [enough(page) for page in pages]

    assert expected == actual


def test_the_prerelease_channel_reads_on_past_a_newer_prerelease() -> None:
    page = (release("v1.3.1"), *OLDER, release("v1.4.0-rc.1"))

    actual = [covers(pin(), Policy(channel="stable"))(page), covers(pin(), Policy(channel="prerelease"))(page)]

    assert actual == [True, False]


def test_an_empty_page_ends_nothing_before_the_pin_was_seen() -> None:
    assert not covers(pin(), Policy())(())


def test_the_notes_between_are_those_above_the_pin_up_to_the_candidate() -> None:
    refs = ("v1.5.0", "v1.4.1", "v1.4.1-rc.1", "v1.4.0", "v1.3.1", "v1.3.0", "latest", "v0.0.0-alpha.1")
    releases = (*map(release, refs), release("v1.3.5", draft=True))

    actual = [r.ref for r in between(releases, version("1.3.1"), version("1.4.1"))]

    assert actual == ["v1.4.1", "v1.4.0"]


def test_a_candidate_that_is_a_prerelease_brings_its_own_notes() -> None:
    releases = tuple(map(release, ("v1.5.0-rc.1", "v1.5.0-rc.2", "v1.4.0")))

    actual = [r.ref for r in between(releases, version("1.3.1"), version("1.5.0-rc.2"))]

    assert actual == ["v1.5.0-rc.2", "v1.4.0"]


def test_what_was_considered_is_a_value() -> None:
    selection = select(RELEASES, pin(), Policy(), None, NOW)

    assert selection.release is RELEASES[0]
    assert selection.considered[0] == Considered(Ref("v1.4.1"), picked=True, reason=NEWEST, allowed=True)
    assert selection.reason == f"v1.4.1 is {NEWEST}"


def test_a_prerelease_is_in_the_range_of_its_release() -> None:
    policy = Policy(allow=">=1.4.2", channel="prerelease")

    assert "*v1.4.2-rc.1" in chosen([*RELEASES, release("v1.4.2-rc.1")], policy)


def test_what_is_named_goes_before_another_ref_of_the_same_version() -> None:
    releases = [*RELEASES, release("1.4.1")]

    assert "*1.4.1" in chosen(releases, wanted="1.4.1")


COOL = Policy(cooldown=timedelta(days=3))


def cooling(releases: Sequence[Release], wanted: str | None = None) -> str | None:
    found = select(releases, pin(), COOL, Ref(wanted) if wanted else None, NOW).cooling
    return found.ref if found else None


def test_the_newest_release_that_only_cools_down_is_named() -> None:
    releases = [release("v1.5.0", days_ago=1), release("v1.4.1", days_ago=2), release("v1.4.0", days_ago=9)]

    assert cooling(releases) == "v1.5.0"


@pytest.mark.parametrize(
    "releases",
    [
        [release("v1.4.1", days_ago=5), release("v1.4.0", days_ago=1)],
        [release("v1.3.0", days_ago=1)],
        [release("v1.5.0-rc.1", days_ago=1)],
        [release("v1.4.0", days_ago=4)],
    ],
    ids=["older than the one that is picked", "older than the pin", "a prerelease", "old enough"],
)
def test_a_release_that_would_not_be_picked_anyway_is_not_said_to_cool(releases: list[Release]) -> None:
    assert cooling(releases) is None


def test_only_the_release_that_a_person_asked_for_counts_as_cooling() -> None:
    releases = [release("v1.5.0", days_ago=1), release("v1.4.1", days_ago=2)]

    assert (cooling(releases, "v1.4.1"), cooling(releases, "v1.4.0")) == ("v1.4.1", None)


def test_an_urgent_release_does_not_cool_down() -> None:
    releases = [release("v1.5.0", days_ago=1), release("v1.4.1", days_ago=9)]

    selection = select(releases, pin(), COOL, None, NOW, {Ref("v1.5.0"): "it fixes CVE-2026-1"})

    assert (selection.release, selection.cooling) == (releases[0], None)


def test_an_urgent_release_passes_the_rest_of_the_policy_like_any_other() -> None:
    policy = Policy(cooldown=timedelta(days=3), allow="<1.5")
    releases = [release("v1.5.0", days_ago=1)]

    selection = select(releases, pin(), policy, None, NOW, {Ref("v1.5.0"): "it fixes CVE-2026-1"})

    assert selection.release is None


@pytest.mark.parametrize(
    ("hold", "expected"),
    [
        (Hold("1.4.1", "drops streams"), "on hold: drops streams"),
        (Hold(">=1.4.1", "drops streams", until=NOW.date()), "on hold through 2026-08-20: drops streams"),
        (Hold("1.4.1", "drops streams", until=NOW.date() - timedelta(days=1)), NEWEST),
        (Hold("1.4.1", "drops streams", digest=NEW), NEWEST),
    ],
    ids=["a version", "a range on its last day", "a day too late", "one image of it, which nobody has seen yet"],
)
def test_a_release_on_hold_is_passed_over_and_its_reason_is_given(hold: Hold, expected: str) -> None:
    reasons = {name.removeprefix("*"): reason for name, reason in chosen(RELEASES, Policy(holds=(hold,))).items()}

    assert expected == reasons["v1.4.1"]


def test_a_release_whose_very_image_is_on_hold_is_passed_over_for_the_next() -> None:
    held = {Ref("v1.4.1"): Hold("1.4.1", "it leaks", digest=NEW), Ref("v1.3.1"): Hold("1.3.1", "x", digest=NEW)}

    selection = select(RELEASES, pin(), Policy(), None, NOW, held=held)

    assert {entry.ref: entry.reason for entry in selection.considered} == {
        "v1.4.1": "on hold: it leaks",
        "v1.4.0": NEWEST,
        "v1.3.1": "the pin",
    }
    assert not selection.stands(Ref("v1.4.1"))


def test_a_release_on_hold_is_not_picked_by_name_either() -> None:
    held = {Ref("v1.4.1"): Hold("1.4.1", "it leaks", digest=NEW)}

    assert why(RELEASES, Policy(holds=(Hold("1.4.1", "x"),)), "v1.4.1") == "v1.4.1 was asked for: on hold: x"
    assert (
        select(RELEASES, pin(), Policy(), Ref("1.4.1"), NOW, held=held).reason
        == "1.4.1 was asked for: on hold: it leaks"
    )


def test_all_newer_releases_on_hold_is_nothing_new_with_each_reason() -> None:
    told = why(RELEASES, Policy(holds=(Hold("1.4.0", "slow"), Hold(">=1.4.1", "it leaks"))))

    assert told.endswith("passed over: v1.4.1 (on hold: it leaks), v1.4.0 (on hold: slow)")
