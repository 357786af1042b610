"""The adapter on a cosign that does what none should: nothing passes, and it is told what is wrong."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.adapters import cosign as cosign_adapter
from bot.core.gates import Unanswered
from bot.core.model import Signature
from bot.core.signature import NotSigned, Signed
from bot.errors import UsageError
from tests.recorded.cosign.stand_in import CASE, KIND, VERSION, StandIn, claim, digest_of_case
from tests.sigstore import IDENTITY, SIGNATURE

NEW = "3.1.3"


@pytest.fixture
def stand_in(tmp_path: Path) -> StandIn:
    return StandIn(tmp_path)


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


@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----", b"\xff{}", b"[" * 100_000])
def test_a_trusted_root_that_is_no_json_is_wrong_settings(stand_in: StandIn, content: bytes) -> None:
    (stand_in.checkout / SIGNATURE.trusted_root).write_bytes(content)

    with pytest.raises(UsageError, match="the trusted root is no JSON"):
        stand_in.verify()
