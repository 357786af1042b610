"""`release bump`, on repositories as people have them: the real git and the real git-cliff."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from msgspec.structs import replace

from bot.adapters.git import Git
from bot.core.model import Hold, Policy
from bot.core.release.changelog import HEAD, section_of
from bot.errors import BotError, PinError, ReleaseError
from tests.repositories import PROJECT, UPGRADED, Project
from tests.unit.values import FILES, IMAGE, NEW, OLD, version


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


SECTION = f"""\
### Added

- one

### Changed

- Gateway image: v1.3.1 -> v1.4.1 (`{NEW}`)

### Fixed

- **Breaking:** **api:** two: all of it
"""


def test_a_release_is_one_commit_of_two_files_and_one_annotated_tag(project: Project) -> None:
    project.commit("feat: one")
    project.commit("fix(api)!: two\nbody\n\nBREAKING CHANGE: all of it")
    project.commit("chore: nothing to see")
    project.commit("deps(app): bump v1.3.1 to v1.4.1 (#12)", UPGRADED)
    before = project.run("rev-parse", "HEAD")

    done = project.bump("minor", repository="acme/gateway")

    section = section_of(project.text("CHANGELOG.md"), version("1.3.0"))
    lines = [line.partition(" ([`")[0] for line in section.split("\n")]
    assert project.run("log", "-1", "--format=%s|%P") == f"chore(release): v1.3.0|{before}"
    assert project.run("diff", "--name-only", "HEAD^", "HEAD") == "CHANGELOG.md\npyproject.toml"
    assert project.run("cat-file", "-t", "v1.3.0") == "tag"
    assert project.run("rev-parse", "v1.3.0^{commit}") == project.run("rev-parse", "HEAD") == done.commit
    assert project.run("status", "--porcelain") == ""
    assert project.text("pyproject.toml") == PROJECT.replace('version = "1.2.3"  #', 'version = "1.3.0"  #')
    assert project.text("CHANGELOG.md").startswith(f"{HEAD}\n## 1.3.0 - 2026-08-20\n\n### Added\n")
    assert "\n".join(lines[:-1]) == SECTION
    assert lines[-1] == "[v1.2.3...v1.3.0](https://github.com/acme/gateway/compare/v1.2.3...v1.3.0)"
    assert done.push == "git push --atomic origin main v1.3.0"


def test_what_was_done_is_said_for_people_and_for_programs(project: Project) -> None:
    project.commit("deps(app): bump v1.3.1 to v1.4.1", UPGRADED)
    project.run("config", "branch.main.remote", "fork")
    project.run("remote", "add", "fork", "https://example.org/x")
    project.run("remote", "add", "origin", "https://example.org/y")

    done = project.bump()

    short = done.commit[:12]
    assert json.loads(done.json()) == {
        "ok": True,
        "exit_code": 0,
        "did": "bumped",
        "version": "1.2.4",
        "tag": "v1.2.4",
        "previous": "v1.2.3",
        "commit": done.commit,
        "image": "app",
        "ref": "v1.4.1",
        "digest": NEW,
        "changes": 0,
        "left_out": 1,
        "notes": [],
        "pushed": False,
        "run": "",
        "next": "git push --atomic fork main v1.2.4",
    }
    assert done.text() == (
        f"v1.2.4: after v1.2.3; commit {short} and an annotated tag\n"
        f"  Gateway image: v1.3.1 -> v1.4.1 (`{NEW}`)\n"
        "  CHANGELOG.md names 0 changes\n"
        "  left out: 1 commit of other types, or outside of Conventional Commits\n"
        "  next: git push --atomic fork main v1.2.4"
    )


@pytest.mark.parametrize("message", ["chore: upgrade", "Upgrade the gateway", "ci: x"])
def test_another_image_is_a_release_whatever_its_commit_is_called(project: Project, message: str) -> None:
    project.commit(message, UPGRADED)
    project.bump()

    assert section_of(project.text("CHANGELOG.md"), version("1.2.4")) == (
        f"### Changed\n\n- Gateway image: v1.3.1 -> v1.4.1 (`{NEW}`)"
    )


def test_a_second_release_goes_above_the_first_and_nothing_else_changes(project: Project) -> None:
    project.commit("feat: one")
    project.bump()
    first = project.text("CHANGELOG.md")
    project.commit("fix: two")
    project.bump("major")
    second = project.text("CHANGELOG.md")

    assert project.tags == ["v1.2.3", "v1.2.4", "v2.0.0"]
    assert second.startswith(f"{HEAD}\n## 2.0.0 - 2026-08-20\n\n### Fixed\n\n- two (`")
    assert second.endswith(first.removeprefix(f"{HEAD}\n"))
    assert second.count("\n- ") == 2


def test_run_twice_there_is_nothing_to_release(project: Project) -> None:
    project.commit("feat: one")
    project.bump()
    state = project.state()

    with pytest.raises(ReleaseError, match=r"nothing to release: no commits since v1\.2\.4"):
        project.bump()

    assert state == project.state()


def test_the_previous_release_is_the_highest_that_head_reaches(project: Project) -> None:
    project.run("tag", "v1.2.2")
    for tag in ("infra-1", "vscode-v1", "v1.9.0-rc.1", "v1.9.0-musl", "latest", "1.9.0", "v1.9", "v01.9.0"):
        project.run("tag", tag)
    project.run("checkout", "-q", "-b", "next")
    project.commit("feat: elsewhere")
    project.run("tag", "-a", "-m", "x", "v3.0.0")
    project.run("checkout", "-q", "main")
    project.commit("fix: here")

    done = project.bump()

    assert (done.bump.previous, done.bump.tag, len(done.bump.changes)) == ("v1.2.3", "v1.2.4", 1)


def test_a_version_that_another_branch_released_is_not_released_again(project: Project) -> None:
    project.run("checkout", "-q", "-b", "hotfix")
    project.commit("fix: elsewhere")
    project.run("tag", "v1.2.4")
    project.run("checkout", "-q", "main")
    project.commit("fix: here")

    with pytest.raises(ReleaseError, match=r"the tag v1\.2\.4 exists already, on another branch") as raised:
        project.bump()

    assert raised.value.exit_code == 8
    assert project.bump("minor").bump.tag == "v1.3.0"


def test_the_first_release_goes_from_the_projects_version(tmp_path: Path) -> None:
    repo = Project(tmp_path)
    repo.run("tag", "-d", "v1.2.3")
    repo.run("tag", "infra-1")

    done = repo.bump(repository="acme/gateway")

    section = section_of(repo.text("CHANGELOG.md"), version("1.2.4"))
    assert (done.bump.previous, done.bump.tag) == ("", "v1.2.4")
    assert f"- Gateway image: v1.3.1 (`{OLD}`)" in section
    assert "- begin ([`" in section
    assert "compare" not in section
    assert done.bump.notes == ("there was no release yet: it goes from 1.2.3 in pyproject.toml",)


@pytest.mark.parametrize(("stated", "expected"), [("1.0.0", "v1.2.4"), ("1.5.0", "v1.5.1")])
def test_a_project_that_disagrees_with_the_newest_tag_goes_from_the_higher(
    project: Project, stated: str, expected: str
) -> None:
    project.commit("feat: one", {"pyproject.toml": PROJECT.replace("1.2.3", stated)})

    done = project.bump()

    higher = max("1.2.3", stated)
    assert done.bump.tag == expected
    assert done.bump.notes == (f"pyproject.toml says {stated}, the newest release is v1.2.3: it goes from {higher}",)


def test_pins_that_were_elsewhere_at_the_previous_release_are_said_to_be_unknown(tmp_path: Path) -> None:
    repo = Project(tmp_path)
    repo.run("tag", "-d", "v1.2.3")
    (repo.root / "versions.env").unlink()
    old = repo.commit("chore: without")
    repo.run("tag", "v1.2.3", old)
    repo.commit("chore: with", FILES)

    done = repo.bump()

    assert done.bump.entry == f"Gateway image: v1.3.1 (`{OLD}`)"
    assert done.bump.notes == (
        f"the image at v1.2.3 is not known: versions.env: there is no such file at commit {old[:12]}",
    )


def dirty(project: Project) -> None:
    (project.root / "Dockerfile").write_text("FROM scratch\n")
    (project.root / "new\nfile").write_text("")


def own_file_dirty(project: Project) -> None:
    (project.root / "pyproject.toml").write_text(PROJECT + "# mine\n")


def own_file_new(project: Project) -> None:
    (project.root / "CHANGELOG.md").write_text("# Mine\n")


def detached(project: Project) -> None:
    project.run("checkout", "-q", "--detach")


def other_branch(project: Project) -> None:
    project.run("checkout", "-q", "-b", "feature")


def behind(project: Project) -> None:
    project.run("checkout", "-q", "-b", "x", "HEAD^")
    ahead = project.commit("fix: theirs")
    project.run("checkout", "-q", "main")
    project.run("update-ref", "refs/remotes/origin/main", ahead)


def no_project(project: Project) -> None:
    project.run("rm", "-q", "pyproject.toml")
    project.commit("chore: gone")


def dynamic(project: Project) -> None:
    project.commit("chore: computed", {"pyproject.toml": '[project]\nname = "x"\ndynamic = ["version"]\n'})


def drifted(project: Project) -> None:
    project.commit("chore: drift", {"Dockerfile": UPGRADED["Dockerfile"]})


def nothing_named(project: Project) -> None:
    project.run("reset", "-q", "--hard", "v1.2.3")
    project.commit("chore: x")
    project.commit("Whatever")


@pytest.mark.parametrize(
    ("spoil", "code", "words", "advice"),
    [
        (dirty, 8, "not clean: Dockerfile, new file", "git stash"),
        (own_file_dirty, 8, "not clean: pyproject.toml", "git restore --staged --worktree -- pyproject.toml"),
        (own_file_new, 8, "not clean: CHANGELOG.md", "rm -f CHANGELOG.md"),
        (detached, 8, "HEAD is detached", "git switch main"),
        (other_branch, 8, "releases are made on main, and this is on feature", "git switch main"),
        (behind, 8, "main lacks commits that its remote has", "git pull --ff-only"),
        (no_project, 2, "the last commit has no such file", "[project]"),
        (dynamic, 2, "states no `version`", "cannot be bumped"),
        (drifted, 3, f"holds ghcr.io/acme/app@{NEW}, versions.env says ", "gateway-bot check --fix"),
        (nothing_named, 8, "nothing to release: 2 commits since v1.2.3, none of which", "feat, fix"),
    ],
)
def test_what_cannot_be_released_is_refused_and_nothing_changes(
    project: Project, spoil: Callable[[Project], None], code: int, words: str, advice: str
) -> None:
    project.commit("feat: one")
    spoil(project)
    state = project.state()

    with pytest.raises(BotError) as raised:
        project.bump()

    assert words in raised.value.what
    assert advice in raised.value.next_step
    assert state == project.state()
    assert code == raised.value.exit_code


@pytest.mark.real  # by its length
@pytest.mark.parametrize("staged", [False, True])
@pytest.mark.parametrize("has_changelog", [False, True])
def test_the_command_that_takes_the_files_back_does(project: Project, *, has_changelog: bool, staged: bool) -> None:
    project.commit("feat: one", {"CHANGELOG.md": "# Ours\n"} if has_changelog else {})
    own_file_dirty(project)
    own_file_new(project)
    project.run(*(["add", "--all"] if staged else ["status"]))
    with pytest.raises(ReleaseError, match="not clean") as raised:
        project.bump()
    subprocess.run(raised.value.next_step.partition(": ")[2], shell=True, cwd=project.root, check=True)  # noqa: S602 - as it is pasted

    assert project.run("status", "--porcelain") == ""
    assert project.bump().bump.tag == "v1.2.4"


def test_a_shallow_clone_is_refused(project: Project, tmp_path: Path) -> None:
    project.commit("feat: one")
    project.run("clone", "-q", "--depth", "1", f"file://{project.root}", str(tmp_path / "shallow"))
    project.root = tmp_path / "shallow"

    with pytest.raises(ReleaseError, match="shallow") as raised:
        project.bump()

    assert "git fetch --unshallow --tags" in raised.value.next_step


@pytest.mark.parametrize(
    ("hold", "held"),
    [
        (Hold("v1.3.1", "cuts streams"), True),
        (Hold(">=1.3,<1.4", "cuts streams"), True),
        (Hold("v1.3.1", "cuts streams", until=date(2026, 8, 20)), True),
        (Hold("v1.3.1", "cuts streams", until=date(2026, 8, 19)), False),
        (Hold("v1.3.1", "cuts streams", digest=NEW), False),
    ],
)
def test_a_pin_on_hold_is_not_released(project: Project, hold: Hold, *, held: bool) -> None:
    project.commit("feat: one")
    image = replace(IMAGE, policy=Policy(holds=(hold,)))
    refusal = ""
    try:
        project.bump(image=image)
    except BotError as error:
        refusal = f"{error.exit_code} {error.what}"

    assert refusal.startswith("6 v1.3.1 is on hold") == held
    assert refusal.endswith("cuts streams") == held


def hook(name: str, script: str) -> Callable[[Project], None]:
    def spoil(project: Project) -> None:
        path = project.root / ".git" / "hooks" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    return spoil


def no_identity(project: Project) -> None:
    for name in [name for name in project.environ if name.startswith(("GIT_AUTHOR", "GIT_COMMITTER"))]:
        del project.environ[name]
    project.run("config", "user.useConfigOnly", "true")


@pytest.mark.real  # by its length
@pytest.mark.parametrize("has_changelog", [False, True])
@pytest.mark.parametrize(
    "spoil",
    [
        hook("pre-commit", "exit 1"),
        hook("pre-commit", "echo x >> CHANGELOG.md; echo y >> pyproject.toml; exit 1"),
        hook("commit-msg", "exit 1"),
        no_identity,
    ],
    ids=["hook", "hook that writes", "message", "identity"],
)
def test_a_refused_commit_leaves_both_files_as_they_were(
    project: Project, spoil: Callable[[Project], None], *, has_changelog: bool
) -> None:
    project.commit("feat: one", {"CHANGELOG.md": "# Ours\r\n"} if has_changelog else {})
    spoil(project)
    state = project.state()

    with pytest.raises(ReleaseError, match="git commit was refused"):
        project.bump()

    assert project.text("pyproject.toml") == PROJECT
    assert state == project.state()


@pytest.mark.parametrize("mine", [False, True])
def test_what_only_the_index_holds_is_known_by_its_bytes_too(project: Project, *, mine: bool) -> None:
    """As a full disk leaves it: the files could be put back, the index could not."""
    head = project.commit("feat: one")
    project.bump()
    project.run("tag", "-d", "v1.2.4")
    project.run("reset", "-q", "--soft", head)
    if mine:
        own_file_dirty(project)
        project.run("add", "pyproject.toml")
    (project.root / "CHANGELOG.md").unlink()
    (project.root / "pyproject.toml").write_bytes(PROJECT.encode())
    refused = False
    try:
        project.bump()
    except ReleaseError as error:
        refused = "not clean" in error.what

    assert refused == mine
    assert ("v1.2.4" in project.tags) != mine


def test_files_that_cannot_be_written_leave_nothing_behind(project: Project) -> None:
    project.commit("feat: one")
    (project.root / "pyproject.toml").chmod(0o444)
    state = project.state()

    with pytest.raises(PinError, match="read-only"):
        project.bump()

    assert state == project.state()


def test_a_commit_that_a_hook_widened_is_not_tagged(project: Project) -> None:
    project.commit("feat: one")
    hook("pre-commit", "echo x > extra; git add extra")(project)
    with pytest.raises(ReleaseError, match="changes other files too: extra") as raised:
        project.bump()
    project.run("reset", "-q", "--hard")

    with pytest.raises(ReleaseError, match="changes other files too: extra"):
        project.bump()

    assert "git reset --soft HEAD^" in raised.value.next_step
    assert project.tags == ["v1.2.3"]


def test_a_commit_that_was_made_before_git_broke_off_stays_and_is_tagged_by_the_next_run(project: Project) -> None:
    """A hook that comes after the commit ends git: putting both files back would undo a release that is there."""
    before = project.commit("feat: one")
    hook("post-commit", "kill -9 $PPID")(project)
    with pytest.raises(ReleaseError, match="git commit was refused"):
        project.bump()
    made = project.run("rev-parse", "HEAD")
    left = (project.run("rev-parse", "HEAD^"), project.run("status", "--porcelain"), project.tags)
    texts = (project.text("pyproject.toml"), project.text("CHANGELOG.md").count("## 1.2.4 - "))
    (project.root / ".git" / "hooks" / "post-commit").unlink()
    done = project.bump()

    assert left == (before, "", ["v1.2.3"])
    assert texts == (PROJECT.replace('version = "1.2.3"  #', 'version = "1.2.4"  #'), 1)
    assert (done.did, done.commit, project.tags) == ("tagged", made, ["v1.2.3", "v1.2.4"])


def test_a_refused_tag_is_made_by_the_next_run(project: Project) -> None:
    project.commit("feat: one")
    project.run("config", "tag.gpgSign", "true")
    project.run("config", "gpg.program", "/nonexistent/gpg")
    with pytest.raises(ReleaseError, match="git tag was refused"):
        project.bump()
    head = project.run("rev-parse", "HEAD")
    project.run("config", "tag.gpgSign", "false")

    done = project.bump()

    assert (done.did, done.commit, done.bump.previous) == ("tagged", head, "v1.2.3")
    assert done.text() == (
        f"v1.2.4: tagged {head[:12]}, its release commit, which was there already\n"
        "  next: git push --atomic origin main v1.2.4"
    )
    assert project.run("rev-parse", "v1.2.4^{commit}") == head


def test_an_unfinished_release_is_not_passed_by_a_bump_of_another_part(project: Project) -> None:
    project.commit("feat: one")
    project.bump()
    project.run("tag", "-d", "v1.2.4")

    with pytest.raises(ReleaseError, match=r"v1\.2\.4, which has no tag yet, and a minor bump would be v1\.3\.0"):
        project.bump("minor")

    assert project.bump("patch").did == "tagged"


def test_a_second_run_at_the_same_time_does_nothing(project: Project) -> None:
    project.commit("feat: one")
    state = project.state()
    with Git(project.root, project.environ).alone(), pytest.raises(ReleaseError, match="another run is making"):
        project.bump()

    assert state == project.state()
    assert project.bump().bump.tag == "v1.2.4"


SCRIPT = """
import os, sys
steps = int(sys.argv[1])
def watch(event, args):
    global steps
    if event == "subprocess.Popen":
        words = {"add", "commit", "tag", "diff-tree", "for-each-ref"} & set(args[1])
        if not words or ("for-each-ref" in words and "--format=%(push:remotename)" not in args[1]):
            return
    elif event not in {"os.rename", "os.truncate"} and not (event == "open" and str(args[0]).endswith("CHANGELOG.md")
            and args[2] & os.O_CREAT):
        return
    if steps == 0:
        os._exit(77)
    steps -= 1
