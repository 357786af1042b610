"""GitHub Apps: they prove who they are with a signed token of their own, and get tokens for their installations."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from bot.embedded.github.forms import Form, account_form, repository_form, time_form
from bot.embedded.github.records import Account, Level
from bot.embedded.github.routing import Call, Fields, RefusalError, not_found
from bot.embedded.github.state import Repository
from bot.embedded.server import Request, Response, json_response

LIFETIME = timedelta(hours=1)
"""Of a token for an installation."""
_LONGEST_JWT = 600
"""Seconds that the end of an App's own token may be ahead."""
_INSTALLATION = re.compile(r"/app/installations/(\d+)(/access_tokens)?")
_OF_REPOSITORY = re.compile(r"/repos/([^/]+/[^/]+)/installation")


@dataclass(frozen=True, slots=True)
class Installation:
    """What an App may do where it is installed. Without `repositories` it is installed on all of them."""

    permissions: Mapping[str, Level]
    repositories: frozenset[str] | None = None

    def has(self, full_name: str) -> bool:
        """Whether the App is installed on a repository."""
        return self.repositories is None or full_name in self.repositories


@dataclass(frozen=True, slots=True)
class App:
    """A registered App. Its public key is PEM."""

    id: str
    slug: str
    public_key: str
    installations: Mapping[int, Installation]


@dataclass(slots=True)
class Apps:
    """Every App, and the tokens that they were given."""

    registered: dict[str, App] = field(default_factory=dict)
    tokens: dict[str, tuple[Account, datetime]] = field(default_factory=dict)
    """Tokens of installations, and when each ends."""

    def account(self, token: str, now: datetime) -> Account | None:
        """Who a token stands for; None for one that is unknown or has ended."""
        account, ends = self.tokens.get(token, (None, now))
        return account if ends > now else None

    def answer(self, request: Request, repositories: Mapping[str, Repository], now: datetime) -> Response | None:
        """The answer to a request that only Apps may make; None for any other request. Raises RefusalError."""
        if request.path == "/app" and request.method == "GET":
            return json_response(200, _app_form(request, self._caller(request, now), now))
        if (matched := _OF_REPOSITORY.fullmatch(request.path)) and request.method == "GET":
            app = self._caller(request, now)
            for number, installation in app.installations.items():
                if matched[1] in repositories and installation.has(matched[1]):
                    return json_response(200, _installation_form(request, app, number, now))
            raise not_found()
        if (matched := _INSTALLATION.fullmatch(request.path)) is None:
            return None
        app = self._caller(request, now)
        if int(matched[1]) not in app.installations:
            raise not_found()
        match request.method, matched[2]:
            case "GET", None:
                return json_response(200, _installation_form(request, app, int(matched[1]), now))
            case "POST", str():
                return self._make_token(request, app, app.installations[int(matched[1])], repositories, now)
            case _:
                raise not_found()

    def _caller(self, request: Request, now: datetime) -> App:
        """The App that signed the token of the request."""
        import jwt  # noqa: PLC0415 - only Apps need it

        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        undecodable = RefusalError(401, "A JSON web token could not be decoded")
        if scheme.lower() != "bearer":
            raise undecodable
        try:
            unproven: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})  # Any: judged below
            app = self.registered.get(str(unproven.get("iss")))
            if app is None:
                raise RefusalError(404, "Integration not found")
            # the times are judged by the server's clock, not by the machine's
            claims: dict[str, Any] = jwt.decode(
                token,
                app.public_key,
                algorithms=["RS256"],
                options={"verify_exp": False, "verify_iat": False, "verify_nbf": False, "verify_aud": False},
            )
        except jwt.PyJWTError:
            raise undecodable from None
        _check_times(claims, now.timestamp())
        return app

    def _make_token(
        self, request: Request, app: App, held: Installation, repositories: Mapping[str, Repository], now: datetime
    ) -> Response:
        """A token for the installation, narrowed to the repositories and permissions that were asked for."""
        try:
            fields = Fields(json.loads(request.body or b"{}"))
        except ValueError:
            raise RefusalError(400, "Problems parsing JSON") from None
        permissions = _narrowed(fields, held)
        account = Account(f"{app.slug}[bot]", permissions, "Bot", held.repositories)
        form: Form = {"permissions": {"metadata": "read", **permissions}}
        form["repository_selection"] = "all" if held.repositories is None else "selected"
        wanted = fields.texts("repositories")
        if wanted or fields.value("repository_ids"):
            ids = fields.value("repository_ids") or []
            chosen = [
                repository
                for name, repository in repositories.items()
                if held.has(name) and (repository.name in wanted or Account(name).number in _list(ids))
            ]
            if len(chosen) != len(set(wanted)) + len(_list(ids)):
                raise RefusalError(
                    422,
                    "There is at least one repository that does not exist or is not accessible to the parent "
                    "installation.",
                )
            account = replace(account, repositories=frozenset(repository.full_name for repository in chosen))
            form["repository_selection"] = "selected"
            form["repositories"] = [repository_form(Call(request, account, one, (), now)) for one in chosen]
        token = f"ghs_{secrets.token_urlsafe(27)}"
        self.tokens[token] = account, now + LIFETIME
        return json_response(201, {"token": token, "expires_at": time_form(now + LIFETIME)} | form)


