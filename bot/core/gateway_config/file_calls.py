"""Calls of Terraform functions that read files. Pure.

A repository must not render the files of the machine that it is judged on: what it renders is quoted in errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from bot.errors import PolicyError

_COMMENT = r"/\*(?:.*?\*/|.*)|(?:#|//)[^\n]*"
_READERS = r"(?:file\w*|templatefile|abspath|pathexpand)"
_READS = rf"{_READERS}(?>\s|{_COMMENT})*+\("
_READS_ANYWHERE = re.compile(rf"(?<![\w-]){_READERS}\s*[(/#]")
_UNSURE = re.compile(r"<<|\$\$\$|%%%")
_TEXT = re.compile(r"\$\$\{|%%\{|[$%]\{")
_STRING = re.compile(rf'{_TEXT.pattern}|\\.|"', re.DOTALL)
_EXPRESSION = re.compile(rf'{_COMMENT}|[{{}}"]|(?P<reads>{_READS})|[^\W\d][\w-]*', re.DOTALL)


def refuse_reading(path: str, text: str, *, is_template: bool) -> None:
    """Raises PolicyError where an expression of a template, or of variable blocks, reads files or names their paths."""
    found = next(_reading(text, is_template=is_template), None)
    if found is not None:
        call = re.split(r"[^\w]", found[0], maxsplit=1)[0]
        raise PolicyError(
            f"it calls {call}(), which reads the machine that renders it",
            where=f"{path}:{text.count(chr(10), 0, found.start()) + 1}",
            next_step="Give the template what it needs as a variable.",
        )


def _reading(text: str, *, is_template: bool) -> Iterator[re.Match[str]]:
    """Calls in expressions; where it is not certain what is one (heredocs, `$$${`), calls in the whole text."""
    if _UNSURE.search(text):
        yield from _READS_ANYWHERE.finditer(text)
        return
    patterns = [_TEXT if is_template else _EXPRESSION]
    position = 0
    while (match := patterns[-1].search(text, position)) is not None:
        position = match.end()
        in_string = patterns[-1] is _STRING
        if patterns[-1] is _EXPRESSION and match["reads"]:
            yield match
        elif match[0] in {"${", "%{", "{"}:
            patterns.append(_EXPRESSION)
        elif match[0] == '"' and not in_string:
            patterns.append(_STRING)
        elif match[0] == '"' or (match[0] == "}" and len(patterns) > 1):
            patterns.pop()
