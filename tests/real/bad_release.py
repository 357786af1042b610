"""What a rollback starts from, made of real parts: v1.3.1 was released, then v1.4.1, and v1.4.1 is bad.

Upstream's images are in Debian's docker-registry, which deletes manifests and has no referrers API; ours are where
`release publish` put them. GitHub is the emulator, and each scene has a clone, an `origin` and a GitHub of its own.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from bot.demo import without_gates
from bot.embedded.registry import EmbeddedRegistry
from tests.contents import INDEX, MANIFEST, Contents
from tests.emulator import BOT_TOKEN, Emulator
from tests.flows.conftest import CURRENT_DIGEST, DOWNSTREAM, PIN_FILES, PROJECT, UPSTREAM
from tests.gateway import NEW, OLD, gateway_image
from tests.live_sigstore import GITHUB, LiveSigstore
from tests.loopback import loopback_client
from tests.parts import require
from tests.real.hosted import Hosted
from tests.releasing import HURRIED, Done, expect, run

RELEASE = f"{UPSTREAM}/.github/workflows/release.yml@refs/tags/"
FIXED = {**NEW, "openssl": "3.5.1-r0"}
IMAGES = {"v1.3.1": ("v1.3.1", OLD), "v1.4.1": ("v1.4.1", NEW), "v1.4.2": ("v1.4.1", FIXED)}
"""Upstream's releases: the program of each, and its packages."""

GATES = f"""
[image.signature]
identity = "{GITHUB}{RELEASE}{{tag}}"
trusted_root = "trusted-root.json"

[image.scan]
database = "DATABASES/first:2"

[image.config]
template = "infrastructure/modules/compute/agentgateway-config.yaml.tftpl"
declarations = ["infrastructure/modules/compute/variables.tf"]
schema = "schema/config.json"

[[image.config.environments]]
name = "production"
var_files = ["infrastructure/environments/production.tfvars"]

[release]
image = "agentgateway"

[release.signature]
identity = "{GITHUB}{{repository}}/.github/workflows/release.yml@refs/tags/{{tag}}"
trusted_root = "trusted-root.json"
signing_config = "signing-config.json"

[[release.target]]
repository = "OURS"

[[environment]]
name = "production"
terraform = {{ folder = "infrastructure", var_files = ["infrastructure/environments/production.tfvars"] }}
"""
SERVICE = """
resource "terraform_data" "task" { triggers_replace = [var.gateway_image] }
resource "terraform_data" "service" { input = terraform_data.task.id }
"""
PERSON = {"NAME": "Ada", "EMAIL": "ada@example.org"}
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": False,
}
FIELDS = {"config": {"type": "object"}, "binds": {"type": "array", "items": {"type": "object"}}}
"""What the config of all programs may have; the new one's has `gateways` besides."""


@dataclass
class Past:
    """What stands for all scenes: registries, programs, and the history that they begin with."""

    folder: Path
    emulator: Emulator
    sigstore: LiveSigstore
    upstream: str
    ours: str
    environ: dict[str, str]
    digests: dict[str, str] = field(default_factory=dict)

    @property
    def origin(self) -> Path:
        return self.folder / "begin" / "origin.git"

    def push_image(self, ref: str) -> None:
        """An image as upstream pushes and signs it."""
        built = gateway_image(IMAGES[ref][0], IMAGES[ref][1])
        with EmbeddedRegistry() as source:
            source.push("made/here", ref, built)
            self.tool("crane", "copy", f"{source.host}/made/here:{ref}", f"{self.upstream}:{ref}")
        self.digests[ref] = built.digest
        self.sign(ref, f"{GITHUB}{RELEASE}{ref}")

    def sign(self, ref: str, identity: str) -> None:
        """By cosign itself, in upstream's registry."""
        flags = ["--yes", "--fulcio-auth-flow", "token", "--trusted-root", str(self.sigstore.trusted_root)]
        flags += ["--signing-config", str(self.sigstore.signing_config)]
        self.tool("cosign3", "sign", *flags, f"{self.upstream}@{self.digests[ref]}", **self.sigstore.environ(identity))

    def tool(self, *command: str, **environ: str) -> str:
        """What a program prints, which must end well."""
        return expect(run([require(command[0]), *command[1:]], self.environ | environ, self.folder)).out

    def publish(self, tag: str) -> None:
        """`release publish` in the job of release.yml: it has a clone of its own, and may sign as that workflow."""
        clone = self.folder / f"job-{tag}"
        self.tool("git", "clone", "-q", str(self.origin), str(clone))
        identity = f"{GITHUB}{DOWNSTREAM}/.github/workflows/release.yml@refs/tags/{tag}"
        expect(self.bot(clone, "release", "publish", tag, **self.sigstore.environ(identity)))

    def bot(self, root: Path, *arguments: str, **environ: str) -> Done:
        """A command, as a process of its own, whose clock hardly waits between two attempts."""
        return run([sys.executable, "-c", HURRIED, "-C", str(root), *arguments], self.environ | environ, root)

    def scene(self, folder: Path) -> Scene:
        """A clone of its own, and a GitHub on which nobody has done anything since."""
        scene = Scene(self, Hosted(folder, self.emulator, DOWNSTREAM, self.origin))
        self.emulator.create_repository(UPSTREAM)
        scene.upstream_releases("v1.3.1", "v1.4.1")
        return scene

    @contextmanager
    def lost(self, repository: str, name: str) -> Iterator[None]:
        """What a tag or a digest names is deleted in a registry, and is there again afterwards."""
        with loopback_client(Contents(repository).url) as client:
            kept = client.get(f"/manifests/{name}", headers={"Accept": f"{INDEX}, {MANIFEST}"}).raise_for_status()
            client.delete(f"/manifests/{kept.headers['Docker-Content-Digest']}").raise_for_status()
            try:
                yield
            finally:
                kind = {"Content-Type": kept.headers["Content-Type"]}
                client.put(f"/manifests/{name}", content=kept.content, headers=kind).raise_for_status()

    def unpull(self, image: str) -> None:
        """The engine has this image no more, whoever had it pulled."""
        transport = httpx.HTTPTransport(uds=self.environ["DOCKER_HOST"].removeprefix("unix://"))
        with httpx.Client(base_url="http://engine", transport=transport) as client:
            answer = client.delete(f"/images/{image}")
        assert answer.status_code in {httpx.codes.OK, httpx.codes.NOT_FOUND}, answer.text


