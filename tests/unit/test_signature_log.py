"""When and where a bundle was logged: a stranger may have added to it what nobody verified."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime

import pytest

from bot.core.signature import bundle_log, bundles_in

AT = datetime(2026, 8, 20, 12, 0, tzinfo=UTC)
SECONDS = int(AT.timestamp())
# From a bundle that cosign 3 made with a private Sigstore: RFC 3161, stamped on 2026-11-21 at 12:21:30 UTC.
STAMP = (
    "MIICpTADAgEAMIICnAYJKoZIhvcNAQcCoIICjTCCAokCAQMxDTALBglghkgBZQMEAgEwgbYGCyqGSIb3DQEJEAEEoIGmBIGjMIGgAgEBBgkrBgEE"
    "AYO/MAIwMTANBglghkgBZQMEAgEFAAQgcdOQ6W8wBGNCgMRuKlBfxK0NwR5+moFu0axwp/NKXrQCFBhxp0pI1OsdwNJg+uKv8pf6AedrGA8yMDI2"
    "MTEyMTEyMjEzMFowAwIBAaAxpC8wLTEWMBQGA1UECgwNc2lnc3RvcmUudGVzdDETMBEGA1UEAwwKdGltZXN0YW1wc6AA"
)
STAMPED = datetime(2026, 11, 21, 12, 21, 30, tzinfo=UTC)


def stamp(text: bytes) -> str:
    return b64encode(text).decode()


def bundle(*entries: dict[str, object], stamps: tuple[str, ...] = ()) -> bytes:
    times = {"rfc3161Timestamps": [{"signedTimestamp": text} for text in stamps]}
    material = {"tlogEntries": entries, "timestampVerificationData": times if stamps else None}
    return json.dumps({"verificationMaterial": material, "dsseEnvelope": {}}).encode()


def rekor1(**more: object) -> dict[str, object]:
    promise = {"inclusionPromise": {"signedEntryTimestamp": "AA=="}, "kindVersion": {"version": "0.0.1"}}
    return {**promise, "logIndex": "42", "integratedTime": str(SECONDS), **more}


def rekor2(**more: object) -> dict[str, object]:
    return {"kindVersion": {"kind": "hashedrekord", "version": "0.0.2"}, "logIndex": "7", **more}


@pytest.mark.parametrize(
    ("text", "logged"),
    [
        (bundle(rekor1()), (AT, 42)),
        (bundle(rekor1(), stamps=(STAMP,)), (AT, 42)),
        (bundle(rekor2(), stamps=(STAMP,)), (STAMPED, 7)),
        (bundle(rekor2(logIndex=None), stamps=(STAMP,)), (STAMPED, 0)),
        (bundle({"kindVersion": {"version": "0.0.2"}}, stamps=(STAMP,)), (STAMPED, 0)),
        (bundle(stamps=(STAMP,)), (STAMPED, None)),
        (bundle(rekor2()), (None, 7)),
        (bundle(rekor1(integratedTime="0"), stamps=(STAMP,)), (STAMPED, 42)),
        (bundle(), (None, None)),
    ],
)
def test_when_and_where_a_bundle_was_logged(text: bytes, logged: object) -> None:
    assert bundle_log(text) == logged


@pytest.mark.parametrize(
    ("text", "logged"),
    [
        (bundle(rekor2(integratedTime=str(SECONDS)), stamps=(STAMP,)), (STAMPED, 7)),
        (bundle(rekor1(inclusionPromise={}), stamps=(STAMP,)), (STAMPED, None)),
        (bundle(rekor2(), rekor2(logIndex="8"), stamps=(STAMP,)), (STAMPED, None)),
        (bundle(rekor1(), rekor1()), (None, None)),
        (bundle(rekor2(), stamps=(stamp(b"\x18\x0f20010101000000Z"), STAMP)), (None, 7)),
    ],
)
def test_what_nobody_vouches_for_is_not_told(text: bytes, logged: object) -> None:
    """Rekor v2 signs no time, Rekor v1 signs by its promise; and of two that stand there, one may be anybody's."""
    assert bundle_log(text) == logged


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"verificationMaterial": null}',
        b'{"verificationMaterial": {"tlogEntries": 1}}',
        b'{"verificationMaterial": {"tlogEntries": [null]}}',
        b'{"verificationMaterial":' * 1_000_000,
        bundle(rekor1(logIndex=42)),
        bundle(rekor1(logIndex="x")),
        bundle(rekor1(logIndex="9" * 10_000)),
        bundle(rekor1(integratedTime="soon")),
        bundle(rekor2(), stamps=("A",)),
        b'{"verificationMaterial": {"tlogEntries": ["\xff"]}}',
    ],
)
def test_a_bundle_that_makes_no_sense_says_nothing(text: bytes) -> None:
    assert bundle_log(text) == (None, None)


@pytest.mark.parametrize(
    ("token", "at"),
    [
        (b"\x18\x0f20260820120000Z", AT),
        (b"\x04\x20 a hash with \x18\x0f in it \x18\x0f20260820120000Z \x18\x0f20010101000000Z", AT),
        (b"\x18\x0f20261320120000Z", None),
        (b"\x18\x0f20260820250000Z", None),
        (b"\x18\x0f2026082012000", None),
        (b"\x17\x0d260820120000Z", None),
        (b"", None),
    ],
)
def test_the_time_of_a_timestamp(token: bytes, at: datetime | None) -> None:
    assert bundle_log(bundle(rekor2(), stamps=(stamp(token),))) == (at, 7)


def test_each_line_may_be_a_bundle() -> None:
    first, second = bundle(rekor1()), bundle(rekor2())
    printed = b"\n".join([b"WARNING", first, b"", b"[]", b"1", b"[" * 200_000, b"\xff", second, b'{"cut":'])

    assert bundles_in(printed) == (first, second)
    assert bundles_in(b"") == ()
