"""What operators ask of shards and moves, and have moved, in a process that serves.

Moves are carried out by the process that was asked, in a task of its own, exactly as `atomic-guide shards rebalance`
carries them out: written down first, one lease for each, repeatable. A process that ends lets go of them; giving the
order again ends them, here, in another process, or by the command.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import secrets
import socket
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import structlog

from atomic_guide.clock import iso
from atomic_guide.engines.data.layout.measure import heaviest_courses, measure_shards
from atomic_guide.engines.data.layout.rebalance import PAUSE_SECONDS, Levelled, abandon_planned, plan_zones, rebalance
from atomic_guide.engines.data.layout.view import ShardView, look
from atomic_guide.engines.data.layout.waves import Waves
from atomic_guide.engines.data.moves import Limits, Mover
from atomic_guide.engines.data.opening import is_embedded
from atomic_guide.errors import Conflict, GuideError, Invalid, NotFound
from atomic_guide.operations.operators.approvals import ALONE, Approval, Voter
from atomic_guide.operations.placement.orders import give, given_so_far, levelling, paced, support
from atomic_guide.operations.placement.telling import (
    CourseTold,
    MoveTold,
    ZonePlan,
    told_course,
    told_move,
    told_plans,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atomic_guide.clock import Clock
    from atomic_guide.engines.data.layout.measure import CourseLoad, Measure, Measured
    from atomic_guide.engines.data.layout.rebalance import Plans
    from atomic_guide.engines.data.layout.waves import Outcome, Report
    from atomic_guide.engines.data.moves import Move
    from atomic_guide.engines.data.settings import DataSettings
    from atomic_guide.engines.data.shards import Shards

_log = structlog.get_logger(__name__)

MEASURED_SECONDS = 10.0
"""How long a measurement of all buckets is shown again: it takes 0.3 s at 100,000 courses, and pages ask each 5 s."""

SHOWN_MOVES = 100
"""Moves of a plan, and of those that wait, that one answer names."""

_CANCEL_SECONDS = 10.0
"""How long an answer waits for a move to be taken back; most take a tenth of a second."""

_STOP_SECONDS = 2.0
"""How long the end of a process waits for the moves that have begun; one takes a tenth of a second."""


class Layout(msgspec.Struct, frozen=True):
    """The shards as measured at a time, what would be moved, and the heaviest courses where they were asked for.

    `tolerance` is how far from its share a shard may be before anything moves; `unfinished` counts moves of before;
    `agreed` are orders that wait for another operator to give them, too.
    """

    measured_at: str
    tolerance: float
    shards: list[ShardView]
    zones: list[ZonePlan]
    unfinished: int
    courses: list[CourseTold]
    agreed: dict[str, list[Approval]] = {}


class Moves(msgspec.Struct, frozen=True):
    """Moves: under way, the first of those that wait and how many there are, and ended ones, the latest first.

    `next` is the `after` of the ended ones that follow, null at the end.
    """

    under_way: list[MoveTold]
    waiting: list[MoveTold]
    waiting_count: int
    ended: list[MoveTold]
    next: str | None


class Rebalanced(msgspec.Struct, frozen=True):
    """What a rebalance does, or would do: `unfinished` moves of before are ended first, then `planned` ones.

    `begun`: they are being carried out; GET .../moves shows how far they are. `abandoned` were forgotten. Where it
    takes `needed` operators, `approvals` are those who have given the same order so far; it is begun once they are.
    """

    dry_run: bool
    begun: bool
    unfinished: int
    planned: int
    abandoned: int
    failed: list[str]
    zones: list[ZonePlan]
    needed: int = 1
    approvals: list[Approval] = []


class Order(NamedTuple):
    """What a rebalance is asked to do, as the command's options say it."""

    what: Levelled
    limit: int | None = None
    at_once: int | None = None
    pause: float = PAUSE_SECONDS


