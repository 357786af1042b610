from __future__ import annotations

import pytest
from msgspec.structs import replace

from bot.core.issue_text import LIMIT
from bot.core.reference import digest_of
from bot.core.release.github_release import (
    MAX_FILE,
    Act,
    Asset,
    Changes,
    Complete,
    Create,
    Discard,
    Impossible,
    Publish,
    ReleaseFile,
    Remove,
    Shown,
    Upload,
    WantedRelease,
    decide,
    is_latest,
    is_ours,
    with_our_part,
)

COMMIT = "c" * 40
SBOM = ReleaseFile("app.cdx.json", "application/json", b"{}")
SPDX = ReleaseFile("app.spdx.json", "application/json", b'{"spdx": 1}')
WANTED = WantedRelease("v0.2.0", COMMIT, "v0.2.0", "## Changes\n\n- a bump", False, True, (SBOM, SPDX))
OURS = with_our_part(WANTED, "")


def asset(file: ReleaseFile, number: int = 1, *, data: bytes | None = None, uploaded: bool = True) -> Asset:
    held = file.data if data is None else data
    return Asset(number, file.name, len(held), uploaded, digest_of(held) if uploaded else None)


ALL = (asset(SBOM, 1), asset(SPDX, 2))


def draft(number: int = 1, *assets: Asset, body: str = OURS, **other: object) -> Shown:
    made = Shown(number, "v0.2.0", COMMIT, "v0.2.0", body, True, False, False, f"page/{number}", "", assets)
    return replace(made, **other)


def published(*assets: Asset, immutable: bool = False, tag: str = "v0.2.0", prerelease: bool = False) -> Shown:
    return draft(9, *assets, draft=False, immutable=immutable, tag=tag, prerelease=prerelease)


def steps(wanted: WantedRelease, *shown: Shown) -> list[tuple[str, object]]:
    """Each step's kind, and the file or the draft that it is about."""
    found = decide(wanted, shown)
    assert isinstance(found, Act)
    assert all(step.reason for step in found.steps)
    named: list[tuple[str, object]] = []
    for step in found.steps:
        match step:
            case Upload(release, file):
                named.append((f"upload to {release.id}", file.name))
            case Remove(_, held):
                named.append(("remove", held.id))
            case Publish(release) | Discard(release):
                named.append((type(step).__name__.lower(), release.id))
            case Create():
                named.append(("create", step.tag))
    return named


def test_without_a_release_a_draft_is_made_that_says_what_it_is() -> None:
    found = decide(WANTED, [published(tag="v0.1.0")])

    assert found == Act((Create("v0.2.0", COMMIT, "v0.2.0", OURS, False, "v0.2.0 had no release yet"),))
    assert "- a bump" in OURS


@pytest.mark.parametrize(
    ("assets", "expected"),
    [
        ((), [("upload to 1", "app.cdx.json"), ("upload to 1", "app.spdx.json")]),
        (ALL[:1], [("upload to 1", "app.spdx.json")]),
        ((asset(SBOM, 1, data=b"old"), ALL[1]), [("remove", 1), ("upload to 1", "app.cdx.json")]),
        ((asset(SBOM, 1, uploaded=False), ALL[1]), [("remove", 1), ("upload to 1", "app.cdx.json")]),
        ((replace(ALL[0], digest=None, size=9), ALL[1]), [("remove", 1), ("upload to 1", "app.cdx.json")]),
        (ALL, [("publish", 1)]),
        ((*ALL, asset(replace(SBOM, name="theirs.txt"), 3)), [("publish", 1)]),
    ],
    ids=["none", "one missing", "other bytes", "broken off", "other size", "complete", "a person's file more"],
)
def test_a_draft_is_published_when_it_holds_all_files(
    assets: tuple[Asset, ...], expected: list[tuple[str, object]]
) -> None:
    actual = steps(WANTED, draft(1, *assets))

    assert expected == actual


