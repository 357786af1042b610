"""How accounts, commits and changed files look in an answer."""

from __future__ import annotations

import difflib
from datetime import UTC, datetime
from urllib.parse import quote

from bot.embedded.github.records import Account
from bot.embedded.github.routing import Call
from bot.embedded.gitobjects import SUBMODULE, Commit, Entry, Ident

Form = dict[str, object]


def time_form(when: datetime | None) -> str | None:
    """GitHub's times: UTC, whole seconds."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if when else None


def account_form(base_url: str, account: Account) -> Form:
    """How a user or bot looks."""
    path = quote(account.login)
    return {
        "login": account.login,
        "id": account.number,
        "node_id": f"U_{account.number}",
        "avatar_url": "",
        "url": f"{base_url}/users/{path}",
        "html_url": f"{base_url}/{path}",
        "type": account.kind,
        "site_admin": False,
    }


def team_form(call: Call, slug: str) -> Form:
    """How a team looks."""
    owner = call.repository.owner
    number = Account(f"{owner}/{slug}").number
    url = f"{call.request.base_url}/organizations/{Account(owner).number}/team/{number}"
    return {
        "id": number,
        "node_id": f"T_{number}",
        "name": slug,
        "slug": slug,
        "type": "organization",
        "organization_id": Account(owner).number,
        "description": None,
        "privacy": "closed",
        "notification_setting": "notifications_enabled",
        "permission": "pull",
        "url": url,
        "html_url": f"{call.request.base_url}/orgs/{owner}/teams/{slug}",
        "members_url": f"{url}/members{{/member}}",
        "repositories_url": f"{url}/repos",
        "parent": None,
    }


def repository_form(call: Call) -> Form:
    """How the repository looks to the caller."""
    repository = call.repository
    owner = Account(repository.owner, kind="User")
    form: Form = {
        "id": Account(repository.full_name).number,
        "node_id": f"R_{repository.full_name}",
        "name": repository.name,
        "full_name": repository.full_name,
        "owner": account_form(call.request.base_url, owner),
        "private": repository.private,
        "visibility": "private" if repository.private else "public",
        "html_url": f"{call.request.base_url}/{repository.full_name}",
        "url": call.repository_url,
        "default_branch": repository.default_branch,
        "archived": False,
        "disabled": False,
        "fork": False,
        "size": 0,
        "has_issues": repository.has_issues,
        "created_at": time_form(repository.created),
        "updated_at": time_form(repository.created),
        "pushed_at": time_form(repository.created),
    }
    if call.caller is not None:
        pull = call.caller.may("contents", "read", repository.full_name) or not repository.private
        form["permissions"] = {"admin": False, "maintain": False, "push": call.may_write(), "pull": pull}
    if call.may_write():
        form["allow_auto_merge"] = repository.allow_auto_merge
        form["delete_branch_on_merge"] = repository.delete_branch_on_merge
    return form


def ident_form(ident: Ident) -> Form:
    """How an author or committer looks."""
    return {"name": ident.name, "email": ident.email, "date": time_form(ident.when)}


def git_commit_form(call: Call, commit: Commit) -> Form:
    """A commit of the git data API."""
    git = f"{call.repository_url}/git"
    page_url = f"{call.request.base_url}/{call.repository.full_name}/commit"
    return {
        "sha": commit.sha,
        "node_id": f"C_{commit.sha}",
        "url": f"{git}/commits/{commit.sha}",
        "html_url": f"{page_url}/{commit.sha}",
        "author": ident_form(commit.author),
        "committer": ident_form(commit.committer),
        "message": commit.message,
        "tree": {"sha": commit.tree, "url": f"{git}/trees/{commit.tree}"},
        "parents": [
            {"sha": parent, "url": f"{git}/commits/{parent}", "html_url": f"{page_url}/{parent}"}
            for parent in commit.parents
        ],
        "verification": {
            "verified": commit.verified,
            "reason": "valid" if commit.verified else "unsigned",
            "signature": None,
            "payload": None,
            "verified_at": time_form(commit.committer.when) if commit.verified else None,
        },
    }


def commit_form(call: Call, commit: Commit) -> Form:
    """A commit of the repository API, with the accounts that belong to its addresses."""
    git = git_commit_form(call, commit)
    url = f"{call.repository_url}/commits/{commit.sha}"
    inner = ("author", "committer", "message", "tree", "verification")
    return {
        "sha": commit.sha,
        "node_id": git["node_id"],
        "url": url,
        "html_url": git["html_url"],
        "comments_url": f"{url}/comments",
        "commit": {**{name: git[name] for name in inner}, "url": git["url"], "comment_count": 0},
        "author": _person_form(call, commit.author),
        "committer": _person_form(call, commit.committer),
        "parents": git["parents"],
    }


def changed_files_form(call: Call, before: str, after: str) -> list[Form]:
    """The files in which two trees differ, with their patches. Renames are not looked for."""
    objects = call.repository.objects
    old, new = objects.files(before), objects.files(after)
    return [_changed_file(call, path, old.get(path), new.get(path)) for path in objects.changed(before, after)]


def _changed_file(call: Call, path: str, old: Entry | None, new: Entry | None) -> Form:
    lines = _lines(call, old), _lines(call, new)
    patch = [line.rstrip("\n") for line in list(difflib.unified_diff(*lines))[2:]]
    added = sum(line.startswith("+") for line in patch)
    removed = sum(line.startswith("-") for line in patch)
    present = new or old
    return {
        "sha": present.sha if present else "",
        "filename": path,
        "status": "added" if old is None else "removed" if new is None else "modified",
        "additions": added,
        "deletions": removed,
        "changes": added + removed,
        "contents_url": f"{call.repository_url}/contents/{quote(path)}",
        "patch": "\n".join(patch),
    }


def _lines(call: Call, entry: Entry | None) -> list[str]:
    if entry is None or entry.mode == SUBMODULE:
        return []
    return call.repository.objects.blobs[entry.sha].decode(errors="replace").splitlines(keepends=True)


def _person_form(call: Call, ident: Ident) -> Form | None:
    account = call.repository.people.get(ident.email)
    return account_form(call.request.base_url, account) if account else None
