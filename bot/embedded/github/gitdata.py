"""The git data API: blobs, trees, commits and refs."""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace
from datetime import datetime
from typing import Literal
from urllib.parse import quote

from bot.embedded.github.forms import Form, git_commit_form
from bot.embedded.github.routing import Call, Fields, RefusalError, not_found, paged, route
from bot.embedded.gitobjects import MODES, SUBMODULE, TREE, Commit, Entry, Ident
from bot.embedded.server import Response, json_response

_GITHUB = ("GitHub", "noreply@github.com")
_VIOLATIONS = {
    "create": "Cannot create ref due to creations being restricted.",
    "update": "Cannot update this protected ref.",
    "delete": "Cannot delete this branch",
}
_PROTECTED = {
    "create": "Reference update failed",
    "update": "Protected branch update failed for {ref}.\nChanges must be made through a pull request.",
    "delete": "Cannot delete this protected branch",
}


def _create_blob(call: Call) -> Response:
    fields = call.fields()
    content = fields.text("content", "Blob")
    if fields.optional_text("encoding") == "base64":
        try:
            data = base64.b64decode(content)
        except binascii.Error:
            raise RefusalError(422, "content is not valid Base64") from None
    else:
        data = content.encode()
    sha = call.repository.objects.add_blob(data)
    url = f"{call.repository_url}/git/blobs/{sha}"
    return json_response(201, {"sha": sha, "url": url}, ("Location", url))


def _get_blob(call: Call) -> Response:
    (sha,) = call.names
    data = call.repository.objects.blobs.get(sha)
    if data is None:
        raise not_found()
    return json_response(
        200,
        {
            "sha": sha,
            "node_id": f"B_{sha}",
            "size": len(data),
            "url": f"{call.repository_url}/git/blobs/{sha}",
            "content": base64.encodebytes(data).decode(),
            "encoding": "base64",
        },
    )


def _create_tree(call: Call) -> Response:
    fields = call.fields()
    objects = call.repository.objects
    base = fields.optional_text("base_tree")
    files: dict[str, Entry] = {}
    if base is not None:
        base = objects.commits[base].tree if base in objects.commits else base
        if base not in objects.trees:
            raise RefusalError(422, "base_tree is not a valid tree oid")
        files = objects.files(base)
    changes = fields.sections("tree")
    if not changes:
        raise RefusalError(422, "Invalid tree info")
    for change in changes:
        path = change.text("path", "Tree")
        _check_path(path)
        replaced = [old for old in files if old == path or old.startswith(f"{path}/")]
        for old in replaced:
            del files[old]
        if not change.is_null("sha"):
            files.update(_added(call, path, change))
        elif not replaced:
            raise RefusalError(422, "GitRPC::BadObjectState")
    sha = objects.add_files(files)
    return json_response(201, _tree_form(call, sha, recursive=False))


def _get_tree(call: Call) -> Response:
    (name,) = call.names
    commit = call.repository.find_commit(name)
    sha = call.repository.objects.commits[commit].tree if commit else name
    if sha not in call.repository.objects.trees:
        raise not_found()
    return json_response(200, _tree_form(call, sha, recursive="recursive" in call.request.query))


def _create_commit(call: Call) -> Response:
    """A commit. One by a bot that leaves out author and committer is signed by GitHub."""
    fields = call.fields()
    objects = call.repository.objects
    message, tree = fields.text("message", "Commit"), fields.text("tree", "Commit")
    parents = fields.texts("parents")
    if tree not in objects.trees:
        raise RefusalError(422, "Tree SHA does not exist")
    if any(parent not in objects.commits for parent in parents):
        raise RefusalError(422, "Parent SHA does not exist or is not a commit object")
    own = call.author.ident(call.now)
    call.repository.people[own.email] = call.author
    given_author, given_committer = fields.section("author"), fields.section("committer")
    author = _ident(given_author, own)
    committer = _ident(given_committer, author)
    commit = Commit(tree, tuple(parents), author, committer, message)
    if call.author.kind == "Bot" and given_author is None and given_committer is None:
        commit = replace(commit, committer=Ident(*_GITHUB, call.now), verified=True)
    objects.add_commit(commit)
    return json_response(201, git_commit_form(call, commit))


def _get_commit(call: Call) -> Response:
    commit = call.repository.objects.commits.get(call.names[0])
    if commit is None:
        raise not_found()
    return json_response(200, git_commit_form(call, commit))


def _get_ref(call: Call) -> Response:
    return json_response(200, _ref_form(call, _existing_ref(call, 404, "Not Found")))


def _list_refs(call: Call) -> Response:
    prefix = f"refs/{call.names[0]}" if call.names else "refs/"
    return paged(call, sorted(ref for ref in call.repository.refs if ref.startswith(prefix)), _ref_form)


def _create_ref(call: Call) -> Response:
    fields = call.fields()
    ref = fields.text("ref", "Reference")
    sha = _known_commit(call, fields)
    if not ref.startswith("refs/") or ref.count("/") < 2:  # noqa: PLR2004 - refs/heads/NAME
        raise RefusalError(422, "Reference name must start with 'refs/' and contain at least two slashes")
    if ref in call.repository.refs:
        raise RefusalError(422, "Reference already exists")
    if any(f"{ref}/".startswith(f"{other}/") or other.startswith(f"{ref}/") for other in call.repository.refs):
        raise RefusalError(422, "Reference update failed")
    _refuse_protected(call, ref, "create")
    call.repository.set_ref(ref, sha, call.author, call.now)
    form = _ref_form(call, ref)
    return json_response(201, form, ("Location", str(form["url"])))


