"""One tester: lets its people in, opens its sockets, and begins arrivals when they are due.

Nothing here waits for an answer before it begins the next arrival. Where the tester cannot keep its own times, that is
counted (`late`, `dropped`), since a tester that slows down with its target would hide what it is there to find.
"""

from __future__ import annotations

import random
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import gevent
from gevent.event import Event
from gevent.pool import Pool

from atomic_guide.operations.loadtest.arrivals import Profile, moments
from atomic_guide.operations.loadtest.counts import UNFINISHED
from atomic_guide.operations.loadtest.plan import holders, members
from atomic_guide.operations.loadtest.runner.client import UNEXPECTED, Client, Failed, Target
from atomic_guide.operations.loadtest.runner.people import Entrance, Person, Steps
from atomic_guide.operations.loadtest.runner.recording import Recorder
from atomic_guide.operations.loadtest.runner.scenarios import ACTS, Work
from atomic_guide.operations.loadtest.runner.sockets import Sockets

if TYPE_CHECKING:
    from atomic_guide.operations.loadtest.plan import Order

Tell = Callable[[str, Any], None]

_ENTERING = 16
"""People who are let in at a time, before the test: what a server answers quickly, and no herd."""

_TRIES = 8
_WAIT_MOST = 30.0
"""Tries of one person, and the longest wait in seconds that a refusal may ask for."""

_OPENING = 16
_YIELD = 32
"""Arrivals that are begun in a row when many are due, before answers are looked at."""

_REFRESHED = 4.0
"""Seconds between looks for sessions that end soon."""

_STEPS = 3
"""Answers that an arrival waits for at most, one after the other: those of a launch."""

_STOPPED_SECONDS = 2.0
"""How long answers are waited for when the test is ended early."""


