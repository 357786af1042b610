"""What two releases' schemas say of our rendered configs. Pure; the program decides, this explains."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bot.core.gateway_config.config_text import parse_config
from bot.core.gateway_config.differences import Difference, differences
from bot.core.gateway_config.fields import used_fields
from bot.core.gateway_config.nodes import Schema
from bot.core.gateway_config.schema import Mismatch, mismatches, parse_schema
from bot.core.gateway_config.values import Json


class Explained(msgspec.Struct, frozen=True):
    """One tuple of mismatches for each config; what changed in any of them; the fields that they use."""

    mismatches: tuple[tuple[Mismatch, ...], ...]
    differences: tuple[Difference, ...] = ()
    fields: tuple[str, ...] = ()
    unknown: str = ""
    """Why the new schema says nothing: then neither is known that it fits."""
    unchanged: str = ""
    """Why it is not known what changed."""


def explained(new: bytes | None, old: bytes | None, texts: Sequence[str], *, published: bool = True) -> Explained:
    """What the schema `new` says of the configs, and what it says otherwise than `old`; None: it is not there.

    Where none is published, only whether a config can be read at all.
    """
    configs, faults = _read(texts)
    fields = tuple(dict.fromkeys(field for config in configs if config is not None for field in used_fields(config)))
    if not published:
        return Explained(tuple(faults), fields=fields)
    try:
        schema = _schema(new)
        misfits = [
            (*fault, *(mismatches(schema, config) if config is not None else ()))
            for config, fault in zip(configs, faults, strict=True)
        ]
    except ValueError as error:
        return Explained(tuple(() for _ in texts), fields=fields, unknown=str(error))
    try:
        before = _schema(old)
        found = [d for config in configs if config is not None for d in differences(before, schema, config)]
    except ValueError as error:
        return Explained(tuple(misfits), fields=fields, unchanged=str(error))
    ordered = sorted(dict.fromkeys(found), key=lambda difference: not difference.breaks)
    return Explained(tuple(misfits), tuple(ordered), fields)


def _schema(body: bytes | None) -> Schema:
    if body is None:
        raise ValueError("it is not there")
    return parse_schema(body)


def _read(texts: Sequence[str]) -> tuple[list[Json | None], list[tuple[Mismatch, ...]]]:
    """Each config's value; None, with what is wrong, for one that cannot be read."""
    configs: list[Json | None] = []
    faults: list[tuple[Mismatch, ...]] = []
    for text in texts:
        try:
            configs.append(parse_config(text))
            faults.append(())
        except ValueError as error:
            configs.append(None)
            faults.append((Mismatch(".", f"it cannot be read: {error}"),))
    return configs, faults
