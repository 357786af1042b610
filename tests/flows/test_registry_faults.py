"""What a registry may do wrong, with the outcome that a user sees; docs/faults.md lists them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bot.embedded.server import Fault, Response
from tests.flows.conftest import UPSTREAM, Town

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CANDIDATE = "/manifests/v1.4.1"


def on(path: str, *faults: Fault | None) -> Callable[[str, str], Fault | None]:
    """The faults, one for each request to this path; the last one stays."""
    left = list(faults)

    def intercept(_: str, asked: str) -> Fault | None:
        if not asked.endswith(path):
            return None
        return left.pop(0) if len(left) > 1 else left[0]

    return intercept


def status(code: int, *headers: tuple[str, str]) -> Fault:
    return Fault(answer=Response(code, b"{}", headers))


def edited(town: Town, **changes: Any) -> bytes:
    """The candidate's index with other top-level fields; None leaves one out."""
    content = town.registry.repository(UPSTREAM).find_manifest("v1.4.1")
    assert content is not None
    document = json.loads(content.data) | changes
    return json.dumps({key: value for key, value in document.items() if value is not None}).encode()


def entries(town: Town) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(edited(town))["manifests"]
    return found


def test_two_passing_404s_are_logged_and_asked_again(town: Town) -> None:
    town.registry.intercept = on(CANDIDATE, status(404), status(404), None)

    run = town.run("plan", "--json")

    assert run.err.count("HTTP 404") >= 2
    assert (run.code, run.json["outcome"]) == (0, "propose")


def test_a_young_release_without_image_is_not_ready_yet(empty_town: Town) -> None:
    empty_town.release("v1.3.1", days_ago=60)
    empty_town.pin("v1.3.1")
    empty_town.github.add_release(UPSTREAM, "v1.4.1", published=empty_town.clock.now())

    run = empty_town.run("plan", "--json")

    assert "not ready yet" in run.json["reason"]
    assert "2026-08-21 12:00 UTC" in run.json["reason"]
    assert (run.code, run.json["outcome"]) == (0, "nothing_new")


def test_an_old_release_without_image_is_an_error_that_names_the_tag(town: Town) -> None:
    town.registry.intercept = on(CANDIDATE, status(404))

    run = town.run("plan", "--json")

    assert "v1.4.1" in run.json["reason"]
    assert (run.code, run.json["outcome"]) == (5, "blocked")


@pytest.mark.parametrize(
    ("header", "least"),
    [("488µs", 1), ("Wed, 19 Aug 2026 12:00:00 GMT", 1), ("-5", 1), ("99999999999", 30), ("5", 5), ("nonsense", 1)],
)
def test_a_retry_after_of_any_kind_waits_between_floor_and_cap(town: Town, header: str, least: float) -> None:
    header = header.encode().decode("latin-1")  # as it arrives on the wire
    town.registry.intercept = on(CANDIDATE, status(429, ("Retry-After", header)), None)

    run = town.run("plan")

    assert least <= town.clock.slept[0] <= 30
    assert run.code == 0


def test_a_registry_that_always_throttles_is_exit_4(town: Town) -> None:
    town.registry.intercept = on(CANDIDATE, status(429, ("Retry-After", "99999999")))

    run = town.run("plan", "--json")

    assert "429" in run.json["reason"]
    assert run.code == 4


@pytest.mark.parametrize("fault", [Fault(drop=True), Fault(cut=100), status(500), status(503)], ids=str)
def test_a_passing_fault_is_asked_again(town: Town, fault: Fault) -> None:
    town.registry.intercept = on(CANDIDATE, fault, fault, None)

    run = town.run("plan", "--json")

    assert run.json["candidate"]["digest"] == town.digests["v1.4.1"]


@pytest.mark.parametrize("fault", [Fault(drop=True), Fault(cut=100), status(500)], ids=str)
def test_a_lasting_fault_is_exit_4_and_never_nothing_new(town: Town, fault: Fault) -> None:
    town.registry.intercept = on(CANDIDATE, fault)

    run = town.run("plan", "--json")

    assert (run.code, run.json["outcome"]) == (4, "blocked")


def test_a_slow_drip_ends_at_the_deadline(town: Town) -> None:
    town.clock.pace = 1000.0
    town.registry.intercept = on(CANDIDATE, Fault(drip=0.05))

    run = town.run("plan", "--json")

    assert run.code == 4


def test_a_header_digest_that_is_not_the_bodys_is_exit_5(town: Town) -> None:
    def lie(response: Response) -> Response:
        kept = tuple(h for h in response.headers if h[0] != "Docker-Content-Digest")
        return replace(response, headers=(*kept, ("Docker-Content-Digest", f"sha256:{'0' * 64}")))

    town.registry.intercept = on(CANDIDATE, Fault(change=lie))

    run = town.run("plan", "--json")

    assert "Docker-Content-Digest" in run.json["reason"]
    assert run.code == 5


