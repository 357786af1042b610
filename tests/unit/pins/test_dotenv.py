from __future__ import annotations

import pytest

from bot.core.model import DotenvSite
from bot.core.pins.dotenv import locate
from bot.errors import PinError
from tests.unit.pins.found import held_in, refused

SITE = DotenvSite("versions.env", (("APP_REF", "ref"), ("APP_DIGEST", "digest")), ("OTHER",))
GOOD = "APP_REF=v1.4.1\nAPP_DIGEST=sha256:aa\n"


def texts(content: str | bytes, allowed: frozenset[str] | None = frozenset()) -> list[tuple[int, str]]:
    found = held_in("versions.env", content, lambda source: locate(source, SITE, allowed))
    return [(value.line, value.text) for value in found]


def refusal(content: str | bytes) -> PinError:
    return refused(lambda: texts(content))


@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        GOOD.replace("\n", "\r\n"),
        GOOD.rstrip(),
        "\ufeff" + GOOD,
        GOOD.replace("APP", "export APP"),
        "APP_REF=\"v1.4.1\"\nAPP_DIGEST='sha256:aa'\n",
        'APP_REF="v1.4.1" # why\nAPP_DIGEST=sha256:aa\t# é\n',
        GOOD + "OTHER=\n\n  # the end",
    ],
)
def test_a_value_is_found_however_the_line_is_written(content: str) -> None:
    expected = [(1, "v1.4.1"), (2, "sha256:aa")]

    assert expected == texts(content)


def test_values_come_in_the_order_of_the_settings() -> None:
    expected = [(4, "v1"), (2, "sha256:aa")]

    assert expected == texts("# é\nAPP_DIGEST=sha256:aa\n\nAPP_REF=v1")


def test_a_value_may_be_empty() -> None:
    expected = [(1, ""), (2, "")]

    assert expected == texts('APP_REF=\nAPP_DIGEST="" # none yet\n')


def test_a_missing_key_is_refused() -> None:
    error = refusal("APP_REF=v1\n")
    expected = ("versions.env:1", "APP_DIGEST is missing")

    assert expected == (error.where, error.what)


@pytest.mark.parametrize("comment", ["# APP_DIGEST=sha256:aa", "OTHER=x # APP_DIGEST=1", "  #export APP_DIGEST = 1"])
def test_a_key_only_in_a_comment_is_missing(comment: str) -> None:
    error = refusal(f"APP_REF=v1\n\n{comment}\n")
    expected = ("versions.env:3", True)

    assert expected == (error.where, "line 3 has it only in a comment" in error.what)


def test_a_key_that_stands_twice_is_refused() -> None:
    error = refusal(GOOD + "# x\nexport APP_REF=v1.4.1\n")
    expected = ("versions.env:4", "APP_REF stands more than once, in lines 1, 4")

    assert expected == (error.where, error.what)


@pytest.mark.parametrize(
    "key", ["PATH", "GITHUB_TOKEN", "GITHUB_ENV", "LD_PRELOAD", "BASH_ENV", "NODE_OPTIONS", "app_ref", "APP_REF2"]
)
def test_a_key_that_no_settings_name_is_refused(key: str) -> None:
    error = refusal(GOOD + f"{key}=/tmp\n")
    expected = ("versions.env:3", True, True)

    assert expected == (error.where, key in error.what, "other_keys" in error.next_step)


def test_a_key_that_another_image_names_is_accepted() -> None:
    expected = [(1, "v1.4.1"), (2, "sha256:aa")]

    assert expected == texts(GOOD + "SECOND_REF=v2\n", frozenset({"SECOND_REF"}))


@pytest.mark.parametrize(
    "line",
    [
        "OTHER=$(id)",
        "OTHER=`id`",
        "OTHER=${HOME}",
        "OTHER=$HOME",
        'OTHER="a\\nb"',
        "OTHER=a\\",
        "OTHER=a b",
        "OTHER = a",
        "OTHER =a",
        "OTHER= a",
        "OTHER=a;id",
        "OTHER=a#b",
        'OTHER="a"#b',
        'OTHER="a"b',
        "OTHER=\"a'",
        'OTHER="a',
        "OTHER='a\nPATH=/tmp'",
        'OTHER="a\nPATH=/tmp"',
        "OTHER<<EOF\nPATH=/tmp\nEOF",
        "OTHER<<EOF=\nPATH=/tmp\nEOF",
        "OTHER",
        "export OTHER",
        "export",
        "export # x",
        "=x",
        "'OTHER'=x",
        "OTHER[0]=x",
        "OTHER+=x",
        "ОTHER=x",  # noqa: RUF001 - the first letter is Cyrillic
        "OTHER=é",
        "  OTHER=x",
        "\tOTHER=x",
        "\u00a0OTHER=x",
        "OTHER=\u00a0x",
        "\u3000",
        "source ./x.env",
    ],
)
def test_a_line_that_is_more_than_key_and_value_is_refused(line: str) -> None:
    expected = "versions.env:3"

    assert expected == refusal(GOOD + line + "\n").where


@pytest.mark.parametrize(
    "character", ["\r", "\x0b", "\x0c", "\x1c", "\x1e", "\x85", "\u2028", "\u2029", "\0", "\x1b", "\x7f", "\ufeff"]
)
def test_what_some_reader_takes_for_a_new_line_is_refused(character: str) -> None:
    error = refusal(GOOD + f"# harmless{character}PATH=/tmp\n")
    expected = "versions.env:3"

    assert expected == error.where


def test_a_second_byte_order_mark_is_refused() -> None:
    expected = "versions.env:1"

    assert expected == refusal("\ufeff\ufeff" + GOOD).where


def test_a_file_that_is_not_utf_8_is_refused() -> None:
    expected = "versions.env:3"

    assert expected == refusal(GOOD.encode() + b"OTHER=\xff\xfe\n").where


def test_a_file_over_one_mebibyte_is_refused() -> None:
    expected = "versions.env"

    assert expected == refusal(GOOD + "#" * 1024 * 1024).where


def test_a_refusal_does_not_show_the_value() -> None:
    error = refusal(GOOD + "TOKEN_OF_MINE=hunter2$\n")

    assert "hunter2" not in f"{error} {error.next_step}"
