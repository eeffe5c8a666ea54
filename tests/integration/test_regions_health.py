"""Regions are looked after: probes, drains, the log, one view for all processes; on a real server and its neighbour."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from click.testing import CliRunner

from atomic_guide.cli import program
from atomic_guide.clock import SystemClock
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.engines.rooms.bus import LocalBus
from atomic_guide.errors import DataUnavailable
from atomic_guide.operations.regions.controls import Controls
from atomic_guide.operations.regions.looking import HttpProbe, Look
from atomic_guide.regions.health import Found
from atomic_guide.regions.here import Here
from atomic_guide.regions.settings import ProbeSettings, RegionSettings, RegionsSettings
from tests.engines import installed
from tests.running import RunningServer, running_server

SECONDS = 20.0

BROWSER = httpx.Client(limits=httpx.Limits(max_keepalive_connections=0), timeout=SECONDS)
"""A connection of its own for each request, so that all processes are asked."""


class Neighbour:
    """Another region as its probes see it: what it answers, and how often it was asked."""

    def __init__(self) -> None:
        self.status, self.name, self.delay, self.asked = 200, "eu-north", 0.0, 0
        neighbour = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                neighbour.asked += 1
                time.sleep(neighbour.delay)
                self.send_response(neighbour.status)
                self.send_header("Atomic-Guide-Region", neighbour.name)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def answering(self) -> Iterator[None]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield
        finally:
            self._server.shutdown()
            thread.join(SECONDS)
            self._server.server_close()


@pytest.fixture(scope="module")
def neighbour() -> Iterator[Neighbour]:
    one = Neighbour()
    with one.answering():
        yield one


@pytest.fixture(scope="module")
def variables(neighbour: Neighbour) -> dict[str, str]:
    declared = [
        {"name": "eu-central", "coordinates": [50.1, 8.7], "address": "http://127.0.0.3:9"},
        {"name": "eu-north", "coordinates": [59.3, 18.1], "address": neighbour.address},
    ]
    return {
        "REGIONS_DECLARED": msgspec.json.encode(declared).decode(),
        "REGIONS_PROBES_SECONDS": "0.1",
        "REGIONS_PROBES_TIMEOUT": "0.4",
        "DATABASES_REGION": "eu-central",
        "OPERATOR_TOKEN": "operator-token-of-a-test",
        "SERVER_TRUSTED_PROXIES": "127.0.0.1",
        # Two processes that look.
        "PROCESSES_WEB": "2",
    }


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, variables: dict[str, str]) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("health") / "data", variables) as started:
        yield started


def _wait(until: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if found := until():
            return found
        time.sleep(0.05)
    pytest.fail(f"never: {what}")


async def _comes(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        # No event tells of it.
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def _status(server: RunningServer) -> dict[str, Any]:
    headers = {"Authorization": "Bearer operator-token-of-a-test"}
    answer = BROWSER.get(f"{server.url}/api/ops/regions", headers=headers)
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


def _is(server: RunningServer, *, well: bool) -> Callable[[], bool]:
    """Whether twenty answers in a row, from whichever process, say the same of the neighbour."""
    return lambda: all(_status(server)["regions"][1]["well"] is well for _ in range(20))


def _login(server: RunningServer) -> int:
    parameters = {"iss": "http://localhost/practice", "client_id": "practice", "login_hint": "waves.student-4.",
                  "target_link_uri": f"{server.url}/lti/launch"}  # fmt: skip
    headers = {"CF-IPCountry": "SE"}
    return BROWSER.get(f"{server.url}/lti/init", params=parameters, headers=headers).status_code


def test_a_region_that_fails_is_left_and_one_that_is_back_is_gone_back_to(
    server: RunningServer, neighbour: Neighbour
) -> None:
    _wait(_is(server, well=True), "the neighbour was seen")
    assert _login(server) == 307
    for status, name, delay, said in (
        (503, "eu-north", 0.0, "answers 503"),
        (200, "eu-central", 0.0, "its address leads to eu-central"),
        (200, "eu-north", 1.0, "no answer within 0.4 s"),
    ):
        neighbour.status, neighbour.name, neighbour.delay = status, name, delay
        _wait(_is(server, well=False), f"it is away: {said}")
        assert _status(server)["regions"][1]["why"] == said
        assert _login(server) == 302
        neighbour.status, neighbour.name, neighbour.delay = 200, "eu-north", 0.0
        _wait(_is(server, well=True), "it is back")
        assert _login(server) == 307
    events = _wait(lambda: (found := _status(server)["events"])[5:] and found, "six turns in the log")
    assert [event["what"] for event in reversed(events)] == ["away", "back"] * 3
    assert {event["seen_from"] for event in events} == {"eu-central"}
    metrics = httpx.get(f"{server.url}/metrics").text
    assert 'atomic_guide_region_well{region="eu-north"} 1.0' in metrics
    assert "atomic_guide_region_choices_total" in metrics


def test_processes_share_their_probes(server: RunningServer, neighbour: Neighbour) -> None:
    _wait(_is(server, well=True), "the neighbour was seen")
    before, began = neighbour.asked, time.monotonic()
    time.sleep(2)
    seconds = time.monotonic() - began
    # Two processes and ten probes a second for all of them; each by itself would make twice as many.
    assert (neighbour.asked - before) / seconds < 15


def test_operators_drain_a_region_beside_the_server(
    server: RunningServer, neighbour: Neighbour, variables: dict[str, str]
) -> None:
    # A command looks once, and the machine may be busy.
    patient = {**variables, "REGIONS_PROBES_TIMEOUT": "5"}
    environment = {f"ATOMIC_GUIDE_{name}": value for name, value in patient.items()}

    def run(*arguments: str) -> Any:
        command = ["regions", *arguments, "--data", str(server.data), "--json"]
        answer = CliRunner(env=environment).invoke(program, command)
        if answer.exception:
            raise answer.exception
        return json.loads(answer.stdout)

    listed = {one["name"]: one for one in run("list")["regions"]}
    assert (listed["eu-north"]["well"], listed["eu-north"]["drained"]) == (True, False)
    # Nobody listens at the address of this region in this test.
    assert (listed["eu-central"]["well"], listed["eu-central"]["why"][:17]) == (False, "cannot be reached")
    assert run("drain", "eu-north", "--why", "new machines")["changed"]
    assert not run("drain", "eu-north", "--why", "again")["changed"]
    _wait(lambda: all(_login(server) == 302 for _ in range(20)), "visits are sent there no more")
    shown = run("show", "eu-north")
    assert (shown["drained"], shown["drained_why"], shown["kilometres"]) == (True, "new machines", {"eu-central": 1185})
    # A busy machine may have missed a probe since.
    assert "drained" in [event["what"] for event in shown["events"]]
    assert run("where", "se")["order"][0] == {"region": "eu-north", "km": 396, "names_it": False, "away": True}
    assert run("undrain", "eu-north")["changed"]
    _wait(lambda: _login(server) == 307, "visits are sent there again")
    headers = {"Authorization": "Bearer operator-token-of-a-test"}
    for call, expected in (("drain", True), ("undrain", False)):
        body = {"region": "eu-north", **({"why": "by HTTP"} if call == "drain" else {})}
        answer = httpx.post(f"{server.url}/api/ops/regions/{call}", json=body, headers=headers)
        assert answer.json() == {"region": "eu-north", "drained": expected, "changed": True, "needed": 1}
    unknown = httpx.post(f"{server.url}/api/ops/regions/undrain", json={"region": "atlantis"}, headers=headers)
    assert unknown.json()["error"]["message"] == "no region is called atlantis; there are eu-central, eu-north"
    address = f"{server.url}/api/ops/regions/where?country=FI"
    _wait(lambda: BROWSER.get(address, headers=headers).json()["zones"] == {"default": "eu-north"}, "it is near again")
    assert httpx.get(f"{server.url}/api/ops/regions/where?country=XX", headers=headers).status_code == 400
    assert httpx.get(f"{server.url}/api/ops/regions").status_code == 401


def test_what_happens_while_the_directory_is_away_is_written_later(tmp_path: Path) -> None:
    settings = RegionsSettings(
        (RegionSettings("a", (0.0, 0.0)), RegionSettings("b", (1.0, 1.0))), probes=ProbeSettings(0.05, 0.2, 2, 2)
    )

    async def run() -> None:
        installed(tmp_path / "data")
        shards = await open_embedded(tmp_path / "data")
        here = Here(settings, "a", shards.zone_of)
        controls = Controls(shards.directory, settings)
        well = True

        async def probe(region: RegionSettings) -> Found:
            return Found(region.name, well, 1.0, "" if well else "it was asked to")

        look = Look(here, controls, LocalBus(), probe, SystemClock(), writes=True)
        directory, lost = shards.directory, True
        real = directory.write

        async def write(work: Any) -> Any:
            if lost:
                raise DataUnavailable("away")
            return await real(work)

        directory.write = write  # type: ignore[method-assign]
        task = asyncio.create_task(look.run())
        try:
            for state in (False, True):
                well = state
                await _comes(lambda wanted=state: (here.board.away == frozenset()) is wanted)  # type: ignore[misc]
            assert await controls.events() == []
            lost = False
            await _comes(lambda: not look.unwritten)
            assert [event["what"] for event in await controls.events()] == ["back", "away"]
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await shards.close()

    asyncio.run(run())


def test_a_probe_says_what_it_met() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]

        async def asked(address: str) -> Found:
            probe = HttpProbe(0.3)
            try:
                return await probe(RegionSettings("a", (0.0, 0.0), address=address))
            finally:
                await probe.close()

        assert asyncio.run(asked(f"http://127.0.0.1:{port}")).why == "no answer within 0.3 s"
        assert asyncio.run(asked("http://127.0.0.1:9")).why == "cannot be reached (ConnectError)"
        assert asyncio.run(asked("http://[::")).well is False
