from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from bot.core.gates import Gate
from bot.core.ledger import Entry
from bot.core.model import Hold
from bot.core.reference import Digest, Repository
from bot.core.rollback.back import Wish
from bot.core.rollback.gates import Copy, certain_tag, further_gate, good_gate, image_gate, nowhere, tag_gate, weighed
from bot.core.versions import Ref
from tests.unit.ledgers import TODAY, digest, entry, release
from tests.unit.values import IMAGE, NEW, NOW, OLD, OTHER, index, pin

THEIRS, OURS = Repository("ghcr.io", "acme/app"), Repository("ghcr.io", "acme/ours")
PIN = pin()
HELD_BACK = Hold("1.4.0", "slow", rolled_back_to=Ref("v1.3.1"), rolled_back_from=Digest(NEW))


def gate(name: str, verdict: Any, code: int = 6) -> Gate:
    return Gate(name, verdict, "what was seen", "gateway-bot ask", 0 if verdict in {"pass", "warn"} else code, "Do it.")


@pytest.mark.parametrize(
    ("asked", "runs_already", "verdict", "code"),
    [
        (gate("signature", "pass"), False, "pass", 0),
        (gate("signature", "fail", 5), False, "fail", 5),
        (gate("signature", "fail", 5), True, "fail", 5),
        (gate("signature", "unknown", 4), False, "unknown", 4),
        (gate("signature", "unknown", 4), True, "unknown", 4),
        (gate("vulnerabilities", "pass"), False, "pass", 0),
        (gate("vulnerabilities", "warn"), False, "warn", 0),
        (gate("vulnerabilities", "fail"), False, "warn", 0),
        (gate("vulnerabilities", "unknown", 4), False, "warn", 0),
        (gate("config", "pass"), False, "pass", 0),
        (gate("config", "fail"), False, "fail", 6),
        (gate("config", "fail"), True, "warn", 0),
        (gate("config", "unknown", 4), False, "warn", 0),
        (gate("config", "unknown"), True, "warn", 0),
        (gate("platforms", "fail", 5), True, "fail", 5),
        (gate("anything-new", "unknown", 4), False, "unknown", 4),
    ],
)
def test_a_person_weighs_what_comes_back_and_nobody_an_image_that_is_not_proven(
    asked: Gate, runs_already: bool, verdict: str, code: int
) -> None:
    (found,) = weighed([asked], runs_already=runs_already, at_upstream=True)

    assert (found.name, found.verdict, found.exit_code) == (asked.name, verdict, code)
    assert (found.evidence, found.repeat) == (asked.evidence, asked.repeat)


def test_a_gate_that_only_warns_says_of_no_next_step_and_one_that_passed_is_as_it_was() -> None:
    passed, told = weighed(
        [gate("config", "pass"), gate("vulnerabilities", "fail")], runs_already=False, at_upstream=True
    )

    assert passed == gate("config", "pass")
    assert told.next_step == ""


@pytest.mark.parametrize(
    ("verdict", "next_step"),
    [
        ("fail", "Do not go back there. `gateway-bot history` says what else is known good: name it with --to."),
        ("unknown", "Do it."),
    ],
)
def test_who_may_not_go_there_is_told_where_else_and_who_has_no_answer_asks_again(verdict: str, next_step: str) -> None:
    (found,) = weighed([gate("signature", verdict)], runs_already=False, at_upstream=True)

    assert found.next_step == next_step


def test_where_only_we_have_the_image_no_command_is_named_that_looks_at_upstream() -> None:
    asked = [gate(name, "pass") for name in ("signature", "vulnerabilities", "config")]
    asked += [gate("vulnerabilities", "fail"), gate("config", "fail")]

    found = weighed(asked, runs_already=False, at_upstream=False)

    assert [each.repeat for each in found] == ["gateway-bot ask", "", "", "", ""]


