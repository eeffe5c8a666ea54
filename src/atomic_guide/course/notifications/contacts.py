"""Where people get e-mail, as their LMS says, and whether they want it.

An address is stored only of somebody who has been here, and only while a mail server is set. That somebody wants no
e-mail outlasts every launch.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from atomic_guide.course.notifications.address import usable_address
from atomic_guide.course.notifications.feed import QUERIES
from atomic_guide.engines.data.placement import CourseKey

if TYPE_CHECKING:
    from collections.abc import Iterable

    from atomic_guide.clock import Clock
    from atomic_guide.engines.data.database import Transaction
    from atomic_guide.engines.data.shards import Shards

_SIGNATURE = 16
"""Bytes of a signature: 128 bits, as nobody can try more than some thousand a second."""


class Arrived(NamedTuple):
    """What a launch says of its member."""

    user: str
    email: str
    locale: str


class Wishes(NamedTuple):
    """Whether somebody's address is known, and whether they want e-mail about the course."""

    known: bool
    wanted: bool


class Contacts:
    """Addresses and wishes. `on`: whether a mail server is set; `key` signs the addresses that end e-mail."""

    def __init__(self, shards: Shards, clock: Clock, key: bytes, public_url: str, *, on: bool) -> None:
        self._shards = shards
        self._clock = clock
        self._key = key
        self._public_url = public_url
        self.on = on

    async def of(self, key: CourseKey, user: str) -> Wishes:
        """What is known of somebody."""
        row = await self._shards.of(key).one(QUERIES["find_contact"], {**key.columns, "user": user})
        return Wishes(bool(row and row["address"]), row is None or row["off_at"] is None)

    async def languages(self, key: CourseKey, user: str) -> tuple[str, str]:
        """The language that somebody has chosen, and the LMS's for them; empty where none is known."""
        row = await self._shards.of(key).one(QUERIES["find_contact"], {**key.columns, "user": user})
        return (row["language"], row["locale"]) if row else ("", "")

    async def choose(self, key: CourseKey, user: str, *, wanted: bool) -> None:
        """Somebody wants e-mail about the course, or none."""
        now = self._clock.now()
        params = {**key.columns, "user": user, "off_at": None if wanted else now, "now": now}

        async def work(tx: Transaction) -> None:
            await tx.execute(QUERIES["choose_mail"], params)

        await self._shards.of(key).write(work)

    async def speak(self, key: CourseKey, user: str, language: str) -> None:
        """Somebody has chosen the language of the page, and so of e-mail."""
        params = {**key.columns, "user": user, "language": language, "now": self._clock.now()}

        async def work(tx: Transaction) -> None:
            await tx.execute(QUERIES["choose_language"], params)

        await self._shards.of(key).write(work)

    def stop_url(self, key: CourseKey, user: str) -> str:
        """An address that ends e-mail about a course to somebody, for whoever has it and without a session."""
        body = msgspec.json.encode([key.tenant, key.course, key.bucket, user])
        return f"{self._public_url}/mail/stop/{_text(self._signature(body) + body)}"

    def read_stop(self, token: str) -> tuple[CourseKey, str] | None:
        """Whom a token of such an address is about; None for one that is not ours."""
        try:
            whole = base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        signature, body = whole[:_SIGNATURE], whole[_SIGNATURE:]
        if not hmac.compare_digest(signature, self._signature(body)):
            return None
        tenant, course, bucket, user = msgspec.json.decode(body, type=tuple[str, str, int, str])
        return CourseKey(tenant, course, bucket), user

    def _signature(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, hashlib.sha256)[:_SIGNATURE]


async def keep_contact(tx: Transaction, key: CourseKey, arrived: Arrived, now: float) -> None:
    """Inside the unit of work of a launch: keep where its member gets e-mail."""
    address = usable_address(arrived.email)
    params = {**key.columns, "user": arrived.user, "address": address, "locale": arrived.locale, "now": now}
    await tx.execute(QUERIES["put_contact"], params)


async def keep_listed(tx: Transaction, key: CourseKey, listed: Iterable[tuple[str, str]], now: float) -> None:
    """Inside the unit of work of a roster: keep the addresses (person, address) of those who have been here."""
    rows = [
        {**key.columns, "user": user, "address": address, "now": now}
        for user, address in ((user, usable_address(email)) for user, email in listed)
        if address
    ]
    if rows:
        await tx.execute_many(QUERIES["put_listed_contact"], rows)


async def mail_key(shards: Shards, clock: Clock) -> bytes:
    """The installation's key for addresses that end e-mail, made at first use and the same in every process."""
    row = {"name": "mail", "value": secrets.token_hex(32), "created_at": clock.now()}

    async def work(tx: Transaction) -> str:
        await tx.execute(QUERIES["add_mail_key"], row)
        kept = await tx.one(QUERIES["find_mail_key"], {"name": row["name"]})
        return str(kept["value"]) if kept else ""

    return bytes.fromhex(await shards.directory.write(work))


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
