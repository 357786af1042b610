"""GitHub Releases."""

from __future__ import annotations

from urllib.parse import quote

from bot.embedded.github.forms import Form, account_form, time_form
from bot.embedded.github.records import Release
from bot.embedded.github.routing import Call, invalid, not_found, paged, route
from bot.embedded.server import Response, json_response


def _list_releases(call: Call) -> Response:
    """Newest first by the date of the tagged commit; drafts only for who may push."""
    return paged(call, _visible(call), _release_form)


def _get_latest(call: Call) -> Response:
    return _first(call, [release for release in _visible(call) if not release.draft and not release.prerelease])


def _get_by_tag(call: Call) -> Response:
    found = [release for release in _visible(call) if release.tag == call.names[0] and not release.draft]
    return _first(call, found)


def _get_release(call: Call) -> Response:
    return _first(call, [release for release in _visible(call) if str(release.id) == call.names[0]])


def _create_release(call: Call) -> Response:
    """A release; publishing one makes its tag."""
    fields = call.fields()
    repository = call.repository
    tag = fields.text("tag_name", "Release")
    if any(release.tag == tag and not release.draft for release in repository.releases):
        raise invalid("Release", code="already_exists", field="tag_name")
    draft = fields.flag("draft")
    target = fields.optional_text("target_commitish") or repository.default_branch
    commit = repository.find_commit(f"tags/{tag}") or repository.find_commit(target)
    if commit is None:
        raise invalid("Release", code="invalid", field="target_commitish")
    if not draft:
        repository.refs.setdefault(f"refs/tags/{tag}", commit)
    release = Release(
        id=len(repository.releases) + 1,
        tag=tag,
        name=fields.optional_text("name") or tag,
        body=fields.optional_text("body") or "",
        author=call.author,
        created=repository.objects.commits[commit].committer.when,
        published=None if draft else call.now,
        draft=draft,
        prerelease=fields.flag("prerelease"),
        target=target,
    )
    repository.releases.append(release)
    return json_response(201, _release_form(call, release))


def _visible(call: Call) -> list[Release]:
    drafts = call.may_write()
    releases = [release for release in call.repository.releases if drafts or not release.draft]
    return sorted(releases, key=lambda release: (release.created, release.id), reverse=True)


def _first(call: Call, releases: list[Release]) -> Response:
    if not releases:
        raise not_found()
    return json_response(200, _release_form(call, releases[0]))


def _release_form(call: Call, release: Release) -> Form:
    page_url = f"{call.request.base_url}/{call.repository.full_name}/releases"
    url = f"{call.repository_url}/releases/{release.id}"
    return {
        "url": url,
        "html_url": f"{page_url}/tag/{quote(release.tag)}",
        "assets_url": f"{url}/assets",
        "upload_url": f"{url}/assets{{?name,label}}",
        "id": release.id,
        "node_id": f"RE_{release.id}",
        "tag_name": release.tag,
        "target_commitish": release.target or call.repository.default_branch,
        "name": release.name,
        "draft": release.draft,
        "prerelease": release.prerelease,
        "immutable": False,
        "created_at": time_form(release.created),
        "published_at": time_form(release.published),
        "author": account_form(call.request.base_url, release.author),
        "assets": [],
        "body": release.body,
    }


ROUTES = (
    route("GET", "/releases", _list_releases, "contents"),
    route("POST", "/releases", _create_release, "contents"),
    route("GET", "/releases/latest", _get_latest, "contents"),
    route("GET", "/releases/tags/{*}", _get_by_tag, "contents"),
    route("GET", "/releases/{}", _get_release, "contents"),
)
