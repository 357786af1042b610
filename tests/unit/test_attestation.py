from __future__ import annotations

import json
from base64 import b64encode

import pytest

from bot.core.gates import Unanswered
from bot.core.index import NotProven
from bot.core.model import Signature
from bot.core.release.attestation import (
    MAX_PREDICATE,
    PAYLOAD,
    STATEMENTS,
    Statement,
    canonical,
    judge_unattested,
    statements_in,
)
from bot.core.release.identity import our_identity
from bot.core.signature import NotSigned
from bot.errors import UsageError
from tests.unit.values import NEW, OLD

KIND = "https://cyclonedx.org/bom"


def envelope(
    predicate: str = "{}",
    *,
    digest: str = NEW,
    kind: str = KIND,
    statement: str = STATEMENTS[0],
    payload_type: str = PAYLOAD,
) -> bytes:
    """A line as cosign prints it."""
    algorithm, _, value = digest.partition(":")
    subject = json.dumps([{"name": "a", "digest": {"sha1": "x"}}, {"name": "b", "digest": {algorithm: value}}])
    payload = f'{{"_type":"{statement}","subject":{subject},"predicateType":"{kind}","predicate":{predicate}}}'
    return json.dumps({"payload": b64encode(payload.encode()).decode(), "payloadType": payload_type}).encode()


def test_a_document_has_one_form_however_it_is_written() -> None:
    documents = (
        b'{"b": [1.0, 1e3, -0, 0.10], "a": "\\u00e9\\/\\u003c\\ud83d\\ude00"}',
        '{"a":"é/<😀","b":[1,1000,0,0.1]}'.encode(),
        b'\n{"a" : "\\u00E9/\\u003C\xf0\x9f\x98\x80" , "b" : [1e0, 1000.0, -0.0, 1e-1]}\n',
    )

    assert {'{"a":"é/<😀","b":[1,1000,0,0.1]}'.encode()} == {canonical(document) for document in documents}


@pytest.mark.parametrize("document", [b"{}", b"[]", b"null", b'"a"', b'{"a":9007199254740992,"b":1e+21,"c":"\\n"}'])
def test_what_is_canonical_stays_as_it_is(document: bytes) -> None:
    actual = canonical(document)

    assert actual == canonical(actual)
    assert document == actual


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (b"", "no valid JSON"),
        (b"{", "no valid JSON"),
        (b'{"a":1}{"b":2}', "no valid JSON"),
        (b'"\xff"', "no valid JSON"),
        (b'"\\ud800"', "no valid JSON"),
        (b'{"a":1,"a":1}', "a key appears twice"),
        (b'[{"x":{"a":1,"\\u0061":1}}]', "a key appears twice"),
        (b"NaN", "NaN is no JSON"),
        (b"[-Infinity]", "-Infinity is no JSON"),
        (b"1e400", "out of range"),
        (b"9007199254740993", "more digits than would survive"),
        (b"-9007199254740993", "more digits than would survive"),
        (b"1" * 5000, "more digits than would survive"),
        (b"[" * 100_000, "nested too deeply"),
        (b" " * (MAX_PREDICATE + 1), "larger than 33,554,432 bytes"),
    ],
)
def test_what_would_not_come_back_from_an_attestation_is_refused(document: bytes, why: str) -> None:
    with pytest.raises(NotProven, match=why):
        canonical(document)


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_statement_about_our_digest_counts(statement: str) -> None:
    actual = statements_in(envelope('{"b":1.0,"a":[]}', statement=statement), NEW, KIND)

    assert (Statement(statement, KIND, b'{"a":[],"b":1}'),) == actual


