"""The JSON shape of the three outcomes is a promise: fields are only ever added."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from bot.core.plan import Outcome, decide
from bot.core.wire import FORMAT, OutcomeJson, differences, from_json, to_json
from tests.unit.values import FILES, NEW, OLD, OTHER, RELEASES, observed, plan

CURRENT = {
    "ref": "v1.3.1",
    "version": "1.3.1",
    "digest": OLD,
    "tag": "v1.3.1",
    "platforms": ["linux/amd64", "linux/arm64"],
}
CANDIDATE = CURRENT | {"ref": "v1.4.1", "version": "1.4.1", "digest": NEW, "tag": "v1.4.1"}
NEWEST = "the newest release that the policy allows"
SELECTION = [
    {"ref": "v1.4.1", "picked": True, "reason": NEWEST},
    {"ref": "v1.4.0", "picked": False, "reason": "older than v1.4.1"},
    {"ref": "v1.3.1", "picked": False, "reason": "the pin"},
]
TAG_GATE = {
    "name": "pinned-tag",
    "verdict": "pass",
    "evidence": f"ghcr.io/acme/app:v1.3.1 still answers with {OLD}",
    "repeat": "gateway-bot resolve ghcr.io/acme/app:v1.3.1",
    "next_step": "",
}
GATES = [
    TAG_GATE,
    {
        "name": "digest",
        "verdict": "pass",
        "evidence": f"the bytes of the index at ghcr.io/acme/app:v1.4.1 hash to {NEW}",
        "repeat": "gateway-bot resolve ghcr.io/acme/app:v1.4.1",
        "next_step": "",
    },
    {
        "name": "platforms",
        "verdict": "pass",
        "evidence": "linux/amd64, linux/arm64",
        "repeat": f"gateway-bot resolve ghcr.io/acme/app@{NEW}",
        "next_step": "",
    },
    {"name": "new-digest", "verdict": "pass", "evidence": f"{NEW} replaces {OLD}", "repeat": "", "next_step": ""},
]
EMPTY: dict[str, Any] = {
    "format": "gateway-bot/plan/v1",
    "image": "app",
    "repository": "ghcr.io/acme/app",
    "current": CURRENT,
    "candidate": None,
    "selection": SELECTION,
    "edits": [],
    "gates": GATES,
    "drift": [],
    "where": "",
    "next_step": "",
    "exit_code": 0,
    "bases": {},
    "steps": [],
    "notes": [],
    "made": "",
    "did": "",
    "pull_request": "",
    "warnings": [],
    "evidence": None,
    "rollback": None,
}
DRIFTED = FILES | {"Dockerfile": FILES["Dockerfile"].replace(OLD, OTHER)}
DRIFT = {
    "file": "Dockerfile",
    "line": 1,
    "holds": f"ghcr.io/acme/app@{OTHER}",
    "expected": f"ghcr.io/acme/app@{OLD}",
}
GOLDEN = {
    "propose": EMPTY
    | {
        "outcome": "propose",
        "reason": f"v1.4.1 is {NEWEST}",
        "candidate": CANDIDATE,
        "edits": [
            {"file": "versions.env", "line": 1, "old": "v1.3.1", "new": "v1.4.1"},
            {"file": "versions.env", "line": 2, "old": OLD, "new": NEW},
            {
                "file": "main.tf",
                "line": 2,
                "old": f"ghcr.io/acme/app:v1.3.1@{OLD}",
                "new": f"ghcr.io/acme/app:v1.4.1@{NEW}",
            },
            {"file": "Dockerfile", "line": 1, "old": f"ghcr.io/acme/app@{OLD}", "new": f"ghcr.io/acme/app@{NEW}"},
        ],
        "bases": {name: hashlib.sha256(text.encode()).hexdigest() for name, text in FILES.items()},
        "steps": [
            "rewrite versions.env:1",
            "rewrite versions.env:2",
            "rewrite main.tf:2",
            "rewrite Dockerfile:1",
            "one commit on branch gateway-bot/upgrade/app: deps(app): bump v1.3.1 to v1.4.1",
            "one pull request from it, opened or updated",
        ],
        "notes": [
            {"ref": "v1.4.1", "published": "2026-08-10T12:00:00+00:00", "url": "", "body": ""},
            {"ref": "v1.4.0", "published": "2026-07-31T12:00:00+00:00", "url": "", "body": ""},
        ],
        "made": "2026-08-20T12:00:00+00:00",
        "did": "#7 opened",
        "pull_request": "https://github.com/acme/app/pull/7",
    },
    "nothing_new": EMPTY
    | {
        "outcome": "nothing_new",
        "reason": f"v1.3.1 is {NEWEST}, of 1 seen",
        "selection": SELECTION[2:],
        "gates": [TAG_GATE],
    },
    "blocked": EMPTY
    | {
        "outcome": "blocked",
        "reason": f"the pinned files disagree in 1 place: Dockerfile:1 holds {DRIFT['holds']}, "
        f"versions.env says {DRIFT['expected']}",
        "candidate": CANDIDATE,
        "drift": [DRIFT],
        "where": "Dockerfile:1",
        "next_step": "Repair them with `gateway-bot check --fix`, which takes versions.env as the truth.",
        "exit_code": 3,
    },
}
OUTCOMES: dict[str, Outcome] = {
    "propose": plan(),
    "nothing_new": decide(observed(RELEASES[2:])),
    "blocked": decide(observed(files=DRIFTED)),
}


def line(outcome: Outcome) -> bytes:
    if outcome is OUTCOMES["propose"]:
        return to_json(outcome, "#7 opened", "https://github.com/acme/app/pull/7")
    return to_json(outcome)


@pytest.mark.parametrize("kind", GOLDEN)
def test_the_shape_of_an_outcome(kind: str) -> None:
    actual = json.loads(line(OUTCOMES[kind]))

    assert GOLDEN[kind] == actual


@pytest.mark.parametrize("kind", GOLDEN)
def test_an_outcome_is_one_line_that_reads_back(kind: str) -> None:
    data = line(OUTCOMES[kind])

    claim = from_json(data)

    assert b"\n" not in data
    assert (claim.format, claim.outcome) == (FORMAT, kind)
    assert data == msgspec.json.encode(claim)


def test_what_a_later_version_adds_is_passed_over() -> None:
    data = json.dumps(GOLDEN["propose"] | {"added_later": [1]}).encode()

    assert from_json(data) == from_json(line(OUTCOMES["propose"]))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b"\xff",
        b'{"format": "gateway-bot/plan/v1"}',
        json.dumps(GOLDEN["propose"] | {"format": "gateway-bot/plan/v2"}).encode(),
        json.dumps(GOLDEN["propose"] | {"edits": [{"file": 1}]}).encode(),
        json.dumps(GOLDEN["propose"] | {"candidate": "v1.4.1"}).encode(),
    ],
)
def test_what_is_no_saved_plan(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        from_json(data)


SAVED = from_json(to_json(plan()))
PIN = SAVED.candidate
assert PIN is not None
CLAIMS: dict[str, tuple[OutcomeJson, tuple[str, ...]]] = {
    "the same": (SAVED, ()),
    "another day": (replace(SAVED, made="2020-01-01", notes=[], steps=[], reason="x", selection=[]), ()),
    "other gates": (replace(SAVED, gates=SAVED.gates[1:]), ("gates",)),
    "another image": (replace(SAVED, image="other"), ("image",)),
    "another repository": (replace(SAVED, repository="ghcr.io/evil/app"), ("repository",)),
    "another digest": (replace(SAVED, candidate=replace(PIN, digest=OTHER)), ("candidate",)),
    "another platform": (replace(SAVED, candidate=replace(PIN, platforms=[])), ("candidate",)),
    "another pin": (replace(SAVED, current=PIN), ("current",)),
    "no plan": (replace(SAVED, outcome="nothing_new"), ("outcome",)),
    "other edits": (replace(SAVED, edits=SAVED.edits[1:]), ("edits",)),
}


@pytest.mark.parametrize("case", CLAIMS)
@pytest.mark.parametrize("same_base", [True, False])
def test_where_a_saved_plan_differs_from_a_fresh_one(case: str, *, same_base: bool) -> None:
    saved, expected = CLAIMS[case]

    actual = differences(saved, plan(), same_base=same_base)

    assert expected == actual


def test_other_bases_count_where_the_files_must_be_the_same() -> None:
    saved = replace(SAVED, bases={}, edits=[])

    assert differences(saved, plan(), same_base=False) == ()
    assert differences(saved, plan(), same_base=True) == ("edits",)
