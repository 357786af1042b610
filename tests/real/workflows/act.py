"""Workflow files, run by act in its host mode: no Docker, no network, and actions/ for what GitHub would fetch.

Unlike GitHub, act gives every job one token whatever `permissions` say, and knows no `concurrency`; tests/promises
reads those in the files.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.real.workflows.log import Run, read_log

STANDINS = Path(__file__).parent / "actions"
PATH = "/usr/bin:/bin"
"""Of every step: bash and git, and none of the programs that the gates ask."""
ACTOR = "octocat"
TIMEOUT_SECONDS = 120
_USES = re.compile(r"^\s*(?:- )?uses: ([\w.-]+/[\w.-]+)([\w./-]*)@(\S+)", re.MULTILINE)
_RUNNER = "ubuntu-24.04"


@dataclass(frozen=True)
class Act:
    """act, and what it gives to every step beside what GitHub does."""

    program: str
    folder: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    own: Mapping[str, Path] = field(default_factory=dict)
    """Repositories that are really there: `OWNER/NAME` to the folder that any ref of it stands for."""
    path: str = PATH

    def run(
        self,
        repository: Path,
        workflow: str,
        event: str,
        *,
        slug: str,
        token: str,
        inputs: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        variables: Mapping[str, str] | None = None,
        tag: str = "",
        payload: Mapping[str, object] | None = None,
        job: str = "",
        again: Run | None = None,
    ) -> Run:
        """The workflow, run in a checkout of the repository `slug`; only `job` and what it needs, if that is given.

        With a `tag` the event is about that one; `payload` is what else it says. What the run `again` kept is there
        already.
        """
        work = self.folder / f"run-{len(list(self.folder.glob('run-*')))}"
        for name in ("home", "cache", "artifacts"):
            (work / name).mkdir(parents=True)
        if again is not None:
            shutil.copytree(again.work / "artifacts", work / "artifacts", dirs_exist_ok=True)
        (work / "event.json").write_text(
            json.dumps({"inputs": dict(inputs or {}), **_pushed(repository, tag), **(payload or {})})
        )
        (work / "secrets").write_text(_dotenv({"GITHUB_TOKEN": token, **(secrets or {})}))
        environ = {
            "GITHUB_REPOSITORY": slug,
            "GITHUB_REPOSITORY_OWNER": slug.partition("/")[0],
            "STANDIN_ARTIFACTS": str(work / "artifacts"),
            **self.environ,
        }
        (work / "environ").write_text(_dotenv(environ))
        (work / "variables").write_text(_dotenv(variables or {}))
        nothing = work / "nothing"
        nothing.touch()
        command = [
            *(self.program, event, "--json", "--insecure-secrets"),  # a secret that a step prints is to be seen
            *("--directory", str(repository), "--workflows", f".github/workflows/{workflow}"),
            *("--platform", f"{_RUNNER}=-self-hosted", "--no-skip-checkout", "--defaultbranch", "main"),
            *("--action-cache-path", str(work / "cache"), "--action-offline-mode", "--no-cache-server", "--pull=false"),
            *("--eventpath", str(work / "event.json"), "--secret-file", str(work / "secrets")),
            *("--env-file", str(work / "environ"), "--var-file", str(work / "variables")),
            *("--input-file", str(nothing), "--actor", ACTOR),
            *(("--job", job) if job else ()),
        ]
        for name, folder in self._actions(repository).items():
            command += ["--local-repository", f"{name}={folder}"]
        code = _run(command, work, self.path)
        return Run(code, work, read_log((work / "log.jsonl").read_text()))

    def _actions(self, repository: Path) -> dict[str, Path]:
        """Every `OWNER/NAME@REF` that the repository's files use, those of its own bots included."""
        found: dict[str, Path] = {}
        for root in (repository, *self.own.values()):
            actions = (*root.glob("action.yml"), *root.glob(".github/actions/*/action.yml"))
            for file in (*(root / ".github/workflows").glob("*.yml"), *actions):
                for name, _, ref in _USES.findall(file.read_text()):
                    folder = self.own.get(name, STANDINS / name)
                    assert folder.is_dir(), f"{file.name} uses {name}, and there is no stand-in for it"
                    found[f"{name}@{ref}"] = folder
        return found


def _run(command: list[str], work: Path, path: str) -> int:
    """The exit code. What steps write must not depend on who runs the tests: they get no variable of this process."""
    environ = {"PATH": path, "HOME": str(work / "home"), "LANG": "C.UTF-8", "XDG_CACHE_HOME": str(work / "home/cache")}
    with (work / "log.jsonl").open("wb") as log, (work / "err.txt").open("wb") as errors:
        program = subprocess.Popen(
            command, env=environ, stdout=log, stderr=errors, stdin=subprocess.DEVNULL, start_new_session=True
        )
        try:
            return program.wait(timeout=TIMEOUT_SECONDS)
        finally:
            if program.returncode is None:
                os.killpg(program.pid, signal.SIGKILL)
                program.wait()


def _pushed(repository: Path, tag: str) -> dict[str, str | bool]:
    """What the event says of a tag; an annotated one's commit is what GitHub runs."""
    if not tag:
        return {}
    command = ["git", "-C", str(repository), "rev-parse", f"refs/tags/{tag}^{{commit}}"]
    commit = subprocess.run(command, capture_output=True, check=True, timeout=60, text=True).stdout.strip()
    return {"ref": f"refs/tags/{tag}", "after": commit, "deleted": False}


def _dotenv(values: Mapping[str, str]) -> str:
    return "".join(f"{name}={json.dumps(value)}\n" for name, value in values.items())
