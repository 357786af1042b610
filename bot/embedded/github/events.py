"""What happened to issues and pull requests, as GitHub lists it."""

from __future__ import annotations

from bot.embedded.github.forms import Form, account_form, team_form, time_form
from bot.embedded.github.lifecycle import find_issue
from bot.embedded.github.records import Account, Event
from bot.embedded.github.routing import Call, paged, route
from bot.embedded.server import Response

_OF_COMMITS = ("merged", "head_ref_force_pushed")


def _list_events(call: Call) -> Response:
    """Oldest first."""
    return paged(call, find_issue(call).events, _event_form)


def _event_form(call: Call, event: Event) -> Form:
    commit = event.subject if event.name in _OF_COMMITS else None
    form: Form = {
        "id": event.id,
        "node_id": f"EV_{event.id}",
        "url": f"{call.repository_url}/issues/events/{event.id}",
        "actor": account_form(call.request.base_url, event.actor),
        "event": event.name,
        "commit_id": commit,
        "commit_url": f"{call.repository_url}/commits/{commit}" if commit else None,
        "created_at": time_form(event.created),
        "performed_via_github_app": None,
    }
    return form | _details(call, event)


def _details(call: Call, event: Event) -> Form:
    actor = account_form(call.request.base_url, event.actor)
    subject = event.subject
    match event.name:
        case "labeled" | "unlabeled":
            return {"label": {"name": subject, "color": "ededed"}}
        case "assigned" | "unassigned":
            return {"assignee": _person(call, subject), "assigner": actor}
        case "milestoned" | "demilestoned":
            return {"milestone": {"title": subject}}
        case "renamed":
            return {"rename": {"from": event.before, "to": subject}}
        case "review_requested" | "review_request_removed" if subject.startswith("@"):
            return {"review_requester": actor, "requested_team": team_form(call, subject[1:])}
        case "review_requested" | "review_request_removed":
            return {"review_requester": actor, "requested_reviewer": _person(call, subject)}
        case "closed":
            return {"state_reason": subject or None}
        case _:
            return {}


def _person(call: Call, login: str) -> Form:
    return account_form(call.request.base_url, Account(login, kind="User"))


ROUTES = (route("GET", "/issues/{}/events", _list_events, "issues", "pull_requests"),)
