"""GitHub's published description of its REST API (OpenAPI 3.0) as a judge of requests and answers.

A request is held to more than the description's own schemas: where they allow further properties, one that is not
named is still a fault, because GitHub ignores it and the caller meant something by it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from jsonschema import Draft4Validator, ValidationError
from jsonschema.validators import extend

from bot.embedded.server import Exchange

# Any: schemas and bodies are JSON, and the schemas are what says which.
Schema = dict[str, Any]
_MAX_PAGE = 100
_JSON = "application/json"
_ANYWHERE = frozenset({401, 403, 404, 422, 429})
"""Refusals that GitHub gives to any request, documented with the operation or not."""
_UPLOADS = "/api/uploads"
"""What stands before the path where files are taken, on a host that is the API's too."""
_ENDS = {"path": "([^/]+)", "rest": "(.+)"}


@dataclass(frozen=True, slots=True)
class _Operation:
    template: str
    pattern: re.Pattern[str]
    names: tuple[str, ...]
    parameters: tuple[Schema, ...]
    body: Schema | None
    """The schema of the JSON body."""
    body_required: bool
    uploads: bool
    """Whether it takes raw bytes, at an address of its own."""
    responses: Mapping[str, Schema]


class Judge:
    """Judges exchanges by the description (the file `api.github.com.json`)."""

    def __init__(self, description: Schema) -> None:
        self._description = description
        self._operations = {
            method: sorted(self._parsed(method), key=_by_exactness)
            for method in ("get", "post", "put", "patch", "delete")
        }

    def faults(self, exchange: Exchange) -> list[str]:
        """What is wrong with the request, and with the status that answered it; empty where nothing is."""
        path = urlsplit(exchange.path).path
        found = self._operation(exchange.method, path)
        if found is None:
            return [f"{exchange.method} {path}: there is no such operation"]
        operation, values = found
        faults = [
            *self._faults_of_path(operation, values),
            *self._faults_of_query(operation, exchange),
            *self._faults_of_body(operation, exchange),
            *_faults_of_headers(exchange, raw=operation.uploads),
            *_faults_of_status(operation, exchange.status),
        ]
        return [f"{exchange.method} {operation.template}: {fault}" for fault in faults]

    def answer_faults(self, exchange: Exchange, read: Iterable[str]) -> list[str]:
        """What is wrong with the body of the answer. A required property may be missing unless it is in `read`."""
        found = self._operation(exchange.method, urlsplit(exchange.path).path)
        if found is None:
            return [f"{exchange.method} {exchange.path}: there is no such operation"]
        schema = self._schema_of_answer(found[0], exchange.status)
        if schema is None or not exchange.response.body:
            return []
        names = frozenset(read)
        errors = self._errors(schema, json.loads(exchange.response.body))
        return [f"{exchange.method} {found[0].template}: {fault}" for fault in _serious(errors, names)]

    def describes_answer(self, exchange: Exchange) -> bool:
        """Whether there is a schema for this answer at all."""
        found = self._operation(exchange.method, urlsplit(exchange.path).path)
        return found is not None and self._schema_of_answer(found[0], exchange.status) is not None

    def _parsed(self, method: str) -> Iterator[_Operation]:
        for template, item in self._description["paths"].items():
            if method not in item:
                continue
            given = item[method]
            parameters = tuple(
                self._resolved(one) for one in (*item.get("parameters", ()), *given.get("parameters", ()))
            )
            longer = {one["name"] for one in parameters if one.get("x-multi-segment")}
            names = tuple(re.findall(r"\{([^}]+)\}", template))
            pattern = re.escape(template)
            for name in names:
                pattern = pattern.replace(re.escape(f"{{{name}}}"), _ENDS["rest" if name in longer else "path"])
            body = self._resolved(given.get("requestBody", {}))
            yield _Operation(
                template,
                re.compile(pattern),
                names,
                parameters,
                body.get("content", {}).get("application/json", {}).get("schema"),
                body.get("required", False),
                "application/octet-stream" in body.get("content", {}),
                given["responses"],
            )

    def _operation(self, method: str, path: str) -> tuple[_Operation, tuple[str, ...]] | None:
        for operation in self._operations.get(method.lower(), ()):
            below = path.removeprefix(_UPLOADS)
            if (matched := operation.pattern.fullmatch(below)) and operation.uploads == (below != path):
                return operation, tuple(unquote(part) for part in matched.groups())
        return None

    def _resolved(self, value: Schema) -> Schema:
        while "$ref" in value:
            found: Any = self._description
            for part in value["$ref"].removeprefix("#/").split("/"):
                found = found[part.replace("~1", "/").replace("~0", "~")]
            value = found
        return value

    def _faults_of_path(self, operation: _Operation, values: tuple[str, ...]) -> Iterator[str]:
        schemas = {one["name"]: one["schema"] for one in operation.parameters if one["in"] == "path"}
        for name, value in zip(operation.names, values, strict=True):
            yield from self._faults_of_text(f"path parameter {name}", schemas.get(name, {}), value)

    def _faults_of_query(self, operation: _Operation, exchange: Exchange) -> Iterator[str]:
        known = {one["name"]: one for one in operation.parameters if one["in"] == "query"}
        sent = parse_qsl(urlsplit(exchange.path).query, keep_blank_values=True)
        names = [name for name, _ in sent]
        yield from (f"query parameter {name} is there more than once" for name in set(names) if names.count(name) > 1)
        for name, value in sent:
            if name not in known:
                yield f"query parameter {name} is not known"
            else:
                yield from self._faults_of_text(f"query parameter {name}", known[name]["schema"], value)
            if name == "per_page" and value.isdigit() and not 1 <= int(value) <= _MAX_PAGE:
                yield f"query parameter per_page: {value} is not between 1 and {_MAX_PAGE}"
        yield from (
            f"query parameter {name} is missing"
            for name, one in known.items()
            if one.get("required") and name not in names
        )

    def _faults_of_text(self, what: str, schema: Schema, text: str) -> Iterator[str]:
        """A parameter is a text on the way: it fits if any reading of it does."""
        readings: list[object] = [text]
        if re.fullmatch(r"-?[0-9]+", text):
            readings.append(int(text))
        if text in {"true", "false"}:
            readings.append(text == "true")
        if text == "" or not any(not list(self._errors(schema, reading)) for reading in readings):
            yield f"{what}: {text!r} does not fit"

    def _faults_of_body(self, operation: _Operation, exchange: Exchange) -> Iterator[str]:
        if operation.uploads:
            if not exchange.body:
                yield "there are no bytes"
            return
        if not exchange.body:
            if operation.body_required:
                yield "the body is missing"
            return
        if operation.body is None:
            yield "takes no body"
            return
        try:
            sent = json.loads(exchange.body)
        except ValueError:
            yield "the body is no JSON"
            return
        yield from (f"body{error.json_path[1:]}: {error.message}" for error in self._errors(operation.body, sent))
        yield from self._unknown(operation.body, sent, "body")

    def _schema_of_answer(self, operation: _Operation, status: int) -> Schema | None:
        response = self._resolved(operation.responses.get(str(status), {}))
        schema: Schema | None = response.get("content", {}).get("application/json", {}).get("schema")
        return schema

    def _errors(self, schema: Schema, value: object) -> Iterator[ValidationError]:
        # what its references name stands below `components` of the document
        document = {**schema, "components": self._description["components"]}
        yield from _nullable_validator()(document).iter_errors(value)

    def _unknown(self, schema: Schema, value: object, where: str) -> Iterator[str]:
        """Properties that no variant of the schema names."""
        variants = list(self._variants(schema))
        if isinstance(value, list):
            items = {"anyOf": [one["items"] for one in variants if "items" in one]}
            for number, inner in enumerate(value):
                yield from self._unknown(items, inner, f"{where}[{number}]")
        if not isinstance(value, dict):
            return
        named = [one["properties"] for one in variants if "properties" in one]
        free = [one for one in variants if isinstance(one.get("additionalProperties"), dict)]
        for name, inner in value.items():
            inside = [properties[name] for properties in named if name in properties]
            if not inside and not free:
                yield f"{where}.{name} is not known"
            yield from self._unknown({"anyOf": inside}, inner, f"{where}.{name}") if inside else ()

    def _variants(self, schema: Schema) -> Iterator[Schema]:
        schema = self._resolved(schema)
        yield schema
        for name in ("allOf", "anyOf", "oneOf"):
            for inner in schema.get(name, ()):
                yield from self._variants(inner)


