"""A project that is released on real parts: git, cosign with a private Sigstore, syft, registries; GitHub is embedded.

The image that it pins has two platforms, several layers of which one is in both, packages that a scanner knows, and
attestations in its index. Who pins it releases v1.2.4 into two registries, `ecr` and `ghcr`.
"""

from __future__ import annotations

import base64
import fcntl
import gzip
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from bot.core.reference import Digest, digest_of
from bot.embedded.github import Account, EmbeddedGitHub
from bot.embedded.images import (
    CONFIG,
    DEFAULT_PLATFORMS,
    Content,
    MultiPlatformImage,
    attestation_entry,
    attestation_of,
    index_of,
    layer_of,
    manifest_of,
    platform_of,
)
from bot.embedded.registry import EmbeddedRegistry
from tests.hosting import bring, serving
from tests.live_sigstore import LiveSigstore
from tests.parts import require
from tests.registries import LOGIN
from tests.repositories import Repo
from tests.sigstore import SignedImages
from tests.trivy import wolfi

UPSTREAM, DOWNSTREAM = "agentgateway/agentgateway", "acme/ai-gateway"
REF, TAG = "v1.4.1", "v1.2.4"
OF_UPSTREAM = f"https://github.com/{UPSTREAM}/.github/workflows/release.yml@refs/tags/{REF}"
OURS = f"https://github.com/{DOWNSTREAM}/.github/workflows/release.yml@refs/tags/{TAG}"
TOKEN = "ghs_the-release-s-own-token"  # noqa: S105 - of the embedded GitHub
PACKAGES = {"glibc": "2.40-r0", "openssl": "3.5.1-r0", "zlib": "1.3-r1"}
_SECONDS = 240
HURRIED = """
import sys
from bot.cli import main
from bot.clock import SystemClock
class Hurried(SystemClock):
    def sleep(self, seconds):
        super().sleep(min(seconds, 0.02))
sys.exit(main(sys.argv[1:], None, Hurried()))
"""

SETTINGS = """\
[[image]]
name = "agentgateway"
registry = "{upstream}"

[image.policy]
platforms = ["linux/amd64", "linux/arm64"]

[[image.pins]]
type = "dotenv"
file = "versions.env"
keys = {{ AGENTGATEWAY_REF = "ref", AGENTGATEWAY_VERSION = "version", AGENTGATEWAY_IMAGE_DIGEST = "digest" }}

[[image.pins]]
type = "dockerfile"
file = "Dockerfile"
args = {{ AGENTGATEWAY_VERSION = "version", AGENTGATEWAY_IMAGE = "image" }}

[image.signature]
identity = "https://github.com/agentgateway/agentgateway/.github/workflows/release.yml@refs/tags/{{tag}}"
trusted_root = "upstream-root.json"

[release]
mode = "{mode}"

[release.signature]
identity = "https://github.com/{{repository}}/.github/workflows/release.yml@refs/tags/{{tag}}"
trusted_root = "trusted-root.json"
signing_config = "signing-config.json"

[[release.target]]
repository = "{ecr}/ai-gateway"
tags = ["{{tag}}"]
moving = ["latest"]

[[release.target]]
repository = "{ghcr}/{{repository}}"
tags = ["{{tag}}", "{{version}}"]
moving = ["latest"]
"""
DOCKERFILE = """\
ARG AGENTGATEWAY_IMAGE={upstream}@{digest}
FROM ${{AGENTGATEWAY_IMAGE}}
ARG AGENTGATEWAY_VERSION=1.4.1
LABEL org.opencontainers.image.title="ai-gateway" org.opencontainers.image.version="${{AGENTGATEWAY_VERSION}}"
"""
VERSIONS = "AGENTGATEWAY_REF={ref}\nAGENTGATEWAY_VERSION={version}\nAGENTGATEWAY_IMAGE_DIGEST={digest}\n"
PROJECT = '[project]\nname = "ai-gateway"\nversion = "1.2.3"\n'


@cache
def image(variation: str = "") -> MultiPlatformImage:
    """The image as upstream pushes it; the same bytes each time."""
    shared = layer_of({"app/shared": random.Random(variation).randbytes(300_000)})  # noqa: S311 - bytes that do not repeat
    blobs: list[Content] = [shared]
    manifests: list[Content] = []
    entries: list[dict[str, object]] = []
    attested: list[tuple[Content, dict[str, object]]] = []
    for platform in DEFAULT_PLATFORMS:
        packages = PACKAGES if platform.endswith("amd64") else {**PACKAGES, "busybox": "1.37.0-r0"}
        layers = (layer_of(wolfi(packages)), shared, layer_of({"app/agentgateway": f"{platform} {variation}".encode()}))
        config = _config(platform, layers)
        manifest = manifest_of(config, layers)
        blobs += [config, *layers]
        manifests.append(manifest)
        entries.append(manifest.descriptor(platform=platform_of(platform)))
        parts, attestation = attestation_of(manifest)
        blobs += parts
        attested.append((attestation, attestation_entry(attestation, manifest)))
    manifests += [manifest for manifest, _ in attested]
    return MultiPlatformImage(tuple(blobs), tuple(manifests), index_of([*entries, *(e for _, e in attested)], {}))


