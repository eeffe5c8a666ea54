"""A course's members from its LMS's roster: asked for by an instructor's launch, read by a job."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from atomic_guide.clock import SystemClock
from atomic_guide.course.enrolment import QUEUE
from atomic_guide.course.keeping.key import QUERIES as KEEPING
from atomic_guide.course.keeping.key import keeping_key, person_digest, tenant_digest
from atomic_guide.course.lti.registration import tenant_of
from atomic_guide.course.membership import handlers
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.queries import parse_queries
from atomic_guide.engines.queues.settings import QueueRules, QueueSettings
from atomic_guide.engines.queues.worker import Worker
from tests.fakes.platform import CLIENT, DEPLOYMENT, MEMBERSHIP, FakePlatform, fake_platform
from tests.fakes.site import Site, code_of, launch_site
from tests.integration.test_lti_services import our_keys

QUERIES = parse_queries(
    """
-- name: members
-- purpose: Everybody in every course.
SELECT "user", name, role FROM members ORDER BY "user"
-- name: jobs
-- purpose: Every job and how it stands.
SELECT kind, state FROM jobs UNION ALL SELECT kind, state FROM ended_jobs
-- name: contacts
-- purpose: Where everybody gets e-mail.
SELECT "user", address FROM mail_contacts
""",
    "here",
)
NRPS = "https://purl.imsglobal.org/spec/lti-nrps/claim/namesroleservice"
QUICK = QueueSettings(
    lease_seconds=5, heartbeat_seconds=0.5, poll_seconds=0.05, rosters=QueueRules(retry_first_seconds=0.02)
)


@pytest.fixture
async def platform() -> AsyncIterator[FakePlatform]:
    async with fake_platform() as running:
        yield running


@pytest.fixture
async def site(tmp_path: Path, platform: FakePlatform) -> AsyncIterator[Site]:
    async with launch_site(tmp_path, platform) as running:
        platform.tool_keys = await our_keys(running)
        yield running


def listed(number: int, role: str = "Learner", status: str = "Active") -> dict[str, object]:
    return {
        "user_id": f"s{number}",
        "name": f"Student {number}",
        "roles": [f"{MEMBERSHIP}#{role}"],
        "status": status,
    }


async def launch(site: Site, role: str) -> None:
    roster = {"context_memberships_url": f"{site.platform.url}/roster", "service_versions": ["2.0"]}
    roles = [f"{MEMBERSHIP}#{role}"]
    claims = {NRPS: roster, "https://purl.imsglobal.org/spec/lti/claim/roles": roles}
    assert code_of(await site.launch(**claims))


async def read(site: Site, name: str) -> list[tuple[str, ...]]:
    return [tuple(row) for shard in site.shards.all() for row in await shard.read(QUERIES[name])]  # type: ignore[arg-type]


async def work_until(site: Site, states: set[str], *, mailed: bool = False) -> None:
    """Run the worker until every job is in one of the states."""
    clock = SystemClock()
    own = {QUEUE: handlers(site.shards, site.lti, clock, mailed=mailed)}
    worker = Worker(site.shards, own, clock=clock, settings=QUICK)
    task = asyncio.create_task(worker.run())
    try:
        async with asyncio.timeout(20):
            # The worker is another task; it tells nobody when it is done.
            while {state for _, state in await read(site, "jobs")} - states:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    finally:
        worker.stop()
        await asyncio.wait_for(task, 10)


async def test_an_instructors_launch_brings_everybody_on_the_roster(site: Site, platform: FakePlatform) -> None:
    platform.members = [listed(n) for n in range(1, 6)] + [listed(6, status="Deleted"), listed(7, "Instructor")]
    await launch(site, "Instructor")
    await work_until(site, {"done"})
    members = {user: (name, role) for user, name, role in await read(site, "members")}
    assert members["s1"] == ("Student 1", "learner")
    assert members["s7"] == ("Student 7", "instructor")
    assert "s6" not in members
    assert members["user-1"][1] == "instructor"
    assert platform.problems == []


async def test_who_was_erased_is_not_brought_back_by_the_roster(site: Site, platform: FakePlatform) -> None:
    platform.members = [listed(1), listed(2)]
    tenant = tenant_of(platform.issuer, CLIENT, DEPLOYMENT)
    key = await keeping_key(site.shards.directory, SystemClock())
    digests = {"tenant": tenant_digest(key, tenant), "person": person_digest(key, tenant, "s1")}
    row = {"id": "e1", "kind": "person", "videos": False, "at": 1.0, "now": 1.0, **digests}

    async def erased(tx: Transaction) -> None:
        await tx.execute(KEEPING["put_erasure"], row)

    await site.shards.directory.write(erased)
    await launch(site, "Instructor")
    await work_until(site, {"done"})
    assert {user for user, *_ in await read(site, "members")} == {"s2", "user-1"}


async def test_the_roster_is_not_asked_for_again_within_the_hour(site: Site, platform: FakePlatform) -> None:
    platform.members = [listed(1)]
    await launch(site, "Instructor")
    await work_until(site, {"done"})
    await launch(site, "Instructor")
    assert await read(site, "jobs") == [("roster", "done")]


async def test_a_learners_launch_asks_for_no_roster(site: Site) -> None:
    await launch(site, "Learner")
    assert await read(site, "jobs") == []


async def test_a_registration_that_is_gone_ends_as_a_dead_letter(site: Site) -> None:
    await launch(site, "Instructor")
    for known in await site.lti.platforms.all():
        await site.lti.platforms.remove(known)
    await work_until(site, {"dead"})
    assert await read(site, "jobs") == [("roster", "dead")]


@pytest.mark.parametrize("mailed", [True, False])
async def test_addresses_are_kept_of_those_who_have_been_here_where_e_mail_is_sent(
    tmp_path: Path, platform: FakePlatform, *, mailed: bool
) -> None:
    async with launch_site(tmp_path, platform, mailed=mailed) as site:
        platform.tool_keys = await our_keys(site)
        strange = {**listed(3), "email": "two words@example.edu"}
        platform.members = [*({**listed(n), "email": f"s{n}@example.edu"} for n in (1, 2)), strange]
        for user in ("s1", "s3"):
            await site.launch(sub=user)
        await site.launch(sub="s4", email="s4@example.edu")
        await launch(site, "Instructor")
        await work_until(site, {"done"}, mailed=mailed)
        kept = {"s1": "s1@example.edu", "s3": "", "s4": "s4@example.edu", "user-1": ""}
        found = {row[0]: row[1] for row in await read(site, "contacts")}
        assert found == (kept if mailed else {})
