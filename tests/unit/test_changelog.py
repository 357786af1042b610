"""What a changelog says, and where it says it; and the commits as the real git-cliff reads them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from bot.adapters.changelog import Changelog
from bot.core.release.changelog import HEAD, Change, day_of, image_entry, named, section, section_of, with_section
from bot.errors import PinError, ServiceError
from tests.repositories import Repo
from tests.unit.values import NEW, OLD, pin, version

DAY = date(2026, 8, 20)
NEXT = version("1.2.4")
SHA = "a" * 40


def change(kind: str, text: str = "x", scope: str = "", breaking: str = "") -> Change:
    return Change(SHA, kind, scope, text, breaking)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (change("feat"), "Added"),
        (change("FEAT"), "Added"),
        (change("fix"), "Fixed"),
        (change("security"), "Security"),
        (change("perf"), "Changed"),
        (change("revert"), "Changed"),
        (change("deps"), "Changed"),
        (change("build", scope="deps"), "Changed"),
        (change("chore", scope="deps-dev"), "Changed"),
        (change("chore", breaking="x"), "Changed"),
        (change("chore"), ""),
        (change("docs"), ""),
        (change("refactor"), ""),
        (change("test", scope="deps"), ""),
        (change(""), ""),
    ],
)
def test_a_change_stands_where_its_type_says(given: Change, expected: str) -> None:
    found = named([given], "app", moved=False)
    text = section(NEXT, DAY, "", found)

    assert bool(found) == bool(expected)
    assert (f"### {expected}\n\n- " in text) == bool(expected)


def test_the_upgrade_of_the_image_is_named_once() -> None:
    changes = [change("deps", scope="app"), change("deps", scope="other")]

    assert named(changes, "app", moved=True) == (changes[1],)
    assert named(changes, "app", moved=False) == tuple(changes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain words", "plain words"),
        ("use `a_b` and *c*", "use `a_b` and *c*"),
        ("<b>bold</b> <img src=x> <!-- x -->", "bold"),
        ("thanks @all, fixes #1, GH-2", "thanks \uff20all, fixes \uff031, GH\u20112"),
        ("[click](javascript:alert) [here](http://x.example)", "\\[click\\](javascript:alert) here"),
        ("# heading", "\\# heading"),
        ("- [ ] box", "\\- \u2610 box"),
        ("```", "\\`\\`\\`"),
        ("a\u202eb\x1b[31mc\u200b", "abc"),
        ("[skip ci] x", "\uff3bskip ci\uff3d x"),
        ("<b></b>", "(no words)"),
        ("## 9.9.9 - 2020-01-01", "\\## 9.9.9 - 2020-01-01"),
        ("x" * 400, "x" * 299 + "\u2026"),
    ],
)
def test_what_a_commit_says_does_nothing(text: str, expected: str) -> None:
    actual = section(NEXT, DAY, "", [change("feat", text)])

    assert actual == f"## 1.2.4 - 2026-08-20\n\n### Added\n\n- {expected} (`aaaaaaa`)"


def test_what_breaks_comes_first_and_says_how() -> None:
    changes = [
        change("feat", "one"),
        change("feat", "two", "api", "all of <i>it</i>"),
        change("feat", "three", breaking="three"),
    ]
    expected = [
        "- **Breaking:** **api:** two: all of it (`aaaaaaa`)",
        "- **Breaking:** three (`aaaaaaa`)",
        "- one (`aaaaaaa`)",
    ]

    actual = section(NEXT, DAY, "", changes).split("\n")[4:]

    assert expected == actual


def test_links_are_there_where_the_repository_is_known() -> None:
    text = section(NEXT, DAY, "", [change("fix")], "v1.2.3", "acme/gateway")

    assert f"- x ([`aaaaaaa`](https://github.com/acme/gateway/commit/{SHA}))" in text
    assert text.endswith("\n\n[v1.2.3...v1.2.4](https://github.com/acme/gateway/compare/v1.2.3...v1.2.4)")


def test_a_section_has_an_end() -> None:
    text = section(NEXT, DAY, "the image", [change("feat")] * 2500)

    assert text.count("\n- x") == 500
    assert text.endswith("### Changed\n\n- the image\n- 2,000 more")


@pytest.mark.parametrize(
    ("previous", "expected"),
    [
        (None, f"Gateway image: v1.4.1 (`{NEW}`)"),
        (pin("v1.3.1", OLD), f"Gateway image: v1.3.1 -> v1.4.1 (`{NEW}`)"),
        (pin("v1.4.1", OLD), f"Gateway image: v1.4.1, another build (`{OLD}` -> `{NEW}`)"),
        (pin("v1.3.1", NEW), f"Gateway image: v1.3.1 -> v1.4.1 (`{NEW}`)"),
    ],
)
def test_the_image_has_an_entry_of_its_own(previous: object, expected: str) -> None:
    assert image_entry(pin("v1.4.1", NEW), previous) == expected  # type: ignore[arg-type] # a Pin or None


TEXT = "## 1.2.4 - 2026-08-20\n\n- x"
NEW_LINES = TEXT + "\n\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", f"{HEAD}\n{TEXT}\n"),
        (" \n", f"{HEAD}\n{TEXT}\n"),
        ("# Log\n", f"# Log\n\n{TEXT}\n"),
        ("# Log", f"# Log\n\n{TEXT}\n"),
        ("# Log\n\nwords\n\n## 1.2.3\n\n- y", f"# Log\n\nwords\n\n{NEW_LINES}## 1.2.3\n\n- y"),
        ("## [v1.2.3](x)\n", f"{NEW_LINES}## [v1.2.3](x)\n"),
        ("\ufeff## 1.2.3\n", f"\ufeff{NEW_LINES}## 1.2.3\n"),
        ("# L\n\n1.2.3\n-----\n", f"# L\n\n{NEW_LINES}1.2.3\n-----\n"),
        ("# L\n## [Unreleased]\n\n- z\n\n## 1.2.3\n", f"# L\n## [Unreleased]\n\n- z\n\n{NEW_LINES}## 1.2.3\n"),
        ("# L\n\n## Unreleased\n- z\n", f"# L\n\n## Unreleased\n- z\n\n{TEXT}\n"),
        ("# L\n```\n## 1.2.4\n```\n## 1.2.3\n", f"# L\n```\n## 1.2.4\n```\n\n{NEW_LINES}## 1.2.3\n"),
        ("# L\n<!--\n## 1.2.4\n-->\n\n## 1.2.3\n", f"# L\n<!--\n## 1.2.4\n-->\n\n{NEW_LINES}## 1.2.3\n"),
        ("# L\r\n\r\n## 1.2.3\r\n", "# L\r\n\r\n" + NEW_LINES.replace("\n", "\r\n") + "## 1.2.3\r\n"),
        ("# L\n\x0b\u2028\x85words\n\n## 1.2.3\n", f"# L\n\x0b\u2028\x85words\n\n{NEW_LINES}## 1.2.3\n"),
        ("# L\n\n## 1.2.40\n", f"# L\n\n{NEW_LINES}## 1.2.40\n"),
        ("# L\n\n## 1.2.4-rc.1\n", f"# L\n\n{NEW_LINES}## 1.2.4-rc.1\n"),
        ("# L\n\n## 1.2.3\n\n## [1.2.4] (old)\n", "# L\n\n## 1.2.3\n\n## [1.2.4] (old)\n"),
    ],
)
def test_a_section_goes_to_the_top_once_and_every_other_byte_stays(before: str, after: str) -> None:
    actual = with_section(before.encode(), NEXT, TEXT)

    assert with_section(actual, NEXT, "something else") == actual
    assert actual.decode() == after


def test_a_changelog_in_another_encoding_keeps_its_bytes() -> None:
    before = b"# L\xf6g\n\n## 1.2.3\n\xff\n"

    assert with_section(before, NEXT, TEXT) == b"# L\xf6g\n\n" + NEW_LINES.encode() + b"## 1.2.3\n\xff\n"


@pytest.mark.parametrize(
    "heading", ["## 1.2.4", "## v1.2.4", "## [1.2.4] - 2026-08-20", "## [v1.2.4](http://x) (today)", "1.2.4\n---"]
)
def test_a_section_is_read_back_in_any_usual_form(heading: str) -> None:
    text = f"# L\n\n## 1.3.0\n\n- no\n\n{heading}\n\n### A\n\n```\n## 1.0.0\n```\n\n## 1.2.3\n".replace("\n", "\r\n")

    assert section_of(text, NEXT) == "### A\n\n```\n## 1.0.0\n```"


def test_the_last_section_ends_before_the_links_of_the_file() -> None:
    text = "# L\n\n## [1.2.4]\n\n- x\n\n[1.2.4]: https://x.example\n[1.2.3]: https://y.example\n"

    assert section_of(text, NEXT) == "- x"
    assert section_of(text, version("1.2.3")) == ""
    assert section_of("", NEXT) == ""


@pytest.mark.parametrize(
    ("heading", "expected"),
    [
        ("## 1.2.4 - 2026-08-20", DAY),
        ("## 1.2.4", None),
        ("## 1.2.4 - 2026-02-30", None),
        ("## 1.2.3 - 2026-08-20", None),
    ],
)
def test_a_section_says_its_day(heading: str, expected: date | None) -> None:
    assert day_of(f"# L\n\n{heading}\n", NEXT) == expected


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("feat: one", ("feat", "", "one", "")),
        ("fix(api)!: two", ("fix", "api", "two", "two")),
        ("fix: two\nno blank line\n\nBREAKING CHANGE: all", ("fix", "", "two", "all")),
        ("chore: x\r\n\r\nbody\r\n\r\nBREAKING-CHANGE: all\r\n of it", ("chore", "", "x", "all\r\n of it")),
        ('Revert "feat: x"\n\nThis reverts commit abc.', ("revert", "", "feat: x", "")),
        ("Upgrade the gateway", ("", "", "Upgrade the gateway", "")),
        ("feat:", ("", "", "feat:", "")),
        ("v1.2.4: x", ("v1.2.4", "", "x", "")),
        ("feat: {{ commit }} {% raw %}", ("feat", "", "{{ commit }} {% raw %}", "")),
        ("", ("", "", "", "")),
    ],
)
def test_commits_are_read_by_the_convention(repo: Repo, message: str, expected: tuple[str, ...]) -> None:
    sha = repo.commit(message)
    found = Changelog(repo.root, repo.environ).changes(None, sha)[sha]

    assert expected == (found.kind, found.scope, found.text, found.breaking)


def test_exactly_the_commits_between_two_points_are_read_whatever_their_tags_and_config(repo: Repo) -> None:
    first = repo.commit("feat: one", {"cliff.toml": "[git]\nfilter_unconventional = true\n", "sub/a": "x"})
    repo.run("tag", "v1.0.0")
    repo.run("checkout", "-q", "-b", "side")
    side = repo.commit("feat: side")
    repo.run("checkout", "-q", "main")
    second = repo.commit("words", {"sub/a": "y"})
    repo.run("tag", "infra-1")
    repo.run("merge", "-q", "--no-ff", "-m", "Merge side", "side")
    head = repo.run("rev-parse", "HEAD")
    repo.run("tag", "v9.0.0")
    changelog = Changelog(repo.root, repo.environ)

    assert set(changelog.changes(None, head)) == {first, second, side, head}
    assert set(changelog.changes(first, head)) == {second, side, head}
    assert set(changelog.changes(second, side)) == {side}
    assert set(Changelog(repo.root / "sub", repo.environ).changes(first, head)) == {second, side, head}


def test_a_program_that_says_something_else_is_not_believed(repo: Repo, tmp_path: Path) -> None:
    sha = repo.commit("feat: one")
    program = tmp_path / "git-cliff"
    program.write_text("#!/bin/sh\necho '[{\"commits\": [{}]}]'\n")
    program.chmod(0o755)

    with pytest.raises(ServiceError, match="git-cliff says nothing that can be read"):
        Changelog(repo.root, {"PATH": str(tmp_path)}).changes(None, sha)
    with pytest.raises(ServiceError, match="git-cliff says nothing that can be read"):
        Changelog(repo.root, repo.environ).changes("b" * 40, sha)


def test_a_changelog_is_made_where_there_is_none(tmp_path: Path) -> None:
    changelog = Changelog(tmp_path, {})
    before = changelog.exists()
    changelog.create()

    assert (before, changelog.exists(), (tmp_path / "CHANGELOG.md").read_bytes()) == (False, True, b"")
    with pytest.raises(PinError, match="File exists"):
        changelog.create()
    changelog.remove()
    assert not changelog.exists()


@pytest.mark.parametrize(
    ("text", "repository", "expected"),
    [
        ("one (#12)", "acme/gw", "- one ([#12](https://github.com/acme/gw/pull/12)) ([`aaaaaaa`]"),
        ("one (#12)", "", "- one (\uff0312) (`aaaaaaa`)"),
        ("see up/app#5", "acme/gw", "- see up/app\uff035 ([`aaaaaaa`]"),
        ("fixes #3 (#12)", "acme/gw", "- fixes \uff033 ([#12]("),
    ],
)
def test_the_number_of_a_squashed_pull_request_is_a_link_and_no_other_number_is(
    text: str, repository: str, expected: str
) -> None:
    assert expected in section(NEXT, DAY, "", [change("fix", text)], repository=repository)
