"""Pull requests between branches of one repository."""

from __future__ import annotations

from bot.embedded.github.forms import Form, account_form, changed_files_form, commit_form, repository_form, time_form
from bot.embedded.github.issues import body_of, find_issue, issue_form
from bot.embedded.github.routing import Call, RefusalError, invalid, not_found, page, paged, route
from bot.embedded.github.state import Account, Pull, Repository
from bot.embedded.gitobjects import Commit
from bot.embedded.server import Response, json_response


def _list_pulls(call: Call) -> Response:
    """Newest first. A `head` without an owner is no filter at all, as on GitHub."""
    state = call.request.value("state", "open")
    owner, colon, head = call.request.value("head").partition(":")
    base = call.request.value("base")
    found = [
        pull
        for pull in call.repository.pulls
        if state in ("all", pull.state)
        and (not colon or (owner == call.repository.owner and pull.head == head))
        and base in ("", pull.base)
    ]
    if call.request.value("sort") == "updated":
        found.sort(key=lambda pull: pull.updated)
    if call.request.value("direction", "desc") != "asc":
        found.reverse()
    return paged(call, found, _pull_form)


def _create_pull(call: Call) -> Response:
    fields = call.fields()
    repository = call.repository
    title = fields.text("title", "PullRequest")
    owner, _, head = fields.text("head", "PullRequest").rpartition(":")
    base = fields.text("base", "PullRequest")
    head_sha = repository.refs.get(f"refs/heads/{head}")
    base_sha = repository.refs.get(f"refs/heads/{base}")
    if head_sha is None or owner not in ("", repository.owner):
        raise invalid("PullRequest", field="head", code="invalid")
    if base_sha is None:
        raise invalid("PullRequest", field="base", code="invalid")
    if any(pull.state == "open" and (pull.head, pull.base) == (head, base) for pull in repository.pulls):
        raise _custom(f"A pull request already exists for {repository.owner}:{head}.")
    if not repository.objects.between(base_sha, head_sha):
        raise _custom(f"No commits between {base} and {head}")
    pull = Pull(
        number=repository.next_number,
        title=title,
        body=body_of(fields),
        author=call.author,
        created=call.now,
        updated=call.now,
        head=head,
        head_sha=head_sha,
        base=base,
        base_sha=base_sha,
        draft=fields.flag("draft"),
    )
    repository.issues[pull.number] = pull
    return json_response(201, _full_form(call, pull), ("Location", _url(call, pull)))


def _get_pull(call: Call) -> Response:
    return json_response(200, _full_form(call, _find(call)))


def _update_pull(call: Call) -> Response:
    fields = call.fields()
    pull = _find(call)
    base = fields.optional_text("base")
    if base is not None and f"refs/heads/{base}" not in call.repository.refs:
        raise invalid("PullRequest", field="base", code="invalid")
    if "body" in fields:
        pull.body = body_of(fields)
    if "title" in fields:
        pull.title = fields.text("title", "PullRequest")
    if base is not None:
        pull.base, pull.base_sha = base, call.repository.refs[f"refs/heads/{base}"]
    match fields.optional_text("state"):
        case "open" if pull.state == "closed":
            _reopen(call.repository, pull)
        case "closed" if pull.state == "open":
            pull.state, pull.closed = "closed", call.now
        case _:
            pass
    pull.updated = call.now
    return json_response(200, _full_form(call, pull))


def _list_files(call: Call) -> Response:
    shown, headers = page(call, _changed_files(call, _find(call)))
    return json_response(200, list(shown), *headers)


def _list_commits(call: Call) -> Response:
    return paged(call, _commits(call.repository, _find(call)), commit_form)


def _request_reviewers(call: Call) -> Response:
    fields = call.fields()
    pull = _find(call)
    wanted = fields.texts("reviewers") + fields.texts("team_reviewers")
    if pull.author.login in wanted:
        raise RefusalError(422, "Review cannot be requested from pull request author.")
    pull.reviewers += [login for login in dict.fromkeys(wanted) if login not in pull.reviewers]
    return json_response(201, _full_form(call, pull))


def _merge(call: Call) -> Response:
    """Merges with a merge commit, or squashed into one."""
    fields = call.fields()
    pull = _find(call)
    repository = call.repository
    if pull.state == "closed" or not (tree := repository.objects.merge(pull.base_sha, pull.head_sha)):
        raise RefusalError(405, "Pull Request is not mergeable")
    if fields.optional_text("sha") not in (None, pull.head_sha):
        raise RefusalError(409, "Head branch was modified. Review and try the merge again.")
    squash = fields.optional_text("merge_method") == "squash"
    parents = (pull.base_sha,) if squash else (pull.base_sha, pull.head_sha)
    person = call.author.ident(call.now)
    repository.people[person.email] = call.author
    title = fields.optional_text("commit_title") or f"{pull.title} (#{pull.number})"
    message = f"{title}\n\n{fields.optional_text('commit_message') or pull.body}".strip()
    sha = repository.objects.add_commit(Commit(tree, parents, person, person, message, verified=True))
    pull.state, pull.closed, pull.merged, pull.merge_sha = "closed", call.now, call.now, sha
    repository.set_ref(f"refs/heads/{pull.base}", sha, call.now)
    return json_response(200, {"sha": sha, "merged": True, "message": "Pull Request successfully merged"})


