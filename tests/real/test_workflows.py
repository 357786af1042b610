"""The workflow files, run by act against the embedded registry and GitHub, and against the GitHub emulator.

What docs/workflows.md shows is taken from there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from bot.embedded.github import Account, EmbeddedGitHub
from bot.embedded.github.apps import Installation
from bot.embedded.server import Fault, Response
from tests.emulator import Emulator
from tests.flows.conftest import DOWNSTREAM, PROJECT, SCAN, SIGNATURE
from tests.real.workflows.log import Run
from tests.real.workflows.town import BOT, READER, TOKENS, Town, project, town_with

pytestmark = pytest.mark.real

DONE = {"plan": "success", "propose": "success", "watch": "success"}
PARTS = ("/upgrade.yml@", "args: propose", "args: |", "/fleet.yml@", "release publish", "rollback --save")
"""What the workflows in docs/workflows.md are told apart by, in their order. Each is run, here or elsewhere."""
DOCUMENTED = re.findall(r"```yaml\n(.*?)```", (PROJECT / "docs/workflows.md").read_text(), re.DOTALL)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with EmbeddedGitHub(TOKENS) as github, town_with(github, tmp_path / "town") as made:
        yield made


def documented(part: str, commit: str) -> dict[str, bytes]:
    """The workflow of docs/workflows.md in which `part` stands, with the bot's repository and commit put in."""
    text = DOCUMENTED[PARTS.index(part)]
    return {".github/workflows/upgrade.yml": text.replace("YOUR-ORG", "acme").replace("0" * 40, commit).encode()}


def app_key() -> tuple[str, str]:
    """A private key of a GitHub App, and its public half; both are PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    return private.decode(), key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def leaks(run: Run, *secrets: str) -> list[str]:
    """The places where a token of the town, or another secret, was written."""
    return [name for name, text in run.written().items() if any(secret in text for secret in (*TOKENS, *secrets))]


def test_a_scheduled_run_opens_one_pull_request_and_the_next_one_changes_nothing(town: Town) -> None:
    town.publish(DOWNSTREAM, project() | town.pinned(gates=SIGNATURE + SCAN))

    first = town.run("upgrade.yml")
    opened, issues = town.pulls(), town.issues()
    second = town.run("upgrade.yml")

    assert first.results == second.results == DONE
    assert first.artifacts == ["plan"]
    assert "upgrade v1.3.1 -> v1.4.1" in first.jobs["plan"].summary
    assert "| signature | pass |" in first.jobs["plan"].summary
    assert "| signature | pass |" in first.jobs["propose"].summary  # which has no program to ask
    assert "#1 opened" in first.jobs["propose"].summary
    assert first.jobs["plan"].outputs["plan.outcome"] == "propose"
    assert first.jobs["propose"].outputs["propose.outcome"] == "propose"
    assert first.jobs["propose"].outputs["propose.pull_request"].endswith(f"/{DOWNSTREAM}/pull/1")
    assert "nothing to do" in second.jobs["propose"].summary
    assert [note for run in (first, second) for job in run.jobs.values() for note in job.annotations] == []
    assert leaks(first) == leaks(second) == []
    assert len(opened) == 1
    assert "v1.4.1" in opened[0]
    assert issues == ["gateway-bot: dashboard"]
    assert (town.pulls(), town.issues()) == (opened, issues)


def test_a_plan_needs_a_token_that_reads_and_a_proposal_one_that_writes(town: Town) -> None:
    town.publish(DOWNSTREAM, project() | town.pinned())

    run = town.run("upgrade.yml", token=READER, job="propose")

    assert run.results == {"plan": "success", "propose": "failure"}
    assert json.loads(run.artifact("plan", "plan.json"))["outcome"] == "propose"
    assert "Resource not accessible by integration" in run.jobs["propose"].text
    assert town.pulls() == []
    assert leaks(run) == []


def test_a_run_by_hand_takes_its_inputs_and_a_dry_one_writes_nothing(town: Town) -> None:
    town.publish(DOWNSTREAM, project() | town.pinned())

    inputs = {"image": "agentgateway", "to": "v1.4.0", "dry_run": "true"}
    run = town.run("upgrade.yml", "workflow_dispatch", inputs=inputs)

    assert run.results == {"plan": "success", "propose": "success"}
    assert "upgrade v1.3.1 -> v1.4.0" in run.jobs["propose"].summary
    assert "v1.4.0" in run.jobs["propose"].text
    assert town.pulls() == []


def test_a_gate_that_refuses_fails_the_run_says_why_and_opens_nothing(town: Town) -> None:
    town.publish(DOWNSTREAM, project() | town.pinned(gates=SIGNATURE + SCAN))
    town.programs.findings(town.digests["v1.4.1"], [("CVE-2026-0001", "openssl", "CRITICAL", "")])

    run = town.run("upgrade.yml")

    assert run.results == {"plan": "failure", "propose": "failure", "watch": "success"}
    assert run.jobs["plan"].outputs["plan.outcome"] == "blocked"
    assert run.jobs["plan"].steps["Keep the plan, also one that is blocked"] == "success"
    assert json.loads(run.artifact("plan", "plan.json"))["exit_code"] == 6
    for job in ("plan", "propose"):
        (note,) = run.jobs[job].annotations
        assert (note.level, note.title) == ("error", "gateway-bot")
        assert "CVE-2026-0001" in note.text
        assert "Next: " in note.text
        assert "CVE-2026-0001" in run.jobs[job].summary
    assert town.pulls() == []
    assert any(name.endswith("/plan.json") for name in run.written() if "cache/" in name)
    assert leaks(run) == []


def test_nothing_new_is_said_and_done(town: Town) -> None:
    town.publish(DOWNSTREAM, project() | town.pinned("v1.4.1"))

    run = town.run("upgrade.yml", job="propose")

    assert run.results == {"plan": "success", "propose": "success"}
    assert "nothing new" in run.jobs["plan"].summary
    assert run.jobs["propose"].outputs["propose.outcome"] == "nothing_new"
    assert run.jobs["propose"].outputs["propose.pull_request"] == ""
    assert town.pulls() == []


AFTERWARDS = b"""
  afterwards:
    needs: upgrade
    runs-on: ubuntu-24.04
    steps:
      - env:
          TOLD: ${{ needs.upgrade.outputs.outcome }} ${{ needs.upgrade.outputs.pull_request }}
        run: echo "told $TOLD"
