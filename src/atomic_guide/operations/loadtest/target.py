"""The target's operator API, as a tester uses it: to be let in, to look on, and to clean up."""

from __future__ import annotations

import ssl
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
import msgspec

from atomic_guide.clock import from_iso
from atomic_guide.errors import Forbidden, GuideError, NotFound, Unauthenticated, Unavailable
from atomic_guide.operations.loadtest.plan import Platform

T = TypeVar("T")

_SECONDS = 10.0
_CLEAN_SECONDS = 600.0
"""Erasing the tenant of a long test takes minutes."""


class Usage(msgspec.Struct, frozen=True):
    """CPU time that one process of the target has used so far, in seconds; `pages` is whether its pages are built."""

    target: bool
    process: str
    cpu_seconds: float
    cpus: int
    pages: bool = True


class _Event(msgspec.Struct):
    """What is looked at of a scaling event."""

    id: str
    at: str
    fleet: str
    state: str
    reason: str
    before: int | None
    after: int | None


class Granted(msgspec.Struct, frozen=True):
    """What was cleaned."""

    run: str
    tenant: str
    erased: dict[str, int]


class _Events(msgspec.Struct):
    events: list[dict[str, Any]]


class _Fleet(msgspec.Struct):
    fleet: str
    ready: int | None


class _Fleets(msgspec.Struct):
    fleets: list[_Fleet]


class Target:
    """A target at `url`, with its operators' token."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url.rstrip("/")
        # No kept connections: behind one address may stand several processes, and each is to be asked now and then.
        self._client = httpx.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=_SECONDS,
            limits=httpx.Limits(max_keepalive_connections=0),
            # What the testers trust: the machine's authorities, or those of SSL_CERT_FILE.
            verify=ssl.create_default_context(),
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def usage(self) -> Usage:
        """Whether it is marked as a target, and what the process that answers has used. Raises `GuideError`."""
        return self._read(await self._call("GET", "/api/ops/loadtest/target"), Usage)

    async def admit(self, keys: dict[str, Any]) -> Platform:
        """Be let in as a platform. Raises `GuideError`, `Forbidden` where it is not marked as a target."""
        return self._read(await self._call("POST", "/api/ops/loadtest/runs", keys), Platform)

    async def clean(self, run: str) -> Granted:
        """Have everything erased that a test left. Raises `GuideError`."""
        found = await self._call("POST", f"/api/ops/loadtest/runs/{run}/clean", seconds=_CLEAN_SECONDS)
        return self._read(found, Granted)

    async def events(self, since: str) -> list[dict[str, Any]]:
        """Scaling events since an ISO 8601 time, the newest first. Raises `GuideError`."""
        found = self._read(await self._call("GET", f"/api/ops/scaling/events?since={since}&limit=1000"), _Events)
        try:
            for event in found.events:
                from_iso(msgspec.convert(event, _Event).at)
        except ValueError as error:
            raise self._strange() from error
        return found.events

    async def ready(self) -> dict[str, int]:
        """How many units of each fleet are ready. Raises `GuideError`."""
        found = self._read(await self._call("GET", "/api/ops/scaling"), _Fleets)
        return {one.fleet: one.ready for one in found.fleets if one.ready is not None}

    def _read(self, answer: Any, kind: type[T]) -> T:
        try:
            return msgspec.convert(answer, kind)
        except msgspec.ValidationError as error:
            raise self._strange() from error

    def _strange(self) -> Unavailable:
        return Unavailable(f"{self.url} does not answer as an Atomic Guide of this version does")

    async def _call(self, method: str, path: str, body: Any = None, seconds: float = _SECONDS) -> Any:
        try:
            answer = await self._client.request(method, path, json=body, timeout=seconds)
        except httpx.ConnectError as error:
            raise Unavailable(_unreached(self.url, error)) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unavailable(f"{self.url} did not answer ({type(error).__name__})") from error
        if answer.is_success:
            try:
                return msgspec.json.decode(answer.content)
            except msgspec.DecodeError as error:
                raise Unavailable(f"{self.url}{path} did not answer with JSON: is it an Atomic Guide?") from error
        raise _refused(self.url, answer)


def _unreached(url: str, error: Exception) -> str:
    if isinstance(error.__cause__, ssl.SSLError) or "CERTIFICATE" in str(error):
        return f"the certificate of {url} is not trusted here"
    return f"nothing answers at {url}: start the target, or give its address with --target"


def _refused(url: str, answer: httpx.Response) -> GuideError:
    try:
        said = str(msgspec.json.decode(answer.content)["error"]["message"])
    except (msgspec.DecodeError, KeyError, TypeError):
        said = f"status {answer.status_code}"
    known = {401: Unauthenticated, 403: Forbidden, 404: NotFound}.get(answer.status_code, Unavailable)
    if known is Unauthenticated:
        said += "; give the target's operator token with --token-file"
    if known is NotFound:
        said += "; is it an Atomic Guide of this version?"
    return known(f"{url}: {said}")
