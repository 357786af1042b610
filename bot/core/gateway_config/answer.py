"""What was found out of a config with a release: by its program, and by its schema. No value of the config is in it."""

from __future__ import annotations

import msgspec

from bot.core.gateway_config.differences import Difference
from bot.core.gateway_config.schema import Mismatch


class Judged(msgspec.Struct, frozen=True):
    """One environment's config: why the program refuses it (empty: it accepts it), where the schema does not fit."""

    environment: str
    refusal: str = ""
    mismatches: tuple[Mismatch, ...] = ()


class ConfigAnswer(msgspec.Struct, frozen=True, tag=True):
    """All environments, with what the schemas say of the fields that our config uses.

    `not_asked` says why the program could not be asked, `schema_unknown` why its schema could not, and
    `unchanged_unknown` why it is not known what its schema changes.
    """

    judged: tuple[Judged, ...]
    not_asked: str = ""
    schema_unknown: str = ""
    unchanged_unknown: str = ""
    differences: tuple[Difference, ...] = ()
    """From the current release's schema to the candidate's, in any environment."""
    fields: tuple[str, ...] = ()
    """The names of the fields that our config uses."""
