from __future__ import annotations

from datetime import date

import pytest

from bot.core.ledger import Entry, previous, states
from bot.core.model import Hold
from tests.unit.ledgers import TODAY, digest, entry, ledger, release

HELD = Hold("1.2.0", "slow")


def test_the_states_of_an_entry_are_all_that_is_so_of_it() -> None:
    found = ledger(entry(3), entry(2, "v0.2.0"), entry(1, "v0.1.0"))
    expected = [("current", "never released"), ("on hold",), ("known good",)]

    actual = [states(each, found, (HELD,), TODAY) for each in found.entries]

    assert expected == actual


def test_what_is_current_can_be_on_hold() -> None:
    found = ledger(entry(2, "v0.2.0"))

    assert states(found.entries[0], found, (HELD,), TODAY) == ("current", "on hold")


def test_where_the_end_cannot_be_read_nothing_is_current() -> None:
    found = ledger(entry(2, "v0.2.0"), unreadable="versions.env: there was no such file")

    assert found.current is None
    assert states(found.entries[0], found, (), TODAY) == ("known good",)


@pytest.mark.parametrize(
    ("entries", "holds", "expected"),
    [
        ((), (), None),
        ((entry(2, "v0.2.0"),), (), None),
        ((entry(3), entry(2), entry(1, "v0.1.0")), (), 1),
        ((entry(3), entry(2, "v0.2.0"), entry(1, "v0.1.0")), (HELD,), 1),
        ((entry(3), entry(2, "v0.2.0"), entry(1, "v0.1.0")), (Hold("1.2.0", "old", until=date(2026, 8, 19)),), 2),
        ((entry(3), entry(2, "v0.2.0")), (Hold("1.2.0", "bad build", digest=digest(9)),), 2),
        ((entry(2), entry(4, "v0.4.0"), entry(2, "v0.2.0"), entry(1, "v0.1.0")), (), 1),
        ((entry(3), entry(2, "v0.2.0")), (Hold("<2", "all"),), None),
    ],
)
def test_a_rollback_goes_to_the_newest_older_pin_that_is_known_good(
    entries: tuple[Entry, ...], holds: tuple[Hold, ...], expected: int | None
) -> None:
    found = previous(ledger(*entries), holds, TODAY)

    assert expected == (found.pin.version.release[1] if found else None)


def test_the_version_of_a_release_is_the_projects() -> None:
    assert str(release("v0.2.0", 3).version) == "0.2.0"