@pytest.mark.parametrize(
    ("tagged", "why", "verdict", "said"),
    [
        (OLD, "", "pass", f"ghcr.io/acme/app:v1.3.1 still answers with {OLD}"),
        (NEW, "", "warn", f"ghcr.io/acme/app:v1.3.1 is {NEW} by now: the tag was re-pushed, and runs of plan will"),
        (None, "", "warn", "ghcr.io/acme/app:v1.3.1 is not in the registry any more: runs of plan will say so"),
        (None, "it is\x1b[31m down", "warn", "ghcr.io/acme/app:v1.3.1: it is down"),
        (OLD, "it is down", "warn", "ghcr.io/acme/app:v1.3.1: it is down"),
    ],
)
def test_what_upstreams_tag_says_by_now_stops_nobody(tagged: Digest | None, why: str, verdict: str, said: str) -> None:
    found = tag_gate(IMAGE, PIN, tagged, why)

    assert (found.name, found.verdict, found.exit_code) == ("tag", verdict, 0)
    assert found.evidence.startswith(said)
    assert found.repeat == "gateway-bot resolve ghcr.io/acme/app:v1.3.1"


ELSEWHERE = replace(entry(2), releases=(release("v0.2.0", 2, on_base=False),))


@pytest.mark.parametrize(
    ("tagged", "to", "verdict", "code"),
    [
        (OLD, ELSEWHERE, "pass", 0),
        (NEW, ELSEWHERE, "fail", 5),
        (None, ELSEWHERE, "fail", 5),
        (NEW, entry(2, "v0.2.0"), "warn", 0),
        (NEW, entry(2), "warn", 0),
    ],
    ids=[
        "it is that image",
        "it is another one",
        "it is gone, and nobody reviewed the pin",
        "the base had that pin",
        "the base had that pin, unreleased",
    ],
)
def test_upstreams_tag_is_all_that_vouches_for_a_pin_that_the_base_never_had(
    tagged: Digest | None, to: Entry, verdict: str, code: int
) -> None:
    found = certain_tag(tag_gate(IMAGE, PIN, tagged), to)

    assert (found.verdict, found.exit_code) == (verdict, code)
    assert found.next_step.startswith("Do not go back there") == (code == 5)


def copies(*answers: Any) -> list[Copy]:
    return [
        Copy(repository, answer, index() if answer == "there" else None, why="" if answer == "there" else "so")
        for repository, answer in zip((THEIRS, OURS), answers, strict=False)
    ]


@pytest.mark.parametrize(
    ("answers", "verdict", "said"),
    [
        (("there", "there"), "pass", "ghcr.io/acme/app has it; ghcr.io/acme/ours has it"),
        (("there",), "pass", "ghcr.io/acme/app has it"),
        (("there", "gone"), "warn", "ghcr.io/acme/app has it; ghcr.io/acme/ours does not have it (so)"),
        (("gone", "there"), "warn", "ghcr.io/acme/app does not have it (so); ghcr.io/acme/ours has it"),
        (("silent", "there"), "warn", "ghcr.io/acme/app did not answer (so); ghcr.io/acme/ours has it"),
        (("broken", "there"), "warn", "ghcr.io/acme/app has it broken (so); ghcr.io/acme/ours has it"),
    ],
)
def test_one_place_that_has_the_image_is_enough_and_the_others_are_told(
    answers: tuple[str, ...], verdict: str, said: str
) -> None:
    asked = copies(*answers)
    there = next(copy for copy in asked if copy.answer == "there")

    found = image_gate(PIN, asked, there)

    assert found == Gate("image", found.verdict, f"{OLD}: {said}", f"gateway-bot resolve {there.repository}@{OLD}")
    assert found.verdict == verdict


def test_why_a_copy_is_none_is_a_strangers_text() -> None:
    copy = Copy(THEIRS, "silent", why="\x1b[31m" + "x" * 500)

    assert str(copy).startswith("ghcr.io/acme/app did not answer (xxx")
    assert len(str(copy)) < 250


@pytest.mark.parametrize(
    ("answers", "code", "where"),
    [
        (("gone", "gone"), 5, "ghcr.io/acme/app"),
        (("gone", "broken"), 5, "ghcr.io/acme/app"),
        (("broken", "broken"), 5, "ghcr.io/acme/app"),
        (("silent", "gone"), 4, "ghcr.io/acme/app"),
        (("gone", "silent"), 4, "ghcr.io/acme/ours"),
        (("broken", "silent"), 4, "ghcr.io/acme/ours"),
        (("silent", "silent"), 4, "ghcr.io/acme/app"),
    ],
)
def test_an_image_is_gone_only_where_everybody_said_so(answers: tuple[str, ...], code: int, where: str) -> None:
    error = nowhere(PIN, copies(*answers), "Take v1.2.0.")

    assert (error.exit_code, error.where) == (code, where)
    assert (error.next_step == "Take v1.2.0.") == (code == 5)
    assert all(str(copy) in error.what for copy in copies(*answers))


