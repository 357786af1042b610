"""What a Docker Engine says of an image that it built, held against the image that it was built from. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from bot.core.model import Platform
from bot.core.reference import Digest
from bot.core.text import plain

MAY_CHANGE = ("Labels", "ExposedPorts")
"""What a rebuilt image may say otherwise. Both are only read, by people and by schedulers: the same program starts,
in the same way. All else decides what runs, and what upstream signed would no longer be what runs."""

_DECIDES = (
    *("Entrypoint", "Cmd", "Env", "User", "WorkingDir", "Volumes"),
    *("StopSignal", "StopTimeout", "Healthcheck", "OnBuild", "Shell", "Author"),
)
SETTINGS = (*MAY_CHANGE, *_DECIDES)
"""All that a Dockerfile can set."""
_DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What Docker's builder puts into an image without one, and what a program gets that is started without."""
_SHOWN = 8


class Instruction(msgspec.Struct, frozen=True):
    """One instruction of a Dockerfile, as the engine tells it, and whether it added a layer."""

    text: str
    adds_layer: bool = False


class Inspected(msgspec.Struct, frozen=True):
    """An image in an engine.

    `layers` are the digests of its uncompressed layers, from the lowest; `config` is the part of its configuration
    that a container starts with; `instructions` are those above its base, in order.
    """

    id: str
    platform: Platform
    layers: tuple[Digest, ...]
    config: Mapping[str, object]
    author: str = ""
    instructions: tuple[Instruction, ...] = ()

    @property
    def settings(self) -> dict[str, object]:
        """All that a Dockerfile can set: the configuration, and who made the image."""
        return {**self.config, "Author": self.author}


class Changes(msgspec.Struct, frozen=True):
    """What a configuration says otherwise than another: labels and ports by name, and the names of all else."""

    labels: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [("labels", self.labels), ("exposed ports", self.ports), ("also", self.others)]
        return "; ".join(f"{name} {_listed(found)}" for name, found in parts if found) or "nothing"


def layer_fault(base: Sequence[Digest], built: Inspected) -> str:
    """Why the layers of `built` are not those of its base, in order; empty where they are."""
    layers = tuple(built.layers)
    if layers == tuple(base):
        return ""
    if layers[: len(base)] != tuple(base):
        return "it is not built on the pinned image: its layers are others"
    added = len(layers) - len(base)
    named = [plain(each.text, 120) for each in built.instructions if each.adds_layer]
    said = f"{added} layer{'s' * (added != 1)} added on top of the pinned image's {len(base)}"
    return f"{said}, by {_listed(named)}" if named else said


def changes(before: Mapping[str, object], after: Mapping[str, object]) -> Changes:
    """What `after` says otherwise than `before`, both as `Inspected.settings`.

    An empty value and none are the same, and so is Docker's default PATH. What an engine notes of the container that it
    built in is no part of it.
    """
    labels, ports = (_keys(before.get(name), after.get(name)) for name in MAY_CHANGE)
    return Changes(
        labels,
        ports,
        others=tuple(name for name in _DECIDES if _value(before, name) != _value(after, name)),
    )


def _value(settings: Mapping[str, object], name: str) -> object:
    value = settings.get(name) or None
    if name == "Env" and isinstance(value, list):
        return [each for each in value if each != _DEFAULT_PATH] or None
    return value


def _keys(before: object, after: object) -> tuple[str, ...]:
    old, new = (value if isinstance(value, Mapping) else {} for value in (before, after))
    return tuple(sorted(str(key) for key in {*old, *new} if key not in old or key not in new or old[key] != new[key]))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(plain(name, 120) for name in names[:_SHOWN]) + more
