"""An upstream image with a team's own labels: a new config and manifest over upstream's own layers. Pure.

Nothing but labels and exposed ports is taken from what an engine built, and layers are described as upstream describes
them: no byte of them is compressed anew or pushed. The same input gives the same bytes, on any machine and day.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import cast

import msgspec

from bot.core.index import INDEX_TYPES, MANIFEST_TYPES, MAX_BYTES, normal
from bot.core.model import Platform
from bot.core.reference import Digest, digest_of, parse_digest
from bot.core.release.inspected import MAY_CHANGE, SETTINGS, Inspected, changes, layer_fault
from bot.core.text import plain
from bot.errors import BotError, IntegrityError, PolicyError

INDEX_TYPE = INDEX_TYPES[0]
"""Of `rebuilt_index`, whatever the manifests are: Docker's own list has no annotations."""

_CONFIG_TYPES = dict(
    zip(
        MANIFEST_TYPES,
        ("application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"),
        strict=True,
    )
)
_OF_THE_BUILDER = ("id", "parent", "container", "container_config", "docker_version")
"""What Docker notes of the last step of upstream's own build: not true of this image, and not needed."""
_PLATFORM = ("architecture", "os", "variant")
_MANIFEST = ("schemaVersion", "mediaType", "config", "layers", "manifests")
_CONFIG = ("config", "rootfs", "history", "created", "author", *_PLATFORM, *_OF_THE_BUILDER)
_NOP = "#(nop)"
_INSTRUCTION = 2000
_Object = dict[str, object]


class Rebuilt(msgspec.Struct, frozen=True):
    """The config and the manifest of one platform, as bytes, with their media types."""

    config: bytes
    config_type: str
    manifest: bytes
    manifest_type: str

    @property
    def config_digest(self) -> Digest:
        return digest_of(self.config)

    @property
    def digest(self) -> Digest:
        """Of the manifest."""
        return digest_of(self.manifest)


def rebuild(
    upstream_manifest: bytes, media_type: str, upstream_config: bytes, inspected: Inspected, created: datetime
) -> Rebuilt:
    """Upstream's image of one platform with the labels and exposed ports of what was built on it.

    `created` is the commit date of the tag that is released. Media types stay upstream's. Raises IntegrityError for a
    manifest or a config that is not what it claims to be, or another platform's; PolicyError where a layer was added,
    or anything else changed that decides what runs (`MAY_CHANGE`). OCI image specification 1.1, "Image Manifest" and
    "Image Configuration"; Docker image manifest 2, schema 2.
    """
    if created.tzinfo is None:
        raise ValueError("a date without a time zone is another one on every machine")
    where = str(digest_of(upstream_manifest))
    manifest = _parse(upstream_manifest, where, _MANIFEST)
    descriptor, layers = _parts(manifest, media_type, where)
    if (descriptor.get("digest"), descriptor.get("size")) != (digest_of(upstream_config), len(upstream_config)):
        raise _not_proven(f"the manifest does not name the config that came, {digest_of(upstream_config)}", where)
    config = _parse(upstream_config, where, _CONFIG)
    _same_program(config, layers, inspected, where)
    new = _config(config, inspected, created)
    manifest_bytes = _dumped(
        {
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": {"mediaType": descriptor["mediaType"], "digest": digest_of(new), "size": len(new)},
            "layers": layers,
        }
    )
    return Rebuilt(new, str(descriptor["mediaType"]), manifest_bytes, media_type)


def rebuilt_index(children: Sequence[tuple[Platform, Rebuilt]], annotations: Mapping[str, str]) -> bytes:
    """The OCI index of these platforms, in their order by name. Raises ValueError for none, and for one twice.

    OCI image specification 1.1, "Image Index".
    """
    ordered = sorted(children, key=lambda child: child[0])
    if not ordered or len({platform for platform, _ in ordered}) < len(ordered):
        raise ValueError("an index has each platform once, and at least one")
    entries = [
        {
            "mediaType": rebuilt.manifest_type,
            "digest": rebuilt.digest,
            "size": len(rebuilt.manifest),
            "platform": {key: value for key, value in zip(_PLATFORM, _words(platform), strict=True) if value},
        }
        for platform, rebuilt in ordered
    ]
    index: _Object = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": entries}
    return _dumped(index | ({"annotations": dict(annotations)} if annotations else {}))


def _words(platform: Platform) -> tuple[str, str, str]:
    return platform.architecture, platform.os, platform.variant


