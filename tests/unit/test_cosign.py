"""The adapter on what the real cosigns said, and on a cosign that does what none should."""

from __future__ import annotations

import os
import shlex
import shutil
import time
import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from bot.adapters import cosign as cosign_adapter
from bot.adapters.cosign import Cosign
from bot.adapters.programs import Programs
from bot.core.gates import Unanswered
from bot.core.model import Signature
from bot.core.reference import Digest
from bot.core.signature import Answer, Format, NotSigned, Signed
from bot.embedded.images import build_image
from bot.errors import UsageError
from tests.recorded.cosign.records import HOST, SIGNED_AT, file_of, replaying
from tests.sigstore import BUNDLED, IDENTITY, LEGACY, OTHERS, REF, SIGNATURE, image_of

CASE = "bundle"
VERSION = 'case "$1" in version) echo \'{"gitVersion": "v3.1.3"}\'; exit 0 ;; esac'
KIND = "https://sigstore.dev/cosign/sign/v1"
SYSTEM = os.pathsep.join(
    sorted({str(Path(shutil.which(name) or "").parent) for name in ("sh", "cat", "sleep", "head")})
)
OLD, NEW = "2.6.5", "3.1.3"


def digest_of_case(case: str) -> Digest:
    return build_image(variation=case).digest


class StandIn:
    """The adapter with a checkout, where a trusted root stands, and a `cosign` of the test's own on the PATH."""

    def __init__(self, folder: Path) -> None:
        self.checkout, self.path = folder / "checkout", folder / "path"
        self.checkout.mkdir()
        self.path.mkdir()
        (self.checkout / "trusted-root.json").write_text("{}")
        self.environ = {"PATH": f"{self.path}{os.pathsep}{SYSTEM}"}
        self.signature = SIGNATURE
        self.cosign = Cosign(Programs(self.environ, lambda _host: None), self.checkout, folder / "cache")

    def install(self, script: str) -> None:
        """Make `cosign` this shell script."""
        (self.path / "cosign").write_text(f"#!/bin/sh\n{script}\n")
        (self.path / "cosign").chmod(0o755)

    def prints(self, text: str | bytes, *, code: int = 0, err: str | bytes = "") -> None:
        """Make `cosign` one of a known version that says this, whatever it is asked."""
        for name, said in (("out", text), ("err", err)):
            (self.path / name).write_bytes(said if isinstance(said, bytes) else said.encode())
        self.install(f"{VERSION}\ncat {self.path}/out\ncat {self.path}/err >&2\nexit {code}")

    def replays(self, major: str, case: str) -> None:
        """Make `cosign` one that says what the real one said of a case."""
        self.install(replaying(file_of(major, case)))

    def verify(self, case: str = CASE) -> Answer:
        return self.cosign.verify(image_of(HOST, case), digest_of_case(case), REF, self.signature)


@pytest.fixture
def stand_in(tmp_path: Path) -> StandIn:
    return StandIn(tmp_path)


def claim(kind: str = KIND, digest: str = "", more: str = "") -> str:
    image = f'{{"docker-manifest-digest": "{digest or digest_of_case(CASE)}"}}'
    return f'[{{"critical": {{"identity": {{}}, "image": {image}, "type": "{kind}"}}, "optional": {{}}{more}}}]'


@pytest.mark.parametrize("version", [NEW, OLD])
@pytest.mark.parametrize(
    ("case", "form", "index"),
    [
        *((case, "bundle", index) for case, index in BUNDLED.items()),
        *((case, "legacy", index) for case, index in LEGACY.items() if case != "hidden"),
    ],
)
def test_what_upstream_signed_passes(stand_in: StandIn, version: str, case: str, form: Format, index: int) -> None:
    stand_in.replays(version[0], case)
    digest = digest_of_case(case)
    expected = Signed(digest, IDENTITY, SIGNATURE.issuer, form, f"cosign {version}", SIGNED_AT, index)

    assert stand_in.verify(case) == expected


