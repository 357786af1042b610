"""A world to release in: upstream's registry, two of our own, a GitHub, a checkout that `release bump` made a release in.

The servers and the checkout stand for a whole session, and are as new for each test. Who signs, verifies and makes
SBOMs is a stand-in in this process that keeps what it says where cosign does: as referrers, in the registry, by HTTP.
"""

from __future__ import annotations

import copy
import itertools
import json
import shutil
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import urllib3
from msgspec.structs import replace

from bot.adapters.changelog import Changelog
from bot.adapters.worktree import Worktree
from bot.core.gates import Unanswered
from bot.core.model import Platform, ReleasePolicy, Signature
from bot.core.reference import Digest, Repository, digest_of
from bot.core.release.attestation import STATEMENTS, Statement, canonical
from bot.core.release.publication import Publication
from bot.core.release.sbom import Sboms
from bot.core.signature import NotSigned, Signed, identity_of
from bot.core.versions import Ref
from bot.embedded.github import Account, EmbeddedGitHub
from bot.embedded.github.state import Repository as OnGitHub
from bot.embedded.gitobjects import Commit, Entry, Ident
from bot.embedded.images import INDEX, MANIFEST, Content, MultiPlatformImage, build_image
from bot.embedded.registry import EmbeddedRegistry
from bot.embedded.server import Exchange, LoopbackServer, Request, Response, json_response
from bot.embedded.storage import StoredRepository
from bot.embedded.tokens import TokenServer
from bot.errors import ServiceError
from bot.flows.bump import bump
from bot.flows.publish import Hands, publish
from bot.flows.release_observe import Job
from bot.release_desk import ReleaseDesk
from bot.settings import settings_in
from bot.world import World
from tests.flows.conftest import TOKEN, Run, TestClock, run_command
from tests.repositories import Repo

REPOSITORY, UPSTREAM, GATEWAY = "acme/Gateway", "up/agent", "acme/gateway"
"""On GitHub; upstream's image; ours, in both registries."""

TAG, REF = "v1.2.4", "v1.4.1"
OURS = f"https://github.com/{REPOSITORY}/.github/workflows/release.yml@refs/tags/{TAG}"
THEIRS = f"https://github.com/{UPSTREAM}/.github/workflows/release.yml@refs/tags/{REF}"
STRANGER = "https://github.com/evil/fork/.github/workflows/release.yml@refs/tags/v1"
USER, PASSWORD = "bot", "dckr_pat_of-the-registries"
SIGN = "https://sigstore.dev/cosign/sign/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"
SBOMS = ("https://cyclonedx.org/bom", "https://spdx.dev/Document")
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
EMPTY = Content("application/vnd.oci.empty.v1+json", b"{}")
LEGACY = "application/vnd.dev.cosign.simplesigning.v1+json"
BOT = Account("gateway-bot[bot]", {"contents": "write"})
SETTINGS = """\
[[image]]
name = "app"
registry = "{upstream}"
github = "up/agent"
[image.policy]
platforms = ["linux/amd64", "linux/arm64"]
[[image.pins]]
type = "dotenv"
file = "versions.env"
keys = {{ APP_REF = "ref", APP_DIGEST = "digest" }}
[image.signature]
identity = "https://github.com/up/agent/.github/workflows/release.yml@refs/tags/{{tag}}"
[release]
[[release.target]]
repository = "{locked}/acme/gateway"
[[release.target]]
repository = "{open}/{{repository}}"
tags = ["{{tag}}", "{{version}}"]
moving = ["latest"]
[release.signature]
identity = "https://github.com/{{repository}}/.github/workflows/release.yml@refs/tags/{{tag}}"
"""


