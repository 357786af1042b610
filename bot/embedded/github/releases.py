"""GitHub Releases: drafts, publishing, the latest one, and releases that cannot be changed any more."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from urllib.parse import quote

from bot.embedded.github import gitdata
from bot.embedded.github.forms import Form, account_form, time_form
from bot.embedded.github.records import Asset, Release
from bot.embedded.github.routing import Call, Fields, RefusalError, find, invalid, not_found, paged, route
from bot.embedded.server import Response, json_response

MAX_BODY = 125_000
"""The characters that the text of a release may have."""

_LOCKED = "Cannot {} a tag that belongs to an immutable release"


def visible(call: Call) -> list[Release]:
    """What the caller may see, newest first by the date of the tagged commit; drafts only for who may push."""
    drafts = call.may_write()
    releases = [release for release in call.repository.releases if drafts or not release.draft]
    return sorted(releases, key=lambda release: (release.created, release.id), reverse=True)


def by_id(call: Call, number: str) -> Release:
    """The release with this id, where the caller may see it. Raises RefusalError."""
    found = next((release for release in visible(call) if str(release.id) == number), None)
    if found is None:
        raise not_found()
    return found


def asset_form(call: Call, release: Release, asset: Asset) -> Form:
    """How a file of a release looks."""
    uploaded = asset.state == "uploaded"
    page_url = f"{call.request.base_url}/{call.repository.full_name}/releases"
    return {
        "url": f"{call.repository_url}/releases/assets/{asset.id}",
        "id": asset.id,
        "node_id": f"RA_{asset.id}",
        "name": asset.name,
        "label": asset.label,
        "uploader": account_form(call.request.base_url, asset.uploader),
        "content_type": asset.content_type,
        "state": asset.state,
        "size": len(asset.content),
        "digest": f"sha256:{hashlib.sha256(asset.content).hexdigest()}" if uploaded else None,
        "download_count": 0,
        "created_at": time_form(asset.created),
        "updated_at": time_form(asset.created),
        "browser_download_url": f"{page_url}/download/{quote(_page(release))}/{quote(asset.name)}",
    }


def _list_releases(call: Call) -> Response:
    return paged(call, visible(call), _release_form)


def _get_latest(call: Call) -> Response:
    found = _full(call)
    made = [release for release in found if release.id == call.repository.latest_release]
    return _first(call, made or found)


def _full(call: Call) -> list[Release]:
    """Neither drafts nor prereleases."""
    return [release for release in visible(call) if not release.draft and not release.prerelease]


def _get_by_tag(call: Call) -> Response:
    return _first(call, [release for release in visible(call) if release.tag == call.names[0] and not release.draft])


def _get_release(call: Call) -> Response:
    return json_response(200, _release_form(call, by_id(call, call.names[0])))


def _create_release(call: Call) -> Response:
    """A draft, or a release that is published at once."""
    fields = call.fields()
    repository = call.repository
    tag = fields.text("tag_name", "Release")
    _refuse_taken(call, tag)
    target = fields.optional_text("target_commitish") or repository.default_branch
    release = Release(
        id=repository.next_release_id(),
        tag=tag,
        name=fields.optional_text("name") or tag,
        body=_body(fields) or "",
        author=call.author,
        created=repository.objects.commits[_commit(call, tag, target)].committer.when,
        published=None,
        draft=True,
        prerelease=fields.flag("prerelease"),
        target=target,
    )
    if not fields.flag("draft"):
        _publish(call, release, fields)
    repository.releases.append(release)
    return json_response(201, _release_form(call, release))


def _edit_release(call: Call) -> Response:
    """What is given is changed. Of an immutable release only the title, the text and what is latest can be."""
    release, fields = by_id(call, call.names[0]), call.fields()
    tag = fields.optional_text("tag_name") or release.tag
    target = fields.optional_text("target_commitish") or release.target
    draft = fields.flag("draft", default=release.draft)
    if release.immutable and (tag, draft) != (release.tag, False):
        raise invalid("Release", code="custom", message="Cannot change an immutable release")
    if tag != release.tag or (release.draft and not draft):
        _refuse_taken(call, tag)
    created = call.repository.objects.commits[_commit(call, tag, target)].committer.when
    body, name = _body(fields), fields.optional_text("name")
    release.tag, release.target, release.created = tag, target, created
    release.name = release.name if name is None else name
    release.body = release.body if body is None else body
    release.prerelease = fields.flag("prerelease", default=release.prerelease)
    if release.draft and not draft:
        _publish(call, release, fields)
    elif draft:
        release.draft, release.published = True, None
    elif "make_latest" in fields:
        _make_latest(call, release, fields)
    return json_response(200, _release_form(call, release))


def _delete_release(call: Call) -> Response:
    """A release or a draft with its files; its tag stays."""
    call.repository.releases.remove(by_id(call, call.names[0]))
    return Response(204)


def _change_tag(call: Call) -> Response:
    """The tag of an immutable release is locked for everybody; any other is a ref like the rest."""
    tag, method = call.names[0], call.request.method
    if any(release.immutable and release.tag == tag for release in call.repository.releases):
        raise RefusalError(422, _LOCKED.format("delete" if method == "DELETE" else "update"))
    wanted, names = find(gitdata.ROUTES, method, f"/git/refs/tags/{quote(tag)}")
    return wanted.answer(replace(call, names=names))


def _publish(call: Call, release: Release, fields: Fields) -> None:
    """Publishing makes the tag, where it is not there."""
    repository = call.repository
    repository.refs.setdefault(f"refs/tags/{release.tag}", _commit(call, release.tag, release.target))
    release.draft, release.published = False, call.now
    if repository.immutable_releases:
        release.immutable = True
        repository.spent_tags.add(release.tag)
    _make_latest(call, release, fields)


def _make_latest(call: Call, release: Release, fields: Fields) -> None:
    wanted = fields.optional_text("make_latest") or "true"
    if wanted not in {"true", "false", "legacy"}:
        raise invalid("Release", code="invalid", field="make_latest")
    if wanted == "legacy":
        call.repository.latest_release = None
    elif wanted == "true" and not release.prerelease:
        call.repository.latest_release = release.id
    elif call.repository.latest_release is None:
        others = [other for other in _full(call) if other is not release]
        call.repository.latest_release = others[0].id if others else None


def _refuse_taken(call: Call, tag: str) -> None:
    """Raises RefusalError where a release with this tag is published, or an immutable one ever was."""
    if any(release.tag == tag and not release.draft for release in call.repository.releases):
        raise invalid("Release", code="already_exists", field="tag_name")
    if tag in call.repository.spent_tags:
        raise invalid("Release", code="custom", field="tag_name", message="tag_name was used by an immutable release")


def _commit(call: Call, tag: str, target: str) -> str:
    """The commit of a release: its tag's, or where there is none, the target's. Raises RefusalError."""
    repository = call.repository
    found = repository.find_commit(f"tags/{tag}") or repository.find_commit(target or repository.default_branch)
    if found is None:
        raise invalid("Release", code="invalid", field="target_commitish")
    return found


def _body(fields: Fields) -> str | None:
    text = fields.optional_text("body")
    if text is not None and len(text) > MAX_BODY:
        raise invalid("Release", code="custom", field="body", message=f"body is too long (maximum is {MAX_BODY})")
    return text


def _first(call: Call, releases: list[Release]) -> Response:
    if not releases:
        raise not_found()
    return json_response(200, _release_form(call, releases[0]))


def _page(release: Release) -> str:
    """The last part of a release's address: a draft's is no tag."""
    return f"untagged-{release.id:020x}" if release.draft else release.tag


def _release_form(call: Call, release: Release) -> Form:
    page_url = f"{call.request.base_url}/{call.repository.full_name}/releases"
    url = f"{call.repository_url}/releases/{release.id}"
    uploads = f"{call.request.base_url}/api/uploads/repos/{call.repository.full_name}/releases/{release.id}"
    return {
        "url": url,
        "html_url": f"{page_url}/tag/{quote(_page(release))}",
        "assets_url": f"{url}/assets",
        "upload_url": f"{uploads}/assets{{?name,label}}",
        "tarball_url": None if release.draft else f"{call.repository_url}/tarball/{quote(release.tag)}",
        "zipball_url": None if release.draft else f"{call.repository_url}/zipball/{quote(release.tag)}",
        "id": release.id,
        "node_id": f"RE_{release.id}",
        "tag_name": release.tag,
        "target_commitish": release.target or call.repository.default_branch,
        "name": release.name,
        "draft": release.draft,
        "prerelease": release.prerelease,
        "immutable": release.immutable,
        "created_at": time_form(release.created),
        "published_at": time_form(release.published),
        "author": account_form(call.request.base_url, release.author),
        "assets": [asset_form(call, release, asset) for asset in release.assets],
        "body": release.body,
    }


ROUTES = (
    route("GET", "/releases", _list_releases, "contents"),
    route("POST", "/releases", _create_release, "contents"),
    route("GET", "/releases/latest", _get_latest, "contents"),
    route("GET", "/releases/tags/{*}", _get_by_tag, "contents"),
    route("GET", "/releases/{}", _get_release, "contents"),
    route("PATCH", "/releases/{}", _edit_release, "contents"),
    route("DELETE", "/releases/{}", _delete_release, "contents"),
    route("PATCH", "/git/refs/tags/{*}", _change_tag, "contents"),
    route("DELETE", "/git/refs/tags/{*}", _change_tag, "contents"),
)
