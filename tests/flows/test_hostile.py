"""Servers, notes and repositories that mean harm."""

from __future__ import annotations

import gzip
import json
import os
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from bot.embedded.server import Fault, Response
from tests.flows.conftest import DOWNSTREAM, UPSTREAM, Town
from tests.flows.test_registry_faults import CANDIDATE, INDEX, edited, entries, on

# As GitHub's runner reads a step's output: `::` after white space at the beginning of a line, `##[` anywhere
COMMAND = re.compile(r"^\s*::|##\[", re.MULTILINE)
ACTIONS = {"GITHUB_ACTIONS": "true"}


def lying(town: Town, **changes: Any) -> list[dict[str, Any]]:
    """The candidate's entries, the first with other fields."""
    first, *rest = entries(town)
    return [first | changes, *rest]


LIES: dict[str, Any] = {
    "a linux platform twice by os.version": lambda e: [
        *e,
        e[0] | {"digest": f"sha256:{'1' * 64}", "platform": e[0]["platform"] | {"os.version": "9"}},
    ],
    "amd64 again as its variant v1": lambda e: [
        *e,
        e[0] | {"digest": f"sha256:{'1' * 64}", "platform": {"os": "linux", "architecture": "amd64", "variant": "v1"}},
    ],
    "amd64 again under another name": lambda e: [
        *e,
        e[0] | {"digest": f"sha256:{'1' * 64}", "platform": {"os": "Linux", "architecture": "x86_64"}},
    ],
    "two platforms with one digest": lambda e: [e[0], e[1] | {"digest": e[0]["digest"]}],
    "a platform that is an index": lambda e: [e[0] | {"mediaType": INDEX}, *e[1:]],
    "a platform that is an attestation": lambda e: [
        e[0] | {"annotations": {"vnd.docker.reference.type": "attestation-manifest"}},
        *e[1:],
    ],
}


@pytest.mark.parametrize("lie", LIES)
def test_an_index_whose_platforms_lie_is_refused(town: Town, lie: str) -> None:
    town.registry.push_bytes(UPSTREAM, "v1.4.1", edited(town, manifests=LIES[lie](entries(town))), INDEX)

    run = town.run("plan", "--json")

    assert (run.code, run.json["candidate"]) == (5, None)


def test_a_key_in_another_case_is_refused(town: Town) -> None:
    body = edited(town, mediaType=None, MediaType="application/json")
    town.registry.push_bytes(UPSTREAM, "v1.4.1", body, INDEX)

    run = town.run("plan", "--json")

    assert run.code == 5


def test_windows_images_of_several_versions_are_no_doubles(town: Town) -> None:
    windows = {"os": "windows", "architecture": "amd64"}
    more = [
        entries(town)[0] | {"digest": f"sha256:{n * 64}", "platform": windows | {"os.version": n}} for n in ("1", "2")
    ]
    town.registry.push_bytes(UPSTREAM, "v1.4.1", edited(town, manifests=[*entries(town), *more]), INDEX)

    run = town.run("plan", "--json")

    assert run.json["candidate"]["platforms"] == ["linux/amd64", "linux/arm64", "windows/amd64"]


def test_a_bomb_of_two_layers_is_not_unpacked(town: Town) -> None:
    bomb = gzip.compress(gzip.compress(b"0" * 50_000_000))
    answer = Response(200, bomb, (("Content-Encoding", "gzip, gzip"), ("Content-Type", "application/json")))
    town.github.intercept = lambda _, path: Fault(answer=answer) if "/releases" in path else None

    run = town.run("plan", "--json")

    assert run.code == 5


@pytest.mark.parametrize("command", [["plan", "--explain"], ["propose", "--dry-run"], ["plan", "--json"]], ids=str)
def test_nothing_that_is_printed_commands_the_runner(town: Town, command: list[str]) -> None:
    town.github.add_release(UPSTREAM, "::stop-commands::x")
    town.github.add_release(UPSTREAM, "##[error]x")
    town.release("v1.5.0", body="```\n::set-output name=a::b\n   ::error::x ##[group]y\n```\n\n##[warning]z")

    run = town.run(*command, environ=ACTIONS)

    assert COMMAND.findall(run.out) == []
    assert COMMAND.findall(run.err) == []
    assert run.code == 0


def test_json_is_the_same_document_without_what_nobody_sees(town: Town) -> None:
    ref = "v9.9.9-\u202eevil\u009b##[x]"
    town.github.add_release(UPSTREAM, ref)

    run = town.run("plan", "--json")

    assert "\u202e" not in run.out
    assert ref in [entry["ref"] for entry in json.loads(run.out)["selection"]]


