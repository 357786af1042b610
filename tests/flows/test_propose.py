"""One commit and one pull request; run again, it changes nothing; what others did is never overwritten."""

from __future__ import annotations

import pytest

from bot.core.proposal.part import part_of
from bot.embedded.server import Fault, Response
from tests.flows.conftest import DOWNSTREAM, PIN_FILES, TOKEN, Town

BRANCH = "gateway-bot/upgrade/agentgateway"


def writes(town: Town) -> list[str]:
    return [f"{e.method} {e.path}" for e in town.github.exchanges if e.method != "GET"]


def branch(town: Town) -> dict[str, bytes]:
    return {path: data for path, (_, data) in town.github.files_at(DOWNSTREAM, BRANCH).items()}


def assert_one_right_proposal(town: Town) -> None:
    files = branch(town)
    pulls = [pull for pull in town.github.pulls(DOWNSTREAM) if pull.state == "open"]
    new = town.digests["v1.4.1"].encode()

    assert len(pulls) == 1
    assert (pulls[0].head, pulls[0].base) == (BRANCH, "main")
    assert all(new in files[name] for name in PIN_FILES)


def test_one_commit_holds_all_files_and_keeps_their_modes(town: Town) -> None:
    mode, data = town.checkout()["Dockerfile"]
    town.github.commit(DOWNSTREAM, "main", {"Dockerfile": ("100755", data)})

    run = town.run("propose", "--json")

    files = town.github.files_at(DOWNSTREAM, BRANCH)
    commits = town.github.repositories[DOWNSTREAM].objects.history(town.github.pulls(DOWNSTREAM)[0].head_sha)
    assert mode == "100644"
    assert (files["Dockerfile"][0], files["versions.env"][0]) == ("100755", "100644")
    assert len(commits) == 3
    assert run.json["pull_request"].endswith("/pull/1")
    assert_one_right_proposal(town)


def test_a_second_run_changes_nothing(town: Town) -> None:
    town.run("propose")
    before = writes(town)

    run = town.run("propose")

    assert writes(town) == before
    assert "nothing to do" in run.out
    assert run.code == 0


def test_a_fresh_proposal_asks_github_eight_times_and_an_unchanged_one_twice(town: Town) -> None:
    town.run("propose")
    fresh = [e for e in town.github.exchanges if "/releases" not in e.path]
    town.run("propose")
    unchanged = [e for e in town.github.exchanges if "/releases" not in e.path][len(fresh) :]

    assert (len(fresh), len(unchanged)) == (8, 2)


def test_an_open_pull_request_is_updated_in_place_when_the_base_moved(town: Town) -> None:
    town.run("propose")
    town.write("versions.env", f"# a new line\n{town.text('versions.env')}")
    town.github.commit(DOWNSTREAM, "main", {"versions.env": town.checkout()["versions.env"]})

    run = town.run("propose")

    assert branch(town)["versions.env"].startswith(b"# a new line\n")
    assert run.code == 0
    assert_one_right_proposal(town)


def test_a_checkout_that_is_not_the_base_is_planned_again_from_the_base(town: Town) -> None:
    town.write("versions.env", f"# only here\n{town.text('versions.env')}")

    run = town.run("propose")

    assert "planning again" in run.err
    assert not branch(town)["versions.env"].startswith(b"# only here")
    assert run.code == 0
    assert_one_right_proposal(town)


def test_a_base_that_has_the_candidate_already_needs_nothing(town: Town) -> None:
    before = town.checkout()
    town.run("apply")
    town.github.commit(DOWNSTREAM, "main", town.checkout())
    for name, (_, data) in before.items():
        town.write(name, data.decode())

    run = town.run("propose", "--json")

    assert (run.code, run.json["outcome"]) == (0, "nothing_new")
    assert town.github.pulls(DOWNSTREAM) == ()


