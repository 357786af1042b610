"""Issues, and what pull requests share with them: comments and labels."""

from __future__ import annotations

from urllib.parse import quote

from bot.embedded.github.forms import Form, account_form, time_form
from bot.embedded.github.routing import MAX_BODY, Call, Fields, RefusalError, invalid, not_found, paged, route
from bot.embedded.github.state import Comment, Issue, Pull
from bot.embedded.server import Response, json_response


def _list_issues(call: Call) -> Response:
    """Issues and pull requests, newest first, by state and labels."""
    state = call.request.value("state", "open")
    wanted = {name for name in call.request.value("labels").split(",") if name}
    found = [
        issue
        for issue in reversed(call.repository.issues.values())
        if state in ("all", issue.state) and wanted <= set(issue.labels)
    ]
    return paged(call, found, issue_form)


def _create_issue(call: Call) -> Response:
    fields = call.fields()
    issue = Issue(
        number=call.repository.next_number,
        title=fields.text("title", "Issue"),
        body=body_of(fields),
        author=call.author,
        created=call.now,
        updated=call.now,
        labels=fields.texts("labels"),
    )
    call.repository.issues[issue.number] = issue
    return json_response(201, issue_form(call, issue))


def _get_issue(call: Call) -> Response:
    return json_response(200, issue_form(call, find_issue(call)))


def _update_issue(call: Call) -> Response:
    fields = call.fields()
    issue = find_issue(call)
    if "title" in fields:
        issue.title = fields.text("title", "Issue")
    if "body" in fields:
        issue.body = body_of(fields)
    if "labels" in fields:
        issue.labels = fields.texts("labels")
    match fields.optional_text("state"):
        case "open":
            issue.state, issue.closed = "open", None
        case "closed" if issue.state == "open":
            issue.state, issue.closed = "closed", call.now
        case _:
            pass
    issue.updated = call.now
    return json_response(200, issue_form(call, issue))


def _list_comments(call: Call) -> Response:
    return paged(call, find_issue(call).comments, _comment_form)


def _create_comment(call: Call) -> Response:
    fields = call.fields()
    fields.text("body", "IssueComment")
    issue = find_issue(call)
    number = sum(len(other.comments) for other in call.repository.issues.values()) + 1
    comment = Comment(number, call.author, body_of(fields), call.now)
    issue.comments.append(comment)
    issue.updated = call.now
    return json_response(201, _comment_form(call, comment))


def _list_labels(call: Call) -> Response:
    return paged(call, find_issue(call).labels, label_form)


def _add_labels(call: Call) -> Response:
    """Labels that the repository does not know yet are made, as on GitHub. Takes an object or a bare list."""
    issue = find_issue(call)
    values = call.sent()
    names = Fields({"labels": values} if isinstance(values, list) else values).texts("labels")
    issue.labels += [name for name in dict.fromkeys(names) if name not in issue.labels]
    return paged(call, issue.labels, label_form)


def _remove_label(call: Call) -> Response:
    issue = find_issue(call)
    name = call.names[1]
    if name not in issue.labels:
        raise RefusalError(404, "Label does not exist")
    issue.labels.remove(name)
    return paged(call, issue.labels, label_form)


def find_issue(call: Call) -> Issue:
    """The issue or pull request that the path names. Raises RefusalError."""
    number = call.names[0]
    issue = call.repository.issues.get(int(number)) if number.isdigit() else None
    if issue is None:
        raise not_found()
    return issue


def body_of(fields: Fields) -> str:
    """The body that was sent. Raises RefusalError where it is longer than GitHub takes."""
    body = fields.optional_text("body") or ""
    if len(body) > MAX_BODY:
        message = f"body is too long (maximum is {MAX_BODY} characters)"
        raise invalid("Issue", code="custom", field="body", message=message)
    return body


def label_form(call: Call, name: str) -> Form:
    """How a label looks."""
    url = f"{call.repository_url}/labels/{quote(name)}"
    return {"id": len(name), "name": name, "url": url, "color": "ededed", "default": False, "description": None}


def issue_form(call: Call, issue: Issue) -> Form:
    """How an issue looks, and a pull request in a list of issues."""
    url = f"{call.repository_url}/issues/{issue.number}"
    page_url = f"{call.request.base_url}/{call.repository.full_name}"
    form: Form = {
        "url": url,
        "repository_url": call.repository_url,
        "comments_url": f"{url}/comments",
        "labels_url": f"{url}/labels{{/name}}",
        "html_url": f"{page_url}/issues/{issue.number}",
        "id": issue.number,
        "node_id": f"I_{issue.number}",
        "number": issue.number,
        "title": issue.title,
        "body": issue.body or None,
        "user": account_form(call.request.base_url, issue.author),
        "state": issue.state,
        "locked": False,
        "labels": [label_form(call, name) for name in issue.labels],
        "assignees": [],
        "comments": len(issue.comments),
        "created_at": time_form(issue.created),
        "updated_at": time_form(issue.updated),
        "closed_at": time_form(issue.closed),
        "author_association": "CONTRIBUTOR",
    }
    if isinstance(issue, Pull):
        pull_url = f"{call.repository_url}/pulls/{issue.number}"
        form["html_url"] = f"{page_url}/pull/{issue.number}"
        form["pull_request"] = {"url": pull_url, "html_url": form["html_url"], "merged_at": time_form(issue.merged)}
    return form


def _comment_form(call: Call, comment: Comment) -> Form:
    return {
        "id": comment.id,
        "node_id": f"IC_{comment.id}",
        "url": f"{call.repository_url}/issues/comments/{comment.id}",
        "html_url": f"{call.request.base_url}/{call.repository.full_name}/comments/{comment.id}",
        "body": comment.body,
        "user": account_form(call.request.base_url, comment.author),
        "created_at": time_form(comment.created),
        "updated_at": time_form(comment.created),
        "author_association": "CONTRIBUTOR",
    }


ROUTES = (
    route("GET", "/issues", _list_issues, "issues", "pull_requests"),
    route("POST", "/issues", _create_issue, "issues"),
    route("GET", "/issues/{}", _get_issue, "issues", "pull_requests"),
    route("PATCH", "/issues/{}", _update_issue, "issues", "pull_requests"),
    route("GET", "/issues/{}/comments", _list_comments, "issues", "pull_requests"),
    route("POST", "/issues/{}/comments", _create_comment, "issues", "pull_requests"),
    route("GET", "/issues/{}/labels", _list_labels, "issues", "pull_requests"),
    route("POST", "/issues/{}/labels", _add_labels, "issues", "pull_requests"),
    route("DELETE", "/issues/{}/labels/{}", _remove_label, "issues", "pull_requests"),
)
