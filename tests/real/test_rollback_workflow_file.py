"""What rollback.yml lets each of its jobs do, and what may start them, as the file says it. No program is needed."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from bot.core.proposal.names import ROLLBACKS
from bot.core.rollback.text import RELEASE_LABEL
from tests.flows.conftest import PROJECT

JOBS = {
    "plan": {"contents": "read", "packages": "read"},
    "propose": {"contents": "write", "pull-requests": "write", "packages": "read"},
    "release": {"contents": "write", "actions": "write"},
}
OURS = PROJECT / ".github/workflows/rollback.yml"
(DOCUMENTED,) = re.findall(r"```yaml\n(name: rollback\n.*?)```", (PROJECT / "docs/workflows.md").read_text(), re.DOTALL)
BOTH = pytest.mark.parametrize("text", [OURS.read_text(), DOCUMENTED], ids=["ours", "documented"])


def read_yaml(text: str) -> Any:  # a parsed YAML file; its shape is what the tests judge
    return yaml.safe_load(text)


@BOTH
def test_each_job_may_do_no_more_than_it_needs(text: str) -> None:
    workflow = read_yaml(text)

    assert workflow["permissions"] == {}
    assert {name: job["permissions"] for name, job in workflow["jobs"].items()} == JOBS


@BOTH
def test_what_may_write_runs_no_program_of_strangers(text: str) -> None:
    jobs = read_yaml(text)["jobs"]
    foreign = {
        name: {step["uses"].partition("@")[0] for step in job["steps"] if "uses" in step}
        - {"actions/checkout", "actions/download-artifact", "./", "YOUR-ORG/gateway-bot"}
        for name, job in jobs.items()
    }

    assert "aquasecurity/setup-trivy" in foreign.pop("plan")
    assert foreign == {"propose": set(), "release": set()}


@BOTH
def test_the_key_of_an_app_is_where_the_pull_request_is_opened_alone(text: str) -> None:
    with_key = [name for name, job in read_yaml(text)["jobs"].items() if "app_private_key" in str(job).lower()]

    assert with_key == ["propose"]


@BOTH
def test_inputs_reach_a_shell_as_variables_only(text: str) -> None:
    inputs = read_yaml(text)[True]["workflow_dispatch"]["inputs"]  # YAML 1.1 reads `on` as a truth
    steps = [step for job in read_yaml(text)["jobs"].values() for step in job["steps"]]
    elsewhere = [step for step in steps if "inputs." in str({**step, "env": None})]
    used = {
        name: re.search(r"inputs\.(\w+)", str(value))
        for step in steps
        for name, value in step.get("env", {}).items()
        if "inputs." in str(value)
    }

    assert list(inputs) == ["to", "reason", "image", "release"]
    assert [name for name, each in inputs.items() if each.get("required")] == ["reason"]
    assert elsewhere == []
    assert {match[1] for match in used.values() if match} == set(inputs)


@BOTH
def test_every_checkout_has_the_history_and_leaves_no_token(text: str) -> None:
    steps = [step for job in read_yaml(text)["jobs"].values() for step in job["steps"]]
    checkouts = [step["with"] for step in steps if step.get("uses", "").startswith("actions/checkout@")]

    assert len(checkouts) == len(JOBS)
    assert [(each["fetch-depth"], each["persist-credentials"]) for each in checkouts] == [(0, False)] * len(JOBS)


@BOTH
def test_a_release_asks_for_a_merge_from_a_branch_of_this_repository_with_the_bots_label(text: str) -> None:
    """tests/real/test_rollback_workflow.py has it evaluated."""
    condition = read_yaml(text)["jobs"]["release"]["if"]

    assert "||" not in condition
    assert "github.event.pull_request.merged" in condition
    assert "github.event.pull_request.head.repo.full_name == github.repository" in condition
    assert f"startsWith(github.event.pull_request.head.ref, '{ROLLBACKS}')" in condition
    assert f"contains(github.event.pull_request.labels.*.name, '{RELEASE_LABEL}')" in condition


@BOTH
def test_nobody_elses_code_runs_with_a_token_that_writes(text: str) -> None:
    """`pull_request`, not `pull_request_target`: of a fork it has no token that writes."""
    assert set(read_yaml(text)[True]) == {"workflow_dispatch", "pull_request"}
    assert read_yaml(text)[True]["pull_request"] == {"types": ["closed"]}
    assert read_yaml(text)["jobs"]["plan"]["if"].strip("${} ") == "github.event_name == 'workflow_dispatch'"
    assert read_yaml(text)["jobs"]["propose"]["needs"] == "plan"


@BOTH
def test_one_rollback_at_a_time_that_nothing_cancels(text: str) -> None:
    workflow = read_yaml(text)
    group = workflow["concurrency"]["group"]

    assert workflow["concurrency"]["cancel-in-progress"] is False
    assert workflow["jobs"]["release"]["concurrency"] == {"group": "gateway-bot-bump", "cancel-in-progress": False}
    assert group.startswith("gateway-bot-rollback${{ github.event_name == 'pull_request' && ")
    assert group.endswith(" || '' }}")


def test_what_the_push_starts_can_be_started_by_hand() -> None:
    workflow = read_yaml((PROJECT / ".github/workflows/release.yml").read_text())

    assert "workflow_dispatch" in workflow[True]
    assert "inputs" not in (workflow[True]["workflow_dispatch"] or {})
    assert "github.event_name" not in str(workflow["jobs"])
    assert "github.event." not in str(workflow["jobs"])