def test_a_base_that_drifted_is_said_and_left(town: Town) -> None:
    text = town.text("Dockerfile").replace(town.digests["v1.3.1"], f"sha256:{'0' * 64}")
    town.github.commit(DOWNSTREAM, "main", {"Dockerfile": ("100644", text.encode())})

    run = town.run("propose", "--json")

    assert (run.code, run.json["outcome"]) == (3, "blocked")
    assert town.github.pulls(DOWNSTREAM) == ()


@pytest.mark.parametrize("performed", [True, False], ids=["worked", "did not work"])
@pytest.mark.parametrize("path", ["/git/refs", "/pulls"])
def test_a_create_that_answers_502_is_looked_up(town: Town, path: str, *, performed: bool) -> None:
    left = [Fault(answer=Response(502, b""), performed=performed)]

    def once(method: str, asked: str) -> Fault | None:
        return left.pop() if method == "POST" and asked.endswith(path) and left else None

    town.github.intercept = once

    first = town.run("propose")
    second = town.run("propose")

    assert (first.code, second.code) == (0 if performed else 4, 0)
    assert_one_right_proposal(town)


def test_a_run_that_dies_after_any_request_converges_on_the_next(town: Town) -> None:
    for number in range(1, 10):
        seen: list[str] = []

        def die(_: str, path: str, number: int = number, seen: list[str] = seen) -> Fault | None:
            if "/releases" in path:
                return None
            seen.append(path)
            return Fault(drop=True, performed=True) if len(seen) >= number else None

        town.github.intercept = die
        town.run("propose")
    town.github.intercept = None

    run = town.run("propose")

    assert run.code == 0
    assert_one_right_proposal(town)


def test_a_persons_commit_on_the_branch_is_never_overwritten(town: Town) -> None:
    town.run("propose")
    theirs = town.github.commit(DOWNSTREAM, BRANCH, {"fix.txt": ("100644", b"mine")})

    run = town.run("propose")

    assert town.github.pulls(DOWNSTREAM)[0].head_sha == theirs
    assert run.code == 7


def test_a_closed_pull_request_is_an_answer(town: Town) -> None:
    town.run("propose")
    town.github.close(DOWNSTREAM, 1)

    run = town.run("propose")

    assert "declined in #1" in run.out
    assert (run.code, len(town.github.pulls(DOWNSTREAM))) == (0, 1)


def test_a_merged_bump_that_was_reverted_is_proposed_again(town: Town) -> None:
    before = town.checkout()
    town.run("propose")
    town.github.merge(DOWNSTREAM, 1)
    town.github.commit(DOWNSTREAM, "main", dict(before))

    run = town.run("propose")

    assert run.code == 0
    assert_one_right_proposal(town)


def test_another_run_that_moves_the_branch_meanwhile_loses_nothing(town: Town) -> None:
    town.run("propose")
    town.write("versions.env", f"# a new line\n{town.text('versions.env')}")
    town.github.commit(DOWNSTREAM, "main", {"versions.env": town.checkout()["versions.env"]})
    theirs: list[str] = []

    def overtake(method: str, path: str) -> Fault | None:
        if method == "PATCH" and "/git/refs/" in path and not theirs:
            theirs.append(town.github.commit(DOWNSTREAM, BRANCH, {"fix.txt": ("100644", b"mine")}))
        return None

    town.github.intercept = overtake

    run = town.run("propose")

    assert branch(town)["fix.txt"] == b"mine"
    assert run.code == 7


def test_a_base_that_changes_whenever_it_is_looked_at_is_given_up(town: Town) -> None:
    changes: list[str] = []

    def change(method: str, path: str) -> Fault | None:
        if method == "GET" and path.endswith("/branches/main"):
            text = f"# {len(changes)}\n{town.text('versions.env')}"
            changes.append(town.github.commit(DOWNSTREAM, "main", {"versions.env": ("100644", text.encode())}))
        return None

    town.github.intercept = change

    run = town.run("propose")

    assert "somebody else keeps changing the same thing: the base is not what the plan was made from" in run.out
    assert (run.code, len(changes), writes(town)) == (7, 2, [])


