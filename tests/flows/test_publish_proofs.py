"""`release publish`: what has to be proven before a tag names an image, and what a tag has to be afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from bot.core.content import Descriptor
from bot.core.gates import Unanswered
from bot.core.model import Platform, ReleasePolicy, Signature
from bot.core.reference import Digest, Repository
from bot.core.release.publication import Failure, Publication
from bot.core.signature import NotSigned, Signed
from bot.core.versions import Ref
from bot.embedded.images import INDEX
from bot.embedded.server import Fault, Response, json_response
from bot.embedded.storage import StoredRepository
from bot.errors import IntegrityError
from bot.flows.publish import publish
from bot.flows.release_observe import read_small
from tests.flows.pair import Pair, pair
from tests.flows.release_standins import (
    GATEWAY,
    OURS,
    PROVENANCE,
    SBOMS,
    STRANGER,
    TAG,
    UPSTREAM,
    Stamp,
    attach,
    sboms_of,
)
from tests.flows.releases import Releasing, place, world

__all__ = ["pair", "place", "world"]

IMMUTABLE = Fault(
    answer=json_response(400, {"errors": [{"code": "TAG_INVALID", "message": "it is immutable, and stays"}]})
)


def refused(world: Releasing, done: Publication) -> Failure:
    """Why it failed; nothing is tagged then, and nothing published."""
    tags = [tag for store in world.stores for tag in store.tags if not tag.startswith("sha256-")]
    assert done.failure is not None, done.text()
    assert (tags, world.on_github.releases) == ([], [])
    return done.failure


def kinds_in(stored: StoredRepository, manifest: str) -> set[str]:
    """What a referrer is about, by what the stand-in for cosign put into it."""
    layers = json.loads(stored.manifests[Digest(manifest)].data)["layers"]
    return {json.loads(stored.blobs[layer["digest"]]).get("kind", "") for layer in layers}


# --- what was attested has to be there


def test_a_second_registry_that_loses_an_attestation_is_not_tagged_and_neither_is_the_first(world: Releasing) -> None:
    world.place.open.referrers = True
    open_ = world.stores[1]

    def forgetful(answer: Response) -> Response:
        if answer.status != 200:
            return answer
        kept = [
            each for each in json.loads(answer.body)["manifests"] if PROVENANCE not in kinds_in(open_, each["digest"])
        ]
        body = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": kept}).encode()
        return Response(200, body, answer.headers)

    world.place.open.intercept = lambda _, path: Fault(change=forgetful) if "/referrers/" in path else None
    failure = refused(world, world.publish())

    assert (failure.exit_code, failure.what) == (5, f"what we attest as {PROVENANCE} did not come along")
    assert failure.where == f"{world.names[1]}@{world.digest}"


class Forgetful(Stamp):
    """Keeps something else than what it is to attest, or nothing."""

    def __init__(self, of: Stamp, instead: Callable[[Digest], bytes] | None) -> None:
        super().__init__(of._logins)
        self.instead = instead

    def attest(
        self, repository: Repository, digest: Digest, predicate_type: str, predicate: bytes, policy: ReleasePolicy
    ) -> None:
        del predicate
        if self.instead is not None:
            super().attest(repository, digest, predicate_type, self.instead(digest), policy)


@pytest.mark.parametrize(
    "instead",
    [None, lambda digest: sboms_of(digest, 666).cyclonedx, lambda _: b"{}"],
    ids=["nothing", "another SBOM of the image", "no SBOM"],
)
def test_what_was_attested_and_does_not_come_back_as_it_was_is_not_released(
    world: Releasing, instead: Callable[[Digest], bytes] | None
) -> None:
    stamp = Forgetful(world.stamp, instead)
    failure = refused(world, world.publish(signer=stamp, verifier=stamp))

    assert (failure.exit_code, failure.what) == (5, f"what was attested as {SBOMS[0]} does not come back")


# --- a list of referrers that may not be changed


def test_upstream_s_signature_that_cannot_be_listed_in_the_first_place_is_a_warning(world: Releasing) -> None:
    locked, seen = world.place.locked, list[str]()
    locked.referrers = locked.immutable_tags = False

    def intercept(method: str, path: str) -> Fault | None:
        if method == "PUT" and "/manifests/sha256-" in path and not seen:
            seen.append(path)
            return IMMUTABLE
        return None

    locked.intercept = intercept
    done = world.publish()

    assert (done.failure, len(seen)) == (None, 1)
    assert ["was left: the tag may not be moved" in warning for warning in done.warnings] == [True]


def test_our_signature_that_cannot_be_listed_in_the_second_place_ends_it(world: Releasing) -> None:
    """Upstream's, which could not be listed there either, had not."""
    open_ = world.place.open
    open_.push(GATEWAY, "elsewhere", world.place.image)
    attach(world.stores[1], world.digest, STRANGER, listed=True)
    del world.stores[1].tags["elsewhere"]
    open_.immutable_tags = True
    done = world.publish()
    failure = refused(world, done)
    signed = [each for each in world.stamp.done if each.startswith("sign ")]

    assert (failure.exit_code, failure.where) == (8, f"{world.names[1]}:{world.digest.replace(':', '-')}")
    assert failure.what.startswith("the tag may not be moved")
    assert ["was left: the tag may not be moved" in warning for warning in done.warnings] == [True]
    assert len(signed) == 1


# --- the tag itself


