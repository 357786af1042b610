"""cosign 3 signs and attests in a private Sigstore that runs, in registries that nobody here wrote."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from bot.adapters import cosign as cosign_adapter
from bot.adapters.cosign import signing
from bot.core.distribution import Login
from bot.core.gates import Unanswered
from bot.core.reference import Digest, Repository
from bot.core.release.attestation import Statement, canonical, repeat_attested
from bot.core.release.identity import our_identity
from bot.core.release.provenance import PREDICATE_TYPE
from bot.core.release.sbom import PREDICATE_TYPES
from bot.core.signature import NotSigned, Signed
from bot.embedded.registry import EmbeddedRegistry
from bot.errors import ServiceError, UsageError
from tests import live_sigstore as live
from tests.live_sigstore import LiveSigstore
from tests.parts import free_port, require, running
from tests.workshop import HTPASSWD, OURS, PASSWORD, POLICY, SBOM, STRANGER, TAG, Workshop

pytestmark = pytest.mark.real

live_sigstore, sigstore_of_session = live.live_sigstore, live.sigstore_of_session

TYPES = (*PREDICATE_TYPES.values(), PREDICATE_TYPE)


@pytest.fixture(scope="module")
def private_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Debian's docker-registry, which wants a password for everything."""
    program, folder = require("docker-registry"), tmp_path_factory.mktemp("private-registry")
    host = f"127.0.0.1:{free_port()}"
    (folder / "htpasswd").write_text(HTPASSWD)
    settings = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "storage")}},
        "http": {"addr": host},
        "auth": {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}},
    }
    (folder / "config.yml").write_text(json.dumps(settings))
    with running([program, "serve", str(folder / "config.yml")], f"http://{host}/v2/", folder / "log"):
        yield host


@pytest.fixture(scope="module")
def referring_registry() -> Iterator[str]:
    """A registry with the referrers API, which neither crane's nor Debian's has."""
    with EmbeddedRegistry(referrers=True) as registry:
        yield registry.host


@pytest.fixture
def workshop(tmp_path: Path, live_sigstore: LiveSigstore, crane_registry: str) -> Workshop:
    return Workshop(tmp_path, live_sigstore, crane_registry, None)


@pytest.fixture(params=["crane_registry", "docker_registry", "private_registry", "referring_registry"])
def anywhere(tmp_path: Path, live_sigstore: LiveSigstore, request: pytest.FixtureRequest) -> Workshop:
    """In each of the registries."""
    host: str = request.getfixturevalue(request.param)
    login = Login("bot", PASSWORD) if request.param == "private_registry" else None
    return Workshop(tmp_path, live_sigstore, host, login)


def predicates(answer: tuple[Statement, ...] | NotSigned | Unanswered) -> list[bytes]:
    assert isinstance(answer, tuple), answer
    return [statement.predicate for statement in answer]


def test_what_was_signed_is_signed_by_exactly_this_identity(anywhere: Workshop) -> None:
    before = anywhere.verify()
    anywhere.sign()
    answer = anywhere.verify()
    others = [
        anywhere.verify(our_identity(POLICY.signature, repository, tag))
        for repository, tag in (("acme/app", "v1.2.30"), ("acme/app", "v1.2"), ("evil/app", TAG))
    ]

    assert before == NotSigned("unsigned")
    assert all(isinstance(other, NotSigned) and OURS.identity in other.reason for other in others), others
    assert isinstance(answer, Signed), answer
    assert (answer.digest, answer.identity, answer.format) == (anywhere.digest, OURS.identity, "bundle")


@pytest.mark.parametrize(("registry", "written"), [("referring_registry", 0), ("docker_registry", 1)])
def test_a_tag_stands_in_for_the_referrers_api_where_there_is_none(
    registry: str, written: int, tmp_path: Path, live_sigstore: LiveSigstore, request: pytest.FixtureRequest
) -> None:
    """It is the digest of the image without a suffix, for both alike; there is no `.sig` and no `.att`."""
    workshop = Workshop(tmp_path, live_sigstore, request.getfixturevalue(registry), None)
    workshop.sign()
    workshop.attest(b"{}")

    assert sorted([TAG, workshop.digest.replace(":", "-")][: 1 + written]) == sorted(workshop.tags())