class Desk:
    """The desk of one process."""

    def __init__(self, shards: Shards, clock: Clock, settings: DataSettings) -> None:
        self._shards = shards
        self._clock = clock
        self._settings = settings
        self._measuring = asyncio.Lock()
        self._measured: tuple[float, Measured] | None = None
        self._ordering = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._waves: Waves | None = None
        self._cancelling: set[asyncio.Task[Move]] = set()

    def levelled(self, zone: str | None, by: Measure, tolerance: float | None = None) -> Levelled:
        """What to level, with the setting's tolerance where none was chosen."""
        return Levelled(zone, by, self._settings.tolerance if tolerance is None else tolerance)

    @property
    def embedded(self) -> bool:
        """Whether the databases are files."""
        return is_embedded(self._settings)

    @property
    def most_lag_seconds(self) -> float:
        """How far behind a replica may be before no read goes there."""
        return self._settings.reads.max_lag_seconds

    async def layout(self, what: Levelled, courses: int = 0, shard: str | None = None, needed: int = 1) -> Layout:
        """Every shard and what would be moved; measured at most each 10 s. Raises `DataUnavailable`, `NotFound`."""
        at, measured = await self._load()
        plans = await plan_zones(self._shards, what, at, measured)
        views = await look(self._shards, plans.unfinished, at, measured)
        names = [view.name for view in views]
        if shard and shard not in names:
            raise NotFound(f"there is no shard {shard[:60]}; there are {', '.join(names)}")
        heavy = await heaviest(self._shards, [shard] if shard else names, courses, at)
        return Layout(
            measured_at=iso(at),
            tolerance=what.tolerance,
            shards=views,
            zones=told_plans(plans, what.by, SHOWN_MOVES),
            unfinished=len(plans.unfinished),
            courses=[told_course(one) for one in heavy],
            agreed=(await given_so_far(self._shards.directory, needed)).given,
        )

    async def moves(self, limit: int, after: str = "") -> Moves:
        """Moves that are under way, that wait, and so many that have ended. Raises `Invalid` for a wrong `after`."""
        mover, now = self._mover(), self._clock.now()
        open_moves = await mover.under_way()
        waiting = [move for move in open_moves if move.state == "planned" and move.lease_until <= now]
        begun = [move for move in open_moves if move.state != "planned" or move.lease_until > now]
        ended = await mover.list_ended(limit, _place(after) if after else None)
        last = ended[-1] if len(ended) == limit else None
        return Moves(
            under_way=[told_move(move, now) for move in begun[:SHOWN_MOVES]],
            waiting=[told_move(move, now) for move in waiting[:SHOWN_MOVES]],
            waiting_count=len(waiting),
            ended=[told_move(move, now) for move in ended],
            next=f"{last.updated_at!r}/{last.id}" if last is not None else None,
        )

    async def plan(self, order: Order) -> Rebalanced:
        """What a rebalance would do now."""
        return _rebalanced(await self._plans(order.what), order, dry_run=True)

    async def rebalance(self, order: Order, voter: Voter = ALONE, who: str = "") -> Rebalanced:
        """Begin to move, once as many operators as it takes have given the same order.

        Raises `Conflict` while moves are carried out, here or by another mover.
        """
        async with self._ordering:
            plans = await self._plans(order.what)
            self._check_free(plans.unfinished)
            done = _rebalanced(plans, order, dry_run=False)
            if not done.begun:
                return done
            given = await self._agreed(order, voter, who)
            if given is not None:
                return msgspec.structs.replace(done, begun=False, needed=voter.needed, approvals=given)
            self._begin(order)
            return done

    async def agree(self, order: str, voter: Voter, who: str) -> list[Approval]:
        """Agree to an order that waits; who has by then. Raises `NotFound` where nobody waits with it."""
        return await support(self._shards.directory, order, voter, who, self._clock.now())

    async def _agreed(self, order: Order, voter: Voter, who: str) -> list[Approval] | None:
        """Who has given an order so far; None once that is enough, which is then forgotten."""
        return await give(self._shards.directory, _written(order), voter, who, self._clock.now(), once=True)

    async def cancel(self, move_id: str, who: str) -> MoveTold:
        """Take a move back, whoever carries it out; told as it is after a few seconds at most.

        Raises `NotFound`, and `Conflict` where it has ended or switched already.
        """
        mover = self._mover()
        # In a task, which outlives the request: what is to be removed of a large bucket takes minutes.
        task = asyncio.create_task(mover.cancel(move_id, who))
        self._cancelling.add(task)
        task.add_done_callback(self._cancelled)
        done, _ = await asyncio.wait({task}, timeout=_CANCEL_SECONDS)
        return told_move(task.result() if done else await mover.find(move_id), self._clock.now())

    async def hold(self, move_id: str, who: str | None) -> MoveTold:
        """Have a move that waits not begun, or with nobody let it go. Raises `NotFound`, `Conflict` where it began."""
        mover = self._mover()
        move = await (mover.let_go(move_id) if who is None else mover.hold(move_id, who))
        return told_move(move, self._clock.now())

    def _cancelled(self, task: asyncio.Task[Move]) -> None:
        self._cancelling.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.info("a move could not be called off", error=str(error))

    async def abandon(self) -> Rebalanced:
        """Forget moves that were planned and not begun; what carries them out here stops after those that have."""
        async with self._ordering:
            if self._waves is not None:
                self._waves.stop.set()
            outcome = await abandon_planned(Waves(self._mover(), 1, _silent))
            return Rebalanced(
                dry_run=False,
                begun=False,
                unfinished=0,
                planned=0,
                abandoned=len(outcome.done),
                failed=list(outcome.failed),
                zones=[],
            )

    async def close(self) -> None:
        """Stop after the moves that have begun, or break them off where they take long."""
        for task in self._cancelling:
            task.cancel()
        await asyncio.gather(*self._cancelling, return_exceptions=True)
        if self._task is None or self._waves is None:
            return
        self._waves.stop.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                await asyncio.shield(self._task)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _load(self) -> tuple[float, Measured]:
        async with self._measuring:
            now = self._clock.now()
            if self._measured is None or not 0 <= now - self._measured[0] < MEASURED_SECONDS:
                await self._shards.look()
                self._measured = now, await measure_shards(self._shards, now)
            return self._measured

    async def _plans(self, what: Levelled) -> Plans:
        await self._shards.look()
        return await plan_zones(self._shards, what, self._clock.now())

    def _check_free(self, unfinished: Sequence[Move]) -> None:
        if self._task is not None and not self._task.done():
            raise Conflict("moves are being carried out already; wait for their end, or abandon those that wait")
        now = self._clock.now()
        if held := [move for move in unfinished if move.lease_until > now]:
            left = held[0].lease_until - now
            raise Conflict(
                f"move {held[0].id} is in the hands of {held[0].owner}, for {left:.0f} s more if that has died;"
                " wait for its end"
            )

    def _begin(self, order: Order) -> None:
        # A file has one writer: moves side by side would only wait for each other, and writes of their buckets too.
        most = 1 if self.embedded else order.at_once or self._settings.moves_at_once
        self._waves = Waves(self._mover(order.pause), most, _silent)
        # In no context: it outlives the request, and belongs to no session.
        self._task = asyncio.get_running_loop().create_task(
            self._carry(self._waves, order), name="rebalance", context=contextvars.Context()
        )

    async def _carry(self, waves: Waves, order: Order) -> None:
        try:
            outcome = await rebalance(waves, lambda: self._plans(order.what), order.limit)
        except GuideError as error:
            _log.warning("a rebalance could not be carried on; the same order goes on with it", error=error.message)
        except Exception:  # noqa: BLE001 - a defect there must not be lost with its task
            _log.exception("a rebalance failed")
        else:
            _tell(outcome)
        finally:
            self._measured = None

    def _mover(self, pause: float = PAUSE_SECONDS) -> Mover:
        owner = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        return Mover(self._shards, owner, self._clock, Limits(pause=pause))


