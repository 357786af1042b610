from __future__ import annotations

import json
from typing import Any

import pytest

from bot.core.terraform_changes import Changed, Changes, changes
from bot.errors import ServiceError

OLD, NEW = (f"ghcr.io/acme/app@sha256:{digit * 64}" for digit in "ab")
ARN = "arn:aws:ecs:eu-central-1:111122223333:task-definition/app"


MARKS = ("after_unknown", "before_sensitive", "after_sensitive", "importing")


def resource(
    address: str, actions: list[str], before: object = None, after: object = None, **more: Any
) -> dict[str, Any]:
    change: dict[str, Any] = {"actions": actions, "before": before, "after": after, "after_unknown": {}}
    change |= {name: more.pop(name) for name in MARKS if name in more}
    return {"address": address, "mode": "managed", "change": change, **more}


def plan(*resources: dict[str, Any], **more: object) -> bytes:
    return json.dumps({"format_version": "1.2", "resource_changes": resources, **more}).encode()


def task(image: str, **more: object) -> dict[str, object]:
    return {"container_definitions": json.dumps([{"name": "app", "image": image, **more}])}


def replaced(before: object, after: object) -> tuple[str, ...]:
    return changes(plan(resource("a.b", ["update"], {"x": before}, {"x": after})), NEW).was


@pytest.mark.parametrize(
    ("before", "after", "was"),
    [
        (OLD, NEW, (OLD,)),
        ([OLD], [NEW], (OLD,)),
        ({"y": [{"z": OLD}]}, {"y": [{"z": NEW}]}, (OLD,)),
        (f"docker run {OLD} -f x", f"docker run {NEW} -f x", (OLD,)),
        (json.dumps({"image": OLD, "cpu": 0}), json.dumps({"image": NEW}), (OLD,)),
        (
            json.dumps([{"name": "side", "image": "x:1"}, {"name": "app", "image": OLD}]),
            json.dumps([{"name": "app", "image": NEW}, {"name": "side", "image": "x:1"}]),
            (OLD,),
        ),
        ([OLD, "x:1"], [NEW, NEW], tuple(sorted((OLD, "x:1")))),
        (f"docker run {OLD} -f x", f"docker run {NEW} -f y", ()),
        ("docker run -d it", f"docker {NEW} it", ()),
        (f"{NEW} {OLD}", f"{NEW} {NEW}", ()),
        ("a b", NEW, ()),
        ("--destroy", NEW, ()),
        (None, NEW, ()),
        (7, NEW, ()),
        ("{", NEW, ()),
        ("x", json.dumps({"image": NEW}), ()),
        (NEW, NEW, ()),
        (NEW, OLD, ()),
    ],
)
def test_the_image_that_goes_is_what_stands_where_the_other_one_comes(
    before: object, after: object, was: tuple[str, ...]
) -> None:
    actual = replaced(before, after)

    assert actual == was


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (resource("a.b", ["create"]), (Changed("a.b", "create"),)),
        (resource("a.b", ["update"]), (Changed("a.b", "update"),)),
        (resource("a.b", ["delete", "create"]), (Changed("a.b", "replace"),)),
        (resource("a.b", ["create", "delete"]), (Changed("a.b", "replace"),)),
        (resource("a.b", ["delete"]), (Changed("a.b", "delete"),)),
        (resource("a.b", ["delete"], deposed="0a1b"), (Changed("a.b (deposed)", "delete"),)),
        (resource("a.b", ["forget"]), (Changed("a.b", "forget"),)),
        (resource("a.b", ["invented"]), (Changed("a.b", "other"),)),
        (resource("a.b", ["no-op"], previous_address="a.c"), (Changed("a.b", "move"),)),
        (resource("a.b", ["no-op"], importing={"id": "1"}), (Changed("a.b", "import"),)),
        (resource("a.b", ["no-op"]), ()),
        (resource("data.a.b", ["read"], mode="data"), ()),
    ],
)
def test_every_change_has_one_word_and_reading_is_none(entry: dict[str, Any], expected: tuple[Changed, ...]) -> None:
    actual = changes(plan(entry), NEW).changed

    assert actual == expected


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        ({}, False),
        ({"before_sensitive": {"x": True}}, True),
        ({"after_sensitive": {"x": [False, {"y": True}]}}, True),
        ({"before_sensitive": True}, True),
        ({"before_sensitive": {"other": True}, "after_sensitive": {"x": [False]}}, False),
    ],
)
def test_an_image_in_something_that_is_marked_sensitive_is_a_secret(marks: dict[str, Any], *, expected: bool) -> None:
    actual = changes(plan(resource("a.b", ["update"], {"x": OLD}, {"x": NEW}, **marks)), NEW).is_secret

    assert actual == expected


def test_a_resource_that_has_the_image_and_does_not_change_holds_it() -> None:
    there = resource("a.b", ["no-op"], task(NEW), task(NEW))

    assert changes(plan(there), OLD).held is False
    assert changes(plan(there), NEW) == Changes(held=True)


def test_what_only_reads_the_image_does_not_run_it() -> None:
    looked_up = resource("data.aws_ecr_image.app", ["no-op"], task(NEW), task(NEW), mode="data")

    assert changes(plan(looked_up), NEW) == Changes()


def test_what_only_has_to_be_pointed_at_the_image_takes_the_place_of_none() -> None:
    holder = resource("aws_ecs_task_definition.app", ["no-op"], task(NEW), {**task(NEW), "arn": f"{ARN}:8"})
    service = resource("aws_ecs_service.app", ["update"], {"task": f"{ARN}:7"}, {"task": f"{ARN}:8"})

    actual = changes(plan(holder, service), NEW)

    assert actual == Changes((Changed("aws_ecs_service.app", "update"),), held=True)


@pytest.mark.parametrize("more", [{"complete": False}, {"errored": True}])
def test_a_plan_that_is_not_all_says_so(more: dict[str, bool]) -> None:
    assert changes(plan(), NEW).complete is True
    assert changes(plan(**more), NEW).complete is False


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{}",
        b"[]",
        b"not json",
        b'{"format_version": "2.0"}',
        b'{"format_version": "1.2", "resource_changes": [{}]}',
        b'{"format_version": "1.2", "resource_changes": [{"address": "a.b"}]}',
        b"[" * 100_000,
        plan(resource("a.b", ["update"])).replace(b'"after": null', b'"after": ' + b"[" * 50_000 + b"]" * 50_000),
    ],
)
def test_what_is_no_plan_is_not_read_as_one_without_changes(document: bytes) -> None:
    with pytest.raises(ServiceError) as error:
        changes(document, NEW)

    assert error.value.exit_code == 4