def _parts(manifest: _Object, media_type: str, where: str) -> tuple[_Object, list[object]]:
    """The descriptor of the config, and those of the layers."""
    if media_type not in MANIFEST_TYPES or manifest.get("mediaType", media_type) != media_type:
        raise _not_proven(f"it is no image manifest of the type {media_type[:80]!r}", where)
    descriptor, layers = manifest.get("config"), manifest.get("layers")
    if manifest.get("schemaVersion") != 2 or "manifests" in manifest:  # noqa: PLR2004 - the only version there is
        raise _not_proven("it is no image manifest of schema version 2", where)
    if not isinstance(descriptor, dict) or not isinstance(layers, list):
        raise _not_proven("it names no config or no layers", where)
    if descriptor.get("mediaType") != _CONFIG_TYPES[media_type]:
        raise _not_proven("its config is of another kind than an image's", where)
    return cast("_Object", descriptor), layers


def _same_program(config: _Object, layers: list[object], inspected: Inspected, where: str) -> None:
    rootfs = config.get("rootfs")
    listed = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    try:
        diff_ids = [parse_digest(str(each)) for each in listed] if isinstance(listed, list) else []
    except ValueError as error:
        raise _not_proven(f"rootfs.diff_ids of its config: {error}", where) from None
    if not diff_ids or len(diff_ids) != len(layers):
        raise _not_proven(f"its config counts {len(diff_ids)} layers, its manifest {len(layers)}", where)
    own = normal(Platform(*(str(config.get(key) or "") for key in ("os", "architecture", "variant"))))
    if own != normal(inspected.platform):
        raise _not_proven(
            f"the engine built for {inspected.platform} on the image for {own}",
            where,
            "Name the image by a digest, in an ARG that a `dockerfile` pin site keeps: a tag in an engine is of one "
            "platform only.",
        )
    if fault := layer_fault(diff_ids, inspected):
        raise _refused(fault, where, "Let the Dockerfile hold FROM, ARG, LABEL and EXPOSE only.")
    if found := changes(_settings(config), inspected.settings).others:
        raise _refused(
            f"the Dockerfile changes {', '.join(found)}",
            where,
            "Only labels and exposed ports may differ from upstream's image. Set the rest where the container is "
            "started: in a task definition, or a compose file.",
        )


def _config(upstream: _Object, inspected: Inspected, created: datetime) -> bytes:
    """Upstream's config with the new labels and ports, what was done to get them, and when."""
    date = created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    new = {key: value for key, value in upstream.items() if key not in _OF_THE_BUILDER} | {"created": date}
    found = changes(_settings(upstream), inspected.settings)
    for name, changed in zip(MAY_CHANGE, (found.labels, found.ports), strict=True):
        if changed:  # else as upstream writes it: an empty value and none are the same to all but a digest
            new["config"] = {**_started(new), name: inspected.config.get(name) or {}}
    history = upstream.get("history")
    # a history that does not say of each layer how it came is left as it is: nobody can add to it what it lacks
    if isinstance(history, list) and _counted(history) == len(inspected.layers):
        new["history"] = [*history, *({"created": date, **step} for step in _steps(inspected))]
    return _dumped(new)


def _started(config: _Object) -> _Object:
    """The part that a container starts with."""
    found = config.get("config")
    return cast("_Object", found) if isinstance(found, dict) else {}


def _settings(config: _Object) -> _Object:
    """As `Inspected.settings`."""
    return {**_started(config), "Author": config.get("author")}


def _steps(inspected: Inspected) -> list[_Object]:
    """The instructions without the shell that an engine would run them in: `LABEL a=b`."""
    said = (each.text.partition(_NOP)[2].strip() or each.text for each in inspected.instructions)
    return [{"created_by": plain(text, _INSTRUCTION), "empty_layer": True} for text in said]


def _counted(history: Sequence[object]) -> int:
    return sum(1 for each in history if isinstance(each, dict) and each.get("empty_layer") is not True)


def _parse(body: bytes, where: str, known: Sequence[str]) -> _Object:
    """The object that `body` is. Programs in Go read keys in any case, so the `known` ones are written in one."""
    if len(body) > MAX_BYTES:
        raise _not_proven(f"it is larger than {MAX_BYTES:,} bytes", where)
    try:
        document = json.loads(body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise _not_proven(f"it is no valid JSON: {plain(str(error), 120)}", where) from None
    if not isinstance(document, dict):
        raise _not_proven("it is JSON but no object", where)
    for found, names in ((document, known), (_started(document), SETTINGS)):
        cased = {name.casefold() for name in names}
        if any(key.casefold() in cased and key not in names for key in found):
            raise _not_proven("a key is written in another case, which some clients read and others do not", where)
    return document


def _unique(pairs: list[tuple[str, object]]) -> _Object:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key appears twice")
    return dict(pairs)


def _no_constant(text: str) -> object:
    raise ValueError(f"{text} is no JSON")


def _dumped(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _not_proven(what: str, where: str, next_step: str = "") -> BotError:
    return IntegrityError(what, where=where, next_step=next_step or "Do not use this image. Ask upstream about it.")


def _refused(what: str, where: str, next_step: str) -> BotError:
    return PolicyError(what, where=where, next_step=next_step)
