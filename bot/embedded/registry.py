"""A container registry in memory on loopback (OCI distribution specification 1.1)."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from typing import Literal
from urllib.parse import quote, unquote

from bot.core.reference import Digest, parse_digest, parse_tag
from bot.embedded import uploads
from bot.embedded.images import DEFAULT_PLATFORMS, INDEX, MANIFEST_TYPES, Content, MultiPlatformImage, build_image
from bot.embedded.server import Intercept, LoopbackServer, Request, Response, json_response
from bot.embedded.storage import MissingPartError, StoredRepository
from bot.embedded.tokens import TokenServer
from bot.embedded.uploads import created, refused

_NAME = r"(?P<name>[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)"
_SHA256 = r"sha256:[0-9a-f]{64}"

TagOrder = Literal["lexical", "pushed"]
"""How tags are listed: sorted, as the specification says, or oldest first, as GHCR does."""


class EmbeddedRegistry(LoopbackServer):
    """A registry. Repositories appear with their first push.

    With `tokens` every request needs a bearer token. `immutable_tags` refuses a push to a tag that exists
    (ECR); without `referrers` the referrers API answers 404 (GHCR); `page_size` caps a listing of tags.
    """

    def __init__(
        self,
        *,
        tokens: TokenServer | None = None,
        tag_order: TagOrder = "lexical",
        page_size: int | None = None,
        immutable_tags: bool = False,
        referrers: bool = True,
        intercept: Intercept | None = None,
    ) -> None:
        super().__init__(intercept=intercept)
        self.tokens = tokens
        self.tag_order = tag_order
        self.page_size = page_size
        self.immutable_tags = immutable_tags
        self.referrers = referrers
        self.repositories: dict[str, StoredRepository] = {}
        self._lock = threading.RLock()
        self._routes: tuple[tuple[re.Pattern[str], Mapping[str, _Answer]], ...] = (
            (_path(r"manifests/(?P<rest>[^/]+)"), {"GET": self._get_manifest, "PUT": self._put_manifest}),
            (_path(r"blobs/(?P<rest>[^/]+:[^/]+)"), {"GET": self._get_blob}),
            (_path(r"blobs/uploads/?(?P<rest>)"), {"POST": self._start_upload}),
            (
                _path(r"blobs/uploads/(?P<rest>[^/]+)"),
                {
                    "GET": self._progress,
                    "PATCH": self._append,
                    "PUT": self._finish,
                    "DELETE": self._cancel,
                },
            ),
            (_path(r"tags/list(?P<rest>)"), {"GET": self._list_tags}),
            (_path(rf"referrers/(?P<rest>{_SHA256})"), {"GET": self._list_referrers}),
        )

    def repository(self, name: str) -> StoredRepository:
        """The repository of this name, made where it does not exist: for seeding and for reading back."""
        return self.repositories.setdefault(name, StoredRepository())

    def push_image(
        self,
        repository: str,
        tag: str,
        *,
        platforms: tuple[str, ...] = DEFAULT_PLATFORMS,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        files: Mapping[str, bytes] | None = None,
        variation: str | None = None,
        attestations: bool = False,
    ) -> Digest:
        """Puts a small image (see `build_image`) under a tag and returns the digest of its index.

        By default each repository and tag has bytes of its own; give `variation` to choose.
        """
        image = build_image(
            platforms,
            labels=labels,
            annotations=annotations,
            files=files,
            variation=f"{repository}:{tag}" if variation is None else variation,
            attestations=attestations,
        )
        return self.push(repository, tag, image)

    def push(self, repository: str, tag: str, image: MultiPlatformImage) -> Digest:
        """Puts an image under a tag, moving the tag where it exists."""
        with self._lock:
            stored = self.repository(repository)
            for blob in image.blobs:
                stored.add_blob(blob.data)
            for manifest in image.manifests:
                stored.add_manifest(manifest)
            return stored.add_manifest(image.index, tag)

    def push_bytes(self, repository: str, tag: str, body: bytes, media_type: str = INDEX) -> Digest:
        """Puts any bytes under a tag as a manifest, valid or not."""
        with self._lock:
            return self.repository(repository).add_manifest(Content(media_type, body), tag)

    def answer(self, request: Request) -> Response:
        path = unquote(request.path)
        if path == "/token" and self.tokens is not None:
            return self.tokens.give(request)
        if path == "/v2/":
            refusal = self.tokens and self.tokens.challenge(request, "", "pull")
            return refusal or json_response(200, {}, ("Docker-Distribution-API-Version", "registry/2.0"))
        method = "GET" if request.method == "HEAD" else request.method
        for pattern, methods in self._routes:
            if matched := pattern.fullmatch(path):
                action = "pull" if method == "GET" and "/uploads/" not in path else "push"
                refusal = self.tokens and self.tokens.challenge(request, matched["name"], action)
                if refusal:
                    return refusal
                if method not in methods:
                    return refused(405, "UNSUPPORTED", f"{request.method} is not supported here")
                with self._lock:
                    return methods[method](request, matched["name"], matched["rest"])
        return refused(404, "NAME_INVALID", f"no such endpoint: {path[:200]}")

    def _get_manifest(self, request: Request, name: str, reference: str) -> Response:
        if name not in self.repositories:
            return refused(404, "NAME_UNKNOWN", "repository name not known to registry")
        manifest = self.repositories[name].find_manifest(reference)
        if manifest is None:
            return refused(404, "MANIFEST_UNKNOWN", "manifest unknown")
        if manifest.media_type in MANIFEST_TYPES and not request.accepts(manifest.media_type):
            return refused(404, "MANIFEST_UNKNOWN", f"Accept does not support {manifest.media_type}")
        return Response(
            200,
            manifest.data,
            (("Content-Type", manifest.media_type), ("Docker-Content-Digest", manifest.digest)),
        )

    def _put_manifest(self, request: Request, name: str, reference: str) -> Response:
        stored = self.repository(name)
        manifest = Content(request.headers.get("Content-Type", ""), request.body)
        try:
            if ":" in reference:
                tag = ""
                if parse_digest(reference) != manifest.digest:
                    return refused(400, "DIGEST_INVALID", f"the body's digest is {manifest.digest}")
            else:
                tag = parse_tag(reference)
            stored.require_parts(request.body)
        except MissingPartError as missing:
            return refused(404, "MANIFEST_BLOB_UNKNOWN", f"not in this repository: {missing}")
        except ValueError as invalid:
            return refused(400, "MANIFEST_INVALID", str(invalid))
        if tag in stored.tags and self.immutable_tags:
            return refused(400, "TAG_INVALID", f"The image tag '{tag}' already exists and is immutable.")
        stored.add_manifest(manifest, tag)
        return created(f"/v2/{name}/manifests/{manifest.digest}", manifest.digest)

    def _get_blob(self, _request: Request, name: str, digest: str) -> Response:
        stored = self.repositories.get(name, StoredRepository())
        data = stored.find_blob(digest)
        if data is None:
            return refused(404, "BLOB_UNKNOWN", "blob unknown to registry")
        headers = (("Content-Type", "application/octet-stream"), ("Docker-Content-Digest", digest))
        return Response(200, data, headers)

    def _start_upload(self, request: Request, name: str, _rest: str) -> Response:
        source = self.repositories.get(request.value("from"), StoredRepository())
        return uploads.start(request, self.repository(name), name, source)

    def _append(self, request: Request, name: str, upload: str) -> Response:
        return uploads.append(request, self.repository(name), name, upload)

    def _finish(self, request: Request, name: str, upload: str) -> Response:
        return uploads.finish(request, self.repository(name), name, upload)

    def _progress(self, _request: Request, name: str, upload: str) -> Response:
        return uploads.progress(204, self.repository(name), name, upload)

    def _cancel(self, _request: Request, name: str, upload: str) -> Response:
        return uploads.cancel(self.repository(name), upload)

    def _list_tags(self, request: Request, name: str, _rest: str) -> Response:
        if name not in self.repositories:
            return refused(404, "NAME_UNKNOWN", "repository name not known to registry")
        tags = list(self.repositories[name].tags)
        last = request.value("last")
        if self.tag_order == "lexical":
            tags = sorted(tag for tag in tags if tag > last)
        elif last in tags:
            tags = tags[tags.index(last) + 1 :]
        wanted = request.value("n")
        sizes = [int(wanted)] if wanted.isdigit() else []
        size = min([*sizes, self.page_size or len(tags), len(tags)])
        page = tags[:size]
        headers: tuple[tuple[str, str], ...] = ()
        if page and len(page) < len(tags):
            headers = (("Link", f'</v2/{name}/tags/list?last={quote(page[-1])}&n={size}>; rel="next"'),)
        return json_response(200, {"name": name, "tags": page}, *headers)

    def _list_referrers(self, request: Request, name: str, digest: str) -> Response:
        if not self.referrers:
            return refused(404, "UNSUPPORTED", "the referrers API is not supported")
        kind = request.value("artifactType")
        body = self.repositories.get(name, StoredRepository()).referrers(digest, kind)
        filters = (("OCI-Filters-Applied", "artifactType"),) if kind else ()
        return Response(200, body, (("Content-Type", INDEX), *filters))


_Answer = Callable[[Request, str, str], Response]


def _path(rest: str) -> re.Pattern[str]:
    return re.compile(rf"/v2/{_NAME}/{rest}")
