"""The text of a GitHub Release: what changed, which image it is, and how anybody proves that. Pure Markdown."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bot.core.model import Image, Pin, Platform, Signature
from bot.core.reference import Digest
from bot.core.release.attestation import repeat_attested
from bot.core.release.ours import OurTag, Place
from bot.core.release.sbom import KINDS, PREDICATE_TYPES
from bot.core.signature import Format, repeat_command
from bot.core.versions import Ref


class Released(msgspec.Struct, frozen=True):
    """What the text speaks of. `repository` is OWNER/NAME; `ours` is whole, as `our_identity` makes it."""

    tag: OurTag
    repository: str
    git: str
    """The repository's page: https://github.com/OWNER/NAME."""
    image: Image
    pin: Pin
    digest: Digest
    platforms: tuple[tuple[Platform, Digest], ...]
    places: tuple[Place, ...]
    ours: Signature
    form: Format = "bundle"
    """In which format upstream's signature was verified."""


def release_notes(released: Released, changes: str) -> str:
    """The body of the GitHub Release; `changes` is the section of the changelog."""
    pin, image = released.pin, released.image
    same = released.digest == pin.digest
    page = f"https://github.com/{image.github}/releases/tag/{pin.ref}"
    upstream = f"[{pin.ref}]({page})" if image.github else f"`{pin.ref}`"
    kind = "the same image, byte for byte" if same else "the same layers, with labels of our own"
    lines = [
        changes.strip(),
        "",
        "## Image",
        "",
        f"| digest | `{released.digest}` |",
        "|---|---|",
        *(f"| {place.repository} | {', '.join(f'`{tag}`' for tag in place.tags)} |" for place in released.places),
        *(f"| {platform} | `{digest}` |" for platform, digest in released.platforms),
        f"| upstream | {upstream}, `{image.repository}@{pin.digest}`: {kind} |",
        "",
        *_block([f"docker pull {released.places[0].repository}@{released.digest}"]),
        "",
        "## Verify",
        "",
        "The whole chain, from an empty folder:",
        "",
        *_block([f"gateway-bot --repository {released.repository} release verify {released.tag.name}"]),
        "",
        "Or link by link, with cosign 3:",
        "",
        *_block(list(verify_commands(released))),
    ]
    return "\n".join(lines).strip() + "\n"


def verify_commands(released: Released) -> tuple[str, ...]:
    """Commands that prove our signature, the SBOMs and upstream's signature."""
    place = released.places[0].repository
    tag = Ref(released.tag.name)
    signatures = (released.ours, released.image.signature)
    # the trusted root of a private Sigstore is a file of the repository
    is_private = any(signature is not None and signature.trusted_root for signature in signatures)
    commands = [f'cd "$(mktemp -d)" && {clone_command(released.git, tag)} .'] if is_private else []
    commands.append(repeat_command(place, released.digest, tag, released.ours))
    commands += [
        repeat_attested(place, digest, PREDICATE_TYPES[kind], released.ours)
        for _, digest in released.platforms[:1]
        for kind in KINDS
    ]
    if released.image.signature is not None:
        signature = released.image.signature
        pin = released.pin
        commands.append(repeat_command(released.image.repository, pin.digest, pin.ref, signature, released.form))
    return tuple(commands)


def clone_command(git: str, tag: str) -> str:
    """The beginning of a command that gets the repository as it is at a tag; the folder is still to be named."""
    return f"git clone --quiet --depth 1 --branch {tag} {git}"


def _block(lines: Sequence[str]) -> list[str]:
    return ["```bash", *lines, "```"]
