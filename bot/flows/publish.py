"""The release: observe, then copy, sign, attest, verify, tag and publish, each only where it is not so yet.

Nothing is tagged before it is complete and signed, so wherever a run ends the next one continues; and what contradicts
a release is found before anything is written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from bot.core.content import Content
from bot.core.gates import Unanswered
from bot.core.reference import Digest, Repository, Tag
from bot.core.release.github_release import WantedRelease, is_latest
from bot.core.release.identity import require_identity
from bot.core.release.notes import Released, release_notes
from bot.core.release.ours import Held, Place, contradiction
from bot.core.release.publication import Failure, Publication, Step
from bot.core.signature import Signed
from bot.core.versions import Ref
from bot.errors import BotError, IntegrityError, ReleaseError, ServiceError, UsageError
from bot.flows import retag
from bot.flows.abreast import side_by_side
from bot.flows.attach import copy_attached
from bot.flows.github_release import Releases
from bot.flows.prove_release import Proof, SbomMaker, Signer, prove, prove_copied, reread
from bot.flows.release_files import publish_proofs
from bot.flows.release_observe import Git, Job, Seen, Verifier, observe, platforms_of

_AT_ONCE = 4


class Target(retag.Target, Protocol):
    """A repository that is written to, of which blobs may be made here."""

    def add(self, blob: bytes) -> None: ...


class Made(msgspec.Struct, frozen=True):
    """An image that was made here of the source's layers: its index, its manifests, and its configs as bytes."""

    index: Content
    manifests: tuple[Content, ...]
    configs: tuple[bytes, ...]


class Hands(msgspec.Struct, frozen=True):
    """What a release is made with. `rebuild` is there in build mode."""

    git: Git
    on_github: Callable[[str], str | None]
    """The commit of a tag on GitHub."""
    source: retag.Source
    """Upstream's repository."""
    look: Callable[[Repository], retag.Source]
    """A target, of which nobody wants more than to read it."""
    target: Callable[[Repository], Target]
    verifier: Verifier
    signer: Signer
    signs_as: Callable[[], str]
    """The workflow whose identity would sign, `OWNER/NAME/.github/workflows/FILE@REF`; empty where it is not known."""
    sboms: SbomMaker
    releases: Releases
    tell: Callable[[str], None]
    rebuild: Callable[[Seen], Made] | None = None


def publish(job: Job, hands: Hands, *, dry_run: bool) -> Publication:
    """The release as it is then; an error is where it stopped."""
    run = _Run(job, hands)
    try:
        run.ready(dry_run=dry_run)
        held = run.observe(hands.look if dry_run else hands.target)
        if dry_run:
            run.show(held)
        else:
            run.act()
    except BotError as error:
        run.failure = Failure.of(error)
    return Publication(
        job.tag.name, run.digest, run.url, tuple(run.steps), tuple(run.warnings), run.failure, is_plan=dry_run
    )


