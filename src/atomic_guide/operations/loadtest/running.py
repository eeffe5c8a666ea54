"""Carrying a plan out: the target is asked, testers are started, what they tell is summed up."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import secrets
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from joserfc.jwk import RSAKey

from atomic_guide.errors import Forbidden, Invalid, Unavailable
from atomic_guide.operations.loadtest.counts import Second, Totals
from atomic_guide.operations.loadtest.lines import LOCAL_HOST, Brief, Line
from atomic_guide.operations.loadtest.plan import Order, Plan, Platform
from atomic_guide.operations.loadtest.target import Target

RUNNER = "atomic_guide.operations.loadtest.runner"

_LINE_LIMIT = 8 * 1024 * 1024
_STOP_SECONDS = 20.0
"""How long a tester may take to end after it was told to; then it is killed."""

_LOCAL_SECONDS, _REMOTE_SECONDS = 60.0, 600.0
"""How long testers may take to come: somebody may have to start those on other machines."""

_SAID_LIMIT = 4000
_ANYWHERE = {"0.0.0.0", "*", "::"}  # noqa: S104 - not listened on here


class Testers(msgspec.Struct, frozen=True, kw_only=True):
    """Which processes send. Without `local` and `remote` one process does; else a leader and so many testers.

    `secret` seals what they say; testers on other machines are started there with the same one.
    """

    local: int = 0
    remote: int = 0
    host: str = LOCAL_HOST
    port: int = 0
    secret: str = ""


class Heard(msgspec.Struct):
    """What testers told."""

    totals: Totals = msgspec.field(default_factory=Totals)
    began_at: float = 0.0
    lost: list[int] = []
    faults: list[str] = []
    stopped: bool = False


Listen = Callable[[str, Any], None]
"""Called with the kind and the value of each line, once it is counted."""


def check_installed() -> None:
    """Raise `Invalid` naming the extra where what sends is not installed."""
    missing = [name for name in ("gevent", "locust") if importlib.util.find_spec(name) is None]
    if missing:
        raise Invalid(
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed: load tests need the extra"
            " `loadtest`, as in pip install 'atomic-guide[loadtest]'"
        )


class Keys:
    """The key that a test's launches are signed with; it lives as long as the test."""

    def __init__(self) -> None:
        self._key = RSAKey.generate_key(2048)
        self.kid = self._key.thumbprint()[:16]

    @property
    def private(self) -> str:
        """As PEM."""
        return self._key.as_pem(private=True).decode()

    @property
    def public(self) -> dict[str, Any]:
        """As a JSON Web Key Set."""
        return {"keys": [{**self._key.as_dict(private=False), "kid": self.kid, "alg": "RS256", "use": "sig"}]}


async def admitted(target: Target) -> tuple[Platform, Keys]:
    """Be let in by a target with a key of one's own.

    Raises `Forbidden` where it is not marked as a target, `Unavailable` where nobody could come in.
    """
    usage = await target.usage()
    if not usage.target:
        raise Forbidden(
            f"{target.url} is not marked as a test target, and is not loaded. If nobody learns there, set"
            " loadtest.target = true on it (ATOMIC_GUIDE_LOADTEST_TARGET=true) and start it again"
        )
    if not usage.pages:
        # Each launch ends with a page: everybody would be told to come again in half a minute, eight times.
        raise Unavailable(
            f"the pages of {target.url} are not built, so that nobody can come in; build them there"
            " (`npm ci && npx vite build` in frontend/, or `python3 dev.py run`), and run the test again"
        )
    keys = await asyncio.to_thread(Keys)
    return await target.admit(keys.public), keys


async def carry_out(
    plan: Plan, platform: Platform, keys: Keys, testers: Testers, listen: Listen, stop: asyncio.Event
) -> Heard:
    """Send what a plan says, until its end or until `stop`. Raises `GuideError` where it cannot be begun."""
    order = Order(plan=plan, platform=platform, key=keys.private, kid=keys.kid)
    heard = Heard()
    if not testers.local and not testers.remote:
        async with _started(Brief(role="alone", order=order)) as process:
            await _listened(process, heard, listen, stop)
        return heard
    secret = testers.secret or secrets.token_urlsafe(32)
    count = testers.local + testers.remote
    patience = _REMOTE_SECONDS if testers.remote else _LOCAL_SECONDS
    brief = Brief(
        role="lead", order=order, secret=secret, testers=count, host=testers.host, port=testers.port, patience=patience
    )
    async with contextlib.AsyncExitStack() as stack:
        leader = await stack.enter_async_context(_started(brief))

        async def follow(port: int) -> None:
            host = LOCAL_HOST if testers.host in _ANYWHERE else testers.host
            for _ in range(testers.local):
                given = Brief(role="follow", secret=secret, host=host, port=port)
                process = await stack.enter_async_context(_started(given))
                await stack.enter_async_context(_drained(process, listen))

        await _listened(leader, heard, listen, stop, follow)
    return heard


