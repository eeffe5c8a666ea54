"""The modules that decide, and the quick tests that each of them must stand or fall by.

A module decides where a wrong sign or bound in it would change what is done to a course: who is served first, where a
row or a socket goes, how much runs. Whoever adds one names it here.
"""

from __future__ import annotations

from typing import NamedTuple


class Module(NamedTuple):
    """A file below `src/atomic_guide/`, and the files below `tests/` that judge it."""

    source: str
    tests: tuple[str, ...]


def _scaling(name: str, *tests: str) -> Module:
    return Module(f"operations/scaling/{name}.py", tuple(f"unit/test_scale_{test}.py" for test in tests))


DECIDING = {
    "ahead": _scaling("decide/ahead", "asks"),
    "bounds": _scaling("decide/bounds", "bounds"),
    "budget": _scaling("decide/budget", "budget"),
    "causes": _scaling("decide/causes", "causes"),
    "decider": _scaling("decide/decider", "decide", "decided"),
    "memory": _scaling("decide/memory", "memory"),
    "outlook": _scaling("decide/outlook", "watch"),
    "rules": _scaling("decide/rules", "rules"),
    "shipped": _scaling("decide/shipped", "rules"),
    "standing": _scaling("decide/standing", "standing"),
    "tracking": _scaling("decide/tracking", "tracking"),
    "watch": _scaling("decide/watch", "watch"),
    "weigh": _scaling("decide/weigh", "weigh"),
    "windows": _scaling("decide/windows", "windows"),
    "wish": _scaling("decide/wish", "weigh"),
    "wording": _scaling("decide/wording", "wording"),
    "forecast": _scaling("forecast", "forecast"),
    "priority": Module("engines/queues/priority.py", ("unit/test_priority.py",)),
    "slots": Module("engines/queues/slots.py", ("unit/test_slots.py",)),
    "claim": Module("engines/queues/claim.py", ("contract/test_claim.py",)),
    "lane": Module("engines/queues/lane.py", ("unit/test_lane.py",)),
    "rooms": Module("engines/rooms/placement.py", ("unit/test_room_placement.py",)),
    "routing": Module("regions/routing.py", ("unit/test_regions_routing.py",)),
    "plan": Module("engines/data/plan.py", ("unit/test_plan.py",)),
    "buckets": Module("engines/data/placement.py", ("unit/test_placement.py",)),
}