_MUTATIONS = {
    "enablePullRequestAutoMerge": {
        *("pullRequestId", "mergeMethod", "commitHeadline", "commitBody", "authorEmail", "expectedHeadOid"),
        "clientMutationId",
    },
    "disablePullRequestAutoMerge": {"pullRequestId", "clientMutationId"},
    "convertPullRequestToDraft": {"pullRequestId", "clientMutationId"},
    "markPullRequestReadyForReview": {"pullRequestId", "clientMutationId"},
    # the last three are of each of its `refUpdates`
    "updateRefs": {"repositoryId", "refUpdates", "clientMutationId", "name", "beforeOid", "afterOid"},
}
"""What the bot may ask of GraphQL, which the description does not know, with the fields of each input."""


def graphql_faults(exchange: Exchange) -> list[str]:
    """What is wrong with a POST to GraphQL: one known mutation (or the viewer), and exactly the variables it names."""
    sent = json.loads(exchange.body)
    query, variables = sent.get("query", ""), sent.get("variables") or {}
    faults = [f"graphql: {name} is not known" for name in sent.keys() - {"query", "variables", "operationName"}]
    mutations: list[str] = re.findall(r"(\w+)\s*\(\s*input\s*:", query)
    for name in mutations:
        given = re.search(rf"\b{name}\s*\(\s*input\s*:\s*\{{([^}}]*)\}}", query)
        fields = set(re.findall(r"(\w+)\s*:", given[1])) if given else {"pullRequestId"}
        faults += [f"graphql: {name}.{field} is not known" for field in fields - _MUTATIONS.get(name, set())]
        needed = "repositoryId" if name == "updateRefs" else "pullRequestId"
        faults += [] if needed in fields else [f"graphql: {name}.{needed} is missing"]
    if len(mutations) != 1 and not re.fullmatch(r"(query\s*)?\{\s*viewer\s*\{\s*login\s*\}\s*\}", query.strip()):
        faults.append(f"graphql: neither one mutation nor the viewer: {query[:100]}")
    asked = set(re.findall(r"\$(\w+)", query))
    faults += [f"graphql: ${name} is on one side only" for name in sorted(asked ^ variables.keys())]
    return faults


