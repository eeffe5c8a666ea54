"""The phases of a rehearsal: prepare, visit, lectures, load, fail over, bring back, look through everything."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import msgspec

from atomic_guide.app.rehearsal.ground import KEEPER, OPERATOR, Ground, made_ground, until_answered
from atomic_guide.app.rehearsal.lecture import Lectures, bucket_regions
from atomic_guide.app.rehearsal.load import Load, Met
from atomic_guide.app.rehearsal.people import Cdn, Lms, Visit
from atomic_guide.app.rehearsal.plan import CENTRAL, EAST, NORTH, PLACES, Tenant, made_tenants
from atomic_guide.app.rehearsal.report import Finding, Report
from atomic_guide.app.rehearsal.search import Leak, Searched, is_of, search, search_objects
from atomic_guide.app.residency import LogFile, look
from atomic_guide.config import load_settings
from atomic_guide.engines.data.servers import open_servers
from atomic_guide.errors import GuideError

READ_AGAIN_SECONDS = 5.0
"""What the requirements allow between a region's end and the next answered read of a tenant with a second one."""

_WAIT_SECONDS = 60.0
"""How long anything else is waited for, on a slow machine."""

_POLL_SECONDS = 0.05

_LOG_LOOKS, _LOG_SECONDS = 40, 0.25