def test_a_pull_request_that_somebody_else_opens_meanwhile_keeps_its_text(town: Town) -> None:
    def overtake(method: str, path: str) -> Fault | None:
        if method == "POST" and path.endswith("/pulls"):
            sent = {"title": "mine", "head": BRANCH, "base": "main", "body": "by hand"}
            town.github.act(DOWNSTREAM, "POST", "/pulls", sent, by="github-actions[bot]")
        return None

    town.github.intercept = overtake

    run = town.run("propose")

    (pull,) = town.github.pulls(DOWNSTREAM)
    assert (run.code, pull.title, pull.body.endswith("\n\nby hand")) == (0, "mine", True)
    assert "all 4 gates passed" in pull.body
    assert "#1 was opened meanwhile" in run.out


def test_a_branch_that_somebody_else_makes_first_is_found(town: Town) -> None:
    other: list[int] = []

    def overtake(method: str, path: str) -> Fault | None:
        if method == "POST" and path.endswith("/git/refs") and not other:
            other.append(1)
            town.run("propose")
        return None

    town.github.intercept = overtake

    run = town.run("propose")

    assert run.code == 0
    assert_one_right_proposal(town)


@pytest.mark.parametrize(
    ("status", "message", "words"),
    [
        (403, "GitHub Actions is not permitted to create or approve pull requests.", "Settings, Actions, General"),
        (401, "Bad credentials", "Renew GITHUB_TOKEN"),
        (403, "Resource protected by organization SAML enforcement.", "single sign-on"),
        (403, "Resource not accessible by integration", "pull-requests: write"),
    ],
)
def test_a_refusal_names_the_setting_to_change(town: Town, status: int, message: str, words: str) -> None:
    body = f'{{"message": "{message}"}}'.encode()
    answer = Response(status, body, (("Content-Type", "application/json"),))
    town.github.intercept = lambda method, path: (
        Fault(answer=answer) if method == "POST" and path.endswith("/pulls") else None
    )

    run = town.run("propose")

    assert words in run.out
    assert TOKEN not in run.out + run.err
    assert run.code == 7


def test_the_token_reaches_no_output(town: Town) -> None:
    run = town.run("propose", environ={"GITHUB_TOKEN": "ghp_wrong"})

    assert "ghp_wrong" not in run.out + run.err
    assert run.code == 7


@pytest.mark.parametrize("missing", ["GITHUB_TOKEN", "GITHUB_REPOSITORY"])
def test_what_is_not_set_is_said_before_anything_is_asked(town: Town, missing: str) -> None:
    run = town.run("propose", environ={missing: ""})

    assert missing in run.err
    assert (run.code, town.github.exchanges) == (2, [])


def test_a_dry_run_needs_no_token_and_shows_the_pull_request(town: Town) -> None:
    run = town.run("propose", "--dry-run", environ={"GITHUB_TOKEN": "", "GITHUB_REPOSITORY": ""})

    assert "deps(agentgateway): bump v1.3.1 to v1.4.1" in run.out
    assert writes(town) == []
    assert run.code == 0


def test_hostile_notes_are_inert_and_the_body_has_its_limit(town: Town) -> None:
    hostile = (
        "@all fixes #1 closes acme/ai-gateway#2 <!-- x --> <b>x</b> \u202e \x07 ![i](https://evil.example/i.png)\n"
    )
    town.release("v1.5.0", body=hostile + "`" * 5000 + "\n```\n</details>\n" + "x " * 5_000_000)

    town.run("propose")

    pull = town.github.pulls(DOWNSTREAM)[0]
    body = pull.body
    part = part_of(body)
    assert part is not None
    assert not any(bad in body for bad in ("@all", "#1", "#2", "<!--", "<b>", "\u202e", "\x07", "evil.example/i.png"))
    assert body.count("</details>") == 2
    assert part.text.endswith("</details>")
    assert "all" not in pull.title
    assert len(body) <= 58_000


