"""The life of a proposal after it was opened: what people do to it stays, and nothing is asked twice."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from bot.core.proposal.part import part_of
from bot.embedded.github.records import Account, AutoMerge, Pull
from bot.embedded.github.routing import RefusalError
from bot.embedded.server import Fault, Response
from tests.flows.conftest import DOWNSTREAM, PIN_FILES, PROJECT, SIGNATURE, TOKEN, Gated, Town

BRANCH = "gateway-bot/upgrade/agentgateway"


def pulls(town: Town) -> tuple[Pull, ...]:
    return town.github.pulls(DOWNSTREAM)


def the_pull(town: Town) -> Pull:
    (pull,) = [pull for pull in pulls(town) if pull.state == "open"]
    return pull


def files(town: Town, branch: str = BRANCH) -> dict[str, bytes]:
    return {path: data for path, (_, data) in town.github.files_at(DOWNSTREAM, branch).items()}


def writes(town: Town) -> list[str]:
    return [f"{e.method} {e.path}" for e in town.github.exchanges if e.method != "GET"]


def holds(town: Town, ref: str, branch: str = BRANCH) -> bool:
    return all(town.digests[ref].encode() in files(town, branch)[name] for name in PIN_FILES)


def has_branch(town: Town) -> bool:
    return f"refs/heads/{BRANCH}" in town.github.repositories[DOWNSTREAM].refs


def on_base(town: Town, ref: str) -> None:
    """The base and the checkout hold the pin of a release, however it came there."""
    town.run("apply", "--to", ref)
    town.github.commit(DOWNSTREAM, "main", town.checkout())


def opening(town: Town, *lines: str) -> None:
    text = town.text("gateway-bot.toml").replace(
        "[[image]]\n", "\n".join(["[pull_request]", *lines, "", "[[image]]\n"])
    )
    town.write("gateway-bot.toml", text)


# --- versions


def test_an_open_pull_request_moves_to_the_newer_release(town: Town) -> None:
    town.run("propose")
    town.release("v1.5.0", days_ago=1)

    run = town.run("propose")

    pull = the_pull(town)
    assert pull.number == 1
    assert pull.title == "deps(agentgateway): bump v1.3.1 to v1.5.0"
    assert "it proposed v1.4.1, and now proposes v1.5.0" in run.out
    assert holds(town, "v1.5.0")
    assert len(pulls(town)) == 1


def test_a_newer_release_after_a_declined_one_is_a_new_question(town: Town) -> None:
    town.run("propose")
    town.github.close(DOWNSTREAM, 1)
    town.release("v1.5.0", days_ago=1)

    town.run("propose")
    town.github.close(DOWNSTREAM, 2)
    run = town.run("propose")

    assert [pull.state for pull in pulls(town)] == ["closed", "closed"]
    assert "v1.5.0 was declined in #2" in run.out


def test_a_declined_one_whose_text_was_emptied_is_remembered_by_its_commit(town: Town) -> None:
    town.run("propose")
    town.github.edit_pull(DOWNSTREAM, 1, body="no", title="no")
    town.github.close(DOWNSTREAM, 1)

    run = town.run("propose")

    assert "declined in #1" in run.out
    assert len(pulls(town)) == 1


def test_a_declined_one_that_is_opened_again_goes_on(town: Town) -> None:
    town.run("propose")
    town.github.close(DOWNSTREAM, 1)
    town.run("propose")
    town.github.reopen(DOWNSTREAM, 1)
    town.release("v1.5.0", days_ago=1)

    town.run("propose")

    assert (the_pull(town).number, holds(town, "v1.5.0")) == (1, True)


def test_an_older_one_that_is_opened_again_does_not_bring_a_declined_one_back(town: Town) -> None:
    town.run("propose")
    town.github.close(DOWNSTREAM, 1)
    town.release("v1.5.0", days_ago=1)
    town.run("propose")
    town.github.close(DOWNSTREAM, 2)
    town.github.reopen(DOWNSTREAM, 1)

    run = town.run("propose")

    assert "v1.5.0 was declined in #2" in run.out
    assert the_pull(town).title == "deps(agentgateway): bump v1.3.1 to v1.4.1"


def test_a_branch_that_a_person_deleted_is_a_declined_proposal(town: Town) -> None:
    town.run("propose")
    town.github.delete_branch(DOWNSTREAM, BRANCH)

    run = town.run("propose")

    assert "declined in #1" in run.out
    assert not has_branch(town)


@pytest.mark.parametrize("method", ["merge", "squash"])
def test_the_branch_goes_after_a_merge(town: Town, method: str) -> None:
    town.run("propose")
    town.github.merge(DOWNSTREAM, 1, method="squash" if method == "squash" else "merge")
    town.run("apply")

    run = town.run("propose")

    assert f"branch {BRANCH} deleted: #1 is merged" in run.out
    assert not has_branch(town)
    assert run.code == 0


def test_the_branch_of_a_merged_one_stays_when_somebody_went_on_with_it(town: Town) -> None:
    town.run("propose")
    town.github.merge(DOWNSTREAM, 1)
    town.run("apply")
    town.github.commit(DOWNSTREAM, BRANCH, {"more.txt": ("100644", b"mine")})

    run = town.run("propose")

    assert files(town)["more.txt"] == b"mine"
    assert "has newer commits" in run.out


def test_what_the_base_has_by_other_ways_is_withdrawn_and_said(town: Town) -> None:
    town.run("propose")
    on_base(town, "v1.4.1")

    run = town.run("propose")

    pull = pulls(town)[0]
    assert (pull.state, pull.merged) == ("closed", None)
    assert "**Withdrawn by gateway-bot:** the pin is at v1.4.1 already." in pull.body
    assert "#1 withdrawn: the pin is at v1.4.1 already" in run.out
    assert not has_branch(town)


def test_a_withdrawn_proposal_was_not_declined_by_anybody(town: Town) -> None:
    before = town.checkout()
    town.run("propose")
    on_base(town, "v1.4.1")
    town.run("propose")
    for name, (_, data) in before.items():
        town.write(name, data.decode())
    town.github.commit(DOWNSTREAM, "main", dict(before))

    run = town.run("propose")

    assert run.code == 0
    assert (the_pull(town).number, holds(town, "v1.4.1")) == (2, True)


def test_what_the_policy_no_longer_allows_is_withdrawn(town: Town) -> None:
    town.run("propose")
    town.settings('channel = "stable"', 'channel = "stable"\nallow = "<1.4"')

    run = town.run("propose")

    assert "no longer proposed" in run.out
    assert [pull.state for pull in pulls(town)] == ["closed"]


def test_a_release_that_has_to_cool_down_now_is_not_withdrawn(town: Town) -> None:
    town.run("propose")
    town.settings('channel = "stable"', 'channel = "stable"\ncooldown_days = 100')

    town.run("propose")

    assert the_pull(town).number == 1


# --- persons


def test_a_persons_commit_gets_one_comment(town: Town) -> None:
    town.run("propose")
    theirs = town.github.commit(DOWNSTREAM, BRANCH, {"fix.txt": ("100644", b"mine")})
    before = the_pull(town).body

    codes = [town.run("propose").code for _ in range(3)]
    town.github.commit(DOWNSTREAM, BRANCH, {"fix.txt": ("100644", b"mine again")})
    town.release("v1.5.0", days_ago=1)
    codes.append(town.run("propose").code)

    pull = the_pull(town)
    assert codes == [7] * 4
    assert len(pull.comments) == 1
    assert "add the label `rebase`" in pull.comments[0].body
    assert (pull.body, pull.title) == (before, "deps(agentgateway): bump v1.3.1 to v1.4.1")
    assert theirs in town.github.repositories[DOWNSTREAM].objects.history(pull.head_sha)


def test_asked_to_the_bot_goes_on_on_top_of_a_persons_commit(town: Town) -> None:
    town.run("propose")
    dockerfile = files(town)["Dockerfile"] + b"# theirs\n"
    town.github.commit(DOWNSTREAM, BRANCH, {"fix.txt": ("100644", b"mine"), "Dockerfile": ("100644", dockerfile)})
    town.run("propose")
    town.release("v1.5.0", days_ago=1)
    town.github.label(DOWNSTREAM, 1, "rebase")

    run = town.run("propose")
    town.release("v1.6.0", days_ago=1)
    later = town.run("propose")

    pull = the_pull(town)
    assert (run.code, later.code) == (0, 0)
    assert pull.labels == []
    assert holds(town, "v1.6.0")
    assert files(town)["fix.txt"] == b"mine"
    assert files(town)["Dockerfile"].endswith(b"# theirs\n")
    assert len(pull.comments) == 1


def test_a_branch_that_a_person_made_their_own_and_closed_waits_for_their_word(town: Town) -> None:
    town.run("propose")
    theirs = town.github.commit(DOWNSTREAM, BRANCH, {"fix.txt": ("100644", b"mine")})
    town.github.close(DOWNSTREAM, 1)
    declined = town.run("propose")
    town.release("v1.5.0", days_ago=1)
    waiting = [town.run("propose"), town.run("propose")]
    kept = town.github.repositories[DOWNSTREAM].refs[f"refs/heads/{BRANCH}"]
    town.github.label(DOWNSTREAM, 1, "rebase")

    run = town.run("propose")

    assert "v1.4.1 was declined in #1" in declined.out
    assert [each.code for each in waiting] == [7, 7]
    assert "or give #1 the label `rebase`" in waiting[0].out
    assert (kept, len(pulls(town)[0].comments)) == (theirs, 0)
    assert (run.code, the_pull(town).number, pulls(town)[0].labels) == (0, 2, [])
    assert holds(town, "v1.5.0")
    assert files(town)["fix.txt"] == b"mine"


def test_a_second_series_of_commits_is_told_once_more(town: Town) -> None:
    town.run("propose")
    town.github.commit(DOWNSTREAM, BRANCH, {"fix.txt": ("100644", b"mine")})
    town.run("propose")
    town.github.label(DOWNSTREAM, 1, "rebase")
    town.run("propose")
    town.github.commit(DOWNSTREAM, BRANCH, {"fix.txt": ("100644", b"mine again")})

    run = town.run("propose")

    assert run.code == 7
    assert len(the_pull(town).comments) == 2


def test_the_button_that_updates_the_branch_makes_nobody_its_author(town: Town) -> None:
    town.run("propose")
    town.github.commit(DOWNSTREAM, "main", {"other.txt": ("100644", b"x")})
    town.github.update_branch(DOWNSTREAM, 1)
    before = writes(town)

    run = town.run("propose")
    town.github.commit(DOWNSTREAM, "main", {"other.txt": ("100644", b"y")})
    again = town.run("propose")

    assert (run.code, again.code) == (0, 0)
    assert "nothing to do" in again.out
    assert writes(town) == before


def test_a_branch_that_the_button_updated_moves_to_the_newer_release(town: Town) -> None:
    town.run("propose")
    town.github.commit(DOWNSTREAM, "main", {"other.txt": ("100644", b"x")})
    town.github.update_branch(DOWNSTREAM, 1)
    town.release("v1.5.0", days_ago=1)

    run = town.run("propose")

    assert (run.code, the_pull(town).number, the_pull(town).comments) == (0, 1, [])
    assert holds(town, "v1.5.0")


def test_the_button_with_a_pinned_file_that_changed_is_understood_too(town: Town) -> None:
    town.run("propose")
    town.write("versions.env", f"# a new line\n{town.text('versions.env')}")
    town.github.commit(DOWNSTREAM, "main", {"versions.env": town.checkout()["versions.env"]})
    github, objects = town.github, town.github.repositories[DOWNSTREAM].objects
    refs = town.github.repositories[DOWNSTREAM].refs
    base, head = refs["refs/heads/main"], refs[f"refs/heads/{BRANCH}"]
    both = b"# a new line\n" + files(town)["versions.env"]
    tree = {"base_tree": objects.commits[head].tree, "tree": [
        {"path": "versions.env", "mode": "100644", "type": "blob", "content": both.decode()}
    ]}  # fmt: skip
    made = json.loads(github.act(DOWNSTREAM, "POST", "/git/trees", tree).body)["sha"]
    commit = {"message": f"Merge branch 'main' into {BRANCH}", "tree": made, "parents": [head, base]}
    merge = json.loads(github.act(DOWNSTREAM, "POST", "/git/commits", commit).body)["sha"]
    github.act(DOWNSTREAM, "PATCH", f"/git/refs/heads/{BRANCH}", {"sha": merge})

    run = town.run("propose")

    assert run.code == 0
    assert files(town)["versions.env"].startswith(b"# a new line\n")
    assert holds(town, "v1.4.1")


def test_what_a_person_wrote_stays_while_the_rest_is_kept_current(town: Town) -> None:
    town.run("propose")
    town.github.edit_pull(
        DOWNSTREAM,
        1,
        title="OPS-7: deps(agentgateway): bump v1.3.1 to v1.4.1",
        body=f"Not before Monday.\n\n{the_pull(town).body}\n\nPing me.",
    )
    before = writes(town)
    town.run("propose")
    unchanged = writes(town)
    town.release("v1.5.0", days_ago=1)

    town.run("propose")

    pull = the_pull(town)
    part = part_of(pull.body)
    assert unchanged == before
    assert part is not None
    assert (part.before, part.after, part.ref) == ("Not before Monday.", "Ping me.", "v1.5.0")
    assert pull.title == "OPS-7: deps(agentgateway): bump v1.3.1 to v1.5.0"


def test_a_text_that_a_person_replaced_is_theirs(town: Town) -> None:
    town.run("propose")
    town.github.edit_pull(DOWNSTREAM, 1, title="Wait", body="until Monday")
    before = writes(town)

    run = town.run("propose")

    assert (the_pull(town).title, the_pull(town).body) == ("Wait", "until Monday")
    assert writes(town) == before
    assert run.code == 0


def test_told_to_stop_the_bot_does_nothing_at_all(town: Town) -> None:
    town.run("propose")
    town.github.label(DOWNSTREAM, 1, "stop-updating")
    town.release("v1.5.0", days_ago=1)
    before = writes(town)

    run = town.run("propose")
    on_base(town, "v1.5.0")
    obsolete = town.run("propose")

    assert writes(town) == before
    assert "has the label `stop-updating`" in run.out
    assert "obsolete" in obsolete.out
    assert (run.code, obsolete.code, the_pull(town).number) == (0, 0, 1)


def test_asked_to_the_bot_merges_the_base_into_its_branch_once(town: Town) -> None:
    town.run("propose")
    town.github.commit(DOWNSTREAM, "main", {"other.txt": ("100644", b"x")})
    town.github.label(DOWNSTREAM, 1, "rebase")

    town.run("propose")
    head = the_pull(town).head_sha
    town.run("propose")

    assert files(town)["other.txt"] == b"x"
    assert (the_pull(town).labels, the_pull(town).head_sha) == ([], head)


# --- how it is opened


def test_it_is_opened_as_the_settings_say(town: Town) -> None:
    repository = town.github.repositories[DOWNSTREAM]
    repository.collaborators |= {"alice", "carol"}
    repository.teams.add("platform")
    town.github.add_milestone(DOWNSTREAM, "Q3")
    opening(
        town,
        "draft = true",
        'labels = ["dependencies"]',
        'reviewers = ["alice"]',
        'team_reviewers = ["platform"]',
        'assignees = ["carol"]',
        'milestone = "Q3"',
    )

    run = town.run("propose", "--json")

    pull = the_pull(town)
    assert run.json["warnings"] == []
    assert (pull.draft, pull.labels, pull.reviewers, pull.teams) == (True, ["dependencies"], ["alice"], ["platform"])
    assert (pull.assignees, pull.milestone is not None) == (["carol"], True)


def test_all_reviews_are_asked_for_in_one_request(town: Town) -> None:
    town.github.repositories[DOWNSTREAM].collaborators |= {"alice", "carol"}
    opening(town, 'reviewers = ["alice", "carol"]')

    town.run("propose")

    assert the_pull(town).reviewers == ["alice", "carol"]
    assert len([path for path in writes(town) if path.endswith("/requested_reviewers")]) == 1


def test_what_a_person_takes_off_is_not_put_on_again(town: Town) -> None:
    town.github.repositories[DOWNSTREAM].collaborators.add("alice")
    opening(town, 'labels = ["dependencies"]', 'reviewers = ["alice"]', 'assignees = ["alice"]', "draft = true")
    town.run("propose")
    town.github.unlabel(DOWNSTREAM, 1, "dependencies")
    town.github.remove_reviewer(DOWNSTREAM, 1, "alice")
    town.github.unassign(DOWNSTREAM, 1, "alice")
    town.github.ready_for_review(DOWNSTREAM, 1)
    town.release("v1.5.0", days_ago=1)

    town.run("propose")
    town.run("propose")

    pull = the_pull(town)
    assert (pull.labels, pull.reviewers, pull.assignees, pull.draft) == ([], [], [], False)
    assert holds(town, "v1.5.0")


def test_what_github_refuses_of_it_is_a_warning(town: Town) -> None:
    town.github.repositories[DOWNSTREAM].collaborators.add("alice")
    opening(
        town,
        'reviewers = ["mallory", "alice"]',
        'assignees = ["mallory"]',
        'milestone = "Q9"',
        'auto_merge = ["minor"]',
    )

    run = town.run("propose", "--json")
    text = town.run("propose", environ={"GITHUB_ACTIONS": "true"})

    warned = " | ".join(run.json["warnings"])
    assert run.code == 0
    assert "[pull_request] reviewers: mallory: " in warned
    assert "mallory may not be assigned" in warned
    assert "no open milestone 'Q9'" in warned
    assert "Auto merge is not allowed" in warned
    assert the_pull(town).reviewers == ["alice"]
    assert "::warning title=gateway-bot::[pull_request] reviewers: mallory" in text.err


def test_a_run_that_died_before_the_labels_is_made_good(town: Town) -> None:
    opening(town, 'labels = ["dependencies"]')
    town.github.intercept = lambda _, path: Fault(drop=True) if path.endswith("/labels") else None
    failed = town.run("propose")
    town.github.intercept = None

    run = town.run("propose")

    assert (failed.code, run.code) == (4, 0)
    assert the_pull(town).labels == ["dependencies"]


def auto_merging(town: Town, kinds: str = '"minor"') -> None:
    repository = town.github.repositories[DOWNSTREAM]
    repository.allow_auto_merge = repository.required_checks = True
    opening(town, f"auto_merge = [{kinds}]")


def test_github_merges_by_itself_what_the_policy_allows(town: Town) -> None:
    auto_merging(town)

    town.run("propose")
    switched_on = the_pull(town).auto_merge is not None
    town.github.checks_pass(DOWNSTREAM, 1)

    assert switched_on
    assert pulls(town)[0].merged
    assert holds(town, "v1.4.1", "main")


def test_another_kind_of_upgrade_waits_for_a_person(town: Town) -> None:
    auto_merging(town, '"patch"')

    town.run("propose")

    assert the_pull(town).auto_merge is None


def test_auto_merge_that_a_person_switched_off_stays_off(town: Town) -> None:
    auto_merging(town)
    town.run("propose")
    town.github.disable_auto_merge(DOWNSTREAM, 1)
    town.release("v1.5.0", days_ago=1)

    town.run("propose")

    assert the_pull(town).auto_merge is None


def test_a_persons_commit_does_not_merge_itself(town: Town) -> None:
    auto_merging(town)
    town.run("propose")
    town.github.commit(DOWNSTREAM, BRANCH, {"fix.txt": ("100644", b"mine")})

    town.run("propose")
    before = the_pull(town).auto_merge
    town.github.label(DOWNSTREAM, 1, "rebase")
    town.run("propose")

    assert (before, the_pull(town).auto_merge) == (None, None)
    assert "The branch also holds what somebody committed there" in the_pull(town).body
    assert "while auto-merge is on" not in the_pull(town).body


def test_auto_merge_ends_when_the_kind_is_no_longer_allowed(town: Town) -> None:
    auto_merging(town)
    town.run("propose")
    town.release("v2.0.0", days_ago=1)

    town.run("propose")

    assert the_pull(town).auto_merge is None


def test_what_is_refused_now_is_not_merged_any_more(gated: Gated) -> None:
    town = gated.town
    auto_merging(town)
    gated.ask('\n[image.signature]\nidentity = "https://example.invalid/{tag}"\n')
    gated.ask()
    first = gated.run("propose")
    gated.programs.signature(gated.candidate, "unsigned")

    run = gated.run("propose")
    again = writes(town)
    gated.run("propose")
    body = the_pull(town).body
    gated.programs.signature(gated.candidate, "bundle")
    gated.run("propose")
    gated.run("propose")
    assert the_pull(town).auto_merge is not None
    assert "while auto-merge is on" in the_pull(town).body

    assert first.code == 0
    assert run.code == 5
    assert "**Do not merge.**" in body
    assert "auto-merge was switched off" in run.out
    assert writes(town)[: len(again)] == again
    assert "Do not merge" not in the_pull(town).body


def test_what_is_refused_before_it_was_proposed_needs_nothing_of_github(gated: Gated) -> None:
    gated.ask(SIGNATURE)
    gated.programs.signature(gated.candidate, "unsigned")

    run = gated.run("propose", "--json")

    assert (run.code, run.json["warnings"], writes(gated.town)) == (5, [], [])


# --- what GitHub does not allow, or is in the way


def test_a_protected_branch_is_said(town: Town) -> None:
    town.github.repositories[DOWNSTREAM].protected["gateway-bot/**"] = "ruleset"

    run = town.run("propose")

    assert "branch protection and rulesets" in run.out
    assert run.code == 7


def test_a_branch_of_a_person_with_the_bots_name_is_left(town: Town) -> None:
    theirs = town.github.commit(DOWNSTREAM, BRANCH, {"fix.txt": ("100644", b"mine")})

    run = town.run("propose")

    assert town.github.repositories[DOWNSTREAM].refs[f"refs/heads/{BRANCH}"] == theirs
    assert "Delete that branch to let the bot go on" in run.out
    assert (run.code, pulls(town)) == (7, ())


def test_the_default_branch_may_be_renamed(town: Town) -> None:
    town.run("propose")
    town.github.rename_branch(DOWNSTREAM, "main", "trunk")
    before = writes(town)

    run = town.run("propose")

    assert (run.code, the_pull(town).base) == (0, "trunk")
    assert writes(town) == before


def test_a_base_of_the_settings_that_was_renamed_is_said(town: Town) -> None:
    town.settings("[[image]]\n", 'base = "main"\n[[image]]\n')
    town.github.rename_branch(DOWNSTREAM, "main", "trunk")

    run = town.run("propose")

    assert "`base` in gateway-bot.toml" in run.out
    assert run.code == 7


def test_another_base_in_the_settings_moves_the_pull_request(town: Town) -> None:
    town.run("propose")
    town.github.commit(DOWNSTREAM, "release", {"other.txt": ("100644", b"x")})
    town.settings("[[image]]\n", 'base = "release"\n[[image]]\n')

    run = town.run("propose")

    assert (run.code, the_pull(town).base, len(pulls(town))) == (0, "release", 1)


def test_three_hundred_open_pull_requests_of_others_change_nothing(town: Town) -> None:
    for number in range(300):
        town.github.commit(DOWNSTREAM, f"topic/{number}", {"x": ("100644", str(number).encode())})
        sent = {"title": "t", "head": f"topic/{number}", "base": "main"}
        town.github.act(DOWNSTREAM, "POST", "/pulls", sent)

    town.run("propose")
    before = len([e for e in town.github.exchanges if DOWNSTREAM in e.path])
    run = town.run("propose")

    assert len([e for e in town.github.exchanges if DOWNSTREAM in e.path]) - before == 2
    assert "nothing to do" in run.out
    assert len(pulls(town)) == 301


# --- doubt


@pytest.mark.parametrize("status", [403, 429, 500, 502])
def test_an_outage_while_tidying_is_never_nothing_new(town: Town, status: int) -> None:
    town.run("apply")
    town.github.commit(DOWNSTREAM, "main", town.checkout())
    limited = (("Retry-After", "9999"),) if status == 403 else ()
    town.github.intercept = lambda _, path: (
        Fault(answer=Response(status, b"{}", limited)) if "/matching-refs/" in path else None
    )

    run = town.run("propose", "--json")

    assert (run.code, run.json["outcome"]) == (4, "blocked")


def test_a_nothing_new_run_asks_github_once(town: Town) -> None:
    town.run("apply")
    town.github.commit(DOWNSTREAM, "main", town.checkout())

    run = town.run("propose")

    assert "nothing new" in run.out
    assert [e.path for e in town.github.exchanges if DOWNSTREAM in e.path] == [
        f"/repos/{DOWNSTREAM}/git/matching-refs/heads/gateway-bot/upgrade/"
    ]


@pytest.mark.parametrize("story", [(), ("propose", "newer")], ids=["nothing open", "to be moved"])
def test_runs_at_once_end_in_one_pull_request(town: Town, story: tuple[str, ...]) -> None:
    for event in story:
        town.run("propose") if event == "propose" else town.release("v1.5.0", days_ago=1)
    command = [sys.executable, "-m", "bot", "-C", str(town.root), "propose"]
    environ = {**town.environ, "PYTHONPATH": str(PROJECT)}

    runs = [subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = [run.communicate(timeout=60)[0] for run in runs]

    newest = "v1.5.0" if story else "v1.4.1"
    assert [run.returncode for run in runs] == [0, 0, 0], said
    assert (the_pull(town).number, holds(town, newest)) == (1, True)
    assert newest in the_pull(town).title


STORIES = {
    "opened with all that goes with it": (),
    "moved to a newer release": ("propose", "newer"),
    "withdrawn": ("propose", "merged by hand"),
    "merged": ("propose", "merged"),
    "taken over": ("propose", "person", "propose", "newer", "rebase"),
    "told of a person's commit": ("propose", "person"),
}


@pytest.mark.real  # by its length
@pytest.mark.parametrize("story", STORIES)
def test_a_run_that_dies_after_any_request_converges(empty_town: Town, story: str) -> None:
    """After each request that it makes, answered or not: the next run ends where an undisturbed one would."""
    expected, before = _after(_told(empty_town, STORIES[story]))
    made = [e for e in empty_town.github.exchanges[before:] if DOWNSTREAM in e.path or e.path == "/graphql"]
    # a read that was lost is one that came, to those who look at what is there
    deaths = [(number, True) for number in range(1, len(made) + 1)]
    deaths += [(number, False) for number, exchange in enumerate(made, start=1) if exchange.method != "GET"]
    for number, performed in deaths:
        town = _told(empty_town, STORIES[story])
        town.github.intercept = _dying_at(number, performed=performed)
        town.run("propose")
        town.github.intercept = None

        assert _after(town)[0] == expected, (number, performed)
    assert deaths


def _dying_at(number: int, *, performed: bool) -> Callable[[str, str], Fault | None]:
    """Nothing is answered from a request on; the first of them is carried out all the same, or not."""
    seen: list[str] = []

    def die(_: str, path: str) -> Fault | None:
        if DOWNSTREAM in path or path == "/graphql":
            seen.append(path)
        return Fault(drop=True, performed=performed and len(seen) == number) if len(seen) >= number else None

    return die


def _told(town: Town, story: tuple[str, ...]) -> Town:
    """A fresh repository in which that has happened."""
    town.github.repositories.clear()
    town.github.create_repository("agentgateway/agentgateway")
    for ref, days in (("v1.3.1", 60), ("v1.4.0", 20), ("v1.4.1", 10)):
        town.release(ref, days_ago=days)
    town.pin("v1.3.1")
    repository = town.github.repositories[DOWNSTREAM]
    repository.allow_auto_merge = repository.required_checks = True
    repository.collaborators.add("alice")
    opening(town, 'labels = ["dependencies"]', 'reviewers = ["alice"]', 'auto_merge = ["minor"]')
    town.github.commit(DOWNSTREAM, "main", town.checkout())
    for event in story:
        match event:
            case "propose":
                town.run("propose")
            case "newer":
                town.release("v1.5.0", days_ago=1)
            case "merged by hand":
                on_base(town, "v1.4.1")
            case "merged":
                town.github.merge(DOWNSTREAM, 1)
                town.run("apply")
            case "person":
                town.github.commit(DOWNSTREAM, BRANCH, {"fix.txt": ("100644", b"mine")})
            case _:
                town.github.label(DOWNSTREAM, 1, "rebase")
    return town


def _after(town: Town) -> tuple[object, int]:
    """What is there after another run, and how many exchanges there were before it."""
    before = len(town.github.exchanges)
    town.run("propose")
    state = [
        (p.number, p.state, p.title, p.body, sorted(p.labels), p.reviewers, bool(p.auto_merge), len(p.comments))
        for p in pulls(town)
    ]
    return (state, files(town) if has_branch(town) else None), before


def test_the_token_is_in_nothing_that_was_written(town: Town) -> None:
    opening(town, 'labels = ["dependencies"]', 'reviewers = ["mallory"]')
    runs = [town.run("propose"), town.run("propose", "--json")]
    town.github.commit(DOWNSTREAM, BRANCH, {"fix.txt": ("100644", b"mine")})
    runs.append(town.run("propose"))

    said = "".join(run.out + run.err for run in runs)
    kept = "".join(f"{p.body}{p.title}{[c.body for c in p.comments]}" for p in pulls(town))
    assert TOKEN not in said + kept + str(town.github.repositories[DOWNSTREAM].objects.commits)


# --- what was found by those who attacked it


def person_commits(town: Town, files: dict[str, bytes], message: str, parents: list[str], base: str) -> str:
    """A commit that a person makes by hand, as they like, at the head of the bot's branch."""
    tree = {
        "base_tree": base,
        "tree": [
            {"path": path, "mode": "100644", "type": "blob", "content": data.decode()} for path, data in files.items()
        ],
    }
    act = town.github.act
    made = json.loads(act(DOWNSTREAM, "POST", "/git/trees", tree).body)["sha"]
    sent = {"message": message.replace("TREE", made), "tree": made, "parents": parents}
    commit: str = json.loads(act(DOWNSTREAM, "POST", "/git/commits", sent).body)["sha"]
    act(DOWNSTREAM, "PATCH", f"/git/refs/heads/{BRANCH}", {"sha": commit})
    return commit


