"""One call of the API: who asks for what, the fields of its body, pages of an answer, and refusals."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from urllib.parse import unquote, urlencode

from bot.embedded.github.records import Account, Level
from bot.embedded.github.state import Repository
from bot.embedded.server import Request, Response, json_response

Item = TypeVar("Item")
MAX_BODY = 65_536
"""The characters that the body of an issue, pull request or comment may have."""


class RefusalError(Exception):
    """An answer other than success, raised wherever it becomes clear."""

    def __init__(self, status: int, message: str, errors: Sequence[object] = ()) -> None:
        super().__init__(message)
        body: dict[str, object] = {"message": message}
        if errors:
            body["errors"] = list(errors)
        body |= {"documentation_url": "https://docs.github.com/rest", "status": str(status)}
        self.response = json_response(status, body)


def invalid(resource: str, **error: str) -> RefusalError:
    """GitHub's `Validation Failed` with one entry in `errors`."""
    return RefusalError(422, "Validation Failed", [{"resource": resource, **error}])


def not_found() -> RefusalError:
    """What GitHub says of things that are not there, or not to be seen."""
    return RefusalError(404, "Not Found")


class Fields:
    """The fields of a JSON object that was sent. A field of the wrong type is refused."""

    def __init__(self, values: object) -> None:
        if not isinstance(values, dict):
            raise RefusalError(400, "Problems parsing JSON")
        self._values: dict[str, object] = values

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def value(self, name: str) -> object:
        """Whatever was sent; None where the field is missing."""
        return self._values.get(name)

    def is_null(self, name: str) -> bool:
        """Whether the field was sent as null."""
        return name in self._values and self._values[name] is None

    def text(self, name: str, resource: str = "Request") -> str:
        """A text that must be there."""
        value = self.optional_text(name)
        if value is None:
            raise invalid(resource, field=name, code="missing_field")
        return value

    def optional_text(self, name: str) -> str | None:
        value = self._values.get(name)
        if value is not None and not isinstance(value, str):
            raise RefusalError(422, f"Invalid request.\n\nFor 'properties/{name}', {value!r} is not a string.")
        return value

    def flag(self, name: str, *, default: bool = False) -> bool:
        value = self._values.get(name, default)
        return bool(value)

    def number(self, name: str) -> int | None:
        """A whole number, also one that was sent as a text; None where the field is missing or null."""
        value = self._values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not str(value).isdigit():
            raise RefusalError(422, f"Invalid request.\n\nFor 'properties/{name}', {value!r} is not an integer.")
        return int(str(value))

    def texts(self, name: str) -> list[str]:
        """A list of texts; empty where the field is missing."""
        return [value for value in self._items(name) if isinstance(value, str)]

    def names(self, name: str) -> list[str]:
        """A list of names, each a text or an object with `name`."""
        return [Fields(value).text("name") if isinstance(value, dict) else str(value) for value in self._items(name)]

    def sections(self, name: str) -> list[Fields]:
        """A list of objects."""
        return [Fields(value) for value in self._items(name)]

    def section(self, name: str) -> Fields | None:
        """An object, or None where it was left out."""
        value = self._values.get(name)
        return None if value is None else Fields(value)

    def _items(self, name: str) -> list[object]:
        value = self._values.get(name, [])
        if not isinstance(value, list):
            raise RefusalError(422, f"Invalid request.\n\nFor 'properties/{name}', {value!r} is not an array.")
        return value


