"""Build mode: the tag's own Dockerfile for every platform, as manifests over the layers that upstream signed."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from bot.core.content import Content, read_content
from bot.core.index import INDEX_TYPES
from bot.core.pins.held import Held
from bot.core.pins.value import image_value
from bot.core.reference import Repository
from bot.core.release.rebuilt import rebuilt_index
from bot.flows.build import Builder, Child, rebuild_all
from bot.flows.publish import Made
from bot.flows.release_observe import Job, Seen, read_small

_BASE = "org.opencontainers.image.base"


def rebuild(job: Job, seen: Seen, root: Path, engine: Builder) -> Made:
    """The image that the Dockerfile makes: no layer is added, the same tag gives the same bytes.

    The base is pulled from where the image was read, as far as the Dockerfile gets the whole image from its arguments.
    Raises PolicyError where a layer was added, or what runs was changed; what `rebuild_all` raises.
    """
    by_digest = {manifest.digest: manifest for manifest in seen.manifests}
    images = [(platform, by_digest[digest]) for platform, digest in seen.platforms]
    children = [
        Child(platform, manifest.body, manifest.media_type, read_small(seen.source, manifest.blobs[0]))
        for platform, manifest in images
    ]
    image, pinned = job.image, seen.pinned
    if (ours := seen.served_by) is not None:
        image = replace(image, repository=ours)
        pinned = replace(pinned, held=tuple(_pulled_from(ours, each) for each in pinned.held))
    rebuilt = rebuild_all(image, pinned, children, root, engine, seen.created)
    annotations = {
        f"{_BASE}.name": f"{job.image.repository}:{seen.pin.tag}",
        f"{_BASE}.digest": str(seen.pin.digest),
        "org.opencontainers.image.version": str(job.tag.version),
        "org.opencontainers.image.revision": seen.commit,
    }
    index = _content(rebuilt_index(rebuilt, annotations), INDEX_TYPES[0])
    manifests = tuple(_content(each.manifest, each.manifest_type) for _, each in rebuilt)
    return Made(index, manifests, tuple(each.config for _, each in rebuilt))


def _pulled_from(repository: Repository, held: Held) -> Held:
    """The same value, with another repository where it names one."""
    if held.field != "image" or (value := image_value(held)).repository is None:
        return held
    return replace(held, text=str(replace(value, repository=repository)))


def _content(body: bytes, media_type: str) -> Content:
    return read_content(body, content_type=media_type, header_digest=None, expected=None)