class BasicRegistry(EmbeddedRegistry):
    """One that wants a name and a password for everything, as ECR does."""

    def answer(self, request: Request) -> Response:
        expected = "Basic " + b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if request.headers.get("Authorization") != expected:
            error = {"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}
            return json_response(401, error, ("WWW-Authenticate", 'Basic realm="Registry"'))
        return super().answer(request)


@dataclass
class Place:
    """What stands for a session: servers, and the checkout."""

    upstream: EmbeddedRegistry
    locked: EmbeddedRegistry
    """Tags are immutable, with a referrers API, and a name and a password: as ECR."""
    open: EmbeddedRegistry
    """Without a referrers API, and with tokens: as GHCR."""
    github: EmbeddedGitHub
    repo: Repo
    image: MultiPlatformImage
    commits: list[Commit]
    folder: Path
    git: Remembered
    """The checkout's git: it is asked once a session, for starting it takes longer than all the rest."""

    @property
    def tokens_given(self) -> list[str]:
        """The tokens that the open registry has given out."""
        return list(self.open.tokens._tokens) if self.open.tokens else []  # noqa: SLF001 - to be looked for

    @property
    def servers(self) -> tuple[LoopbackServer, ...]:
        return self.upstream, self.locked, self.open, self.github


@contextmanager
def standing(folder: Path) -> Iterator[Place]:
    """The servers and the checkout, once a session."""
    image = build_image(labels={"title": "agent"}, attestations=True, variation="upstream")
    with (
        EmbeddedRegistry() as upstream,
        BasicRegistry(immutable_tags=True) as locked,
        EmbeddedRegistry(referrers=False, tokens=TokenServer(USER, PASSWORD)) as open_,
        EmbeddedGitHub({TOKEN: BOT}) as github,
    ):
        repo = Repo(folder)
        settings = SETTINGS.format(upstream=f"{upstream.host}/{UPSTREAM}", locked=locked.host, open=open_.host)
        make_release(repo, settings, image.digest)
        login = b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        auths = {server.host: {"auth": login} for server in (locked, open_)}
        (folder / "docker").mkdir()
        (folder / "docker" / "config.json").write_text(json.dumps({"auths": auths}))
        yield Place(upstream, locked, open_, github, repo, image, mirrored(repo, github), folder, Remembered(repo.git))


def make_release(repo: Repo, settings: str, digest: str) -> None:
    """v1.2.3, the upgrade of the image, and v1.2.4."""
    pins = "APP_REF={}\nAPP_DIGEST={}\n"
    project = '[project]\nname = "gateway"\nversion = "1.2.3"\n'
    old = digest_of(b"what was pinned before")
    files = {"gateway-bot.toml": settings, "versions.env": pins.format("v1.3.1", old), "pyproject.toml": project}
    repo.commit("feat: begin", files)
    repo.run("tag", "-a", "-m", "v1.2.3", "v1.2.3")
    repo.commit("deps: bump agent to v1.4.1", {"versions.env": pins.format(REF, digest)})
    (image,) = settings_in(settings).images
    keys = {"versions.env": frozenset({"APP_REF", "APP_DIGEST"})}
    today = TestClock().now().date()
    worktree, changelog = Worktree(repo.root), Changelog(repo.root, repo.environ)
    bump("patch", image, repo.git, worktree, changelog, keys, today, REPOSITORY, "")


def mirrored(repo: Repo, github: EmbeddedGitHub) -> list[Commit]:
    """The commits of a checkout as the embedded GitHub keeps them, oldest first; their objects are put there."""
    objects = github.create_repository("acme/mirror").objects
    commits = []
    for sha in repo.run("rev-list", "--reverse", "--all").split():
        head, _, message = repo.run("cat-file", "commit", sha).partition("\n\n")
        fields = [line.split(" ", 1) for line in head.splitlines()]
        files = {}
        for line in repo.run("ls-tree", "-r", sha).splitlines():
            mode, _, blob = line.partition("\t")[0].split(" ")
            content = repo.run("cat-file", "blob", blob)
            whole = next(text for text in (f"{content}\n", content) if objects.add_blob(text.encode()) == blob)
            files[line.partition("\t")[2]] = Entry(mode, objects.add_blob(whole.encode()))
        who = {name: value for name, value in fields if name in {"author", "committer"}}
        parents = tuple(value for name, value in fields if name == "parent")
        made = [
            Commit(objects.add_files(files), parents, ident_of(who["author"]), ident_of(who["committer"]), text)
            for text in (f"{message}\n", message)
        ]
        commits.append(next(commit for commit in made if commit.sha == sha))
    return commits


def ident_of(line: str) -> Ident:
    name, _, rest = line.partition(" <")
    email, _, when = rest.partition("> ")
    seconds, _, offset = when.partition(" ")
    zone = datetime.strptime(offset, "%z").tzinfo
    return Ident(name, email, datetime.fromtimestamp(int(seconds), zone))


@dataclass
class Releasing:
    """The world as a test finds and describes it."""

    place: Place
    stamp: Stamp
    syft: FakeSyft
    root: Path
    clock: TestClock = field(default_factory=TestClock)
    environ: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    only_open: bool = False
    """Whether there is but one target, the one without a referrers API."""

    @property
    def upstream(self) -> StoredRepository:
        return self.place.upstream.repository(UPSTREAM)

    @property
    def targets(self) -> tuple[EmbeddedRegistry, EmbeddedRegistry]:
        return self.place.locked, self.place.open

    @property
    def stores(self) -> tuple[StoredRepository, StoredRepository]:
        """What the two targets hold of ours."""
        locked, open_ = self.targets
        return locked.repository(GATEWAY), open_.repository(GATEWAY)

    @property
    def names(self) -> tuple[str, str]:
        """The two repositories."""
        locked, open_ = self.targets
        return f"{locked.host}/{GATEWAY}", f"{open_.host}/{GATEWAY}"

    @property
    def digest(self) -> Digest:
        return self.place.image.digest

    @property
    def platforms(self) -> tuple[Digest, ...]:
        """The manifests of the two platforms."""
        return tuple(each.digest for each in self.place.image.manifests[:2])

    @property
    def on_github(self) -> OnGitHub:
        return self.place.github.repositories[REPOSITORY]

    @property
    def head(self) -> str:
        return self.place.commits[-1].sha

    @contextmanager
    def hands(self, **others: Any) -> Iterator[tuple[Job, Hands]]:
        """What `release publish` makes of the checkout and the environment, with the stand-ins."""
        world = World(self.root, self.environ, self.clock)
        setattr(world, "log", self.said.append)  # noqa: B010 - a method, in whose place what it says is kept
        desk = ReleaseDesk(world)
        try:
            job = desk.job(desk.tag(TAG))
            given: dict[str, object] = {"verifier": self.stamp, "signer": self.stamp, "sboms": self.syft}
            if self.root == self.place.repo.root:
                given["git"] = self.place.git
            if self.only_open:
                job = replace(job, places=job.places[1:])
            yield job, replace(desk.hands(job, None), **{**given, **others})
        finally:
            world.close()

    def publish(self, *, dry_run: bool = False, **others: Any) -> Publication:
        with self.hands(**others) as (job, hands):
            return publish(job, hands, dry_run=dry_run)

    def copy(self, folder: Path) -> Repo:
        """The checkout, to be changed."""
        repo = copy.copy(self.place.repo)
        repo.root = folder / "checkout"
        shutil.copytree(self.place.repo.root, repo.root)
        return repo

    def write_sboms(self, folder: Path) -> dict[str, bytes]:
        """What `release sbom` would write, by the file's name."""
        made = {}
        for platform, digest in zip(("amd64", "arm64"), self.platforms, strict=True):
            both = sboms_of(digest, 7)
            made[f"gateway-{TAG}-linux-{platform}.cdx.json"] = both.cyclonedx
            made[f"gateway-{TAG}-linux-{platform}.spdx.json"] = both.spdx
        for name, document in made.items():
            (folder / name).write_bytes(document)
        return made

    def run(self, *args: str, **environ: str) -> Run:
        """One command, as its user would start it."""
        return run_command(["-C", str(self.root), *args], {**self.environ, **environ}, self.clock)

    def writes(self, *servers: LoopbackServer) -> list[str]:
        """The requests that changed something, or wanted to: of these servers, or of all."""
        return [f"{each.method} {each.path}" for server in servers or self.place.servers for each in writes_of(server)]

    def forget(self) -> None:
        """Count from here."""
        for server in self.place.servers:
            server.exchanges.clear()


def writes_of(server: LoopbackServer) -> list[Exchange]:
    return [
        each
        for each in server.exchanges
        if each.method not in {"GET", "HEAD"} and each.status != 401  # noqa: PLR2004 - it asked who it is
    ]


def begin(place: Place) -> Releasing:
    """All as new: upstream has its image, signed, and GitHub the checkout's commits and tags."""
    tokens = place.open.tokens
    assert tokens is not None
    tokens.expire()
    for registry in (place.upstream, place.locked, place.open):
        registry.repositories.clear()
    place.open.immutable_tags, place.locked.immutable_tags, place.locked.referrers, place.open.referrers = False, True, True, False
    place.upstream.referrers, place.upstream.tokens = True, None
    for server in place.servers:
        server.intercept = None
        server.exchanges.clear()
    place.upstream.push(UPSTREAM, REF, place.image)
    mirror = place.github.repositories["acme/mirror"].objects
    ours = place.github.create_repository(REPOSITORY)
    ours.objects.blobs |= mirror.blobs
    ours.objects.trees |= mirror.trees
    ours.objects.commits |= {commit.sha: commit for commit in place.commits}
    ours.refs = {
        "refs/heads/main": place.commits[-1].sha,
        "refs/tags/v1.2.3": place.commits[0].sha,
        f"refs/tags/{TAG}": place.commits[-1].sha,
    }
    stamp = Stamp({server.host: (USER, PASSWORD) for server in (place.locked, place.open)})
    attach(place.upstream.repository(UPSTREAM), place.image.digest, THEIRS)
    world = Releasing(place, stamp, FakeSyft(), place.repo.root)
    world.environ = {
        **place.repo.environ,
        "GITHUB_API_URL": place.github.url,
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_TOKEN": TOKEN,
        "GITHUB_RUN_ID": "77",
        "DOCKER_CONFIG": str(place.folder / "docker"),
        "XDG_CACHE_HOME": str(place.folder / "cache"),
    }
    return world


# --- what is attached to images


def bundle(subject: Mapping[str, object], identity: str, kind: str = SIGN, said: bytes = b"{}") -> tuple[Content, ...]:
    """A blob that says something of an image in somebody's name, and the manifest that refers to the image."""
    document = {"identity": identity, "kind": kind, "about": subject["digest"], "said": b64encode(said).decode()}
    blob = Content(BUNDLE, json.dumps(document).encode())
    return EMPTY, blob, manifest_of([blob], subject, artifactType=BUNDLE)


def manifest_of(layers: Sequence[Content], subject: Mapping[str, object] | None = None, **more: object) -> Content:
    """The manifest of something attached."""
    document: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": EMPTY.descriptor(),
        "layers": [layer.descriptor() for layer in layers],
        **more,
    }
    return Content(MANIFEST, json.dumps(document | ({"subject": dict(subject)} if subject else {})).encode())