@pytest.mark.parametrize(
    ("out", "why"),
    [
        (b"", "holds no statement: that proves nothing"),
        (b"\n\n", "no in-toto statement in a DSSE envelope"),
        (b"Verified OK", "no in-toto statement in a DSSE envelope"),
        (b"[]", "no in-toto statement in a DSSE envelope"),
        (b"[" * 100_000, "no in-toto statement in a DSSE envelope"),
        (b'{"payload":"e30=","payloadType":"application/vnd.in-toto+json"}', "no in-toto statement in a DSSE envelope"),
        (b'{"payload":"%%%","payloadType":"application/vnd.in-toto+json"}', "no in-toto statement in a DSSE envelope"),
        (envelope(payload_type="text/plain"), "no in-toto statement but text/plain"),
        (envelope(statement="https://in-toto.io/Statement/v2"), "no in-toto statement"),
        (envelope(kind="https://sigstore.dev/cosign/sign/v1"), "of type https://sigstore.dev/cosign/sign/v1"),
        (envelope(kind=f"{KIND}/v1"), f"of type {KIND}/v1"),
        (envelope(digest=OLD), "about another digest"),
        (envelope(digest=NEW.upper()), "about another digest"),
        (envelope(digest=NEW.replace("256", "512")), "about another digest"),
        (envelope(digest=f"{NEW}0"), "about another digest"),
        (envelope('{"a":1,"a":2}'), "a key appears twice"),
    ],
)
def test_an_exit_of_0_alone_proves_nothing(out: bytes, why: str) -> None:
    answer = statements_in(out, NEW, KIND)

    assert isinstance(answer, NotSigned)
    assert why in answer.reason
    assert len(answer.reason) < 400


def test_what_was_said_twice_is_one_and_the_order_is_always_the_same() -> None:
    lines = [envelope(f'{{"n":{n}}}') for n in (3, 1, 2, 1)]
    other = [envelope(digest=OLD), b"nonsense"]

    expected = [b'{"n":1}', b'{"n":2}', b'{"n":3}']
    for out in (lines + other, other + lines[::-1]):
        answer = statements_in(b"\n".join(out), NEW, KIND)
        assert isinstance(answer, tuple)
        assert expected == [statement.predicate for statement in answer]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("no matching attestations: \n", NotSigned("unsigned")),
        ("none of the attestations matched the predicate type: a, found: b", NotSigned("unsigned")),
        (
            'no matching attestations: expected SAN value "a", got "b"\nand again',
            NotSigned(
                'not attested as it must be: no matching attestations: expected SAN value "a", got "b" and again'
            ),
        ),
    ],
)
def test_what_cosign_says_of_attestations_is_told_apart(said: str, expected: NotSigned) -> None:
    err = f"Error: {said}\nerror during command execution: {said}".encode()

    assert expected == judge_unattested(1, err)


@pytest.mark.parametrize(
    "said", ["", 'Get "https://a.b/v2/": connection refused', "unknown flag: --type", "\x1b[31m" * 999]
)
def test_what_cosign_does_not_say_is_not_known(said: str) -> None:
    answer = judge_unattested(1, f"error during command execution: {said}".encode())

    assert isinstance(answer, Unanswered)
    assert answer.reason.startswith("cosign ended with 1: ")
    assert answer.reason.isprintable()


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("https://github.com/{repository}/a.yml@refs/tags/{tag}", "https://github.com/acme/app/a.yml@refs/tags/v1"),
        ("{tag}{tag}", "v1v1"),
        ("release@acme.example", "release@acme.example"),
    ],
)
def test_our_identity_is_that_of_one_tag_of_one_repository(template: str, expected: str) -> None:
    actual = our_identity(Signature("i", template, "root.json"), "acme/app", "v1")

    assert Signature("i", expected, "root.json") == actual


def test_what_is_filled_in_is_not_filled_again() -> None:
    actual = our_identity(Signature("i", "{repository}@{tag}"), "a/{tag}", "{repository}")

    assert actual.identity == "a/{tag}@{repository}"


def test_an_identity_of_a_repository_that_nobody_named_is_wrong_use() -> None:
    with pytest.raises(UsageError) as refused:
        our_identity(Signature("i", "{repository}@{tag}"), "", "v1")

    assert our_identity(Signature("i", "me@{tag}"), "", "v1").identity == "me@v1"
    assert refused.value.next_step == "Set GITHUB_REPOSITORY, or start with --repository OWNER/NAME."