@pytest.mark.parametrize("file", ["evil.sh", "Dockerfile"])
def test_a_commit_that_says_it_is_the_bots_is_not_believed(town: Town, file: str) -> None:
    auto_merging(town)
    town.run("propose")
    objects, pull = town.github.repositories[DOWNSTREAM].objects, the_pull(town)
    head = objects.commits[pull.head_sha]
    forged = re.sub(r"Tree: \w+", "Tree: TREE", head.message)
    theirs = person_commits(town, {file: b"FROM evil\n"}, forged, [head.sha], head.tree)

    codes = [town.run("propose").code for _ in range(2)]

    assert codes == [7, 7]
    assert (the_pull(town).auto_merge, the_pull(town).head_sha) == (None, theirs)


def test_auto_merge_is_off_before_another_kind_is_pushed(town: Town) -> None:
    auto_merging(town)
    town.run("propose")
    town.release("v2.0.0", days_ago=1)
    armed: list[bool] = []

    def look(method: str, path: str) -> Fault | None:
        if method == "PATCH" and "/git/refs/" in path:
            armed.append(the_pull(town).auto_merge is not None)
        return None

    town.github.intercept = look
    town.run("propose")

    assert armed == [False]
    assert holds(town, "v2.0.0")


def test_a_pull_request_of_a_person_from_the_bots_branch_to_another_base_is_theirs(town: Town) -> None:
    town.run("propose")
    town.github.commit(DOWNSTREAM, "stable", {"other.txt": ("100644", b"x")})
    body = the_pull(town).body.replace(town.digests["v1.4.1"], town.digests["v1.4.0"])
    sent = {"title": "backport", "head": BRANCH, "base": "stable", "body": body}
    town.github.act(DOWNSTREAM, "POST", "/pulls", sent)
    town.release("v1.5.0", days_ago=1)

    moved = town.run("propose")
    town.github.close(DOWNSTREAM, 1)
    town.github.close(DOWNSTREAM, 2)
    town.release("v1.6.0", days_ago=1)
    again = town.run("propose")

    first, second, third = pulls(town)
    assert (moved.code, again.code) == (0, 0)
    assert (first.title, second.title, second.base) == (
        "deps(agentgateway): bump v1.3.1 to v1.5.0",
        "backport",
        "stable",
    )
    assert (third.base, third.state) == ("main", "open")


