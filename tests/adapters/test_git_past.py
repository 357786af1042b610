"""Many commits at once from the real git; some of the repositories are out to harm."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.adapters.git import MAX_BYTES
from bot.adapters.git.past import Past
from bot.core.past import Change, FileThen, TagThen
from tests.repositories import WHEN, Repo


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path)


def past(repo: Repo, folder: str = "") -> Past:
    return Past(repo.root / folder, repo.environ)


def then(repo: Repo, name: str, mode: str = "100644") -> FileThen:
    return FileThen(mode, repo.run("rev-parse", name))


def test_every_commit_is_told_with_its_parents_children_first(repo: Repo) -> None:
    first = repo.commit("one")
    repo.run("checkout", "-q", "-b", "side")
    side = repo.commit("side")
    repo.run("checkout", "-q", "main")
    second = repo.commit("two")
    repo.run("merge", "-q", "--no-ff", "-m", "merge", "side")
    merge = repo.run("rev-parse", "HEAD")

    found = past(repo).parents(merge)

    assert found == {merge: (second, side), side: (first,), second: (first,), first: ()}
    assert (next(iter(found)), list(found)[-1]) == (merge, first)


@pytest.mark.parametrize("config", [(), ("log.follow", "true"), ("diff.relative", "true"), ("diff.renames", "copies")])
def test_changes_are_those_of_the_first_parent_line_whatever_the_config_says(
    repo: Repo, config: tuple[str, ...]
) -> None:
    first = repo.commit("one", {"a.env": "1", "deep/b.env": "1", "other": "x"})
    repo.run("checkout", "-q", "-b", "side")
    repo.commit("side", {"a.env": "2"})
    repo.commit("side", {"a.env": "3"})
    repo.run("checkout", "-q", "main")
    repo.commit("two", {"other": "y"})
    repo.run("merge", "-q", "--no-ff", "-m", "merge", "side")
    merge = repo.run("rev-parse", "HEAD")
    repo.run("mv", "deep/b.env", "c.env")
    moved = repo.commit("moved")
    if config:
        repo.run("config", *config)
    expected = (
        Change(moved, {"deep/b.env": None}),
        Change(merge, {"a.env": then(repo, f"{merge}:a.env")}),
        Change(first, {"a.env": then(repo, f"{first}:a.env"), "deep/b.env": then(repo, f"{first}:deep/b.env")}),
    )

    actual = past(repo).changes(moved, ["a.env", "deep/b.env"])

    assert expected == actual


@pytest.mark.parametrize("name", ["a b.env", "-x", "*.env", "\u00e9", 'quote"d', ":(top)y"])
def test_an_odd_path_is_a_path(repo: Repo, name: str) -> None:
    head = repo.commit("one", {name: "1", "another": "2"})
    tree = repo.run("rev-parse", "HEAD^{tree}")
    file = then(repo, f"HEAD:{name}")

    assert past(repo).changes(head, [name]) == (Change(head, {name: file}),)
    assert past(repo).trees([tree], [name]) == {tree: {name: file}}


def test_paths_are_seen_from_the_folder(repo: Repo) -> None:
    head = repo.commit("one", {"gate/a.env": "1", "a.env": "2"})
    tree = repo.run("rev-parse", "HEAD^{tree}")
    file = then(repo, "HEAD:gate/a.env")
    git = past(repo, "gate")

    assert git.changes(head, ["a.env"]) == (Change(head, {"a.env": file}),)
    assert git.trees([tree], ["a.env"]) == {tree: {"a.env": file}}


def test_trees_are_told_apart_also_those_that_have_nothing(repo: Repo) -> None:
    trees = []
    for files in ({"other": "x"}, {"a.env": "1"}, {"a.env": "2"}):
        repo.commit("next", files)
        trees.append(repo.run("rev-parse", "HEAD^{tree}"))
    (repo.root / "a.env").unlink()
    (repo.root / "a.env").symlink_to("other")
    repo.commit("link")
    trees.append(repo.run("rev-parse", "HEAD^{tree}"))
    expected = {
        trees[0]: {},
        trees[1]: {"a.env": then(repo, f"{trees[1]}:a.env")},
        trees[2]: {"a.env": then(repo, f"{trees[2]}:a.env")},
        trees[3]: {"a.env": then(repo, f"{trees[3]}:a.env", "120000")},
    }

    actual = past(repo).trees([trees[0], trees[1], trees[0], trees[2], trees[3]], ["a.env"])

    assert expected == actual


def test_commits_say_who_when_and_all_that_was_said(repo: Repo) -> None:
    repo.environ["GIT_AUTHOR_DATE"] = "2001-01-01T00:00:00+0900"
    repo.run("config", "i18n.commitEncoding", "ISO-8859-1")
    message = "b\u00fcmp\n\nsecond\n\nKey: value\n".encode("latin-1")
    (repo.root / "message").write_bytes(message)
    repo.run("commit", "-q", "--allow-empty", "-F", "message")
    sha = repo.run("rev-parse", "HEAD")

    found = past(repo).past_commits([sha, sha, "0" * 40])

    assert list(found) == [sha]
    commit = found[sha]
    assert (commit.subject, commit.message) == ("b\u00fcmp", "b\u00fcmp\n\nsecond\n\nKey: value\n")
    assert (commit.by, commit.date, commit.parents) == ("Ada", WHEN, ())


@pytest.mark.parametrize("encoding", ["utf-7", "unicode_escape", "zip", "idna", "no such", "iso-8859-99"])
def test_a_commit_in_no_encoding_that_people_write_in_is_text_all_the_same(repo: Repo, encoding: str) -> None:
    tree = repo.run("write-tree")
    who = "Ada <a@example.org> 99999999999999 +0000"
    raw = f"tree {tree}\nauthor {who}\ncommitter {who}\nencoding {encoding}\ngpgsig x\n y\n\n+2AA-\\ud800 \u00fc\n"
    sha = repo.run("hash-object", "-t", "commit", "-w", "--stdin", "--literally", stdin=raw.encode())

    commit = past(repo).past_commits([sha])[sha]

    assert (commit.message, commit.date) == ("+2AA-\\ud800 \u00fc\n", datetime.fromtimestamp(0, UTC))


def test_tags_say_where_they_lead_and_who_made_them(repo: Repo) -> None:
    head = repo.commit("one", {"a": "x"})
    repo.run("tag", "light")
    repo.run("tag", "-a", "-m", "x", "made")
    repo.environ["GIT_COMMITTER_NAME"] = "Eve"
    repo.run("tag", "-a", "-m", "x", "again", "made")
    repo.run("tag", "file", "HEAD:a")
    deep = "made"
    for number in range(7):
        repo.run("tag", "-a", "-m", "x", f"deep{number}", deep)
        deep = f"deep{number}"
    found = {tag.name: tag for tag in past(repo).past_tags()}

    assert found["light"] == TagThen("light", head)
    assert found["made"] == TagThen("made", head, "Ada", WHEN)
    assert found["again"] == TagThen("again", head, "Eve", WHEN)
    assert found["file"] == TagThen("file", "", names="blob")
    assert found["deep6"] == TagThen("deep6", "", "Eve", WHEN, names="tag")


def test_contents_come_once_and_what_is_too_large_without_them(repo: Repo) -> None:
    repo.commit("one", {"a": "x\n\0y", "empty": "", "most": "m" * MAX_BYTES, "more": "m" * (MAX_BYTES + 1)})
    shas = {name: repo.run("rev-parse", f"HEAD:{name}") for name in ("a", "empty", "most", "more")}
    expected = {
        shas["a"]: b"x\n\0y",
        shas["empty"]: b"",
        shas["most"]: b"m" * MAX_BYTES,
        shas["more"]: None,
    }

    found = list(past(repo).blobs([*shas.values(), *shas.values(), "0" * 40]))

    assert len(found) == 4
    assert expected == dict(found)


def test_more_than_fits_into_one_answer_comes_in_several(repo: Repo) -> None:
    repo.commit("one", {f"file{number}": f"{number}" + "m" * (MAX_BYTES - 10) for number in range(40)})
    shas = [repo.run("rev-parse", f"HEAD:file{number}") for number in range(40)]

    found = [sha for sha, data in past(repo).blobs(shas) if data]

    assert shas == found


def test_a_repository_with_longer_hashes_is_read_too(tmp_path: Path) -> None:
    repo = Repo(tmp_path)
    repo.run("init", "-q", "--object-format=sha256", "../other", "-b", "main")
    repo.root = tmp_path / "other"
    head = repo.commit("one", {"a": "x"})
    tree = repo.run("rev-parse", "HEAD^{tree}")

    assert past(repo).trees([tree], ["a"]) == {tree: {"a": then(repo, "HEAD:a")}}
    assert past(repo).past_commits([head])[head].tree == tree


def test_nothing_is_asked_for_and_nothing_comes(repo: Repo) -> None:
    git = past(repo)

    assert (list(git.blobs([])), git.trees([], ["a"]), git.past_commits([]), git.past_tags()) == ([], {}, {}, ())