def test_without_a_header_digest_the_computed_one_counts(town: Town) -> None:
    def silent(response: Response) -> Response:
        return replace(response, headers=tuple(h for h in response.headers if h[0] != "Docker-Content-Digest"))

    town.registry.intercept = on(CANDIDATE, Fault(change=silent))

    run = town.run("plan", "--json")

    assert run.json["candidate"]["digest"] == town.digests["v1.4.1"]


def test_a_single_manifest_is_not_multi_arch(town: Town) -> None:
    body = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": {}, "layers": []}).encode()
    town.registry.push_bytes(UPSTREAM, "v1.4.1", body, MANIFEST)

    run = town.run("plan", "--json")

    assert "not multi-arch" in run.json["reason"]
    assert run.code == 5


def test_a_missing_platform_is_named_with_those_that_are_there(empty_town: Town) -> None:
    town = empty_town
    town.release("v1.3.1", days_ago=60)
    town.pin("v1.3.1")
    town.release("v1.4.1")
    town.registry.push_image(UPSTREAM, "v1.4.1", platforms=("linux/amd64", "linux/s390x"))

    run = town.run("plan", "--json")

    assert "lacks linux/arm64; it has linux/amd64, linux/s390x" in run.json["reason"]
    assert run.code == 5


CONFUSED: dict[str, Callable[[Town], tuple[bytes, str]]] = {
    "a platform twice": lambda town: (edited(town, manifests=[*entries(town), entries(town)[0]]), INDEX),
    "only attestations": lambda town: (
        edited(town, manifests=[e for e in entries(town) if e["platform"]["os"] == "unknown"]),
        INDEX,
    ),
    "no entries": lambda town: (edited(town, manifests=[]), INDEX),
    "index and manifest at once": lambda town: (edited(town, layers=[]), INDEX),
    "the same with other capitals": lambda town: (edited(town, Layers=[]), INDEX),
    "media type against content type": lambda town: (edited(town, mediaType=MANIFEST), INDEX),
    "content type against media type": lambda town: (edited(town), MANIFEST),
    "unknown content type": lambda town: (edited(town), "application/json"),
    "html with 200": lambda _: (b"<html>please log in</html>", "text/html"),
    "html that claims to be an index": lambda _: (b"<html>please log in</html>", INDEX),
    "not a number": lambda town: (edited(town).replace(b'"schemaVersion": 2', b'"schemaVersion": NaN'), INDEX),
    "a key twice": lambda town: (edited(town).replace(b"{", b'{"schemaVersion": 2, ', 1), INDEX),
    "invalid utf-8": lambda town: (edited(town).replace(b"schemaVersion", b"schema\xff\xfe"), INDEX),
    "deep json": lambda _: (b"[" * 200_000, INDEX),
    "a body of 9 MB": lambda _: (b'{"schemaVersion": 2, "x": "' + b"a" * 9_000_000 + b'"}', INDEX),
    "a digest with sha512": lambda town: (
        edited(town, manifests=[entries(town)[0] | {"digest": f"sha512:{'a' * 128}"}]),
        INDEX,
    ),
    "a digest in upper case": lambda town: (
        edited(town, manifests=[entries(town)[0] | {"digest": f"sha256:{'A' * 64}"}]),
        INDEX,
    ),
    "a digest that is a path": lambda town: (edited(town, manifests=[entries(town)[0] | {"digest": "../../x"}]), INDEX),
    "a digest with a newline": lambda town: (
        edited(town, manifests=[entries(town)[0] | {"digest": f"sha256:{'a' * 64}\n"}]),
        INDEX,
    ),
}


@pytest.mark.parametrize("case", CONFUSED)
def test_an_index_that_cannot_be_what_it_claims_is_exit_5(town: Town, case: str) -> None:
    body, media_type = CONFUSED[case](town)
    town.registry.push_bytes(UPSTREAM, "v1.4.1", body, media_type)

    run = town.run("plan", "--json")

    assert run.json["candidate"] is None
    assert (run.code, run.json["outcome"]) == (5, "blocked")


def test_a_tag_that_moves_between_two_reads_gives_one_consistent_digest(town: Town) -> None:
    before = town.digests["v1.4.1"]

    def push_another(response: Response) -> Response:
        town.registry.push_image(UPSTREAM, "v1.4.1", variation="x")
        return response

    def move(_: str, asked: str) -> Fault | None:
        if asked.endswith(CANDIDATE):
            town.registry.intercept = None
            return Fault(change=push_another)
        return None

    town.registry.intercept = move

    run = town.run("plan", "--json")

    assert run.json["candidate"]["digest"] == before


