"""The key of an installation that seals what must outlast it: backups, the ledger of erasures, receipts.

It is made once and never changed, because a ledger has to be read together with a backup of any age. It also makes
the digests that stand for people and tenants there: without it nobody can try names against them.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from atomic_guide.clock import Clock
from atomic_guide.engines.data.database import Database, Transaction
from atomic_guide.engines.data.queries import load_queries

QUERIES = load_queries(__package__)

SECRET = "keeping"  # noqa: S105 - the name of the row, not its value


async def keeping_key(directory: Database, clock: Clock) -> bytes:
    """The key, made at first use."""
    row = await directory.one(QUERIES["find_keeping_key"])
    if row is None:
        fresh = {"value": secrets.token_hex(32), "now": clock.now()}

        async def work(tx: Transaction) -> None:
            await tx.execute(QUERIES["add_keeping_key"], fresh)

        await directory.write(work)
        row = await directory.one(QUERIES["find_keeping_key"])
    return bytes.fromhex(row["value"]) if row else b""


def tenant_digest(key: bytes, tenant: str) -> str:
    """What stands for a tenant."""
    return _digest(key, "tenant", tenant)


def person_digest(key: bytes, tenant: str, user: str) -> str:
    """What stands for a person of a tenant."""
    return _digest(key, "person", tenant, user)


async def code_params(directory: Database, clock: Clock, tenant: str, user: str) -> dict[str, str]:
    """How queries find the codes of a person, or of everybody where `user` is empty: those name people by digest."""
    person = person_digest(await keeping_key(directory, clock), tenant, user) if user else ""
    return {"tenant": tenant, "user": user, "person": person}


def seal(key: bytes, purpose: str, content: bytes) -> str:
    """A proof that this installation wrote `content` for a purpose."""
    return hmac.new(key, purpose.encode() + b"\0" + content, hashlib.sha256).hexdigest()


def _digest(key: bytes, *parts: str) -> str:
    # Lengths keep ("a", "bc") apart from ("ab", "c").
    content = b"".join(len(part.encode()).to_bytes(4) + part.encode() for part in parts)
    return seal(key, "digest", content)[:40]