def test_a_legacy_signature_behind_a_strangers_bundle_is_seen_by_cosign_3_alone(stand_in: StandIn) -> None:
    stand_in.replays("3", "hidden")
    seen = stand_in.verify("hidden")
    stand_in.cosign = Cosign(stand_in.cosign._programs, stand_in.checkout, stand_in.checkout)
    stand_in.replays("2", "hidden")
    unseen = stand_in.verify("hidden")

    assert isinstance(seen, Signed)
    assert (seen.format, seen.log_index) == ("legacy", LEGACY["hidden"])
    assert isinstance(unseen, NotSigned)
    assert "https://github.com/evil/agentgateway/" in unseen.reason


@pytest.mark.parametrize("major", ["3", "2"])
@pytest.mark.parametrize("case", OTHERS)
def test_what_upstream_did_not_sign_is_refused(stand_in: StandIn, major: str, case: str) -> None:
    stand_in.replays(major, case)
    answer = stand_in.verify(case)

    assert isinstance(answer, NotSigned)
    assert OTHERS[case] in answer.reason


def test_nothing_is_asked_but_by_exact_identity_issuer_and_digest(stand_in: StandIn) -> None:
    asked = stand_in.path / "asked"
    stand_in.install(
        f'echo "$@" >> {asked}; echo "$TUF_ROOT" > {stand_in.path}/tuf\n' + replaying(file_of("2", "rekor1"))
    )
    stand_in.verify("rekor1")
    starts = [shlex.split(line) for line in asked.read_text().splitlines()]
    root = str(stand_in.checkout / "trusted-root.json")

    assert {start[0] for start in starts} == {"version", "verify", "download", "verify-blob-attestation"}
    for start in starts:
        assert not [word for word in start if "insecure" in word or "regexp" in word or "http-registry" in word]
        if start[0].startswith("verify"):
            flags = dict(pairwise(start))
            assert flags["--certificate-identity"] == IDENTITY
            assert flags["--certificate-oidc-issuer"] == SIGNATURE.issuer
            assert flags["--trusted-root"] == root
            assert digest_of_case("rekor1").partition(":")[2] in (start[-1].rpartition(":")[2], flags.get("--digest"))
    assert (stand_in.path / "tuf").read_text().strip().endswith("/cache/sigstore")


def test_without_a_trusted_root_cosign_has_its_own(stand_in: StandIn) -> None:
    stand_in.install(f'{VERSION}\ncase "$*" in *--trusted-root*) exit 0 ;; esac\necho no root >&2\nexit 1')
    stand_in.signature = Signature(SIGNATURE.issuer, SIGNATURE.identity)
    answer = stand_in.verify()

    assert isinstance(answer, Unanswered)
    assert "no root" in answer.reason


def test_both_formats_are_asked_at_once(stand_in: StandIn) -> None:
    """Each waits for the other: one after the other they would never end."""
    stand_in.install(
        f"{VERSION}\ncase $1 in tree) exit 0 ;; esac\n: > {stand_in.path}/at-$$\n"
        f"while set -- {stand_in.path}/at-*; [ $# -lt 2 ]; do sleep 0.01; done\n"
        'echo "error during command execution: no signatures found" >&2\nexit 10'
    )

    assert stand_in.verify() == NotSigned("unsigned")


def test_the_version_is_asked_for_once(stand_in: StandIn) -> None:
    stand_in.prints("[]")
    script = (stand_in.path / "cosign").read_text().removeprefix("#!/bin/sh\n")
    stand_in.install(f'echo "$1" >> {stand_in.path}/asked\n{script}')
    for _ in range(3):
        stand_in.verify()

    assert (stand_in.path / "asked").read_text().split().count("version") == 1


