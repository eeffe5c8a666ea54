"""The platforms that are registered: who may launch, and as which tenant.

A registration is an issuer and a client id; each of its deployments is a tenant. All of them are held in memory.
A change by another process (`atomic-guide platforms add` beside a running server) is noticed by a counter in the
directory database, read at most every half second.
"""

from __future__ import annotations

import hashlib
import re
from typing import Literal, NamedTuple

import msgspec

from atomic_guide import errors
from atomic_guide.clock import Clock
from atomic_guide.course.lti.addresses import Reach, origin_of, problem_with
from atomic_guide.course.lti.keysets import HELD, held_keys
from atomic_guide.course.lti.outbound import OutboundFailed
from atomic_guide.course.lti.refusals import Refusal, Refused
from atomic_guide.engines.data.database import Database, Row, Transaction
from atomic_guide.engines.data.queries import load_queries

QUERIES = load_queries(__package__)

PROBE_SECONDS = 0.5
"""How old the knowledge of a change may be; a probe costs one read of one row, about 20 us."""

_ID_LIMIT = 255
# Clouds whose issuer is one for all customers, while the frame stands on each customer's own host.
_CLOUD_ORIGINS = {
    "https://canvas.instructure.com": "https://*.instructure.com",
    "https://canvas.beta.instructure.com": "https://*.beta.instructure.com",
    "https://canvas.test.instructure.com": "https://*.test.instructure.com",
    "https://blackboard.com": "https://*.blackboard.com",
}
_ADDRESS_FIELDS = {"auth_url": "--auth-url", "token_url": "--token-url", "keyset_url": "--keyset-url"}


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A registration as an operator or an LMS describes it. `deployment_id` may come later."""

    issuer: str
    client_id: str
    auth_url: str
    token_url: str
    keyset_url: str
    deployment_id: str | None = None
    name: str = ""
    auth_audience: str | None = None
    origins: tuple[str, ...] = ()
    active: bool = True


class Platform(msgspec.Struct, frozen=True, kw_only=True):
    """A registration. `deployments` is (deployment id, tenant) of each; `origins` may frame the tool."""

    id: str
    issuer: str
    client_id: str
    name: str
    auth_url: str
    token_url: str
    keyset_url: str
    auth_audience: str | None
    extra_origins: tuple[str, ...]
    active: bool
    deployments: dict[str, str]
    origins: tuple[str, ...]

    @property
    def auth_origin(self) -> str:
        """The origin that a browser talks to during a login."""
        return origin_of(self.auth_url)


class Change(NamedTuple):
    """What `Platforms.add` did."""

    platform: Platform
    kind: Literal["added", "updated", "unchanged"]


def tenant_of(issuer: str, client_id: str, deployment_id: str) -> str:
    """The tenant of a deployment: the same again after it was removed and added, on every installation."""
    return "t" + _digest(issuer, client_id, deployment_id)


def platform_id(issuer: str, client_id: str) -> str:
    """The id of a registration."""
    return "p" + _digest(issuer, client_id)


def check_draft(draft: Draft, reach: Reach) -> None:
    """Raise `Invalid` naming what cannot be registered, and why."""
    for field, text in (("--client-id", draft.client_id), ("--deployment-id", draft.deployment_id or "x")):
        if not text or len(text) > _ID_LIMIT or not text.isprintable():
            message = f"{field} must be 1 to {_ID_LIMIT} visible characters"
            raise errors.Invalid(message, details={"field": field})
    if not _is_address(draft.issuer) or len(draft.issuer) > _ID_LIMIT:
        message = f"--issuer {draft.issuer!r} is not a web address such as https://lms.example.edu"
        raise errors.Invalid(message, details={"field": "--issuer"})
    for field, url in {option: getattr(draft, field) for field, option in _ADDRESS_FIELDS.items()}.items():
        wrong = (
            _problem_with_held(url) if field == "--keyset-url" and url.startswith(HELD) else problem_with(url, reach)
        )
        if wrong:
            message = f"{field} {url!r} cannot be used: {wrong}"
            raise errors.Invalid(message, details={"field": field})
    for origin in draft.origins:
        try:
            usable = origin_of(origin.replace("://*.", "://", 1)) == origin.replace("://*.", "://", 1)
        except ValueError:
            usable = False
        if not usable:
            message = f"--origin {origin!r} is no origin such as https://lms.example.edu or https://*.example.edu"
            raise errors.Invalid(message, details={"field": "--origin"})


def _problem_with_held(url: str) -> str | None:
    try:
        keys = held_keys(url)
    except OutboundFailed as error:
        return error.message
    return None if any(key.key for key in keys.values()) else "it holds no RSA key of 2048 bits or more with a key id"


class Platforms:
    """The registrations, as one process knows them."""

    def __init__(self, directory: Database, clock: Clock, reach: Reach) -> None:
        self._directory = directory
        self._clock = clock
        self._reach = reach
        self._by_id: dict[str, Platform] = {}
        self._by_client: dict[tuple[str, str], Platform] = {}
        self._by_issuer: dict[str, list[Platform]] = {}
        self._number = -1
        self._probed_at = float("-inf")

    async def find(self, issuer: str, client_id: str | None, deployment_id: str | None) -> Platform:
        """The registration of a login request. Raises `Refused`."""
        await self._probe()
        known = self._by_issuer.get(issuer, [])
        if client_id:
            known = [platform for platform in known if platform.client_id == client_id]
        if not known:
            alike = next((one for one in self._by_issuer if near(one, issuer)), None)
            note = f"It calls itself {issuer}; registered is {alike}." if alike else ""
            raise Refused(Refusal.LTI_PLATFORM_UNKNOWN, note)
        if deployment_id:
            fitting = [platform for platform in known if deployment_id in platform.deployments]
            if not fitting:
                raise Refused(Refusal.LTI_DEPLOYMENT_UNKNOWN)
            known = fitting
        if len(known) > 1:
            raise Refused(Refusal.LTI_CLIENT_AMBIGUOUS)
        if not known[0].active:
            raise Refused(Refusal.LTI_PLATFORM_INACTIVE)
        return known[0]

    async def get(self, identity: str) -> Platform | None:
        """The registration with an id, if it still is one."""
        await self._probe()
        return self._by_id.get(identity)

    async def all(self) -> list[Platform]:
        """Every registration, by issuer and client id."""
        await self._probe()
        return [self._by_client[key] for key in sorted(self._by_client)]

    async def get_client(self, issuer: str, client_id: str) -> Platform | None:
        """The registration of an issuer and client id, if there is one."""
        await self._probe()
        return self._by_client.get((issuer, client_id))

    def known(self, issuer: str, client_id: str) -> bool:
        """Whether some registration has this issuer and client id, as of the last look."""
        return (issuer, client_id) in self._by_client

    async def add(self, draft: Draft) -> Change:
        """Register a platform or a further deployment, or correct one; the same again changes nothing.

        Raises `Invalid` naming the field that cannot be used.
        """
        check_draft(draft, self._reach)
        await self._load()
        before = self._by_client.get((draft.issuer, draft.client_id))
        row = {
            "id": platform_id(draft.issuer, draft.client_id),
            "issuer": draft.issuer,
            "client_id": draft.client_id,
            "name": draft.name or (before.name if before else ""),
            "auth_url": draft.auth_url,
            "token_url": draft.token_url,
            "keyset_url": draft.keyset_url,
            "auth_audience": draft.auth_audience,
            "origins": " ".join(draft.origins),
            "active": draft.active,
            "created_at": self._clock.now(),
        }

        async def work(tx: Transaction) -> None:
            await tx.execute(QUERIES["put_platform"], row)
            if draft.deployment_id is not None:
                deployment = {
                    "tenant": tenant_of(draft.issuer, draft.client_id, draft.deployment_id),
                    "platform": row["id"],
                    "deployment_id": draft.deployment_id,
                    "created_at": row["created_at"],
                }
                await tx.execute(QUERIES["put_deployment"], deployment)
            await tx.execute(QUERIES["count_change"])

        await self._directory.write(work)
        await self._load()
        after = self._by_client[draft.issuer, draft.client_id]
        return Change(after, "added" if before is None else "unchanged" if before == after else "updated")

    async def remove(self, platform: Platform, deployment_id: str | None = None) -> None:
        """Forget a registration, or one deployment of it. Courses and their contents stay."""

        async def work(tx: Transaction) -> None:
            if deployment_id is None:
                await tx.execute(QUERIES["drop_deployments"], {"platform": platform.id})
                await tx.execute(QUERIES["drop_platform"], {"id": platform.id})
            else:
                params = {"platform": platform.id, "deployment_id": deployment_id}
                await tx.execute(QUERIES["drop_deployment"], params)
            await tx.execute(QUERIES["count_change"])

        await self._directory.write(work)
        await self._load()

    async def _probe(self) -> None:
        now = self._clock.monotonic()
        if now - self._probed_at >= PROBE_SECONDS:
            self._probed_at = now
            row = await self._directory.one(QUERIES["read_change"])
            if (row["number"] if row else 0) != self._number:
                await self._load()

    async def _load(self) -> None:
        # The counter is read before the rows: a change in between is then seen by the next probe.
        counter = await self._directory.one(QUERIES["read_change"])
        deployments: dict[str, dict[str, str]] = {}
        for row in await self._directory.read(QUERIES["read_deployments"]):
            deployments.setdefault(row["platform"], {})[row["deployment_id"]] = row["tenant"]
        rows = await self._directory.read(QUERIES["read_platforms"])
        loaded = [_platform(row, deployments.get(row["id"], {})) for row in rows]
        self._by_id = {platform.id: platform for platform in loaded}
        self._by_client = {(platform.issuer, platform.client_id): platform for platform in loaded}
        self._by_issuer = {}
        for platform in loaded:
            self._by_issuer.setdefault(platform.issuer, []).append(platform)
        self._number = counter["number"] if counter else 0
        self._probed_at = self._clock.monotonic()


def _platform(row: Row, deployments: dict[str, str]) -> Platform:
    extra = tuple(row["origins"].split())
    cloud = _CLOUD_ORIGINS.get(row["issuer"])
    origins = dict.fromkeys([origin_of(row["issuer"]), origin_of(row["auth_url"]), *([cloud] if cloud else []), *extra])
    return Platform(
        id=row["id"],
        issuer=row["issuer"],
        client_id=row["client_id"],
        name=row["name"],
        auth_url=row["auth_url"],
        token_url=row["token_url"],
        keyset_url=row["keyset_url"],
        auth_audience=row["auth_audience"],
        extra_origins=extra,
        active=bool(row["active"]),
        deployments=deployments,
        origins=tuple(origins),
    )


def _is_address(url: str) -> bool:
    try:
        return bool(origin_of(url)) and url.isprintable() and " " not in url
    except ValueError:
        return False


def near(first: str, second: str) -> bool:
    """Whether two issuers differ only where people slip: http for https, capitals, a slash at the end."""
    one, other = (re.sub(r"^http://", "https://", text.lower()).rstrip("/") for text in (first, second))
    return one == other and first != second


def _digest(*parts: str) -> str:
    # The lengths keep ("a", "bc") and ("ab", "c") apart.
    text = "".join(f"{len(part.encode())}:{part}" for part in parts)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
