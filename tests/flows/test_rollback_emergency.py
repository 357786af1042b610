"""`rollback --emergency`: the service first, then the code. Terraform is a stand-in; tests/real has it itself."""

from __future__ import annotations

import copy
import json
import re
import signal
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.core.gateway_config.verdict import Answer
from tests.flows.conftest import CONFIG, DOWNSTREAM, PIN_FILES, SCAN, SCHEMA, SIGNATURE, UPSTREAM, Gated, Run
from tests.flows.pasts import OURS, WHY, Story, story
from tests.flows.standins import Gateway, Programs

__all__ = ["story"]

SECOND = "acme/second"
TITLE = "revert(agentgateway): roll back v1.4.1 to v1.4.0"
COMES_BACK = ("CVE-2026-0002", "zlib", "CRITICAL", "2.0-r1")

_CHANGE = '{"address":"%s","change":{"actions":["%s"],"before":{"image":"%s"},"after":{"image":"%s"}}}'
_TERRAFORM = f"""#!/bin/sh
# One resource that runs an image: `runs` says which. `pending` is another change; `at-STEP` is done at that step.
here=$(dirname "$0")
case "$1" in -chdir=*) ;; *) exec "$here/terraform-of-templates" "$@" ;; esac
echo "$2" >>"$here/steps"
[ -e "$here/at-$2" ] && . "$here/at-$2"
for word; do
  case "$word" in gateway_image=*) image=${{word#*=}} ;; -out=*) out=${{word#*=}} ;; esac
done
now=$(cat "$here/runs")
case "$2" in
  plan)
    action=update
    [ "$image" = "$now" ] && action=no-op
    {{
      printf '{{"format_version":"1.2","resource_changes":[{_CHANGE}' service "$action" "$now" "$image"
      [ -e "$here/pending" ] && printf ',{_CHANGE}' bucket update x:1 x:2
      printf ']}}'
    }} >"$out"
    echo "$image" >"$here/planned-$(basename "$out")" ;;
  show) cat "$word" ;;
  apply) cp "$here/planned-$(basename "$word")" "$here/runs" ;;
esac
"""


class Service:
    """A story whose environments are moved by Terraform."""

    def __init__(self, story: Story, programs: Programs) -> None:
        self.story = story
        self.programs = programs
        self.bin = programs.folder
        terraform = self.bin / "terraform"
        terraform.rename(self.bin / "terraform-of-templates")
        terraform.write_text(_TERRAFORM)
        terraform.chmod(0o755)
        self.deploy("v1.4.1")

    def image(self, ref: str, repository: str = OURS) -> str:
        return f"{self.story.registry.host}/{repository}@{self.story.digests[ref]}"

    def deploy(self, ref: str) -> None:
        (self.bin / "runs").write_text(self.image(ref) + "\n")

    @property
    def runs(self) -> str:
        return (self.bin / "runs").read_text().strip()

    def at(self, step: str, does: str) -> None:
        (self.bin / f"at-{step}").write_text(does + "\n")

    @property
    def steps(self) -> list[str]:
        """What Terraform was started for, in this order."""
        file = self.bin / "steps"
        return file.read_text().split() if file.exists() else []

    def show(self, *args: str) -> Run:
        return self.story.rollback("--emergency", "production", *args)

    def apply(self, *args: str) -> Run:
        return self.show("--run", "apply", *args)

    @property
    def printed(self) -> str:
        """The image in the printed commands."""
        return "".join(re.findall(r"gateway_image=(\S+)", self.show().out))

    def second_registry(self) -> None:
        """The image is released to two registries of ours, and both have it."""
        target = f'[[release.target]]\nrepository = "{self.story.registry.host}/{SECOND}"\n\n'
        self.story.settings('[[environment]]\nname = "dev"', f'{target}[[environment]]\nname = "dev"')
        self.story.commit("feat: a second registry")
        repositories = self.story.registry.repositories
        repositories[SECOND] = copy.deepcopy(repositories[OURS])


