"""Puts a made-up history on record, as measurements, decisions, forecasts, alerts and days of costs; and removes it.

What is made up is the demand and what units would have measured. Everything that is said of it comes from the parts
that a server uses: the decider and its nightly replays, the forecaster, the judging of acts, the alert rules, the
price list. Nothing is written that a leader might carry out: events are put down in the state in which they ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from atomic_guide.clock import from_iso
from atomic_guide.durations import bucket_of, seconds_of
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.operations.alerts import store as alerts
from atomic_guide.operations.alerts.replay import replayed
from atomic_guide.operations.demo.demand import DAY, TICK, Values
from atomic_guide.operations.demo.figures import Durations, Recorded
from atomic_guide.operations.scaling.decide.memory import Memory, State
from atomic_guide.operations.scaling.events import Record as Kept
from atomic_guide.operations.scaling.leader import QUERIES as LEADING
from atomic_guide.operations.scaling.loop import MIND, STANDING, Standing
from atomic_guide.operations.scaling.marked import Mark, put_mark
from atomic_guide.operations.scaling.series import LEVELS, Series, Slots

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from atomic_guide.engines.data.database import Database, Transaction
    from atomic_guide.operations.alerts.rule import Rule
    from atomic_guide.operations.scaling.judging import Judging
    from atomic_guide.operations.scaling.mind import Mind
    from atomic_guide.operations.scaling.model import Event

_QUERIES = load_queries(__package__)

_FINE_SECONDS, _MINUTES_SECONDS = 6 * 3600, 2 * DAY
"""How far back the record is kept by 15 s and by minutes: less than a server's own, a third of its rows."""

_SPREAD = ((-9, 0.05), (-6, 0.15), (-3, 0.25), (0, 0.25), (4, 0.18), (9, 0.09), (16, 0.03))
"""Durations around their middle: how many buckets of 10% away, and the share of them. One in thirty takes 4.6 times."""

_DROP_SLOTS = 50
"""Slots that are removed in one transaction: of a hundred series 5,000 rows."""

_DROPPED = ("drop_events", "drop_forecasts", "drop_nights", "drop_days", "drop_alerts", "drop_standing")
_ALERT_SECONDS = 26 * 3600
"""Over which rules are evaluated: the crowd is in it, whatever time it is."""


async def first_measured(directory: Database) -> float | None:
    """When anything was first measured here; None where nothing was."""
    found = [
        row["at"]
        for level in LEVELS
        if (row := await directory.one(_QUERIES["first_measured"], {"resolution": level.resolution})) is not None
        and row["at"] is not None
    ]
    return min(found, default=None)


