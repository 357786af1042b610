"""Both cosigns on images that a private Sigstore signed, in registries that nobody here wrote.

What they say is held against tests/recorded/cosign, which the unit tests replay. With GATEWAY_BOT_RECORD=1 it is
written there instead.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.core.distribution import Login
from bot.core.gates import Unanswered
from bot.core.model import Signature
from bot.core.reference import Digest
from bot.core.signature import Answer, Format, NotSigned, Signed, signature_gate
from bot.embedded.registry import EmbeddedRegistry
from bot.embedded.tokens import TokenServer
from bot.errors import UsageError
from tests import sigstore
from tests.parts import free_port, require, running
from tests.recorded.cosign.records import file_of, recorded, recording
from tests.sigstore import BUNDLED, CASES, IDENTITY, LEGACY, OTHERS, REF, SIGNATURE, Judge, SignedImages

pytestmark = pytest.mark.real

judge, signed = sigstore.judge, sigstore.signed
signed_in_crane, signed_in_docker = sigstore.signed_in_crane, sigstore.signed_in_docker

PASSWORD = "of no secret"  # noqa: S105 - of registries on loopback
# htpasswd of the user `bot` with PASSWORD: bcrypt, which is all that docker-registry reads.
HTPASSWD = "bot:$2b$04$UFHRP/HNlIlbN.lHwb./J.Cvz0gpG82qQAdYv0tOfTDG6T0BVo1N.\n"


def exit_code(answer: Answer) -> int:
    return signature_gate(answer, REF, "").exit_code


def is_upstreams(answer: Answer, form: Format, digest: Digest, signed: SignedImages) -> bool:
    """Whether it was signed as it must be, and when the private Sigstore was there."""
    if not isinstance(answer, Signed) or answer.at is None:
        return False
    said = (answer.digest, answer.identity, answer.issuer, answer.format)
    at_that_time = signed.began.replace(microsecond=0) <= answer.at <= signed.ended
    return at_that_time and said == (digest, IDENTITY, SIGNATURE.issuer, form)


@pytest.mark.parametrize("case", CASES)
def test_what_cosign_says_is_what_was_recorded(judge: Judge, case: str, signed_in_crane: str, tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    starts.mkdir()
    judge.instead(recording(starts))
    judge.verify(signed_in_crane, case)
    fresh, kept = recorded(starts), file_of(judge.major, case)
    if os.environ.get("GATEWAY_BOT_RECORD") == "1":
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(fresh)

    assert kept.read_text() == fresh


@pytest.mark.parametrize("case", BUNDLED)
def test_a_bundle_by_upstream_passes(judge: Judge, case: str, signed_in_crane: str, signed: SignedImages) -> None:
    answer = judge.verify(signed_in_crane, case)

    assert is_upstreams(answer, "bundle", signed.digests[case], signed), answer
    assert isinstance(answer, Signed)
    assert (answer.log_index, answer.tool[:8]) == (BUNDLED[case], f"cosign {judge.major}")


@pytest.mark.parametrize("case", LEGACY)
def test_a_legacy_signature_by_upstream_passes(
    judge: Judge, case: str, signed_in_crane: str, signed: SignedImages
) -> None:
    """cosign 2 sees none behind a stranger's bundle, whatever its flags; cosign 3 does, when it is told to."""
    answer = judge.verify(signed_in_crane, case)
    if (judge.major, case) == ("2", "hidden"):
        assert isinstance(answer, NotSigned)
        assert "https://github.com/evil/agentgateway/" in answer.reason
        return

    assert is_upstreams(answer, "legacy", signed.digests[case], signed), answer
    assert isinstance(answer, Signed)
    assert answer.log_index == LEGACY[case]


@pytest.mark.parametrize("case", OTHERS)
def test_what_upstream_did_not_sign_is_refused(judge: Judge, case: str, signed_in_crane: str) -> None:
    answer = judge.verify(signed_in_crane, case)

    assert isinstance(answer, NotSigned)
    assert OTHERS[case] in answer.reason
    assert exit_code(answer) == 5


