"""Which commit is the release commit of a bump before this one."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from bot.core.release.bump import Part
from bot.core.release.resumed import finished, unfinished
from bot.errors import ReleaseError
from tests.unit.test_bump import HEAD, PLACE
from tests.unit.values import version


@pytest.mark.parametrize(
    ("subject", "project", "parent", "part", "expected"),
    [
        ("chore(release): v1.2.4", "1.2.4", "1.2.3", "patch", "v1.2.4"),
        ("chore(release): v1.2.4", "1.2.4", None, "patch", "v1.2.4"),
        ("chore(release): v1.2.4", "1.2.5", "1.2.3", "patch", None),
        ("chore(release): v1.2.4 (#5)", "1.2.4", "1.2.3", "patch", None),
        ("chore(release): v2.0.0", "2.0.0", "1.2.3", "major", None),
        ("feat: one", "1.2.4", "1.2.3", "patch", None),
    ],
)
def test_a_release_commit_without_its_tag_is_recognised(
    subject: str, project: str, parent: str | None, part: Part, expected: str | None
) -> None:
    place = replace(PLACE, head=replace(HEAD, subject=subject), project=version(project))

    assert unfinished(place, part, version(parent) if parent else None) == expected


def test_a_release_commit_of_another_part_is_refused_with_the_way_out() -> None:
    place = replace(PLACE, head=replace(HEAD, subject="chore(release): v1.2.4"), project=version("1.2.4"))

    with pytest.raises(ReleaseError, match=r"a major bump would be v2\.0\.0") as raised:
        unfinished(place, "major", version("1.2.3"))

    assert "git reset --keep HEAD^" in raised.value.next_step


@pytest.mark.parametrize(
    ("part", "parent", "on_head", "expected"),
    [
        ("patch", "1.2.3", ["v1.2.4"], "v1.2.4"),
        ("patch", None, ["latest", "v1.2.4"], "v1.2.4"),
        ("minor", "1.2.3", ["v1.2.4"], None),
        ("patch", "1.2.3", ["v1.2.3"], None),
    ],
)
def test_a_release_commit_with_its_tag_is_what_such_a_bump_made(
    part: Part, parent: str | None, on_head: list[str], expected: str | None
) -> None:
    head = replace(HEAD, subject="chore(release): v1.2.4")
    place = replace(PLACE, head=head, project=version("1.2.4"), reachable=("v1.2.3", "v1.2.4"))

    assert finished(place, part, version(parent) if parent else None, on_head) == expected
