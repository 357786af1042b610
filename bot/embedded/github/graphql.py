"""The few things that only GitHub's GraphQL API does: auto-merge, drafts, a branch deleted by compare-and-set, and
who the caller is.

Queries are known by the name of their one mutation, not parsed: what it is about is taken from the variables, or from
the query's text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Literal

from bot.embedded.github.forms import Form, time_form
from bot.embedded.github.gitdata import delete_ref
from bot.embedded.github.issue_forms import pull_node
from bot.embedded.github.merging import enable_auto_merge
from bot.embedded.github.pull_forms import merge_state
from bot.embedded.github.records import Account, AutoMerge, MergeMethod, Pull
from bot.embedded.github.routing import Call, Fields, RefusalError
from bot.embedded.github.state import Repository
from bot.embedded.server import Request, Response, json_response

MUTATIONS = (
    "updateRefs",
    "enablePullRequestAutoMerge",
    "disablePullRequestAutoMerge",
    "convertPullRequestToDraft",
    "markPullRequestReadyForReview",
)
_METHODS: dict[str, MergeMethod] = {"MERGE": "merge", "SQUASH": "squash", "REBASE": "rebase"}


class _Refusal(Exception):
    """An answer with `errors`."""

    def __init__(self, kind: Literal["FORBIDDEN", "NOT_FOUND", "UNPROCESSABLE"], message: str) -> None:
        super().__init__(message)
        self.kind, self.message = kind, message


def answer(request: Request, caller: Account | None, repositories: Mapping[str, Repository], now: datetime) -> Response:
    """The answer to one query. What is refused has status 200 and `errors`, as on GitHub. Raises RefusalError."""
    if caller is None:
        raise RefusalError(401, "This endpoint requires you to be authenticated.")
    try:
        sent = Fields(json.loads(request.body))
    except ValueError:
        raise RefusalError(400, "Problems parsing JSON") from None
    query = sent.text("query")
    name = next((name for name in MUTATIONS if re.search(rf"\b{name}\b", query)), None)
    if name is None:
        if re.search(r"\bviewer\s*\{[^}]*\blogin\b", query):
            return json_response(200, {"data": {"viewer": {"login": caller.login}}})
        return json_response(200, {"errors": [{"message": "Parse error: no field that is known", "locations": []}]})
    values = [*_texts(sent.value("variables")), *re.findall(r'"([^"]*)"', query), *re.findall(r"\b[A-Z]+\b", query)]
    if name == "updateRefs":
        return _delete_branch(_variables(sent), request, caller, repositories, now)
    try:
        call, pull = _find(values, request, caller, repositories, now)
        _mutate(name, call, pull, values)
    except _Refusal as refusal:
        error = {"type": refusal.kind, "path": [name], "locations": [{"line": 1, "column": 1}]}
        return json_response(200, {"data": {name: None}, "errors": [error | {"message": refusal.message}]})
    return json_response(200, {"data": {name: {"clientMutationId": None, "pullRequest": _form(call, pull)}}})


def _find(
    values: list[str], request: Request, caller: Account, repositories: Mapping[str, Repository], now: datetime
) -> tuple[Call, Pull]:
    for repository in repositories.values():
        call = Call(request, caller, repository, (), now)
        for pull in repository.pulls:
            if pull_node(call, pull) in values:
                if not all(caller.may(held, "write", repository.full_name) for held in ("pull_requests", "contents")):
                    raise _Refusal("FORBIDDEN", "Resource not accessible by integration")
                return call, pull
    asked = next((value for value in values if value.startswith("PR_")), "")
    raise _Refusal("NOT_FOUND", f"Could not resolve to a node with the global id of '{asked}'")


def _mutate(name: str, call: Call, pull: Pull, values: list[str]) -> None:
    repository = call.repository
    match name:
        case "enablePullRequestAutoMerge":
            _may_be_enabled(repository, pull)
            expected = next((value for value in values if re.fullmatch(r"[0-9a-f]{40}", value)), pull.head_sha)
            if expected != pull.head_sha:
                raise _Refusal("UNPROCESSABLE", "The head commit of the pull request is another one than expected.")
            methods = [_METHODS[value] for value in values if value in _METHODS]
            enable_auto_merge(call, pull, AutoMerge(call.author, methods[0] if methods else "merge"))
        case "disablePullRequestAutoMerge":
            if pull.auto_merge is None:
                raise _Refusal("UNPROCESSABLE", "Can't disable auto-merge for this pull request.")
            repository.disable_auto_merge(pull, call.author, call.now)
        case "convertPullRequestToDraft" if not pull.draft:
            pull.draft = True
            repository.record(pull, "convert_to_draft", call.author, call.now)
        case "markPullRequestReadyForReview" if pull.draft:
            pull.draft = False
            repository.record(pull, "ready_for_review", call.author, call.now)
        case _:
            pass  # it is so already


def _delete_branch(
    given: Mapping[str, str], request: Request, caller: Account, repositories: Mapping[str, Repository], now: datetime
) -> Response:
    """One ref whose new value is zeros, by the variables `id`, `ref`, `at` and `gone`: all that is done of it here."""
    repository = next((r for r in repositories.values() if f"R_{r.full_name}" == given.get("id")), None)
    ref, at, gone = (given.get(name, "") for name in ("ref", "at", "gone"))
    why = ""
    if repository is None:
        why = f"Could not resolve to a node with the global id of '{given.get('id')}'"
    elif not caller.may("contents", "write", repository.full_name):
        why = "Resource not accessible by integration"
    elif set(gone) != {"0"} or repository.refs.get(ref) != at:
        why = f"Reference {ref} is not at {at}"
    else:
        try:
            delete_ref(Call(request, caller, repository, (), now), ref)
        except RefusalError as refusal:
            why = str(refusal)
    errors = {"errors": [{"type": "UNPROCESSABLE", "path": ["updateRefs"], "message": why}]} if why else {}
    return json_response(200, {"data": {"updateRefs": None if why else {"clientMutationId": None}}} | errors)


def _variables(sent: Fields) -> dict[str, str]:
    values = sent.value("variables")
    return {name: value for name, value in values.items() if isinstance(value, str)} if isinstance(values, dict) else {}


def _may_be_enabled(repository: Repository, pull: Pull) -> None:
    state = merge_state(repository, pull)
    if not repository.allow_auto_merge:
        raise _Refusal("UNPROCESSABLE", "Pull request Auto merge is not allowed for this repository")
    if state == "unknown":
        raise _Refusal("UNPROCESSABLE", "Can't enable auto-merge for this pull request.")
    if state == "clean":
        raise _Refusal("UNPROCESSABLE", "Pull request Pull request is in clean status")


def _form(call: Call, pull: Pull) -> Form:
    merge = pull.auto_merge
    enabled = {"enabledAt": time_form(pull.updated), "mergeMethod": merge.method.upper()} if merge else None
    return {
        "id": pull_node(call, pull),
        "number": pull.number,
        "isDraft": pull.draft,
        "state": "MERGED" if pull.merged else pull.state.upper(),
        "autoMergeRequest": enabled,
    }


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for inner in value.values():
                yield from _texts(inner)
        case _:
            return
