from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import pytest
from msgspec.structs import replace

from bot.core.gates import Gate, about_holds
from bot.core.hold_text import HoldDone, UnholdDone, replaces_rollback
from bot.core.holds import covering, hold_on, names_versions, rollbacks, said, same_versions, unhold_command
from bot.core.model import Candidate, Hold, Policy, Release
from bot.core.reference import Digest
from bot.core.versions import Ref, parse_version
from tests.unit.values import IMAGE, NEW, PLATFORMS, RELEASES, pin, release

DIGEST, OTHER = Digest(f"sha256:{'a' * 64}"), Digest(f"sha256:{'b' * 64}")
TODAY = date(2026, 8, 20)
YESTERDAY = TODAY - timedelta(days=1)


@pytest.mark.parametrize(
    ("hold", "version", "digest", "held"),
    [
        (Hold("1.4.0", "slow"), "v1.4.0", None, True),
        (Hold("v1.4.0", "slow"), "1.4.0", DIGEST, True),
        (Hold("1.4.0", "slow"), "v1.4.1", None, False),
        (Hold(">=1.4,<1.5", "slow"), "v1.4.9", None, True),
        (Hold(">=1.4,<1.5", "slow"), "v1.5.0", None, False),
        (Hold(">=1.4,<1.5", "slow"), "v1.4.0-rc.1", None, True),
        (Hold("1.4.0", "slow", until=date(2026, 8, 20)), "v1.4.0", None, True),
        (Hold("1.4.0", "slow", until=date(2026, 8, 19)), "v1.4.0", None, False),
        (Hold("1.4.0", "slow", digest=DIGEST), "v1.4.0", DIGEST, True),
        (Hold("1.4.0", "slow", digest=DIGEST), "v1.4.0", OTHER, False),
        (Hold("1.4.0", "slow", digest=DIGEST), "v1.4.0", None, False),
    ],
)
def test_a_hold_holds_its_versions_its_digest_and_its_days(
    hold: Hold, version: str, digest: Digest | None, *, held: bool
) -> None:
    parsed = parse_version(version)
    assert parsed is not None

    assert (hold_on((hold,), parsed, digest, TODAY) is hold) == held


def test_a_hold_says_why_and_until_when() -> None:
    assert said(Hold("1.4.0", "drops streams")) == "on hold: drops streams"
    assert said(Hold("1.4.0", "x", until=TODAY)) == "on hold through 2026-08-20: x"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((text, True) for text in ("1.4.0", "v1.4", ">=1.4, <2", "==1.4.*", "~=1.4", "1.4.0-rc.1")),
        *((text, False) for text in ("", " ", ",", "newest", "1.4.0 or so", "<")),
    ],
)
def test_a_hold_is_of_a_version_or_a_range(text: str, *, expected: bool) -> None:
    assert expected == names_versions(text)


@pytest.mark.parametrize(
    ("text", "other", "expected"),
    [
        ("1.4.0", "v1.4.0", True),
        ("v1.4", "1.4.0", True),
        ("1.4.0", "1.4.1", False),
        (">=1.4,<2", "<2, >=1.4", True),
        (">=1.4", ">1.4", False),
        ("==1.4.0", "1.4.0", False),
        ("1.4.0", ">=1.4.0", False),
    ],
)
def test_the_same_versions_may_be_spelled_in_several_ways(text: str, other: str, *, expected: bool) -> None:
    assert expected == same_versions(text, other)


def test_the_command_that_takes_a_hold_off_can_be_pasted_into_a_shell() -> None:
    holds = [Hold("1.4.0", "x"), Hold(">=1.4,<2", "x"), Hold("v1.4", "x", digest=DIGEST)]

    actual = [unhold_command("app", hold) for hold in holds]

    assert actual == [
        "gateway-bot unhold 1.4.0 --image app",
        "gateway-bot unhold '>=1.4,<2' --image app",
        f"gateway-bot unhold v1.4 --digest {DIGEST} --image app",
    ]


