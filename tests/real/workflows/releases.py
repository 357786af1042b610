"""A town that releases: a signed image upstream, a GHCR, an ECR, AWS, and a Sigstore that trusts GitHub's tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt

from bot.adapters.cosign.signing import Signer
from bot.adapters.programs import Programs
from bot.core.model import ReleasePolicy, Signature
from bot.core.reference import parse_repository
from bot.embedded.github import Account, EmbeddedGitHub
from bot.embedded.gitobjects import Commit, Entry, Ident
from bot.embedded.registry import EmbeddedRegistry
from bot.embedded.server import LoopbackServer, Request, Response, json_response
from bot.embedded.tokens import TokenServer
from tests import aws as cloud
from tests.flows.conftest import DOWNSTREAM, UPSTREAM
from tests.live_sigstore import GITHUB, ISSUER, LiveSigstore
from tests.parts import require
from tests.real.workflows.act import ACTOR, PATH
from tests.real.workflows.log import Run
from tests.real.workflows.town import READER, Files, Town, git
from tests.trivy import wolfi

TAG = "v1.2.3"
PUBLISHER = "ghs_may-what-release-yml-asks-for"
TOKENS = {
    READER: Account("github-actions[bot]", {"contents": "read"}),
    PUBLISHER: Account("github-actions[bot]", {"contents": "write"}),
}
REQUEST_TOKEN = "of-this-run-to-ask-for-identities"  # noqa: S105 - of an endpoint on loopback
ROOT, CONFIG = "sigstore/trusted-root.json", "sigstore/signing-config.json"
CHANGES = "### Changed\n\n- Gateway image: v1.3.1"
_UPSTREAM_IDENTITY = f"{GITHUB}{UPSTREAM}/.github/workflows/release.yml@refs/tags/{{tag}}"
_STANDINS = Path(__file__).parent / "path"
_WORKFLOW = "release.yml"


class Identities(LoopbackServer):
    """GitHub's endpoint that gives a run its identity, for Sigstore or for AWS. `given` are all, by audience."""

    def __init__(self, sigstore: LiveSigstore) -> None:
        super().__init__()
        self.given: dict[str, list[str]] = {}
        self.slug = DOWNSTREAM
        self._sigstore = sigstore

    @property
    def subject(self) -> str:
        """Whom AWS has to trust."""
        return f"repo:{self.slug}:ref:refs/tags/{TAG}"

    def answer(self, request: Request) -> Response:
        if request.headers.get("Authorization", "").lower() != f"bearer {REQUEST_TOKEN}":
            return json_response(401, {"message": "no"})
        audience = request.value("audience")
        identity = f"{GITHUB}{self.slug}/.github/workflows/{_WORKFLOW}@refs/tags/{TAG}"
        token = self._sigstore.token(identity) if audience == "sigstore" else self._other(audience)
        self.given.setdefault(audience, []).append(token)
        return json_response(200, {"value": token})

    def _other(self, audience: str) -> str:
        claims = {"iss": ISSUER, "aud": audience, "sub": self.subject, "exp": datetime.now(UTC) + timedelta(minutes=5)}
        return jwt.encode(claims, "of no secret, and of the length that is asked for", algorithm="HS256")


