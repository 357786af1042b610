from __future__ import annotations

import pytest

from bot.core.past import gates_in, gates_of, pull_request_of
from bot.core.reference import Digest

THIS, OTHER = Digest(f"sha256:{'a' * 64}"), Digest(f"sha256:{'b' * 64}")
TRAILER = "Gateway-Bot-Gates: digest=pass"


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("deps(app): bump v1.3.1 to v1.4.1 (#12)", 12),
        ("Merge pull request #13 from acme/gateway-bot/upgrade/app", 13),
        ('Revert "deps: bump (#12)" (#14)', 14),
        ('Revert "deps: bump (#12)"', None),
        ("see Merge pull request #13 from acme/x", None),
        ("bump (#0)", None),
        (f"bump (#{'9' * 40})", None),
        ("", None),
    ],
)
def test_the_pull_request_stands_where_github_writes_it(subject: str, expected: int | None) -> None:
    assert expected == pull_request_of(subject)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (f"x\n\n{TRAILER} scan=warn\n", {"digest": "pass", "scan": "warn"}),
        (f"x\r\n\r\n{TRAILER}\r\nCo-authored-by: B", {"digest": "pass"}),
        (f"{TRAILER}\n\n* another\n\nGateway-Bot-Gates: digest=fail", {"digest": "fail"}),
        ("Gateway-Bot-Gates: digest=maybe <b>=pass =pass scan= x", {}),
        (f" {TRAILER}", {}),
        ("", {}),
    ],
)
def test_a_trailer_is_read_and_nothing_else_that_looks_like_one(message: str, expected: dict[str, str]) -> None:
    assert expected == dict(gates_in(message))


def test_a_trailer_has_no_end_of_gates() -> None:
    assert len(gates_in("Gateway-Bot-Gates: " + " ".join(f"g{number}=pass" for number in range(500)))) == 40


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ((f"{OTHER}\n{TRAILER}", f"{THIS}\nGateway-Bot-Gates: scan=warn"), {"scan": "warn"}),
        ((f"{OTHER}\n{TRAILER}",), {}),
        (("no gates", TRAILER, f"{THIS}\nGateway-Bot-Gates: scan=warn"), {"scan": "warn"}),
        (("no gates", TRAILER, "Gateway-Bot-Gates: scan=warn"), {"digest": "pass"}),
        ((), {}),
    ],
)
def test_gates_are_those_of_the_commit_that_speaks_of_the_image(
    messages: tuple[str, ...], expected: dict[str, str]
) -> None:
    assert expected == dict(gates_of(THIS, messages))
