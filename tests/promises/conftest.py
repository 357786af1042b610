from __future__ import annotations

from tests.flows.conftest import empty_town, gated, town

__all__ = ["empty_town", "gated", "town"]
