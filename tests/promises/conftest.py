"""The worlds in which the documents' commands are run: what a person who reads them has in front of them."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bot.embedded.github import Account, EmbeddedGitHub
from bot.embedded.registry import EmbeddedRegistry
from bot.settings import FILE
from tests.fake_engine import Made
from tests.flows.conftest import (
    CONFIG,
    DOWNSTREAM,
    PROJECT,
    SCAN,
    SCHEMA,
    SIGNATURE,
    TOKEN,
    UPSTREAM,
    Gated,
    Run,
    TestClock,
    empty_town,
    gated,
    run_command,
    town,
)
from tests.flows.pasts import Story
from tests.flows.release_programs import on_the_path
from tests.flows.release_standins import REPOSITORY
from tests.flows.releases import Releasing, place, world

__all__ = ["empty_town", "gated", "place", "town", "world"]

TASKS: Mapping[str, Any] = tomllib.loads((PROJECT / "mise.toml").read_text())["tasks"]
REFS = {"v1.3.1": 60, "v1.4.0": 20, "v1.4.1": 10}
"""Upstream's releases, and how many days ago each was published."""

_CHANGE = '{"address":"service","change":{"actions":["%s"],"before":{"image":"%s"},"after":{"image":"%s"}}}'
_SERVICE = f"""#!/bin/sh
# Terraform with one resource that runs an image: `runs` says which.
here=$(dirname "$0")
case "$1" in -chdir=*) ;; *) exec "$here/terraform-of-templates" "$@" ;; esac
for word; do
  case "$word" in gateway_image=*) image=${{word#*=}} ;; -out=*) out=${{word#*=}} ;; esac
done
now=$(cat "$here/runs")
case "$2" in
  plan)
    action=update
    [ "$image" = "$now" ] && action=no-op
    echo "$image" >"$here/planned-$(basename "$out")"
    printf '{{"format_version":"1.2","resource_changes":[{_CHANGE}]}}' "$action" "$now" "$image" >"$out" ;;
  show) cat "$word" ;;
  apply) cp "$here/planned-$(basename "$word")" "$here/runs" ;;
esac
"""


@dataclass
class Scene:
    """A folder in which a person types lines; a name in `stands_for` is another one here."""

    root: Path
    environ: Mapping[str, str]
    clock: TestClock
    stands_for: Mapping[str, str]

    def run(self, line: str) -> Run:
        """The line's answer. Raises ValueError for a program that nobody has here."""
        return self._run([self.stands_for.get(word, word) for word in shlex.split(line, comments=True)])

    def _run(self, words: Sequence[str]) -> Run:
        match words:
            case ["gateway-bot", *rest]:
                return run_command(rest, self.environ, self.clock)
            case ["git", *_]:
                done = subprocess.run(
                    words, cwd=self.root, env=dict(self.environ), capture_output=True, text=True, check=False
                )
                return Run(done.returncode, done.stdout, done.stderr)
            case ["mise", "run", task]:
                return self._run(shlex.split(TASKS[task]["run"]))
        raise ValueError(f"nobody can run this here: {shlex.join(words)}")


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Story]:
    """Upstream has three releases, of which v1.3.1 is pinned."""
    bot = Account("gateway-bot[bot]", {"contents": "write", "pull_requests": "write", "issues": "write"})
    with EmbeddedRegistry() as registry, EmbeddedGitHub({TOKEN: bot}) as github:
        github.create_repository(UPSTREAM)
        environ = {"GITHUB_API_URL": github.url, "GITHUB_REPOSITORY": DOWNSTREAM, "GITHUB_TOKEN": TOKEN}
        made = Story(tmp_path / "checkout", registry, github, environ=environ, folder=tmp_path)
        for ref, days in REFS.items():
            made.release(ref, days_ago=days)
        made.pin("v1.3.1")
        yield made


