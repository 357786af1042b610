"""`release bump --push`: to a real remote, and on to the workflow that publishes, on the embedded GitHub."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bot.adapters.changelog import Changelog
from bot.adapters.connections import Connections
from bot.adapters.github_api import GitHubApi
from bot.adapters.workflow_runs import WorkflowRuns
from bot.adapters.worktree import Worktree
from bot.core.pins.sites import allowed_keys
from bot.core.release.bump import Bumped, Part
from bot.embedded.github import Account, EmbeddedGitHub
from bot.embedded.server import Fault, Response
from bot.errors import BotError, ForgeError, ReleaseError, ServiceError
from bot.flows.bump import bump
from bot.flows.push_release import Publisher
from tests.flows.conftest import NOW, TOKEN, Run, TestClock, run_command
from tests.repositories import TODAY, UPGRADED, Project
from tests.unit.values import IMAGE

NAME, TAG, WORKFLOW = "acme/gateway", "v1.2.4", "release.yml"
ACTOR = Account("github-actions[bot]", {"contents": "write", "actions": "write"})
SETTINGS = """\
[[image]]
name = "app"
registry = "ghcr.io/acme/app"
github = "up/agent"
[[image.pins]]
type = "dotenv"
file = "versions.env"
keys = { APP_REF = "ref", APP_DIGEST = "digest" }
[release.signature]
identity = "https://github.com/{repository}/.github/workflows/release.yml@refs/tags/{tag}"
[[release.target]]
repository = "ghcr.io/{repository}"
"""


class Killed(BaseException):
    """The end of a process, wherever it stands."""


class Dying:
    """Whatever it stands for, which ends the process right before or right after one of its methods."""

    def __init__(self, of: Any, method: str, *, after: bool) -> None:
        self._of, self._method, self._after = of, method, after

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._of, name)
        if name != self._method:
            return real

        def dies(*args: object, **more: object) -> object:
            if self._after:
                real(*args, **more)
            raise Killed

        return dies


@dataclass
class World:
    """A project with its remote, which GitHub shows as soon as it was pushed to."""

    project: Project
    bare: Path
    github: EmbeddedGitHub
    connections: Connections
    said: list[str] = field(default_factory=list)

    @property
    def runs(self) -> WorkflowRuns:
        api = GitHubApi(self.connections, self.github.url, NAME, lambda: TOKEN, TestClock(), self.said.append)
        return WorkflowRuns(api)

    def bump(self, part: Part = "patch", *, git: Any = None, publisher: Publisher | None = None) -> Bumped:
        """As in GitHub Actions, unless there is another publisher."""
        root, environ = self.project.root, self.project.environ
        return bump(
            part,
            IMAGE,
            git or self.project.git,
            Worktree(root),
            Changelog(root, environ),
            allowed_keys([IMAGE]),
            TODAY,
            publisher=publisher or Publisher(WORKFLOW, in_actions=True, runs=Seeing(self)),
        )

    def see(self) -> None:
        """GitHub shows what the remote has."""
        refs = self.github.repositories[NAME].refs
        refs.clear()
        for line in self.project.run("ls-remote", str(self.bare)).splitlines():
            sha, name = line.split("\t")
            if name != "HEAD":
                refs[name.removesuffix("^{}")] = sha

    @property
    def dispatched(self) -> list[str]:
        """The refs for which the workflow was started by hand."""
        return [run.branch for run in self.github.repositories[NAME].workflows[WORKFLOW].runs]

    @property
    def remote(self) -> dict[str, str]:
        self.see()
        return {name.rpartition("/")[2]: sha for name, sha in self.github.repositories[NAME].refs.items()}

    @property
    def commits(self) -> int:
        """How many release commits and tags of the new version there are, here and there."""
        made = self.project.run("log", "--all", "--format=%s").splitlines()
        return made.count(f"chore(release): {TAG}")


class Seeing(WorkflowRuns):
    """The runs of a GitHub that has seen the push."""

    def __init__(self, world: World) -> None:
        self._world = world
        super().__init__(world.runs._api)

    def start(self, file: str, ref: str) -> str:
        self._world.see()
        return super().start(file, ref)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    project = Project(tmp_path)
    project.run("clone", "-q", "--bare", str(project.root), str(tmp_path / "remote.git"))
    project.run("remote", "add", "origin", str(tmp_path / "remote.git"))
    project.run("fetch", "-q", "origin")
    project.commit("feat: one")
    connections = Connections({})
    with EmbeddedGitHub({TOKEN: ACTOR}, clock=lambda: NOW) as github:
        github.create_repository(NAME)
        github.add_workflow(NAME, WORKFLOW)
        yield World(project, tmp_path / "remote.git", github, connections)
    connections.close()


def test_it_is_pushed_and_started_and_both_are_said(world: World) -> None:
    done = world.bump()

    url = f"{world.github.url}/{NAME}/actions/runs/1001"
    told = json.loads(done.json())
    assert world.remote == {
        "main": done.commit,
        TAG: done.commit,
        "v1.2.3": world.project.run("rev-parse", "v1.2.3^{}"),
    }
    assert world.dispatched == [TAG]
    assert [told[name] for name in ("did", "pushed", "run", "next")] == ["bumped", True, url, ""]
    assert done.text().splitlines()[-2:] == [f"  pushed: main and {TAG} to origin", f"  started: release.yml: {url}"]


def test_outside_of_actions_the_push_starts_it_and_github_is_not_asked(world: World) -> None:
    done = world.bump(publisher=Publisher(WORKFLOW))

    assert world.remote[TAG] == done.commit
    assert done.text().splitlines()[-2:] == [
        f"  pushed: main and {TAG} to origin",
        "  the push of a tag starts release.yml",
    ]
    assert json.loads(done.json())["next"] == ""
    assert world.github.exchanges == []


def test_without_a_token_the_command_that_starts_it_is_said(world: World) -> None:
    done = world.bump(publisher=Publisher(WORKFLOW, in_actions=True))

    assert world.remote[TAG] == done.commit
    assert done.text().splitlines()[-1] == f"  next: gh workflow run release.yml --ref {TAG}"
    assert json.loads(done.json())["next"] == f"gh workflow run release.yml --ref {TAG}"


@pytest.mark.real  # by its length
@pytest.mark.parametrize(
    ("method", "after", "did"),
    [
        ("commit", False, "bumped"),
        ("commit", True, "tagged"),
        ("tag", False, "tagged"),
        ("tag", True, "found"),
        ("push", False, "found"),
        ("push", True, "found"),
    ],
)
def test_killed_anywhere_the_next_run_does_what_is_left(world: World, method: str, did: str, *, after: bool) -> None:
    with pytest.raises(Killed):
        world.bump(git=Dying(world.project.git, method, after=after))

    done = world.bump()
    again = world.bump()

    assert (done.did, again.did) == (did, "found")
    assert world.commits == 1
    assert world.remote[TAG] == world.remote["main"] == done.commit
    assert world.dispatched == [TAG]
    assert again.text().splitlines()[-2:] == [
        f"  pushed before: main and {TAG} to origin",
        f"  started before: release.yml (in_progress): {world.github.url}/{NAME}/actions/runs/1001",
    ]


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_the_start_of_the_workflow_it_is_started_once(world: World, *, after: bool) -> None:
    dying: Any = Dying(Seeing(world), "start", after=after)
    with pytest.raises(Killed):
        world.bump(publisher=Publisher(WORKFLOW, in_actions=True, runs=dying))

    done = world.bump()

    assert done.pushed is not None
    assert done.pushed.starts == ("before" if after else "now")
    assert world.dispatched == [TAG]
    assert world.commits == 1


@pytest.mark.parametrize("conclusion", ["failure", "success"])
def test_a_run_that_is_there_is_not_started_again_however_it_ended(world: World, conclusion: str) -> None:
    world.bump(publisher=Publisher(WORKFLOW))
    world.see()
    world.github.add_run(NAME, WORKFLOW, "push", NOW, conclusion, branch=TAG)

    done = world.bump()

    assert world.dispatched == [TAG]
    assert (f"({conclusion})" in done.text(), "re-run its failed jobs" in done.text()) == (
        True,
        conclusion == "failure",
    )


def test_a_run_of_another_commit_or_of_a_branch_is_not_this_ones(world: World) -> None:
    world.see()
    world.github.repositories[NAME].refs[f"refs/tags/{TAG}"] = "1" * 40  # a tag of that name, which is gone since
    world.github.add_run(NAME, WORKFLOW, "push", NOW, branch=TAG)
    world.github.add_run(NAME, WORKFLOW, "workflow_dispatch", NOW, branch="main")

    world.bump()

    assert world.dispatched == [TAG, "main", TAG]


def test_another_checkout_goes_on_where_one_was_lost(world: World, tmp_path: Path) -> None:
    """As in GitHub Actions, where the second attempt begins with nothing but what was pushed."""
    with pytest.raises(Killed):
        world.bump(git=Dying(world.project.git, "push", after=True))
    world.project.run("clone", "-q", str(world.bare), str(tmp_path / "second"))
    world.project.root = tmp_path / "second"

    done = world.bump()

    assert (done.did, done.pushed and done.pushed.now) == ("found", False)
    assert world.dispatched == [TAG]
    assert world.commits == 1


def test_a_bump_of_another_part_is_not_the_one_that_was_made(world: World) -> None:
    world.bump()

    with pytest.raises(ReleaseError, match=r"nothing to release: no commits since v1\.2\.4"):
        world.bump("minor")

    assert world.dispatched == [TAG]


def test_without_push_a_release_that_is_made_stays_nothing_to_release(world: World) -> None:
    world.bump()

    with pytest.raises(ReleaseError, match=r"nothing to release: no commits since v1\.2\.4"):
        world.project.bump()


def test_the_next_release_after_a_pushed_one_is_made_and_pushed(world: World) -> None:
    world.bump()
    world.project.commit("deps(app): bump v1.3.1 to v1.4.1", UPGRADED)

    done = world.bump("minor")

    assert (done.did, done.bump.previous) == ("bumped", TAG)
    assert world.remote["main"] == world.remote["v1.3.0"] == done.commit
    assert world.dispatched == [TAG, "v1.3.0"]


def test_the_first_release_of_all_is_found_again(world: World) -> None:
    world.project.run("tag", "-d", "v1.2.3")

    first, again = world.bump(), world.bump()

    assert (first.did, again.did, again.bump.previous) == ("bumped", "found", "")


def test_a_faster_colleague_is_said_with_what_is_here(world: World, tmp_path: Path) -> None:
    world.project.run("clone", "-q", str(world.bare), str(tmp_path / "theirs"))
    for command in (["commit", "-q", "--allow-empty", "-m", "fix: theirs"], ["push", "-q", "origin", "main"]):
        world.project.run("-C", str(tmp_path / "theirs"), *command)

    with pytest.raises(ForgeError, match=rf"{TAG} is made here, and not pushed: the push to origin is refused") as one:
        world.bump()
    world.project.run("fetch", "-q", "origin")
    with pytest.raises(ReleaseError, match="main lacks commits that its remote has") as two:
        world.bump()

    assert one.value.exit_code == 7
    assert f"git tag -d {TAG}" in one.value.next_step
    assert f"git tag -d {TAG}" in two.value.next_step
    assert TAG not in world.remote
    assert world.dispatched == []


def test_a_remote_that_is_not_reached_is_asked_again_by_the_next_run(world: World) -> None:
    world.bare.rename(world.bare.with_suffix(".away"))
    with pytest.raises(ServiceError, match="made here, and not pushed") as raised:
        world.bump()
    world.bare.with_suffix(".away").rename(world.bare)

    done = world.bump()

    assert raised.value.exit_code == 4
    assert (done.did, world.commits, world.dispatched) == ("found", 1, [TAG])


def no_permission(world: World) -> None:
    world.github.tokens[TOKEN] = Account("github-actions[bot]", {"contents": "write", "actions": "read"})


def no_workflow(world: World) -> None:
    world.github.repositories[NAME].workflows.clear()


def switched_off(world: World) -> None:
    world.github.repositories[NAME].workflows[WORKFLOW].state = "disabled_manually"


def unavailable(world: World) -> None:
    world.github.intercept = lambda method, _: Fault(answer=Response(502)) if method == "POST" else None


@pytest.mark.parametrize(
    ("spoil", "code", "advice"),
    [
        (no_permission, 7, "`actions: write`"),
        (no_workflow, 7, "Save the workflow that publishes as .github/workflows/release.yml"),
        (switched_off, 7, "must not be switched off"),
        (unavailable, 4, "run it again later"),
    ],
)
def test_a_start_that_fails_says_that_the_push_did_not(
    world: World, spoil: Callable[[World], None], code: int, advice: str
) -> None:
    spoil(world)

    with pytest.raises(
        BotError,
        match=rf"{TAG} is pushed, and (release\.yml was not|it is not known whether release\.yml was) started: ",
    ) as raised:
        world.bump()

    assert ("not known" in raised.value.what) == (code == 4)
    assert advice in raised.value.next_step
    assert raised.value.next_step.endswith(f"start it by hand: gh workflow run release.yml --ref {TAG}")
    assert code == raised.value.exit_code
    assert TAG in world.remote


def test_a_checkout_that_is_on_no_branch_is_told_how_a_workflow_gets_on_one(world: World) -> None:
    world.project.run("checkout", "-q", "--detach")

    with pytest.raises(ReleaseError, match="HEAD is detached") as raised:
        world.bump()

    assert raised.value.next_step == "git switch main (in GitHub Actions: `ref: main` of the checkout)"


def command(world: World, *args: str, **environ: str) -> Run:
    given = {"GITHUB_API_URL": world.github.url, "GITHUB_REPOSITORY": NAME, **environ}
    where = ["-C", str(world.project.root), "release", "bump", "patch"]
    return run_command([*where, *args], {**world.project.environ, **given}, TestClock())


def test_the_command_starts_it_in_actions_with_a_token_and_nowhere_else(world: World) -> None:
    (world.project.root / "gateway-bot.toml").write_text(SETTINGS)
    world.project.commit("chore: settings")
    here = command(world)
    world.see()

    on_a_laptop = command(world, "--push", GITHUB_TOKEN=TOKEN)
    world.see()
    before = list(world.dispatched)
    without = command(world, "--push", GITHUB_ACTIONS="true")
    in_actions = command(world, "--push", "--json", GITHUB_ACTIONS="true", GITHUB_TOKEN=TOKEN)

    assert [run.code for run in (here, on_a_laptop, without, in_actions)] == [0, 0, 0, 0]
    assert f"next: git push --atomic origin main {TAG}" in here.out
    assert f"pushed: main and {TAG} to origin" in on_a_laptop.out
    assert f"next: gh workflow run release.yml --ref {TAG}" in without.out
    assert (before, world.dispatched) == ([], [TAG])
    assert in_actions.json["did"] == "found"
    assert in_actions.json["run"].endswith("/actions/runs/1001")