def _find(call: Call) -> Pull:
    issue = find_issue(call)
    if not isinstance(issue, Pull):
        raise not_found()
    return issue


def _reopen(repository: Repository, pull: Pull) -> None:
    if pull.merged:
        raise invalid("PullRequest", code="invalid", field="state")
    now_at = repository.refs.get(f"refs/heads/{pull.head}")
    if now_at is None or not repository.objects.is_ancestor(pull.head_sha, now_at):
        gone = "deleted" if now_at is None else "force-pushed or recreated"
        message = f"state cannot be changed. The {pull.head} branch has been {gone}."
        raise invalid("PullRequest", code="custom", field="state", message=message)
    if any(other.state == "open" and (other.head, other.base) == (pull.head, pull.base) for other in repository.pulls):
        message = "state cannot be changed. There is already an open pull request from this branch."
        raise invalid("PullRequest", code="custom", field="state", message=message)
    pull.state, pull.closed, pull.head_sha = "open", None, now_at


def _custom(message: str) -> RefusalError:
    return invalid("PullRequest", code="custom", message=message)


def _commits(repository: Repository, pull: Pull) -> list[Commit]:
    return [repository.objects.commits[sha] for sha in repository.objects.between(pull.base_sha, pull.head_sha)]


def _changed_files(call: Call, pull: Pull) -> list[Form]:
    objects = call.repository.objects
    common = objects.merge_base(pull.base_sha, pull.head_sha) or pull.base_sha
    return changed_files_form(call, objects.commits[common].tree, objects.commits[pull.head_sha].tree)


def _url(call: Call, pull: Pull) -> str:
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


def _pull_form(call: Call, pull: Pull) -> Form:
    url = _url(call, pull)
    form = issue_form(call, pull)
    for name in ("repository_url", "labels_url", "pull_request", "comments"):
        del form[name]
    return form | {
        "url": url,
        "issue_url": f"{call.repository_url}/issues/{pull.number}",
        "commits_url": f"{url}/commits",
        "diff_url": f"{form['html_url']}.diff",
        "statuses_url": f"{call.repository_url}/statuses/{pull.head_sha}",
        "draft": pull.draft,
        "merged_at": time_form(pull.merged),
        "merge_commit_sha": pull.merge_sha,
        "requested_reviewers": [
            account_form(call.request.base_url, Account(login, kind="User")) for login in pull.reviewers
        ],
        "requested_teams": [],
        "auto_merge": None,
        "milestone": None,
        "head": _side(call, pull.head, pull.head_sha),
        "base": _side(call, pull.base, pull.base_sha),
    }


def _full_form(call: Call, pull: Pull) -> Form:
    """A pull request asked for alone says more than one in a list."""
    changed = _changed_files(call, pull)
    clean = pull.state == "open" and call.repository.objects.merge(pull.base_sha, pull.head_sha) is not None
    return _pull_form(call, pull) | {
        "merged": pull.merged is not None,
        "mergeable": clean if pull.state == "open" else None,
        "mergeable_state": "clean" if clean else "dirty" if pull.state == "open" else "unknown",
        "comments": len(pull.comments),
        "review_comments": 0,
        "commits": len(_commits(call.repository, pull)),
        "additions": _total(changed, "additions"),
        "deletions": _total(changed, "deletions"),
        "changed_files": len(changed),
        "maintainer_can_modify": False,
    }


def _total(files: list[Form], name: str) -> int:
    return sum(number for file in files if isinstance(number := file[name], int))


ROUTES = (
    route("GET", "/pulls", _list_pulls, "pull_requests"),
    route("POST", "/pulls", _create_pull, "pull_requests"),
    route("GET", "/pulls/{}", _get_pull, "pull_requests"),
    route("PATCH", "/pulls/{}", _update_pull, "pull_requests"),
    route("GET", "/pulls/{}/files", _list_files, "pull_requests"),
    route("GET", "/pulls/{}/commits", _list_commits, "pull_requests"),
    route("POST", "/pulls/{}/requested_reviewers", _request_reviewers, "pull_requests"),
    route("PUT", "/pulls/{}/merge", _merge, "contents"),
)
