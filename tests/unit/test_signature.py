"""What cosign's words mean. What it really said is in tests/unit/test_cosign.py."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest

from bot.core.gates import Unanswered
from bot.core.model import Signature
from bot.core.reference import Digest, Repository
from bot.core.signature import (
    UNSIGNED,
    Answer,
    Format,
    NotSigned,
    Signed,
    best_failure,
    identity_of,
    judge_claims,
    judge_failure,
    judge_unsigned,
    repeat_command,
    said_last,
    signature_gate,
)
from bot.core.versions import Ref

ASKED, OTHER = Digest(f"sha256:{'a' * 64}"), Digest(f"sha256:{'b' * 64}")
BUNDLE_TYPE, LEGACY_TYPE = "https://sigstore.dev/cosign/sign/v1", "cosign container image signature"
REF = Ref("v1.4.1")
AT = datetime(2026, 8, 20, 12, 0, tzinfo=UTC)
SECONDS = int(AT.timestamp())
WHO = Signature("https://issuer.example", "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/{tag}")
NOTHING_CLAIMED = NotSigned("cosign ended well, but its answer holds no claims: that proves nothing")


def claim(kind: str = BUNDLE_TYPE, digest: str = ASKED, **more: object) -> dict[str, object]:
    critical = {"identity": {"docker-reference": "x"}, "image": {"docker-manifest-digest": digest}, "type": kind}
    return {"critical": critical, "optional": {}, **more}


def out(*claims: object) -> bytes:
    return f"\n{json.dumps(claims)}\n".encode()


def legacy(**payload: object) -> bytes:
    return out(claim(LEGACY_TYPE, optional={"Bundle": {"Payload": payload}, "Issuer": "x"}))


@pytest.mark.parametrize(("form", "kind"), [("bundle", BUNDLE_TYPE), ("legacy", LEGACY_TYPE)])
def test_a_signature_of_the_digest_is_one(form: Format, kind: str) -> None:
    assert judge_claims(out(claim(kind)), ASKED, form) == (None, None)


@pytest.mark.parametrize(
    "printed",
    [
        b"",
        b" \n",
        b"null",
        b"{}",
        b"true",
        b'"signed"',
        b"Verified OK",
        b"[null]",
        b"[[]]",
        b"[{}]",
        b'[{"critical": null}]',
        b'[{"critical": {}}]',
        b'[{"critical": {"image": [], "type": "%s"}}]' % BUNDLE_TYPE.encode(),
        b'[{"critical": {"image": {"docker-manifest-digest": 1}, "type": "%s"}}]' % BUNDLE_TYPE.encode(),
        out(claim())[:-3],
        out(claim()) + out(claim()),
        b"WARNING: x\n" + out(claim()),
        b"\xff\xfe" + out(claim()),
        b'[{"critical": {"type": "\xff"}}]',
        b"[" * 1_000_000,
        b'{"a":' * 1_000_000,
    ],
)
def test_an_answer_without_claims_proves_nothing(printed: bytes) -> None:
    assert judge_claims(printed, ASKED, "bundle") == NOTHING_CLAIMED


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ([], "there is no signature: what that identity made is nothing"),
        ([claim("https://cyclonedx.org/bom")], "there is no signature: what that identity made is https://cyclon"),
        ([claim(LEGACY_TYPE)], f"there is no signature: what that identity made is {LEGACY_TYPE}"),
        ([claim(BUNDLE_TYPE.upper())], "there is no signature: what that identity made is HTTPS://SIGSTORE.DEV"),
        ([claim(f"{BUNDLE_TYPE} ")], "there is no signature"),
        ([claim(f"{BUNDLE_TYPE}/v2")], "there is no signature"),
        ([claim("")], "there is no signature"),
        ([claim(digest=OTHER)], f"the signature names another digest: {OTHER}"),
        ([claim(digest=ASKED.upper())], "the signature names another digest: SHA256:AAAA"),
        ([claim(digest=ASKED[:-1])], "the signature names another digest"),
        ([claim(digest=f"{ASKED} ")], "the signature names another digest"),
        ([claim(digest="")], "the signature names another digest"),
        ([claim("https://cyclonedx.org/bom"), claim(digest=OTHER)], "the signature names another digest"),
    ],
)
def test_what_is_claimed_of_something_else_is_no_signature(claims: list[object], reason: str) -> None:
    answer = judge_claims(out(*claims), ASKED, "bundle")

    assert isinstance(answer, NotSigned)
    assert answer.reason.startswith(reason)


def test_a_signature_among_other_claims_is_found() -> None:
    others = [claim("https://cyclonedx.org/bom"), claim(digest=OTHER), claim(LEGACY_TYPE)]

    assert judge_claims(out(*others, claim()), ASKED, "bundle") == (None, None)


def test_a_claim_of_one_format_is_none_of_the_other() -> None:
    assert isinstance(judge_claims(out(claim(BUNDLE_TYPE)), ASKED, "legacy"), NotSigned)
    assert isinstance(judge_claims(out(claim(LEGACY_TYPE)), ASKED, "bundle"), NotSigned)


@pytest.mark.parametrize("doubled", ['"type": "x", "type"', '"type"'])
def test_of_keys_that_stand_twice_no_two_readings_are_mixed(doubled: str) -> None:
    """The last one counts, as it does for Go and Python."""
    digest = f'"docker-manifest-digest": "{OTHER}", "docker-manifest-digest": "{ASKED}"'
    printed = f'[{{"critical": {{"image": {{{digest}}}, {doubled}: "{BUNDLE_TYPE}"}}}}]'.encode()

    assert judge_claims(printed, ASKED, "bundle") == (None, None)
    assert isinstance(judge_claims(printed, OTHER, "bundle"), NotSigned)


def test_what_a_stranger_wrote_is_shown_bounded_and_plain() -> None:
    kinds = [claim(f"\x1b[31m::error::\u202e{number}" + "x" * 1000) for number in range(1000)]
    many = judge_claims(out(*kinds), ASKED, "bundle")
    other = judge_claims(out(claim(digest="\x1b]0;title\x07\r\n" + "y" * 100_000)), ASKED, "bundle")

    assert isinstance(many, NotSigned)
    assert isinstance(other, NotSigned)
    for reason in (many.reason, other.reason):
        assert reason.isprintable()
        assert len(reason) < 400


def test_a_huge_answer_is_read_in_a_moment() -> None:
    printed = out(*[claim("https://cyclonedx.org/bom", OTHER)] * 30_000)
    began = time.monotonic()
    judge_claims(printed, ASKED, "bundle")

    assert len(printed) > 6_000_000
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("payload", "logged"),
    [
        ({"logIndex": 42, "integratedTime": SECONDS}, (AT, 42)),
        ({"logIndex": 0, "integratedTime": SECONDS}, (AT, 0)),
        ({"integratedTime": SECONDS}, (AT, None)),
        ({"logIndex": 42, "integratedTime": 0}, (None, 42)),
        ({"logIndex": 42, "integratedTime": -1}, (None, 42)),
        ({"logIndex": 42, "integratedTime": 253_402_300_799}, (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), 42)),
        ({"logIndex": 42, "integratedTime": 253_402_300_800}, (None, 42)),
        ({"logIndex": 42, "integratedTime": 2**63}, (None, 42)),
        ({"logIndex": 42, "integratedTime": None}, (None, 42)),
        ({"logIndex": None}, (None, None)),
        ({}, (None, None)),
    ],
)
def test_when_a_legacy_signature_was_logged(payload: dict[str, object], logged: object) -> None:
    assert judge_claims(legacy(**payload), ASKED, "legacy") == logged


@pytest.mark.parametrize("optional", [None, {}, {"Bundle": None}, {"Bundle": {}}, {"Bundle": {"Payload": None}}])
def test_a_signature_may_say_nothing_of_its_log(optional: object) -> None:
    assert judge_claims(out(claim(LEGACY_TYPE, optional=optional)), ASKED, "legacy") == (None, None)


@pytest.mark.parametrize(
    ("code", "said", "expected"),
    [
        (10, "no signatures found", NotSigned(UNSIGNED)),
        (10, "in other words", NotSigned(UNSIGNED)),
        (1, "no valid bundles exist in registry", NotSigned(UNSIGNED)),
        (1, "no signatures associated with the image", NotSigned(UNSIGNED)),
        (12, "no matching signatures: x", NotSigned("not signed as it must be: no matching signatures: x")),
        (1, "no matching attestations: x", NotSigned("not signed as it must be: no matching attestations: x")),
        (11, "image tag not found: x", NotSigned("cosign does not find the image: image tag not found: x")),
    ],
)
def test_a_failure_that_is_an_answer(code: int, said: str, expected: NotSigned) -> None:
    assert judge_failure(code, f"Error: {said}\nerror during command execution: {said}\n".encode()) == expected


@pytest.mark.parametrize(
    ("code", "err", "said"),
    [
        (1, b"error during command execution: GET http://x: connection refused\n", "1: GET http://x: connection ref"),
        (13, b"error during command execution: no certificate found on signature", "13: no certificate found"),
        (2, b"fatal error: runtime: out of memory", "2: fatal error: runtime: out of memory"),
        (-9, b"", "-9: it said nothing"),
        (1, b"", "1: it said nothing"),
        (99, b"\xff\xfe", "99: "),
    ],
)
def test_a_failure_that_is_no_answer(code: int, err: bytes, said: str) -> None:
    answer = judge_failure(code, err)

    assert isinstance(answer, Unanswered)
    assert answer.reason.startswith(f"cosign ended with {said}")
    assert answer.exit_code == 4


@pytest.mark.parametrize(
    ("code", "said", "expected"),
    [
        (0, "", NotSigned),
        (1, "unknown flag: --experimental-oci11", NotSigned),
        (1, "entity not found in registry", NotSigned),
        (1, "getting referrers: 503", Unanswered),
        (-9, "", Unanswered),
    ],
)
def test_unsigned_is_said_of_what_the_registry_does_tell(code: int, said: str, expected: type) -> None:
    answer = judge_unsigned(code, f"error during command execution: {said}".encode())

    assert type(answer) is expected
    assert (answer == NotSigned(UNSIGNED)) == (code == 0 or "unknown flag" in said)


def test_what_cosign_says_is_shown_bounded_and_plain() -> None:
    err = b"Error: ghs_" + b"s" * 1000 + b"\nerror during command execution: \x1b[2Jone\r\n::error::two\x00\xe2\x80\xae"
    said = said_last(err + b"x" * 8_000_000)

    assert said.startswith("one ::error::two")
    assert said.isprintable()
    assert len(said) == 500


def test_the_reason_that_says_most_is_told() -> None:
    unknown, wrong = Unanswered("x", "y"), NotSigned("not signed as it must be: identity")
    late = NotSigned("not signed as it must be: failed to verify timestamps: x")
    unsigned = NotSigned(UNSIGNED)

    assert best_failure([unsigned, wrong, unknown]) == unknown
    assert best_failure([unsigned, late, wrong]) == wrong
    assert best_failure([unsigned, late]) == late
    assert best_failure([unsigned, unsigned]) == unsigned


def test_the_tag_stands_in_the_identity_and_nothing_else_changes() -> None:
    assert identity_of(WHO, REF) == "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1.4.1"
    assert identity_of(Signature("", "{tag}{tag}.{TAG}"), REF) == "v1.4.1v1.4.1.{TAG}"


SIGNED = Signed(ASKED, "https://x.example", "https://y.example", "bundle", "cosign 3.1.3", AT, 42)
SAID = (
    "signed by https://x.example, issuer https://y.example, 2026-08-20 12:00 UTC, log index 42; Sigstore bundle, "
    "verified by cosign 3.1.3"
)


@pytest.mark.parametrize(
    ("answer", "verdict", "code", "evidence"),
    [
        (SIGNED, "pass", 0, SAID),
        (
            Signed(ASKED, "x", "y", "legacy", "cosign 2.6.5", None, 0),
            "pass",
            0,
            "signed by x, issuer y, log index 0; legacy signature, verified by cosign 2.6.5",
        ),
        (NotSigned(UNSIGNED), "fail", 5, "unsigned"),
        (Unanswered("cosign ended with 1: x", "Run it again."), "unknown", 4, "cosign ended with 1: x"),
    ],
)
def test_the_gate_says_who_signed_or_why_not(answer: Answer, verdict: str, code: int, evidence: str) -> None:
    gate = signature_gate(answer, REF, "cosign verify x")

    assert (gate.verdict, gate.exit_code, gate.evidence, gate.repeat) == (verdict, code, evidence, "cosign verify x")
    assert bool(gate.next_step) == bool(code)


def test_who_is_not_signed_is_not_used() -> None:
    assert signature_gate(NotSigned(UNSIGNED), REF, "").next_step.startswith("Do not use v1.4.1.")


@pytest.mark.parametrize(
    ("root", "form", "flags"),
    [
        ("", "bundle", ""),
        ("sigstore/root.json", "bundle", " --trusted-root sigstore/root.json"),
        ("", "legacy", " --new-bundle-format=false"),
    ],
)
def test_a_person_can_ask_the_same_again(root: str, form: Format, flags: str) -> None:
    signature = Signature(WHO.issuer, WHO.identity, root)
    command = repeat_command(Repository("ghcr.io", "acme/app"), ASKED, REF, signature, form)

    assert command == (
        f"cosign verify{flags} --certificate-oidc-issuer https://issuer.example --certificate-identity "
        f"https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1.4.1 ghcr.io/acme/app@{ASKED}"
    )
