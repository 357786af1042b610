from __future__ import annotations

import socket
from typing import Any

import jsonschema
import pytest

from bot.core.gateway_config.reading import MAX_FAULTS, MAX_STEPS
from bot.core.gateway_config.schema import MAX_BYTES, MAX_LIST, MAX_NODES, MAX_PATTERNS, mismatches, parse_schema
from bot.core.gateway_config.values import Json
from tests.unit.gateway_config.schemas import body, closed, schema, tagged

FIELD: dict[str, Any] = {"properties": {"a": True}}
SECRET = "sk-0123456789"  # noqa: S105 - stands for one


def _deep(levels: int) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for _ in range(levels):
        nested = {"properties": {"a": nested}}
    return nested


@pytest.mark.parametrize(
    ("published", "why"),
    [
        (b"<!DOCTYPE html><title>404</title>", "it is no JSON"),
        (b'{"properties": {"a": {"maximum": NaN}}}', "it is no JSON"),
        (b"\xff", "it is no JSON"),
        (b"", "it is no JSON"),
        (b'{"a":' * 100_000, "it is nested too deeply"),
        (body(_deep(450)), "it is nested too deeply"),
        (b" " * (MAX_BYTES + 1), f"it is larger than {MAX_BYTES} bytes"),
        *[(body(value), "it is JSON but no object") for value in ([FIELD], True, "x", None)],
        *[(body({**FIELD, "$schema": address}), "not of draft 2020-12") for address in ("http://127.0.0.1:1/x", 1)],
        *[(body(each), "it describes no field") for each in ({}, {"type": "object"}, {"message": "Not Found"})],
        (body({"properties": {"a": {"type": "objekt"}}}), "does not allow what stands at `/properties/a/type`"),
        (body({**FIELD, "required": "a"}), "does not allow what stands at `/required`"),
        (body({**FIELD, "$defs": {"x": 3}}), "does not allow what stands at `/$defs/x`"),
        *[
            (body({**FIELD, "$ref": to}), f"a `$ref` points outside of it: `{to}`")
            for to in ("http://127.0.0.1:1/x", "file:///etc/passwd", "other.json#/$defs/x", "#x")
        ],
        *[
            (body({**FIELD, "anyOf": [{"$ref": to}]}), f"a `$ref` points to nothing: `{to}`")
            for to in ("#/$defs/x", "#/anyOf/1", "#/anyOf/00", "#/properties/a/x")
        ],
        (body({**FIELD, "default": {"type": 3}, "allOf": [{"$ref": "#/default"}]}), "points to what is no schema"),
        (body({**FIELD, "$defs": {"x": {"$id": "http://127.0.0.1:1/x"}}}), "it uses `$id`"),
        *[
            (body({**FIELD, "$defs": {"x": {word: "y"}}}), f"it uses `{word}`")
            for word in ("$anchor", "$dynamicAnchor")
        ],
        (body({**FIELD, "$defs": {"x": {"$dynamicRef": "#y"}}}), "it uses `$dynamicRef`"),
        *[
            (body({"properties": {"a": {"pattern": pattern}}}), "a pattern cannot be matched in linear time")
            for pattern in ("^(?=a)b", r"(a)\1", "((a{1000}){1000}){1000}", "(")
        ],
        (body({**FIELD, "patternProperties": {"(?<=x)y": True}}), "a pattern cannot be matched in linear time"),
        (body({**FIELD, "patternProperties": {f"{n}": True for n in range(MAX_PATTERNS + 1)}}), "regular expressions"),
        (body({"properties": {"a": {"enum": list(range(MAX_LIST + 1))}}}), f"a list of more than {MAX_LIST} entries"),
        (body({"properties": {f"{n}": {} for n in range(MAX_NODES + 1)}}), f"more than {MAX_NODES} subschemas"),
    ],
)
def test_a_schema_that_is_none_is_refused_with_the_reason(published: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        parse_schema(published)

    assert why in str(refused.value)


def test_nothing_is_fetched_for_a_schema() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/schema.json"
        places: tuple[dict[str, Any], ...] = (
            {"$schema": address},
            {"$ref": address},
            {"$dynamicRef": address},
            {"$defs": {"x": {"$schema": address, "$id": address}}},
            {"$vocabulary": {address: True}},
            {"$id": address, "$defs": {"x": {"$ref": "other.json"}}},
        )
        for place in places:
            try:
                mismatches(parse_schema(body({**FIELD, **place})), {"a": 1})
            except ValueError:
                continue

        with pytest.raises(TimeoutError):
            server.accept()


def test_words_of_a_schema_are_shown_without_what_nobody_sees() -> None:
    strange = schema({"a": {"enum": ["`x`", "\u202e\x1b[31m\n" + "z" * 1000]}}, defs={})

    (found,) = mismatches(strange, {"a": SECRET})

    assert found.message == f"must be `'x'` or `{'z' * 59}…`"


ALTERNATIVES = schema(
    {
        "port": {"type": ["integer", "null"], "minimum": 0, "maximum": 65535},
        "x": {"additionalProperties": {"uniqueItems": True}, "propertyNames": {"maxLength": 1}},
        "provider": {"$ref": "#/$defs/Provider"},
        "backends": {"type": "array", "items": {"$ref": "#/$defs/Backend"}},
        "auth": {"anyOf": [{"$ref": "#/$defs/Auth"}, {"type": "null"}]},
        "rule": {
            "oneOf": [
                closed({"type": {"const": kind}, "of": {"type": kind}}, "type", "of") for kind in ("string", "array")
            ]
        },
    },
    defs={
        "Provider": tagged(
            bedrock=closed({"region": {"type": "string"}, "model": {"type": ["string", "null"]}}, "region"),
            anthropic=closed({"model": {"type": ["string", "null"]}}),
        ),
        "Backend": {
            "type": "object",
            "properties": {"weight": {"type": "integer"}},
            "unevaluatedProperties": False,
            "oneOf": [
                {"type": "object", "properties": {"host": {"type": "string"}}, "required": ["host"]},
                {
                    "properties": {
                        "ai": {"anyOf": [{"$ref": "#/$defs/Provider"}, closed({"groups": {"type": "array"}}, "groups")]}
                    },
                    "required": ["ai"],
                },
            ],
        },
        "Auth": {"oneOf": [{"const": "copilot"}, {"enum": ["a", "b"]}, closed({"key": {"type": "string"}}, "key")]},
    },
)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, []),
        ({"port": None, "backends": [{"host": "x", "weight": 2}], "auth": "copilot"}, []),
        ({"prot": 1}, ["prot: unknown field; here can be `port`, `x`, `provider`, `backends`, `auth` or `rule`"]),
        ({"port": SECRET}, ["port: must be of type `integer` or `null`"]),
        ({"port": 70000}, ["port: breaks `maximum`: `65535`"]),
        (
            {"provider": {"azureOpenAI": {}}},
            ["provider.azureOpenAI: unknown field; here can be `bedrock` or `anthropic`"],
        ),
        (
            {"provider": {"bedrock": {"region": 1, "foo": SECRET}}},
            [
                "provider.bedrock.region: must be of type `string`",
                "provider.bedrock.foo: unknown field; here can be `region` or `model`",
            ],
        ),
        ({"provider": {"bedrock": {}}}, ["provider.bedrock: lacks `region`"]),
        ({"provider": {}}, ["provider: lacks one of `bedrock` or `anthropic`"]),
        ({"provider": SECRET}, ["provider: must be of type `object`"]),
        ({"backends": [{"weight": 1}]}, ["backends[0]: lacks one of `host` or `ai`"]),
        (
            {"backends": [{"host": "x"}, {"host": SECRET, "ai": {"groups": []}}]},
            ["backends[1]: `host` and `ai` exclude each other"],
        ),
        (
            {"backends": [{"ai": {"bedrock": {"region": SECRET, "x": 1}}}]},
            ["backends[0].ai.bedrock.x: unknown field; here can be `region` or `model`"],
        ),
        ({"backends": [{"ai": {"groups": SECRET}}]}, ["backends[0].ai.groups: must be of type `array`"]),
        (
            {"backends": [{"hots": SECRET, "weight": 1}]},
            [
                "backends[0]: lacks one of `host` or `ai`",
                "backends[0].hots: unknown field; here can be `weight`, `host` or `ai`",
            ],
        ),
        ({"auth": SECRET}, ["auth: must be `copilot`, `a` or `b`"]),
        ({"auth": {"keys": SECRET}}, ["auth.keys: unknown field; here can be `key`", "auth: lacks `key`"]),
        ({"auth": 1.5}, ["auth: must be `copilot`, `a` or `b`"]),
        ({"rule": {"type": "array", "of": SECRET}}, ["rule.of: must be of type `array`"]),
        ({"rule": {"type": SECRET, "of": []}}, ["rule.type: must be `string` or `array`"]),
        ([SECRET], [".: must be of type `object`"]),
        ({"x": {"long": SECRET}}, ["x.long: breaks `propertyNames`"]),
        ({"x": {"s": [SECRET, SECRET]}}, ["x.s: breaks `uniqueItems`: `true`"]),
    ],
)
def test_a_misfit_is_told_by_its_place_and_what_the_schema_wants(config: Json, expected: list[str]) -> None:
    actual = [f"{found.path}: {found.message}" for found in mismatches(ALTERNATIVES, config)]

    assert sorted(expected) == sorted(actual)
    assert SECRET not in str(actual)


