"""release.yml, run by act as the push of a tag starts it: real cosign, syft and AWS CLI, and registries on loopback.

What docs/workflows.md shows of it is taken from there.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.core.reference import digest_of
from bot.embedded.github import Release
from bot.embedded.server import Fault, Response
from tests import aws as cloud
from tests import live_sigstore as live
from tests.flows.conftest import DOWNSTREAM, PROJECT
from tests.live_sigstore import GITHUB, ISSUER, LiveSigstore
from tests.loopback import loopback_client
from tests.parts import require
from tests.real.workflows.act import ACTOR
from tests.real.workflows.log import Run
from tests.real.workflows.releases import PUBLISHER, REQUEST_TOKEN, TAG, TOKENS, ReleaseTown, release_town
from tests.real.workflows.town import BOT, READER, project

pytestmark = pytest.mark.real

aws, moto, ecr_registry = cloud.aws, cloud.moto, cloud.ecr_registry
live_sigstore, sigstore_of_session = live.live_sigstore, live.sigstore_of_session

DONE = {"sbom": "success", "publish": "success", "verify": "success"}
KEYS = {"AGENTGATEWAY_REF", "AGENTGATEWAY_VERSION", "AGENTGATEWAY_IMAGE_DIGEST"}
IDENTITY = f"{GITHUB}{DOWNSTREAM}/.github/workflows/release.yml@refs/tags/{TAG}"
SIGNATURES = 6
"""Of the index: a signature and its provenance; of two platforms: an SBOM of each kind."""
(DOCUMENTED,) = re.findall(r"```yaml\n(name: release\n.*?)```", (PROJECT / "docs/workflows.md").read_text(), re.DOTALL)


@pytest.fixture
def town(tmp_path: Path, live_sigstore: LiveSigstore, ecr_registry: str, moto: str, aws: str) -> Iterator[ReleaseTown]:
    with release_town(tmp_path / "town", live_sigstore, ecr_registry, moto, aws) as made:
        yield made


def of_the_bot(town: ReleaseTown, *targets: str) -> dict[str, bytes]:
    """The bot's own repository, as it releases itself."""
    files = project() | town.releasing(*targets)
    files["pyproject.toml"] = re.sub(rb'(?m)^version = ".*"', b'version = "1.2.3"', project()["pyproject.toml"])
    return files


def leaks(town: ReleaseTown, *runs: Run) -> list[str]:
    """The places where a token, a password or an identity was written."""
    logins = (f"AWS:{cloud.PASSWORD}", f"{ACTOR}:{PUBLISHER}", f"{ACTOR}:{READER}")
    secrets = [*TOKENS, REQUEST_TOKEN, cloud.PASSWORD, *(base64.b64encode(each.encode()).decode() for each in logins)]
    secrets += [token for given in town.identities.given.values() for token in given]
    secrets += ["SecretAccessKey", "SessionToken"]
    return [name for run in runs for name, text in run.written().items() if any(secret in text for secret in secrets)]


def release_of(town: ReleaseTown) -> Release:
    (release,) = town.github.repositories[DOWNSTREAM].releases
    return release


def in_ecr(town: ReleaseTown) -> dict[str, str]:
    """The tags of ECR's repository, with the digests that they answer with."""
    path = town.targets[0].partition("/")[2]
    with loopback_client(f"http://{town.ecr}") as client:
        client.auth = ("AWS", cloud.PASSWORD)
        answer = client.get(f"/v2/{path}/tags/list")
        if answer.status_code == 404:
            return {}
        accept = {"Accept": "application/vnd.oci.image.index.v1+json"}
        bodies = {
            tag: client.get(f"/v2/{path}/manifests/{tag}", headers=accept).content for tag in answer.json()["tags"]
        }
    return {tag: digest_of(body) for tag, body in bodies.items()}


def whole(town: ReleaseTown) -> object:
    """Everything that a release leaves, so that two of it can be compared."""
    ghcr, release = town.ghcr.repository(DOWNSTREAM), release_of(town)
    files = [(asset.id, asset.name) for asset in release.assets]
    kept = dict(ghcr.tags), sorted(ghcr.manifests), sorted(ghcr.blobs)
    return kept, in_ecr(town), (release.id, release.published, release.body, files)


