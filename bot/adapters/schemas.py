"""The JSON Schema of a program's config, as its repository on GitHub holds it at a release.

GitHub REST API, "Get repository content", with the raw media type.
"""

from __future__ import annotations

from urllib.parse import quote

from bot.adapters.http import Http
from bot.core.versions import Ref
from bot.errors import ServiceError

MAX_BYTES = 8 * 1024 * 1024
_OK, _MISSING = 200, 404


class Schemas:
    """Files of a repository, with or without a token; the token goes to the API's own host only."""

    def __init__(self, http: Http, api_url: str, token: str) -> None:
        self._http = http
        self._api_url = api_url
        self._headers = {"Accept": "application/vnd.github.raw+json", "X-GitHub-Api-Version": "2022-11-28"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def read(self, repository: str, path: str, ref: Ref) -> bytes | None:
        """The file at the tag of a release; None where there is none. Raises ServiceError, IntegrityError."""
        url = f"{self._api_url}/repos/{repository}/contents/{quote(path)}?ref={quote(f'refs/tags/{ref}', safe='')}"
        response = self._http.get(url, self._headers, max_bytes=MAX_BYTES)
        if response.status == _MISSING:
            return None
        if response.status != _OK:
            raise ServiceError(
                f"GitHub answered HTTP {response.status}",
                where=response.url,
                next_step="Nothing is known of the schema. Run it again when GitHub answers.",
            )
        return response.body
