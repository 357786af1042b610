"""`release publish` on real git, cosign, syft and registries, judged from outside; killed, and with parts that fail."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bot.adapters.cosign import signing
from tests import live_sigstore as live
from tests import releasing
from tests.contents import Contents, digest_of
from tests.flows.conftest import TestClock, run_command
from tests.live_sigstore import ISSUER, LiveSigstore
from tests.registries import LOGIN, LoggedRegistry, private, starting
from tests.releasing import DOWNSTREAM, OF_UPSTREAM, OURS, TAG, TOKEN, Done, Places, Release, expect, release

pytestmark = pytest.mark.real

live_sigstore, sigstore_of_session = live.live_sigstore, live.sigstore_of_session
sboms = releasing.sboms

PREDICATES = ("https://slsa.dev/provenance/v1", "https://cyclonedx.org/bom", "https://spdx.dev/Document")
SIGNATURE = "https://sigstore.dev/cosign/sign/v1"
PASSWORD = (LOGIN.username, LOGIN.password)
KILLS = 8
"""In each of the two runs that are killed again and again."""


class World:
    """A release, and the registries that it goes to."""

    def __init__(self, made: Release, upstream: LoggedRegistry, ecr: LoggedRegistry, ghcr: LoggedRegistry) -> None:
        self.made, self.logs = made, {"upstream": upstream, "ecr": ecr, "ghcr": ghcr}
        self.upstream = Contents(made.upstream)
        self.ecr, self.ghcr = Contents(made.ecr), Contents(made.ghcr, PASSWORD)
        self.said = Done(0, "", "")

    @property
    def targets(self) -> tuple[Contents, Contents]:
        return self.ecr, self.ghcr

    @property
    def written(self) -> list[tuple[str, str, str]]:
        """What was written anywhere."""
        asked = [(name, each.method, each.target) for name, log in self.logs.items() for each in log.writes]
        exchanges = self.made.github.exchanges
        return asked + [("github", each.method, each.path) for each in exchanges if each.method != "GET"]

    @property
    def tags(self) -> list[list[str]]:
        return [target.tags() for target in self.targets]

    @property
    def signatures(self) -> list[list[list[str]]]:
        """What is attached, at each target, to the index and to each platform."""
        subjects = self.upstream.subjects(self.made.digest)
        return [[target.referrers(subject) for subject in subjects] for target in self.targets]

    def verify(self, target: str, identity: str = OURS, digest: str = "", kind: str = "") -> list[dict[str, object]]:
        """What cosign proves of an image, by exactly this identity."""
        ask = ["verify-attestation", "--type", kind] if kind else ["verify"]
        flags = ["--trusted-root", str(self.made.sigstore.trusted_root), "--certificate-oidc-issuer", ISSUER]
        image = f"{target}@{digest or self.made.digest}"
        out = self.made.tool("cosign3", *ask, *flags, "--certificate-identity", identity, image)
        return [json.loads(line) for line in out.splitlines()] if kind else json.loads(out)


@contextmanager
def _world(folder: Path, sigstore: LiveSigstore, sboms: Path, make: pytest.TempPathFactory) -> Iterator[World]:
    """Nothing of v1.2.4 is published. ECR's tags are immutable, GHCR has no referrers API and wants a password."""
    with starting(make) as registry, private(make) as ghcr:
        upstream, ecr = registry(), registry(immutable=True)
        places = Places(upstream.host, ecr.host, ghcr.host)
        with release(folder, places, sigstore) as made:
            made.take_sboms(sboms)
            yield World(made, upstream, ecr, ghcr)