@dataclass(frozen=True, slots=True)
class Call:
    """One authorised request to one repository. `names` are the parts of its path, decoded."""

    request: Request
    caller: Account | None
    repository: Repository
    names: tuple[str, ...]
    now: datetime
    bypass: bool = False
    """Whether the caller may bypass the rules that protect branches."""

    @property
    def repository_url(self) -> str:
        return f"{self.request.base_url}/repos/{self.repository.full_name}"

    @property
    def author(self) -> Account:
        """The caller of a request that needs one."""
        if self.caller is None:
            raise RefusalError(401, "Requires authentication")
        return self.caller

    def sent(self) -> object:
        """The JSON value of the body; an empty object where there is no body."""
        try:
            return json.loads(self.request.body or b"{}")
        except ValueError:
            raise RefusalError(400, "Problems parsing JSON") from None

    def fields(self) -> Fields:
        """The JSON object of the body."""
        return Fields(self.sent())

    def may_write(self) -> bool:
        """Whether the caller has push access, and so sees drafts."""
        return self.caller is not None and self.caller.may("contents", "write", self.repository.full_name)

    def may_triage(self) -> bool:
        """Whether the caller may label, assign and put into milestones.

        A person needs push access; an App the permission for issues or pull requests.
        """
        caller, name = self.caller, self.repository.full_name
        if caller is None or caller.kind == "User":
            return self.may_write()
        return self.may_write() or any(caller.may(held, "write", name) for held in ("issues", "pull_requests"))


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint below `/repos/OWNER/NAME`. Any one of `needs` is enough."""

    method: str
    path: re.Pattern[str]
    answer: Callable[[Call], Response]
    needs: tuple[tuple[str, Level], ...]


def route(method: str, path: str, answer: Callable[[Call], Response], *permissions: str) -> Route:
    """`{}` in a path stands for one segment, `{*}` for the rest."""
    pattern = re.escape(path).replace(r"\{\*\}", "(.+)").replace(r"\{\}", "([^/]+)")
    level: Level = "read" if method == "GET" else "write"
    return Route(method, re.compile(pattern), answer, tuple((name, level) for name in permissions))


def find(routes: Iterable[Route], method: str, path: str) -> tuple[Route, tuple[str, ...]]:
    """The first endpoint of this method and path, with the decoded parts of the path. Raises RefusalError."""
    for candidate in routes:
        if candidate.method == method and (matched := candidate.path.fullmatch(path)):
            return candidate, tuple(unquote(part) for part in matched.groups())
    raise not_found()


def authorise(wanted: Route, caller: Account | None, repository: Repository) -> None:
    """Raises RefusalError unless the caller may use the endpoint on this repository."""
    reading = wanted.method == "GET"
    if reading and not repository.private:
        return
    if caller is None:
        raise not_found() if repository.private else RefusalError(401, "Requires authentication")
    name = repository.full_name
    if repository.private and caller.repositories is not None and name not in caller.repositories:
        raise not_found()
    needs = wanted.needs or ((("metadata", "read"),) if reading else ())
    if reading and ("metadata", "read") in needs and caller.permissions:
        return
    if not any(caller.may(permission, level, name) for permission, level in needs):
        raise RefusalError(403, "Resource not accessible by integration")


def page(call: Call, items: Sequence[Item]) -> tuple[Sequence[Item], tuple[tuple[str, str], ...]]:
    """The page that was asked for, and the Link header that leads to the others."""
    size = min(max(_number(call, "per_page", 30), 1), 100)
    number = max(_number(call, "page", 1), 1)
    last = max(-(-len(items) // size), 1)
    relations: dict[str, int] = {}
    if number > 1:
        relations |= {"prev": min(number - 1, last), "first": 1}
    if number < last:
        relations |= {"next": number + 1, "last": last}
    links = []
    for relation, target in relations.items():
        query = {name: values[-1] for name, values in call.request.query.items()} | {"page": str(target)}
        links.append(f'<{call.request.base_url}{call.request.path}?{urlencode(query)}>; rel="{relation}"')
    headers = (("Link", ", ".join(links)),) if links else ()
    return items[(number - 1) * size : number * size], headers


def paged(call: Call, items: Sequence[Item], form: Callable[[Call, Item], object]) -> Response:
    """One page of a list as JSON."""
    shown, headers = page(call, items)
    return json_response(200, [form(call, item) for item in shown], *headers)


def _number(call: Call, name: str, default: int) -> int:
    value = call.request.value(name)
    return int(value) if value.isdigit() else default