class Tester:
    """One process's part of a test."""

    def __init__(self, order: Order, tell: Tell) -> None:
        self._order = order
        self._tell = tell
        plan = order.plan
        self._recorder = Recorder(order.part)
        self._client = Client(Target(plan.target), plan.timeout)
        self._people = [Person(number, plan.courses) for number in members(plan, order.part, order.parts)]
        self._sockets = Sockets(self._client, self._recorder, order.part, plan.timeout)
        self._entrance = Entrance(self._client, order)
        self._profile: Profile = plan.profile.split(order.parts)
        self._begins = self._profile.begins()
        self._most = max(1, plan.in_flight // order.parts)
        self._stopping = Event()
        self._greenlets: list[Any] = []

    def prepare(self) -> None:
        """Let the people in, then open the sockets. Raises `Failed` where somebody cannot come in."""
        # The first count waits for an import, which is not to fall into the test.
        self._recorder.done(0, "", 0.0)
        self._recorder.taken(0)
        self._all(self._people, _ENTERING, self._let_in, "people")
        known = {person.number: person for person in self._people}
        order = self._order
        mine = [known[number] for number in holders(order.plan, order.part, order.parts)]
        self._all(mine, _OPENING, self._sockets.hold, "sockets")

    def run(self) -> None:
        """Send what is due, until the end or until `stop`; tells of each second."""
        began = time.monotonic()
        self._sockets.began = began
        self._sockets.stage = self._stage
        self._recorder.taken(0)
        self._greenlets = [gevent.spawn(self._seconds, began), gevent.spawn(self._refresh, began)]
        self._work = Work(self._order, self._client, self._people, self._sockets, began)
        pool = Pool()
        self._begin_all(pool, began)
        pool.join(timeout=_STOPPED_SECONDS if self._stopping.is_set() else _STEPS * self._order.plan.timeout)
        pool.kill(timeout=1)
        gevent.killall(self._greenlets, timeout=1)
        self._tell("second", self._recorder.taken(int(time.monotonic() - began) + 1))
        self._sockets.close()
        self._client.close()

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopping.set()

    def _begin_all(self, pool: Pool, began: float) -> None:
        names, weights = zip(*self._order.plan.shares.items(), strict=True)
        choice = random.Random(f"{self._order.plan.seed}/mix/{self._order.part}")
        recorder = self._recorder
        row = 0
        for at, stage in self._moments():
            due = began + at
            wait = due - time.monotonic()
            if wait > 0:
                row = 0
                if self._stopping.wait(wait):
                    return
            elif (row := row + 1) % _YIELD == 0:
                gevent.sleep(0)
                if self._stopping.is_set():
                    return
            name = choice.choices(names, weights)[0]
            if recorder.in_flight >= self._most:
                recorder.dropped(stage)
                continue
            recorder.in_flight += 1
            recorder.began(stage, max(0.0, time.monotonic() - due))
            pool.spawn(self._arrive, name, stage, due)
        self._stopping.wait(max(0.0, began + self._profile.seconds - time.monotonic()))

    def _moments(self) -> Iterator[tuple[float, int]]:
        order = self._order
        if order.plan.pattern == "constant":
            return moments(self._profile, lambda: 1.0, order.part / order.parts)
        chance = random.Random(f"{order.plan.seed}/arrivals/{order.part}")
        return moments(self._profile, lambda: chance.expovariate(1.0))

    def _arrive(self, name: str, stage: int, due: float) -> None:
        steps = Steps(self._recorder, stage, name, due)
        try:
            ACTS[name](self._work, steps, due)
        except Failed as error:
            self._recorder.failed(stage, name, error.kind, time.monotonic() - due - steps.thought)
        except gevent.GreenletExit:
            self._recorder.failed(stage, name, UNFINISHED, time.monotonic() - due - steps.thought)
        except Exception as error:  # noqa: BLE001 - as the comment says
            # A fault of the tester's own is no answer of the target: it is told, and ends as an error of its own kind.
            self._tell("fault", f"{type(error).__name__} in {name}: {error}")
            self._recorder.failed(stage, name, UNEXPECTED, 0.0)
        else:
            self._recorder.done(stage, name, time.monotonic() - due - steps.thought)
        finally:
            self._recorder.in_flight -= 1

    def _stage(self, at: float) -> int:
        return max(0, bisect_right(self._begins, at) - 1)

    def _seconds(self, began: float) -> None:
        second = 0
        while True:
            second = max(second + 1, int(time.monotonic() - began) + 1)
            gevent.sleep(max(0.0, began + second - time.monotonic()))
            self._tell("second", self._recorder.taken(second))

    def _refresh(self, began: float) -> None:
        while True:
            gevent.sleep(_REFRESHED)
            now = time.monotonic()
            for person in self._people:
                if self._entrance.is_due(person, now):
                    self._renew(person, began)

    def _renew(self, person: Person, began: float) -> None:
        asked = time.monotonic()
        stage = self._stage(asked - began)
        try:
            self._entrance.refresh(person)
        except Failed as error:
            self._recorder.failed(stage, "refresh", error.kind, time.monotonic() - asked)
        else:
            self._recorder.done(stage, "refresh", time.monotonic() - asked)

    def _let_in(self, person: Person) -> None:
        steps = Steps(Recorder(0), 0, "enter", time.monotonic())
        for left in reversed(range(_TRIES)):
            try:
                self._entrance.enter(person, steps, lambda: 0.0)
            except Failed as error:
                if not left or not error.kind.startswith(("http_429", "http_503", "closed")):
                    raise
                gevent.sleep(min(max(error.retry_after, 0.5), _WAIT_MOST))
            else:
                return

    def _all(self, what: list[Person], at_once: int, act: Callable[[Person], None], name: str) -> None:
        """Do something for each, some at a time, telling how far it is. Raises the first `Failed`."""
        done = 0
        told = time.monotonic()
        pool = Pool(at_once)

        def one(person: Person) -> Failed | None:
            if self._stopping.is_set():
                return None
            try:
                act(person)
            except Failed as error:
                return error
            return None

        for failure in pool.imap_unordered(one, what):
            if failure is not None:
                pool.kill()
                raise failure
            done += 1
            if time.monotonic() - told >= 1:
                told = time.monotonic()
                self._tell("prepared", {"what": name, "done": done, "of": len(what)})
        if what:
            self._tell("prepared", {"what": name, "done": done, "of": len(what)})
