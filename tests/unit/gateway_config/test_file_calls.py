from __future__ import annotations

import contextlib
import time

import pytest

from bot.core.gateway_config.file_calls import refuse_reading
from bot.errors import PolicyError


@pytest.mark.parametrize(
    "text",
    [
        '${file("/etc/hosts")}',
        '%{ if fileexists("/etc/hosts") }%{ endif }',
        '${core::filebase64 /* a */ # b\n ("x")}',
        '${upper("${templatefile("x", {})}")}',
        '$${ # ${file("x")}',
        '${ /* " */ file("x") }',
        '${"}"} ${file("x")}',
        '${{a = "}"}.a}${abspath("")}',
        '$$$${file("x")}',
        '${<<E\n}\nE\n}${file\n("x")}',
        '${ 1-file("x") }',
    ],
)
def test_a_call_that_reads_the_machine_is_refused(text: str) -> None:
    with pytest.raises(PolicyError) as error:
        refuse_reading("t.tftpl", f"first\n{text}", is_template=True)

    assert error.value.where.startswith("t.tftpl:")
    assert "which reads the machine that renders it" in error.value.what


@pytest.mark.parametrize(
    "text",
    [
        'a # file("x")',
        '$${file("x")}',
        '%%{ if file("x") }',
        "${myfile(1)} ${a-file(1)} ${cert.file} ${filename}",
        '${"file(1)"} ${"\\" file(1)"}',
        "${a} file(1)",
        "key: {file: /etc/key}",
        '${a # file("x")\n}',
    ],
)
def test_words_that_call_nothing_are_let_through(text: str) -> None:
    refuse_reading("t.tftpl", text, is_template=True)


def test_the_place_of_a_call_is_its_line() -> None:
    with pytest.raises(PolicyError) as error:
        refuse_reading("vars.tf", 'variable "a" {\n\n  default = pathexpand("~")\n}', is_template=False)

    assert str(error.value) == "vars.tf:3: it calls pathexpand(), which reads the machine that renders it"


@pytest.mark.parametrize(
    "text",
    [
        "/*" * 500_000,
        "${" + "/*" * 500_000,
        "${file/*" * 125_000,
        "${file" + "/**/" * 250_000,
        "<<" + "file/*" * 160_000,
        '${"' * 330_000,
        "${" * 500_000,
        "${file" + " " * 1_000_000,
    ],
)
def test_a_hostile_text_takes_no_time(text: str) -> None:
    began = time.perf_counter()
    with contextlib.suppress(PolicyError):
        refuse_reading("t", text, is_template=True)

    assert time.perf_counter() - began < 5
