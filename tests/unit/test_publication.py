from __future__ import annotations

import json

from msgspec.structs import replace

from bot.core.release.publication import Failure, Publication, Step
from bot.errors import ServiceError
from tests.unit.values import NEW

STEPS = (Step("tag", "v1.2.3 is 1234"), Step("copy", "3 blobs", did=True))
DONE = Publication("v1.2.3", NEW, "https://github.com/acme/app/releases/tag/v1.2.3", STEPS, ("a tag was left",))
FAILED = Publication(
    "v1.2.3",
    NEW,
    steps=STEPS,
    failure=Failure.of(ServiceError("no answer", where="ghcr.io/x", next_step="Run it again.")),
)


def test_a_person_reads_how_it_ended() -> None:
    assert DONE.text().splitlines() == [
        "warning: a tag was left",
        f"v1.2.3 is published as {NEW}",
        "https://github.com/acme/app/releases/tag/v1.2.3",
    ]


def test_where_it_stopped_is_said_with_what_to_do() -> None:
    assert FAILED.text().splitlines() == [
        "v1.2.3 is not published by this run; the last that it did: copy",
        "error: ghcr.io/x: no answer",
        "  next: Run it again.",
    ]
    assert FAILED.exit_code == 4


def test_where_nothing_was_reached_that_is_said() -> None:
    assert "; nothing was written" in Publication("v1.2.3", steps=STEPS[:1], failure=FAILED.failure).text()


def test_a_run_that_did_nothing_says_so() -> None:
    assert Publication("v1.2.3", NEW, steps=STEPS[:1]).text().splitlines()[-1] == (
        f"v1.2.3 is published as {NEW}: nothing was left to do"
    )


def test_a_plan_is_told_apart_from_a_release() -> None:
    plan = Publication("v1.2.3", NEW, steps=STEPS[:1], is_plan=True).text()

    assert "is published" not in plan
    assert plan.splitlines()[0] == "tag: v1.2.3 is 1234"


def test_a_program_gets_the_same() -> None:
    assert json.loads(FAILED.json()) == {
        "tag": "v1.2.3",
        "ok": False,
        "exit_code": 4,
        "digest": NEW,
        "url": "",
        "steps": [
            {"name": "tag", "said": "v1.2.3 is 1234", "did": False},
            {"name": "copy", "said": "3 blobs", "did": True},
        ],
        "warnings": [],
        "failure": {"what": "no answer", "where": "ghcr.io/x", "next_step": "Run it again.", "exit_code": 4},
    }
    assert json.loads(DONE.json())["ok"] is True


def test_the_step_summary_is_a_table_that_nothing_breaks_out_of() -> None:
    hostile = Publication("v1.2.3", NEW, steps=(Step("copy", "a|b\n<script>\x1b[31m"),), warnings=("<b>|\n# x",))

    assert hostile.summary().split("\n\n") == [
        f"### `v1.2.3 is published as {NEW}: nothing was left to do`",
        "| step | | |\n|---|---|---|\n| `copy` | ok | `a/b <script>` |",
        "**Warning:** `<b>/ # x`\n",
    ]


def test_the_step_summary_of_a_failure_says_why() -> None:
    parts = FAILED.summary().split("\n\n")

    assert parts[0] == "### `v1.2.3 is not published`"
    assert parts[-2:] == ["**Stopped:** `ghcr.io/x: no answer`", "**Next:** `Run it again.`\n"]


def test_the_step_summary_leads_to_the_release_where_its_address_is_one() -> None:
    bent = replace(DONE, url="https://x/>\n<b>")

    assert DONE.summary().endswith(f"\n\n<{DONE.url}>\n")
    assert "<https://x/" not in bent.summary()
