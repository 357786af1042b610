"""Small real images, made from their parts: layers, configs, manifests and an index as bytes.

The same arguments give the same bytes on every machine: times are zero, owners are root, and layers are
stored in gzip without compression, whose result differs between zlib versions.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.core.reference import Digest, digest_of

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
MANIFEST_TYPES = frozenset({INDEX, MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST})
DEFAULT_PLATFORMS = ("linux/amd64", "linux/arm64")


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes with the media type and the digest that name them."""

    media_type: str
    data: bytes = field(repr=False)

    @property
    def digest(self) -> Digest:
        return digest_of(self.data)

    def descriptor(self, **more: object) -> dict[str, object]:
        """The descriptor that another manifest holds (image specification 1.1, "OCI Content Descriptors")."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.data), **more}


@dataclass(frozen=True, slots=True)
class MultiPlatformImage:
    """An image in the order in which it is pushed: blobs, then child manifests, then the index."""

    blobs: tuple[Content, ...]
    manifests: tuple[Content, ...]
    index: Content

    @property
    def digest(self) -> Digest:
        return self.index.digest


def build_image(
    platforms: tuple[str, ...] = DEFAULT_PLATFORMS,
    *,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    files: Mapping[str, bytes] | None = None,
    variation: str = "",
    attestations: bool = False,
) -> MultiPlatformImage:
    """An image with one layer for each platform, as `docker buildx` makes it.

    `files` are those of each layer, by default one program; `variation` changes the bytes of every part.
    With `attestations` each platform is followed by an `unknown/unknown` entry that carries its provenance.
    """
    blobs: list[Content] = []
    manifests: list[Content] = []
    attested: list[tuple[Content, dict[str, object]]] = []
    entries: list[dict[str, object]] = []
    for platform in platforms:
        layer = layer_of(files or {"app/agentgateway": f"{platform} {variation}\n".encode()})
        config = config_of(platform, layer, labels or {})
        manifest = manifest_of(config, (layer,))
        blobs += [config, layer]
        manifests.append(manifest)
        entries.append(manifest.descriptor(platform=platform_of(platform)))
        if attestations:
            parts, attestation = attestation_of(manifest)
            blobs += parts
            attested.append((attestation, attestation_entry(attestation, manifest)))
    manifests += [manifest for manifest, _ in attested]
    entries += [entry for _, entry in attested]
    return MultiPlatformImage(tuple(blobs), tuple(manifests), index_of(entries, annotations or {}))


def layer_of(files: Mapping[str, bytes]) -> Content:
    """A layer that holds these files, each executable and owned by root."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = 0o755
            archive.addfile(member, io.BytesIO(content))
    compressed = io.BytesIO()
    with gzip.GzipFile(filename="", fileobj=compressed, mode="wb", compresslevel=0, mtime=0) as stream:
        stream.write(packed.getvalue())
    return Content(LAYER, compressed.getvalue())


def config_of(platform: str, layer: Content, labels: Mapping[str, str]) -> Content:
    """The image config of one platform (image specification 1.1, "Image Configuration")."""
    return _json(
        CONFIG,
        {
            **platform_of(platform),
            "config": {"Entrypoint": ["/app/agentgateway"], "Labels": dict(labels)},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(gzip.decompress(layer.data))]},
            "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "COPY / / # embedded"}],
        },
    )


def manifest_of(config: Content, layers: tuple[Content, ...]) -> Content:
    """The manifest of one platform."""
    return _json(
        MANIFEST,
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config.descriptor(),
            "layers": [layer.descriptor() for layer in layers],
        },
    )


def index_of(entries: list[dict[str, object]], annotations: Mapping[str, str]) -> Content:
    """The index of these entries (image specification 1.1, "Image Index")."""
    value: dict[str, object] = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
    if annotations:
        value["annotations"] = dict(annotations)
    return _json(INDEX, value)


def attestation_of(manifest: Content) -> tuple[list[Content], Content]:
    """The blobs and the manifest of a provenance attestation of `manifest`, in BuildKit's form."""
    statement = _json(
        "application/vnd.in-toto+json",
        {
            "_type": "https://in-toto.io/Statement/v0.1",
            "predicateType": "https://slsa.dev/provenance/v0.2",
            "subject": [{"name": "_", "digest": {"sha256": manifest.digest.removeprefix("sha256:")}}],
            "predicate": {},
        },
    )
    config = _json(
        CONFIG,
        {
            **platform_of("unknown/unknown"),
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [statement.digest]},
        },
    )
    layer = statement.descriptor(annotations={"in-toto.io/predicate-type": "https://slsa.dev/provenance/v0.2"})
    value = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config.descriptor(), "layers": [layer]}
    return [config, statement], _json(MANIFEST, value)


def attestation_entry(attestation: Content, manifest: Content) -> dict[str, object]:
    """The index entry of an attestation: no platform, tied to the manifest that it is about."""
    return attestation.descriptor(
        annotations={
            "vnd.docker.reference.digest": manifest.digest,
            "vnd.docker.reference.type": "attestation-manifest",
        },
        platform=platform_of("unknown/unknown"),
    )


def platform_of(text: str) -> dict[str, str]:
    """`linux/arm/v7` as the keys of an index entry or a config."""
    keys = ("os", "architecture", "variant")
    return dict(zip(keys, text.split("/"), strict=False))


def _json(media_type: str, value: object) -> Content:
    return Content(media_type, json.dumps(value, separators=(",", ":")).encode())
