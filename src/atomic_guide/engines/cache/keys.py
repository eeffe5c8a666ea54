"""Names of values and of what they depend on, as NATS keeps them: digests, so that they tell nobody anything.

A value's name begins with its tenant's and its course's, so that all of either are removed by one call.
"""

from __future__ import annotations

import functools
import hashlib
from typing import NamedTuple

Key = tuple[str, ...]
"""The space, the tenant, then what names the thing within it, its course first: made by `Space.key`."""

EVERYTHING = "all"
"""The mark that every value carries."""


class Scope(NamedTuple):
    """Which values are meant: those of a tenant, of one of its courses, or of a space; all where nothing is said."""

    tenant: str = ""
    course: str = ""
    space: str = ""

    def takes(self, key: Key) -> bool:
        """Whether a value is meant."""
        return (
            self.space in {"", key[0]}
            and self.tenant in {"", key[1]}
            and (not self.course or (len(key) > 2 and self.course == key[2]))  # noqa: PLR2004 - the third part
        )

    @property
    def mark(self) -> str:
        """The name of all of them."""
        return hashed("scope", *self) if any(self) else EVERYTHING

    @property
    def prefix(self) -> str:
        """What their names on NATS begin with, as a pattern; empty where they have nothing of the kind in common."""
        if self.space:
            return ""
        if self.course:
            return f"{hashed(self.tenant)}.{hashed(self.tenant, self.course)}.>"
        return f"{hashed(self.tenant)}.>" if self.tenant else ">"


def digest(key: Key, version: int) -> str:
    """The name of a value on NATS."""
    tenant, course = key[1], key[2] if len(key) > 2 else ""  # noqa: PLR2004 - the third part
    return f"{hashed(tenant)}.{hashed(tenant, course)}.{hashed(str(version), *key)}"


@functools.lru_cache(1024)
def scopes_of(space: str, tenant: str, course: str) -> tuple[str, ...]:
    """The marks of every scope that a value is in, but for that of all."""
    scopes = (Scope(tenant), Scope(space=space), *([Scope(tenant, course)] if course else []))
    return tuple(scope.mark for scope in scopes)


@functools.lru_cache(1024)
def mark(name: str) -> str:
    """The name of a mark on NATS."""
    return hashed("mark", name)


def hashed(*parts: str) -> str:
    """A digest of a few words, in order."""
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()
