"""rollback.yml, run by act: the plan, the pull request, and the release after its merge, to a real git remote.

What docs/workflows.md shows of it is taken from there. What the file alone says is in test_rollback_workflow_file.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bot.core.proposal.names import ROLLBACKS
from bot.core.rollback.text import LABEL, RELEASE_LABEL
from bot.embedded.github import Account, EmbeddedGitHub
from bot.embedded.gitobjects import Commit, Entry
from bot.embedded.registry import EmbeddedRegistry
from bot.embedded.tokens import TokenServer
from tests.flows.conftest import DOWNSTREAM, PROJECT
from tests.flows.releases import ident_of
from tests.real.workflows.act import ACTOR, PATH
from tests.real.workflows.log import Run
from tests.real.workflows.town import BOT, READER, Files, Town, git, project, town_with

pytestmark = pytest.mark.real

PROPOSER, RELEASER = "ghs_may-what-propose-asks-for", "ghs_may-what-release-asks-for"
_ACTOR = "github-actions[bot]"
TOKENS = {
    READER: Account(_ACTOR, {"contents": "read"}),
    PROPOSER: Account(_ACTOR, {"contents": "write", "pull_requests": "write"}),
    RELEASER: Account(_ACTOR, {"contents": "write", "actions": "write"}),
}
WHY = "5xx since the upgrade; $(touch hacked) `touch hacked` \"'"
INPUTS = {"to": "", "reason": WHY, "image": "", "release": "true"}
(DOCUMENTED,) = re.findall(r"```yaml\n(name: rollback\n.*?)```", (PROJECT / "docs/workflows.md").read_text(), re.DOTALL)


@dataclass
class Back:
    """A repository that released v1.3.1 as v1.2.3 and v1.4.1 as v1.2.4, in the town and on GitHub."""

    town: Town
    github: EmbeddedGitHub
    ghcr: EmbeddedRegistry
    project: bytes = b'[project]\nname = "ai-gateway"\nversion = "1.2.3"\n'
    """What pyproject.toml says, but for the version."""

    @property
    def folder(self) -> Path:
        return self.town.root / "work" / DOWNSTREAM

    @property
    def bare(self) -> Path:
        return self.town.root / "remotes" / f"{DOWNSTREAM}.git"

    @property
    def base(self) -> str:
        return git(self.bare, "rev-parse", "main").strip()

    def begin(self, others: Files | None = None) -> None:
        """With these files beside the pins; the whole project, unless others are given."""
        files = project() if others is None else others
        self.project = files.get("pyproject.toml", self.project)
        first = {**files, **self._pinned("v1.3.1", "1.2.3")}
        second = {**first, **self._pinned("v1.4.1", "1.2.4")}
        commit = self.town.publish(DOWNSTREAM, first, on_github=False)
        git(self.folder, "tag", "--annotate", "--message", "v1.2.3", "v1.2.3")
        self.github.create_repository(DOWNSTREAM)
        self.github.add_workflow(DOWNSTREAM, "release.yml")
        self._mirror(commit, first)
        self.commit("deps(agentgateway): bump v1.3.1 to v1.4.1", second, "v1.2.4")

    def commit(self, message: str, files: Files, tag: str = "") -> None:
        """What was merged to the base, and what it is then, on both sides."""
        for name, content in files.items():
            (self.folder / name).write_bytes(content)
        git(self.folder, "commit", "--quiet", "--all", "--message", message)
        if tag:
            git(self.folder, "tag", "--annotate", "--message", tag, tag)
        git(self.folder, "push", "--quiet", "--tags", str(self.bare), "main")
        self._mirror(git(self.folder, "rev-parse", "HEAD").strip(), files)

    def merge(self) -> None:
        """The pull request, squashed."""
        repository = self.github.repositories[DOWNSTREAM]
        head = repository.objects.commits[repository.refs[f"refs/heads/{ROLLBACKS}agentgateway"]]
        files = repository.objects.files(head.tree)
        before = repository.objects.files(repository.objects.commits[head.parents[0]].tree)
        changed = {name for name, entry in files.items() if before.get(name) != entry}
        whole = {name: repository.objects.blobs[entry.sha] for name, entry in files.items()}
        assert changed == {*self._pinned("v1.3.1", "")} - {"pyproject.toml"}
        self.commit(self.github.pulls(DOWNSTREAM)[0].title, whole)

    def run(self, event: str, *, token: str, payload: Mapping[str, object] | None = None, **more: Any) -> Run:
        environ = self.town.environ() | {"STANDIN_GHCR": self.ghcr.host}
        act = self.town.act(environ, f"{self.town.root / 'path'}:{PATH}")
        return act.run(self.folder, "rollback.yml", event, slug=DOWNSTREAM, token=token, payload=payload, **more)

    def closed(self, pull: Mapping[str, Any], **more: Any) -> Run:
        """A pull request was closed, by a person."""
        number, body = 1, {"merged": True, "base": {"ref": "main"}, **pull}
        return self.run(
            "pull_request", token=RELEASER, payload={"action": "closed", "number": number, "pull_request": body}, **more
        )

    def sees_pushes(self) -> None:
        """From now on GitHub shows what the remote has, as soon as a workflow is to be started for it."""

        def look(method: str, path: str) -> None:
            if method == "POST" and path.endswith("/dispatches"):
                for line in git(self.bare, "show-ref", "--dereference").splitlines():
                    sha, name = line.split(" ")
                    self.github.repositories[DOWNSTREAM].refs[name.removesuffix("^{}")] = sha

        self.github.intercept = look

    @property
    def started(self) -> list[tuple[str, str]]:
        return [(run.event, run.branch) for run in self.github.repositories[DOWNSTREAM].workflows["release.yml"].runs]

    def _pinned(self, ref: str, version: str) -> dict[str, bytes]:
        files = self.town.pinned(ref)
        settings = files["gateway-bot.toml"].replace(
            b"ghcr.io/{repository}", f"{self.ghcr.host}/{{repository}}".encode()
        )
        text = re.sub(rb'(?m)^version = ".*"', f'version = "{version}"'.encode(), self.project)
        return {**files, "gateway-bot.toml": settings, "pyproject.toml": text}

    def _mirror(self, sha: str, files: Files) -> None:
        """A commit with these files on GitHub, by its own name, as the base."""
        repository = self.github.repositories[DOWNSTREAM]
        head, _, message = git(self.folder, "cat-file", "commit", sha).partition("\n\n")
        fields = dict(line.split(" ", 1) for line in head.splitlines())
        modes = (line.partition("\t") for line in git(self.folder, "ls-tree", "-r", sha).splitlines())
        entries = {name: Entry(mode.split()[0], repository.objects.add_blob(files[name])) for mode, _, name in modes}
        parents = (fields["parent"],) if "parent" in fields else ()
        tree = repository.objects.add_files(entries)
        made = Commit(tree, parents, ident_of(fields["author"]), ident_of(fields["committer"]), message)
        assert repository.objects.add_commit(made) == sha
        repository.refs["refs/heads/main"] = sha


@contextmanager
def going_back(root: Path, token: str) -> Iterator[Back]:
    """GHCR lets in whoever comes with this token."""
    with (
        EmbeddedGitHub(TOKENS) as github,
        EmbeddedRegistry(tokens=TokenServer(ACTOR, token, private=True)) as ghcr,
        town_with(github, root) as town,
    ):
        (town.root / "path").mkdir()
        (town.root / "path" / "docker").symlink_to(Path(__file__).parent / "workflows/path/docker")
        yield Back(town, github, ghcr)


@pytest.fixture
def back(tmp_path: Path) -> Iterator[Back]:
    with going_back(tmp_path / "town", PROPOSER) as made:
        yield made


def leaks(run: Run) -> list[str]:
    return [name for name, text in run.written().items() if any(token in text for token in TOKENS)]


def merged(
    *labels: str, slug: str | None = DOWNSTREAM, ref: str = f"{ROLLBACKS}agentgateway", done: bool = True
) -> Any:
    repo = None if slug is None else {"full_name": slug}
    return {"merged": done, "head": {"ref": ref, "repo": repo}, "labels": [{"name": label} for label in labels]}


def test_going_back_is_proposed_merged_and_released(back: Back) -> None:
    back.begin()
    first = back.run("workflow_dispatch", token=PROPOSER, inputs=INPUTS)
    (pull,) = back.github.pulls(DOWNSTREAM)

    assert first.results == {"plan": "success", "propose": "success"}
    assert first.artifacts == ["plan"]
    assert "does not have it" in first.artifact("plan", "plan.json")  # our own registry, which lets nobody in unasked
    assert (pull.title, pull.head) == (
        "revert(agentgateway): roll back v1.4.1 to v1.3.1",
        f"{ROLLBACKS}agentgateway",
    )
    assert {LABEL, RELEASE_LABEL} <= set(pull.labels)
    assert "touch hacked" in pull.body
    assert [note for job in first.jobs.values() for note in job.annotations] == []
    assert leaks(first) == []

    back.merge()
    base = back.base
    back.sees_pushes()
    second = back.closed(merged(*pull.labels))
    third = back.closed(merged(*pull.labels))

    made = back.base
    assert second.results == third.results == {"release": "success"}
    assert (
        git(back.bare, "log", "-1", "--format=%P %an %s", "main").strip() == f"{base} {_ACTOR} chore(release): v1.2.5"
    )
    assert git(back.bare, "rev-parse", "v1.2.5^{commit}").strip() == made
    assert "AGENTGATEWAY_REF=v1.3.1\n" in git(back.bare, "show", "v1.2.5:versions.env")
    assert back.started == [("workflow_dispatch", "v1.2.5")]
    assert "pushed: main and v1.2.5 to origin" in second.jobs["release"].summary
    assert "started before: release.yml" in third.jobs["release"].summary
    assert leaks(second) == leaks(third) == []


def test_a_plan_needs_a_token_that_reads(tmp_path: Path) -> None:
    with going_back(tmp_path / "town", READER) as back:
        back.begin()

        run = back.run("workflow_dispatch", token=READER, inputs=INPUTS | {"to": "v1.3.1", "release": "false"})

        assert run.results == {"plan": "success", "propose": "failure"}
        assert json.loads(run.artifact("plan", "plan.json"))["outcome"] == "propose"
        assert back.github.pulls(DOWNSTREAM) == ()
        assert leaks(run) == []


def test_what_cannot_be_gone_back_to_fails_says_why_and_opens_nothing(back: Back) -> None:
    back.begin()

    run = back.run("workflow_dispatch", token=PROPOSER, inputs=INPUTS | {"to": "v9.9.9"})

    assert run.results == {"plan": "failure"}
    assert run.jobs["plan"].steps["Keep the plan, also one that is blocked"] == "success"
    assert "v9.9.9" in run.jobs["plan"].annotations[0].text
    assert back.github.pulls(DOWNSTREAM) == ()


NOT_OURS = [
    merged(LABEL),
    merged(RELEASE_LABEL, done=False),
    merged(RELEASE_LABEL, slug="stranger/ai-gateway"),
    merged(RELEASE_LABEL, slug=None),
    merged(RELEASE_LABEL, ref="gateway-bot/upgrade/agentgateway"),
    merged(RELEASE_LABEL, ref="x/gateway-bot/rollback/agentgateway"),
    merged(f"{RELEASE_LABEL}-not"),
    merged(),
]


def test_what_is_no_merge_of_ours_with_the_label_releases_nothing(back: Back) -> None:
    back.begin()
    base = back.base

    runs = [back.closed(pull) for pull in NOT_OURS]

    assert [run.results.get("release", "skipped") for run in runs] == ["skipped"] * len(NOT_OURS)
    assert [run.jobs[job].steps for run in runs for job in run.jobs] == [{} for run in runs for _ in run.jobs]
    assert (back.base, back.started) == (base, [])


def test_another_repository_goes_back_and_releases_by_the_documented_workflow(back: Back) -> None:
    commit = back.town.publish(BOT, project(), on_github=False)
    workflow = DOCUMENTED.replace("YOUR-ORG", "acme").replace("0" * 40, commit).encode()
    back.begin({".github/workflows/rollback.yml": workflow})

    first = back.run("workflow_dispatch", token=PROPOSER, inputs=INPUTS)
    (pull,) = back.github.pulls(DOWNSTREAM)
    back.merge()
    back.sees_pushes()
    second = back.closed(merged(*pull.labels))

    assert first.results == {"plan": "success", "propose": "success"}
    assert second.results == {"release": "success"}
    assert git(back.bare, "rev-parse", "v1.2.5^{commit}").strip() == back.base
    assert back.started == [("workflow_dispatch", "v1.2.5")]
    assert leaks(first) == leaks(second) == []
