"""What was done to make a release, as the predicate of an in-toto statement: SLSA provenance 1. Pure.

SLSA specification 1.0, "Provenance". It is about the index that was released. The parameters are what the run was
asked for: a git repository and its tag, and the image that the pin at that tag names. What they came to stands in the
dependencies, with the `downloadLocation` of an image that upstream did not serve any more; the upstream signature that
was verified, in the internal parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

import msgspec

from bot.core.decoding import decode
from bot.core.index import NotProven
from bot.core.model import Platform, ReleaseMode
from bot.core.reference import Digest, Reference, Repository, parse_digest, parse_reference
from bot.core.release.attestation import canonical
from bot.core.signature import Format

PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPES: Mapping[ReleaseMode, str] = {
    "retag": "urn:x-gateway-bot:release:retag:v1",
    "build": "urn:x-gateway-bot:release:build:v1",
}
"""`retag`: the image is a copy, byte for byte. `build`: its config is ours, its layers are the source's, unchanged."""

_MODES = {uri: mode for mode, uri in BUILD_TYPES.items()}
_TAGS = "refs/tags/"
_OCI = "oci://"
_COMMIT_CHARACTERS = frozenset("0123456789abcdef")
_COMMIT_LENGTHS = (40, 64)


class _Strict(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """Verifiers should reject parameters that they do not know (SLSA 1.0, "BuildDefinition")."""


class UpstreamSignature(_Strict, frozen=True):
    """Who signed the image that was released, as it was verified. `log_index` is the transparency log's, if known."""

    identity: str
    issuer: str
    format: Format
    log_index: int | None = None


class Provenance(msgspec.Struct, frozen=True):
    """How a release was made.

    `git` is the repository's URL, `tag` and `commit` ours. `source` is upstream's image, by tag and digest, `platforms`
    the manifests that were released. `builder` is the identity that signs our releases, `invocation` the URL of the
    run. A `signature` is there where the settings ask for one. `served_by` is the repository that the image was read
    from, and its signature verified in, where that is not upstream's.
    """

    mode: ReleaseMode
    git: str
    tag: str
    commit: str
    source: Reference
    platforms: tuple[tuple[Platform, Digest], ...]
    builder: str
    invocation: str = ""
    signature: UpstreamSignature | None = None
    served_by: Repository | None = None


class _External(_Strict, frozen=True):
    repository: str
    ref: str
    source: str


class _Internal(_Strict, frozen=True):
    layers_added: int
    upstream_signature: UpstreamSignature | None = None


class _Resource(_Strict, frozen=True):
    digest: dict[str, str]
    uri: str = ""
    name: str = ""
    download_location: str = ""


class _Definition(_Strict, frozen=True):
    build_type: str
    external_parameters: _External
    internal_parameters: _Internal
    resolved_dependencies: tuple[_Resource, _Resource]


class _Builder(_Strict, frozen=True):
    id: str


class _Run(_Strict, frozen=True):
    invocation_id: str = ""


class _Details(_Strict, frozen=True):
    builder: _Builder
    byproducts: tuple[_Resource, ...]
    metadata: _Run = _Run()


class _Predicate(_Strict, frozen=True):
    build_definition: _Definition
    run_details: _Details


def provenance(made: Provenance) -> bytes:
    """The predicate, as canonical JSON: the same bytes for the same release. `source` has both a tag and a digest."""
    source, ref = made.source, f"{_TAGS}{made.tag}"
    if source.tag is None or source.digest is None:
        raise ValueError("the source is named by its tag and its digest")
    name = f"{source.repository}:{source.tag}"
    definition = _Definition(
        BUILD_TYPES[made.mode],
        _External(made.git, ref, name),
        _Internal(0, made.signature),
        (
            _Resource({"gitCommit": made.commit}, f"git+{made.git}@{ref}"),
            _Resource(
                {"sha256": source.digest.removeprefix("sha256:")}, _purl(source), "", _location(made, source.digest)
            ),
        ),
    )
    platforms = tuple(
        _Resource({"sha256": digest.removeprefix("sha256:")}, name=str(platform))
        for platform, digest in sorted(made.platforms)
    )
    details = _Details(_Builder(made.builder), platforms, _Run(made.invocation))
    return canonical(msgspec.json.encode(_Predicate(definition, details)))


def read_provenance(predicate: bytes) -> Provenance:
    """How a release says it was made. Raises NotProven for all that `provenance` does not write."""
    try:
        read = decode(predicate, _Predicate)
        definition, details = read.build_definition, read.run_details
        commit, image = definition.resolved_dependencies
        external = definition.external_parameters
        digest = _digest(image)
        source = parse_reference(f"{external.source}@{digest}")
        made = Provenance(
            _MODES[definition.build_type],
            external.repository,
            external.ref.removeprefix(_TAGS),
            commit.digest["gitCommit"],
            source,
            tuple(
                (_platform(each.name), parse_digest(f"sha256:{each.digest['sha256']}")) for each in details.byproducts
            ),
            details.builder.id,
            details.metadata.invocation_id,
            definition.internal_parameters.upstream_signature,
            _served_by(image),
        )
        again = provenance(made)
    except KeyError as error:
        raise NotProven(f"it is no provenance of a release: {str(error)[:100]} is missing or unknown") from None
    except (ValueError, RecursionError) as error:
        raise NotProven(f"it is no provenance of a release: {str(error)[:300]}") from None
    if len(made.commit) not in _COMMIT_LENGTHS or not _COMMIT_CHARACTERS.issuperset(made.commit):
        raise NotProven("it is no provenance of a release: its commit is no commit's name")
    if again != canonical(predicate):
        raise NotProven("it is no provenance of a release: its parts contradict each other")
    return made


def _digest(resource: _Resource) -> Digest:
    return parse_digest(f"sha256:{resource.digest['sha256']}")


def _location(made: Provenance, digest: Digest) -> str:
    """In-toto attestation framework, "ResourceDescriptor": only where it is another place than the URI's."""
    return f"{_OCI}{made.served_by}@{digest}" if made.served_by else ""


def _served_by(resource: _Resource) -> Repository | None:
    text = resource.download_location
    return parse_reference(text.removeprefix(_OCI)).repository if text else None


def _purl(source: Reference) -> str:
    """Package URL specification, type `oci`."""
    name = source.repository.path.rpartition("/")[2]
    digest = quote(str(source.digest), safe="")
    where = quote(str(source.repository), safe="/:")
    return f"pkg:oci/{name}@{digest}?repository_url={where}&tag={source.tag}"


def _platform(text: str) -> Platform:
    parts = text.split("/")
    if not 2 <= len(parts) <= 3 or not all(parts):  # noqa: PLR2004 - OS/ARCHITECTURE[/VARIANT]
        raise ValueError(f"{text[:80]!r} is no platform")
    return Platform(*parts)
