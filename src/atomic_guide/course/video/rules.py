"""What instructors set for the lectures of a course: whether one may be shown before it has captions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from atomic_guide.course.video.videos import QUERIES, Parts, Video

if TYPE_CHECKING:
    from atomic_guide.engines.data.database import Transaction
    from atomic_guide.engines.data.placement import CourseKey

CAPTIONS_MISSING = "captions missing"


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """With `captions_required`, learners are shown a lecture only once it has captions."""

    captions_required: bool = False

    def withheld(self, video: Video) -> str | None:
        """Why a lecture that plays is not shown to learners; None where it is."""
        missing = self.captions_required and video.watchable and not video.captions
        return CAPTIONS_MISSING if missing else None


async def rules_of(parts: Parts, key: CourseKey) -> Rules:
    """The rules of a course; those of a course where nobody has set any ask for nothing."""
    row = await parts.shards.of(key).one(QUERIES["read_rules"], key.columns)
    return Rules(bool(row["captions_required"])) if row is not None else Rules()


async def put_rules(parts: Parts, key: CourseKey, rules: Rules) -> None:
    """Set the rules of a course."""
    params = {**key.columns, "captions_required": rules.captions_required, "now": parts.clock.now()}

    async def work(tx: Transaction) -> None:
        await tx.execute(QUERIES["put_rules"], params)

    await parts.shards.of(key).write(work)
