"""`verify`, `scan` and `validate`: one gate, asked by hand of the pin, of the candidate, or of a release by name."""

from __future__ import annotations

import json

import pytest

from bot.core.gateway_config.verdict import Answer
from tests.flows.conftest import CONFIG, SCAN, SCHEMA, SIGNATURE, Gated

OPENSSL = ("CVE-2026-0001", "openssl", "HIGH", "1.0-r1")
ZLIB = ("CVE-2026-0009", "zlib", "LOW", "")


def test_verify_asks_of_the_pin_and_says_who_signed_it(gated: Gated) -> None:
    gated.ask(SIGNATURE)

    run = gated.run("verify", "--json")

    assert run.code == 0
    assert [(gate["name"], gate["verdict"]) for gate in run.json["gates"]] == [
        ("pinned-tag", "pass"),
        ("platforms", "pass"),
        ("signature", "pass"),
    ]
    assert run.json["signature"] == {
        "identity": "https://github.com/agentgateway/agentgateway/.github/workflows/release.yml@refs/tags/v1.3.1",
        "issuer": "https://token.actions.githubusercontent.com",
        "digest": gated.current,
        "format": "bundle",
        "at": "2026-08-17T20:53:20Z",
        "log_index": 77,
        "tool": "cosign 3.1.3",
    }


@pytest.mark.parametrize("name", ["v1.4.1", "1.4.1"])
def test_verify_of_a_release_asks_for_its_own_tag_in_the_identity(gated: Gated, name: str) -> None:
    gated.ask(SIGNATURE)

    run = gated.run("verify", name)

    assert run.code == 0
    assert "refs/tags/v1.4.1" in run.out
    assert "again: cosign verify --certificate-oidc-issuer https://token.actions.githubusercontent.com" in run.out


def test_verify_of_an_unsigned_release_is_a_breach_of_integrity(gated: Gated) -> None:
    gated.ask(SIGNATURE)
    gated.programs.signature(gated.candidate, "unsigned")

    run = gated.run("verify", "v1.4.1", "--json")

    assert (run.code, run.json["ok"], run.json["signature"]) == (5, False, None)


def test_verify_of_a_moved_tag_says_so_whatever_the_signature_is(gated: Gated) -> None:
    gated.ask(SIGNATURE)
    moved = gated.town.registry.push_image("agentgateway/agentgateway", "v1.3.1")

    run = gated.run("verify")

    assert run.code == 5
    assert f"moved tag: {gated.town.image}:v1.3.1 is {moved[:19]}" in run.out


@pytest.mark.parametrize(("command", "table"), [("verify", "signature"), ("validate", "config")])
def test_what_the_settings_do_not_say_cannot_be_asked(gated: Gated, command: str, table: str) -> None:
    run = gated.run(command)

    assert run.code == 2
    assert f"has no table `{table}`" in run.out


def test_a_release_that_is_not_there_is_no_release(gated: Gated) -> None:
    gated.ask(SIGNATURE)

    run = gated.run("verify", "v9.9.9")

    assert run.code == 5
    assert "v9.9.9 has no image" in run.out


@pytest.mark.parametrize("name", ["latest", "--", "sha256:0", "v1.4.1\n"])
def test_what_is_no_releases_name_is_wrong_use(gated: Gated, name: str) -> None:
    gated.ask(SCAN)

    assert gated.run("scan", f"--to={name}").code == 2


def test_scan_compares_the_candidate_with_the_pin(gated: Gated) -> None:
    gated.ask(SCAN)
    gated.programs.findings(gated.current, [OPENSSL])
    gated.programs.findings(gated.candidate, [ZLIB], platforms=["arm64"])

    found = gated.run("scan", "--json").json["vulnerabilities"]

    assert [(c["id"], c["platforms"]) for c in found["new"]] == [("CVE-2026-0009", ["linux/arm64"])]
    assert [(c["id"], c["platforms"]) for c in found["fixed"]] == [("CVE-2026-0001", ["linux/amd64", "linux/arm64"])]
    assert (found["persisting"], found["escalated"], found["scanner"]) == ([], [], "trivy 0.68.2")


def test_scan_needs_no_table_to_look(gated: Gated) -> None:
    gated.programs.findings(gated.candidate, [OPENSSL])

    run = gated.run("scan")

    assert run.code == 6
    assert "CVE-2026-0001" in run.out


def test_scan_of_the_pin_alone_lists_what_is_there(gated: Gated) -> None:
    gated.town.run("apply")
    gated.programs.findings(gated.candidate, [OPENSSL])

    run = gated.run("scan", "--json")

    assert (run.code, run.json["candidate"]) == (0, None)
    assert [c["id"] for c in run.json["vulnerabilities"]["persisting"]] == ["CVE-2026-0001"]
    assert len([line for line in gated.programs.starts("trivy") if "--output" in line]) == 2


def test_the_sarif_file_names_the_place_of_the_pin(gated: Gated) -> None:
    gated.programs.findings(gated.candidate, [OPENSSL])
    target = gated.town.root / "scan.sarif"

    gated.run("scan", "--sarif", str(target))

    (result,) = json.loads(target.read_text())["runs"][0]["results"]
    place = result["locations"][0]["physicalLocation"]
    lines = gated.town.text("versions.env").splitlines()
    assert result["ruleId"] == "CVE-2026-0001"
    assert place["artifactLocation"]["uri"] == "versions.env"
    assert "DIGEST" in lines[place["region"]["startLine"] - 1]


def test_validate_asks_schema_and_program(gated: Gated) -> None:
    gated.ask(CONFIG)
    gated.schema("v1.4.1", {**SCHEMA, "properties": {"gateways": {"type": "object"}}})

    run = gated.run("validate", "--json")

    config = run.json["config"]
    assert (run.code, run.json["gates"][0]["verdict"]) == (0, "warn")
    assert [each["name"] for each in config["environments"]] == ["production"]
    assert [(d["path"], d["breaks"]) for d in config["differences"]] == [("binds", True)]


def test_validate_of_an_older_release_needs_no_policy(gated: Gated) -> None:
    gated.ask(CONFIG)
    gated.engine.says[gated.town.digests["v1.4.0"]] = Answer(1, "", "Error: binds: unknown field `binds`\n")
    gated.engine.pulled.add(f"{gated.town.image}@{gated.town.digests['v1.4.0']}")
    gated.schema("v1.4.0", SCHEMA)

    run = gated.run("validate", "--to", "v1.4.0")

    assert run.code == 6
    assert "the candidate's program refuses production" in run.out
