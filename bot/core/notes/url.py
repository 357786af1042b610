"""A stranger's URL -> one that may be followed, or None."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote, unquote

from bot.core.text import visible

REDIRECT = "redirect.github.com"
"""GitHub's own host for links that must not leave a back-reference, as other update bots use it."""

_URL = re.compile(r"(https?)://([^/?#\\]{1,300})((?:[/?#].*)?)", re.IGNORECASE | re.DOTALL)
_HOST = re.compile(r"(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_REFERENCE = re.compile(r"(?<![A-Za-z0-9])(GH)-(?=[0-9])", re.IGNORECASE)
_PORT = re.compile(r":([0-9]{0,5})$")
_LONGEST = 2000


def safe_url(url: str) -> str | None:
    """An `https` URL in ASCII without user, or None where the link must not be one.

    Links to github.com, in whatever disguise, go to its redirect host. Nothing in the result is special to
    Markdown, inside `<...>` or `(...)`, and nothing in it is a mention or a reference in plain text.
    """
    match = _URL.fullmatch(visible(url[: 4 * _LONGEST]).strip())
    if match is None or len(url) > 4 * _LONGEST:
        return None
    scheme, authority, rest = match.groups()
    host = _host(authority)
    if host is None or (scheme.lower() == "http" and not _is_github_host(host)):
        return None
    port = _PORT.search(authority)
    if _is_github_host(host):
        origin = f"https://{REDIRECT}"
    else:
        origin = f"https://{host}" + (f":{port[1]}" if port and port[1] not in ("", "443") else "")
    result = origin + _rest(rest)
    return result if len(result) <= _LONGEST else None


def is_github(authority: str) -> bool:
    """Whether this part of a URL (`user@HOST:port`, encoded or not) leads to github.com."""
    host = _host(authority[-300:])
    return host is not None and _is_github_host(host)


def _is_github_host(host: str) -> bool:
    return host in ("github.com", "www.github.com")


def _host(authority: str) -> str | None:
    """The host as a browser reads it: percent-decoded, lower case, internationalised names in ASCII."""
    name = unquote(_PORT.sub("", authority.rpartition("@")[2]))
    name = unicodedata.normalize("NFKC", visible(name)).replace("\u3002", ".").lower().rstrip(".")
    if not name.isascii():
        try:
            name = name.encode("idna").decode()
        except UnicodeError:
            return None
    return name if _HOST.fullmatch(name) and not _REFERENCE.search(name) else None


def _rest(rest: str) -> str:
    """Path, query and fragment. Encoded are also characters that act on GitHub outside of links."""
    before, mark, fragment = rest.partition("#")
    encoded = _quoted(before)
    if mark:
        encoded += "#" + re.sub(r"^[0-9]", lambda digit: f"%3{digit[0]}", _quoted(fragment))
    return encoded


def _quoted(part: str) -> str:
    part = re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", part)
    part = quote(part, safe="/?:%+=&,.~!-_", errors="replace")
    part = part.replace("://", "%3A//")
    part = _REFERENCE.sub(r"\1%2D", part)
    return re.sub(r"(github)\.(?=com)", r"\1%2E", part, flags=re.IGNORECASE)
