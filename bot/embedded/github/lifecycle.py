"""What issues and pull requests have in common: they are found, renamed, closed and opened again."""

from __future__ import annotations

from bot.embedded.github.records import Issue, Pull
from bot.embedded.github.routing import MAX_BODY, Call, Fields, RefusalError, invalid, not_found

_REASONS = ("completed", "not_planned", "duplicate", "reopened")


def find_issue(call: Call) -> Issue:
    """The issue or pull request that the path names. Raises RefusalError."""
    number = call.names[0]
    issue = call.repository.issues.get(int(number)) if number.isdigit() else None
    if issue is None:
        raise not_found()
    return issue


def body_of(fields: Fields, resource: str = "Issue") -> str:
    """The body that was sent. Raises RefusalError where it is longer than GitHub takes."""
    body = fields.optional_text("body") or ""
    if len(body) > MAX_BODY:
        message = f"body is too long (maximum is {MAX_BODY} characters)"
        raise invalid(resource, code="custom", field="body", message=message)
    return body


def retitle(call: Call, issue: Issue, fields: Fields) -> None:
    """The new title, where one was sent."""
    title = fields.text("title", "Issue") if "title" in fields else issue.title
    if title != issue.title:
        before, issue.title = issue.title, title
        call.repository.record(issue, "renamed", call.author, call.now, title, before)


def change_state(call: Call, issue: Issue, fields: Fields) -> None:
    """Closes or opens, where a state was sent. Raises RefusalError."""
    reason = fields.optional_text("state_reason")
    if reason is not None and reason not in _REASONS:
        raise invalid("Issue", code="invalid", field="state_reason")
    match fields.optional_text("state"):
        case "closed" if issue.state == "open":
            reason = None if isinstance(issue, Pull) else reason or "completed"
            call.repository.close(issue, call.author, call.now, reason)
        case "closed" if reason is not None and not isinstance(issue, Pull):
            issue.state_reason = reason
        case "open" if issue.state == "closed":
            _reopen(call, issue)
        case "open" | "closed" | None:
            pass
        case _:
            raise invalid("Issue", code="invalid", field="state")


def _reopen(call: Call, issue: Issue) -> None:
    if isinstance(issue, Pull):
        issue.head_sha = _head_of_closed(call, issue)
        issue.base_sha = call.repository.refs[f"refs/heads/{issue.base}"]
    issue.state, issue.closed, issue.closed_by = "open", None, None
    issue.state_reason = None if isinstance(issue, Pull) else "reopened"
    call.repository.record(issue, "reopened", call.author, call.now)


def _head_of_closed(call: Call, pull: Pull) -> str:
    """Where the branch of a closed pull request is now. Raises RefusalError where it cannot be opened again."""
    repository = call.repository
    if pull.merged:
        raise invalid("PullRequest", code="invalid", field="state")
    if f"refs/heads/{pull.base}" not in repository.refs:
        raise _unchangeable(f"The {pull.base} branch has been deleted.")
    now_at = repository.refs.get(f"refs/heads/{pull.head}")
    if now_at is None or not repository.objects.is_ancestor(pull.head_sha, now_at):
        gone = "deleted" if now_at is None else "force-pushed or recreated"
        raise _unchangeable(f"The {pull.head} branch has been {gone}.")
    if any(other.state == "open" and (other.head, other.base) == (pull.head, pull.base) for other in repository.pulls):
        raise _unchangeable("There is already an open pull request from this branch.")
    return now_at


def _unchangeable(why: str) -> RefusalError:
    message = f"state cannot be changed. {why}"
    return invalid("PullRequest", code="custom", field="state", message=message)
