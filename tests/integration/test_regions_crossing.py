"""Requests that have come to the wrong region of a running server: told where to go, or sent on, at most once."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from atomic_guide.app.proxied import Proxied
from atomic_guide.app.region import QUEUES, in_region
from atomic_guide.clock import SystemClock
from atomic_guide.config import load_settings
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.embedded import database_files, open_embedded
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import parse_queries
from atomic_guide.engines.data.settings import DataSettings
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.data.sqlite import SqliteDatabase
from atomic_guide.engines.queues.forming import NewJob
from atomic_guide.engines.queues.jobs import Queues
from atomic_guide.engines.queues.settings import QueueSettings
from atomic_guide.errors import ConfigurationError
from atomic_guide.web.crossing import COUNTRY
from tests.running import RunningServer, running_server

NORTH, EAST = "http://127.0.0.1:9", "http://127.0.0.2:9"
DECLARED: list[dict[str, Any]] = [
    {"name": "eu-central", "coordinates": [50.1, 8.7], "roles": ["web"], "address": "http://127.0.0.3:9"},
    {"name": "eu-north", "coordinates": [59.3, 18.1], "roles": ["media", "analytics", "web"], "address": NORTH},
    {"name": "us-east", "coordinates": [39.0, -77.5], "zones": ["us"], "address": EAST},
]
VARIABLES = {
    "REGIONS_DECLARED": msgspec.json.encode(DECLARED).decode(),
    "DATABASES_REGION": "eu-central",
    "SERVER_TRUSTED_PROXIES": "127.0.0.1",
    # Nobody answers at the other addresses; it is not found out while these tests run.
    "REGIONS_PROBES_DOWN": "100",
    "REGIONS_PROBES_SECONDS": "30",
}
PLACE = parse_queries(
    """
