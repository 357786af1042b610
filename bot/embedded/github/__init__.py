"""A GitHub in memory on loopback: the part of its REST API that a bot needs, with GitHub's own semantics.

What it does not do: forks, GraphQL, checks, branch protection, webhooks. A commit that GitHub would sign is
marked as verified, without a signature.
"""

from bot.embedded.github.app import EmbeddedGitHub
from bot.embedded.github.state import Account, Issue, Pull, Release, Repository

__all__ = ["Account", "EmbeddedGitHub", "Issue", "Pull", "Release", "Repository"]
