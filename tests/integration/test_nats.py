import asyncio
import json
import os
import signal
import socket
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from nats.aio.client import Client

from atomic_guide.engines.nats.address import address_file
from atomic_guide.engines.nats.connection import Connection, Subscription
from atomic_guide.engines.nats.server import NatsServer
from atomic_guide.engines.nats.settings import NatsSettings
from atomic_guide.errors import Unavailable

SECONDS = 15


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not condition():  # noqa: ASYNC110 - a process has no event for it
            await asyncio.sleep(0.005)


async def test_the_server_listens_on_loopback_behind_a_token_that_no_command_line_shows(tmp_path: Path) -> None:
    server = NatsServer(tmp_path, NatsSettings())
    await server.start()
    try:
        address = json.loads(address_file(tmp_path).read_bytes())
        assert address["url"].startswith("nats://127.0.0.1:")
        for name in ("address.json", "server.json"):
            assert stat.S_IMODE((tmp_path / "nats" / name).stat().st_mode) == 0o600
        command = await asyncio.to_thread(Path(f"/proc/{server.pid}/cmdline").read_text)
        assert "nats-server" in command
        assert address["token"] not in command
        wrong = Connection(tmp_path, NatsSettings(url=address["url"], token="wrong token"))
        await wrong.open(wait=0.3)
        assert not wrong.connected
        await wrong.close()
        right = Connection(tmp_path, NatsSettings(url=address["url"], token=address["token"]))
        await right.open()
        assert right.connected
        assert right.client is not None
        assert (await right.client.jetstream().account_info()).limits.max_memory != 0
        await right.close()
    finally:
        await server.stop()


async def test_a_killed_server_comes_back_and_subscriptions_with_it(tmp_path: Path) -> None:
    server = NatsServer(tmp_path, NatsSettings())
    await server.start()
    keeping = asyncio.create_task(server.keep())
    connection = Connection(tmp_path, NatsSettings())
    await connection.open()
    heard: list[bytes] = []
    changes: list[bool] = []
    connection.watch(changes.append)
    await connection.subscribe("a.b", heard.append)
    for turn in (1, 2):
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        await until(lambda turn=turn: changes == [False, True] * turn)  # type: ignore[misc]
        assert connection.publish("a.b", b"%d" % turn)
        await until(lambda turn=turn: len(heard) == turn)  # type: ignore[misc]
    assert server.starts == 3
    await connection.close()
    await server.stop()
    await asyncio.wait_for(keeping, SECONDS)
    assert server.pid is None


async def test_what_is_subscribed_to_while_connecting_is_heard(tmp_path: Path) -> None:
    heard: list[bytes] = []

    class Busy(Connection):
        async def _subscribe(self, client: Client, subscription: Subscription) -> None:
            await super()._subscribe(client, subscription)
            if subscription.subject == "early":
                await self.subscribe("late", heard.append)

    server = NatsServer(tmp_path, NatsSettings())
    await server.start()
    connection = Busy(tmp_path, NatsSettings())
    await connection.subscribe("early", heard.append)
    await connection.open()
    connection.publish("late", b"x")
    await until(lambda: heard == [b"x"])
    await connection.close()
    await server.stop()


async def test_when_its_port_is_taken_it_comes_back_on_another(tmp_path: Path) -> None:
    server = NatsServer(tmp_path, NatsSettings())
    await server.start()
    connection = Connection(tmp_path, NatsSettings())
    await connection.open()
    port = int(json.loads(address_file(tmp_path).read_bytes())["url"].rpartition(":")[2])
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    await until(lambda: server.pid is None)
    with socket.create_server(("127.0.0.1", port)):
        keeping = asyncio.create_task(server.keep())
        await until(lambda: server.pid is not None and connection.connected)
    await connection.close()
    await server.stop()
    await asyncio.wait_for(keeping, SECONDS)


async def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"no nats-server at .*nats\.binary"):
        await NatsServer(tmp_path, NatsSettings(binary=str(tmp_path / "missing"))).start()
    store = tmp_path / "nats" / "store"
    store.parent.mkdir(exist_ok=True)
    store.write_text("in the way")
    with pytest.raises(Unavailable, match="nats-server ended with"):
        await NatsServer(tmp_path, NatsSettings()).start()


async def test_the_server_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    program = f"""
import asyncio, os, signal
from pathlib import Path
from atomic_guide.engines.nats.server import NatsServer
from atomic_guide.engines.nats.settings import NatsSettings
async def main():
    server = NatsServer(Path({str(tmp_path)!r}), NatsSettings())
    await server.start()
    print(server.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    out, _ = await asyncio.wait_for(process.communicate(), SECONDS)
    pid = int(out)

    def gone() -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in {"Z", "X"}
        except FileNotFoundError:
            return True

    await until(gone)


async def test_a_connection_without_a_server_waits_quietly(tmp_path: Path) -> None:
    connection = Connection(tmp_path, NatsSettings())
    await connection.open(wait=0.1)
    assert not connection.connected
    assert connection.publish("a", b"") is False
    assert connection.dropped == 1
    server = NatsServer(tmp_path, NatsSettings())
    await server.start()
    await until(lambda: connection.connected)
    await connection.close()
    await server.stop()