@pytest.mark.parametrize(
    "version",
    [
        "",
        "devel",
        "(devel)",
        "v2.5.2",
        "v2.5.99",
        "v1.13.6",
        "v4.0.0",
        "v30.1.0",
        "v3",
        "x" * 100_000,
        "v3.1.3\\u001b[0m",
    ],
)
def test_a_version_that_is_not_known_here_is_asked_nothing(stand_in: StandIn, version: str) -> None:
    stand_in.install(f'[ $1 = version ] || exit 0\necho \'{{"gitVersion": "{version}"}}\'')
    answer = stand_in.verify()

    assert isinstance(answer, Unanswered)
    assert "is none that is known here: 2.6 or newer, or 3" in answer.reason
    assert len(answer.reason) < 120
    assert answer.reason.isprintable()


@pytest.mark.parametrize("version", ["2.6.0", "v2.6.5", "v2.7.0", "v3.0.0", "v3.99.0", "v3.2.0-rc.1"])
def test_a_version_that_is_known_here_is_asked(stand_in: StandIn, version: str) -> None:
    stand_in.install(f'[ $1 = version ] || exit 0\necho \'{{"gitVersion": "{version}"}}\'')

    assert isinstance(stand_in.verify(), NotSigned)


@pytest.mark.parametrize(
    "script",
    [
        "",
        "echo cosign 3",
        "echo '{}'",
        "echo '[]'",
        "echo null",
        "echo 3",
        "printf '\\377'",
        "exit 1",
        "head -c 200000 /dev/zero | tr '\\0' '['",
    ],
)
def test_a_cosign_that_does_not_say_its_version_is_asked_nothing(stand_in: StandIn, script: str) -> None:
    stand_in.install(f"[ $1 = version ] || exit 0\n{script}")
    answer = stand_in.verify()

    assert isinstance(answer, Unanswered)
    assert "cosign does not say its version" in answer.reason


def missing(_stand_in: StandIn) -> None:
    """There is no cosign."""


def not_executable(stand_in: StandIn) -> None:
    stand_in.install("")
    (stand_in.path / "cosign").chmod(0o644)


def not_a_program(stand_in: StandIn) -> None:
    (stand_in.path / "cosign").write_bytes(b"\x7fELF")
    (stand_in.path / "cosign").chmod(0o755)


def hanging(stand_in: StandIn) -> None:
    stand_in.install("exec sleep 100")


def hanging_later(stand_in: StandIn) -> None:
    stand_in.install(f"{VERSION}\nexec sleep 100")


def killed(stand_in: StandIn) -> None:
    stand_in.install(f"{VERSION}\nkill -KILL $$")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (missing, "cosign is not installed"),
        (not_executable, "cosign is not installed"),
        (not_a_program, "cannot be started"),
        (hanging, "did not end within"),
        (hanging_later, "did not end within"),
        (killed, "cosign ended with -9: it said nothing"),
    ],
)
def test_a_cosign_that_does_not_answer_leaves_it_unknown(
    stand_in: StandIn, make: Callable[[StandIn], None], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cosign_adapter, "SECONDS", 0.4)
    make(stand_in)
    began = time.monotonic()
    answer = stand_in.verify()

    assert time.monotonic() - began < 5
    assert isinstance(answer, Unanswered)
    assert reason in answer.reason
    assert answer.next_step
    assert answer.exit_code == 4


@pytest.mark.parametrize(
    ("printed", "reason"),
    [
        ("", "holds no claims"),
        ("\n", "holds no claims"),
        ("[]", "what that identity made is nothing"),
        ("null", "holds no claims"),
        ("Verified OK", "holds no claims"),
        (claim()[:-1], "holds no claims"),
        (f"WARNING: x\n{claim()}", "holds no claims"),
        (b"\xff" + claim().encode(), "holds no claims"),
        ("[" * 500_000, "holds no claims"),
        (claim("https://cyclonedx.org/bom"), "what that identity made is https://cyclonedx.org/bom"),
        (claim(KIND.upper()), "what that identity made is HTTPS://SIGSTORE.DEV/COSIGN/SIGN/V1"),
        (claim(digest=f"sha256:{'b' * 64}"), "the signature names another digest"),
        (claim(digest=f"sha256:{'a' * 64} "), "the signature names another digest"),
    ],
)
def test_an_exit_code_of_0_proves_nothing(stand_in: StandIn, printed: str | bytes, reason: str) -> None:
    stand_in.prints(printed)
    answer = stand_in.verify()

    assert isinstance(answer, NotSigned)
    assert reason in answer.reason