@pytest.mark.parametrize(
    ("hold", "other", "covered"),
    [
        (Hold("1.4.0", "x"), Hold(">=1.4,<2", "y"), True),
        (Hold("1.4.0", "x"), Hold(">=1.5,<2", "y"), False),
        (Hold("1.4.0", "x", digest=DIGEST), Hold("v1.4.0", "y"), True),
        (Hold("1.4.0", "x"), Hold("1.4.0", "y", digest=DIGEST), False),
        (Hold("1.4.0", "x"), Hold(">=1.4", "y", until=TODAY), False),
        (Hold("1.4.0", "x", until=TODAY), Hold(">=1.4", "y", until=TODAY), True),
        (Hold("1.4.0", "x", until=YESTERDAY), Hold(">=1.4", "y", until=YESTERDAY), False),
        (Hold(">=1.4", "x", digest=DIGEST), Hold(">=1.4", "y"), True),
        (Hold(">=1.4,<1.5", "x"), Hold(">=1.4", "y"), False),
        (Hold("1.4.0", "x"), Hold("v1.4.0", "x"), False),
    ],
)
def test_a_hold_is_covered_by_one_that_holds_all_of_it_as_long(hold: Hold, other: Hold, *, covered: bool) -> None:
    assert covering((hold, other), hold, TODAY) == (other if covered else None)


BACK = Hold("1.4.0", "drops streams", rolled_back_to=Ref("v1.3.1"))


@pytest.mark.parametrize(
    ("hold", "current", "candidate", "replaced"),
    [
        (BACK, "v1.3.1", "v1.4.1", True),
        (replace(BACK, until=YESTERDAY), "v1.3.1", "v1.4.0", True),
        (replace(BACK, version="1.5.0"), "v1.3.1", "v1.4.1", True),
        (BACK, "v1.3.5", "v1.4.1", True),
        (replace(BACK, version="1.5.0"), "v1.3.5", "v1.4.1", False),
        (BACK, "v1.4.1", "v1.4.2", False),
        (BACK, "v1.4.0", "v1.4.1", False),
        (BACK, "v1.2.0", "v1.3.2", False),
        (replace(BACK, rolled_back_to=None), "v1.3.1", "v1.4.1", False),
        (replace(BACK, version=">=1.4,<1.4.3"), "v1.3.1", "v1.4.3", True),
        (replace(BACK, version=">=1.4,<1.4.3"), "v1.3.2", "v1.4.3", False),
    ],
    ids=[
        "a fixed release follows",
        "the hold is over and the same release comes again",
        "a line below the one that was left moves on",
        "a patch came between",
        "neither where it went nor past what was left",
        "it was replaced already",
        "it never came to be",
        "what was left is still ahead",
        "it was put on hold by hand",
        "somebody made it a range",
        "somebody made it a range, and it was left since",
    ],
)
def test_an_upgrade_replaces_the_rollback_that_it_leaves_or_overtakes(
    hold: Hold, current: str, candidate: str, *, replaced: bool
) -> None:
    assert rollbacks((hold,), pin(current), pin(candidate, NEW)) == ((hold,) if replaced else ())


def test_what_an_upgrade_says_of_a_rollback_is_inert() -> None:
    told = replaces_rollback((replace(BACK, reason="@acme/all: see\n# fixes #1 <b>"),))

    assert told.startswith("It replaces the rollback from 1.4.0 to v1.3.1, which was made for this reason: ")
    assert "\n" not in told
    assert "@acme" not in told
    assert "<b>" not in told
    assert replaces_rollback(()) == ""


def asked(
    *holds: Hold, candidate: tuple[str, str] | None = ("v1.4.1", NEW), releases: Sequence[Release] = RELEASES
) -> list[Gate]:
    image = replace(IMAGE, policy=Policy(holds=holds))
    new = Candidate(pin(*candidate), PLATFORMS) if candidate else None
    return list(about_holds(image, pin(), new, releases, TODAY))


def test_without_odd_holds_there_is_nothing_to_tell() -> None:
    assert asked() == []
    assert asked(Hold("1.4.1", "x"), Hold("1.4.0", "x", until=TODAY)) == []


