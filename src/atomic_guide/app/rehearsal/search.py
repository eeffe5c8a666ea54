"""Looks through every file of every region for what may not be there: the words of tenants of other zones."""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from atomic_guide.app.rehearsal.plan import Place, Tenant


class Leak(NamedTuple):
    """A word of a tenant in a region that may not keep its zone."""

    tenant: str
    region: str
    where: str


class Searched(NamedTuple):
    """What was looked through: files and bytes of each region; and in how many of them each tenant's words stand."""

    files: dict[str, int]
    bytes: dict[str, int]
    at_home: dict[str, int]
    leaks: list[Leak]


def search(folders: dict[str, Path], places: Iterable[Place], tenants: tuple[Tenant, ...]) -> Searched:
    """Look through the folders of the regions, byte by byte: databases with their log, NATS, objects, logs."""
    zones = {place.name: place.zones for place in places}
    found = Searched({}, {}, {tenant.name: 0 for tenant in tenants}, [])
    for region, folder in folders.items():
        found.files[region] = found.bytes[region] = 0
        for path in _files(folder):
            found.files[region] += 1
            found.bytes[region] += path.stat().st_size
            for tenant in _named_in(path, tenants):
                if tenant.zone in zones[region]:
                    found.at_home[tenant.name] += 1
                else:
                    found.leaks.append(Leak(tenant.name, region, str(path.relative_to(folder))))
    return found


def search_objects(
    region: str, zones: tuple[str, ...], objects: dict[str, bytes], tenants: tuple[Tenant, ...]
) -> list[Leak]:
    """The same for the objects of a region's bucket, by name and content."""
    return [
        Leak(tenant.name, region, f"object {name}")
        for name, content in objects.items()
        for tenant in tenants
        if tenant.zone not in zones and is_of(tenant, name, content)
    ]


def is_of(tenant: Tenant, name: str, content: bytes) -> bool:
    """Whether an object has words of a tenant, in its name or content."""
    return any(one in name or one.encode() in content for one in tenant.markers)


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and path.stat().st_size:
            yield path


def _named_in(path: Path, tenants: tuple[Tenant, ...]) -> list[Tenant]:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return [one for one in tenants if any(content.find(marker.encode()) >= 0 for marker in one.markers)]