@pytest.mark.parametrize("registry", ["docker", "embedded", "embedded without referrers"])
def test_signatures_are_found_in_every_kind_of_registry(
    judge: Judge, registry: str, signed: SignedImages, request: pytest.FixtureRequest
) -> None:
    cases = ("bundle", "legacy", "hidden-by-garbage", "sbom-only", "unsigned", "copied-bundle", "copied-legacy")
    with EmbeddedRegistry(referrers=registry == "embedded") as embedded:
        if registry == "docker":
            host: str = request.getfixturevalue("signed_in_docker")
        else:
            host = embedded.host
            signed.push(host, *cases)
        answers = {case: judge.verify(host, case) for case in cases}

    forms = [answer.format if isinstance(answer, Signed) else exit_code(answer) for answer in answers.values()]
    assert forms == ["bundle", "legacy", "legacy", 5, 5, 5, 5], answers


@pytest.mark.parametrize("case", ["bundle", "legacy"])
def test_another_tag_than_the_one_that_was_signed_is_refused(judge: Judge, case: str, signed_in_crane: str) -> None:
    """Nothing of an identity is a pattern: neither a part of the right one passes, nor one with a dot for any sign."""
    for identity in (f"{IDENTITY}0", IDENTITY[:-1], IDENTITY.replace("github.com", "github.co."), ".*"):
        other = Signature(SIGNATURE.issuer, identity, SIGNATURE.trusted_root)
        answer = judge.verify(signed_in_crane, case, signature=other)

        assert isinstance(answer, NotSigned), identity


@pytest.mark.parametrize(("issuer", "identity"), [("", IDENTITY), (SIGNATURE.issuer, "")])
def test_nobody_in_particular_has_signed_nothing(
    judge: Judge, issuer: str, identity: str, signed_in_crane: str
) -> None:
    answer = judge.verify(signed_in_crane, "both", signature=Signature(issuer, identity, "trusted-root.json"))

    assert isinstance(answer, Unanswered)


@pytest.mark.parametrize("case", ["bundle", "legacy"])
def test_the_root_of_another_sigstore_trusts_nothing_of_it(judge: Judge, case: str, signed_in_crane: str) -> None:
    answer = judge.verify(
        signed_in_crane, case, signature=Signature(SIGNATURE.issuer, SIGNATURE.identity, "other-root.json")
    )

    assert isinstance(answer, NotSigned)
    assert exit_code(answer) == 5


@pytest.mark.parametrize("part", ["certificateAuthorities", "ctlogs", "tlogs", "timestampAuthorities"])
def test_one_stranger_among_the_trusted_is_one_too_many(
    judge: Judge, part: str, signed: SignedImages, signed_in_crane: str, tmp_path: Path
) -> None:
    """A legacy signature has its time from Rekor, and needs no timestamp authority."""
    root, other = (json.loads((signed.folder / f"{name}-root.json").read_text()) for name in ("trusted", "other"))
    (tmp_path / "trusted-root.json").write_text(json.dumps({**root, part: other[part]}))
    cases = ("bundle",) if part == "timestampAuthorities" else ("bundle", "legacy")

    for case in cases:
        assert isinstance(judge.verify(signed_in_crane, case, root=tmp_path), NotSigned)


def test_a_trusted_root_that_is_not_there_is_a_wrong_setting(
    judge: Judge, signed_in_crane: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="no file of the checkout") as raised:
        judge.verify(signed_in_crane, "bundle", root=tmp_path)

    assert raised.value.where == "trusted-root.json"


@pytest.mark.parametrize("text", ["{}", '{"mediaType": "x", "tlogs": []}'])
def test_a_trusted_root_that_is_none_proves_nothing(
    judge: Judge, text: str, signed_in_crane: str, tmp_path: Path
) -> None:
    (tmp_path / "trusted-root.json").write_text(text)
    answer = judge.verify(signed_in_crane, "both", root=tmp_path)

    assert isinstance(answer, Unanswered)
    assert "loading trusted root" in answer.reason