@pytest.mark.parametrize("candidate", [("v1.4.1", NEW), None])
@pytest.mark.parametrize("version", ["1.4.0", "1.4.1", ">=1.4,<2"])
def test_a_hold_that_is_over_is_told_with_what_to_do(version: str, candidate: tuple[str, str] | None) -> None:
    (gate,) = asked(Hold(version, "drops\nstreams", until=YESTERDAY), candidate=candidate)

    assert gate.evidence.startswith(f"the hold of {version} expired on 2026-08-19 (drops streams). Take it out with ")
    assert (gate.name, gate.verdict, gate.exit_code) == ("hold", "warn", 0)


@pytest.mark.parametrize(
    "holds",
    [
        (Hold("1.3.1", "x", until=YESTERDAY),),
        (Hold("1.2.0", "x", until=YESTERDAY),),
        (Hold("1.9.0", "x", until=YESTERDAY),),
        (Hold("1.4.1", "x", until=YESTERDAY, digest=DIGEST),),
        (Hold("1.4.0", "x", until=YESTERDAY), Hold(">=1.4.0,<1.4.1", "again")),
    ],
    ids=["of the pin", "of an older one", "of one that is not out", "of another image", "held again"],
)
def test_a_hold_that_is_over_and_kept_nothing_back_is_not_told(holds: tuple[Hold, ...]) -> None:
    assert asked(*holds, candidate=("v1.4.1", NEW)) == []


def test_several_holds_that_are_over_are_one_gate() -> None:
    holds = [Hold(version, "x", until=YESTERDAY) for version in ("1.4.0", "1.4.1")]

    (gate,) = asked(*holds, releases=[release("latest"), *RELEASES])

    assert "1.4.0 expired on 2026-08-19 (x); the hold of 1.4.1 expired" in gate.evidence


def test_a_pin_that_is_on_hold_is_told_and_is_well_as_soon_as_it_is_replaced() -> None:
    hold = Hold("1.3.1", "drops streams")

    (stays,), (left,) = asked(hold, candidate=None), asked(hold)

    assert (stays.name, stays.verdict, left.verdict) == ("pin-on-hold", "warn", "pass")
    assert stays.evidence.startswith("v1.3.1, which is pinned, is on hold: drops streams. Go back with ")
    assert left.evidence == "v1.3.1, which is pinned, is on hold: drops streams; v1.4.1 replaces it"


def test_what_was_done_is_told_to_a_person_in_plain_words() -> None:
    hold = Hold(">=1.4,<2", "a\x1b[31m\nb", until=TODAY, digest=DIGEST, rolled_back_to=Ref("v1.3.1"))
    line = f">=1.4,<2 (only {DIGEST}) on hold through 2026-08-20: a b; rolled back to v1.3.1"
    wrote = "  wrote     f; commit it, so that the next run knows"
    answers: list[HoldDone | UnholdDone] = [
        HoldDone("app", "f", "added", hold, warnings=("odd\nthing",)),
        HoldDone("app", "f", "changed", hold, Hold("1.4.0", "x")),
        HoldDone("app", "f", "nothing", hold),
        UnholdDone("app", "f", (hold,), (Hold("1.4.0", "x"),)),
    ]

    actual = [answer.text() for answer in answers]

    assert actual == [
        f"app: {line}\n{wrote}\n  warning   odd thing",
        f"app: {line}\n  before    1.4.0 on hold: x\n{wrote}",
        f"app: {line}; f says so already, nothing to do",
        f"app: no longer {line}\n  left      1.4.0 on hold: x\n{wrote}",
    ]


def test_what_was_done_is_told_as_json() -> None:
    hold = Hold("1.4.0", "x", until=TODAY, rolled_back_to=Ref("v1.3.1"), rolled_back_from=DIGEST)
    one = b'{"version":"1.4.0","reason":"x","until":"2026-08-20","digest":null,"rolled_back_to":"v1.3.1",'
    one += b'"rolled_back_from":' + (b'"%s"' % DIGEST.encode()) + b"}"

    actual = [HoldDone("app", "f", "added", hold, None, ("w",)).json(), UnholdDone("app", "f", (hold,)).json()]

    assert actual == [
        b'{"image":"app","file":"f","did":"added","hold":' + one + b',"was":null,"warnings":["w"]}',
        b'{"image":"app","file":"f","removed":[' + one + b'],"left":[],"warnings":[]}',
    ]
