"""A saved plan brings the evidence from a job with scanners to a job with a token; little of it is believed."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.flows.conftest import CONFIG, DOWNSTREAM, NOW, SCAN, SIGNATURE, Gated, Run

GLIBC = ("CVE-2026-0002", "glibc", "CRITICAL", "2.0-r1")


@pytest.fixture
def saved(gated: Gated, tmp_path: Path) -> Path:
    """A plan that passed all gates; from here on there are no programs and no engine."""
    gated.ask(SIGNATURE, SCAN, CONFIG)
    file = tmp_path / "plan.json"
    assert gated.run("plan", "--save", str(file)).code == 0
    without_programs(gated)
    return file


def without_programs(gated: Gated) -> None:
    gated.town.environ |= {"PATH": "/nonexistent", "DOCKER_HOST": "tcp://127.0.0.1:9"}


def edit(file: Path, change: Callable[[Any], object]) -> None:
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document) + "\n")


def propose(gated: Gated, file: Path) -> Run:
    return gated.run("propose", "--plan", str(file))


def test_the_job_that_proposes_needs_no_program(gated: Gated, saved: Path) -> None:
    run = propose(gated, saved)

    (pull,) = gated.town.github.pulls(DOWNSTREAM)
    assert run.code == 0
    assert "**signature**: signed by" in pull.body


def test_the_job_that_applies_needs_no_program(gated: Gated, saved: Path) -> None:
    run = gated.run("apply", "--plan", str(saved))

    assert run.code == 0
    assert "v1.4.1" in gated.town.text("versions.env")


@pytest.mark.usefixtures("saved")
def test_without_a_saved_plan_the_same_job_proposes_nothing(gated: Gated) -> None:
    run = gated.run("propose")

    assert run.code == 4
    assert gated.town.github.pulls(DOWNSTREAM) == ()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("evidence away", lambda d: d.update(evidence=None)),
        ("evidence no evidence", lambda d: d.update(evidence=[1])),
        ("a field of another kind", lambda d: d["evidence"].update(gathered="yesterday")),
        ("another candidate", lambda d: d["evidence"].update(candidate=f"sha256:{'1' * 64}")),
        ("another pin", lambda d: d["evidence"].update(current=f"sha256:{'1' * 64}")),
        ("another release", lambda d: d["evidence"].update(ref="v1.4.0")),
        ("another image", lambda d: d["evidence"].update(image="other")),
        ("no signature", lambda d: d["evidence"].update(signature=None)),
        ("signature of another digest", lambda d: d["evidence"]["signature"].update(digest=f"sha256:{'1' * 64}")),
        ("signature by another identity", lambda d: d["evidence"]["signature"].update(identity="https://evil")),
        ("signature by another issuer", lambda d: d["evidence"]["signature"].update(issuer="https://evil")),
        ("no scans", lambda d: d["evidence"].update(scans=None)),
        ("scan of another image", lambda d: d["evidence"]["scans"]["candidate"].update(digest=f"sha256:{'1' * 64}")),
        ("a platform less", lambda d: d["evidence"]["scans"]["candidate"]["parts"].pop()),
        ("two databases", lambda d: d["evidence"]["scans"]["current"]["database"].update(version=1)),
        ("no config", lambda d: d["evidence"].update(config=None)),
        ("no environment", lambda d: d["evidence"]["config"].update(judged=[])),
        ("another gate", lambda d: d["gates"][-1].update(evidence="all is well")),
        ("a gate less", lambda d: d["gates"].pop()),
        ("from the future", lambda d: d["evidence"].update(gathered=(NOW + timedelta(hours=1)).isoformat())),
        ("too old", lambda d: d["evidence"].update(gathered=(NOW - timedelta(hours=25)).isoformat())),
        ("no time zone", lambda d: d["evidence"].update(gathered="2026-08-20T12:00:00")),
    ],
)
def test_a_saved_plan_that_says_something_else_is_refused(
    gated: Gated, saved: Path, name: str, change: Callable[[Any], object]
) -> None:
    edit(saved, change)

    run = propose(gated, saved)

    assert (run.code, name) == (6, name)
    assert "Make the plan again" in run.out
    assert gated.town.github.pulls(DOWNSTREAM) == ()


def test_evidence_within_the_limit_of_the_policy_is_used(gated: Gated, saved: Path) -> None:
    edit(saved, lambda d: d["evidence"].update(gathered=(NOW - timedelta(hours=23)).isoformat()))

    assert propose(gated, saved).code == 0


def test_a_finding_that_was_edited_away_changes_what_the_gate_says(gated: Gated, tmp_path: Path) -> None:
    gated.ask(SCAN)
    gated.programs.findings(gated.candidate, [GLIBC])
    file = tmp_path / "plan.json"
    assert gated.run("plan", "--save", str(file)).code == 6
    without_programs(gated)

    def pretend(document: Any) -> None:
        document.update(outcome="propose", exit_code=0)
        document["gates"][-1].update(verdict="pass")

    edit(file, pretend)

    assert propose(gated, file).code == 6


def test_a_plan_that_a_gate_stopped_stays_stopped_with_its_code(gated: Gated, tmp_path: Path) -> None:
    gated.ask(SIGNATURE)
    gated.programs.signature(gated.candidate, "unsigned")
    file = tmp_path / "plan.json"
    gated.run("plan", "--save", str(file))
    gated.programs.signature(gated.candidate, "bundle")

    run = propose(gated, file)

    assert run.code == 5
    assert "blocked when it was planned: unsigned" in run.out


def test_settings_that_ask_more_than_was_gathered_are_not_met(gated: Gated, tmp_path: Path) -> None:
    gated.ask(SIGNATURE)
    file = tmp_path / "plan.json"
    gated.run("plan", "--save", str(file))
    gated.ask(SCAN)
    without_programs(gated)

    run = propose(gated, file)

    assert run.code == 6


def test_an_urgent_release_stays_urgent_for_the_job_that_proposes(gated: Gated, tmp_path: Path) -> None:
    gated.town.release("v1.4.2", days_ago=1)
    gated.town.settings('channel = "stable"', 'channel = "stable"\ncooldown_days = 3')
    gated.ask(SCAN)
    gated.programs.findings(gated.current, [GLIBC])
    gated.programs.findings(gated.town.digests["v1.4.2"], [])
    file = tmp_path / "plan.json"
    gated.run("plan", "--save", str(file))
    without_programs(gated)

    run = propose(gated, file)

    assert run.code == 0
    assert [pull.title for pull in gated.town.github.pulls(DOWNSTREAM)] == ["deps(agentgateway): bump v1.3.1 to v1.4.2"]


def test_a_base_that_moved_is_planned_again_with_the_evidence_at_hand(gated: Gated, saved: Path) -> None:
    text = gated.town.text("versions.env") + "# a person's comment\n"
    gated.town.github.commit(DOWNSTREAM, "main", {"versions.env": ("100644", text.encode())})

    run = propose(gated, saved)

    assert run.code == 0
    assert len(gated.town.github.pulls(DOWNSTREAM)) == 1


def leaves(document: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    match document:
        case dict():
            return [path, *(leaf for key, value in document.items() for leaf in leaves(value, (*path, key)))]
        case list():
            return [path, *(leaf for key, value in enumerate(document) for leaf in leaves(value, (*path, key)))]
        case _:
            return [path]


@pytest.mark.parametrize("value", [None, "", "2026-08-20T12:00:00", -1, [], {}, "x" * 100_000, 10**30, "\ud800"])
def test_no_edit_of_the_evidence_is_a_bug(gated: Gated, saved: Path, value: object) -> None:
    document = json.loads(saved.read_text())
    codes = {}
    for path in leaves(document["evidence"]):
        changed = json.loads(saved.read_text())
        holder = changed
        for step in ("evidence", *path[:-1]):
            holder = holder[step]
        holder[path[-1] if path else "evidence"] = value
        file = saved.with_name("edited.json")
        file.write_text(json.dumps(changed))
        codes[path] = gated.run("propose", "--dry-run", "--plan", str(file)).code

    assert {path: code for path, code in codes.items() if code not in {0, 2, 6}} == {}


NO_ANSWER = {"type": "Unanswered", "reason": "x", "next_step": "y", "exit_code": 0}
LIES: list[tuple[str, Callable[[Any], object]]] = [
    ("tool", lambda e: e["signature"].update(tool="cosign 3.1.3\n<img src=x>")),
    ("scanner", lambda e: [e["scans"][side].update(scanner="trivy 1 @acme") for side in ("current", "candidate")]),
    ("another environment", lambda e: e["config"]["judged"].append({"environment": "@acme"})),
    ("a part twice", lambda e: e["scans"]["candidate"]["parts"].append(e["scans"]["candidate"]["parts"][0])),
    ("no part of the current image", lambda e: e["scans"]["current"]["parts"].clear()),
    (
        "a part of another platform",
        lambda e: e["scans"]["candidate"]["parts"][0]["platform"].update(os="\r::warning::x"),
    ),
    (
        "an exit code of success",
        lambda e: e.update(scans={"type": "Unanswered", "reason": "x", "next_step": "y", "exit_code": 0}),
    ),
]


@pytest.mark.parametrize(("name", "lie"), LIES, ids=[name for name, _ in LIES])
def test_a_lie_that_is_cheap_to_notice_is_noticed(
    gated: Gated, saved: Path, name: str, lie: Callable[[Any], object]
) -> None:
    edit(saved, lambda document: lie(document["evidence"]))

    run = propose(gated, saved)

    assert (run.code, name) == (6, name)
    assert gated.town.github.pulls(DOWNSTREAM) == ()


def test_two_lines_for_one_image_are_no_plan(gated: Gated, saved: Path) -> None:
    saved.write_text(saved.read_text() * 2)

    run = propose(gated, saved)

    assert run.code == 6
    assert "two lines for one image" in run.err


def test_a_release_that_came_after_a_plan_without_one_is_for_the_next_run(gated: Gated, tmp_path: Path) -> None:
    gated.ask(SIGNATURE, SCAN, CONFIG)
    gated.town.run("apply")
    file = tmp_path / "plan.json"
    gated.run("plan", "--save", str(file))
    gated.town.release("v1.4.2", days_ago=1)
    without_programs(gated)

    run = propose(gated, file)

    assert run.code == 0
    assert "v1.4.2, which is there now, is for the next run" in run.out


def test_an_ignore_that_ended_since_the_plan_was_made_no_longer_holds(gated: Gated, tmp_path: Path) -> None:
    ignore = '[[image.scan.ignore]]\nid = "CVE-2026-0002"\nreason = "x"\nuntil = 2026-08-19\n'
    gated.ask(SCAN, ignore)
    gated.programs.findings(gated.candidate, [GLIBC])
    file = tmp_path / "plan.json"
    gated.run("plan", "--save", str(file))
    without_programs(gated)

    def before(document: Any) -> None:
        document.update(outcome="propose", exit_code=0)
        document["evidence"].update(gathered="2026-08-19T20:00:00Z")

    edit(file, before)

    assert propose(gated, file).code == 6