GOOD = entry(2, "v0.2.0", "v0.1.9")
REGISTRY = "ghcr.io/acme/ours:v0.2.0"
SAID = "v1.2.0 was released as v0.2.0 of 2026-08-20 by Rita"


@pytest.mark.parametrize(
    ("to", "named", "verdict", "evidence", "repeat"),
    [
        (entry(2), (), "warn", "v1.2.0 was pinned from 2026-08-12 on, and never released", "gateway-bot history"),
        (
            replace(entry(2), releases=(release("v0.2.0", 2, on_base=False),)),
            ((REGISTRY, digest(2), ""),),
            "warn",
            f"{SAID}, which main does not reach",
            "gateway-bot history",
        ),
        (GOOD, (), "pass", SAID, "gateway-bot history"),
        (
            GOOD,
            ((REGISTRY, digest(2), ""),),
            "pass",
            f"{SAID}; {REGISTRY} is that image",
            f"gateway-bot resolve {REGISTRY}",
        ),
        (
            GOOD,
            (("ghcr.io/acme/first:v0.2.0", None, "it is down"), (REGISTRY, digest(2), "")),
            "pass",
            f"{SAID}; {REGISTRY} is that image",
            f"gateway-bot resolve {REGISTRY}",
        ),
        (
            GOOD,
            ((REGISTRY, digest(3), ""),),
            "warn",
            f"{SAID} by its git tag, and {REGISTRY} is {digest(3)}",
            "gateway-bot history",
        ),
        (
            GOOD,
            ((REGISTRY, None, ""),),
            "warn",
            f"{SAID} by its git tag, and {REGISTRY} is not there",
            "gateway-bot history",
        ),
        (
            GOOD,
            ((REGISTRY, None, "it is\x1b[31m down"),),
            "warn",
            f"{SAID} by its git tag, and {REGISTRY} is not known: it is down",
            "gateway-bot history",
        ),
    ],
    ids=[
        "never released",
        "released where the base does not reach",
        "no registry of ours is asked",
        "our registry has it",
        "one of ours has it, another does not answer",
        "our registry has another image",
        "our registry has no such tag",
        "our registry does not answer",
    ],
)
def test_a_git_tag_alone_makes_a_pin_good_only_where_no_registry_of_ours_can_be_asked(
    to: Entry, named: tuple[tuple[str, Digest | None, str], ...], verdict: str, evidence: str, repeat: str
) -> None:
    found = good_gate(to, "main", named)

    assert found == Gate("known-good", found.verdict, evidence, repeat)
    assert found.verdict == verdict


YESTERDAY = date(2026, 8, 19)


@pytest.mark.parametrize(
    ("hold", "wish", "warns"),
    [
        (HELD_BACK, Wish(), True),
        (HELD_BACK, Wish(to=Ref("v1.2.0")), False),
        (replace(HELD_BACK, until=YESTERDAY), Wish(), False),
        (replace(HELD_BACK, rolled_back_to=Ref("v1.3.0")), Wish(), False),
        (replace(HELD_BACK, rolled_back_to=None), Wish(), False),
    ],
    ids=["it went here", "it is named", "the hold is over", "it went elsewhere", "by hand"],
)
def test_who_goes_back_once_more_is_told_that_this_goes_further(hold: Hold, wish: Wish, warns: bool) -> None:
    evidence = "v1.3.1 is itself what a rollback from 1.4.0 went to: this goes one further back"

    found = further_gate([hold], PIN, wish, TODAY)

    assert found == ((Gate("further-back", "warn", evidence, "gateway-bot history"),) if warns else ())


def test_the_day_of_a_release_is_that_of_its_tag() -> None:
    early = replace(release("v0.2.0", 2), date=datetime(2026, 1, 2, 23, 59, tzinfo=UTC), by="R\x1b[31m")

    found = good_gate(replace(GOOD, releases=(early,), date=NOW), "main", ())

    assert found.evidence == "v1.2.0 was released as v0.2.0 of 2026-01-02 by R"


def test_another_digest_of_another_image_is_no_proof() -> None:
    found = good_gate(GOOD, "main", ((REGISTRY, Digest(OTHER), ""), (REGISTRY, Digest(NEW), "")))

    assert found.verdict == "warn"
