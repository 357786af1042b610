"""The workflows of one repository and its runs. GitHub REST API 2022-11-28, "Workflows" and "Workflow runs"."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote, urlencode

import msgspec

from bot.adapters import answers
from bot.adapters.github_api import GitHubApi
from bot.core.moment import moment
from bot.core.runs import NoWorkflow, Run, Workflow
from bot.errors import BotError


class _Workflow(msgspec.Struct):
    state: str
    created_at: datetime


class _Run(msgspec.Struct):
    created_at: datetime
    html_url: str
    status: str | None
    conclusion: str | None


class _Runs(msgspec.Struct):
    """No run is a list without one: an answer that lacks it says nothing about the workflow."""

    workflow_runs: list[_Run]


class WorkflowRuns:
    """What GitHub Actions did of the workflows below `.github/workflows`."""

    def __init__(self, api: GitHubApi) -> None:
        self._api = api

    def workflow(self, file: str) -> Workflow:
        """The workflow of this file. Raises NoWorkflow where it is not there.

        BotError where the token may not see the repository (7), or GitHub's answer cannot be true (5).
        """
        path = f"/actions/workflows/{quote(file)}"
        found = self._api.read(path, _Workflow)
        if found is None:
            raise self._missing(file)
        return Workflow(file, found.state, self._moment(found.created_at, path))

    def last(self, file: str, **only: str) -> Run | None:
        """The newest run; `only` those with such an `event` or `status`. None where there is none.

        Raises as `workflow`.
        """
        path = f"/actions/workflows/{quote(file)}/runs"
        found = self._api.read(f"{path}?{urlencode({**only, 'per_page': 1})}", _Runs)
        if found is None:
            raise self._missing(file)
        if not found.workflow_runs:
            return None
        run = found.workflow_runs[0]
        return Run(self._moment(run.created_at, path), run.conclusion or run.status or "unknown", run.html_url)

    def _moment(self, said: datetime, path: str) -> datetime:
        when = moment(said)
        if when is None:
            raise self._api.untrue(path, f"GitHub's answer names a time that cannot be: {said}")
        return when

    def _missing(self, file: str) -> BotError:
        """GitHub answers 404 for a repository that a token may not see, too; so that is asked."""
        if self._api.read("", answers.Repository) is None:
            return self._api.missing("")
        return NoWorkflow(
            f"{self._api.repository} has no workflow {file}",
            where=f"{self._api.repository}/.github/workflows/{file}",
            next_step="Name the one that runs by itself: `workflow` in the table [watch] of gateway-bot.toml.",
        )