def test_the_annotation_of_a_blocked_image_is_the_only_command(town: Town) -> None:
    town.registry.intercept = on(
        CANDIDATE, Fault(answer=Response(200, b"{}", (("Content-Type", "##[stop-commands]x\r\n".strip()),)))
    )

    run = town.run("plan", environ=ACTIONS)

    assert len(COMMAND.findall(run.err)) == 1
    assert COMMAND.findall(run.out) == []


@pytest.mark.parametrize(
    "published", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00", "9999-12-31T23:59:59Z"]
)
def test_a_date_out_of_range_is_an_integrity_error(town: Town, published: str) -> None:
    body = json.dumps([{"tag_name": "v9.9.9", "published_at": published}]).encode()
    answer = Response(200, body, (("Content-Type", "application/json"),))
    town.github.intercept = lambda _, path: Fault(answer=answer) if "/releases" in path else None

    run = town.run("plan", "--json")

    assert run.code == 5


BROKEN = [
    Response(200, b"{"),
    Response(200, b"[" * 100_000),
    Response(200, b"1" * 10_000),
    Response(404, b'{"message": {}}'),
    Response(422, b"[1]"),
    Response(301, b"", (("Location", "http://localhost:1/x"),)),
]


@pytest.mark.parametrize("answer", BROKEN, ids=lambda r: f"{r.status} {r.body[:9]!r}")
@pytest.mark.parametrize("path", ["/branches/main", "/pulls"])
def test_a_github_that_is_none_is_no_bug_and_loses_nothing(town: Town, answer: Response, path: str) -> None:
    left = [Fault(answer=answer, performed=path == "/pulls")]
    method = "POST" if path == "/pulls" else "GET"
    town.github.intercept = lambda verb, asked: left.pop() if verb == method and asked.endswith(path) and left else None

    first = town.run("propose")
    second = town.run("propose")

    assert first.code in {0, 5, 7}
    assert (second.code, len(town.github.pulls(DOWNSTREAM))) == (0, 1)


def test_a_release_page_cannot_write_into_the_text_above_the_fold(town: Town) -> None:
    url = "https://x/\n\n- ✅ **signature**: verified\n\n**Merge** at once [click](https://evil.example/)"
    release = {"tag_name": "v1.4.1", "published_at": datetime(2026, 8, 1, tzinfo=UTC).isoformat(), "html_url": url}
    pin = {"tag_name": "v1.3.1", "published_at": "2026-01-01T00:00:00Z"}
    answer = Response(200, json.dumps([release, pin]).encode(), (("Content-Type", "application/json"),))
    town.github.intercept = lambda _, path: Fault(answer=answer) if "/releases" in path else None

    run = town.run("propose", "--dry-run")

    above = run.out.partition("<summary>Release notes")[0]
    assert "**signature**" not in above
    assert "evil.example" not in above
    assert above.count("**Merge**") == 1


SETTINGS = {
    "a name of two lines": ('name = "agentgateway"', 'name = "agentgateway\\n"'),
    "git's own folder": ('file = "versions.env"', 'file = "sub/.GIT/config"'),
    "a file outside": ('file = "versions.env"', 'file = "../versions.env"'),
    "a file with a command": ('file = "versions.env"', 'file = "v\\n::error::x"'),
    "a file with a nul": ('file = "versions.env"', 'file = "v\\u0000"'),
    "a file with a code span": ('file = "versions.env"', 'file = "v`@all"'),
    "a number of 5,000 digits": ("[image.policy]", f"[image.policy]\ngrace_hours = {'9' * 5000}"),
    "deep nesting": ("[image.policy]", f"[image.policy]\nx = {'[' * 5000}"),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_settings_that_mean_harm_are_refused(town: Town, case: str) -> None:
    town.settings(*SETTINGS[case])

    run = town.run("check")

    assert COMMAND.findall(run.out + run.err) == []
    assert run.code == 2


def test_settings_that_never_end_are_not_read(town: Town) -> None:
    (town.root / "gateway-bot.toml").unlink()
    os.mkfifo(town.root / "gateway-bot.toml")

    run = town.run("check")

    assert run.code == 2


def test_a_link_on_the_base_is_not_made_anew(town: Town) -> None:
    data = town.checkout()["versions.env"][1]
    town.github.commit(DOWNSTREAM, "main", {"versions.env": ("120000", data)})

    run = town.run("propose")

    assert town.github.pulls(DOWNSTREAM) == ()
    assert run.code == 3


def test_what_nobody_foresaw_in_one_image_does_not_hide_the_others(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr("bot.flows.upgrade.decide", fail)

    run = town.run("plan", "--json")

    assert "secret" not in run.out + run.err
    assert (run.code, run.json["outcome"]) == (1, "blocked")


def test_a_long_dockerfile_is_read_in_time(town: Town) -> None:
    town.write("Dockerfile", town.text("Dockerfile") + "ARG A=1\n" * 40_000)

    run = town.run("check")

    assert run.code == 0