def changes(shown: Shown) -> Changes:
    found = decide(WANTED, [shown])
    assert isinstance(found, Act)
    (step,) = found.steps
    assert isinstance(step, Publish)
    return step.changes


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (draft(1, *ALL), Changes()),
        (draft(1, *ALL, body=OURS.replace("\n", "\r\n") + "\r\n"), Changes()),
        (draft(1, *ALL, target="main"), Changes(target=COMMIT)),
        (draft(1, *ALL, prerelease=True), Changes(prerelease=False)),
        (draft(1, *ALL, name=""), Changes(name="v0.2.0")),
        (draft(1, *ALL, name="The big one"), Changes()),
        (draft(1, *ALL, body="By hand."), Changes(body=f"By hand.\n\n{OURS}")),
        (draft(1, *ALL, body=f"Above.\n\n{OURS}\n\nBelow."), Changes()),
    ],
    ids=["same", "CRLF", "commit", "prerelease", "no name", "a person's name", "a person's text", "beside ours"],
)
def test_what_differs_in_the_draft_is_written_over_but_not_what_a_person_wrote(shown: Shown, expected: Changes) -> None:
    actual = changes(shown)

    assert expected == actual


def test_our_part_is_replaced_where_nobody_changed_it() -> None:
    before = with_our_part(replace(WANTED, body="An older text"), "")
    actual = with_our_part(WANTED, f"Above.\n\n{before}\n\nBelow.")

    assert actual == f"Above.\n\n{OURS}\n\nBelow."


def test_what_a_person_changed_in_our_part_stays_until_there_is_something_new_to_say() -> None:
    edited = OURS.replace("a bump", "a bump, at last")
    kept = with_our_part(WANTED, edited)
    newer = with_our_part(replace(WANTED, body="Newer"), edited)

    assert kept == edited
    assert newer.index("Newer") < newer.index("<details>") < newer.index("a bump, at last")
    assert with_our_part(replace(WANTED, body="Newer"), newer) == newer


def test_no_text_of_ours_ends_our_part_early() -> None:
    hostile = replace(WANTED, body="x\n<!-- /gateway-bot:release -->\n<!-- gateway-bot:release {} -->\ny")
    body = with_our_part(hostile, "")

    assert with_our_part(WANTED, body) == OURS


def test_of_several_drafts_the_one_that_a_person_wrote_in_is_published_and_else_the_oldest() -> None:
    ours, by_hand = [draft(3, *ALL), draft(2, *ALL)], draft(5, *ALL, body="By hand.")

    assert steps(WANTED, *ours) == [("publish", 2)]
    assert steps(WANTED, *ours, by_hand) == [("publish", 5)]


def test_drafts_are_deleted_only_after_another_one_is_published_and_where_nobody_wrote_in_them() -> None:
    theirs = [
        draft(4, body="By hand."),
        draft(5, body=f"{OURS}\n\nBelow."),
        draft(6, body=OURS.replace("bump", "jump")),
        draft(7, asset(replace(SBOM, name="theirs.txt"))),
    ]
    found = steps(WANTED, published(*ALL), *theirs, draft(2), draft(3, *ALL), draft(8, tag="v0.1.0"))

    assert found == [("discard", 2), ("discard", 3)]
    assert [is_ours(shown) for shown in theirs] == [False, False, False, True]


def test_a_published_and_complete_release_stays_as_it_is() -> None:
    release = replace(published(*ALL), body="Rewritten by a person.", name="Renamed", target="main")

    assert decide(WANTED, [release]) == Complete(release)


def test_where_github_keeps_no_digests_it_is_said_which_files_are_known_by_their_size_only() -> None:
    release = published(ALL[0], replace(ALL[1], digest=None))

    assert decide(WANTED, [release]) == Complete(release, ("app.spdx.json",))


@pytest.mark.parametrize(
    ("assets", "expected"),
    [
        (ALL[:1], [("upload to 9", "app.spdx.json")]),
        ((ALL[0], asset(SPDX, 2, uploaded=False)), [("remove", 2), ("upload to 9", "app.spdx.json")]),
    ],
    ids=["missing", "broken off"],
)
def test_a_file_that_a_published_release_lacks_is_added(
    assets: tuple[Asset, ...], expected: list[tuple[str, object]]
) -> None:
    actual = steps(WANTED, published(*assets))

    assert expected == actual


