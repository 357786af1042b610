from __future__ import annotations

import pytest

from bot.core.gates import Gate, Verdict, candidate_digest, first_refusal, new_digest, pinned_tag, platforms
from bot.core.index import Index
from bot.core.model import Candidate, Platform
from tests.unit.values import IMAGE, NEW, OLD, PLATFORMS, index, pin

CANDIDATE = Candidate(pin("v1.4.1", NEW), PLATFORMS)


@pytest.mark.parametrize(
    ("found", "verdict", "code", "words"),
    [
        (index(), "pass", 0, f"still answers with {OLD}"),
        (index(NEW), "fail", 5, f"moved tag: ghcr.io/acme/app:v1.3.1 is {NEW}, the pin says {OLD}"),
        (None, "fail", 5, "is not in the registry"),
    ],
)
def test_the_pinned_tag_still_answers_with_the_pinned_digest(
    found: Index | None, verdict: Verdict, code: int, words: str
) -> None:
    gate = pinned_tag(IMAGE, pin(), found, leaving=False)

    assert words in gate.evidence
    assert bool(gate.next_step) == bool(code)
    assert gate.repeat == "gateway-bot resolve ghcr.io/acme/app:v1.3.1"
    assert (verdict, code) == (gate.verdict, gate.exit_code)


def test_a_tag_that_is_left_anyway_may_be_gone() -> None:
    actual = [pinned_tag(IMAGE, pin(), found, leaving=True).verdict for found in (index(), None, index(NEW))]

    assert actual == ["pass", "warn", "fail"]


@pytest.mark.parametrize(
    ("found", "verdict", "code", "evidence"),
    [
        (PLATFORMS, "pass", 0, "linux/amd64, linux/arm64"),
        ((*PLATFORMS, Platform("linux", "s390x")), "pass", 0, "linux/amd64, linux/arm64, linux/s390x"),
        (PLATFORMS[:1], "fail", 5, "v1.4.1 lacks linux/arm64; it has linux/amd64"),
        ((), "fail", 5, "v1.4.1 lacks linux/amd64, linux/arm64; it has "),
        ((PLATFORMS[0], Platform("linux", "arm64", "v9")), "fail", 5, "v1.4.1 lacks linux/arm64; it has "),
        ((PLATFORMS[0], Platform("windows", "arm64")), "fail", 5, "v1.4.1 lacks linux/arm64; it has "),
    ],
)
def test_every_required_platform_is_there(
    found: tuple[Platform, ...], verdict: Verdict, code: int, evidence: str
) -> None:
    gate = platforms(IMAGE, CANDIDATE.pin, found)

    assert gate.evidence.startswith(evidence)
    assert gate.repeat == f"gateway-bot resolve ghcr.io/acme/app@{NEW}"
    assert (verdict, code) == (gate.verdict, gate.exit_code)


@pytest.mark.parametrize(("digest", "verdict", "code"), [(NEW, "pass", 0), (OLD, "fail", 6)])
def test_a_new_version_is_another_image(digest: str, verdict: Verdict, code: int) -> None:
    gate = new_digest(pin(), Candidate(pin("v1.4.1", digest), PLATFORMS))

    assert (verdict, code) == (gate.verdict, gate.exit_code)


def test_the_evidence_of_a_proven_digest_names_where_it_was_read() -> None:
    gate = candidate_digest(IMAGE, CANDIDATE)

    assert gate.verdict == "pass"
    assert gate.evidence == f"the bytes of the index at ghcr.io/acme/app:v1.4.1 hash to {NEW}"


@pytest.mark.parametrize(("verdict", "expected"), [("pass", False), ("warn", False), ("fail", True), ("unknown", True)])
def test_unknown_never_passes(verdict: Verdict, *, expected: bool) -> None:
    actual = Gate("x", verdict, "").refuses

    assert expected == actual


def test_the_first_refusal_counts() -> None:
    asked = [Gate(verdict, verdict, "") for verdict in ("pass", "warn", "unknown", "fail")]

    assert first_refusal(asked[:2]) is None
    assert first_refusal(asked) is asked[2]
