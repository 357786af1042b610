from __future__ import annotations

import time

import pytest

from bot.core.gates import Verdict
from bot.core.gateway_config.answer import ConfigAnswer, Judged
from bot.core.gateway_config.schema import Mismatch
from bot.core.gateway_config.verdict import Answer, config_gate, explain, refusal
from bot.core.model import ConfigEnvironment, GatewayConfig, Where
from tests.engine import CASES, recorded

CONFIG = GatewayConfig(
    "config.tftpl", (ConfigEnvironment("dev"), ConfigEnvironment("prod")), schema="schema/config.json"
)
NO_SCHEMA = GatewayConfig("config.tftpl", CONFIG.environments)
TEMPLATE = 'binds:\n- port: ${port}\n  name: "gateway"\n  region: ${jsonencode(region)}\n'
RENDERED = 'binds:\n- port: sk-ant-123\n  name: "gateway"\n  region: "eu-north-1"\n'
VALID = "Configuration is valid!\n"
REPEAT = "gateway-bot validate --to v1.4.1"
MISFIT = Mismatch("a[0]", "no `x`")


@pytest.mark.parametrize("name", CASES)
def test_what_the_stand_in_answered_is_valid_where_it_should_be(name: str) -> None:
    case = CASES[name]
    why = refusal(CONFIG, recorded()[name], case.config, case.config)
    valid = {"valid", "dummy", "default", "new field in the new version", "shows what it sees"}

    assert (why == "") == (name in valid)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(0, VALID, ""), ""),
        (Answer(0, f"2026 INFO starting\n{VALID}", "warning: deprecated\n"), ""),
        (Answer(0, "Configuration is valid!\r\n", ""), ""),
        (
            Answer(0, f"No local configuration\n{VALID}", ""),
            'exit 0, but it printed "No local configuration": it judged no config',
        ),
        (
            Answer(0, VALID, "No local configuration\n"),
            'exit 0, but it printed "No local configuration": it judged no config',
        ),
        (Answer(0, "", ""), 'exit 0, but without the line "Configuration is valid!"'),
        (Answer(0, "Configuration is valid!!\n", ""), 'exit 0, but without the line "Configuration is valid!"'),
        (Answer(0, "", VALID), 'exit 0, but without the line "Configuration is valid!"'),
        (Answer(1, VALID, ""), "exit 1 without a word"),
        (Answer(2, "", "error: unexpected argument '-x'\n"), "exit 2: error: unexpected argument '-x'"),
        (
            Answer(137, VALID, "", "did not end within 30 s and was stopped"),
            "it did not end within 30 s and was stopped",
        ),
        (Answer(0, VALID, "", "printed more than 1 byte"), "it printed more than 1 byte"),
    ],
)
def test_only_a_plain_yes_is_valid(answer: Answer, expected: str) -> None:
    assert refusal(CONFIG, answer, TEMPLATE, RENDERED) == expected


def test_a_program_that_never_says_that_it_looked_at_nothing_can_be_described() -> None:
    config = GatewayConfig("t", CONFIG.environments, valid="ok", invalid="")

    assert refusal(config, Answer(0, "ok\n", ""), "", "") == ""


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("Error: nothing but words\n", "nothing but words"),
        ("WARN old\nError: binds[0].port: bad at line 1 column 551\n", "binds[0].port: bad"),
        (
            'Error: binds[0].port: invalid type: string "sk-ant-123", expected u16',
            'binds[0].port: invalid type: string "***", expected u16',
        ),
        ('Error: invalid type: string "gateway", expected u16', 'invalid type: string "gateway", expected u16'),
        ('Error: string "ant-1" and "elsewhere"', 'string "***" and "***"'),
        ('Error: an open "sk-ant-123', 'an open "***"'),
        (r'Error: string "sk-\"ant\n-123" bad', 'string "***" bad'),
        ("Error: invalid value: integer `sk-ant-123`, expected u16", "invalid value: integer `***`, expected u16"),
        ("Error: unknown field `nmae`, expected `name`", "unknown field `nmae`, expected `name`"),
        ("Error: open `sk-ant-123", "open `***`"),
        ("Error: no such host: sk-ant-123:80 (eu-north-1)", "no such host: ***:80 (***)"),
        ("Error: https://sk-ant-123/path", "https://***/path"),
        (
            "Error: top\n\nCaused by:\n    0: middle\n    1: end at line 2 column 3\n",
            "top: middle: end",
        ),
        (
            "Error: key 'ANTHROPIC_KEY' up: environment variable not found",
            "key 'ANTHROPIC_KEY' up: environment variable not found",
        ),
        ("\x1b[31mboom\x1b[0m\u202e", "boom"),
        ("", ""),
    ],
)
def test_an_explanation_keeps_the_path_and_holds_no_value(error: str, expected: str) -> None:
    assert explain(error, TEMPLATE, RENDERED) == expected


def test_an_explanation_is_bounded_whatever_the_program_printed() -> None:
    began = time.perf_counter()
    said = [explain(piece * 300_000, TEMPLATE, RENDERED) for piece in ('"', "`", "\\", '\\"', "word ", "\n", "Error: ")]

    assert time.perf_counter() - began < 5
    assert all(len(each) <= 300 for each in said)