class _Run:
    """One run, and what it has come to."""

    def __init__(self, job: Job, hands: Hands) -> None:
        self.job = job
        self.hands = hands
        self.steps: list[Step] = []
        self.warnings: list[str] = []
        self.failure: Failure | None = None
        self.digest = ""
        self.url = ""

    def ready(self, *, dry_run: bool) -> None:
        """Raises UsageError where it could not be done; who only looks is told."""
        try:
            self.hands.signer.ready(self.job.policy)
            require_identity(self.job.ours, self.hands.signs_as())
            self.hands.sboms.ready()
        except UsageError as error:
            if not dry_run:
                raise
            self.warnings.append(f"it could not be published from here: {error}")

    def observe(self, look: Callable[[Repository], retag.Source]) -> list[Held]:
        """Everything that can be known before anything is written; what the tags name now."""
        job, hands = self.job, self.hands
        self.seen = seen = observe(job, hands.git, hands.source, hands.look, hands.verifier)
        self.warnings += seen.warnings
        self._require_pushed()
        self._step("tag", f"{job.tag.name} is {seen.commit[:12]}, and pins {seen.pin.ref} at {seen.pin.digest}")
        if seen.signature is not None:
            self._step(
                "upstream",
                f"signed by {seen.signature.identity}{f', verified in {seen.served_by}' if seen.served_by else ''}",
            )
        self.made = hands.rebuild(seen) if hands.rebuild else None
        self.index, self.manifests = (self.made or seen).index, (self.made or seen).manifests
        self.digest = self.index.digest
        hands.sboms.ready(platforms_of(self.index))
        if self.made:
            self._step("built", f"{self.digest}: the layers of {seen.pin.digest}, none added")
        self.read = {place.repository: look(place.repository) for place in job.places}
        tags = [(place, tag) for place in job.places for tag in place.tags]
        # a passing 404 must not make a tag that is there look as if it could be set: it is looked at again before it is
        held = side_by_side(lambda each: self._held(*each, looks=3), tags, _AT_ONCE)
        if (error := contradiction(held, self.index.digest)) is not None:
            raise error
        return held

    def show(self, held: Sequence[Held]) -> None:
        """What the tags name now."""
        for each in held:
            self._step(f"{each.repository}:{each.tag}", "is this image" if each.digest else "is not there yet")

    def _require_pushed(self) -> None:
        """GitHub would make a tag of its own for a release of one that it does not have."""
        name, commit = self.job.tag.name, self.hands.on_github(self.job.tag.name)
        if commit != self.seen.commit:
            what = f"is {commit[:12]}, here it is {self.seen.commit[:12]}" if commit else "is not there"
            raise ReleaseError(
                f"on GitHub the tag {what}",
                where=f"{self.job.git}: {name}",
                next_step="Find out who moved it, before anything." if commit else f"Push it: git push origin {name}",
            )

    def act(self) -> None:
        """Nothing is tagged before it is complete and signed; no tag that moves does so before all is published."""
        hands = self.hands
        self.targets = {place.repository: hands.target(place.repository) for place in self.job.places}
        for place in self.job.places:
            self._copy(place)
        proofs = self._prove()
        for place in self.job.places:
            self._verify(place)
        for place in self.job.places[1:]:
            prove_copied(self.job, proofs, place.repository, hands)
        for place in self.job.places:
            for tag in place.tags:
                self._tag(place, tag)
        self._publish(proofs)
        for place in self.job.places:
            for tag in place.moving:
                self._move(place, tag)

    @property
    def subjects(self) -> tuple[Digest, ...]:
        """What signatures and attestations are about: the index, and each platform's manifest."""
        return self.index.digest, *(digest for _, digest in platforms_of(self.index))

    def _copy(self, place: Place) -> None:
        """What a target that serves the image itself lacks is found here, too: nothing of it is copied."""
        source, target = self.seen.source, self.targets[place.repository]
        for config in self.made.configs if self.made else ():
            target.add(config)
        copied = retag.copy_image(source, target, self.index, self.manifests, self.hands.tell)
        self._step(
            f"copy to {place.repository}", str(copied), did=bool(copied.blobs + copied.mounted + copied.manifests)
        )
        if not self.made and place.repository != self.seen.served_by:
            self._attach(source, target, "upstream's signatures and attestations", must=False)

    def _attach(self, source: retag.Source, target: Target, what: str, *, must: bool) -> None:
        copied, warnings = copy_attached(source, target, self.subjects, self.hands.tell, must=must)
        self.warnings += warnings
        self._step(f"{what} in {target.repository}", f"{copied.manifests} brought", did=bool(copied.manifests))

    def _prove(self) -> tuple[Proof, ...]:
        """Sign and attest in the first place; from there it goes to the others, as it is."""
        first, *others = (self.targets[place.repository] for place in self.job.places)
        released = platforms_of(self.index)
        proofs = prove(self.job, self.seen, self.index.digest, released, first.repository, self.hands, self._step)
        for other in others:
            self._attach(first, other, "our signatures and attestations", must=True)
        return proofs

    def _verify(self, place: Place) -> None:
        """What was signed, as anybody will verify it, before any tag names it."""
        tag = Ref(self.job.tag.name)
        answer = self.hands.verifier.verify(place.repository, self.index.digest, tag, self.job.ours)
        where = f"{place.repository}@{self.index.digest}"
        if not isinstance(answer, Signed):
            kind = ServiceError if isinstance(answer, Unanswered) else IntegrityError
            raise kind(
                f"our own signature does not verify: {answer.reason}",
                where=where,
                next_step="It was not tagged. See that `identity` under [release.signature] names this very workflow, "
                "and run it again.",
            )
        self._step(f"our signature in {place.repository}", f"by {answer.identity}, verified by {answer.tool}")

    def _tag(self, place: Place, tag: Tag) -> None:
        """A tag that was pushed meanwhile is looked at once more; what stands there then is read back."""
        held = self._held(place, tag)
        if (error := contradiction((held,), self.index.digest)) is not None:
            raise error
        if held.digest is None:
            try:
                self._put(place, tag)
            except ReleaseError:
                if self._held(place, tag).digest != self.index.digest:
                    raise  # else another run was faster, where tags are immutable
        self._step(f"{place.repository}:{tag}", f"is {self.index.digest}", did=held.digest is None)

    def _move(self, place: Place, tag: Tag) -> None:
        held = self._held(place, tag)
        name = f"{place.repository}:{tag}"
        if not self.is_newest:
            self.warnings.append(f"{name} was left: a newer release than {self.job.tag.name} is published")
            return
        if held.digest != self.index.digest:
            try:
                self._put(place, tag)
            except ReleaseError as error:
                self.warnings.append(f"{name} was left: {error.what}. {error.next_step}")
                return
        self._step(name, f"is {self.index.digest}", did=held.digest != self.index.digest)

    def _put(self, place: Place, tag: Tag) -> None:
        target = self.targets[place.repository]
        target.put(self.index, tag)
        held = self._held(place, tag, looks=retag.LOOKS)
        if held.digest != self.index.digest:
            raise IntegrityError(
                f"the tag was pushed, and reads as {held.digest or 'nothing'}, not as {self.index.digest}",
                where=f"{place.repository}:{tag}",
                next_step="Somebody else may push there, or the registry is behind: find out, and run it again.",
            )

    def _publish(self, proofs: Sequence[Proof]) -> None:
        job, seen = self.job, self.seen
        form = seen.signature.format if seen.signature else "bundle"
        released = Released(
            tag=job.tag,
            repository=job.repository,
            git=job.git,
            # whoever repeats upstream's signature has to find it
            image=msgspec.structs.replace(job.image, repository=seen.served_by or job.image.repository),
            pin=seen.pin,
            digest=self.index.digest,
            platforms=platforms_of(self.index),
            places=job.places,
            ours=job.ours,
            form=form,
        )
        wanted = WantedRelease(
            tag=job.tag.name,
            commit=seen.commit,
            name=job.tag.name,
            body=release_notes(released, seen.changes),
            prerelease=bool(job.tag.version.prerelease),
            latest=not job.tag.version.prerelease,
            files=(),
        )
        releases, tell = self.hands.releases, self.hands.tell
        at = self.job.places[0].repository
        done = publish_proofs(wanted, proofs, releases, lambda proofs: reread(job, proofs, at, self.hands), tell)
        self.url = done.url
        locked = ", immutable" if done.immutable else ""
        self._step("GitHub Release", f"{done.did or 'published'}, {len(proofs)} files{locked}", did=bool(done.did))
        self.is_newest = is_latest(wanted, self.hands.releases.all())

    def _held(self, place: Place, tag: Tag, *, looks: int = 1) -> Held:
        found = self.read[place.repository].manifest(tag, looks=looks)
        return Held(place.repository, tag, found.digest if found else None)

    def _step(self, name: str, said: str, *, did: bool = False) -> None:
        self.steps.append(Step(name, said, did))
        self.hands.tell(f"{'done' if did else 'ok'}: {name}: {said}")
