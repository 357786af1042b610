"""Which tag is the pinned one, where a ref maps to several; and what it answers."""

from __future__ import annotations

import json

import pytest

from bot.embedded.registry import EmbeddedRegistry
from bot.embedded.server import Fault, Response
from bot.embedded.tokens import TokenServer
from tests.flows.conftest import UPSTREAM, Town


def with_both_tags(town: Town) -> None:
    """The files hold `repo:1.3.1@...`, and upstream has `1.3.1` beside `v1.3.1`."""
    image = town.registry.repository(UPSTREAM).find_manifest("v1.3.1")
    assert image is not None
    town.registry.push_bytes(UPSTREAM, "1.3.1", image.data, image.media_type)
    for name in ("infrastructure/variables.tf", "infrastructure/README.md"):
        town.write(name, town.text(name).replace(":v1.3.1@", ":1.3.1@"))


def test_the_tag_that_stands_in_the_files_is_the_one_that_is_asked(town: Town) -> None:
    with_both_tags(town)
    town.registry.push_image(UPSTREAM, "1.3.1", variation="re-pushed")

    run = town.run("check", "--online")

    assert f"{town.image}:1.3.1" in run.out
    assert run.code == 5


def test_a_sibling_tag_that_moved_is_no_alarm(town: Town) -> None:
    with_both_tags(town)
    town.registry.push_image(UPSTREAM, "v1.3.1", variation="re-pushed")

    run = town.run("check", "--online")

    assert run.code == 0


def test_a_passing_404_does_not_make_another_tag_the_pinned_one(town: Town) -> None:
    for name in ("infrastructure/variables.tf", "infrastructure/README.md"):
        town.write(name, town.text(name).replace(":v1.3.1@", "@"))
    town.registry.push_image(UPSTREAM, "1.3.1", variation="another image")
    left = [Fault(answer=Response(404))]
    town.registry.intercept = lambda _, path: left.pop() if path.endswith("/v1.3.1") and left else None

    run = town.run("check", "--online")

    assert run.code == 0


def test_the_evidence_names_the_tag_that_answered(empty_town: Town) -> None:
    town = empty_town
    town.digests["v0.11.0"] = town.release("v0.11.0", tag="0.11.0")
    town.pin("v0.11.0")
    for name in ("infrastructure/variables.tf", "infrastructure/README.md"):
        town.write(name, town.text(name).replace(":v0.11.0@", ":0.11.0@"))

    run = town.run("check", "--online", "--json")

    repeat = run.json["gates"][0]["repeat"].split()[1:]
    assert f"{town.image}:0.11.0 still answers" in run.json["gates"][0]["evidence"]
    assert town.run(*repeat).code == 0


def test_a_private_registry_in_tag_mode_lets_both_requests_in(town: Town) -> None:
    tokens = TokenServer(user="bot", password="x", private=True)  # noqa: S106 - of the embedded registry
    with EmbeddedRegistry(tokens=tokens) as private:
        private.repositories = town.registry.repositories
        for name in ("gateway-bot.toml", "infrastructure/variables.tf", "infrastructure/README.md", "Dockerfile"):
            town.write(name, town.text(name).replace(town.registry.host, private.host))
        town.settings('github = "agentgateway/agentgateway"\n', "")
        docker = town.root.parent / ".docker"
        docker.mkdir()
        (docker / "config.json").write_text(json.dumps({"auths": {private.host: {"auth": "Ym90Ong="}}}))

        runs = [town.run("plan", "--json") for _ in range(10)]

    assert {(run.code, run.json["candidate"]["ref"]) for run in runs} == {(0, "v1.4.1")}


def test_variants_are_no_prereleases(town: Town) -> None:
    town.settings('channel = "stable"', 'channel = "prerelease"')
    for ref in ("v1.5.0-musl", "v1.5.0-ext", "v1.5.0-alpha.1"):
        town.release(ref)

    run = town.run("plan", "--json")

    assert run.json["candidate"]["ref"] == "v1.5.0-alpha.1"


def test_a_newer_version_just_below_the_pin_is_found_on_the_next_page(empty_town: Town) -> None:
    town = empty_town
    town.release("v1.4.1", days_ago=40)
    town.release("v1.3.5", days_ago=30)
    for number in range(99):
        town.github.add_release(UPSTREAM, f"v0.0.0-alpha.{number}")
    town.pin("v1.3.5")

    run = town.run("plan", "--json")

    assert run.json["candidate"]["ref"] == "v1.4.1"


def test_headers_that_drip_end_at_the_deadline_too(town: Town) -> None:
    town.clock.pace = 1000.0
    town.registry.intercept = lambda _, path: Fault(delay=3) if path.endswith("/v1.4.1") else None

    run = town.run("plan", "--json")

    assert run.code == 4


def test_a_rulesets_refusal_is_not_told_as_a_race(town: Town) -> None:
    body = b'{"message": "Repository rule violations found"}'
    answer = Response(422, body, (("Content-Type", "application/json"),))
    town.github.intercept = lambda method, path: (
        Fault(answer=answer) if method == "POST" and path.endswith("/git/refs") else None
    )

    run = town.run("propose")

    assert "rulesets" in run.out
    assert run.code == 7


def test_what_was_reported_stays_reported_when_a_later_image_fails(town: Town) -> None:
    town.write(
        "gateway-bot.toml",
        f'{town.text("gateway-bot.toml")}[[image]]\nname = "broken"\nregistry = "{town.registry.host}/x/y"\n'
        '[[image.pins]]\ntype = "pattern"\nfile = "none.txt"\npattern = "(?P<image>.+)"\n',
    )

    run = town.run("apply")

    assert "agentgateway: upgrade v1.3.1 -> v1.4.1" in run.out
    assert "broken: blocked." in run.out
    assert run.code == 3


def test_the_plan_names_the_tag_that_answered(empty_town: Town) -> None:
    town = empty_town
    town.digests["v0.11.0"] = town.release("v0.11.0", tag="0.11.0")
    town.pin("v0.11.0")
    for name in ("infrastructure/variables.tf", "infrastructure/README.md"):
        town.write(name, town.text(name).replace(":v0.11.0@", "@"))

    run = town.run("plan", "--json")

    assert run.json["current"]["tag"] == "0.11.0"


def test_a_drifted_tag_is_drift_and_no_withdrawal(empty_town: Town) -> None:
    town = empty_town
    town.digests["v0.11.0"] = town.release("v0.11.0", tag="0.11.0")
    town.pin("v0.11.0")
    town.write("infrastructure/variables.tf", town.text("infrastructure/variables.tf").replace(":v0.11.0@", "@"))
    town.write("infrastructure/README.md", town.text("infrastructure/README.md").replace(":v0.11.0@", ":v0.10.0@"))

    run = town.run("plan", "--json")

    assert [drift["file"] for drift in run.json["drift"]] == ["infrastructure/README.md"]
    assert run.code == 3


@pytest.mark.parametrize("platform", ["linux/amd64/v1", "linux/x86_64", "linux/aarch64", "linux/arm64/v8"])
def test_a_platform_under_its_other_name_is_the_same(town: Town, platform: str) -> None:
    town.settings('platforms = ["linux/amd64", "linux/arm64"]', f'platforms = ["{platform}"]')

    run = town.run("plan")

    assert run.code == 0