"""


def test_another_repository_calls_the_reusable_workflow(town: Town) -> None:
    commit = town.publish(BOT, project(), on_github=False)
    caller = {name: text + AFTERWARDS for name, text in documented("/upgrade.yml@", commit).items()}
    town.publish(DOWNSTREAM, town.pinned() | caller)

    run = town.run("upgrade.yml")

    assert run.results == DONE | {"afterwards": "success"}
    assert f"told propose {town.github.url}/{DOWNSTREAM}/pull/1" in run.jobs["afterwards"].text
    assert len(town.pulls()) == 1
    assert leaks(run) == []


def test_another_repository_proposes_by_the_action(town: Town) -> None:
    commit = town.publish(BOT, project(), on_github=False)
    town.publish(DOWNSTREAM, town.pinned() | documented("args: propose", commit))

    run = town.run("upgrade.yml")

    assert run.results == {"upgrade": "success"}
    assert "#1 opened" in run.jobs["upgrade"].summary
    assert len(town.pulls()) == 1
    assert leaks(run) == []


def test_the_action_takes_one_argument_a_line_and_leaves_the_bot_on_the_path(town: Town) -> None:
    commit = town.publish(BOT, project(), on_github=False)
    town.publish(DOWNSTREAM, town.pinned() | documented("args: |", commit))

    run = town.run("upgrade.yml", "push", token=READER)

    assert run.results == {"pins": "success"}
    assert town.digests["v1.3.1"] in run.jobs["pins"].text


TWICE = """
on: push
jobs:
  twice:
    runs-on: ubuntu-24.04
    steps:
      - uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683
      - uses: acme/gateway-bot@COMMIT
      - id: refused
        continue-on-error: true
        uses: acme/gateway-bot@COMMIT
        with:
          args: |
            plan
            --image
            $(touch hacked) `touch hacked`; touch hacked && "touch" *
      - id: found
        uses: acme/gateway-bot@COMMIT
        with:
          args: propose
      - run: test ! -e hacked
