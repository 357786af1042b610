"""Which version comes next, what refuses it, and the file that states it."""

from __future__ import annotations

import tomllib
from datetime import UTC, date, datetime

import pytest
from msgspec.structs import replace

from bot.core.model import Hold, Pin, Policy
from bot.core.pins.sites import Drift
from bot.core.release.bump import (
    Part,
    Place,
    Since,
    decide,
    newest,
    next_version,
    release_of,
    require_clean,
    require_pin,
    require_place,
    uncommitted,
    undo,
)
from bot.core.release.changelog import Change
from bot.core.release.history import Branch, Commit, Status
from bot.core.release.project import project_version, with_version
from bot.errors import BotError, PolicyError, ReleaseError, UsageError
from tests.unit.values import IMAGE, NEW, OLD, pin, version

HEAD = Commit("a" * 40, "feat: one", datetime(2026, 8, 20, tzinfo=UTC))
PLACE = Place(
    shallow=False,
    head=HEAD,
    branch="main",
    base=Branch("main", "b" * 40),
    wanted_base="",
    follows=True,
    tags=("v1.2.3", "v2.0.0"),
    reachable=("v1.2.3",),
    project=version("1.2.3"),
)
FEATURE = Change("a" * 40, "feat", "", "one")
CHORE = Change("b" * 40, "chore", "", "two")
SINCE = Since(pin(), "", (FEATURE, CHORE), 3)
TODAY = date(2026, 8, 20)


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("v1.2.3", True),
        ("v0.0.1", True),
        ("1.2.3", False),
        ("v1.2", False),
        ("v1.2.3-rc.1", False),
        ("v1.2.3-musl", False),
        ("v01.2.3", False),
        ("V1.2.3", False),
        ("vv1.2.3", False),
        ("v1.2.3\n", False),
        ("infra-1", False),
        ("vscode-v1", False),
        ("vscode-v1.2.3", False),
        ("latest", False),
    ],
)
def test_only_our_own_releases_count(tag: str, *, expected: bool) -> None:
    assert (release_of(tag) is not None) == expected


def test_the_newest_is_the_highest_not_the_last_word() -> None:
    assert newest(["v1.9.0", "v1.10.0", "v1.2.3", "v2.0.0-rc.1"]) == ("v1.10.0", version("1.10.0"))
    assert newest(["infra-1"]) is None


@pytest.mark.parametrize(
    ("reachable", "project", "part", "expected"),
    [
        (("v1.2.3",), "1.2.3", "patch", "1.2.4"),
        (("v1.2.3",), "1.2.3", "minor", "1.3.0"),
        (("v1.2.3",), "1.2.3", "major", "2.0.0"),
        (("v1.2.9",), "1.2.9", "patch", "1.2.10"),
        (("v1.2.3",), "0.1.0", "patch", "1.2.4"),
        (("v1.2.3",), "1.5.0", "patch", "1.5.1"),
        ((), "0.1.0", "patch", "0.1.1"),
        ((), "0.0.0", "minor", "0.1.0"),
        (("infra-7", "v9.0.0-rc.1"), "0.1.0", "minor", "0.2.0"),
    ],
)
def test_the_next_version_is_one_step_from_the_highest(
    reachable: tuple[str, ...], project: str, part: Part, expected: str
) -> None:
    actual = next_version(replace(PLACE, reachable=reachable, project=version(project)), part)

    assert expected == str(actual)


def test_numbers_have_an_end() -> None:
    with pytest.raises(ReleaseError, match=r"nothing comes after 1\.2\.999999999"):
        next_version(replace(PLACE, project=version("1.2.999999999")), "patch")


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (replace(PLACE, shallow=True), "the clone is shallow"),
        (replace(PLACE, head=None), "there is no commit yet"),
        (replace(PLACE, base=None), "there is no branch main"),
        (replace(PLACE, base=None, wanted_base="trunk"), "there is no branch trunk"),
        (replace(PLACE, branch=None), "this is on no branch"),
        (replace(PLACE, branch="x\x1b[31m"), "this is on x$"),
        (replace(PLACE, follows=False), "main lacks commits that its remote has"),
    ],
)
def test_a_place_that_cannot_release_is_told_why(place: Place, words: str) -> None:
    require_place(PLACE)

    with pytest.raises(ReleaseError, match=words):
        require_place(place)


def test_the_release_names_what_is_in_it() -> None:
    made = decide(IMAGE, PLACE, pin("v1.4.1", NEW), SINCE, "minor")

    assert (made.tag, made.previous, made.changes, made.left_out) == ("v1.3.0", "v1.2.3", (FEATURE,), 2)
    assert made.entry == f"Gateway image: v1.3.1 -> v1.4.1 (`{NEW}`)"
    assert made.notes == ()


@pytest.mark.parametrize(
    ("pinned", "since", "released"),
    [
        (pin(), SINCE, True),
        (pin(), Since(pin(), "", (CHORE,), 1), False),
        (pin(), Since(pin(), "", (), 0), False),
        (pin("v1.3.1", NEW), Since(pin(), "", (), 1), True),
        (pin("v1.3.2", OLD), Since(pin(), "", (), 1), True),
        (pin("v1.4.1", NEW), Since(None, "it was not there", (), 1), True),
        (pin("v1.4.1", NEW), Since(None, "it was not there", (), 0), False),
    ],
)
def test_a_release_needs_a_change_that_is_named_or_another_image(pinned: Pin, since: Since, *, released: bool) -> None:
    refusal = ""
    try:
        decide(IMAGE, PLACE, pinned, since, "patch")
    except ReleaseError as error:
        refusal = error.what

    assert refusal.startswith("nothing to release") != released


