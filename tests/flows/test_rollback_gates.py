"""What an image has to pass to be gone back to, asked of the programs; and what only warns."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pytest

from bot.core.gateway_config.verdict import Answer
from bot.core.reference import Digest
from bot.embedded.server import Fault, Response
from tests.fake_engine import Container
from tests.flows.conftest import CONFIG, DOWNSTREAM, SCAN, SCHEMA, SIGNATURE, UPSTREAM, Run
from tests.flows.pasts import BRANCH, OURS, WHY, Story, story
from tests.flows.standins import Gateway, Programs, Signed

__all__ = ["story"]

OPENSSL = ("CVE-2026-0001", "openssl", "HIGH", "1.0-r1")
GLIBC = ("CVE-2026-0002", "glibc", "CRITICAL", "2.0-r1")
REFUSED = Answer(1, "", "Error: binds[0]: unknown field `prot`, expected `port`\n")


@dataclass(slots=True)
class Noting(Gateway):
    """It notes which images were asked."""

    images: list[str] = field(default_factory=list)

    def answer_of(self, container: Container) -> Answer | None:
        self.images.append(container.body["Image"])
        return Gateway.answer_of(self, container)


@dataclass
class Past:
    """A story whose images answer to programs; all is well unless a test says so. v1.4.1 is left for v1.4.0."""

    story: Story
    programs: Programs
    engine: Noting

    @property
    def left(self) -> Digest:
        return self.story.digests["v1.4.1"]

    @property
    def old(self) -> Digest:
        return self.story.digests["v1.4.0"]

    @property
    def ours(self) -> str:
        return f"{self.story.registry.host}/{OURS}"

    def ask(self, *tables: str) -> None:
        """Settings of the base: these gates."""
        self.story.write("gateway-bot.toml", self.story.text("gateway-bot.toml") + "".join(tables))
        self.story.commit("chore: ask")

    def schema(self, ref: str) -> None:
        """Upstream publishes a schema at a release."""
        github = self.story.github
        head = github.commit(UPSTREAM, "main", {"schema/config.json": ("100644", json.dumps(SCHEMA).encode())})
        github.repositories[UPSTREAM].refs[f"refs/tags/{ref}"] = head

    def gates(self, *args: str) -> dict[str, str]:
        """Every gate's verdict, in their order."""
        answer = self.story.rollback("--dry-run", "--json", *args).json
        return {gate["name"]: gate["verdict"] for gate in answer["gates"]}

    def evidence(self, name: str, *args: str) -> str:
        answer = self.story.rollback("--dry-run", "--json", *args).json
        return next(str(gate["evidence"]) for gate in answer["gates"] if gate["name"] == name)

    def scanned(self) -> set[str]:
        """What Trivy was started for."""
        return {line.split()[-1] for line in self.programs.starts("trivy") if "--output" in line}

    def verified(self) -> set[str]:
        """What cosign was started for."""
        return {line.split()[-1] for line in self.programs.starts("cosign") if line.startswith("verify ")}

    def body(self) -> str:
        (pull,) = self.story.proposed
        return pull.body


@pytest.fixture
def past(story: Story, tmp_path: Path) -> Iterator[Past]:
    digests = [story.digests[ref] for ref in ("v1.3.1", "v1.4.0", "v1.4.1")]
    programs = Programs(tmp_path / "bin", story.image, digests[-1])
    for digest in digests:
        programs.signature(digest, "bundle")
        programs.findings(digest, [])
    places = (story.image, f"{story.registry.host}/{OURS}")
    engine = Noting({}, pulled={f"{place}@{digest}" for place in places for digest in digests})
    with engine.serving() as host:
        cache = str(tmp_path / "cache")
        story.environ |= {"PATH": programs.path, "DOCKER_HOST": host, "XDG_CACHE_HOME": cache}
        story.write("gateway.yaml.tftpl", "binds: []\n")
        world = Past(story, programs, engine)
        for ref in ("v1.3.1", "v1.4.0", "v1.4.1"):
            world.schema(ref)
        yield world


