"""A checkout to sign in: a private Sigstore's files, cosign 3 on the PATH, and an image of its own in a registry."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

from bot.adapters.cosign import Cosign
from bot.adapters.cosign.signing import Signer
from bot.adapters.programs import Programs
from bot.core.distribution import Login
from bot.core.gates import Unanswered
from bot.core.model import ReleasePolicy, Signature, Target
from bot.core.reference import Digest, Repository, parse_repository
from bot.core.release.attestation import Statement
from bot.core.release.identity import our_identity
from bot.core.release.sbom import PREDICATE_TYPES
from bot.core.signature import Answer, NotSigned
from bot.core.versions import Ref
from bot.embedded.registry import EmbeddedRegistry
from tests.live_sigstore import ISSUER, LiveSigstore
from tests.parts import require

TAG = "v1.2.3"
TEMPLATE = "https://github.com/{repository}/.github/workflows/release.yml@refs/tags/{tag}"
POLICY = ReleasePolicy(
    "app",
    (Target("ghcr.io/acme/app"),),
    Signature(ISSUER, TEMPLATE, "trusted-root.json"),
    "signing-config.json",
)
OURS = our_identity(POLICY.signature, "acme/app", TAG)
STRANGER = OURS.identity.replace("acme", "evil")
SBOM = PREDICATE_TYPES["cyclonedx"]

PASSWORD = "of no secret"  # noqa: S105 - of registries on loopback
# htpasswd of the user `bot` with PASSWORD: bcrypt, which is all that docker-registry reads.
HTPASSWD = "bot:$2b$04$UFHRP/HNlIlbN.lHwb./J.Cvz0gpG82qQAdYv0tOfTDG6T0BVo1N.\n"


class Workshop:
    """A checkout in which a private Sigstore's files stand, with cosign 3 on the PATH, and an image to sign."""

    def __init__(self, folder: Path, sigstore: LiveSigstore, host: str, login: Login | None) -> None:
        self.folder, self.sigstore, self.host = folder, sigstore, host
        self.login = login
        self.path = folder / "path"
        self.path.mkdir()
        self.use("cosign3")
        (folder / "trusted-root.json").write_bytes(sigstore.trusted_root.read_bytes())
        (folder / "signing-config.json").write_bytes(sigstore.signing_config.read_bytes())
        self.repository, self.digest = self._push()
        self.cosign = Cosign(self._programs, folder)

    @property
    def _programs(self) -> Programs:
        return Programs({"PATH": f"{self.path}:{os.environ['PATH']}"}, lambda _host: self.login)

    def use(self, program: str) -> None:
        """Have this one called for cosign."""
        (self.path / "cosign").unlink(missing_ok=True)
        (self.path / "cosign").symlink_to(require(program))

    def instead(self, script: str) -> None:
        """Have this shell script called for cosign; `$cosign` is the real one."""
        (self.path / "cosign").unlink()
        (self.path / "cosign").write_text(f"#!/bin/sh\ncosign={shlex.quote(require('cosign3'))}\n{script}\n")
        (self.path / "cosign").chmod(0o755)

    def signer(self, who: str = OURS.identity, environ: Mapping[str, str] | None = None) -> Signer:
        """One who may sign as this identity, or has this environment."""
        return Signer(self._programs, self.folder, self.sigstore.environ(who) if environ is None else environ)

    def sign(self, who: str = OURS.identity, environ: Mapping[str, str] | None = None) -> None:
        self.signer(who, environ).sign(self.repository, self.digest, POLICY)

    def attest(self, predicate: bytes, kind: str = SBOM, who: str = OURS.identity) -> None:
        self.signer(who).attest(self.repository, self.digest, kind, predicate, POLICY)

    def verify(self, signature: Signature = OURS) -> Answer:
        return self.cosign.verify(self.repository, self.digest, Ref(TAG), signature)

    def attested(
        self, kind: str = SBOM, signature: Signature = OURS, digest: Digest | None = None
    ) -> tuple[Statement, ...] | NotSigned | Unanswered:
        return self.signer(environ={}).attestations(self.repository, digest or self.digest, kind, signature)

    def tags(self) -> list[str]:
        return self._crane("ls", str(self.repository)).splitlines()

    def referrers(self) -> list[str]:
        """The digests that are listed under the tag that stands in for the API."""
        index = self._crane("manifest", f"{self.repository}:{self.digest.replace(':', '-')}")
        return [entry["digest"] for entry in json.loads(index)["manifests"]]

    def child(self) -> Digest:
        """The manifest of one platform."""
        return Digest(self._crane("digest", "--platform", "linux/arm64", f"{self.repository}@{self.digest}"))

    def _push(self) -> tuple[Repository, Digest]:
        repository = parse_repository(f"{self.host}/acme/{self.folder.name.lower()}")
        with EmbeddedRegistry() as source:
            digest = source.push_image("acme/app", TAG, variation=self.folder.name)
            self._crane("copy", f"{source.host}/acme/app:{TAG}", f"{repository}:{TAG}")
        return repository, digest

    def _crane(self, *arguments: str) -> str:
        config = self.folder / "docker"
        config.mkdir(exist_ok=True)
        login = {"username": "bot", "password": PASSWORD} if self.login else {}
        (config / "config.json").write_text(json.dumps({"auths": {self.host: login}}))
        command = [require("crane"), *arguments]
        environ = {**os.environ, "DOCKER_CONFIG": str(config)}
        return subprocess.run(
            command, check=True, timeout=60, capture_output=True, text=True, env=environ
        ).stdout.strip()
