"""`release publish` where things go wrong: killed anywhere, raced, lied to, refused. What is tagged is always whole."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from msgspec.structs import replace

from bot.core.gates import Unanswered
from bot.core.model import Signature
from bot.core.reference import Digest, Repository, parse_repository
from bot.core.release.publication import Failure, Publication
from bot.core.signature import NotSigned, Signed
from bot.core.versions import Ref
from bot.embedded.github.records import Asset
from bot.embedded.images import INDEX, Content, build_image
from bot.embedded.registry import EmbeddedRegistry
from bot.embedded.server import Fault, Response, json_response
from bot.flows.publish import publish
from bot.release_desk import ReleaseDesk
from bot.world import World
from tests.flows.conftest import TOKEN
from tests.flows.release_standins import (
    BUNDLE,
    GATEWAY,
    OURS,
    PROVENANCE,
    REF,
    SBOMS,
    SIGN,
    STRANGER,
    TAG,
    UPSTREAM,
    attach,
    bundle,
    lacks,
    manifest_of,
    proven,
    sboms_of,
    subject_of,
)
from tests.flows.releases import BOT, PASSWORD, Releasing, begin, place, world

__all__ = ["place", "world"]

pytestmark = pytest.mark.real  # by its length; `make test` has faults of every kind in the files beside it

WRITES = ("POST", "PUT", "PATCH", "DELETE")
BEFORE, AFTER = Fault(drop=True), Fault(drop=True, performed=True)


def unsound(world: Releasing) -> list[str]:
    """What somebody could find that is tagged or published, and is not whole, signed and attested."""
    found: list[str] = []
    published = [release for release in world.on_github.releases if not release.draft]
    for server, store in zip(world.targets, world.stores, strict=True):
        with server._lock:
            for tag, digest in store.tags.items():
                if tag.startswith("sha256-"):
                    found += [f"{tag} lacks {part}" for part in lacks(store, tag)]
                elif digest == world.digest:
                    found += [f"{tag} lacks {part}" for part in lacks(store, digest)]
                    if proven(store, digest, OURS) != {SIGN, PROVENANCE}:
                        found.append(f"{tag} is not signed")
                    found += [f"{tag} has no SBOM" for p in world.platforms if proven(store, p, OURS) != set(SBOMS)]
                    if tag == "latest" and not published:
                        found.append("latest moved before it was published")
    found += [
        f"the release has {len(release.assets)} files"
        for release in published
        if [asset.state for asset in release.assets] != ["uploaded"] * 5
    ]
    return found


@dataclass
class Watch:
    """Counts the requests of all servers, and looks before each whether what is there is sound."""

    world: Releasing
    fault: Callable[[int, str, str], Fault | None] = lambda _number, _method, _path: None
    number: int = 0
    writes: list[int] = field(default_factory=list)
    """The numbers of the requests that wrote."""
    found: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, method: str, path: str) -> Fault | None:
        with self.lock:
            if self.writes and self.writes[-1] == self.number:
                self.found += unsound(self.world)
            self.number += 1
            if method in WRITES:
                self.writes.append(self.number)
            return self.fault(self.number, method, path)


def watched(world: Releasing, fault: Callable[[int, str, str], Fault | None] | None = None) -> Watch:
    watch = Watch(world) if fault is None else Watch(world, fault)
    for server in world.place.servers:
        server.intercept = watch
    return watch


def is_whole(world: Releasing) -> bool:
    """Whether all is as a publish leaves it."""
    locked, open_ = world.stores
    tags = [store.tags.get(tag) for store, tag in ((open_, TAG), (open_, "1.2.4"), (open_, "latest"))]
    tags += [] if world.only_open else [locked.tags.get(TAG)]
    shown = [(release.tag, release.draft, len(release.assets)) for release in world.on_github.releases]
    return set(tags) == {world.digest} and shown == [(TAG, False, 5)] and not unsound(world)


# --- killed


def sweep(world: Releasing, numbers: list[int], last: Fault) -> list[str]:
    """Kill a run at each of these requests, and run again; what was wrong of that."""
    wrong: list[str] = []
    for number in numbers:
        fresh = begin(world.place)
        fresh.only_open = world.only_open

        def fault(at: int, _method: str, _path: str, number: int = number) -> Fault | None:
            return None if at < number else last if at == number else BEFORE

        watch = watched(fresh, fault)
        killed = fresh.publish()
        reached = watch.number >= number  # threads that ask at once may need a request less
        watch.fault = lambda _number, _method, _path: None
        done = fresh.publish()
        if reached and (killed.failure is None or killed.exit_code != 4):
            wrong.append(f"{number}: it ended with {killed.exit_code}")
        if done.failure is not None or watch.found or not is_whole(fresh):
            wrong.append(f"{number}: {done.failure} {watch.found}")
    return wrong


def requests_of(world: Releasing) -> Watch:
    """How many requests a run takes, and which of them write."""
    fresh = begin(world.place)
    fresh.only_open = world.only_open
    watch = watched(fresh)
    assert fresh.publish().failure is None
    assert watch.found == []
    return watch


@pytest.mark.parametrize("last", [BEFORE, AFTER], ids=["unheard", "unanswered"])
def test_killed_at_a_write_the_next_run_goes_on(world: Releasing, last: Fault) -> None:
    writes = requests_of(world).writes
    step = 110

    assert len(writes) > 100
    assert sweep(world, writes[::step] if last is BEFORE else writes[step // 2 :: step], last) == []


@pytest.mark.parametrize("last", [BEFORE, AFTER], ids=["unheard", "unanswered"])
@pytest.mark.parametrize("part", range(4))
def test_killed_at_any_request_the_next_run_goes_on(world: Releasing, part: int, last: Fault) -> None:
    """It takes two minutes."""
    world.only_open = True
    watch = requests_of(world)
    numbers = list(range(1, watch.number + 1)) if last is BEFORE else watch.writes

    assert len(numbers) > 60
    assert sweep(world, numbers[part::4], last) == []


def test_a_passing_fault_at_any_write_hinders_nothing(world: Releasing) -> None:
    doubts = (Fault(answer=Response(502)), Fault(answer=Response(503), performed=True), BEFORE, AFTER)
    writes = requests_of(world).writes
    for number, fault in enumerate(doubts):
        fresh = begin(world.place)
        marked = set(writes[number * 3 :: 12])
        watch = watched(fresh, lambda at, _method, _path, marked=marked, fault=fault: fault if at in marked else None)  # type: ignore[misc] # each its own
        done = fresh.publish()
        if done.failure is not None:
            watch.fault = lambda _number, _method, _path: None
            assert done.exit_code in {4, 7}
            done = fresh.publish()

        assert (done.failure, watch.found, is_whole(fresh)) == (None, [], True)


def test_a_file_of_another_run_s_in_a_draft_is_taken_as_it_is(world: Releasing) -> None:
    """It was attested after this run had looked, and who put it there may publish at any moment."""
    platform, name = world.platforms[0], f"gateway-{TAG}-linux-amd64.cdx.json"
    theirs = sboms_of(platform, 0).cyclonedx

    def intercept(method: str, path: str) -> Fault | None:
        if method == "POST" and path.endswith("/releases"):
            for store in world.stores:
                attach(store, platform, OURS, SBOMS[0], theirs, listed=True)
        if method == "POST" and name in path:
            draft = world.on_github.releases[0]
            when = world.clock.now()
            draft.assets.append(Asset(99, name, "application/json", theirs, BOT, when))
        return None

    world.place.github.intercept = intercept
    done = world.publish()
    deleted = [each for each in world.writes(world.place.github) if each.startswith("DELETE")]
    files = {asset.name: asset.content for asset in world.on_github.releases[0].assets}

    assert (done.failure, deleted, files[name]) == (None, [], theirs)


def test_two_runs_at_once_end_in_one_release(world: Releasing) -> None:
    watch = watched(world)
    ended: list[Publication] = []
    threads = [threading.Thread(target=lambda: ended.append(world.publish())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    again = world.publish()
    world.forget()
    last = world.publish()

    assert len(ended) == 2
    assert {run.exit_code for run in ended} <= {0, 7, 8}
    assert min(run.exit_code for run in ended) == 0
    assert (again.failure, last.failure, world.writes()) == (None, None, [])
    assert (watch.found, is_whole(world)) == ([], True)


# --- Sigstore


@pytest.mark.parametrize(
    "use",
    [
        "verify",
        "sign",
        f"attest {SBOMS[0]}",
        f"attest {SBOMS[1]}",
        f"attest {PROVENANCE}",
        f"attestations {SBOMS[0]}",
        f"attestations {PROVENANCE}",
    ],
)
def test_without_sigstore_nothing_is_tagged_and_the_next_run_goes_on(world: Releasing, use: str) -> None:
    world.stamp.down = {use}
    watch = watched(world)
    done = world.publish()
    tags = [tag for store in world.stores for tag in store.tags if not tag.startswith("sha256-")]
    world.stamp.down = set()
    again = world.publish()

    assert done.failure is not None
    assert (done.exit_code, tags, world.on_github.releases[1:]) == (4, [], [])
    assert "no answer from Sigstore" in done.failure.what
    assert "un it again" in done.failure.next_step
    assert (again.failure, watch.found, is_whole(world)) == (None, [], True)


def test_a_signature_by_another_identity_is_not_ours(world: Releasing) -> None:
    world.stamp.identity = STRANGER
    done = world.publish()
    tags = [tag for store in world.stores for tag in store.tags if not tag.startswith("sha256-")]

    assert done.failure is not None
    assert (done.exit_code, tags, world.on_github.releases) == (5, [], [])
    assert "does not come back" in done.failure.what
    assert "`identity` under [release.signature] names this very workflow" in done.failure.next_step


def test_an_image_that_upstream_did_not_sign_is_not_released(world: Releasing) -> None:
    world.upstream.manifests = {
        digest: each for digest, each in world.upstream.manifests.items() if b'"subject"' not in each.data
    }
    done = world.publish()

    assert done.failure is not None
    assert (done.exit_code, world.writes()) == (5, [])
    assert done.failure.what == f"{REF} is not signed by upstream: unsigned"


# --- the source lies


def largest(world: Releasing) -> Content:
    return max(world.place.image.blobs, key=lambda blob: len(blob.data))


def failed(world: Releasing) -> Failure:
    """Why it failed; nothing is tagged then, and with what is wrong mended the next run goes on."""
    done = world.publish()
    tags = [tag for store in world.stores for tag in store.tags if not tag.startswith("sha256-")]
    assert done.failure is not None, done.text()
    assert tags == []
    assert world.on_github.releases == []
    return done.failure


BLOBS = {
    "other bytes": (Fault(change=lambda answer: replace_body(answer, b"x" * len(answer.body))), 5, "not what its dige"),
    "too short": (Fault(change=lambda answer: replace_body(answer, answer.body[:-1])), 5, "its manifest says"),
    "too long": (Fault(change=lambda answer: replace_body(answer, answer.body + b"x")), 5, "its manifest says"),
    "broken off": (Fault(cut=100), 4, "no answer: the connection broke off"),
    "404": (Fault(answer=Response(404)), 5, "HTTP 404"),
    "500": (Fault(answer=Response(500)), 4, "HTTP 500"),
}


def replace_body(answer: Response, body: bytes) -> Response:
    return Response(answer.status, body, answer.headers)


@pytest.mark.parametrize("how", BLOBS)
def test_a_blob_that_is_not_what_it_should_be(world: Releasing, how: str) -> None:
    world.only_open = True
    fault, code, said = BLOBS[how]
    digest = largest(world).digest
    world.place.upstream.intercept = lambda method, path: fault if (method, digest in path) == ("GET", True) else None
    failure = failed(world)
    world.place.upstream.intercept = None

    assert (failure.exit_code, digest in failure.where) == (code, True)
    assert said in failure.what
    assert all(digest not in store.blobs for store in world.stores)
    assert (world.publish().failure, is_whole(world)) == (None, True)


def test_a_blob_that_breaks_off_once_comes_at_last(world: Releasing) -> None:
    world.only_open = True
    digest, seen = largest(world).digest, list[str]()

    def fault(method: str, path: str) -> Fault | None:
        if method == "GET" and digest in path:
            seen.append(path)
            return Fault(cut=1000) if len(seen) == 1 else None
        return None

    world.place.upstream.intercept = fault
    assert (world.publish().failure, len(seen), is_whole(world)) == (None, 2, True)


def test_a_blob_that_drips_is_not_waited_for(world: Releasing) -> None:
    world.only_open = True
    digest = largest(world).digest
    world.clock.pace = 2000.0
    world.place.upstream.intercept = lambda method, path: (
        Fault(drip=0.01) if method == "GET" and digest in path else None
    )
    failure = failed(world)

    assert failure.exit_code == 4


REDIRECTS = {
    "https elsewhere": ("https://storage.example.com/x", 5, "it keeps a blob at 'https://storage.example.com/x'"),
    "plain http elsewhere": ("http://storage.example.com/x", 5, "it keeps a blob at 'http://storage.example.com/x'"),
    "user information": ("http://user:secret@127.0.0.1/x", 5, "it keeps a blob at 'http://127.0.0.1/x'"),
    "endless": ("/v2/up/agent/blobs/{digest}", 4, "redirects more than"),
}


@pytest.mark.parametrize("how", REDIRECTS)
def test_a_blob_that_is_kept_where_it_may_not_be(world: Releasing, how: str) -> None:
    target, code, said = REDIRECTS[how]
    digest = largest(world).digest
    moved = Response(307, b"", (("Location", target.format(digest=digest)),))
    world.place.upstream.intercept = lambda method, path: (
        Fault(answer=moved) if method == "GET" and digest in path else None
    )
    failure = failed(world)

    assert failure.exit_code == code
    assert said in failure.what
    assert "secret" not in str(failure)


def test_a_blob_that_is_kept_elsewhere_is_asked_for_without_a_credential(world: Releasing) -> None:
    """A registry on loopback may lead to loopback; what was sent to the registry does not go there."""
    digest, data = largest(world).digest, largest(world).data
    with EmbeddedRegistry() as storage:
        storage.repository("kept").add_blob(data)
        moved = Response(307, b"", (("Location", f"{storage.url}/v2/kept/blobs/{digest}"),))
        tokens = world.place.open.tokens
        world.place.upstream.tokens = tokens
        world.place.upstream.intercept = lambda method, path: (
            Fault(answer=moved) if method == "GET" and digest in path else None
        )
        done = world.publish()
        asked = [each.headers for each in storage.exchanges]

    assert done.failure is None
    assert len(asked) == 2
    assert [each for each in asked if "authorization" in each] == []


# --- the target


def broken(server: EmbeddedRegistry, fault: Fault, method: str, part: str, *, times: int = 10_000) -> None:
    """Have this go wrong at every request of a kind at one target, or at the first ones."""
    left = [times]
    lock = threading.Lock()

    def intercept(asked: str, path: str) -> Fault | None:
        with lock:
            if asked == method and part in path and left[0] > 0:
                left[0] -= 1
                return fault
        return None

    server.intercept = intercept


def refusal(status: int, code: str, message: str, **more: object) -> Fault:
    return Fault(answer=json_response(status, {"errors": [{"code": code, "message": message, **more}]}))


FULL = refusal(500, "UNKNOWN", "unknown error", detail={"Op": "write", "Err": "no space left on device"})
REFUSALS: dict[str, tuple[Fault, str, str, int, str, str]] = {
    "no repository": (
        refusal(404, "NAME_UNKNOWN", "The repository with name 'x' does not exist"),
        "POST",
        "/uploads/",
        8,
        "there is no such repository: the registry answered HTTP 404: NAME_UNKNOWN The repository",
        "Make the repository first",
    ),
    "denied": (
        refusal(403, "DENIED", "no push"),
        "POST",
        "/uploads/",
        4,
        "HTTP 403: DENIED no push (denied)",
        "Log in",
    ),
    "too large": (
        Fault(answer=Response(413, b"too large")),
        "PUT",
        "/uploads/",
        4,
        "HTTP 413: too large",
        "run it again",
    ),
    "full": (FULL, "PUT", "/uploads/", 4, "no space left on device", "run it again"),
    "busy": (refusal(429, "TOOMANYREQUESTS", "slow down"), "PUT", "/uploads/", 4, "HTTP 429", "run it again"),
    "manifests too busy": (
        refusal(429, "TOOMANYREQUESTS", "slow"),
        "PUT",
        "/manifests/sha256:",
        4,
        "HTTP 429",
        "Run it again",
    ),
    "a blob that it has and has not": (
        refusal(404, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry"),
        "PUT",
        "/manifests/sha256:",
        5,
        "the registry said that it has a blob or manifest, and lacks it",
        "Run it again",
    ),
    "another digest of a blob": (
        Fault(answer=Response(201, b"", (("Docker-Content-Digest", f"sha256:{'6' * 64}"),))),
        "PUT",
        "/uploads/",
        5,
        f"and says that it has sha256:{'6' * 64}",
        "Look for a proxy",
    ),
    "another digest of a manifest": (
        Fault(answer=Response(201, b"", (("Docker-Content-Digest", "sha512:x"),))),
        "PUT",
        "/manifests/sha256:",
        5,
        "and says that it has sha512:x",
        "Look for a proxy",
    ),
    "a foreign place for uploads": (
        Fault(answer=Response(202, b"", (("Location", "http://127.0.0.1:1/x"),))),
        "POST",
        "/uploads/",
        5,
        "it takes blobs at 'http://127.0.0.1:1/x'",
        "",
    ),
    "created before anything was sent": (Fault(answer=Response(201)), "POST", "/uploads/", 5, "nothing was sent", ""),
    "a page": (
        Fault(answer=Response(500, b"<html>no</html>")),
        "PUT",
        "/uploads/",
        4,
        "the registry answered HTTP 500",
        "",
    ),
}


@pytest.mark.parametrize(("which", "how"), [*((1, how) for how in REFUSALS), (0, "no repository"), (0, "full")])
def test_a_target_that_refuses(world: Releasing, how: str, which: int) -> None:
    fault, method, part, code, said, then = REFUSALS[how]
    server = world.targets[which]
    world.only_open = which == 1
    broken(server, fault, method, part)
    failure = failed(world)
    server.intercept = None

    assert said in failure.what
    assert then in failure.next_step
    assert failure.exit_code == code
    assert (world.publish().failure, is_whole(world)) == (None, True)


def test_a_target_that_says_it_has_a_blob_and_has_not(world: Releasing) -> None:
    world.only_open = True
    broken(world.place.open, Fault(answer=Response(200)), "HEAD", largest(world).digest)
    failure = failed(world)

    assert failure.exit_code == 5
    assert "said that it has a blob or manifest, and lacks it" in failure.what


@pytest.mark.parametrize(
    ("method", "part"),
    [
        ("POST", "/uploads/"),
        ("PUT", "/uploads/"),
        ("PUT", "/manifests/sha256:"),
        ("PUT", f"/manifests/{TAG}"),
        ("GET", "/referrers/"),
    ],
)
def test_a_token_that_ends_anywhere_is_renewed(world: Releasing, method: str, part: str) -> None:
    world.only_open = True
    tokens, seen, first = world.place.open.tokens, list[str](), threading.Lock()
    assert tokens is not None

    def intercept(asked: str, path: str) -> Fault | None:
        if asked == method and part in path and first.acquire(blocking=False):
            seen.append(path)
            tokens.expire()
        return None

    world.place.open.intercept = intercept

    assert (world.publish().failure, is_whole(world), len(seen) > 0) == (None, True, True)


def test_a_version_tag_that_comes_up_meanwhile_with_the_same_image_is_success(world: Releasing) -> None:
    world.only_open = True
    server = world.place.open
    broken(
        server,
        Fault(
            answer=json_response(400, {"errors": [{"code": "TAG_INVALID", "message": "it is immutable"}]}),
            performed=True,
        ),
        "PUT",
        f"/manifests/{TAG}",
        times=1,
    )
    done = world.publish()

    assert (done.failure, is_whole(world)) == (None, True)


def test_a_version_tag_that_comes_up_meanwhile_with_another_image(world: Releasing) -> None:
    world.only_open = True
    other = build_image(variation="another")

    def intercept(method: str, path: str) -> Fault | None:
        if method == "POST" and "/uploads/" in path:
            world.place.open.push(GATEWAY, TAG, other)
        return None

    world.place.open.intercept = intercept
    done = world.publish()

    assert done.failure is not None
    assert done.exit_code == 8
    assert done.failure.what.startswith(f"the tag {TAG} is there already, and is {other.digest}")
    assert (world.stores[1].tags[TAG], world.on_github.releases) == (other.digest, [])


def test_a_tag_that_reads_back_as_another_image(world: Releasing) -> None:
    world.only_open = True
    other = build_image(variation="another")

    def intercept(method: str, path: str) -> Fault | None:
        if method == "PUT" and path.endswith(f"/manifests/{TAG}"):
            world.place.open.push("away", "x", other)
            answer = Response(201, b"", (("Docker-Content-Digest", world.digest),))
            world.place.open.push(GATEWAY, TAG, other)
            return Fault(answer=answer)
        return None

    world.place.open.intercept = intercept
    done = world.publish()

    assert done.failure is not None
    assert done.exit_code == 5
    assert done.failure.what == f"the tag was pushed, and reads as {other.digest}, not as {world.digest}"
    assert world.on_github.releases == []


def test_a_passing_404_does_not_move_a_version_tag(world: Releasing) -> None:
    """GHCR has such."""
    other = world.place.open.push(GATEWAY, TAG, build_image(variation="another"))
    broken(world.place.open, Fault(answer=Response(404)), "GET", f"/manifests/{TAG}", times=2)
    world.forget()
    done = world.publish()

    assert (done.exit_code, world.stores[1].tags[TAG], world.writes()) == (8, other, [])


@pytest.mark.parametrize("location", ["relative", "absolute", "bare"])
def test_the_place_for_an_upload_may_be_written_in_any_form(world: Releasing, location: str) -> None:
    server = world.place.open

    def changed(answer: Response) -> Response:
        headers = dict(answer.headers)
        here = headers.get("Location", "")
        forms = {"relative": here.rpartition("/")[2], "absolute": f"{server.url}{here}", "bare": here.partition("?")[0]}
        return Response(answer.status, answer.body, (*{**headers, "Location": forms[location]}.items(),))

    broken(server, Fault(change=changed), "POST", f"/v2/{GATEWAY}/blobs/uploads/", times=8)
    world.only_open = True
    done = world.publish()

    assert (done.failure, is_whole(world)) == (None, True)


def test_where_both_are_in_one_registry_blobs_are_mounted(world: Releasing) -> None:
    for stored in ("blobs", "manifests", "tags"):
        getattr(world.place.open.repository("acme/source"), stored).update(getattr(world.upstream, stored))
    with world.hands() as (job, hands):
        outer = World(world.root, world.environ, world.clock)
        try:
            here = ReleaseDesk(outer).contents(parse_repository(f"{world.place.open.host}/acme/source"))
            world.forget()
            done = publish(replace(job, places=job.places[1:]), replace(hands, source=here), dry_run=False)
        finally:
            outer.close()
    copy = next(step.said for step in done.steps if step.name.startswith("copy"))

    assert (done.failure, copy) == (None, "0 blobs copied (0 bytes), 8 mounted, 0 already there")


# --- hostile attachments


def test_what_is_attached_and_not_proven_is_left_and_hinders_nothing(world: Releasing) -> None:
    upstream = world.upstream
    subject = subject_of(upstream, world.digest)
    *blobs, other = bundle(subject_of(upstream, world.platforms[0]), STRANGER)
    for blob in blobs:
        upstream.add_blob(blob.data)
    upstream.add_manifest(other)
    nested = Content(
        INDEX, json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [], "subject": subject}).encode()
    )
    upstream.add_manifest(nested)
    missing = Content(INDEX, b"nowhere")
    gone = manifest_of([Content(BUNDLE, b"gone")], subject, artifactType=BUNDLE)
    upstream.add_manifest(gone)
    attach(upstream, world.digest, "a-person", "https://example.org/seen")
    listed = [each.descriptor(artifactType=BUNDLE) for each in (other, missing, nested, gone)]
    # the list says that it lists itself, too: nothing can hold its own digest, but it can name its own tag's
    document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": listed}
    upstream.add_manifest(Content(INDEX, json.dumps(document).encode()), world.digest.replace(":", "-"))
    done = world.publish()
    said = "\n".join(done.warnings)

    assert (done.failure, is_whole(world)) == (None, True)
    assert f"it is listed for {world.digest}, and speaks of {world.platforms[0]}" in said
    assert "what should be a manifest is an index itself" in said
    assert "HTTP 404" in said
    assert [proven(store, world.digest, "a-person") for store in world.stores] == [{"https://example.org/seen"}] * 2
    listed_there = json.loads(world.stores[1].manifests[world.stores[1].tags[world.digest.replace(":", "-")]].data)
    assert other.digest not in {entry["digest"] for entry in listed_there["manifests"]}


PAGE = Response(200, b"<html>", (("Content-Type", "text/html"),))
NO_API = {
    "a page": Fault(answer=PAGE),
    "a redirect to a page": Fault(answer=Response(303, b"", (("Location", "https://github.com/x"),))),
    "not allowed": Fault(answer=Response(405)),
    "JSON of another kind": Fault(answer=json_response(200, {"a": 1})),
}


@pytest.mark.parametrize("how", NO_API)
def test_a_source_without_a_referrers_api_however_it_says_so(world: Releasing, how: str) -> None:
    attach(world.upstream, world.digest, "a-person", "https://example.org/seen", listed=True)
    world.place.upstream.intercept = lambda method, path: (
        NO_API[how] if "/referrers/" in path and method == "GET" else None
    )
    with world.hands(verifier=AlwaysSigned(world)) as (job, hands):
        done = publish(job, hands, dry_run=False)

    assert (done.failure, done.warnings) == (None, ())
    assert proven(world.stores[0], world.digest, "a-person") == {"https://example.org/seen"}


class AlwaysSigned:
    """cosign, which would stumble over what is broken here, for upstream's repository; the stand-in for ours."""

    def __init__(self, world: Releasing) -> None:
        self.world = world

    def verify(
        self, repository: Repository, digest: Digest, ref: Ref, signature: Signature
    ) -> Signed | NotSigned | Unanswered:
        if repository.path == UPSTREAM:
            return Signed(digest, signature.identity, signature.issuer, "bundle", "stamp 1")
        return self.world.stamp.verify(repository, digest, ref, signature)


