"""A workflow of one repository and its runs. GitHub REST API 2022-11-28, "Workflows" and "Workflow runs"."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote, urlencode

import msgspec

from bot.adapters.github_api import GitHubApi
from bot.core.runs import Run, Workflow
from bot.errors import ForgeError


class _Workflow(msgspec.Struct):
    state: str
    created_at: datetime


class _Run(msgspec.Struct):
    created_at: datetime
    html_url: str = ""
    status: str | None = None
    conclusion: str | None = None


class _Runs(msgspec.Struct):
    workflow_runs: list[_Run] = []


class WorkflowRuns:
    """What GitHub Actions did of the workflows below `.github/workflows`."""

    def __init__(self, api: GitHubApi) -> None:
        self._api = api

    def workflow(self, file: str) -> Workflow:
        """The workflow of this file. Raises ForgeError where it is not there, or the token may not see it."""
        found = self._api.read(f"/actions/workflows/{quote(file)}", _Workflow)
        if found is None:
            raise self._missing(file)
        return Workflow(file, found.state, found.created_at)

    def last(self, file: str, **only: str) -> Run | None:
        """The newest run; `only` those with such an `event` or `status`. None where there is none.

        Raises ForgeError as `workflow`.
        """
        query = urlencode({**only, "per_page": 1})
        found = self._api.read(f"/actions/workflows/{quote(file)}/runs?{query}", _Runs)
        if found is None:
            raise self._missing(file)
        if not found.workflow_runs:
            return None
        run = found.workflow_runs[0]
        return Run(run.created_at, run.conclusion or run.status or "unknown", run.html_url)

    def _missing(self, file: str) -> ForgeError:
        return ForgeError(
            f"{self._api.repository} has no workflow {file}, or the token may not see it",
            where=f"{self._api.repository}/.github/workflows/{file}",
            next_step="Name the workflow that runs by itself: `workflow` in the table `watch` of gateway-bot.toml. "
            "The token needs actions:read.",
        )
