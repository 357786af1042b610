"""Copy what is attached to an image: referrers, and the tags `sha256-HEX.sig`, `.att` and `.sbom`.

Whoever may push beside an image can attach anything to it. So what is not proven, what is no document about an image,
and what the target does not take is left, with a warning, and hinders nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bot.core.content import Content, Descriptor, NotTaken
from bot.core.index import NotProven
from bot.core.reference import Digest, Tag
from bot.core.release.referrers import artifact_type, attached_tag, extends, listed_with, require_attachable
from bot.errors import IntegrityError, ReleaseError
from bot.flows.abreast import side_by_side
from bot.flows.retag import AT_ONCE, Copied, Source, Target, bring, child, not_proven

MAX_REFERRERS, MAX_OF_OURS = 100, 1000
"""Of one manifest; nobody signs and attests so much. In our own repository others' may stand before ours."""

_ATTACHED = ("sig", "att", "sbom")
_HINDERS_NOTHING = (IntegrityError, NotProven, NotTaken)
Warn = Callable[[str], None]
Tell = Callable[[str], None]


def copy_attached(
    source: Source, target: Target, subjects: Sequence[Digest], tell: Tell, *, must: bool
) -> tuple[Copied, tuple[str, ...]]:
    """Have at the target what is attached to these manifests; and what was left, with why.

    Where it `must` come along, a list of referrers that the target does not let us write is a ReleaseError; whether all
    that is needed came is for who asked to see.
    """
    copied, warnings = Copied(), list[str]()
    most = MAX_OF_OURS if must else MAX_REFERRERS
    found = side_by_side(lambda subject: _attached_to(source, subject, warnings.append), subjects, AT_ONCE)
    for subject, (referrers, tagged) in zip(subjects, found, strict=True):
        if len(referrers) > most:
            warnings.append(f"{source.repository}@{subject}: of {len(referrers)} referrers {most} were copied")
        try:
            copied += _refer(source, target, subject, referrers[:most], tell, warnings.append)
        except ReleaseError as error:
            if must:
                raise
            warnings.append(f"{error.where} was left: {error.what}")
        for tag, manifest in tagged:
            try:
                copied += _tagged(source, target, tag, manifest, tell)
            except (*_HINDERS_NOTHING, ReleaseError) as error:
                warnings.append(f"{target.repository}:{tag} was left: {_what(error)}")
    return copied, tuple(warnings)


def _attached_to(
    source: Source, subject: Digest, warn: Warn
) -> tuple[tuple[Descriptor, ...], list[tuple[Tag, Content]]]:
    referrers: tuple[Descriptor, ...] = ()
    tagged: list[tuple[Tag, Content]] = []
    try:
        referrers = source.referrers(subject)
    except IntegrityError as error:
        warn(f"what refers to {error.where} was left: {error.what}")
    for tag in (attached_tag(subject, kind) for kind in _ATTACHED):
        try:
            found = source.manifest(tag)
        except IntegrityError as error:
            warn(f"{error.where} was left: {error.what}")
            continue
        if found is not None and not found.is_index:
            tagged.append((tag, found))
    return referrers, tagged


def _tagged(source: Source, target: Target, tag: Tag, manifest: Content, tell: Tell) -> Copied:
    """Have a tag such as `sha256-HEX.sig` there. Raises ReleaseError where it holds what the source's has not."""
    held = target.manifest(tag)
    if held is not None and extends(held, manifest):
        return Copied()
    if held is not None and not extends(manifest, held):
        raise ReleaseError(
            f"it holds something else than in {source.repository}",
            where=f"{target.repository}:{tag}",
            next_step="Look who attached it there.",
        )
    require_attachable(manifest)
    copied = bring(source, target, manifest.blobs, tell)
    target.put(manifest, tag)
    return copied + Copied(manifests=1)


def _refer(
    source: Source, target: Target, subject: Digest, referrers: Sequence[Descriptor], tell: Tell, warn: Warn
) -> Copied:
    """Have these referrers, and have them listed: by the registry, else under the tag that stands in for its API."""
    listed = _listed(target, subject)
    copied, missing = Copied(), list[Content]()
    for each in referrers:
        if each.digest in listed:
            continue
        try:
            manifest = _referrer(source, each, subject)
            copied += bring(source, target, manifest.blobs, tell)
            target.put(manifest)
        except _HINDERS_NOTHING as error:
            warn(f"{source.repository}@{each.digest}, which is attached to {subject}, was left: {_what(error)}")
            continue
        copied += Copied(manifests=1)
        missing.append(manifest)
    if not missing:
        return copied
    listed = _listed(target, subject)
    unlisted = [manifest for manifest in missing if manifest.digest not in listed]
    if unlisted:
        _list(target, subject, unlisted, warn)
    return copied


def _referrer(source: Source, descriptor: Descriptor, subject: Digest) -> Content:
    """A document about the subject. Raises IntegrityError or NotProven for anything else."""
    found = child(source, descriptor)
    if found.subject != subject:
        raise not_proven(source, descriptor.digest, f"it is listed for {subject}, and speaks of {found.subject}")
    require_attachable(found)
    artifact_type(found)
    return found


def _listed(target: Target, subject: Digest) -> frozenset[Digest]:
    """What the target lists as referrers; nothing where its list cannot be read, which is then written anew."""
    try:
        return frozenset(each.digest for each in target.referrers(subject))
    except IntegrityError:
        return frozenset()


def _list(target: Target, subject: Digest, unlisted: Sequence[Content], warn: Warn) -> None:
    tag = attached_tag(subject)
    try:
        existing = target.manifest(tag)
    except IntegrityError:
        existing = None
    try:
        target.put(listed_with(existing if existing and existing.is_index else None, unlisted), tag)
    except _HINDERS_NOTHING as error:
        warn(f"{target.repository}:{tag}, the list of what is attached, was left: {_what(error)}")


def _what(error: Exception) -> str:
    return error.what if isinstance(error, IntegrityError | NotTaken | ReleaseError) else str(error)
