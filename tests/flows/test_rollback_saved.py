"""A rollback that was saved is proposed only by who asks for the same once more."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.flows.conftest import UPSTREAM
from tests.flows.pasts import OURS, WHY, Story, story

__all__ = ["story"]

AGAIN = "With --plan say --to, --reason and --release as with --save"


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(tmp_path / "plan")


def test_what_is_asked_for_in_the_same_words_is_proposed(story: Story, file: str) -> None:
    words = ("--to", "v1.3.1", "--release")
    saved = story.rollback("--save", file, *words)
    before = story.proposed

    run = story.rollback("--plan", file, *words)

    assert (saved.code, run.code, before) == (0, 0, [])
    assert [(pull.title, pull.labels) for pull in story.proposed] == [
        ("revert(agentgateway): roll back v1.4.1 to v1.3.1", ["rollback", "release-after-merge"])
    ]


def test_who_asks_for_something_else_than_was_saved_is_told_to_repeat_it(story: Story, tmp_path: Path) -> None:
    why, to, release = ("--reason", WHY), ("--to", "v1.3.1"), ("--release",)
    pairs = [
        (why, ("--reason", "something else")),
        (why, ()),
        (why, (*why, *release)),
        (why, (*why, *to)),
        ((*why, *release), why),
        ((*why, *to), why),
    ]
    files = {saved: str(tmp_path / str(number)) for number, saved in enumerate({saved for saved, _ in pairs})}
    for saved, file in files.items():
        story.run("rollback", "--save", file, *saved)

    runs = {pair: story.run("rollback", "--plan", files[pair[0]], *pair[1]) for pair in pairs}

    assert {pair: (run.code, AGAIN in run.out) for pair, run in runs.items()} == dict.fromkeys(pairs, (6, True))
    assert story.proposed == []


def test_where_what_was_saved_is_no_way_back_any_more_both_are_said(story: Story, file: str) -> None:
    story.rollback("--save", file)
    for tag in ("v1.0.0", "v1.1.0"):
        story.repo.run("tag", "-d", tag)

    run = story.rollback("--plan", file)

    assert (run.code, story.proposed) == (6, [])
    assert (
        "the saved plan goes to v1.4.0; by what is asked for now: there is no known-good pin before v1.4.1" in run.out
    )
    assert AGAIN in run.out


def test_an_upgrade_s_plan_is_no_way_back(story: Story, file: str) -> None:
    story.release("v1.5.0", days_ago=9)
    story.run("plan", "--save", file)

    run = story.rollback("--plan", file)

    assert (run.code, story.proposed) == (6, [])
    assert "it is no plan of one rollback, of agentgateway" in run.err
    assert AGAIN in run.err


def test_a_plan_that_was_blocked_stays_so_in_its_own_words(story: Story, file: str) -> None:
    kept = {name: dict(story.registry.repositories[name].manifests) for name in (UPSTREAM, OURS)}
    for name in kept:
        del story.registry.repositories[name].manifests[story.digests["v1.4.0"]]
    story.rollback("--save", file)
    for name, manifests in kept.items():
        story.registry.repositories[name].manifests.update(manifests)

    run = story.rollback("--plan", file)

    assert (run.code, story.proposed) == (5, [])
    assert "blocked when it was planned: the image of v1.4.0 is gone" in run.out
    assert "gateway-bot rollback --to v1.3.1" in run.out
    assert AGAIN not in run.out


def test_a_plan_of_two_images_is_no_plan_of_one_rollback(story: Story, file: str) -> None:
    story.rollback("--save", file)
    line = json.loads(Path(file).read_text())
    Path(file).write_text(f"{json.dumps(line)}\n{json.dumps(line)}\n")

    run = story.rollback("--plan", file)

    assert (run.code, story.proposed) == (6, [])
    assert "it is no plan of one rollback" in run.err


def test_a_plan_that_a_gate_refused_stays_refused_by_it(story: Story, file: str) -> None:
    allowed = story.text("gateway-bot.toml")
    story.settings('"linux/arm64"]', '"linux/arm64", "linux/s390x"]')
    story.commit("feat: a third platform")
    story.rollback("--save", file)
    story.write("gateway-bot.toml", allowed)
    story.commit("revert: a third platform")

    run = story.rollback("--plan", file)

    assert (run.code, story.proposed) == (5, [])
    assert "agentgateway: blocked. blocked when it was planned: " in run.out
    assert "linux/s390x" in run.out
    assert AGAIN not in run.out


def test_a_plan_without_a_candidate_was_not_made_by_the_bot(story: Story, file: str) -> None:
    story.rollback("--save", file)
    Path(file).write_text(json.dumps({**json.loads(Path(file).read_text()), "candidate": None}))

    run = story.rollback("--plan", file)

    assert (run.code, story.proposed) == (6, [])
    assert "the saved plan names no candidate" in run.out
    assert AGAIN in run.out
