"""What a made-up installation would have measured of itself, from what was asked of it and how many units were ready.

Each figure follows from the load by a plain law, so that charts agree with one another: answers queue as in M/M/1,
requests beyond what the processes take are refused, jobs that find no slot wait. The same functions take the numbers of
one tick, for the decider, and arrays of all ticks, for the record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from atomic_guide.operations.demo.demand import TICK, Demand, Values
from atomic_guide.operations.demo.fleets import Counts
from atomic_guide.operations.scaling.model import CACHE, DATABASE, QUEUES, ROOMS, WEB, WORKERS, Key

_REQUESTS_A_CORE = 250.0
"""Requests in a second that keep one core busy."""

_ANSWER_SECONDS = 0.006
_FULL = 0.97
_SOCKETS_A_CORE = 110.0
_FULLEST_ROOM = 0.55
"""Of all sockets."""

JOB_SECONDS = {"video": 40.0, "analytics": 0.2, "notifications": 0.1, "rosters": 2.0}
_JOB_SHARE = {"video": 0.88, "analytics": 0.06, "notifications": 0.03, "rosters": 0.03}
"""Of the slots that are asked for."""

_STORED_BYTES, _STORED_A_DAY = 12e9, 0.04e9
_DATABASE_BYTES, _DATABASE_A_DAY = 0.9e9, 0.012e9
_SENT = {"video": 0.86, "chat": 0.05, "page": 0.05, "scores": 0.04}
_SENT_A_REQUEST = 90_000.0
_FEATURES = {"chat": 0.42, "video": 0.33, "scores": 0.15, "page": 0.10}

_DAY = 86_400.0

_IMPORT_HOURS, _IMPORT_MINUTES = 9.0, 20.0
"""A large import holds the writer of the first shard so long before the end, for so long."""

_IMPORT_WAIT, _IMPORT_SECONDS = 0.6, 0.4
"""Meanwhile writes wait for so much of their time, and take so long."""


class Durations(NamedTuple):
    """Durations of each tick: how many in a second, and their mean, s."""

    rate: Values
    mean: Values


class Recorded(NamedTuple):
    """Everything that is recorded, by series and tick."""

    gauges: dict[Key, Values]
    durations: dict[Key, Durations]


class Waiting:
    """Work that found no slot, in slot-seconds; one for a replay, told each tick once."""

    def __init__(self, slots: float) -> None:
        self._slots = slots
        self.seconds = 0.0

    def tick(self, asked: float, ready: int) -> float:
        """What waits after a tick in which so many slots were asked for."""
        self.seconds = max(0.0, self.seconds + (asked - ready * self._slots) * TICK)
        return self.seconds


def of_tick(cores: float, web: int, slots: float, waiting: float) -> dict[Key, float]:
    """What rules look at, for the decider; `slots` are those that are ready."""
    found = {
        Key(WEB, "utilisation"): min(cores / web, 1.0),
        Key(WEB, "latency_p95"): 3 * float(answer_seconds(np.array([cores]), np.array([web]))[0]),
    }
    sockets = _SOCKETS_A_CORE * cores
    found |= {
        Key(ROOMS, "fullest_room"): _FULLEST_ROOM * sockets / web,
        Key(ROOMS, "fullest_process"): sockets / web,
    }
    for queue, share in _JOB_SHARE.items():
        found[Key(QUEUES, "backlog", queue)] = waiting * share / JOB_SECONDS[queue]
        found[Key(QUEUES, "oldest", queue)] = waiting / slots
    return found


def answer_seconds(cores: Values, web: Counts | Values) -> Values:
    """Mean time of an answer, as M/M/1 has it, short of where it would be endless."""
    found: Values = _ANSWER_SECONDS / (1 - np.minimum(cores / web, _FULL))
    return found


def recorded(demand: Demand, ready: Mapping[str, Counts], slots: float, shards: Sequence[str], tenant: str) -> Recorded:
    """The record of a time. `slots` has one worker; all the work is of one tenant."""
    web, workers = ready[WEB].astype(np.float64), ready[WORKERS].astype(np.float64)
    gauges = {**_web(demand, web), **_workers(demand, workers, slots), **_costs(demand, web, workers, tenant)}
    durations = {Key(WEB, "latency"): Durations(_requests(demand), answer_seconds(demand.cores, web))}
    for queue, share in _JOB_SHARE.items():
        rate = demand.slots * share / JOB_SECONDS[queue]
        gauges[Key(QUEUES, "throughput", queue)] = rate
        durations[Key(QUEUES, "run", queue)] = Durations(rate, np.full(len(rate), JOB_SECONDS[queue]))
    busy = np.clip(demand.cores / demand.cores.max(), 0.0, 1.0)
    for number, shard in enumerate(shards):
        held = _import(demand) if number == 0 else np.zeros(len(busy), dtype=np.bool_)
        gauges |= _shard(shard, busy, held)
        rate = _requests(demand) / len(shards)
        durations[Key(DATABASE, "query", shard)] = Durations(2 * rate, 0.0004 / (1 - 0.5 * busy))
        usual = 0.004 / (1 - 0.5 * busy)
        durations[Key(DATABASE, "write", shard)] = Durations(0.2 * rate, np.where(held, _IMPORT_SECONDS, usual))
    return Recorded(gauges, durations)


def _requests(demand: Demand) -> Values:
    return demand.cores * _REQUESTS_A_CORE


def _web(demand: Demand, web: Values) -> dict[Key, Values]:
    rate, sockets = _requests(demand), _SOCKETS_A_CORE * demand.cores
    taken = np.minimum(demand.cores, web)
    gauges = {
        "processes": web,
        "demand": demand.cores,
        "utilisation": np.minimum(demand.cores / web, 1.0),
        "throughput": rate,
        "errors": 1 - taken / demand.cores,
        "in_flight": rate * answer_seconds(demand.cores, web),
        "memory": web * 180e6 + sockets * 5_000,
        "loop_lag": 0.002 / (1 - np.minimum(demand.cores / web, _FULL)),
        "shedding": np.where(demand.cores > web, 1.0, 0.0),
    }
    found = {Key(WEB, name): values for name, values in gauges.items()}
    found |= {Key(WEB, "work", name): share * taken for name, share in _FEATURES.items()}
    rooms = {
        "sockets": sockets,
        "largest_room": _FULLEST_ROOM * sockets,
        "fullest_room": _FULLEST_ROOM * sockets / web,
        "fullest_process": sockets / web,
        "deliveries": sockets * 0.4,
    }
    found |= {Key(ROOMS, name): values for name, values in rooms.items()}
    found |= {
        Key(CACHE, "hits", "memory"): 0.86 * rate,
        Key(CACHE, "hits", "nats"): 0.07 * rate,
        Key(CACHE, "loads"): 0.07 * rate,
        Key(CACHE, "hit_share"): np.full(len(rate), 0.93),
        Key("scaling", "leader"): np.ones(len(rate)),
    }
    return found


def _workers(demand: Demand, workers: Values, slots: float) -> dict[Key, Values]:
    waiting = Waiting(slots)
    wait = np.array([
        waiting.tick(asked, int(ready))
        for asked, ready in zip(demand.slots.tolist(), workers.tolist(), strict=True)
    ])  # fmt: skip
    busy = np.minimum(demand.slots + wait / TICK, workers * slots)
    found = {
        Key(WORKERS, "processes"): workers,
        Key(WORKERS, "demand"): demand.slots,
        Key(WORKERS, "utilisation"): busy / (workers * slots),
    }
    for queue, share in _JOB_SHARE.items():
        found[Key(WORKERS, "work", queue)] = busy * share
        found[Key(QUEUES, "backlog", queue)] = np.floor(wait * share / JOB_SECONDS[queue])
        found[Key(QUEUES, "oldest", queue)] = wait / (workers * slots)
        found[Key(QUEUES, "dead_letters", queue)] = np.zeros(len(wait))
    return found


def _costs(demand: Demand, web: Values, workers: Values, tenant: str) -> dict[Key, Values]:
    rate = _requests(demand)
    passed = (demand.times - demand.times[-1]) / _DAY
    stored = _STORED_BYTES + _STORED_A_DAY * passed
    sent = _SENT_A_REQUEST * rate
    gauges = {
        # The first worker is in a process that answers, and is paid for as one of web.
        ("units", WEB): web,
        ("units", WORKERS): np.maximum(workers - 1, 0.0),
        ("tenant_work", tenant): demand.cores,
        ("tenant_sent", tenant): sent,
        ("tenant_stored", tenant): stored,
        ("stored", ""): stored,
        ("database_bytes", ""): _DATABASE_BYTES + _DATABASE_A_DAY * passed,
        ("store_reads", ""): 0.2 * rate,
        ("store_repeats", ""): 0.05 * rate,
        ("store_writes", ""): 0.3 * demand.slots,
        ("launches", ""): 0.01 * rate,
        ("messages", ""): 0.03 * rate,
        ("lecture_seconds", ""): 0.8 * rate,
        **{("sent", feature): share * sent for feature, share in _SENT.items()},
    }
    return {Key("costs", metric, part): values for (metric, part), values in gauges.items()}


def _import(demand: Demand) -> NDArray[np.bool_]:
    """The ticks of the import."""
    begin = demand.times[-1] - _IMPORT_HOURS * 3600
    held: NDArray[np.bool_] = (demand.times >= begin) & (demand.times < begin + _IMPORT_MINUTES * 60)
    return held


def _shard(shard: str, busy: Values, held: NDArray[np.bool_]) -> dict[Key, Values]:
    gauges = {
        "utilisation": 0.04 + 0.3 * busy,
        "write_share": np.full(len(busy), 0.35),
        "lock_wait": np.where(held, _IMPORT_WAIT, 0.01 + 0.05 * busy),
        "readers_busy": 0.03 + 0.2 * busy,
        "writers_busy": 0.02 + 0.25 * busy,
    }
    return {Key(DATABASE, name, shard): values for name, values in gauges.items()}
