"""Every endpoint below `/repos/OWNER/NAME`."""

from __future__ import annotations

from bot.embedded.github import (
    assets,
    comments,
    events,
    gitdata,
    issues,
    merging,
    pulls,
    releases,
    repositories,
    triage,
    workflows,
)
from bot.embedded.github.routing import Route

ROUTES: tuple[Route, ...] = (
    *repositories.ROUTES,
    *releases.ROUTES,
    *assets.ROUTES,
    *gitdata.ROUTES,
    *issues.ROUTES,
    *comments.ROUTES,
    *events.ROUTES,
    *triage.ROUTES,
    *pulls.ROUTES,
    *merging.ROUTES,
    *workflows.ROUTES,
)
