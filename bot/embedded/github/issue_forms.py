"""How issues, labels and milestones look in an answer."""

from __future__ import annotations

from urllib.parse import quote

from bot.embedded.github.forms import Form, account_form, time_form
from bot.embedded.github.records import Account, Issue, Milestone, Pull
from bot.embedded.github.routing import Call


def issue_form(call: Call, issue: Issue) -> Form:
    """How an issue looks, and a pull request in a list of issues."""
    url = f"{call.repository_url}/issues/{issue.number}"
    page_url = f"{call.request.base_url}/{call.repository.full_name}"
    assignees = [account_form(call.request.base_url, Account(login, kind="User")) for login in issue.assignees]
    form: Form = {
        "url": url,
        "repository_url": call.repository_url,
        "comments_url": f"{url}/comments",
        "events_url": f"{url}/events",
        "labels_url": f"{url}/labels{{/name}}",
        "html_url": f"{page_url}/issues/{issue.number}",
        "id": issue.number,
        "node_id": f"I_{Account(call.repository.full_name).number}_{issue.number}",
        "number": issue.number,
        "title": issue.title,
        "body": issue.body or None,
        "user": account_form(call.request.base_url, issue.author),
        "state": issue.state,
        "state_reason": issue.state_reason,
        "locked": False,
        "labels": [label_form(call, name) for name in issue.labels],
        "assignee": assignees[0] if assignees else None,
        "assignees": assignees,
        "milestone": milestone_form(call, issue.milestone) if issue.milestone else None,
        "comments": len(issue.comments),
        "created_at": time_form(issue.created),
        "updated_at": time_form(issue.updated),
        "closed_at": time_form(issue.closed),
        "closed_by": account_form(call.request.base_url, issue.closed_by) if issue.closed_by else None,
        "author_association": "CONTRIBUTOR",
        "performed_via_github_app": None,
    }
    if isinstance(issue, Pull):
        pull_url = f"{call.repository_url}/pulls/{issue.number}"
        form["node_id"] = pull_node(call, issue)
        form["html_url"] = f"{page_url}/pull/{issue.number}"
        form["draft"] = issue.draft
        form["pull_request"] = {
            "url": pull_url,
            "html_url": form["html_url"],
            "diff_url": f"{form['html_url']}.diff",
            "patch_url": f"{form['html_url']}.patch",
            "merged_at": time_form(issue.merged),
        }
    return form


def pull_node(call: Call, pull: Pull) -> str:
    """The global name of a pull request."""
    return f"PR_{Account(call.repository.full_name).number}_{pull.number}"


def label_form(call: Call, name: str) -> Form:
    """How a label looks."""
    url = f"{call.repository_url}/labels/{quote(name)}"
    number = Account(name).number
    return {
        "id": number,
        "node_id": f"LA_{number}",
        "name": name,
        "url": url,
        "color": "ededed",
        "default": False,
        "description": None,
    }


def milestone_form(call: Call, milestone: Milestone) -> Form:
    """How a milestone looks."""
    url = f"{call.repository_url}/milestones/{milestone.number}"
    inside = [issue.state for issue in call.repository.issues.values() if issue.milestone is milestone]
    return {
        "id": milestone.number,
        "node_id": f"MI_{milestone.number}",
        "number": milestone.number,
        "title": milestone.title,
        "description": None,
        "creator": account_form(call.request.base_url, Account(call.repository.owner, kind="User")),
        "state": milestone.state,
        "open_issues": inside.count("open"),
        "closed_issues": inside.count("closed"),
        "url": url,
        "html_url": f"{call.request.base_url}/{call.repository.full_name}/milestone/{milestone.number}",
        "labels_url": f"{url}/labels",
        "created_at": time_form(milestone.created),
        "updated_at": time_form(milestone.created),
        "closed_at": None,
        "due_on": None,
    }