def subject_of(stored: StoredRepository, digest: str) -> dict[str, object]:
    return stored.manifests[Digest(digest)].descriptor()


def attach(
    stored: StoredRepository, digest: str, identity: str, kind: str = SIGN, said: bytes = b"{}", *, listed: bool = False
) -> Digest:
    """Have somebody say something of an image; `listed` under the tag that stands in for a referrers API, too."""
    *blobs, manifest = bundle(subject_of(stored, digest), identity, kind, said)
    for blob in blobs:
        stored.add_blob(blob.data)
    stored.add_manifest(manifest)
    if listed:
        tag = digest.replace(":", "-")
        before = stored.find_manifest(tag)
        stored.add_manifest(with_entry(before.data if before else b"", manifest), tag)
    return manifest.digest


def with_entry(before: bytes, manifest: Content) -> Content:
    """The list under the fallback tag, with one more."""
    entries = json.loads(before)["manifests"] if before else []
    entries.append(manifest.descriptor(artifactType=BUNDLE))
    return Content(INDEX, json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode())


def sign_legacy(stored: StoredRepository, digest: str, identity: str, kind: str = "sig") -> None:
    """As cosign 2 did: under the tag `sha256-HEX.sig`."""
    document = {"identity": identity, "kind": SIGN, "about": digest, "said": b64encode(b"{}").decode()}
    blob = Content(LEGACY, json.dumps(document).encode())
    for each in (EMPTY, blob):
        stored.add_blob(each.data)
    stored.add_manifest(manifest_of([blob]), f"{digest.replace(':', '-')}.{kind}")


