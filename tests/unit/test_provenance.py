from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from bot.core.index import NotProven
from bot.core.model import Platform
from bot.core.reference import Reference, Repository, Tag
from bot.core.release.attestation import canonical
from bot.core.release.provenance import BUILD_TYPES, Provenance, UpstreamSignature, provenance, read_provenance
from tests.unit.values import NEW, OLD, OTHER

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SIGNED_BY = "https://github.com/agentgateway/agentgateway/.github/workflows/release.yml@refs/tags/v1.4.1"
BUILDER = "https://github.com/acme/gateway/.github/workflows/release.yml@refs/tags/v2.0.0"
MADE = Provenance(
    "retag",
    "https://github.com/acme/gateway",
    "v2.0.0",
    COMMIT,
    Reference(Repository("ghcr.io", "agentgateway/agentgateway"), Tag("v1.4.1"), NEW),
    ((Platform("linux", "amd64"), OLD), (Platform("linux", "arm", "v7"), OTHER)),
    BUILDER,
    "https://github.com/acme/gateway/actions/runs/12/attempts/1",
    UpstreamSignature(SIGNED_BY, "https://token.actions.githubusercontent.com", "bundle", 7),
)


def test_a_retag_says_what_it_was_asked_what_that_came_to_and_whose_signature_was_verified() -> None:
    expected = {
        "buildDefinition": {
            "buildType": "urn:x-gateway-bot:release:retag:v1",
            "externalParameters": {
                "ref": "refs/tags/v2.0.0",
                "repository": "https://github.com/acme/gateway",
                "source": "ghcr.io/agentgateway/agentgateway:v1.4.1",
            },
            "internalParameters": {
                "layersAdded": 0,
                "upstreamSignature": {
                    "format": "bundle",
                    "identity": SIGNED_BY,
                    "issuer": "https://token.actions.githubusercontent.com",
                    "logIndex": 7,
                },
            },
            "resolvedDependencies": [
                {
                    "digest": {"gitCommit": COMMIT},
                    "uri": "git+https://github.com/acme/gateway@refs/tags/v2.0.0",
                },
                {
                    "digest": {"sha256": "b" * 64},
                    "uri": f"pkg:oci/agentgateway@sha256%3A{'b' * 64}"
                    "?repository_url=ghcr.io/agentgateway/agentgateway&tag=v1.4.1",
                },
            ],
        },
        "runDetails": {
            "builder": {"id": BUILDER},
            "byproducts": [
                {"digest": {"sha256": "a" * 64}, "name": "linux/amd64"},
                {"digest": {"sha256": "c" * 64}, "name": "linux/arm/v7"},
            ],
            "metadata": {"invocationId": "https://github.com/acme/gateway/actions/runs/12/attempts/1"},
        },
    }

    assert expected == json.loads(provenance(MADE))


@pytest.mark.parametrize(
    "made",
    [
        MADE,
        replace(MADE, mode="build"),
        replace(MADE, signature=None),
        replace(MADE, invocation=""),
        replace(MADE, signature=UpstreamSignature("a", "b", "legacy")),
        replace(MADE, commit="ab" * 32),
        replace(MADE, source=Reference(Repository("127.0.0.1:5000", "a"), Tag("_x"), OLD)),
    ],
)
def test_what_was_written_is_read_back(made: Provenance) -> None:
    written = provenance(made)

    assert written == canonical(written)
    assert made == read_provenance(written)


def test_the_same_release_has_the_same_bytes() -> None:
    turned = replace(MADE, platforms=MADE.platforms[::-1])

    assert provenance(MADE) == provenance(turned)
    assert len({provenance(replace(MADE, mode=mode)) for mode in BUILD_TYPES}) == 2


@pytest.mark.parametrize("source", [replace(MADE.source, tag=None), replace(MADE.source, digest=None)])
def test_a_source_is_named_by_tag_and_digest(source: Reference) -> None:
    with pytest.raises(ValueError, match="by its tag and its digest"):
        provenance(replace(MADE, source=source))


