"""What the table `[release]` of gateway-bot.toml means: checked, and as the core's values."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bot.core.model import Image, ReleasePolicy, Signature, Target
from bot.core.reference import parse_repository
from bot.settings.grammar import OurSignatureTable, ReleaseTable, TargetTable
from bot.settings.meaning import invalid, plain_path

_SAMPLE = "owner/name"


def release(entry: ReleaseTable, images: Sequence[Image]) -> ReleasePolicy:
    """The table `[release]`. Raises UsageError."""
    names = [image.name for image in images]
    if not entry.image and len(names) > 1:
        raise invalid(f"release.image: there are several images; name one of {', '.join(names)}")
    if entry.image and entry.image not in names:
        raise invalid(f"release.image: there is no image {entry.image[:80]!r}; there are {', '.join(names)}")
    image = next(each for each in images if each.name == (entry.image or names[0]))
    targets = tuple(_target(each, f"release.target[{number}]") for number, each in enumerate(entry.targets))
    for number, target in enumerate(targets):
        if target.repository in {other.repository for other in targets[:number]}:
            raise invalid(f"release.target[{number}]: {target.repository} is there already")
        if target.repository == str(image.repository):
            raise invalid(f"release.target[{number}]: it is the repository that the image comes from")
    signature = _signature(entry.signature)
    return ReleasePolicy(image.name, targets, signature, entry.signature.signing_config, entry.mode)


def _target(entry: TargetTable, at: str) -> Target:
    try:
        parse_repository(entry.repository.replace("{repository}", _SAMPLE))
    except ValueError:
        raise invalid(f"{at}.repository: {entry.repository[:80]!r} is no HOST/PATH, as in ghcr.io/owner/name") from None
    if "{repository}" in entry.repository.partition("/")[0]:
        raise invalid(f"{at}.repository: the host stands there as it is")
    for template in entry.tags:
        if not re.search(r"\{tag\}|\{version\}", template):
            raise invalid(f"{at}.tags: {template[:80]!r} holds neither {{tag}} nor {{version}}: it belongs to `moving`")
    for template in entry.moving:
        if re.search(r"[{}]", template):
            raise invalid(f"{at}.moving: {template[:80]!r} names a release: it belongs to `tags`")
    every = (*entry.tags, *entry.moving)
    if len(set(every)) < len(every):
        raise invalid(f"{at}: a tag is there twice")
    for template in every:
        if not re.fullmatch(r"[A-Za-z0-9_{][A-Za-z0-9_.{}-]*", template):
            raise invalid(f"{at}: {template[:80]!r} is no tag")
    return Target(entry.repository, entry.tags, entry.moving)


def _signature(entry: OurSignatureTable) -> Signature:
    at = "release.signature"
    for name, text in (("identity", entry.identity), ("issuer", entry.issuer)):
        if not text or not text.isprintable() or " " in text:
            raise invalid(f"{at}.{name}: {text[:80]!r} is no identity or issuer, which are matched exactly")
    if set(re.findall(r"\{.*?\}", entry.identity)) - {"{tag}", "{repository}"}:
        raise invalid(f"{at}.identity: only {{tag}} (our git tag) and {{repository}} (OWNER/NAME) are replaced")
    for name, path in (("trusted_root", entry.trusted_root), ("signing_config", entry.signing_config)):
        if path:
            plain_path(path, f"{at}.{name}")
    if bool(entry.trusted_root) != bool(entry.signing_config):
        raise invalid(f"{at}: a private Sigstore needs both, `trusted_root` and `signing_config`")
    return Signature(entry.issuer, entry.identity, entry.trusted_root)
