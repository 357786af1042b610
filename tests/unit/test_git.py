"""The real git, on repositories that tests make; some of them are out to harm."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from bot.adapters.git import MAX_BYTES, Git
from bot.core.model import SourceFile
from bot.core.release.history import Branch, Commit, GitTag, Status
from bot.errors import BotError, PinError, ReleaseError, ServiceError, UsageError
from tests.repositories import IDENTITY, WHEN, Repo

ODD = ("a b.env", "-x", "*.env", "\u00e9", 'quote"d', "new\nline", ":(top)y")


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path)


def test_history_is_read_newest_first_and_between_two_points(repo: Repo) -> None:
    first, second, third = (repo.commit(text) for text in ("one", "two\nlines of a subject\n\nbody", ""))
    expected = (Commit(third, "", WHEN), Commit(second, "two lines of a subject", WHEN))

    actual = repo.git.commits(first)

    assert repo.git.commits(None, first) == (Commit(first, "one", WHEN),)
    assert repo.git.commits("HEAD") == ()
    assert repo.git.commit_of(second) == expected[1]
    assert expected == actual


def test_who_reaches_whom(repo: Repo) -> None:
    first = repo.commit("one")
    second = repo.commit("two")
    pairs = ((first, second), (second, first), (first, first))

    actual = [repo.git.is_ancestor(commit, of) for commit, of in pairs]

    assert actual == [True, False, True]


def test_tags_say_their_kind_and_the_commit_that_they_lead_to(repo: Repo) -> None:
    head = repo.commit("one", {"a": "x"})
    repo.run("tag", "light")
    repo.run("tag", "-a", "-m", "v1.0.0\nv9.9.9", "v1.0.0")
    repo.run("tag", "-a", "-m", "again", "again", "v1.0.0")
    repo.run("tag", "file", "HEAD:a")
    expected = (
        GitTag("again", head, annotated=True),
        GitTag("file", None, annotated=False),
        GitTag("light", head, annotated=False),
        GitTag("v1.0.0", head, annotated=True),
    )

    actual = repo.git.tags()

    assert expected == actual


def test_tags_of_other_branches_are_not_reached(repo: Repo) -> None:
    first = repo.commit("one", {"a": "x"})
    repo.run("tag", "-a", "-m", "x", "v1.0.0")
    repo.run("tag", "file", "HEAD:a")
    repo.run("checkout", "-q", "-b", "other")
    repo.commit("two")
    repo.run("tag", "v2.0.0")
    (repo.root / ".git" / "refs" / "tags" / "v3\nv4").write_text(f"{first}\n")

    assert [tag.name for tag in repo.git.tags(first)] == ["v1.0.0"]
    assert [tag.name for tag in repo.git.tags("HEAD")] == ["v1.0.0", "v2.0.0"]
    assert [tag.name for tag in repo.git.tags()] == ["file", "v1.0.0", "v2.0.0"]


def test_what_is_not_committed_is_told_apart(repo: Repo) -> None:
    repo.commit("one", {"changed": "x", "staged": "x", "both": "x", "gone": "x", ".gitignore": "ignored"})
    for name in ("changed", "staged", "both", *ODD, "ignored"):
        (repo.root / name).write_text("y")
    (repo.root / "gone").unlink()
    repo.run("add", "staged", "both")
    (repo.root / "both").write_text("z")
    expected = Status(("both", "staged"), ("both", "changed", "gone"), tuple(sorted(ODD)))

    actual = repo.git.status()

    assert expected == Status(actual.staged, actual.changed, tuple(sorted(actual.untracked)))
    assert actual.dirty == tuple(sorted({"both", "staged", "changed", "gone", *ODD}))


def test_a_renamed_file_is_two_paths(repo: Repo) -> None:
    repo.commit("one", {"old": "the same\n" * 20})
    repo.run("mv", "old", "new")

    assert repo.git.status() == Status(staged=("new", "old"))


def test_a_folder_of_a_repository_is_seen_from_itself(repo: Repo) -> None:
    head = repo.commit("one", {"app/versions.env": "A=1\n", "other": "x"})
    (repo.root / "app" / "versions.env").write_text("A=2\n")
    (repo.root / "other").write_text("y")
    git = Git(repo.root / "app", repo.environ)

    assert git.status() == Status(changed=("versions.env", "../other"))
    assert git.changed_by(head) == ("versions.env", "../other")
    assert git.at(head).read(["versions.env"]) == {"versions.env": SourceFile("versions.env", b"A=1\n")}


@pytest.mark.parametrize("rev", ["", "--help", "-q", "nothing", "v1.0.0\nHEAD", "a\0b", "HEAD:a", "HEAD^5", "../x"])
def test_what_names_no_commit_is_none(repo: Repo, rev: str) -> None:
    repo.commit("one", {"a": "x"})

    assert repo.git.resolve(rev) is None
    with pytest.raises(ReleaseError, match="names no commit here"):
        repo.git.at(rev)


def test_before_the_first_commit_there_is_no_head(repo: Repo) -> None:
    actual = (repo.git.head(), repo.git.branch(), repo.git.tags(), repo.git.base())

    assert actual == (None, "main", (), None)


def test_a_detached_head_is_on_no_branch(repo: Repo) -> None:
    head = repo.commit("one")
    repo.run("checkout", "-q", "--detach")

    assert (repo.git.head(), repo.git.branch()) == (head, None)


def test_without_a_main_the_base_is_master(repo: Repo) -> None:
    commit = repo.commit("feat: begin")
    repo.run("branch", "-M", "main", "master")

    assert repo.git.base() == Branch("master", commit)


def test_the_base_is_the_remotes_default_then_main_then_the_local_branch(repo: Repo) -> None:
    first = repo.commit("one")
    local = repo.git.base()
    repo.run("update-ref", "refs/remotes/origin/main", first)
    repo.run("update-ref", "refs/remotes/origin/trunk", first)
    second = repo.commit("two")
    remote = repo.git.base()
    repo.run("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/trunk")
    default = repo.git.base()

    assert (local, remote, default) == (Branch("main", first), Branch("main", first), Branch("trunk", first))
    assert repo.git.base("gone") is None
    assert repo.git.resolve("main") == second


def test_what_is_pushed_to_is_what_the_config_says(repo: Repo) -> None:
    repo.commit("one")
    none = repo.git.remote("main")
    repo.run("remote", "add", "fork", "https://example.org/fork")
    sole = repo.git.remote("main")
    repo.run("remote", "add", "origin", "https://example.org/origin")
    usual = repo.git.remote("main")
    repo.run("config", "branch.main.pushRemote", "fork")
    named = repo.git.remote("main")
    repo.run("config", "branch.main.pushRemote", "https://user:secret@example.org/x")
    address = repo.git.remote("main")

    assert (none, sole, usual, named, address) == ("origin", "fork", "origin", "fork", "origin")


def test_files_are_read_as_they_were_at_a_commit(repo: Repo) -> None:
    old = repo.commit("one", {name: f"{name}\r\n" for name in ODD})
    (repo.root / "-x").chmod(0o755)
    new = repo.commit("two", {"-x": "new"})
    expected = {name: SourceFile(name, f"{name}\r\n".encode()) for name in ODD}

    actual = repo.git.at(old).read([*ODD, "-x"])

    assert repo.git.at(new).read(["-x"]) == {"-x": SourceFile("-x", b"new", "100755")}
    assert expected == actual


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("gone", "there is no such file at commit"),
        ("folder", "no regular file"),
        ("folder/a/b", "there is no such file"),
        ("link", "it is a symbolic link"),
        ("linked/a", "it lies behind a symbolic link"),
        ("large", "larger than 1,048,576 bytes"),
        ("*", "there is no such file"),
    ],
)
def test_what_is_no_plain_file_at_a_commit_is_refused(repo: Repo, path: str, words: str) -> None:
    (repo.root / "link").symlink_to("folder/a")
    (repo.root / "linked").symlink_to("folder")
    head = repo.commit("one", {"folder/a": "x", "large": "x" * (MAX_BYTES + 1)})

    with pytest.raises(PinError, match=words) as raised:
        repo.git.at(head).read(["folder/a", path])

    assert raised.value.where == path


def test_the_index_is_read_beside_the_files(repo: Repo) -> None:
    repo.commit("one", {"sub/a": "x"})
    (repo.root / "sub" / "a").write_text("y")
    repo.run("add", "sub/a")
    (repo.root / "sub" / "a").write_text("z")
    below = Git(repo.root / "sub", repo.environ)

    assert (repo.git.staged("sub/a"), below.staged("a"), repo.git.staged("gone")) == (b"y", b"y", None)


def test_a_replaced_object_is_read_as_it_was_committed(repo: Repo) -> None:
    head = repo.commit("one", {"a": "x"})
    other = repo.run("hash-object", "-w", "--stdin", stdin=b"evil")
    repo.run("replace", repo.run("rev-parse", "HEAD:a"), other)

    assert repo.git.at(head).read(["a"])["a"].data == b"x"


def test_a_shallow_clone_is_told_how_to_get_the_rest(repo: Repo, tmp_path: Path) -> None:
    repo.commit("one")
    repo.commit("two")
    repo.run("clone", "-q", "--depth", "1", f"file://{repo.root}", str(tmp_path / "clone"))
    git = Git(tmp_path / "clone", repo.environ)
    repo.git.require_history()

    with pytest.raises(ReleaseError, match="shallow") as raised:
        git.require_history()

    assert "git fetch --unshallow --tags" in raised.value.next_step


def test_a_folder_that_is_no_checkout_is_said(tmp_path: Path, repo: Repo) -> None:
    git = Git(tmp_path, repo.environ)
    bare = Git(repo.root / ".git", repo.environ)

    assert (git.is_checkout(), bare.is_checkout(), repo.git.is_checkout()) == (False, False, True)
    with pytest.raises(UsageError, match="no git checkout"):
        git.tags()


def test_a_machine_without_git_is_told_so(repo: Repo) -> None:
    with pytest.raises(ServiceError, match="git is not installed"):
        Git(repo.root, {**repo.environ, "PATH": str(repo.root)}).head()


def test_a_repository_elsewhere_in_the_environment_does_not_count(repo: Repo, tmp_path: Path) -> None:
    head = repo.commit("one")
    git = Git(repo.root, {**repo.environ, "GIT_DIR": str(tmp_path), "GIT_WORK_TREE": "/", "GIT_INDEX_FILE": "/x"})
    (repo.root / "a").write_text("x")
    made = git.commit(["a"], "two")

    assert [commit.sha for commit in git.commits(None)] == [made, head]


HOSTILE: tuple[tuple[str, ...], ...] = (
    ("config", "core.fsmonitor", "{run}"),
    ("config", "core.pager", "{run}"),
    ("config", "pager.log", "{run}"),
    ("config", "core.hooksPath", "{hooks}"),
    ("config", "core.sshCommand", "{run}"),
    ("config", "core.editor", "{run}"),
    ("config", "diff.external", "{run}"),
    ("config", "diff.x.textconv", "{run}"),
    ("config", "diff.x.command", "{run}"),
    ("config", "filter.x=y.clean", "{run}"),
    ("config", "filter.x=y.smudge", "{run}"),
    ("config", "filter.p.process", "{run}"),
    ("config", "filter.p.required", "true"),
    ("config", "gpg.program", "{run}"),
    ("config", "log.showSignature", "true"),
    ("config", "alias.status", "!{run}"),
    ("config", "credential.helper", "!{run}"),
    ("config", "remote.origin.url", "ext::{run}"),
    ("config", "remote.origin.promisor", "true"),
    ("config", "core.repositoryFormatVersion", "1"),
    ("config", "extensions.partialClone", "origin"),
    ("config", "status.showUntrackedFiles", "no"),
    ("config", "log.mailmap", "true"),
    ("config", "color.ui", "always"),
    ("config", "i18n.logOutputEncoding", "UTF-16"),
    ("config", "log.date", "format:%n%n"),
)


def test_reading_a_hostile_repository_runs_nothing(repo: Repo, tmp_path: Path) -> None:
    ran, hooks = tmp_path / "ran", tmp_path / "hooks"
    program = tmp_path / "run"
    program.write_text(f'#!/bin/sh\necho "$0 $*" >> {ran}\ncat\n')
    program.chmod(0o755)
    hooks.mkdir()
    for hook in ("post-index-change", "reference-transaction", "fsmonitor-watchman", "pre-commit", "post-checkout"):
        (hooks / hook).symlink_to(program)
    head = repo.commit("one", {".gitattributes": "a diff=x filter=x=y\nb filter=p\n", "a": "x", "b": "other"})
    repo.run("tag", "-a", "-m", "x", "v1.0.0")
    for command in HOSTILE:
        repo.run(*(word.format(run=program, hooks=hooks) for word in command))
    blob = repo.run("rev-parse", "HEAD:b")
    (repo.root / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    for name in ("a", "b", "c"):
        os.utime(repo.root / name) if name != "c" else (repo.root / name).write_text("x")
    ran.unlink(missing_ok=True)
    git = repo.git

    assert git.status() == Status(untracked=("c",))
    assert (git.head(), git.branch(), git.base()) == (head, "main", Branch("main", head))
    assert git.commits(None) == (Commit(head, "one", WHEN),)
    assert git.tags() == (GitTag("v1.0.0", head, annotated=True),)
    assert git.changed_by(head) == (".gitattributes", "a", "b")
    assert git.at(head).read(["a"])["a"].data == b"x"
    assert git.is_ancestor(head, head)
    assert not git.is_shallow()
    with pytest.raises(BotError):
        git.at(head).read(["b"])  # it would have to be fetched
    assert not ran.exists()


def test_a_filter_of_the_users_own_config_stays(repo: Repo) -> None:
    repo.run("config", "--global", "filter.case.clean", "tr a-z A-Z")
    repo.run("config", "--global", "filter.case.smudge", "tr A-Z a-z")
    repo.commit("one", {".gitattributes": "a filter=case\n", "a": "x"})
    (repo.root / "a").write_text("y")
    (repo.root / "a").write_text("x")

    assert repo.git.status() == Status()


def test_exactly_the_named_files_are_committed_and_tagged(repo: Repo) -> None:
    repo.commit("one", {"a": "x", "b": "x", "c": "x"})
    for name in ("a", "b", "new"):
        (repo.root / name).write_text("y")
    repo.run("add", "b")
    git = repo.git

    made = git.commit(["a", "new"], "chore: two\n\n# kept\n")
    git.tag("v1.0.0", made, "v1.0.0")

    assert git.changed_by(made) == ("a", "new")
    assert git.status() == Status(staged=("b",))
    assert repo.run("log", "-1", "--format=%B") == "chore: two\n\n# kept"
    assert git.tags() == (GitTag("v1.0.0", made, annotated=True),)


def no_identity(repo: Repo) -> None:
    for name in IDENTITY:
        del repo.environ[name]
    repo.run("config", "user.useConfigOnly", "true")


def refusing_hook(repo: Repo) -> None:
    hook = repo.root / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'the hook says no \033[31m'\nexit 1\n")
    hook.chmod(0o755)


def no_signer(repo: Repo) -> None:
    repo.run("config", "commit.gpgSign", "true")
    repo.run("config", "gpg.program", "/nonexistent/gpg")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (no_identity, "Please tell me who you are|no email was given"),
        (refusing_hook, "the hook says no$"),
        (no_signer, "/nonexistent/gpg"),
    ],
)
def test_a_refused_commit_leaves_the_index_as_it_was(repo: Repo, spoil: Callable[[Repo], None], words: str) -> None:
    head = repo.commit("one", {"a": "x"})
    spoil(repo)
    for name in ("a", "new"):
        (repo.root / name).write_text("y")

    with pytest.raises(ReleaseError, match=words):
        repo.git.commit(["a", "new"], "two")

    assert repo.git.head() == head
    assert repo.git.status() == Status(changed=("a",), untracked=("new",))


def test_tags_are_signed_where_the_users_config_says_so(repo: Repo, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    for name, value in {
        "gpg.format": "ssh",
        "user.signingKey": str(key),
        "commit.gpgSign": "true",
        "tag.gpgSign": "true",
    }.items():
        repo.run("config", "--global", name, value)
    (repo.root / "a").write_text("x")
    made = repo.git.commit(["a"], "one")
    repo.git.tag("v1.0.0", made, "v1.0.0")
    found: Sequence[str] = [repo.run("cat-file", kind, rev) for kind, rev in (("commit", made), ("tag", "v1.0.0"))]

    assert ["BEGIN SSH SIGNATURE" in text for text in found] == [True, True]


@pytest.mark.parametrize("name", ["v1.0.0", "-d", "a\nb", ""])
def test_a_tag_that_exists_or_is_no_name_is_refused(repo: Repo, name: str) -> None:
    repo.commit("one")
    repo.run("tag", "v1.0.0")

    with pytest.raises(ReleaseError):
        repo.git.tag(name, "HEAD", "x")

    assert [tag.name for tag in repo.git.tags()] == ["v1.0.0"]


def test_a_hook_sees_no_token(repo: Repo, tmp_path: Path) -> None:
    refusing_hook(repo)
    seen = tmp_path / "seen"
    (repo.root / ".git" / "hooks" / "pre-commit").write_text(f"#!/bin/sh\nenv > {seen}\n")
    repo.environ |= {"GITHUB_TOKEN": "ghs_x", "GATEWAY_BOT_APP_PRIVATE_KEY": "pem", "MINE": "kept"}
    (repo.root / "a").write_text("x")
    repo.git.commit(["a"], "one")
    names = {line.partition("=")[0] for line in seen.read_text().splitlines()}

    assert "MINE" in names
    assert names.isdisjoint({"GITHUB_TOKEN", "GATEWAY_BOT_APP_PRIVATE_KEY", "GATEWAY_BOT_EMPTY"})