def proven(stored: StoredRepository, digest: str, identity: str) -> set[str]:
    """What that identity says of an image, by kind, as far as every byte of it is there and it is listed."""
    listed = stored.find_manifest(digest.replace(":", "-"))
    found = json.loads(stored.referrers(digest))["manifests"] + (json.loads(listed.data)["manifests"] if listed else [])
    kinds = set()
    for entry in found:
        manifest = stored.find_manifest(entry["digest"])
        layers = json.loads(manifest.data)["layers"] if manifest else []
        for blob in filter(None, (stored.find_blob(layer["digest"]) for layer in layers)):
            document = json.loads(blob)
            if (document["identity"], document["about"]) == (identity, digest):
                kinds.add(document["kind"])
    return kinds


def lacks(stored: StoredRepository, digest: str) -> list[str]:
    """What an image consists of and is not in a repository."""
    manifest = stored.find_manifest(digest)
    if manifest is None:
        return [digest]
    document = json.loads(manifest.data)
    if "manifests" in document:
        return [part for child in document["manifests"] for part in lacks(stored, child["digest"])]
    parts = [part["digest"] for part in (document["config"], *document["layers"])]
    return [part for part in parts if stored.find_blob(part) is None]


# --- stand-ins


class Stamp:
    """Signs, attests and verifies in the place of cosign. `down` are the uses at which Sigstore does not answer."""

    def __init__(self, logins: Mapping[str, tuple[str, str]]) -> None:
        self.identity = OURS
        self.down: set[str] = set()
        self.done: list[str] = []
        """Every use, in its order."""
        self._logins = logins
        self._keys: dict[str, dict[str, str]] = {}
        self._pool = urllib3.PoolManager(retries=False, maxsize=8)
        self._alone = threading.Lock()

    def ready(self, policy: ReleasePolicy) -> None:
        del policy

    def sign(self, repository: Repository, digest: Digest, policy: ReleasePolicy) -> None:
        del policy
        self._use("sign", repository, digest)
        self._keep(repository, digest, SIGN, b"{}")

    def attest(
        self, repository: Repository, digest: Digest, predicate_type: str, predicate: bytes, policy: ReleasePolicy
    ) -> None:
        del policy
        self._use(f"attest {predicate_type}", repository, digest)
        self._keep(repository, digest, predicate_type, predicate)

    def verify(
        self, repository: Repository, digest: Digest, ref: Ref, signature: Signature
    ) -> Signed | NotSigned | Unanswered:
        identity = identity_of(signature, ref)
        try:
            self._use("verify", repository, digest)
            said = [each for each in self._said(repository, digest) if each["kind"] == SIGN]
        except ServiceError as error:
            return Unanswered.by(error)
        if any((each["identity"], each["about"]) == (identity, digest) for each in said):
            form = "bundle"
            return Signed(digest, identity, signature.issuer, form, "stamp 1", None, 91)  # type: ignore[arg-type] # a literal
        return NotSigned(f"not signed as it must be: by {said[0]['identity']}" if said else "unsigned")

    def attestations(
        self, repository: Repository, digest: Digest, predicate_type: str, signature: Signature
    ) -> tuple[Statement, ...] | NotSigned | Unanswered:
        try:
            self._use(f"attestations {predicate_type}", repository, digest)
            said = self._said(repository, digest)
        except ServiceError as error:
            return Unanswered.by(error)
        wanted = (signature.identity, digest, predicate_type)
        found = {
            b64decode(each["said"]) for each in said if (each["identity"], each["about"], each["kind"]) == wanted
        }
        if not found:
            return NotSigned("unsigned")
        return tuple(Statement(STATEMENTS[0], predicate_type, predicate) for predicate in sorted(found))

    def _use(self, what: str, repository: Repository, digest: Digest) -> None:
        self.done.append(f"{what} {repository}@{digest}")
        if any(what.startswith(each) for each in self.down):
            raise self._failed(f"{what.partition(' ')[0]}: no answer from Sigstore")

    def _keep(self, repository: Repository, digest: Digest, kind: str, said: bytes) -> None:
        base = f"/v2/{repository.path}"
        about = self._ask(repository, "GET", f"{base}/manifests/{digest}")
        subject = {"mediaType": about.headers["Content-Type"], "digest": digest, "size": len(about.data)}
        *blobs, manifest = bundle(subject, self.identity, kind, said)
        for blob in blobs:
            begun = self._ask(repository, "POST", f"{base}/blobs/uploads/")
            place = f"{begun.headers['Location']}&digest={blob.digest}"
            self._ask(repository, "PUT", place, blob.data, "application/octet-stream")
        self._ask(repository, "PUT", f"{base}/manifests/{manifest.digest}", manifest.data, MANIFEST)
        if self._ask(repository, "GET", f"{base}/referrers/{digest}").status == 404:  # noqa: PLR2004 - no API
            with self._alone:
                listed = f"{base}/manifests/{digest.replace(':', '-')}"
                before = self._ask(repository, "GET", listed)
                entries = with_entry(before.data if before.status == 200 else b"", manifest)  # noqa: PLR2004 - it is there
                self._ask(repository, "PUT", listed, entries.data, INDEX)

    def _said(self, repository: Repository, digest: Digest) -> list[dict[str, str]]:
        """As cosign 3 looks: by the API, else under its tag, else what cosign 2 made."""
        base, name = f"/v2/{repository.path}", digest.replace(":", "-")
        listed = self._ask(repository, "GET", f"{base}/referrers/{digest}")
        if listed.status == 404:  # noqa: PLR2004 - no API
            listed = self._ask(repository, "GET", f"{base}/manifests/{name}")
        found = [each["digest"] for each in json.loads(listed.data).get("manifests", [])]
        said = []
        for reference in (*found, f"{name}.sig"):
            manifest = self._ask(repository, "GET", f"{base}/manifests/{reference}")
            for layer in json.loads(manifest.data).get("layers", []):
                if layer["mediaType"] in {BUNDLE, LEGACY}:
                    said.append(json.loads(self._ask(repository, "GET", f"{base}/blobs/{layer['digest']}").data))
        return said

    def _ask(
        self, repository: Repository, method: str, path: str, body: bytes | None = None, kind: str = ""
    ) -> urllib3.BaseHTTPResponse:
        headers = {"Accept": f"{INDEX}, {MANIFEST}"} | ({"Content-Type": kind} if kind else {})
        url = f"http://{repository.host}"
        key = self._keys.get(repository.host, {})
        try:
            answer = self._pool.request(method, f"{url}{path}", headers={**headers, **key}, body=body)
            if answer.status == 401:  # noqa: PLR2004 - who it is
                key = self._keys[repository.host] = self._key(url, repository, answer)
                answer = self._pool.request(method, f"{url}{path}", headers={**headers, **key}, body=body)
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            raise self._failed(type(error).__name__) from None
        if answer.status not in {200, 201, 202, 404}:
            raise self._failed(f"HTTP {answer.status}")
        return answer

    def _key(self, url: str, repository: Repository, answer: urllib3.BaseHTTPResponse) -> dict[str, str]:
        basic = dict(urllib3.make_headers(basic_auth=":".join(self._logins.get(repository.host, ("", "")))))
        if answer.headers["WWW-Authenticate"].startswith("Basic"):
            return basic
        scope = f"{url}/token?scope=repository:{repository.path}:pull,push"
        return {"Authorization": f"Bearer {self._pool.request('GET', scope, headers=basic).json()['token']}"}

    def _failed(self, what: str) -> ServiceError:
        return ServiceError(what, where="cosign", next_step="Run it again.")