@pytest.mark.parametrize("kind", TYPES)
def test_what_was_attested_comes_back_as_it_was_said(anywhere: Workshop, kind: str) -> None:
    predicate = json.dumps({"of": kind, "text": "é<>&\u2028\x7f😀", "numbers": [1.0, 0.1, -0.0, 1e21, 1e-7, 2**53]})
    before = anywhere.attested(kind)
    anywhere.attest(predicate.encode(), kind)
    (statement,) = predicates(anywhere.attested(kind))
    others = [anywhere.attested(other) for other in TYPES if other != kind]

    assert before == NotSigned("unsigned")
    assert others == [NotSigned("unsigned")] * 2
    assert canonical(predicate.encode()) == statement


def test_an_attestation_is_no_signature_and_a_signature_no_attestation(workshop: Workshop) -> None:
    workshop.attest(b"{}")
    attested = workshop.verify()
    workshop.sign()

    assert isinstance(attested, NotSigned)
    assert "there is no signature" in attested.reason
    assert isinstance(workshop.verify(), Signed)
    assert predicates(workshop.attested()) == [b"{}"]


def test_the_command_that_is_told_verifies_it_again(workshop: Workshop) -> None:
    """As a person runs it, in the checkout."""
    workshop.attest(b'{"a":1}')
    command = repeat_attested(workshop.repository, workshop.digest, SBOM, OURS)
    environ = {"PATH": f"{workshop.path}:{os.environ['PATH']}", "HOME": str(workshop.folder)}
    codes = [
        subprocess.run(
            ["sh", "-c", each], cwd=workshop.folder, env=environ, capture_output=True, timeout=60, check=False
        ).returncode
        for each in (command, command.replace("acme/app/", "evil/app/"), command.replace("/bom", "/vex"))
    ]

    assert codes == [0, 1, 1]


def test_what_others_attest_is_not_ours(workshop: Workshop) -> None:
    workshop.attest(b'{"by":"a stranger"}', who=STRANGER)
    alone = workshop.attested()
    workshop.attest(b'{"by":"us"}')

    assert isinstance(alone, NotSigned)
    assert STRANGER in alone.reason
    assert predicates(workshop.attested()) == [b'{"by":"us"}']


def test_what_is_said_of_the_index_is_not_said_of_its_platforms(workshop: Workshop) -> None:
    workshop.attest(b"{}")

    assert workshop.attested(digest=workshop.child()) == NotSigned("unsigned")


def test_what_is_said_twice_is_signed_twice_and_read_once(workshop: Workshop) -> None:
    for predicate in (b'{"a": 1, "b": 2}', b'{"b":2,"a":1}', b'{"a":0}'):
        workshop.attest(predicate)
    workshop.sign()
    workshop.sign()

    assert len(workshop.referrers()) == 5
    assert predicates(workshop.attested()) == [b'{"a":0}', b'{"a":1,"b":2}']


@pytest.mark.parametrize("registry", ["docker_registry", "crane_registry"])
def test_what_is_said_at_once_is_all_kept(
    registry: str, tmp_path: Path, live_sigstore: LiveSigstore, request: pytest.FixtureRequest
) -> None:
    """Without a referrers API each writes the same list anew."""
    workshop = Workshop(tmp_path, live_sigstore, request.getfixturevalue(registry), None)
    signer, said = workshop.signer(), [f'{{"n":{number}}}'.encode() for number in range(6)]
    attest = partial(signer.attest, workshop.repository, workshop.digest, SBOM, policy=POLICY)
    with ThreadPoolExecutor(len(said)) as threads:
        list(threads.map(lambda predicate: attest(predicate=predicate), said))

    assert said == predicates(workshop.attested())


def test_a_token_that_was_given_comes_first(workshop: Workshop) -> None:
    """And it is told in no argument and passed on to nobody else; nothing else of the environment is."""
    token = workshop.sigstore.token(OURS.identity)
    seen = workshop.folder / "seen"
    workshop.instead(f'printf "%s\\n" "$@" >> {seen}.arguments\nenv >> {seen}.variables\nexec "$cosign" "$@"')
    environ = {**workshop.sigstore.environ(STRANGER), "SIGSTORE_ID_TOKEN": token, "COSIGN_REPOSITORY": "a.b/c"}
    workshop.sign(environ=environ)
    arguments, variables = (Path(f"{seen}.{what}").read_text() for what in ("arguments", "variables"))

    assert isinstance(workshop.verify(), Signed)
    assert token not in arguments
    assert f"SIGSTORE_ID_TOKEN={token}\n" in variables
    assert "ACTIONS_ID_TOKEN" not in variables
    assert "COSIGN_REPOSITORY" not in variables


