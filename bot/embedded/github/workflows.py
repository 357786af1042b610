"""Workflows of GitHub Actions, and their runs, which a test puts there."""

from __future__ import annotations

from bot.embedded.github.forms import Form, account_form, repository_form, time_form
from bot.embedded.github.records import Account, Run, Workflow
from bot.embedded.github.routing import Call, RefusalError, not_found, page, route
from bot.embedded.server import Response, json_response


def _list_workflows(call: Call) -> Response:
    found = list(call.repository.workflows.values())
    shown, headers = page(call, found)
    answer = {"total_count": len(found), "workflows": [_workflow_form(call, one) for one in shown]}
    return json_response(200, answer, *headers)


def _get_workflow(call: Call) -> Response:
    return json_response(200, _workflow_form(call, _find(call)))


def _list_runs(call: Call) -> Response:
    """Newest first, by event, branch, commit, and status or conclusion."""
    workflow = _find(call)
    event, branch, status, sha = (call.request.value(name) for name in ("event", "branch", "status", "head_sha"))
    found = [
        run
        for run in sorted(workflow.runs, key=lambda run: (run.created, run.id), reverse=True)
        if event in ("", run.event)
        and branch in ("", run.branch)
        and status in ("", _status(run), run.conclusion)
        and sha in ("", run.sha)
    ]
    shown, headers = page(call, found)
    answer = {"total_count": len(found), "workflow_runs": [_run_form(call, workflow, run) for run in shown]}
    return json_response(200, answer, *headers)


def _dispatch(call: Call) -> Response:
    """A run for a branch or tag. That the workflow may be started by hand is taken for granted."""
    workflow = _find(call)
    sent = call.fields()
    ref = sent.text("ref")
    refs = call.repository.refs
    commit = refs.get(f"refs/heads/{ref}") or refs.get(f"refs/tags/{ref}")
    if commit is None:
        raise RefusalError(422, f"No ref found for: {ref}")
    if workflow.state != "active":
        raise RefusalError(422, "Cannot trigger a 'workflow_dispatch' on a disabled workflow")
    run = Run(1000 * workflow.id + len(workflow.runs) + 1, "workflow_dispatch", ref, commit, call.now, None)
    workflow.runs.append(run)
    if not sent.flag("return_run_details"):
        return Response(204)
    shown = _run_form(call, workflow, run)
    return json_response(200, {"workflow_run_id": run.id, "run_url": shown["url"], "html_url": shown["html_url"]})


def _find(call: Call) -> Workflow:
    """By the name of its file or its number."""
    for workflow in call.repository.workflows.values():
        if call.names[0] in (workflow.file, str(workflow.id)):
            return workflow
    raise not_found()


def _status(run: Run) -> str:
    return "completed" if run.conclusion else "in_progress"


def _workflow_form(call: Call, workflow: Workflow) -> Form:
    page_url = f"{call.request.base_url}/{call.repository.full_name}"
    return {
        "id": workflow.id,
        "node_id": f"W_{workflow.id}",
        "name": workflow.file.partition(".")[0],
        "path": f".github/workflows/{workflow.file}",
        "state": workflow.state,
        "created_at": time_form(workflow.created),
        "updated_at": time_form(workflow.created),
        "url": f"{call.repository_url}/actions/workflows/{workflow.id}",
        "html_url": f"{page_url}/blob/{call.repository.default_branch}/.github/workflows/{workflow.file}",
        "badge_url": f"{page_url}/workflows/{workflow.file}/badge.svg",
    }


def _run_form(call: Call, workflow: Workflow, run: Run) -> Form:
    actor = account_form(call.request.base_url, Account(call.repository.owner, kind="User"))
    url = f"{call.repository_url}/actions/runs/{run.id}"
    return {
        "id": run.id,
        "node_id": f"WFR_{run.id}",
        "name": workflow.file.partition(".")[0],
        "path": f".github/workflows/{workflow.file}",
        "workflow_id": workflow.id,
        "workflow_url": f"{call.repository_url}/actions/workflows/{workflow.id}",
        "event": run.event,
        "status": _status(run),
        "conclusion": run.conclusion,
        "head_branch": run.branch,
        "head_sha": run.sha,
        "display_title": workflow.file,
        "run_number": workflow.runs.index(run) + 1,
        "run_attempt": 1,
        "actor": actor,
        "triggering_actor": actor,
        "pull_requests": [],
        "repository": repository_form(call),
        "created_at": time_form(run.created),
        "updated_at": time_form(run.created),
        "run_started_at": time_form(run.created),
        "url": url,
        "html_url": f"{call.request.base_url}/{call.repository.full_name}/actions/runs/{run.id}",
        "jobs_url": f"{url}/jobs",
        "logs_url": f"{url}/logs",
    }


ROUTES = (
    route("GET", "/actions/workflows", _list_workflows, "actions"),
    route("GET", "/actions/workflows/{}", _get_workflow, "actions"),
    route("GET", "/actions/workflows/{}/runs", _list_runs, "actions"),
    route("POST", "/actions/workflows/{}/dispatches", _dispatch, "actions"),
)
