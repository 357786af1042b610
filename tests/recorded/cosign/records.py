"""What the real cosign said of each case, kept beside this file as MAJOR/CASE.json: how it is recorded and replayed."""

from __future__ import annotations

import json
import re
import shlex
import sys
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path

HOST = "127.0.0.1:5000"
"""The registry, in what is kept."""

SIGNED_AT = datetime(2026, 8, 20, 12, 0, tzinfo=UTC)
"""The moment of every signature, in what is kept."""

KEPT = Path(__file__).parent
_STAMP = b64encode(b"\x18\x0f" + f"{SIGNED_AT:%Y%m%d%H%M%SZ}".encode()).decode()
_RANDOM = "rawBytes|canonicalizedBody|body|sig|keyId|logID|rootHash|envelope|[sS]ignedEntryTimestamp"
_CHANGES = (
    (r"127\.0\.0\.1:\d+", HOST),
    (r'"signedTimestamp":"[^"]*"', f'"signedTimestamp":"{_STAMP}"'),
    (rf'"({_RANDOM})":"[^"]*"', r'"\1":"AA=="'),
    (r'("integratedTime":"?)\d+', rf"\g<1>{int(SIGNED_AT.timestamp())}"),
    (r'"treeSize":"\d+"', '"treeSize":"1"'),
    (r'"hashes":\[[^]]*\]', '"hashes":[]'),
    (r'"(goVersion|platform|gitCommit|gitTreeState|buildDate)": "[^"]*"', r'"\1": "-"'),
)


def file_of(major: str, case: str) -> Path:
    """Where the starts of one verification are kept."""
    return KEPT / major / f"{case}.json"


def recorded(folder: Path) -> str:
    """What `recording` had written into a folder, without what differs from signing to signing."""
    starts = [json.loads(path.read_text()) for path in folder.iterdir()]
    for start in starts:
        start.update({name: normalised(start[name]) for name in ("out", "err", "given")})
        start["arguments"] = [normalised(argument) for argument in start["arguments"]]
    return json.dumps(sorted(starts, key=str), indent=1) + "\n"


def normalised(text: str) -> str:
    """A text of cosign's without keys, hashes, times and ports."""
    for pattern, value in _CHANGES:
        text = re.sub(pattern, value, text)
    return text


def recording(folder: Path) -> str:
    """A shell script for `Judge.instead` that writes each start of the real cosign into a folder."""
    return f'exec {_program("record", folder)} "$cosign" "$@"'


def replaying(kept: Path) -> str:
    """A shell script that says again what a file holds."""
    return f'exec {_program("replay", kept)} - "$@"'


def _program(mode: str, kept: Path) -> str:
    return shlex.join([sys.executable, "-IS", str(KEPT / "program.py"), mode, str(kept)])