def test_all_gates_of_an_upgrade_are_asked_of_where_it_goes_back_to(past: Past) -> None:
    past.ask(SIGNATURE, SCAN, CONFIG)

    run = past.story.rollback()

    shown = past.body()
    assert run.code == 0, run.out
    assert [line.split("**")[1] for line in shown.splitlines() if line.startswith("- ✅ **")] == [
        "image",
        "tag",
        "platforms",
        "new-digest",
        "known-good",
        "signature",
        "vulnerabilities",
        "config",
    ]
    assert "release.yml@refs/tags/v1.4.0" in shown
    assert f"{past.ours}:v1.1.0 is that image" in shown.replace("\\", "")
    assert past.verified() == {f"{past.story.image}@{past.old}"}
    assert past.scanned() == {f"{past.story.image}@{digest}" for digest in (past.left, past.old)}


@pytest.mark.parametrize(
    ("kind", "code", "verdict", "next_step"),
    [
        ("unsigned", 5, "fail", "`gateway-bot history` says what else is known good"),
        ("wrong", 5, "fail", "`gateway-bot history` says what else is known good"),
        ("other-digest", 5, "fail", "`gateway-bot history` says what else is known good"),
        ("crash", 4, "unknown", ""),
    ],
)
@pytest.mark.parametrize("how", [(), ("--apply",)])
def test_an_image_whose_signature_is_not_proven_is_not_gone_back_to(
    past: Past, kind: Signed, code: int, verdict: str, next_step: str, how: tuple[str, ...]
) -> None:
    past.ask(SIGNATURE)
    past.programs.signature(past.old, kind)
    before = past.story.checkout()

    run = past.story.rollback("--json", *how)

    gate = run.json["gates"][-1]
    assert (run.code, gate["name"], gate["verdict"]) == (code, "signature", verdict)
    assert next_step in run.json["next_step"]
    assert past.story.proposed == []
    assert past.story.checkout() == before


def test_without_cosign_nothing_is_known_and_nothing_done(past: Past) -> None:
    past.ask(SIGNATURE)
    past.programs.remove("cosign")

    run = past.story.rollback()

    assert (run.code, past.story.proposed) == (4, [])
    assert "cosign is not installed" in run.out


def test_the_vulnerabilities_that_come_back_warn_and_stand_in_the_pull_request(past: Past) -> None:
    past.ask(SCAN)
    past.programs.findings(past.old, [OPENSSL, GLIBC])
    past.programs.findings(past.left, [("CVE-2026-0009", "zlib", "LOW", "")])

    run = past.story.rollback()

    shown = past.body()
    assert run.code == 0, run.out
    assert "1 of 6 gates warn (vulnerabilities)" in shown
    assert "**What comes back**: below, new is what `v1.4.0` brings back, fixed what goes with `v1.4.1`." in shown
    assert shown.index("**Vulnerabilities**: 2 new, 1 fixed.") < shown.index("**new** CRITICAL")
    assert shown.index("**new** HIGH") < shown.index("**fixed** LOW")


def test_a_scanner_that_fails_only_warns(past: Past) -> None:
    past.ask(SCAN)
    past.programs.database("2026-08-20T06:00:00Z", failure="FATAL\tdb error: dial tcp: i/o timeout\n")

    run = past.story.rollback()

    assert run.code == 0, run.out
    assert past.gates()["vulnerabilities"] == "warn"
    assert "i/o timeout" in past.body()


@pytest.mark.parametrize("how", [(), ("--apply",)])
def test_a_config_that_the_old_program_refuses_is_no_way_back(past: Past, how: tuple[str, ...]) -> None:
    past.ask(CONFIG)
    past.engine.says[past.old] = REFUSED
    before = past.story.checkout()

    run = past.story.rollback(*how)

    assert (run.code, past.story.proposed) == (6, [])
    assert "refuses production: exit 1: binds[0]: unknown field `prot`" in run.out
    assert past.story.checkout() == before


def test_a_schema_that_the_old_release_never_had_only_warns(past: Past) -> None:
    past.ask(CONFIG)
    del past.story.github.repositories[UPSTREAM].refs["refs/tags/v1.4.0"]

    run = past.story.rollback()

    assert run.code == 0, run.out
    assert past.gates()["config"] == "warn"
    assert "schema unknown: schema/config.json at v1.4.0" in past.body().replace("\\", "")