@pytest.fixture
def service(story: Story, tmp_path: Path) -> Service:
    """v1.4.1 runs."""
    programs = Programs(tmp_path / "bin", story.image, story.digests["v1.4.1"])
    story.environ |= {"PATH": programs.path}
    return Service(story, programs)


def test_without_run_the_commands_are_printed_and_nobody_needs_a_token(service: Service) -> None:
    service.story.environ["GITHUB_TOKEN"] = ""

    run = service.show()

    look, _, do = run.out.partition("Read what that prints.")
    assert (run.code, service.steps, service.story.proposed) == (0, [], [])
    assert "production: this points the service at v1.4.0, once you answer for the plan:" in look
    assert re.findall(r"-chdir=infrastructure (\w+)", look) == ["init", "plan"]
    assert f"-var gateway_image={service.image('v1.4.0')} " in look
    assert re.findall(r"-chdir=infrastructure (\w+)", do) == ["apply"]
    assert "rm -- infrastructure/gateway-bot.tfplan" in do
    assert (
        f"Afterwards record it, or the next deployment undoes it: gateway-bot rollback --to v1.4.0 --reason '{WHY}'\n"
        in do
    )


def test_gates_that_warn_are_told_and_do_not_keep_the_service_down(service: Service) -> None:
    service.story.lose(UPSTREAM, service.story.digests["v1.4.0"])

    run = service.show()

    assert run.code == 0
    assert f"warning: image: {service.story.digests['v1.4.0']}: {service.story.image} does not have it" in run.err
    assert f"warning: tag: {service.story.image}:v1.4.0 is not in the registry any more" in run.err


def test_the_first_registry_of_ours_that_has_all_of_the_image_is_run_from(service: Service) -> None:
    service.second_registry()
    stored, digest = service.story.registry.repositories[OURS].manifests, service.story.digests["v1.4.0"]
    (of_platform, *_) = json.loads(stored[digest].data)["manifests"]

    whole = service.printed
    del stored[of_platform["digest"]]
    broken = service.printed
    del stored[digest]
    gone = service.printed

    assert whole == service.image("v1.4.0")
    assert (broken, gone) == (service.image("v1.4.0", SECOND), service.image("v1.4.0", SECOND))


def test_an_image_that_no_registry_of_ours_has_is_not_run_even_where_upstream_has_it(service: Service) -> None:
    service.second_registry()
    for repository in (OURS, SECOND):
        del service.story.registry.repositories[repository].manifests[service.story.digests["v1.4.0"]]

    run = service.apply()

    assert (run.code, service.steps, service.story.proposed) == (5, [], [])
    assert "Only what was released can be run at once" in run.err


def test_without_a_registry_of_ours_there_is_nothing_to_run(service: Service) -> None:
    text = service.story.text("gateway-bot.toml")
    service.story.write("gateway-bot.toml", re.sub(r"(?ms)^\[release\].*?(?=^# Where it runs)", "", text))
    service.story.commit("chore: no releases")

    run = service.apply()

    assert (run.code, service.steps, service.story.proposed) == (2, [], [])
    assert "[[release.target]]: no registry of ours is known that may have v1.4.0" in run.err


def test_an_environment_that_nobody_described_is_refused_with_those_there_are(service: Service) -> None:
    run = service.story.rollback("--emergency", "nowhere")

    assert run.code == 2
    assert "there is no environment 'nowhere'" in run.err
    assert "There are: dev, staging, production." in run.err


def test_where_no_environment_is_described_the_page_says_how(service: Service) -> None:
    text = service.story.text("gateway-bot.toml")
    service.story.write("gateway-bot.toml", text.partition("# Where it runs")[0])
    service.story.commit("chore: it runs nowhere")

    run = service.show()

    assert (run.code, "Describe it as [[environment]]: docs/emergency.md." in run.err) == (2, True)


