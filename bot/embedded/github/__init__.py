"""A GitHub in memory on loopback: the part of its API that a bot needs, with GitHub's own semantics.

Of REST it has repositories, git data, releases, issues with labels, assignees, milestones, comments and events, pull
requests with reviewers and merging, workflow runs, and Apps with their installations; of GraphQL auto-merge, drafts and
the viewer. Persons act by methods of `EmbeddedGitHub`.

What it does not do: forks, reviews that are written, webhooks, secondary rate limits. Of branch rules it knows whether
a branch is protected, of checks whether they passed. A commit that GitHub would sign is marked as verified, without
a signature.
"""

from bot.embedded.github.app import EmbeddedGitHub
from bot.embedded.github.apps import Installation
from bot.embedded.github.records import Account, Issue, Pull, Release
from bot.embedded.github.state import Repository

__all__ = ["Account", "EmbeddedGitHub", "Installation", "Issue", "Pull", "Release", "Repository"]
