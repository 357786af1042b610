"""Every endpoint below `/repos/OWNER/NAME`."""

from __future__ import annotations

from bot.embedded.github import (
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
    *gitdata.ROUTES,
    *releases.ROUTES,
    *issues.ROUTES,
    *comments.ROUTES,
    *events.ROUTES,
    *triage.ROUTES,
    *pulls.ROUTES,
    *merging.ROUTES,
    *workflows.ROUTES,
)
