"""What one unit of a fleet does in a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atomic_guide.operations.scaling.model import WEB, WORKERS

if TYPE_CHECKING:
    from atomic_guide.config import Settings

WEB_UNIT = 0.8
"""Cores of demand that a web process takes: its loop is one thread, and above four fifths of a core answers queue."""


def fleet_units(settings: Settings) -> dict[str, float]:
    """By fleet whose demand is measured: cores of a web process, slots of a worker."""
    return {WEB: WEB_UNIT, WORKERS: float(settings.queues.slots)}
