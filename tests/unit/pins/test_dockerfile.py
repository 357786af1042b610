from __future__ import annotations

import pytest

from bot.core.model import DockerfileSite
from bot.core.pins.dockerfile import locate
from bot.errors import PinError
from tests.unit.pins.found import held_in, refused

SITE = DockerfileSite("Dockerfile", (("APP_REF", "ref"), ("APP_IMAGE", "image")))
GOOD = """\
# syntax=docker/dockerfile:1
ARG APP_REF=v1.4.1
ARG APP_IMAGE="ghcr.io/a/b:v1"
FROM ${APP_IMAGE} AS base
ARG APP_REF
"""


def texts(content: str) -> list[tuple[int, str]]:
    found = held_in("Dockerfile", content, lambda source: locate(source, SITE))
    return [(value.line, value.text) for value in found]


def refusal(content: str) -> PinError:
    return refused(lambda: texts(content))


@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        GOOD.replace("\n", "\r\n"),
        "\ufeff" + GOOD.rstrip(),
        GOOD.replace('"', "'"),
        GOOD.replace("ARG ", "arg "),
        GOOD + "# ARG APP_REF=no\n",
        GOOD + "RUN <<EOF\nARG APP_REF=no\nEOF\n",
        GOOD + "COPY <<-'EOF' /x\nARG APP_REF=no\nEOF\n",
        GOOD + "ENV APP_REF=no\nARG XAPP_REF=no\n",
        GOOD + 'LABEL a="é"\n',
    ],
)
def test_defaults_are_found(content: str) -> None:
    expected = [(2, "v1.4.1"), (3, "ghcr.io/a/b:v1")]

    assert expected == texts(content)


def test_one_arg_may_have_several_pairs() -> None:
    expected = [(1, "v1.4.1"), (2, "x")]

    assert expected == texts("ARG A APP_REF=v1.4.1 \\\n    APP_IMAGE=x B=2\nFROM x\n")


def test_a_default_may_be_empty() -> None:
    expected = [(1, ""), (2, "")]

    assert expected == texts('ARG APP_REF=\nARG APP_IMAGE=""\nFROM x\n')


@pytest.mark.parametrize(
    ("content", "where", "what"),
    [
        ("FROM x\n", "Dockerfile:1", "is missing"),
        ("FROM x\nARG APP_REF\n", "Dockerfile:1", "is missing"),
        ("FROM x\n# ARG APP_REF=v1\n", "Dockerfile:2", "line 2 has it only in a comment"),
        ("FROM x\nRUN <<EOF\nARG APP_REF=v1\nEOF\n", "Dockerfile:3", "line 3 has it only in a comment or other"),
        (GOOD + "ARG APP_REF=v1.4.1\n", "Dockerfile:6", "more than once, in lines 2, 6"),
        (GOOD + "ONBUILD ARG APP_REF=v1.4.1\n", "Dockerfile:6", "more than once, in lines 2, 6"),
    ],
)
def test_a_default_that_is_not_there_exactly_once_is_refused(content: str, where: str, what: str) -> None:
    error = refusal(content)

    assert (where, True) == (error.where, what in error.what)


@pytest.mark.parametrize(
    "value", ["${Y}", "$Y", '"${Y}"', "a${Y:-b}", "a\\ b", '"a b"', 'a"b"', '"a"b', "a\\\nb", "é", "'$Y'"]
)
def test_a_default_that_is_more_than_a_text_is_refused(value: str) -> None:
    expected = "Dockerfile:2"

    assert expected == refusal(GOOD.replace("v1.4.1", value)).where


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (GOOD + "\nNOT_AN_INSTRUCTION x\n", 7),
        (GOOD.replace("APP_REF=v1.4.1", "APP_REF = v1.4.1"), 2),
        (GOOD + "# a\rARG X=1\n", 6),
        ("# escape=`\n" + GOOD, 1),
        ("# Syntax=x\n#  ESCAPE = `\n" + GOOD, 2),
    ],
)
def test_a_file_that_is_no_plain_dockerfile_is_refused(content: str, line: int) -> None:
    assert f"Dockerfile:{line}" == refusal(content).where


def test_the_usual_escape_directive_is_accepted() -> None:
    expected = [(3, "v1.4.1"), (4, "ghcr.io/a/b:v1")]

    assert expected == texts("# escape=\\\n" + GOOD)
