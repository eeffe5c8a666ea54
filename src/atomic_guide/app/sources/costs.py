"""`costs`: what runs, is stored and is sent, what that costs, what for, and what is got for it.

Prices are those of the price list, or `scaling.FLEET.unit_price`; without any there are quantities and no money.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from atomic_guide.app.sources.facts import Facts
from atomic_guide.app.sources.queues import WORKER
from atomic_guide.app.sources.web import READY
from atomic_guide.operations.costs.measured import COSTS, DAILY
from atomic_guide.operations.costs.pace import Pace, cooler, pace_state
from atomic_guide.operations.costs.pricing import HOUR, priced
from atomic_guide.operations.costs.tally import OTHERS
from atomic_guide.operations.scaling.metric import Metric
from atomic_guide.operations.scaling.model import WEB, WORKERS, Key, Sample
from atomic_guide.operations.scaling.reports import Told, named

if TYPE_CHECKING:
    from collections.abc import Mapping

    from atomic_guide.app.run_counts import RunCounts
    from atomic_guide.app.sources.daily import DailyCost
    from atomic_guide.operations.costs.terms import Terms
    from atomic_guide.operations.scaling.once import Once
    from atomic_guide.operations.scaling.reports import Look, Tell
    from atomic_guide.web.observe import WebMetrics
    from atomic_guide.web.tool import Tool

METRICS = (
    Metric(COSTS, "hourly", "money/h", "What is paid for it, at the pace of now.", "fleet, or storage, traffic"),
    Metric(COSTS, DAILY, "money", "What the day has cost so far, from midnight by scaling.time_zone."),
    Metric(COSTS, "feature", "money/h", "Its part of the processes, by its share of work, or `idle`.", "feature"),
    Metric(COSTS, "efficiency", "1/money", "Requests (web) or jobs (workers) done for each unit of money.", "fleet"),
    Metric(COSTS, "units", "units", "Units that are paid for; a process that answers and runs jobs is one of web.",
           "fleet"),
    Metric(COSTS, "tenant_work", "s/s", "Response time and slots of one tenant; `others` are the rest.", "tenant"),
    Metric(COSTS, "tenant_sent", "bytes/s", "Answers of one tenant, without sockets.", "tenant"),
    Metric(COSTS, "tenant_stored", "bytes", "Lectures of one tenant.", "tenant"),
    Metric(COSTS, "sent", "bytes/s", "Bytes of answers, also from buckets, and, for `chat`, of sockets.", "feature"),
    Metric(COSTS, "stored", "bytes", "Lectures of all tenants."),
    Metric(COSTS, "database_bytes", "bytes", "The databases with their replicas."),
    Metric(COSTS, "store_reads", "requests/s", "Reads of the object store."),
    Metric(COSTS, "store_repeats", "requests/s", "Of them, of bytes that a process had read just before."),
    Metric(COSTS, "store_writes", "requests/s", "Writes and lists of the object store."),
    Metric(COSTS, "launches", "launches/s", "Launches that were let in."),
    Metric(COSTS, "messages", "messages/s", "Messages that were stored."),
    Metric(COSTS, "lecture_seconds", "s/s", "Seconds of lectures that learners have played."),
)  # fmt: skip

_IDLE = "idle"
_HOUR = 3600.0


def costs_telling(tool: Tool, web: WebMetrics | None, counts: RunCounts) -> Tell:
    """What a process tells of whose work it does and what it sends, reads and stores."""

    def tell() -> Told:
        requests, chat = tool.media.store.requests, tool.chat
        counters = {
            "costs.store_reads": float(requests.reads),
            "costs.store_repeats": float(requests.repeats),
            "costs.store_writes": float(requests.writes),
            "costs.launches": float(tool.lti.launches.admitted),
            "costs.messages": float(chat.posted),
            "costs.lecture_seconds": tool.events.counts.watched,
        }
        work = defaultdict(float, counts.tenants.sums())
        if web is not None:
            sent = Counter(web.sent)
            sent["chat"] += chat.rooms.sent
            counters |= {named("costs.sent", feature): float(amount) for feature, amount in sent.items()}
            counters |= {named("costs.tenant_sent", one): amount for one, amount in web.tenant_sent.sums().items()}
            for sums in (web.tenant_work.sums(), chat.work.sums()):
                for tenant, seconds in sums.items():
                    work[tenant] += seconds
        counters |= {named("costs.tenant_work", tenant): seconds for tenant, seconds in work.items()}
        return Told(counters)

    return tell


def split(cost: float, work: Mapping[str, float]) -> dict[str, float]:
    """A cost by what it was spent on: each has its share of the work, and with it of the time that nothing ran."""
    whole = sum(work.values())
    return {name: cost * part / whole for name, part in work.items()} if whole else {_IDLE: cost}


class CostsSource:
    """Over all processes, and what is known of databases and stores."""

    name = COSTS
    metrics = METRICS

    def __init__(self, reports: Once[Look], terms: Terms, facts: Facts, daily: DailyCost | None = None) -> None:
        self._reports = reports
        self._terms = terms
        self._facts = facts
        self._daily = daily
        self.currency = terms.prices.currency

    async def measure(self, at: float) -> list[Sample]:
        """The figures of a tick. Raises `Unavailable` where a process is silent."""
        look = await self._reports.at(at)
        for gauge in (READY, WORKER):
            if look.gauges(gauge):
                look.whole(gauge)
        known = await self._facts.at(at)
        units = {**units_of(look), **known.units}
        rates = {name: look.rate(f"{COSTS}.{name}") for name in _RATES}
        sent = _by_part(look, "costs.sent")
        samples = [Sample(Key(COSTS, "units", fleet), float(count)) for fleet, count in units.items()]
        samples += [Sample(Key(COSTS, name), rate) for name, rate in rates.items() if rate is not None]
        samples += [Sample(Key(COSTS, "sent", part), rate) for part, rate in sent.items()]
        samples += [Sample(Key(COSTS, "database_bytes"), float(known.database_bytes)),
                    Sample(Key(COSTS, "stored"), float(known.stored))]  # fmt: skip
        samples += self._tenants(look, known.tenants)
        if self._terms.known:
            pace = Pace(
                {fleet: float(count) for fleet, count in units.items()}, known.stored, known.database_bytes,
                rates["store_reads"] or 0.0, rates["store_writes"] or 0.0, sum(sent.values()),
            )  # fmt: skip
            samples += await self._money(look, pace, known.cooled, at)
        return samples

    async def _money(self, look: Look, pace: Pace, cooled: int, at: float) -> list[Sample]:
        found = priced(cooler(pace_state(self._terms, pace), cooled), self._terms.prices, HOUR)
        hourly: dict[str, float] = {}
        for line in found.lines:
            hourly[line.subject] = hourly.get(line.subject, 0.0) + float(line.amount)
        samples = [Sample(Key(COSTS, "hourly", subject), cost) for subject, cost in hourly.items()]
        features: dict[str, float] = {}
        for fleet, what, done in ((WEB, "web.work", "web.requests"), (WORKERS, "workers.busy", "workers.jobs")):
            if not (cost := hourly.get(fleet)):
                continue
            for name, share in split(cost, _by_part(look, what)).items():
                features[name] = features.get(name, 0.0) + share
            amount = sum(look.rate(name) or 0.0 for name in (done, *(named(done, part) for part in look.parts(done))))
            samples.append(Sample(Key(COSTS, "efficiency", fleet), amount * _HOUR / cost))
        samples += [Sample(Key(COSTS, "feature", name), cost) for name, cost in features.items()]
        if self._daily is not None and (day := await self._daily.add(at, sum(hourly.values()))) is not None:
            samples.append(Sample(Key(COSTS, DAILY), day))
        return samples

    def _tenants(self, look: Look, stored: Mapping[str, int]) -> list[Sample]:
        """Those who have had most work since the processes began, and the rest together: never more series than that.

        Each has a figure at every tick, so that none is missing where it is nothing.
        """
        work: defaultdict[str, float] = defaultdict(float)
        for report in look.reports:
            for name, seconds in report.counters.items():
                if name.startswith("costs.tenant_work/"):
                    work[name.partition("/")[2]] += seconds
        order = [name for name, _ in sorted(work.items(), key=lambda one: (-one[1], one[0])) if name != OTHERS]
        order += sorted(stored.keys() - work.keys() - {OTHERS}, key=lambda name: -stored[name])
        chosen = set(order[: self._terms.costs.tenants])
        columns = {
            "tenant_work": _by_part(look, "costs.tenant_work"),
            "tenant_sent": _by_part(look, "costs.tenant_sent"),
            "tenant_stored": {name: float(size) for name, size in stored.items()},
        }
        samples = []
        for metric, values in columns.items():
            sums = dict.fromkeys(chosen, 0.0)
            for name, value in values.items():
                place = name if name in chosen else OTHERS
                sums[place] = sums.get(place, 0.0) + value
            samples += [Sample(Key(COSTS, metric, name), value) for name, value in sorted(sums.items())]
        return samples


_RATES = ("store_reads", "store_repeats", "store_writes", "launches", "messages", "lecture_seconds")


def units_of(look: Look) -> dict[str, float]:
    """Processes that are paid for: one that answers and runs jobs is paid for once."""
    answering = sum(READY in report.gauges for report in look.reports)
    working = sum(WORKER in report.gauges and READY not in report.gauges for report in look.reports)
    return {WEB: float(answering), WORKERS: float(working)} if look.reports else {}


def _by_part(look: Look, name: str) -> dict[str, float]:
    rates = {part: look.rate(named(name, part)) for part in look.parts(name)}
    return {part: rate for part, rate in rates.items() if rate is not None}
