"""The adapters of a release, wired; each is imported when it is first used."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from bot.core.model import SourceFile
from bot.core.release.identity import our_identity
from bot.core.release.ours import OurTag, file_stem, is_our_tag, our_tag, places_of
from bot.errors import UsageError
from bot.settings import Settings, settings_in
from bot.world import World

if TYPE_CHECKING:
    from bot.adapters.git import Git
    from bot.adapters.github_api import GitHubApi
    from bot.adapters.registry.content import Contents
    from bot.adapters.registry.pushing import Target
    from bot.core.model import Image, ReleasePolicy
    from bot.core.reference import Repository
    from bot.flows.outside import Outside, Read
    from bot.flows.prove_release import SbomMaker
    from bot.flows.publish import Hands, Made
    from bot.flows.push_release import Publisher
    from bot.flows.release_observe import Job, Seen

SECONDS = 3600.0
"""For everything that a release asks of registries, waiting included."""

ASKING_SECONDS = 120.0
"""For everything that `release verify` asks of one repository in a registry: who asks does not know who answers."""


class ReleaseDesk:
    """What a release is made of and with, for one checkout."""

    def __init__(self, world: World) -> None:
        self.world = world

    @property
    def policy(self) -> ReleasePolicy:
        """Raises UsageError where the settings say of no release."""
        return require_release(self.world.settings)

    @property
    def image(self) -> Image:
        (image,) = self.world.images(self.policy.image)
        return image

    def git(self) -> Git:
        from bot.adapters.git import Git

        return Git(self.world.root, self.world.environment.others)

    def publisher(self) -> Publisher:
        """What publishes a tag that is pushed from here. Raises UsageError where the settings say of no release."""
        from bot.adapters.workflow_runs import WorkflowRuns
        from bot.core.release.pushed import workflow_of
        from bot.flows.push_release import Publisher

        env = self.world.environment
        runs = WorkflowRuns(self._anybody()) if env.in_actions and env.github_token else None
        return Publisher(workflow_of(self.policy.signature.identity), env.in_actions, runs)

    def tag(self, named: str | None) -> OurTag:
        """The tag that was named, else the one that this run is for, else the only one on what is checked out."""
        given = named or self.world.environment.tag
        if given:
            return our_tag(given)
        git = self.git()
        head = git.head()
        found = [tag.name for tag in git.tags() if tag.commit == head and is_our_tag(tag.name)]
        if len(found) != 1:
            what = f"several tags are on it: {', '.join(found)}" if found else "it is no release"
            raise UsageError(
                f"no tag was named, and of what is checked out {what}",
                where="TAG",
                next_step="Name the tag, as in v1.2.3.",
            )
        return our_tag(found[0])

    def job(self, tag: OurTag) -> Job:
        """What is to be released. Raises UsageError where it is not known for which repository on GitHub."""
        from bot.flows.release_observe import Job

        world, policy = self.world, self.policy
        self._require_repository()
        env = world.environment
        return Job(
            tag=tag,
            image=self.image,
            policy=policy,
            ours=our_identity(policy.signature, world.repository, tag.name),
            places=places_of(policy.targets, world.repository, tag),
            repository=world.repository,
            git=f"{env.server_url}/{world.repository}",
            base=world.settings.base,
            allowed_keys=world.allowed_keys,
            today=world.clock.now().date(),
            run=env.run_url,
        )

    def hands(self, job: Job, sboms: Path | None, *, dry_run: bool = False) -> Hands:
        """What a release is made with; a dry run needs no token. `sboms` is a folder of them that was made before."""
        from bot.adapters.git_data import GitData
        from bot.adapters.github_releases import GitHubReleases
        from bot.adapters.identity_token import workflow_of_run
        from bot.flows.publish import Hands

        world = self.world
        world.purpose = "release"
        api = self._anybody() if dry_run else world.github
        github = GitData(api)
        return Hands(
            git=self.git(),
            on_github=lambda name: found.sha if (found := github.tag(name)) else None,
            source=self.contents(job.image.repository),
            look=self.contents,
            target=self.target,
            verifier=world.tools.verifier,
            signer=world.tools.signer,
            signs_as=lambda: workflow_of_run(world.http, world.environment.others),
            sboms=self.sbom_maker(job, sboms),
            releases=GitHubReleases(api),
            tell=world.log,
            rebuild=self._rebuild(job) if job.policy.mode == "build" else None,
        )

    def sbom_maker(self, job: Job, folder: Path | None) -> SbomMaker:
        """Raises UsageError where there is a folder and the images are built."""
        if folder is None:
            return self.world.tools.sboms
        if job.policy.mode == "build":
            raise UsageError(
                "SBOMs that were made before are of upstream's manifests, and in build mode ours are others",
                where="--sbom",
                next_step="Leave it out: they are made when the images are there.",
            )
        from bot.adapters.sbom_files import SbomFiles
        from bot.adapters.sbom_libraries import validate

        return SbomFiles(folder, stem(job), validate)

    def contents(self, repository: Repository, seconds: float = SECONDS) -> Contents:
        """A repository that is read, under a deadline of its own, in seconds from now."""
        from bot.adapters.registry.content import Contents

        world = self.world
        return Contents(world.connections, world.http(seconds), repository, world.login)

    def target(self, repository: Repository) -> Target:
        """A repository that is written to."""
        from bot.adapters.registry.pushing import Target

        world = self.world
        return Target(world.connections, world.http(SECONDS), repository, world.login)

    @contextmanager
    def outside(self, trusted_root: Path | None = None) -> Iterator[Outside]:
        """What a stranger has: no checkout, and no right that is not everybody's; a token only where one is given.

        `trusted_root` is a file of who asks, in place of those that the repository names.
        """
        from bot.adapters.cosign import Cosign
        from bot.adapters.cosign.signing import Signer
        from bot.adapters.expressions import Expressions
        from bot.adapters.git_data import GitData
        from bot.adapters.github_releases import GitHubReleases
        from bot.flows.outside import Outside

        world, env = self.world, self.world.environment
        self._require_repository()
        api = self._anybody()
        with tempfile.TemporaryDirectory(prefix="gateway-bot-") as folder:
            root = Path(folder)
            read = cache(partial(self.contents, seconds=ASKING_SECONDS))
            yield Outside(
                github=GitData(api),
                releases=GitHubReleases(api).all,
                registry=read,
                verifier=Cosign(world.tools.programs, root),
                signer=Signer(world.tools.programs, root, {}),
                settings=_read,
                expressions=Expressions(world.tools.programs),
                keep=partial(_keep, root),
                root=SourceFile(str(trusted_root), _bytes(trusted_root), "") if trusted_root else None,
                git=f"{env.server_url}/{world.repository}",
            )

    def _anybody(self) -> GitHubApi:
        """GitHub as anybody sees it, or as whoever gave a token."""
        from bot.adapters.github_api import GitHubApi

        world, env = self.world, self.world.environment
        self._require_repository()
        return GitHubApi(
            world.connections, env.github_api_url, world.repository, lambda: env.github_token, world.clock, world.log
        )

    def _require_repository(self) -> None:
        if not self.world.repository:
            raise UsageError(
                "it is not known which repository on GitHub this is",
                where="GITHUB_REPOSITORY",
                next_step="Set it as OWNER/NAME, or start with --repository OWNER/NAME.",
            )

    def _rebuild(self, job: Job) -> Callable[[Seen], Made]:
        from bot.flows.rebuild import rebuild

        return lambda seen: rebuild(job, seen, self.world.root, self.world.tools.engine)


def stem(job: Job) -> str:
    """What the names of a release's files begin with."""
    return file_stem(job.places, job.tag)


def _read(text: str) -> Read:
    """The settings at a tag. Raises UsageError where they say of no release."""
    from bot.flows.outside import Read

    settings = settings_in(text)
    policy = require_release(settings)
    return Read(next(image for image in settings.images if image.name == policy.image), policy, settings.base)


def _keep(folder: Path, data: bytes) -> str:
    """Under a name of our own: the repository's may be too long for a disk, or be another's folder."""
    name = f"trusted-root-{len(list(folder.iterdir()))}.json"
    (folder / name).write_bytes(data)
    return name


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"cannot be read: {error.strerror}",
            where=str(path),
            next_step="Name a file that may be read.",
        ) from None


def require_release(settings: Settings) -> ReleasePolicy:
    """Raises UsageError where the settings say of no release."""
    if settings.release is None:
        raise UsageError(
            "there is no table [release], which says where releases go and who signs them",
            where="gateway-bot.toml",
            next_step="Add it: docs/release.md shows it.",
        )
    return settings.release