def test_a_declined_release_does_not_come_back_in_an_open_pull_request(town: Town) -> None:
    town.run("propose")
    town.github.close(DOWNSTREAM, 1)
    town.release("v1.5.0", days_ago=1)
    town.run("propose")
    town.settings('channel = "stable"', 'channel = "stable"\nallow = "!=1.5.0"')

    run = town.run("propose")

    assert "v1.4.1 was declined in #1" in run.out
    assert "#2 withdrawn: v1.5.0 is no longer proposed: outside the allowed range !=1.5.0" in run.out
    assert [pull.state for pull in pulls(town)] == ["closed", "closed"]


def test_a_release_that_is_asked_for_by_name_withdraws_no_other(town: Town) -> None:
    town.run("propose")
    before = writes(town)

    runs = [town.run("propose", "--to", ref) for ref in ("v1.3.1", "v9.9.9")]

    assert [run.code for run in runs] == [0, 6]
    assert writes(town) == before


def test_a_refusal_of_another_release_leaves_auto_merge_on(gated: Gated) -> None:
    town = gated.town
    auto_merging(town)
    gated.ask('\n[image.signature]\nidentity = "https://example.invalid/{tag}"\n')
    gated.run("propose")
    newer = town.release("v1.5.0", days_ago=1)
    gated.programs.signature(newer, "unsigned")

    run = gated.run("propose")

    assert run.code == 5
    assert the_pull(town).auto_merge is not None
    assert "Do not merge" not in the_pull(town).body


