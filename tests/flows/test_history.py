"""The ledger, read from real repositories: their entries, their releases, and what is not here."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from bot.adapters.git.past import Past
from bot.core.ledger import Ledger, previous
from bot.flows.history import history
from tests.flows.ledgers import IMAGE, TODAY, clone, digest, dotenv, images, ledger, pins, terraform
from tests.repositories import WHEN, Repo

DAY = WHEN.date()
OLD_SITE = """[[image.pins]]
type = "dotenv"
file = "old.env"
keys = { VERSION = "version", DIGEST = "digest" }
"""


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path)


def pinned(repo: Repo, number: int, message: str = "deps: bump") -> str:
    return repo.commit(message, {"versions.env": dotenv(number), "gateway-bot.toml": TODAY})


def released(found: Ledger) -> list[list[str]]:
    return [[release.tag for release in entry.releases] for entry in found.entries]


def test_an_entry_is_a_stretch_of_the_line_with_one_pin(repo: Repo) -> None:
    first = pinned(repo, 1)
    repo.commit("feat: something else", {"README": "x"})
    repo.commit("docs: a comment", {"versions.env": f"# the pin\n{dotenv(1)}"})
    second = pinned(repo, 2, "deps(app): bump (#12)")

    found = ledger(repo)

    assert [(entry.pin.ref, entry.commit, entry.until) for entry in found.entries] == [
        ("v1.2.0", second, None),
        ("v1.1.0", first, WHEN),
    ]
    assert (found.entries[0].pull_request, found.entries[0].by, found.entries[0].date) == (12, "Ada", WHEN)
    assert found.current is found.entries[0]


def test_a_pin_that_comes_back_is_an_entry_again_with_all_that_was_released_of_it(repo: Repo) -> None:
    for number, tag in ((1, "v0.1.0"), (2, "v0.2.0"), (1, "")):
        pinned(repo, number)
        if tag:
            repo.run("tag", tag)

    found = ledger(repo)

    assert [ref for ref, _ in pins(found)] == ["v1.1.0", "v1.2.0", "v1.1.0"]
    assert released(found) == [["v0.1.0"], ["v0.2.0"], ["v0.1.0"]]
    assert previous(found, (), DAY) is None


def test_pins_that_moved_between_files_are_one_history(repo: Repo) -> None:
    repo.commit("feat: begin", {"main.tf": terraform(1)})
    repo.run("tag", "-a", "-m", "first", "v0.1.0")
    pinned(repo, 1, "refactor: versions.env")
    pinned(repo, 2)
    repo.run("mv", "versions.env", "deploy.env")
    moved = TODAY.replace("versions.env", "deploy.env")
    repo.commit("refactor: elsewhere", {"gateway-bot.toml": moved})
    repo.commit("deps: bump", {"deploy.env": dotenv(3)})

    found = ledger(repo, image=images(moved)[0])

    assert pins(found) == [("v1.3.0", "deploy.env"), ("v1.2.0", "versions.env"), ("v1.1.0", "main.tf")]
    assert released(found) == [[], [], ["v0.1.0"]]


def test_the_settings_of_a_commit_say_how_it_is_read(repo: Repo) -> None:
    old = TODAY.replace("versions.env", "old/pins").replace("APP_REF", "REF").replace("APP_DIGEST", "SHA")
    text = dotenv(1).replace("APP_REF", "REF").replace("APP_DIGEST", "SHA")
    repo.commit("feat: begin", {"gateway-bot.toml": old, "old/pins": text})
    repo.run("rm", "-q", "old/pins")
    pinned(repo, 2)

    assert pins(ledger(repo)) == [("v1.2.0", "versions.env"), ("v1.1.0", "old/pins")]


@pytest.mark.parametrize(
    "settings", [TODAY.replace('"app"', '"other"'), "no toml", 'of = "later"\n' + TODAY, "\ufffd" * 9]
)
def test_settings_that_say_nothing_of_the_image_give_way_to_todays(repo: Repo, settings: str) -> None:
    repo.commit("feat: begin", {"gateway-bot.toml": settings, "versions.env": dotenv(1)})

    assert pins(ledger(repo)) == [("v1.1.0", "versions.env")]


def test_a_version_with_a_digest_is_a_whole_pin(repo: Repo) -> None:
    settings = TODAY + OLD_SITE
    repo.commit("feat: begin", {"gateway-bot.toml": settings, "old.env": f"VERSION=1.1.0\nDIGEST={digest(1)}\n"})
    repo.commit("fix", {"old.env": f"VERSION=latest\nDIGEST={digest(1)}\n"})

    found = ledger(repo)

    assert pins(found) == [("v1.1.0", "old.env")]
    assert found.unreadable == "versions.env: there was no such file"


def test_other_keys_are_no_error_in_the_past(repo: Repo) -> None:
    repo.commit("feat: begin", {"versions.env": f"{dotenv(1)}NODE_VERSION=20\n"})

    assert pins(ledger(repo)) == [("v1.1.0", "versions.env")]


def test_a_commit_that_cannot_be_read_ends_no_stretch(repo: Repo) -> None:
    first = pinned(repo, 1)
    repo.commit("wip", {"versions.env": "<<<<<<< HEAD\n"})
    repo.run("tag", "v0.1.0")
    repo.commit("fix", {"versions.env": dotenv(1)})
    found = ledger(repo)

    assert [(entry.commit, entry.until) for entry in found.entries] == [(first, None)]
    assert found.unreadable == ""
    assert [(each.tag, each.on_base, each.unknown) for each in found.elsewhere] == [
        ("v0.1.0", True, "versions.env:1: this line is no KEY=VALUE")
    ]


def test_an_end_that_cannot_be_read_says_why_and_has_no_current_pin(repo: Repo) -> None:
    pinned(repo, 1)
    repo.run("rm", "-q", "versions.env")
    repo.commit("refactor: gone")

    found = ledger(repo)

    assert (found.current, [ref for ref, _ in pins(found)]) == (None, ["v1.1.0"])
    assert found.unreadable == "versions.env: there was no such file"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("#" * (1024 * 1024 + 1), "versions.env: it was larger than 1 MiB"),
        ("\0", "versions.env:1: a NUL byte"),
        ("APP_REF=v1.1.0\n", "versions.env:1: APP_DIGEST is missing"),
    ],
)
def test_a_file_that_is_something_else_is_told(repo: Repo, text: str, why: str) -> None:
    repo.commit("feat: begin", {"versions.env": text})

    assert ledger(repo).unreadable == why


def test_a_file_of_a_megabyte_is_read(repo: Repo) -> None:
    repo.commit("feat: begin", {"versions.env": f"# {'x' * 1_000_000}\n{dotenv(1)}"})

    assert pins(ledger(repo)) == [("v1.1.0", "versions.env")]


def test_links_and_folders_in_a_files_place_are_not_followed(repo: Repo) -> None:
    repo.commit("feat: begin", {"elsewhere.env": dotenv(1)})
    (repo.root / "versions.env").symlink_to("elsewhere.env")
    repo.commit("feat: link")
    linked = ledger(repo).unreadable
    (repo.root / "versions.env").unlink()
    repo.commit("feat: folder", {"versions.env/versions.env": dotenv(1)})
    folder = ledger(repo).unreadable

    assert (linked, folder) == ("versions.env: it was a symbolic link", "versions.env: there was no such file")


def test_the_image_tag_is_the_one_that_another_file_writes(repo: Repo) -> None:
    pinned(repo, 2)
    bare = f"ARG APP_IMAGE=ghcr.io/acme/app:1.2.0@{digest(2)}\nFROM ${{APP_IMAGE}}\n"
    repo.commit("feat: image", {"Dockerfile": bare})
    repo.commit(
        "deps: bump",
        {"versions.env": dotenv(3), "Dockerfile": bare.replace("1.2.0", "1.3.0").replace(digest(2), digest(3))},
    )

    assert [(entry.pin.ref, entry.pin.tag) for entry in ledger(repo).entries] == [
        ("v1.3.0", "1.3.0"),
        ("v1.2.0", "v1.2.0"),
    ]


def test_gates_come_from_the_commit_or_from_what_its_merge_brought(repo: Repo) -> None:
    trailer = "Gateway-Bot-Gates: digest=pass scan=warn"
    pinned(repo, 1, f"deps: one\n\n{digest(1)}\n\n{trailer}\nCo-authored-by: Bob <b@example.org>")
    repo.run("checkout", "-q", "-b", "side")
    pinned(repo, 2, f"deps: two\n\n{digest(2)}\n\n{trailer.replace('warn', 'unknown')}")
    pinned(repo, 2, f"deps: another\n\n{digest(7)}\n\n{trailer.replace('warn', 'fail')}")
    repo.run("checkout", "-q", "main")
    repo.run("merge", "-q", "--no-ff", "-m", "Merge pull request #9 from acme/side", "side")
    pinned(repo, 3, "deps: squashed, and its body was lost (#10)")

    found = ledger(repo)

    assert [(entry.pull_request, dict(entry.gates)) for entry in found.entries] == [
        (10, {}),
        (9, {"digest": "pass", "scan": "unknown"}),
        (None, {"digest": "pass", "scan": "warn"}),
    ]


def test_tags_that_the_base_does_not_reach_are_elsewhere(repo: Repo) -> None:
    pinned(repo, 1)
    repo.run("tag", "v0.1.0")
    repo.run("checkout", "-q", "-b", "hotfix")
    hotfix = pinned(repo, 2)
    repo.run("tag", "-a", "-m", "hotfix", "v0.1.1")
    repo.run("checkout", "-q", "main")
    pinned(repo, 3)
    for name in ("v0.10", "nightly", "v01.2.3", "v0.3.0\u00e9"):
        repo.run("tag", name)

    found = ledger(repo)

    assert released(found) == [[], ["v0.1.0"]]
    assert [(each.tag, each.commit, each.on_base, each.pin and each.pin.ref) for each in found.elsewhere] == [
        ("v0.1.1", hotfix, False, "v1.2.0")
    ]


def test_a_tag_on_a_merged_branch_counts_for_the_pin_that_it_has(repo: Repo) -> None:
    pinned(repo, 1)
    repo.run("checkout", "-q", "-b", "side")
    pinned(repo, 2)
    repo.run("tag", "v0.2.0")
    repo.run("checkout", "-q", "main")
    repo.run("merge", "-q", "--no-ff", "-m", "merge", "side")

    assert released(ledger(repo)) == [["v0.2.0"], []]


def test_releases_of_one_pin_are_newest_first_whatever_their_dates_and_names(repo: Repo) -> None:
    pinned(repo, 1)
    repo.run("tag", "v0.9.0")
    repo.commit("feat: more", {"README": "x"})
    for tag in ("v0.2.0", "v0.10.0"):
        repo.environ["GIT_COMMITTER_DATE"] = "2001-01-01T00:00:00+00:00"
        repo.run("tag", "-a", "-m", tag, tag)

    found = ledger(repo)

    assert released(found) == [["v0.10.0", "v0.2.0", "v0.9.0"]]
    assert found.entries[0].releases[0].date == datetime(2001, 1, 1, tzinfo=UTC)


def test_tags_that_name_no_commit_are_told(repo: Repo) -> None:
    pinned(repo, 1)
    repo.run("tag", "v0.1.0", "HEAD:versions.env")
    repo.run("tag", "-a", "-m", "x", "v0.2.0", "HEAD^{tree}")
    repo.run("tag", "-a", "-m", "x", "nested")
    repo.run("tag", "-a", "-m", "x", "v0.3.0", "nested")

    found = ledger(repo)

    assert [(each.tag, each.commit, each.unknown) for each in found.elsewhere] == [
        ("v0.2.0", "", "the tag names a tree"),
        ("v0.1.0", "", "the tag names a blob"),
    ]
    assert released(found) == [["v0.3.0"]]


def test_strangers_names_are_bounded(repo: Repo) -> None:
    repo.environ |= {"GIT_AUTHOR_NAME": "\x1b[31m*Eve*|" + "x" * 5000, "GIT_COMMITTER_NAME": "y" * 5000}
    pinned(repo, 1, "s" * 5000)
    repo.run("tag", "-a", "-m", "x", "v0.1.0")
    entry = ledger(repo).entries[0]

    assert (len(entry.by), len(entry.subject), len(entry.releases[0].by)) == (200, 1000, 200)


def test_an_empty_repository_has_no_ledger_and_says_so(repo: Repo) -> None:
    found = ledger(repo)

    assert (found.entries, found.elsewhere, found.base, found.unreadable) == ((), (), "main", "")
    assert "git fetch origin main" in found.lacks[0]


def test_a_repository_without_any_pin_says_so(repo: Repo) -> None:
    repo.commit("feat: begin", {"README": "x"})

    found = ledger(repo)

    assert (found.entries, found.unreadable) == ((), "versions.env: it is in no commit")


def test_a_detached_head_changes_nothing(repo: Repo) -> None:
    first = pinned(repo, 1)
    pinned(repo, 2)
    whole = ledger(repo)
    repo.run("checkout", "-q", "--detach", first)

    assert ledger(repo) == whole


def test_a_folder_of_a_repository_is_read_from_itself(repo: Repo) -> None:
    repo.commit(
        "feat: begin", {"gate/versions.env": dotenv(1), "versions.env": dotenv(9), "gate/gateway-bot.toml": TODAY}
    )
    repo.run("tag", "v0.1.0")
    repo.commit("feat: more", {"gate/versions.env": dotenv(2)})

    found = ledger(repo, root=repo.root / "gate")

    assert (pins(found), released(found)) == (
        [("v1.2.0", "versions.env"), ("v1.1.0", "versions.env")],
        [[], ["v0.1.0"]],
    )


@pytest.fixture
def upstream(repo: Repo) -> Repo:
    for number in (1, 2, 3):
        pinned(repo, number)
        repo.run("tag", "-a", "-m", "x", f"v0.{number}.0")
        repo.commit("feat: something", {"README": str(number)})
    return repo


def test_a_shallow_clone_says_what_it_lacks_and_its_command_brings_it(upstream: Repo) -> None:
    made = clone(upstream, "--depth=3")
    shallow = ledger(made)
    made.run("fetch", "-q", "--unshallow", "--tags")

    assert [(entry.pin.ref, entry.cut) for entry in shallow.entries] == [("v1.3.0", False), ("v1.2.0", True)]
    assert "`git fetch --unshallow --tags`" in shallow.lacks[0]
    assert ledger(made) == replace(ledger(upstream), lacks=())


def test_a_shallow_clone_of_one_commit_has_one_entry_that_is_older_than_it(upstream: Repo) -> None:
    found = ledger(clone(upstream, "--depth=1"))

    assert [(entry.pin.ref, entry.cut) for entry in found.entries] == [("v1.3.0", True)]


def test_a_clone_without_tags_says_so_and_its_command_brings_them(upstream: Repo) -> None:
    made = clone(upstream, "--no-tags")
    without = ledger(made)
    made.run("fetch", "-q", "--tags")

    assert (len(without.entries), released(without), len(without.lacks)) == (3, [[], [], []], 1)
    assert "`git fetch --tags`" in without.lacks[0]
    assert ledger(made) == ledger(upstream)


@pytest.mark.parametrize("kept", ["blob:none", "tree:0"])
def test_a_clone_with_a_filter_asks_nobody_and_says_what_it_lacks(upstream: Repo, kept: str) -> None:
    upstream.run("tag", "v0.4.0", "HEAD~4:versions.env")
    made = clone(upstream, f"--filter={kept}")
    upstream.root.rename(upstream.root.with_name("moved"))  # whoever asks it now gets no answer
    filtered = ledger(made)
    upstream.root.with_name("moved").rename(upstream.root)
    made.run("fetch", "-q", "--refetch", "--no-filter", "--tags")

    assert [(e.pin.ref, e.cut) for e in filtered.entries] == ([("v1.3.0", True)] if kept == "blob:none" else [])
    assert "`git fetch --refetch --no-filter --tags`" in filtered.lacks[0]
    assert ledger(made) == ledger(upstream)


def test_a_clone_without_the_base_says_how_to_get_it(upstream: Repo) -> None:
    found = ledger(upstream, base="trunk")

    assert (found.base, found.entries) == ("trunk", ())
    assert "`git fetch origin trunk`" in found.lacks[0]


def test_no_process_is_started_for_each_commit(upstream: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    git = Past(upstream.root, upstream.environ)
    run = git._program._programs.run

    def counted(program: str, arguments: list[str], **options: object) -> object:
        started.append(arguments)
        return run(program, arguments, **options)  # type: ignore[arg-type] # passed on as it came

    monkeypatch.setattr(git._program._programs, "run", counted)
    first = history(IMAGE, git, "", images)
    few = len(started)
    for number in range(4, 24):
        pinned(upstream, number)
        upstream.run("tag", f"v0.{number}.0")
    history(IMAGE, git, "", images)

    assert len(first.entries) == 3
    assert len(started) - few <= few
