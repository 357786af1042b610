from __future__ import annotations

import pytest

from bot.core.gateway_config.diagnostics import Diagnostic, diagnostics, refused
from bot.core.gateway_config.terraform import assigned, declared, only, question
from bot.core.model import SourceFile
from bot.errors import PolicyError

DECLARED = """\
# one
terraform {
  backend "s3" {}
}
variable "a" {
  default = 1
}
variable b {
  sensitive = true
}
variable "c" { sensitive = false }
locals { variable = "x" }
"""
SOURCE = SourceFile("vars.tf", DECLARED.encode())
PATHS = {"template.tftpl": "app/t.tftpl", "declared-0.tf": "vars.tf"}


def test_variable_blocks_are_told_by_name_default_and_secrecy() -> None:
    found = [(block.name, block.has_default, block.is_sensitive) for block in declared(SOURCE)]

    assert found == [("a", True, False), ("b", False, True), ("c", False, False)]


def test_only_the_chosen_blocks_stay_and_each_on_its_line() -> None:
    text = only(SOURCE, [block for block in declared(SOURCE) if block.name == "a"]).decode()

    assert [line.strip() for line in text.split("\n")] == [
        *([""] * 4),
        'variable "a" {',
        "default = 1",
        "}",
        *([""] * 6),
    ]
    assert len(text) == len(DECLARED)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.tfvars", "a = 1\nb = {\n  c = 2\n}\n", {"a", "b"}),
        ("a.tfvars", "", set()),
        ("a.tfvars.json", '{"a": 1, "b": {"c": 2}}', {"a", "b"}),
    ],
)
def test_the_names_that_a_file_of_values_sets(name: str, text: str, expected: set[str]) -> None:
    assert assigned(SourceFile(name, text.encode())) == expected


@pytest.mark.parametrize(
    ("name", "text", "where"),
    [("a.tfvars", "a = 1\nb = {\n", "a.tfvars:"), ("a.tfvars", "a = \xff", "a.tfvars"), ("a.json", "[1]", "a.json")],
)
def test_a_file_of_values_that_is_none_is_refused_at_its_place(name: str, text: str, where: str) -> None:
    with pytest.raises(PolicyError) as error:
        assigned(SourceFile(name, text.encode("latin-1")))

    assert error.value.where.startswith(where)


def test_a_variable_without_a_value_is_left_out_and_one_that_is_given_is_not() -> None:
    template = SourceFile("t.tftpl", b"${a}")
    asked = question(template, [SOURCE], [SourceFile("x.tfvars", b"c = 1\n")], {"d": b"2", "a": b"3"})
    module = asked.files["module.tf"].decode()

    assert asked.unset == {"b"}
    assert asked.arguments == ["-var-file=values-0.tfvars", "-var-file=values.tfvars.json"]
    assert asked.files["values.tfvars.json"] == b'{"d": 2, "a": 3}'
    assert 'variable "d" {}' in module
    assert "{ a = var.a, c = var.c, d = var.d }" in module
    assert not asked.is_secret


def test_a_validation_that_reads_files_is_refused() -> None:
    block = b'variable "a" {\n  default = 1\n  validation {\n    condition = file("/x") == ""\n  }\n}\n'
    with pytest.raises(PolicyError) as error:
        question(SourceFile("t", b""), [SourceFile("v.tf", block)], [], {})

    assert error.value.where == "v.tf:4"


def test_a_resource_that_reads_files_is_none_of_our_business() -> None:
    block = b'resource "x" "y" {\n  a = file("/x")\n}\n'

    assert question(SourceFile("t", b""), [SourceFile("v.tf", block)], [], {}).files["declared-0.tf"].strip() == b""


@pytest.mark.parametrize(
    ("out", "expected"),
    [
        (b"", ()),
        (b"not json\n[1]\n{}\n", ()),
        (b'{"diagnostic": {"severity": "warning", "summary": "s"}}', ()),
        (b'{"diagnostic": {"severity": "error", "summary": "s"}}', (Diagnostic("s"),)),
        (
            b'{"diagnostic":{"severity":"error","summary":"s","range":{"filename":"f","start":{"line":2}}}}\n{"a":1}',
            (Diagnostic("s", "", "f", 2),),
        ),
    ],
)
def test_errors_are_told_from_all_else_that_terraform_prints(out: bytes, expected: tuple[Diagnostic, ...]) -> None:
    assert diagnostics(out) == expected


def test_what_terraform_says_is_one_bounded_line_without_control_characters() -> None:
    said = refused(Diagnostic("Bad\x1b[31m", "a\nb" * 1000, "declared-0.tf", 7), PATHS, (), is_secret=False)

    assert str(said).startswith("vars.tf:7: the config does not render: Bad: a ba b")
    assert len(said.what) < 350
    assert said.what.isprintable()