def test_told_to_stop_the_bot_still_lets_nothing_merge_itself_that_is_refused(gated: Gated) -> None:
    town = gated.town
    auto_merging(town)
    gated.ask('\n[image.signature]\nidentity = "https://example.invalid/{tag}"\n')
    gated.run("propose")
    town.github.label(DOWNSTREAM, 1, "stop-updating")
    before = the_pull(town).body
    gated.programs.signature(gated.candidate, "unsigned")

    gated.run("propose")

    assert (the_pull(town).auto_merge, the_pull(town).body) == (None, before)


def test_a_branch_that_was_merged_with_a_persons_commit_is_not_built_on(town: Town) -> None:
    town.run("propose")
    town.github.commit(DOWNSTREAM, BRANCH, {"fix.txt": ("100644", b"mine")})
    town.github.label(DOWNSTREAM, 1, "rebase")
    town.run("propose")
    town.github.merge(DOWNSTREAM, 1, method="squash")
    town.github.commit(DOWNSTREAM, "main", {"fix.txt": ("100644", b"mine, and better")})
    town.release("v1.5.0", days_ago=1)
    for name in PIN_FILES:
        town.write(name, files(town, "main")[name].decode())

    run = town.run("propose")

    assert (run.code, the_pull(town).number) == (0, 2)
    assert files(town)["fix.txt"] == b"mine, and better"
    assert holds(town, "v1.5.0")


