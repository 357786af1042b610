"""Uploads of blobs to the embedded registry: mounted, at once, or in chunks (distribution specification 1.1,
"Pushing blobs"), and the two forms of answer that all its endpoints share.
"""

from __future__ import annotations

import secrets

from bot.core.reference import Digest, digest_of
from bot.embedded.server import Request, Response, json_response
from bot.embedded.storage import StoredRepository


def created(location: str, digest: Digest) -> Response:
    """The answer to a finished push."""
    return Response(201, b"", (("Location", location), ("Docker-Content-Digest", digest)))


def refused(status: int, code: str, message: str) -> Response:
    """An error with a code of the distribution specification."""
    return json_response(status, {"errors": [{"code": code, "message": message, "detail": {}}]})


def start(request: Request, stored: StoredRepository, name: str, source: StoredRepository) -> Response:
    """Mounts a blob of `source`, takes a whole blob, or opens an upload."""
    data = source.find_blob(request.value("mount"))
    if data is not None:
        return _stored(stored, name, data)
    upload = secrets.token_hex(16)
    stored.uploads[upload] = b""
    if request.value("digest"):
        return finish(request, stored, name, upload)
    return progress(202, stored, name, upload)


def append(request: Request, stored: StoredRepository, name: str, upload: str) -> Response:
    """Takes one chunk, which must follow the last one."""
    received = stored.uploads.get(upload)
    if received is not None:
        first = request.headers.get("Content-Range", "").partition("-")[0]
        if first not in ("", str(len(received))):
            return refused(416, "BLOB_UPLOAD_INVALID", "this chunk does not follow the last one")
        stored.uploads[upload] = received + request.body
    return progress(202, stored, name, upload)


def finish(request: Request, stored: StoredRepository, name: str, upload: str) -> Response:
    """Takes the last chunk and compares the digest."""
    if upload not in stored.uploads:
        return progress(404, stored, name, upload)
    data = stored.uploads.pop(upload) + request.body
    if request.value("digest") != digest_of(data):
        return refused(400, "DIGEST_INVALID", f"the uploaded bytes have the digest {digest_of(data)}")
    return _stored(stored, name, data)


def cancel(stored: StoredRepository, upload: str) -> Response:
    """Forgets an upload."""
    known = stored.uploads.pop(upload, None) is not None
    return Response(204) if known else refused(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")


def progress(status: int, stored: StoredRepository, name: str, upload: str) -> Response:
    """How far an upload has come, and where it goes on."""
    received = stored.uploads.get(upload)
    if received is None:
        return refused(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
    # The query makes sure that clients add their digest to an address that has one already.
    location = f"/v2/{name}/blobs/uploads/{upload}?state={len(received)}"
    span = f"0-{max(len(received) - 1, 0)}"
    return Response(status, b"", (("Location", location), ("Range", span), ("Docker-Upload-UUID", upload)))


def _stored(stored: StoredRepository, name: str, data: bytes) -> Response:
    digest = stored.add_blob(data)
    return created(f"/v2/{name}/blobs/{digest}", digest)
