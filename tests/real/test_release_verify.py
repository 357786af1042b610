"""`release verify` by somebody else: with an empty folder, an empty home and no token; and what it says of a lie.

The Sigstore is a private one, so who asks brings its trusted root, as one would who knows the company.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests import live_sigstore as live
from tests import releasing
from tests.contents import INDEX, Contents
from tests.live_sigstore import LiveSigstore
from tests.loopback import loopback_client
from tests.parts import require
from tests.registries import LOGIN, starting
from tests.releasing import DOWNSTREAM, OF_UPSTREAM, OURS, TAG, Places, Release, expect, release, run

pytestmark = pytest.mark.real

sigstore_of_session, sboms = live.sigstore_of_session, releasing.sboms

VERIFY = f"gateway-bot --repository {DOWNSTREAM} release verify {TAG}"
PASSWORD = (LOGIN.username, LOGIN.password)


@pytest.fixture(scope="module")
def made(sigstore_of_session: LiveSigstore, sboms: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """A release that is out, in registries that everybody may read. What a test spoils, it mends."""
    with starting(tmp_path_factory) as registry:
        upstream, ecr, ghcr = registry(), registry(immutable=True), registry(referrers=False, public=True)
        places = Places(upstream.host, ecr.host, ghcr.host)
        with release(tmp_path_factory.mktemp("release"), places, sigstore_of_session) as made:
            made.take_sboms(sboms)
            expect(made.hurried())
            yield made


def verified(made: Release, folder: Path, code: int = 0) -> dict[str, str]:
    """The verdicts of a stranger in an empty folder, by the name of the link."""
    folder.mkdir()
    ask = f"{VERIFY} --json --trusted-root {made.sigstore.trusted_root}"
    answer = json.loads(expect(made.stranger(ask, folder), code).out)
    return {link["name"]: link["verdict"] for link in answer["links"]}


def test_a_stranger_proves_a_release_from_an_empty_folder(made: Release, tmp_path: Path) -> None:
    links = verified(made, tmp_path / "empty")

    assert len(links) == 16
    assert set(links.values()) == {"pass"}


def test_by_the_repository_s_own_trusted_root_nobody_is_proven_to_have_signed(made: Release, tmp_path: Path) -> None:
    done = expect(made.stranger(VERIFY, tmp_path))
    lines = done.out.splitlines()
    warned = {line.split(": ")[1] for line in lines if line.startswith("warn: ")}
    sboms = {f"{kind} SBOM of linux/{name}" for kind in ("cyclonedx", "spdx") for name in ("amd64", "arm64")}
    theirs = next(line for line in lines if line.startswith("warn: upstream's signature: "))

    assert warned == {"provenance", "upstream's signature", *sboms, *(f"our signature in {at}" for at in made.targets)}
    assert f"by the trusted root upstream-root.json of {DOWNSTREAM} itself, not by Sigstore's public one" in theirs
    assert OF_UPSTREAM in theirs
    assert "who signed is not proven: only trusted-root.json and upstream-root.json" in lines[-1]


def test_a_trusted_root_of_another_sigstore_proves_nothing(made: Release, tmp_path: Path) -> None:
    (tmp_path / "another.json").write_text("{}")
    done = made.stranger(f"{VERIFY} --json --trusted-root another.json", tmp_path)
    links = {link["name"]: link["verdict"] for link in json.loads(done.out)["links"]}

    assert done.code != 0
    assert {links[f"our signature in {at}"] for at in made.targets} <= {"fail", "unknown"}
    assert links["upstream's signature"] in {"fail", "unknown"}


def test_every_command_that_is_printed_works_as_it_stands(made: Release, tmp_path: Path) -> None:
    (shown,) = made.github.repositories[DOWNSTREAM].releases
    blocks = re.findall(r"```bash\n(.*?)```", shown.body, re.DOTALL)
    links = json.loads(expect(made.stranger(f"{VERIFY} --json", tmp_path)).out)["links"]
    of_notes = [line for block in blocks for line in block.splitlines()]
    commands = list(dict.fromkeys([*of_notes, *(link["repeat"] for link in links)]))
    for root in ("trusted-root.json", "upstream-root.json"):  # a private Sigstore's are handed over beforehand
        shutil.copy(made.repo.root / root, tmp_path)
    programs = {command.removeprefix("d=$(mktemp -d) && ").split()[0] for command in commands}
    # GitHub makes shallow clones; files that are served over HTTP do not
    lines = [
        command.replace(" --depth 1", "")
        for command in commands
        if " gh " not in command and not command.startswith("docker ")
    ]
    failed = [(line, done.err) for line in lines if (done := made.stranger(line, tmp_path)).code]

    assert len(of_notes) == 7
    assert programs == {"cd", "docker", "gateway-bot", "cosign", "git", "gh"}
    assert failed == []


@contextmanager
def another_image_under_a_tag(made: Release) -> Iterator[set[str]]:
    releasing.push_image(made.ghcr, "1.2.4", releasing.image("other"), made)
    yield {f"{made.ghcr}:1.2.4"}
    made.tool("crane", "tag", f"{made.ghcr}@{made.digest}", "1.2.4")


@contextmanager
def a_tag_that_is_gone(made: Release) -> Iterator[set[str]]:
    with _writing() as send:
        send("DELETE", f"{Contents(made.ghcr).url}/manifests/1.2.4")
        yield {f"{made.ghcr}:1.2.4"}
    made.tool("crane", "tag", f"{made.ghcr}@{made.digest}", "1.2.4")


@contextmanager
def an_sbom_of_another_platform(made: Release) -> Iterator[set[str]]:
    """What we attested of one platform is gone; what we attest now is the other platform's SBOM."""
    place = Contents(made.ecr)
    _, amd64, _ = place.subjects(made.digest)
    before = {digest: place.attached(amd64)[digest] for digest in place.referrers(amd64)}
    manifest_type = "application/vnd.oci.image.manifest.v1+json"
    sbom = made.sboms / f"ai-gateway-{TAG}-linux-arm64.cdx.json"
    flags = ["--yes", "--fulcio-auth-flow", "token", "--type", "https://cyclonedx.org/bom", "--predicate", str(sbom)]
    flags += ["--trusted-root", str(made.sigstore.trusted_root), "--signing-config", str(made.sigstore.signing_config)]
    with _writing() as send:
        gone = [digest for digest, body in before.items() if b"cyclonedx" in body]
        for digest in gone:
            send("DELETE", f"{place.url}/manifests/{digest}")
        environ = made.environ | made.sigstore.environ(OURS)
        expect(run([require("cosign3"), "attest", *flags, f"{made.ecr}@{amd64}"], environ, made.folder))
        yield {"cyclonedx SBOM of linux/amd64", f"ai-gateway-{TAG}-linux-amd64.cdx.json"}
        for digest in set(place.referrers(amd64)) - set(before):
            send("DELETE", f"{place.url}/manifests/{digest}")
        for digest in gone:
            send("PUT", f"{place.url}/manifests/{digest}", before[digest], manifest_type)
    assert gone