@pytest.mark.real  # by its length
def test_without_an_engine_the_config_only_warns_also_on_ci(past: Past) -> None:
    past.ask(CONFIG)
    past.story.environ |= {"DOCKER_HOST": "tcp://127.0.0.1:9", "CI": "true"}

    run = past.story.rollback()

    assert run.code == 0, run.out
    assert past.gates()["config"] == "warn"


def test_what_upstream_deleted_is_asked_about_at_our_registry(past: Past) -> None:
    past.ask(SIGNATURE, SCAN, CONFIG)
    past.story.lose(UPSTREAM, past.old)

    run = past.story.rollback("--json")

    ours = f"{past.ours}@{past.old}"
    gates = {gate["name"]: gate for gate in run.json["gates"]}
    assert run.code == 0, run.out
    assert past.verified() == {ours}
    assert past.scanned() == {ours, f"{past.story.image}@{past.left}"}
    assert past.engine.images == [ours]
    assert (ours in gates["signature"]["repeat"], gates["image"]["repeat"]) == (True, f"gateway-bot resolve {ours}")
    assert (gates["vulnerabilities"]["repeat"], gates["config"]["repeat"]) == ("", "")


def test_where_upstream_has_it_the_commands_ask_again_there(past: Past) -> None:
    past.ask(SCAN, CONFIG)

    gates = {gate["name"]: gate["repeat"] for gate in past.story.rollback("--dry-run", "--json").json["gates"]}

    assert gates["vulnerabilities"] == "gateway-bot scan --to v1.4.0"
    assert gates["config"] == "gateway-bot validate --to v1.4.0"


@pytest.mark.real  # by its length
@pytest.mark.parametrize(("gone", "at_ours"), [((), False), ((UPSTREAM,), True), ((OURS,), False)])
def test_what_is_left_is_scanned_where_it_is(past: Past, gone: tuple[str, ...], at_ours: bool) -> None:
    past.ask(SCAN)
    past.story.lose(UPSTREAM, past.old)
    for repository in gone:
        past.story.lose(repository, past.left)

    run = past.story.rollback()

    place = past.ours if at_ours else past.story.image
    assert run.code == 0, run.out
    assert past.scanned() == {f"{past.ours}@{past.old}", f"{place}@{past.left}"}


def test_a_platform_that_is_required_and_not_there_is_refused(past: Past) -> None:
    past.story.settings('"linux/arm64"]', '"linux/arm64", "linux/s390x"]')
    past.story.commit("chore: another platform")

    run = past.story.rollback()

    assert (run.code, past.story.proposed) == (5, [])
    assert "v1.4.0 lacks linux/s390x" in run.out


def test_files_that_disagree_on_the_base_are_somebodys_work(past: Past) -> None:
    text = past.story.text("Dockerfile")
    past.story.commit("fix: by hand", Dockerfile=text.replace(past.left, past.story.digests["v1.3.1"]))

    run = past.story.rollback()

    assert (run.code, past.story.proposed) == (3, [])
    assert "the pinned files disagree" in run.out
    assert "gateway-bot check --fix" in run.out


@pytest.mark.real  # by its length
@pytest.mark.parametrize("how", [(), ("--apply",)])
def test_files_that_are_there_already_are_no_disagreement(past: Past, how: tuple[str, ...]) -> None:
    text = past.story.text("Dockerfile").replace(past.left, past.old).replace("1.4.1", "1.4.0")
    past.story.commit("fix: half of it", Dockerfile=text)

    run = past.story.rollback(*how)

    assert run.code == 0, run.out
    now = past.story.text("versions.env") if how else past.story.on_branch("versions.env")
    assert past.old in now


def test_a_rollback_does_not_merge_itself_whatever_the_settings_let(past: Past) -> None:
    past.ask('[pull_request]\nauto_merge = ["major", "minor", "patch"]\n')
    repository = past.story.github.repositories[DOWNSTREAM]
    repository.allow_auto_merge = repository.required_checks = True
    past.story.rollback()
    back = past.story.proposed[0].auto_merge
    past.story.merge()

    run = past.story.rollback("--to", "v1.4.1")

    (forward,) = past.story.proposed
    assert run.code == 0, run.out
    assert "Release notes of what comes back (1)" in forward.body
    assert forward.title == "revert(agentgateway): roll forward v1.4.0 to v1.4.1"
    assert set(past.gates("--to", "v1.4.1").values()) == {"pass"}
    assert (back, forward.auto_merge) == (None, None)