def _config(platform: str, layers: Sequence[Content]) -> Content:
    value = {
        **platform_of(platform),
        "created": "2026-08-20T12:00:00Z",
        "config": {"Entrypoint": ["/app/agentgateway"], "Env": ["PATH=/app"]},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(gzip.decompress(layer.data)) for layer in layers]},
        "history": [{"created": "2026-08-20T12:00:00Z", "created_by": "COPY / /"} for _ in layers],
    }
    return Content(CONFIG, json.dumps(value).encode())


@dataclass(frozen=True)
class Done:
    """What a program answered."""

    code: int
    out: str
    err: str


@dataclass
class Places:
    """`HOST` of the registries: upstream's, and those that are released to."""

    upstream: str
    ecr: str
    ghcr: str


@dataclass
class Release:
    """A checkout with the tag v1.2.4, which is on GitHub as well, and the programs on its PATH."""

    folder: Path
    places: Places
    sigstore: LiveSigstore
    github: EmbeddedGitHub
    pages: str
    digest: Digest
    path: str
    """Of the image in upstream's registry."""
    repo: Repo
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def upstream(self) -> str:
        return f"{self.places.upstream}/{self.path}"

    @property
    def ecr(self) -> str:
        return f"{self.places.ecr}/ai-gateway"

    @property
    def ghcr(self) -> str:
        return f"{self.places.ghcr}/{DOWNSTREAM}"

    @property
    def targets(self) -> tuple[str, str]:
        return self.ecr, self.ghcr

    @property
    def sboms(self) -> Path:
        """Where `release sbom` keeps them."""
        return self.folder / "sbom"

    def command(self, *arguments: str) -> list[str]:
        return [program("gateway-bot"), "-C", str(self.repo.root), "--repository", DOWNSTREAM, *arguments]

    def bot(self, *arguments: str, **environ: str) -> Done:
        """One command of the bot, as a process of its own."""
        return run(self.command(*arguments), self.environ | environ, self.repo.root)

    def publish(self, *arguments: str, **environ: str) -> Done:
        """`release publish`, with SBOMs that were made before where there are any."""
        made = ("--sbom", str(self.sboms)) if self.sboms.exists() else ()
        return self.bot("release", "publish", TAG, *made, *arguments, **environ)

    def hurried(self, *arguments: str) -> Done:
        """The same as `publish`, by a process whose clock does not wait between two attempts."""
        return run(self.hurried_command(*arguments), self.environ, self.repo.root)

    def hurried_command(self, *arguments: str) -> list[str]:
        made = ("--sbom", str(self.sboms)) if self.sboms.exists() else ()
        return [sys.executable, "-c", HURRIED, *self.command("release", "publish", TAG, *made, *arguments)[1:]]

    def take_sboms(self, made: Path) -> None:
        """Those of the same image, which were made before."""
        shutil.copytree(made, self.sboms)

    def bump(self, *, ref: str = REF) -> None:
        """Merge a bump of the gateway, release it as the next version, push, and let GitHub have it."""
        version = ref.removeprefix("v")
        pins = self.repo.root / "versions.env"
        pins.write_text(VERSIONS.format(ref=ref, version=version, digest=self.digest))
        expect(self.bot("check", "--fix"))
        self.repo.commit(f"deps: agentgateway {ref}")
        expect(self.bot("release", "bump", "patch"))
        self.push()

    def push(self) -> None:
        """Let GitHub have what is here: the branch and the tags, for its API and for git."""
        bring(self.repo, self.github, DOWNSTREAM)
        bare = self.folder / "pages" / DOWNSTREAM
        if not bare.exists():
            bare.parent.mkdir(parents=True)
            self.repo.run("clone", "-q", "--bare", str(self.repo.root), str(bare))
        self.repo.run("push", "-q", "--force", str(bare), "main", "--tags")
        self.repo.run("-C", str(bare), "update-server-info")

    def stranger(self, command: str, folder: Path) -> Done:
        """A line in a shell of somebody who has the programs, and nothing else."""
        kept = ("PATH", "GITHUB_API_URL", "GITHUB_SERVER_URL")
        home = {"HOME": str(folder / "home"), "TMPDIR": str(folder)}
        return run(["sh", "-euc", command], {name: self.environ[name] for name in kept} | home, folder)

    def tool(self, *command: str, config: bool = True) -> str:
        """What one of the judges prints, which must end well; with the login of the registries, or without."""
        environ = self.environ if config else {**self.environ, "DOCKER_CONFIG": str(self.folder / "nowhere")}
        return expect(run([require(command[0]), *command[1:]], environ, self.folder)).out.strip()


def program(name: str) -> str:
    """A program of the environment that the tests run in."""
    return require(name, Path(sys.executable).parent / name)