class Rehearsal:
    """One rehearsal: `seconds` of load before the failure and after it; `told` hears of each phase.

    `brief` leaves the region where it is: about half the time, and what is told is the same but for that.
    """

    def __init__(self, seconds: float, told: Callable[[str], None], *, brief: bool = False) -> None:
        self._seconds = seconds
        self._brief = brief
        self._told = told
        self._tenants = made_tenants()
        self._lms = Lms()
        self._findings: list[Finding] = []
        self._figures: dict[str, Any] = {}
        self._phases: dict[str, float] = {}

    async def run(self, *, keep: bool = False) -> Report:
        """Rehearse. Raises `GuideError` where an engine does not start; what goes wrong later is a finding."""
        began = time.monotonic()
        async with made_ground(keep=keep) as ground, self._lms.serving():
            with self._phase("prepare"):
                await ground.start_engines()
                await ground.prepare(self._lms, self._tenants)
                await ground.start_guides()
            cdn, lectures = Cdn(ground.origins), Lectures(ground, self._find, self._figures)
            try:
                await self._rehearse(ground, cdn, lectures)
            finally:
                await lectures.close()
                await cdn.close()
            folder = str(ground.folder) if keep else None
        passed = all(one.passed for one in self._findings)
        return Report(passed, time.monotonic() - began, self._phases, self._findings, self._figures, folder)

    async def _rehearse(self, ground: Ground, cdn: Cdn, lectures: Lectures) -> None:
        with self._phase("visit"):
            visits = await self._visit(ground, cdn)
        with self._phase("lectures"):
            await lectures.make(visits)
            await lectures.play()
            await lectures.heal()
        load = Load(visits)
        with self._phase("load"):
            load.start()
            await asyncio.sleep(self._seconds)
            await self._replicated(ground)
        with self._phase("fail over"):
            await self._fail_over(ground, load, visits, lectures)
        if not self._brief:
            with self._phase("bring back"):
                await self._bring_back(ground, load, visits)
        await load.stop()
        self._figures["requests"] = {name: len(met) for name, met in load.met.items()}
        with self._phase("look through"):
            await self._look_through(ground, visits, lectures)
        self._find("no request is sent on more than once", cdn.redirects <= 1, f"at most {cdn.redirects} hops")

    async def _visit(self, ground: Ground, cdn: Cdn) -> list[Visit]:
        """Somebody of each tenant comes in at home, and the one from Europe also from America."""
        visits = []
        for tenant in self._tenants:
            visit = Visit(tenant, self._lms, cdn)
            await visit.launch(tenant.home, ground.guides[tenant.home].url + "/lti/launch")
            visits.append(visit)
        european = self._tenants[0]
        traveller = Visit(european, self._lms, cdn)
        await traveller.launch(EAST, ground.guides[EAST].url + "/lti/launch")
        answer = await traveller.say(EAST)
        zones = {place.name: place.zones for place in PLACES}
        ended = [(visit.tenant, visit.region) for visit in (*visits, traveller)]
        self._find(
            "a visit begins in a region of its tenant's zone, wherever it comes from",
            all(tenant.zone in zones[region] for tenant, region in ended) and answer.status_code == httpx.codes.CREATED,
            ", ".join(f"{tenant.name}: {region}" for tenant, region in ended),
        )
        visits[0].said |= traveller.said
        return visits

    async def _replicated(self, ground: Ground) -> None:
        """What was acknowledged is on the standby: its log there has come as far as the primary's acknowledgements."""
        state = await ground.first.ask("SELECT sync_state || ' ' || state FROM pg_stat_replication")
        position = await ground.first.ask("SELECT pg_current_wal_flush_lsn()::text")
        received = await ground.standby.ask(f"SELECT pg_last_wal_receive_lsn() >= '{position}'::pg_lsn")
        lag = await ground.first.ask("SELECT coalesce(extract(epoch FROM replay_lag), 0) FROM pg_stat_replication")
        self._find(
            "the second region has what was acknowledged",
            state == "quorum streaming" and bool(received),
            f"standby {state}, {float(lag) * 1000:.0f} ms behind in replaying",
        )

    async def _fail_over(self, ground: Ground, load: Load, visits: list[Visit], lectures: Lectures) -> None:
        keeper = asyncio.create_task(ground.keep_primary())
        try:
            killed = time.monotonic()
            ground.buckets.doors[CENTRAL].shut()
            await asyncio.to_thread(ground.kill, CENTRAL)
            with_second = [tenant for tenant in self._tenants if tenant.second]
            without = [one for one in self._tenants if not one.second and one.home == CENTRAL]
            for tenant in with_second:
                await _until(lambda one=tenant: _again(load, one, killed, "write"))  # type: ignore[misc]
            for tenant in without:
                await _until(lambda one=tenant: _refusal(load, one, killed))  # type: ignore[misc]
            await lectures.play_without(killed)
            await asyncio.sleep(self._seconds)
            self._judge_failover(load, killed, with_second, without)
            self._judge_others(load, killed)
            self._judge_promotion(ground.promoted_at, load, with_second, killed)
            await self._begin_anew(ground, visits[0].tenant)
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)

    def _judge_failover(self, load: Load, killed: float, second: list[Tenant], without: list[Tenant]) -> None:
        for tenant in second:
            read, wrote = (_again(load, tenant, killed, kind) for kind in ("read", "write"))
            self._figures[f"{tenant.name} reads again after s"] = _seconds(read, killed)
            self._figures[f"{tenant.name} writes again after s"] = _seconds(wrote, killed)
            self._find(
                f"{tenant.name}, whose rule allows a second region, reads again within {READ_AGAIN_SECONDS:g} s",
                read is not None and read.at - killed <= READ_AGAIN_SECONDS,
                f"after {_seconds(read, killed)} s",
            )
            self._find(
                f"{tenant.name} writes again once the standby is promoted", wrote is not None,
                f"after {_seconds(wrote, killed)} s",
            )  # fmt: skip
        for tenant in without:
            refusal = _refusal(load, tenant, killed)
            after = [one for one in load.since(tenant, refusal.at if refusal else killed) if one.status]
            self._find(
                f"{tenant.name}, whose rule allows none, gets 503 with Retry-After",
                refusal is not None and all(one.status == httpx.codes.SERVICE_UNAVAILABLE for one in after),
                f"first after {_seconds(refusal, killed)} s, then {len(after)} times,"
                f" Retry-After {refusal.retry_after if refusal else '-'}",
            )

    def _judge_promotion(self, promoted: float | None, load: Load, second: list[Tenant], killed: float) -> None:
        """The product promotes nothing; it finds whom somebody else has promoted."""
        after = None if promoted is None else round(promoted - killed, 2)
        self._figures["promoted_after_s"] = after
        wrote = [_seconds(_again(load, tenant, killed, "write"), killed) for tenant in second]
        self._find(
            f"the product finds the standby that {KEEPER} promotes, whose part the rehearsal plays",
            after is not None and all(one is not None and one >= after for one in wrote),
            f"promoted after {after} s, written to after {', '.join(map(str, wrote))} s",
        )

    def _judge_others(self, load: Load, killed: float) -> None:
        """The tenants of other regions notice nothing but the moment without a directory."""
        for tenant in (one for one in self._tenants if one.home != CENTRAL):
            met = load.since(tenant, killed)
            failed = [one for one in met if not one.well]
            self._figures[f"{tenant.name} failed meanwhile"] = len(failed)
            self._find(
                f"{tenant.name}, at home elsewhere, goes on",
                bool(met) and not failed,
                f"{len(met)} requests, {len(failed)} failed",
            )

    async def _begin_anew(self, ground: Ground, tenant: Tenant) -> None:
        """While the region is away, a new visit begins in the second one."""
        cdn = Cdn(ground.origins)
        visit = Visit(tenant, self._lms, cdn)
        try:
            await visit.launch(tenant.home, ground.guides[CENTRAL].url + "/lti/launch")
            said = visit.region
        except GuideError as error:
            said = error.message
        finally:
            await cdn.close()
        self._find("a new visit begins in the second region", said == NORTH, said)

    async def _bring_back(self, ground: Ground, load: Load, visits: list[Visit]) -> None:
        await ground.bring_back()
        back = time.monotonic()
        well = await until_answered(ground, CENTRAL, _WAIT_SECONDS)
        for visit in visits:
            await _until(lambda one=visit.tenant: _again(load, one, back, "write"))  # type: ignore[misc]
        again = {visit.tenant.name: _seconds(_again(load, visit.tenant, back, "write"), back) for visit in visits}
        self._find(
            "the region that was killed is gone back to, and every tenant reads and writes",
            well and None not in again.values(),
            ", ".join(f"{name} after {seconds} s" for name, seconds in again.items()),
        )
        events = await self._log_of(ground)
        self._find(
            "the log of regions tells of both",
            {"away", "back"} <= {event["what"] for event in events},
            ", ".join(f"{event['what']} {event['why']}".strip() for event in reversed(events)),
        )

    async def _log_of(self, ground: Ground) -> list[dict[str, Any]]:
        """What the second region has written of the one that was killed; its last entry comes within a second."""
        headers = {"Authorization": f"Bearer {OPERATOR}"}
        found: list[dict[str, Any]] = []
        async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
            for _ in range(_LOG_LOOKS):
                answer = await client.get(f"{ground.guides[NORTH].url}/api/ops/regions", headers=headers)
                events = answer.json().get("events", [])
                found = [one for one in events if one["region"] == CENTRAL and one["seen_from"] == NORTH]
                if found and found[0]["what"] == "back":
                    break
                await asyncio.sleep(_LOG_SECONDS)
        return found

    async def _look_through(self, ground: Ground, visits: list[Visit], lectures: Lectures) -> None:
        for visit in visits:
            if self._brief and not visit.tenant.second and visit.tenant.home == CENTRAL:
                # Its only region stays away; that what was acknowledged there is on disk shows when it is back.
                continue
            try:
                stored = await visit.everything(visit.tenant.home)
            except GuideError as error:
                self._find(f"{visit.tenant.name}: no acknowledged write is lost", passed=False, said=error.message)
                continue
            lost = [one for one, content in visit.said.items() if stored.get(one) != content]
            self._find(
                f"{visit.tenant.name}: no acknowledged write is lost",
                not lost and bool(visit.said),
                f"{len(visit.said)} acknowledged, {len(lost)} lost, {len(stored) - len(visit.said)} more stored",
            )
        if not self._brief:
            await self._report_residency(ground)
        objects = {place.name: await ground.buckets.objects(place.name) for place in PLACES}
        if self._brief:
            # Every store is asked, and a receipt is sealed when all of them have answered.
            await ground.buckets.doors[CENTRAL].open()
        await lectures.delete(tuple(one for one in self._tenants if not self._brief or one.home != CENTRAL))
        await ground.stop()
        searched = await asyncio.to_thread(search, ground.folders, PLACES, self._tenants)
        leaks = list(searched.leaks)
        for place in PLACES:
            leaks += search_objects(place.name, place.zones, objects[place.name], self._tenants)
        self._judge_residency(searched, leaks, objects)

    async def _report_residency(self, ground: Ground) -> None:
        """What `atomic-guide residency report` says in each region while NATS runs, which keeps entries in memory."""
        logs = [LogFile(one.region, one.log) for one in ground.guides.values()]
        for region, guide in ground.guides.items():
            settings = msgspec.structs.replace(load_settings({}, guide.config), data=str(guide.data))
            shards = await open_servers(settings.databases)
            try:
                found = await look(settings, shards, (), logs)
            finally:
                await shards.close()
            looked = ", ".join(f"{count} {what}" for what, count in found.looked.items())
            failed = [f"{one.tenant} {one.where}" for one in found.astray[:5]]
            failed += [f"{where}: {why}" for where, why in found.unseen.items()]
            self._find(
                f"the report of residency in {region} finds everything in its zone",
                found.ok,
                ", ".join(failed) or looked,
            )

    def _judge_residency(self, searched: Searched, leaks: list[Leak], objects: dict[str, dict[str, bytes]]) -> None:
        for tenant in self._tenants:
            found = [leak for leak in leaks if leak.tenant == tenant.name]
            own = [objects[region] for region in bucket_regions(tenant.zone)]
            stored = sum(is_of(tenant, *one) for each in own for one in each.items())
            self._find(
                f"{tenant.name}: nothing of it is in the files, messages, objects or logs of another zone's region",
                not found and searched.at_home[tenant.name] > 0 and stored >= len(own),
                ", ".join(f"{leak.region}: {leak.where}" for leak in found[:5])
                or f"in {searched.at_home[tenant.name]} files of its own regions, {stored} objects of their buckets",
            )
        self._figures["searched_files"] = searched.files
        self._figures["searched_bytes"] = searched.bytes
        self._figures["objects"] = {region: len(found) for region, found in objects.items()}

    def _find(self, name: str, passed: bool, said: str) -> None:  # noqa: FBT001 - what is found comes first
        self._findings.append(Finding(name, passed, said))

    @contextlib.contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self._phases[name] = round(time.monotonic() - began, 1)
        self._told(f"{name}: {self._phases[name]} s")


def _again(load: Load, tenant: Tenant, since: float, kind: Any) -> Met | None:
    """The first request that was answered well after a moment in which at least one was not, or the first of all."""
    met = load.since(tenant, since, kind)
    failed = next((place for place, one in enumerate(met) if not one.well), None)
    return next((one for one in met[failed or 0 :] if one.well), None)


def _refusal(load: Load, tenant: Tenant, since: float) -> Met | None:
    """The first 503 that says when to come again."""
    met = load.since(tenant, since)
    return next((one for one in met if one.status == httpx.codes.SERVICE_UNAVAILABLE and one.retry_after), None)


def _seconds(met: Met | None, since: float) -> float | None:
    return round(met.at - since, 2) if met is not None else None


async def _until(true: Callable[[], object]) -> None:
    """Wait until something is so, or for a minute: what is not so then is found out by whoever judges."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_WAIT_SECONDS):
            # No event tells of it.
            while not true():  # noqa: ASYNC110
                await asyncio.sleep(_POLL_SECONDS)
