"""A crowd in one room over several processes that fail, are restarted, added and taken away, under load."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_guide.app.processes import Running, Wanted, changes, kept, look
from bench._rooms_people import Crowd, Plan, served, talk, tokens, until, web_children
from tests.engines import installed

pytestmark = pytest.mark.timeout(180)
TRIES = 4
"""Sockets that it takes at most to get in: each process may be full once, and be told so once."""


class Hall(NamedTuple):
    """A running server, its data directory, a crowd that may enter, and who talks."""

    data: Path
    url: str
    pid: int
    crowd: Crowd
    teacher: str


@asynccontextmanager
async def hall(data: Path, plan: Plan) -> AsyncIterator[Hall]:
    installed(data)
    users = [(f"student-{number}", "learner") for number in range(plan.people)]
    teacher, *students = await tokens(data, [("teacher", "instructor"), *users])
    async with served(data, plan) as (url, pid):
        crowd = Crowd(url, students)
        try:
            yield Hall(data, url, pid, crowd, teacher)
        finally:
            await crowd.end()


def sent(pid: int, number: int, what: signal.Signals) -> Any:
    async def send() -> None:
        os.kill(web_children(pid)[number], what)

    return send


async def restarted(data: Path, name: str, before: int) -> None:
    """Wait until a child runs anew."""

    def anew() -> bool:
        found = [one for one in look(data).processes if one.name == name]
        return bool(found) and found[0].state == "running" and found[0].pid != before

    await until(anew, 30)


async def test_200_people_over_three_processes_get_everything_while_one_is_killed_and_one_drained(
    tmp_path: Path,
) -> None:
    plan = Plan(people=200, processes=3, places=100, messages=80, rate=10)
    async with hall(tmp_path, plan) as here:
        await here.crowd.enter()
        # 200 people do not fit into two processes of 100 by chance: those who were refused found the next one.
        assert max(number for person in here.crowd.people for number in person.tries) <= TRIES
        moments = {20: sent(here.pid, 1, signal.SIGKILL), 50: sent(here.pid, 2, signal.SIGTERM)}
        await talk(here.crowd, here.teacher, plan.messages, plan.rate, moments)
        await here.crowd.caught_up(plan.messages)
        assert not any(here.crowd.wrong(plan.messages).values()), here.crowd.wrong(plan.messages)
        assert sum(len(person.joins) for person in here.crowd.people) > 200


async def test_all_web_processes_restarted_one_by_one_lose_nothing_and_people_come_back_spread(tmp_path: Path) -> None:
    """The supervisor answers nobody itself, so that every process that does can be restarted."""
    plan = Plan(people=150, processes=3, places=150, messages=100, rate=8, reconnects=20, role="control")
    async with hall(tmp_path, plan) as here:
        await here.crowd.enter()
        began = time.monotonic()

        async def roll() -> None:
            for number in (1, 2):
                before = web_children(here.pid)[number]
                os.kill(before, signal.SIGTERM)
                await restarted(tmp_path, f"web-{number}", before)
                await until(lambda: here.crowd.present == plan.people, 30)

        rolling = asyncio.create_task(roll())
        await talk(here.crowd, here.teacher, plan.messages, plan.rate, {})
        await rolling
        await here.crowd.caught_up(plan.messages)
        assert not any(here.crowd.wrong(plan.messages).values()), here.crowd.wrong(plan.messages)
        # About fifty in each process. Their moments are random: twice the mean is never, all of them at once is 50.
        assert 0 < here.crowd.come_a_second(began) <= 2 * plan.reconnects


async def test_after_the_whole_server_was_restarted_everybody_goes_on_where_they_were(tmp_path: Path) -> None:
    plan = Plan(people=60, processes=2, places=60, messages=20, rate=20)
    async with hall(tmp_path, plan) as here:
        await here.crowd.enter()
        await talk(here.crowd, here.teacher, plan.messages, plan.rate, {})
        port = int(here.url.rpartition(":")[2])
        os.kill(here.pid, signal.SIGTERM)
        await until(lambda: not Path(f"/proc/{here.pid}/fd").exists() or not web_children(here.pid), 40)
        await asyncio.sleep(1)
        async with served(tmp_path, plan, port):
            for number in range(20):
                body = json.dumps({"id": f"after-{number}", "content": "and on"}).encode()
                await here.crowd.post("/api/chat/message", here.teacher, body)
            await here.crowd.caught_up(40)
            assert not any(here.crowd.wrong(40).values()), here.crowd.wrong(40)
            await here.crowd.end()


async def scale(data: Path, *options: str) -> dict[str, Any]:
    """`atomic-guide scale processes`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "atomic_guide.cli", "scale", "processes", "--data", str(data), "--json", *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, err.decode()
    answer: dict[str, Any] = json.loads(out)
    return answer


async def test_processes_are_added_and_taken_away_while_a_room_is_used(tmp_path: Path) -> None:
    plan = Plan(people=90, processes=1, places=50, messages=60, rate=10)
    async with hall(tmp_path, plan) as here:
        entering = asyncio.create_task(here.crowd.enter())
        await until(lambda: here.crowd.refusals > 0, 30)
        planned = await scale(tmp_path, "--web", "3", "--dry-run")
        assert [change["name"] for change in planned["changes"]] == ["web-1", "web-2"]
        assert planned["dry_run"] is True
        assert web_children(here.pid) == {}
        answer = await scale(tmp_path, "--web", "3")
        assert {one["name"]: one["state"] for one in answer["processes"]} == dict.fromkeys(
            ["web-0", "web-1", "web-2"], "running"
        )
        await entering
        talking = asyncio.create_task(talk(here.crowd, here.teacher, plan.messages, plan.rate, {}))
        answer = await scale(tmp_path, "--web", "2")
        assert answer["changes"] == [{"action": "drain", "name": "web-2"}]
        assert list(web_children(here.pid)) == [1]
        await talking
        await here.crowd.caught_up(plan.messages)
        assert not any(here.crowd.wrong(plan.messages).values()), here.crowd.wrong(plan.messages)


children = st.builds(Wanted, st.integers(1, 5), st.integers(0, 4))


@given(children, children)
def test_a_plan_leads_from_what_runs_to_what_is_wanted_and_drains_the_highest_first(
    now: Wanted, wanted: Wanted
) -> None:
    found = set(now.children())
    for change in changes(now.children(), wanted):
        (found.add if change.action == "start" else found.remove)((change.role, change.number))
    assert found == set(wanted.children())
    drained = [change.number for change in changes(now.children(), wanted) if change.action == "drain"]
    assert changes(wanted.children(), wanted) == []
    assert drained == sorted(drained, reverse=True) or now.worker > wanted.worker


def test_what_drains_is_not_kept() -> None:
    text = """{"supervisor": 1, "wanted": {"web": 2, "worker": 1}, "processes": [
        {"name": "web-0", "pid": 1, "state": "running"}, {"name": "web-1", "pid": null, "state": "starting"},
        {"name": "worker-0", "pid": 3, "state": "running"}, {"name": "web-2", "pid": 4, "state": "draining"}]}"""
    assert kept(msgspec.json.decode(text, type=Running)) == [("web", 1), ("worker", 0)]
