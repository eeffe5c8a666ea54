"""Every limit that is declared is reached once: it answers as it says and counts that; a level is warned of once."""

import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from atomic_guide.app.limits import LIMITS
from atomic_guide.limit import Limit
from atomic_guide.operations.limits.register import Register
from tests.limit_cases import CASES, Ground, Reached, cache, data, jobs, lectures, operating, operators, rooms, web
from tests.postgres import Cluster, shared_cluster

QUIET = {"waits", "forgets"}
"""Answers that are none: nothing is refused."""

assert all((cache, data, jobs, lectures, operating, operators, rooms, web)), "each declares its cases"


def test_every_limit_has_a_case() -> None:
    assert set(CASES) == {limit.name for limit in LIMITS}


def warnings_of(limit: Limit, reached: Reached) -> list[str]:
    """What is logged in two looks at the limit as it was when it was full."""
    register = Register([limit], {limit.name: reached.most}, time.monotonic)
    register.add(lambda: reached.used or [])
    with capture_logs() as logs:
        first, second = register.look(), register.look()
    share = first[0].share
    assert share == second[0].share >= 0.8
    # Of what one message, person or job may take, and of what forgets, only that it was over is worth a line.
    assert bool(logs) == (limit.about == "level" or share > 1)
    return [f"{line['event']} {line['limit']} {line['setting']}" for line in logs]


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.name)
async def test_a_limit_is_kept(limit: Limit, tmp_path: Path) -> None:
    cluster: list[Cluster] = []

    def servers() -> Cluster:
        cluster.append(shared_cluster())
        return cluster[0]

    limit.top = 0.0
    before = limit.refused
    reached = await CASES[limit.name](Ground(tmp_path, servers))
    assert reached.answer == limit.answer
    assert (limit.refused > before) == (limit.answer not in QUIET)
    assert warnings_of(limit, reached) in ([], [f"limit nearly reached {limit.name} {limit.key or 'fixed'}"])