def test_the_environment_says_which_image_it_runs(service: Service) -> None:
    run = service.show("--image", "other")

    assert run.code == 2
    assert "--image: production runs agentgateway" in run.err


def test_a_plan_is_shown_and_neither_the_service_nor_the_code_moves(service: Service) -> None:
    run = service.show("--run", "plan")

    assert run.code == 0, run.err
    assert service.steps == ["init", "plan", "show", "plan", "show"]
    assert (service.runs, service.story.proposed) == (service.image("v1.4.1"), [])
    assert "production: planned, not applied." in run.out
    assert f"image    {service.image('v1.4.1')}\n        -> {service.image('v1.4.0')}" in run.out


def test_what_nobody_could_record_is_not_applied(service: Service) -> None:
    service.story.environ["GITHUB_TOKEN"] = ""

    run = service.apply()

    assert (run.code, service.steps, service.runs) == (2, [], service.image("v1.4.1"))
    assert "GITHUB_TOKEN is not set" in run.err
    assert "Without --run the commands are printed, and nothing is proposed." in run.err


def test_an_apply_moves_the_service_and_then_proposes_that_the_code_agrees(service: Service) -> None:
    service.at("apply", 'touch "$here/applied"')

    run = service.apply()

    (pull,) = service.story.proposed
    assert run.code == 0, run.err
    assert "production: applied. The service is pointed at v1.4.0" in run.out
    assert service.steps == ["init", "plan", "show", "plan", "show", "apply"]
    assert service.runs == service.image("v1.4.0")
    assert (pull.title, pull.labels) == (TITLE, ["rollback"])
    assert "> [!WARNING]\n> `production` was pointed at `v1.4.0` in an emergency, without a release." in pull.body
    assert WHY in pull.body
    assert all(service.story.digests["v1.4.0"] in service.story.on_branch(name) for name in PIN_FILES)
    (hold,) = tomllib.loads(service.story.on_branch("gateway-bot.toml"))["image"][0]["hold"]
    assert (hold["version"], hold["rolled_back_to"]) == ("1.4.1", "v1.4.0")


def test_a_service_that_is_there_already_is_recorded_all_the_same(service: Service) -> None:
    service.deploy("v1.4.0")

    run = service.apply()

    assert run.code == 0, run.err
    assert "the service is pointed at v1.4.0 already; nothing changed" in run.out
    assert "apply" not in service.steps
    assert [pull.title for pull in service.story.proposed] == [TITLE]


def test_more_than_the_image_is_refused_with_the_list_and_recorded_nowhere(service: Service) -> None:
    (service.bin / "pending").touch()

    run = service.apply()

    assert (run.code, service.runs, service.story.proposed) == (8, service.image("v1.4.1"), [])
    assert "production: refused, nothing was applied: more than the image would change." in run.out
    assert "update   bucket" in run.out
    assert "apply" not in service.steps


def test_a_record_that_is_blocked_says_that_nothing_records_what_runs(service: Service) -> None:
    versions = service.story.checkout()["versions.env"][1]
    service.story.github.commit(DOWNSTREAM, "main", {"versions.env": ("100644", b"# other\n" + versions)})

    run = service.apply()

    assert (run.code, service.runs, service.story.proposed) == (7, service.image("v1.4.0"), [])
    assert "production runs v1.4.0, and nothing records it: mend that, and run the same command again" in run.err


def test_the_same_command_again_ends_with_the_same_pull_request(service: Service) -> None:
    service.apply()
    before = [(pull.number, pull.head_sha, pull.body) for pull in service.story.proposed]

    again = service.apply()

    assert again.code == 0, again.err
    assert "already; nothing changed" in again.out
    assert "nothing to do" in again.out
    assert [(pull.number, pull.head_sha, pull.body) for pull in service.story.proposed] == before
    assert len(before) == 1


