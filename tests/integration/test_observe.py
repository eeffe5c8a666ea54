"""What surrounds every request, and what the server says of its health."""

import asyncio
import json
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from atomic_guide.errors import Unavailable
from atomic_guide.web.health import Check
from atomic_guide.web.observe import Observe, WebMetrics
from atomic_guide.web.problems import on_unexpected
from tests.reporting import OPERATOR, URL, Reporting, reporting

SECURE = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Reporting]:
    async with reporting(tmp_path) as found:
        yield found


@pytest.mark.parametrize("path", ["/healthz", "/nowhere", URL, "/metrics"])
async def test_every_answer_is_closed_and_has_an_id(site: Reporting, path: str) -> None:
    answer = await site.anybody().get(path)
    assert answer.headers.items() >= SECURE.items()
    assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert len(answer.headers["x-request-id"]) == 16


@pytest.mark.parametrize(("sent", "kept"), [("trace-0123456789", True), ("short", False), ("a b c d e f g", False)])
async def test_a_harmless_request_id_is_kept(site: Reporting, sent: str, *, kept: bool) -> None:
    answer = await site.anybody({"X-Request-Id": sent}).get("/healthz")
    assert (answer.headers["x-request-id"] == sent) == kept


def watched(registry: CollectorRegistry) -> httpx.AsyncClient:
    async def fail(_request: Request) -> Response:
        message = "a secret in a message"
        raise RuntimeError(message)

    async def fail_late(_request: Request) -> Response:
        async def body() -> AsyncIterator[bytes]:
            yield b"half"
            message = "broken off"
            raise RuntimeError(message)

        return StreamingResponse(body())

    async def page(_request: Request) -> Response:
        return HTMLResponse("<p>", headers={"Content-Security-Policy": "default-src 'self'"})

    app = Starlette(
        routes=[Route("/fail", fail), Route("/late", fail_late), Route("/page/{name}", page)],
        exception_handlers={Exception: on_unexpected},
    )
    transport = httpx.ASGITransport(Observe(app, app.routes, WebMetrics(registry)))
    return httpx.AsyncClient(transport=transport, base_url="https://guide.test")


async def test_a_defect_is_answered_without_its_insides_and_counted() -> None:
    registry = CollectorRegistry()
    answer = await watched(registry).get("/fail")
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "INTERNAL_ERROR"
    assert "secret" not in answer.text
    assert answer.headers.items() >= SECURE.items()
    assert registry.get_sample_value("atomic_guide_http_unexpected_errors_total") == 1


async def test_an_answer_cut_short_is_the_servers_to_end() -> None:
    registry = CollectorRegistry()
    with pytest.raises(RuntimeError, match="broken off"):
        await watched(registry).get("/late")
    assert registry.get_sample_value("atomic_guide_http_requests_in_flight") == 0


async def test_a_page_keeps_its_own_policy() -> None:
    answer = await watched(CollectorRegistry()).get("/page/x")
    assert answer.headers["content-security-policy"] == "default-src 'self'"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"


async def test_requests_are_counted_by_route_and_not_by_path(site: Reporting) -> None:
    anybody = site.anybody()
    for path in ("/healthz", "/nowhere/a", "/nowhere/b", URL):
        await anybody.get(path)
    await anybody.request("BREW", "/healthz")
    name = "atomic_guide_http_request_duration_seconds_count"
    counted = {
        (sample.labels["method"], sample.labels["route"], sample.labels["status"]): sample.value
        for family in text_string_to_metric_families((await site.anybody(address="127.0.0.1").get("/metrics")).text)
        for sample in family.samples
        if sample.name == name
    }
    assert counted == {
        ("GET", "/healthz", "2xx"): 1,
        ("GET", "unknown", "4xx"): 2,
        ("GET", URL, "4xx"): 1,
        ("other", "/healthz", "4xx"): 1,
    }