def test_a_refused_pull_request_is_not_pushed_for_again_and_again(town: Town) -> None:
    before = dict(town.checkout())
    town.run("propose")
    town.github.merge(DOWNSTREAM, 1)
    town.github.commit(DOWNSTREAM, "main", before)
    town.github.intercept = lambda method, path: (
        Fault(answer=Response(403, b"{}")) if method == "POST" and path.endswith("/pulls") else None
    )

    codes = [town.run("propose").code for _ in range(3)]

    commits = [each for each in writes(town) if each.endswith("/git/commits")]
    assert codes == [7, 7, 7]
    assert len(commits) == 2


def test_a_rule_that_keeps_a_branch_is_a_warning(town: Town) -> None:
    town.run("propose")
    town.github.repositories[DOWNSTREAM].protected["gateway-bot/**"] = "ruleset"
    on_base(town, "v1.4.1")

    run = town.run("propose", "--json")

    assert (run.code, has_branch(town), pulls(town)[0].state) == (0, True, "closed")
    assert "branch gateway-bot/upgrade/agentgateway: " in run.json["warnings"][0]


def test_a_locked_conversation_does_not_hide_what_is_wrong(town: Town) -> None:
    town.run("propose")
    town.github.commit(DOWNSTREAM, BRANCH, {"fix.txt": ("100644", b"mine")})
    town.github.intercept = lambda method, path: (
        Fault(answer=Response(403, b"{}")) if method == "POST" and path.endswith("/comments") else None
    )

    run = town.run("propose")

    assert "a commit that the bot did not make" in run.out
    assert run.code == 7


