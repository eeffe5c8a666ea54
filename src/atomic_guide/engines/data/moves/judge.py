"""Deciding whether what the shards say of themselves agrees with the directory. Pure: no clock, no I/O.

The directory is the truth. A verdict carries its reason, and the act that would put it right where nothing can be lost
by it; else a person must decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

import msgspec

Key = tuple[int, str, str]
"""Bucket, tenant and course; the last two are empty for a bucket."""

Act = Literal["own", "let_go", "purge", "rejoin"]

_REPAIR = "`atomic-guide shards verify --repair` does it"
_BY_HAND = "put back backups of directory and shards of one time, or move the course's rows by hand"


class Finding(msgspec.Struct, frozen=True):
    """Something on a shard that is not as it should be, and what to do about it.

    kind: unowned, behind, ahead, fenced, twice, arriving, course, rows, or leftover (on a server).
    """

    kind: str
    shard: str
    text: str
    remedy: str
    repaired: bool = False


class Entry(NamedTuple):
    """A row of `bucket_owner`."""

    state: str
    epoch: int
    token: int


class Verdict(NamedTuple):
    """A finding, what it is about, and the act that repairs it; None where a person must decide."""

    key: Key
    finding: Finding
    act: Act | None


class Zone(NamedTuple):
    """One zone: where the directory has its buckets and the courses apart, with epochs; and what its shards say."""

    places: Mapping[Key, tuple[str, int]]
    entries: Mapping[str, Mapping[Key, Entry]]

    def owner(self, key: Key) -> str | None:
        """The shard that has a bucket, or a course, apart or with its bucket."""
        place = self.places.get(key) or self.places.get((key[0], "", ""))
        return place[0] if place else None

    def is_owned(self, key: Key) -> bool:
        """Whether the shard that has it says so, too."""
        owner = self.owner(key)
        said = self.entries.get(owner or "", {})
        entry = said.get(key) or said.get((key[0], "", ""))
        return entry is not None and entry.state == "owned"


def name_of(key: Key) -> str:
    """A key for people."""
    bucket, tenant, course = key
    return f"course {tenant}/{course} of bucket {bucket}" if course else f"bucket {bucket}"


def judge_entries(zone: Zone, shard: str) -> Iterator[Verdict]:
    """What a shard says of itself, beside the directory."""
    said = zone.entries[shard]
    for key, (owner, epoch) in zone.places.items():
        if owner == shard:
            yield from _judge_owned(shard, key, epoch, said.get(key))
        elif key[2] and zone.owner((key[0], "", "")) == shard and (key not in said or said[key].state != "gone"):
            act: Act | None = "let_go" if zone.is_owned(key) else None
            yield _verdict("course", shard, key, act, f"does not know that {name_of(key)} is on {owner}")
    for key, entry in said.items():
        if zone.places.get(key, ("", 0))[0] != shard:
            yield from _judge_foreign(zone, shard, key, entry)


def judge_rows(zone: Zone, shard: str, key: Key) -> Iterator[Verdict]:
    """Rows of a bucket or course that a shard has."""
    if zone.owner(key) == shard:
        return
    # Never removed by a repair: where two shards took writes, some of these rows are nowhere else. What a mover has
    # left is its move's to remove, and the copy of one that was given up goes with its entry (`arriving`).
    yield _verdict("rows", shard, key, None, f"has rows of {name_of(key)}, which is on {zone.owner(key)}")


def _judge_owned(shard: str, key: Key, epoch: int, entry: Entry | None) -> Iterator[Verdict]:
    name = name_of(key)
    if entry is None or entry.state in {"gone", "arriving"}:
        yield _verdict("unowned", shard, key, None, f"does not know that it owns {name}")
    elif entry.epoch < epoch:
        yield _verdict("behind", shard, key, None, f"owns {name} at epoch {entry.epoch}, the directory has {epoch}")
    elif entry.epoch > epoch:
        yield _verdict("ahead", shard, key, None, f"owns {name} at epoch {entry.epoch}, the directory has {epoch}")
    elif entry.state == "fenced":
        yield _verdict("fenced", shard, key, "own", f"lets {name} be read only, though no move is under way")


def _judge_foreign(zone: Zone, shard: str, key: Key, entry: Entry) -> Iterator[Verdict]:
    name, owner = name_of(key), zone.owner(key)
    if entry.state in {"owned", "fenced"}:
        act: Act | None = "let_go" if zone.is_owned(key) and owner != shard else None
        if key[2] and owner == shard:
            act = "rejoin"
        yield _verdict("twice", shard, key, act, f"says that it owns {name}, which is on {owner}")
    elif entry.state == "arriving":
        yield _verdict(
            "arriving",
            shard,
            key,
            "purge" if zone.is_owned(key) else None,
            f"waits for {name}, though no move is under way",
        )
    elif key[2] and owner == shard:
        yield _verdict("course", shard, key, "rejoin", f"refuses {name}, which belongs to its bucket here")


def _verdict(kind: str, shard: str, key: Key, act: Act | None, text: str) -> Verdict:
    return Verdict(key, Finding(kind, shard, text, _REPAIR if act else _BY_HAND), act)
