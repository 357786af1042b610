"""Issues: listed, opened, read and changed. Pull requests are among them, as on GitHub."""

from __future__ import annotations

from bot.embedded.github.comments import since_of
from bot.embedded.github.issue_forms import issue_form
from bot.embedded.github.lifecycle import body_of, change_state, find_issue, retitle
from bot.embedded.github.records import Issue
from bot.embedded.github.routing import Call, RefusalError, paged, route
from bot.embedded.github.triage import change_triage
from bot.embedded.server import Response, json_response


def _list_issues(call: Call) -> Response:
    """Issues and pull requests, newest first, by state, labels, creator and the time of the last change."""
    _require_issues(call)
    state = call.request.value("state", "open")
    creator = call.request.value("creator").lower()
    wanted = {name.lower() for name in call.request.value("labels").split(",") if name}
    since = since_of(call)
    found = [
        issue
        for issue in call.repository.issues.values()
        if state in ("all", issue.state)
        and wanted <= {name.lower() for name in issue.labels}
        and creator in ("", issue.author.login.lower())
        and (since is None or issue.updated >= since)
    ]
    if call.request.value("sort") == "updated":
        found.sort(key=lambda issue: issue.updated)
    if call.request.value("direction", "desc") != "asc":
        found.reverse()
    return paged(call, found, issue_form)


def _create_issue(call: Call) -> Response:
    """An issue. Labels, assignees and milestone of who has no push access are dropped, and nothing is said."""
    _require_issues(call)
    fields = call.fields()
    issue = Issue(
        number=call.repository.next_number,
        title=fields.text("title", "Issue"),
        body=body_of(fields),
        author=call.author,
        created=call.now,
        updated=call.now,
    )
    change_triage(call, issue, fields)
    call.repository.issues[issue.number] = issue
    form = issue_form(call, issue)
    return json_response(201, form, ("Location", str(form["url"])))


def _get_issue(call: Call) -> Response:
    return json_response(200, issue_form(call, find_issue(call)))


def _update_issue(call: Call) -> Response:
    fields = call.fields()
    issue = find_issue(call)
    body = body_of(fields) if "body" in fields else issue.body
    retitle(call, issue, fields)
    issue.body = body
    change_triage(call, issue, fields)
    change_state(call, issue, fields)
    issue.updated = call.now
    return json_response(200, issue_form(call, issue))


def _require_issues(call: Call) -> None:
    if not call.repository.has_issues:
        raise RefusalError(410, "Issues has been disabled in this repository.")


_BOTH = ("issues", "pull_requests")
ROUTES = (
    route("GET", "/issues", _list_issues, *_BOTH),
    route("POST", "/issues", _create_issue, "issues"),
    route("GET", "/issues/{}", _get_issue, *_BOTH),
    route("PATCH", "/issues/{}", _update_issue, *_BOTH),
)
