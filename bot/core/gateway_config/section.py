"""What a release changes for our config, for a reader: Markdown for the pull request, lines for a terminal. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from bot.core.gateway_config.answer import ConfigAnswer
from bot.core.notes.inline import words
from bot.core.text import plain

_SHOWN = 8
_FOLDED = 60
_LENGTH = 300


def markdown(answer: ConfigAnswer) -> str:
    """The schema's changes for the fields that our config uses, those that break first; empty without any."""
    said = [f"- {words(line)}" for line in _said(answer)]
    if not said:
        return ""
    head = "**Config**: what the new schema says of the fields that our config uses"
    shown, rest = said[:_SHOWN], said[_SHOWN : _SHOWN + _FOLDED]
    parts = [f"{head}:\n\n" + "\n".join(shown)]
    if rest:
        more = len(said) - _SHOWN
        cut = f"\n- and {more - len(rest)} more" if more > len(rest) else ""
        listed = "\n".join(rest)
        parts.append(f"<details>\n<summary>{more} more</summary>\n\n{listed}{cut}\n\n</details>")
    return "\n\n".join(parts)


def lines(answer: ConfigAnswer) -> list[str]:
    """The same for a terminal, without ends of lines."""
    said = _said(answer)
    if not said:
        return []
    more = [f"  and {len(said) - _FOLDED} more"] if len(said) > _FOLDED else []
    return ["config, by the new schema:", *(f"  {line}" for line in said[:_FOLDED]), *more]


def _said(answer: ConfigAnswer) -> list[str]:
    changes = [
        f"{'breaks: ' if difference.breaks else ''}{difference.path}: {difference.text}"
        for difference in answer.differences
    ]
    unknown = [f"what changed is not known: {answer.unchanged_unknown}"] if answer.unchanged_unknown else []
    return [plain(line, _LENGTH) for line in dict.fromkeys((*changes, *_misfits(answer), *unknown))]


def _misfits(answer: ConfigAnswer) -> Sequence[str]:
    """What does not fit the schema, and in which environments."""
    found: dict[str, list[str]] = {}
    for judged in answer.judged:
        for mismatch in judged.mismatches:
            found.setdefault(f"{mismatch.path}: {mismatch.message}", []).append(judged.environment)
    return [f"does not fit in {', '.join(names)}: {text}" for text, names in found.items()]
