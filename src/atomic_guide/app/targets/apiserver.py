"""The API server of Kubernetes: a few calls over HTTPS as a service account, bounded in time and size.

Only what targets need: get an object, list a kind, patch an object's scale. Each call is tried once; `patiently` tries
again what may succeed later. An error says which right is missing, because that is what is wrong most often.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import httpx
import msgspec

from atomic_guide.errors import ConfigurationError, Conflict, Invalid, Unavailable
from atomic_guide.operations.scaling.kubernetes import KubernetesSettings
from atomic_guide.resilience import retrying

T = TypeVar("T")

ANSWER_LIMIT = 8 * 1024 * 1024
"""Bytes of an answer: a page of 500 ScaledObjects of 4 KiB is 2 MiB."""

_PAGE = 500
_PAGES = 20
"""Objects of a page, as kubectl asks for; pages read of one kind in a namespace."""

_SAID = 300
"""Characters of the API server's own words that an error repeats."""

_MANAGER = "atomic-guide"
"""Who changed a field, as `kubectl get --show-managed-fields` tells."""


class Kind(NamedTuple):
    """A kind of objects: its API group, version, name in addresses, and name for people."""

    group: str
    version: str
    plural: str
    name: str


DEPLOYMENT = Kind("apps", "v1", "deployments", "Deployment")
AUTOSCALER = Kind("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
SCALED_OBJECT = Kind("keda.sh", "v1alpha1", "scaledobjects", "ScaledObject")
CLUSTER = Kind("postgresql.cnpg.io", "v1", "clusters", "Cluster")


class ApiUnavailable(Unavailable):
    """The API server did not do what was asked; the message says why. `again`: the same may succeed later."""

    code = "KUBERNETES_UNAVAILABLE"

    def __init__(self, message: str, *, again: bool, retry_after: float | None = None) -> None:
        super().__init__(message, retry_after=retry_after)
        self.again = again


class NotAllowed(ApiUnavailable):
    """The service account lacks a right, or its token is not taken."""


class Missing(ApiUnavailable):
    """There is no such object, or no such kind."""


class Clash(Conflict):
    """The object has changed since it was read."""


class _Status(msgspec.Struct, frozen=True):
    """What the API server says of a failure."""

    reason: str = ""
    message: str = ""


class _Continue(msgspec.Struct, frozen=True, rename={"onward": "continue"}):
    onward: str = ""


class _Page(msgspec.Struct, frozen=True):
    items: list[msgspec.Raw] = []
    metadata: _Continue = _Continue()


class _Call(NamedTuple):
    """What is asked: a verb as RBAC calls it, of a kind, on an object (none for a list) or its scale."""

    verb: str
    kind: Kind
    name: str = ""
    part: str = ""

    @property
    def right(self) -> str:
        resource = f"{self.kind.plural}/{self.part}" if self.part else self.kind.plural
        named = f" on {self.name}" if self.name else ""
        return f"{self.verb} {resource}.{self.kind.group}{named}"


async def patiently(call: Callable[[], Awaitable[T]], seconds: float) -> T:
    """A call's answer, tried again for `seconds` while it may succeed later. The last error is raised."""
    again = until(time.monotonic() + seconds)
    async for attempt in retrying(again, seconds=seconds):
        with attempt:
            return await call()
    raise AssertionError("the last attempt raises")  # pragma: no cover - says so to the type checker


def until(deadline: float) -> Callable[[Exception], bool | float]:
    """Whether, or in how many seconds, to try again before a deadline of `time.monotonic`."""

    def again(error: Exception) -> bool | float:
        if isinstance(error, Clash):
            return True
        if not isinstance(error, ApiUnavailable) or not error.again:
            return False
        if error.retry_after is None:
            return True
        # A wish to be left alone for longer than there is time is granted by giving up.
        return error.retry_after if time.monotonic() + error.retry_after < deadline else False

    return again


class ApiServer:
    """Calls as the service account of the settings, in one namespace."""

    def __init__(self, settings: KubernetesSettings) -> None:
        self._settings = settings
        self.namespace = settings.namespace or _namespace(Path(settings.token_file).with_name("namespace"))
        self._trust: tuple[int, int] | None = None
        self._client: httpx.AsyncClient | None = None

    async def get(self, kind: Kind, name: str) -> bytes:
        """An object as JSON. Raises `ApiUnavailable`."""
        return await self._send(_Call("get", kind, name), {})

    async def all_of(self, kind: Kind) -> list[msgspec.Raw]:
        """Every object of a kind; empty where the cluster does not know the kind. Raises `ApiUnavailable`."""
        found: list[msgspec.Raw] = []
        onward = ""
        for _ in range(_PAGES):
            query = {"limit": str(_PAGE), **({"continue": onward} if onward else {})}
            try:
                page = decoded(await self._send(_Call("list", kind), query), _Page, kind.plural)
            except Missing:
                return []
            found += page.items
            onward = page.metadata.onward
            if not onward:
                return found
        raise ApiUnavailable(
            f"there are more than {_PAGE * _PAGES} {kind.plural} in the namespace {self.namespace}; give the"
            " Deployments of the fleets a namespace of their own",
            again=False,
        )

    async def set_scale(self, kind: Kind, name: str, count: int, version: str, *, rehearse: bool) -> None:
        """Set how many of an object there are to be, if it is still at the version that was read.

        `rehearse` has everything checked, rights and admission too, and changes nothing.

        Raises `Clash` where it is not, `Invalid` where the number is refused, else `ApiUnavailable`.
        """
        body = {"metadata": {"resourceVersion": version}, "spec": {"replicas": count}}
        query = {"fieldManager": _MANAGER, "fieldValidation": "Strict", **({"dryRun": "All"} if rehearse else {})}
        await self._send(_Call("patch", kind, name, "scale"), query, msgspec.json.encode(body))

    async def close(self) -> None:
        """Let go of the connections."""
        if self._client is not None:
            await self._client.aclose()

    async def _send(self, call: _Call, query: dict[str, str], body: bytes | None = None) -> bytes:
        status, headers, answer = await self._request(call, query, body)
        if status == httpx.codes.UNAUTHORIZED:
            # The token may have been replaced between reading it and its use.
            status, headers, answer = await self._request(call, query, body)
        if httpx.codes.is_success(status):
            return answer
        raise self._failure(call, status, headers, answer)

    async def _request(
        self, call: _Call, query: dict[str, str], body: bytes | None
    ) -> tuple[int, httpx.Headers, bytes]:
        kind = call.kind
        parts = ["apis", kind.group, kind.version, "namespaces", self.namespace, kind.plural, call.name, call.part]
        url = f"{self._settings.api_url}/{'/'.join(part for part in parts if part)}"
        method = "GET" if body is None else "PATCH"
        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                client = await self._connected()
                token = await asyncio.to_thread(_read, Path(self._settings.token_file), "token_file")
                headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
                if body is not None:
                    headers["Content-Type"] = "application/merge-patch+json"
                async with client.stream(method, url, params=query, headers=headers, content=body) as answer:
                    return answer.status_code, answer.headers, await _body(answer)
        except (TimeoutError, httpx.TimeoutException) as error:
            seconds = self._settings.timeout_seconds
            raise ApiUnavailable(
                f"the API server did not {call.right} within {seconds:g} s (setting kubernetes.timeout_seconds)",
                again=True,
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise ApiUnavailable(
                f"the API server at {self._settings.api_url} cannot be reached ({str(error) or type(error).__name__});"
                " settings kubernetes.api_url and kubernetes.ca_file say where it is and who signed its certificate",
                again=True,
            ) from error

    async def _connected(self) -> httpx.AsyncClient:
        """The client, made anew when the authority's file has been replaced."""
        path = self._settings.ca_file
        try:
            found = await asyncio.to_thread(os.stat, path)
            trust = (found.st_ino, found.st_mtime_ns)
            if self._client is not None and trust == self._trust:
                return self._client
            context = await asyncio.to_thread(ssl.create_default_context, cafile=path)
        except OSError as error:
            raise ApiUnavailable(
                f"setting kubernetes.ca_file: {path} cannot be used ({error.strerror or error})", again=False
            ) from error
        if self._client is not None:
            await self._client.aclose()
        self._trust = trust
        self._client = httpx.AsyncClient(
            verify=context,
            timeout=self._settings.timeout_seconds,
            limits=httpx.Limits(max_connections=8, max_keepalive_connections=2),
            follow_redirects=False,
            trust_env=False,
            headers={"User-Agent": _MANAGER},
        )
        return self._client

    def _failure(self, call: _Call, status: int, headers: httpx.Headers, answer: bytes) -> Exception:
        said = _said(answer)
        words = f" ({said})" if said else ""
        where = f"in the namespace {self.namespace}"
        match status:
            case 401:
                return NotAllowed(
                    f"the API server does not take the token in {self._settings.token_file}{words}; give the pod a"
                    " service account and mount its token",
                    again=False,
                )
            case 403:
                return NotAllowed(
                    f"the service account may not {call.right} {where}{words}; grant it with the Role of"
                    " deploy/kubernetes/rbac.yaml",
                    again=False,
                )
            case 404:
                return Missing(f"there is no {call.kind.name} {call.name} {where}{words}", again=False)
            case 409:
                return Clash(f"{call.kind.name} {call.name} has changed since it was read{words}")
            case 400 | 422:
                return Invalid(f"the API server refuses to {call.right} {where}{words}")
        return ApiUnavailable(
            f"the API server answered {status} to {call.right} {where}{words}",
            again=status in {408, 429} or status >= httpx.codes.INTERNAL_SERVER_ERROR,
            retry_after=_seconds(headers.get("retry-after", "")),
        )


def decoded(answer: bytes, kind: type[T], what: str) -> T:
    """An answer as what it should be. Raises `ApiUnavailable` naming `what`."""
    try:
        return msgspec.json.decode(answer, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiUnavailable(f"the API server answered with what is no {what}: {error}", again=False) from error


async def _body(answer: httpx.Response) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in answer.aiter_bytes():
        size += len(part)
        if size > ANSWER_LIMIT:
            raise ApiUnavailable(f"the API server answered with more than {ANSWER_LIMIT} bytes", again=False)
        parts.append(part)
    return b"".join(parts)


def _said(answer: bytes) -> str:
    try:
        return msgspec.json.decode(answer, type=_Status).message[:_SAID]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""


def _seconds(text: str) -> float | None:
    """Retry-After of an API server is in whole seconds."""
    return float(text) if text.isascii() and text.isdigit() else None


def _namespace(path: Path) -> str:
    try:
        return _read(path, "namespace")
    except ApiUnavailable as error:
        raise ConfigurationError(error.message) from error


def _read(path: Path, setting: str) -> str:
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason: Any = error.strerror if isinstance(error, OSError) else error
        raise ApiUnavailable(
            f"setting kubernetes.{setting}: {path} cannot be read ({reason}); mount the service account's token",
            again=False,
        ) from error
    if not text:
        raise ApiUnavailable(f"setting kubernetes.{setting}: {path} is empty", again=False)
    return text