def _set(*path: str | int, to: object) -> Callable[[Any], None]:
    """Change one value; None takes it away."""

    def change(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        if to is None:
            del document[path[-1]]
        else:
            document[path[-1]] = to

    return change


DEFINITION, DETAILS = "buildDefinition", "runDetails"
EXTERNAL, INTERNAL, RESOLVED = "externalParameters", "internalParameters", "resolvedDependencies"


@pytest.mark.parametrize(
    "change",
    [
        _set(DEFINITION, to=None),
        _set(DETAILS, to=None),
        _set(DETAILS, "builder", to=None),
        _set(DETAILS, "builder", "id", to=3),
        _set(DETAILS, "metadata", "startedOn", to="2026-08-20T12:00:00Z"),
        _set(DETAILS, "byproducts", 0, "name", to="linux"),
        _set(DETAILS, "byproducts", 0, "name", to="linux//v7"),
        _set(DETAILS, "byproducts", 0, "name", to="a/b/c/d"),
        _set(DETAILS, "byproducts", 0, "digest", to={}),
        _set(DETAILS, "byproducts", 0, "digest", to={"sha256": "A" * 64}),
        _set(DETAILS, "byproducts", 0, "name", to="windows/amd64"),
        _set(DEFINITION, "buildType", to="https://actions.github.io/buildtypes/workflow/v1"),
        _set(DEFINITION, EXTERNAL, "ref", to="refs/heads/main"),
        _set(DEFINITION, EXTERNAL, "ref", to="refs/tags/v9.9.9"),
        _set(DEFINITION, EXTERNAL, "repository", to="https://github.com/evil/gateway"),
        _set(DEFINITION, EXTERNAL, "source", to="ghcr.io/evil/agentgateway:v1.4.1"),
        _set(DEFINITION, EXTERNAL, "source", to="ghcr.io/agentgateway/agentgateway:v1.4.2"),
        _set(DEFINITION, EXTERNAL, "source", to="ghcr.io/agentgateway/agentgateway"),
        _set(DEFINITION, EXTERNAL, "source", to="nonsense"),
        _set(DEFINITION, EXTERNAL, "surprise", to="x"),
        _set(DEFINITION, INTERNAL, "layersAdded", to=1),
        _set(DEFINITION, INTERNAL, "layersAdded", to=None),
        _set(DEFINITION, INTERNAL, "upstreamSignature", "format", to="other"),
        _set(DEFINITION, INTERNAL, "upstreamSignature", "logIndex", to="7"),
        _set(DEFINITION, RESOLVED, 0, to=None),
        _set(DEFINITION, RESOLVED, 0, "digest", to={"gitCommit": "HEAD"}),
        _set(DEFINITION, RESOLVED, 0, "digest", to={"gitCommit": COMMIT, "sha1": COMMIT}),
        _set(DEFINITION, RESOLVED, 0, "uri", to="git+https://github.com/evil/gateway@refs/tags/v2.0.0"),
        _set(DEFINITION, RESOLVED, 1, "digest", to={"sha256": "c" * 64}),
        _set(DEFINITION, RESOLVED, 1, "uri", to="pkg:oci/agentgateway"),
        _set(DEFINITION, RESOLVED, to=[]),
    ],
)
def test_a_provenance_that_says_other_things_or_contradicts_itself_is_refused(change: Callable[[Any], None]) -> None:
    document = json.loads(provenance(MADE))
    change(document)

    with pytest.raises(NotProven, match="it is no provenance of a release: "):
        read_provenance(msgspec.json.encode(document))


@pytest.mark.parametrize("predicate", [b"", b"{}", b"[]", b"null", b"[" * 100_000, b'{"buildDefinition":{}}', b"\xff"])
def test_what_is_no_provenance_at_all_is_refused(predicate: bytes) -> None:
    with pytest.raises(NotProven):
        read_provenance(predicate)


def test_bytes_in_another_order_say_the_same() -> None:
    written = json.dumps(dict(reversed(json.loads(provenance(MADE)).items())), indent=2).encode()

    assert read_provenance(written) == MADE