async def follow(host: str, port: int, secret: str, listen: Listen, stop: asyncio.Event) -> None:
    """Be one of the testers of a leader elsewhere. Raises `GuideError`."""
    async with _started(Brief(role="follow", secret=secret, host=host, port=port)) as process:
        await _listened(process, Heard(), listen, stop)


@asynccontextmanager
async def _started(brief: Brief) -> AsyncIterator[asyncio.subprocess.Process]:
    check_installed()
    # A session of its own: Ctrl-C in a terminal is for the command, which ends its testers in order.
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", RUNNER,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        limit=_LINE_LIMIT, start_new_session=True, env=_environment(),
    )  # fmt: skip
    try:
        await _say(process, msgspec.json.encode(brief) + b"\n")
        yield process
    finally:
        if process.returncode is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()


def _environment() -> dict[str, str]:
    """The tester's environment: without our own settings, since secrets may be among them."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ATOMIC_GUIDE_")}
    return {**kept, "LOCUST_SKIP_URLLIB3_PATCH": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


async def _say(process: asyncio.subprocess.Process, text: bytes) -> None:
    if process.stdin is not None:
        with contextlib.suppress(ConnectionError):
            process.stdin.write(text)
            await process.stdin.drain()


@asynccontextmanager
async def _drained(process: asyncio.subprocess.Process, listen: Listen) -> AsyncIterator[None]:
    """Read what a tester writes that tells its leader everything; tell where it ends with an error."""

    async def drain() -> None:
        said = asyncio.create_task(_read_all(process.stderr))
        try:
            last = b""
            while process.stdout is not None and (text := await process.stdout.readline()):
                last = text
            if await process.wait():
                listen("fault", f"a tester ended by itself: {await said or last.decode(errors='replace').strip()}")
        finally:
            said.cancel()

    task = asyncio.create_task(drain())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _listened(
    process: asyncio.subprocess.Process, heard: Heard, listen: Listen, stop: asyncio.Event,
    listening: Callable[[int], Any] | None = None,
) -> None:  # fmt: skip
    """Read a tester's lines to the end. Raises `Unavailable` where it failed."""
    stopping = asyncio.create_task(_stopped(process, heard, stop))
    said = asyncio.create_task(_read_all(process.stderr))
    ended = False
    try:
        assert process.stdout is not None  # noqa: S101 - it was asked for
        while text := await process.stdout.readline():
            line = msgspec.json.decode(text, type=Line)
            value = _value(line)
            if line.kind == "failed":
                raise Unavailable(f"the test cannot be carried out: {value['why']}")
            if line.kind == "listening" and listening is not None:
                await listening(value["port"])
            _count(heard, line.kind, value)
            listen(line.kind, value)
            ended = ended or line.kind == "end"
        if not ended and not heard.stopped:
            raise Unavailable(f"a tester's process ended by itself: {(await said)[-_SAID_LIMIT:] or 'it said nothing'}")
    finally:
        stopping.cancel()
        said.cancel()


def _value(line: Line) -> Any:
    return msgspec.json.decode(line.value, type=Second if line.kind == "second" else Any)


def _count(heard: Heard, kind: str, value: Any) -> None:
    if kind == "second":
        heard.totals.add(value)
    elif kind == "begin":
        heard.began_at = value["at"]
    elif kind == "lost":
        heard.lost.append(value["part"])
    elif kind == "fault" and len(heard.faults) < 100:  # noqa: PLR2004 - the first ones tell
        heard.faults.append(value)


async def _stopped(process: asyncio.subprocess.Process, heard: Heard, stop: asyncio.Event) -> None:
    await stop.wait()
    heard.stopped = True
    await _say(process, b"stop\n")
    await asyncio.sleep(_STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        process.kill()


async def _read_all(stream: asyncio.StreamReader | None) -> str:
    text = ""
    while stream is not None and (piece := await stream.read(4096)):
        text = (text + piece.decode(errors="replace"))[-_SAID_LIMIT:]
    return " ".join(text.split())


def read_secret(path: Path) -> str:
    """The secret in a file. Raises `Invalid` where there is none worth the name."""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(text) < 16:  # noqa: PLR2004 - as the operators' token
        raise Invalid(f"{path} holds {len(text)} characters; a secret has 16 or more")
    return text