def test_a_comment_of_somebody_else_is_not_the_bots(town: Town) -> None:
    town.run("propose")
    since = the_pull(town).head_sha
    town.github.comment(DOWNSTREAM, 1, f"[//]: # (gateway-bot:theirs {since})")
    town.github.commit(DOWNSTREAM, BRANCH, {"fix.txt": ("100644", b"mine")})

    town.run("propose")
    town.run("propose")

    assert [comment.author.login for comment in the_pull(town).comments] == ["octocat", "gateway-bot[bot]"]


ACTS: dict[str, Callable[[Town], object]] = {
    "writes": lambda town: town.github.edit_pull(DOWNSTREAM, 1, body=f"wait\n\n{pulls(town)[0].body}", title="Wait"),
    "closes": lambda town: town.github.close(DOWNSTREAM, 1),
    "merges": lambda town: town.github.merge(DOWNSTREAM, 1),
    "commits": lambda town: town.github.commit(DOWNSTREAM, BRANCH, {"fix.txt": ("100644", b"mine")}),
}


@pytest.mark.real  # by its length
@pytest.mark.parametrize(
    ("story", "act"),
    [*itertools.product(("moved to a newer release", "withdrawn"), ACTS), ("merged", "commits")],
)
def test_what_a_person_does_between_two_requests_of_the_bot_is_not_lost(empty_town: Town, story: str, act: str) -> None:
    """Before each request of a run a person acts; a second run follows. The moment of a PATCH itself stays open."""
    town = _told(empty_town, STORIES[story])
    before = len(town.github.exchanges)
    town.run("propose")
    made = [e for e in town.github.exchanges[before:] if DOWNSTREAM in e.path or e.path == "/graphql"]
    lost = [number for number in range(1, len(made) + 1) if not _kept(empty_town, story, act, number)]

    # between the last look at a text and its PATCH, and between the closing of a pull request and its reading
    assert len(lost) <= (1 if act == "writes" else 0), lost
    assert made