async def test_work_and_bytes_are_counted_by_tenant_and_feature(site: Reporting) -> None:
    token = await site.token("ada", "instructor", tenant="t7")
    answer = await site.anybody().get(URL, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    await site.anybody().get(URL)
    await site.anybody().get("/healthz")
    metrics = site.metrics
    assert metrics.tenant_sent.sums() == {"t7": len(answer.content)}
    assert list(metrics.tenant_work.sums()) == ["t7"]
    # What nobody's session asked for is the feature's only, and probes are nobody's at all.
    assert set(metrics.sent) == {"analytics"}
    assert metrics.sent["analytics"] > len(answer.content)


@pytest.mark.parametrize(
    ("address", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("203.0.113.7", {}, 401),
        ("127.0.0.1", {"X-Forwarded-For": "203.0.113.7"}, 401),
        ("203.0.113.7", {"Authorization": "Bearer wrong"}, 401),
        ("203.0.113.7", {"Authorization": f"Bearer {OPERATOR}"}, 200),
    ],
)
async def test_metrics_are_for_this_computer_and_operators(
    site: Reporting, address: str, headers: dict[str, str], status: int
) -> None:
    assert (await site.anybody(headers, address).get("/metrics")).status_code == status


def test_a_log_line_says_what_and_never_who(tmp_path: Path) -> None:
    program = """
import asyncio, sys
from pathlib import Path
from atomic_guide.app.logs import set_up_logs
from atomic_guide.config import LogSettings
from tests.reporting import URL, reporting
set_up_logs(LogSettings())
import logging
logging.getLogger("some.library").warning("odd %s", "thing")
async def main():
    async with reporting(Path(sys.argv[1])) as site:
        client = await site.client("secret-user", "instructor")
        await client.post(URL + "?token=secret-query", json={"scores": []}, headers={"X-Request-Id": "request-0001"})
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["event"] for line in lines] == ["odd thing", "request"]
    assert lines[1].items() >= {
        "method": "POST", "route": URL, "status": 200, "request_id": "request-0001", "level": "info",
    }.items()  # fmt: skip
    assert set(lines[1]) == {"event", "method", "route", "status", "ms", "request_id", "level", "timestamp"}
    assert "secret" not in done.stderr


async def test_alive_whatever_is_away(site: Reporting) -> None:
    await site.shards.close()
    assert (await site.anybody().get("/healthz")).json() == {"status": "alive"}
    answer = await site.anybody().get("/readyz")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["status"] == "unready"
    assert answer.json()["checks"]["shard-0"]["status"] == "failed"
    assert answer.json()["error"]["code"] == "UNAVAILABLE"


async def test_ready_by_dependency(site: Reporting) -> None:
    answer = await site.anybody().get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ready"
    assert set(answer.json()["checks"]) == {"directory", "shard-0", "shard-1"}


async def test_degraded_where_something_is_away_that_is_not_needed(site: Reporting) -> None:
    async def away() -> None:
        message = "no connection to NATS"
        raise Unavailable(message)

    async def hang() -> None:
        await asyncio.Event().wait()

    async def leak() -> None:
        message = "nats://user:password@host"
        raise OSError(message)

    site.health.checks |= {
        name: Check(probe, needed=False) for name, probe in (("nats", away), ("b", hang), ("c", leak))
    }
    answer = await site.anybody().get("/readyz")
    assert answer.status_code == 200
    found = answer.json()
    assert found["status"] == "degraded"
    assert found["checks"]["nats"]["reason"] == "no connection to NATS"
    assert found["checks"]["b"]["reason"] == "no answer within 1 s"
    assert found["checks"]["c"]["reason"] == "OSError"


async def test_readiness_is_asked_of_the_engines_twice_a_second_at_most(site: Reporting) -> None:
    asked = 0

    async def count() -> None:
        nonlocal asked
        asked += 1

    site.health.checks["store"] = Check(count)
    await asyncio.gather(*(site.anybody().get("/readyz") for _ in range(20)))
    assert asked == 1
    site.clock.advance(1)
    await site.anybody().get("/readyz")
    assert asked == 2


async def test_a_damaged_database_is_not_ready(tmp_path: Path) -> None:
    async with reporting(tmp_path) as site:
        with sqlite3.connect(tmp_path / "databases" / "shard-1.sqlite") as connection:
            connection.execute("DROP TABLE alembic_version")
        connection.close()
        assert (await site.anybody().get("/readyz")).status_code == 503