def test_a_tag_that_exists_anywhere_is_not_made_again() -> None:
    with pytest.raises(ReleaseError, match=r"the tag v2\.0\.0 exists already, on another branch"):
        decide(IMAGE, PLACE, pin(), SINCE, "major")


def test_a_pin_of_the_previous_release_that_cannot_be_read_is_said() -> None:
    made = decide(IMAGE, PLACE, pin(), Since(None, "versions.env: gone\x1b[31m", (FEATURE,), 1), "patch")

    assert made.entry == f"Gateway image: v1.3.1 (`{OLD}`)"
    assert made.notes == ("the image at v1.2.3 is not known: versions.env: gone",)


def test_what_a_killed_bump_prepared_is_not_in_the_way() -> None:
    left = (".pyproject.toml.gateway-bot-ab_1", ".CHANGELOG.md.gateway-bot-x")
    others = (".pyproject.toml.gateway-bot-", "x/.pyproject.toml.gateway-bot-a", ".versions.env.gateway-bot-a")

    assert uncommitted(Status(untracked=(*left, *others))) == tuple(sorted(others))
    assert uncommitted(Status(staged=left)) == tuple(sorted(left))


@pytest.mark.parametrize(
    ("paths", "words", "advice"),
    [
        (["a", "b\x1b[31m"], "not clean: a, b", "git stash -u"),
        ([f"f{number:02}" for number in range(12)], "f09 and 2 more", "git stash -u"),
        (
            ["pyproject.toml"],
            "not clean: pyproject.toml",
            "git restore --staged --worktree -- pyproject.toml CHANGELOG.md",
        ),
    ],
)
def test_a_tree_that_is_not_clean_is_listed(paths: list[str], words: str, advice: str) -> None:
    require_clean([], undo(has_changelog=True))

    with pytest.raises(ReleaseError, match=words) as raised:
        require_clean(paths, undo(has_changelog=True))

    assert advice in raised.value.next_step


def test_drift_is_told_before_a_hold() -> None:
    image = replace(IMAGE, policy=Policy(holds=(Hold("1.3.1", "cuts \x1b[31mstreams"),)))
    drift = (Drift("Dockerfile", 3, "v1", "v2"), Drift("main.tf", 2, "v1", "v2"))
    found: list[BotError] = []
    for places in (drift, ()):
        with pytest.raises(BotError) as raised:
            require_pin(image, pin(), places, TODAY)
        found.append(raised.value)

    assert [error.exit_code for error in found] == [3, 6]
    assert str(found[0]) == "Dockerfile:3: holds v1, versions.env says v2; 2 places disagree"
    assert found[1].what == "v1.3.1 is on hold: cuts streams"
    assert isinstance(found[1], PolicyError)


@pytest.mark.parametrize(
    "source",
    [
        '[project]\r\nname="x" # c\r\nversion  =  \'1.2.3\'   # keep\r\n\r\n[tool.x]\r\nversion = "1.2.3"',
        '\ufeff[project]\nversion="1.2.3"\n',
        'project.version = "1.2.3"\n',
        'project = {name = "1.2.3", version = "1.2.3" , z = 1}\n',
        '[tool.x]\nversion = "1.2.3"\n[[x]]\n  [project]\n  name = "1.2.3"\n  "version" = "1.2.3"\n\n\n# 1.2.3',
        '[project]\nversion = "1.2.3"\n[project.urls]\na = "1.2.3"\n[tool]\nx = [\n1,\r\n 2, # c\n]\n[project.x]\n',
    ],
)
def test_one_version_changes_and_no_other_byte(source: str) -> None:
    changed = with_version(source.encode(), version("1.10.0")).decode()
    parsed = tomllib.loads(changed.removeprefix("\ufeff"))

    assert parsed["project"]["version"] == "1.10.0"
    assert len(changed) == len(source) + 1
    assert source == changed.replace("1.10.0", "1.2.3")
    assert changed.count("1.10.0") == 1


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (b"", "states no `version`"),
        (b"[project]\nname = 'x'\ndynamic = ['version']\n", "states no `version`"),
        (b"[project]\nversion = 1\n", "states no `version`"),
        (b"project = 1\n", "states no `version`"),
        (b"[tool.poetry]\nversion = '1.2.3'\n", "states no `version`"),
        (b"[project]\nversion = '1.2'\n", "not of the form X.Y.Z"),
        (b"[project]\nversion = '1.2.3rc1'\n", "not of the form X.Y.Z"),
        (b"[project]\nversion = '1.2.3-rc.1'\n", "not of the form X.Y.Z"),
        (b"[project]\nversion = '01.2.3'\n", "not of the form X.Y.Z"),
        (b"[project\n", "it is no TOML"),
        (b"\xff", "it is no UTF-8"),
        (b'[project]\nversion = "1.\\u0032.3"\n', "without changing more"),
    ],
)
def test_a_project_without_a_plain_version_is_refused(source: bytes, words: str) -> None:
    with pytest.raises(UsageError, match=words) as raised:
        with_version(source, version("1.2.4"))

    assert raised.value.where == "pyproject.toml"


def test_our_own_version_can_be_read() -> None:
    assert project_version(b'[project]\nversion = "0.1.0"\n') == version("0.1.0")
