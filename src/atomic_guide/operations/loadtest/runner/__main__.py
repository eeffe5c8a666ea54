"""A tester's process: alone, the leader of several, or one of those (`lines.Brief` says which).

It stands on locust: its runners, its users, its messages between machines. What locust's users are not is open: each
waits for an answer before it goes on. So there is one user in each process, and that one begins arrivals when they are
due and waits for none of them. locust's own counts stay empty, since they begin when a request is sent.
"""

from __future__ import annotations

import locust  # isort: skip - first of all, since it has gevent patch the standard library

import contextlib
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

import gevent
import msgspec
from gevent.event import AsyncResult
from gevent.fileobject import FileObjectPosix
from locust.env import Environment
from locust.exception import StopUser

from atomic_guide.operations.loadtest.lines import Brief, line
from atomic_guide.operations.loadtest.plan import Order
from atomic_guide.operations.loadtest.runner.client import Broken, Failed
from atomic_guide.operations.loadtest.runner.leading import Leader
from atomic_guide.operations.loadtest.runner.seal import BadSeal, Seal
from atomic_guide.operations.loadtest.runner.sending import Tester

_ORDER_SECONDS = 120.0
"""How long a follower waits for its order: until the last of the others has come."""

_LEAVE_SECONDS = 1.0

_PRIORITY = -10
"""How a tester goes before others on its machine, where it may: what it does late is wrong in every figure."""


def _carry_out(user: Arrivals) -> None:
    try:
        user.tester.run()
    finally:
        user.ended.set(None)
    raise StopUser


class Arrivals(locust.User):  # type: ignore[misc]  # locust is an extra, of which mypy knows nothing
    """The one user of a tester's process."""

    tasks: ClassVar = [_carry_out]
    tester: ClassVar[Tester]
    ended: ClassVar[AsyncResult] = AsyncResult()


def tell(kind: str, value: Any = None) -> None:
    """Write a line for whoever started this process."""
    sys.stdout.buffer.write(line(kind, value))
    sys.stdout.buffer.flush()


def _told_to_stop(commands: Any, stop: Any) -> None:
    """Stop at the word, or at the end of the input: whoever started this is gone then."""
    for said in commands:
        if said.strip() == b"stop":
            stop()
    stop()


def alone(brief: Brief, commands: Any) -> None:
    """Send everything from this process."""
    tester = Arrivals.tester = Tester(_given(brief), tell)
    gevent.spawn(_told_to_stop, commands, tester.stop)
    tester.prepare()
    runner = Environment(user_classes=[Arrivals]).create_local_runner()
    tell("begin", {"at": time.time()})
    runner.start(1, spawn_rate=1)
    Arrivals.ended.get()
    runner.quit()
    tell("end")


def lead(brief: Brief, commands: Any) -> None:
    """Have several testers send together."""
    leader = Leader(Environment(user_classes=[Arrivals]), _given(brief), brief, tell)
    gevent.spawn(_told_to_stop, commands, leader.stop)
    leader.run()
    tell("end")


def follow(brief: Brief, commands: Any) -> None:
    """Send what a leader says."""
    environment = Environment(user_classes=[Arrivals])
    runner = environment.create_worker_runner(brief.host, brief.port)
    nonce = os.urandom(16)
    seal = Seal(brief.secret, nonce)
    order: AsyncResult = AsyncResult()
    runner.register_message("order", lambda environment, msg: order.set(msg.data))  # noqa: ARG005 - locust's names
    runner.register_message("halt", lambda environment, msg: _halt(seal, msg.data))  # noqa: ARG005

    def told(kind: str, value: Any = None) -> None:
        runner.send_message("told", seal.close("told", line(kind, value)))

    # The leader knows the nonce by it, and by the seal that whoever sends it knows the secret.
    runner.send_message("hello", [nonce, Seal(brief.secret).close("hello", nonce)])
    try:
        given = msgspec.json.decode(seal.open("order", order.get(timeout=_ORDER_SECONDS)), type=Order)
    except (BadSeal, gevent.Timeout) as error:
        raise Broken("no order came from the leader: it has all its testers, or another secret") from error
    tester = Arrivals.tester = Tester(given, told)
    gevent.spawn(_told_to_stop, commands, tester.stop)
    tell("joined", {"part": given.part, "of": given.parts})
    try:
        tester.prepare()
    except Failed as error:
        told("failed", {"kind": error.kind})
        gevent.sleep(_LEAVE_SECONDS)
        raise
    told("ready")
    # The leader's runner spawns the user.
    Arrivals.ended.get()
    told("end")
    gevent.sleep(_LEAVE_SECONDS)
    tell("end")


def _halt(seal: Seal, sealed: bytes) -> None:
    try:
        seal.open("halt", sealed)
    except BadSeal:
        return
    Arrivals.tester.stop()


def _given(brief: Brief) -> Order:
    if brief.order is None:
        raise Broken("no order was given")
    return brief.order


_ROLES = {"alone": alone, "lead": lead, "follow": follow}


def _go_first() -> None:
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _PRIORITY)
    # Where Linux groups processes by session, priorities count within a group only, and groups have their own.
    with contextlib.suppress(OSError), Path("/proc/self/autogroup").open("w", encoding="ascii") as group:
        group.write(str(_PRIORITY))


def main() -> int:
    """Be what the first line of the standard input says."""
    _go_first()
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    commands = FileObjectPosix(sys.stdin.fileno(), "rb")
    brief = msgspec.json.decode(commands.readline(), type=Brief)
    try:
        _ROLES[brief.role](brief, commands)
    except Failed as error:
        tell("failed", {"why": f"people cannot come in at the target: {error.kind}"})
        return 1
    except Broken as error:
        tell("failed", {"why": str(error)})
        return 1
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    # Threads and greenlets of the libraries have nothing more to do, and would keep the process.
    os._exit(status)
