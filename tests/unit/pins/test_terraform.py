from __future__ import annotations

import pytest

from bot.core.model import TerraformSite
from bot.core.pins.terraform import locate
from bot.errors import PinError
from tests.unit.pins.found import held_in, refused

SITE = TerraformSite("variables.tf", "gateway_image")
BLOCK = """\
variable "gateway_image" {
  description = "default = \\"x\\""
  type        = string
  default     = "ghcr.io/a/b:v1"
  validation {
    default   = "no"
    condition = length(var.gateway_image) > 0
  }
}
"""


def texts(content: str) -> list[tuple[int, str]]:
    found = held_in("variables.tf", content, lambda source: locate(source, SITE))
    return [(value.line, value.text) for value in found]


def refusal(content: str) -> PinError:
    return refused(lambda: texts(content))


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (BLOCK, 4),
        (BLOCK.replace("\n", "\r\n"), 4),
        ("\ufeff# é\n" + BLOCK.rstrip(), 5),
        (BLOCK.replace('"gateway_image" {', "gateway_image {"), 4),
        ('variable "gateway_image" { default = "ghcr.io/a/b:v1" }', 1),
        ('variable "other" { default = "no" }\n' + BLOCK, 5),
        ('module "x" {\n  variable "gateway_image" { default = "no" }\n}\n' + BLOCK, 7),
        ('/* variable "gateway_image" { default = "no" } */\n' + BLOCK, 5),
        ('locals {\n  x = <<EOT\nvariable "gateway_image" { default = "no" }\nEOT\n}\n' + BLOCK, 9),
        (BLOCK.replace('"ghcr.io/a/b:v1"', '"ghcr.io/a/b:v1" # default = "no"'), 4),
    ],
)
def test_the_default_is_found(content: str, line: int) -> None:
    assert [(line, "ghcr.io/a/b:v1")] == texts(content)


def test_a_default_may_be_empty() -> None:
    expected = [(1, "")]

    assert expected == texts('variable "gateway_image" { default = "" }')


@pytest.mark.parametrize(
    ("content", "where", "what"),
    [
        ("", "variables.tf:1", "is missing"),
        ('\n# variable "gateway_image" {}\n', "variables.tf:2", "line 2 has it only in a comment"),
        ('variable "gateway_images" {\n default = "x"\n}\n', "variables.tf:1", "is missing"),
        ('output "gateway_image" {\n value = "x"\n}\n', "variables.tf:1", "is missing"),
        (BLOCK + BLOCK, "variables.tf:10", "more than once, in lines 1, 10"),
        (BLOCK + "variable gateway_image {}\n", "variables.tf:10", "more than once"),
        ('\nvariable "gateway_image" {\n type = string\n}\n', "variables.tf:2", "has no default"),
        ('variable "gateway_image" {}', "variables.tf:1", "has no default"),
        (
            'variable "gateway_image" {\n default = "x"\n default = "y"\n}',
            "variables.tf:3",
            "more than once, in lines 2, 3",
        ),
    ],
)
def test_a_default_that_is_not_there_exactly_once_is_refused(content: str, where: str, what: str) -> None:
    error = refusal(content)

    assert (where, True) == (error.where, what in error.what)


@pytest.mark.parametrize(
    "value",
    [
        "null",
        "1",
        "var.x",
        '("x")',
        '"${var.x}"',
        '"a${var.x}"',
        '"$${x}"',
        '"%{ if true }x%{ endif }"',
        '"a\\"b"',
        '"a\\u0062"',
        '"a b"',
        '"é"',
        "<<EOT\nx\nEOT",
        '["x"]',
        'true ? "x" : "y"',
    ],
)
def test_a_default_that_is_more_than_a_text_is_refused(value: str) -> None:
    expected = "variables.tf:2"

    assert expected == refusal(f'variable "gateway_image" {{\n  default = {value}\n}}\n').where


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (BLOCK + '\nresource "x" {', 11),
        (BLOCK.replace("type        = string", "type = = string"), 3),
        (BLOCK + "# a\rvariable x {}\n", 10),
        ("\0" + BLOCK, 1),
    ],
)
def test_a_file_that_is_no_hcl_is_refused(content: str, line: int) -> None:
    assert f"variables.tf:{line}" == refusal(content).where


@pytest.mark.parametrize("run", [" " * 1000, "\r\n" * 500])
def test_a_run_that_the_grammar_reads_slowly_is_refused(run: str) -> None:
    expected = "variables.tf:1"

    assert expected == refusal(f"#{run}\n{BLOCK}").where