@dataclass(kw_only=True)
class ReleaseTown(Town):
    """v1.3.1 is pinned and signed, and so is what the tag `TAG` releases."""

    github: EmbeddedGitHub
    sigstore: LiveSigstore
    ghcr: EmbeddedRegistry
    ecr: str
    moto: str
    aws: str
    identities: Identities
    targets: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.targets = (f"{self.ecr}/{self.root.parent.name.lower()}", f"{self.ghcr.host}/acme/ai-gateway")
        cosign = self.programs.folder / "cosign"
        cosign.unlink()
        cosign.symlink_to(require("cosign3"))
        path = self.root / "path"
        path.mkdir()
        (path / "docker").symlink_to(_STANDINS / "docker")
        (path / "aws").symlink_to(self.aws)
        self._sign_upstream()

    def release(self, ref: str, days_ago: int = 0) -> None:
        """An upstream release, in which a scanner finds packages."""
        files = wolfi({"glibc": "2.40-r0", "openssl": "3.5.0-r1"})
        self.digests[ref] = self.registry.push_image(UPSTREAM, ref, attestations=True, files=files)
        self.github.add_release(UPSTREAM, ref, published=datetime.now(UTC) - timedelta(days=days_ago))

    def _sign_upstream(self) -> None:
        checkout = self.root / "upstream"
        for name, content in self.trust().items():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            (checkout / name).write_bytes(content)
        identity = _UPSTREAM_IDENTITY.replace("{tag}", "v1.3.1")
        policy = ReleasePolicy("agentgateway", (), Signature(ISSUER, identity, ROOT), CONFIG)
        programs = Programs({"PATH": f"{self.programs.folder}:{PATH}"}, lambda _host: None)
        signer = Signer(programs, checkout, self.sigstore.environ(identity))
        signer.sign(parse_repository(self.image), self.digests["v1.3.1"], policy)

    def trust(self) -> dict[str, bytes]:
        """The files that a private Sigstore needs in a repository."""
        return {ROOT: self.sigstore.trusted_root.read_bytes(), CONFIG: self.sigstore.signing_config.read_bytes()}

    def releasing(self, *targets: str) -> dict[str, bytes]:
        """The files of a repository that releases to these targets, at the commit that it tags."""
        files = self.pinned() | self.trust()
        settings = files["gateway-bot.toml"].decode().partition("[release")[0]
        ours = f"{GITHUB}{{repository}}/.github/workflows/{_WORKFLOW}@refs/tags/{{tag}}"
        tables = [
            f'[image.signature]\nidentity = "{_UPSTREAM_IDENTITY}"\ntrusted_root = "{ROOT}"\n',
            f'[release.signature]\nidentity = "{ours}"\ntrusted_root = "{ROOT}"\nsigning_config = "{CONFIG}"\n',
            *(f'[[release.target]]\nrepository = "{target}"\n' for target in targets),
        ]
        files["gateway-bot.toml"] = "\n".join([settings, *tables]).encode()
        files["pyproject.toml"] = b'[project]\nname = "ai-gateway"\nversion = "1.2.3"\n'
        files["CHANGELOG.md"] = f"# Changelog\n\n## [1.2.3] - 2026-11-20\n\n{CHANGES}\n".encode()
        return files

    def tagged(self, files: Files, *, slug: str = DOWNSTREAM, merged: bool = True) -> str:
        """A repository with an annotated tag that was pushed, on its branch if it is `merged`. Returns the commit."""
        commit = self.publish(slug, files, on_github=False)
        folder = self.root / "work" / slug
        if not merged:
            git(folder, "checkout", "--quiet", "-b", "feature")
            git(folder, "commit", "--quiet", "--allow-empty", "--message", "What nobody reviewed")
            commit = git(folder, "rev-parse", "HEAD").strip()
        git(folder, "tag", "--annotate", "--message", TAG, TAG)
        git(folder, "push", "--quiet", str(self.root / "remotes" / f"{slug}.git"), "main", f"refs/tags/{TAG}")
        self.github.create_repository(slug)
        _mirror(self.github, slug, folder)
        self.identities.slug = slug
        return commit

    def release_run(
        self,
        *,
        slug: str = DOWNSTREAM,
        token: str = PUBLISHER,
        variables: Mapping[str, str] | None = None,
        job: str = "",
        again: Run | None = None,
        event: str = "push",
    ) -> Run:
        """The run that a push of the tag starts, or another event; `again` is the same one, after that attempt."""
        with_ecr = {"ECR_REGISTRY": self.ecr, "AWS_RELEASE_ROLE": cloud.ROLE, "AWS_REGION": cloud.REGION}
        environ = self.environ() | {
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": REQUEST_TOKEN,
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.identities.url}/token?api-version=2.0",
            "AWS_ENDPOINT_URL": self.moto,
            "STANDIN_GHCR": self.ghcr.host,
        }
        return self.act(environ, f"{self.root / 'path'}:{PATH}").run(
            self.root / "work" / slug,
            _WORKFLOW,
            event,
            slug=slug,
            token=token,
            variables=with_ecr if variables is None else variables,
            tag=TAG,
            job=job,
            again=again,
        )


@contextmanager
def release_town(root: Path, sigstore: LiveSigstore, ecr: str, moto: str, aws: str) -> Iterator[ReleaseTown]:
    """A town of its own; in the ECR that others use too it has a repository of its own."""
    program = require("act")
    (root / "runs").mkdir(parents=True)
    people = TokenServer(ACTOR, PUBLISHER, private=True)
    with (
        EmbeddedGitHub(TOKENS) as github,
        EmbeddedRegistry() as upstream,
        EmbeddedRegistry(tokens=people, referrers=False) as ghcr,
        Identities(sigstore) as identities,
    ):
        yield ReleaseTown(
            root, program, upstream, github=github,
            sigstore=sigstore, ghcr=ghcr, ecr=ecr, moto=moto, aws=aws, identities=identities,
        )  # fmt: skip


def _mirror(github: EmbeddedGitHub, slug: str, folder: Path) -> None:
    """The commits, tags and branches of a repository on GitHub, by their own names."""
    repository = github.repositories[slug]
    for sha in git(folder, "rev-list", "--reverse", "main", TAG).split():
        head, _, message = git(folder, "cat-file", "commit", sha).partition("\n\n")
        listed = [line.split(None, 3) for line in git(folder, "ls-tree", "-r", sha).splitlines()]
        for _, _, blob, path in listed:
            repository.objects.add_blob((folder / path).read_bytes())
            assert blob in repository.objects.blobs, f"{path} is not as it was committed"
        tree = repository.objects.add_files({path: Entry(mode, blob) for mode, _, blob, path in listed})
        parents = tuple(re.findall(r"(?m)^parent (.*)$", head))
        commit = Commit(tree, parents, _ident(head, "author"), _ident(head, "committer"), message)
        assert repository.objects.add_commit(commit) == sha
    repository.refs["refs/heads/main"] = git(folder, "rev-parse", "main").strip()
    repository.refs[f"refs/tags/{TAG}"] = git(folder, "rev-parse", f"{TAG}^{{commit}}").strip()


def _ident(head: str, role: str) -> Ident:
    found = re.search(rf"(?m)^{role} (.*) <(.*)> (\d+) \+0000$", head)
    assert found is not None
    return Ident(found[1], found[2], datetime.fromtimestamp(int(found[3]), UTC))
