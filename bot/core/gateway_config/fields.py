"""The fields that a config uses, and which of them a release's notes speak of. Pure.

Most names of fields are ordinary English words, so that nearly every note would seem to name `host` or `policies`.
A name in prose counts only where no English word is written like it, with a capital or an underscore inside
(`readinessAddr`), or in a path that our config has (`listeners.routes`). A plain word counts only in a code span, where
it is the whole span, one key of it (`port: 8787`), or a step of a path. Examples in code blocks use every common field
and say nothing by that, so that there, as in prose, only telling names count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

from bot.core.gateway_config.values import Json, Path, collapsed

MAX_NOTES = 200_000
_MAX_LINE = 4_000
"""Characters that are read."""

_STEP = r"[A-Za-z][A-Za-z0-9_-]*(?:\[[0-9*]{0,4}\])?"
_WORD = re.compile(r"(?<![A-Za-z0-9_])[A-Za-z][A-Za-z0-9_]*")
_PATH = re.compile(rf"(?<![A-Za-z0-9_.-]){_STEP}(?:\.{_STEP})+")
_FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})")
_SPAN = re.compile(r"(?<!`)(`{1,2})(?!`)([^`]{1,300})\1(?!`)")
_KEY = re.compile(r"\s*([\"']?)([A-Za-z][A-Za-z0-9_-]*)\1\s*(?::(?:\s.*)?)?")
_ADDRESS = re.compile(r"https?://\S+")


def used_fields(config: Json) -> tuple[str, ...]:
    """The path of every field that `config` uses, in its order: `binds[].listeners[].routes[].backends[].ai`."""
    return tuple(dict.fromkeys(collapsed(path) for path in _paths(config)))


def fields_named(notes: str, fields: Iterable[str]) -> tuple[str, ...]:
    """The names in `fields`, paths as `used_fields` gives them, that `notes`, a stranger's Markdown, speak of.

    They are the config's own words, in its order.
    """
    paths = [path.replace("[]", "").split(".") for path in fields]
    names = dict.fromkeys(one for path in paths for one in path)
    pairs = {pair for path in paths for pair in pairwise(path)}
    found = set(_mentioned(notes[:MAX_NOTES], pairs))
    return tuple(one for one in names if one in found)


def _mentioned(notes: str, pairs: set[tuple[str, str]]) -> Iterator[str]:
    fence = ""
    for whole in notes.splitlines():
        line = _ADDRESS.sub(" ", whole[:_MAX_LINE])
        yield from filter(_is_telling, _WORD.findall(line))
        mark = _FENCE.match(line)
        if mark and (not fence or mark[1].startswith(fence)):
            fence = "" if fence else mark[1]
        elif not fence:
            keys = (_KEY.fullmatch(span) for _, span in _SPAN.findall(line))
            yield from (key[2] for key in keys if key)
            yield from _steps(line, pairs)


def _is_telling(word: str) -> bool:
    """Whether it is written as no English word is: `camelCase` or `snake_case`."""
    return "_" in word or (word[0].islower() and word != word.lower())


def _steps(line: str, pairs: set[tuple[str, str]]) -> Iterator[str]:
    for path in _PATH.findall(line):
        steps = [step.partition("[")[0] for step in path.split(".")]
        for pair in pairwise(steps):
            if pair in pairs:
                yield from pair


def _paths(config: Json) -> Iterator[Path]:
    ahead: list[tuple[Path, Json]] = [((), config)]
    while ahead:
        path, value = ahead.pop()
        if path and isinstance(path[-1], str):
            yield path
        inside: list[tuple[Path, Json]] = []
        if isinstance(value, dict):
            inside = [((*path, key), field) for key, field in value.items()]
        elif isinstance(value, list):
            inside = [((*path, index), item) for index, item in enumerate(value)]
        ahead += reversed(inside)
