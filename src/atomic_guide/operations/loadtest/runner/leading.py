"""Several testers that send together: locust's own distribution, with orders and counts sealed.

Each that comes gets its part of the plan, lets its people in and says that it is ready; when all are, locust spawns the
one user of each. Nothing waits for a tester that is lost: what it was to send is missing then, and the test is invalid.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gevent
import msgspec
from gevent.event import Event

from atomic_guide.operations.loadtest.lines import Brief, Line
from atomic_guide.operations.loadtest.runner.client import Broken, Failed
from atomic_guide.operations.loadtest.runner.seal import BadSeal, Seal

if TYPE_CHECKING:
    from atomic_guide.operations.loadtest.plan import Order

_PREPARE_SECONDS = 1800.0
_SILENCE_SECONDS = 6.0
"""A tester that tells nothing for so long is lost; each tells something every second."""


class _Follower:
    """A tester as its leader knows it."""

    def __init__(self, part: int, seal: Seal) -> None:
        self.part = part
        self.seal = seal
        self.ready = False
        self.ended = False
        self.heard_at = time.monotonic()


class Leader:
    """Leads the testers of one test."""

    def __init__(self, environment: Any, order: Order, brief: Brief, tell: Callable[[str, Any], None]) -> None:
        self._order = order
        self._count = brief.testers
        self._secret = brief.secret
        self._patience = brief.patience
        self._tell = tell
        self._followers: dict[str, _Follower] = {}
        self._changed = Event()
        self._stopped = False
        self._failed: Failed | None = None
        self._runner = environment.create_master_runner(brief.host, brief.port)
        self._runner.register_message("hello", self._on_hello)
        self._runner.register_message("told", self._on_told)
        tell("listening", {"port": self._runner.server.port})

    def run(self) -> None:
        """Lead until all have ended. Raises `Failed` where people cannot come in, `Broken` where testers do not."""
        try:
            self._until(lambda: len(self._followers) == self._count, self._patience, "not all testers came in time")
            self._until(
                lambda: all(one.ready for one in self._followers.values()), _PREPARE_SECONDS,
                "not all testers were ready in time",
            )  # fmt: skip
            if not self._stopped:
                self._send_away()
                self._tell("begin", {"at": time.time()})
                gevent.spawn(self._runner.start, self._count, spawn_rate=float(self._count))
                self._watch()
        finally:
            self._runner.quit()

    def stop(self) -> None:
        """End the test early."""
        self._stopped = True
        for client, one in self._followers.items():
            self._runner.send_message("halt", one.seal.close("halt", b""), client_id=client)
        self._changed.set()

    def _send_away(self) -> None:
        """Have locust forget whoever has connected and is none of ours: it would give them a part of the users."""
        for client in list(self._runner.clients):
            if client not in self._followers:
                del self._runner.clients[client]

    def _until(self, reached: Callable[[], bool], seconds: float, otherwise: str) -> None:
        end = time.monotonic() + seconds
        while not reached() and not self._stopped:
            if self._failed is not None:
                raise self._failed
            self._changed.clear()
            if not self._changed.wait(max(0.0, end - time.monotonic())):
                raise Broken(otherwise)

    def _watch(self) -> None:
        for one in self._followers.values():
            one.heard_at = time.monotonic()
        while not all(one.ended for one in self._followers.values()):
            self._changed.clear()
            self._changed.wait(1)
            for one in self._followers.values():
                if not one.ended and time.monotonic() - one.heard_at > _SILENCE_SECONDS:
                    one.ended = True
                    self._tell("lost", {"part": one.part})

    def _on_hello(self, environment: Any, msg: Any) -> None:
        del environment
        nonce, sealed = msg.data
        try:
            known = Seal(self._secret).open("hello", sealed) == nonce
        except BadSeal:
            known = False
        if not known or len(self._followers) >= self._count or msg.node_id in self._followers:
            # An order that no secret opens: whoever asked need not wait.
            self._runner.send_message("order", b"", client_id=msg.node_id)
            return
        part = len(self._followers)
        seal = Seal(self._secret, nonce)
        self._followers[msg.node_id] = _Follower(part, seal)
        order = msgspec.structs.replace(self._order, part=part, parts=self._count)
        self._runner.send_message("order", seal.close("order", msgspec.json.encode(order)), client_id=msg.node_id)
        self._tell("joined", {"part": part, "of": self._count})
        self._changed.set()

    def _on_told(self, environment: Any, msg: Any) -> None:
        del environment
        one = self._followers.get(msg.node_id)
        if one is None:
            return
        try:
            told = msgspec.json.decode(one.seal.open("told", msg.data), type=Line)
        except (BadSeal, msgspec.DecodeError):
            return
        one.heard_at = time.monotonic()
        if told.kind == "ready":
            one.ready = True
        elif told.kind == "end":
            one.ended = True
        elif told.kind == "failed":
            self._failed = Failed(msgspec.json.decode(told.value)["kind"])
        else:
            self._tell(told.kind, told.value)
        self._changed.set()