@contextmanager
def no_signature_in_one_place(made: Release) -> Iterator[set[str]]:
    place = Contents(made.ghcr)
    url = f"{place.url}/manifests/{made.digest.replace(':', '-')}"
    with _writing() as send:
        before = send("GET", url)
        send("PUT", url, json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}).encode(), INDEX)
        yield {f"our signature in {made.ghcr}"}
        send("PUT", url, before, INDEX)


@contextmanager
def a_file_that_was_replaced(made: Release) -> Iterator[set[str]]:
    (shown,) = made.github.repositories[DOWNSTREAM].releases
    asset = next(asset for asset in shown.assets if asset.name.endswith("amd64.spdx.json"))
    before, asset.content = asset.content, b"{}"
    yield {asset.name}
    asset.content = before


@contextmanager
def a_release_that_is_a_draft(made: Release) -> Iterator[set[str]]:
    (shown,) = made.github.repositories[DOWNSTREAM].releases
    shown.draft = True
    yield {"GitHub Release"}
    shown.draft = False


Spoil = Callable[[Release], AbstractContextManager[set[str]]]
"""Makes one thing wrong for a while, and says which links that concerns."""

SPOILT: list[tuple[Spoil, int]] = [
    (another_image_under_a_tag, 5),
    (a_tag_that_is_gone, 8),
    (an_sbom_of_another_platform, 5),
    (no_signature_in_one_place, 5),
    (a_file_that_was_replaced, 5),
    (a_release_that_is_a_draft, 8),
]


@pytest.mark.parametrize(("spoil", "code"), SPOILT, ids=lambda each: getattr(each, "__name__", ""))
def test_one_thing_that_is_wrong_fails_its_link_and_no_other(
    spoil: Spoil, code: int, made: Release, tmp_path: Path
) -> None:
    with spoil(made) as links:
        spoilt = verified(made, tmp_path / "spoilt", code)
    wrong = {name for name, verdict in spoilt.items() if verdict != "pass"}

    assert wrong == links


@contextmanager
def _writing() -> Iterator[Callable[..., bytes]]:
    """Requests with the login of the registries, which must be done."""
    with loopback_client() as client:

        def send(method: str, url: str, body: bytes = b"", media_type: str = "") -> bytes:
            accept = {"Content-Type": media_type} if media_type else {"Accept": INDEX}
            answer = client.request(method, url, content=body, headers=accept, auth=PASSWORD)
            answer.raise_for_status()
            return answer.content

        yield send
