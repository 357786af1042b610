"""What our releases say of themselves, as in-toto statements in DSSE envelopes, read back from cosign. Pure.

in-toto attestation framework, "Statement" v0.1 and v1; DSSE 1.0, "Envelope". An exit code of 0 proves nothing by
itself: a statement counts where it is of the type that was asked for and one of its subjects is exactly our digest.
"""

from __future__ import annotations

import json
from binascii import a2b_base64
from shlex import quote

import msgspec

from bot.core.decoding import decode
from bot.core.gates import Unanswered
from bot.core.index import NotProven
from bot.core.model import Signature
from bot.core.reference import Digest, Repository
from bot.core.signature import UNSIGNED, NotSigned, said_last
from bot.core.text import plain

PAYLOAD = "application/vnd.in-toto+json"
STATEMENTS = ("https://in-toto.io/Statement/v0.1", "https://in-toto.io/Statement/v1")
"""cosign 3 attests in the first form, and signs in the second one."""

MAX_PREDICATE = 32 * 1024 * 1024
"""Bytes of a predicate; each package takes about two thousand of an SBOM."""

_NONE_THERE = "no matching attestations:"
_OTHER_TYPES = "none of the attestations matched the predicate type"
_EXACT = 2**53
"""Whole numbers up to here survive in a float, which is what Go makes of each number in JSON."""


class Statement(msgspec.Struct, frozen=True):
    """What was attested of one digest, by an identity that was verified. `predicate` is canonical JSON."""

    type: str
    predicate_type: str
    predicate: bytes


class _Envelope(msgspec.Struct, rename="camel"):
    payload: str
    payload_type: str


class _Subject(msgspec.Struct):
    digest: dict[str, str] = {}


class _Statement(msgspec.Struct, rename="camel"):
    type: str = msgspec.field(name="_type")
    predicate_type: str
    subject: list[_Subject]
    predicate: msgspec.Raw


def canonical(document: bytes) -> bytes:
    """The one form of a JSON document that comes back from an attestation as it went in.

    cosign reads a predicate and writes it anew: keys sorted, numbers as floats. So the keys are sorted here, nothing
    is escaped that needs not be, and what would not survive is refused. Raises NotProven for that: a key that
    appears twice, a number that a float does not hold, text that is no Unicode, no JSON at all.
    """
    if len(document) > MAX_PREDICATE:
        raise NotProven(f"it is larger than {MAX_PREDICATE:,} bytes")
    try:
        value = json.loads(
            document.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_no_number,
            parse_int=_whole,
            parse_float=_real,
        )
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
    except RecursionError:
        raise NotProven("its JSON is nested too deeply") from None
    except NotProven:
        raise
    except ValueError as error:
        raise NotProven(f"it is no valid JSON: {plain(str(error), 120)}") from None


def statements_in(out: bytes, digest: Digest, predicate_type: str) -> tuple[Statement, ...] | NotSigned:
    """The statements of this type about `digest` in what `cosign verify-attestation` printed, one envelope a line.

    Those that say the same are one; they are sorted by their predicate, so that whoever takes the first of several
    takes the same one each time.
    """
    found: dict[bytes, Statement] = {}
    why = "cosign ended well, but its answer holds no statement: that proves nothing"
    for line in out.splitlines():
        try:
            statement = _statement(line, digest, predicate_type)
        except NotProven as error:
            why = f"what was attested does not fit: {error}"
            continue
        found.setdefault(statement.predicate, statement)
    return tuple(found[predicate] for predicate in sorted(found)) if found else NotSigned(why)


def repeat_attested(repository: Repository, digest: Digest, predicate_type: str, signature: Signature) -> str:
    """The command that verifies it again, for a person with cosign 3; `signature` as `our_identity` makes it."""
    root = f" --trusted-root {quote(signature.trusted_root)}" if signature.trusted_root else ""
    return (
        f"cosign verify-attestation{root} --type {quote(predicate_type)} --certificate-oidc-issuer "
        f"{quote(signature.issuer)} --certificate-identity {quote(signature.identity)} {repository}@{digest}"
    )


def judge_unattested(code: int, err: bytes) -> NotSigned | Unanswered:
    """What it means that `cosign verify-attestation` ended with another code than 0, by its own words.

    cosign 3 ends with 1 whatever is wrong.
    """
    said = said_last(err)
    if said == _NONE_THERE or _OTHER_TYPES in said:
        return NotSigned(UNSIGNED)
    if _NONE_THERE in said:
        return NotSigned(f"not attested as it must be: {said}")
    return Unanswered(
        f"cosign ended with {code}: {said}",
        "Nothing is known of the attestations. Look at what cosign says, and run it again.",
    )


def _statement(line: bytes, digest: Digest, predicate_type: str) -> Statement:
    try:
        envelope = decode(line, _Envelope)
        statement = decode(a2b_base64(envelope.payload, strict_mode=True), _Statement)
    except (ValueError, RecursionError):
        raise NotProven("it is no in-toto statement in a DSSE envelope") from None
    if envelope.payload_type != PAYLOAD or statement.type not in STATEMENTS:
        raise NotProven(f"it is no in-toto statement but {plain(envelope.payload_type, 80)}")
    if statement.predicate_type != predicate_type:
        raise NotProven(f"it is of type {plain(statement.predicate_type, 120)}")
    if not any(f"sha256:{subject.digest.get('sha256')}" == digest for subject in statement.subject):
        raise NotProven("it is about another digest")
    return Statement(statement.type, statement.predicate_type, canonical(bytes(statement.predicate)))


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise NotProven("a key appears twice")
    return dict(pairs)


def _no_number(text: str) -> object:
    raise NotProven(f"{text} is no JSON")


def _whole(text: str) -> int:
    if len(text) > 17 or abs(int(text)) > _EXACT:  # noqa: PLR2004 - more digits than 2**53 has, with a sign
        raise NotProven("a number has more digits than would survive")
    return int(text)


def _real(text: str) -> float | int:
    value = float(text)
    if value in {float("inf"), float("-inf")}:
        raise NotProven("a number is out of range")
    return int(value) if value.is_integer() and abs(value) <= _EXACT else value
