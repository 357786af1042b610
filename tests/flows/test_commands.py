"""The commands as their user meets them: help, wrong use, interruption, what is on which stream."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import pytest

from bot.embedded.server import Fault, Response
from tests.flows.conftest import DOWNSTREAM, TOKEN, UPSTREAM, Town

COMMANDS: tuple[tuple[str, ...], ...] = (
    (),
    ("check",),
    ("resolve",),
    ("plan",),
    ("apply",),
    ("propose",),
    ("demo",),
    ("config",),
    ("config", "validate"),
    ("config", "schema"),
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_holds_an_example_and_needs_no_settings(empty_town: Town, command: tuple[str, ...], option: str) -> None:
    empty_town.root.mkdir()

    run = empty_town.run(*command, option)

    assert re.search(rf"Example: .*gateway-bot {' '.join(command)}", run.out)
    assert (run.code, run.err) == (0, "")


def test_the_examples_of_the_help_run(town: Town) -> None:
    examples = [
        ("plan", "--explain"),
        ("check", "--fix"),
        ("apply", "--to", "v1.4.1"),
        ("propose", "--dry-run"),
        ("config", "validate"),
        ("config", "schema"),
    ]

    actual = {" ".join(example): town.run(*example).code for example in examples}

    assert actual == dict.fromkeys(map(" ".join, examples), 0)


@pytest.mark.parametrize(
    "args",
    [
        ("--nope",),
        ("nope",),
        ("plan", "--nope"),
        ("plan", "extra"),
        ("plan", "--to"),
        ("plan", "--image", "other"),
        ("check", "--image", "other"),
        ("apply", "--plan", "/nonexistent"),
        ("apply", "--plan", "/"),
        ("plan", "--save", "/nonexistent/plan"),
        ("plan", "--save", "/"),
        ("apply", "--plan", "gateway-bot.toml", "--to", "v1.4.1"),
        ("resolve",),
        ("resolve", "v1 4"),
        ("resolve", "ghcr.io/a/b"),
        ("resolve", "ghcr.io/a/B:x"),
        ("resolve", "a/b:x"),
        ("resolve", "sha256:short"),
        ("resolve", "v1.4.1", "--image", "other"),
        ("config", "nope"),
    ],
    ids=" ".join,
)
def test_wrong_use_is_exit_2_on_standard_error(town: Town, args: tuple[str, ...]) -> None:
    run = town.run(*args)

    assert "Traceback" not in run.err
    assert run.err
    assert (run.code, run.out) == (2, "")


@pytest.mark.parametrize("folder", ["nowhere", "versions.env"])
def test_a_folder_that_is_none_is_wrong_use(town: Town, folder: str) -> None:
    run = town.run("-C", str(town.root / folder), "check")

    assert run.code == 2


@pytest.mark.parametrize("command", ["check", "plan", "apply", "propose"])
@pytest.mark.parametrize(("content", "words"), [(None, "are no settings"), (b"\xff", "be read"), (b"[", "no TOML")])
def test_settings_that_cannot_be_read_are_exit_2(town: Town, command: str, content: bytes | None, words: str) -> None:
    (town.root / "gateway-bot.toml").unlink()
    if content is not None:
        (town.root / "gateway-bot.toml").write_bytes(content)

    run = town.run(command)

    assert words in run.err
    assert "\n  next: " in run.err
    assert run.code == 2


def test_a_tag_or_a_digest_is_resolved(town: Town) -> None:
    digest = town.digests["v1.4.1"]
    answers = [
        town.run("resolve", ref)
        for ref in ("v1.4.1", digest, f"{town.image}:v1.4.1", f"{town.image}@{digest}", f"{town.image}:v1.4.1@{digest}")
    ]
    as_json = town.run("resolve", "v1.4.1", "--json").json

    assert [run.out.splitlines()[0] for run in answers] == [digest] * 5
    assert answers[0].out.splitlines()[2] == "linux/amd64, linux/arm64"
    assert as_json == {
        "reference": f"{town.image}:v1.4.1",
        "digest": digest,
        "media_type": "application/vnd.oci.image.index.v1+json",
        "platforms": ["linux/amd64", "linux/arm64"],
    }


def test_a_whole_reference_needs_no_settings(town: Town) -> None:
    (town.root / "gateway-bot.toml").unlink()

    run = town.run("resolve", f"{town.image}:v1.4.1")
    bare = town.run("resolve", "v1.4.1")

    assert "there are no settings" in bare.err
    assert (run.code, bare.code) == (0, 2)


@pytest.mark.parametrize(
    ("ref", "words"),
    [
        ("{image}:v1.4.1@{old}", "the tag v1.4.1 is {new}, not {old}"),
        ("{image}:v9@{old}", "the tag v9 is nothing"),
        ("{image}:v9", "does not have it"),
        ("{image}@sha256:" + "0" * 64, "does not have it"),
        ("v9", "does not have it"),
    ],
)
def test_what_is_not_there_or_not_that_is_exit_5(town: Town, ref: str, words: str) -> None:
    names = {"image": town.image, "old": town.digests["v1.3.1"], "new": town.digests["v1.4.1"]}

    run = town.run("resolve", ref.format(**names))

    assert words.format(**names) in run.err
    assert (run.code, run.out) == (5, "")


def test_platforms_that_are_required_are_missed_of_a_known_image_only(town: Town) -> None:
    for name in (UPSTREAM, "other/image"):
        town.registry.push_image(name, "amd64", platforms=("linux/amd64",))

    known, other = town.run("resolve", "amd64"), town.run("resolve", f"{town.registry.host}/other/image:amd64")

    assert "required platforms are missing: linux/arm64; it has linux/amd64" in known.err
    assert (known.code, other.code) == (5, 0)


@pytest.mark.parametrize(
    ("args", "keys"),
    [
        (("check", "--json"), {"image", "ok", "exit_code", "pin", "sites", "drift", "fixed", "gates"}),
        (("check", "--online", "--json"), {"gates"}),
        (("plan", "--json", "--explain"), {"outcome", "edits", "selection"}),
        (("apply", "--json"), {"outcome", "did"}),
        (("propose", "--json"), {"outcome", "pull_request"}),
        (("propose", "--dry-run", "--json"), {"outcome", "did"}),
        (("config", "validate", "--json"), {"valid", "images"}),
        (("config", "schema"), {"$schema", "title"}),
        (("resolve", "v1.4.1", "--json"), {"digest"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
@pytest.mark.parametrize("faulty", [False, True], ids=["", "with a fault"])
def test_nothing_but_json_is_on_standard_output(
    town: Town, args: tuple[str, ...], keys: set[str], *, faulty: bool
) -> None:
    left = [Fault(answer=Response(503))] if faulty else []
    town.registry.intercept = lambda _method, _path: left.pop() if left else None

    run = town.run(*args, environ={"GITHUB_ACTIONS": "true"})

    assert keys <= json.loads(run.out).keys()
    assert run.code == 0


def test_check_says_how_many_agree_and_as_json_where(town: Town) -> None:
    said, as_json = town.run("check"), town.run("check", "--json").json

    assert "agentgateway: 8 values in 4 files agree on v1.3.1" in said.out
    assert (as_json["ok"], len(as_json["sites"]), as_json["pin"]["ref"]) == (True, 8, "v1.3.1")


@pytest.mark.parametrize("args", [("plan",), ("propose",), ("check", "--online"), ("resolve", "v1.4.1")], ids=" ".join)
def test_an_interrupted_run_is_exit_130(town: Town, monkeypatch: pytest.MonkeyPatch, args: Sequence[str]) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    failing = "v1.3.1" if args[0] == "check" else "v1.4.1"
    town.registry.intercept = lambda _, path: Fault(answer=Response(503)) if failing in path else None
    monkeypatch.setattr(town.clock, "sleep", interrupt)

    run = town.run(*args)

    assert "interrupted: run it again" in run.err
    assert town.github.pulls(DOWNSTREAM) == ()
    assert run.code == 130


def test_what_nobody_foresaw_is_one_line_without_a_secret(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: float) -> None:
        raise RuntimeError(f"a surprise with {TOKEN}")

    town.registry.intercept = lambda _, path: Fault(answer=Response(503)) if "v1.4.1" in path else None
    monkeypatch.setattr(town.clock, "sleep", fail)

    run = town.run("plan")
    other = town.run("resolve", "v1.4.1")

    assert "agentgateway: blocked. a bug in gateway-bot: RuntimeError\n" in run.out
    assert re.search(r"where +test_commands\.py:\d+\n", run.out)
    assert re.search(
        r"\nerror: test_commands\.py:\d+: a bug in gateway-bot: RuntimeError .*\n  next: ", f"\n{other.err}"
    )
    assert not any(word in f"{run}{other}" for word in (TOKEN, "Traceback", "surprise"))
    assert (run.code, other.code) == (1, 1)