@dataclass
class Place:
    """The gateway's checkout with its programs, and `origin`; `at` are the stages that documents speak of."""

    gateway: Story
    gated: Gated

    def prepare(self) -> None:
        """All the gates are asked, and all that they ask is well."""
        story, gated = self.gateway, self.gated
        for digest in story.digests.values():
            gated.programs.signature(digest, "bundle")
            gated.programs.findings(digest, [])
            gated.engine.pulled.add(f"{story.image}@{digest}")
        for ref in story.digests:
            gated.schema(ref, SCHEMA)
        gated.programs.renders("binds: []\n# $KEY\n")
        gated.engine.made = Made({"Env": ["LOCAL_XDS_PATH=/x"], "Entrypoint": ["/app/agentgateway"]})
        gated.ask(SIGNATURE, SCAN, CONFIG)
        terraform = gated.programs.folder / "terraform"
        terraform.rename(terraform.with_name("terraform-of-templates"))
        terraform.write_text(_SERVICE)
        terraform.chmod(0o755)
        self.runs("v1.4.1")

    def runs(self, ref: str) -> None:
        """What the service runs."""
        image = f"{self.gateway.registry.host}/{DOWNSTREAM}@{self.gateway.digests[ref]}"
        (self.gated.programs.folder / "runs").write_text(image + "\n")

    def released(self, ref: str, number: int) -> None:
        """A release of ours, v1.2.{number}, with this pin."""
        self.gateway.write("pyproject.toml", f'[project]\nname = "gateway"\nversion = "1.2.{number}"\n')
        self.gateway.upgrade(ref, f"v1.2.{number}")

    def pushed(self) -> None:
        """`origin` has what is here."""
        self.gateway.repo.run("init", "-q", "--bare", "-b", "main", str(self.gateway.folder / "origin"))
        self.gateway.repo.run("remote", "add", "origin", str(self.gateway.folder / "origin"))
        self.gateway.repo.run("push", "-q", "-u", "origin", "main", "--tags")
        self.gateway.copy_ours()

    def scene(self, monkeypatch: pytest.MonkeyPatch) -> Scene:
        monkeypatch.chdir(self.gateway.root)
        return Scene(self.gateway.root, self.gateway.environ, self.gateway.clock, {})


@pytest.fixture
def checkout(gateway: Story, gated: Gated) -> Place:
    """With the module's `town`, which is the gateway's."""
    made = Place(gateway, gated)
    made.prepare()
    return made


@pytest.fixture
def new_release(checkout: Place, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """v1.3.1 is pinned and released as v1.2.3; v1.4.1 is out; a commit is not released yet."""
    checkout.released("v1.3.1", 3)
    checkout.gateway.commit("feat: more", **{"infrastructure/more.tf": "# more\n"})
    checkout.pushed()
    return checkout.scene(monkeypatch)


@pytest.fixture
def readme(checkout: Place, new_release: Scene) -> Scene:
    """The same, with the settings that the README shows."""
    settings = "\n".join(re.findall(r"```toml\n(.*?)```", (PROJECT / "README.md").read_text(), re.DOTALL))
    checkout.gateway.write(FILE, settings.replace("ghcr.io/agentgateway/agentgateway", checkout.gateway.image))
    for path in re.findall(r'"(infrastructure/(?:modules|environments)/[^"]+)"', settings):
        checkout.gateway.write(path, (PROJECT / path).read_text())
    return new_release


@pytest.fixture
def merged_elsewhere(checkout: Place, new_release: Scene) -> Scene:
    """The upgrade was merged, and is not here yet."""
    checkout.gateway.upgrade("v1.4.1")
    checkout.gateway.repo.run("push", "-q", "origin", "main")
    checkout.gateway.repo.run("reset", "-q", "--hard", "HEAD~1")
    return new_release


@pytest.fixture
def bad_release(checkout: Place, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """v1.3.1, v1.4.0 and v1.4.1 were released as v1.2.1, v1.2.2 and v1.2.3; the last runs, and is bad."""
    for number, ref in enumerate(REFS, start=1):
        checkout.released(ref, number)
    checkout.pushed()
    return checkout.scene(monkeypatch)


@pytest.fixture
def went_back(checkout: Place, bad_release: Scene) -> Scene:
    """A rollback to v1.4.0 was merged."""
    done = bad_release.run("gateway-bot rollback --reason 'it was slow'")
    assert done.code == 0, done.out + done.err
    checkout.gateway.merge()
    checkout.gateway.repo.run("push", "-q", "origin", "main")
    return bad_release


@pytest.fixture
def tagged(world: Releasing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """v1.2.4 is bumped and pushed, and not published yet."""
    with on_the_path(tmp_path / "bin", world) as programs:
        root = world.copy(tmp_path).root
        monkeypatch.chdir(root)
        environ = {**world.environ, "PATH": programs.path, "SIGSTORE_ID_TOKEN": "eyJ-the-identity-token"}
        yield Scene(root, environ, world.clock, {DOWNSTREAM: REPOSITORY})


@pytest.fixture
def published(world: Releasing, tagged: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """v1.2.4 is published; who asks has an empty folder, no token, and a trusted root of their own."""
    assert world.publish().failure is None
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "company-root.json").write_text("{}")
    monkeypatch.chdir(empty)
    nobody = {"GITHUB_TOKEN": "", "SIGSTORE_ID_TOKEN": "", "GITHUB_REPOSITORY": ""}
    return Scene(empty, {**tagged.environ, **nobody}, tagged.clock, tagged.stands_for)