async def heaviest(shards: Shards, names: Sequence[str], count: int, now: float) -> list[CourseLoad]:
    """The `count` heaviest courses of some shards: the busiest of the last day, then the largest."""
    found: list[CourseLoad] = []
    if count:
        for name in names:
            found += await heaviest_courses(shards, name, count, now)
    return sorted(found, key=lambda one: (-one.load.writes, -one.load.rows))[:count]


def _rebalanced(plans: Plans, order: Order, *, dry_run: bool) -> Rebalanced:
    unfinished = len(plans.unfinished)
    planned = len(plans.wanted)
    if order.limit is not None:
        unfinished = min(unfinished, order.limit)
        planned = min(planned, order.limit - unfinished)
    return Rebalanced(
        dry_run=dry_run,
        begun=not dry_run and unfinished + planned > 0,
        unfinished=unfinished,
        planned=planned,
        abandoned=0,
        failed=[],
        zones=told_plans(plans, order.what.by, SHOWN_MOVES),
    )


def _written(order: Order) -> str:
    return paced(levelling(order.what, order.limit), order.at_once, order.pause)


def _tell(outcome: Outcome) -> None:
    """Note what came of a rebalance; each move's own result stands in the directory."""
    counts = {"moved": len(outcome.done), "rows": outcome.rows, "left": outcome.left}
    if outcome.failed:
        _log.warning("a rebalance ended with failures", **counts, first=outcome.failed[0], failed=len(outcome.failed))
    else:
        _log.info("a rebalance ended", **counts, longest_pause_ms=round(outcome.longest_pause, 1))


def _place(after: str) -> tuple[float, str]:
    at, _, move_id = after.partition("/")
    try:
        return float(at), move_id
    except ValueError as error:
        raise Invalid("after is what `next` said", details={"parameter": "after"}) from error


def _silent(report: Report) -> None:
    del report
