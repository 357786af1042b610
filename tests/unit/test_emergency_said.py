from __future__ import annotations

import pytest

from bot.core.terraform_changes import Changed
from bot.core.terraform_said import done, failure, how_far, last_words, unfinished

LOCKED = """\
╷
│ Error: Error acquiring the state lock
│
│ Error message: resource temporarily unavailable
│ Lock Info:
│   ID:        5a9eeb2b-2c9a-7b0c-5a4e-3e9a7a3d2b11
│   Path:      terraform.tfstate
│   Operation: OperationTypeApply
│   Who:       jo@laptop\x1b[31m
│   Version:   1.11.4
│   Created:   2026-08-20 12:00:00.1 +0000 UTC
│   Info:
╵
"""
KEY = "Vw3bYq0/Zk7tTg+1pLsR9xHcN5mJdE2uAiO8fB4Q"
CHANGES = tuple(Changed(f"aws_x.r{number}", "update") for number in range(3))


def test_a_locked_state_names_who_holds_it() -> None:
    actual = failure("plan", 1, LOCKED, "infra")

    assert actual.exit_code == 4
    assert actual.what == (
        "the state is locked by jo@laptop since 2026-08-20 12:00:00.1 +0000 UTC (OperationTypeApply)"
    )
    assert actual.next_step.endswith("terraform -chdir=infra force-unlock 5a9eeb2b-2c9a-7b0c-5a4e-3e9a7a3d2b11")


def test_a_lock_that_names_nobody_is_still_a_lock_and_what_it_is_called_is_no_command() -> None:
    actual = failure("plan", 1, "Error: Error acquiring the state lock\nLock Info:\n  ID:  x; rm -rf /\n", "infra")

    assert actual.what == "the state is locked by somebody since an unknown time (no operation named)"
    assert "rm" not in actual.next_step


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("Error: Value for undeclared variable", 2),
        ("Error: Failed to read variables file", 2),
        ("Error: Invalid value for variable", 2),
        ("Error: No configuration files", 2),
        ("Error: Saved plan is stale", 8),
        ("Error: No valid credential sources found", 4),
        ("", 4),
    ],
)
def test_each_failure_has_its_exit_code(said: str, code: int) -> None:
    actual = failure("plan", 1, said, "infra")

    assert actual.what
    assert actual.exit_code == code


def test_a_failure_that_says_nothing_says_its_exit() -> None:
    assert failure("init", 137, " \n", "infra").what == "terraform init: it ended with exit 137 and said nothing"


@pytest.mark.parametrize(
    "secret",
    [
        "AKIAIOSFODNN7EXAMPLE",
        KEY,
        "ghp_abcdefghijklmnop1234",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
        "aws_session_token = FwoGZXIvYXdz/x",
        "X-Amz-Signature=0123456789abcdef",
        "password: hunter2",
        '"api_key": "hunter2"',
        "Bearer hunter2",
        "https://user:hunter2@host/path",
        "known-to-the-bot",
    ],
)
def test_no_secret_is_quoted(secret: str) -> None:
    said = last_words(
        f"Warning: x\n│ Error: the backend said {secret}\n│ \n│ on main.tf line 3\n", {"known-to-the-bot"}
    )

    assert said.startswith("Error: the backend said ")
    assert said.endswith(" on main.tf line 3")
    assert secret not in said
    assert "hunter2" not in said


def test_a_secret_that_begins_like_another_leaves_no_rest() -> None:
    actual = last_words("Error: no abc123-tail", {"abc123", "abc123-tail"})

    assert actual == "Error: no ***"


def test_a_digest_and_a_place_are_no_secrets() -> None:
    text = (
        f"Error: no image ghcr.io/acme/app@sha256:{'0a' * 32} on modules/compute/environments/production/main.tf line 3"
    )

    assert last_words(text) == text


def test_what_it_says_is_bounded() -> None:
    actual = last_words("Error: " + "x-" * 1_000_000)

    assert len(actual) == 700


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("", ()),
        ("aws_x.r0: Modifying... [id=1]\naws_x.r0: Still modifying...\n", ()),
        ("aws_x.r0: Modifications complete after 1s [id=1]\n", CHANGES[:1]),
        ("aws_x.r1: Destruction complete after 0s\naws_x.r2: Creation complete after 1s\n", CHANGES[2:]),
        ("aws_x.r00: Creation complete after 1s\n", ()),
        ("said: aws_x.r0: Creation complete after 1s\n", ()),
    ],
)
def test_done_is_what_terraform_says_is_complete(said: str, expected: tuple[Changed, ...]) -> None:
    assert done(CHANGES, said) == expected


def test_how_far_it_came_is_told_within_bounds() -> None:
    many = tuple(Changed(f"a.b[{number}]", "update") for number in range(9))

    actual = unfinished(many, "a.b[0]: Creation complete after 1s\n", "Error: it broke", "infra")

    assert how_far(CHANGES, "") == "done: nothing; not done, or not known: aws_x.r0, aws_x.r1, aws_x.r2"
    assert actual.exit_code == 8
    assert actual.what == (
        "the apply ended early; done: a.b[0]; not done, or not known: "
        "a.b[1], a.b[2], a.b[3], a.b[4], a.b[5] and 3 more. Error: it broke"
    )
