"""What going back is decided on, wired: the history of one checkout, and the files that would change."""

from __future__ import annotations

import os
from functools import cached_property, partial
from typing import TYPE_CHECKING

import msgspec

from bot.core.pins.sites import allowed_keys
from bot.errors import UsageError
from bot.settings import FILE, Settings, settings_in
from bot.world import World

if TYPE_CHECKING:
    from bot.adapters.git.past import Past
    from bot.adapters.registry.content import Contents
    from bot.core.emergency import Ran
    from bot.core.evidence import Evidence
    from bot.core.ledger import Ledger
    from bot.core.model import Deployment, Image, Pin
    from bot.core.plan import Outcome
    from bot.core.reference import Repository, Tag
    from bot.core.release.history import Branch
    from bot.core.rollback.back import Wish
    from bot.core.versions import Ref
    from bot.flows.forge import Forge
    from bot.flows.hold import HoldDesk
    from bot.flows.observe import Files
    from bot.flows.upgrade import Ground, Planner


class RollbackDesk:
    """For one checkout. `in_place`: what is in the work tree is changed, not what the base has."""

    def __init__(self, world: World, *, in_place: bool = False) -> None:
        self.world = world
        self.in_place = in_place

    @cached_property
    def git(self) -> Past:
        from bot.adapters.git.past import Past

        return Past(self.world.root, self.world.environment.others)

    @cached_property
    def base(self) -> Branch:
        """Raises UsageError where there is none."""
        name = self.world.settings.base
        found = self.git.base(name)
        if found is None:
            raise UsageError(
                f"there is no branch {name or 'main'} here, nor at the remote as it was last fetched",
                where=str(self.world.root),
                next_step="Fetch it, or name the base branch in gateway-bot.toml: `base`.",
            )
        return found

    @cached_property
    def files(self) -> Files:
        """The work tree, or the base as it was last fetched."""
        return self.world.files if self.in_place else self.git.at(self.base.commit)

    @cached_property
    def settings(self) -> Settings:
        """As they are in those files. Raises UsageError."""
        if self.in_place:
            return self.world.settings
        try:
            return settings_in(self.files.read((self.path,))[self.path].data.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise UsageError(
                f"cannot be read: {error}", where=FILE, next_step="Make it a readable UTF-8 file."
            ) from None

    @property
    def path(self) -> str:
        """Where the settings are, from the root. Raises UsageError where that is outside: a commit needs both."""
        if not self._path:
            raise UsageError(
                "these settings are outside the checkout: the hold could not be committed with the pins",
                where="--settings",
                next_step="Put them into the checkout, or change the pins by hand.",
            )
        return self._path

    @property
    def _path(self) -> str:
        file = self.world.settings_file
        path = os.path.relpath(file.resolve(), self.world.root) if file else FILE
        return "" if path.startswith("..") else path

    def images(self, name: str | None) -> tuple[Image, ...]:
        """As World.images, of these settings."""
        known = self.settings.images
        found = tuple(image for image in known if name in {None, image.name})
        if not found:
            names = ", ".join(image.name for image in known)
            raise UsageError(f"there is no image {name!r}", where="--image", next_step=f"There are: {names}.")
        return found

    def image(self, name: str | None) -> Image:
        """The image that goes back. Raises UsageError where there are several and none was named."""
        found = self.images(name)
        if len(found) > 1:
            names = ", ".join(image.name for image in found)
            raise UsageError("one image at a time", where="--image", next_step=f"Name one of {names}.")
        return found[0]

    def deployment(self, name: str) -> Deployment:
        """The environment of that name. Raises UsageError."""
        known = self.world.settings.deployments
        found = next((deployment for deployment in known if deployment.name == name), None)
        if found is None:
            names = ", ".join(deployment.name for deployment in known)
            raise UsageError(
                f"there is no environment {name[:80]!r}",
                where="--emergency",
                next_step=f"There are: {names}." if names else "Describe it as [[environment]]: docs/emergency.md.",
            )
        return found

    def ledger(self, image: Image) -> Ledger:
        """Which pin was there from when to when."""
        from bot.flows.history import history

        return history(
            image, self.git, self.world.settings.base, lambda text: settings_in(text).images, self._path or FILE
        )

    @property
    def holds(self) -> HoldDesk:
        """Where holds are written: the settings, wherever they are."""
        from bot.adapters.worktree import Worktree
        from bot.flows.hold import HoldDesk

        world, file = self.world, self.world.settings_file
        if file is None or self._path:
            return HoldDesk(world.files, self.path, world.files, world.allowed_keys, world.upstream)
        file = file.resolve()
        return HoldDesk(Worktree(file.parent), file.name, world.files, world.allowed_keys, world.upstream)

    def ground(self, *, gathering: bool = True) -> Ground:
        """What a rollback is planned on; one that is not `gathering` takes its evidence from a saved plan."""
        ground = self.world.ground(gathering=gathering)
        return msgspec.structs.replace(ground, files=self.files, allowed_keys=allowed_keys(self.settings.images))

    def places(self, image: Image) -> tuple[Contents, ...]:
        """The repositories that may have an image: upstream's, then our own."""
        return tuple(self._contents(repository) for repository in (image.repository, *self.ours(image)))

    def ours(self, image: Image) -> tuple[Repository, ...]:
        """Our own repositories that this image is released to."""
        from bot.core.release.ours import repository_of

        release, name = self.settings.release, self.world.repository
        if release is None or release.image != image.name:
            return ()
        known = [target for target in release.targets if name or "{repository}" not in target.repository]
        if len(known) < len(release.targets):
            self.world.log("not every registry of ours is asked: say which repository this is with --repository")
        return tuple(dict.fromkeys(repository_of(target, name) for target in known))

    def of_service(self, image: Image, wish: Wish) -> Wish:
        """Without a name, a service follows a rollback that was merged: it does not go one further back."""
        from bot.core.rollback.holding import is_rolled_back_to
        from bot.flows.observe import read_pinned

        pin = read_pinned(image, self.files, allowed_keys(self.settings.images)).pin
        settled = is_rolled_back_to(image.policy.holds, pin, self.world.clock.now().date())
        return msgspec.structs.replace(wish, to=pin.ref) if wish.to is None and settled else wish

    def pin_of(self, made: Outcome, wish: Wish) -> Pin | None:
        """What a service is to run by this decision; None where there is none. What the base pins may be named."""
        from bot.core.plan import NothingNew, Plan

        if isinstance(made, NothingNew):
            return made.current if wish.to else None
        return made.candidate.pin if isinstance(made, Plan) else None

    def our_image(self, image: Image, pin: Pin) -> str:
        """HOST/PATH@DIGEST in the first of our repositories that has it. Raises UsageError where we have none."""
        from bot.core.rollback.gates import nowhere
        from bot.flows.still_there import still_there

        copies = still_there(pin.digest, [self._contents(repository) for repository in self.ours(image)])
        if not copies:
            raise UsageError(
                f"no registry of ours is known that may have {pin.ref}",
                where="[[release.target]]",
                next_step="A service is only pointed at an image that was released: docs/release.md says where to.",
            )
        found = next((copy for copy in copies if copy.answer == "there"), None)
        if found is None:
            raise nowhere(
                pin, copies, "Only what was released can be run at once: `gateway-bot history` says what was."
            )
        return f"{found.repository}@{pin.digest}"

    def run(self, deployment: Deployment, value: str, how: str) -> Ran:
        """What Terraform does, or would do."""
        from bot.adapters.terraform_run import TerraformRun
        from bot.flows.emergency import run_emergency

        world = self.world
        terraform = TerraformRun(world.environment.others, world.root, world.log)
        return run_emergency(deployment, value, terraform, how="apply" if how == "apply" else "plan")

    def tags(self, image: Image, release: str) -> list[tuple[Contents, Tag]]:
        """Where our repositories have a release of ours by the image's own digest: a build has another."""
        from bot.core.release.ours import our_tag, places_of

        policy, name = self.settings.release, self.world.repository
        if policy is None or policy.image != image.name or policy.mode == "build":
            return []
        known = [target for target in policy.targets if name or "{repository}" not in target.repository]
        places = places_of(known, name, our_tag(release))
        return [(self._contents(place.repository), place.tags[0]) for place in places if place.tags]

    def _contents(self, repository: Repository) -> Contents:
        from bot.adapters.registry.content import Contents

        return Contents(self.world.connections, self.world.http(), repository, self.world.login)

    def planner(self, wish: Wish) -> Planner:
        """Makes the plan of one image by the wish alone: a saved plan does not say where it goes."""
        from bot.flows.rollback import Way, plan_back

        def planned(
            image: Image, ground: Ground, _wanted: Ref | None, given: Evidence | None = None, *, proving: bool = True
        ) -> Outcome:
            way = Way(self.ledger(image), self.path, self.places(image), partial(self.tags, image))
            return plan_back(image, ground, way, wish, given, proving=proving)

        return planned

    def forge(self, wish: Wish) -> Forge:
        """GitHub, with the labels that tell a rollback from an upgrade. Raises UsageError as World.forge does."""
        from bot.core.rollback.text import LABEL, RELEASE_LABEL

        forge, policy = self.world.forge, self.settings.pull_request
        labels = (*policy.labels, LABEL, *((RELEASE_LABEL,) if wish.release else ()))
        policy = msgspec.structs.replace(policy, labels=tuple(dict.fromkeys(labels)))
        return msgspec.structs.replace(forge, base=self.settings.base, policy=policy)

    def tell_difference(self) -> None:
        """Say where what is looked at in this checkout is not what the base has: config, Terraform, settings."""
        if self.in_place or (self.git.head() == self.base.commit and not self.git.status().dirty):
            return
        self.world.log(
            f"this checkout is not {self.base.name} as it was last fetched: pins and holds are read there, the "
            "config is checked as it is here"
        )
        there = {hold for image in self.settings.images for hold in image.policy.holds}
        mine = [hold for image in self.world.settings.images for hold in image.policy.holds if hold not in there]
        if mine:
            names = ", ".join(hold.version for hold in mine)
            self.world.log(f"not on {self.base.name} yet, and so not counted: the hold of {names}")