def _kept(town: Town, story: str, act: str, number: int) -> bool:
    """Whether what a person did before this request of the run is there after the next run."""
    _told(town, STORIES[story])
    seen: list[str] = []
    made: list[object] = []

    def acting(_: str, path: str) -> Fault | None:
        if DOWNSTREAM in path or path == "/graphql":
            seen.append(path)
            if len(seen) == number and not made:
                made.append(None)
                with contextlib.suppress(RefusalError):
                    made[0] = ACTS[act](town)
        return None

    town.github.intercept = acting
    town.run("propose")
    town.github.intercept = None
    town.run("propose")
    first = pulls(town)[0]
    assert len([pull for pull in pulls(town) if pull.state == "open"]) <= 1
    match act:
        case "writes":
            return "wait" in first.body or first.state == "closed"
        case "closes":
            return first.state == "closed" and "v1.5.0" not in first.title
        case "merges":
            return bool(first.merged) == (first.state == "closed") or "Withdrawn" in first.body
        case _:
            refs = town.github.repositories[DOWNSTREAM].refs
            history = town.github.repositories[DOWNSTREAM].objects.history
            return made[0] is None or any(made[0] in history(sha) for sha in refs.values())


@pytest.mark.parametrize("names", [["Dockerfile"], list(PIN_FILES)], ids=["in part", "as a whole"])
def test_a_revert_by_a_person_is_theirs(town: Town, names: list[str]) -> None:
    auto_merging(town)
    base = files(town, "main")
    town.run("propose")
    theirs = town.github.commit(DOWNSTREAM, BRANCH, {name: ("100644", base[name]) for name in names})

    run = town.run("propose")
    town.release("v1.5.0", days_ago=1)
    again = town.run("propose")
    town.settings('channel = "stable"', 'channel = "stable"\nallow = "<1.4"')
    town.run("propose")

    assert (run.code, again.code) == (7, 7)
    assert (the_pull(town).head_sha, the_pull(town).auto_merge) == (theirs, None)


@pytest.mark.parametrize("then", ["refused", "cooling", "obsolete", "declined", "stopped", "not asked for"])
def test_a_persons_commit_does_not_merge_itself_whatever_the_run_finds(gated: Gated, then: str) -> None:
    town = gated.town
    auto_merging(town)
    gated.ask('\n[image.signature]\nidentity = "https://example.invalid/{tag}"\n')
    if then == "declined":
        newer = town.release("v1.5.0", days_ago=1)
        gated.programs.signature(newer, "bundle")
        gated.run("propose")
        town.github.close(DOWNSTREAM, 1)
        town.github.reopen(DOWNSTREAM, 1)
    gated.run("propose")
    if then != "not asked for":
        town.github.commit(DOWNSTREAM, BRANCH, {"fix.txt": ("100644", b"mine")})
    match then:
        case "refused":
            gated.programs.signature(town.release("v1.5.0", days_ago=1), "unsigned")
        case "cooling":
            town.settings('channel = "stable"', 'channel = "stable"\ncooldown_days = 100')
        case "obsolete":
            town.settings('channel = "stable"', 'channel = "stable"\nallow = "<1.4"')
        case "stopped":
            town.github.label(DOWNSTREAM, 1, "stop-updating")
        case "not asked for":
            town.settings('auto_merge = ["minor"]', "auto_merge = []")
            town.settings('channel = "stable"', 'channel = "stable"\ncooldown_days = 100')

    gated.run("propose")

    assert the_pull(town).auto_merge is None