"""


def test_the_action_installs_once_a_job_and_no_shell_reads_its_arguments(town: Town) -> None:
    commit = town.publish(BOT, project(), on_github=False)
    workflow = {".github/workflows/upgrade.yml": TWICE.replace("COMMIT", commit).encode()}
    town.publish(DOWNSTREAM, town.pinned() | workflow)

    run = town.run("upgrade.yml", "push")

    job = run.jobs["twice"]
    assert run.results == {"twice": "success"}
    assert "there is no image '$(touch hacked) `touch hacked`; touch hacked && \"touch\" *'" in job.text
    assert job.outputs["found.outcome"] == "propose"
    assert job.outputs["found.pull_request"].endswith("/pull/1")
    assert len(job.paths) == 1


FLEET = ("acme/ai-gateway", "acme/edge-gateway")
READ_TOKEN = "github_pat_reads-the-fleet"  # noqa: S105 - known to the embedded GitHub only


def test_a_fleet_is_planned_by_a_token_that_reads_and_proposed_to_by_an_app(town: Town) -> None:
    assert isinstance(town.github, EmbeddedGitHub)
    key, public = app_key()
    town.github.tokens[READ_TOKEN] = Account("acme", {"contents": "read"}, "User")
    installed = Installation({"contents": "write", "pull_requests": "write"}, frozenset(FLEET))
    town.github.add_app("77", "fleet", public, {1: installed})
    commit = town.publish(BOT, project(), on_github=False)
    files = town.pinned()
    settings = f"repositories = {json.dumps(FLEET)}\n".encode() + files.pop("gateway-bot.toml")
    town.publish("acme/settings", {"gateway-bot.toml": settings} | documented("/fleet.yml@", commit))
    for slug in FLEET:
        town.publish(slug, files, readers=[READ_TOKEN])

    secrets = {
        "GATEWAY_BOT_APP_ID": "77",
        "GATEWAY_BOT_APP_PRIVATE_KEY": key,
        "GATEWAY_BOT_READ_TOKEN": READ_TOKEN,
    }
    run = town.run("upgrade.yml", slug="acme/settings", token=READER, secrets=secrets)

    jobs = [f"{job} ({slug})" for job in ("plan", "propose") for slug in FLEET]
    assert run.results == dict.fromkeys(["repositories", *jobs], "success")
    assert run.artifacts == ["plan-acme--ai-gateway", "plan-acme--edge-gateway"]
    assert [len(town.pulls(slug)) for slug in FLEET] == [1, 1]
    assert {pull.author.login for slug in FLEET for pull in town.github.pulls(slug)} == {"fleet[bot]"}
    assert leaks(run, READ_TOKEN, *town.github.apps.tokens, *key.splitlines()[1:-1]) == []


def test_ci_asks_whether_the_pins_agree(town: Town) -> None:
    files = town.pinned()
    files["Dockerfile"] = files["Dockerfile"].replace(b"=1.3.1", b"=1.3.0")
    town.publish(DOWNSTREAM, project() | files)

    run = town.run("ci.yml", "pull_request", token=READER, job="pins")

    assert run.results == {"pins": "failure"}
    assert "Dockerfile:8: holds 1.3.0" in run.jobs["pins"].text


def test_a_push_is_the_first_to_notice_that_the_schedule_is_silent(town: Town) -> None:
    assert isinstance(town.github, EmbeddedGitHub)
    town.publish(DOWNSTREAM, project() | town.pinned(), silent_days=70)
    town.github.intercept = lambda _, path: Fault(answer=Response(200)) if path == "/hook-of-the-chat" else None

    run = town.run("ci.yml", "push", job="watch", secrets={"webhook": f"{town.github.url}/hook-of-the-chat"})

    assert run.results == {"watch": "failure"}
    assert [note.level for note in run.jobs["watch"].annotations] == ["error"]
    assert "more than 3 days ago" in run.jobs["watch"].annotations[0].text
    assert town.issues() == ["gateway-bot: a person has to look"]
    assert [exchange.method for exchange in town.github.exchanges if "/hook-" in exchange.path] == ["POST"]
    assert leaks(run, "/hook-of-the-chat") == []


def test_a_scheduled_run_opens_a_pull_request_on_the_emulators_github(emulator: Emulator, tmp_path: Path) -> None:
    with town_with(emulator, tmp_path / "town") as town:
        town.publish(DOWNSTREAM, project() | town.pinned())

        run = town.run("upgrade.yml", job="propose")

        assert run.results == {"plan": "success", "propose": "success"}
        assert "#1 opened" in run.jobs["propose"].summary
        assert len(town.pulls()) == 1


def test_every_documented_workflow_is_one_that_is_run_here() -> None:
    found = [[part for part in PARTS if part in block] for block in DOCUMENTED]

    assert found == [[part] for part in PARTS]


@pytest.mark.parametrize("name", ["upgrade", "fleet"])
def test_a_documented_caller_gives_what_the_jobs_ask_for_and_no_more(name: str) -> None:
    (caller,) = (yaml.safe_load(block)["jobs"] for block in DOCUMENTED if f"/{name}.yml@" in block)
    asked: dict[str, str] = {}
    for job in workflow(name)["jobs"].values():
        for permission, level in job["permissions"].items():
            asked[permission] = max(level, asked.get(permission, ""))  # "write" comes after "read"

    assert caller[name]["permissions"] == asked


@pytest.mark.parametrize("name", ["upgrade", "fleet"])
def test_no_job_has_both_scanners_and_what_may_write(name: str) -> None:
    jobs = workflow(name)["jobs"]
    scanning = [job for job, body in jobs.items() if "aquasecurity/setup-trivy" in str(body)]
    with_key = {step.get("name") for body in jobs.values() for step in body["steps"] if "app_private_key" in str(step)}

    assert scanning == ["plan"]
    assert jobs["plan"]["permissions"] == {"contents": "read"}
    assert with_key <= {"Propose", "Alarm", "Dashboard"}
    assert "app_" not in str(jobs["plan"])


def workflow(name: str) -> Any:  # a parsed YAML file; its shape is what the tests judge
    return yaml.safe_load((PROJECT / f".github/workflows/{name}.yml").read_text())
