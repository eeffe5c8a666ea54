"""The memory of one process: bounded by bytes, with two segments, and never read with a clock.

What is read a second time moves from the segment of new entries to that of hot ones, and leaves the hot ones in order
of last use (segmented LRU: Karedla, Love and Wherry, "Caching strategies to improve disk system performance", 1994). So
a scan over many keys replaces new entries only, and what is hot stays.

An entry ends by a timer (`expire`) in place of a look at the clock at each read, which would cost as much as the read.
It is aged before it ends: then a read still finds it, by the slower way, and is told to have it loaded anew.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Iterable
from typing import Any, Final, NamedTuple

from atomic_guide.engines.cache.memory import Memory

MISS: Final = object()
"""What is not there. None is a value: that something does not exist."""

HOT_SHARE = 0.8
"""Of the bytes, for what was read more than once."""

ENTRY_BYTES = 1200
"""What an entry takes beside its value: its key, its marks and its places in the indexes; 1,150 by tracemalloc."""


class Entry:
    """One value with its size in bytes, its marks, and when it ages and ends (monotonic seconds)."""

    __slots__ = ("ages", "ends", "marks", "segment", "size", "value")

    def __init__(self, value: Any, size: int, ages: float, ends: float, marks: tuple[str, ...]) -> None:
        self.value = value
        self.size = size
        self.ages = ages
        self.ends = ends
        self.marks = marks
        self.segment = _NEW


class Usage(NamedTuple):
    """How much is held: entries, bytes; since the start: entries that had to leave for others, reads that found one.

    `hot` are the bytes of what was read more than once, which may take `HOT_SHARE` of all.
    """

    entries: int
    bytes: int
    evicted: int
    hits: int
    hot: int


_NEW, _HOT, _AGED = range(3)


class MemoryLayer:
    """Values by key. A mark is the name of something that several entries depend on; `drop_mark` drops them all."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._hot: Memory[Hashable, Any] = Memory(0)
        self._new: Memory[Hashable, Any] = Memory(0)
        self._aged: dict[Hashable, Any] = {}
        self._bytes = [0, 0, 0]
        self._entries: dict[Hashable, Entry] = {}
        self._marked: dict[str, Hashable | set[Hashable]] = {}
        self._due: list[tuple[float, int, Hashable, Entry]] = []
        self._number = 0
        self._evicted = 0
        self._found = 0
        self.hit, self._hits = _quick_way(self._hot.get)
        """`hit(key)`: a hot value, or `MISS` for everything else: the quick way, which `get` is to follow."""

    def get(self, key: Hashable) -> tuple[Any, bool]:
        """A value, or `MISS`; and whether it is aged."""
        entry = self._entries.get(key)
        if entry is None:
            return MISS, False
        if entry.segment == _HOT:
            return self.hit(key), False
        self._found += 1
        if entry.segment == _AGED:
            return entry.value, True
        if entry.value is None:
            # What does not exist stays among the new: there may be any number of it.
            return None, False
        value = entry.value
        self._leave(key, entry)
        self._enter(key, entry, _HOT)
        # Which may drive the entry itself out, and takes its value then.
        self._shrink()
        return value, False

    def entry(self, key: Hashable) -> Entry | None:
        """An entry as it lies there; to look at, which is no use of it."""
        return self._entries.get(key)

    def put(self, key: Hashable, entry: Entry) -> bool:
        """Keep a value in the place of an older one; False where it alone is larger than a segment of new ones."""
        before = self._entries.get(key)
        if before is not None:
            self._forget(key, before)
        if entry.size + ENTRY_BYTES > self._most * (1 - HOT_SHARE):
            return False
        self._entries[key] = entry
        for mark in entry.marks:
            self._mark(mark, key)
        # A hot key stays hot when its value is loaded anew.
        hot = before is not None and before.segment != _NEW and entry.value is not None
        self._enter(key, entry, _HOT if hot else _NEW)
        self._remind(key, entry, min(entry.ages, entry.ends))
        self._shrink()
        return True

    def drop(self, key: Hashable) -> bool:
        """Forget a key; whether it was there."""
        entry = self._entries.get(key)
        if entry is not None:
            self._forget(key, entry)
        return entry is not None

    def drop_mark(self, mark: str) -> int:
        """Forget every entry with a mark; how many there were."""
        marked = self._marked.get(mark)
        if marked is None:
            return 0
        keys = list(marked) if isinstance(marked, set) else [marked]
        for key in keys:
            self.drop(key)
        return len(keys)

    def clear(self) -> None:
        """Forget everything."""
        for key, entry in list(self._entries.items()):
            self._forget(key, entry)
        self._due.clear()

    def shorten(self, ends: float) -> None:
        """Let nothing live longer than until a moment."""
        self._due.clear()
        for key, entry in self._entries.items():
            entry.ends = min(entry.ends, ends)
            at = entry.ends if entry.segment == _AGED else min(entry.ages, entry.ends)
            self._number += 1
            self._due.append((at, self._number, key, entry))
        heapq.heapify(self._due)

    def expire(self, now: float) -> float | None:
        """Age and end what is due; the moment of the next, None where there is none."""
        while self._due and self._due[0][0] <= now:
            _, _, key, entry = heapq.heappop(self._due)
            if self._entries.get(key) is not entry:
                continue
            if entry.ends <= now:
                self._forget(key, entry)
                continue
            if entry.segment != _AGED:
                self._leave(key, entry)
                self._enter(key, entry, _AGED)
            self._remind(key, entry, entry.ends)
        return self._due[0][0] if self._due else None

    def names(self) -> Iterable[Hashable]:
        """Every key that is held."""
        return list(self._entries)

    @property
    def usage(self) -> Usage:
        """How much is held now, and what happened since the start."""
        return Usage(len(self._entries), sum(self._bytes), self._evicted, self._found + self._hits(), self._bytes[_HOT])

    def _remind(self, key: Hashable, entry: Entry, at: float) -> None:
        self._number += 1
        heapq.heappush(self._due, (at, self._number, key, entry))
        if len(self._due) > 1.25 * len(self._entries) + 100:
            # Replaced entries leave their reminders behind, which take a third of an entry.
            self._due = [due for due in self._due if self._entries.get(due[2]) is due[3]]
            heapq.heapify(self._due)

    def _enter(self, key: Hashable, entry: Entry, segment: int) -> None:
        entry.segment = segment
        self._bytes[segment] += entry.size + ENTRY_BYTES
        if segment == _HOT:
            self._hot.insert(key, entry.value)
        elif segment == _NEW:
            self._new.insert(key, entry.value)
        else:
            self._aged[key] = entry.value

    def _leave(self, key: Hashable, entry: Entry) -> None:
        self._bytes[entry.segment] -= entry.size + ENTRY_BYTES
        (self._new, self._hot, self._aged)[entry.segment].pop(key, None)

    def _forget(self, key: Hashable, entry: Entry) -> None:
        self._leave(key, entry)
        del self._entries[key]
        for mark in entry.marks:
            marked = self._marked[mark]
            if isinstance(marked, set):
                marked.discard(key)
            if not isinstance(marked, set) or not marked:
                del self._marked[mark]
        # Its reminder may hold the entry for a while, and must not hold the value.
        entry.value, entry.marks = None, ()

    def _mark(self, mark: str, key: Hashable) -> None:
        # Most marks are one key's: its own name. A set for each would be a fifth of what an entry takes.
        marked = self._marked.setdefault(mark, key)
        if isinstance(marked, set):
            marked.add(key)
        elif marked != key:
            self._marked[mark] = {marked, key}

    def _shrink(self) -> None:
        """Bring both segments within their bytes: the last hot one becomes new again, then the oldest new one goes."""
        while self._bytes[_HOT] > self._most * HOT_SHARE:
            key, _ = self._hot.popitem()
            entry = self._entries[key]
            self._bytes[_HOT] -= entry.size + ENTRY_BYTES
            self._enter(key, entry, _NEW)
        while sum(self._bytes) > self._most:
            source = self._aged or (self._new if len(self._new) else self._hot)
            key = next(iter(source)) if source is self._aged else source.popitem()[0]
            entry = self._entries[key]
            self._forget(key, entry)
            self._evicted += 1


def _quick_way(look: Callable[[Hashable, Any], Any]) -> tuple[Callable[[Hashable], Any], Callable[[], int]]:
    """A read that counts hits, and the count. A closure: a method would take a fifth longer."""
    hits = 0

    def hit(key: Hashable, miss: object = MISS) -> Any:
        nonlocal hits
        value = look(key, miss)
        if value is not miss:
            hits += 1
        return value

    return hit, lambda: hits