def test_a_registry_that_is_gone_leaves_it_unknown(judge: Judge) -> None:
    answer = judge.verify(f"127.0.0.1:{free_port()}", "bundle")

    assert isinstance(answer, Unanswered)
    assert "connection refused" in answer.reason
    assert exit_code(answer) == 4


def test_an_image_that_is_not_there_is_not_signed(judge: Judge) -> None:
    with EmbeddedRegistry() as embedded:
        answer = judge.verify(embedded.host, "bundle")

    assert isinstance(answer, NotSigned)
    assert "cosign does not find the image" in answer.reason


@pytest.fixture
def with_password(tmp_path: Path) -> Iterator[str]:
    """Debian's docker-registry, which asks for a name and a password."""
    (tmp_path / "htpasswd").write_text(HTPASSWD)
    host = f"127.0.0.1:{free_port()}"
    settings = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "storage")}},
        "http": {"addr": host},
        "auth": {"htpasswd": {"realm": "tests", "path": str(tmp_path / "htpasswd")}},
    }
    (tmp_path / "config.yml").write_text(json.dumps(settings))
    command = [require("docker-registry"), "serve", str(tmp_path / "config.yml")]
    with running(command, f"http://{host}/v2/", tmp_path / "log"):
        yield host


@pytest.fixture
def with_tokens() -> Iterator[str]:
    """A registry that gives tokens to one user, and nothing to others."""
    with EmbeddedRegistry(tokens=TokenServer("bot", PASSWORD, private=True)) as registry:
        yield registry.host


@pytest.mark.parametrize("registry", ["with_password", "with_tokens"])
def test_a_login_reaches_cosign_and_is_the_only_one(
    judge: Judge, registry: str, signed: SignedImages, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    host: str = request.getfixturevalue(registry)
    anonymous = judge.verify(host, "bundle")
    login = Login("bot", PASSWORD)
    logins = {host: login, "ghcr.io": Login("bot", "another one"), "": Login("nobody", "a third one")}
    config = {"auths": {host: {"username": "bot", "password": PASSWORD}}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    signed.push(host, "bundle", "legacy", environ={**os.environ, "DOCKER_CONFIG": str(tmp_path)})
    seen = tmp_path / "seen"
    seen.mkdir()
    copy = shlex.quote(shutil.which("cp") or "")
    judge.instead(f'{copy} -p "$DOCKER_CONFIG/config.json" {shlex.quote(str(seen))}/$$\nexec "$cosign" "$@"')
    judge.login = logins.get
    answers = [judge.verify(host, case) for case in ("bundle", "legacy")]
    configs = [json.loads(path.read_text()) for path in seen.iterdir()]

    assert isinstance(anonymous, Unanswered)
    assert [answer.format for answer in answers if isinstance(answer, Signed)] == ["bundle", "legacy"]
    assert {frozenset(config["auths"]) for config in configs} == {frozenset(), frozenset({host})}
    assert {stat.S_IMODE(path.stat().st_mode) for path in seen.iterdir()} == {0o600}


def test_a_wrong_password_leaves_it_unknown(judge: Judge, with_password: str) -> None:
    judge.login = lambda _host: Login("bot", "guessed")
    answer = judge.verify(with_password, "bundle")

    assert isinstance(answer, Unanswered)
    assert "guessed" not in repr(answer)


def test_nobody_is_asked_but_the_registry(judge: Judge, signed_in_crane: str) -> None:
    """Go's programs go to loopback themselves, and to all others by the proxy."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        url = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        judge.environ |= {"HTTPS_PROXY": url, "HTTP_PROXY": url}
        answers = [judge.verify(signed_in_crane, case) for case in ("bundle", "legacy", "unsigned")]
        proxy.settimeout(0)

        assert [isinstance(answer, Signed) for answer in answers] == [True, True, False]
        with pytest.raises(BlockingIOError):
            proxy.accept()
