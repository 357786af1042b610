"""The environment variables that the gateway's program expands in a config. Pure.

It expands the whole text before it reads it as YAML, comments included, by the rules of the Rust library shellexpand:
`$NAME`, `${NAME}` and `${NAME:-default}`; `$$` is a dollar. What a shell reads besides (`${NAME-default}`,
`${NAME:?message}`) is a variable of that whole name. A variable that is not set and has no default is an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

_EXEMPT = "# yaml-language-server: $schema"
"""The one comment that the program leaves alone."""

_DOLLAR = re.compile(r"\$(?:\$|\{([^}]*)\}|(\w+))", re.DOTALL)
_BARE = re.compile(r"\$(?:\$|((?!))|(\w+))")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_DUMMY = "dummy"
"""No number, no boolean, nothing that YAML or JSON would have to quote, and a valid name of a host."""


class Variable(msgspec.Struct, frozen=True, order=True):
    """A variable as one place of a text names it; without a default it has to be set."""

    name: str
    has_default: bool = False


def variables(text: str) -> tuple[Variable, ...]:
    """What the program looks up while it expands `text`, each once, in the order of the text."""
    read = text.replace(_EXEMPT, "#")
    last = read.rfind("}") + 1  # past it no brace closes, and to look for one would take long
    found: dict[Variable, None] = {}
    for match in (*_DOLLAR.finditer(read[:last]), *_BARE.finditer(read[last:])):
        braced, bare = match.groups()
        if bare is not None:
            found[Variable(bare)] = None
        elif braced is not None:
            name, separator, _ = braced.partition(":-")
            found[Variable(name, has_default=True) if separator and name else Variable(braced)] = None
    return tuple(found)


def dummies(text: str, given: Mapping[str, str]) -> dict[str, str]:
    """Values for the variables of `text` that need one, by name: those `given`, else one that fits most places.

    A variable with a default keeps it, or the default would never be judged. A name that no environment holds, as
    of `$5` in a comment, gets no value: the program refuses it where it is deployed, and has to refuse it here.
    """
    found = variables(text)
    names = {variable.name for variable in found if not variable.has_default and _NAME.fullmatch(variable.name)}
    values = {name: given.get(name, _DUMMY) for name in names}
    values |= {variable.name: given[variable.name] for variable in found if variable.name in given}
    return dict(sorted(values.items()))