def test_a_redirect_of_a_manifest_is_refused_and_nothing_is_sent_there(town: Town) -> None:
    elsewhere = f"http://localhost:{town.github.port}/steal"
    town.registry.intercept = on(CANDIDATE, status(307, ("Location", elsewhere)))

    run = town.run("plan", "--json")

    assert [e.path for e in town.github.exchanges if "steal" in e.path] == []
    assert "redirects" in run.json["reason"]
    assert run.code == 5


@pytest.mark.parametrize(
    "realm", ["http://localhost:{port}/token", "https://evil.example/token", "http://u:p@{host}/token", "/token", "x:"]
)
def test_a_token_realm_of_a_foreign_host_is_refused_and_nothing_is_sent_there(town: Town, realm: str) -> None:
    challenge = f'Bearer realm="{realm.format(port=town.github.port, host=town.registry.host)}",service="x"'
    town.registry.intercept = on(CANDIDATE, status(401, ("WWW-Authenticate", challenge)))
    auth = "Zm9vOnNlY3JldA=="
    docker = town.root.parent / ".docker"
    docker.mkdir()
    (docker / "config.json").write_text(json.dumps({"auths": {town.registry.host: {"auth": auth}}}))

    run = town.run("plan", "--json")

    assert [e.path for e in town.github.exchanges if "token" in e.path] == []
    assert not any(auth in value for e in town.registry.exchanges for value in e.headers.values())
    assert run.code == 5


def test_encoded_bytes_prove_nothing(town: Town) -> None:
    def encode(response: Response) -> Response:
        return replace(
            response, body=gzip.compress(response.body), headers=(*response.headers, ("Content-Encoding", "gzip"))
        )

    town.registry.intercept = on(CANDIDATE, Fault(change=encode))

    run = town.run("plan", "--json")

    assert "encoded" in run.json["reason"]
    assert run.code == 5


@pytest.mark.parametrize("location", ["http://[::1", "http://a:b@c:d/", "//", "http://x\x7f/", ""])
def test_a_redirect_to_no_address_is_refused(town: Town, location: str) -> None:
    town.registry.intercept = on(CANDIDATE, status(302, ("Location", location)))

    run = town.run("plan", "--json")

    assert (run.code, run.json["outcome"]) in {(5, "blocked"), (4, "blocked")}


@pytest.mark.parametrize(
    "target", ["http://[::1", "{host}:99999999/x", "\x01", "http://{host}\x7f/", "?" + "a" * 70_000]
)
def test_a_next_page_that_is_no_address_is_refused(town: Town, target: str) -> None:
    town.settings('github = "agentgateway/agentgateway"\n', "")
    link = f'<{target.format(host=town.registry.url)}>; rel="next"'
    body = b'{"tags": ["v1.3.1"]}'
    town.registry.intercept = lambda _, path: (
        Fault(answer=Response(200, body, (("Link", link),))) if "/tags/list" in path else None
    )

    run = town.run("plan", "--json")

    assert (run.code, run.json["outcome"]) in {(5, "blocked"), (4, "blocked")}


def test_the_moved_tag_stops_everything(town: Town) -> None:
    town.registry.push_image(UPSTREAM, "v1.3.1", variation="re-pushed")

    run = town.run("plan", "--json")

    assert "re-pushed" in run.json["reason"]
    assert town.run("check", "--online").code == 5
    assert (run.code, run.json["outcome"], run.json["edits"]) == (5, "blocked", [])


def test_the_same_digest_under_a_new_version_is_for_a_person(town: Town) -> None:
    content = town.registry.repository(UPSTREAM).find_manifest("v1.3.1")
    assert content is not None
    town.registry.push_bytes(UPSTREAM, "v1.4.1", content.data, content.media_type)

    run = town.run("plan", "--json")

    assert (run.code, run.json["outcome"]) == (6, "blocked")


def test_a_pinned_tag_that_is_gone_warns_while_there_is_an_upgrade(town: Town) -> None:
    town.registry.intercept = on("/manifests/v1.3.1", status(404))

    run = town.run("plan", "--json")

    assert [gate["verdict"] for gate in run.json["gates"]] == ["warn", "pass", "pass", "pass"]
    assert run.code == 0


def test_a_pinned_tag_that_is_gone_is_exit_5_when_nothing_is_new(empty_town: Town) -> None:
    empty_town.release("v1.3.1")
    empty_town.pin("v1.3.1")
    empty_town.registry.intercept = on("/manifests/v1.3.1", status(404))

    run = empty_town.run("plan", "--json")

    assert run.code == 5


def test_other_bytes_than_the_digest_that_was_asked_for_are_refused(town: Town) -> None:
    other = town.registry.repository(UPSTREAM).find_manifest("v1.4.1")
    assert other is not None
    answer = Response(200, other.data, (("Content-Type", other.media_type),))
    town.registry.intercept = lambda _, path: Fault(answer=answer) if "/manifests/sha256" in path else None

    run = town.run("resolve", town.digests["v1.3.1"])

    assert "asked for" in run.err
    assert run.code == 5
