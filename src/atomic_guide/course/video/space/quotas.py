"""What operators see and set of tenants' space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from atomic_guide.course.video.space.account import QUERIES
from atomic_guide.errors import NotFound

if TYPE_CHECKING:
    from atomic_guide.engines.data.database import Database, Transaction

_PAGE = 1000
_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "PB": 10**15}


class TenantSpace(msgspec.Struct, frozen=True):
    """A tenant's account in bytes; `own` says that the limit was set for it and is not the setting's."""

    tenant: str
    used: int
    allowed: int
    own: bool
    lectures: int


class Totals(NamedTuple):
    """All tenants together: bytes, how many tenants, how many of them have a tenth or less left, and nothing."""

    used: int
    tenants: int
    near: int
    full: int


async def list_space(directory: Database, default: int, after: str = "", limit: int = _PAGE) -> list[TenantSpace]:
    """The accounts after a tenant, in the order of tenants, at most `limit`; `default` is the setting's limit."""
    rows = await directory.read(QUERIES["list_space"], {"after": after, "limit": limit})
    return [
        TenantSpace(
            row["tenant"],
            max(0, row["used"]),
            default if row["allowed"] is None else row["allowed"],
            row["allowed"] is not None,
            row["files"],
        )
        for row in rows
    ]


async def all_space(directory: Database, default: int) -> list[TenantSpace]:
    """The accounts of all tenants."""
    found: list[TenantSpace] = []
    while page := await list_space(directory, default, found[-1].tenant if found else ""):
        found += page
    return found


async def known_tenants(directory: Database) -> list[str]:
    """Every tenant, with lectures or without."""
    found: list[str] = []
    params: dict[str, Any] = {"after": "", "limit": _PAGE}
    while rows := await directory.read(QUERIES["known_tenants"], params):
        found += [row["tenant"] for row in rows]
        params["after"] = found[-1]
    return found


async def check_tenant(directory: Database, tenant: str) -> None:
    """Raise `NotFound` for an unknown tenant."""
    if await directory.one(QUERIES["known_tenant"], {"tenant": tenant}) is None:
        raise NotFound(f"there is no tenant {tenant}; `atomic-guide platforms list` shows them")


async def totals(directory: Database, default: int) -> Totals:
    """All tenants together."""
    row = await directory.one(QUERIES["sum_space"], {"allowed": default})
    return Totals(row["used"], row["tenants"], row["near"], row["full_ones"]) if row is not None else Totals(0, 0, 0, 0)


async def set_quota(directory: Database, tenant: str, allowed: int | None) -> None:
    """Give a tenant a limit of its own in bytes, or with None the setting's; its lectures have been counted."""

    async def work(tx: Transaction) -> None:
        await tx.one(QUERIES["lock_space"], {"tenant": tenant})
        await tx.execute(QUERIES["set_allowed"], {"tenant": tenant, "allowed": allowed})

    await directory.write(work)


def read_size(text: str) -> int:
    """Bytes of a text such as 500GB, 1.5 TB or 1000000 (units of a thousand). Raises ValueError for any other."""
    upper = text.strip().upper().replace(" ", "")
    digits = upper.rstrip("BKMGTP")
    unit = upper[len(digits) :]
    if unit == "B":
        unit = ""
    if unit not in _UNITS or not digits.replace(".", "", 1).isascii() or not digits.replace(".", "", 1).isdigit():
        message = f"{text[:40]!r} is no size; write it as 500GB, 1.5TB or a number of bytes"
        raise ValueError(message)
    return round(float(digits) * _UNITS[unit])
