"""What cosign says of an image -> who signed it, or why that is not proven. Pure.

An exit code of 0 proves nothing by itself: cosign 3 ends with 0 for an image that carries only an SBOM by the
right identity. So the claims are read, and one of them must be a signature, about the digest that was asked for.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from shlex import quote
from typing import Literal

import msgspec

from bot.core.decoding import decode
from bot.core.gates import Gate, Unanswered
from bot.core.model import Signature
from bot.core.reference import Digest, Repository
from bot.core.text import plain
from bot.core.versions import Ref

Format = Literal["bundle", "legacy"]
FORMATS: tuple[Format, ...] = ("bundle", "legacy")
"""Sigstore bundles as referrers (cosign 3), and the tag `sha256-HEX.sig` (cosign 2)."""

SIGNATURE_TYPES: Mapping[Format, str] = {
    "bundle": "https://sigstore.dev/cosign/sign/v1",
    "legacy": "cosign container image signature",
}
UNSIGNED = "unsigned"
_UNSIGNED, _NO_IMAGE, _NO_MATCH = 10, 11, 12
_NONE_THERE = ("no signatures found", "no valid bundles exist", "no signatures associated")
_NO_TIME = "failed to verify timestamps"
_MISMATCH = ("no matching attestations", "no matching signatures")
_REKOR2 = "0.0.2"
"""The version of an entry's kind since Rekor v2."""
_MAX_SECONDS = 253_402_300_799  # the last second of the year 9999
_GENERALIZED_TIME = re.compile(rb"\x18\x0f([0-9]{14})Z")


class Signed(msgspec.Struct, frozen=True, tag=True):
    """A signature that was verified: by exactly this identity, about exactly this digest."""

    digest: Digest
    identity: str
    issuer: str
    format: Format
    tool: str
    """The program that verified it, with its version."""
    at: datetime | None = None
    """When the transparency log or the timestamp authority saw it; None where the signature does not say."""
    log_index: int | None = None


class NotSigned(msgspec.Struct, frozen=True, tag=True):
    """There is an answer, and it is no."""

    reason: str


Logged = tuple[datetime | None, int | None]
"""When a signature was logged or stamped, and its index in the transparency log, as far as it says so."""

Answer = Signed | NotSigned | Unanswered


class _Image(msgspec.Struct):
    digest: str = msgspec.field(name="docker-manifest-digest", default="")


class _Critical(msgspec.Struct):
    image: _Image
    type: str = ""


class _LogPayload(msgspec.Struct, rename="camel"):
    log_index: int | None = None
    integrated_time: int | None = None


class _Log(msgspec.Struct):
    payload: _LogPayload | None = msgspec.field(name="Payload", default=None)


class _Optional(msgspec.Struct):
    bundle: _Log | None = msgspec.field(name="Bundle", default=None)


class _Claim(msgspec.Struct):
    critical: _Critical
    optional: _Optional | None = None


def identity_of(signature: Signature, ref: Ref) -> str:
    """The one identity that must have signed this release."""
    return signature.identity.replace("{tag}", ref)


def judge_claims(out: bytes, digest: Digest, form: Format) -> Logged | NotSigned:
    """When it was logged and where, if what `cosign verify` printed with exit code 0 is a signature of `digest`."""
    try:
        claims = decode(out, list[_Claim])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return NotSigned("cosign ended well, but its answer holds no claims: that proves nothing")
    signatures = [claim for claim in claims if claim.critical.type == SIGNATURE_TYPES[form]]
    if not signatures:
        kinds = ", ".join(dict.fromkeys(plain(claim.critical.type, 80) for claim in claims)) or "nothing"
        return NotSigned(f"there is no signature: what that identity made is {plain(kinds, 300)}")
    ours = [claim for claim in signatures if claim.critical.image.digest == digest]
    if not ours:
        return NotSigned(f"the signature names another digest: {plain(signatures[0].critical.image.digest, 80)}")
    log = ours[0].optional.bundle.payload if ours[0].optional and ours[0].optional.bundle else None
    return (_moment(log.integrated_time), log.log_index) if log else (None, None)


def judge_failure(code: int, err: bytes) -> NotSigned | Unanswered:
    """What it means that `cosign verify` ended with another code than 0, by its own exit codes and words."""
    said = said_last(err)
    if code == _UNSIGNED or any(text in said for text in _NONE_THERE):
        return NotSigned(UNSIGNED)
    if code == _NO_MATCH or (code == 1 and any(text in said for text in _MISMATCH)):
        return NotSigned(f"not signed as it must be: {said}")
    if code == _NO_IMAGE:
        return NotSigned(f"cosign does not find the image: {said}")
    return _unanswered(code, said)


def best_failure(failures: Sequence[NotSigned | Unanswered]) -> NotSigned | Unanswered:
    """One reason of several ways to ask: what is not known first, then a signature that is wrong, then none at all.

    That a signature's time comes from another place than was asked for says least of what is wrong with it.
    """

    def weight(failure: NotSigned | Unanswered) -> int:
        if isinstance(failure, Unanswered):
            return 0
        return 3 if failure.reason == UNSIGNED else 2 if _NO_TIME in failure.reason else 1

    return min(failures, key=weight)


