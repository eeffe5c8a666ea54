"""How each object of a copy stands, told from what is kept for the copy as a whole. Pure.

A row for each object would be 1,800 for an hour's lecture in each store. What is kept instead says as much: which list
was verified whole, how many objects of the present one are done, in its order, and which ones were found wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from atomic_guide.course.video.spread.catalog import Replica
    from atomic_guide.engines.assets.manifest import Manifest


class Object(msgspec.Struct, frozen=True):
    """An object of a copy: verified, pending, deleting, or missing, truncated or altered; unknown among many wrong."""

    name: str
    sha256: str
    bytes: int
    state: str


def objects_of(replica: Replica, manifest: Manifest, held: Manifest | None) -> list[Object]:
    """The objects of a lecture's list in a store; `held` is the list that was verified there last."""
    there = {entry.sha256 for entry in held.entries if entry.name not in replica.wrong.objects} if held else set()
    fresh = [entry.sha256 for entry in manifest.entries if entry.sha256 not in there]
    # While nothing was found wrong, what is done is counted over what the store did not hold before.
    done = set() if replica.wrong.objects else set(fresh[: replica.done])

    def state(name: str, digest: str) -> str:
        if replica.state == "deleting":
            return "deleting"
        if (wrong := replica.wrong.objects.get(name)) is not None:
            return wrong
        if digest in there or digest in done:
            return "unknown" if replica.wrong.more else "verified"
        return "pending"

    return [Object(entry.name, entry.sha256, entry.size, state(entry.name, entry.sha256)) for entry in manifest.entries]


def counted(objects: list[Object]) -> dict[str, int]:
    """How many objects there are in each state."""
    found: dict[str, int] = {}
    for one in objects:
        found[one.state] = found.get(one.state, 0) + 1
    return found
