"""Comments below issues and pull requests."""

from __future__ import annotations

from datetime import datetime

from bot.embedded.github.forms import Form, account_form, time_form
from bot.embedded.github.lifecycle import body_of, find_issue
from bot.embedded.github.records import Comment, Issue
from bot.embedded.github.routing import Call, RefusalError, invalid, not_found, paged, route
from bot.embedded.server import Response, json_response


def _list_comments(call: Call) -> Response:
    since = since_of(call)
    found = [comment for comment in find_issue(call).comments if since is None or comment.updated >= since]
    return paged(call, found, _comment_form)


def _create_comment(call: Call) -> Response:
    fields = call.fields()
    fields.text("body", "IssueComment")
    issue = find_issue(call)
    number = sum(len(other.comments) for other in call.repository.issues.values()) + 1
    comment = Comment(number, call.author, body_of(fields, "IssueComment"), call.now, call.now)
    issue.comments.append(comment)
    issue.updated = call.now
    return json_response(201, _comment_form(call, comment))


def _get_comment(call: Call) -> Response:
    return json_response(200, _comment_form(call, _find(call)[1]))


def _update_comment(call: Call) -> Response:
    """Who has write access may edit anybody's comment, as on GitHub."""
    fields = call.fields()
    issue, comment = _find(call)
    if comment.author.login != call.author.login and not call.may_triage():
        raise RefusalError(403, "Must have write access to edit this comment.")
    fields.text("body", "IssueComment")
    comment.body = body_of(fields, "IssueComment")
    comment.updated = issue.updated = call.now
    return json_response(200, _comment_form(call, comment))


def since_of(call: Call) -> datetime | None:
    """The time from which on what was changed is asked for."""
    value = call.request.value("since")
    try:
        return datetime.fromisoformat(value) if value else None
    except ValueError:
        raise invalid("Issue", code="invalid", field="since") from None


def _find(call: Call) -> tuple[Issue, Comment]:
    for issue in call.repository.issues.values():
        for comment in issue.comments:
            if str(comment.id) == call.names[0]:
                return issue, comment
    raise not_found()


def _comment_form(call: Call, comment: Comment) -> Form:
    issue = next(issue for issue in call.repository.issues.values() if comment in issue.comments)
    page_url = f"{call.request.base_url}/{call.repository.full_name}/issues/{issue.number}"
    return {
        "id": comment.id,
        "node_id": f"IC_{comment.id}",
        "url": f"{call.repository_url}/issues/comments/{comment.id}",
        "html_url": f"{page_url}#issuecomment-{comment.id}",
        "issue_url": f"{call.repository_url}/issues/{issue.number}",
        "body": comment.body,
        "user": account_form(call.request.base_url, comment.author),
        "created_at": time_form(comment.created),
        "updated_at": time_form(comment.updated),
        "author_association": "CONTRIBUTOR",
    }


_BOTH = ("issues", "pull_requests")
ROUTES = (
    route("GET", "/issues/comments/{}", _get_comment, *_BOTH),
    route("PATCH", "/issues/comments/{}", _update_comment, *_BOTH),
    route("GET", "/issues/{}/comments", _list_comments, *_BOTH),
    route("POST", "/issues/{}/comments", _create_comment, *_BOTH),
)