def judge_unsigned(code: int, err: bytes) -> NotSigned | Unanswered:
    """What `cosign tree` makes of an image that `cosign verify` calls unsigned."""
    said = said_last(err)
    if code and "entity not found" in said:
        return NotSigned(f"cosign does not find the image: {said}")
    if code and "unknown flag" not in said:
        return _unanswered(code, said)
    return NotSigned(UNSIGNED)


def said_last(err: bytes) -> str:
    """What cosign says was wrong, which may be several lines, in one bounded line."""
    text = err.decode(errors="replace")
    return plain(text.rpartition("error during command execution: ")[2].strip() or "it said nothing", 500)


class _KindVersion(msgspec.Struct, frozen=True):
    version: str = ""


class _Promise(msgspec.Struct, frozen=True, rename="camel"):
    signed_entry_timestamp: str = ""


class _Entry(msgspec.Struct, rename="camel"):
    log_index: str | None = None
    integrated_time: str | None = None
    inclusion_promise: _Promise = _Promise()
    kind_version: _KindVersion = _KindVersion()


class _Stamp(msgspec.Struct, rename="camel"):
    signed_timestamp: str = ""


class _Stamps(msgspec.Struct, rename="camel"):
    rfc3161_timestamps: list[_Stamp] = msgspec.field(name="rfc3161Timestamps", default_factory=list)


class _Material(msgspec.Struct, rename="camel"):
    tlog_entries: list[_Entry] = []
    timestamp_verification_data: _Stamps | None = None


class _Bundle(msgspec.Struct, rename="camel"):
    verification_material: _Material


def bundle_log(bundle: bytes) -> Logged:
    """What a bundle that was verified says of its log.

    Sigstore bundle v0.3; numbers are strings in protobuf's JSON, and a 0 is left out. RFC 3161 for the timestamp.
    Of several entries or timestamps one is verified, and nobody says which: then neither is believed. Rekor v1 signs
    index and time with a promise; Rekor v2 proves the index, and leaves the time to a timestamp authority.
    """
    try:
        material = decode(bundle, _Bundle).verification_material
        entry = material.tlog_entries[0] if len(material.tlog_entries) == 1 else _Entry()
        promised = entry.inclusion_promise.signed_entry_timestamp
        index = int(entry.log_index or 0) if promised or entry.kind_version.version == _REKOR2 else None
        moment = _moment(int(entry.integrated_time or 0)) if promised else None
        stamps = material.timestamp_verification_data
        if moment is None and stamps and len(stamps.rfc3161_timestamps) == 1:
            moment = _stamped(b64decode(stamps.rfc3161_timestamps[0].signed_timestamp))
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None, None
    return moment, index


def bundles_in(out: bytes) -> tuple[bytes, ...]:
    """The bundles that `cosign download attestation` printed, one a line."""
    found = []
    for line in out.splitlines():
        try:
            if isinstance(json.loads(line), dict):
                found.append(line)
        except (ValueError, RecursionError):
            continue
    return tuple(found)


def signature_gate(answer: Answer, ref: Ref, repeat: str) -> Gate:
    """Is the candidate signed by the one who must have signed it?"""
    match answer:
        case Signed():
            said = [f"signed by {plain(answer.identity, 300)}", f"issuer {plain(answer.issuer, 200)}"]
            if answer.at is not None:
                said.append(f"{answer.at:%Y-%m-%d %H:%M} UTC")
            if answer.log_index is not None:
                said.append(f"log index {answer.log_index}")
            form = "Sigstore bundle" if answer.format == "bundle" else "legacy signature"
            return Gate("signature", "pass", f"{', '.join(said)}; {form}, verified by {answer.tool}", repeat)
        case NotSigned(reason):
            next_step = (
                f"Do not use {ref}. If upstream has just pushed it, its signature may still come: run it again later. "
                "If upstream changed how it signs, read why before you change `signature` in gateway-bot.toml."
            )
            return Gate("signature", "fail", reason, repeat, exit_code=5, next_step=next_step)
        case Unanswered():
            return answer.gate("signature", repeat)


def repeat_command(
    repository: Repository, digest: Digest, ref: Ref, signature: Signature, form: Format = "bundle"
) -> str:
    """The command that verifies it again, for a person with cosign 3."""
    root = f" --trusted-root {quote(signature.trusted_root)}" if signature.trusted_root else ""
    legacy = " --new-bundle-format=false" if form == "legacy" else ""
    return (
        f"cosign verify{root}{legacy} --certificate-oidc-issuer {quote(signature.issuer)} "
        f"--certificate-identity {quote(identity_of(signature, ref))} {repository}@{digest}"
    )


def _unanswered(code: int, said: str) -> Unanswered:
    return Unanswered(
        f"cosign ended with {code}: {said}",
        "Nothing is known of the signature. Look at what cosign says, and run it again.",
    )


def _moment(seconds: int | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds is not None and 0 < seconds <= _MAX_SECONDS else None


def _stamped(token: bytes) -> datetime | None:
    """The time in an RFC 3161 token: the GeneralizedTime (X.690, tag 24) of its TSTInfo, `YYYYMMDDhhmmssZ`.

    The first of the token is that one: it stands before the certificates. A hash before it may hold its first bytes.
    """
    found = _GENERALIZED_TIME.search(token)
    try:
        return datetime.strptime(f"{found[1].decode()}Z", "%Y%m%d%H%M%S%z") if found else None
    except ValueError:
        return None
