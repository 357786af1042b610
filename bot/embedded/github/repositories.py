"""The repository itself: branches, tags, files, commits and comparisons."""

from __future__ import annotations

import base64
import posixpath
import re
from urllib.parse import quote

from bot.embedded.github.forms import Form, changed_files_form, commit_form, repository_form
from bot.embedded.github.routing import Call, RefusalError, not_found, paged, route
from bot.embedded.gitobjects import SUBMODULE, SYMLINK, TREE, Entry
from bot.embedded.server import Response, json_response

_HEADS, _TAGS = "refs/heads/", "refs/tags/"
_LARGE = 1024 * 1024


def _get_repository(call: Call) -> Response:
    return json_response(200, repository_form(call))


def _list_branches(call: Call) -> Response:
    names = sorted(ref.removeprefix(_HEADS) for ref in call.repository.refs if ref.startswith(_HEADS))
    return paged(call, names, _short_branch_form)


def _get_branch(call: Call) -> Response:
    (name,) = call.names
    sha = call.repository.refs.get(f"{_HEADS}{name}")
    if sha is None and name in call.repository.renamed:
        target = f"{call.repository_url}/branches/{quote(call.repository.renamed[name])}"
        return json_response(301, {"message": "Moved Permanently", "url": target}, ("Location", target))
    if sha is None:
        raise RefusalError(404, "Branch not found")
    form = _short_branch_form(call, name) | {"commit": commit_form(call, call.repository.objects.commits[sha])}
    return json_response(200, form)


def _list_tags(call: Call) -> Response:
    tags = sorted((ref.removeprefix(_TAGS) for ref in call.repository.refs if ref.startswith(_TAGS)), reverse=True)
    return paged(call, tags, _tag_form)


def _list_commits(call: Call) -> Response:
    head = call.repository.find_commit(call.request.value("sha") or call.repository.default_branch)
    if head is None:
        raise not_found()
    return paged(call, call.repository.objects.history(head), _commit_form)


def _get_commit(call: Call) -> Response:
    objects = call.repository.objects
    sha = call.repository.find_commit(call.names[0])
    if sha is None:
        raise RefusalError(422, f"No commit found for SHA: {call.names[0]}")
    commit = objects.commits[sha]
    before = objects.commits[commit.parents[0]].tree if commit.parents else objects.add_files({})
    return json_response(200, commit_form(call, commit) | {"files": changed_files_form(call, before, commit.tree)})


def _get_contents(call: Call) -> Response:
    """A file, a directory, or a symbolic link; a link to a file of the repository answers with that file."""
    name = call.request.value("ref") or call.repository.default_branch
    sha = call.repository.find_commit(name)
    if sha is None:
        raise RefusalError(404, f"No commit found for the ref {name}")
    objects = call.repository.objects
    path = call.names[0].strip("/") if call.names else ""
    entries = objects.walk(objects.commits[sha].tree)
    entry = entries.get(path)
    if path == "" or (entry and entry.mode == TREE):
        inside = [found for found in entries if posixpath.dirname(found) == path]
        return json_response(200, [_content_form(call, found, entries[found], name) for found in inside])
    if entry is None:
        raise not_found()
    data = objects.blobs.get(entry.sha, b"")
    if entry.mode == SYMLINK:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), data.decode()))
        data = objects.blobs.get(entries[target].sha, data) if target in entries else data
    if "raw" in call.request.headers.get("Accept", ""):
        return Response(200, data, (("Content-Type", "application/vnd.github.raw; charset=utf-8"),))
    small = len(data) <= _LARGE
    content = base64.encodebytes(data).decode() if small else ""
    form = _content_form(call, path, entry, name)
    return json_response(200, form | {"encoding": "base64" if small else "none", "content": content})


def _compare(call: Call) -> Response:
    parts = re.split(r"\.{3}", call.names[0])
    known = [call.repository.find_commit(part.rpartition(":")[2]) for part in parts]
    match known:
        case [str(base), str(head)]:
            pass
        case _:
            raise not_found()
    objects = call.repository.objects
    common = objects.merge_base(base, head)
    if common is None:
        raise RefusalError(404, f"No common ancestor between {parts[0]} and {parts[1]}.")
    ahead, behind = objects.between(base, head), objects.between(head, base)
    status = {(True, True): "diverged", (True, False): "ahead", (False, True): "behind"}
    commits = objects.commits
    return json_response(
        200,
        {
            "url": f"{call.repository_url}/compare/{quote(call.names[0])}",
            "html_url": f"{call.request.base_url}/{call.repository.full_name}/compare/{quote(call.names[0])}",
            "base_commit": _commit_form(call, base),
            "merge_base_commit": _commit_form(call, common),
            "status": status.get((bool(ahead), bool(behind)), "identical"),
            "ahead_by": len(ahead),
            "behind_by": len(behind),
            "total_commits": len(ahead),
            "commits": [_commit_form(call, sha) for sha in ahead],
            "files": changed_files_form(call, commits[common].tree, commits[head].tree),
        },
    )


def _short_branch_form(call: Call, name: str) -> Form:
    sha = call.repository.refs[f"{_HEADS}{name}"]
    commit = {"sha": sha, "url": f"{call.repository_url}/commits/{sha}"}
    return {"name": name, "commit": commit, "protected": call.repository.rule_for(f"{_HEADS}{name}") is not None}


def _tag_form(call: Call, name: str) -> Form:
    sha = call.repository.refs[f"{_TAGS}{name}"]
    commit = {"sha": sha, "url": f"{call.repository_url}/commits/{sha}"}
    return {"name": name, "node_id": f"REF_{_TAGS}{name}", "commit": commit}


def _commit_form(call: Call, sha: str) -> Form:
    return commit_form(call, call.repository.objects.commits[sha])


def _content_form(call: Call, path: str, entry: Entry, ref: str) -> Form:
    kind = {TREE: "dir", SYMLINK: "symlink", SUBMODULE: "submodule"}.get(entry.mode, "file")
    objects = call.repository.objects
    form: Form = {
        "type": kind,
        "name": posixpath.basename(path),
        "path": path,
        "sha": entry.sha,
        "size": len(objects.blobs.get(entry.sha, b"")),
        "url": f"{call.repository_url}/contents/{quote(path)}?ref={quote(ref)}",
        "git_url": f"{call.repository_url}/git/{entry.kind}s/{entry.sha}",
        "html_url": f"{call.request.base_url}/{call.repository.full_name}/blob/{quote(ref)}/{quote(path)}",
    }
    if kind == "symlink":
        form["target"] = objects.blobs[entry.sha].decode()
    return form


ROUTES = (
    route("GET", "", _get_repository, "metadata"),
    route("GET", "/branches", _list_branches, "contents"),
    route("GET", "/branches/{*}", _get_branch, "contents"),
    route("GET", "/tags", _list_tags, "metadata"),
    route("GET", "/commits", _list_commits, "contents"),
    route("GET", "/commits/{*}", _get_commit, "contents"),
    route("GET", "/contents", _get_contents, "contents"),
    route("GET", "/contents/{*}", _get_contents, "contents"),
    route("GET", "/compare/{*}", _compare, "contents"),
)
