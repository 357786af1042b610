"""The adapter on what the real cosigns said; tests/real/test_cosign.py sees that they still say so."""

from __future__ import annotations

import shlex
from itertools import pairwise
from pathlib import Path

import pytest

from bot.adapters import cosign as cosign_adapter
from bot.adapters.cosign import Cosign
from bot.core.gates import Unanswered
from bot.core.model import Signature
from bot.core.signature import Format, NotSigned, Signed
from tests.recorded.cosign.records import HOST, SIGNED_AT, file_of, replaying
from tests.recorded.cosign.stand_in import VERSION, StandIn, claim, digest_of_case
from tests.sigstore import BUNDLED, IDENTITY, LEGACY, OTHERS, SIGNATURE

OLD, NEW = "2.6.5", "3.1.3"


@pytest.fixture
def stand_in(tmp_path: Path) -> StandIn:
    return StandIn(tmp_path)


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
    stand_in.cosign = Cosign(stand_in.cosign._programs, stand_in.checkout)
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
        f'echo "$@" >> {asked}; echo "$TUF_ROOT$SIGSTORE_ROOT_FILE" > {stand_in.path}/root\n'
        + replaying(file_of("2", "rekor1"))
    )
    stand_in.verify("rekor1")
    starts = [shlex.split(line) for line in asked.read_text().splitlines()]
    remote = [start for start in starts if start[-1].startswith(f"{HOST}/")]
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
    assert stand_in.logins == [HOST] * len(remote)
    assert (stand_in.path / "root").read_text().strip() == ""


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


@pytest.mark.parametrize(
    ("err", "unknown"), [("getting referrers: 503", True), ("unknown flag: --x", False), ("", True)]
)
def test_unsigned_is_said_of_what_the_registry_does_tell(stand_in: StandIn, err: str, *, unknown: bool) -> None:
    """cosign 3 calls an image unsigned, too, when the registry does not say what refers to it."""
    said = 'echo "error during command execution: '
    stand_in.install(
        f'{VERSION}\n[ $1 = tree ] && {{ {said}{err}" >&2; exit 1; }}\n{said}no signatures found" >&2\nexit 10'
    )
    answer = stand_in.verify()

    assert isinstance(answer, Unanswered if unknown else NotSigned)
    assert (err if unknown else "unsigned") in answer.reason


@pytest.mark.parametrize("failure", ["exec sleep 100", "exec cat /dev/zero", "kill -KILL $$", "exit 2"])
def test_what_goes_wrong_with_one_format_does_not_hide_the_other(
    stand_in: StandIn, failure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cosign_adapter, "SECONDS", 0.5)
    (stand_in.path / "claim").write_text(claim("cosign container image signature"))
    legacy = f'case "$*" in *--new-bundle-format=false*) exec cat {stand_in.path}/claim ;; esac'
    stand_in.install(f"{VERSION}\n{legacy}\n{failure}")
    answer = stand_in.verify()

    assert isinstance(answer, Signed)
    assert answer.format == "legacy"


def test_the_version_is_asked_for_once(stand_in: StandIn) -> None:
    stand_in.prints("[]")
    script = (stand_in.path / "cosign").read_text().removeprefix("#!/bin/sh\n")
    stand_in.install(f'echo "$1" >> {stand_in.path}/asked\n{script}')
    for _ in range(3):
        stand_in.verify()

    assert (stand_in.path / "asked").read_text().split().count("version") == 1
