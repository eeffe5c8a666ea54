"""The names of the series that costs are made from, and of what a day has cost. Pure."""

from __future__ import annotations

COSTS = "costs"
DAILY = "daily"
"""What the day has cost so far."""
