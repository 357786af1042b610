"""Who signs our releases: the identity of one tag's run, exactly. Pure."""

from __future__ import annotations

import re

from msgspec.structs import replace

from bot.core.model import Signature
from bot.core.text import plain
from bot.errors import UsageError


def require_identity(ours: Signature, workflow: str) -> None:
    """Raises UsageError where a run of this workflow would sign as another one than our releases have to be signed by.

    `workflow` is `OWNER/NAME/.github/workflows/FILE@REF`, or empty where it is not known.
    """
    if workflow and not ours.identity.endswith(f"/{workflow}"):
        raise UsageError(
            f"this run would sign as {plain(workflow, 300)}, and the settings ask for {plain(ours.identity, 300)}",
            where="release.signature.identity",
            next_step="Nothing was written. Start that workflow from the tag (`Use workflow from`), or run its push's "
            "again; or name the workflow that publishes in gateway-bot.toml.",
        )


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
