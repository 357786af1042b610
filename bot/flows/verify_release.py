"""Verify a release from outside: its tag, its image in every place, our signature and attestations, upstream's.

Nothing is believed that the release says of itself: what it should be is read from the repository at the tag, and who
must have signed it from the settings there.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from bot.core.content import Content, Denied, same_layers
from bot.core.gates import Unanswered
from bot.core.index import NotProven
from bot.core.model import Platform, Signature
from bot.core.pins.sites import drift
from bot.core.proposal.shown import Commit
from bot.core.reference import Digest, Repository, Tag
from bot.core.release.attestation import repeat_attested
from bot.core.release.chain import Chain, Links
from bot.core.release.identity import our_identity
from bot.core.release.notes import clone_command
from bot.core.release.ours import OurTag, Place, file_stem, places_of
from bot.core.release.provenance import PREDICATE_TYPE, Provenance, read_provenance
from bot.core.release.sbom import KINDS, PREDICATE_TYPES, Kind, file_name, prove_sbom
from bot.core.signature import NotSigned, Signed, repeat_command
from bot.core.text import plain
from bot.core.versions import Ref
from bot.errors import BotError, IntegrityError, ReleaseError
from bot.flows.outside import AtTag, Outside, merged, read_at
from bot.flows.release_observe import platforms_of
from bot.flows.retag import LOOKS, read_image
from bot.flows.verify_files import verify_files

_Found = tuple[Repository, Content, Sequence[Content]]
"""Where an image was found, its index and its manifests."""


def verify_release(tag: OurTag, repository: str, outside: Outside) -> Chain:
    """Every link. Raises what hinders the first ones: there is no chain without them."""
    commit = outside.github.tag(tag.name)
    if commit is None:
        raise ReleaseError(
            f"{repository} has no tag {tag.name}",
            where=f"{outside.git}: {tag.name}",
            next_step="See its releases on GitHub, or name another repository with --repository OWNER/NAME; for a "
            "private one, set GITHUB_TOKEN.",
        )
    read = read_at(commit, outside)
    ours = our_identity(read.policy.signature, repository, tag.name)
    places = places_of(read.policy.targets, repository, tag)
    return _Links(tag, repository, commit, read, ours, places, outside).chain()


class _Links:
    """The links of one release, one after another."""

    def __init__(
        self,
        tag: OurTag,
        repository: str,
        commit: Commit,
        read: AtTag,
        ours: Signature,
        places: Sequence[Place],
        outside: Outside,
    ) -> None:
        self.tag, self.repository, self.commit = tag, repository, commit
        self.image, self.policy, self.pinned, self.roots = read.image, read.policy, read.pinned, read.roots
        self.ours, self.places, self.outside = ours, places, outside
        self.home = self.places[0].repository
        """The place that the image was read from: where its attestations are asked for."""
        self.stem = file_stem(places, tag)
        self.denied: dict[Repository, Denied] = {}
        self.open: set[Repository] = set()
        """Places that answered: a denial there is none of the whole place."""
        self.manifests: Sequence[Content] = ()
        self.own_roots: dict[str, None] = {}
        self.links = Links()

    @property
    def is_copy(self) -> bool:
        return self.policy.mode == "retag"

    def chain(self) -> Chain:
        """All of them."""
        self._git()
        index = self._image()
        if index is not None:
            self._signatures(index)
            provenance = self._provenance(index)
            documents = self._sboms(index)
            attested = documents | {f"{self.stem}.provenance.json": (provenance,) if provenance else ()}
            verify_files(self.tag, self.repository, self.outside, attested, self.links)
        self._upstream(index)
        digest, links = index.digest if index else "", tuple(self.links.found)
        return Chain(self.repository, self.tag.name, digest, links, tuple(self.own_roots))

    def _git(self) -> None:
        name, commit, pin = self.tag.name, self.commit.sha, self.pinned.pin
        self.links.passes("tag", f"{name} is commit {commit}", f"git ls-remote {self.outside.git} 'refs/tags/{name}*'")
        self._merged(commit)
        repeat = f'd=$(mktemp -d) && {clone_command(self.outside.git, name)} "$d" && gateway-bot -C "$d" check'
        found = drift(self.image, self.pinned.held, pin)
        if found:
            what = f"{found[0].where} holds {found[0].holds}, {self.image.sites[0].file} says {found[0].expected}"
            self.links.fails("pin", what, repeat, exit_code=3)
        else:
            self.links.passes("pin", f"{self.image.sites[0].file} pins {pin.ref} at {pin.digest}", repeat)

    def _merged(self, commit: str) -> None:
        """What is on the branch was reviewed as its protection wants it; a tag can be pushed with less."""
        name, clone = "merged", f"git clone --quiet --bare {self.outside.git}"
        repeat = f'd=$(mktemp -d) && {clone} "$d" && git -C "$d" branch --contains {commit}'
        try:
            branch, is_on_it = merged(self.commit, self.outside)
        except BotError as error:
            self.links.unknown(name, error, repeat)
            return
        if is_on_it:
            self.links.passes(name, f"its commit is on {branch}", repeat)
        else:
            self.links.fails(name, f"its commit is not on {branch}: nobody merged it", repeat, exit_code=8)

    def _image(self) -> Content | None:
        """The release's index, from the first place of which a tag names it; every place is looked at."""
        index: Content | None = None
        for place in self.places:
            for tag in place.tags if place.repository not in self.denied else ():
                found = self._tag(place.repository, tag, index)
                if found is not None and index is None:
                    index, self.manifests = found
                    self.home = place.repository
        for repository, error in self.denied.items():
            name, repeat = str(repository), f"gateway-bot resolve {repository}:{self.tag.name}"
            if index is None:
                self.links.unknown(name, error, repeat)
            else:
                self.links.warns(name, f"{error.what}: it is not open to you, so nothing of it was compared", repeat)
        return index

    def _tag(self, repository: Repository, tag: Tag, index: Content | None) -> tuple[Content, Sequence[Content]] | None:
        """What a tag names, the index and its manifests, if it is this release's image."""
        name, source = f"{repository}:{tag}", self.outside.registry(repository)
        repeat = f"gateway-bot resolve {name}"
        try:
            found = source.manifest(tag, looks=LOOKS)
            self.open.add(repository)
            if found is None:
                self.links.fails(name, "it is not there", repeat, exit_code=8)
                return None
            wanted = self.pinned.pin.digest if self.is_copy else (index or found).digest
            if found.digest != wanted:
                self.links.fails(name, f"it is {found.digest}, not {wanted}", repeat)
                return None
            whole, manifests = read_image(source, found.digest)
        except Denied as error:
            if repository in self.open:
                self.links.unknown(name, error, repeat)
            else:
                self.denied[repository] = error
            return None
        except BotError as error:
            self.links.unknown(name, error, repeat)
            return None
        self.links.passes(name, f"{whole.digest}{', as pinned' if self.is_copy else ''}", repeat)
        return whole, manifests

    def _signatures(self, index: Content) -> None:
        ref = Ref(self.tag.name)
        for at in (place.repository for place in self.places if place.repository not in self.denied):
            repeat = repeat_command(at, index.digest, ref, self.ours)
            self._signature(f"our signature in {at}", at, index.digest, ref, self.ours, repeat)

    def _signature(
        self, name: str, at: Repository, digest: Digest, ref: Ref, signature: Signature, repeat: str, more: str = ""
    ) -> None:
        try:
            answer = self.outside.verifier.verify(at, digest, ref, self._asked(signature))
        except BotError as error:
            self.links.unknown(name, error, repeat)
            return
        match answer:
            case Signed():
                index = f", log index {answer.log_index}" if answer.log_index is not None else ""
                if answer.format == "legacy":
                    repeat = repeat_command(at, digest, ref, signature, "legacy")
                said = f"by {answer.identity}, issuer {answer.issuer}{index}{more}; {answer.tool}"
                self._proven(name, said, repeat, signature)
            case NotSigned(reason):
                self.links.fails(name, reason, repeat)
            case Unanswered():
                self.links.found.append(answer.gate(name, repeat))

    def _provenance(self, index: Content) -> bytes | None:
        """The provenance, if it says what the repository and the registries say."""
        at, name = self.home, "provenance"
        repeat = repeat_attested(at, index.digest, PREDICATE_TYPE, self.ours)
        for predicate in self._attested(name, index.digest, PREDICATE_TYPE, repeat):
            try:
                said = read_provenance(predicate)
            except NotProven:
                continue
            if self._is_this(said, index):
                signed = f", whose signature by {said.signature.identity} it verified" if said.signature else ""
                served = f", read from {said.served_by}," if said.served_by else ""
                told = f"{said.mode} of {said.source}{served} at commit {said.commit[:12]}{signed}"
                self._proven(name, told, repeat, self.ours)
                return predicate
        if not self.links.has(name):
            self.links.fails(name, "no provenance that we attested is about this tag, commit, pin and image", repeat)
        return None

    def _is_this(self, said: Provenance, index: Content) -> bool:
        pin = self.pinned.pin
        return (said.mode, said.git, said.tag, said.commit, said.source.digest, said.builder) == (
            self.policy.mode,
            self.outside.git,
            self.tag.name,
            self.commit.sha,
            pin.digest,
            self.ours.identity,
        ) and said.platforms == platforms_of(index)

    def _sboms(self, index: Content) -> dict[str, tuple[bytes, ...]]:
        """What was attested as SBOMs, by the name of the release's file."""
        documents: dict[str, tuple[bytes, ...]] = {}
        for platform, digest in platforms_of(index):
            for kind in KINDS:
                documents[file_name(self.stem, platform, kind)] = self._sbom(platform, digest, kind)
        return documents

    def _sbom(self, platform: Platform, digest: Digest, kind: Kind) -> tuple[bytes, ...]:
        name = f"{kind} SBOM of {platform}"
        repeat = repeat_attested(self.home, digest, PREDICATE_TYPES[kind], self.ours)
        found, packages = [], 0
        for predicate in self._attested(name, digest, PREDICATE_TYPES[kind], repeat):
            try:
                packages = prove_sbom(kind, predicate, digest)
                found.append(predicate)
            except NotProven:
                continue
        if found:
            self._proven(name, f"attested of {digest}, {packages} packages", repeat, self.ours)
        elif not self.links.has(name):
            self.links.fails(name, f"none that we attested is about {digest}", repeat)
        return tuple(found)

    def _attested(self, name: str, digest: Digest, kind: str, repeat: str) -> tuple[bytes, ...]:
        try:
            answer = self.outside.signer.attestations(self.home, digest, kind, self._asked(self.ours))
        except BotError as error:
            self.links.unknown(name, error, repeat)
            return ()
        if isinstance(answer, NotSigned):
            self.links.fails(name, answer.reason, repeat)
            return ()
        if isinstance(answer, Unanswered):
            self.links.found.append(answer.gate(name, repeat))
            return ()
        return tuple(statement.predicate for statement in answer)

    def _upstream(self, index: Content | None) -> None:
        pin, repository, signature = self.pinned.pin, self.image.repository, self.image.signature
        name, repeat = "upstream's signature", f"gateway-bot resolve {repository}@{pin.digest}"
        at = self._upstream_image(index, repeat)
        if signature is None:
            self.links.warns(name, "the settings at the tag do not say who must have signed it", "")
        elif at is None:
            other = "" if self.is_copy else ", and ours is another one, which upstream did not sign"
            next_step = "Run it again when upstream's registry answers."
            self.links.found.append(Unanswered(f"upstream's image was not read{other}", next_step).gate(name, repeat))
        else:
            repeat = repeat_command(at, pin.digest, pin.ref, signature)
            more = f", over our copy in {at}" if at != repository else ""
            self._signature(name, at, pin.digest, pin.ref, signature, repeat, more)

    def _upstream_image(self, index: Content | None, repeat: str) -> Repository | None:
        """Where upstream's image is: in its own repository, or by the same digest in one of ours.

        Upstream may have removed what we still serve. Where it does not answer, that stays unknown, whatever we serve.
        """
        digest, repository, name = self.pinned.pin.digest, self.image.repository, "upstream's image"
        found: _Found | None
        try:
            found = repository, *read_image(self.outside.registry(repository), digest)
            self.links.passes(name, f"{repository} serves {digest}", repeat)
        except BotError as error:
            is_gone = isinstance(error, IntegrityError)
            found = self._our_copy(index) if is_gone or self.is_copy else None
            if found is None or not is_gone:
                self.links.unknown(name, error, repeat)
            else:
                self.links.warns(name, f"{error.what}; {found[0]} has it: our copy is the same, by its digest", repeat)
        if found is not None and index is not None and not self.is_copy:
            self._layers(index, *found[1:])
        return found[0] if found else None

    def _our_copy(self, index: Content | None) -> _Found | None:
        """Upstream's image in one of our places: a copy is that itself; beside a build it may be, from another time."""
        if self.is_copy:
            return (self.home, index, self.manifests) if index is not None else None
        for place in self.places:
            try:
                return place.repository, *read_image(self.outside.registry(place.repository), self.pinned.pin.digest)
            except BotError:
                continue
        return None

    def _layers(self, index: Content, upstream: Content, manifests: Sequence[Content]) -> None:
        """In build mode the image is another one: the layers of each platform are upstream's, all and in order."""
        name = "layers"
        repeat = f"crane manifest {self.home}@{index.digest}"
        found = {manifest.digest: manifest for manifest in (*manifests, *self.manifests)}
        ours, theirs = platforms_of(index), platforms_of(upstream)
        pairs = zip(ours, theirs, strict=False)
        changed = [platform for (platform, mine), (_, base) in pairs if not same_layers(found[mine], found[base])]
        if [platform for platform, _ in ours] != [platform for platform, _ in theirs]:
            self.links.fails(name, "it has other platforms than upstream's image", repeat)
        elif changed:
            self.links.fails(name, f"those of {changed[0]} are not upstream's", repeat)
        else:
            self.links.passes(name, "those of every platform are upstream's, none added", repeat)

    def _asked(self, signature: Signature) -> Signature:
        """As cosign is asked: with the trusted root where it is kept."""
        return replace(signature, trusted_root=self.roots.get(signature.trusted_root, ""))

    def _proven(self, name: str, said: str, repeat: str, signature: Signature) -> None:
        """What a signature says, as far as its trusted root is to be believed: that of who asks, or the public one."""
        root = signature.trusted_root
        if root and self.outside.root is None:
            own = f"by the trusted root {plain(root, 100)} of {self.repository} itself, not by Sigstore's public one"
            self.own_roots[root] = None
            self.links.warns(name, f"{own}: {said}", repeat, "Give the one that you trust: --trusted-root FILE.")
        else:
            self.links.passes(name, f"{said}; by the trusted root {root}" if root else said, repeat)
