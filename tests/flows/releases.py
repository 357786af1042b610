"""A world to release in: upstream's registry, two of ours, a GitHub, a checkout in which `release bump` made a release.

The servers and the checkout stand for a whole session, and are as new for each test. Who signs, verifies and makes
SBOMs is a stand-in in this process that keeps what it says where cosign does: as referrers, in the registry, by HTTP.
"""

from __future__ import annotations

import copy
import json
import shutil
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from msgspec.structs import replace

from bot.adapters.changelog import Changelog
from bot.adapters.worktree import Worktree
from bot.core.reference import Digest, digest_of
from bot.core.release.publication import Publication
from bot.embedded.github import Account, EmbeddedGitHub
from bot.embedded.github.state import Repository as OnGitHub
from bot.embedded.gitobjects import Commit, Entry, Ident
from bot.embedded.images import MultiPlatformImage, build_image
from bot.embedded.registry import EmbeddedRegistry
from bot.embedded.server import Exchange, LoopbackServer, Request, Response, json_response
from bot.embedded.storage import StoredRepository
from bot.embedded.tokens import TokenServer
from bot.flows.bump import bump
from bot.flows.publish import Hands, publish
from bot.flows.release_observe import Job
from bot.release_desk import ReleaseDesk
from bot.settings import settings_in
from bot.world import World
from tests.flows.conftest import TOKEN, Run, TestClock, run_command
from tests.flows.release_standins import (
    GATEWAY,
    REF,
    REPOSITORY,
    TAG,
    THEIRS,
    UPSTREAM,
    FakeSyft,
    Stamp,
    attach,
    sboms_of,
)
from tests.repositories import Repo

USER, PASSWORD = "bot", "dckr_pat_of-the-registries"
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
        return list(self.open.tokens._tokens) if self.open.tokens else []

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
    return [each for each in server.exchanges if each.method not in {"GET", "HEAD"} and each.status != 401]


def begin(place: Place) -> Releasing:
    """All as new: upstream has its image, signed, and GitHub the checkout's commits and tags."""
    tokens = place.open.tokens
    assert tokens is not None
    tokens.expire()
    for registry in (place.upstream, place.locked, place.open):
        registry.repositories.clear()
    place.open.immutable_tags, place.locked.immutable_tags, place.locked.referrers, place.open.referrers = (
        False,
        True,
        True,
        False,
    )
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
