"""The proposal: one branch with one change and one pull request, and its life on GitHub. Pure."""
