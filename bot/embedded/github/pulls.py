"""Pull requests between branches of one repository: listed, opened, read, changed, and their reviewers."""

from __future__ import annotations

from bot.embedded.github.forms import commit_form
from bot.embedded.github.lifecycle import body_of, change_state, find_issue, retitle
from bot.embedded.github.pull_forms import changed_files, full_form, pull_form, pull_url
from bot.embedded.github.records import Pull
from bot.embedded.github.routing import Call, Fields, RefusalError, invalid, not_found, page, paged, route
from bot.embedded.gitobjects import Commit
from bot.embedded.server import Response, json_response


def find_pull(call: Call) -> Pull:
    """The pull request that the path names. Raises RefusalError."""
    issue = find_issue(call)
    if not isinstance(issue, Pull):
        raise not_found()
    return issue


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
    return paged(call, found, pull_form)


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
    if fields.flag("draft") and not repository.allow_drafts:
        raise RefusalError(422, "Draft pull requests are not supported in this repository.")
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
    return json_response(201, full_form(call, pull), ("Location", pull_url(call, pull)))


def _get_pull(call: Call) -> Response:
    return json_response(200, full_form(call, find_pull(call)))


def _update_pull(call: Call) -> Response:
    """Title, body, base and state together. What is refused leaves all of them as they were."""
    fields = call.fields()
    pull = find_pull(call)
    body = body_of(fields) if "body" in fields else pull.body
    base = fields.optional_text("base")
    if base is not None and base != pull.base:
        _check_base(call, pull, base, fields)
    change_state(call, pull, fields)
    if base is not None and base != pull.base:
        pull.base, pull.base_sha = base, call.repository.refs[f"refs/heads/{base}"]
        call.repository.record(pull, "base_ref_changed", call.author, call.now)
    retitle(call, pull, fields)
    pull.body, pull.updated = body, call.now
    return json_response(200, full_form(call, pull))


def _check_base(call: Call, pull: Pull, base: str, fields: Fields) -> None:
    sha = call.repository.refs.get(f"refs/heads/{base}")
    if sha is None:
        raise invalid("PullRequest", field="base", code="invalid")
    if pull.state == "closed" and fields.optional_text("state") != "open":
        message = "Cannot change the base branch of a closed pull request."
        raise invalid("PullRequest", code="custom", field="base", message=message)
    if not call.repository.objects.between(sha, pull.head_sha):
        raise _custom(f"There are no new commits between base branch '{base}' and head branch '{pull.head}'")
    others = [other for other in call.repository.pulls if other is not pull and other.state == "open"]
    if (pull.head, base) in [(other.head, other.base) for other in others]:
        message = f"A pull request already exists for base branch '{base}' and head branch '{pull.head}'"
        raise _custom(message)


def _list_files(call: Call) -> Response:
    shown, headers = page(call, changed_files(call, find_pull(call)))
    return json_response(200, list(shown), *headers)


def _list_commits(call: Call) -> Response:
    pull = find_pull(call)
    objects = call.repository.objects
    commits: list[Commit] = [objects.commits[sha] for sha in objects.between(pull.base_sha, pull.head_sha)]
    return paged(call, commits, commit_form)


def _request_reviewers(call: Call) -> Response:
    """All of them, or none and a refusal where somebody is no collaborator."""
    fields = call.fields()
    pull = find_pull(call)
    repository = call.repository
    logins, slugs = fields.texts("reviewers"), fields.texts("team_reviewers")
    if pull.author.login in logins:
        raise RefusalError(422, "Review cannot be requested from pull request author.")
    if not all(repository.has_collaborator(login) for login in logins) or not set(slugs) <= repository.teams:
        raise RefusalError(
            422,
            "Reviews may only be requested from collaborators. One or more of the users or teams you specified is "
            f"not a collaborator of the {repository.full_name} repository.",
        )
    for asked, wanted, mark in ((pull.reviewers, logins, ""), (pull.teams, slugs, "@")):
        for name in dict.fromkeys(wanted):
            if name not in asked:
                asked.append(name)
                repository.record(pull, "review_requested", call.author, call.now, f"{mark}{name}")
    return json_response(201, full_form(call, pull))


def _remove_reviewers(call: Call) -> Response:
    fields = call.fields()
    pull = find_pull(call)
    logins, slugs = fields.texts("reviewers"), fields.texts("team_reviewers")
    for asked, wanted, mark in ((pull.reviewers, logins, ""), (pull.teams, slugs, "@")):
        for name in wanted:
            if name in asked:
                asked.remove(name)
                call.repository.record(pull, "review_request_removed", call.author, call.now, f"{mark}{name}")
    return json_response(200, full_form(call, pull))


def _custom(message: str) -> RefusalError:
    return invalid("PullRequest", code="custom", message=message)


ROUTES = (
    route("GET", "/pulls", _list_pulls, "pull_requests"),
    route("POST", "/pulls", _create_pull, "pull_requests"),
    route("GET", "/pulls/{}", _get_pull, "pull_requests"),
    route("PATCH", "/pulls/{}", _update_pull, "pull_requests"),
    route("GET", "/pulls/{}/files", _list_files, "pull_requests"),
    route("GET", "/pulls/{}/commits", _list_commits, "pull_requests"),
    route("POST", "/pulls/{}/requested_reviewers", _request_reviewers, "pull_requests"),
    route("DELETE", "/pulls/{}/requested_reviewers", _remove_reviewers, "pull_requests"),
)