def test_who_goes_back_once_more_is_warned_that_this_goes_further(past: Past) -> None:
    past.story.rollback()
    past.story.merge()

    further, named = past.gates(), past.gates("--to", "v1.3.1")

    assert further["further-back"] == "warn"
    assert "further-back" not in named


@pytest.mark.real  # by its length
@pytest.mark.parametrize("answer", ["another", "gone", "silent"])
def test_a_git_tag_that_our_registry_does_not_confirm_warns(past: Past, answer: str) -> None:
    tags = past.story.registry.repositories[OURS].tags
    if answer == "another":
        tags["v1.1.0"] = past.left
    elif answer == "gone":
        del tags["v1.1.0"]
    else:
        past.story.registry.intercept = lambda _method, path: (
            Fault(answer=Response(503, b"")) if path.endswith(f"{OURS}/manifests/v1.1.0") else None
        )

    run = past.story.rollback()

    said = {"another": f"v1.1.0 is {past.left}", "gone": "v1.1.0 is not there", "silent": "v1.1.0 is not known: "}
    assert run.code == 0, run.out
    assert past.gates()["known-good"] == "warn"
    assert said[answer] in past.evidence("known-good")


def outside(past: Past) -> None:
    """The base begins anew: none of our tags are reached from it."""
    past.story.repo.run("checkout", "-q", "--orphan", "fresh")
    past.story.repo.commit("chore: history begins anew")
    past.story.repo.run("branch", "-M", "fresh", "main")


@pytest.mark.real  # by its length
@pytest.mark.parametrize("moved", [True, False])
def test_a_pin_that_the_base_never_had_needs_upstreams_tag(past: Past, *, moved: bool) -> None:
    outside(past)
    tags = past.story.registry.repositories[UPSTREAM].tags
    if moved:
        tags["v1.4.0"] = past.left
    else:
        del tags["v1.4.0"]

    run = past.story.rollback("--to", "v1.4.0")

    assert (run.code, past.story.proposed) == (5, [])
    assert "only a tag outside the base says that this digest is that version" in run.out


def test_a_pin_that_is_another_release_by_the_same_image_is_none(past: Past) -> None:
    story, left = past.story, past.left
    story.digests["v1.4.2"] = left
    story.github.add_release(UPSTREAM, "v1.4.2")
    story.upgrade("v1.4.2", "v1.3.0")

    run = story.rollback("--to", "v1.4.1")

    assert (run.code, story.proposed) == (6, [])
    assert "has the digest that is pinned as v1.4.2" in run.out


def test_a_hold_that_cannot_be_written_is_told_before_anybody_is_asked(past: Past) -> None:
    def silent(_method: str, path: str) -> Fault | None:
        return Fault(answer=Response(503, b"")) if "/manifests/" in path else None

    past.story.registry.intercept = silent

    run = past.story.run("rollback", "--reason", "x" * 501)

    assert (run.code, past.story.proposed) == (2, [])


def test_who_held_the_pin_by_hand_need_not_say_it_again(past: Past) -> None:
    past.ask('[[image.hold]]\nversion = "1.4.1"\nreason = "drops streams"\nuntil = 2026-09-01\n')

    run = past.story.run("rollback")

    (hold,) = tomllib.loads(past.story.on_branch("gateway-bot.toml"))["image"][0]["hold"]
    assert run.code == 0, run.out
    assert (hold["version"], hold["reason"], hold["until"]) == ("1.4.1", "drops streams", date(2026, 9, 1))
    assert hold["rolled_back_to"] == "v1.4.0"
    assert "**Why:** drops streams" in past.body()


def test_another_image_of_the_same_version_is_gone_back_to_by_name(past: Past) -> None:
    story, left = past.story, past.left
    story.digests["v1.4.1"] = story.registry.push_image(UPSTREAM, "v1.4.1", variation="another")
    story.upgrade("v1.4.1")
    story.digests["v1.4.1"], pushed = left, story.digests["v1.4.1"]

    run = story.rollback("--to", "v1.4.1")

    settings = story.on_branch("gateway-bot.toml")
    assert run.code == 0, run.out
    assert left in story.on_branch("versions.env")
    assert f'version = "1.4.1"\nreason = "{WHY}"\ndigest = "{pushed}"\n' in settings


