from __future__ import annotations

import pytest

from bot.core.tags import image_tags, ref_of_tag
from bot.core.versions import Ref, parse_version

DEFAULT = ("{ref}", "{version}")


@pytest.mark.parametrize(
    ("templates", "ref", "expected"),
    [
        (DEFAULT, "v1.4.1", ("v1.4.1", "1.4.1")),
        (DEFAULT, "1.4.1", ("1.4.1",)),
        (DEFAULT, "nightly", ("nightly",)),
        (("{version}",), "nightly", ()),
        (("{version}-alpine", "{ref}"), "v1.4.1", ("1.4.1-alpine", "v1.4.1")),
        (("app-{ref}",), "v1.4.1", ("app-v1.4.1",)),
        (DEFAULT, "v1.4.1/../x", ()),
        (DEFAULT, "", ()),
        (("-{ref}",), "v1.4.1", ()),
        (("{ref}" + "x" * 130,), "v1.4.1", ()),
    ],
)
def test_the_tags_that_a_release_may_have_in_order(
    templates: tuple[str, ...], ref: str, expected: tuple[str, ...]
) -> None:
    actual = image_tags(templates, Ref(ref), parse_version(ref))

    assert expected == actual


@pytest.mark.parametrize(
    ("templates", "tag", "ref"),
    [
        (DEFAULT, "v1.4.1", "v1.4.1"),
        (DEFAULT, "1.4.1", "1.4.1"),
        (("{version}",), "1.4.1", "1.4.1"),
        (("{version}-alpine",), "1.4.1-alpine", "1.4.1"),
        (("app-{ref}",), "app-v1.4.1", "v1.4.1"),
        (("app-{ref}", "{version}-alpine"), "1.4.1-alpine", "1.4.1"),
    ],
)
def test_a_tag_names_the_part_that_stands_for_the_ref(templates: tuple[str, ...], tag: str, ref: str) -> None:
    actual = ref_of_tag(templates, tag)

    assert (ref, parse_version(ref)) == actual


@pytest.mark.parametrize(
    ("templates", "tag"),
    [
        (("{version}",), "v1.4.1"),
        (("{version}-alpine",), "1.4.1"),
        (("{version}-alpine",), "-alpine"),
        (("app-{ref}-app",), "app-app"),
        (("app-{ref}",), "other-v1.4.1"),
        (DEFAULT, "latest"),
        (DEFAULT, "sha256-" + "a" * 64 + ".sig"),
    ],
)
def test_a_tag_that_fits_no_template_is_no_version(templates: tuple[str, ...], tag: str) -> None:
    actual = ref_of_tag(templates, tag)

    assert (tag, None) == actual


@pytest.mark.parametrize("templates", [DEFAULT, ("app-{ref}",), ("{ref}-alpine",)])
@pytest.mark.parametrize("ref", ["v1.4.1", "1.4.1", "v1.5.0-rc.1"])
def test_the_first_tag_of_a_ref_leads_back_to_it(templates: tuple[str, ...], ref: str) -> None:
    tag = image_tags(templates, Ref(ref), parse_version(ref))[0]

    assert ref == ref_of_tag(templates, tag)[0]
