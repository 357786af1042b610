"""What Terraform says about a template that does not render. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

import msgspec

from bot.core.decoding import decode
from bot.core.text import plain
from bot.errors import PolicyError

TEMPLATE = "template.tftpl"
"""The template's name where Terraform reads it."""

VALUES_PLACE = "values in gateway-bot.toml"
"""Where the values of the settings stand."""

_LIMIT = 300
_RULE = re.compile(r"This was checked by the validation rule at ([\w.-]+:\d+)")
_IN_TEMPLATE = re.compile(rf"{re.escape(TEMPLATE)}:(\d+),\d+-[\d,]+: ([^;]{{1,100}}); (.*)", re.DOTALL)
_MISSING = re.compile(rf'vars map does not contain key "([^"]+)", referenced at {re.escape(TEMPLATE)}:(\d+),')


class Diagnostic(msgspec.Struct, frozen=True):
    """One finding of Terraform, as its JSON says it; `file` is empty where it has no place."""

    summary: str
    detail: str = ""
    file: str = ""
    line: int = 0


def diagnostics(out: bytes) -> tuple[Diagnostic, ...]:
    """The errors among the JSON lines that Terraform prints."""
    found = []
    for line in out.splitlines():
        try:
            message = decode(line, _Message)
        except (msgspec.MsgspecError, RecursionError):
            continue
        said = message.diagnostic
        if said is not None and said.severity == "error":
            at = said.range
            found.append(Diagnostic(said.summary, said.detail, at.filename if at else "", at.start.line if at else 0))
    return tuple(found)


def refused(found: Diagnostic, paths: Mapping[str, str], unset: Collection[str], *, is_secret: bool) -> PolicyError:
    """Why the template does not render, at its place in the checkout.

    `paths` are those of the checkout by the names that Terraform knows, `unset` the variables without a value. Where
    a variable is declared sensitive (`is_secret`), Terraform's details stay unsaid: they may quote it.
    """
    file, line, summary, detail = found.file or TEMPLATE, found.line, found.summary, found.detail
    if missing := _MISSING.search(detail):
        name, file, line = missing[1], TEMPLATE, int(missing[2])
        why = "no value is given for it" if name in unset else "no declaration names it"
        summary, detail, is_secret = f'the template uses "{plain(name, 60)}", and {why}', "", False
    elif inside := _IN_TEMPLATE.search(detail):
        file, line, summary, detail = TEMPLATE, int(inside[1]), inside[2], inside[3]
    said = summary if is_secret or not detail else f"{summary}: {detail.partition(chr(10) * 2)[0]}"
    if rule := _RULE.search(detail):
        said += f" ({rule[1]})"
    for known, path in paths.items():
        said = said.replace(known, path)
    where = paths.get(file, paths[TEMPLATE])
    return PolicyError(
        f"the config does not render: {plain(said, _LIMIT).rstrip('.')}",
        where=f"{where}:{line}" if line and file in paths and where != VALUES_PLACE else where,
        next_step="Correct the template, its declarations or the values in gateway-bot.toml, and run it again.",
    )


class _Start(msgspec.Struct):
    line: int


class _Range(msgspec.Struct):
    filename: str
    start: _Start


class _Diagnostic(msgspec.Struct):
    severity: str
    summary: str
    detail: str = ""
    range: _Range | None = None


class _Message(msgspec.Struct):
    diagnostic: _Diagnostic | None = None