def test_ten_thousand_referrers_are_not_copied(world: Releasing) -> None:
    entry = Content(BUNDLE, b"x").descriptor(artifactType=BUNDLE)
    many = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry] * 10_000}
    world.upstream.add_manifest(Content(INDEX, json.dumps(many).encode()), world.digest.replace(":", "-"))
    done = world.publish()

    assert (done.failure, is_whole(world), len(done.warnings)) == (None, True, 2)
    assert "`manifests` is no list of at most 1000" in done.warnings[0]


def test_more_referrers_than_anybody_needs_are_cut_with_a_warning(world: Releasing) -> None:
    for number in range(101):
        attach(world.upstream, world.platforms[0], f"person-{number}", "https://example.org/seen")
    world.only_open = True
    done = world.publish()

    assert (done.failure, len(done.warnings)) == (None, 1)
    assert "of 101 referrers 100 were copied" in done.warnings[0]


# --- secrets


def test_a_registry_that_repeats_what_it_was_sent_is_not_repeated(world: Releasing) -> None:
    told = refusal(403, "DENIED", f"{PASSWORD} may not push, nor {TOKEN}")
    broken(world.place.open, told, "POST", "/uploads/")
    done = world.publish()
    text = "\n".join((done.text(), done.summary(), done.json().decode(), *world.said))

    assert done.exit_code == 4
    assert "*** may not push" in text
    assert PASSWORD not in text