def judged(dev: str = "", prod: str = "", *mismatches: Mismatch) -> tuple[Judged, ...]:
    return (Judged("dev", dev, mismatches), Judged("prod", prod, mismatches))


@pytest.mark.parametrize(
    ("answer", "verdict", "evidence"),
    [
        (ConfigAnswer(judged()), "pass", "the candidate's program accepts dev, prod, and so does its schema"),
        (
            ConfigAnswer(judged("", "", MISFIT)),
            "warn",
            "the candidate's program accepts dev, prod, which decides; its schema does not: dev, prod: a[0]: no `x`",
        ),
        (
            ConfigAnswer(judged("", "exit 1: no")),
            "fail",
            "the candidate's program refuses prod: exit 1: no; its schema does not say why",
        ),
        (
            ConfigAnswer(judged("exit 1: no", "exit 1: no", MISFIT)),
            "fail",
            "the candidate's program refuses dev, prod: exit 1: no; its schema: dev, prod: a[0]: no `x`",
        ),
        (
            ConfigAnswer(judged(), schema_unknown="schema/config.json at v1.4.1: it is not there"),
            "unknown",
            "schema unknown: schema/config.json at v1.4.1: it is not there; the candidate's program accepts dev, prod",
        ),
        (
            ConfigAnswer(judged("exit 1: no"), schema_unknown="gone"),
            "unknown",
            "schema unknown: gone; the candidate's program refuses dev: exit 1: no",
        ),
        (
            ConfigAnswer(judged(), not_asked="no Docker Engine answers", schema_unknown="gone"),
            "unknown",
            "schema unknown: gone; the candidate's program was not asked: no Docker Engine answers",
        ),
        (
            ConfigAnswer(judged("", "exit 1: no"), not_asked="gone away"),
            "fail",
            "the candidate's program refuses prod: exit 1: no; its schema does not say why",
        ),
        (
            ConfigAnswer(judged("", "", MISFIT), not_asked="no engine"),
            "fail",
            "the candidate's program was not asked: no engine; its schema refuses dev, prod: a[0]: no `x`",
        ),
        (ConfigAnswer(judged()[:1]), "unknown", "nobody asked about prod"),
        (ConfigAnswer(()), "unknown", "nobody asked about dev, prod"),
    ],
)
def test_the_program_decides_and_the_schema_explains(answer: ConfigAnswer, verdict: Verdict, evidence: str) -> None:
    gate = config_gate(answer, CONFIG, REPEAT, on_ci=False)
    refuses = verdict in {"fail", "unknown"}

    assert (gate.verdict, gate.evidence) == (verdict, evidence)
    assert (gate.name, gate.repeat) == ("config", REPEAT)
    assert (gate.exit_code, bool(gate.next_step)) == ((6, True) if refuses else (0, False))


@pytest.mark.parametrize(
    ("where", "on_ci", "verdict"),
    [
        ("ci", True, "unknown"),
        ("ci", False, "warn"),
        ("always", True, "unknown"),
        ("always", False, "unknown"),
        ("never", True, "warn"),
        ("never", False, "warn"),
    ],
)
def test_the_settings_say_where_a_missing_engine_blocks(where: Where, verdict: Verdict, *, on_ci: bool) -> None:
    config = GatewayConfig("t", CONFIG.environments, schema="s.json", without_engine=where)
    gate = config_gate(ConfigAnswer(judged(), not_asked="no engine"), config, REPEAT, on_ci=on_ci)

    assert gate.evidence == "the candidate's program was not asked: no engine; its schema accepts it"
    assert (gate.verdict, gate.exit_code) == (verdict, 6 if verdict == "unknown" else 0)


def test_without_a_schema_in_the_settings_the_program_says_all() -> None:
    asked = (
        ConfigAnswer(judged()),
        ConfigAnswer(judged("", "exit 1: no")),
        ConfigAnswer(judged(), not_asked="no engine"),
    )
    said = [config_gate(answer, NO_SCHEMA, REPEAT, on_ci=False).evidence for answer in asked]

    assert said == [
        "the candidate's program accepts dev, prod",
        "the candidate's program refuses prod: exit 1: no",
        "the candidate's program was not asked: no engine",
    ]


def test_many_findings_are_counted_and_not_listed() -> None:
    misfits = tuple(Mismatch(f"binds[{number}]", "x" * 1000) for number in range(9))
    gate = config_gate(ConfigAnswer(judged("", "", *misfits)), CONFIG, REPEAT, on_ci=False)

    assert gate.evidence.endswith("; and 6 more")
    assert len(gate.evidence) < 1500


def test_a_value_with_signs_in_it_is_masked_as_a_whole() -> None:
    template, rendered = "key: ${secret}\n", "key: p@s/w0r!d#x1\n"

    told = explain("Error: key: invalid value p@s/w0r!d#x1, expected a word\n", template, rendered)

    assert told == "key: invalid value ***, expected a word"