def _narrowed(fields: Fields, held: Installation) -> dict[str, Level]:
    asked = fields.section("permissions")
    if asked is None:
        return dict(held.permissions)
    narrowed: dict[str, Level] = {}
    for name in asked:
        level = asked.text(name)
        granted = "read" if name == "metadata" else held.permissions.get(name)
        match level:
            case "read" | "write" if granted in ("write", level):
                narrowed[name] = level
            case _:
                raise RefusalError(422, "The permissions requested are not granted to this installation.")
    return narrowed


def _check_times(claims: Mapping[str, object], now: float) -> None:
    """GitHub's checks of `iat` and `exp`."""
    issued, expires = claims.get("iat"), claims.get("exp")
    if not isinstance(issued, int) or issued > now:
        message = "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"
        raise RefusalError(401, message)
    if not isinstance(expires, int | float) or expires <= now:
        message = (
            "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the "
            "assertion expires"
        )
        raise RefusalError(401, message)
    if expires - now > _LONGEST_JWT:
        raise RefusalError(401, "'Expiration time' claim ('exp') is too far in the future")


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _app_form(request: Request, app: App, now: datetime) -> Form:
    page_url = f"{request.base_url}/apps/{app.slug}"
    permissions: dict[str, Level] = {"metadata": "read"}
    for installation in app.installations.values():
        permissions |= installation.permissions
    return {
        "id": int(app.id) if app.id.isdigit() else Account(app.id).number,
        "client_id": f"Iv1.{Account(app.slug).number:016x}",
        "slug": app.slug,
        "node_id": f"A_{app.slug}",
        "owner": account_form(request.base_url, Account("acme", kind="User")),
        "name": app.slug,
        "description": None,
        "external_url": page_url,
        "html_url": page_url,
        "created_at": time_form(now),
        "updated_at": time_form(now),
        "permissions": permissions,
        "events": [],
        "installations_count": len(app.installations),
    }


def _installation_form(request: Request, app: App, number: int, now: datetime) -> Form:
    installation = app.installations[number]
    owner = next(iter(sorted(installation.repositories or {"acme/"}))).partition("/")[0]
    url = f"{request.base_url}/app/installations/{number}"
    return {
        "id": number,
        "account": account_form(request.base_url, Account(owner, kind="User")),
        "access_tokens_url": f"{url}/access_tokens",
        "repositories_url": f"{request.base_url}/installation/repositories",
        "html_url": f"{request.base_url}/settings/installations/{number}",
        "app_id": int(app.id) if app.id.isdigit() else Account(app.id).number,
        "app_slug": app.slug,
        "target_id": Account(owner).number,
        "target_type": "User",
        "permissions": {"metadata": "read", **installation.permissions},
        "events": [],
        "repository_selection": "all" if installation.repositories is None else "selected",
        "single_file_name": None,
        "created_at": time_form(now),
        "updated_at": time_form(now),
        "suspended_by": None,
        "suspended_at": None,
    }