async def put_series(series: Series, times: Values, recorded: Recorded, until: float) -> int:
    """Put a record into its table, the coarser the older, up to a moment; how many series that are."""
    edges = [float(times[0]), *((until - age) // 900 * 900 for age in (_MINUTES_SECONDS, _FINE_SECONDS)), until]
    for resolution, since, end in zip((900, 60, TICK), edges, edges[1:], strict=False):
        first, last = np.searchsorted(times, (max(since, float(times[0])), end)).tolist()
        # Whole slots only, which the ends are but for the first.
        first += -int((times[first] - since) // TICK) % (resolution // TICK) if first < last else 0
        span = slice(first, first + (last - first) // (resolution // TICK) * (resolution // TICK))
        gauges = {key: _joined(times[span], values[span], resolution) for key, values in recorded.gauges.items()}
        spread = {key: _counted(times[span], one, span, resolution) for key, one in recorded.durations.items()}
        await series.fill(resolution, {**gauges, **spread})
    return len(recorded.gauges) + len(recorded.durations)


def _joined(times: Values, values: Values, resolution: int) -> Slots:
    rows = values.reshape(-1, resolution // TICK)
    count = np.full(len(rows), float(rows.shape[1]))
    return Slots(times[:: rows.shape[1]], count, rows.sum(axis=1), rows.min(axis=1), rows.max(axis=1))


def _counted(times: Values, durations: Durations, span: slice, resolution: int) -> Slots:
    """Durations by bucket in each slot that had any."""
    width = resolution // TICK
    counts = np.round(durations.rate[span].reshape(-1, width).sum(axis=1) * TICK)
    means = durations.mean[span].reshape(-1, width).mean(axis=1)
    begins, rows, totals = [], list[Mapping[int, int]](), []
    for begin, count, mean in zip(times[::width].tolist(), counts.tolist(), means.tolist(), strict=True):
        middle = bucket_of(mean)
        found = {middle + away: round(count * share) for away, share in _SPREAD if round(count * share)}
        if found:
            begins.append(begin)
            rows.append(found)
            totals.append(sum(seconds_of(bucket) * number for bucket, number in found.items()))
    numbers, least, most = (
        np.array([float(of(row)) for row in rows])
        for of in (lambda row: sum(row.values()), lambda row: seconds_of(min(row)), lambda row: seconds_of(max(row)))
    )
    return Slots(np.array(begins), numbers, np.array(totals), least, most, rows)


async def put_events(directory: Database, judging: Judging, events: Sequence[Event], until: float) -> int:
    """Judge the acts of a history and write all its decisions down as they ended; how many."""
    rows = []
    for event in events:
        decision = event.decision
        verdict = None
        if event.state == "done":
            verdict = await judging.verdict(Kept(event, "", 0, decision.before, decision.after), until, {})
        rows.append({
            **{name: getattr(decision, name) for name in ("id", "fleet", "rule", "at", "before", "after")},
            **{name: getattr(event, name) for name in ("state", "mode", "started_at", "ended_at", "error")},
            "decision": _text(decision),
            "verdict": None if verdict is None else _text(verdict),
        })  # fmt: skip

    async def work(tx: Transaction) -> None:
        for row in rows:
            await tx.execute(_QUERIES["add_event"], row)

    await directory.write(work)
    return len(rows)


async def put_alerts(series: Series, directory: Database, rules: Sequence[Rule], zone: ZoneInfo, until: float) -> int:
    """Evaluate rules over the last day of a record, and log what they would have told; how many entries."""
    deeds: list[tuple[float, alerts.Deed]] = []
    for rule in rules:
        for spell in (await replayed(rule, series, zone, until - _ALERT_SECONDS, until)).spells:
            for what, at in (("fired", spell.fired_at), ("resolved", spell.ended_at)):
                if at is not None and spell.fired_at is not None and from_iso(at) < until:
                    details = {"value": spell.value, "since": from_iso(spell.began_at)}
                    deeds.append((from_iso(at), alerts.Deed(what, spell.rule, spell.labels, details)))

    async def work(tx: Transaction) -> None:
        for at, deed in sorted(deeds, key=lambda one: one[0]):
            await alerts.note(tx, at, alerts.LEADER, deed)

    await directory.write(work)
    return len(deeds)


async def hand_over(directory: Database, mark: Mark, mind: Mind, standing: Standing) -> None:
    """Let whoever leads go on from what the decider of the history remembers of the time ahead, and mark that."""
    state = mind.memory.state
    for name, policy in mind.memory.policies.items():
        state.tuned[name] = policy.state()
    known = State(at=mark.until, outlooks=state.outlooks, watches=state.watches, tuned=state.tuned)
    kept = await directory.one(LEADING["read_memory"], {"name": STANDING})

    async def work(tx: Transaction) -> None:
        await _begin_anew(tx, Memory(known), mark.added_at)
        if kept is None:
            row = {"name": STANDING, "at": mark.until, "value": _text(standing)}
            await tx.execute(LEADING["save_memory"], row)
        await put_mark(tx, mark)

    await directory.write(work)


async def remove(directory: Database, mark: Mark) -> int:
    """Remove a history and all that was said of it; how many measurements. Again is harmless.

    Whoever leads begins anew in the same moment, with nothing in mind that was made up. The mark stays.
    """
    since = {"until": mark.until, "added_at": mark.added_at}

    async def work(tx: Transaction) -> None:
        for name in _DROPPED:
            await tx.execute(_QUERIES[name], since)

    await directory.write(work)
    removed = 0
    for level in LEVELS:
        removed += await _drop_level(directory, level.resolution, mark)

    async def end(tx: Transaction) -> None:
        # Again: a server that found no day closed may have closed those of the record while it was still there.
        await work(tx)
        await tx.execute(_QUERIES["drop_series"], {"tenant": mark.tenant})
        await _begin_anew(tx, Memory(), mark.until)

    await directory.write(end)
    return removed


async def _drop_level(directory: Database, resolution: int, mark: Mark) -> int:
    """In parts, so that no writer waits for long."""
    removed, width = 0, resolution * _DROP_SLOTS
    begin = mark.begins_at // width * width
    while begin < mark.until:
        end = min(begin + width, mark.until)
        span = {"resolution": resolution, "since": begin, "until": end}
        removed += await directory.write(partial(_drop, span=span))
        begin += width
    return removed


async def _drop(tx: Transaction, span: dict[str, float]) -> int:
    return await tx.execute(_QUERIES["drop_samples"], span)


async def _begin_anew(tx: Transaction, memory: Memory, at: float) -> None:
    """The lead ends, and the next one begins with a memory: one that has another in its process reads this one."""
    await tx.execute(LEADING["save_memory"], {"name": MIND, "at": at, "value": memory.saved().decode()})
    await tx.execute(_QUERIES["end_lead"])


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()
