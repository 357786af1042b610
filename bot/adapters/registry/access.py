"""What a request to a registry is sent with: a token by the registry's challenge, or Docker's credentials.

The Docker registry token specification, which all registries follow.
"""

from __future__ import annotations

import re
import threading
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Literal, Protocol, TypeVar
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec

from bot.adapters.http import Http, Response
from bot.core.decoding import decode
from bot.core.distribution import Challenge, Login, is_own_realm, parse_challenge
from bot.core.reference import Repository
from bot.errors import IntegrityError

Actions = Literal["pull", "pull,push"]
_TOKEN_BYTES = 256 * 1024
_OK, _UNAUTHORIZED, _FORBIDDEN = 200, 401, 403
_RENEWALS = 2
"""All tokens may end between the moment in which one was given out and the request that it was asked for."""
_T = TypeVar("_T")


class Answer(Protocol):
    """What came back, as far as access is concerned."""

    @property
    def url(self) -> str: ...

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...


_Answer = TypeVar("_Answer", bound=Answer)


class _Token(msgspec.Struct):
    token: str = ""
    access_token: str = ""


class _Key(msgspec.Struct, frozen=True):
    """The Authorization header, and the login that it was made by."""

    authorization: str = ""
    login: Login | None = None


_ANONYMOUS = _Key()


class Access:
    """To one repository. May be used from several threads.

    Who only pulls is anonymous first: stale credentials turn a public image into `denied`. Who pushes never is.
    """

    def __init__(
        self, http: Http, repository: Repository, logins: Callable[[str], Login | None], actions: Actions = "pull"
    ) -> None:
        self.host = "registry-1.docker.io" if repository.host == "docker.io" else repository.host
        self._http = http
        self._repository = repository
        self._logins = logins
        self._actions = actions
        self._lock = threading.Lock()
        self._key = _ANONYMOUS

    def through(self, ask: Callable[[str], _Answer]) -> _Answer:
        """The answer to what `ask` asks with an Authorization header, "" for none.

        It is asked again with a new token, for one may end at any time, then once with Docker's credentials, if it has
        any.
        """
        used = self._key
        response = ask(used.authorization)
        if response.status == _UNAUTHORIZED:
            login = self._login() if "push" in self._actions else None
            response, used = self._renewed(ask, response, used, login)
        if response.status in {_UNAUTHORIZED, _FORBIDDEN} and used.login is None:
            login = self._login()
            if login is not None:
                if "WWW-Authenticate" not in response.headers:
                    response = ask("")
                response, _ = self._renewed(ask, response, used, login)
        return response

    def hidden(self, text: str) -> str:
        """A registry's words without what was sent to it, should it repeat that."""
        login = self._login()
        sent = (self._key.authorization.partition(" ")[2], *((login.password, login.identity_token) if login else ()))
        for secret in filter(None, sent):
            text = text.replace(secret, "***")
        return text

    def _login(self) -> Login | None:
        return self._logins(self._repository.host)

    def _renewed(
        self, ask: Callable[[str], _Answer], response: _Answer, used: _Key, login: Login | None
    ) -> tuple[_Answer, _Key]:
        """The same request with a new key, and with another where that one ended before it was used."""
        for _ in range(_RENEWALS):
            before = used
            response, used = self._again(ask, response, used, login)
            if response.status != _UNAUTHORIZED or used == before:
                break
        return response, used

    def _again(
        self, ask: Callable[[str], _Answer], response: _Answer, used: _Key, login: Login | None
    ) -> tuple[_Answer, _Key]:
        """The same request with the key that its challenge leads to; where it leads nowhere, as it was."""
        with self._lock:
            # another thread may have answered the challenge meanwhile: its key serves both
            if self._key is used or (login is not None and self._key.login is None):
                self._key = self._answer(response, login or used.login) or used
            key = self._key
        if key == used:
            return response, used
        return ask(key.authorization), key

    def _answer(self, response: Answer, login: Login | None) -> _Key | None:
        """The key that a challenge leads to, or None."""
        challenge = parse_challenge(response.headers.get("WWW-Authenticate", ""))
        match challenge:
            case Challenge(scheme="bearer"):
                token = self._bearer(challenge, response, login)
                return _Key(token, login) if token else None
            case Challenge(scheme="basic") if login is not None:
                return _Key(_basic(login), login)
            case _:
                return None

    def _bearer(self, challenge: Challenge, response: Answer, login: Login | None) -> str:
        """A token by the challenge, or "" where it was denied."""
        if not is_own_realm(challenge.realm, self.host):
            raise foreign(response, f"it asks for a token from {challenge.realm[:100]!r}")
        query = {"service": challenge.service, "scope": f"repository:{self._repository.path}:{self._actions}"}
        query = {name: value for name, value in query.items() if value}
        if login is not None and login.identity_token:
            form = {
                **query,
                "grant_type": "refresh_token",
                "client_id": "gateway-bot",
                "refresh_token": login.identity_token,
            }
            answer = self._http.post_form(challenge.realm, form, max_bytes=_TOKEN_BYTES)
        else:
            parts = urlsplit(challenge.realm)
            url = urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, urlencode(query))))))
            headers = {"Authorization": _basic(login)} if login is not None else {}
            answer = self._http.get(url, headers, max_bytes=_TOKEN_BYTES)
        if answer.status != _OK:
            return ""
        token = decoded(answer, _Token)
        text = token.token or token.access_token
        if not re.fullmatch("[!-~]+", text):
            raise IntegrityError(
                "the token service answered without a token",
                where=answer.url,
                next_step="Nothing was decided. Run it again; if it stays, tell the registry's owner.",
            )
        return f"Bearer {text}"


def decoded(response: Response, kind: type[_T]) -> _T:
    """The JSON of an answer. Raises IntegrityError for anything else."""
    try:
        return decode(response.body, kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise IntegrityError(
            f"the answer is not the JSON that the specification asks for: {error}",
            where=response.url,
            next_step="Look at what the address serves; a proxy may answer in the registry's place.",
        ) from None


def foreign(response: Answer, what: str) -> IntegrityError:
    """An answer that leads to another host."""
    return IntegrityError(
        f"{what}, which is not the registry's own",
        where=response.url,
        next_step="Nothing was sent there. Tell the registry's owner, or use a repository that answers by itself.",
    )


def _basic(login: Login) -> str:
    return "Basic " + b64encode(f"{login.username}:{login.password}".encode()).decode()
