"""Labels, assignees and milestones of issues and pull requests."""

from __future__ import annotations

from collections.abc import Iterable

from bot.embedded.github.issue_forms import issue_form, label_form, milestone_form
from bot.embedded.github.lifecycle import find_issue
from bot.embedded.github.records import Issue
from bot.embedded.github.routing import Call, Fields, RefusalError, invalid, not_found, paged, route
from bot.embedded.server import Response, json_response

_MAX_LABEL = 50
_MAX_ASSIGNEES = 10


def change_triage(call: Call, issue: Issue, fields: Fields) -> None:
    """Labels, assignees and milestone as they were sent. Without the right to, nothing happens and nothing is said."""
    if not call.may_triage():
        return
    if "labels" in fields:
        set_labels(call, issue, fields.names("labels"))
    if "assignees" in fields:
        wanted = fields.texts("assignees")
        _unassign(call, issue, [login for login in issue.assignees if login not in wanted])
        _assign(call, issue, wanted)
    if "milestone" in fields:
        _set_milestone(call, issue, fields.number("milestone"))


def set_labels(call: Call, issue: Issue, names: Iterable[str]) -> None:
    """Exactly these labels."""
    wanted = [_known_label(call, name) for name in names]
    for name in [name for name in issue.labels if name not in wanted]:
        _unlabel(call, issue, name)
    _label(call, issue, wanted)


def _list_labels(call: Call) -> Response:
    return paged(call, find_issue(call).labels, label_form)


def _add_labels(call: Call) -> Response:
    """Labels that the repository does not know yet are made, as on GitHub. Takes an object or a bare list."""
    issue = find_issue(call)
    values = call.sent()
    names = Fields({"labels": values} if isinstance(values, list) else values).names("labels")
    _require_triage(call)
    _label(call, issue, [_known_label(call, name) for name in names])
    return paged(call, issue.labels, label_form)


def _remove_label(call: Call) -> Response:
    issue = find_issue(call)
    _require_triage(call)
    name = next((name for name in issue.labels if name.lower() == call.names[1].lower()), None)
    if name is None:
        raise RefusalError(404, "Label does not exist")
    _unlabel(call, issue, name)
    return paged(call, issue.labels, label_form)


def _repository_labels(call: Call) -> Response:
    return paged(call, call.repository.labels, label_form)


def _get_label(call: Call) -> Response:
    found = next((name for name in call.repository.labels if name.lower() == call.names[0].lower()), None)
    if found is None:
        raise not_found()
    return json_response(200, label_form(call, found))


def _add_assignees(call: Call) -> Response:
    """Logins that may not be assigned are left out, and nothing is said."""
    issue = find_issue(call)
    if call.may_triage():
        _assign(call, issue, call.fields().texts("assignees"))
    return json_response(201, issue_form(call, issue))


def _remove_assignees(call: Call) -> Response:
    issue = find_issue(call)
    if call.may_triage():
        _unassign(call, issue, call.fields().texts("assignees"))
    return json_response(200, issue_form(call, issue))


def _list_milestones(call: Call) -> Response:
    state = call.request.value("state", "open")
    found = [one for one in call.repository.milestones.values() if state in ("all", one.state)]
    return paged(call, found, milestone_form)


def _label(call: Call, issue: Issue, names: Iterable[str]) -> None:
    for name in names:
        if name not in issue.labels:
            issue.labels.append(name)
            call.repository.record(issue, "labeled", call.author, call.now, name)


def _unlabel(call: Call, issue: Issue, name: str) -> None:
    issue.labels.remove(name)
    call.repository.record(issue, "unlabeled", call.author, call.now, name)


def _known_label(call: Call, name: str) -> str:
    """The repository's spelling of a label, which is made where there is none. Labels have no case."""
    known = call.repository.labels
    found = next((label for label in known if label.lower() == name.lower()), None)
    if found is not None:
        return found
    if len(name) > _MAX_LABEL:
        message = f"name is too long (maximum is {_MAX_LABEL} characters)"
        raise invalid("Label", code="custom", field="name", message=message)
    known.append(name)
    return name


def _assign(call: Call, issue: Issue, logins: Iterable[str]) -> None:
    for login in logins:
        fits = call.repository.has_collaborator(login) and len(issue.assignees) < _MAX_ASSIGNEES
        if fits and login not in issue.assignees:
            issue.assignees.append(login)
            call.repository.record(issue, "assigned", call.author, call.now, login)


def _unassign(call: Call, issue: Issue, logins: Iterable[str]) -> None:
    for login in logins:
        if login in issue.assignees:
            issue.assignees.remove(login)
            call.repository.record(issue, "unassigned", call.author, call.now, login)


def _set_milestone(call: Call, issue: Issue, number: int | None) -> None:
    wanted = None if number is None else call.repository.milestones.get(number)
    if number is not None and wanted is None:
        raise invalid("Issue", code="invalid", field="milestone")
    before, issue.milestone = issue.milestone, wanted
    if before is not None and before is not wanted:
        call.repository.record(issue, "demilestoned", call.author, call.now, before.title)
    if wanted is not None and before is not wanted:
        call.repository.record(issue, "milestoned", call.author, call.now, wanted.title)


def _require_triage(call: Call) -> None:
    if not call.may_triage():
        raise RefusalError(403, "Must have write access to edit labels.")


_BOTH = ("issues", "pull_requests")
ROUTES = (
    route("GET", "/issues/{}/labels", _list_labels, *_BOTH),
    route("POST", "/issues/{}/labels", _add_labels, *_BOTH),
    route("DELETE", "/issues/{}/labels/{}", _remove_label, *_BOTH),
    route("GET", "/labels", _repository_labels, *_BOTH),
    route("GET", "/labels/{}", _get_label, *_BOTH),
    route("POST", "/issues/{}/assignees", _add_assignees, *_BOTH),
    route("DELETE", "/issues/{}/assignees", _remove_assignees, *_BOTH),
    route("GET", "/milestones", _list_milestones, *_BOTH),
)
