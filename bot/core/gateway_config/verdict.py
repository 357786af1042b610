"""What the target's own program and its schema say about a config: one gate. Pure.

The program decides and the schema explains: each release's schema refuses something that its program accepts, and
passes much that its program refuses. What a program prints may hold values of the config: `explain` shows only what
the template itself says.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from bot.core.gates import Gate, Verdict
from bot.core.gateway_config.answer import ConfigAnswer
from bot.core.model import GatewayConfig
from bot.core.text import plain

MASK = "***"
_LIMIT = 300
_SHOWN = 3
_READ = 16 * 1024
_POSITION = re.compile(r",? at line \d+,? column \d+")
_CAUSED = re.compile(r"\n{1,2}Caused by:\n {0,8}(?:\d{1,3}: )?|\n {1,8}\d{1,3}: ")
_ERROR = re.compile(r"^Error: ", re.MULTILINE)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)("|\Z)', re.DOTALL)
_BACKTICKED = re.compile(r"`([^`]*)(`|\Z)")
_TOKEN = re.compile(r"[^\s`\"',;:()\[\]{}]{4,}")
_WORD = re.compile(r"[\w+=-]{4,}")
_REFUSED = 6


class Answer(msgspec.Struct, frozen=True):
    """How a program ended, and what it printed.

    `stopped` says why it was stopped, to follow "it"; empty where it ended by itself.
    """

    code: int
    out: str
    err: str
    stopped: str = ""


def refusal(config: GatewayConfig, answer: Answer, template: str, text: str) -> str:
    """Why the program's answer does not make the config `text` valid, in one line; empty where it is valid."""
    if answer.stopped:
        return f"it {answer.stopped}"
    if answer.code != 0:
        why = explain(answer.err, template, text)
        return f"exit {answer.code}: {why}" if why else f"exit {answer.code} without a word"
    if config.invalid and config.invalid in answer.out + answer.err:
        return f'exit 0, but it printed "{plain(config.invalid, 80)}": it judged no config'
    if config.valid not in answer.out.splitlines():
        return f'exit 0, but without the line "{plain(config.valid, 80)}"'
    return ""


def explain(error: str, template: str, rendered: str) -> str:
    """What a program's error output says, in one line of at most 300 characters, without the values of variables.

    A double-quoted piece is shown if the template holds it, a piece in backticks and any other word unless only the
    rendered text does. Positions refer to JSON that nobody sees: they are left out.
    """
    start = _ERROR.search(error)
    text = error[start.end() :][:_READ] if start else error[:_READ]
    text = _CAUSED.sub(": ", _POSITION.sub("", text))

    def is_value(piece: str) -> bool:
        return piece not in template and piece in rendered

    def quoted(match: re.Match[str]) -> str:
        piece = match[1].replace('\\"', '"').replace("\\\\", "\\")
        return match[0] if match[2] and piece in template else f'"{MASK}"'

    def backticked(match: re.Match[str]) -> str:
        return match[0] if match[2] and not is_value(match[1]) else f"`{MASK}`"

    text = _BACKTICKED.sub(backticked, _QUOTED.sub(quoted, text))
    text = _TOKEN.sub(lambda match: MASK if is_value(match[0]) else match[0], text)
    return plain(_WORD.sub(lambda match: MASK if is_value(match[0]) else match[0], text), _LIMIT)


def config_gate(answer: ConfigAnswer, config: GatewayConfig, repeat: str, *, on_ci: bool) -> Gate:
    """Does our config work with the candidate, in every environment?

    A schema that is unknown blocks, whatever the program says. Without an engine the policy `without_engine` says
    whether that blocks; a schema that refuses does then, for nobody overrules it.
    """
    refused = _listed([(each.environment, each.refusal) for each in answer.judged if each.refusal])
    misfits = _listed(
        [(each.environment, f"{misfit.path}: {misfit.message}") for each in answer.judged for misfit in each.mismatches]
    )
    names = [each.environment for each in answer.judged]
    missing = [each.name for each in config.environments if each.name not in names]
    program = "the candidate's program"
    said = f"{program} refuses {refused}" if refused else f"{program} accepts {', '.join(names)}"
    if answer.not_asked and not refused:
        said = f"{program} was not asked: {plain(answer.not_asked, _LIMIT)}"
    mend = (
        f"Change {config.template} so that the pinned release and the candidate both accept it, merge that first, and "
        "run this again. Where an environment variable needs a fitting value, give it under `dummies`; where the "
        "program says yes in other words, correct `valid` and `invalid`."
    )
    if answer.schema_unknown:
        find = "See where upstream keeps its JSON Schema now, and correct `schema` in gateway-bot.toml."
        return _refuses("unknown", f"schema unknown: {plain(answer.schema_unknown, _LIMIT)}; {said}", repeat, find)
    if refused:
        explained = f"; its schema: {misfits}" if misfits else "; its schema does not say why" if config.schema else ""
        return _refuses("fail", said + explained, repeat, mend)
    if missing or not names:
        again = "Make the plan again with these settings: gateway-bot plan --save FILE."
        return _refuses("unknown", f"nobody asked about {', '.join(missing) or 'any environment'}", repeat, again)
    if answer.not_asked:
        if misfits:
            return _refuses("fail", f"{said}; its schema refuses {misfits}", repeat, mend)
        return _without_engine(config, said, repeat, on_ci=on_ci)
    if misfits:
        return Gate("config", "warn", f"{said}, which decides; its schema does not: {misfits}", repeat)
    return Gate("config", "pass", said + (", and so does its schema" if config.schema else ""), repeat)


def _without_engine(config: GatewayConfig, said: str, repeat: str, *, on_ci: bool) -> Gate:
    said += "; its schema accepts it" if config.schema else ""
    if config.without_engine == "always" or (config.without_engine == "ci" and on_ci):
        start = (
            "Start a Docker Engine, or name one in DOCKER_HOST; `without_engine` in gateway-bot.toml says where the "
            "schema alone is enough."
        )
        return _refuses("unknown", said, repeat, start)
    return Gate("config", "warn", said, repeat)


def _refuses(verdict: Verdict, evidence: str, repeat: str, next_step: str) -> Gate:
    return Gate("config", verdict, evidence, repeat, exit_code=_REFUSED, next_step=next_step)


def _listed(found: Sequence[tuple[str, str]]) -> str:
    """The first few findings, each with all environments that have it."""
    environments: dict[str, list[str]] = {}
    for environment, finding in found:
        environments.setdefault(finding, []).append(environment)
    lines = [f"{', '.join(names)}: {finding}" for finding, names in environments.items()]
    more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return "; ".join([plain(line, _LIMIT + 100) for line in lines[:_SHOWN]] + more)
