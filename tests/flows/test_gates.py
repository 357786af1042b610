"""A candidate passes the gates that the settings ask, or nothing is proposed and the run says why."""

from __future__ import annotations

from typing import Any

import pytest

from bot.adapters.engine import Engine
from bot.core.gateway_config.verdict import Answer
from tests.flows.conftest import CONFIG, DOWNSTREAM, NOW, SCAN, SCHEMA, SIGNATURE, Gated
from tests.flows.standins import Signed

OPENSSL = ("CVE-2026-0001", "openssl", "HIGH", "1.0-r1")
GLIBC = ("CVE-2026-0002", "glibc", "CRITICAL", "2.0-r1")


def test_all_gates_pass_and_stand_in_the_pull_request_with_their_evidence(gated: Gated) -> None:
    gated.ask(SIGNATURE, SCAN, CONFIG)

    run = gated.run("propose")

    body = gated.town.github.pulls(DOWNSTREAM)[0].body
    gates = [line.split("**")[1] for line in body.splitlines() if line.startswith("- ✅ **")]
    assert run.code == 0
    assert gates == ["pinned-tag", "digest", "platforms", "new-digest", "signature", "vulnerabilities", "config"]
    assert "release.yml@refs/tags/v1.4.1" in body
    assert "log index 77" in body
    assert "not asked" not in body


def test_a_question_that_the_settings_do_not_ask_is_named(gated: Gated) -> None:
    gated.ask(SIGNATURE)

    gated.run("propose")

    body = gated.town.github.pulls(DOWNSTREAM)[0].body
    assert "not asked, as gateway-bot.toml has no table for it: `scan`, `config`" in body
    assert gated.programs.starts("trivy") == []


def test_the_run_that_finds_nothing_new_asks_no_gate(gated: Gated) -> None:
    gated.ask(SIGNATURE, SCAN, CONFIG)
    gated.run("apply")

    again = gated.run("plan")

    assert again.code == 0
    assert "nothing new" in again.out


@pytest.mark.parametrize(
    ("kind", "code", "verdict", "said"),
    [
        ("bundle", 0, "pass", "Sigstore bundle, verified by cosign 3.1.3"),
        ("legacy", 0, "pass", "legacy signature, verified by cosign 3.1.3"),
        ("unsigned", 5, "fail", "unsigned"),
        ("wrong", 5, "fail", "no matching CertificateIdentity"),
        ("sbom", 5, "fail", "there is no signature: what that identity made is https://cyclonedx.org/bom"),
        ("other-digest", 5, "fail", "names another digest"),
        ("empty", 5, "fail", "proves nothing"),
        ("crash", 4, "unknown", "connection refused"),
    ],
)
def test_only_a_signature_of_this_very_digest_passes(
    gated: Gated, kind: Signed, code: int, verdict: str, said: str
) -> None:
    gated.ask(SIGNATURE)
    gated.programs.signature(gated.candidate, kind)

    run = gated.run("propose", "--json")

    gate = run.json["gates"][-1]
    assert (run.code, gate["name"], gate["verdict"]) == (code, "signature", verdict)
    assert said in gate["evidence"]
    assert len(gated.town.github.pulls(DOWNSTREAM)) == (code == 0)


def test_a_program_that_is_not_there_makes_its_gate_unknown(gated: Gated) -> None:
    gated.ask(SIGNATURE)
    gated.programs.remove("cosign")

    run = gated.run("propose")

    assert run.code == 4
    assert "cosign is not installed" in run.out
    assert "docs/tools.md" in run.out


def test_a_signature_is_verified_by_digest_and_never_by_tag(gated: Gated) -> None:
    gated.ask(SIGNATURE)

    gated.run("plan")

    asked = [line for line in gated.programs.starts("cosign") if line.startswith("verify ")]
    assert len(asked) == 2
    assert all(line.endswith(f"@{gated.candidate}") for line in asked)
    assert not any(":v1.4.1" in line for line in asked)


def test_a_new_finding_that_the_policy_blocks_is_no_upgrade(gated: Gated) -> None:
    gated.ask(SCAN)
    gated.programs.findings(gated.candidate, [OPENSSL], platforms=["arm64"])

    run = gated.run("propose")

    assert run.code == 6
    assert "CVE-2026-0001 HIGH in openssl on linux/arm64" in run.out
    assert gated.town.github.pulls(DOWNSTREAM) == ()


def test_a_scanner_that_fails_is_never_taken_for_no_findings(gated: Gated) -> None:
    gated.ask(SCAN)
    gated.programs.database("2026-08-20T06:00:00Z", failure="FATAL\tdb error: dial tcp: i/o timeout\n")

    run = gated.run("propose", "--json")

    assert (run.code, run.json["gates"][-1]["verdict"]) == (4, "unknown")
    assert "i/o timeout" in run.json["reason"]


