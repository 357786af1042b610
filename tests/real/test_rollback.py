"""`rollback` on real parts: git, two registries, cosign and a private Sigstore, Trivy, an engine, Terraform, GitHub."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.embedded.registry import EmbeddedRegistry
from tests import live_sigstore as live
from tests.emulator import Emulator
from tests.flows.conftest import DOWNSTREAM, PIN_FILES
from tests.live_sigstore import GITHUB, LiveSigstore
from tests.parts import require
from tests.real.bad_release import RELEASE, Past, Scene, begin, environ_in
from tests.registries import starting
from tests.releasing import expect
from tests.trivy import databases, push_database

pytestmark = pytest.mark.real

sigstore_of_session = live.sigstore_of_session

BRANCH = "gateway-bot/rollback/agentgateway"
TITLE = "revert(agentgateway): roll back v1.4.1 to v1.3.1"
TEMPLATE = "infrastructure/modules/compute/agentgateway-config.yaml.tftpl"
WHY = "5xx since the upgrade"
BACK = ("rollback", "--reason", WHY)
NOW = ("rollback", "--emergency", "production", "--run", "apply", "--reason", WHY)
OF_UPSTREAM = f"signed by {GITHUB}{RELEASE}v1.3.1"
COMES_BACK = "**new** CRITICAL | [CVE-2026-0002]"


@pytest.fixture(scope="module")
def past(
    tmp_path_factory: pytest.TempPathFactory,
    sigstore_of_session: LiveSigstore,
    emulator: Emulator,
    docker_registry: str,
    docker_host: str,
) -> Iterator[Past]:
    folder = tmp_path_factory.mktemp("past")
    with starting(tmp_path_factory) as registry, EmbeddedRegistry() as scanned_by:
        made, entries = databases()["first"]
        push_database(scanned_by, "first", made, entries, require("trivy-db"))
        upstream, ours = f"{docker_registry}/bad-release/agentgateway", f"{registry().host}/acme/ai-gateway"
        environ = environ_in(folder, emulator, docker_host)
        past = Past(folder, emulator, sigstore_of_session, upstream, ours, environ)
        begin(past, scanned_by.host)
        yield past


@pytest.fixture
def scene(past: Past, tmp_path: Path) -> Scene:
    return past.scene(tmp_path / "scene")


def gates(scene: Scene) -> dict[str, str]:
    """Of the one open pull request: what each gate said, by its name."""
    (pull,) = scene.pulls
    return dict(re.findall(r"(?m)^- \S+ \*\*([a-z-]+)\*\*: (.*)$", pull["body"]))


def hold_on(files: dict[str, str]) -> list[dict[str, Any]]:
    holds: list[dict[str, Any]] = tomllib.loads(files["gateway-bot.toml"])["image"][0].get("hold", [])
    return holds


def test_a_bad_release_is_gone_back_from_stays_away_and_is_replaced_by_what_repairs_it(
    past: Past, scene: Scene
) -> None:
    expect(scene.bot(*BACK))
    (pull,) = scene.pulls
    answered, proposed = gates(scene), scene.on_branch(BRANCH)
    scene.repo.merge(pull["number"])
    planned = expect(scene.bot("plan", "--explain"))
    quiet = expect(scene.bot("propose"))
    nobody = scene.pulls
    past.push_image("v1.4.2")
    scene.upstream_releases("v1.4.2")
    expect(scene.bot("propose"))
    (newer,) = scene.pulls

    assert (pull["title"], [label["name"] for label in pull["labels"]]) == (TITLE, ["rollback"])
    assert OF_UPSTREAM in answered["signature"]
    assert "verified by cosign 3" in answered["signature"]
    assert "CVE-2026-0002 CRITICAL in zlib" in answered["vulnerabilities"]
    assert COMES_BACK in pull["body"]
    assert answered["config"] == "the candidate's program accepts production, and so does its schema"
    assert f"{past.upstream} has it; {past.ours} has it" in answered["image"]
    assert all(past.digests["v1.3.1"] in proposed[name] for name in PIN_FILES)
    assert hold_on(proposed) == [
        {
            "version": "1.4.1",
            "reason": WHY,
            "rolled_back_to": "v1.3.1",
            "rolled_back_from": past.digests["v1.4.1"],
        }
    ]
    assert f"v1.4.1  on hold: {WHY}" in planned.out
    assert ("nothing new" in quiet.out, nobody) == (True, [])
    assert newer["title"] == "deps(agentgateway): bump v1.3.1 to v1.4.2"
    assert f"It replaces the rollback from 1.4.1 to v1.3.1, which was made for this reason: {WHY}" in newer["body"]


def test_an_image_that_upstream_deleted_is_proven_and_scanned_where_ours_is(
    past: Past, scene: Scene, tmp_path: Path
) -> None:
    copy = f"{past.ours}@{past.digests['v1.3.1']}"
    past.unpull(copy)
    with past.lost(past.upstream, "v1.3.1"):
        run = expect(scene.bot(*BACK, XDG_CACHE_HOME=str(tmp_path)))

    answered, (pull,) = gates(scene), scene.pulls
    assert f"{past.upstream} does not have it; {past.ours} has it" in answered["image"]
    assert OF_UPSTREAM in answered["signature"]
    assert re.search(rf"(?m)^cosign verify .* {re.escape(copy)}$", pull["body"])
    assert {f"trivy: {copy} linux/{arch}: scanning" for arch in ("amd64", "arm64")} <= said(run.err)
    assert f"pulling {copy}" in said(run.err)
    assert COMES_BACK in pull["body"]
    assert answered["config"] == "the candidate's program accepts production, and so does its schema"


def said(err: str) -> set[str]:
    return {line.removeprefix("gateway-bot: ") for line in err.splitlines()}


def test_a_release_that_never_came_to_us_is_scanned_at_upstream_s(past: Past, scene: Scene, tmp_path: Path) -> None:
    with past.lost(past.upstream, "v1.3.1"), past.lost(past.ours, past.digests["v1.4.1"]):
        expect(scene.bot(*BACK, XDG_CACHE_HOME=str(tmp_path)))

    assert COMES_BACK in scene.pulls[0]["body"]


@pytest.mark.parametrize(
    ("signer", "why"),
    [
        ("", "unsigned"),
        (f"{GITHUB}{RELEASE}v1.4.1", f'got "{GITHUB}{RELEASE}v1.4.1"'),
        (f"{GITHUB}evil{RELEASE}v1.3.1", f'got "{GITHUB}evil{RELEASE}v1.3.1"'),
    ],
    ids=["gone", "of another release", "of another repository"],
)
def test_an_image_whose_signature_is_gone_or_another_s_is_no_way_back(
    past: Past, scene: Scene, signer: str, why: str
) -> None:
    with past.lost(past.upstream, past.digests["v1.3.1"].replace(":", "-")):
        if signer:
            past.sign("v1.3.1", signer)
        run = scene.bot(*BACK)

    assert (run.code, scene.pulls, scene.past.emulator.has_branch(DOWNSTREAM, BRANCH)) == (5, [], False)
    assert why in run.out
    assert "Do not go back there." in run.out


def test_a_field_that_only_the_new_program_knows_is_named_and_nothing_is_proposed(scene: Scene) -> None:
    scene.commit("feat: gateways", "\nbinds:\n", "\ngateways: {}\nbinds:\n", TEMPLATE)

    run = scene.bot(*BACK)

    assert (run.code, scene.pulls) == (6, [])
    assert "refuses production: exit 1: unknown field `gateways`, expected one of `config`, `binds`" in run.out
    assert "its schema: production: gateways: unknown field" in run.out
    assert TEMPLATE in run.out.partition("  next ")[2].splitlines()[0]


def test_an_emergency_points_the_service_at_our_copy_and_is_recorded_once(past: Past, scene: Scene) -> None:
    running = f"gateway_image={past.ours}@{past.digests['v1.4.1']}"
    terraform = ("terraform", f"-chdir={scene.root / 'infrastructure'}")
    past.tool(*terraform, "init", "-input=false")
    past.tool(*terraform, "apply", "-auto-approve", "-input=false", "-var", running)
    before = service(scene)

    first = expect(scene.bot(*NOW))
    after, pull = service(scene), scene.pulls
    again = expect(scene.bot(*NOW))

    assert before["runs"] == f"{past.ours}@{past.digests['v1.4.1']}"
    assert after["runs"] == f"{past.ours}@{past.digests['v1.3.1']}"
    assert "production: applied." in first.out
    assert [each["title"] for each in pull] == [TITLE]
    assert "`production` was pointed at `v1.3.1` in an emergency" in pull[0]["body"]
    assert all(past.digests["v1.3.1"] in scene.on_branch(BRANCH)[name] for name in PIN_FILES)
    assert hold_on(scene.on_branch(BRANCH))[0]["version"] == "1.4.1"
    assert "already; nothing changed" in again.out
    assert (service(scene), scene.pulls) == (after, pull)


def service(scene: Scene) -> dict[str, Any]:
    """What the state says: the image, and how often anything was changed."""
    state = json.loads((scene.root / "infrastructure" / "terraform.tfstate").read_text())
    task = next(each for each in state["resources"] if each["name"] == "task")
    return {"runs": task["instances"][0]["attributes"]["triggers_replace"]["value"][0], "serial": state["serial"]}
