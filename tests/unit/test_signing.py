"""The signer on a cosign that does what none should; tests/real/test_signing.py has the real one."""

from __future__ import annotations

import json
import shutil
import tempfile
from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from bot.adapters.cosign import signing
from bot.adapters.cosign.signing import Signer, can_sign
from bot.adapters.programs import Programs
from bot.core.gates import Unanswered
from bot.core.model import ReleasePolicy, Signature, Target
from bot.core.reference import Repository
from bot.core.release.attestation import PAYLOAD, STATEMENTS, Statement
from bot.core.signature import NotSigned
from bot.errors import ServiceError, UsageError
from tests.unit.values import NEW, OLD

KIND = "https://spdx.dev/Document"
REPOSITORY = Repository("ghcr.io", "acme/app")
OURS = Signature("https://issuer.example", "https://github.com/acme/app/a.yml@refs/tags/v1", "root.json")
POLICY = ReleasePolicy("app", (Target("ghcr.io/acme/app"),), OURS, "config.json")
GITHUB = {"ACTIONS_ID_TOKEN_REQUEST_URL": "http://127.0.0.1:1/?a=b", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of this run"}
VERSION = 'case "$1" in version) echo \'{"gitVersion": "v3.1.3"}\'; exit 0 ;; esac'


class Desk:
    """A checkout with a private Sigstore's files, and a `cosign` of the test's own on the PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "path"
        self.path.mkdir()
        for tool in ("cat", "cp", "env", "sleep", "sh"):
            (self.path / tool).symlink_to(shutil.which(tool) or "/nowhere")
        for name in ("root.json", "config.json"):
            (folder / name).write_text("{}")
        self.logins: list[str] = []
        self.install("")

    def install(self, script: str, version: str = VERSION) -> None:
        """Make `cosign` one that does this, and keeps how it was started in `arguments` and `variables`."""
        kept = f'printf "%s\\n" "$@" > {self.folder}/arguments\nenv > {self.folder}/variables'
        (self.path / "cosign").write_text(f"#!/bin/sh\n{version}\n{kept}\n{script}\n")
        (self.path / "cosign").chmod(0o755)

    def prints(self, out: bytes) -> None:
        (self.folder / "out").write_bytes(out)
        self.install(f"cat {self.folder}/out")

    def signer(self, environ: Mapping[str, str] = GITHUB) -> Signer:
        programs = Programs({"PATH": str(self.path), **environ}, self.logins.append)
        return Signer(programs, self.folder, environ)

    def kept(self, name: str) -> list[str]:
        return (self.folder / name).read_text().splitlines()

    @property
    def asked(self) -> bool:
        """Whether cosign was asked for more than its version."""
        return (self.folder / "arguments").exists()

    def attested(self) -> tuple[Statement, ...] | NotSigned | Unanswered:
        return self.signer({}).attestations(REPOSITORY, NEW, KIND, OURS)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def envelope(digest: str = NEW, kind: str = KIND) -> bytes:
    """A line as cosign prints it."""
    subject = [{"digest": {"sha256": digest.removeprefix("sha256:")}}]
    statement = {"_type": STATEMENTS[0], "subject": subject, "predicateType": kind, "predicate": {"b": 1.0, "a": 2}}
    payload = b64encode(json.dumps(statement).encode()).decode()
    return json.dumps({"payload": payload, "payloadType": PAYLOAD}).encode()


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"GITHUB_TOKEN": "x", "GITHUB_ACTIONS": "true"},
        {"SIGSTORE_ID_TOKEN": ""},
        {"ACTIONS_ID_TOKEN_REQUEST_URL": "https://a.example"},
        {"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "x"},
        {**GITHUB, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": ""},
    ],
)
def test_without_an_identity_nothing_is_written_and_the_lines_to_add_are_said(
    desk: Desk, environ: dict[str, str]
) -> None:
    signer = desk.signer(environ)
    asked: list[Callable[[], None]] = [
        partial(can_sign, environ),
        partial(signer.ready, POLICY),
        partial(signer.sign, REPOSITORY, NEW, POLICY),
        partial(signer.attest, REPOSITORY, NEW, KIND, b"{}", POLICY),
    ]
    for ask in asked:
        with pytest.raises(UsageError) as refused:
            ask()

        assert "\n    permissions:\n      id-token: write\n" in refused.value.next_step
    assert not desk.asked


@pytest.mark.parametrize("environ", [GITHUB, {"SIGSTORE_ID_TOKEN": "x"}])
def test_with_an_identity_there_is_nothing_to_say(environ: dict[str, str], desk: Desk) -> None:
    can_sign(environ)
    desk.signer(environ).ready(POLICY)

    assert not desk.asked


@pytest.mark.parametrize("version", ["v2.6.5", "v4.0.0", "devel", "v30.0.0", ""])
def test_another_cosign_than_3_signs_nothing(desk: Desk, version: str) -> None:
    desk.install("", VERSION.replace("v3.1.3", version))
    with pytest.raises(UsageError) as refused:
        desk.signer().sign(REPOSITORY, NEW, POLICY)

    assert "releases are signed with cosign 3" in refused.value.what
    assert not desk.asked


def test_no_cosign_at_all_signs_nothing(desk: Desk) -> None:
    (desk.path / "cosign").unlink()

    with pytest.raises(ServiceError, match="cosign is not installed"):
        desk.signer().ready(POLICY)


@pytest.mark.parametrize("name", ["root.json", "config.json"])
@pytest.mark.parametrize("fault", ["missing", "no JSON", "outside"])
def test_a_file_of_a_private_sigstore_that_is_not_there_is_said_before_anything_is_written(
    desk: Desk, name: str, fault: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (desk.folder / name).unlink()
    if fault == "no JSON":
        (desk.folder / name).write_text("{")
    if fault == "outside":
        elsewhere = tmp_path_factory.mktemp("elsewhere") / "file.json"
        elsewhere.write_text("{}")
        (desk.folder / name).symlink_to(elsewhere)
    with pytest.raises(UsageError) as refused:
        desk.signer().ready(POLICY)

    assert refused.value.where == name
    assert ("is no JSON" if fault == "no JSON" else "is no file of the checkout") in refused.value.what
    assert not desk.asked


def test_a_signature_is_of_the_digest_and_asked_for_without_a_browser(desk: Desk) -> None:
    desk.signer().sign(REPOSITORY, NEW, POLICY)

    flags = ["--yes", "--fulcio-auth-flow", "token", "--timeout", "162.0s"]
    files = ["--trusted-root", f"{desk.folder}/root.json", "--signing-config", f"{desk.folder}/config.json"]
    assert ["sign", *flags, *files, f"ghcr.io/acme/app@{NEW}"] == desk.kept("arguments")
    assert desk.logins == ["ghcr.io"]


def test_the_public_sigstore_needs_no_files(desk: Desk) -> None:
    desk.signer().sign(REPOSITORY, NEW, replace(POLICY, signature=replace(OURS, trusted_root=""), signing_config=""))

    assert not any("root" in word or "config" in word for word in desk.kept("arguments"))


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (GITHUB, {"ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"}),
        ({**GITHUB, "SIGSTORE_ID_TOKEN": "secret"}, {"SIGSTORE_ID_TOKEN"}),
        ({**GITHUB, "GITHUB_TOKEN": "secret", "COSIGN_REPOSITORY": "a/b"}, set(GITHUB)),
    ],
)
def test_cosign_sees_the_identity_and_nothing_else_of_the_environment(
    desk: Desk, environ: dict[str, str], expected: set[str]
) -> None:
    desk.signer(environ).sign(REPOSITORY, NEW, POLICY)
    seen = {line.partition("=")[0] for line in desk.kept("variables")}

    assert expected == seen & {*environ, *GITHUB}
    assert not any(value in desk.kept("arguments") for value in environ.values())


def test_a_predicate_is_given_in_a_file_that_is_gone_afterwards(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    desk.install(
        f'for word; do case $before in --predicate) cp "$word" {desk.folder}/given ;; esac; before=$word; done'
    )
    desk.signer().attest(REPOSITORY, NEW, KIND, b'{"a":1}', POLICY)
    arguments = desk.kept("arguments")

    assert arguments[:4] == ["attest", "--type", KIND, "--predicate"]
    assert (desk.folder / "given").read_bytes() == b'{"a":1}'
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ('signing bundle: Post "https://fulcio.example/api/v2/signingCert": EOF', "A part of Sigstore did not answer"),
        ("", "A part of Sigstore did not answer"),
        ("GET https://ghcr.io/v2/acme/app/manifests/x: DENIED", "your login may push to ghcr.io/acme/app"),
        ("Fulcio returned 400: There was an error processing the identity token", "The identity token was not given"),
        ("reading ID token: fetching ambient OIDC credentials: refused", "The identity token was not given"),
        ("\x1b[31mred\n::error::x" + "x" * 9999, "A part of Sigstore did not answer"),
    ],
)
@pytest.mark.parametrize("command", ["sign", "attest"])
def test_a_cosign_that_fails_says_that_nothing_is_published_unsigned(
    desk: Desk, said: str, advice: str, command: str
) -> None:
    (desk.folder / "said").write_text(f"Error: {said}\nerror during command execution: {said}")
    desk.install(f"cat {desk.folder}/said >&2; exit 1")
    signer = desk.signer()
    make = signer.sign if command == "sign" else partial(signer.attest, predicate_type=KIND, predicate=b"{}")
    with pytest.raises(ServiceError) as refused:
        make(REPOSITORY, NEW, policy=POLICY)

    assert refused.value.exit_code == 4
    assert refused.value.where == f"ghcr.io/acme/app@{NEW}"
    assert refused.value.what.startswith("it is not signed: " if command == "sign" else "it is not attested: ")
    assert refused.value.what.isprintable()
    assert len(refused.value.what) < 600
    assert advice in refused.value.next_step
    assert refused.value.next_step.endswith("Nothing is published unsigned. Run it again: it goes on from here.")


def test_a_cosign_that_hangs_is_stopped(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.install("exec sleep 100")
    signer = desk.signer()
    signer.ready(POLICY)
    monkeypatch.setattr(signing, "SECONDS", 0.3)

    with pytest.raises(ServiceError, match="did not end within"):
        signer.sign(REPOSITORY, NEW, POLICY)


def test_what_was_attested_is_asked_for_with_the_exact_identity(desk: Desk) -> None:
    desk.prints(envelope())
    answer = desk.attested()

    who = ["--certificate-oidc-issuer", OURS.issuer, "--certificate-identity", OURS.identity]
    trusted = ["--trusted-root", f"{desk.folder}/root.json"]
    assert ["verify-attestation", "--type", KIND, *trusted, *who, f"ghcr.io/acme/app@{NEW}"] == desk.kept("arguments")
    assert (Statement(STATEMENTS[0], KIND, b'{"a":2,"b":1}'),) == answer


@pytest.mark.parametrize("out", [b"", b"Verified OK", b"[]", envelope(OLD), envelope(kind=f"{KIND}/2")])
def test_an_exit_of_0_is_no_attestation(desk: Desk, out: bytes) -> None:
    desk.prints(out)

    assert isinstance(desk.attested(), NotSigned)


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        ("exit 0", NotSigned("unsigned")),
        ("echo 'error during command execution: GET: 503' >&2; exit 1", None),
    ],
)
def test_unattested_is_said_of_what_the_registry_does_tell(desk: Desk, tree: str, expected: NotSigned | None) -> None:
    """A registry that does not say what refers to an image looks to cosign like one where nothing does."""
    said = "echo 'error during command execution: no matching attestations: ' >&2; exit 1"
    desk.install(f"case $1 in tree) {tree} ;; esac\n{said}")
    answer = desk.attested()

    assert isinstance(answer, Unanswered) if expected is None else answer == expected


@pytest.mark.parametrize("script", ["exec sleep 100", "exec cat /dev/zero", "kill -KILL $$", "exit 7"])
def test_a_cosign_that_misbehaves_says_nothing_of_attestations(
    desk: Desk, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing, "SECONDS", 2.0)
    desk.install(script)

    assert isinstance(desk.attested(), Unanswered)


def test_cosign_2_is_asked_for_bundles_in_both_its_ways(desk: Desk) -> None:
    """By one it takes the time of a timestamp authority, by the other that of the log."""
    (desk.folder / "out").write_bytes(envelope())
    stamped = 'case "$*" in *--use-signed-timestamps*) echo "no matching attestations: no time" >&2; exit 1 ;; esac'
    desk.install(f"{stamped}\ncat {desk.folder}/out", VERSION.replace("v3.1.3", "v2.6.5"))

    assert isinstance(desk.attested(), tuple)
    assert "--new-bundle-format" in desk.kept("arguments")
