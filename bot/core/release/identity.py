"""Who signs our releases: the identity of one tag's run, exactly. Pure."""

from __future__ import annotations

import re

from msgspec.structs import replace

from bot.core.model import Signature
from bot.errors import UsageError


def our_identity(signature: Signature, repository: str, tag: str) -> Signature:
    """The signature with its identity filled in: `repository` is OWNER/NAME on GitHub, `tag` our git tag.

    Raises UsageError where the identity names the repository and nobody said which it is.
    """
    if "{repository}" in signature.identity and not repository:
        raise UsageError(
            "the identity that signs our releases names {repository}, and it is not known which one that is",
            where="release.signature.identity",
            next_step="Set GITHUB_REPOSITORY, or start with --repository OWNER/NAME.",
        )
    values = {"{repository}": repository, "{tag}": tag}
    filled = re.sub(r"\{repository\}|\{tag\}", lambda match: values[match[0]], signature.identity)
    return replace(signature, identity=filled)
