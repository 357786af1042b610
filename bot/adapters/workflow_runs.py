"""The workflows of one repository and its runs, read and started. GitHub REST API 2022-11-28, "Workflows" and "Workflow
runs".
"""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote, urlencode

import msgspec

from bot.adapters import answers
from bot.adapters.github_api import GitHubApi, Refused
from bot.core.decoding import decode
from bot.core.moment import moment
from bot.core.runs import NoWorkflow, Run, Workflow
from bot.errors import BotError

_NO_CONTENT, _INVALID = 204, 422
_ADVICE = {
    403: "Give the token the permission `actions: write` on this repository.",
    422: "The workflow needs `workflow_dispatch:` below `on:`, at this ref and on the default branch, and must not be "
    "switched off.",
}


class _Workflow(msgspec.Struct):
    state: str
    created_at: datetime


class _Run(msgspec.Struct):
    created_at: datetime
    html_url: str
    status: str | None
    conclusion: str | None


class _Started(msgspec.Struct):
    html_url: str


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
        """The newest run; `only` those with such an `event`, `status`, `head_sha` or `branch`, which may be a
        tag. None where there is none.

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

    def start(self, file: str, ref: str) -> str:
        """Start a workflow by hand for a branch or tag, once ("Create a workflow dispatch event").

        Returns the page of the run, empty where GitHub does not say it. Where the answer got lost, the newest run of
        that ref is taken for it: who calls this has seen that there was none. Raises BotError where GitHub refuses it
        (7), does not answer (4) or answers what cannot be (5): a run that it made all the same may show later.
        """
        path = f"/actions/workflows/{quote(file)}/dispatches"
        try:
            try:
                return self._dispatched(path, {"ref": ref, "return_run_details": True})
            except Refused as refused:
                if not (refused.status == _INVALID and "return_run_details" in refused.what):
                    raise
                return self._dispatched(path, {"ref": ref})  # an Enterprise Server that does not know the word
        except Refused as refused:
            if refused.doubtful and (found := self._found(file, ref)) is not None:
                return found.url
            refused.next_step = _ADVICE.get(refused.status, refused.next_step)
            raise

    def _dispatched(self, path: str, sent: object) -> str:
        response = self._api._write("POST", self._api._url(path), sent)  # noqa: SLF001 - no public write knows an answer without a body
        if response.status == _NO_CONTENT:
            return ""
        try:
            return decode(response.body, _Started).html_url
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            what = f"GitHub's answer lacks what its documentation promises: {error}"
            raise self._api.untrue(path, what) from None

    def _found(self, file: str, ref: str) -> Run | None:
        """What became of a doubtful start; None where that is not known either."""
        try:
            return self.last(file, branch=ref)
        except BotError:
            return None

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
