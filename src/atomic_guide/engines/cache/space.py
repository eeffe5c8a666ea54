"""Values of one kind in the cache: what they are called, how long they live, and that nobody can change them."""

from __future__ import annotations

import types
import typing
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar, cast

import msgspec

from atomic_guide.engines.cache.keys import Key, digest, scopes_of
from atomic_guide.engines.cache.layer import MISS

if TYPE_CHECKING:
    from atomic_guide.engines.cache.layer import MemoryLayer
    from atomic_guide.engines.cache.sealed import Stored
    from atomic_guide.engines.cache.shared import Reached

T = TypeVar("T")


class Layers(Protocol):
    """What a space asks of the cache that it is of."""

    memory: MemoryLayer

    async def get(self, ask: Ask[T]) -> T | None:
        """A value from the nearest layer."""
        ...

    async def change(self, marks: Sequence[str]) -> Reached | None:
        """Say that things have changed, by their marks."""
        ...


class Rules(NamedTuple):
    """How long values of a space live in memory and on NATS, how long what does not exist, how long a load may take.

    `shared`: whether they lie on NATS.
    """

    version: int
    memory_seconds: float
    shared_seconds: float
    negative_seconds: float
    load_seconds: float
    shared: bool


class Ask(NamedTuple, Generic[T]):
    """What a caller wants: a value, how it is loaded, and which values are new enough; None for any."""

    space: Space[T]
    key: Key
    load: Callable[[], Awaitable[T | None]]
    marks: Sequence[str] = ()
    good: Callable[[T | None], bool] | None = None

    def takes(self, value: object) -> bool:
        """Whether a value is new enough."""
        return self.good is None or self.good(cast("T | None", value))


class Space(Generic[T]):
    """Values of one kind. Its version is part of every key: a program with another one has values of its own."""

    def __init__(self, cache: Layers, name: str, kind: type[T], rules: Rules) -> None:
        self._cache = cache
        self.name = name
        self.rules = rules
        self._decoder = msgspec.msgpack.Decoder(cast("Any", kind | None))
        self.hit: Callable[[Key], Any] = cache.memory.hit
        """A value that is hot in memory, or `MISS`; None means that it is known not to exist. The quick way."""

    def key(self, tenant: str, *parts: str) -> Key:
        """The key of a thing of a tenant, which must have one: nobody else's is ever found by it.

        The first part is the thing's course, or empty where it belongs to none.
        """
        return (self.name, tenant, *parts)

    async def get(
        self,
        key: Key,
        load: Callable[[], Awaitable[T | None]],
        marks: Sequence[str] = (),
        good: Callable[[T | None], bool] | None = None,
    ) -> T | None:
        """A value from the nearest layer, or as `load` loads it; None where it does not exist.

        `marks` name what else it depends on; `good` says of a value whether it is as new as the caller must see it,
        and one that is not is loaded anew. Then `load` brings what is new when it begins, not when it was asked for, so
        that all who wait may take the same value; else each of them would have one loaded. Raises what `load` raises,
        and `Unavailable` where that takes too long.
        """
        if good is None and (found := self.hit(key)) is not MISS:
            return cast("T | None", found)
        return await self._cache.get(Ask(self, key, load, marks, good))

    async def changed(self, *keys: Key) -> bool:
        """Say that values have changed; False where other processes learn of it only once NATS is back."""
        return await self._cache.change([self.digest(key) for key in keys]) is not None

    def digest(self, key: Key) -> str:
        """The name of a value on NATS: of its tenant, its course, its space with its version, the rest of its key."""
        return digest(key, self.rules.version)

    def marks_of(self, key: Key) -> tuple[str, ...]:
        """What ends a value: its own name, and those of the scopes that it is in."""
        return (self.digest(key), *scopes_of(self.name, key[1], key[2] if len(key) > 2 else ""))  # noqa: PLR2004

    def read(self, stored: Stored) -> Any:
        """A value as another process stored it, or `MISS` for what is none."""
        try:
            return self._decoder.decode(stored.value)
        except msgspec.DecodeError:
            return MISS


def check_immutable(kind: Any) -> None:
    """Raise `TypeError` for a kind of value that could be changed by one who was given it."""
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) in {tuple, frozenset, typing.Union}:
        for part in typing.get_args(kind):
            if part is not Ellipsis:
                check_immutable(part)
        return
    if kind in {str, bytes, int, float, bool, type(None)}:
        return
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind.__struct_config__.frozen:
        for field in msgspec.structs.fields(kind):
            check_immutable(field.type)
        return
    message = f"{kind!r} could be changed by whoever is given it; use a frozen struct, a tuple or a plain value"
    raise TypeError(message)
