"""One load test from its admission to its report."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from atomic_guide.clock import iso
from atomic_guide.errors import Conflict, GuideError
from atomic_guide.operations.loadtest import running
from atomic_guide.operations.loadtest.counts import Second
from atomic_guide.operations.loadtest.page import draw_page
from atomic_guide.operations.loadtest.plan import Plan, described, warnings
from atomic_guide.operations.loadtest.report import Moment, Report, make_report, moment
from atomic_guide.operations.loadtest.running import Heard, Testers
from atomic_guide.operations.loadtest.slo import Objective
from atomic_guide.operations.loadtest.store import PAGE, REPORT, STALE_SECONDS, STATE, Place, Store
from atomic_guide.operations.loadtest.target import Target
from atomic_guide.operations.loadtest.watching import Observed, Watcher
from atomic_guide.operations.loadtest.wording import live, stage_of

_ASKED_SECONDS = 0.5
"""Between looks for whether somebody asked the test to end: whoever did sees it end within a few seconds."""

_LATE = 2
"""Seconds for which the counts of a second are waited for, where several testers send."""


class Left(msgspec.Struct, frozen=True):
    """What a test leaves, and where."""

    target: str
    run: str


class Asked(NamedTuple):
    """What is to be done, and where its report goes."""

    plan: Plan
    objectives: list[Objective]
    testers: Testers
    store: Store
    kept: int


class Teller:
    """Tells of a test while it runs: lines for people or JSON for programs, and the state for whoever looks."""

    def __init__(self, left: Left, asked: Asked, say: Callable[[str], None], place: Place, *, as_json: bool) -> None:
        self._plan = plan = asked.plan
        self._write = say
        self._place = place
        self._as_json = as_json
        self._seconds: dict[int, list[Second]] = {}
        self.seen = Observed()
        self._testers = 1
        self._state: dict[str, Any] = {
            **msgspec.structs.asdict(left), "rate": plan.profile.most, "seconds": plan.profile.seconds,
            "sockets": plan.sockets, "since": iso(time.time()), "phase": "preparing",
            "objectives": [{"objective": one.name, "bound": one.bound, "text": one.text} for one in asked.objectives],
            "people": plan.people,
        }  # fmt: skip
        # Whoever is killed from here on has left something at the target, and is to be cleaned up after.
        place.note(self._state)

    def say(self, text: str, **facts: Any) -> None:
        """Tell something in words; `facts` are for programs. What a target says moves no terminal."""
        shown = "".join(char if char.isprintable() else " " for char in text)
        self._write(msgspec.json.encode({"said": text, **facts}).decode() if self._as_json else shown)

    def heard(self, kind: str, value: Any) -> None:
        """A line of the testers."""
        if kind == "prepared":
            self._state["prepared"] = value
            self.say(f"{value['done']} of {value['of']} {value['what']} ready", **value)
        elif kind == "joined":
            self._testers = value["of"]
            self.say(f"tester {value['part'] + 1} of {value['of']} has joined", **value)
        elif kind == "begin":
            self._state |= {"phase": "sending", "began_at": iso(value["at"])}
            self.say("arrivals begin", **value)
        elif kind == "second":
            self._hear_second(value)
        elif kind == "lost":
            self.say(f"tester {value['part']} is lost", **value)
        elif kind == "fault":
            self.say(f"fault in the tester: {value}")
        if kind in {"begin", "second", "prepared"}:
            self._note()

    async def beat(self) -> None:
        """Keep the state fresh until cancelled: people and testers may be waited for longer than it counts as such."""
        while True:
            self._note()
            await asyncio.sleep(STALE_SECONDS / 4)

    def _hear_second(self, told: Second) -> None:
        self._seconds.setdefault(told.second, []).append(told)
        whole = len(self._seconds[told.second]) >= self._testers
        for second in sorted(self._seconds):
            if (second == told.second and whole) or second <= told.second - _LATE:
                self._show(moment(second, self._seconds.pop(second), self._plan, self.seen))

    def _show(self, one: Moment) -> None:
        stage = stage_of(one.second, self._plan)
        self._state |= {"last": msgspec.to_builtins(one), "stage": stage and msgspec.to_builtins(stage)}
        with contextlib.suppress(OSError):
            self._place.tell(msgspec.json.encode(one))
        self._write(msgspec.json.encode(one).decode() if self._as_json else live(one, self._plan))

    def _note(self) -> None:
        # Whoever looks sees less; the test goes on.
        with contextlib.suppress(OSError):
            self._place.note(self._state)


async def conduct(
    asked: Asked, target: Target, say: Callable[[str], None], stop: asyncio.Event, *, as_json: bool = False
) -> Report:
    """Carry a test out and keep its report. Raises `GuideError` where it cannot be begun."""
    plan = asked.plan
    running.check_installed()
    platform, keys = await running.admitted(target)
    place = asked.store.begin(time.time(), asked.kept)
    teller = Teller(Left(plan.target, platform.run), asked, say, place, as_json=as_json)
    teller.say(f"load test {place.id}, run {platform.run} at {plan.target}", id=place.id, run=platform.run)
    for text in [*described(plan), *(f"warning: {one}" for one in warnings(plan))]:
        teller.say(text)
    watcher = Watcher(target, teller.say)
    teller.seen = watcher.seen
    watching = [asyncio.create_task(teller.beat()), asyncio.create_task(_ended_by(place, teller.say, stop))]

    def listen(kind: str, value: Any) -> None:
        if kind == "begin":
            watching.append(asyncio.create_task(watcher.run()))
        teller.heard(kind, value)

    try:
        heard = await running.carry_out(plan, platform, keys, asked.testers, listen, stop)
    except GuideError:
        place.discard()
        # Nothing was measured, so nobody will ask for it by an id.
        with contextlib.suppress(GuideError):
            await target.clean(platform.run)
        raise
    finally:
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
    if heard.began_at:
        await watcher.look_scaling()
    if by := place.asked_to_stop:
        heard.faults.append(f"it was ended by {by}")
    report = _kept(asked, place, (platform.run, platform.tenant), heard, watcher.seen)
    # Not before there is a report: one of both says what is to be cleaned.
    place.end()
    return report


async def _ended_by(place: Place, say: Callable[[str], None], stop: asyncio.Event) -> None:
    """Set `stop` once somebody asks the test to end."""
    while (by := place.asked_to_stop) is None:  # noqa: ASYNC110 - it is a file, written by another process
        await asyncio.sleep(_ASKED_SECONDS)
    say(f"it is ended by {by}")
    stop.set()


def _kept(asked: Asked, place: Place, at: tuple[str, str], heard: Heard, seen: Observed) -> Report:
    count = max(1, asked.testers.local + asked.testers.remote)
    heard.began_at = heard.began_at or time.time()
    report = make_report((place.id, *at), asked.plan, asked.objectives, heard, seen, count)
    place.write(REPORT, msgspec.json.format(msgspec.json.encode(report), indent=2))
    place.write(PAGE, draw_page(report).encode())
    return report


def left(place: Place) -> Left:
    """What a test has left, of its report or, where it was killed, of what it noted before.

    Raises `Conflict` where it runs, `GuideError` where nothing is known.
    """
    if place.state(time.time()) is not None:
        raise Conflict(f"load test {place.id} runs; end it first")
    for name in (REPORT, STATE):
        found = place.read(name)
        if isinstance(found, dict):
            with contextlib.suppress(msgspec.ValidationError):
                return msgspec.convert(found, Left)
    raise GuideError(f"load test {place.id} has no report, so that its run at the target is not known")


async def cleaned(place: Place, target: Target) -> dict[str, int]:
    """Erase what a test left at its target: rows by table. Raises `GuideError`."""
    return (await target.clean(left(place).run)).erased
