from __future__ import annotations

from typing import Any

import pytest

from bot.core.gateway_config.differences import MAX_DIFFERENCES, Difference, differences
from bot.core.gateway_config.schema import mismatches
from bot.core.gateway_config.values import Json
from tests.unit.gateway_config.schemas import closed, schema, tagged

SECRET = "sk-0123456789"  # noqa: S105 - stands for one


def _told(old: dict[str, Any], new: dict[str, Any], config: Json) -> list[str]:
    """The differences where `old` and `new` are the schemas of the one field `a`; what breaks is marked."""
    before, after = (schema({"a": node}) for node in (old, new))
    found = differences(before, after, {"a": config})
    assert SECRET not in str(found)
    assert any(one.breaks for one in found) == bool(mismatches(after, {"a": config}))
    return [f"{'! ' if one.breaks else ''}{one.path} {one.kind}: {one.text}" for one in found]


TEXT: dict[str, Any] = {"type": "string"}
MAYBE = {"anyOf": [TEXT, {"type": "null"}]}
NUMBER: dict[str, Any] = {"type": "integer"}
GONE = "no longer allowed: "


@pytest.mark.parametrize(
    ("old", "new", "config", "expected"),
    [
        (closed({"b": TEXT}), closed({}), {"b": SECRET}, ["! a.b removed: is gone"]),
        (closed({"b": TEXT, "c": TEXT}), closed({"c": TEXT}), {"c": SECRET}, []),
        (
            closed({"maxTLSVersion": TEXT}),
            closed({"maxTlsVersion": TEXT, "x": TEXT}),
            {"maxTLSVersion": SECRET},
            ["! a.maxTLSVersion renamed: is gone; `maxTlsVersion` is new there and may take its place"],
        ),
        (
            closed({"auth": {**TEXT, "description": "How to log in."}}),
            closed({"credentials": {**TEXT, "description": "How to log in."}, "author": TEXT}),
            {"auth": SECRET},
            ["! a.auth renamed: is gone; `credentials` is new there and may take its place"],
        ),
        (
            closed({"logging": TEXT, "audit": TEXT}),
            closed({"audit": TEXT}),
            {"logging": "x"},
            ["! a.logging removed: is gone"],
        ),
        (closed({"logging": TEXT}), closed({"audit": TEXT}), {"logging": "x"}, ["! a.logging removed: is gone"]),
        (
            tagged(azureOpenAI=TEXT, openAI=TEXT),
            tagged(azure=TEXT, openAI=TEXT),
            {"azureOpenAI": SECRET},
            ["! a.azureOpenAI renamed: is gone; `azure` is new there and may take its place"],
        ),
        (
            {"properties": {"b": TEXT}},
            closed({"b": TEXT}),
            {"b": "x", "c": SECRET},
            ["! a.c refused: fields that the schema does not know are refused now"],
        ),
        (
            closed({"b": TEXT}),
            {"type": "object"},
            {"b": "x"},
            ["a.b removed: is gone; it is taken, but may do nothing"],
        ),
        (closed({"b": TEXT}), {"additionalProperties": TEXT}, {"b": "x"}, []),
        (
            closed({"b": TEXT}),
            closed({"b": TEXT, "c": TEXT}, "c"),
            {"b": "x"},
            ["! a required: `c` is required now; ours lacks it"],
        ),
        (closed({"b": TEXT}), closed({"b": TEXT}, "b"), {"b": "x"}, ["a required: `b` is required now; ours fits"]),
        (
            closed({"b": TEXT}),
            tagged(c=TEXT, d=TEXT),
            {},
            ["! a required: one of `c` or `d` is required now; ours has none"],
        ),
        (
            {"properties": {"b": TEXT, "c": TEXT}},
            {"properties": {"b": TEXT, "c": TEXT}, "not": {"required": ["b", "c"]}},
            {"b": "x", "c": "x"},
            ["! a combination: now `b` and `c` exclude each other"],
        ),
        (
            closed({"b": TEXT, "c": TEXT, "d": TEXT}),
            {
                "unevaluatedProperties": False,
                "anyOf": [{"properties": {"b": TEXT}, "required": ["b"]}, closed({"c": TEXT, "d": TEXT}, "c", "d")],
            },
            {"b": "x", "c": SECRET},
            ["! a.c combination: does not go with what else stands there now"],
        ),
        (TEXT, NUMBER, SECRET, ["! a type: must be of type `integer` now, was `string`"]),
        ({"type": ["string", "null"]}, TEXT, None, ["! a type: must be of type `string` now, was `string` or `null`"]),
        ({"type": ["string", "integer"]}, TEXT, "x", []),
        ({"enum": ["b", "c", "d"]}, {"enum": ["b"]}, "b", [f"a values: {GONE}`c` and `d`; ours still is"]),
        (
            {"enum": ["b", "c"]},
            {"enum": ["c", "d"]},
            "b",
            ["! a values: ours is not one of the values allowed now: `c` or `d`"],
        ),
        ({"const": 1}, {"const": 2}, 1, ["! a values: ours is not one of the values allowed now: `2`"]),
        ({"enum": ["b", "c"]}, {"oneOf": [{"const": "b"}]}, "b", [f"a values: {GONE}`c`; ours still is"]),
        ({"maximum": 9}, {"maximum": 5}, 3, ["a limit: `maximum` is `5` now, was `9`; ours fits"]),
        ({"maximum": 9}, {"maximum": 5}, 7, ["! a limit: `maximum` is `5` now, was `9`; ours does not fit"]),
        (TEXT, {**TEXT, "minLength": 2}, SECRET, ["a limit: `minLength` is `2` now, was not limited; ours fits"]),
        ({"pattern": "^s"}, {"pattern": "^sk"}, SECRET, ["a limit: `pattern` is `^sk` now, was `^s`; ours fits"]),
        ({}, {"pattern": "^x"}, SECRET, ["! a limit: `pattern` is `^x` now, was not limited; ours does not fit"]),
        ({}, {"contains": TEXT}, [1], ["! a limit: ours breaks `contains` now"]),
        ({}, {"propertyNames": {"maxLength": 1}}, {"bc": 1}, ["! a.bc limit: ours breaks `propertyNames` now"]),
        (TEXT, {**TEXT, "deprecated": True}, "x", ["a deprecated: deprecated"]),
        ({**TEXT, "deprecated": True}, {**TEXT, "description": "Deprecated: use `b`."}, "x", []),
    ],
)
def test_what_a_new_schema_changes_for_ours_is_told(
    old: dict[str, Any], new: dict[str, Any], config: Json, expected: list[str]
) -> None:
    assert expected == _told(old, new, config)


