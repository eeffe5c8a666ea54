"""Rate limits: messages by person and room, refused socket tickets by address; and whose address it is.

What people and rooms may say over all processes is decided where messages are stored (course/chat/budgets.py). Here
what one process sees of it is counted, so that a flood is refused without asking the database. Each budget is one
number in a bounded table; the least recently used ones are forgotten first, which can only be in a caller's favour.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from atomic_guide import errors
from atomic_guide.clock import Clock
from atomic_guide.course.chat.limits import INSTRUCTOR_MESSAGES, PERSON_MESSAGES, ROOM_MESSAGES
from atomic_guide.engines.cache.memory import Memory
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.rooms.budget import Rate
from atomic_guide.limit import Limit, Used
from atomic_guide.operations.limits.presets import Preset
from atomic_guide.setting import setting
from atomic_guide.web.bounds import BUDGETS, TICKETS

if TYPE_CHECKING:
    from starlette.requests import Request

    from atomic_guide.engines.rooms.bus import Bus

Network = IPv4Network | IPv6Network

_REFUSED = "limits.refused"
"""The subject on which processes tell each other of refused tickets: at most ten a minute and address from each."""


class LimitSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often somebody may do something."""

    preset: Annotated[
        Preset,
        setting(
            "guide: the scaling guide's table of limits, as far as it is below the defaults and can be kept here"
            " (docs/limits.md); what is set by itself wins.",
            "name",
        ),
    ] = "none"
    person_messages: Annotated[
        int,
        setting("Messages of one person in one course, over all processes.", "messages/min", ge=1, le=1_000_000),
    ] = 100
    instructor_messages: Annotated[
        int,
        setting("Messages of one instructor in one course, likewise.", "messages/min", ge=1, le=1_000_000),
    ] = 1200
    room_messages: Annotated[
        int,
        setting("Messages of one course, likewise.", "messages/min", ge=1, le=10_000_000),
    ] = 6000
    refused_tickets: Annotated[
        int,
        setting(
            "Socket attempts of one address without a valid ticket; valid ones are not counted, because"
            " a whole lecture hall may share an address.",
            "attempts/min",
            ge=1,
            le=1_000_000,
        ),
    ] = 10
    remembered: Annotated[
        int,
        setting("Budgets kept of each kind, about 200 bytes each.", "budgets", ge=1000, le=10_000_000),
    ] = 50_000