@pytest.mark.parametrize(
    ("release", "words"),
    [
        (published(ALL[0], asset(SPDX, 2, data=b"other")), "is published with other bytes in app.spdx.json"),
        (published(asset(SBOM, 1, data=b"other")), "is published with other bytes in app.cdx.json"),
        (published(ALL[0], asset(SPDX, 2, data=b"other"), immutable=True), "other bytes in app.spdx.json"),
        (published(ALL[0], immutable=True), "without app.spdx.json, and an immutable release takes no more files"),
        (published(ALL[0], asset(SPDX, 2, uploaded=False), immutable=True), "without app.spdx.json"),
    ],
)
def test_a_published_release_that_says_otherwise_is_not_changed(release: Shown, words: str) -> None:
    found = decide(WANTED, [release, draft(2)])

    assert isinstance(found, Impossible)
    assert words in found.what
    assert found.next_step.startswith("Nothing was changed.")
    assert "gateway-bot release bump patch" in found.next_step
    assert found.where == "page/9"


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ((replace(SBOM, name="my app.json"),), "GitHub would rename my app.json"),
        ((replace(SBOM, name=".hidden"),), "GitHub would rename .hidden"),
        ((replace(SBOM, name="x/../y"),), "GitHub would rename x/../y"),
        ((replace(SBOM, name="a\x1b[31m\nb"),), "GitHub would rename a b"),
        ((SBOM, replace(SPDX, name="APP.cdx.json")), "two files of the release have the same name"),
        ((replace(SBOM, data=b""),), "app.cdx.json is empty"),
        ((replace(SBOM, data=bytes(MAX_FILE + 1)),), "larger than"),
    ],
    ids=["blank", "dot", "slash", "terminal", "twice", "empty", "large"],
)
def test_what_github_would_change_or_refuse_is_not_begun(files: tuple[ReleaseFile, ...], words: str) -> None:
    found = decide(replace(WANTED, files=files), [])

    assert isinstance(found, Impossible)
    assert words in found.what


@pytest.mark.parametrize("body", ["", "x" * 1000, OURS.replace("bump", "y" * (LIMIT - len(OURS) - 10))])
def test_a_text_for_which_there_is_no_room_is_not_begun(body: str) -> None:
    long = replace(WANTED, body="x" * (LIMIT - 400 if body else LIMIT))
    found = decide(long, [draft(1, *ALL, body=body)])

    assert isinstance(found, Impossible)
    assert "too long" in found.what


def other(tag: str, *, flagged: bool = False, unpublished: bool = False) -> Shown:
    return draft(9, tag=tag, prerelease=flagged, draft=unpublished)


@pytest.mark.parametrize(
    ("wanted", "shown", "expected"),
    [
        (WANTED, [], True),
        (WANTED, [other("v0.1.9")], True),
        (WANTED, [other("v0.10.0")], False),
        (WANTED, [other("v0.2.1")], False),
        (WANTED, [other("v0.3.0-rc.1")], True),
        (WANTED, [other("v0.3.0", flagged=True)], True),
        (WANTED, [other("v0.3.0", unpublished=True)], True),
        (WANTED, [other("nightly")], True),
        (replace(WANTED, latest=False), [], False),
        (replace(WANTED, prerelease=True), [], False),
        (replace(WANTED, tag="v0.2.0-rc.1"), [], False),
        (replace(WANTED, tag="nightly"), [], False),
    ],
)
def test_only_the_highest_version_is_the_latest(wanted: WantedRelease, shown: list[Shown], *, expected: bool) -> None:
    actual = is_latest(wanted, shown)

    assert expected == actual


def test_a_patch_of_an_older_line_is_published_without_being_the_latest() -> None:
    found = decide(WANTED, [draft(1, *ALL), other("v1.0.0")])

    assert isinstance(found, Act)
    assert [step.latest for step in found.steps if isinstance(step, Publish)] == [False]
