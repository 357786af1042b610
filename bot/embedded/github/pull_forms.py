"""How pull requests look in an answer."""

from __future__ import annotations

from bot.embedded.github.forms import (
    Form,
    account_form,
    changed_files_form,
    repository_form,
    team_form,
    time_form,
)
from bot.embedded.github.issue_forms import issue_form
from bot.embedded.github.records import Account, Pull
from bot.embedded.github.routing import Call
from bot.embedded.github.state import Repository

_ONLY_OF_ISSUES = (
    "repository_url",
    "labels_url",
    "events_url",
    "pull_request",
    "comments",
    "state_reason",
    "closed_by",
    "performed_via_github_app",
)


def pull_form(call: Call, pull: Pull) -> Form:
    """A pull request in a list."""
    url = pull_url(call, pull)
    form = issue_form(call, pull)
    for name in _ONLY_OF_ISSUES:
        del form[name]
    statuses = f"{call.repository_url}/statuses/{pull.head_sha}"
    issue_url = f"{call.repository_url}/issues/{pull.number}"
    addresses = {
        "url": url,
        "html_url": str(form["html_url"]),
        "issue_url": issue_url,
        "comments_url": f"{issue_url}/comments",
        "review_comments_url": f"{url}/comments",
        "review_comment_url": f"{call.repository_url}/pulls/comments{{/number}}",
        "commits_url": f"{url}/commits",
        "statuses_url": statuses,
        "diff_url": f"{form['html_url']}.diff",
        "patch_url": f"{form['html_url']}.patch",
    }
    links = {
        "self": url,
        "html": addresses["html_url"],
        "issue": issue_url,
        "comments": addresses["comments_url"],
        "review_comments": addresses["review_comments_url"],
        "review_comment": addresses["review_comment_url"],
        "commits": addresses["commits_url"],
        "statuses": statuses,
    }
    return (
        form
        | addresses
        | {
            "_links": {name: {"href": address} for name, address in links.items()},
            "draft": pull.draft,
            "merged_at": time_form(pull.merged),
            "merge_commit_sha": pull.merge_sha,
            "requested_reviewers": [
                account_form(call.request.base_url, Account(login, kind="User")) for login in pull.reviewers
            ],
            "requested_teams": [team_form(call, slug) for slug in pull.teams],
            "auto_merge": _auto_merge_form(call, pull),
            "head": _side(call, pull.head, pull.head_sha),
            "base": _side(call, pull.base, pull.base_sha),
        }
    )


def full_form(call: Call, pull: Pull) -> Form:
    """A pull request asked for alone says more than one in a list."""
    changed = changed_files(call, pull)
    state = merge_state(call.repository, pull)
    return pull_form(call, pull) | {
        "merged": pull.merged is not None,
        "merged_by": account_form(call.request.base_url, pull.merged_by) if pull.merged_by else None,
        "mergeable": state != "dirty" if pull.state == "open" else None,
        "rebaseable": state != "dirty" if pull.state == "open" else None,
        "mergeable_state": state,
        "comments": len(pull.comments),
        "review_comments": 0,
        "commits": len(call.repository.objects.between(pull.base_sha, pull.head_sha)),
        "additions": _total(changed, "additions"),
        "deletions": _total(changed, "deletions"),
        "changed_files": len(changed),
        "maintainer_can_modify": False,
    }


def merge_state(repository: Repository, pull: Pull) -> str:
    """GitHub's `mergeable_state`: `clean`, `dirty` (a conflict), `draft`, `blocked` (checks), else `unknown`."""
    if pull.state != "open":
        return "unknown"
    if repository.objects.merge(pull.base_sha, pull.head_sha) is None:
        return "dirty"
    if pull.draft:
        return "draft"
    waits = repository.required_checks and pull.passed_sha != pull.head_sha
    return "blocked" if waits else "clean"


def changed_files(call: Call, pull: Pull) -> list[Form]:
    """The files that the pull request changes, compared with where it left its base."""
    objects = call.repository.objects
    common = objects.merge_base(pull.base_sha, pull.head_sha) or pull.base_sha
    return changed_files_form(call, objects.commits[common].tree, objects.commits[pull.head_sha].tree)


def pull_url(call: Call, pull: Pull) -> str:
    """Its address in the API."""
    return f"{call.repository_url}/pulls/{pull.number}"


def _side(call: Call, ref: str, sha: str) -> Form:
    owner = Account(call.repository.owner, kind="User")
    return {
        "label": f"{owner.login}:{ref}",
        "ref": ref,
        "sha": sha,
        "user": account_form(call.request.base_url, owner),
        "repo": repository_form(call),
    }


def _auto_merge_form(call: Call, pull: Pull) -> Form | None:
    merge = pull.auto_merge
    if merge is None:
        return None
    return {
        "enabled_by": account_form(call.request.base_url, merge.enabled_by),
        "merge_method": merge.method,
        "commit_title": merge.title or f"{pull.title} (#{pull.number})",
        "commit_message": merge.message or "",
    }


def _total(files: list[Form], name: str) -> int:
    return sum(number for file in files if isinstance(number := file[name], int))