@dataclass
class Scene:
    """A person in a clone, with a GitHub."""

    past: Past
    repo: Hosted

    @property
    def root(self) -> Path:
        return self.repo.root

    def bot(self, *arguments: str, **environ: str) -> Done:
        return self.past.bot(self.root, *arguments, **environ)

    def upstream_releases(self, *refs: str) -> None:
        """Upstream's repository gets these releases, each with the schema of its program."""
        emulator = self.past.emulator
        for ref in refs:
            fields = FIELDS | ({"gateways": {"type": "object"}} if IMAGES[ref][0] == "v1.4.1" else {})
            schema = json.dumps({**SCHEMA, "properties": fields}).encode()
            sha = emulator.commit(UPSTREAM, "main", {"schema/config.json": ("100644", schema)})
            emulator.tag(UPSTREAM, ref, sha)
            emulator.add_release(UPSTREAM, ref, body=f"* what is new in {ref}")

    def commit(self, message: str, old: str, new: str, file: str) -> None:
        """A change of one file, on the base."""
        text = (self.root / file).read_text()
        assert old in text
        self.repo.commit(message, {file: text.replace(old, new)})
        self.repo.push()

    @property
    def pulls(self) -> list[dict[str, Any]]:
        """Those that are open, newest first."""
        return [pull for pull in self.past.emulator.pulls(DOWNSTREAM) if pull["state"] == "open"]

    def on_branch(self, branch: str) -> dict[str, str]:
        """The files of a branch on GitHub."""
        found = self.past.emulator.files_at(DOWNSTREAM, branch)
        return {name: content.decode() for name, (_, content) in found.items()}


def project(past: Past, databases: str) -> Mapping[str, str]:
    """The files of a repository that pins v1.3.1, asks for all gates, releases, and runs as a service."""
    files = {}
    for name in (*PIN_FILES, "gateway-bot.toml"):
        text = without_gates((PROJECT / name).read_text()).replace("ghcr.io/agentgateway/agentgateway", past.upstream)
        files[name] = text.replace(CURRENT_DIGEST, past.digests["v1.3.1"])
    settings = re.split(r"(?m)^(?:#.*\n)*\[release\]", files["gateway-bot.toml"])[0]
    files["gateway-bot.toml"] = settings + GATES.replace("DATABASES", databases).replace("OURS", past.ours)
    for path in (PROJECT / "infrastructure").rglob("*"):
        name = str(path.relative_to(PROJECT))
        if path.is_file() and name not in files:
            files[name] = path.read_text()
    files["infrastructure/service.tf"] = SERVICE
    files["trusted-root.json"] = past.sigstore.trusted_root.read_text()
    files["signing-config.json"] = past.sigstore.signing_config.read_text()
    files["pyproject.toml"] = '[project]\nname = "ai-gateway"\nversion = "0.9.0"\n'
    return {**files, ".gitignore": ".terraform/\n*.tfstate*\n.terraform.lock.hcl\n"}


def begin(past: Past, databases: str) -> None:
    """All that happened until now, each step by its command."""
    for ref in ("v1.3.1", "v1.4.1"):
        past.push_image(ref)
    scene = Scene(past, Hosted(past.folder / "begin", past.emulator, DOWNSTREAM))
    scene.repo.commit("feat: begin", dict(project(past, databases)))
    past.emulator.create_repository(UPSTREAM)
    scene.upstream_releases("v1.3.1")
    expect(scene.bot("release", "bump", "minor"))
    scene.repo.push()
    with ThreadPoolExecutor() as jobs:
        first = jobs.submit(past.publish, "v0.10.0")
        scene.upstream_releases("v1.4.1")
        expect(scene.bot("propose"))
        scene.repo.merge(1)
        expect(scene.bot("release", "bump", "patch"))
        scene.repo.push()
        past.publish("v0.10.1")
        first.result()


def environ_in(folder: Path, emulator: Emulator, docker_host: str) -> dict[str, str]:
    """What all commands find: the programs, the engine, GitHub."""
    programs = folder / "programs"
    programs.mkdir()
    for name, real in {"cosign": "cosign3", "trivy": "trivy", "terraform": "terraform"}.items():
        (programs / name).symlink_to(require(real))
    return {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(folder),
        **{f"GIT_{role}_{name}": value for role in ("AUTHOR", "COMMITTER") for name, value in PERSON.items()},
        "GIT_CONFIG_NOSYSTEM": "1",
        "XDG_CACHE_HOME": str(folder / "cache"),
        "DOCKER_HOST": docker_host,
        "GITHUB_API_URL": emulator.url,
        "GITHUB_REPOSITORY": DOWNSTREAM,
        "GITHUB_TOKEN": BOT_TOKEN,
        "CHECKPOINT_DISABLE": "1",
    }