def test_after_the_merge_a_service_follows_the_code_and_only_the_code_goes_further_back(service: Service) -> None:
    service.apply()
    service.story.merge()
    service.deploy("v1.4.1")

    follows = service.apply()
    runs, proposed = service.runs, service.story.proposed
    further = service.story.rollback("--json")

    (gate,) = [gate for gate in further.json["gates"] if gate["name"] == "further-back"]
    assert follows.code == 0, follows.err
    assert (runs, proposed) == (service.image("v1.4.0"), [])
    assert gate["verdict"] == "warn"
    assert "v1.4.0 is itself what a rollback from 1.4.1 went to" in gate["evidence"]
    assert [pull.title for pull in service.story.proposed] == ["revert(agentgateway): roll back v1.4.0 to v1.3.1"]


def test_what_the_base_pins_may_be_named(service: Service) -> None:
    assert service.image("v1.4.1") in service.show("--to", "v1.4.1").out


def test_whoever_interrupts_terraform_is_told_what_to_do(service: Service) -> None:
    service.at("apply", "trap '' INT; kill -INT $PPID; sleep 0.3")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run in the background
    try:
        run = service.apply()
    finally:
        signal.signal(signal.SIGINT, before)

    assert (run.code, service.runs, service.story.proposed) == (130, service.image("v1.4.0"), [])
    assert "interrupted: terraform has ended with exit 0" in run.err
    assert "interrupted: above is said how far it came. Run it again" in run.err


@pytest.fixture
def gated(service: Service, tmp_path: Path) -> Iterator[Gated]:
    """The service's settings ask for signature, scan and config; v1.4.0 brings a vulnerability back."""
    story, programs = service.story, service.programs
    current, candidate = story.digests["v1.4.1"], story.digests["v1.4.0"]
    for digest, found in ((current, []), (candidate, [COMES_BACK])):
        programs.signature(digest, "bundle")
        programs.findings(digest, found)
    engine = Gateway({}, pulled={f"{story.image}@{candidate}", f"{story.image}@{current}"})
    with engine.serving() as host:
        story.environ |= {"DOCKER_HOST": host, "XDG_CACHE_HOME": str(tmp_path / "cache")}
        made = Gated(story, programs, engine, current, candidate)
        for ref in ("v1.4.0", "v1.4.1"):
            made.schema(ref, SCHEMA)
        story.write("gateway.yaml.tftpl", "binds: []\n")
        made.ask(SIGNATURE, SCAN, CONFIG)
        story.commit("feat: gates")
        yield made


def test_the_service_waits_for_the_signature_and_the_record_has_the_rest(service: Service, gated: Gated) -> None:
    starts = gated.programs.answers
    service.at("apply", f'cat {starts}/*.starts >"$here/asked-before"')
    gated.engine.says[gated.candidate] = Answer(1, "", "Error: binds[0]: unknown field `gateways`\n")

    run = service.apply()

    before = (service.bin / "asked-before").read_text()
    marks = {gate: mark for mark, gate in re.findall(r"(?m)^- (\S+) \*\*([a-z-]+)\*\*", service.story.proposed[0].body)}
    assert run.code == 0, run.err
    assert "verify" in before
    assert "--platform" not in before
    assert service.runs == service.image("v1.4.0")
    assert any("--platform" in start for start in gated.programs.starts("trivy"))
    assert (marks["signature"], marks["vulnerabilities"], marks["config"]) == ("✅", "⚠️", "⚠️")


def test_an_unsigned_image_is_not_run(service: Service, gated: Gated) -> None:
    gated.programs.signature(gated.candidate, "unsigned")

    run = service.apply()

    assert (run.code, service.steps, service.story.proposed) == (5, [], [])
    assert "Do not go back there." in run.out


def test_a_rollback_that_is_open_already_is_told_that_the_image_runs(service: Service) -> None:
    service.story.rollback()

    service.story.run("rollback", "--emergency", "production", "--run", "apply")

    assert ["`production` was pointed at `v1.4.0`" in pull.body for pull in service.story.proposed] == [True]