KEYWORDS: list[tuple[dict[str, Any], list[Json]]] = [
    ({"type": "integer"}, [1, 1.0, 1.5, True, "1", None]),
    ({"type": ["number", "null"]}, [1, 1.5, False, None, []]),
    ({"enum": [1, "a", None, [1, {"b": 2}]]}, [1.0, True, "a", None, [1.0, {"b": 2}], [1]]),
    ({"const": False}, [False, 0, None, ""]),
    ({"minimum": 1, "exclusiveMaximum": 3}, [0, 1, 2.9, 3, "x", True]),
    ({"exclusiveMinimum": 1, "maximum": 3}, [1, 1.1, 3, 4]),
    ({"multipleOf": 0.5}, [1.5, 1.75, 1, 7e20, "x"]),
    ({"minLength": 1, "maxLength": 2}, ["", "a", "\U0001f600\U0001f600", "abc", 5, []]),
    ({"pattern": "^a+$"}, ["aa", "ab", "", 1]),
    ({"minItems": 1, "maxItems": 2, "uniqueItems": True}, [[], [1], [1, True], [1, 1.0], [1, 2, 3], [{}, {}], "ab"]),
    ({"minProperties": 1, "maxProperties": 2}, [{}, {"a": 1}, {"a": 1, "b": 1, "c": 1}, "abc"]),
    (
        {"required": ["a"], "dependentRequired": {"b": ["c"]}},
        [{}, {"a": 1}, {"a": 1, "b": 1}, {"a": 1, "b": 1, "c": 1}],
    ),
    ({"properties": {"a": False, "b": True}}, [{"a": 1}, {"b": 1}, {"c": 1}]),
    (
        {"patternProperties": {"^x-": {"type": "string"}}, "additionalProperties": False},
        [{"x-a": "b"}, {"x-a": 1}, {"a": 1}],
    ),
    (
        {"additionalProperties": {"type": "string"}, "propertyNames": {"maxLength": 2}},
        [{"ab": "c"}, {"abc": "c"}, {"a": 1}],
    ),
    ({"prefixItems": [{"type": "string"}], "items": {"type": "integer"}}, [[], ["a", 1], [1], ["a", "b"]]),
    ({"contains": {"type": "string"}, "maxContains": 1}, [[], ["a"], ["a", "b"], [1, "a"]]),
    ({"contains": {"type": "string"}, "minContains": 0}, [[], [1]]),
    (
        {"prefixItems": [True], "contains": {"type": "string"}, "unevaluatedItems": False},
        [[1, "a"], [1, "a", 2], ["a"]],
    ),
    ({"not": {"required": ["a", "b"]}}, [{"a": 1}, {"a": 1, "b": 1}]),
    ({"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}, [{}, {"a": 1}, {"b": 1}, {"a": 1, "b": 1}]),
    (
        {"if": {"required": ["a"]}, "then": {"required": ["b"]}, "else": {"required": ["c"]}},
        [{"a": 1}, {"a": 1, "b": 1}, {}],
    ),
    ({"dependentSchemas": {"a": {"required": ["b"]}}}, [{"a": 1}, {"a": 1, "b": 2}, {"c": 1}]),
    (
        {
            "properties": {"a": True},
            "anyOf": [{"properties": {"b": {"const": 1}}}, {"required": ["c"]}],
            "unevaluatedProperties": False,
        },
        [{"a": 1}, {"b": 1}, {"b": 2}, {"c": 1}, {"b": 2, "c": 1}, {"a": 1, "z": 1}],
    ),
    (
        {
            "if": {"properties": {"a": {"const": 1}}, "required": ["a"]},
            "then": {"properties": {"b": True}},
            "unevaluatedProperties": False,
        },
        [{"a": 1}, {"a": 1, "b": 1}, {"a": 2}, {"b": 1}],
    ),
    (
        {"$ref": "#/$defs/Tree~1%25", "$defs": {"Tree/%": {"type": "array", "items": {"$ref": "#/$defs/Tree~1%25"}}}},
        [[], [[[]]], [[1]]],
    ),
]


@pytest.mark.parametrize(("document", "values"), KEYWORDS, ids=[",".join(document) for document, _ in KEYWORDS])
def test_what_fits_is_what_another_validator_says_fits(document: dict[str, Any], values: list[Json]) -> None:
    judge = jsonschema.Draft202012Validator(document)
    inner = {key: value for key, value in document.items() if key != "$defs"}
    read = parse_schema(body({"properties": {"here": inner}, "$defs": document.get("$defs", {})}))

    expected = [judge.is_valid(value) for value in values]

    assert expected == [not mismatches(read, {"here": value}) for value in values]
    assert len(values) == 1 or set(expected) == {True, False} or "minContains" in document


def test_branches_of_branches_cost_no_more_than_parts_times_places() -> None:
    levels = 200
    both = {f"L{n}": {"anyOf": [{"$ref": f"#/$defs/L{n + 1}"}] * 2} for n in range(levels // 2)}
    twice = schema({"a": {"$ref": "#/$defs/L0"}}, defs={**both, f"L{levels // 2}": {"type": "string"}})

    (found,) = mismatches(twice, {"a": 1})

    assert found.message == "must be of type `string`"


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ({"$ref": "#/$defs/Loop"}, 1, "leads back to itself"),
        ({"$ref": "#/$defs/D0"}, 1, "nested too deeply"),
        (
            {"items": {"allOf": [{"not": {"const": n}} for n in range(100)]}},
            [-1] * 1_000,
            f"more than {MAX_STEPS} steps",
        ),
        ({"items": {"enum": list(range(MAX_LIST))}}, [-1] * 1_000, f"more than {MAX_STEPS} steps"),
        ({"patternProperties": {f"{n}": True for n in range(100)}}, {f"{n}": 1 for n in range(3_000)}, "steps"),
    ],
)
def test_what_takes_too_long_is_not_known(field: dict[str, Any], value: Json, why: str) -> None:
    loop = {"allOf": [{"anyOf": [{"$ref": "#/$defs/Loop"}]}]}
    chain: dict[str, Any] = {f"D{n}": {"$ref": f"#/$defs/D{n + 1}"} for n in range(2_000)}
    hostile = schema({"a": field}, defs={**chain, "D2000": True, "Loop": loop})

    with pytest.raises(ValueError, match=why):
        mismatches(hostile, {"a": value})


def test_only_so_many_misfits_are_told() -> None:
    actual = mismatches(schema({"a": True}), {f"b{n}": SECRET for n in range(10_000)})

    assert len(actual) == MAX_FAULTS
