from __future__ import annotations

import pytest

from bot.core.model import Target
from bot.core.reference import Repository, Tag
from bot.core.release.ours import Held, Place, contradiction, file_stem, is_our_tag, our_tag, places_of
from bot.errors import UsageError
from tests.unit.values import NEW, OLD, version

GHCR = Repository("ghcr.io", "acme/ai-gateway")


def test_a_tag_of_ours_has_a_version() -> None:
    assert is_our_tag("v1.2.3")
    assert our_tag("v1.2.3").version == version("1.2.3")


@pytest.mark.parametrize("text", ["", "1.2.3", "v1.2", "v1.2.3 ", "V1.2.3", "v01.2.3", "latest", "v1.2.3\n", "--help"])
def test_any_other_text_is_no_tag_of_ours(text: str) -> None:
    with pytest.raises(UsageError, match="is no tag of a release"):
        our_tag(text)

    assert not is_our_tag(text)


def test_a_target_names_our_repository_in_lower_case_and_its_tags() -> None:
    target = Target("ghcr.io/{repository}", ("{tag}", "{version}", "r-{version}"), ("latest", "stable"))

    assert places_of([target], "Acme/AI-Gateway", our_tag("v1.2.3")) == (
        Place(GHCR, (Tag("v1.2.3"), Tag("1.2.3"), Tag("r-1.2.3")), (Tag("latest"), Tag("stable"))),
    )


def test_a_prerelease_moves_nothing() -> None:
    target = Target("ghcr.io/{repository}", moving=("latest",))

    assert places_of([target], "acme/ai-gateway", our_tag("v1.2.3-rc.1")) == (Place(GHCR, (Tag("v1.2.3-rc.1"),)),)


@pytest.mark.parametrize("repository", ["acme/.github", "acme/a..b", "-a/b"])
def test_a_name_on_github_that_no_registry_takes_is_said(repository: str) -> None:
    with pytest.raises(UsageError, match="is no repository") as raised:
        places_of([Target("ghcr.io/{repository}")], repository, our_tag("v1.2.3"))

    assert raised.value.where == "[[release.target]]"


def test_files_are_named_after_the_first_repository_and_the_tag() -> None:
    assert file_stem([Place(GHCR, ()), Place(Repository("a.example", "b"), ())], our_tag("v1.2.3")) == (
        "ai-gateway-v1.2.3"
    )


def test_tags_that_are_free_or_ours_contradict_nothing() -> None:
    held = [Held(GHCR, Tag("v1.2.3"), None), Held(GHCR, Tag("1.2.3"), NEW)]

    assert contradiction(held, NEW) is None


def test_a_tag_that_names_another_image_contradicts() -> None:
    error = contradiction([Held(GHCR, Tag("a"), None), Held(GHCR, Tag("v1.2.3"), OLD)], NEW)

    assert error is not None
    assert (error.exit_code, error.where) == (8, "ghcr.io/acme/ai-gateway:v1.2.3")
    assert error.what == f"the tag v1.2.3 is there already, and is {OLD}; this release is {NEW}"
    assert error.next_step.startswith("Nothing was changed.")