def test_the_body_answers_in_the_order_in_which_a_maintainer_asks(town: Town) -> None:
    town.run("propose")
    body = town.github.pulls(DOWNSTREAM)[0].body

    order = ["**agentgateway 1.4.1**", "| from | `v1.3.1`", "pinned-tag", "**Merge**", "Release notes", "v1.4.0"]
    positions = [body.index(text) for text in order]

    assert positions == sorted(positions)


def test_the_step_summary_and_the_annotations_say_it_too(town: Town) -> None:
    summary = town.root.parent / "summary.md"
    actions = {"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_ACTIONS": "true"}
    town.run("propose", environ=actions)
    town.write("Dockerfile", "FROM scratch\n")

    run = town.run("plan", environ=actions)

    assert "### agentgateway: upgrade v1.3.1 -> v1.4.1" in summary.read_text()
    assert "blocked" in summary.read_text()
    assert "::error title=gateway-bot::agentgateway: blocked." in run.err


def test_a_dirty_checkout_does_not_make_the_open_pull_request_lie(town: Town) -> None:
    town.run("propose")
    pull = town.github.pulls(DOWNSTREAM)[0]
    before = (pull.title, pull.body, pull.head_sha)
    town.run("apply", "--to", "v1.4.0")

    run = town.run("propose", "--json")

    assert (run.code, run.json["current"]["ref"]) == (0, "v1.3.1")
    assert (pull.title, pull.body, pull.head_sha) == before


def test_a_pin_that_moved_on_the_base_is_merged_into_the_open_pull_request(town: Town) -> None:
    town.run("propose")
    town.run("apply", "--to", "v1.4.0")
    town.github.commit(DOWNSTREAM, "main", town.checkout())

    run = town.run("propose")

    pull = town.github.pulls(DOWNSTREAM)[0]
    town.github.merge(DOWNSTREAM, pull.number)
    merged = town.github.files_at(DOWNSTREAM, "main")
    assert "branch and text updated" in run.out
    assert pull.title == "deps(agentgateway): bump v1.4.0 to v1.4.1"
    assert all(town.digests["v1.4.1"].encode() in merged[name][1] for name in PIN_FILES)


def test_a_base_that_moved_elsewhere_leaves_the_open_pull_request_alone(town: Town) -> None:
    town.run("propose")
    before = writes(town)
    town.github.commit(DOWNSTREAM, "main", {"other.txt": ("100644", b"x")})

    run = town.run("propose")

    assert writes(town) == before
    assert run.code == 0


def test_a_repository_that_is_not_there_is_not_blamed_on_the_branch(town: Town) -> None:
    town.settings("[[image]]\n", 'base = "main"\n[[image]]\n')

    run = town.run("propose", environ={"GITHUB_REPOSITORY": "acme/nosuch"})

    assert "acme/nosuch" in run.out
    assert "GITHUB_REPOSITORY" in run.out
    assert run.code == 7


@pytest.mark.parametrize("token", ["one\ntwo-secret", "tökén-secret", "a\x00b-secret"])
def test_a_token_that_is_none_is_refused_without_being_shown(town: Town, token: str) -> None:
    run = town.run("propose", environ={"GITHUB_TOKEN": token})

    assert "secret" not in run.out + run.err
    assert (run.code, town.github.exchanges) == (2, [])


def test_an_open_pull_request_is_not_kept_when_the_base_has_its_pin(town: Town) -> None:
    town.run("propose")
    before = town.checkout()
    town.run("apply")
    town.github.commit(DOWNSTREAM, "main", town.checkout())
    for name, (_, data) in before.items():
        town.write(name, data.decode())

    run = town.run("propose", "--json")

    assert (run.code, run.json["outcome"]) == (0, "nothing_new")