@pytest.mark.parametrize("code", [1, 2, 10, 11, 12, 13, 99])
def test_a_claim_proves_nothing_with_another_exit_code(stand_in: StandIn, code: int) -> None:
    stand_in.prints(claim(), code=code, err="error during command execution: something else")

    assert not isinstance(stand_in.verify(), Signed)


def test_what_was_signed_stays_signed_when_its_time_is_not_told(stand_in: StandIn) -> None:
    """Nothing but `verify` works: the download prints too much, and is stopped."""
    (stand_in.path / "claim").write_text(claim())
    stand_in.install(
        f"{VERSION}\ncase $1 in verify) exec cat {stand_in.path}/claim ;; download) exec cat /dev/zero ;; esac\nexit 1"
    )

    assert stand_in.verify() == Signed(
        digest_of_case(CASE), IDENTITY, SIGNATURE.issuer, "bundle", f"cosign {NEW}", None, None
    )


@pytest.mark.parametrize("output", ["1", "2"])
def test_a_gigabyte_of_words_is_stopped_in_little_memory(stand_in: StandIn, output: str) -> None:
    stand_in.install(f"{VERSION}\nexec head -c 1000000000 /dev/zero >&{output}")
    tracemalloc.start()
    began = time.monotonic()
    answer = stand_in.verify()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert isinstance(answer, Unanswered)
    assert "printed more than 8,388,608 bytes" in answer.reason
    assert time.monotonic() - began < 20
    assert peak < 60_000_000


def test_what_cosign_says_is_shown_bounded_and_plain(stand_in: StandIn) -> None:
    secret = "ghs_" + "s" * 36
    words = "\x1b]0;title\x07\x1b[31mred\r\n::add-mask::x\n##[error]y\u202e\u200b\x00" + "z" * 100_000
    stand_in.prints("", code=1, err=f"Authorization: Bearer {secret}\nerror during command execution: {words}")
    answer = stand_in.verify()

    assert isinstance(answer, Unanswered)
    assert answer.reason.startswith("cosign ended with 1: red ::add-mask::x ##[error]y")
    assert answer.reason.isprintable()
    assert len(answer.reason) < 600
    assert secret not in answer.reason


def outside(stand_in: StandIn) -> str:
    (stand_in.path / "root.json").write_text("{}")
    return "../path/root.json"


def outside_by_a_link(stand_in: StandIn) -> str:
    (stand_in.checkout / "linked.json").symlink_to(stand_in.path / "cosign")
    return "linked.json"


def absolute(stand_in: StandIn) -> str:
    return str(stand_in.path / "cosign")


@pytest.mark.parametrize("make", [lambda _: "missing.json", lambda _: ".", outside, outside_by_a_link, absolute])
def test_a_trusted_root_that_is_no_file_of_the_checkout_is_a_wrong_setting(
    stand_in: StandIn, make: Callable[[StandIn], str]
) -> None:
    stand_in.install(f": > {stand_in.path}/started")
    root = make(stand_in)
    stand_in.signature = Signature(SIGNATURE.issuer, SIGNATURE.identity, root)
    with pytest.raises(UsageError, match="the trusted root is no file of the checkout") as raised:
        stand_in.verify()

    assert raised.value.where == root
    assert raised.value.exit_code == 2
    assert not (stand_in.path / "started").exists()
