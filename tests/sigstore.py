"""Images that a private Sigstore signed, rightly and wrongly, and the two cosigns that judge them.

tests/real/sigstore signs; that is done once for as long as nothing of it changes, and kept in .cache/real/sigstore.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from bot.adapters.cosign import Cosign
from bot.adapters.programs import Programs
from bot.core.distribution import Login
from bot.core.model import Signature
from bot.core.reference import Digest, Repository, parse_repository
from bot.core.signature import Answer
from bot.core.versions import Ref
from tests.parts import REAL, ROOT, require

REF = Ref("v1.4.1")
SIGNATURE = Signature(
    "https://token.actions.githubusercontent.com",
    "https://github.com/agentgateway/agentgateway/.github/workflows/release.yml@refs/tags/{tag}",
    "trusted-root.json",
)
IDENTITY = SIGNATURE.identity.replace("{tag}", REF)

BUNDLED = {"bundle": 0, "both": 2, "in-company": 11, "rekor1": 13}
LEGACY = {"legacy": 0, "hidden": 10, "hidden-by-garbage": 12}
"""The images that upstream signed, with the place of each signature in its log."""

OTHERS = {
    "unsigned": "unsigned",
    "child-only": "unsigned",
    "sbom-only": "there is no signature: what that identity made is https://cyclonedx.org/bom",
    "wrong-tag": "release.yml@refs/tags/v9.9.9",
    "nightly": "release.yml@refs/heads/main",
    "other-repository": "https://github.com/evil/agentgateway/",
    "other-workflow": "/nightly.yml@refs/tags/v1.4.1",
    "other-issuer": "https://token.actions.elsewhere.example",
    "other-root": "leaf certificate verification failed",
    "copied-bundle": "artifact digest does not match any digest in statement",
    "copied-legacy": "invalid or missing digest in claim",
}
"""The images that upstream did not sign, with what the refusal says."""

CASES = (*BUNDLED, *LEGACY, *OTHERS)
_KEPT_SECONDS = 24 * 60 * 60
"""How long images of another state stay: an earlier run may still be at work with them."""
_PARTS = ("cosign3", "cosign2", "fulcio", "timestamp-server", "rekor-posix", "rekor-server", "ctlog", "memorylog")
_MADE_BY = (
    "tests/real/sigstore/*.py",
    "tests/gateway.py",
    "bot/embedded/images.py",
    ".cache/real/standin/*/*/agentgateway",
    *(f".cache/real/bin/.{stamp}-*" for stamp in ("cosign3", "cosign2", "fulcio", "timestamp", "rekor", "sigstore")),
)


class SignedImages(msgspec.Struct, frozen=True):
    """What was signed, by the case's name. `folder` is like a checkout: a trusted root stands in it."""

    folder: Path
    digests: Mapping[str, Digest]
    began: datetime
    ended: datetime

    def current(self, case: str) -> Digest:
        """What a case has released before, where it has."""
        index = json.loads((self.folder / "oci" / case / "v1.3.1" / "index.json").read_text())
        return Digest(index["manifests"][0]["digest"])

    def push(self, host: str, *cases: str, environ: Mapping[str, str] | None = None) -> None:
        """Put the images of these cases, or of all, with everything that was attached to them into a registry."""
        crane = require("crane")
        for layout in sorted(self.folder.glob("oci/*/*"), key=lambda path: (path.name != REF, path)):
            if not cases or layout.parent.name in cases:
                target = f"{host}/signed/{layout.parent.name}:{layout.name}"
                subprocess.run(
                    [crane, "push", layout, target], check=True, timeout=60, capture_output=True, env=environ
                )


def image_of(host: str, case: str) -> Repository:
    """Where `push` puts a case."""
    return parse_repository(f"{host}/signed/{case}")


class Judge:
    """One cosign, as the bot runs it."""

    def __init__(self, program: str, folder: Path, signed: SignedImages) -> None:
        self.major = program[-1]
        self.signed = signed
        self.path = folder / "path"
        self.path.mkdir()
        self.program = require(program)
        (self.path / "cosign").symlink_to(self.program)
        self.environ = {"PATH": str(self.path)}
        self.login: Callable[[str], Login | None] = lambda _host: None

    def instead(self, script: str) -> None:
        """Have this shell script called for cosign; `$cosign` is the real one."""
        (self.path / "cosign").unlink()
        (self.path / "cosign").write_text(f"#!/bin/sh\ncosign={shlex.quote(self.program)}\n{script}\n")
        (self.path / "cosign").chmod(0o755)

    def verify(self, host: str, case: str, *, root: Path | None = None, signature: Signature = SIGNATURE) -> Answer:
        """What it says of a case's image; `root` is the checkout, where the trusted root is looked for."""
        cosign = Cosign(Programs(self.environ, self.login), root or self.signed.folder)
        return cosign.verify(image_of(host, case), self.signed.digests[case], REF, signature)


@pytest.fixture(scope="session")
def signed() -> SignedImages:
    """Signed now, or by an earlier run of the same programs."""
    for part in _PARTS:
        require(part)
    folder = REAL / "sigstore"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = folder / _state()
        if not made.exists():
            for old in folder.iterdir():
                if old.is_dir() and time.time() - old.stat().st_mtime > _KEPT_SECONDS:
                    shutil.rmtree(old)
            shutil.rmtree(folder / "new", ignore_errors=True)
            _sign(folder / "new")
            (folder / "new").rename(made)
    found = json.loads((made / "signed.json").read_text())
    moments = (datetime.fromisoformat(found[name]) for name in ("began", "ended"))
    return SignedImages(made, found["digests"], *moments)


@pytest.fixture(scope="session")
def signed_in_crane(signed: SignedImages, crane_registry: str) -> str:
    """crane's registry with all cases. It keeps referrers under tags."""
    signed.push(crane_registry)
    return crane_registry


@pytest.fixture(scope="session")
def signed_in_docker(signed: SignedImages, docker_registry: str) -> str:
    """Debian's docker-registry with all cases. It has no referrers API."""
    signed.push(docker_registry)
    return docker_registry


@pytest.fixture(params=["cosign3", "cosign2"])
def judge(request: pytest.FixtureRequest, signed: SignedImages, tmp_path: Path) -> Judge:
    """Each of the two cosigns."""
    return Judge(request.param, tmp_path, signed)


def _state() -> str:
    """What the signed images depend on, as the name of a folder."""
    state = hashlib.sha256()
    for pattern in _MADE_BY:
        for path in sorted(ROOT.glob(pattern)):
            state.update(path.name.encode())
            state.update(path.read_bytes())
    return state.hexdigest()[:16]


def _sign(out: Path) -> None:
    command = [sys.executable, "-m", "tests.real.sigstore.sign", str(REAL / "bin"), str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        shutil.rmtree(out, ignore_errors=True)
        pytest.fail(f"the private Sigstore did not sign:\n{done.stderr[-3000:]}")