def is_signed(town: ReleaseTown, repository: str, user: str, password: str, identity: str = IDENTITY) -> bool:
    """Whether an image is signed with a certificate of exactly this identity: as cosign alone says."""
    config = town.root / "judge"
    config.mkdir(exist_ok=True)
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    (config / "config.json").write_text(json.dumps({"auths": {repository.partition("/")[0]: {"auth": auth}}}))
    who = ["--certificate-oidc-issuer", ISSUER, "--certificate-identity", identity]
    trust = ["--trusted-root", str(town.sigstore.trusted_root)]
    done = subprocess.run(
        [require("cosign3"), "verify", *trust, *who, f"{repository}@{town.digests['v1.3.1']}"],
        env={"PATH": "/usr/bin:/bin", "HOME": str(config), "DOCKER_CONFIG": str(config)},
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode == 0 and b"https://sigstore.dev/cosign/sign/v1" in done.stdout


def test_the_push_of_a_tag_releases_and_the_same_run_again_changes_nothing(town: ReleaseTown) -> None:
    town.tagged(of_the_bot(town, *town.targets))
    pinned = town.digests["v1.3.1"]

    first = town.release_run()
    signed = len(town.identities.given["sigstore"])
    left = whole(town)
    second = town.release_run(again=first, job="publish")

    publish, release = first.jobs["publish"], release_of(town)
    files = {asset.name: asset.content for asset in release.assets}
    sboms = {name: content for name, content in files.items() if "provenance" not in name}
    results = {result for job in (*first.jobs.values(), *second.jobs.values()) for result in job.steps.values()}
    assert (first.results, second.results) == (DONE, {"sbom": "success", "publish": "success"})
    assert results == {"success"}
    assert [note for run in (first, second) for job in run.jobs.values() for note in job.annotations] == []

    assert publish.variables.keys() == KEYS
    assert publish.variables["AGENTGATEWAY_IMAGE_DIGEST"] == pinned
    assert {name for job in ("sbom", "verify") for name in first.jobs[job].variables} == set()
    assert publish.outputs["publish.digest"] == pinned
    assert publish.outputs["publish.tag"] == TAG
    assert publish.outputs["publish.url"].endswith(f"/{DOWNSTREAM}/releases/tag/{TAG}")
    assert f"{TAG} is published as {pinned}" in publish.summary
    assert "links hold" in first.jobs["verify"].text

    assert town.ghcr.repository(DOWNSTREAM).tags[TAG] == in_ecr(town)[TAG] == pinned
    assert is_signed(town, town.targets[0], "AWS", cloud.PASSWORD)
    assert is_signed(town, town.targets[1], ACTOR, PUBLISHER)
    assert not is_signed(town, town.targets[1], ACTOR, PUBLISHER, IDENTITY.replace(f"tags/{TAG}", "heads/main"))
    assert (release.tag, release.draft, len(sboms), len(files)) == (TAG, False, 4, 5)
    assert first.artifacts == ["sbom"]
    assert {name: first.artifact("sbom", name).encode() for name in sboms} == sboms

    assert town.identities.given.keys() == {"sigstore", "sts.amazonaws.com"}
    assert signed == SIGNATURES + 1  # and one to see as whom it would sign
    assert leaks(town, first, second) == []
    assert "nothing was left to do" in second.jobs["publish"].summary
    assert len(town.identities.given["sigstore"]) == signed + 1
    assert whole(town) == left


def test_a_tag_that_was_never_merged_fails_and_the_run_says_why(town: ReleaseTown) -> None:
    town.tagged(of_the_bot(town, *town.targets), merged=False)

    run = town.release_run()

    assert run.results == {"sbom": "failure"}
    assert f"{TAG} is not on main" in run.jobs["sbom"].text
    assert [(note.level, "is not on main" in note.text) for note in run.jobs["sbom"].annotations] == [("error", True)]
    assert f"{TAG} is not on main" in run.jobs["sbom"].summary
    assert town.identities.given == {}
    assert town.github.repositories[DOWNSTREAM].releases == []


def test_another_repository_continues_a_release_that_its_registry_broke_off(town: ReleaseTown) -> None:
    commit = town.publish(BOT, project(), on_github=False)
    workflow = DOCUMENTED.replace("YOUR-ORG", "acme").replace("0" * 40, commit).encode()
    town.tagged(town.releasing(*town.targets) | {".github/workflows/release.yml": workflow})
    town.ghcr.intercept = lambda method, path: (
        Fault(answer=Response(500)) if method == "PUT" and "/manifests/" in path else None
    )

    first = town.release_run()
    broken = first.jobs["publish"].summary
    tags, releases = in_ecr(town), list(town.github.repositories[DOWNSTREAM].releases)
    town.ghcr.intercept = None
    second = town.release_run(again=first)

    assert first.results == {"sbom": "success", "publish": "failure"}
    assert f"{TAG} is not published" in broken
    assert f"http://{town.ghcr.host}/v2/" in broken
    assert "**Next:**" in broken
    (note,) = first.jobs["publish"].annotations
    assert (note.level, note.title) == ("error", "gateway-bot")
    assert (TAG in tags, releases) == (False, [])

    assert second.results == DONE
    assert f"| `copy to {town.targets[0]}` | ok | `0 blobs copied" in second.jobs["publish"].summary
    assert town.ghcr.repository(DOWNSTREAM).tags[TAG] == in_ecr(town)[TAG] == town.digests["v1.3.1"]
    assert is_signed(town, town.targets[1], ACTOR, PUBLISHER)
    assert not release_of(town).draft
    assert leaks(town, first, second) == []


def test_a_token_that_reads_makes_sboms_and_publishes_nothing(town: ReleaseTown) -> None:
    """The repository releases to GHCR alone: there is no variable that says where an ECR is."""
    town.tagged(of_the_bot(town, town.targets[1]))

    run = town.release_run(token=READER, variables={}, job="publish")

    assert run.results == {"sbom": "success", "publish": "failure"}
    assert run.artifacts == ["sbom"]
    assert "Log in to ECR" not in run.jobs["publish"].steps  # act is silent about a step that it skips
    assert run.jobs["publish"].steps["Log in to GHCR"] == "failure"  # which comes after it
    assert town.identities.given == {}
    assert town.ghcr.repositories == {}
    assert leaks(town, run) == []
    assert town.github.repositories[DOWNSTREAM].releases == []