SPLIT = {"anyOf": [{"$ref": "#/properties/z"}, {"enum": ["c"]}]}


@pytest.mark.parametrize(
    ("old", "new", "config"),
    [
        (TEXT, {**MAYBE, "description": "Other words.", "default": "y", "title": "A"}, "x"),
        ({"type": ["string", "null"]}, MAYBE, None),
        ({"enum": ["b", "c"]}, {"anyOf": [{"enum": ["b"]}, {"oneOf": [{"const": "c"}, {"type": "null"}]}]}, "b"),
        (closed({"b": TEXT}), closed({"b": TEXT, "c": {**TEXT, "deprecated": True}}), {"b": "x"}),
        (
            closed({"b": TEXT}, "b"),
            {"allOf": [{"properties": {"b": TEXT}}, {"required": ["b"]}], "unevaluatedProperties": False},
            {"b": "x"},
        ),
        (
            tagged(b=TEXT, c=NUMBER),
            {"type": "object", "oneOf": [{"properties": {"b": TEXT}, "required": ["b"]}, {"required": ["c"]}]},
            {"b": "x"},
        ),
        ({"maximum": 5}, {"maximum": 9, "format": "uint8"}, 3),
        ({"properties": {"b": TEXT}, "minProperties": 1}, closed({"b": TEXT}, "b"), {"b": "x"}),
        ({"items": TEXT}, {"prefixItems": [TEXT], "items": MAYBE, "minItems": 0}, ["x", "y"]),
    ],
)
def test_what_moved_or_became_wider_is_no_difference(old: dict[str, Any], new: dict[str, Any], config: Json) -> None:
    actual = [line for line in _told(old, new, config) if "minItems" not in line]

    assert actual == []


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        (
            "The port.\nDeprecated; usage of `gateways`\nis recommended instead. More.",
            "Deprecated; usage of `gateways` is recommended instead",
        ),
        ("The port. Deprecated: use `b`", "Deprecated: use `b`"),
        ("**DEPRECATED** since 1.2", "DEPRECATED since 1.2"),
        ("(deprecated)", "deprecated"),
        ("This has been deprecated in favour of b. It stays.", "This has been deprecated in favour of b"),
        ("Which deprecated versions of TLS to accept.", None),
        ("It replaces the\ndeprecated `b`.", None),
        ("This is not deprecated.", None),
    ],
)
def test_a_description_that_calls_a_field_deprecated_is_quoted(description: str, expected: str | None) -> None:
    actual = _told(TEXT, {**TEXT, "description": description}, "x")

    assert ([] if expected is None else [f"a deprecated: {expected}"]) == [
        line.replace("x …", "x …") for line in actual
    ]


