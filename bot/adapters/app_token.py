"""A GitHub App's token for one repository: made, kept and renewed. GitHub REST API 2022-11-28, "Apps"; RFC 7519."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, TypeVar
from urllib.parse import urljoin, urlsplit

import msgspec

from bot.adapters.connections import Connections
from bot.adapters.github_http import headers, is_limited, said
from bot.adapters.http import Http, Response
from bot.clock import Clock
from bot.core.decoding import decode
from bot.core.distribution import retry_after
from bot.core.moment import moment
from bot.errors import BotError, ForgeError, IntegrityError, ServiceError, UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

ATTEMPTS = 3
RENEW_SECONDS = 300.0
"""A token that ends within this time is not given away any more."""

_PATIENCE_SECONDS = 60.0
_MAX_BYTES = 1024 * 1024
_ISSUED, _EXPIRES = timedelta(seconds=-60), timedelta(minutes=9)
"""From now. GitHub takes ten minutes at most, and no assertion of a time that it has not reached."""

_SETTINGS = "GATEWAY_BOT_APP_ID, GATEWAY_BOT_APP_PRIVATE_KEY"
_LEVELS = ("read", "write", "admin")
_TOKEN = re.compile(r"[!-~]{1,8192}")
_REDIRECT, _BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 300, 400, 401, 403, 404
_INVALID, _TOO_MANY, _SERVER_ERROR = 422, 429, 500
_T = TypeVar("_T")


class _Installation(msgspec.Struct):
    id: int
    permissions: dict[str, str] | None = None
    suspended_at: str | None = None


class _Given(msgspec.Struct):
    token: str
    expires_at: Annotated[datetime, msgspec.Meta(tz=True)]


class AppToken:
    """Gives the token of a GitHub App's installation, for one repository (OWNER/NAME) and with `permissions` alone.

    Call it for each request: the token is renewed when it is about to end. Safe to use from several threads. Raises
    UsageError for a key that is none, ForgeError where GitHub refuses, ServiceError where it gives no answer,
    IntegrityError for an answer that cannot be GitHub's.
    """

    def __init__(
        self,
        connections: Connections,
        api_url: str,
        repository: str,
        app_id: str,
        private_key: str,
        permissions: Mapping[str, str],
        clock: Clock,
        log: Callable[[str], None],
    ) -> None:
        self._connections = connections
        self._api_url = api_url
        self._repository = repository
        self._app_id = app_id
        self._pem = private_key
        self._permissions = dict(permissions)
        self._clock = clock
        self._log = log
        self._lock = threading.Lock()
        self._installation: _Installation | None = None
        self._ahead: timedelta | None = None
        self._token = ""
        self._renew_at = -math.inf

    def __call__(self) -> str:
        with self._lock:
            if self._clock.monotonic() >= self._renew_at:
                self._renew()
            return self._token

    def _renew(self) -> None:
        installation = self._installed()
        sent = {"repositories": [self._repository.partition("/")[2]], "permissions": self._permissions}
        response = self._asked("POST", f"/app/installations/{installation.id}/access_tokens", msgspec.json.encode(sent))
        given = _as(response, _Given)
        if not _TOKEN.fullmatch(given.token):
            raise _untrue(response.url, "the token holds characters that no token has")
        # Both times are GitHub's, and what passes between them is counted: this machine's time of day plays no part
        ends = moment(given.expires_at)
        if ends is None:
            raise _untrue(response.url, "the token ends at a time that cannot be")
        left = ends - (_date(response) or self._now())
        self._token = given.token
        self._renew_at = self._clock.monotonic() + left.total_seconds() - RENEW_SECONDS

    def _installed(self) -> _Installation:
        """The App's installation that covers the repository; looked up once."""
        if self._installation is None:
            found = _as(self._asked("GET", f"/repos/{self._repository}/installation", None), _Installation)
            if found.suspended_at is not None:
                raise self._suspended()
            self._installation = found
        return self._installation

    def _asked(self, method: str, path: str, content: bytes | None) -> Response:
        """The answer to a request in the App's own name. A second token does no harm, so a POST is repeated as well."""
        url = f"{self._api_url}{path}"
        why = ""
        for attempt in range(ATTEMPTS):
            wait = 2.0**attempt
            try:
                response = self._once(method, url, content)
            except ServiceError as error:
                why = error.what
            else:
                if response.status < _REDIRECT:
                    return response
                if self._learns_time(response):
                    continue
                if not _is_passing(response):
                    raise self._refusal(response)
                why = f"HTTP {response.status}"
                if (header := response.headers.get("Retry-After")) is not None:
                    wait = retry_after(header, self._clock.now(), wait, math.inf)
                elif response.status < _SERVER_ERROR:
                    wait = math.inf
            if wait > _PATIENCE_SECONDS or attempt + 1 == ATTEMPTS:
                break
            self._log(f"{url}: {why}; again in {wait:g} s")
            self._clock.sleep(wait)
        raise ServiceError(
            f"GitHub gives the App no token: {why}",
            where=url,
            next_step="Nothing was done in the App's name. Run it again when GitHub answers.",
        )

    def _once(self, method: str, url: str, content: bytes | None) -> Response:
        http = Http(self._connections, self._clock, self._log)
        given = headers(self._assertion(), sends=content is not None)
        return http.once(method, url, given, content, max_bytes=_MAX_BYTES)

    def _assertion(self) -> str:
        """A JSON Web Token by which the App proves who it is: RS256, for some minutes."""
        import jwt  # noqa: PLC0415 - only a run as a GitHub App needs it

        now = self._now()
        claims = {
            "iat": int((now + _ISSUED).timestamp()),
            "exp": int((now + _EXPIRES).timestamp()),
            "iss": self._app_id,
        }
        return jwt.encode(claims, self._key(), algorithm="RS256")

    def _now(self) -> datetime:
        return self._clock.now() + (self._ahead or timedelta())

    def _key(self) -> RSAPrivateKey:
        # the libraries of keys are large, and only a run as a GitHub App needs them
        from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - as above
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: PLC0415 - as above
        from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415 - as above

        try:
            key = load_pem_private_key(self._pem.encode(), password=None)
        except TypeError:
            what = "it is encrypted with a passphrase"
        except (ValueError, UnsupportedAlgorithm):
            what = "it is no private key in PEM form, or only a part of one"
        else:
            if isinstance(key, RSAPrivateKey):
                return key
            what = "it is no RSA key"
        raise UsageError(
            f"the App's private key cannot be used: {what}",
            where="GATEWAY_BOT_APP_PRIVATE_KEY",
            next_step="Set it to the whole text of a .pem file that GitHub generated on the App's page.",
        )

    def _learns_time(self, response: Response) -> bool:
        """Whether GitHub refused the assertion for its times, and its own time is known now, for another attempt."""
        if self._ahead is not None or not _is_about_time(response):
            return False
        date = _date(response)
        if date is None:
            return False
        self._ahead = date - self._clock.now()
        behind = self._ahead.total_seconds()
        self._log(f"this machine's clock is {abs(behind):.0f} s {'behind' if behind > 0 else 'ahead of'} GitHub's")
        return True

    def _refusal(self, response: Response) -> BotError:
        """What it means that GitHub refuses, and what to do about it."""
        status, why = response.status, said(response.body)
        app, place, step = f"GitHub App {self._app_id}", response.url, ""
        if status < _BAD_REQUEST:
            return self._moved(response)
        if status == _UNAUTHORIZED and _is_about_time(response):
            what = f"GitHub refuses the App's assertion for its times, so this machine's clock is wrong: {why}"
            step = "Set this machine's clock: it may be off by less than a minute."
        elif status == _UNAUTHORIZED:
            what, place = f"GitHub does not take the private key for one of {app}: {why}", _SETTINGS
            step = (
                "Id and key have to be of the same App, and the key must still be listed on the App's page, where you "
                "can generate a new one."
            )
        elif status == _NOT_FOUND and "integration" in why.lower():
            what, place = f"there is no {app}: {why}", _SETTINGS
            step = "Copy the id from the App's page: Settings, Developer settings, GitHub Apps."
        elif status == _NOT_FOUND or (status == _INVALID and "repository" in why.lower()):
            what = f"{app} is not installed on {self._repository}, or there is no such repository"
            step = f"On the App's page, under Install App, install it on {self._owner} and give it this repository."
        elif status == _FORBIDDEN and "suspended" in why.lower():
            return self._suspended()
        elif status == _INVALID and (lacking := self._lacking()):
            what = f"{app} lacks permissions that this needs: {', '.join(lacking)}"
            step = (
                "Grant them on the App's page (Permissions & events), then accept them in its installation on "
                f"{self._owner} (Settings, GitHub Apps, Configure)."
            )
        else:
            what = f"GitHub gives App {self._app_id} no token: HTTP {status}: {why}"
            step = "Look at the App's installation and at the organisation's rules for Apps and for IP addresses."
        return ForgeError(what, where=place, next_step=step)

    @property
    def _owner(self) -> str:
        return self._repository.partition("/")[0]

    def _lacking(self) -> list[str]:
        """The permissions that were asked for and that the installation does not have."""
        held = self._installation.permissions if self._installation is not None else None
        return [
            f"{name}: {level}"
            for name, level in self._permissions.items()
            if held is not None and _LEVELS.index(level) > _level(held.get(name))
        ]

    def _suspended(self) -> ForgeError:
        return ForgeError(
            f"the installation of GitHub App {self._app_id} on {self._owner} is suspended",
            where=f"{self._api_url}/repos/{self._repository}/installation",
            next_step="An owner of the account, or of the App, has to lift that: Settings, GitHub Apps, Configure.",
        )

    def _moved(self, response: Response) -> ForgeError | IntegrityError:
        target = response.headers.get("Location", "")
        try:
            same = urlsplit(urljoin(response.url, target)).netloc == urlsplit(response.url).netloc
        except ValueError:
            same = False
        kind = ForgeError if same else IntegrityError
        return kind(
            "GitHub redirects, and nothing was sent there",
            where=response.url,
            next_step=f"If {self._repository} was renamed or moved, set GITHUB_REPOSITORY to its new name; if not, "
            "look at what GITHUB_API_URL serves.",
        )


def _level(name: str | None) -> int:
    return _LEVELS.index(name) if name in _LEVELS else -1


def _is_passing(response: Response) -> bool:
    """Whether the same request may be answered otherwise later: a fault of GitHub's, or a limit of its rates."""
    return response.status >= _SERVER_ERROR or is_limited(response)


def _is_about_time(response: Response) -> bool:
    why = said(response.body)
    return response.status == _UNAUTHORIZED and ("('iat')" in why or "('exp')" in why)


def _date(response: Response) -> datetime | None:
    """GitHub's time of day when it answered; None where it says none that can be."""
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - as above

    try:
        date = parsedate_to_datetime(response.headers.get("Date", ""))
    except (ValueError, OverflowError):
        return None
    return moment(date)


def _as(response: Response, kind: type[_T]) -> _T:
    try:
        return decode(response.body, kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # the reason would quote the answer, which may hold a token
        raise _untrue(response.url, "GitHub's answer lacks what its documentation promises") from None


def _untrue(url: str, what: str) -> IntegrityError:
    return IntegrityError(what, where=url, next_step="Look at what GITHUB_API_URL serves; a proxy may answer instead.")
