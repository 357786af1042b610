"""What a run of act said, from its `--json` log: one JSON object a line."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Annotation:
    """An error, a warning or a notice on the run's page."""

    level: str
    title: str
    text: str


@dataclass
class Job:
    """One job, or one of a matrix."""

    result: str = ""
    steps: dict[str, str] = field(default_factory=dict)
    """Each step of the workflow file by its name: `success`, `failure` or `skipped`."""
    outputs: dict[str, str] = field(default_factory=dict)
    """What its own steps set, `STEP.NAME` to the value."""
    paths: list[str] = field(default_factory=list)
    """What its own steps put on the PATH of later ones."""
    variables: dict[str, str] = field(default_factory=dict)
    """What its own steps set for later ones."""
    summary: str = ""
    annotations: list[Annotation] = field(default_factory=list)
    text: str = ""
    """What its steps printed."""


@dataclass(frozen=True)
class Run:
    """A run of one workflow. Jobs are named by their ids, those of a matrix by `ID (VALUE)`."""

    code: int
    work: Path
    jobs: dict[str, Job]

    @property
    def results(self) -> dict[str, str]:
        """How each job ended; one that only calls a workflow has no end of its own."""
        return {name: job.result for name, job in self.jobs.items() if job.result}

    def artifact(self, name: str, file: str) -> str:
        """A file that was kept."""
        return (self.work / "artifacts" / name / file).read_text()

    @property
    def artifacts(self) -> list[str]:
        return sorted(path.name for path in (self.work / "artifacts").iterdir())

    def written(self) -> dict[str, str]:
        """Everything that the run left: act's log with all summaries and outputs, artifacts, and the work folders.

        act keeps the work folder of a job that failed. What pip installed there is left out, and what act was given.
        """
        paths = (path.relative_to(self.work) for path in self.work.rglob("*") if path.is_file())
        names = [path for path in paths if "venv" not in path.parts and str(path) not in {"secrets", "environ"}]
        return {str(name): (self.work / name).read_bytes().decode(errors="replace") for name in names}


def read_log(text: str) -> dict[str, Job]:
    """The jobs of a run. A line that is no JSON object says nothing of a job."""
    jobs: dict[str, Job] = {}
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if "jobID" in entry:
            _take(jobs.setdefault(_name(entry), Job()), entry)
    return jobs


def _name(entry: dict[str, Any]) -> str:
    values = ", ".join(str(value) for value in (entry.get("matrix") or {}).values())
    return f"{entry['jobID']} ({values})" if values else str(entry["jobID"])


def _take(job: Job, entry: dict[str, Any]) -> None:
    own = len(entry.get("stepID") or []) == 1  # a step of an action has the ids of all steps around it
    job.result = entry.get("jobResult", job.result)
    if "stepResult" in entry and entry.get("stage") == "Main" and own:
        job.steps[entry["step"].removeprefix("Main ")] = entry["stepResult"]
    if entry.get("raw_output"):
        job.text += entry["msg"]
    match entry.get("command"):
        case "set-output" if own:
            job.outputs[f"{entry['stepID'][0]}.{entry['name']}"] = entry["arg"]
        case "set-env" if own:
            job.variables[entry["name"]] = entry["arg"]
        case "add-path" if own:
            job.paths.append(entry["arg"])
        case "summary":
            job.summary += entry["content"]
        case "error" | "warning" | "notice" as level:
            title = (entry.get("kvPairs") or {}).get("title", "")
            job.annotations.append(Annotation(level, title, entry["arg"]))
