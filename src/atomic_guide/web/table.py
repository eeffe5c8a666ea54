"""Every call of the product: what a web process serves, and what /openapi.json and docs/http.md describe."""

from __future__ import annotations

from typing import Any

from atomic_guide.web import (
    ahead,
    alerts,
    assets,
    caching,
    capacity,
    chat,
    costs,
    dependencies,
    entry,
    health,
    launch,
    letters,
    limiting,
    live,
    loadtests,
    measured,
    moderation,
    notifications,
    openapi,
    operators,
    overview,
    queues,
    regions,
    registration,
    replicas,
    reports,
    rooms,
    scaling,
    shards,
    shedding,
    signing_in,
    stored,
    uploads,
    video,
    wanted,
    watching,
)
from atomic_guide.web.routing import Declared

# Starlette tries them one after another and takes the first that matches: what is asked most often stands first, and
# /api/video/upload before /api/video/{id}.
PARTS = (
    *(chat, entry, launch, registration, moderation, notifications, uploads, video, reports, watching, stored, assets),
    *(dependencies, overview, ahead),
    *(signing_in, operators, live),
    *(scaling, shedding, measured, alerts, limiting, caching, loadtests, capacity, costs, regions, health, wanted),
    *(shards, replicas, queues, letters, rooms),
    openapi,
)

DECLARED: list[Declared] = [row for part in PARTS for row in part.calls.declared]


def document() -> dict[str, Any]:
    """The description that a server gives at /openapi.json."""
    return openapi.describe(DECLARED)