-- name: zone
-- purpose: Keep a tenant in another zone, as `atomic-guide shards zone` does where that has shards.
INSERT INTO tenant_zones (tenant, zone) VALUES (:tenant, :zone)
-- name: count
-- purpose: Let the processes see it.
UPDATE map_changes SET number = number + 1
-- name: jobs
-- purpose: The states of a course's jobs.
SELECT subject, state FROM jobs WHERE bucket = :bucket AND tenant = :tenant AND course = :course
""",
    "here",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    data = tmp_path_factory.mktemp("regions") / "data"
    with running_server(data, VARIABLES) as started:
        yield started


def _foreign(server: RunningServer) -> httpx.Client:
    """Somebody whose tenant is kept in zone us, which this region may not keep."""
    session = msgspec.structs.replace(server.session("u9"), tenant="t-us")

    async def place() -> None:
        directory = SqliteDatabase(database_files(server.data, DataSettings())[0])

        async def work(tx: Any) -> None:
            await tx.execute(PLACE["zone"], {"tenant": "t-us", "zone": "us"})
            await tx.execute(PLACE["count"], {})

        try:
            await directory.write(work)
        finally:
            await directory.close()

    asyncio.run(place())
    answer = httpx.post(f"{server.url}/api/session", json={"code": server.code(session)})
    token = answer.raise_for_status().json()["token"]
    return httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {token}"})


def _login(server: RunningServer, country: str | None = None, **fields: str) -> httpx.Response:
    """Begin a login as the practice LMS does."""
    opened = httpx.get(
        f"{server.url}/practice/open", params={"course": "waves", "person": "student-4"}, follow_redirects=False
    )
    parts = urlsplit(opened.headers.get("location", ""))
    given = {name: values[0] for name, values in parse_qs(parts.query).items()}
    headers = {b"CF-IPCountry": country.encode()} if country else {}
    return httpx.get(f"{server.url}/lti/init", params={**given, **fields}, headers=headers, follow_redirects=False)


def test_a_login_goes_on_to_the_nearest_region_once(server: RunningServer) -> None:
    sent = _login(server, "SE")
    assert sent.status_code == 307
    assert sent.headers["Atomic-Guide-Region"] == "eu-north"
    assert sent.headers["location"].startswith(f"{NORTH}/lti/init?")
    query = parse_qs(urlsplit(sent.headers["location"]).query)
    assert query["atomic-guide-hop"] == ["eu-central"]
    assert query["login_hint"] == ["waves.student-4."]
    # Whoever was sent here by another region is sent no further.
    stays = _login(server, "SE", **{"atomic-guide-hop": "us-east"})
    assert stays.status_code == 302
    assert "/practice/auth?" in stays.headers["location"]
    # It ends where it began.
    assert parse_qs(urlsplit(stays.headers["location"]).query)["redirect_uri"] == ["http://127.0.0.3:9/lti/launch"]


@pytest.mark.parametrize("country", ["DE", None, "XX", "SE,DE", "\u00df", "US"])
def test_a_login_begins_here_where_this_is_the_nearest_region_of_its_zone(
    server: RunningServer, country: str | None
) -> None:
    # us-east is nearer to America, and may not keep the zone.
    expected = 307 if country == "US" else 302
    sent = _login(server, country)
    assert sent.status_code == expected
    assert EAST not in sent.headers["location"]


def test_a_call_of_another_zone_is_told_where_it_is_answered(server: RunningServer) -> None:
    with _foreign(server) as client:
        for method, path in (("GET", "/api/course"), ("POST", "/api/chat/message"), ("GET", "/api/video")):
            for _ in range(200):
                refused = client.request(method, path, json={"content": "x"} if method == "POST" else None)
                if refused.status_code == 421:
                    break
                # The server looks for changes of zones twice a second.
                time.sleep(0.05)
            error = refused.json()["error"]
            assert (refused.status_code, error["code"]) == (421, "WRONG_REGION")
            assert error["details"] == {"region": "us-east", "address": EAST, "reason": "zone"}


def test_work_that_this_region_does_not_do_is_told_where_it_is_done(server: RunningServer) -> None:
    with server.enter("teacher", "instructor") as client:
        for method, path in (
            ("POST", "/api/video/upload"),
            ("GET", "/api/analytics/performance"),
            ("POST", "/api/analytics/performance"),
        ):
            refused = client.request(method, path)
            assert (refused.status_code, refused.json()["error"]["details"]["region"]) == (421, "eu-north")
            assert refused.json()["error"]["details"]["reason"] == "role"
        answered = client.get("/api/course")
        assert (answered.status_code, answered.headers["Atomic-Guide-Region"]) == (200, "eu-central")


def test_an_upload_stays_where_it_began(server: RunningServer) -> None:
    with server.enter("teacher", "instructor") as client:
        resumable = {"Tus-Resumable": "1.0.0"}
        there = client.head("/api/video/upload/v1", params={"region": "eu-north"}, headers=resumable)
        assert there.status_code == 421
        # A region that is none has begun nothing; this one does no such work.
        nowhere = client.delete("/api/video/upload/v1", params={"region": "atlantis"}, headers=resumable)
        assert nowhere.json()["error"]["details"]["reason"] == "role"


def test_a_socket_opens_where_its_ticket_came_from(server: RunningServer) -> None:
    async def opened(region: str) -> int:
        session = msgspec.structs.replace(server.session("u2"), region=region)
        ticket = await asyncio.to_thread(server.code, session, "ticket")
        try:
            async with connect(f"ws{server.url.removeprefix('http')}/api/chat/ws?ticket={ticket}"):
                return 101
        except InvalidStatus as refused:
            return refused.response.status_code

    assert asyncio.run(opened("eu-north")) == 421
    assert asyncio.run(opened("eu-central")) == 101
    # A ticket from before regions were declared, or from one that is gone.
    assert asyncio.run(opened("")) == 101
    assert asyncio.run(opened("atlantis")) == 101


@pytest.mark.parametrize(
    ("peer", "trusted", "expected"),
    [
        ("192.0.2.1", ("192.0.2.0/24",), "DE"),
        ("198.51.100.1", ("192.0.2.0/24",), None),
        ("2001:db8::1", ("2001:db8::/32",), "DE"),
        ("", ("192.0.2.0/24",), None),
    ],
)
def test_the_country_is_believed_of_trusted_proxies_only(
    peer: str, trusted: tuple[str, ...], expected: str | None
) -> None:
    seen: list[Any] = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append((scope.get(COUNTRY), scope["client"]))

    headers = [(b"cf-ipcountry", b"DE"), (b"x-forwarded-for", b"203.0.113.9")]
    scope: dict[str, Any] = {"type": "http", "scheme": "http", "headers": headers, "client": (peer, 1)}
    asyncio.run(Proxied(app, trusted, "CF-IPCountry")(scope, None, None))  # type: ignore[arg-type]
    country, client = seen[0]
    assert country == expected
    # The client is whom the proxy names, where the proxy is believed.
    assert (client[0] == "203.0.113.9") == (expected is not None)


def _settings(**more: str) -> Any:
    return load_settings({f"ATOMIC_GUIDE_{name}": value for name, value in {**VARIABLES, **more}.items()})


def test_a_process_keeps_only_the_shards_of_its_zones_and_uses_its_own_cache_nodes() -> None:
    servers = [
        {"name": "shard-0", "url": "postgresql://a/0"},
        {"name": "shard-us", "url": "postgresql://a/1", "zone": "us"},
    ]
    cached = [
        {**one, "cacheNodes": [f"nats://{one['name']}-1:4222", f"nats://{one['name']}-2:4222"]} for one in DECLARED
    ]
    declared = {
        "DATABASES_DIRECTORY": "postgresql://a/d",
        "DATABASES_SERVERS": msgspec.json.encode(servers).decode(),
        "REGIONS_DECLARED": msgspec.json.encode(cached).decode(),
    }
    for region, kept in (("eu-central", "shard-0"), ("eu-north", "shard-0"), ("us-east", "shard-us")):
        settings = in_region(_settings(**declared, DATABASES_REGION=region))
        assert [server.name for server in settings.databases.servers] == [kept]
        assert settings.nats.url == f"nats://{region}-1:4222,nats://{region}-2:4222"
    chosen = in_region(_settings(**declared, NATS_URL="nats://elsewhere:4222"))
    assert chosen.nats.url == "nats://elsewhere:4222"


def test_a_server_has_to_say_in_which_region_it_stands() -> None:
    with pytest.raises(ConfigurationError, match="say in which region this process stands: eu-central, eu-north"):
        in_region(_settings(DATABASES_REGION=""))


def test_workers_run_the_jobs_of_their_regions_roles_only(server: RunningServer) -> None:
    """This region is for `web` only: jobs for lectures and scores wait for another region."""

    async def run() -> dict[str, str]:
        shards = await open_embedded(server.data)
        queues = Queues(shards, SystemClock(), QueueSettings())
        key = server.session().key

        async def publish(tx: Transaction) -> None:
            for queue in ("notifications", "video", "analytics"):
                await queues.publish(tx, key, NewJob(queue=queue, kind="unknown-kind", subject=queue))

        try:
            await shards.of(key).write(publish)
            # The one that may be taken fails, as nobody knows its kind. No event tells of it.
            async with asyncio.timeout(20):
                while (found := await _states(shards, key))["notifications"] == "queued":  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            # A worker looks at all of its queues each second.
            await asyncio.sleep(2.5)
            return {**found, **await _states(shards, key)}
        finally:
            await shards.close()

    states = asyncio.run(run())
    assert states["notifications"] != "queued"
    assert (states["video"], states["analytics"]) == ("queued", "queued")
    assert set(QUEUES) < set(QueueSettings().queues)


async def _states(shards: Shards, key: CourseKey) -> dict[str, str]:
    """The states of the jobs by queue; one that has ended is in another table."""
    rows = await shards.of(key).read(PLACE["jobs"], key.columns)
    found = {row["subject"]: str(row["state"]) for row in rows}
    return {queue: found.get(queue, "ended") for queue in ("notifications", "video", "analytics")}