@pytest.fixture
def world(
    tmp_path: Path, live_sigstore: LiveSigstore, sboms: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    with _world(tmp_path, live_sigstore, sboms, tmp_path_factory) as world:
        yield world


@pytest.fixture(scope="module")
def published(
    sigstore_of_session: LiveSigstore, sboms: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """A world in which v1.2.4 is out; nobody changes anything any more."""
    folder = tmp_path_factory.mktemp("published")
    with _world(folder, sigstore_of_session, sboms, tmp_path_factory) as world:
        world.said = expect(world.made.hurried("--json"))
        yield world


def test_a_release_is_what_upstream_made_and_everybody_can_prove_it(published: World) -> None:
    world, made, digest, shown = published, published.made, published.made.digest, published.said
    index, *platforms = world.upstream.subjects(digest)
    source = world.upstream.everything(digest)
    copies = [target.everything(digest) for target in world.targets]
    for target in made.targets:
        assert {made.tool("crane", "digest", f"{target}:{tag}") for tag in (TAG, "latest")} == {digest}
        for each in platforms:
            made.tool("crane", "validate", "--remote", f"{target}@{each}")
        assert SIGNATURE in {_type_of(claim) for claim in world.verify(target)}
        assert world.verify(target, OF_UPSTREAM)
        assert len(world.verify(target, kind=PREDICATES[0])) == 1
        assert [len(world.verify(target, OURS, each, kind)) for each in platforms for kind in PREDICATES[1:]] == [1] * 4
        copied = made.folder / target.replace("/", "-")
        made.tool(
            "skopeo", "copy", "-q", "--all", "--src-tls-verify=false", f"docker://{target}:{TAG}", f"dir:{copied}"
        )
        assert digest_of((copied / "manifest.json").read_bytes()) == index
    with pytest.raises(AssertionError, match=r"release\.yml@refs/tags/v1\.2\.4"):
        world.verify(made.ecr, OURS.replace(TAG, "v1.2.5"))

    assert [{name: body for name, body in copy.items() if name in source} for copy in copies] == [source] * 2
    assert copies[0] == copies[1]
    assert world.signatures[0] == world.signatures[1]
    assert [len(attached) for attached in world.signatures[0]] == [3, 2, 2]
    assert world.tags == [["latest", TAG], ["1.2.4", "latest", TAG]]
    assert json.loads(shown.out)["digest"] == digest
    assert [secret for secret in (TOKEN, LOGIN.password) if secret in shown.out + shown.err] == []


def test_the_copy_is_the_one_that_crane_makes(published: World) -> None:
    world, made = published, published.made
    made.tool("crane", "copy", f"{made.upstream}@{made.digest}", f"{world.logs['upstream'].host}/by/crane:copied")
    by_crane = Contents(f"{world.logs['upstream'].host}/by/crane")
    raw = made.tool("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{made.ghcr}:{TAG}")

    assert by_crane.tag("copied") == digest_of(raw.encode()) == made.digest
    assert by_crane.image(made.digest) == world.ecr.image(made.digest) == world.ghcr.image(made.digest)


def test_the_release_on_github_holds_what_was_attested(published: World) -> None:
    world, made = published, published.made
    (shown,) = made.github.repositories[DOWNSTREAM].releases
    files = {asset.name: asset.content for asset in shown.assets}
    payloads = [
        json.loads(b64decode(str(statement["payload"])))["predicate"]
        for subject, kinds in zip(
            world.upstream.subjects(made.digest), (PREDICATES[:1], PREDICATES[1:], PREDICATES[1:]), strict=True
        )
        for kind in kinds
        for statement in world.verify(made.ghcr, OURS, subject, kind)
    ]
    provenance = json.loads(files["ai-gateway-v1.2.4.provenance.json"])

    assert not shown.draft
    assert sorted(files) == [
        *(f"ai-gateway-v1.2.4-linux-{arch}.{kind}.json" for arch in ("amd64", "arm64") for kind in ("cdx", "spdx")),
        "ai-gateway-v1.2.4.provenance.json",
    ]
    assert sorted(map(_text, map(json.loads, files.values()))) == sorted(map(_text, payloads))
    assert made.digest.removeprefix("sha256:") in _text(provenance)
    assert OF_UPSTREAM in _text(provenance)


def test_a_second_run_writes_nothing_anywhere(published: World) -> None:
    world = published
    before, signatures = world.written, world.signatures
    again = expect(world.made.publish())

    assert world.written == before
    assert world.signatures == signatures
    assert "nothing was left to do" in again.out
    assert "done: " not in again.out


def test_sigstore_that_is_down_leaves_nothing_tagged_and_is_waited_for_by_the_next_run(
    world: World, live_sigstore: LiveSigstore
) -> None:
    """Before the first signature, then in the middle of the attestations."""
    live_sigstore.stop("fulcio")
    unsigned = expect(world.made.hurried(), 4)
    before = world.tags, sum(map(len, world.signatures[0]))
    live_sigstore.start()
    with _started(world) as run:
        _until(run, lambda: sum(map(len, world.signatures[0])) >= 3)
        live_sigstore.stop()
        _, err = run.communicate(timeout=120)
    between = world.tags, sum(map(len, world.signatures[0]))
    live_sigstore.start()
    on_github = [exchange.method for exchange in world.made.github.exchanges if exchange.method != "GET"]
    expect(world.made.hurried())

    assert before == ([[], []], 1)
    assert "it is not signed" in unsigned.err
    assert "the last that it did: upstream's signatures and attestations in" in unsigned.err
    assert "Run it again: it goes on from here." in unsigned.err
    assert run.returncode == 4, err
    assert "it is not attested" in err
    assert between[0] == [[], []]
    assert 3 <= between[1] < 7
    assert on_github == []
    assert [len(attached) for attached in world.signatures[1]] == [3, 2, 2]


def test_sigstore_that_hangs_is_not_waited_for_without_end(
    world: World, live_sigstore: LiveSigstore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing, "SECONDS", 2.0)
    live_sigstore.hang("rekor")
    started = time.monotonic()
    made = world.made
    done = run_command(
        made.command("release", "publish", TAG, "--sbom", str(made.sboms))[1:], made.environ, TestClock()
    )

    assert time.monotonic() - started < 20
    assert world.tags == [[], []]
    assert re.search(r"it is not signed|cosign .*stopped", done.err), done.err
    assert "upstream's signatures and attestations in" in done.err.partition("the last that it did: ")[2]
    assert done.code == 4


@pytest.mark.parametrize("seed", [1, 2])
def test_a_run_that_is_killed_again_and_again_converges(seed: int, world: World) -> None:
    """At moments that are spread over the whole: after some more writes each time, wherever they happen."""
    chance = random.Random(seed)  # noqa: S311 - the same moments each time
    source = world.upstream.everything(world.made.digest)
    kills = 0
    while kills < 40:
        with _started(world) as run:
            ended = _until_written(run, world, chance.randint(2, 13), pause=chance.random() / 20)
            if not ended:
                (os.killpg if chance.random() < 0.5 else os.kill)(run.pid, signal.SIGKILL)
                kills += 1
            out, err = run.communicate(timeout=120)
        _sound(world, source)
        if ended:
            assert run.returncode == 0, f"{out}\n{err}"
            break
    again = expect(world.made.hurried())

    assert kills >= KILLS
    assert "nothing was left to do" in again.out
    assert world.tags == [["latest", TAG], ["1.2.4", "latest", TAG]]
    assert {name: body for name, body in world.ghcr.everything(world.made.digest).items() if name in source} == source
    assert [not shown.draft for shown in world.made.github.repositories[DOWNSTREAM].releases] == [True]


def test_another_image_under_the_version_s_tag_is_refused_and_nothing_changes(world: World) -> None:
    made = world.made
    releasing.push_image(made.ghcr, TAG, releasing.image("other"), made)
    before = world.written
    refused = expect(made.hurried(), 8)

    assert world.written == before
    assert world.tags == [[], [TAG]]
    assert f"{releasing.image('other').digest}; this release is {made.digest}" in refused.err


def test_a_moving_tag_that_is_immutable_is_left_and_moves_elsewhere(world: World) -> None:
    made, other = world.made, releasing.image("other")
    for target in made.targets:
        releasing.push_image(target, "latest", other, made)
    done = json.loads(expect(made.hurried("--json")).out)

    assert (world.ecr.tag("latest"), world.ghcr.tag("latest")) == (other.digest, made.digest)
    assert [warning.partition(":latest was left: ")[0] for warning in done["warnings"]] == [made.ecr]
    assert "immutable" in done["warnings"][0]


def _sound(world: World, source: dict[str, bytes]) -> None:
    """What every moment has to be: what a tag names is whole and signed; what is published has all its files."""
    for target, repository in zip(world.targets, world.made.targets, strict=True):
        tags = target.tags()
        if tags:
            assert {target.tag(tag) for tag in tags} == {world.made.digest}
            held = target.everything(world.made.digest)
            assert {name: body for name, body in held.items() if name in source} == source
            assert SIGNATURE in {_type_of(claim) for claim in world.verify(repository)}
            assert len(target.referrers(world.upstream.subjects(world.made.digest)[1])) >= 2
    for shown in world.made.github.repositories[DOWNSTREAM].releases:
        assert shown.draft or len(shown.assets) == 5
        assert shown.draft or world.tags[0]


class _Run(subprocess.Popen[str]):
    """A run in a session of its own, which ends with the block at the latest."""

    def __exit__(self, *error: object) -> None:
        if self.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
        super().__exit__(*error)  # type: ignore[arg-type] # what came is passed on


def _started(world: World) -> _Run:
    made = world.made
    return _Run(
        made.hurried_command(),
        cwd=made.repo.root,
        env=made.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _until_written(run: _Run, world: World, more: int, *, pause: float) -> bool:
    ends = len(world.written) + more
    return _until(run, lambda: len(world.written) >= ends, pause=pause)


def _until(run: _Run, reached: Callable[[], bool], *, pause: float = 0.0) -> bool:
    """Wait for a moment of a run; whether it ended before."""
    deadline = time.monotonic() + 120
    while run.poll() is None and not reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(pause)
    return run.poll() is not None


def _type_of(claim: dict[str, object]) -> object:
    critical = claim["critical"]
    assert isinstance(critical, dict)
    return critical["type"]


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True)