sys.addaudithook(watch)
from tests.repositories import Project
project = Project.__new__(Project)
from pathlib import Path
project.root, project.environ = Path(sys.argv[2]), dict(os.environ)
project.bump()
"""


@pytest.mark.real  # by its length
def test_killed_before_any_step_the_next_run_makes_the_same_release(project: Project, tmp_path: Path) -> None:
    project.commit("feat: one")
    stops = 0
    while True:
        copy = tmp_path / f"copy-{stops}"
        project.run("clone", "-q", str(project.root), str(copy))
        child = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(stops), str(copy)],
            cwd=Path(__file__).parents[2],
            env={**project.environ, "PYTHONPATH": "."},
            capture_output=True,
            check=False,
        )
        assert child.returncode in {0, 77}, child.stderr
        if child.returncode == 0:
            break
        killed = Project.__new__(Project)
        killed.root, killed.environ = copy, project.environ
        tagged = "v1.2.4" in killed.tags
        if tagged:
            with pytest.raises(ReleaseError, match="nothing to release"):
                killed.bump(today=date(2026, 8, 21))
        else:
            killed.bump(today=date(2026, 8, 21))

        assert killed.run("status", "--porcelain") == ""
        assert killed.run("log", "--format=%s").split("\n")[:2] == ["chore(release): v1.2.4", "feat: one"]
        assert killed.run("rev-parse", "v1.2.4^{commit}") == killed.run("rev-parse", "HEAD")
        assert killed.text("CHANGELOG.md").count("## 1.2.4 - ") == 1
        stops += 1

    assert stops >= 7


def test_a_release_that_could_not_be_pushed_is_undone_before_the_next_one(project: Project) -> None:
    project.commit("feat: one")
    project.bump()
    project.run("checkout", "-q", "-b", "x", "HEAD^")
    theirs = project.commit("fix: theirs")
    project.run("checkout", "-q", "main")
    project.run("update-ref", "refs/remotes/origin/main", theirs)

    with pytest.raises(ReleaseError, match="lacks commits that its remote has") as raised:
        project.bump()

    undo = raised.value.next_step.partition(": ")[2].removesuffix(" && git pull --ff-only")
    assert undo == "git tag -d v1.2.4 && git reset --hard HEAD~1"
    for command in undo.split(" && "):
        project.run(*command.split()[1:])
    project.run("merge", "-q", "--ff-only", theirs)
    assert project.bump().bump.tag == "v1.2.4"
