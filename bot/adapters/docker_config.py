"""Docker's config file and its credential helpers, as every container tool reads them. Read only when asked."""

from __future__ import annotations

import json
import re
import subprocess
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from bot.core.distribution import Login
from bot.errors import UsageError

_HELPER_SECONDS = 30
_HUB = ("https://index.docker.io/v1/", "docker.io", "index.docker.io")


def login_for(directory: Path, host: str) -> Login | None:
    """The credentials that Docker would use for a registry; None where it has none.

    Raises UsageError for a config file or helper that does not work.
    """
    path = directory / "config.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise _unusable(f"cannot be read: {type(error).__name__}") from None
    if not isinstance(document, dict):
        raise _unusable("is no JSON object")
    names = _HUB if host == "docker.io" else (host, f"https://{host}")
    helpers = _table(document, "credHelpers")
    for name in names:
        helper = helpers.get(name) or document.get("credsStore")
        if isinstance(helper, str) and helper and (login := _ask_helper(helper, name)) is not None:
            return login
    auths = _table(document, "auths")
    for name in names:
        if (login := _stored(_table(auths, name))) is not None:
            return login
    return None


def _stored(entry: Mapping[str, object]) -> Login | None:
    identity_token = entry.get("identitytoken")
    if isinstance(identity_token, str) and identity_token:
        return Login(identity_token=identity_token)
    auth = entry.get("auth")
    if not isinstance(auth, str) or not auth:
        return None
    try:
        username, _, password = b64decode(auth, validate=True).decode().partition(":")
    except ValueError:
        raise _unusable("holds an `auth` that is no base64 of name:password") from None
    return Login(username, password)


def _ask_helper(helper: str, name: str) -> Login | None:
    """What `docker-credential-HELPER get` says. The secret comes by standard output, never by an argument."""
    if not re.fullmatch(r"[A-Za-z0-9._-]+", helper):
        raise _unusable(f"names a credential helper {helper[:40]!r} that is no program's name")
    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run(
            [program, "get"], input=name.encode(), capture_output=True, timeout=_HELPER_SECONDS, check=False
        )
    except FileNotFoundError:
        raise _unusable(f"names {program}, which is not installed") from None
    except OSError as error:
        raise _unusable(f"names {program}, which cannot be started: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise _unusable(f"names {program}, which did not answer in {_HELPER_SECONDS} s") from None
    if done.returncode != 0:
        return None  # the helpers' way to say that they have nothing for this host
    try:
        answer = json.loads(done.stdout)
        username, secret = answer["Username"], answer["Secret"]
    except (ValueError, KeyError, TypeError):
        raise _unusable(f"names {program}, whose answer is no JSON with Username and Secret") from None
    if username == "<token>":
        return Login(identity_token=str(secret))
    return Login(str(username), str(secret))


def _table(document: Mapping[str, object], key: str) -> Mapping[str, object]:
    value = document.get(key)
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else {}


def _unusable(what: str) -> UsageError:
    return UsageError(
        f"Docker's config file {what}",
        where="DOCKER_CONFIG/config.json",
        next_step="Mend it (docker login HOST writes it anew), or point DOCKER_CONFIG to an empty folder.",
    )