def test_an_ignore_with_a_reason_lets_its_finding_pass_until_its_day(gated: Gated) -> None:
    ignore = '[[image.scan.ignore]]\nid = "CVE-2026-0001"\nreason = "not reached"\nuntil = {day}\n'
    gated.programs.findings(gated.candidate, [OPENSSL])
    gated.ask(SCAN, ignore.format(day=f"{NOW:%Y-%m-%d}"))

    held = gated.run("plan")
    settings = gated.town.text("gateway-bot.toml").replace(f"until = {NOW:%Y-%m-%d}", "until = 2026-08-19")
    gated.town.write("gateway-bot.toml", settings)
    over = gated.run("plan")

    assert (held.code, over.code) == (0, 6)
    assert "no longer ignored" in over.out


def test_what_was_scanned_is_not_scanned_again(gated: Gated) -> None:
    gated.ask(SCAN)

    gated.run("plan")
    once = len([line for line in gated.programs.starts("trivy") if "--output" in line])
    gated.run("plan")
    twice = len([line for line in gated.programs.starts("trivy") if "--output" in line])
    gated.programs.database("2026-08-21T06:00:00Z")
    gated.run("plan")
    thrice = len([line for line in gated.programs.starts("trivy") if "--output" in line])

    assert (once, twice, thrice) == (4, 4, 8)


def test_the_vulnerabilities_that_go_and_come_stand_in_the_pull_request(gated: Gated) -> None:
    gated.ask(SCAN)
    gated.programs.findings(gated.current, [OPENSSL, GLIBC])
    gated.programs.findings(gated.candidate, [("CVE-2026-0009", "zlib", "LOW", "")])

    gated.run("propose")

    body = gated.town.github.pulls(DOWNSTREAM)[0].body
    assert "**Vulnerabilities**: 1 new, 2 fixed." in body
    assert body.index("**new** LOW") < body.index("**fixed** CRITICAL") < body.index("**fixed** HIGH")


def test_a_config_that_the_program_refuses_is_no_upgrade(gated: Gated) -> None:
    gated.ask(CONFIG)
    gated.engine.says[gated.candidate] = Answer(1, "", "Error: binds[0]: unknown field `prot`, expected `port`\n")

    run = gated.run("propose")

    assert run.code == 6
    assert "refuses production: exit 1: binds[0]: unknown field `prot`" in run.out


@pytest.mark.parametrize(
    "answer",
    [
        Answer(0, "No local configuration\nConfiguration is valid!\n", ""),
        Answer(0, "", ""),
        Answer(137, "Configuration is valid!\n", "", "did not end within 60 s"),
        Answer(2, "", "error: unexpected argument\n"),
    ],
    ids=["no config was looked at", "it says nothing", "it does not end", "wrong arguments"],
)
def test_an_exit_code_of_0_alone_is_no_yes(gated: Gated, answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = Engine.ask.__kwdefaults__ or {}
    monkeypatch.setitem(defaults, "seconds", 1.0)  # half a minute is for programs, not for stand-ins
    gated.ask(CONFIG)
    gated.engine.says[gated.candidate] = answer

    assert gated.run("propose").code == 6


def test_the_program_decides_and_the_schema_explains(gated: Gated) -> None:
    gated.ask(CONFIG)
    gated.schema("v1.4.1", {**SCHEMA, "properties": {"gateways": {"type": "object"}}})

    run = gated.run("plan", "--json")

    assert (run.code, run.json["gates"][-1]["verdict"]) == (0, "warn")
    assert "binds" in run.json["gates"][-1]["evidence"]


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"$ref": "https://example.com/schema.json"}'])
def test_a_schema_that_is_none_is_an_unknown_schema(gated: Gated, body: bytes) -> None:
    gated.ask(CONFIG)
    gated.schema("v1.4.1", body)

    run = gated.run("plan")

    assert run.code == 6
    assert "schema unknown" in run.out


def test_a_schema_that_moved_away_is_an_unknown_schema(gated: Gated) -> None:
    gated.ask(CONFIG.replace("schema/config.json", "schema/local.json"))

    run = gated.run("plan")

    assert run.code == 6
    assert "schema unknown: schema/local.json at v1.4.1" in run.out


@pytest.mark.parametrize(
    ("policy", "environ", "code", "verdict"),
    [
        ("ci", {"CI": "true"}, 6, "unknown"),
        ("ci", {}, 0, "warn"),
        ("always", {}, 6, "unknown"),
        ("never", {"CI": "true"}, 0, "warn"),
    ],
)
def test_without_an_engine_the_policy_says_whether_that_blocks(
    gated: Gated, policy: str, environ: dict[str, str], code: int, verdict: str
) -> None:
    gated.ask(CONFIG.replace("[[image.config", f'without_engine = "{policy}"\n[[image.config'))

    run = gated.run("plan", "--json", DOCKER_HOST="tcp://127.0.0.1:9", **environ)

    assert (run.code, run.json["gates"][-1]["verdict"]) == (code, verdict)