def _by_exactness(operation: _Operation) -> tuple[int, int]:
    """Fewer parameters first, and of those the longer template: `/releases/latest` before `/releases/{release_id}`."""
    return len(operation.names), -operation.template.count("/")


def _faults_of_headers(exchange: Exchange, *, raw: bool) -> Iterator[str]:
    headers = exchange.headers
    if not headers.get("user-agent"):
        yield "there is no User-Agent, and GitHub refuses that"
    if raw and ("content-type" not in headers or int(headers.get("content-length", 0)) != len(exchange.body)):
        yield "the bytes do not say what they are, or how many"
    elif exchange.body and not raw and not headers.get("content-type", _JSON).startswith(_JSON):
        yield f"the body is {headers['content-type']}"


def _faults_of_status(operation: _Operation, status: int) -> Iterator[str]:
    """0 is a connection that a test dropped; 304 answers a conditional GET; a server may always fail."""
    server_error = 500
    if str(status) not in operation.responses and status not in {0, 304, *_ANYWHERE} and status < server_error:
        yield f"status {status} is not documented"


def _serious(errors: Iterable[ValidationError], read: frozenset[str]) -> list[str]:
    """The errors without the properties that are missing and that nobody reads."""
    found: list[str] = []
    for error in errors:
        if error.validator in {"anyOf", "oneOf"} and error.context:
            branches: dict[object, list[ValidationError]] = {}
            for inner in error.context:
                branches.setdefault(inner.schema_path[0], []).append(inner)
            best: list[str] = min((_serious(branch, read) for branch in branches.values()), key=len)
            found += best
        elif isinstance(error.validator_value, list) and isinstance(error.instance, dict):  # `required`
            missing = {str(name) for name in error.validator_value} - set(error.instance)
            found += [f"{error.json_path}: {name} is missing" for name in sorted(missing & read)]
        elif error.validator != "oneOf":  # several variants fit, now that nobody looks at what is missing
            found.append(f"{error.json_path}: {error.message[:200]}")
    return list(dict.fromkeys(found))


@cache
def _nullable_validator() -> Callable[..., Any]:
    """Draft 4 with OpenAPI's `nullable`: null fits a schema that has it, whatever else stands there."""

    # Any: jsonschema's own types of a keyword's check
    def wrapped(check: Callable[..., Any]) -> Callable[..., Any]:
        def checked(validator: Any, value: Any, instance: Any, schema: Schema) -> Iterator[ValidationError]:
            if instance is not None or not schema.get("nullable"):
                yield from check(validator, value, instance, schema) or ()

        return checked

    checks = {name: wrapped(check) for name, check in Draft4Validator.VALIDATORS.items()}
    made: Callable[..., Any] = extend(Draft4Validator, checks)  # type: ignore[no-untyped-call] # it has no types
    return made
