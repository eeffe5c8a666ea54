"""A program beside a server process: its child, ended with it in whatever way that ends, started again when it dies."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import structlog

from atomic_guide.errors import Unavailable

_log = structlog.get_logger(__name__)

_LEASH = Path(__file__).with_name("leash.py")
_STABLE_SECONDS = 30.0
"""A program that ran so long is started again at once when it ends."""

_LONGEST_PAUSE = 10.0
"""Seconds between starts of one that does not stay up."""


class Child:
    """One program by its `name`; what it prints goes to the end of the file `output`.

    It is in a process group of its own, so that a Ctrl-C at the terminal leaves it to us, and the kernel ends it when
    this process dies.
    """

    def __init__(self, name: str, output: Path, account: tuple[int, int] | None = None) -> None:
        """`account` are the numbers of user and group to run it as, where this process is root's."""
        self._name = name
        self._account = account
        self._output = output
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False
        self.starts = 0

    @property
    def pid(self) -> int | None:
        """The running program's process id."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def spawn(
        self, program: Path, arguments: list[str], environment: Mapping[str, str] | None = None
    ) -> asyncio.subprocess.Process:
        """Start the program; `environment` is the whole of it, none: this process's."""
        leash = ":".join(str(number) for number in (os.getpid(), *(self._account or ())))
        with self._output.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(_LEASH), leash),
                *(str(program), *arguments),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env=environment,
            )
        self.starts += 1
        return self._process

    async def keep(self, start: Callable[[], Awaitable[None]]) -> None:
        """Have `start` start the program whenever it has died, until `stop`; for a root task."""
        pause = 0.1
        while not self._stopping:
            started = time.monotonic()
            if self._process is not None:
                code = await self._process.wait()
                if self._stopping:
                    return
                _log.warning("a program of the server ended", program=self._name, code=code)
            # One that ran for a while starts again at once; one that cannot run is asked less and less often.
            pause = 0.1 if time.monotonic() - started > _STABLE_SECONDS else min(pause * 2, _LONGEST_PAUSE)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            try:
                await start()
            except (Unavailable, OSError) as error:
                _log.warning("a program of the server does not start", program=self._name, error=str(error))

    async def give_up(self, reason: str) -> Unavailable:
        """End a program that does not start as it should; the error to raise."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        return Unavailable(f"{self._name} {reason}: {self.last_words()}")

    async def stop(self, limit: float = 5.0, how: signal.Signals = signal.SIGTERM) -> None:
        """End the program for good: asked first, by the signal `how`, and killed after `limit` seconds."""
        self._stopping = True
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(how)
        try:
            async with asyncio.timeout(limit):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    def interrupt(self) -> None:
        """Ask the program to come to an end, as a Ctrl-C does; it is not started again by this."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGINT)

    def last_words(self) -> str:
        """The last line that it printed."""
        try:
            lines = self._output.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return "no log"
        return lines[-1][:300] if lines else "nothing in its log"
