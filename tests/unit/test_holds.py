from __future__ import annotations

from datetime import date

import pytest

from bot.core.holds import hold_on, said
from bot.core.model import Hold
from bot.core.reference import Digest
from bot.core.versions import parse_version

DIGEST, OTHER = Digest(f"sha256:{'a' * 64}"), Digest(f"sha256:{'b' * 64}")
TODAY = date(2026, 8, 20)


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