def test_a_backport_of_a_person_is_not_taken_for_what_could_not_be_opened(town: Town) -> None:
    auto_merging(town)
    town.run("propose")
    town.github.commit(DOWNSTREAM, "stable", {"other.txt": ("100644", b"x")})
    town.github.act(DOWNSTREAM, "POST", "/pulls", {"title": "backport", "head": BRANCH, "base": "stable"})
    town.github.close(DOWNSTREAM, 1)
    town.release("v1.5.0", days_ago=1)
    town.github.intercept = lambda method, path: (
        Fault(answer=Response(502, b"")) if method == "POST" and path.endswith("/pulls") else None
    )

    run = town.run("propose")

    backport = pulls(town)[1]
    assert run.code == 4
    assert (backport.title, backport.body, backport.auto_merge) == ("backport", "", None)


def test_what_cannot_be_disarmed_is_not_pushed_over(town: Town) -> None:
    auto_merging(town)
    town.run("propose")
    head = the_pull(town).head_sha
    town.release("v2.0.0", days_ago=1)
    town.github.intercept = lambda _, path: Fault(answer=Response(403, b"{}")) if path == "/graphql" else None

    run = town.run("propose")

    assert "nothing was pushed, since it might merge itself" in run.out
    assert (run.code, the_pull(town).head_sha) == (7, head)


def test_what_a_person_lets_merge_itself_is_asked_again_for_another_release(town: Town) -> None:
    auto_merging(town, '"patch"')
    town.run("propose")
    town.github.act(DOWNSTREAM, "GET", "")
    pull = the_pull(town)
    pull.auto_merge = AutoMerge(Account("alice", kind="User"), "merge")
    town.run("propose")
    kept = the_pull(town).auto_merge is not None
    town.release("v2.0.0", days_ago=1)

    town.run("propose")

    assert kept
    assert the_pull(town).auto_merge is None


def test_a_release_whose_text_was_emptied_is_disarmed_when_it_is_refused(gated: Gated) -> None:
    town = gated.town
    auto_merging(town)
    gated.ask('\n[image.signature]\nidentity = "https://example.invalid/{tag}"\n')
    gated.run("propose")
    town.github.edit_pull(DOWNSTREAM, 1, body="mine")
    gated.programs.signature(gated.candidate, "unsigned")

    gated.run("propose")

    assert (the_pull(town).auto_merge, the_pull(town).body) == (None, "mine")


def test_a_text_that_was_edited_is_warned_of_once(gated: Gated) -> None:
    town = gated.town
    gated.ask('\n[image.signature]\nidentity = "https://example.invalid/{tag}"\n')
    gated.run("propose")
    town.github.edit_pull(DOWNSTREAM, 1, body=the_pull(town).body.replace("What to do", "What I would do"))
    gated.programs.signature(gated.candidate, "unsigned")
    gated.run("propose")
    before = writes(town)

    gated.run("propose")

    assert writes(town) == before
    assert "What I would do" in the_pull(town).body


def test_a_moved_tag_disarms_in_two_jobs_as_in_one(town: Town) -> None:
    auto_merging(town)
    town.run("propose")
    town.registry.push_image("agentgateway/agentgateway", "v1.3.1", variation="another one")
    town.release("v1.5.0", days_ago=1)
    saved = str(town.root.parent / "plan.json")
    assert town.run("plan", "--save", saved).code == 5

    run = town.run("propose", "--plan", saved)

    assert run.code == 5
    assert the_pull(town).auto_merge is None


def test_in_two_jobs_what_the_policy_no_longer_allows_is_withdrawn_too(town: Town) -> None:
    town.run("propose")
    town.github.close(DOWNSTREAM, 1)
    town.release("v1.5.0", days_ago=1)
    town.run("propose")
    town.settings('channel = "stable"', 'channel = "stable"\nallow = "!=1.5.0"')
    saved = str(town.root.parent / "plan.json")
    town.run("plan", "--save", saved)

    run = town.run("propose", "--plan", saved)

    assert "#2 withdrawn: v1.5.0 is no longer proposed: outside the allowed range" in run.out


def test_a_base_that_is_behind_does_not_make_the_bots_branch_a_persons(town: Town) -> None:
    town.github.commit(DOWNSTREAM, "release", {"other.txt": ("100644", b"x")})
    town.github.commit(DOWNSTREAM, "main", {"more.txt": ("100644", b"y")})
    town.run("propose")
    town.settings("[[image]]\n", 'base = "release"\n[[image]]\n')

    run = town.run("propose")

    assert (run.code, the_pull(town).base) == (0, "release")


def test_a_withdrawn_one_that_a_person_opens_again_is_theirs(town: Town) -> None:
    town.run("propose")
    town.settings('channel = "stable"', 'channel = "stable"\nallow = "<1.4"')
    town.run("propose")
    town.github.restore_branch(DOWNSTREAM, 1)
    town.github.reopen(DOWNSTREAM, 1)
    before = writes(town)

    run = town.run("propose")

    assert "somebody opened it again" in run.out
    assert (run.code, the_pull(town).number, writes(town)) == (0, 1, before)


def test_a_branch_that_a_person_restored_stays(town: Town) -> None:
    town.run("propose")
    town.github.merge(DOWNSTREAM, 1)
    town.run("apply")
    town.run("propose")
    town.github.restore_branch(DOWNSTREAM, 1)
    before = writes(town)

    run = town.run("propose")

    assert (run.code, has_branch(town), writes(town)) == (0, True, before)