def test_a_tag_that_was_taken_and_is_never_there_is_no_release(world: Releasing) -> None:
    world.only_open = True
    taken = Fault(answer=Response(201, b"", (("Docker-Content-Digest", world.digest),)))
    world.place.open.intercept = lambda method, path: (
        taken if method == "PUT" and path.endswith(f"/manifests/{TAG}") else None
    )
    failure = refused(world, world.publish())

    assert failure.exit_code == 5
    assert failure.what == f"the tag was pushed, and reads as nothing, not as {world.digest}"


def test_a_passing_404_of_a_tag_that_was_just_pushed_is_waited_out(world: Releasing) -> None:
    world.only_open = True
    pushed, hidden = list[str](), list[str]()

    def intercept(method: str, path: str) -> Fault | None:
        if path.endswith(f"/manifests/{TAG}"):
            if method == "PUT":
                pushed.append(path)
            elif pushed and len(hidden) < 3:
                hidden.append(path)
                return Fault(answer=Response(404))
        return None

    world.place.open.intercept = intercept
    done = world.publish()

    assert (done.failure, len(pushed), len(hidden)) == (None, 1, 3)
    assert world.stores[1].tags[TAG] == world.digest


def test_a_tag_that_is_refused_as_immutable_and_is_not_there_ends_it(world: Releasing) -> None:
    world.only_open = True
    world.place.open.intercept = lambda method, path: (
        IMMUTABLE if method == "PUT" and path.endswith(f"/manifests/{TAG}") else None
    )
    failure = refused(world, world.publish())

    assert (failure.exit_code, failure.where) == (8, f"{world.names[1]}:{TAG}")
    assert failure.what.startswith("the tag may not be moved")


# --- signatures


class Doubtful:
    """The stand-in for cosign, which answers otherwise where it `doubts`."""

    def __init__(
        self, world: Releasing, doubts: Callable[[Repository, Signature], NotSigned | Unanswered | None]
    ) -> None:
        self.world, self.doubts = world, doubts

    def verify(
        self, repository: Repository, digest: Digest, ref: Ref, signature: Signature
    ) -> Signed | NotSigned | Unanswered:
        return self.doubts(repository, signature) or self.world.stamp.verify(repository, digest, ref, signature)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize(
    ("answer", "code"),
    [(Unanswered("no answer from Sigstore", "Wait."), 4), (NotSigned("unsigned"), 5)],
    ids=["unanswered", "unsigned"],
)
def test_a_signature_of_ours_that_is_not_verified_in_some_place_is_not_tagged(
    world: Releasing, number: int, answer: NotSigned | Unanswered, code: int
) -> None:
    def doubts(repository: Repository, signature: Signature) -> NotSigned | Unanswered | None:
        is_late = any(each.startswith(f"attest {PROVENANCE}") for each in world.stamp.done)
        is_there = str(repository) == world.names[number]
        return answer if is_late and is_there and signature.identity == OURS else None

    failure = refused(world, world.publish(verifier=Doubtful(world, doubts)))

    assert (failure.exit_code, failure.where) == (code, f"{world.names[number]}@{world.digest}")
    assert failure.what == f"our own signature does not verify: {answer.reason}"


def test_a_cosign_that_cannot_ask_for_upstream_s_signature_says_nothing_against_the_image(world: Releasing) -> None:
    unanswered = Unanswered("cosign: no answer", "Run it again.")
    verifier = Doubtful(world, lambda repository, _: unanswered if repository.path == UPSTREAM else None)
    failure = refused(world, world.publish(verifier=verifier))

    assert (failure.exit_code, failure.what, failure.next_step) == (4, "cosign: no answer", "Run it again.")
    assert world.writes() == []


# --- the source


def test_an_image_that_lacks_a_platform_that_is_asked_for_is_not_released(world: Releasing) -> None:
    with world.hands() as (job, hands):
        policy = job.image.policy
        more = replace(policy, platforms=(*policy.platforms, Platform("linux", "s390x")))
        done = publish(replace(job, image=replace(job.image, policy=more)), hands, dry_run=False)
    failure = refused(world, done)

    assert (failure.exit_code, failure.what) == (5, "it lacks linux/s390x")
    assert world.writes() == []


def test_a_config_is_read_and_proven(pair: Pair) -> None:
    digest = pair.theirs.add_blob(b'{"a": 1}')

    assert read_small(pair.source, Descriptor(digest, 8, "")) == b'{"a": 1}'


def test_a_config_of_other_bytes_is_refused(pair: Pair) -> None:
    digest = pair.theirs.add_blob(b'{"a": 1}')
    pair.theirs.blobs[digest] = b'{"a": 2}'
    with pytest.raises(IntegrityError, match="not what its digest says") as raised:
        read_small(pair.source, Descriptor(digest, 8, ""))

    assert raised.value.where == f"{pair.one.host}/up/app@{digest}"


def test_a_config_that_is_too_large_is_not_asked_for(pair: Pair) -> None:
    most = 8 * 1024 * 1024
    digest = pair.theirs.add_blob(b"{}")
    with pytest.raises(IntegrityError, match="a config of 8,388,609 bytes"):
        read_small(pair.source, Descriptor(digest, most + 1, ""))
    asked = len(pair.one.exchanges)
    with pytest.raises(IntegrityError, match="a blob has 2 bytes"):
        read_small(pair.source, Descriptor(digest, most, ""))

    assert (asked, len(pair.one.exchanges)) == (0, 1)
