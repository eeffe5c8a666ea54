"""What a tester sees of its target while it loads it: CPU time by process, scaling events, units that are ready."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from atomic_guide.errors import Forbidden, NotFound, Unauthenticated, Unavailable
from atomic_guide.operations.loadtest import watching
from atomic_guide.operations.loadtest.running import admitted
from atomic_guide.operations.loadtest.target import Target
from atomic_guide.operations.loadtest.watching import Watcher
from tests.fakes.platform import serving

EVENT = {"id": "e1", "fleet": "web", "before": 1, "after": 2, "at": "2026-11-02T10:00:00.000Z", "reason": "demand"}


class Answers:
    """The operator API of a target that has several processes behind one address."""

    def __init__(self) -> None:
        self.usages: deque[dict[str, Any]] = deque()
        self.event: dict[str, Any] = EVENT
        self.state = "acting"
        self.ready = 1
        self.status = 200

    async def usage(self, _request: Request) -> Response:
        self.usages.rotate(-1)
        return JSONResponse(self.usages[-1], self.status)

    async def scaling(self, _request: Request) -> Response:
        return JSONResponse({"fleets": [{"fleet": "web", "ready": self.ready}, {"fleet": "workers", "ready": None}]})

    async def events(self, request: Request) -> Response:
        assert request.query_params["since"].endswith("Z")
        return JSONResponse({"events": [{**self.event, "state": self.state}]})


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
async def target(answers: Answers) -> AsyncIterator[Target]:
    routes = [
        Route("/api/ops/loadtest/target", answers.usage),
        Route("/api/ops/scaling", answers.scaling),
        Route("/api/ops/scaling/events", answers.events),
    ]
    async with serving(Starlette(routes=routes)) as url, Target(url, "a-token-of-operators") as opened:
        yield opened


def usage(process: str, cpu: float, *, target: bool = True) -> dict[str, Any]:
    return {"target": target, "process": process, "cpu_seconds": cpu, "cpus": 4}


async def until(reached: Callable[[], bool]) -> None:
    """Look each hundredth of a second, for ten seconds at most."""
    for _ in range(1000):
        if reached():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come about")


async def test_events_are_told_once_and_again_when_they_change(
    answers: Answers, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_USAGE_SECONDS", 0.05)
    monkeypatch.setattr(watching, "_SCALING_SECONDS", 0.05)
    answers.usages.append(usage("one", 1.0))
    said: list[str] = []
    watcher = Watcher(target, said.append)
    task = asyncio.create_task(watcher.run())
    await until(lambda: bool(said))
    await asyncio.sleep(0.2)
    answers.state, answers.ready = "done", 2
    await until(lambda: len(said) == 2 and len(watcher.seen.ready) == 2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert said == ["scaling: web 1 to 2, acting: demand", "scaling: web 1 to 2, done: demand"]
    assert [ready for _, ready in watcher.seen.ready] == [{"web": 1}, {"web": 2}]
    assert [event["state"] for event in watcher.seen.events] == ["done"]


@pytest.mark.parametrize(
    "event",
    [{}, {**EVENT, "at": "yesterday"}, {**EVENT, "fleet": ["web"]}, {**EVENT, "before": "one"}, {"id": 5}],
)
async def test_events_that_are_none_cost_the_report_nothing(
    answers: Answers, target: Target, monkeypatch: pytest.MonkeyPatch, event: dict[str, Any]
) -> None:
    monkeypatch.setattr(watching, "_USAGE_SECONDS", 0.05)
    answers.usages.append(usage("one", 1.0))
    answers.event = event
    watcher = Watcher(target, lambda _text: None)
    task = asyncio.create_task(watcher.run())
    await until(lambda: len(watcher.seen.used) > 1)
    assert not task.done(), "it looks on"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await watcher.look_scaling()
    assert watcher.seen.events == []
    assert "does not answer as an Atomic Guide of this version does" in watcher.seen.missing


async def test_what_several_processes_use_is_added_up(
    answers: Answers, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_USAGE_SECONDS", 0.05)
    answers.usages.extend([usage("one", 1.0), usage("two", 5.0)])
    watcher = Watcher(target, lambda _text: None)
    task = asyncio.create_task(watcher.run())

    def enough() -> bool:
        for one in answers.usages:
            one["cpu_seconds"] += 0.005
        return len(watcher.seen.used) >= 4

    await until(enough)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (watcher.seen.processes, watcher.seen.cpus) == (2, 4)
    # Each uses at most half a core: its counter grows 5 ms at a look, and looks are 10 ms apart or more.
    assert all(0 < one.cores <= 2.2 for one in watcher.seen.used)
    assert watcher.seen.cores(0, 100) == pytest.approx(
        sum(one.cores for one in watcher.seen.used) / len(watcher.seen.used)
    )
    assert watcher.seen.cores(100, 200) is None


async def test_a_target_that_is_not_marked_is_refused_before_anything_is_registered(
    answers: Answers, target: Target
) -> None:
    answers.usages.append(usage("one", 1.0, target=False))
    with pytest.raises(Forbidden, match=r"is not marked as a test target.*loadtest\.target = true"):
        await admitted(target)
    answers.usages[0]["target"] = "yes"
    with pytest.raises(Unavailable, match="does not answer as an Atomic Guide"):
        await admitted(target)


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (401, Unauthenticated, "--token-file"),
        (404, NotFound, "of this version"),
        (500, Unavailable, "status 500"),
    ],
)
async def test_what_a_target_refuses_is_said_with_the_remedy(
    answers: Answers, target: Target, status: int, kind: type[Exception], said: str
) -> None:
    answers.usages.append(usage("one", 1.0))
    answers.status = status
    with pytest.raises(kind, match=said):
        await target.usage()


async def test_something_else_than_an_atomic_guide_is_said_to_be_so() -> None:
    async def page(_request: Request) -> Response:
        return Response("<html>", media_type="text/html")

    routes = [Route("/api/ops/loadtest/target", page)]
    async with serving(Starlette(routes=routes)) as url, Target(url, "a-token-of-operators") as opened:
        with pytest.raises(Unavailable, match="is it an Atomic Guide"):
            await opened.usage()
