"""A release on a GitHub that nobody here wrote. It keeps no bytes of files and says no digests of them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests import live_sigstore as live
from tests import registries, releasing
from tests.emulator import BOT_TOKEN, Emulator
from tests.live_sigstore import LiveSigstore
from tests.registries import Start
from tests.releasing import DOWNSTREAM, TAG, Places, Release, expect, release

pytestmark = pytest.mark.real

live_sigstore, sigstore_of_session = live.live_sigstore, live.sigstore_of_session
registry, sboms = registries.registry, releasing.sboms

_AS_BOT = {"Authorization": f"Bearer {BOT_TOKEN}"}


def test_a_release_is_published_and_verified_on_the_emulator(
    tmp_path: Path, live_sigstore: LiveSigstore, registry: Start, sboms: Path, emulator: Emulator
) -> None:
    upstream, ecr, ghcr = registry(), registry(immutable=True), registry(referrers=False, public=True)
    with release(tmp_path, Places(upstream.host, ecr.host, ghcr.host), live_sigstore) as made:
        made.take_sboms(sboms)
        bring(made, emulator)
        made.environ |= {"GITHUB_API_URL": emulator.url, "GITHUB_TOKEN": BOT_TOKEN}
        first = expect(made.hurried())
        shown = emulator.client.get(f"/repos/{DOWNSTREAM}/releases", headers=_AS_BOT).json()
        again = json.loads(expect(made.hurried("--json")).out)
        trusted = ("--trusted-root", str(live_sigstore.trusted_root))
        verified = json.loads(expect(made.bot("release", "verify", TAG, *trusted, "--json")).out)
    files = [asset["name"] for asset in shown[0]["assets"]]
    doubted = {link["name"] for link in verified["links"] if link["verdict"] != "pass"}

    assert [(each["tag_name"], each["draft"]) for each in shown] == [(TAG, False)]
    assert len(files) == 5
    assert f"{TAG} is published as {made.digest}" in first.out
    assert [step["name"] for step in again["steps"] if step["did"]] == []
    assert doubted == set(files)


def bring(made: Release, emulator: Emulator) -> None:
    """The commits and tags of the checkout by the API; the emulator names them as git does."""
    emulator.create_repository(DOWNSTREAM)

    def send(method: str, path: str, body: object) -> str:
        answer = emulator.client.request(method, f"/repos/{DOWNSTREAM}/git/{path}", json=body, headers=_AS_BOT)
        assert answer.is_success, f"{path}: {answer.text}\n{body}"
        sha: str = answer.json().get("sha", "")
        return sha

    for sha in made.repo.run("rev-list", "--topo-order", "--reverse", "--all").split():
        tree = []
        for line in made.repo.run("ls-tree", "-r", sha).splitlines():
            about, _, path = line.partition("\t")
            mode, kind, blob = about.split()
            body = subprocess.run(
                ["git", "cat-file", "blob", blob], cwd=made.repo.root, capture_output=True, check=True
            )
            send("POST", "blobs", {"content": body.stdout.decode(), "encoding": "utf-8"})
            tree.append({"path": path, "mode": mode, "type": kind, "sha": blob})
        name, email, date, parents = made.repo.run("log", "-1", "--format=%an%x00%ae%x00%aI%x00%P", sha).split("\0")
        message = subprocess.run(
            ["git", "cat-file", "commit", sha], cwd=made.repo.root, capture_output=True, check=True
        )
        person = {"name": name, "email": email, "date": date}
        commit = {
            "message": message.stdout.decode().partition("\n\n")[2],
            "tree": send("POST", "trees", {"tree": tree}),
            "parents": parents.split(),
            "author": person,
            "committer": person,
        }
        assert send("POST", "commits", commit) == sha
    send("PATCH", "refs/heads/main", {"sha": made.repo.run("rev-parse", "main"), "force": True})
    send("POST", "refs", {"ref": f"refs/tags/{TAG}", "sha": made.repo.run("rev-parse", f"{TAG}^{{commit}}")})
