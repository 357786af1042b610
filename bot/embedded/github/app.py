"""The server of the embedded GitHub: who calls, what is asked, rate limits and conditional requests."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import time
from datetime import UTC, datetime, timedelta

from bot.embedded.github import assets, graphql
from bot.embedded.github.endpoints import ROUTES
from bot.embedded.github.forms import account_form
from bot.embedded.github.people import People
from bot.embedded.github.records import Account
from bot.embedded.github.routing import Call, RefusalError, authorise, find, not_found
from bot.embedded.server import Request, Response, json_response

_REPOSITORY = re.compile(r"(/api/uploads)?/repos/([^/]+/[^/]+)(/.*)?")
"""On GitHub uploads have a host of their own, on an enterprise server this prefix."""
_LIMIT, _ANONYMOUS_LIMIT = 5000, 60


class EmbeddedGitHub(People):
    """A GitHub for the given tokens. `clock` gives the time of everything that is made through the API."""

    def answer(self, request: Request) -> Response:
        with self._lock:
            caller = None
            try:
                of_app = self.apps.answer(request, self.repositories, self.clock())
                caller = None if of_app else self._caller(request)
                response = self._conditional(request, of_app or self._route(request, caller))
            except RefusalError as refusal:
                response = refusal.response
            return self._with_limits(response, caller)

    def _route(self, request: Request, caller: Account | None) -> Response:
        if (request.method, request.path) == ("POST", "/graphql"):
            return graphql.answer(request, caller, self.repositories, self.clock())
        method = "GET" if request.method == "HEAD" else request.method
        matched = _REPOSITORY.fullmatch(request.path)
        if matched is None:
            return self._without_repository(request, caller)
        repository = self.repositories.get(matched[2])
        if repository is None:
            raise not_found()
        wanted, names = find(assets.UPLOADS if matched[1] else ROUTES, method, matched[3] or "")
        authorise(wanted, caller, repository)
        return wanted.answer(Call(request, caller, repository, names, self.clock()))

    def _without_repository(self, request: Request, caller: Account | None) -> Response:
        match request.path, caller:
            case "/user", None:
                raise RefusalError(401, "Requires authentication")
            case "/user", Account(kind="Bot"):
                raise RefusalError(403, "Resource not accessible by integration")
            case "/user", Account() as user:
                return json_response(200, account_form(request.base_url, user))
            case "/rate_limit", _:
                limit, used = self._limit(caller)
                core = {"limit": limit, "used": used, "remaining": limit - used, "reset": int(time.time()) + 3600}
                return json_response(200, {"resources": {"core": core}, "rate": core})
            case path, _ if download := assets.DOWNLOAD.fullmatch(path):
                repository = self.repositories.get(download[1])
                if repository is None or request.method not in {"GET", "HEAD"}:
                    raise not_found()
                authorise(assets.READ, caller, repository)
                return assets.download(Call(request, caller, repository, download.groups()[1:], self.clock()))
            case _:
                raise not_found()

    def _caller(self, request: Request) -> Account | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "basic":
            token = base64.b64decode(token).decode().partition(":")[2]
        if not scheme:
            return None
        for known, account in self.tokens.items():
            if secrets.compare_digest(known.encode(), token.encode()):
                return account
        installed = self.apps.account(token, self.clock())
        if installed is None:
            raise RefusalError(401, "Bad credentials")
        return installed

    def _conditional(self, request: Request, response: Response) -> Response:
        """The same answer with an ETag, or 304 where the client has it already (that costs nothing)."""
        if request.method not in ("GET", "HEAD") or response.status != 200:  # noqa: PLR2004 - OK
            return response
        tag = f'W/"{hashlib.sha256(response.body).hexdigest()}"'
        headers = (*response.headers, ("ETag", tag))
        if tag in request.headers.get("If-None-Match", ""):
            return Response(304, b"", headers)
        return Response(response.status, response.body, headers)

    def _limit(self, caller: Account | None) -> tuple[int, int]:
        return (_LIMIT if caller else _ANONYMOUS_LIMIT), self.used.get(caller.login if caller else "", 0)

    def _with_limits(self, response: Response, caller: Account | None) -> Response:
        login = caller.login if caller else ""
        if response.status != 304:  # noqa: PLR2004 - Not Modified
            self.used[login] = self.used.get(login, 0) + 1
        limit, used = self._limit(caller)
        reset = datetime.now(UTC) + timedelta(hours=1)
        headers = (
            ("X-RateLimit-Limit", str(limit)),
            ("X-RateLimit-Remaining", str(max(limit - used, 0))),
            ("X-RateLimit-Used", str(used)),
            ("X-RateLimit-Reset", str(int(reset.timestamp()))),
            ("X-RateLimit-Resource", "core"),
            ("X-GitHub-Request-Id", secrets.token_hex(8).upper()),
            ("X-GitHub-Media-Type", "github.v3; format=json"),
        )
        return Response(response.status, response.body, response.headers + headers)