def test_a_template_that_is_not_there_is_wrong_use(gated: Gated) -> None:
    gated.ask(CONFIG.replace("gateway.yaml.tftpl", "nowhere.tftpl"))

    run = gated.run("plan")

    assert run.code == 2
    assert "nowhere.tftpl" in run.out


def test_a_release_that_fixes_what_is_bad_enough_does_not_cool_down(gated: Gated) -> None:
    gated.town.release("v1.4.2", days_ago=1)
    gated.town.settings('channel = "stable"', 'channel = "stable"\ncooldown_days = 3')
    young = gated.town.digests["v1.4.2"]
    gated.ask(SCAN)
    gated.programs.findings(gated.current, [GLIBC])
    gated.programs.findings(gated.candidate, [GLIBC])
    gated.programs.findings(young, [])

    run = gated.run("propose", "--json")

    body = gated.town.github.pulls(DOWNSTREAM)[0].body
    assert run.json["candidate"]["ref"] == "v1.4.2"
    assert "need not wait for the cooldown: it fixes CVE-2026-0002 (CRITICAL)" in body


@pytest.mark.parametrize("fixed", [[], [OPENSSL]], ids=["fixes nothing", "fixes what is not bad enough"])
def test_a_release_that_fixes_nothing_urgent_cools_down(gated: Gated, fixed: list[Any]) -> None:
    gated.town.release("v1.4.2", days_ago=1)
    gated.town.settings('channel = "stable"', 'channel = "stable"\ncooldown_days = 3')
    gated.ask(SCAN)
    gated.programs.findings(gated.current, fixed)
    gated.programs.findings(gated.town.digests["v1.4.2"], [])

    run = gated.run("plan", "--json")

    assert run.json["candidate"]["ref"] == "v1.4.1"


def test_a_scan_that_fails_leaves_a_young_release_cooling_and_says_so(gated: Gated) -> None:
    gated.town.run("apply")
    gated.town.release("v1.4.2", days_ago=1)
    gated.town.settings('channel = "stable"', 'channel = "stable"\ncooldown_days = 3')
    gated.ask(SCAN)
    gated.programs.remove("trivy")

    run = gated.run("plan")

    assert run.code == 0
    assert "v1.4.2 (cooling until" in run.out
    assert "whether v1.4.2 is urgent is not known" in run.err


def test_the_reason_of_an_ignore_stands_where_it_holds(gated: Gated) -> None:
    ignore = '[[image.scan.ignore]]\nid = "CVE-2026-0001"\nreason = "the function is not reached"\nuntil = 2026-12-31\n'
    gated.ask(SCAN, ignore)
    gated.programs.findings(gated.candidate, [OPENSSL])

    gated.run("propose")

    body = gated.town.github.pulls(DOWNSTREAM)[0].body
    assert "1 ignored: CVE-2026-0001 in openssl through 2026-12-31 (the function is not reached)" in body


def test_a_config_that_is_no_yaml_is_refused_even_where_nobody_else_is_asked(gated: Gated) -> None:
    gated.ask(CONFIG.replace('schema = "schema/config.json"\n', ""))
    gated.programs.renders("binds: [\n")

    run = gated.run("plan", DOCKER_HOST="tcp://127.0.0.1:9")

    assert run.code == 6
    assert "it cannot be read" in run.out


def test_every_gate_that_refuses_says_what_to_do_next(gated: Gated) -> None:
    gated.ask(SIGNATURE, SCAN)
    gated.programs.signature(gated.candidate, "unsigned")
    gated.programs.findings(gated.candidate, [OPENSSL])

    run = gated.run("plan")

    assert run.code == 5
    assert "next      Do not use v1.4.1" in run.out
    assert "next: Wait for a release that fixes it" in run.out


def test_what_strangers_write_into_a_gates_evidence_does_not_act(gated: Gated) -> None:
    gated.ask(CONFIG)
    values = [
        "x" * 150 + "`](https://evil.example) ![a](https://evil.example/i.png) @acme/owners <img src=x> fixes #1"
    ] * 9
    gated.schema("v1.4.1", {**SCHEMA, "properties": {"binds": {"enum": values}}})

    gated.run("propose")

    body = gated.town.github.pulls(DOWNSTREAM)[0].body
    line = next(line for line in body.splitlines() if "**config**" in line)
    assert not any(text in line.replace("\\", "") for text in ("](https://", "<img", "@acme", "#1"))


def test_a_scan_of_an_image_that_calls_itself_another_system_fixes_nothing(gated: Gated) -> None:
    gated.ask(SCAN)
    gated.programs.findings(gated.current, [GLIBC])
    gated.programs.findings(gated.candidate, [], family="alpine")

    run = gated.run("plan", "--json")

    gate = run.json["gates"][-1]
    assert gate["verdict"] == "warn"
    assert "1 no longer to be seen" in gate["evidence"]
    assert "fixed" not in gate["evidence"]
