"""What a rollback is decided on: the base and not the work tree; and what is asked for once more, in other words."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from tests.flows.conftest import DOWNSTREAM, PIN_FILES, Run
from tests.flows.pasts import OURS, WHY, Story, story

__all__ = ["story"]

HOLD = '[[image.hold]]\nversion = "1.4.0"\nreason = "it leaks"\n\n'
OTHER_IMAGE = """
[[image]]
name = "sidecar"
registry = "ghcr.io/acme/sidecar"
github = "acme/sidecar"

[[image.pins]]
type = "dotenv"
file = "sidecar.env"
keys = { SIDECAR_REF = "ref", SIDECAR_IMAGE_DIGEST = "digest" }
"""
OTHER_PIN = f"SIDECAR_REF=v1.0.0\nSIDECAR_IMAGE_DIGEST=sha256:{'a' * 64}\n"
RELEASE = "release-after-merge"


def hold_in(story: Story) -> None:
    story.settings("# What a candidate has to pass", f"{HOLD}# What a candidate has to pass")


def holds(text: str) -> list[dict[str, Any]]:
    return [dict(each) for each in tomllib.loads(text)["image"][0].get("hold", [])]


def found_at(run: Run) -> str:
    """Who has the image, and who does not."""
    return "".join(gate["evidence"] for gate in run.json["gates"] if gate["name"] == "image")


def test_a_dirty_branch_with_another_pin_and_hold_goes_back_from_what_the_base_has(story: Story) -> None:
    story.repo.run("checkout", "-q", "-b", "work")
    for name in PIN_FILES:
        pinned = story.text(name).replace(story.digests["v1.4.1"], story.digests["v1.3.1"])
        story.write(name, pinned.replace("1.4.1", "1.3.1"))
    story.repo.commit("chore: try the old one")
    hold_in(story)

    run = story.rollback()

    assert run.code == 0, run.err
    assert [pull.title for pull in story.proposed] == ["revert(agentgateway): roll back v1.4.1 to v1.4.0"]
    assert [hold["version"] for hold in holds(story.on_branch("gateway-bot.toml"))] == ["1.4.1"]
    assert "this checkout is not main as it was last fetched: pins and holds are read there" in run.err
    assert "not on main yet, and so not counted: the hold of 1.4.0" in run.err


def test_a_hold_of_the_base_counts_where_the_work_tree_has_none(story: Story) -> None:
    without = story.text("gateway-bot.toml")
    hold_in(story)
    story.commit("chore: hold v1.4.0")
    story.write("gateway-bot.toml", without)

    run = story.rollback()

    assert [pull.title for pull in story.proposed] == ["revert(agentgateway): roll back v1.4.1 to v1.3.1"]
    assert "this checkout is not main" in run.err
    assert "not counted" not in run.err


def test_of_a_clean_branch_only_the_holds_that_the_base_has_not_are_told(story: Story) -> None:
    hold_in(story)
    story.commit("chore: hold v1.4.0")
    story.repo.run("checkout", "-q", "-b", "work")
    story.settings(HOLD, HOLD + HOLD.replace("1.4.0", "1.3.0"))
    story.repo.commit("chore: hold v1.3.0")

    run = story.rollback("--dry-run")

    assert "not on main yet, and so not counted: the hold of 1.3.0\n" in run.err


def test_a_clean_checkout_of_the_base_has_nothing_to_tell(story: Story) -> None:
    assert "this checkout is not" not in story.rollback("--dry-run").err


def test_in_place_the_work_tree_is_what_counts(story: Story) -> None:
    hold_in(story)

    run = story.rollback("--apply")

    assert run.code == 0, run.err
    assert "AGENTGATEWAY_REF=v1.3.1" in story.text("versions.env")
    assert "this checkout is not" not in run.err


def test_settings_outside_the_checkout_cannot_be_committed_with_the_pins(story: Story, tmp_path: Path) -> None:
    outside = tmp_path / "elsewhere.toml"
    outside.write_text(story.text("gateway-bot.toml"))
    before = story.checkout()

    runs = [story.run("--settings", str(outside), "rollback", how) for how in ("--dry-run", "--apply")]

    assert ([run.code for run in runs], story.checkout()) == ([2, 2], before)
    assert all("--settings: these settings are outside the checkout" in run.err for run in runs)


def test_settings_elsewhere_in_the_checkout_get_the_hold(story: Story) -> None:
    story.commit("chore: a folder of its own", **{"ci/bot.toml": story.text("gateway-bot.toml")})
    (story.root / "gateway-bot.toml").unlink()
    story.commit("chore: gone from the root")

    run = story.run("--settings", str(story.root / "ci" / "bot.toml"), "rollback", "--reason", WHY)

    assert run.code == 0, run.err + run.out
    assert [hold["version"] for hold in holds(story.on_branch("ci/bot.toml"))] == ["1.4.1"]


def test_of_several_images_one_has_to_be_named(story: Story) -> None:
    story.settings("# Where it runs", f"{OTHER_IMAGE}\n# Where it runs")
    story.commit("feat: a sidecar", **{"sidecar.env": OTHER_PIN})

    unnamed, named = story.rollback(), story.rollback("--image", "agentgateway")

    assert (unnamed.code, named.code) == (2, 0)
    assert "--image: one image at a time" in unnamed.err
    assert "Name one of agentgateway, sidecar." in unnamed.err
    assert len(story.proposed) == 1


def test_a_base_that_nobody_fetched_is_named(story: Story) -> None:
    story.write("gateway-bot.toml", 'base = "trunk"\n' + story.text("gateway-bot.toml"))
    story.commit("chore: another base")

    run = story.rollback()

    assert (run.code, story.proposed) == (2, [])
    assert "there is no branch trunk here, nor at the remote as it was last fetched" in run.err


def test_without_the_repository_s_name_the_other_registries_of_ours_are_asked(story: Story) -> None:
    ours = f'repository = "{story.registry.host}/{OURS}"'
    unnamed = ours.replace(OURS, "{repository}")
    story.settings(ours, f"{unnamed}\n\n[[release.target]]\n{ours.replace(OURS, 'acme/second')}")
    story.commit("feat: a second registry")

    nameless, named = (
        story.run("rollback", "--dry-run", "--json", environ={"GITHUB_REPOSITORY": name}) for name in ("", OURS)
    )

    told = "not every registry of ours is asked: say which repository this is with --repository"
    assert [told in run.err for run in (nameless, named)] == [True, False]
    assert [f"{OURS} has it" in found_at(run) for run in (nameless, named)] == [False, True]
    assert all("acme/second does not have it" in found_at(run) for run in (nameless, named))


def test_the_label_that_releases_it_stays_on_the_same_pin_and_is_told(story: Story) -> None:
    story.rollback("--release")

    run = story.rollback()

    (pull,) = story.proposed
    assert pull.labels == ["rollback", RELEASE]
    assert f"warning: #{pull.number} has the label `{RELEASE}`: merged, it is released" in run.out


def test_the_label_that_releases_it_is_taken_off_where_another_pin_is_proposed_without(story: Story) -> None:
    story.rollback("--release")

    story.rollback("--to", "v1.3.1", "--release")
    with_it = [(pull.title, [*pull.labels]) for pull in story.proposed]
    run = story.rollback()

    assert with_it == [("revert(agentgateway): roll back v1.4.1 to v1.3.1", ["rollback", RELEASE])]
    assert [pull.labels for pull in story.proposed] == [["rollback"]]
    assert f"the label `{RELEASE}` was taken off: it was put there for another pin" in run.out


def test_who_gives_no_reason_leaves_the_one_that_is_open_but_for_another_pin(story: Story) -> None:
    story.rollback()
    before = [(pull.head_sha, pull.title, pull.body) for pull in story.proposed]

    same = story.run("rollback")
    after = [(pull.head_sha, pull.title, pull.body) for pull in story.proposed]
    story.run("rollback", "--to", "v1.3.1")

    assert (same.code, after) == (0, before)
    assert "nothing to do; it is open and says the same" in same.out
    assert [pull.title for pull in story.proposed] == ["revert(agentgateway): roll back v1.4.1 to v1.3.1"]
    assert WHY not in story.proposed[0].body


def test_another_reason_changes_the_commit_the_hold_and_the_text(story: Story) -> None:
    story.rollback()

    story.run("rollback", "--reason", "it drops connections")

    (pull,) = story.proposed
    message = story.github.repositories[DOWNSTREAM].objects.commits[pull.head_sha].message
    said = (message, holds(story.on_branch("gateway-bot.toml"))[0]["reason"], pull.body)
    assert ["it drops connections" in text for text in said] == [True, True, True]
    assert [WHY in text for text in said] == [False, False, False]


def test_who_asks_for_a_release_later_without_a_reason_gets_the_label(story: Story) -> None:
    story.rollback()

    story.run("rollback", "--release")

    assert [pull.labels for pull in story.proposed] == [["rollback", RELEASE]]