class Limits:
    """The budgets as this process knows them."""

    def __init__(self, settings: LimitSettings, clock: Clock) -> None:
        self._clock = clock
        self._learner = Rate(settings.person_messages)
        self._instructor = Rate(settings.instructor_messages)
        self._room = Rate(settings.room_messages)
        self._refused = Rate(settings.refused_tickets)
        self._people: Memory[tuple[CourseKey, str], float] = Memory(settings.remembered)
        self._instructors: Memory[tuple[CourseKey, str], float] = Memory(settings.remembered)
        self._rooms: Memory[CourseKey, float] = Memory(settings.remembered)
        self._addresses: Memory[str, float] = Memory(settings.remembered)
        self._origin = secrets.token_hex(6)
        self._bus: Bus | None = None

    async def join(self, bus: Bus) -> None:
        """Count refused tickets together with the other processes; what gets lost is in the caller's favour."""
        self._bus = bus
        await bus.subscribe(_REFUSED, self._hear_refused)

    def check_message(self, key: CourseKey, user: str, role: str) -> None:
        """Count a message. Raises `RateLimited` with the time until the next one is welcome."""
        now = self._clock.monotonic()
        # Spelled out: a call more would be a part of a message's cost that can be measured.
        if role == "instructor":
            rate, people, limit = self._instructor, self._instructors, INSTRUCTOR_MESSAGES
        else:
            rate, people, limit = self._learner, self._people, PERSON_MESSAGES
        person, wait = rate.spend(people.get((key, user), 0.0), now)
        if wait:
            message = f"at most {rate.per_minute} messages a minute from one person"
            raise limit.over(errors.RateLimited(message, details={"limit": "person"}, retry_after=wait))
        room, wait = self._room.spend(self._rooms.get(key, 0.0), now)
        if wait:
            message = f"at most {self._room.per_minute} messages a minute in one course"
            raise ROOM_MESSAGES.over(errors.RateLimited(message, details={"limit": "room"}, retry_after=wait))
        people[key, user] = person
        self._rooms[key] = room

    def learn(self, key: CourseKey, user: str, role: str, refusal: errors.RateLimited) -> None:
        """Note that a person's budget, or a room's, is spent over all processes: refuse here until it is not."""
        until = self._clock.monotonic() + (refusal.retry_after or 0.0)
        if refusal.details.get("limit") == "room":
            self._rooms[key] = max(self._rooms.get(key, 0.0), self._room.spent(until))
        else:
            teaches = role == "instructor"
            rate, people = (self._instructor, self._instructors) if teaches else (self._learner, self._people)
            people[key, user] = max(people.get((key, user), 0.0), rate.spent(until))

    def check_refused(self, address: str) -> None:
        """Count a socket attempt without a valid ticket. Raises `RateLimited` from the eleventh in a minute on."""
        name = household(address)
        mark, wait = self._refused.spend(self._addresses.get(name, 0.0), self._clock.monotonic())
        if wait:
            message = "too many attempts without a valid ticket from your address"
            raise TICKETS.over(errors.RateLimited(message, details={"limit": "address"}, retry_after=wait))
        self._addresses[name] = mark
        if self._bus is not None:
            self._bus.publish(_REFUSED, f"{self._origin} {name}".encode())

    def used(self) -> Iterator[Used]:
        """What the busiest have spent of a minute; 0.02 us for each budget that is remembered."""
        now = self._clock.monotonic()
        kinds: tuple[tuple[Limit, Rate, Memory[Any, float]], ...] = (
            (PERSON_MESSAGES, self._learner, self._people),
            (INSTRUCTOR_MESSAGES, self._instructor, self._instructors),
            (ROOM_MESSAGES, self._room, self._rooms),
            (TICKETS, self._refused, self._addresses),
        )
        for limit, rate, marks in kinds:
            yield Used(limit, max(0.0, max(marks.values(), default=0.0) - now) / 60 * rate.per_minute)
            yield Used(BUDGETS, len(marks))

    def _hear_refused(self, payload: bytes) -> None:
        origin, _, name = payload.decode("ascii", "replace").partition(" ")
        if origin != self._origin and name:
            mark, _ = self._refused.spend(self._addresses.get(name, 0.0), self._clock.monotonic())
            self._addresses[name] = mark


def household(address: str) -> str:
    """An IPv6 address by its first 64 bits: one subscriber has all addresses behind them."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    return str(parsed.ipv4_mapped or IPv6Network((int(parsed) >> 64 << 64, 64)))


def networks(trusted: Iterable[str]) -> tuple[Network, ...]:
    """The networks of a setting such as `trusted_proxies`; `*` is everything. Raises ValueError for anything else."""
    return tuple(
        network
        for text in trusted
        for network in (
            (IPv4Network("0.0.0.0/0"), IPv6Network("::/0")) if text == "*" else (ip_network(text, strict=False),)
        )
    )


def client_address(peer: str, forwarded_for: str, trusted: Sequence[Network]) -> str:
    """Who is asking: the peer, or behind trusted proxies the last address of X-Forwarded-For that is not theirs."""
    address = peer
    for hop in reversed([part.strip() for part in forwarded_for.split(",") if part.strip()]):
        if not is_in(address, trusted):
            break
        address = hop
    return address


def is_loopback(host: str) -> bool:
    """Whether only this computer can reach a listener on `host`, an address or a name."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def from_this_computer(request: Request) -> bool:
    """Whether a request began here. One that a proxy passed on did not, even if the proxy runs here."""
    if request.client is None or any(name in request.headers for name in ("x-forwarded-for", "forwarded", "via")):
        return False
    return is_loopback(request.client.host)


def is_in(address: str, trusted: Sequence[Network]) -> bool:
    """Whether an address lies in one of the networks."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in trusted if network.version == parsed.version)
