"""Times that others say, as far as one can count with them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.core.moment import BEGINNING, moment


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("2026-08-20T12:00:00+00:00", "2026-08-20T12:00:00+00:00"),
        ("2026-08-20T14:00:00+02:00", "2026-08-20T12:00:00+00:00"),
        ("2008-01-01T00:00:00+00:00", "2008-01-01T00:00:00+00:00"),
        ("2999-12-31T23:59:59+00:00", "2999-12-31T23:59:59+00:00"),
    ],
)
def test_a_time_is_the_same_in_utc(said: str, expected: str) -> None:
    actual = moment(datetime.fromisoformat(said))

    assert actual is not None
    assert (actual.isoformat(), actual.tzinfo) == (expected, UTC)


@pytest.mark.parametrize(
    "said",
    [
        datetime(2026, 8, 20, 12),  # noqa: DTZ001 - the case
        datetime.fromisoformat("0001-01-01T00:00:00+05:00"),
        datetime.fromisoformat("9999-12-31T23:59:59-23:00"),
        BEGINNING - timedelta(seconds=1),
        None,
    ],
)
def test_a_time_that_nobody_can_count_with_is_none(said: datetime | None) -> None:
    assert moment(said) is None
