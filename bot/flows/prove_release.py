"""Sign a release and attest its SBOMs and how it was made; what was signed and attested already is taken as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import msgspec

from bot.core.gates import Unanswered
from bot.core.index import NotProven
from bot.core.model import Platform, ReleasePolicy, Signature
from bot.core.reference import Digest, Reference, Repository
from bot.core.release.attestation import Statement
from bot.core.release.ours import file_stem
from bot.core.release.provenance import PREDICATE_TYPE, Provenance, UpstreamSignature, provenance, read_provenance
from bot.core.release.sbom import KINDS, MEDIA_TYPES, PREDICATE_TYPES, Kind, Sboms, file_name, prove_sbom
from bot.core.signature import NotSigned, Signed
from bot.core.versions import Ref
from bot.errors import IntegrityError, ServiceError
from bot.flows.abreast import side_by_side
from bot.flows.release_observe import Job, Seen, Verifier

_AT_ONCE = 2


class Signer(Protocol):
    """cosign, with an identity of its own."""

    def ready(self, policy: ReleasePolicy) -> None: ...

    def sign(self, repository: Repository, digest: Digest, policy: ReleasePolicy) -> None: ...

    def attest(
        self, repository: Repository, digest: Digest, predicate_type: str, predicate: bytes, policy: ReleasePolicy
    ) -> None: ...

    def attestations(
        self, repository: Repository, digest: Digest, predicate_type: str, signature: Signature
    ) -> tuple[Statement, ...] | NotSigned | Unanswered: ...


class SbomMaker(Protocol):
    """syft, or files that it made before."""

    def ready(self, images: Sequence[tuple[Platform, Digest]] = ()) -> None:
        """Raises where the SBOMs of these images cannot be had, as far as that is known."""
        ...

    def sboms(self, repository: Repository, digest: Digest, platform: Platform) -> Sboms: ...


class Tools(Protocol):
    """What proves."""

    @property
    def verifier(self) -> Verifier: ...

    @property
    def signer(self) -> Signer: ...

    @property
    def sboms(self) -> SbomMaker: ...


class Tell(Protocol):
    """Notes a step."""

    def __call__(self, name: str, said: str, *, did: bool = False) -> None: ...


class Proof(msgspec.Struct, frozen=True):
    """What was attested as `kind` of the image at `about`, and how it is called as a file of the release.

    There may be several `documents` where two runs were at it: each is right.
    """

    about: Digest
    kind: str
    name: str
    media_type: str
    documents: tuple[bytes, ...]


def prove(
    job: Job,
    seen: Seen,
    digest: Digest,
    platforms: Sequence[tuple[Platform, Digest]],
    at: Repository,
    tools: Tools,
    step: Tell,
) -> tuple[Proof, ...]:
    """Have the image at `digest` signed and attested there by our identity. Raises ServiceError, IntegrityError."""
    signed = tools.verifier.verify(at, digest, Ref(job.tag.name), job.ours)
    if isinstance(signed, Unanswered):
        raise _unanswered(signed, at, digest)
    if not isinstance(signed, Signed):
        tools.signer.sign(at, digest, job.policy)
    step(f"sign in {at}", f"as {job.ours.identity}", did=not isinstance(signed, Signed))
    stem = file_stem(job.places, job.tag)
    proofs: list[Proof] = []
    # of a copy, the repository that it was read from serves the same bytes
    scanned = (seen.served_by or job.image.repository) if job.policy.mode == "retag" else at
    made = side_by_side(lambda each: _sboms(job, at, scanned, each[0], each[1], tools), platforms, _AT_ONCE)
    for (platform, about), (found, did) in zip(platforms, made, strict=True):
        for kind, documents in zip(KINDS, found, strict=True):
            name = file_name(stem, platform, kind)
            proofs.append(Proof(about, PREDICATE_TYPES[kind], name, MEDIA_TYPES[kind], documents))
        step(f"SBOMs of {platform}", "CycloneDX and SPDX, attested", did=did)
    predicates, did = _provenance(job, seen, digest, platforms, at, tools)
    proofs.append(Proof(digest, PREDICATE_TYPE, f"{stem}.provenance.json", "application/json", predicates))
    step("provenance", f"{digest} of {seen.pin.ref}, attested", did=did)
    return tuple(proofs)


def prove_copied(job: Job, proofs: Sequence[Proof], at: Repository, tools: Tools) -> None:
    """What was attested is attested in that place, too. Raises IntegrityError, ServiceError."""

    def held(proof: Proof) -> bool:
        return set(proof.documents) <= set(_ours(job, at, proof.about, proof.kind, tools))

    for proof, is_there in zip(proofs, side_by_side(held, proofs, _AT_ONCE), strict=True):
        if not is_there:
            raise IntegrityError(
                f"what we attest as {proof.kind} did not come along",
                where=f"{at}@{proof.about}",
                next_step="It was not tagged. Run it again; if it stays so, look at what that registry lists as "
                "referrers.",
            )


def reread(job: Job, proofs: Sequence[Proof], at: Repository, tools: Tools) -> tuple[Proof, ...]:
    """What is attested by now: another run may have attested the same in other words. Raises ServiceError."""

    def again(proof: Proof) -> Proof:
        found = filter(partial(_is_alike, proof), _ours(job, at, proof.about, proof.kind, tools))
        return msgspec.structs.replace(proof, documents=tuple(sorted({*proof.documents, *found})))

    return tuple(side_by_side(again, proofs, _AT_ONCE))


def _sboms(
    job: Job, at: Repository, scanned: Repository, platform: Platform, digest: Digest, tools: Tools
) -> tuple[tuple[tuple[bytes, ...], tuple[bytes, ...]], bool]:
    """Both SBOMs of one platform as they are attested, and whether one was attested now."""
    made: list[Sboms] = []

    def document(kind: Kind) -> bytes:
        if not made:
            made.append(tools.sboms.sboms(scanned, digest, platform))
        return made[0].of(kind)

    found = [
        _attested(
            job, at, digest, PREDICATE_TYPES[kind], tools, partial(_is_sbom, kind, digest), partial(document, kind)
        )
        for kind in KINDS
    ]
    (cyclonedx, first), (spdx, second) = found
    return (cyclonedx, spdx), first or second


def _provenance(
    job: Job, seen: Seen, digest: Digest, platforms: Sequence[tuple[Platform, Digest]], at: Repository, tools: Tools
) -> tuple[tuple[bytes, ...], bool]:
    upstream = seen.signature
    made = Provenance(
        mode=job.policy.mode,
        git=job.git,
        tag=job.tag.name,
        commit=seen.commit,
        source=Reference(job.image.repository, seen.pin.tag, seen.pin.digest),
        platforms=tuple(platforms),
        builder=job.ours.identity,
        invocation=job.run,
        signature=UpstreamSignature(upstream.identity, upstream.issuer, upstream.format, upstream.log_index)
        if upstream
        else None,
        served_by=seen.served_by,
    )
    return _attested(job, at, digest, PREDICATE_TYPE, tools, lambda said: _says(said, made), lambda: provenance(made))


def _attested(
    job: Job,
    at: Repository,
    digest: Digest,
    kind: str,
    tools: Tools,
    fits: Callable[[bytes], bool],
    make: Callable[[], bytes],
) -> tuple[tuple[bytes, ...], bool]:
    """The predicates that our identity attests and that fit; where there are none, one is made now, which is said."""
    there = tuple(filter(fits, _ours(job, at, digest, kind, tools)))
    if there:
        return there, False
    predicate = make()
    tools.signer.attest(at, digest, kind, predicate, job.policy)
    there = tuple(filter(fits, _ours(job, at, digest, kind, tools)))
    if predicate not in there:
        raise IntegrityError(
            f"what was attested as {kind} does not come back",
            where=f"{at}@{digest}",
            next_step="It was not tagged. See that `identity` under [release.signature] names this very workflow, "
            "and run it again.",
        )
    return there, True


def _ours(job: Job, at: Repository, digest: Digest, kind: str, tools: Tools) -> tuple[bytes, ...]:
    answer = tools.signer.attestations(at, digest, kind, job.ours)
    if isinstance(answer, Unanswered):
        raise _unanswered(answer, at, digest)
    return () if isinstance(answer, NotSigned) else tuple(statement.predicate for statement in answer)


def _is_sbom(kind: Kind, digest: Digest, document: bytes) -> bool:
    try:
        prove_sbom(kind, document, digest)
    except NotProven:
        return False
    return True


def _is_alike(proof: Proof, predicate: bytes) -> bool:
    """Whether another run's document may stand in the place of ours."""
    for kind in KINDS:
        if proof.kind == PREDICATE_TYPES[kind]:
            return _is_sbom(kind, proof.about, predicate)
    return _says(predicate, read_provenance(proof.documents[0]))


def _says(predicate: bytes, made: Provenance) -> bool:
    """Whether it says the same of the release, by whichever run, and wherever that read the image."""
    try:
        said = read_provenance(predicate)
    except NotProven:
        return False
    return msgspec.structs.replace(said, invocation=made.invocation, served_by=made.served_by) == made


def _unanswered(answer: Unanswered, at: Repository, digest: Digest) -> ServiceError:
    return ServiceError(answer.reason, where=f"{at}@{digest}", next_step=f"It was not tagged. {answer.next_step}")
