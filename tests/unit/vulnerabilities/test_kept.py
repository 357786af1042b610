from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from bot.core.vulnerabilities.kept import ScanKey, read_kept, write_kept
from tests.unit.vulnerabilities.made import AMD, ARM, CANDIDATE, CURRENT, DATABASE, finding, scan

KEY = ScanKey(CANDIDATE, AMD, DATABASE, "trivy 0.68.2")
PART = scan([finding(title="a title", url="https://a.example", kinds=("os-pkgs", "lang-pkgs"))]).parts[0]
OTHERS = [
    replace(KEY, digest=CURRENT),
    replace(KEY, platform=ARM),
    replace(KEY, scanner="trivy 0.68.3"),
    replace(KEY, format=2),
    replace(KEY, database=replace(DATABASE, updated=datetime(2026, 8, 20, 12, tzinfo=UTC))),
    replace(KEY, database=replace(DATABASE, repository="ghcr.io/acme/db:2")),
]


def sealed(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def test_what_is_kept_is_read_back() -> None:
    assert read_kept(write_kept(KEY, PART), KEY) == PART


@pytest.mark.parametrize("other", OTHERS)
def test_the_answer_to_another_question_is_none(other: ScanKey) -> None:
    assert read_kept(write_kept(other, PART), KEY) is None


def test_each_question_has_a_file_of_its_own() -> None:
    assert len({key.name for key in (KEY, *OTHERS)}) == len(OTHERS) + 1


def test_a_byte_that_changed_is_seen() -> None:
    content = write_kept(KEY, PART)
    changed = [content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :] for at in range(len(content))]

    assert [read_kept(damaged, KEY) for damaged in changed] == [None] * len(content)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"severity":"HIGH"', b'"severity":"high"'),
        (b'"severity":"HIGH",', b""),
        (b'"findings":[', b'"more":1,"findings":['),
        (b'"end_of_life"', b'"more"'),
        (b'"title":"a title"', b'"title":"a title","more":1'),
        (b":", b": "),
        (b'"packages":12', b'"packages":"12"'),
    ],
)
def test_what_is_spelled_otherwise_is_not_ours_whatever_its_checksum(old: bytes, new: bytes) -> None:
    body = write_kept(KEY, PART).partition(b"\n")[2]
    assert old in body

    assert read_kept(sealed(body), KEY) == PART
    assert read_kept(sealed(body.replace(old, new)), KEY) is None


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"{}", sealed(b""), sealed(b"{}"), sealed(b"[" * 100_000), b"\xff\xfe"]
)
def test_what_is_no_kept_scan_is_none(content: bytes) -> None:
    assert read_kept(content, KEY) is None
