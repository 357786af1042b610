"""Which releases there are, and which of them is the candidate."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.embedded.server import Fault, Response
from tests.flows.conftest import NOW, UPSTREAM, Town

NO_RELEASES = (
    "v1.5.0-alpha.1",
    "v1.5.0-beta.2",
    "v1.5.0-rc.1",
    "v0.0.0-alpha.3fa9c1e",
    "v1.5.0-musl",
    "latest",
    "latest-dev",
    "buildcache",
    "sha256-" + "a" * 64 + ".sig",
    "v1.5",
    "charts-9.9.9",
)


def tag_mode(town: Town) -> None:
    town.settings('github = "agentgateway/agentgateway"\n', "")


def test_what_is_no_release_is_no_candidate(town: Town) -> None:
    for ref in NO_RELEASES[:-2]:
        town.release(ref, days_ago=1)
    town.release("v1.5.1", days_ago=1, prerelease=True)
    town.github.add_release(UPSTREAM, "v1.5.2", draft=True)

    run = town.run("plan", "--json")

    picked = [entry["ref"] for entry in run.json["selection"] if entry["picked"]]
    assert all(entry["reason"] for entry in run.json["selection"])
    assert picked == ["v1.4.1"]


def test_tags_of_every_kind_in_the_registry_and_the_newest_on_the_last_page(town: Town) -> None:
    tag_mode(town)
    image = town.registry.repository(UPSTREAM).find_manifest("v1.4.1")
    assert image is not None
    for number in range(1200):
        town.registry.push_bytes(UPSTREAM, f"v1.0.{number}", image.data, image.media_type)
    for tag in NO_RELEASES[:-2]:
        town.registry.push_bytes(UPSTREAM, tag, image.data, image.media_type)
    newest = town.registry.push_image(UPSTREAM, "v1.10.0")
    town.registry.page_size = 100

    run = town.run("plan", "--json")

    pages = [e for e in town.registry.exchanges if "/tags/list" in e.path]
    assert len(pages) > 12
    assert run.json["candidate"]["digest"] == newest


def test_a_version_with_a_bare_image_tag_is_found(empty_town: Town) -> None:
    town = empty_town
    town.release("v0.11.0", tag="0.11.0")
    town.digests["v0.11.0"] = town.digests["0.11.0"]
    town.pin("v0.11.0")
    digest = town.release("v0.12.0", tag="0.12.0")

    run = town.run("plan", "--json")

    edits = {edit["file"]: edit["new"] for edit in run.json["edits"]}
    assert edits["infrastructure/variables.tf"] == f"{town.image}:0.12.0@{digest}"
    assert (run.json["candidate"]["ref"], run.json["candidate"]["tag"]) == ("v0.12.0", "0.12.0")


def test_versions_order_releases_and_dates_do_not(town: Town) -> None:
    town.release("v1.3.2", days_ago=1)
    town.release("v1.10.0", days_ago=15)

    run = town.run("plan", "--json")

    assert run.json["candidate"]["ref"] == "v1.10.0"


def test_the_newest_is_older_than_the_pin(empty_town: Town) -> None:
    empty_town.release("v1.2.0")
    empty_town.registry.push_image(UPSTREAM, "v1.3.1")
    empty_town.digests["v1.3.1"] = empty_town.registry.push_image(UPSTREAM, "v1.3.1")
    empty_town.pin("v1.3.1")

    run = empty_town.run("plan", "--json")

    assert "no downgrade" in run.json["reason"]
    assert (run.code, run.json["outcome"]) == (0, "nothing_new")


@pytest.mark.parametrize(
    ("to", "code", "words"),
    [
        ("v1.4.0", 0, ""),
        ("1.4.0", 0, ""),
        ("v1.3.1", 0, "the pin"),
        ("v1.2.0", 6, "no downgrade"),
        ("v9.9.9", 6, "no such release"),
        ("v1.5.0-rc.1", 6, "prerelease"),
    ],
)
def test_what_a_person_names_passes_the_same_policy(town: Town, to: str, code: int, words: str) -> None:
    town.release("v1.5.0-rc.1")

    run = town.run("plan", "--to", to, "--json")

    assert words in run.json["reason"]
    assert run.code == code


@pytest.mark.parametrize("to", ["latest", "../../x", "v1.4.1\n", "$(id)"])
def test_a_name_that_is_no_version_is_wrong_use(town: Town, to: str) -> None:
    run = town.run("plan", "--to", to)

    assert run.code == 2


def test_a_range_keeps_the_next_major_away(town: Town) -> None:
    town.release("v2.0.0", days_ago=1)
    town.settings('channel = "stable"', 'channel = "stable"\nallow = "<2"')

    run = town.run("plan", "--json")

    reasons = {entry["ref"]: entry["reason"] for entry in run.json["selection"]}
    assert "<2" in reasons["v2.0.0"]
    assert run.json["candidate"]["ref"] == "v1.4.1"


def test_the_prerelease_channel_follows_prereleases(town: Town) -> None:
    town.release("v1.5.0-rc.1", prerelease=True)
    town.release("v0.0.0-alpha.3fa9c1e")
    town.settings('channel = "stable"', 'channel = "prerelease"')

    run = town.run("plan", "--json")

    assert run.json["candidate"]["ref"] == "v1.5.0-rc.1"


def test_pages_are_read_until_the_pin_is_covered_and_no_further(town: Town) -> None:
    for number in range(250):
        town.github.add_release(UPSTREAM, f"v0.{number}.0", published=NOW - timedelta(days=100 + number))
    for number in range(150):
        town.github.add_release(UPSTREAM, f"v1.5.0-rc.{number}", published=NOW - timedelta(hours=number + 1))

    run = town.run("plan", "--json")

    pages = [e for e in town.github.exchanges if "/releases" in e.path]
    assert len(pages) == 3
    assert run.json["candidate"]["ref"] == "v1.4.1"


LINKS = {
    "a loop": ('<{url}&page=1>; rel="next"', 4),
    "pages without end": (None, 4),
    "a foreign host": ('<http://localhost:{port}/repos/x/releases>; rel="next"', 5),
}


@pytest.mark.parametrize("case", LINKS)
@pytest.mark.parametrize("mode", ["releases", "tags"])
def test_a_link_that_leads_astray(town: Town, case: str, mode: str) -> None:
    link, code = LINKS[case]
    server = town.github if mode == "releases" else town.registry
    asked = []

    def astray(_: str, path: str) -> Fault | None:
        if "/tags/list" not in path and "/releases" not in path:
            return None
        asked.append(path)
        url = f"{server.url}{path.partition('&page')[0]}"
        target = link or f'<{url}&page={len(asked)}>; rel="next"'
        header = target.format(url=url, port=server.port)
        body = b"[]" if mode == "releases" else b'{"tags": []}'
        return Fault(answer=Response(200, body, (("Link", header), ("Content-Type", "application/json"))))

    server.intercept = astray
    if mode == "tags":
        tag_mode(town)

    run = town.run("plan", "--json")

    assert len(asked) <= 200
    assert (run.code, run.json["outcome"]) == (code, "blocked")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Response(401, b'{"message": "Bad credentials"}'), 7),
        (Response(403, b'{"message": "rate limit"}', (("x-ratelimit-remaining", "0"),)), 4),
        (Response(404, b'{"message": "Not Found"}'), 2),
        (Response(500, b""), 4),
        (Response(200, b"<html>"), 5),
        (Response(200, b'[{"tag_name": 5}]'), 5),
        (Response(301, b"", (("Location", "/repositories/1/releases"),)), 5),
    ],
    ids=str,
)
def test_an_answer_that_is_no_list_is_never_nothing_new(town: Town, answer: Response, code: int) -> None:
    town.github.intercept = lambda _, path: Fault(answer=answer) if "/releases" in path else None

    run = town.run("plan", "--json")

    assert (run.code, run.json["outcome"]) == (code, "blocked")


def test_a_clock_that_is_hours_behind_makes_no_negative_age(town: Town) -> None:
    town.github.add_release(UPSTREAM, "v1.5.0", published=NOW + timedelta(hours=9))

    run = town.run("plan", "--json")

    assert "not ready yet" in run.json["reason"]
    assert run.code == 0


def test_explain_shows_a_hostile_ref_without_obeying_it(town: Town) -> None:
    town.github.add_release(UPSTREAM, "v9\x1b[2J\u202eevil\n::error::x")

    run = town.run("plan", "--explain")

    assert "\x1b" not in run.out
    assert "\u202e" not in run.out
    assert not any(line.startswith("::error") for line in run.out.splitlines())


def test_a_listing_cut_without_a_word_is_asked_again(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.adapters.registry._PAGE", 2)
    tag_mode(town)
    cut = Fault(answer=Response(200, b'{"tags": ["v1.3.1", "v1.4.0"]}'))
    town.registry.intercept = lambda _, path: cut if path.endswith("?n=2") else None

    run = town.run("plan", "--json")

    assert run.json["candidate"]["ref"] == "v1.4.1"


def test_tags_have_a_bound(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.adapters.registry.MAX_TAGS", 1)
    monkeypatch.setattr("bot.adapters.registry._PAGE", 1)
    tag_mode(town)

    run = town.run("plan")

    assert "does not end" in run.out
    assert run.code == 4


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_is_not_accepted_is_for_a_person(town: Town, status: int) -> None:
    town.github.intercept = lambda _, path: Fault(answer=Response(status, b"{}")) if "/releases" in path else None

    run = town.run("plan")

    assert "the token is not accepted" in run.out
    assert run.code == 7
