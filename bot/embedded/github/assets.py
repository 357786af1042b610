"""The files of releases: uploaded, listed, renamed, deleted, downloaded."""

from __future__ import annotations

import re
from urllib.parse import unquote

from bot.embedded.github.records import Asset, Release
from bot.embedded.github.releases import asset_form, by_id, visible
from bot.embedded.github.routing import Call, RefusalError, invalid, not_found, paged, route
from bot.embedded.server import Response, json_response

DOWNLOAD = re.compile(r"/([^/]+/[^/]+)/releases/download/(.+)/([^/]+)")
"""Outside of the API: the repository, the tag, the file."""

_RAW = "application/octet-stream"
_RENAMED = re.compile(r"[^A-Za-z0-9._+-]+")


def download(call: Call) -> Response:
    """The bytes of a published release's file; without a token where the repository is public."""
    tag, name = (unquote(part) for part in call.names)
    for release in visible(call):
        if release.tag == tag and not release.draft:
            return _bytes(next((asset for asset in release.assets if asset.name == name), None))
    raise not_found()


def _list_assets(call: Call) -> Response:
    release = by_id(call, call.names[0])
    return paged(call, release.assets, lambda asked, asset: asset_form(asked, release, asset))


def _get_asset(call: Call) -> Response:
    release, asset = _found(call)
    if call.request.accepts(_RAW):
        return _bytes(asset)
    return json_response(200, asset_form(call, release, asset))


def _edit_asset(call: Call) -> Response:
    release, asset = _changeable(call)
    fields = call.fields()
    name, label = fields.optional_text("name"), fields.optional_text("label")
    if name is not None and name != asset.name:
        _refuse_taken(release, _safe(name))
        asset.name = _safe(name)
    asset.label = asset.label if label is None else label
    return json_response(200, asset_form(call, release, asset))


def _delete_asset(call: Call) -> Response:
    release, asset = _changeable(call)
    release.assets.remove(asset)
    return Response(204)


def _upload(call: Call) -> Response:
    """The body as it came. What breaks off on its way leaves a file without content, in the state `starter`."""
    release = by_id(call, call.names[0])
    if release.immutable:
        raise RefusalError(422, "Cannot upload assets to an immutable release.")
    name, body = _safe(call.request.value("name")), call.request.body
    if not name:
        raise invalid("ReleaseAsset", code="missing_field", field="name")
    if not body:
        raise RefusalError(400, "Bad Content-Length")
    _refuse_taken(release, name)
    whole = len(body) == int(call.request.headers.get("Content-Length") or len(body))
    asset = Asset(
        call.repository.next_asset_id(),
        name,
        call.request.headers.get("Content-Type", _RAW),
        body if whole else b"",
        call.author,
        call.now,
        call.request.value("label") or None,
        "uploaded" if whole else "starter",
    )
    release.assets.append(asset)
    if not whole:
        raise RefusalError(502, "Bad Gateway")
    return json_response(201, asset_form(call, release, asset))


def _found(call: Call) -> tuple[Release, Asset]:
    for release in visible(call):
        for asset in release.assets:
            if str(asset.id) == call.names[0]:
                return release, asset
    raise not_found()


def _changeable(call: Call) -> tuple[Release, Asset]:
    release, asset = _found(call)
    if release.immutable:
        raise RefusalError(422, "Cannot change assets of an immutable release.")
    return release, asset


def _refuse_taken(release: Release, name: str) -> None:
    if any(asset.name == name for asset in release.assets):
        raise invalid("ReleaseAsset", code="already_exists", field="name")


def _safe(name: str) -> str:
    """GitHub renames files whose names have special characters, or dots at the ends."""
    return _RENAMED.sub(".", name).strip(".")


def _bytes(asset: Asset | None) -> Response:
    if asset is None or asset.state != "uploaded":
        raise not_found()
    disposition = ("Content-Disposition", f"attachment; filename={asset.name}")
    return Response(200, asset.content, (("Content-Type", asset.content_type), disposition))


ROUTES = (
    route("GET", "/releases/{}/assets", _list_assets, "contents"),
    route("GET", "/releases/assets/{}", _get_asset, "contents"),
    route("PATCH", "/releases/assets/{}", _edit_asset, "contents"),
    route("DELETE", "/releases/assets/{}", _delete_asset, "contents"),
)
UPLOADS = (route("POST", "/releases/{}/assets", _upload, "contents"),)
"""At the addresses that the releases name, not at the API's."""

READ = route("GET", "", download, "contents")
"""What a download needs."""
