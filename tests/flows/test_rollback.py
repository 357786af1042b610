"""Going back by one command, and staying back: which pin, what proves it, what changes, and what the next run does."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from bot.embedded.server import Fault, Response
from tests.flows.conftest import DOWNSTREAM, PIN_FILES, UPSTREAM
from tests.flows.pasts import BRANCH, OURS, WHY, Story, story

__all__ = ["story"]


def holds(text: str) -> list[dict[str, Any]]:
    found = tomllib.loads(text)["image"][0].get("hold", [])
    assert isinstance(found, list)
    return found


def gates(story: Story, *args: str) -> dict[str, str]:
    answer = story.rollback("--dry-run", "--json", *args).json
    return {gate["name"]: gate["verdict"] for gate in answer["gates"]}


def test_it_goes_back_to_the_newest_known_good_pin_in_one_commit_with_the_hold(story: Story) -> None:
    run = story.rollback()

    (pull,) = story.proposed
    commits = story.github.repositories[DOWNSTREAM].objects
    (parent,) = commits.commits[pull.head_sha].parents
    assert run.code == 0, run.err
    assert parent == story.github.repositories[DOWNSTREAM].refs["refs/heads/main"]
    assert all(story.digests["v1.4.0"] in story.on_branch(name) for name in PIN_FILES)
    left = story.digests["v1.4.1"]
    assert holds(story.on_branch("gateway-bot.toml")) == [
        {"version": "1.4.1", "reason": WHY, "rolled_back_to": "v1.4.0", "rolled_back_from": left}
    ]
    assert WHY in commits.commits[pull.head_sha].message


def test_its_title_branch_and_label_tell_it_from_an_upgrade(story: Story) -> None:
    story.rollback()

    (pull,) = story.proposed

    assert pull.title == "revert(agentgateway): roll back v1.4.1 to v1.4.0"
    assert pull.labels == ["rollback"]
    assert "**agentgateway goes back from 1.4.1 to 1.4.0**, which was released as v1.1.0" in pull.body
    assert WHY in pull.body


def test_only_what_is_asked_for_is_released_after_the_merge(story: Story) -> None:
    story.rollback("--release")

    assert story.proposed[0].labels == ["rollback", "release-after-merge"]


def test_a_second_run_changes_nothing(story: Story) -> None:
    story.rollback()
    before = story.github.files_at(DOWNSTREAM, BRANCH), story.proposed[0].head_sha

    run = story.rollback()

    assert (run.code, "nothing to do" in run.out) == (0, True)
    assert (story.github.files_at(DOWNSTREAM, BRANCH), story.proposed[0].head_sha) == before


def test_the_next_scheduled_run_stays_back_and_says_why(story: Story) -> None:
    story.rollback()
    story.merge()

    run = story.run("plan", "--explain")

    assert (run.code, "nothing new" in run.out) == (0, True)
    assert WHY in run.out


def test_a_newer_release_is_proposed_and_says_that_it_replaces_a_rollback(story: Story) -> None:
    story.rollback()
    story.merge()
    story.release("v1.4.2", days_ago=8)

    run = story.run("propose", "--dry-run")

    assert "bump v1.4.0 to v1.4.2" in run.out
    assert "It replaces the rollback from" in run.out
    assert WHY in run.out


def test_it_goes_to_the_version_that_is_named(story: Story) -> None:
    run = story.rollback("--to", "1.3.1")

    assert run.code == 0, run.err
    assert "AGENTGATEWAY_REF=v1.3.1" in story.on_branch("versions.env")


def test_the_work_tree_is_changed_in_place_once(story: Story) -> None:
    first = story.rollback("--apply")
    changed = story.checkout()
    second = story.rollback("--apply")

    assert (first.code, second.code) == (0, 0)
    assert all(story.digests["v1.4.0"] in story.text(name) for name in PIN_FILES)
    assert holds(story.text("gateway-bot.toml"))[0]["version"] == "1.4.1"
    assert "commit that, or name with --to where to go" in second.out
    assert story.checkout() == changed
    assert story.proposed == []


def test_the_work_tree_goes_on_where_a_run_was_killed_between_two_files(story: Story) -> None:
    before = story.checkout()
    story.rollback("--apply")
    after = story.checkout()
    for name in ("versions.env", "Dockerfile"):
        story.write(name, before[name][1].decode())

    story.rollback("--apply")

    assert story.checkout() == after


def test_rolling_back_a_rollback_lifts_the_hold(story: Story) -> None:
    story.rollback()
    story.merge()

    run = story.rollback("--to", "v1.4.1")

    assert run.code == 0, run.err
    assert "AGENTGATEWAY_REF=v1.4.1" in story.on_branch("versions.env")
    assert holds(story.on_branch("gateway-bot.toml")) == []
    assert "takes off the hold of `1.4.1`" in story.proposed[0].body


def test_after_a_rollback_the_next_one_goes_further_back(story: Story) -> None:
    story.rollback()
    story.merge()

    story.rollback()

    assert story.proposed[0].title == "revert(agentgateway): roll back v1.4.0 to v1.3.1"
    assert [hold["version"] for hold in holds(story.on_branch("gateway-bot.toml"))] == ["1.4.1", "1.4.0"]


def test_what_is_on_hold_is_not_gone_back_to(story: Story) -> None:
    story.write("gateway-bot.toml", with_hold(story, "1.4.0", "it leaks"))
    story.commit("chore: hold 1.4.0")

    story.rollback()

    assert "AGENTGATEWAY_REF=v1.3.1" in story.on_branch("versions.env")


def test_a_named_version_in_a_range_on_hold_is_refused(story: Story) -> None:
    story.write("gateway-bot.toml", with_hold(story, ">=1.4,<1.4.1", "it leaks"))
    story.commit("chore: hold 1.4.0")

    run = story.rollback("--to", "v1.4.0")

    assert (run.code, story.proposed) == (6, [])
    assert "unhold '>=1.4,<1.4.1'" in run.out


def with_hold(story: Story, version: str, reason: str) -> str:
    text = story.text("gateway-bot.toml")
    at = text.index("[release]")
    return f'{text[:at]}[[image.hold]]\nversion = "{version}"\nreason = "{reason}"\n\n{text[at:]}'


def test_a_version_that_was_never_pinned_is_no_way_back(story: Story) -> None:
    story.release("v1.2.0", days_ago=90)

    run = story.rollback("--to", "v1.2.0")

    assert (run.code, story.proposed) == (6, [])
    assert "never pinned" in run.out
    assert "v1.4.0 (released as v1.1.0)" in run.out


def test_without_a_previous_pin_there_is_no_way_back(story: Story) -> None:
    for tag in ("v1.0.0", "v1.1.0"):
        story.repo.run("tag", "-d", tag)

    run = story.rollback()

    assert run.code == 6
    assert "there is no known-good pin before v1.4.1" in run.out
    assert "v1.4.0 (never released)" in run.out


def test_half_a_history_is_not_guessed_from(story: Story, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    story.repo.run("clone", "-q", "--depth=1", story.root.as_uri(), str(clone))
    story.root = clone

    run = story.rollback("--dry-run")

    assert run.code == 8
    assert "git fetch --unshallow --tags" in run.out


def test_an_image_that_upstream_deleted_is_taken_from_our_registry(story: Story) -> None:
    story.lose(UPSTREAM, story.digests["v1.4.0"])

    run = story.rollback()

    assert run.code == 0, run.err
    assert gates(story)["image"] == "warn"
    assert f"still in `{story.registry.host}/{OURS}`" in story.proposed[0].body


def test_an_image_that_is_gone_everywhere_names_the_newest_that_is_not(story: Story) -> None:
    story.lose(UPSTREAM, story.digests["v1.4.0"])
    story.lose(OURS, story.digests["v1.4.0"])

    run = story.rollback()

    assert (run.code, story.proposed) == (5, [])
    assert "gateway-bot rollback --to v1.3.1" in run.out


def test_an_index_whose_platforms_were_cleaned_up_is_not_there(story: Story) -> None:
    for repository in (UPSTREAM, OURS):
        stored = story.registry.repositories[repository]
        index = json.loads(stored.manifests[story.digests["v1.4.0"]].data)
        del stored.manifests[index["manifests"][0]["digest"]]

    run = story.rollback()

    assert (run.code, story.proposed) == (5, [])
    assert "has it broken" in run.out


def test_a_registry_that_does_not_answer_is_no_reason_to_take_another_version(story: Story) -> None:
    def silent(_method: str, path: str) -> Fault | None:
        return Fault(answer=Response(503, b"")) if "/manifests/" in path else None

    story.registry.intercept = silent

    run = story.rollback()

    assert (run.code, story.proposed) == (4, [])
    assert "no other version was taken" in run.out


def test_a_tag_that_was_moved_or_removed_is_told(story: Story) -> None:
    moved = story.registry.push_image(UPSTREAM, "v1.4.0", variation="another")
    before = gates(story)["tag"]
    del story.registry.repositories[UPSTREAM].tags["v1.4.0"]
    after = gates(story)["tag"]

    assert moved != story.digests["v1.4.0"]
    assert (before, after) == ("warn", "warn")


def test_a_base_that_moved_on_github_has_to_be_fetched_first(story: Story) -> None:
    story.github.commit(
        DOWNSTREAM, "main", {"versions.env": ("100644", b"# other\n" + story.checkout()["versions.env"][1])}
    )

    run = story.rollback()

    assert (run.code, story.proposed) == (7, [])
    assert "git fetch --tags" in run.out


def test_a_rollback_that_was_closed_can_be_asked_for_again(story: Story) -> None:
    story.rollback()
    story.proposed[0].state = "closed"

    run = story.rollback()

    assert run.code == 0, run.err
    assert len(story.proposed) == 1


def test_an_upgrade_that_is_open_stays_beside_it(story: Story) -> None:
    story.release("v1.5.0", days_ago=9)
    story.run("propose")

    story.rollback()

    heads = {pull.head for pull in story.github.pulls(DOWNSTREAM) if pull.state == "open"}
    assert heads == {BRANCH, "gateway-bot/upgrade/agentgateway"}


def test_a_saved_rollback_is_proposed_as_it_was_planned(story: Story, tmp_path: Path) -> None:
    file = tmp_path / "plan"
    story.rollback("--save", str(file))

    run = story.rollback("--plan", str(file))

    assert run.code == 0, run.err
    assert len(story.proposed) == 1


@pytest.mark.parametrize(
    ("name", "value"), [("release", True), ("hold", "1.4.0"), ("reason", "none"), ("held_at", ["elsewhere"])]
)
def test_a_saved_rollback_that_was_edited_is_refused(story: Story, tmp_path: Path, name: str, value: object) -> None:
    file = tmp_path / "plan"
    story.rollback("--save", str(file))
    document = json.loads(file.read_text())
    document["rollback"][name] = value
    file.write_text(json.dumps(document))

    run = story.rollback("--plan", str(file))

    assert (run.code, story.proposed) == (6, [])
    assert "says otherwise of rollback" in run.out


def test_a_saved_rollback_to_another_version_is_refused(story: Story, tmp_path: Path) -> None:
    file = tmp_path / "plan"
    story.rollback("--to", "v1.3.1", "--save", str(file))

    run = story.rollback("--plan", str(file))

    assert (run.code, story.proposed) == (6, [])


def test_a_saved_rollback_is_no_upgrade_and_the_other_way_round(story: Story, tmp_path: Path) -> None:
    back, up = tmp_path / "back", tmp_path / "up"
    story.rollback("--save", str(back))
    story.release("v1.5.0", days_ago=9)
    story.run("plan", "--save", str(up))

    as_upgrade, as_rollback = story.run("propose", "--plan", str(back)), story.rollback("--plan", str(up))

    assert (as_upgrade.code, as_rollback.code) == (6, 6)
    assert story.proposed == []


@pytest.mark.parametrize(
    "args",
    [
        ("--apply", "--dry-run"),
        ("--apply", "--release"),
        ("--run", "apply"),
        ("--to", "latest"),
        ("--image", "nothing"),
        ("--emergency", "nowhere"),
        ("--plan", "no-such-file"),
    ],
)
def test_what_makes_no_sense_together_is_refused(story: Story, args: tuple[str, ...]) -> None:
    run = story.rollback(*args)

    assert (run.code, story.proposed) == (2, [])


def test_a_reason_of_a_stranger_changes_neither_the_settings_nor_the_page(story: Story) -> None:
    reason = 'x"\n[[image]]\nname = "evil"\n<!-- @acme/everyone ](http://evil.example) \x1b[31m'
    run = story.run("rollback", "--reason", reason)

    settings = story.on_branch("gateway-bot.toml")
    assert run.code == 0, run.err
    assert [image["name"] for image in tomllib.loads(settings)["image"]] == ["agentgateway"]
    assert "\x1b" not in story.proposed[0].body
    assert "@acme/everyone" not in story.proposed[0].body.replace("@\u200b", "")


def test_what_lies_between_is_not_proposed_in_its_place(story: Story) -> None:
    story.rollback("--to", "v1.3.1")
    story.merge()
    story.release("v1.3.2", days_ago=7)

    run = story.run("plan", "--explain")

    assert holds(story.text("gateway-bot.toml"))[0]["version"] == ">=1.4.0,<=1.4.1"
    assert run.out.count(f"on hold: {WHY}") == 2
    assert "upgrade v1.3.1 -> v1.3.2" in run.out


def test_where_upstream_does_not_answer_all_that_may_lie_between_is_held(story: Story) -> None:
    story.github.intercept = lambda _method, path: (
        Fault(answer=Response(502, b"")) if "releases" in path or "graphql" in path else None
    )

    run = story.rollback("--to", "v1.3.1", "--apply")

    assert run.code == 0, run.out
    assert holds(story.text("gateway-bot.toml"))[0]["version"] == ">1.3.1,<=1.4.1"


def test_half_way_up_again_keeps_the_rest_on_hold(story: Story) -> None:
    story.rollback("--to", "v1.3.1")
    story.merge()

    run = story.rollback("--to", "v1.4.0", "--apply")

    assert run.code == 0, run.out
    (rest,) = holds(story.text("gateway-bot.toml"))
    assert (rest["version"], rest["reason"], rest["rolled_back_to"]) == ("1.4.1", WHY, "v1.4.0")


def test_a_release_that_the_base_no_longer_reaches_is_gone_back_to_by_name_only(story: Story) -> None:
    story.repo.run("checkout", "-q", "--orphan", "fresh")
    story.repo.commit("chore: history begins anew")
    story.repo.run("branch", "-M", "fresh", "main")

    by_itself, by_name = story.rollback(), story.rollback("--to", "v1.4.0")

    assert (by_itself.code, by_name.code) == (6, 0)
    assert "which main does not reach" in story.proposed[0].body


def test_the_status_shows_what_goes_back_and_what_is_on_hold(story: Story) -> None:
    story.rollback()
    before = story.run("status", "--json").json["images"][0]
    story.merge()
    after = story.run("status", "--json").json["images"][0]

    assert [each["title"] for each in before["proposals"]] == ["revert(agentgateway): roll back v1.4.1 to v1.4.0"]
    assert (after["proposals"], after["state"]) == ([], "current")
    assert [(each["ref"], each["reason"]) for each in after["passed_over"]] == [("v1.4.1", f"on hold: {WHY}")]
