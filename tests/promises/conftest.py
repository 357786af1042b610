from __future__ import annotations

from tests.flows.conftest import empty_town, town

__all__ = ["empty_town", "town"]
