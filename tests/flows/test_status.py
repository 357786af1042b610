"""`status`: where every image stands, without asking any gate."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.embedded.server import Fault, Response
from tests.flows.alarms import move, switch, watched, writes
from tests.flows.conftest import DOWNSTREAM, NOW, SIGNATURE, UPSTREAM, Gated, Run, Town
from tests.flows.test_identity import AppTown, app_town

__all__ = ["app_town", "watched"]

MORE = """
[[image]]
name = "{name}"
registry = "{registry}"
github = "agentgateway/agentgateway"
[[image.pins]]
type = "pattern"
file = "pins/{name}"
pattern = "^(?P<image>.+)$"
"""


def row(run: Run) -> dict[str, Any]:
    return dict(json.loads(run.out)["images"][0])


def add(town: Town, names: Iterable[str]) -> None:
    """More images, all of them the same one."""
    for name in names:
        settings = MORE.format(name=name, registry=town.image)
        town.write("gateway-bot.toml", town.text("gateway-bot.toml") + settings)
        town.write(f"pins/{name}", f"{town.image}:v1.3.1@{town.digests['v1.3.1']}\n")


def state(town: Town, *args: str, **environ: str) -> tuple[str, str, int]:
    run = town.run("status", "--json", *args, environ=environ)
    found = row(run)
    return found["state"], found["said"], run.code


def test_an_image_at_the_newest_release_is_current(watched: Town) -> None:
    watched.run("apply")

    run = watched.run("status", "--json")

    assert (row(run)["state"], row(run)["ref"], row(run)["newest"]) == ("current", "v1.4.1", "v1.4.1")
    assert json.loads(run.out)["last_run"] == {
        "started": "2026-08-20T05:00:00Z",
        "state": "success",
        "url": f"{watched.github.url}/{DOWNSTREAM}/actions/runs/1001",
    }
    assert run.code == 0


def test_a_release_that_is_not_proposed_yet_is_due(watched: Town) -> None:
    assert state(watched) == ("due", "v1.4.1 is not proposed yet", 0)


def test_an_open_proposal_is_shown_with_its_number_and_since_when(watched: Town) -> None:
    watched.run("propose")

    run = watched.run("status", "--json")

    found = row(run)
    pull = found["proposals"][0]
    assert (found["state"], found["said"], found["next_step"]) == ("proposed", "in #1", "Review #1.")
    assert (pull["number"], pull["ref"], pull["draft"], pull["stopped"]) == (1, "v1.4.1", False, False)
    assert pull["url"].endswith(f"/{DOWNSTREAM}/pull/1")
    assert pull["since"] is not None


def test_a_proposal_of_an_older_release_says_that_it_moves(watched: Town) -> None:
    watched.run("propose")
    watched.release("v1.4.2", days_ago=1)
    moved = state(watched)
    watched.github.label(DOWNSTREAM, 1, "stop-updating")

    stopped = state(watched)

    assert moved == ("proposed", "in #1, which says v1.4.1: the next run moves it to v1.4.2", 0)
    assert stopped == ("proposed", "in #1, which says v1.4.1, stopped by its label", 0)


BRANCH = "gateway-bot/upgrade/agentgateway"


def asked(town: Town) -> list[str]:
    """The paths, without their queries, of what GitHub was asked for the repository."""
    paths = [exchange.path.partition("?")[0] for exchange in town.github.exchanges]
    return [path.removeprefix(f"/repos/{DOWNSTREAM}") for path in paths if UPSTREAM not in path]


def test_a_proposal_that_somebody_committed_on_is_not_promised_to_move(watched: Town) -> None:
    watched.run("propose")
    watched.release("v1.4.2", days_ago=1)
    watched.github.commit(DOWNSTREAM, BRANCH, {"notes.txt": ("100644", b"x")})
    watched.github.exchanges.clear()
    left = watched.run("status", "--json")
    requests = asked(watched)
    screen = watched.run("status")
    refused = watched.run("propose")
    watched.github.label(DOWNSTREAM, 1, "rebase")

    found = state(watched)

    said = "in #1, which says v1.4.1; the last commit on its branch is not the bot's, so the bot leaves it"
    assert (row(left)["said"], left.code) == (said, 0)
    assert row(left)["next_step"].startswith("Merge #1, or give it the label `rebase`")
    assert row(left)["proposals"][0]["theirs"] is True
    assert f"agentgateway: {said}" in " ".join(screen.out.split())
    assert len([path for path in requests if path.startswith("/git/commits/")]) == 1
    assert refused.code == 7
    assert found == ("proposed", "in #1, which says v1.4.1: the next run moves it to v1.4.2", 0)


def test_a_branch_of_somebodys_where_the_bots_would_be_is_said(watched: Town) -> None:
    watched.github.commit(DOWNSTREAM, BRANCH, {"notes.txt": ("100644", b"x")})

    run = watched.run("status", "--json")

    assert row(run)["said"] == f"v1.4.1 is not proposed: the last commit on {BRANCH} is not the bot's"
    assert row(run)["next_step"] == f"Delete branch {BRANCH} to let the bot go on."
    assert watched.run("propose").code == 7
    assert run.code == 0


def test_whose_commit_it_is_may_be_unknown_and_the_proposal_is_shown(watched: Town) -> None:
    watched.run("propose")
    watched.release("v1.4.2", days_ago=1)
    watched.github.intercept = lambda _, path: Fault(answer=Response(403, b"{}")) if "/git/" in path else None

    run = watched.run("status", "--json")

    assert row(run)["said"] == "in #1, which says v1.4.1; whether the bot may move it to v1.4.2 is not known"
    assert [gap["what"] for gap in json.loads(run.out)["not_known"]] == [
        "the bot's branches",
        "whose commit is the last of #1",
    ]
    assert run.code == 7


@pytest.mark.parametrize("when", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-23:00"])
def test_a_proposal_made_at_a_time_that_cannot_be_is_shown(watched: Town, when: str) -> None:
    watched.run("propose")
    shown = json.loads(watched.github.act(DOWNSTREAM, "GET", "/pulls").body)
    answer = Response(200, json.dumps([pull | {"created_at": when} for pull in shown]).encode())
    watched.github.intercept = lambda _, path: Fault(answer=answer) if "/pulls?" in path else None

    run = watched.run("status")

    assert "a bug" not in f"{run.out}{run.err}"
    assert "#1 agentgateway: deps(agentgateway): bump v1.3.1 to v1.4.1, since a day that is not known" in run.out


def test_what_a_person_closed_is_declined_and_passed_over_on_purpose(watched: Town) -> None:
    watched.run("propose")
    watched.github.close(DOWNSTREAM, 1)

    run = watched.run("status", "--json")

    assert (row(run)["state"], row(run)["said"]) == ("declined", "v1.4.1 in #1")
    assert row(run)["passed_over"][0]["ref"] == "v1.4.1"
    assert run.code == 0


def test_what_was_declined_long_ago_is_no_longer_said(watched: Town) -> None:
    watched.run("propose")
    watched.github.close(DOWNSTREAM, 1)
    watched.run("apply")

    run = watched.run("status", "--json")

    assert (row(run)["state"], row(run)["passed_over"]) == ("current", [])


def test_a_range_in_the_policy_is_said_to_be_on_purpose(watched: Town) -> None:
    watched.settings('channel = "stable"', 'channel = "stable"\nallow = "<1.4"')

    run = watched.run("status", "--json")

    assert row(run)["state"] == "current"
    assert [passed["ref"] for passed in row(run)["passed_over"]] == ["v1.4.1", "v1.4.0"]
    assert row(run)["passed_over"][0]["reason"] == "outside the allowed range <1.4"


def test_a_young_release_is_cooling_and_says_until_when(empty_town: Town) -> None:
    empty_town.release("v1.3.1", days_ago=60)
    empty_town.pin("v1.3.1")
    empty_town.settings('channel = "stable"', 'channel = "stable"\ncooldown_days = 3')
    empty_town.release("v1.4.0", days_ago=1)

    run = empty_town.run("status", "--json", environ={"GITHUB_TOKEN": ""})

    assert (row(run)["state"], row(run)["said"]) == ("cooling", "v1.4.0 until 2026-08-22 12:00 UTC")
    assert row(run)["cooling"] == {"ref": "v1.4.0", "until": "2026-08-22T12:00:00Z"}
    assert row(run)["newest"] == "v1.3.1"


def test_a_release_without_its_image_is_not_ready(watched: Town) -> None:
    watched.github.add_release(UPSTREAM, "v1.5.0", published=NOW - timedelta(hours=1))

    assert state(watched)[0] == "not ready"


def test_files_that_disagree_are_blocked_and_no_failure_of_this_command(watched: Town) -> None:
    watched.write("Dockerfile", watched.text("Dockerfile").replace(watched.digests["v1.3.1"], f"sha256:{'0' * 64}"))

    run = watched.run("status", "--json")

    assert row(run)["state"] == "blocked"
    assert "check --fix" in row(run)["next_step"]
    assert run.code == 0


def test_a_moved_tag_is_an_alarm(watched: Town) -> None:
    move(watched)

    found = state(watched)

    assert (found[0], found[1][:9], found[2]) == ("alarm", "moved tag", 0)


def test_an_open_alarm_of_a_signature_is_shown_without_asking_cosign(gated: Gated, watched: Town) -> None:
    gated.ask(SIGNATURE)
    gated.programs.signature(gated.current, "unsigned")
    watched.run("watch")
    starts = len(gated.programs.starts("cosign"))

    found = state(watched)

    assert (found[0], "no longer verifies" in found[1]) == ("alarm", True)
    assert len(gated.programs.starts("cosign")) == starts


def test_a_silent_schedule_is_shown_with_its_issue(watched: Town) -> None:
    switch(watched, "disabled_manually")
    watched.run("watch")
    url = f"{watched.github.url}/{DOWNSTREAM}/issues/1"

    screen, page = watched.run("status"), watched.run("status", "--markdown")
    run = watched.run("status", "--json")

    alarm = json.loads(run.out)["alarms"][0]
    assert (alarm["question"], alarm["subject"], alarm["number"]) == ("schedule", "upgrade.yml", 1)
    assert (alarm["issue"], alarm["since"]) == (url, "2026-08-20T12:00:00Z")
    assert "#1 upgrade.yml: upgrade.yml is switched off" in screen.out
    assert url in screen.out
    assert "- [\\#1](../issues/1) upgrade.yml: upgrade.yml is switched off" in page.out
    assert run.code == 0


def test_an_image_with_an_alarm_leads_to_its_issue(watched: Town) -> None:
    move(watched)
    watched.run("watch")

    screen, page = watched.run("status"), watched.run("status", "--markdown")

    assert "agentgateway: What to do stands in #1." in screen.out
    assert f"{watched.github.url}/{DOWNSTREAM}/issues/1" in screen.out
    assert "- agentgateway: What to do stands in [\\#1](../issues/1)." in page.out
    assert max(len(word) for word in page.out.split()) < 100


def test_a_repository_without_the_workflow_is_no_failure(watched: Town) -> None:
    watched.github.repositories[DOWNSTREAM].workflows.clear()

    screen, run = watched.run("status"), watched.run("status", "--json")

    assert "upgrade.yml: there is no such workflow; name the one that runs by itself" in screen.out
    assert (json.loads(run.out)["no_workflow"], json.loads(run.out)["not_known"]) == (True, [])
    assert (screen.code, run.code) == (0, 0)


def test_a_repository_that_may_not_be_seen_is_not_said_to_have_no_workflow(watched: Town) -> None:
    run = watched.run("status", environ={"GITHUB_REPOSITORY": "acme/elsewhere"})

    assert "no such workflow" not in run.out
    assert "Check GITHUB_REPOSITORY" in run.out
    assert run.code == 7


def test_what_an_app_may_not_is_said_once(app_town: AppTown) -> None:
    app_town.installed({"contents": "read", "pull_requests": "read"})

    run = app_town.run("status")

    lines = " ".join(run.out.split())
    assert "the last run, alarms, proposals of agentgateway, the bot's branches: " in lines
    assert lines.count("lacks permissions that this needs: actions: read, issues: read") == 1
    assert lines.count("Grant them on the App's page") == 1
    assert run.code == 7


def test_no_gate_is_asked(gated: Gated, watched: Town) -> None:
    gated.ask(SIGNATURE, '[image.scan]\nblock = "LOW"\n')
    watched.settings('channel = "stable"', 'channel = "stable"\ncooldown_days = 30')

    watched.run("status")

    assert (gated.programs.starts("cosign"), gated.programs.starts("trivy")) == ([], [])


def test_a_registry_that_does_not_answer_is_unknown_and_never_current(watched: Town) -> None:
    watched.run("apply")
    watched.registry.intercept = lambda _, __: Fault(answer=Response(503))

    found = state(watched)

    assert (found[0], "HTTP 503" in found[1], found[2]) == ("unknown", True, 4)


@pytest.mark.parametrize(("status", "code"), [(503, 4), (403, 7)])
def test_whether_it_is_proposed_may_be_unknown_too(watched: Town, status: int, code: int) -> None:
    answer = Response(status, b"{}")
    watched.github.intercept = lambda _, path: Fault(answer=answer) if "/pulls" in path else None
    due = state(watched)
    watched.run("apply")

    run = watched.run("status", "--json")

    assert (due[0], "v1.4.1 is there" in due[1], due[2]) == ("unknown", True, code)
    assert row(run)["state"] == "current"
    assert [missing["what"] for missing in json.loads(run.out)["not_known"]] == ["proposals of agentgateway"]
    assert run.code == code


def test_a_last_run_that_cannot_be_asked_for_is_said(watched: Town) -> None:
    watched.github.intercept = lambda _, path: Fault(answer=Response(403, b"{}")) if "/actions" in path else None

    run = watched.run("status")

    assert "upgrade.yml: none is known" in run.out
    assert "the last run:" in run.out
    assert run.code == 7


def test_without_a_token_the_decision_is_shown_and_what_was_not_asked(watched: Town) -> None:
    run = watched.run("status", environ={"GITHUB_TOKEN": "", "GITHUB_REPOSITORY": ""})

    assert "due: v1.4.1; whether it is proposed was not asked" in run.out
    assert "nobody was asked, since GITHUB_TOKEN and GITHUB_REPOSITORY are not set" in " ".join(run.out.split())
    assert "gateway-bot propose" not in run.out
    assert {exchange.path.split("?")[0] for exchange in watched.github.exchanges} == {f"/repos/{UPSTREAM}/releases"}
    assert run.code == 0


@pytest.mark.parametrize("name", ["GITHUB_TOKEN", "GITHUB_REPOSITORY"])
def test_what_is_not_set_is_named(watched: Town, name: str) -> None:
    run = watched.run("status", "--json", environ={name: ""})

    gaps = json.loads(run.out)["not_known"]
    assert [gap["why"] for gap in gaps] == [f"nobody was asked, since {name} is not set"]
    assert name in row(run)["next_step"]
    assert run.code == 0


def test_to_publish_needs_a_token(watched: Town) -> None:
    assert watched.run("status", "--publish", environ={"GITHUB_TOKEN": ""}).code == 2


def test_fifty_images_are_asked_about_with_one_request_each_and_three_for_all(watched: Town) -> None:
    add(watched, (f"image-{number:02}" for number in range(49)))

    run = watched.run("status")

    assert len([line for line in run.out.splitlines() if "due: v1.4.1 is not proposed yet" in line]) == 50
    assert len(asked(watched)) == 50 + 3, "runs, issues, branches"
    assert writes(watched) == []
    assert run.code == 0


def test_one_image_that_fails_leaves_the_others_their_rows(watched: Town) -> None:
    add(watched, ["second"])
    watched.write("pins/second", "nothing\n")

    run = watched.run("status", "--json")

    assert [image["state"] for image in json.loads(run.out)["images"]] == ["due", "blocked"]


def test_the_table_is_aligned_and_fits_a_terminal(watched: Town) -> None:
    add(watched, ["a-name-that-is-forty-characters-long-as-is", "b"][1:])
    watched.run("propose")
    watched.github.edit_pull(DOWNSTREAM, 1, title="A title \x1b[31m" + "that goes on " * 20)
    watched.release("v1.5.0", days_ago=1)
    watched.registry.intercept = lambda _, path: Fault(answer=Response(503)) if "v1.5.0" in path else None

    run = watched.run("status")

    lines = run.out.splitlines()
    columns = [line.index(word) for line, word in zip(lines, ("state", "unknown", "unknown"), strict=False)]
    assert len(set(columns)) == 1
    assert max(map(len, lines)) <= 100
    assert "\x1b" not in run.out


def test_in_github_actions_the_summary_holds_the_status_with_whole_addresses(watched: Town, tmp_path: Path) -> None:
    watched.run("propose")
    summary = tmp_path / "summary"

    watched.run("status", environ={"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_SERVER_URL": "https://ghe.example"})

    assert f"[\\#1](https://ghe.example/{DOWNSTREAM}/pull/1)" in summary.read_text()
    assert "Close this issue" not in summary.read_text()