@pytest.mark.parametrize("service", ["fulcio", "rekor", "timestamps", "tokens"])
def test_nothing_is_published_where_a_service_is_down_and_a_second_run_goes_on(
    workshop: Workshop, service: live.Service
) -> None:
    workshop.sigstore.stop(service)
    with pytest.raises(ServiceError) as refused:
        workshop.sign()
    with pytest.raises(ServiceError):
        workshop.attest(b"{}")
    tags = workshop.tags()
    workshop.sigstore.start()
    workshop.sign()

    assert tags == [TAG]
    assert "connection refused" in refused.value.what
    assert "Nothing is published unsigned. Run it again: it goes on from here." in refused.value.next_step
    assert refused.value.next_step.startswith("The identity token" if service == "tokens" else "A part of Sigstore")
    assert isinstance(workshop.verify(), Signed)


@pytest.mark.parametrize("service", ["rekor", "tokens"])
def test_a_service_that_never_answers_is_not_waited_for(
    workshop: Workshop, service: live.Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing, "SECONDS", 2.0)
    workshop.sigstore.hang(service)
    with pytest.raises(ServiceError):
        workshop.sign()

    assert workshop.tags() == [TAG]


@pytest.mark.parametrize(
    "token", ["expired", "garbage", "of another", "refused"], ids=["expired", "garbage", "of-another", "refused"]
)
def test_an_identity_token_that_is_not_accepted_signs_nothing(workshop: Workshop, token: str) -> None:
    """And nobody is asked for a browser."""
    environ = {"SIGSTORE_ID_TOKEN": "garbage"}
    match token:
        case "expired":
            environ = {"SIGSTORE_ID_TOKEN": workshop.sigstore.token(OURS.identity, seconds_ago=3600)}
        case "of another":
            environ = {"SIGSTORE_ID_TOKEN": f"{workshop.sigstore.token(OURS.identity)[:-8]}AAAAAAAA"}
        case "refused":
            environ = {**workshop.sigstore.environ(OURS.identity), "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "another"}
    with pytest.raises(ServiceError) as refused:
        workshop.sign(environ=environ)
    secrets = [value for name, value in environ.items() if name != "ACTIONS_ID_TOKEN_REQUEST_URL"]

    assert workshop.tags() == [TAG]
    assert refused.value.next_step.startswith("The identity token was not given, or not accepted")
    assert not any(secret in str(refused.value) for secret in secrets if secret not in {"garbage", "another"})


def test_a_registry_that_refuses_is_told_from_a_sigstore_that_is_down(anywhere: Workshop) -> None:
    anywhere.login = Login("bot", "another one") if anywhere.login else None
    signer = anywhere.signer()
    repository = Repository(anywhere.host, "acme/not-there")
    with pytest.raises(ServiceError) as refused:
        signer.sign(repository, anywhere.digest, POLICY)

    assert f"your login may push to {repository}" in refused.value.next_step


def test_cosign_2_does_not_sign_but_reads_what_was_attested(workshop: Workshop) -> None:
    workshop.attest(b'{"a":1}')
    workshop.use("cosign2")
    with pytest.raises(UsageError) as refused:
        workshop.sign()

    assert "releases are signed with cosign 3" in refused.value.what
    assert predicates(workshop.attested()) == [b'{"a":1}']
    assert isinstance(workshop.verify(), NotSigned)


def test_a_registry_that_is_down_says_nothing_of_attestations(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cosign_adapter, "SECONDS", 20.0)
    workshop.repository = Repository(f"127.0.0.1:{free_port()}", "acme/app")

    assert isinstance(workshop.attested(), Unanswered)


def test_an_image_that_is_not_there_is_not_attested(workshop: Workshop) -> None:
    answer = workshop.attested(digest=Digest(f"sha256:{'0' * 64}"))

    assert isinstance(answer, NotSigned)
    assert "does not find the image" in answer.reason


def test_another_trusted_root_trusts_nothing_of_it(workshop: Workshop) -> None:
    workshop.attest(b"{}")
    root = json.loads((workshop.folder / "trusted-root.json").read_text())
    root["tlogs"] = []
    (workshop.folder / "trusted-root.json").write_text(json.dumps(root))

    assert isinstance(workshop.attested(), NotSigned)
