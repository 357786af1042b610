"""Security advisories that a text names. Pure."""

from __future__ import annotations

import re

_ADVISORY = re.compile(r"\b(?:CVE-[0-9]{4}-[0-9]{4,7}|GHSA(?:-[23456789cfghjmpqrvwx]{4}){3})\b", re.IGNORECASE)


def advisory_in(text: str) -> str:
    """The first CVE or GitHub advisory that a text names, or nothing."""
    match = _ADVISORY.search(text)
    return match[0] if match else ""
