"""The token server of the embedded registry (Docker Registry v2 authentication: Bearer)."""

from __future__ import annotations

import base64
import secrets
import time
from dataclasses import dataclass, field

from bot.embedded.server import Request, Response, json_response


@dataclass(slots=True)
class TokenServer:
    """Gives out tokens and judges them. Without a user, everybody gets what they ask for.

    With one, `pull` is for everybody unless `private` is set, and `push` for that user only, as on GHCR.
    `lifetime` of a token is in seconds.
    """

    user: str = ""
    password: str = ""
    private: bool = False
    lifetime: float = 300.0
    _tokens: dict[str, tuple[frozenset[str], float]] = field(default_factory=dict)

    def expire(self) -> None:
        """Makes every token that was given out stale."""
        self._tokens.clear()

    def give(self, request: Request) -> Response:
        """The answer to `GET /token`: a token for the scopes that the caller may have, or 401."""
        known = self._is_user(request)
        if self.user and not known and (self.private or "Authorization" in request.headers):
            return json_response(401, {"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]})
        granted = set()
        for scope in " ".join(request.query.get("scope", [])).split():
            kind_and_name, _, actions = scope.rpartition(":")
            for action in actions.split(","):
                if action == "pull" or known or not self.user:
                    granted.add(f"{kind_and_name}:{action}")
        token = secrets.token_urlsafe(24)
        self._tokens[token] = (frozenset(granted), time.monotonic() + self.lifetime)
        body = {"token": token, "access_token": token, "expires_in": int(self.lifetime)}
        return json_response(200, body)

    def challenge(self, request: Request, repository: str, action: str) -> Response | None:
        """The 401 that this request gets, or None where its token is good for the action."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        scopes, expires = self._tokens.get(token, (frozenset[str](), 0.0))
        valid = scheme.lower() == "bearer" and time.monotonic() < expires
        if valid and (not repository or f"repository:{repository}:{action}" in scopes):
            return None
        wanted = "pull" if action == "pull" else "pull,push"
        parts = [f'realm="{request.base_url}/token"', f'service="{request.headers.get("Host", "")}"']
        if repository:
            parts.append(f'scope="repository:{repository}:{wanted}"')
        if token:
            parts.append(f'error="{"insufficient_scope" if valid else "invalid_token"}"')
        error = {"code": "UNAUTHORIZED", "message": "authentication required"}
        return json_response(401, {"errors": [error]}, ("WWW-Authenticate", f"Bearer {','.join(parts)}"))

    def _is_user(self, request: Request) -> bool:
        scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
        expected = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return scheme.lower() == "basic" and bool(self.user) and secrets.compare_digest(credentials, expected)