def test_every_item_of_a_list_is_told_of_once() -> None:
    old, new = ({"type": "array", "items": closed(fields)} for fields in ({"b": TEXT}, {}))

    assert _told(old, new, [{"b": "x"}, {"b": "y"}, {}]) == ["! a[].b removed: is gone"]


def test_what_breaks_comes_first() -> None:
    old = schema({"a": TEXT, "b": TEXT, "c": TEXT})
    new = schema({"a": {**TEXT, "deprecated": True}, "c": NUMBER})

    actual = [(one.path, one.breaks) for one in differences(old, new, {"a": "x", "b": "x", "c": "x"})]

    assert actual == [("b", True), ("c", True), ("a", False)]


def test_what_did_not_fit_before_is_no_difference() -> None:
    old = schema({"a": NUMBER})
    new = schema({"a": NUMBER, "b": closed({"c": NUMBER}), "d": {"deprecated": True}})

    assert differences(old, new, {"a": "x", "b": {"c": "x"}, "d": 1}) == ()


def test_fields_are_known_through_references() -> None:
    old, new = (
        schema({"a": {"$ref": "#/$defs/Tls"}}, defs={"Tls": closed({key: TEXT})})
        for key in ("minTLSVersion", "minTlsVersion")
    )

    actual = [one.kind for one in differences(old, new, {"a": {"minTLSVersion": "x"}})]

    assert actual == ["renamed"]


def test_only_so_many_differences_are_told() -> None:
    old, new = (
        schema({f"a{n}": TEXT for n in range(300)}),
        schema({f"a{n}": {**TEXT, "deprecated": True} for n in range(300)}),
    )

    actual = differences(old, new, {f"a{n}": "x" for n in range(300)})

    assert len(actual) == MAX_DIFFERENCES


def test_a_schema_that_refers_to_itself_is_compared() -> None:
    def tree(**field: object) -> dict[str, Any]:
        return {
            "Tree": closed({"inside": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}, "name": {**TEXT, **field}})
        }

    before, after = (schema({"a": {"$ref": "#/$defs/Tree"}}, defs=defs) for defs in (tree(), tree(maxLength=2)))
    config: Json = {"a": {"inside": [{"inside": [{"name": "long"}]}], "name": "x"}}

    text = "`maxLength` is `2` now, was not limited"
    assert differences(before, after, config) == (
        Difference("a.inside[].inside[].name", "limit", f"{text}; ours does not fit", breaks=True),
        Difference("a.name", "limit", f"{text}; ours fits"),
    )


def test_what_cannot_be_found_out_is_no_answer() -> None:
    fine = schema({"a": True})
    loop = schema({"a": {"$ref": "#/$defs/L"}}, defs={"L": {"anyOf": [{"$ref": "#/$defs/L"}]}})

    for old, new in ((fine, loop), (loop, fine)):
        with pytest.raises(ValueError, match="leads back to itself"):
            differences(old, new, {"a": 1})


def test_what_is_not_known_of_other_values_is_not_told() -> None:
    old = schema({"a": {"enum": ["b", "c"]}})
    new = schema(
        {"a": {"if": {"const": "b"}, "else": {"$ref": "#/$defs/L"}}}, defs={"L": {"anyOf": [{"$ref": "#/$defs/L"}]}}
    )

    assert differences(old, new, {"a": "b"}) == ()