class FakeSyft:
    """Makes SBOMs that are valid, about the image, and never the same twice."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self._number = itertools.count(1)

    def ready(self) -> None: ...

    def sboms(self, repository: Repository, digest: Digest, platform: Platform) -> Sboms:
        self.made.append(f"{repository}@{digest} {platform}")
        return sboms_of(digest, next(self._number))


def sboms_of(digest: str, number: int = 1) -> Sboms:
    """Both SBOMs of an image."""
    component = {"type": "container", "name": "agent", "version": digest}
    library = {"type": "library", "name": "openssl", "version": "3.5.0"}
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:00000000-0000-4000-8000-{number:012}",
        "metadata": {"component": component},
        "components": [library],
    }
    checksum = {"algorithm": "SHA256", "checksumValue": digest.removeprefix("sha256:")}
    spdx = {
        "spdxVersion": "SPDX-2.3",
        "documentNamespace": f"https://example.org/{number}",
        "packages": [
            {"SPDXID": "SPDXRef-image", "name": "agent", "versionInfo": digest, "checksums": [checksum]},
            {"SPDXID": "SPDXRef-openssl", "name": "openssl", "versionInfo": "3.5.0"},
        ],
        "relationships": [
            {
                "spdxElementId": "SPDXRef-DOCUMENT",
                "relatedSpdxElement": "SPDXRef-image",
                "relationshipType": "DESCRIBES",
            }
        ],
    }
    return Sboms(canonical(json.dumps(bom).encode()), canonical(json.dumps(spdx).encode()), 1)


class Remembered:
    """Answers as another did when it was asked for the same, without asking again: of what does not change."""

    def __init__(self, of: Any) -> None:
        self._of = of
        self._answers: dict[object, Any] = {}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def answer(*args: Any) -> Any:
            key = (name, tuple(tuple(arg) if isinstance(arg, list | tuple) else arg for arg in args))
            if key not in self._answers:
                found = getattr(self._of, name)(*args)
                self._answers[key] = Remembered(found) if name == "at" else found
            return self._answers[key]

        return answer


def path_of(request: str) -> str:
    """The path of a request, without its query."""
    return urlsplit(request).path



@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with standing(tmp_path_factory.mktemp("releases")) as place:
        yield place


@pytest.fixture
def world(place: Place) -> Iterator[Releasing]:
    world = begin(place)
    yield world
    for server in place.servers:
        server.intercept = None