def run(command: Sequence[str], environ: Mapping[str, str], folder: Path) -> Done:
    done = subprocess.run(
        command, cwd=folder, env=dict(environ), capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    return Done(done.returncode, done.stdout, done.stderr)


def expect(done: Done, code: int = 0) -> Done:
    """The same, if it ended so."""
    assert done.code == code, f"it ended with {done.code}:\n{done.out[-6000:]}\n{done.err[-6000:]}"
    return done


@contextmanager
def release(
    folder: Path,
    places: Places,
    sigstore: LiveSigstore,
    *,
    mode: str = "retag",
    pinned: MultiPlatformImage | None = None,
    signed: SignedImages | None = None,
) -> Iterator[Release]:
    """The project with upstream's image, pushed and signed as upstream does it, and the tag v1.2.4.

    Of what was `signed` long ago it is the one with a legacy signature.
    """
    bot = Account("gateway-bot[bot]", {"contents": "write", "pull_requests": "write"})
    with EmbeddedGitHub({TOKEN: bot}) as github, serving(folder / "pages") as pages:
        pushed = pinned or image()
        digest, path = (signed.digests["legacy"], "signed/legacy") if signed else (pushed.digest, UPSTREAM)
        made = Release(folder, places, sigstore, github, pages, digest, path, Repo(folder))
        made.environ = _environ(made)
        if signed:
            signed.push(places.upstream, "legacy")
        else:
            push_image(made.upstream, REF, pushed, made)
            sign(made, f"{made.upstream}@{made.digest}", OF_UPSTREAM)
        _begin(made, mode, signed.folder / "trusted-root.json" if signed else sigstore.trusted_root)
        made.bump()
        yield made


def _begin(made: Release, mode: str, upstream_root: Path) -> None:
    """The project as it was when v1.2.3 was released, with another pin."""
    old = image("old").digest
    files = {
        "gateway-bot.toml": SETTINGS.format(
            upstream=made.upstream, mode=mode, ecr=made.places.ecr, ghcr=made.places.ghcr
        ),
        "versions.env": VERSIONS.format(ref="v1.3.1", version="1.3.1", digest=old),
        "pyproject.toml": PROJECT,
        "trusted-root.json": made.sigstore.trusted_root.read_text(),
        "signing-config.json": made.sigstore.signing_config.read_text(),
        "upstream-root.json": upstream_root.read_text(),
    }
    made.repo.commit("feat: begin", {**files, "Dockerfile": DOCKERFILE.format(upstream=made.upstream, digest=old)})
    made.repo.run("tag", "-a", "-m", "v1.2.3", "v1.2.3")


def push_image(repository: str, tag: str, pushed: MultiPlatformImage, made: Release) -> None:
    """By crane, as somebody else would."""
    with EmbeddedRegistry() as source:
        source.push("made/here", tag, pushed)
        made.tool("crane", "copy", f"{source.host}/made/here:{tag}", f"{repository}:{tag}")


def sign(made: Release, at: str, identity: str) -> None:
    """By cosign itself."""
    flags = ["--yes", "--fulcio-auth-flow", "token", "--trusted-root", str(made.sigstore.trusted_root)]
    flags += ["--signing-config", str(made.sigstore.signing_config)]
    environ = made.environ | made.sigstore.environ(identity)
    expect(run([require("cosign3"), "sign", *flags, at], environ, made.folder))


def _environ(made: Release) -> dict[str, str]:
    path = made.folder / "path"
    path.mkdir()
    (path / "cosign").symlink_to(require("cosign3"))
    (path / "crane").symlink_to(require("crane"))
    (path / "gateway-bot").symlink_to(program("gateway-bot"))
    docker = made.folder / ".docker"
    docker.mkdir()
    login = base64.b64encode(f"{LOGIN.username}:{LOGIN.password}".encode()).decode()
    (docker / "config.json").write_text(json.dumps({"auths": {made.places.ghcr: {"auth": login}}}))
    return {
        **made.repo.environ,
        "PATH": f"{path}:{os.environ['PATH']}",
        "DOCKER_CONFIG": str(docker),
        "GITHUB_API_URL": made.github.url,
        "GITHUB_SERVER_URL": made.pages,
        "GITHUB_TOKEN": TOKEN,
        "XDG_CACHE_HOME": str(made.folder / "cache"),
        **made.sigstore.environ(OURS),
    }


@pytest.fixture(scope="session")
def sboms(tmp_path_factory: pytest.TempPathFactory, sigstore_of_session: LiveSigstore, crane_registry: str) -> Path:
    """The folder that `release sbom` makes of the image: the same in all tests, and made by one worker for all."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "sboms"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "made" / "sbom").exists():
            shutil.rmtree(folder / "made", ignore_errors=True)
            (folder / "made").mkdir()
            places = Places(crane_registry, "127.0.0.1:1", "127.0.0.1:2")
            with release(folder / "made", places, sigstore_of_session) as made:
                expect(made.bot("release", "sbom", TAG, "--output", str(folder / "new")))
            (folder / "new").rename(folder / "made" / "sbom")
    return folder / "made" / "sbom"