def _update_ref(call: Call) -> Response:
    fields = call.fields()
    ref = _existing_ref(call, 422, "Reference does not exist")
    sha = _known_commit(call, fields)
    if not fields.flag("force") and not call.repository.objects.is_ancestor(call.repository.refs[ref], sha):
        raise RefusalError(422, "Update is not a fast forward")
    _refuse_protected(call, ref, "update")
    call.repository.set_ref(ref, sha, call.author, call.now)
    return json_response(200, _ref_form(call, ref))


def _delete_ref(call: Call) -> Response:
    delete_ref(call, _existing_ref(call, 422, "Reference does not exist"))
    return Response(204)


def delete_ref(call: Call, ref: str) -> None:
    """Delete a ref that exists, unless a rule keeps it. Raises RefusalError."""
    _refuse_protected(call, ref, "delete")
    if ref == f"refs/heads/{call.repository.default_branch}":
        raise RefusalError(422, "Cannot delete the default branch")
    call.repository.delete_ref(ref, call.author, call.now)


def _added(call: Call, path: str, change: Fields) -> dict[str, Entry]:
    objects = call.repository.objects
    mode, sha, content = (change.optional_text(name) for name in ("mode", "sha", "content"))
    if mode not in MODES:
        raise RefusalError(422, "Must supply a valid tree.mode")
    if (sha is None) == (content is None):
        raise RefusalError(422, "Must supply either tree.sha or tree.content")
    if sha is None:
        return {path: Entry(mode, objects.add_blob((content or "").encode()))}
    if mode == TREE and sha in objects.trees:
        return {f"{path}/{inner}": entry for inner, entry in objects.files(sha).items()}
    if mode == SUBMODULE or (mode != TREE and sha in objects.blobs):
        return {path: Entry(mode, sha)}
    raise RefusalError(422, "tree.sha is not a valid blob or tree" if mode == TREE else "GitRPC::BadObjectState")


def _check_path(path: str) -> None:
    if path.startswith("/"):
        raise RefusalError(422, "tree.path cannot start with a slash")
    if any(part in {"", ".", "..", ".git"} for part in path.split("/")):
        raise RefusalError(422, "tree.path contains a malformed path component")


def _ident(given: Fields | None, default: Ident) -> Ident:
    if given is None:
        return default
    date = given.optional_text("date")
    try:
        when = datetime.fromisoformat(date) if date else default.when
    except ValueError:
        raise RefusalError(422, f"{date!r} is not a valid date") from None
    return Ident(given.text("name", "Commit"), given.text("email", "Commit"), when)


def _known_commit(call: Call, fields: Fields) -> str:
    sha = fields.text("sha", "Reference")
    if sha not in call.repository.objects.commits:
        raise RefusalError(422, "Object does not exist")
    return sha


def _existing_ref(call: Call, status: int, message: str) -> str:
    ref = f"refs/{call.names[0]}"
    if ref not in call.repository.refs:
        raise RefusalError(status, message)
    return ref


def _refuse_protected(call: Call, ref: str, change: Literal["create", "update", "delete"]) -> None:
    """Raises RefusalError where a rule keeps the caller from changing a branch."""
    rule = None if call.bypass else call.repository.rule_for(ref)
    if rule == "ruleset":
        raise RefusalError(422, f"Repository rule violations found\n\n{_VIOLATIONS[change]}\n\n")
    if rule == "protection":
        raise RefusalError(422, _PROTECTED[change].format(ref=ref))


def _ref_form(call: Call, ref: str) -> Form:
    sha = call.repository.refs[ref]
    git = f"{call.repository_url}/git"
    return {
        "ref": ref,
        "node_id": f"REF_{ref}",
        "url": f"{git}/{quote(ref)}",
        "object": {"type": "commit", "sha": sha, "url": f"{git}/commits/{sha}"},
    }


def _tree_form(call: Call, sha: str, *, recursive: bool) -> Form:
    objects = call.repository.objects
    git = f"{call.repository_url}/git"
    entries = objects.walk(sha) if recursive else objects.trees[sha]
    listed: list[Form] = []
    for path, entry in entries.items():
        form: Form = {"path": path, "mode": entry.mode, "type": entry.kind, "sha": entry.sha}
        if entry.kind == "blob":
            form["size"] = len(objects.blobs[entry.sha])
        listed.append(form | {"url": f"{git}/{entry.kind}s/{entry.sha}"})
    return {"sha": sha, "url": f"{git}/trees/{sha}", "tree": listed, "truncated": False}


ROUTES = (
    route("POST", "/git/blobs", _create_blob, "contents"),
    route("GET", "/git/blobs/{}", _get_blob, "contents"),
    route("POST", "/git/trees", _create_tree, "contents"),
    route("GET", "/git/trees/{*}", _get_tree, "contents"),
    route("POST", "/git/commits", _create_commit, "contents"),
    route("GET", "/git/commits/{}", _get_commit, "contents"),
    route("POST", "/git/refs", _create_ref, "contents"),
    route("GET", "/git/refs", _list_refs, "contents"),
    route("GET", "/git/matching-refs/{*}", _list_refs, "contents"),
    route("GET", "/git/ref/{*}", _get_ref, "contents"),
    route("GET", "/git/refs/{*}", _get_ref, "contents"),
    route("PATCH", "/git/refs/{*}", _update_ref, "contents"),
    route("DELETE", "/git/refs/{*}", _delete_ref, "contents"),
)