def test_who_names_a_version_goes_on_from_a_work_tree_that_went_back(past: Past) -> None:
    past.story.rollback("--apply")

    run = past.story.rollback("--apply", "--to", "v1.3.1")

    assert run.code == 0, run.out
    assert past.story.digests["v1.3.1"] in past.story.text("versions.env")


def test_what_only_we_still_have_is_named_where_the_wanted_one_is_gone(past: Past) -> None:
    for repository, ref in ((UPSTREAM, "v1.4.0"), (OURS, "v1.4.0"), (UPSTREAM, "v1.3.1")):
        past.story.lose(repository, past.story.digests[ref])

    run = past.story.rollback()

    assert (run.code, past.story.proposed) == (5, [])
    assert "gateway-bot rollback --to v1.3.1" in run.out


def saved(past: Past, file: Path) -> Run:
    return past.story.rollback("--save", str(file))


def test_a_saved_rollback_is_proposed_by_its_evidence(past: Past, tmp_path: Path) -> None:
    past.ask(SIGNATURE, SCAN, CONFIG)
    past.programs.findings(past.old, [OPENSSL])
    saved(past, tmp_path / "plan")
    before = past.programs.starts("cosign"), past.programs.starts("trivy")
    past.programs.signature(past.old, "unsigned")

    run = past.story.rollback("--plan", str(tmp_path / "plan"))

    assert run.code == 0, run.out
    assert (past.programs.starts("cosign"), past.programs.starts("trivy")) == before
    assert "**Vulnerabilities**: 1 new" in past.body()


@pytest.mark.real  # by its length
def test_a_saved_rollback_without_evidence_is_refused_where_some_is_asked_for(past: Past, tmp_path: Path) -> None:
    saved(past, tmp_path / "plan")
    past.ask(SIGNATURE)

    run = past.story.rollback("--plan", str(tmp_path / "plan"))

    assert (run.code, past.story.proposed) == (6, [])


@pytest.mark.real  # by its length
def test_a_saved_rollback_whose_evidence_is_of_another_image_is_refused(past: Past, tmp_path: Path) -> None:
    past.ask(SIGNATURE)
    saved(past, tmp_path / "plan")
    document = json.loads((tmp_path / "plan").read_text())
    document["evidence"]["signature"]["digest"] = past.left
    (tmp_path / "plan").write_text(json.dumps(document))

    run = past.story.rollback("--plan", str(tmp_path / "plan"))

    assert (run.code, past.story.proposed) == (6, [])
    assert "gateway-bot rollback --save FILE" in run.out


@pytest.mark.real  # by its length
def test_the_notes_are_those_of_all_that_is_undone(past: Past) -> None:
    past.story.rollback("--to", "v1.3.1")

    shown = past.body()
    assert "Release notes of what is undone (2)" in shown
    assert past.story.proposed[0].head == BRANCH


def test_an_emergency_records_also_what_the_program_refuses(past: Past) -> None:
    past.ask(SIGNATURE, SCAN, CONFIG)
    past.engine.says[past.old] = REFUSED
    there = {"image": f"{past.ours}@{past.old}"}
    change = {"actions": ["no-op"], "before": there, "after": there, "after_unknown": {}}
    plan = {
        "format_version": "1.2",
        "resource_changes": [{"address": "app", "mode": "managed", "change": change}],
        "planned_values": {"outputs": {"rendered": {"value": "binds: []\n"}}},
    }
    (past.programs.answers / "show.json").write_text(json.dumps(plan))
    script = '#!/bin/sh\ncase "$*" in *show*) cat "$(dirname "$0")/answers/show.json" ;; esac\n'
    (past.programs.folder / "terraform").write_text(script)

    run = past.story.rollback("--emergency", "production", "--run", "apply")

    assert run.code == 0, run.out
    assert "> `production` was pointed at `v1.4.0` in an emergency" in past.body()
    assert "(config)" in past.body()
    assert past.story.rollback("--dry-run").code == 6
