"""How a pull request is merged, brought up to date with its base, and merged by GitHub once its checks pass."""

from __future__ import annotations

from dataclasses import replace

from bot.embedded.github.pull_forms import merge_state
from bot.embedded.github.pulls import find_pull
from bot.embedded.github.records import AutoMerge, MergeMethod, Pull
from bot.embedded.github.routing import Call, RefusalError, route
from bot.embedded.github.state import Repository
from bot.embedded.gitobjects import Commit, Entry, Ident
from bot.embedded.server import Response, json_response

_EVENTS = {"merge": "auto_merge_enabled", "squash": "auto_squash_enabled", "rebase": "auto_rebase_enabled"}


def enable_auto_merge(call: Call, pull: Pull, merge: AutoMerge) -> None:
    """GitHub will merge the pull request when its checks pass."""
    if pull.auto_merge is None:
        call.repository.record(pull, _EVENTS[merge.method], call.author, call.now)
    pull.auto_merge = merge


def checks_pass(call: Call, pull: Pull) -> None:
    """The required checks pass for the head; a pull request with auto-merge is merged if nothing else is in its way."""
    pull.passed_sha = pull.head_sha
    merge = pull.auto_merge
    if merge is not None and merge_state(call.repository, pull) == "clean":
        _merge_pull(replace(call, caller=merge.enabled_by), pull, merge.method, merge.title, merge.message)


def _merge(call: Call) -> Response:
    """Merges with a merge commit, squashed into one, or rebased."""
    fields = call.fields()
    pull = find_pull(call)
    method = fields.optional_text("merge_method") or "merge"
    state = merge_state(call.repository, pull)
    if state in {"unknown", "dirty"}:
        raise RefusalError(405, "Pull Request is not mergeable")
    if state == "draft":
        raise RefusalError(405, "Pull Request is still a draft")
    if state == "blocked" and not call.bypass:
        raise RefusalError(405, 'Required status check "ci" is expected.')
    if fields.optional_text("sha") not in (None, pull.head_sha):
        raise RefusalError(409, "Head branch was modified. Review and try the merge again.")
    match method:
        case "merge" | "squash" | "rebase":
            title, message = fields.optional_text("commit_title"), fields.optional_text("commit_message")
            sha = _merge_pull(call, pull, method, title, message)
        case _:
            raise RefusalError(422, "Invalid merge_method value")
    return json_response(200, {"sha": sha, "merged": True, "message": "Pull Request successfully merged"})


def _update_branch(call: Call) -> Response:
    """The base merged into the head, as the `Update branch` button does it."""
    pull = find_pull(call)
    objects = call.repository.objects
    expected = call.fields().optional_text("expected_head_sha")
    if pull.state == "closed" or f"refs/heads/{pull.head}" not in call.repository.refs:
        raise RefusalError(422, "Pull request is closed")
    if expected not in (None, pull.head_sha):
        raise RefusalError(422, "expected head sha didn't match current head ref.")
    if objects.is_ancestor(pull.base_sha, pull.head_sha):
        raise RefusalError(422, "There are no new commits on the base branch.")
    tree = objects.merge(pull.head_sha, pull.base_sha)
    if tree is None:
        raise RefusalError(422, "merge conflict between base and head")
    message = f"Merge branch '{pull.base}' into {pull.head}"
    sha = objects.add_commit(_commit(call, tree, (pull.head_sha, pull.base_sha), message))
    call.repository.set_ref(f"refs/heads/{pull.head}", sha, call.author, call.now)
    answer = {"message": "Updating pull request branch.", "url": f"{call.repository_url}/pulls/{pull.number}"}
    return json_response(202, answer)


def _merge_pull(call: Call, pull: Pull, method: MergeMethod, title: str | None, message: str | None) -> str:
    repository = call.repository
    tree = repository.objects.merge(pull.base_sha, pull.head_sha)
    assert tree is not None, "who asks looked whether it can be merged"  # noqa: S101 - a bug of this room, not of a caller
    if method == "rebase":
        sha = _rebase(call, pull)
    else:
        parents = (pull.base_sha,) if method == "squash" else (pull.base_sha, pull.head_sha)
        text = f"{title or f'{pull.title} (#{pull.number})'}\n\n{pull.body if message is None else message}".strip()
        sha = repository.objects.add_commit(_commit(call, tree, parents, text))
    base = pull.base
    repository.finish(pull, sha, call.author, call.now)
    repository.set_ref(f"refs/heads/{base}", sha, call.author, call.now)
    return sha


def _rebase(call: Call, pull: Pull) -> str:
    """Every commit of the pull request but its merges, one on the other on top of the base."""
    objects = call.repository.objects
    onto = pull.base_sha
    for name in objects.between(pull.base_sha, pull.head_sha):
        commit = objects.commits[name]
        if len(commit.parents) == 1:
            tree = _replayed(call.repository, commit, onto)
            onto = objects.add_commit(replace(commit, tree=tree, parents=(onto,), verified=False))
    return onto


def _replayed(repository: Repository, commit: Commit, onto: str) -> str:
    """The tree of `onto` with what the commit changed."""
    objects = repository.objects
    before = objects.files(objects.commits[commit.parents[0]].tree)
    after = objects.files(commit.tree)
    files: dict[str, Entry] = objects.files(objects.commits[onto].tree)
    for path in before.keys() | after.keys():
        if before.get(path) == after.get(path):
            continue
        if path in after:
            files[path] = after[path]
        else:
            files.pop(path, None)
    return objects.add_files(files)


def _commit(call: Call, tree: str, parents: tuple[str, ...], message: str) -> Commit:
    """A commit that GitHub makes in somebody's name, and signs."""
    author = call.author.ident(call.now)
    call.repository.people[author.email] = call.author
    return Commit(tree, parents, author, Ident("GitHub", "noreply@github.com", call.now), message, verified=True)


ROUTES = (
    route("PUT", "/pulls/{}/merge", _merge, "contents"),
    route("PUT", "/pulls/{}/update-branch", _update_branch, "pull_requests"),
)
